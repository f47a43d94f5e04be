import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** A clock whose sleepers wake when the test says so: a loop that stalls wakes them late. */
export class StalledClock implements Clock.Clock {
  millis = 0
  /** How often the monotonic time was asked for. */
  looks = 0
  private sleepers: Array<{ readonly at: number; readonly resume: () => void }> = []
  currentTimeMillisUnsafe(): number {
    return this.millis
  }
  readonly currentTimeMillis = Effect.sync(() => this.millis)
  currentTimeNanosUnsafe(): bigint {
    return BigInt(this.millis) * 1_000_000n
  }
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  monotonicTimeNanosUnsafe(): bigint {
    this.looks++
    return BigInt(Math.round(this.millis * 1_000)) * 1_000n
  }
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.sleepers.push({ at: this.millis + Duration.toMillis(duration), resume: () => resume(Exit.void) })
    })
  }
  get sleeping(): number {
    return this.sleepers.length
  }
  /** Wakes whoever is due. */
  wake(): void {
    const due = this.sleepers.filter(({ at }) => at <= this.millis)
    this.sleepers = this.sleepers.filter(({ at }) => at > this.millis)
    for (const { resume } of due) resume()
  }
}
