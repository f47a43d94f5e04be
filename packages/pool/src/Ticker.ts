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
import * as Background from "./Background.ts"

/**
 * Milliseconds of a tick. Deadlines are coarse: a request expires up to two ticks late and never early.
 *
 * @category constants
 * @since 0.1.0
 */
export const TICK_MILLIS = 100

/**
 * Something that waits for ticks. Answers whether it still waits for any.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tickable {
  onTick(now: number): boolean
}

/**
 * Somebody who goes on with an answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resumable {
  resume(): void
}

/**
 * A request that is routed, encoded and given to a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sendable {
  send(): void
}

/**
 * Something with output to flush.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flushable {
  flush(): void
  /** Half of a turn's requests are sent: flushes if its peer would have nothing to do meanwhile. */
  flushEarly?(): void
}

/**
 * One wheel for a whole client, and the end of each turn of its event loop, in three stages: who has an answer goes on
 * (`resume`), what they and others ask is routed and encoded (`send`), what connections hold is written (`flush`). Each stage
 * runs the same code for many requests one after the other, which costs a quarter less than each request all of its way (see
 * `docs/decisions/0012-a-turn-in-stages.md`). What a stage adds to itself or to one before it is the next turn's, or that of the
 * second half where a turn is large enough to be halved.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ticker {
  /** Ticks since the ticker was made in which something waited, as of the last tick. */
  readonly now: number
  /** Turns of the event loop that had something to flush: whoever looks at a clock once a turn asks whether this changed. */
  readonly turn: number
  /** Grows whenever time may have passed since it was looked at last: with each turn's end, and with what is read before that. */
  readonly moment: number
  /** Requests in flight on all the connections, which count them here. */
  inFlight: number
  /** Runs `task` at the end of this turn of the event loop. */
  readonly defer: (task: () => void) => void
  /** Throws `error` on a stack of its own, where it is nobody else's loss: an observer of a fiber has thrown, say. */
  readonly raise: (error: unknown) => void
  /** Resumes `target` at the end of this turn. */
  readonly resume: (target: Resumable) => void
  /** Sends `target` at the end of this turn. */
  readonly send: (target: Sendable) => void
  /** Flushes `target` at the end of this turn, together with all others that asked. */
  readonly flush: (target: Flushable) => void
  /** A connection begins to see to what it has read; `endRead` follows within the same call of the socket. */
  readonly beginRead: () => void
  /** The turn ends here where nothing more is in flight: no other connection will read anything in it. */
  readonly endRead: () => void
  /** `target` gets ticks until its `onTick` answers false; free while it is armed. */
  readonly arm: (target: Tickable) => void
  /**
   * The tick at which something that starts now and may take `millis` is overdue. Looks at the clock once for each turn
   * of the event loop, so a turn that takes long itself makes the deadlines that are set at its end early by as much.
   */
  readonly deadline: (millis: number) => number
}

/** So many are resumed in two halves: see `docs/decisions/0011-when-requests-are-written.md`. */
const EARLY = 16

/** Nobody; never pushed to. A turn of one request makes an array for one. */
const NONE: Array<never> = []

class Impl implements Ticker {
  now = 0
  turn = 0
  moment = 0
  inFlight = 0
  private readonly waiting = new Set<Tickable>()
  /** Arrays of their own for each turn: whoever is put into a new one costs the collector nothing. */
  private resumes: Array<Resumable> = NONE
  private sends: Array<Sendable> = NONE
  /** A connection that is flushed early may be here twice. */
  private dirty: Array<Flushable> = NONE
  /** The end of the turn is due, or under way. */
  private scheduled = false
  /** `scheduled` only for a read: what comes of that decides. */
  private reading = false
  private running = false
  /** Milliseconds at which tick `now` was due, while ticking. */
  private last = 0
  /** Ticks that have passed since, as of this turn of the event loop; -1 when nobody looked in this turn. */
  private behind = -1
  private readonly clock: Clock.Clock
  private readonly makeDispatcher: () => Scheduler.SchedulerDispatcher
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly start: () => void
  /** The process stays while an answer is out. */
  private readonly hold = new Background.Hold()

  constructor(
    clock: Clock.Clock,
    makeDispatcher: () => Scheduler.SchedulerDispatcher,
    start: (ticker: Impl) => void
  ) {
    this.clock = clock
    this.makeDispatcher = makeDispatcher
    this.dispatcher = makeDispatcher()
    this.start = () => start(this)
  }

  readonly defer = (task: () => void): void => {
    this.dispatcher.scheduleTask(() => {
      try {
        task()
      } catch (error) {
        this.raise(error)
      }
    }, 0)
  }

  // Each by a dispatcher of its own: with a task that throws, a dispatcher forgets those behind it.
  readonly raise = (error: unknown): void => {
    this.makeDispatcher().scheduleTask(() => {
      throw error
    }, 0)
  }

  readonly resume = (target: Resumable): void => {
    if (this.resumes === NONE) this.resumes = [target]
    else this.resumes.push(target)
    if (!this.scheduled) this.schedule()
  }

  readonly send = (target: Sendable): void => {
    if (this.sends === NONE) this.sends = [target]
    else this.sends.push(target)
    if (!this.scheduled) this.schedule()
  }

  readonly flush = (target: Flushable): void => {
    if (this.dirty === NONE) this.dirty = [target]
    else this.dirty.push(target)
    if (!this.scheduled) this.schedule()
  }

  readonly beginRead = (): void => {
    // Time has passed since the last read, whatever is scheduled.
    this.moment++
    if (this.scheduled) return
    this.scheduled = true
    this.reading = true
  }

  readonly endRead = (): void => {
    if (!this.reading) return
    this.reading = false
    if (this.inFlight === 0) return this.run()
    this.behind = -1
    this.scheduled = false
    if (this.isDue) this.schedule()
  }

  private get isDue(): boolean {
    return this.resumes.length + this.sends.length + this.dirty.length > 0
  }

  private schedule(): void {
    this.scheduled = true
    this.dispatcher.scheduleTask(this.run, 0)
  }

  private readonly run = (): void => {
    this.behind = -1
    this.turn++
    this.moment++
    const { resumes } = this
    const count = resumes.length
    if (count > 0) {
      this.resumes = NONE
      const first = count < EARLY ? count : count >> 1
      this.resumeSome(resumes, 0, first)
      if (first < count) {
        this.sendAll()
        this.flushSome(this.dirty, true)
        this.resumeSome(resumes, first, count)
      }
    }
    this.sendAll()
    const { dirty } = this
    this.dirty = NONE
    this.flushSome(dirty, false)
    this.behind = -1
    this.scheduled = false
    if ((this.inFlight > 0) !== this.hold.isHeld) this.hold.set(this.inFlight > 0)
    // What came too late for its stage.
    if (this.isDue) this.schedule()
  }

  private resumeSome(resumes: ReadonlyArray<Resumable>, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      try {
        resumes[i]!.resume()
      } catch (error) {
        this.raise(error)
      }
    }
  }

  private sendAll(): void {
    const { sends } = this
    if (sends.length === 0) return
    this.sends = NONE
    for (let i = 0; i < sends.length; i++) {
      try {
        sends[i]!.send()
      } catch (error) {
        this.raise(error)
      }
    }
  }

  private flushSome(dirty: ReadonlyArray<Flushable>, early: boolean): void {
    // Who is flushed early may be dirty again, in the same list.
    const count = dirty.length
    for (let i = 0; i < count; i++) {
      try {
        if (early) dirty[i]!.flushEarly?.()
        else dirty[i]!.flush()
      } catch (error) {
        this.raise(error)
      }
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

  /** Nothing is waited for any more. */
  end(): void {
    this.hold.end()
  }

  /** Counts what has passed; answers whether anything still waits. */
  advance(): boolean {
    const { due } = this
    if (due <= 0) return true
    this.now += due
    this.last += due * TICK_MILLIS
    this.behind = -1
    for (const target of this.waiting) {
      try {
        if (!target.onTick(this.now)) this.waiting.delete(target)
      } catch (error) {
        // Without an answer it still waits.
        this.raise(error)
      }
    }
    this.running = this.waiting.size > 0
    // What was given up, or came to its end without a turn.
    if (this.inFlight === 0) this.hold.set(false)
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
  const scheduler = yield* Scheduler.Scheduler
  const run = yield* FiberHandle.makeRuntime<never>()
  const loop = (ticker: Impl): Effect.Effect<void> =>
    Effect.gen(function*() {
      do {
        yield* Effect.sleep(Duration.millis(TICK_MILLIS))
        // The event loop stalled. Timers come before sockets: what has arrived meanwhile is read first.
        if (ticker.due > 1) yield* Effect.yieldNow
      } while (ticker.advance())
    })
  const ticker = new Impl(clock, () => scheduler.makeDispatcher(), (ticker) => run(Background.run(loop(ticker))))
  yield* Effect.addFinalizer(() => Effect.sync(() => ticker.end()))
  return ticker
})
