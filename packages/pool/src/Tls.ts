/**
 * TLS whose certificates may change while the client runs.
 *
 * Everything that takes TLS options takes those of `node:tls` as they are; this is for certificates that are renewed, and
 * parses them once for all connections. Certificates are verified unless `rejectUnauthorized: false` says otherwise: against
 * the address that is dialled, or against `servername`, which is also sent (SNI), where certificates name a host instead.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs/promises"
import * as NodeTls from "node:tls"
import * as Background from "./Background.ts"

/**
 * Certificates or keys cannot be read or used.
 *
 * @category errors
 * @since 0.1.0
 */
export class TlsError extends Data.TaggedError("TlsError")<{ readonly message: string; readonly cause: unknown }> {}

/**
 * Options of `node:tls`, or certificates that may be renewed.
 *
 * @category models
 * @since 0.1.0
 */
export type Input = NodeTls.ConnectionOptions | Tls

/** What is in force. @internal */
export const current = (tls: Input): NodeTls.ConnectionOptions => tls instanceof Tls ? tls.options : tls

/**
 * TLS options in force; `options` is another object after a reload that has changed them.
 *
 * @category models
 * @since 0.1.0
 */
export class Tls {
  /** For dials from now on, parsed. */
  options: NodeTls.ConnectionOptions
  private readonly load: Effect.Effect<NodeTls.ConnectionOptions, TlsError>

  constructor(options: NodeTls.ConnectionOptions, load: Effect.Effect<NodeTls.ConnectionOptions, TlsError>) {
    this.options = options
    this.load = load
  }

  /** Reads the certificates again: for dials from now on. What is wrong leaves those in force that were. */
  get reload(): Effect.Effect<void, TlsError> {
    return Effect.map(this.load, (options) => {
      this.options = options
    })
  }
}

const parsed = (options: NodeTls.ConnectionOptions): Effect.Effect<NodeTls.ConnectionOptions, TlsError> =>
  Effect.try({
    try: () => ({ ...options, secureContext: NodeTls.createSecureContext(options) }),
    catch: (cause) => new TlsError({ message: `the certificate or key cannot be used: ${String(cause)}`, cause })
  })

/**
 * Loads options, and loads them anew every so often until the scope ends (`every`, default 1 hour). What cannot be loaded at
 * first is an error; later it is a warning, and what was loaded before stays.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  load: Effect.Effect<NodeTls.ConnectionOptions, TlsError>,
  options?: { readonly every?: Duration.Input | undefined }
): Effect.fn.Return<Tls, TlsError, Scope.Scope> {
  const both = Effect.flatMap(load, parsed)
  const tls = new Tls(yield* both, both)
  const attempt = Effect.catch(
    tls.reload,
    (error) => Effect.logWarning(`TLS goes on with the certificates that it has: ${error.message}`)
  )
  yield* Effect.forkScoped(
    Background.run(
      Effect.delay(Effect.repeat(attempt, Schedule.spaced(options?.every ?? "1 hour")), options?.every ?? "1 hour")
    )
  )
  return tls
})

/**
 * Options whose certificates are files in PEM, read each time that it is evaluated: for {@link make}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const files = (
  paths: { readonly ca?: string | undefined; readonly cert?: string | undefined; readonly key?: string | undefined },
  options?: NodeTls.ConnectionOptions
): Effect.Effect<NodeTls.ConnectionOptions, TlsError> => {
  const given = Object.entries(paths).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Effect.map(
    Effect.forEach(given, ([name, path]) =>
      Effect.tryPromise({
        try: async () => [name, await Fs.readFile(path, "utf8")] as const,
        catch: (cause) => new TlsError({ message: `cannot read ${name} of TLS: ${String(cause)}`, cause })
      })),
    (entries) => ({ ...options, ...Object.fromEntries(entries) })
  )
}
