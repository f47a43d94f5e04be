import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** The log of requests that took long: so many lines a second, and how many there were besides. */
export class SlowLog {
  /** Microseconds. */
  readonly threshold: number
  private readonly perSecond: number
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  private second = -1
  private lines = 0
  private left = 0

  constructor(
    options: { readonly millis: number; readonly perSecond: number },
    context: Context.Context<never>,
    clock: Clock.Clock
  ) {
    this.threshold = options.millis * 1_000
    this.perSecond = options.perSecond
    this.context = context
    this.clock = clock
  }

  /** Writes the line that `make` makes, unless there are too many. */
  write(make: () => string): void {
    const second = Math.floor(this.clock.currentTimeMillisUnsafe() / 1_000)
    if (second !== this.second) {
      this.second = second
      this.lines = 0
    }
    if (this.lines >= this.perSecond) {
      this.left++
      return
    }
    this.lines++
    const more = this.left === 0 ? "" : ` (and ${this.left} more that were not logged)`
    this.left = 0
    Effect.runForkWith(this.context)(Effect.logWarning(`${make()}${more}`))
  }
}
