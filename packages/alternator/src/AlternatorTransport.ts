/**
 * How requests reach nodes, as a service.
 *
 * One transport serves operations, discovery and probes, so a certificate authority, a client certificate or a proxy that
 * is configured once is used by all of them.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AlternatorError } from "./AlternatorError.ts"
import type { Exchange, ExchangeHandler, ExchangeRequest } from "./Exchange.ts"
import { dispatcher } from "./internal/httpClient.ts"
import { Issues } from "./internal/issues.ts"
import { check, type UndiciOptions } from "./internal/transportOptions.ts"
import * as Undici from "./internal/undici.ts"
import type { AlternatorNode } from "./NodeAddress.ts"

export type { UndiciOptions } from "./internal/transportOptions.ts"

/**
 * The service.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlternatorTransport {
  /** Starts a request. May call the handler before it returns. */
  readonly dispatch: (request: ExchangeRequest, handler: ExchangeHandler) => Exchange
  /** The node has left: requests under way end, then its connections are closed. A later request opens new ones. */
  readonly retire: (node: AlternatorNode) => void
  /** Open connections by the URL of their node; empty when the transport does not know. */
  readonly connections: () => ReadonlyMap<string, number>
}

/**
 * @category services
 * @since 0.1.0
 */
export const AlternatorTransport: Context.Service<AlternatorTransport, AlternatorTransport> = Context.Service<
  AlternatorTransport
>("@effect-scylla/alternator/AlternatorTransport")

/**
 * What a server is verified by, and what it verifies this side by. Certificates are verified unless
 * `rejectUnauthorized` is false.
 *
 * @category models
 * @since 0.1.0
 */
export type TlsOptions = Undici.TlsOptions

/**
 * Over undici, with a pool of connections for each node, on Node, Bun and Deno. Closed with its scope; idle connections keep
 * no process alive. Fails when undici itself cannot be used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUndici = (
  options: UndiciOptions = {}
): Effect.Effect<AlternatorTransport, AlternatorError, Scope.Scope> =>
  Effect.gen(function*() {
    const issues = new Issues()
    const { shutdownMillis, ...checked } = check(options, issues)
    const lacking = Undici.lacking()
    if (lacking !== undefined) {
      issues.add(
        "undici",
        `${lacking} is missing from what this runtime or bundler puts in the place of undici: leave undici out of the bundle, ` +
          "or use AlternatorTransport.layerHttpClient"
      )
    }
    yield* issues.result
    const { dialGate, tls } = options
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const gate = dialGate === undefined ? undefined : (address: string, dial: () => void) => {
      // The dial holds its place until it is told that it is over.
      let over = () => {}
      const fiber = fork(dialGate(
        address,
        Effect.callback<void>((resume) => {
          over = () => resume(Effect.void)
          dial()
        })
      ))
      return () => {
        over()
        fork(Fiber.interrupt(fiber))
      }
    }
    const pools = new Undici.UndiciPools({
      ...checked,
      tls: tls === undefined || typeof tls === "function" ? tls : () => tls,
      gate
    })
    yield* Effect.addFinalizer(() =>
      shutdownMillis === 0
        ? pools.destroy()
        : Effect.andThen(
          Effect.timeoutOption(Effect.interruptible(pools.drain()), Duration.millis(shutdownMillis)),
          pools.destroy()
        )
    )
    return { dispatch: pools.dispatch, retire: pools.retire, connections: pools.connections }
  })

/**
 * {@link makeUndici} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUndici = (options?: UndiciOptions): Layer.Layer<AlternatorTransport, AlternatorError> =>
  Layer.effect(AlternatorTransport, makeUndici(options))

/**
 * Over the `HttpClient` that is provided. It decides on connections, TLS and proxies; a failure counts as `NotSent` only
 * when its code says that there was no connection.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttpClient: Layer.Layer<AlternatorTransport, never, HttpClient.HttpClient> = Layer.effect(
  AlternatorTransport,
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const run = yield* FiberSet.makeRuntime<never>()
    let closed = false
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
      })
    )
    const dispatch = dispatcher(client, run)
    return {
      dispatch: (request, handler) => {
        if (!closed) return dispatch(request, handler)
        handler.onFailure({ kind: "closed", sent: false, message: "the transport is closed", cause: undefined })
        return { sent: false, abort: () => {} }
      },
      retire: () => {},
      connections: () => new Map()
    }
  })
)
