import * as CqlClient from "@effect-scylla/driver/CqlClient"
import { ClientClosed, CqlError } from "@effect-scylla/driver/CqlError"
import type { Options } from "@effect-scylla/driver/Options"
import { Suspension } from "@effect-scylla/pool/Suspension"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** What is said, as the listeners of `log` get it. */
export type Say = (level: "error" | "warning" | "info" | "verbose", message: string) => void

const LEVELS: Readonly<Record<string, Parameters<Say>[0]>> = {
  Fatal: "error",
  Error: "error",
  Warn: "warning",
  Info: "info",
  Debug: "verbose",
  Trace: "verbose"
}

const loggerOf = (say: Say): Layer.Layer<never> =>
  Logger.layer([
    Logger.make(({ logLevel, message }) => {
      const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
      say(LEVELS[logLevel] ?? "verbose", parts.map(String).join(" "))
    })
  ])

/** What becomes of a call. */
export interface Waiter<A> {
  succeed(value: A): void
  fail(error: unknown): void
}

/** What a suspension tells, without a fiber for it. */
class Call<A> {
  private readonly engine: Engine
  private readonly waiter: Waiter<A>
  private readonly request: Suspension<A, unknown>

  constructor(engine: Engine, request: Suspension<A, unknown>, waiter: Waiter<A>) {
    this.engine = engine
    this.request = request
    this.waiter = waiter
  }

  evaluate(effect: Effect.Effect<A, unknown>): void {
    const { engine, request, waiter } = this
    if ((effect as unknown) === request) return waiter.succeed(request.delivered())
    if (Exit.isExit(effect)) return told(effect as Exit.Exit<A, unknown>, waiter)
    engine.fork(effect, waiter)
  }
}

const told = <A>(exit: Exit.Exit<A, unknown>, waiter: Waiter<A>): void => {
  if (Exit.isSuccess(exit)) return waiter.succeed(exit.value)
  waiter.fail(
    Cause.hasInterruptsOnly(exit.cause)
      ? new CqlError({ reason: new ClientClosed({ message: "the client was shut down" }), attempts: [] })
      : Cause.squash(exit.cause)
  )
}

/** The client that does the work, and its end. */
export class Engine {
  readonly cql: CqlClient.CqlClient
  private readonly scope: Scope.Closeable
  private readonly context: Context.Context<never>

  constructor(cql: CqlClient.CqlClient, scope: Scope.Closeable, context: Context.Context<never>) {
    this.cql = cql
    this.scope = scope
    this.context = context
  }

  /** Runs what a call made; the waiter is told once. */
  run<A>(effect: Effect.Effect<A, unknown>, waiter: Waiter<A>): void {
    if (effect instanceof Suspension) effect.startFor(new Call(this, effect, waiter))
    else this.fork(effect, waiter)
  }

  /** The same for what is no request alone. */
  fork<A>(effect: Effect.Effect<A, unknown>, waiter: Waiter<A>): void {
    Effect.runForkWith(this.context)(effect).addObserver((exit) => told(exit, waiter))
  }

  promise<A>(effect: Effect.Effect<A, unknown>): Promise<A> {
    return new Promise((succeed, fail) => this.run(effect, { succeed, fail }))
  }

  /** Tells each element until the end of the client. */
  listen<A>(stream: Stream.Stream<A>, tell: (value: A) => void): void {
    Effect.runForkWith(this.context)(
      Effect.forkIn(Stream.runForEach(stream, (value) => Effect.sync(() => tell(value))), this.scope)
    )
  }

  close(): Promise<void> {
    return Effect.runPromise(Effect.asVoid(Scope.close(this.scope, Exit.void)))
  }
}

/** Connects. Fails with a `CqlError`. */
export const open = async (options: Options, say: Say): Promise<Engine> => {
  const scope = Scope.makeUnsafe()
  const making = Effect.gen(function*() {
    const context = yield* Layer.buildWithScope(loggerOf(say), scope)
    return yield* Effect.provideContext(
      Effect.gen(function*() {
        const cql = yield* Scope.provide(CqlClient.make(options), scope)
        return new Engine(cql, scope, yield* Effect.context<never>())
      }),
      context as Context.Context<never>
    )
  })
  const exit = await Effect.runPromiseExit(making)
  if (Exit.isSuccess(exit)) return exit.value
  await Effect.runPromise(Scope.close(scope, Exit.void))
  throw Cause.squash(exit.cause)
}
