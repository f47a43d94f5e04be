/** More requests at once than connections take. */
import { Frame } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing } from "./support/world.ts"

/** What one connection has in flight, and what waits for it, by default. */
const IN_FLIGHT = 1024
const WAITING = 16_384

const world = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory" })
  const cql = yield* passing(clientOf(cluster))
  yield* passing(cql.awaitConnected)
  const select = yield* passing(cql.prepare("SELECT release_version FROM system.local"))
  /** Starts so many requests while the server does not answer. */
  const start = (count: number) =>
    Effect.forEach(
      Array.from({ length: count }),
      () => Effect.forkChild(cql.execute(select), { startImmediately: true })
    )
  return { cluster, cql, start }
})

describe("admission", () => {
  it.effect("what a connection does not take waits its turn, and is answered", () =>
    Effect.gen(function*() {
      const { cluster, start } = yield* world
      let now = 0
      yield* cluster.intercept(({ opcode }) => {
        if (opcode !== Frame.Opcode.EXECUTE) return undefined
        now++
        return { _tag: "Delay", millis: 100 }
      })
      const fibers = yield* start(3 * IN_FLIGHT)
      yield* TestClock.adjust(0)
      assert.strictEqual(now, IN_FLIGHT)
      now = 0
      yield* TestClock.adjust(150)
      assert.strictEqual(now, IN_FLIGHT)
      yield* TestClock.adjust("1 second")
      for (const fiber of fibers) assert.isTrue(Exit.isSuccess(fiber.pollUnsafe()!))
      assert.strictEqual(now, 2 * IN_FLIGHT)
    }))

  it.effect("a statement can be prepared while everything is full and others wait", () =>
    Effect.gen(function*() {
      const { cluster, cql, start } = yield* world
      yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.EXECUTE ? { _tag: "Ignore" } : undefined)
      yield* start(2 * IN_FLIGHT)
      yield* TestClock.adjust(0)
      const prepared = yield* passing(cql.prepare("SELECT cluster_name FROM system.local"))
      assert.strictEqual(prepared.text, "SELECT cluster_name FROM system.local")
    }))

  it.effect("past the bound a request fails at once; those that wait fail unsent at their deadline", () =>
    Effect.gen(function*() {
      const { cluster, start } = yield* world
      let arrived = 0
      yield* cluster.intercept(({ opcode }) => {
        if (opcode !== Frame.Opcode.EXECUTE) return undefined
        arrived++
        return { _tag: "Ignore" }
      })
      const fibers = yield* start(IN_FLIGHT + WAITING + 1)
      const reason = (at: number) => {
        const exit = fibers[at]!.pollUnsafe()
        if (exit === undefined || Exit.isSuccess(exit)) return undefined
        const [cause] = exit.cause.reasons
        return cause?._tag === "Fail" && cause.error._tag === "CqlError" ? cause.error : undefined
      }
      yield* TestClock.adjust(0)
      const overloaded = reason(IN_FLIGHT + WAITING)
      assert.strictEqual(overloaded?.reason._tag, "ClientOverloaded")
      assert.isTrue(overloaded?.isRetryable)
      assert.isUndefined(reason(IN_FLIGHT + WAITING - 1))
      yield* Fiber.interrupt(fibers[IN_FLIGHT + 5]!)
      yield* TestClock.adjust("13 seconds")
      const waited = reason(IN_FLIGHT)
      assert.strictEqual(waited?.reason._tag, "RequestTimeout")
      assert.isFalse(waited?.attempts?.[0]?.sent)
      assert.strictEqual(arrived, IN_FLIGHT)
    }))
})
