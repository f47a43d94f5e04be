/**
 * The one crossing of a request into Effect: an Effect whose evaluation starts plain code, suspends the fiber, and goes on
 * when that code settles it.
 *
 * It does what `Effect.callback` does for 0.25 µs less: no closure for `resume`, no finalizer on the stack (measured, see
 * `docs/decisions/0002-one-crossing-into-effect.md`). It needs two methods of a running fiber that are there in
 * effect 4.1 but not in its types; whether they work is tried once at load, and where they do not, the same class runs
 * over `Effect.callback`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Ticker } from "./Ticker.ts"

/** What a running fiber has besides its type. */
interface RunningFiber extends Fiber.Fiber<unknown, unknown> {
  evaluate(effect: Effect.Effect<any, any>): void
  yieldWith(onYield: () => void): Effect.Effect<never>
  succeedWith(value: unknown): Effect.Effect<any, any>
}

/** Not evaluated yet. */
const FRESH = 0
/** In `start`. */
const STARTING = 1
/** The fiber waits. */
const WAITING = 2
/** Settled or interrupted. */
const SETTLED = 3
/** Settled with a value that the fiber is about to take. */
const DELIVERING = 4
/** Settled with a value that the fiber takes at the end of this turn. */
const ANSWERED = 5
/** The fiber goes on with something else, in which this will be waited for again. */
const HANDED = 6

/**
 * What a waiting fiber calls when it goes on, for whatever reason. Taken for a wait and given back by that call, so that
 * no closure is made for every request.
 */
class Wait {
  target: Suspension<any, any> | undefined = undefined
  readonly end = (): void => {
    const { target } = this
    this.target = undefined
    if (waits.length < KEEP_WAITS) waits.push(this)
    target!.interrupted()
  }
}

/** As many as are ever idle at once in a busy client; past it they are made anew. */
const KEEP_WAITS = 4096
const waits: Array<Wait> = []

/**
 * An effect settled by plain code.
 *
 * A value of it describes a request and may be evaluated any number of times, one after the other or at once: the first
 * evaluation uses the value itself as its state, each further one a copy made by `renew`.
 *
 * @category models
 * @since 0.1.0
 */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the prototype has them, see below
export abstract class Suspension<A, E> {
  private state: number = FRESH
  /** Who waits: the fiber, or the `resume` of `Effect.callback`. */
  private waiter: RunningFiber | ((effect: Effect.Effect<A, E>) => void) | undefined = undefined
  /** An effect settled in `start`, or a value on its way to the fiber. */
  private outcome: unknown = undefined

  /** Starts the work. May call `settle` at once. Must not throw. */
  protected abstract start(): void
  /** The fiber was interrupted: nobody waits any more. */
  protected abstract abandon(): void
  /** A copy in the state before `start`. */
  protected abstract renew(): Suspension<A, E>

  /** An effect to run instead, decided by what the fiber carries (an installed tracer). Asked before each evaluation. */
  protected around(_fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<A, E> | undefined {
    return undefined
  }

  /** Whether it was never evaluated. */
  protected get isFresh(): boolean {
    return this.state === FRESH
  }

  /** Whether the fiber no longer waits. */
  get isSettled(): boolean {
    return this.state >= SETTLED && this.state !== HANDED
  }

  /**
   * Lets the fiber go on with `outcome`: an `Exit`, or an effect that finishes the work (a retry). The fiber runs on the
   * caller's stack, so the caller has its own state in order first. Only the first call counts.
   */
  settle(outcome: Effect.Effect<A, E>): void {
    const { state, waiter } = this
    if (state === WAITING) {
      this.state = SETTLED
      if (typeof waiter === "function") waiter(outcome)
      else waiter!.evaluate(outcome)
    } else if (state === STARTING || state === HANDED) {
      this.state = SETTLED
      this.outcome = outcome
    }
  }

  /**
   * While the fiber waits: lets it go on with what `make` makes of the rest of this wait, a race with something else for example. The
   * rest is to be evaluated once. Answers whether anybody waited.
   */
  handOver(make: (rest: Effect.Effect<A, E>) => Effect.Effect<A, E>): boolean {
    const { waiter } = this
    if (this.state !== WAITING || waiter === undefined) return false
    this.state = HANDED
    this.waiter = undefined
    const rest = Effect.callback<A, E>((resume) => {
      if (this.state !== HANDED) return resume(this.outcome as Effect.Effect<A, E>)
      this.state = WAITING
      this.waiter = resume
      return Effect.sync(() => this.interrupted())
    })
    if (typeof waiter === "function") waiter(make(rest))
    else waiter.evaluate(make(rest))
    return true
  }

  /** `settle` with a success, without an `Exit` around it: the way of every request that goes well. */
  succeed(value: A): void {
    const { waiter } = this
    if (this.state === WAITING && typeof waiter === "object") {
      this.state = DELIVERING
      this.outcome = value
      // The fiber evaluates this object once more and finds the value in it: now, or after it has yielded to others.
      waiter.evaluate(this as unknown as Effect.Effect<A, E>)
    } else {
      this.settle(Exit.succeed(value))
    }
  }

  /**
   * `succeed` at the end of this turn of the event loop, with all others that are answered in it; interrupted before that it
   * does nothing.
   */
  succeedLater(ticker: Ticker, value: A): void {
    if (this.state !== WAITING) return this.settle(Exit.succeed(value))
    this.state = ANSWERED
    this.outcome = value
    ticker.resume(this)
  }

  /**
   * Starts it without a fiber, for work on many of them: `waiter` is told once. It gets the suspension itself where there is a value,
   * which {@link Suspension.delivered} then takes, else an effect that ends the work, an `Exit` in most cases. Only of a fresh one.
   */
  startFor(waiter: { evaluate(effect: Effect.Effect<A, E>): void }): void {
    this.state = STARTING
    this.start()
    if (this.outcome !== undefined) return waiter.evaluate(this.outcome as Effect.Effect<A, E>)
    this.state = WAITING
    this.waiter = waiter as RunningFiber
  }

  /** The value that `waiter` of {@link Suspension.startFor} was told of. */
  delivered(): A {
    const { outcome } = this
    this.state = SETTLED
    this.outcome = undefined
    return outcome as A
  }

  /** @internal */
  resume(): void {
    if (this.state !== ANSWERED) return
    this.state = WAITING
    this.succeed(this.outcome as A)
  }

  /** @internal */
  runNative(fiber: RunningFiber): Effect.Effect<A, E> {
    if (this.state === DELIVERING && this.waiter === fiber) {
      this.state = SETTLED
      const { outcome } = this
      this.outcome = undefined
      return fiber.succeedWith(outcome)
    }
    const instead = this.around(fiber)
    if (instead !== undefined) return instead
    const self = this.state === FRESH ? this : this.renew()
    self.state = STARTING
    self.start()
    if (self.outcome !== undefined) return self.outcome as Effect.Effect<A, E>
    self.state = WAITING
    self.waiter = fiber
    // Called when the fiber goes on for whatever reason; only an interruption finds the state unsettled.
    const wait = waits.pop() ?? new Wait()
    wait.target = self
    return fiber.yieldWith(wait.end)
  }

  /** @internal */
  runCallback(fiber: RunningFiber): Effect.Effect<A, E> {
    const instead = this.around(fiber)
    if (instead !== undefined) return instead
    return Effect.callback<A, E>((resume) => {
      const self = this.state === FRESH ? this : this.renew()
      self.state = STARTING
      self.start()
      if (self.outcome !== undefined) return resume(self.outcome as Effect.Effect<A, E>)
      self.state = WAITING
      self.waiter = resume
      return Effect.sync(() => self.interrupted())
    })
  }

  /** @internal */
  interrupted(): void {
    if (this.state === WAITING) {
      this.state = SETTLED
      this.abandon()
    } else if (this.state === ANSWERED) {
      this.state = SETTLED
      this.outcome = undefined
    }
  }
}

/** Every suspension is an Effect: the members come from the prototype set below. */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- set below
export interface Suspension<A, E> extends Effect.Effect<A, E> {}

// Set rather than extended: a constructor fewer for every request.
Object.setPrototypeOf(
  Suspension.prototype,
  Effectable.Prototype<any>({
    label: "Suspension",
    evaluate(this: Suspension<any, any>, fiber) {
      const running = fiber as unknown as RunningFiber
      return native ? this.runNative(running) : this.runCallback(running)
    }
  })
)

let native = true

/**
 * Takes the fast way or `Effect.callback` from now on; answers which one was in force. For tests, which run the same
 * cases over both.
 *
 * @category testing
 * @since 0.1.0
 */
export const setNativeUnsafe = (enabled: boolean): boolean => {
  const before = native
  native = enabled
  return before
}

class Probe extends Suspension<number, never> {
  isAbandoned = false
  protected start(): void {}
  protected abandon(): void {
    this.isAbandoned = true
  }
  protected renew(): Probe {
    return new Probe()
  }
}

/** Runs the fast way once for each way to end; anything unexpected turns it off. */
native = (() => {
  try {
    const probe = new Probe()
    const fiber = Effect.runFork(probe)
    probe.succeed(42)
    const failing = new Probe()
    const failed = Effect.runFork(failing)
    failing.settle(Exit.die("probe"))
    const exit = fiber.pollUnsafe()
    const interrupted = new Probe()
    Effect.runFork(interrupted).interruptUnsafe()
    return exit !== undefined && Exit.isSuccess(exit) && exit.value === 42 && !probe.isAbandoned &&
      failed.pollUnsafe()?._tag === "Failure" && interrupted.isAbandoned
  } catch {
    return false
  }
})()
