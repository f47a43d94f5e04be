/**
 * `npm run chaos -- --client [--seeds N] [--seed S] [--requests M] [--on simulated|cassandra] [--seconds T]`: a client under load while
 * its cluster suffers, and whether what it said of its writes is so. Seeds S … S+N-1 (30 from 1; with `--seed` alone just that one) of
 * M requests each (300) on simulated nodes, or for T seconds each (30) on three nodes of Apache Cassandra.
 */
import { CassandraServer } from "@effect-scylla/testkit"
import { Cause, Effect, Exit } from "effect"
import { parseArgs } from "node:util"
import { torment } from "./cassandra.ts"
import { Broken, type Report } from "./report.ts"
import { simulate } from "./simulated.ts"

const { values } = parseArgs({
  options: {
    client: { type: "boolean" },
    on: { type: "string", default: "simulated" },
    requests: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string" },
    seeds: { type: "string" }
  }
})
const refuse = (why: string): never => {
  process.stderr.write(`chaos: ${why}\n`)
  process.exit(2)
}
const number = (name: "requests" | "seconds" | "seed" | "seeds", fallback: number): number => {
  const value = Number(values[name] ?? fallback)
  return Number.isInteger(value) && value > 0
    ? value
    : refuse(`--${name} has to be a whole number from 1, got ${values[name]}`)
}
const { on } = values
if (on !== "simulated" && on !== "cassandra") refuse(`--on takes simulated or cassandra, got ${on}`)
const first = number("seed", 1)
const requests = number("requests", 300)
const seconds = number("seconds", 30)
const seeds = number("seeds", values.seed !== undefined ? 1 : on === "simulated" ? 30 : 2)

const begun = performance.now()
const ends: Record<string, number> = {}
const faults: Record<string, number> = {}
const reasons: Record<string, number> = {}
const broken: Array<number> = []
const add = (to: Record<string, number>, counts: Readonly<Record<string, number>>): void => {
  for (const [name, count] of Object.entries(counts)) to[name] = (to[name] ?? 0) + count
}
const list = (counts: Record<string, number>): string =>
  Object.entries(counts).toSorted((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${count}`).join(", ")

/** One seed after the other, those after a broken one too. What is no violation is a bug of the campaign, and shown the same way. */
const all = <E, R>(run: (seed: number) => Effect.Effect<Report, E, R>): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    for (let seed = first; seed < first + seeds; seed++) {
      const exit = yield* Effect.exit(run(seed))
      if (Exit.isSuccess(exit)) {
        add(ends, exit.value.ends)
        add(faults, exit.value.faults)
        add(reasons, exit.value.reasons)
        continue
      }
      broken.push(seed)
      const [reason] = exit.cause.reasons
      const isBroken = reason?._tag === "Fail" && reason.error instanceof Broken
      const why = isBroken ? reason.error.message : `seed ${seed}: ${Cause.pretty(exit.cause)}`
      const more = on === "simulated" ? `--requests ${requests}` : `--on cassandra --seconds ${seconds}`
      process.stderr.write(`${why}\nreplay: npm run chaos -- --client --seed ${seed} ${more}\n\n`)
    }
  })

const program: Effect.Effect<void, unknown> = on === "simulated"
  ? all((seed) => simulate(seed, requests))
  : Effect.provide(all((seed) => torment(seed, seconds)), CassandraServer.layer({ nodes: 3 }))
const exit = await Effect.runPromise(Effect.exit(program))
if (Exit.isFailure(exit)) {
  process.stderr.write(`${Cause.pretty(exit.cause)}\n`)
  process.exit(1)
}
const took = ((performance.now() - begun) / 1000).toFixed(0)
const what = broken.length === 0
  ? "all that the client said is so"
  : `${broken.length} broken (${broken.join(", ")})`
process.stdout.write(
  `${seeds} seeds on ${on} in ${took} s: ${what}\nrequests: ${list(ends)}\n` +
    `why they failed: ${list(reasons)}\nfaults: ${list(faults)}\n`
)
process.exit(broken.length === 0 ? 0 : 1)
