/** A node that does not answer PREPARE holds every request that is re-prepared there to its whole deadline: it fails, though others are healthy. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "./support/world.ts"

describe("a node that hangs when a statement is prepared there again", () => {
  for (const fault of ["Stopped", "HeartbeatsOnly"] as const) {
    it.effect(`${fault}, after a schema change: no read fails`, () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world()
        yield* passing(cql.execute("CREATE TABLE ks.u (id int PRIMARY KEY, v int)"))
        const select = yield* passing(cql.prepare("SELECT v FROM ks.u WHERE id = ?"))
        for (let i = 0; i < 30; i++) yield* passing(cql.execute(select, [i]))
        yield* passing(cql.execute("ALTER TABLE ks.u ADD w int"))
        yield* TestClock.adjust("5 seconds")
        yield* cluster.setFault(1, { _tag: fault })
        const fibers: Array<Fiber.Fiber<Exit.Exit<unknown, unknown>>> = []
        for (let i = 0; i < 100; i++) {
          fibers.push(yield* Effect.forkChild(Effect.exit(cql.execute(select, [i])), { startImmediately: true }))
          yield* TestClock.adjust(10)
        }
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(
          fibers.every((fiber) => fiber.pollUnsafe() !== undefined),
          "within 5 s all are answered by others"
        )
        const failed = (yield* Effect.forEach(fibers, Fiber.join)).filter(Exit.isFailure)
        assert.strictEqual(failed.length, 0, String(failed[0]))
      }))
  }
  it.effect("a node that was restarted and answers no PREPARE: no read fails", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const id = (n: number) => `01020304-0506-4708-8910-1112${n.toString(16).padStart(8, "0")}`
      const select = yield* passing(cql.prepare("SELECT v FROM ks.t WHERE id = ?"))
      for (let i = 0; i < 20; i++) yield* passing(cql.execute(select, [id(i)]))
      yield* cluster.stop(1)
      yield* TestClock.adjust("1 second")
      yield* cluster.start(1)
      yield* TestClock.adjust("20 seconds")
      yield* cluster.intercept(({ node, request }) =>
        node === 1 && request._tag === "Prepare" ? { _tag: "Ignore" } : undefined
      )
      const fibers = yield* Effect.forEach(Array.from({ length: 50 }, (_, i) => i), (i) =>
        Effect.forkChild(Effect.exit(cql.execute(select, [id(i)])), { startImmediately: true }))
      for (let i = 0; i < 130; i++) {
        yield* TestClock.adjust(100)
      }
      const failed = (yield* Effect.forEach(fibers, Fiber.join)).filter(Exit.isFailure)
      assert.strictEqual(failed.length, 0, String(failed[0]))
    }))
})
