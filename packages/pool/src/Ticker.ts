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
 * Milliseconds of a tick. Deadlines are coarse: a request expires up to two ticks late and never early.
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
  /** Ticks since the ticker was made in which something waited, as of the last tick. */
  readonly now: number
  /** Turns of the event loop that had something to flush: whoever looks at a clock once a turn asks whether this changed. */
  readonly turn: number
  /** Runs `task` at the end of this turn of the event loop. */
  readonly defer: (task: () => void) => void
  /** Flushes `target` at the end of this turn, together with all others that asked. */
  readonly flush: (target: Flushable) => void
  /** `target` gets ticks until its `onTick` answers false; free while it is armed. */
  readonly arm: (target: Tickable) => void
  /**
   * The tick at which something that starts now and may take `millis` is overdue. Looks at the clock once for each turn
   * of the event loop, so a turn that takes long itself makes the deadlines that are set at its end early by as much.
   */
  readonly deadline: (millis: number) => number
}

class Impl implements Ticker {
  now = 0
  turn = 0
  private readonly waiting = new Set<Tickable>()
  /** Two lists in turn, filled up to a count: neither is allocated anew or loses its storage. */
  private dirty: Array<Flushable | undefined> = []
  private flushing: Array<Flushable | undefined> = []
  private dirtyCount = 0
  private scheduled = false
  private running = false
  /** Milliseconds at which tick `now` was due, while ticking. */
  private last = 0
  /** Ticks that have passed since, as of this turn of the event loop; -1 when nobody looked in this turn. */
  private behind = -1
  private readonly clock: Clock.Clock
  private readonly start: () => void
  readonly defer: (task: () => void) => void

  constructor(clock: Clock.Clock, defer: (task: () => void) => void, start: (ticker: Impl) => void) {
    this.clock = clock
    this.defer = defer
    this.start = () => start(this)
  }

  readonly flush = (target: Flushable): void => {
    this.dirty[this.dirtyCount++] = target
    if (!this.scheduled) this.schedule()
  }

  private schedule(): void {
    this.scheduled = true
    this.defer(this.flushAll)
  }

  private readonly flushAll = (): void => {
    const targets = this.dirty
    const count = this.dirtyCount
    // A flush may make others dirty.
    this.dirty = this.flushing
    this.dirtyCount = 0
    this.flushing = targets
    this.scheduled = false
    this.behind = -1
    this.turn++
    for (let i = 0; i < count; i++) {
      const target = targets[i]!
      targets[i] = undefined
      target.flush()
    }
  }

  readonly arm = (target: Tickable): void => {
    this.waiting.add(target)
    if (!this.running) {
      this.running = true
      this.last = this.millis
      this.start()
    }
  }

  // One more, because the tick that is under way may be nearly over; and those that are due and did not come, because the
  // event loop was busy.
  readonly deadline = (millis: number): number =>
    this.now + (this.behind < 0 ? this.look() : this.behind) + Math.ceil(millis / TICK_MILLIS) + 1

  private look(): number {
    this.behind = this.running ? this.due : 0
    if (!this.scheduled) this.schedule()
    return this.behind
  }

  private get millis(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  /** Ticks that have passed and were not counted. */
  get due(): number {
    return Math.floor((this.millis - this.last) / TICK_MILLIS)
  }

  /** Counts what has passed; answers whether anything still waits. */
  advance(): boolean {
    const { due } = this
    if (due <= 0) return true
    this.now += due
    this.last += due * TICK_MILLIS
    this.behind = -1
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
  const loop = (ticker: Impl): Effect.Effect<void> =>
    Effect.gen(function*() {
      do {
        yield* Effect.sleep(Duration.millis(TICK_MILLIS))
        // The event loop stalled. Timers come before sockets: what has arrived meanwhile is read first.
        if (ticker.due > 1) yield* Effect.yieldNow
      } while (ticker.advance())
    })
  return new Impl(clock, (task) => dispatcher.scheduleTask(task, 0), (ticker) => run(loop(ticker)))
})
