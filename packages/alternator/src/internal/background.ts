/**
 * What goes on beside requests keeps no process alive, and what somebody waits for does: a program that has done its work
 * ends, whether its clients are closed or not.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers"

const MAX_TIMER_MILLIS = 2 ** 31 - 1

const sleepMillis = (millis: number): Effect.Effect<void> => {
  if (millis <= 0) return Effect.yieldNow
  if (!Number.isFinite(millis)) return Effect.never
  return Effect.callback<void>((resume) => {
    const rest = millis > MAX_TIMER_MILLIS ? sleepMillis(millis - MAX_TIMER_MILLIS) : Effect.void
    const timer = setTimeout(() => resume(rest), Math.min(millis, MAX_TIMER_MILLIS)).unref()
    return Effect.sync(() => clearTimeout(timer))
  })
}

/** The clock whose timers a process does not wait for. Those of another clock, a test's for example, are its own matter. */
export const clockOf = (clock: Clock.Clock): Clock.Clock =>
  clock.constructor !== Clock.Clock.defaultValue().constructor ? clock : Object.assign(Object.create(clock), {
    sleep: (duration: Duration.Duration) => sleepMillis(Duration.toMillis(duration))
  })

/** Somebody waits for the end of this: the process stays until then, although nothing else may hold it. */
export const awaited = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => setInterval(() => {}, MAX_TIMER_MILLIS)),
    () => effect,
    (timer) => Effect.sync(() => clearInterval(timer))
  )
