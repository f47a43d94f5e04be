/** `npm run bench -- pool`: picking a connection, requests through 16 of them, and how soon a cluster's pools are full. */
import { ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import * as NodePool from "@effect-scylla/pool/NodePool"
import * as Ticker from "@effect-scylla/pool/Ticker"
import * as Transport from "@effect-scylla/pool/Transport"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { Effect } from "effect"
import * as Network from "../packages/pool/test/support/network.ts"
import { FakeNode, PLAIN_PORT } from "../packages/pool/test/support/node.ts"
import { filling } from "./pool/filling.ts"
import { requests } from "./pool/requests.ts"
import { measure } from "./support/measure.ts"

const ITERATIONS = 2_000_000
/** Of issue 5: nanoseconds of a pick, microseconds and bytes of a request, handshakes until all pools are full. */
const GOALS = { pick: 30, cpuMicros: 1, heapBytes: 800, handshakes: 3.5 }

/** Bytes of heap for each call of `loop`'s body. */
const allocated = (iterations: number, loop: (iterations: number) => number): number => {
  const before = process.memoryUsage().heapUsed
  loop(iterations)
  return Math.max(0, process.memoryUsage().heapUsed - before) / iterations
}

const program = Effect.gen(function*() {
  const rows: Array<readonly [string, number, number]> = []
  for (
    const [name, shards, connections] of [
      ["the shard's connection, of 1 shard", 1, { perShard: 1 }],
      ["the shard's connection, of 8 shards", 8, { perShard: 1 }],
      ["the shard's connection, of 64 shards", 64, { perShard: 1 }],
      ["the less busy of 4 to the shard, of 8", 8, { perShard: 4 }],
      ["one of 2 for the whole node", 8, { perNode: 2 }]
    ] as const
  ) {
    const network = yield* Network.make
    const node = new FakeNode(network, { shards, shardAwarePort: 19_042 })
    const ticker = yield* Ticker.make
    const pool = yield* NodePool.make({ address: "10.0.0.1", port: PLAIN_PORT, connections, session: { ticker } }).pipe(
      Effect.provideService(Transport.Transport, network.transport),
      Effect.provideService(ConnectLimiter, makeLimiter({ rate: 1e6, burst: 1e6 }))
    )
    yield* pool.awaitFull
    const loop = (iterations: number): number => {
      let sum = 0
      for (let i = 0; i < iterations; i++) sum += pool.pick(i % shards)!.id
      return sum
    }
    rows.push([name, measure(ITERATIONS, loop), allocated(ITERATIONS, loop)])
    if (shards !== 8 || !("perShard" in connections) || connections.perShard !== 1) continue
    // More than half full: the less busy of two is looked for.
    node.intercept = (_socket, { request }) => request._tag === "Query"
    for (let shard = 0; shard < shards; shard++) {
      const connection = pool.pick(shard, true)!
      while (!connection.isBusy) {
        yield* Effect.forkScoped(
          Effect.ignore(connection.request({ _tag: "Query", query: "", options: { consistency: "ONE" } }, {
            timeoutMillis: 600_000,
            decoders: new RowDecoders()
          })),
          { startImmediately: true }
        )
      }
    }
    rows.push(["the same when all are half full", measure(ITERATIONS, loop), allocated(ITERATIONS, loop)])
  }
  return rows
})

export const run = async ({ json }: { readonly json: boolean }): Promise<void> => {
  const rows = await Effect.runPromise(Effect.scoped(program))
  const { cpuMicros, floorMicros, heapBytes, kernelMicros } = await Effect.runPromise(requests)
  const handshakes = await Effect.runPromise(filling)
  if (json) {
    const pick = rows.map(([name, nanos, bytes]) => ({ name, nanos, bytes }))
    console.log(
      JSON.stringify({
        pick,
        requests: { cpuMicros, kernelMicros, floorMicros, heapBytes },
        filling: { handshakes },
        goals: GOALS
      })
    )
    return
  }
  console.log("NodePool.pick: client CPU in ns, and bytes allocated, for one call; median of 9 rounds\n")
  for (const [name, nanos, bytes] of rows) {
    console.log(`${name.padEnd(42)} ${nanos.toFixed(1).padStart(7)} ns ${bytes.toFixed(2).padStart(8)} B`)
  }
  console.log(`\ngoal: at most ${GOALS.pick} ns`)
  const line = (name: string, value: number, unit: string, goal: number) =>
    console.log(`${name.padEnd(66)} ${value.toFixed(2).padStart(8)} ${unit}, goal ${goal}`)
  console.log("")
  line("prepared SELECT of a row, 16 connections, 256 in flight: client CPU", cpuMicros, "µs", GOALS.cpuMicros)
  console.log(`${"of it in the kernel".padEnd(66)} ${kernelMicros.toFixed(2).padStart(8)} µs`)
  console.log(`${"the same by a client that only moves bytes".padEnd(66)} ${floorMicros.toFixed(2).padStart(8)} µs`)
  line("heap allocated for it", heapBytes, "B", GOALS.heapBytes)
  line("until all shards of 3 nodes with 8 have their connection", handshakes, "handshakes", GOALS.handshakes)
}
