import { Suspension } from "@effect-scylla/pool/Suspension"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { ClientClosed, CqlError } from "../CqlError.ts"

const closedError = (): CqlError =>
  new CqlError({ reason: new ClientClosed({ message: "the client is closed, or is closing" }), attempts: [] })

/** What a call has come to, for whoever waits for it later. */
export type Settled<A> = { readonly value: A } | { readonly error: unknown }

/** What a suspension is told by, and what a promise comes to. */
class Call<A> {
  private readonly calls: Calls
  private readonly resolve: (value: A) => void
  private readonly reject: (error: unknown) => void
  private readonly signal: AbortSignal | undefined
  private request: Suspension<A, CqlError> | undefined
  private fiber: Fiber.Fiber<A, unknown> | undefined = undefined
  private isOver = false

  constructor(
    calls: Calls,
    effect: Effect.Effect<A, CqlError>,
    resolve: (value: A) => void,
    reject: (error: unknown) => void,
    signal: AbortSignal | undefined
  ) {
    this.calls = calls
    this.resolve = resolve
    this.reject = reject
    this.signal = signal
    if (signal !== undefined) signal.addEventListener("abort", this.abort)
    calls.begin()
    // A request needs no fiber, unless somebody wants to see spans.
    this.request = effect instanceof Suspension && !calls.isTraced ? effect : undefined
    if (this.request === undefined) this.fork(effect)
    else this.request.startFor(this)
  }

  evaluate(effect: Effect.Effect<A, CqlError>): void {
    if ((effect as unknown) === this.request) return this.end(Exit.succeed(this.request!.delivered()))
    if (Exit.isExit(effect)) return this.end(effect as Exit.Exit<A, CqlError>)
    this.request = undefined
    this.fork(effect)
  }

  private fork(effect: Effect.Effect<A, CqlError>): void {
    const fiber = this.fiber = this.calls.runFork(effect)
    fiber.addObserver((exit) => this.end(exit))
  }

  private readonly abort = (): void => {
    if (this.isOver) return
    this.over()
    this.reject(this.signal!.reason)
    this.request?.interrupted()
    this.fiber?.interruptUnsafe()
  }

  private over(): void {
    this.isOver = true
    if (this.signal !== undefined) this.signal.removeEventListener("abort", this.abort)
    this.calls.ended()
  }

  private end(exit: Exit.Exit<A, unknown>): void {
    if (this.isOver) return
    this.over()
    if (Exit.isSuccess(exit)) return this.resolve(exit.value)
    this.reject(Cause.hasInterruptsOnly(exit.cause) ? closedError() : Cause.squash(exit.cause))
  }
}

/** Errors that have the stack of somebody. */
const placed = new WeakSet<CqlError>()

const copyOf = (error: CqlError): CqlError => new CqlError({ ...error })

/** Effects as promises, and an end for all that is under way when the client closes. */
export class Calls {
  readonly runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly isTraced: boolean
  private readonly hasStacks: boolean
  private underWay = 0
  private isClosing = false
  private onIdle: (() => void) | undefined = undefined

  constructor(context: Context.Context<never>, hasStacks: boolean) {
    this.runFork = Effect.runForkWith(context)
    this.hasStacks = hasStacks
    // What every fiber of this client finds.
    const { span, tracer } = this.runFork(Effect.void).cache
    this.isTraced = span !== undefined || tracer !== undefined
  }

  begin(): void {
    this.underWay++
  }

  ended(): void {
    if (--this.underWay === 0) this.onIdle?.()
  }

  /**
   * What the effect comes to. `make` may throw. Async, because an error that is placed after the wait has the frames of those who wait
   * for this, and a call that succeeds pays nothing for that.
   */
  async run<A>(make: () => Effect.Effect<A, CqlError>, signal?: AbortSignal | undefined): Promise<A> {
    if (signal?.aborted === true) throw signal.reason
    if (this.isClosing) throw closedError()
    try {
      return await new Promise<A>((resolve, reject) => new Call(this, make(), resolve, reject, signal))
    } catch (error) {
      throw this.placed(error, this.run)
    }
  }

  /** The same, begun now and waited for later, or never. */
  start<A>(make: () => Effect.Effect<A, CqlError>, signal: AbortSignal): Promise<Settled<A>> {
    return new Promise((resolve) => {
      const fail = (error: unknown): void => resolve({ error })
      if (signal.aborted) return fail(signal.reason)
      if (this.isClosing) return fail(closedError())
      try {
        void new Call<A>(this, make(), (value) => resolve({ value }), fail, signal)
      } catch (error) {
        fail(error)
      }
    })
  }

  /** What was begun has come to; an error is placed at whoever waits, and not where it was begun. */
  async waited<A>(begun: Promise<Settled<A>>): Promise<A> {
    const settled = await begun
    if ("error" in settled) throw this.placed(settled.error, this.waited)
    return settled.value
  }

  /** The error with the stack of here: that of whoever waits. Those that come by the hundred thousand have none. */
  private placed(given: unknown, within: (...args: Array<never>) => unknown): unknown {
    if (!this.hasStacks || !(given instanceof CqlError) || given.reason._tag === "ClientOverloaded") return given
    // Several may wait for one thing, a preparation for example: each has an error of their own.
    const error = placed.has(given) ? copyOf(given) : given
    placed.add(error)
    const { message } = error
    const holder: { stack?: string } = {}
    Error.captureStackTrace?.(holder, within)
    const frames = holder.stack?.replace(/^.*\n?/, "") ?? ""
    Object.defineProperty(error, "stack", {
      value: `CqlError: ${message}\n${frames}`,
      configurable: true,
      writable: true
    })
    return error
  }

  get isClosed(): boolean {
    return this.isClosing
  }

  /** Refuses what comes from now on, and waits for what is under way, for so long at most. */
  async drain(millis: number): Promise<void> {
    this.isClosing = true
    if (this.underWay === 0 || millis <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(millis, 2 ** 31 - 1))
      this.onIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
