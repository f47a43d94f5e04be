/**
 * What the simulated cluster of testkit costs: milliseconds of a fresh cluster, microseconds of CPU of a statement on a single row, bytes
 * of a row.
 *
 * `node bench/simulator.ts [--json]`
 */
import { Codec, CqlType, type Request } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect } from "effect"
import { pathToFileURL } from "node:url"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { connect, type RawClient } from "../packages/testkit/test/rawClient.ts"
import { head, row } from "./support/table.ts"

/** Goals. */
const budget = { freshMillis: 2, statementMicros: 20, rowBytes: 300 } as const

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

const int = CqlType.scalar("int")
const text = CqlType.scalar("text")

const options = { nodes: 3, shards: 4, transport: "memory" } as const

const median = (of: ReadonlyArray<number>): number => of.toSorted((a, b) => a - b)[of.length >> 1]!

/** Made and closed again, the median of many. */
const fresh = Effect.gen(function*() {
  const took: Array<number> = []
  for (let i = 0; i < 200; i++) {
    const begun = performance.now()
    yield* Effect.scoped(SimulatedCluster.make(options))
    took.push(performance.now() - begun)
  }
  return median(took.slice(100))
})

const client = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make(options)
  const made = yield* connect("127.0.0.1", 9042, cluster.transport)
  yield* made.startup()
  yield* made.query("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
  yield* made.query("CREATE TABLE ks.t (p int PRIMARY KEY, a int, v text)")
  return made
})

const prepare = Effect.fnUntraced(function*(made: RawClient, query: string) {
  const answer = yield* made.request({ _tag: "Prepare", query })
  if (answer._tag !== "Prepared") throw new Error(`not prepared: ${query}`)
  return answer.id
})

/** Sends so many requests at once, and waits for their answers: microseconds of CPU of one, a client of nothing but frames included. */
const cpu = Effect.fnUntraced(function*(made: RawClient, requests: number, request: (i: number) => Request.Request) {
  const frames = Array.from({ length: requests }, (_, i) => made.bytesOf(request(i), i % 1000 + 1))
  const begun = process.cpuUsage()
  for (const bytes of frames) yield* made.send(bytes)
  for (let i = 0; i < requests; i++) yield* made.next
  const { system, user } = process.cpuUsage(begun)
  return (system + user) / requests
})

const insertOf = (id: Uint8Array) => (i: number): Request.Request => ({
  _tag: "Execute",
  id,
  options: { consistency: "ONE" },
  values: { values: [Codec.encode(int, i), Codec.encode(int, i), Codec.encode(text, "a value")] }
})

const selectOf = (id: Uint8Array) => (i: number): Request.Request => ({
  _tag: "Execute",
  id,
  options: { consistency: "ONE" },
  values: { values: [Codec.encode(int, i)] }
})

const INSERT = "INSERT INTO ks.t (p, a, v) VALUES (?, ?, ?)"
const SELECT = "SELECT a, v FROM ks.t WHERE p = ?"
const ROUND = 5000

const statements = Effect.scoped(Effect.gen(function*() {
  const made = yield* client
  const write = insertOf(yield* prepare(made, INSERT))
  const read = selectOf(yield* prepare(made, SELECT))
  const writes: Array<number> = []
  const reads: Array<number> = []
  for (let i = 0; i < 10; i++) {
    writes.push(yield* cpu(made, ROUND, write))
    reads.push(yield* cpu(made, ROUND, read))
  }
  return { write: median(writes.slice(3)), read: median(reads.slice(3)) }
}))

const ROWS = 100_000

/** Nothing is left to be collected: memory outside of the heap goes a turn after what held it. */
const settled = Effect.gen(function*() {
  for (let i = 0; i < 3; i++) {
    collect()
    yield* Effect.sleep(10)
  }
})

const bytes = Effect.scoped(Effect.gen(function*() {
  const made = yield* client
  const write = insertOf(yield* prepare(made, INSERT))
  yield* cpu(made, 1000, write)
  made.received.length = 0
  yield* settled
  const before = process.memoryUsage()
  for (let i = 0; i < ROWS; i += ROUND) yield* cpu(made, ROUND, (j) => write(1_000_000 + i + j))
  made.received.length = 0
  yield* settled
  const after = process.memoryUsage()
  return (after.heapUsed + after.external - before.heapUsed - before.external) / ROWS
}))

export const run = async ({ json }: { readonly json: boolean }): Promise<void> => {
  const result = await Effect.runPromise(Effect.gen(function*() {
    const freshMillis = yield* fresh
    const { read, write } = yield* statements
    return { freshMillis, insertMicros: write, selectMicros: read, rowBytes: yield* bytes }
  }))
  if (json) return console.log(JSON.stringify(result))
  head("simulator", "measured", "goal")
  row("a fresh cluster, ms", result.freshMillis, budget.freshMillis)
  row("INSERT of a row, its client too, µs", result.insertMicros, budget.statementMicros)
  row("SELECT of a row, its client too, µs", result.selectMicros, budget.statementMicros)
  row("a row of three columns, B", result.rowBytes, budget.rowBytes)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await run({ json: process.argv.includes("--json") })
}
