/** An async iterator whose `next` resolves to no object: an unhandled rejection, which ends the process, and a fiber that hangs. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "./support/world.ts"

it.effect("a broken async iterator is the caller's defect, not an unhandled rejection", () =>
  Effect.gen(function*() {
    const { cql } = yield* world()
    const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
    const unhandled: Array<unknown> = []
    const listener = (reason: unknown) => void unhandled.push(reason)
    process.on("unhandledRejection", listener)
    const broken = { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(undefined) }) }
    const fiber = yield* Effect.forkChild(Effect.exit(cql.executeMany(insert, broken as never)), {
      startImmediately: true
    })
    yield* TestClock.adjust("1 second")
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    const ended = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    process.off("unhandledRejection", listener)
    assert.strictEqual(unhandled.length, 0)
    assert.isDefined(ended)
  }))
