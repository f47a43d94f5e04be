/**
 * What goes on beside requests (ticks, pauses between dials, metadata) keeps no process alive, and a request that somebody waits for
 * does: a program that has done its work ends, whether its clients are closed or not.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers"

/** The longest time that a timer of the platform takes, in milliseconds. */
const LONGEST = 2 ** 31 - 1

const sleep = (millis: number): Effect.Effect<void> => {
  if (millis <= 0) return Effect.yieldNow
  if (millis === Infinity) return Effect.never
  return Effect.callback<void>((resume) => {
    const rest = millis > LONGEST ? sleep(millis - LONGEST) : Effect.void
    const timer = setTimeout(() => resume(rest), Math.min(millis, LONGEST)).unref()
    return Effect.sync(() => clearTimeout(timer))
  })
}

/** The clocks made here, and what they were made of. */
const backgrounds = new WeakMap<Clock.Clock, Clock.Clock>()
const bases = new WeakMap<Clock.Clock, Clock.Clock>()

/**
 * The clock that one made here goes by, itself for any other: for whoever keeps something for each clock.
 *
 * @category accessors
 * @since 0.1.0
 */
export const baseOf = (clock: Clock.Clock): Clock.Clock => bases.get(clock) ?? clock

const backgroundOf = (clock: Clock.Clock): Clock.Clock => {
  const known = backgrounds.get(clock)
  if (known !== undefined) return known
  const made = Object.assign(Object.create(clock) as Clock.Clock, {
    sleep: (duration: Duration.Duration) => sleep(Duration.toMillis(duration))
  })
  backgrounds.set(clock, made)
  bases.set(made, clock)
  return made
}

const isLive = (clock: Clock.Clock): boolean => clock.constructor === Clock.Clock.defaultValue().constructor

/**
 * Runs on a clock for whose timers a process does not wait. Where the clock is another one than the system's, a test's for example, it
 * stays that.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Clock.Clock,
    (clock) => isLive(baseOf(clock)) ? Effect.provideService(effect, Clock.Clock, backgroundOf(baseOf(clock))) : effect
  )

/**
 * Holds the process while there is something to wait for. One for each ticker: sockets themselves hold nothing.
 *
 * @category models
 * @since 0.1.0
 */
export class Hold {
  private timer: { ref(): unknown; unref(): unknown } | undefined = undefined
  isHeld = false

  /** Changes it; called when the turn that changed it is over, not for each request. */
  set(isHeld: boolean): void {
    if (isHeld === this.isHeld) return
    this.isHeld = isHeld
    if (this.timer === undefined) this.timer = setInterval(() => {}, LONGEST)
    if (isHeld) this.timer.ref()
    else this.timer.unref()
  }

  /** For good. */
  end(): void {
    clearInterval(this.timer as NodeJS.Timeout | undefined)
    this.timer = undefined
    this.isHeld = false
  }
}
