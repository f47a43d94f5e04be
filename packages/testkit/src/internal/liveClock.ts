import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** By the clock on the wall, whatever the test's: other processes do not wait for a clock that stands still. */
export const onLiveClock = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Clock.Clock, Clock.Clock.defaultValue())
