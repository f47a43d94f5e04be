/** The lock and the counter of examples/raft, under faults. */
import type { RaftSimulator } from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Counter from "../../../examples/raft/counter.ts"
import * as Lock from "../../../examples/raft/lock.ts"
import { drive, pass, simulate } from "./support/simulated.ts"

const write = "/d_engine.client.RaftClientService/HandleClientWrite"

/** Of the writes to the whole cluster each `lost`th is done and each `denied`th is not; of neither the answer says so. */
const lossy = (cluster: RaftSimulator, lost: number, denied: number): void => {
  let n = 0
  for (const node of cluster.nodes) {
    node.script("HandleClientWrite", (request) => {
      n++
      if (n % denied === 0) return { code: 4, details: "RPC timeout exceeded" }
      if (n % lost !== 0) return undefined
      const { scripted } = node
      node.scripted = () => undefined
      cluster.answer(node, write, request)
      node.scripted = scripted
      return { code: 4, details: "RPC channel closed" }
    }, 1_000_000)
  }
}

describe("recipes", () => {
  it.effect("a lock has one holder at a time and counts its holders, though answers are lost", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const holders: Array<number> = []
      let inside = 0
      let most = 0
      const worker = Effect.fnUntraced(function*() {
        const client = yield* connect()
        for (let i = 0; i < 5; i++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { fencing } = yield* Lock.acquire(client, "/lock")
            holders.push(fencing)
            most = Math.max(most, ++inside)
            yield* Effect.sleep(20)
            inside--
          }))
        }
      })
      lossy(cluster, 3, 5)
      const all = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], worker, { concurrency: "unbounded", discard: true }),
        { startImmediately: true }
      )
      yield* drive(Fiber.join(all))
      assert.strictEqual(most, 1)
      assert.lengthOf(holders, 15)
      assert.deepStrictEqual(holders, holders.toSorted((a, b) => a - b))
      assert.strictEqual(new Set(holders).size, 15)
    }))

  it.effect("a counter counts each increment once, though answers are lost and the leader dies", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const clients = [yield* connect(), yield* connect(), yield* connect()]
      lossy(cluster, 4, 7)
      const all = yield* Effect.forkChild(
        Effect.forEach(clients, (client, i) => {
          const counter = Counter.make(client, "/count", `client${i}`)
          return Effect.forEach(Array.from({ length: 30 }), () => counter.add(1), { discard: true })
        }, { concurrency: "unbounded", discard: true }),
        { startImmediately: true }
      )
      yield* pass(100)
      cluster.kill(1)
      yield* drive(Fiber.join(all))
      assert.strictEqual(yield* drive(Counter.make(clients[0]!, "/count", "reader").total), 90)
    }))
})
