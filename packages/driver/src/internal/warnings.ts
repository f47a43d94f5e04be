import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Things that are remembered as said. */
const KEPT = 1_000
const HOUR = 3_600_000

/** What a person should read in the log, from plain code: each thing once in a while, however often it happens. */
export class Warnings {
  /** All of them, said or not. */
  count = 0
  /** When a thing was said last. */
  private readonly said = new Map<string, number>()
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock

  constructor(context: Context.Context<never>, clock: Clock.Clock) {
    this.context = context
    this.clock = clock
  }

  /** Says it, unless something of the same key was said within `millis`. */
  warn(key: string, message: string, millis = HOUR): void {
    this.count++
    const now = this.clock.currentTimeMillisUnsafe()
    const last = this.said.get(key)
    if (last !== undefined && now - last < millis) return
    this.said.delete(key)
    if (this.said.size >= KEPT) this.said.delete(this.said.keys().next().value!)
    this.said.set(key, now)
    Effect.runForkWith(this.context)(Effect.logWarning(message))
  }
}
