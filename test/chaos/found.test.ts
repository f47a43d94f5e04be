/**
 * What the campaign has found in the driver and is not mended yet, each as small as it gets. A test here fails: once the driver is mended
 * it says so, and belongs to `packages/driver/test`, without its `fails`.
 */
import { CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { patient } from "./patience.ts"

/** A cluster in memory with a client of its own scope, whose clock notices when the event loop is held up. */
const world = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory" })
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const making = yield* Effect.forkChild(
    CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 0 }).pipe(
      Scope.provide(scope),
      Effect.provideService(Transport.Transport, cluster.transport),
      Effect.provideService(Clock.Clock, patient(yield* Clock.Clock))
    ),
    { startImmediately: true }
  )
  for (let i = 0; i < 20; i++) yield* TestClock.adjust(100)
  return { cluster, cql: yield* Fiber.join(making), scope }
})

describe("found in the driver", () => {
  // `PreparedCache.anywhere`: all nodes were late, none has a connection, and the loop that waits for one never yields.
  it.effect.fails("a PREPARE that is late on nodes which are gone then does not hold up the event loop", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world
      yield* cluster.setFault(0, { _tag: "Stopped" })
      const preparing = yield* Effect.forkChild(Effect.exit(cql.prepare("SELECT key FROM system.local")), {
        startImmediately: true
      })
      // It is late, and asked for again, when the connections are lost.
      yield* TestClock.adjust(5_000)
      assert.isUndefined(preparing.pollUnsafe())
      yield* cluster.stop(0)
      for (let i = 0; i < 200; i++) yield* TestClock.adjust(100)
      const exit = yield* Fiber.join(preparing)
      assert.isTrue(exit._tag === "Failure" && exit.cause.reasons.every(({ _tag }) => _tag === "Fail"), String(exit))
    }))

  // `PreparedCache.once` makes its `ClientClosed` without the outcome that every failed write has.
  it.effect.fails("a write that had to be prepared, of a client that is closed, was not sent", () =>
    Effect.gen(function*() {
      const { cql, scope } = yield* world
      yield* Scope.close(scope, Exit.void)
      const text = yield* Effect.flip(cql.execute("INSERT INTO ks.t (id) VALUES (1)"))
      assert.deepStrictEqual([text.reason._tag, text.outcome], ["ClientClosed", "NotSent"])
      const prepared = yield* Effect.flip(cql.execute("INSERT INTO ks.t (id) VALUES (?)", [1]))
      assert.deepStrictEqual([prepared.reason._tag, prepared.outcome], ["ClientClosed", "NotSent"])
    }))
})
