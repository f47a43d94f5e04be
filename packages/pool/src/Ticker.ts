/**
 * All that the plain code of a connection may know of time and of the event loop.
 *
 * Under live services `defer` is `setImmediate` and the tick a timer; under `TestClock` both are driven by it, which is
 * what makes a simulated hour deterministic.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"

/**
 * Milliseconds of a tick. Deadlines are coarse: a request expires up to one tick late and never early.
 *
 * @category constants
 * @since 0.1.0
 */
export const TICK_MILLIS = 100

/**
 * Something that waits for ticks. Answers whether it still waits for any. Must not throw.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tickable {
  onTick(now: number): boolean
}

/**
 * Something with output to flush. Must not throw.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flushable {
  flush(): void
}

/**
 * One wheel and one list of dirty connections for a whole client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ticker {
  /** Ticks since the ticker was made, up to date whenever something waits. */
  readonly now: number
  /** Runs `task` at the end of this turn of the event loop. */
  readonly defer: (task: () => void) => void
  /** Flushes `target` at the end of this turn, together with all others that asked. */
  readonly flush: (target: Flushable) => void
  /** `target` gets ticks until its `onTick` answers false; free while it is armed. */
  readonly arm: (target: Tickable) => void
  /** The tick at which something that starts now and may take `millis` is overdue. */
  readonly deadline: (millis: number) => number
}

class Impl implements Ticker {
  now = 0
  private readonly waiting = new Set<Tickable>()
  private dirty: Array<Flushable> = []
  private flushing: Array<Flushable> = []
  private scheduled = false
  private running = false
  private readonly start: () => void
  readonly defer: (task: () => void) => void

  constructor(defer: (task: () => void) => void, start: (ticker: Impl) => void) {
    this.defer = defer
    this.start = () => start(this)
  }

  readonly flush = (target: Flushable): void => {
    this.dirty.push(target)
    if (!this.scheduled) {
      this.scheduled = true
      this.defer(this.flushAll)
    }
  }

  private readonly flushAll = (): void => {
    const targets = this.dirty
    // Two lists in turn: a flush may make others dirty, and neither list is allocated anew.
    this.dirty = this.flushing
    this.flushing = targets
    this.scheduled = false
    for (let i = 0; i < targets.length; i++) targets[i]!.flush()
    targets.length = 0
  }

  readonly arm = (target: Tickable): void => {
    this.waiting.add(target)
    if (!this.running) {
      this.running = true
      this.start()
    }
  }

  // Two more: the tick that is under way may be nearly over, and time since the last one is not counted yet.
  readonly deadline = (millis: number): number => this.now + Math.ceil(millis / TICK_MILLIS) + 1

  /** Passes time; answers whether anything still waits. */
  advance(ticks: number): boolean {
    this.now += ticks
    for (const target of this.waiting) {
      if (!target.onTick(this.now)) this.waiting.delete(target)
    }
    this.running = this.waiting.size > 0
    return this.running
  }
}

/**
 * A ticker on the current `Clock` and `Scheduler`, which stops with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Ticker, never, Scope.Scope> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
  const run = yield* FiberHandle.makeRuntime<never>()
  const tickNanos = BigInt(TICK_MILLIS) * 1_000_000n
  const loop = (ticker: Impl): Effect.Effect<void> =>
    Effect.gen(function*() {
      let last = clock.monotonicTimeNanosUnsafe()
      while (true) {
        yield* Effect.sleep(Duration.millis(TICK_MILLIS))
        // A stalled event loop catches up here.
        const ticks = (clock.monotonicTimeNanosUnsafe() - last) / tickNanos
        last += ticks * tickNanos
        if (ticks > 0n && !ticker.advance(Number(ticks))) return
      }
    })
  return new Impl((task) => dispatcher.scheduleTask(task, 0), (ticker) => run(loop(ticker)))
})
