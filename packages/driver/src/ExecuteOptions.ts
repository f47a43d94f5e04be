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
   * Whether doing it twice is the same as doing it once, so that it may be sent again after an attempt that may have been applied.
   * Default: what is certain by the statement's text (`Idempotence`), where the client stamps it: a repetition then writes the same at
   * the same time. Reads, and what was certainly not applied, are repeated whatever is said here.
   */
  readonly idempotent?: boolean | undefined
  /** For the whole request, all attempts included. Default 12 seconds, 65 seconds for schema changes and TRUNCATE. */
  readonly timeout?: Duration.Input | undefined
  /**
   * For one attempt of a read or of an idempotent write: after that another node is asked, as long as there is one; what may not
   * be repeated goes on waiting. Default: four times what the statement usually takes, from 500 ms (2 s while nothing is known of
   * it) to 5 s. `false`: an attempt may take all the time of the request.
   */
  readonly attemptTimeout?: Duration.Input | false | undefined
  /** Rows of a page. Default 5000. */
  readonly pageSize?: number | undefined
  readonly pagingState?: Uint8Array | null | undefined
  /**
   * How rows come: as objects by the columns' names (default), or as arrays in the order of the columns, which have every value where
   * two columns are of one name.
   */
  readonly rows?: "objects" | "arrays" | undefined
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
  /** What was said; `undefined`: the statement's text decides. */
  readonly idempotent: boolean | undefined
  readonly timeoutMillis: number
  readonly schemaTimeoutMillis: number
  /** Of one attempt; 0: what the statement usually takes decides, `Infinity`: there is no such time. */
  readonly attemptMillis: number
  readonly tracing: boolean
  readonly isSerial: boolean
  readonly rows: "objects" | "arrays"
  /** Whether they are likely to come again, so that frames for them are worth keeping. */
  readonly isKept: boolean
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

const attemptMillis = (timeout: Duration.Input | false | undefined): number | undefined => {
  if (timeout === undefined) return undefined
  if (timeout === false) return Infinity
  const duration = Duration.fromInput(timeout)
  const millis = duration._tag === "None" ? 0 : Duration.toMillis(duration.value)
  return millis > 0
    ? millis
    : wrong(`attemptTimeout: a duration above 0, such as "2 seconds", or false, got ${format(timeout)}`)
}

/** Throws `InvalidStatement`. @internal */
export const resolve = (defaults: Resolved, options: ExecuteOptions): Resolved => {
  const { pageSize } = options
  // Servers take 0 and less for "all rows at once".
  if (pageSize !== undefined && !(Number.isInteger(pageSize) && pageSize > 0 && pageSize <= MAX_PAGE)) {
    wrong(`pageSize: a whole number from 1 to ${MAX_PAGE}, got ${pageSize}`)
  }
  if (options.rows !== undefined && options.rows !== "objects" && options.rows !== "arrays") {
    wrong(`rows: "objects" or "arrays", got ${format(options.rows)}`)
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
    attemptMillis: attemptMillis(options.attemptTimeout) ?? defaults.attemptMillis,
    tracing: options.tracing ?? defaults.tracing,
    isSerial: consistency === "SERIAL" || consistency === "LOCAL_SERIAL",
    rows: options.rows ?? defaults.rows,
    isKept: !isPassing(options)
  }
}

/** Of one request: no other will have the same. */
const isPassing = ({ nowInSeconds, pagingState, timestamp }: ExecuteOptions): boolean =>
  pagingState !== undefined || timestamp !== undefined || nowInSeconds !== undefined

/** Distinct options that are remembered. */
const KEPT = 32

/**
 * Options filled in once for each distinct content, not for each request that has them: a literal at a call is another object each
 * time. A few distinct ones are what programs have, so they are compared in turn.
 *
 * @internal
 */
export class Resolver {
  readonly defaults: Resolved
  private readonly known: Array<{ readonly given: ExecuteOptions; readonly resolved: Resolved }> = []

  constructor(defaults: Resolved) {
    this.defaults = defaults
  }

  /** Throws `InvalidStatement`. */
  resolve(given: ExecuteOptions | null | undefined): Resolved {
    // Null comes from callers without types.
    if (given === undefined || given === null) return this.defaults
    const options = typeof given.timeout === "object" || typeof given.attemptTimeout === "object" ? plain(given) : given
    const { known } = this
    for (let i = 0; i < known.length; i++) if (isAlike(known[i]!.given, options)) return known[i]!.resolved
    const resolved = resolve(this.defaults, options)
    if (!resolved.isKept) return resolved
    if (known.length >= KEPT) known.pop()
    known.unshift({ given: { ...options }, resolved })
    return resolved
  }
}

/** With milliseconds for durations that are objects: those are compared by what they are worth. */
const plain = (options: ExecuteOptions): ExecuteOptions => ({
  ...options,
  timeout: timeoutMillis(options.timeout),
  attemptTimeout: attemptMillis(options.attemptTimeout)
})

/** Whether two are the same in everything that {@link resolve} reads. */
const isAlike = (a: ExecuteOptions, b: ExecuteOptions): boolean =>
  a.consistency === b.consistency &&
  a.idempotent === b.idempotent &&
  a.pageSize === b.pageSize &&
  a.timeout === b.timeout &&
  a.attemptTimeout === b.attemptTimeout &&
  a.serialConsistency === b.serialConsistency &&
  a.tracing === b.tracing &&
  a.rows === b.rows &&
  a.keyspace === b.keyspace &&
  !isPassing(b)

/** @internal */
export const timeoutOf = (options: Resolved, kind: StatementKind): number =>
  kind.type === "schema" ? options.schemaTimeoutMillis : options.timeoutMillis
