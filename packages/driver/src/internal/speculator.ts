import * as Background from "@effect-scylla/pool/Background"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Scope from "effect/Scope"

/** Milliseconds: nothing is told earlier, and up to so much later. */
const GRANULARITY = 5

/** Slots that somebody lies in a bucket at most: most are answered long before, and nothing is to hold them. */
const AHEAD = 8

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
  private readonly buckets = new Map<number, { readonly requests: Array<Impatient>; readonly due: Array<number> }>()
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
    const now = this.slot
    this.put(request, now + Math.max(1, Math.ceil(millis / GRANULARITY)), now)
    if (this.isRunning) return
    this.isRunning = true
    this.begin()
  }

  private put(request: Impatient, due: number, now: number): void {
    const at = Math.min(due, now + AHEAD)
    let bucket = this.buckets.get(at)
    if (bucket === undefined) this.buckets.set(at, bucket = { requests: [], due: [] })
    bucket.requests.push(request)
    bucket.due.push(due)
  }

  /** Answers whether anybody still waits. */
  private advance(): boolean {
    const now = this.slot
    for (const [at, { due, requests }] of this.buckets) {
      if (at > now) continue
      this.buckets.delete(at)
      for (const [i, request] of requests.entries()) {
        if (request.isSettled) continue
        if (due[i]! > now) this.put(request, due[i]!, now)
        else request.onImpatient()
      }
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
