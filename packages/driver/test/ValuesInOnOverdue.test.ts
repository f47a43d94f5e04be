/** `onOverdue` encodes the partition key again, in the ticker: what a value throws then is an uncaught exception, and deadlines are lost. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "./support/world.ts"

it.effect("a value that throws when it is read a second time", () =>
  Effect.gen(function*() {
    const { cluster, cql } = yield* world()
    yield* passing(cql.execute("CREATE TYPE ks.k (a int)"))
    yield* passing(cql.execute("CREATE TABLE ks.g (id frozen<k> PRIMARY KEY, v int)"))
    const select = yield* passing(cql.prepare("SELECT v FROM ks.g WHERE id = ?"))
    for (let i = 0; i < 30; i++) yield* passing(cql.execute(select, [{ a: i }]))
    for (let n = 0; n < 3; n++) yield* cluster.setFault(n, { _tag: "HeartbeatsOnly" })
    const before = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    const uncaught: Array<unknown> = []
    process.on("uncaughtException", (error) => uncaught.push(error))
    let isLate = false
    const value = {
      get a(): number {
        if (isLate) throw new Error("late")
        return 1
      }
    }
    const fiber = yield* Effect.forkChild(Effect.exit(cql.execute(select, [value], { timeout: "3 seconds" })), {
      startImmediately: true
    })
    yield* TestClock.adjust(100)
    isLate = true
    for (let i = 0; i < 35; i++) yield* TestClock.adjust(100)
    yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)))
    process.removeAllListeners("uncaughtException")
    for (const listener of before) process.on("uncaughtException", listener)
    const ended = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual(uncaught, [])
    assert.isDefined(ended, "it ends at its deadline")
    assert.isTrue(ended !== undefined && Exit.isSuccess(ended))
  }))
