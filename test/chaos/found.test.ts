/** What the campaign has found in the driver, each as small as it gets. */
import { CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { ServerError } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { patient } from "./patience.ts"

/** Runs what needs time to pass. */
const passing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let i = 0; i < 100 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust(100)
    return yield* Fiber.join(fiber)
  })

/** A cluster in memory with a client of its own scope, whose clock notices when the event loop is held up. */
const worldOf = Effect.fnUntraced(function*(nodes: number) {
  const cluster = yield* SimulatedCluster.make({ nodes, shards: 1, transport: "memory" })
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Effect.ignore(Effect.forkDetach(Scope.close(scope, Exit.void))))
  const cql = yield* passing(
    CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 2_000, prepareEverywhere: false }).pipe(
      Scope.provide(scope),
      Effect.provideService(Transport.Transport, cluster.transport),
      Effect.provideService(Clock.Clock, patient(yield* Clock.Clock))
    )
  )
  return { cluster, cql, scope }
})

const world = worldOf(1)

describe("found in the driver", () => {
  // `PreparedCache.anywhere`: all nodes were late, none has a connection, and the loop that waits for one never yields.
  it.effect("a PREPARE that is late on nodes which are gone then does not hold up the event loop", () =>
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
  it.effect("a write that had to be prepared, of a client that is closed, was not sent", () =>
    Effect.gen(function*() {
      const { cql, scope } = yield* world
      yield* passing(Scope.close(scope, Exit.void))
      const text = yield* Effect.flip(cql.execute("INSERT INTO ks.t (id) VALUES (1)"))
      assert.deepStrictEqual([text.reason._tag, text.outcome], ["ClientClosed", "NotSent"])
      const prepared = yield* Effect.flip(cql.execute("INSERT INTO ks.t (id) VALUES (?)", [1]))
      assert.deepStrictEqual([prepared.reason._tag, prepared.outcome], ["ClientClosed", "NotSent"])
    }))

  // `ManyRequest.onClose` takes it for granted that rows are left: that all of them were sent, and stored, is told as `NotSent`.
  it.effect("many rows that are under way when the client is closed end as they end", () =>
    Effect.gen(function*() {
      const { cluster, cql, scope } = yield* world
      yield* passing(
        cql.execute("CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}")
      )
      yield* passing(cql.execute("CREATE TABLE ks.t (id int PRIMARY KEY)"))
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id) VALUES (?)"))
      yield* cluster.setFault(0, { _tag: "Slow", millis: 500 })
      const storing = yield* Effect.forkChild(Effect.result(cql.executeMany(insert, [[1], [2], [3]])), {
        startImmediately: true
      })
      yield* TestClock.adjust(100)
      // There is time enough for what is under way.
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      for (let i = 0; i < 20; i++) yield* TestClock.adjust(100)
      yield* Fiber.join(closing)
      const end = yield* Fiber.join(storing)
      assert.deepStrictEqual(end._tag === "Success" ? end.success.succeeded : end.failure.message, 3)
    }))

  // `ExecuteRequest.failed` counts `UNPREPARED` for the request and not for the node: the third node that has forgotten ends it.
  it.effect("a read that goes from one node to the next is prepared on each of them, where all have forgotten it", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* worldOf(3)
      const select = yield* passing(cql.prepare("SELECT key FROM system.local WHERE key = ?"))
      for (const { index } of cluster.nodes) {
        yield* cluster.stop(index)
        yield* cluster.start(index)
      }
      for (let i = 0; i < 50; i++) yield* TestClock.adjust(100)
      const asked = new Map<number, number>()
      const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too much" })
      yield* cluster.intercept(({ node, request }) => {
        if (request._tag !== "Execute") return undefined
        const times = (asked.get(node) ?? 0) + 1
        asked.set(node, times)
        // Each says that it has forgotten it; the first two have too much to do then.
        return times > 1 && asked.size < 3 ? { _tag: "Error", error: overloaded } : undefined
      })
      const end = yield* passing(Effect.result(cql.execute(select, ["local"])))
      assert.deepStrictEqual(end._tag === "Success" ? end.success.rows.length : end.failure.message, 1)
    }))
})
