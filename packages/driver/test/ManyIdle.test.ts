/** executeMany reports a failure, and the end of the client, only when the source of rows answers again. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.u (id, v) VALUES (?, ?)"
const rows: Array<Array<unknown>> = [[1, 1], [2, "no number"]]

describe("executeMany of a source that is idle", () => {
  const check = (source: () => any) =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.u (id int PRIMARY KEY, v int)"))
      const insert = yield* passing(cql.prepare(INSERT))
      const fiber = yield* Effect.forkChild(Effect.exit(cql.executeMany(insert, source())), { startImmediately: true })
      for (let i = 0; i < 300 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust(100)
      const ended = fiber.pollUnsafe()
      yield* Fiber.interrupt(fiber)
      assert.isDefined(ended, "the row that failed is reported")
    })
  it.effect("an async generator", () =>
    check(async function*() {
      yield* rows
      await new Promise(() => {})
    }))
  it.effect("a stream", () => check(() => Stream.concat(Stream.fromIterable(rows), Stream.never)))

  it.effect("the client is closed", () =>
    Effect.gen(function*() {
      const { cluster } = yield* world()
      const scope = yield* Scope.make()
      const cql = yield* passing(Scope.provide(clientOf(cluster), scope))
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      const source = async function*() {
        yield ["01020304-0506-4708-8910-111200000000", 1]
        await new Promise(() => {})
      }
      const fiber = yield* Effect.forkChild(Effect.exit(cql.executeMany(insert, source())), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* passing(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("60 seconds")
      const ended = fiber.pollUnsafe()
      yield* Fiber.interrupt(fiber)
      assert.isDefined(ended)
    }))

  it.effect("interruption waits for the stream's finalizers", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      let isFinalized = false
      const source = Stream.never.pipe(Stream.ensuring(Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => {
          isFinalized = true
        })
      )))
      const fiber = yield* Effect.forkChild(cql.executeMany(insert, source), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.isTrue(isFinalized)
    }))
})
