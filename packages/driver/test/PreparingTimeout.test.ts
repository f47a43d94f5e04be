/** `timeout` is not that of preparing in `batch` and `executeMany`; `prepare` itself has none (42 s here). */
import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { passing, world } from "./support/world.ts"

it.effect("the time of a batch and of executeMany is that of preparing their statements, too", () =>
  Effect.gen(function*() {
    const { cluster, cql } = yield* world()
    yield* cluster.intercept(({ request }) => request._tag === "Prepare" ? { _tag: "Ignore" } : undefined)
    const id = "01020304-0506-4708-8910-111200000000"
    const millis = (request: Effect.Effect<unknown, unknown>) =>
      Effect.gen(function*() {
        const begun = yield* Clock.currentTimeMillis
        yield* passing(Effect.exit(request))
        return (yield* Clock.currentTimeMillis) - begun
      })
    const options = { timeout: "1 second" } as const
    assert.isBelow(yield* millis(cql.execute("INSERT INTO ks.t (id, v) VALUES (?, 0)", [id], options)), 2_000)
    const batch = yield* millis(cql.batch([["INSERT INTO ks.t (id, v) VALUES (?, 1)", [id]]], options))
    const many = yield* millis(cql.executeMany("INSERT INTO ks.t (id, v) VALUES (?, 2)", [[id]], options))
    assert.isBelow(batch, 2_000)
    assert.isBelow(many, 2_000)
  }))
