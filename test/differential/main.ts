/**
 * `npm run differential -- [--statements N] [--seed S] [--schemas K] [--tries T] [--wordings] [--cases FILE]`: N random statements (2000) over K random
 * schemas (one for 200 statements), of the seeds from S (1) on, on the simulator in Cassandra's manners and on one node of Apache
 * Cassandra: rows, their order, types, metadata, pages, warnings, errors' codes, and markers of what was prepared. Each difference is
 * played again at most T times (150) until it is small, and printed. `--wordings` also shows errors with the same code and other texts.
 * `--cases FILE` adds them to a file as cases of `cases.test.ts`. The node is started, unless `CQL_CONTACT_POINTS` names one that runs.
 */
import { CassandraServer } from "@effect-scylla/testkit"
import { Cause, Effect, Exit } from "effect"
import { parseArgs } from "node:util"
import { type Difference, run } from "./campaign.ts"
import { addCase } from "./cases.ts"

const { values } = parseArgs({
  options: {
    cases: { type: "string" },
    schemas: { type: "string" },
    seed: { type: "string" },
    statements: { type: "string" },
    tries: { type: "string" },
    wordings: { type: "boolean" }
  }
})
const number = (name: "schemas" | "seed" | "statements" | "tries", fallback: number): number => {
  const value = Number(values[name] ?? fallback)
  if (Number.isSafeInteger(value) && value >= (name === "tries" ? 0 : 1)) return value
  process.stderr.write(`differential: --${name} has to be a whole number, got ${values[name]}\n`)
  return process.exit(2)
}
const statements = number("statements", 2000)
const schemas = number("schemas", Math.ceil(statements / 200))
const seed = number("seed", 1)
const tries = number("tries", 150)

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const tell = (difference: Difference): void => {
  if (values.cases !== undefined) addCase(values.cases, difference)
  say([
    `\nseed ${difference.seed}:`,
    ...[...difference.setUp, ...difference.texts].map((text) => `  ${text};`),
    `simulated ${difference.simulated}`,
    `cassandra ${difference.real}`,
    `replay: npm run differential -- --seed ${difference.seed} --schemas 1 --statements ${
      Math.max(1, difference.statements)
    }`
  ].join("\n"))
}

const begun = performance.now()
const program = Effect.scoped(Effect.gen(function*() {
  const named = process.env["CQL_CONTACT_POINTS"]?.split(",")[0]
  if (named === undefined) {
    const there = yield* CassandraServer.available
    if (there._tag === "Unavailable") {
      say(`skipped: ${there.why}`)
      return 0
    }
  }
  // Nobody starts this node again, so what it knows of tables need not be on disk: statements about them take a third of the time.
  process.env["JDK_JAVA_OPTIONS"] ??= "-Dcassandra.test.flush_local_schema_changes=false -Dcassandra.unsafesystem=true"
  const contactPoint = named ?? (yield* CassandraServer.make({ nodes: 1 })).contactPoints[0]!
  const outcome = yield* run({
    contactPoint,
    schemas,
    seed,
    statements,
    tries,
    onDifference: tell,
    onSchema: (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${schemas}`)
    }
  })
  const { agrees, crashed, differs, refused, worded } = outcome.counts
  const all = agrees + crashed + differs + refused + worded
  const most = (counts: ReadonlyMap<string, number>, bound: number): ReadonlyArray<readonly [string, number]> =>
    [...counts].toSorted((a, b) => b[1] - a[1]).slice(0, bound)
  if (values.wordings === true) {
    for (const [text, count] of most(outcome.wordings, 100)) say(`\n${count} worded\n  ${text}`)
  }
  say(`\n${all} statements over ${schemas} schemas in ${((performance.now() - begun) / 1000).toFixed(0)} s`)
  say(`agree ${agrees} (${most(outcome.kinds, 5).map(([kind, count]) => `${kind} ${count}`).join(", ")})`)
  say(`agree in code, in other words ${worded}; Cassandra fell over ${crashed}`)
  say(`not simulated ${refused} (${(100 * refused / Math.max(1, all)).toFixed(2)} %)`)
  for (const [why, count] of most(outcome.refusals, 15)) say(`  ${count} ${why}`)
  say(`differ ${differs}`)
  return differs === 0 ? 0 : 1
}))
const exit = await Effect.runPromise(Effect.exit(program))
if (Exit.isFailure(exit)) process.stderr.write(`${Cause.pretty(exit.cause)}\n`)
process.exit(Exit.isSuccess(exit) ? exit.value : 1)
