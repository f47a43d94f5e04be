/** What is wrong with options. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import { type AlternatorError, configInvalid } from "../AlternatorError.ts"

/** A value as a message shows it: a string has quotes, so that `"8000"` does not look like 8000. */
export const show = (value: unknown): string => {
  const text = typeof value === "string" ? `the string ${JSON.stringify(value)}` : format(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** One thing that is wrong, and where. */
export interface Issue {
  readonly field: string
  readonly message: string
}

/** Collects what is wrong, so that all of it is said at once. */
export class Issues {
  readonly list: Array<Issue> = []

  add(field: string, message: string): void {
    this.list.push({ field, message })
  }

  /** Milliseconds of a duration that is neither negative nor endless, nor zero unless `least` is. */
  millis(field: string, value: Duration.Input | undefined, fallback: Duration.Input, least = Number.MIN_VALUE): number {
    const duration = Duration.fromInput(value ?? fallback)
    if (duration._tag === "None") {
      this.add(field, `must be a duration such as "2 seconds", is ${show(value)}`)
      return 1
    }
    const millis = Duration.toMillis(duration.value)
    if (millis >= least && millis <= 2 ** 31 - 1) return millis
    const bounds = `${least > 0 ? "more than nothing and " : ""}less than 25 days, and not negative`
    this.add(field, `must be ${bounds}, is ${show(value)}`)
    return 1
  }

  count(field: string, value: number | undefined, fallback: number, least = 1, most = Infinity): number {
    if (value === undefined) return fallback
    if (!Number.isInteger(value) || value < least || value > most) {
      this.add(
        field,
        `must be a whole number from ${least}${most === Infinity ? "" : ` to ${most}`}, is ${show(value)}`
      )
    }
    return value
  }

  /** One of some words. */
  word<A extends string>(field: string, value: A | undefined, words: ReadonlyArray<A>): A {
    if (value === undefined) return words[0]!
    if (!words.includes(value)) this.add(field, `must be ${words.join(" or ")}, is ${show(value)}`)
    return value
  }

  get result(): Effect.Effect<void, AlternatorError> {
    return this.list.length === 0 ? Effect.void : Effect.fail(configInvalid(this.list))
  }
}
