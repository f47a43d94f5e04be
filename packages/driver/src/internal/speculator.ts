import * as Background from "@effect-scylla/pool/Background"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Scope from "effect/Scope"

/** Milliseconds: nothing is told earlier, and up to so much later. */
const GRANULARITY = 5

/** Somebody who wants to be told later, unless that is of no interest any more. */
export interface Impatient {
  readonly isSettled: boolean
  onImpatient(): void
}

/**
 * Tells requests that their time to be impatient has come: buckets by time and one timer for all, which runs only while somebody
 * waits. The ticker's wheel is too coarse for this.
 */
export class Speculator {
  private readonly buckets = new Map<number, Array<Impatient>>()
  private isRunning = false
  private readonly clock: Clock.Clock
  private readonly begin: () => void

  constructor(clock: Clock.Clock, begin: (speculator: Speculator) => void) {
    this.clock = clock
    this.begin = () => begin(this)
  }

  private get slot(): number {
    return Math.floor(Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n) / GRANULARITY)
  }

  add(request: Impatient, millis: number): void {
    const due = this.slot + Math.max(1, Math.ceil(millis / GRANULARITY))
    const bucket = this.buckets.get(due)
    if (bucket === undefined) this.buckets.set(due, [request])
    else bucket.push(request)
    if (this.isRunning) return
    this.isRunning = true
    this.begin()
  }

  /** Answers whether anybody still waits. */
  private advance(): boolean {
    const now = this.slot
    for (const [due, bucket] of this.buckets) {
      if (due > now) continue
      this.buckets.delete(due)
      for (const request of bucket) if (!request.isSettled) request.onImpatient()
    }
    return this.isRunning = this.buckets.size > 0
  }

  /** One that ends with the scope. */
  static readonly make: Effect.Effect<Speculator, never, Scope.Scope> = Effect.gen(function*() {
    const run = yield* FiberHandle.makeRuntime<never>()
    const loop = (speculator: Speculator): Effect.Effect<void> =>
      Effect.gen(function*() {
        do yield* Effect.sleep(GRANULARITY)
        while (speculator.advance())
      })
    return new Speculator(yield* Clock.Clock, (speculator) => run(Background.run(loop(speculator))))
  })
}
