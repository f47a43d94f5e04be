/** Random statements over random schemas, on the simulator and on a Cassandra: the same answers, or a refusal. */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect } from "effect"
import type { RawClient } from "../../packages/testkit/test/rawClient.ts"
import { answerTo, compare, type Sent, sentOf, type Servers, speak, type Verdict } from "./beside.ts"
import { Draw } from "./draw.ts"
import { render } from "./parts.ts"
import { allOf, type Schema, schemaOf } from "./schemas.ts"
import { shrink, shrinkOne } from "./shrink.ts"
import { type Statement, statementOf } from "./statements.ts"

/** What is run: `statements` in all, over `schemas` of the seeds `seed`, `seed + 1`, …. */
export interface Campaign {
  readonly contactPoint: string
  readonly seed: number
  readonly schemas: number
  readonly statements: number
  /** How often a difference may be played again until it is small. */
  readonly tries: number
  readonly onDifference?: (difference: Difference) => void
  readonly onSchema?: (done: number) => void
}

/** A difference, as small as it became. */
export interface Difference {
  /** Of its schema. */
  readonly seed: number
  /** How many statements of that seed lead to it. */
  readonly statements: number
  readonly setUp: ReadonlyArray<string>
  readonly texts: ReadonlyArray<string>
  /** What was sent; nothing where it is the schema that differs. */
  readonly sent: ReadonlyArray<Sent>
  readonly simulated: string
  readonly real: string
}

export interface Outcome {
  readonly counts: Record<Verdict["_tag"], number>
  /** Why statements were refused, and how many. */
  readonly refusals: ReadonlyMap<string, number>
  /** Pairs of texts of errors that have the same code: the simulator's, Cassandra's. */
  readonly wordings: ReadonlyMap<string, number>
  /** What was answered where both agree: rows, void, errors. */
  readonly kinds: ReadonlyMap<string, number>
  readonly differences: ReadonlyArray<Difference>
}

const add = (to: Map<string, number>, key: string): void => {
  to.set(key, (to.get(key) ?? 0) + 1)
}

const replicated = (keyspace: string): string =>
  `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`

/** Schemas at a time: one node is busy with that. */
const WORKERS = 3

/** So many differences of reads in one schema are enough. */
const MOST_OF_SCHEMA = 8

const DROP = "DROP KEYSPACE IF EXISTS"

/** So often it is asked whether indexes are there. */
const MOST_WAITS = 500

/** Waits until a Cassandra has built so many indexes of a keyspace. */
const built = Effect.fnUntraced(function*(real: RawClient, keyspace: string, indexes: number) {
  for (let i = 0; i < MOST_WAITS; i++) {
    const answer = yield* answerTo(
      real,
      `SELECT index_name FROM system."IndexInfo" WHERE table_name = '${keyspace}'`
    )
    if ((answer["rows"] as ReadonlyArray<unknown>).length >= indexes) return
    yield* Effect.sleep("10 millis")
  }
})

/** Makes a schema on both; what both refuse alike is not there. What differs is the verdict. */
const create = Effect.fnUntraced(function*({ real, simulated }: Servers, schema: Schema) {
  for (const client of [simulated, real]) yield* answerTo(client, `${DROP} ${schema.keyspace}`)
  let hasIndexes = 0
  const made: Array<Schema["tables"][number]> = []
  const one = Effect.fnUntraced(function*(text: string) {
    const mine = yield* answerTo(simulated, text)
    const theirs = mine.kind === "error" && String(mine["message"]).startsWith("not simulated") ?
      mine :
      yield* answerTo(real, text)
    const isSame = mine.kind === theirs.kind && mine["code"] === theirs["code"]
    if (!isSame) {
      const difference = { text, simulated: JSON.stringify(mine), real: JSON.stringify(theirs) }
      return { isMade: false, difference }
    }
    return { isMade: mine.kind !== "error", difference: undefined }
  })
  for (const text of [replicated(schema.keyspace), ...schema.types]) {
    const { difference } = yield* one(text)
    if (difference !== undefined) return { difference, schema }
  }
  for (const table of schema.tables) {
    const [first, ...indexes] = table.create
    const { difference, isMade } = yield* one(first!)
    if (difference !== undefined) return { difference, schema }
    if (!isMade) continue
    made.push(table)
    for (const text of indexes) {
      const index = yield* one(text)
      if (index.difference !== undefined) return { difference: index.difference, schema }
      if (index.isMade) hasIndexes++
    }
  }
  // An index is built behind the statement that makes it.
  if (hasIndexes > 0) yield* built(real, schema.keyspace, hasIndexes)
  return { difference: undefined, schema: { ...schema, tables: made } }
})

/** Whether the last of them differs, and how. */
const replay = Effect.fnUntraced(
  function*(servers: Servers, schema: Schema, statements: ReadonlyArray<Statement>) {
    yield* create(servers, schema)
    let verdict: Verdict | undefined
    for (const statement of statements) verdict = yield* compare(servers, statement)
    return verdict
  }
)

const setUpOf = ({ keyspace, tables, types }: Schema): ReadonlyArray<string> => [
  replicated(keyspace),
  ...types,
  ...tables.flatMap(({ create }) => create)
]

/** Only what the statements name. */
const needed = (schema: Schema, statements: ReadonlyArray<Statement>): Schema => {
  const texts = statements.map(({ part }) => render(part))
  const tables = schema.tables.filter(({ name }) => texts.some((text) => text.includes(name)))
  const types = schema.types.filter((type) => {
    const name = /CREATE TYPE \w+\.(\w+)/.exec(type)![1]!
    return tables.some((table) => allOf(table).some(({ type }) => type.name.includes(name)))
  })
  return { ...schema, types, tables }
}

const shown = (statement: Statement): string => {
  const { isPrepared, isRead, pageSize, part } = statement
  const how = [...(isRead ? [`pages of ${pageSize}`] : []), ...(isPrepared ? ["prepared"] : [])]
  return `${render(part)}${how.length === 0 ? "" : ` -- ${how.join(", ")}`}`
}

/** Runs it. What differs is made small and told; with a write that differs a schema ends, because all that follows would differ too. */
export const run = Effect.fnUntraced(function*(campaign: Campaign) {
  const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, product: "cassandra" })
  const counts: Outcome["counts"] = { agrees: 0, crashed: 0, differs: 0, refused: 0, worded: 0 }
  const [refusals, wordings, kinds] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  const differences: Array<Difference> = []
  const differ = (difference: Difference) => {
    counts.differs++
    differences.push(difference)
    campaign.onDifference?.(difference)
  }
  let done = 0
  const runSchema = Effect.fnUntraced(function*(servers: Servers, nth: number) {
    const seed = campaign.seed + nth
    const draw = new Draw(seed)
    const keyspace = `differential_${seed}`
    const made = yield* create(servers, schemaOf(draw, keyspace))
    const { schema } = made
    if (made.difference !== undefined) {
      const { text, ...answers } = made.difference
      differ({ seed, statements: 0, setUp: schema.types, texts: [text], sent: [], ...answers })
    }
    const share = Math.floor(campaign.statements * (nth + 1) / campaign.schemas) -
      Math.floor(campaign.statements * nth / campaign.schemas)
    const ran: Array<Statement> = []
    let different = 0
    for (let i = 0; i < share && made.difference === undefined && schema.tables.length > 0; i++) {
      const statement = statementOf(draw, schema)
      ran.push(statement)
      const verdict = yield* compare(servers, statement)
      if (verdict._tag === "differs") {
        const fails = (some: ReadonlyArray<Statement>) =>
          Effect.map(replay(servers, needed(schema, some), some), (last) => last?._tag === "differs")
        // What is read can be read again as it is.
        const smallest = statement.isRead
          ? yield* shrinkOne(statement, (each) => Effect.map(compare(servers, each), ({ _tag }) => _tag === "differs"))
          : statement
        const least = yield* shrink([...ran.slice(0, -1), smallest], fails, campaign.tries)
        const last = campaign.tries === 0 ? verdict : yield* replay(servers, needed(schema, least), least)
        const { real, simulated } = last?._tag === "differs" ? last : verdict
        differ({
          seed,
          statements: i + 1,
          setUp: setUpOf(needed(schema, least)),
          texts: least.map(shown),
          sent: least.map(sentOf),
          simulated,
          real
        })
        if (!statement.isRead || ++different === MOST_OF_SCHEMA) break
        if (campaign.tries > 0) yield* replay(servers, schema, ran)
        continue
      }
      counts[verdict._tag]++
      // A write of which Cassandra did who knows what.
      if (verdict._tag === "crashed" && !statement.isRead) break
      if (verdict._tag === "refused") add(refusals, verdict.why)
      if (verdict._tag === "agrees") add(kinds, verdict.kind)
      if (verdict._tag === "worded") {
        add(wordings, `${verdict.simulated}\n  ${verdict.real}\n  ${render(statement.part)}`)
      }
    }
    yield* answerTo(servers.real, `${DROP} ${keyspace}`)
    yield* answerTo(servers.simulated, `${DROP} ${keyspace}`)
    campaign.onSchema?.(++done)
  })
  // Each worker has connections of its own, and each schema its keyspace: what one does is nothing to the others.
  let next = 0
  const worker = Effect.gen(function*() {
    const servers: Servers = {
      simulated: yield* speak(cluster.contactPoints[0]!),
      real: yield* speak(campaign.contactPoint)
    }
    while (next < campaign.schemas) yield* runSchema(servers, next++)
  })
  yield* Effect.all(Array.from({ length: Math.min(WORKERS, campaign.schemas) }, () => worker), {
    concurrency: "unbounded",
    discard: true
  })
  return { counts, refusals, wordings, kinds, differences } satisfies Outcome
})
