import * as Effect from "effect/Effect"

/** Milliseconds of work between two chances for others: answers that have come, timers. */
const SLICE = 2

/** Runs work that is cut into steps of some tenths of a millisecond; others run in between, however much it is in all. */
export const paced = <A>(steps: Generator<void, A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const until = performance.now() + SLICE
    for (;;) {
      const step = steps.next()
      if (step.done === true) return Effect.succeed(step.value)
      if (performance.now() >= until) return Effect.andThen(Effect.yieldNow, paced(steps))
    }
  })
