/**
 * What may be said of a single execution.
 *
 * @since 0.1.0
 */
import { type Consistency, isConsistency, type SerialConsistency } from "@effect-scylla/protocol/Consistency"
import type * as Request from "@effect-scylla/protocol/Request"
import type { RowMaker } from "@effect-scylla/protocol/RowShape"
import * as Duration from "effect/Duration"
import { format } from "effect/Formatter"
import type * as Balancing from "./Balancing.ts"
import { InvalidStatement } from "./CqlError.ts"
import { isBytes } from "./internal/bytes.ts"
import type { Series } from "./internal/series.ts"
import type * as RetryPolicy from "./RetryPolicy.ts"
import * as RoutingKey from "./RoutingKey.ts"
import * as Speculation from "./Speculation.ts"
import type { StatementKind } from "./StatementKind.ts"

/**
 * A node that a request is for, and no other.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  /** Of the cluster's snapshot: `cql.cluster().nodes`. */
  readonly hostId: string
  /** Default: the shard that owns the partition, where that is known; else any. */
  readonly shard?: number | undefined
}

/**
 * The forms of rows: see {@link ExecuteOptions}.
 *
 * @category models
 * @since 0.1.0
 */
export type RowForm = "objects" | "arrays" | "lazy" | "columns" | RowMaker<any>

/**
 * What a profile has for all requests that name it, in place of the client's defaults.
 *
 * @category models
 * @since 0.1.0
 */
export type Profile = Omit<
  ExecuteOptions,
  "customPayload" | "nowInSeconds" | "pagingState" | "profile" | "routingKey" | "target" | "timestamp"
>

/**
 * Everything is optional; what is left out is the profile's, else the client's default.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExecuteOptions {
  /** The name of one of the client's `profiles`. */
  readonly profile?: string | undefined
  /**
   * By which metrics, spans and the log of slow requests tell it from others: a name for the kind of request. Up to 500 distinct ones
   * are told apart.
   */
  readonly label?: string | undefined
  readonly consistency?: Consistency | undefined
  readonly serialConsistency?: SerialConsistency | undefined
  /**
   * Whether doing it twice is the same as doing it once, so that it may be sent again after an attempt that may have been applied.
   * Default: what is certain by the statement's text (`Idempotence`), where the client stamps it: a repetition then writes the same at
   * the same time. Reads, and what was certainly not applied, are repeated whatever is said here; counters never are.
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
   * How rows come: as objects by the columns' names (default); as arrays in the order of the columns, which have every value where
   * two columns are of one name; `lazy`, each value decoded when it is looked at; or `columns`, a page by its columns, numbers in typed
   * arrays, as the one element of `rows`.
   */
  readonly rows?: RowForm | undefined
  /** Microseconds since 1970 that a write is stamped with, or `"server"`: whoever coordinates it stamps it. Default: now, never the same twice. */
  readonly timestamp?: bigint | "server" | undefined
  /** Bytes for extensions of the server, by name. Needs protocol v4. What a server gives back is in the result. */
  readonly customPayload?: Readonly<Record<string, Uint8Array | null>> | undefined
  /** Asks this node, and no other. */
  readonly target?: Target | undefined
  /** The partition key, where it cannot be told from the statement. */
  readonly routingKey?: RoutingKey.RoutingKey | undefined
  /** Which nodes are asked, in which order. */
  readonly balancing?: Balancing.Policy | undefined
  /** What is done about attempts that fail. */
  readonly retry?: RetryPolicy.Policy | undefined
  /** When a second node is asked before the first one has answered. `false`: never. Default: the client's, which is never. */
  readonly speculation?: Speculation.Policy | false | undefined
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

/** How a request that does not go the default way is routed. @internal */
export interface Way {
  readonly target: Target | undefined
  readonly routingKey: RoutingKey.RoutingKey | undefined
  /** Of which the token is made. */
  readonly keyBytes: Uint8Array | undefined
  readonly balancing: Balancing.Policy | undefined
}

/** What a policy of retries means. @internal */
export interface Retrying {
  readonly policy: RetryPolicy.Policy | undefined
  /** Milliseconds; 0 for none. */
  readonly backoffBase: number
  readonly backoffCap: number
}

/** {@link ExecuteOptions} with every default filled in. @internal */
export interface Resolved {
  /** All but the keyspace, which a prepared statement was given when it was prepared. */
  readonly request: Request.Options
  /** Not stamped by this client, whatever it does with others. */
  readonly isServerStamped: boolean
  readonly keyspace: string | undefined
  /** What was said; `undefined`: the statement's text decides. */
  readonly idempotent: boolean | undefined
  readonly timeoutMillis: number
  readonly schemaTimeoutMillis: number
  /** Of one attempt; 0: what the statement usually takes decides, `Infinity`: there is no such time. */
  readonly attemptMillis: number
  readonly tracing: boolean
  readonly isSerial: boolean
  /** Its replicas may be asked in any order: not at a level at which the leader of a strongly consistent table is needed. */
  readonly isOne: boolean
  /** The level counts replicas of one datacenter. */
  readonly isLocal: boolean
  readonly profile: string | undefined
  readonly label: string | undefined
  readonly customPayload: ReadonlyMap<string, Uint8Array | null> | undefined
  /** `undefined`: the default way. */
  readonly way: Way | undefined
  readonly retry: Retrying
  readonly speculation: Speculation.Resolved | undefined
  /** Where it is counted. */
  readonly series: Series
  readonly rows: RowForm
  /** Whether they are likely to come again, so that frames for them are worth keeping. */
  readonly isKept: boolean
}

const MAX_PAGE = 2 ** 31 - 1
const FORMS: ReadonlySet<unknown> = new Set(["objects", "arrays", "lazy", "columns"])

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

/** Milliseconds of a backoff. */
const BACKOFF = { base: 20, cap: 1_000 }

const millisOf = (path: string, value: Duration.Input | undefined, fallback: number): number => {
  if (value === undefined) return fallback
  const duration = Duration.fromInput(value)
  return duration._tag === "Some" && Duration.toMillis(duration.value) >= 0
    ? Duration.toMillis(duration.value)
    : wrong(`${path}: a duration such as "20 millis", got ${format(value)}`)
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** Throws `InvalidStatement`. @internal */
export const retrying = (policy: RetryPolicy.Policy | undefined): Retrying => {
  if (policy === undefined) return { policy, backoffBase: BACKOFF.base, backoffCap: BACKOFF.cap }
  if (!isObject(policy)) wrong(`retry: a RetryPolicy.Policy, { decide } for example, got ${format(policy)}`)
  const { backoff, decide, maxAttempts } = policy
  if (decide !== undefined && typeof decide !== "function") {
    wrong(`retry.decide: a function of an attempt, got ${format(decide)}`)
  }
  if (maxAttempts !== undefined && !(Number.isInteger(maxAttempts) && maxAttempts >= 1)) {
    wrong(`retry.maxAttempts: a whole number from 1, got ${format(maxAttempts)}`)
  }
  if (backoff === false) return { policy, backoffBase: 0, backoffCap: 0 }
  return {
    policy,
    backoffBase: millisOf("retry.backoff.base", backoff?.base, BACKOFF.base),
    backoffCap: millisOf("retry.backoff.cap", backoff?.cap, BACKOFF.cap)
  }
}

/** Throws `InvalidStatement`. */
const wayOf = (defaults: Resolved, { balancing, routingKey, target }: ExecuteOptions): Way | undefined => {
  if (balancing === undefined && routingKey === undefined && target === undefined) return defaults.way
  if (balancing !== undefined && typeof balancing !== "function") {
    wrong(`balancing: a function of a request that gives nodes, got ${format(balancing)}`)
  }
  if (target !== undefined) {
    if (!isObject(target) || typeof target.hostId !== "string") {
      wrong(`target: { hostId } of a node of the cluster, got ${format(target)}`)
    }
    const { shard } = target
    if (shard !== undefined && !(Number.isInteger(shard) && shard >= 0)) {
      wrong(`target.shard: a whole number from 0, got ${format(shard)}`)
    }
  }
  const keyBytes = routingKey === undefined ? undefined : RoutingKey.bytesOf(routingKey)
  if (typeof keyBytes === "string") return wrong(keyBytes)
  return { target, routingKey, keyBytes, balancing: balancing ?? defaults.way?.balancing }
}

/** The same with a key that was found among the values. @internal */
export const withKey = (options: Resolved, parts: ReadonlyArray<Uint8Array> | undefined): Resolved => {
  if (parts === undefined) return options
  const routingKey: RoutingKey.RoutingKey = { key: parts }
  const keyBytes = RoutingKey.bytesOf(routingKey)
  return typeof keyBytes === "string"
    ? options
    : { ...options, way: { target: undefined, routingKey, keyBytes, balancing: undefined }, isKept: false }
}

const payloadOf = (given: ExecuteOptions["customPayload"]): ReadonlyMap<string, Uint8Array | null> | undefined => {
  if (given === undefined) return undefined
  if (!isObject(given)) return wrong(`customPayload: an object of bytes by name, got ${format(given)}`)
  for (const [name, bytes] of Object.entries(given)) {
    if (bytes !== null && !isBytes(bytes)) {
      wrong(`customPayload.${name}: bytes or null, got ${format(bytes)}`)
    }
  }
  return new Map(Object.entries(given))
}

const speculationOf = (defaults: Resolved, given: ExecuteOptions["speculation"]): Speculation.Resolved | undefined => {
  if (given === undefined) return defaults.speculation
  if (given === false) return undefined
  const resolved = Speculation.resolve(given)
  return typeof resolved === "string" ? wrong(resolved) : resolved
}

const labelOf = (given: string | undefined): string | undefined =>
  given === undefined || typeof given === "string" ? given : wrong(`label: a text, got ${format(given)}`)

/** What follows from a consistency level. @internal */
export const levelsOf = (consistency: Consistency): Pick<Resolved, "isLocal" | "isOne" | "isSerial"> => ({
  isSerial: consistency === "SERIAL" || consistency === "LOCAL_SERIAL",
  isOne: consistency === "ONE" || consistency === "LOCAL_ONE",
  isLocal: consistency.startsWith("LOCAL_")
})

/** Words and truth values: what is misspelt would be taken for something else. */
const checkWords = ({ consistency, idempotent, serialConsistency, tracing }: ExecuteOptions): void => {
  if (consistency !== undefined && !isConsistency(consistency)) {
    wrong(`consistency: a level such as "LOCAL_QUORUM", got ${format(consistency)}`)
  }
  if (serialConsistency !== undefined && serialConsistency !== "SERIAL" && serialConsistency !== "LOCAL_SERIAL") {
    wrong(`serialConsistency: "SERIAL" or "LOCAL_SERIAL", got ${format(serialConsistency)}`)
  }
  for (const [name, value] of [["idempotent", idempotent], ["tracing", tracing]] as const) {
    if (value !== undefined && typeof value !== "boolean") wrong(`${name}: true or false, got ${format(value)}`)
  }
}

/** Throws `InvalidStatement`. @internal */
export const resolve = (
  defaults: Resolved,
  options: ExecuteOptions,
  seriesOf: (profile: string | undefined, label: string | undefined) => Series
): Resolved => {
  const { pageSize } = options
  // Servers take 0 and less for "all rows at once".
  if (pageSize !== undefined && !(Number.isInteger(pageSize) && pageSize > 0 && pageSize <= MAX_PAGE)) {
    wrong(`pageSize: a whole number from 1 to ${MAX_PAGE}, got ${pageSize}`)
  }
  const isMaker = isObject(options.rows) && typeof options.rows.of === "function"
  if (options.rows !== undefined && !isMaker && !FORMS.has(options.rows)) {
    wrong(`rows: "objects", "arrays", "lazy" or "columns", got ${format(options.rows)}`)
  }
  checkWords(options)
  const millis = timeoutMillis(options.timeout)
  const consistency = options.consistency ?? defaults.request.consistency
  const label = labelOf(options.label) ?? defaults.label
  return {
    request: {
      ...defaults.request,
      consistency,
      ...(options.serialConsistency === undefined ? {} : { serialConsistency: options.serialConsistency }),
      ...(pageSize === undefined ? {} : { pageSize }),
      ...(options.pagingState === undefined ? {} : { pagingState: options.pagingState }),
      ...(options.timestamp === undefined || options.timestamp === "server" ? {} : { timestamp: options.timestamp }),
      ...(options.nowInSeconds === undefined ? {} : { nowInSeconds: options.nowInSeconds })
    },
    isServerStamped: options.timestamp === "server",
    keyspace: options.keyspace ?? defaults.keyspace,
    idempotent: options.idempotent ?? defaults.idempotent,
    timeoutMillis: millis ?? defaults.timeoutMillis,
    schemaTimeoutMillis: millis ?? defaults.schemaTimeoutMillis,
    attemptMillis: attemptMillis(options.attemptTimeout ?? options.retry?.attemptTimeout) ?? defaults.attemptMillis,
    tracing: options.tracing ?? defaults.tracing,
    ...levelsOf(consistency),
    profile: defaults.profile,
    label,
    customPayload: payloadOf(options.customPayload),
    way: wayOf(defaults, options),
    retry: options.retry === undefined ? defaults.retry : retrying(options.retry),
    speculation: speculationOf(defaults, options.speculation),
    series: seriesOf(defaults.profile, label),
    rows: options.rows ?? defaults.rows,
    isKept: !isPassing(options)
  }
}

const ONLY_OF_A_REQUEST = [
  "customPayload",
  "nowInSeconds",
  "pagingState",
  "profile",
  "routingKey",
  "target",
  "timestamp"
] as const

/** The defaults of requests that name this profile. Throws `InvalidStatement`. @internal */
export const profileOf = (
  defaults: Resolved,
  name: string,
  profile: Profile,
  seriesOf: (profile: string | undefined, label: string | undefined) => Series
): Resolved => {
  if (!isObject(profile)) return wrong(`an object of options, got ${format(profile)}`)
  const odd = ONLY_OF_A_REQUEST.find((option) => (profile as ExecuteOptions)[option] !== undefined)
  if (odd !== undefined) wrong(`${odd} is of a single request`)
  return resolve({ ...defaults, profile: name }, profile, seriesOf)
}

/** Of one request: no other will have the same. */
const isPassing = (
  { customPayload, nowInSeconds, pagingState, routingKey, target, timestamp }: ExecuteOptions
): boolean =>
  pagingState !== undefined || timestamp !== undefined || nowInSeconds !== undefined || customPayload !== undefined ||
  routingKey !== undefined || target !== undefined

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
  private readonly seriesOf: (profile: string | undefined, label: string | undefined) => Series
  private readonly profiles: ReadonlyMap<string, Resolver>

  constructor(
    defaults: Resolved,
    seriesOf: (profile: string | undefined, label: string | undefined) => Series,
    profiles: ReadonlyMap<string, Resolved> = new Map()
  ) {
    this.defaults = defaults
    this.seriesOf = seriesOf
    this.profiles = new Map([...profiles].map(([name, own]) => [name, new Resolver(own, seriesOf)]))
  }

  /** Throws `InvalidStatement`. */
  resolve(given: ExecuteOptions | null | undefined): Resolved {
    // Null comes from callers without types.
    if (given === undefined || given === null) return this.defaults
    if (given.profile !== undefined && given.profile !== this.defaults.profile) {
      const { profile, ...own } = given
      const resolver = this.profiles.get(profile)
      if (resolver !== undefined) return resolver.resolve(own)
      const names = [...this.profiles.keys()].join(", ") || "none"
      wrong(`there is no profile ${format(profile)}: the client has ${names}`)
    }
    const options = typeof given.timeout === "object" || typeof given.attemptTimeout === "object" ? plain(given) : given
    const { known } = this
    for (let i = 0; i < known.length; i++) {
      const found = known[i]!
      if (!isAlike(found.given, options)) continue
      // What is in use is kept from the end, where it is forgotten.
      if (i >= KEPT / 2) known.unshift(...known.splice(i, 1))
      return found.resolved
    }
    const resolved = resolve(this.defaults, options, this.seriesOf)
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

/** The same value, or objects of the same: a policy that is written at a call is another object each time. */
const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (Duration.isDuration(a)) return Duration.isDuration(b) && Duration.Equivalence(a, b)
  if (!isLiteral(a) || !isLiteral(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  for (const key of keys) if (!(key in b) || !isSame(a[key], b[key])) return false
  return true
}

const isLiteral = (value: unknown): value is Readonly<Record<string, unknown>> =>
  isObject(value) && Object.getPrototypeOf(value) === Object.prototype

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
  a.label === b.label &&
  a.balancing === b.balancing &&
  isSame(a.retry, b.retry) &&
  isSame(a.speculation, b.speculation) &&
  !isPassing(b)

/** @internal */
export const timeoutOf = (options: Resolved, kind: StatementKind): number =>
  kind.type === "schema" ? options.schemaTimeoutMillis : options.timeoutMillis
