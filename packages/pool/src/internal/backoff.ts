import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { PoolReason } from "../PoolError.ts"

/** `{ base, cap }` in milliseconds: doubled delays, and a random part of each (full jitter). Or a schedule, as it is. */
export type Reconnect =
  | { readonly base?: number | undefined; readonly cap?: number | undefined }
  | Schedule.Schedule<unknown, PoolReason>

/** Delays of one slot, in a row until it is reset. */
export interface Backoff {
  /** Milliseconds to wait; `undefined` when there shall be no further dial by itself. */
  readonly next: (reason: PoolReason) => Effect.Effect<number | undefined>
  /** What failed before is the past. */
  readonly reset: () => void
  /** A connection that lived for so long was a good one, milliseconds. */
  readonly goodLife: number
}

const BASE = 50
const CAP = 10_000

/** A random part of the delay after `attempt` failures in a row. */
export const fullJitter = (attempt: number, base = BASE, cap = CAP): Effect.Effect<number> =>
  Effect.map(Random.next, (part) => part * Math.min(cap, base * 2 ** Math.min(attempt, 20)))

export const make = (reconnect: Reconnect | undefined): Backoff => {
  if (!Schedule.isSchedule(reconnect)) {
    const { base = BASE, cap = CAP } = reconnect ?? {}
    let attempt = 0
    return {
      next: () => Effect.suspend(() => fullJitter(attempt++, base, cap)),
      reset: () => {
        attempt = 0
      },
      goodLife: cap
    }
  }
  type Step = (now: number, input: PoolReason) => Pull.Pull<[unknown, Duration.Duration], never, unknown>
  const begin = Schedule.toStep(reconnect) as Effect.Effect<Step>
  let step: Step | undefined
  return {
    next: Effect.fnUntraced(function*(reason: PoolReason) {
      step ??= yield* begin
      const now = yield* Clock.currentTimeMillis
      return yield* Pull.matchEffect(step(now, reason), {
        onSuccess: ([, delay]) => Effect.succeed<number | undefined>(Duration.toMillis(delay)),
        onFailure: (cause) => Effect.failCause(cause),
        onDone: () => Effect.undefined
      })
    }),
    reset: () => {
      step = undefined
    },
    goodLife: CAP
  }
}
