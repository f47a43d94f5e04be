import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"

/** Gives the event loop `count` turns; everything deferred before the call, and what follows from it, is done. */
export const turns = (count = 60): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let i = 0; i < count; i++) yield* Effect.yieldNow
  })

/** Waits, turn by turn, until `condition` holds: for work that takes no time, only turns. */
export const until = (condition: () => boolean, what = String(condition)): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let i = 0; i < 5_000; i++) {
      if (condition()) return
      yield* Effect.yieldNow
    }
    assert.fail(`never came true: ${what}`)
  })
