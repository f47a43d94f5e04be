/** What is wrong with options. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type AlternatorError, configInvalid } from "../AlternatorError.ts"

/** Collects what is wrong, so that all of it is said at once. */
export class Issues {
  readonly list: Array<{ readonly field: string; readonly message: string }> = []

  add(field: string, message: string): void {
    this.list.push({ field, message })
  }

  /** Milliseconds of a duration that is neither negative nor endless, nor zero unless `least` is. */
  millis(field: string, value: Duration.Input | undefined, fallback: Duration.Input, least = Number.MIN_VALUE): number {
    let millis: number
    try {
      millis = Duration.toMillis(Duration.fromInputUnsafe(value ?? fallback))
    } catch {
      this.add(field, `${String(value)} is not a duration`)
      return 1
    }
    if (millis >= least && millis <= 2 ** 31 - 1) return millis
    this.add(field, `must be ${least > 0 ? "more than nothing and " : ""}less than 25 days, and not negative`)
    return 1
  }

  count(field: string, value: number | undefined, fallback: number, least = 1, most = Infinity): number {
    if (value === undefined) return fallback
    if (!Number.isInteger(value) || value < least || value > most) {
      this.add(field, `must be a whole number from ${least}${most === Infinity ? "" : ` to ${most}`}, is ${value}`)
    }
    return value
  }

  get result(): Effect.Effect<void, AlternatorError> {
    return this.list.length === 0 ? Effect.void : Effect.fail(configInvalid(this.list))
  }
}
