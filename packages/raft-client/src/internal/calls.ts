/**
 * Effects as promises: a fiber for each call, a stack that leads to the caller, and an end for all that is under way when the
 * client closes.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** What the errors of a package are. */
export interface Failures<E extends Error> {
  readonly is: (error: unknown) => error is E
  /** The same, made where this is called: that gives it a stack, and leaves one that several wait for as it is. */
  readonly again: (error: E) => E
  /** What a call has come to that the closing client refuses, or has cut off. */
  readonly closed: (operation: string, isBegun: boolean) => E
}

/** What a function of promises comes to; it is rejected with what it fails with. */
export const ofPromise = <A>(call: () => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.callback((resume) => {
    Promise.resolve().then(call).then(
      (value) => resume(Effect.succeed(value)),
      (error: unknown) => resume(Effect.fail(error))
    )
  })

interface Iteration {
  readonly end: () => Promise<void>
}

export class Calls<E extends Error> {
  private readonly failures: Failures<E>
  private readonly hasStacks: boolean
  private readonly runFork: <A, X>(effect: Effect.Effect<A, X>) => Fiber.Fiber<A, X>
  private readonly underWay = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly iterations = new Set<Iteration>()
  private readonly held = new Set<() => Promise<void>>()
  private onIdle = (): void => {}
  private closing: Promise<void> | undefined

  constructor(failures: Failures<E>, services: Context.Context<never>, hasStacks: boolean) {
    this.failures = failures
    this.hasStacks = hasStacks
    this.runFork = Effect.runForkWith(services)
  }

  get isClosing(): boolean {
    return this.closing !== undefined
  }

  /**
   * What the effect comes to. `call` may throw. Async, for then an error that is made after the wait has the frames of those
   * who wait for this, and a call that succeeds pays nothing for that.
   */
  async run<A, X>(operation: string, call: () => Effect.Effect<A, X>, signal?: AbortSignal): Promise<A> {
    if (signal?.aborted === true) throw signal.reason
    if (this.isClosing) throw this.failures.closed(operation, false)
    const fiber = this.runFork(call())
    const exit = fiber.pollUnsafe() ?? await this.settled(fiber, signal)
    if (exit._tag === "Success") return exit.value
    throw this.failure(operation, exit.cause, signal)
  }

  /** What a stream tells, from its beginning for each that iterates. */
  iterate<A, X>(operation: string, stream: () => Stream.Stream<A, X>, signal?: AbortSignal): AsyncIterable<A> {
    return { [Symbol.asyncIterator]: () => new Items(this, operation, stream, signal) }
  }

  /** Something that is held until it is given back, or until the client closes. */
  async hold<A, X>(
    operation: string,
    acquire: () => Effect.Effect<A, X, Scope.Scope>,
    signal?: AbortSignal
  ): Promise<{ readonly value: A; readonly giveBack: () => Promise<void>; readonly isHeld: () => boolean }> {
    const scope = Scope.makeUnsafe()
    let given: Promise<void> | undefined
    const giveBack = (): Promise<void> => {
      this.held.delete(giveBack)
      return given ??= this.release(scope)
    }
    this.held.add(giveBack)
    try {
      const value = await this.run(operation, () => Scope.provide(acquire(), scope), signal)
      return { value, giveBack, isHeld: () => given === undefined }
    } catch (error) {
      await giveBack()
      throw error
    }
  }

  /** Refuses what comes from now on, and ends streams; calls may end by themselves for so long, then they are cut off. */
  close(patience: Effect.Effect<void>, release: Effect.Effect<void>): Promise<void> {
    return this.closing ??= Promise.resolve().then(async () => {
      await Promise.all(Array.from(this.iterations, (iteration) => iteration.end()))
      if (this.underWay.size > 0) {
        const idle = Effect.callback<void>((resume) => {
          this.onIdle = () => resume(Effect.void)
        })
        await this.ended(this.runFork(Effect.raceFirst(idle, patience)))
      }
      await Promise.all(Array.from(this.held, (giveBack) => giveBack()))
      const exit = await this.ended(this.runFork(release))
      // They wait for a time to pass, between two attempts for example.
      for (const fiber of this.underWay) fiber.interruptUnsafe()
      await Promise.all(Array.from(this.underWay, (fiber) => this.ended(fiber)))
      if (exit._tag === "Failure") throw Cause.squash(exit.cause)
    })
  }

  fork<A, X>(effect: Effect.Effect<A, X>): Fiber.Fiber<A, X> {
    return this.runFork(effect)
  }

  ended<A, X>(fiber: Fiber.Fiber<A, X>): Promise<Exit.Exit<A, X>> {
    return new Promise((resolve) => {
      fiber.addObserver(resolve)
    })
  }

  async release(scope: Scope.Closeable): Promise<void> {
    const exit = await this.ended(this.runFork(Scope.close(scope, Exit.void)))
    if (exit._tag === "Failure") throw Cause.squash(exit.cause)
  }

  /** An iteration that is to end with the client. */
  enter(iteration: Iteration): void {
    this.iterations.add(iteration)
  }

  leave(iteration: Iteration): void {
    this.iterations.delete(iteration)
  }

  /** What to reject with. Where it is called decides on the stack. */
  failure(operation: string, cause: Cause.Cause<unknown>, signal: AbortSignal | undefined): unknown {
    if (Cause.hasInterruptsOnly(cause)) {
      if (signal?.aborted === true) return signal.reason
      if (this.isClosing) return this.failures.closed(operation, true)
    }
    return this.placed(Cause.squash(cause))
  }

  /** The error as it is thrown here: with the stack of here, if that is wanted and it is one of ours. */
  placed(error: unknown): unknown {
    return this.hasStacks && this.failures.is(error) ? this.failures.again(error) : error
  }

  closed(operation: string): E {
    return this.failures.closed(operation, false)
  }

  private settled<A, X>(fiber: Fiber.Fiber<A, X>, signal: AbortSignal | undefined): Promise<Exit.Exit<A, X>> {
    this.underWay.add(fiber)
    const abort = () => fiber.interruptUnsafe()
    signal?.addEventListener("abort", abort)
    return new Promise((resolve) => {
      fiber.addObserver((exit) => {
        signal?.removeEventListener("abort", abort)
        this.underWay.delete(fiber)
        if (this.underWay.size === 0) this.onIdle()
        resolve(exit)
      })
    })
  }
}

/** One reading of a stream: it is asked for its next part when the one before is used up. */
class Items<A, X> implements AsyncIterator<A, undefined>, Iteration {
  private readonly calls: Calls<any>
  private readonly operation: string
  private readonly stream: () => Stream.Stream<A, X>
  private readonly signal: AbortSignal | undefined
  private readonly scope = Scope.makeUnsafe()
  private pull: Pull.Pull<ReadonlyArray<A>, X> | undefined
  private items: ReadonlyArray<A> = []
  private at = 0
  /** For all who have asked meanwhile. */
  private asking: Promise<void> | undefined
  private fiber: Fiber.Fiber<unknown, unknown> | undefined
  private ending: Promise<void> | undefined
  /** Somebody else has ended it, and whoever asks next is told why. */
  private isCut = false

  constructor(
    calls: Calls<any>,
    operation: string,
    stream: () => Stream.Stream<A, X>,
    signal: AbortSignal | undefined
  ) {
    this.calls = calls
    this.operation = operation
    this.stream = stream
    this.signal = signal
  }

  async next(): Promise<IteratorResult<A, undefined>> {
    while (this.at === this.items.length) {
      if (this.ending !== undefined && !this.isCut) return { done: true, value: undefined }
      await (this.asking ??= this.ask())
    }
    return { done: false, value: this.items[this.at++]! }
  }

  async return(): Promise<IteratorResult<A, undefined>> {
    this.isCut = false
    await this.finish()
    return { done: true, value: undefined }
  }

  async end(): Promise<void> {
    this.isCut = true
    await this.finish()
  }

  // That the end itself fails, whoever asks next is told.
  private readonly abort = (): void => {
    this.end().then(undefined, () => {})
  }

  private async ask(): Promise<void> {
    try {
      if (this.isCut || this.signal?.aborted === true || this.calls.isClosing) {
        this.isCut = false
        await this.finish()
        throw this.signal?.aborted === true ? this.signal.reason : this.calls.closed(this.operation)
      }
      if (this.pull === undefined) {
        this.calls.enter(this)
        this.signal?.addEventListener("abort", this.abort)
      }
      const fiber = this.calls.fork(this.pull ?? this.begin)
      this.fiber = fiber
      const exit = await this.calls.ended(fiber)
      this.fiber = undefined
      if (exit._tag === "Success") {
        // What comes when the reading has ended is nobody's.
        if (this.ending === undefined) {
          this.items = exit.value
          this.at = 0
        }
        return
      }
      const { isCut } = this
      const isReturned = this.ending !== undefined && !isCut
      this.isCut = false
      await this.finish()
      // Some streams end well when they are interrupted.
      if (isCut) throw this.calls.failure(this.operation, Cause.interrupt(), this.signal)
      if (Pull.isDoneCause(exit.cause) || (isReturned && Cause.hasInterruptsOnly(exit.cause))) return
      throw this.calls.failure(this.operation, exit.cause, this.signal)
    } finally {
      this.asking = undefined
    }
  }

  private get begin(): Effect.Effect<ReadonlyArray<A>, X | Cause.Done> {
    return Effect.flatMap(Effect.suspend(() => Scope.provide(Stream.toPull(this.stream()), this.scope)), (pull) => {
      this.pull = pull
      return pull
    })
  }

  private finish(): Promise<void> {
    this.items = []
    this.at = 0
    return this.ending ??= (async () => {
      this.signal?.removeEventListener("abort", this.abort)
      this.calls.leave(this)
      this.fiber?.interruptUnsafe()
      if (this.fiber !== undefined) await this.calls.ended(this.fiber)
      await this.calls.release(this.scope)
    })()
  }
}
