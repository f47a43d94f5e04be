/** Whoever asks for a statement joins a PREPARE that was lost long ago, and waits for its time to be over. */
import { assert, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "./support/world.ts"

it.effect("once the cluster answers again, a new statement is prepared at once", () =>
  Effect.gen(function*() {
    const { cluster, cql } = yield* world()
    const SELECT = "SELECT v FROM ks.t WHERE id = ?"
    for (let n = 0; n < 3; n++) yield* cluster.setFault(n, { _tag: "HeartbeatsOnly" })
    const first = yield* Effect.forkChild(Effect.exit(cql.prepare(SELECT)), { startImmediately: true })
    yield* TestClock.adjust("7 seconds")
    for (let n = 0; n < 3; n++) yield* cluster.setFault(n, undefined)
    yield* TestClock.adjust("1 second")
    const begun = yield* Clock.currentTimeMillis
    yield* passing(Effect.exit(cql.execute(SELECT, ["01020304-0506-4708-8910-111200000000"])))
    yield* Fiber.interrupt(first)
    assert.isBelow((yield* Clock.currentTimeMillis) - begun, 3_000)
  }))
