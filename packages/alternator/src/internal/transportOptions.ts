/** Options of the transport over undici, checked all at once. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { Issues } from "./issues.ts"
import type { TlsOptions } from "./undici.ts"

/**
 * Options of the transport over undici.
 *
 * @category models
 * @since 0.1.0
 */
export interface UndiciOptions {
  /**
   * Connections to each node, at most. A connection serves one request at a time, and one shard of the server serves a
   * connection. Default: 128. Discovery and probes have one more.
   */
  readonly connections?: number | undefined
  /** Time to connect, TLS included. Default: 2 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** How long an idle connection is kept; ScyllaDB never closes one for being idle. Default: 60 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /** TLS sessions that are remembered, to resume them. Default: 100. */
  readonly cachedSessions?: number | undefined
  /** For `https` nodes. A function is asked at each dial: give another object and renewed certificates are used. */
  readonly tls?: TlsOptions | (() => TlsOptions) | undefined
  /** Goes around each dial to `host:port`, to limit how many there are at a time. */
  readonly dialGate?: (<A, E>(address: string, dial: Effect.Effect<A, E>) => Effect.Effect<A, E>) | undefined
  /** How long requests under way may take when the transport closes. Default: 2 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

/** The options as they are used; what is wrong with them is added to `issues`. */
export const check = (options: UndiciOptions, issues: Issues) => ({
  connections: issues.count("connections", options.connections, 128),
  connectMillis: issues.millis("connectTimeout", options.connectTimeout, "2 seconds", 1),
  idleMillis: issues.millis("idleTimeout", options.idleTimeout, "60 seconds", 1),
  cachedSessions: issues.count("cachedSessions", options.cachedSessions, 100, 0),
  shutdownMillis: issues.millis("shutdownTimeout", options.shutdownTimeout, "2 seconds", 0)
})

/** Checks them where they are an option of something else. */
export const checkNested = (options: UndiciOptions | undefined, issues: Issues): void => {
  const found = new Issues()
  check(options ?? {}, found)
  for (const { field, message } of found.list) issues.add(`transport.${field}`, message)
}
