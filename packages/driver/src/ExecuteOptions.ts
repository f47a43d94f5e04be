/**
 * What may be said of a single execution.
 *
 * @since 0.1.0
 */
import type { Consistency, SerialConsistency } from "@effect-scylla/protocol/Consistency"
import type * as Request from "@effect-scylla/protocol/Request"
import * as Duration from "effect/Duration"
import { format } from "effect/Formatter"
import { InvalidStatement } from "./CqlError.ts"
import type { StatementKind } from "./StatementKind.ts"

/**
 * Everything is optional; what is left out is the client's default.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExecuteOptions {
  readonly consistency?: Consistency | undefined
  readonly serialConsistency?: SerialConsistency | undefined
  /**
   * Doing it twice is the same as doing it once, so it may be sent again after an attempt that may have been applied.
   * Default false: only reads, and what was certainly not applied, are repeated.
   */
  readonly idempotent?: boolean | undefined
  /** For the whole request, all attempts included. Default 12 seconds, 65 seconds for schema changes and TRUNCATE. */
  readonly timeout?: Duration.Input | undefined
  /** Rows of a page. Default 5000. */
  readonly pageSize?: number | undefined
  readonly pagingState?: Uint8Array | null | undefined
  /** Microseconds since 1970 that a write is stamped with. Default: now, never the same twice. */
  readonly timestamp?: bigint | undefined
  /** Asks the server for a trace; its id is in the result. */
  readonly tracing?: boolean | undefined
  /**
   * The keyspace of names without one, instead of the client's. A statement that is prepared already has its own: give it
   * to `prepare`. Needs protocol v5, which ScyllaDB does not speak; before that nothing is sent (`EncodeError`).
   */
  readonly keyspace?: string | undefined
  /**
   * What the servers take for now, in whole seconds since 1970: TTLs are reckoned from it. For repeatable tests and for
   * replays. Needs protocol v5, as `keyspace`.
   */
  readonly nowInSeconds?: number | undefined
}

/** {@link ExecuteOptions} with every default filled in. @internal */
export interface Resolved {
  /** All but the keyspace, which a prepared statement was given when it was prepared. */
  readonly request: Request.Options
  readonly keyspace: string | undefined
  readonly idempotent: boolean
  readonly timeoutMillis: number
  readonly schemaTimeoutMillis: number
  readonly tracing: boolean
  readonly isSerial: boolean
}

const MAX_PAGE = 2 ** 31 - 1

const wrong = (message: string): never => {
  throw new InvalidStatement({ message })
}

const timeoutMillis = (timeout: Duration.Input | undefined): number | undefined => {
  if (timeout === undefined) return undefined
  const duration = Duration.fromInput(timeout)
  const millis = duration._tag === "None" ? 0 : Duration.toMillis(duration.value)
  return millis > 0
    ? millis
    : wrong(`timeout: a duration above 0, such as "12 seconds", got ${format(timeout)}`)
}

/** Throws `InvalidStatement`. @internal */
export const resolve = (defaults: Resolved, options: ExecuteOptions | undefined): Resolved => {
  if (options === undefined) return defaults
  const { pageSize } = options
  // Servers take 0 and less for "all rows at once".
  if (pageSize !== undefined && !(Number.isInteger(pageSize) && pageSize > 0 && pageSize <= MAX_PAGE)) {
    wrong(`pageSize: a whole number from 1 to ${MAX_PAGE}, got ${pageSize}`)
  }
  const millis = timeoutMillis(options.timeout)
  const consistency = options.consistency ?? defaults.request.consistency
  return {
    request: {
      ...defaults.request,
      consistency,
      ...(options.serialConsistency === undefined ? {} : { serialConsistency: options.serialConsistency }),
      ...(pageSize === undefined ? {} : { pageSize }),
      ...(options.pagingState === undefined ? {} : { pagingState: options.pagingState }),
      ...(options.timestamp === undefined ? {} : { timestamp: options.timestamp }),
      ...(options.nowInSeconds === undefined ? {} : { nowInSeconds: options.nowInSeconds })
    },
    keyspace: options.keyspace ?? defaults.keyspace,
    idempotent: options.idempotent ?? defaults.idempotent,
    timeoutMillis: millis ?? defaults.timeoutMillis,
    schemaTimeoutMillis: millis ?? defaults.schemaTimeoutMillis,
    tracing: options.tracing ?? defaults.tracing,
    isSerial: consistency === "SERIAL" || consistency === "LOCAL_SERIAL"
  }
}

/** @internal */
export const timeoutOf = (options: Resolved, kind: StatementKind): number =>
  kind.type === "schema" ? options.schemaTimeoutMillis : options.timeoutMillis
