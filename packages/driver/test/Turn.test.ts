/** What requests do between their evaluation and the end of the event loop's turn (decision 12). */
import { type CqlError } from "@effect-scylla/driver"
import { Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, settle, world } from "./support/world.ts"

const ids = Array.from({ length: 40 }, () => Uuid.random())

describe("a turn", () => {
  it.effect("who is interrupted in it is not sent", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      yield* passing(cql.execute(insert, [Uuid.random(), 0]))
      yield* cluster.resetStats
      const fibers = ids.map((id, i) => Effect.runFork(cql.execute(insert, [id, i])))
      for (const [i, fiber] of fibers.entries()) if (i % 2 === 0) fiber.interruptUnsafe()
      for (const fiber of fibers) yield* passing(Fiber.await(fiber))
      assert.strictEqual((yield* cluster.stats).requests, ids.length / 2)
      assert.strictEqual(
        cql.shardAwareStats().nodes.flatMap(({ slots }) => slots).reduce((sum, { inFlight }) => sum + inFlight, 0),
        0
      )
      const { rows } = yield* passing(cql.execute("SELECT v FROM ks.t"))
      const written = rows.map(({ v }) => v as number).filter((v) => v % 2 === 1).sort((a, b) => a - b)
      assert.deepStrictEqual(written, ids.flatMap((_, i) => i % 2 === 1 ? [i] : []))
    }))

  it.effect("the answer of who is interrupted after it came is nobody's, and the others get theirs", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1, shards: 1 })
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      const select = yield* passing(cql.prepare("SELECT v FROM ks.t WHERE id = ?"))
      for (const [i, id] of ids.entries()) yield* passing(cql.execute(insert, [id, i]))
      const fibers: Array<Fiber.Fiber<number, CqlError.CqlError>> = []
      for (const [i, id] of ids.entries()) {
        fibers.push(Effect.runFork(Effect.map(cql.execute(select, [id]), ({ rows }) => {
          // All of them were answered in one read: the next one has its answer already.
          if (i % 4 === 0) fibers[i + 1]!.interruptUnsafe()
          return rows[0]!["v"] as number
        })))
      }
      yield* settle
      for (const [i, fiber] of fibers.entries()) {
        const exit = yield* passing(Fiber.await(fiber))
        if (i % 4 === 1) assert.isTrue(Exit.hasInterrupts(exit), `${i}`)
        else assert.deepStrictEqual(exit, Exit.succeed(i))
      }
      assert.strictEqual((yield* passing(cql.execute(select, [ids[3]]))).rows[0]!["v"], 3)
    }))

  it.effect("timestamps are in the order of evaluation: the last write of a row wins", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      const stamps = new Set<unknown>()
      yield* cluster.intercept(({ request }) => {
        if (request._tag === "Execute") stamps.add(request.options.timestamp)
        return undefined
      })
      // Through three coordinators, so that they arrive in any order.
      const fibers = Array.from({ length: 20 }, (_, i) => Effect.runFork(cql.execute(insert, [ids[0], i])))
      for (const fiber of fibers) yield* passing(Fiber.join(fiber))
      assert.strictEqual(stamps.size, 20)
      const { rows } = yield* passing(cql.execute("SELECT v FROM ks.t"))
      assert.deepStrictEqual(rows.map(({ v }) => v), [19])
    }))

  it.effect("a client that is closed in it sends nothing more, and says so", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory" })
      const scope = yield* Scope.make()
      const cql = yield* passing(Effect.provideService(clientOf(cluster), Scope.Scope, scope))
      yield* cluster.resetStats
      const fiber = Effect.runFork(cql.execute("INSERT INTO ks.t (id, v) VALUES (uuid(), 1)"))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      const error = yield* passing(Effect.flip(Fiber.join(fiber)))
      assert.strictEqual(error.reason._tag, "ClientClosed")
      assert.strictEqual(error.outcome, "NotSent")
      yield* passing(Fiber.join(closing))
    }))

  it.effect("failures without end leave the event loop to others", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1, shards: 1 })
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      let failures = 0
      const failing = Effect.runFork(
        Effect.forever(Effect.andThen(Effect.flip(cql.execute(insert, [1, "no"])), Effect.sync(() => failures++)))
      )
      let others = 0
      for (let i = 0; i < 20; i++) {
        yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
        others++
      }
      yield* TestClock.adjust(0)
      failing.interruptUnsafe()
      assert.strictEqual(others, 20)
      assert.isAbove(failures, 5)
    }))
})
