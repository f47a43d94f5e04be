/**
 * The client's options, what they default to, and what is wrong with them.
 *
 * @since 0.1.0
 */
import * as Authenticator from "@effect-scylla/pool/Authenticator"
import type * as Handshake from "@effect-scylla/pool/Handshake"
import * as Limits from "@effect-scylla/pool/Limits"
import type * as NodePool from "@effect-scylla/pool/NodePool"
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import type * as Tls from "@effect-scylla/pool/Tls"
import * as Codec from "@effect-scylla/protocol/Codec"
import * as Consistency from "@effect-scylla/protocol/Consistency"
import * as Negotiation from "@effect-scylla/protocol/Negotiation"
import { NegotiationError } from "@effect-scylla/protocol/ProtocolError"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import * as SourcePort from "@effect-scylla/sharding/SourcePort"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { AddressTranslator } from "./AddressTranslator.ts"
import type * as Balancing from "./Balancing.ts"
import type { ClientRoutes } from "./ClientRoutes.ts"
import { CqlError, InvalidConfiguration, InvalidStatement } from "./CqlError.ts"
import { levelsOf, type Profile, profileOf, type Resolved, retrying } from "./ExecuteOptions.ts"
import type { Share } from "./internal/budget.ts"
import * as ContactPoints from "./internal/contactPoints.ts"
import type { Issue, Leaves } from "./internal/fromConfig.ts"
import { NAMES, unknownIn } from "./internal/optionNames.ts"
import { isOfServer } from "./internal/schema/model.ts"
import type * as RetryPolicy from "./RetryPolicy.ts"
import type { NodeFilter } from "./Snapshot.ts"
import * as Speculation from "./Speculation.ts"

/**
 * Only `contactPoints` is needed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Some nodes of the cluster, `host`, `host:port` or `[IPv6]:port`; names are resolved to all their addresses. */
  readonly contactPoints: ReadonlyArray<string>
  /** The port of contact points without one, and of all nodes found. Default 9042. */
  readonly port?: number | undefined
  /**
   * Where a node is to be dialled that cannot be reached where it says. The nodes that contact points lead to are dialled where those
   * led, so that one node behind a mapped port, a port-forward or a tunnel needs no translator.
   */
  readonly addressTranslator?: AddressTranslator | undefined
  /** Private links by which all nodes are reached, instead of `addressTranslator`. See `ClientRoutes`. */
  readonly clientRoutes?: ClientRoutes | undefined
  /** The datacenter whose nodes are asked. Default: the contact points' common one. */
  readonly localDatacenter?: string | undefined
  /**
   * Set on every connection. Case-sensitive, without quotes. It has to be there: for one that is made later, by migrations for
   * example, make it with a client that has none, or let this one wait (`waitForCluster`).
   */
  readonly keyspace?: string | undefined
  /** With `password`: sent by SASL PLAIN, and only to server classes of `allowedAuthenticators`. */
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted | undefined
  /** Server classes that may have the password. Default: `Authenticator.plainServers` of `@effect-scylla/pool`. */
  readonly allowedAuthenticators?: ReadonlyArray<string> | undefined
  /**
   * Another mechanism than name and password, instead of them. Default: the `Authenticator` of `@effect-scylla/pool` in the
   * context, if there is one.
   */
  readonly authenticator?: Authenticator.Authenticator | undefined
  /**
   * What to do where there are credentials and the servers ask for none: it may be the wrong cluster, or authentication was
   * never turned on. Default `"warn"`, once.
   */
  readonly onMissingChallenge?: "allow" | "warn" | "fail" | undefined
  /**
   * The name of the cluster. Contact points of another one are not used (`WrongNode`). Default: whatever the first contact
   * point says; control connections after that have to be to the same cluster.
   */
  readonly clusterName?: string | undefined
  /**
   * `true` for TLS with the system's certificates, options of `node:tls`, or a `Tls` of `@effect-scylla/pool`, whose
   * certificates may be renewed while the client runs. Certificates are verified by default.
   */
  readonly tls?: boolean | Tls.Input | undefined
  /**
   * Connections to each node of the local datacenter: `perShard` for each of its shards (default 1), or `perNode` whatever
   * their shard. Nodes of other datacenters have none. At most 64 for a shard, 1024 for a node.
   */
  readonly connections?: NodePool.Options["connections"]
  /**
   * Before a dial that follows a failed one or a lost connection: `base` (default 50 ms), doubled up to `cap` (10 s), and a
   * random part of that. Or a schedule, whose delays are taken as they are and whose input is the reason; where it ends, no
   * connection is dialled until the node is said to be up.
   */
  readonly reconnect?: Reconnect | undefined
  /** Requests under way on one connection; more of them wait. Default 1024, at most 32 766. */
  readonly maxInFlight?: number | undefined
  /**
   * Finds for each shard of each node how many requests it bears under way, `min` (default 4) to `maxInFlight`: more while it
   * answers as quickly as ever, fewer when it is overloaded, or answers `tolerance` times (default 2) slower. Default `false`:
   * always `maxInFlight`.
   */
  readonly adaptive?: NodePool.Options["adaptive"]
  /** Requests that may wait for room on the connections of one node; more fail with `ClientOverloaded`. Default 16 384. */
  readonly maxWaiting?: number | undefined
  /** The rack whose replicas are asked first. Default: racks do not matter. */
  readonly localRack?: string | undefined
  /**
   * Of the replicas of a partition: the less busy of two (default), by the requests under way on the core that owns it, or all of them
   * in turns (`"turns"`).
   */
  readonly replicas?: "lessBusy" | "turns" | undefined
  /** Where requests go instead of the default: see `Balancing`. Default: the `Balancing` in the context, if there is one. */
  readonly balancing?: Balancing.Policy | undefined
  /** Other datacenters that are asked when no node of the local one can be. Default: none. */
  readonly datacenterFailover?: Balancing.Failover | undefined
  /** Nodes for which it answers false are never dialled and never asked. */
  readonly hostFilter?: NodeFilter | undefined
  /** What is done about attempts that fail. Default: what certainly does no harm, see `RetryPolicy`. */
  readonly retry?: RetryPolicy.Policy | undefined
  /** Of repetitions beyond the first of a request. `false`: as many as there is time for. Default `{ share: 0.2, burst: 100 }`. */
  readonly retryBudget?: RetryPolicy.RetryBudget | false | undefined
  /** When a second node is asked before the first one has answered. Default: never. */
  readonly speculation?: Speculation.Policy | undefined
  /** How much is speculated at most. Default `{ share: 0.1, burst: 100 }`. */
  readonly speculationLimit?: Speculation.Limit | undefined
  /** Sets of options that a request can name: `{ reports: { consistency: "ONE", timeout: "2 minutes" } }`. */
  readonly profiles?: Readonly<Record<string, Profile>> | undefined
  /** What is known of tablets: see {@link Tablets}. */
  readonly tablets?: Tablets | undefined
  /**
   * When tables and types are read for `cql.schema`: `"lazy"` (default) when a keyspace is asked for, `"eager"` all of them when the client
   * connects, `false` never. What has been read is kept up to date. Routing needs nothing of it.
   */
  readonly schema?: "lazy" | "eager" | false | undefined
  /** The keyspaces that `cql.schema` knows: names, or a function of a name. Default: all; the servers' own only when they are asked for. */
  readonly schemaKeyspaces?: ReadonlyArray<string> | ((keyspace: string) => boolean) | undefined
  /** Requests that took longer are logged as warnings: see {@link SlowRequests}. Default: none. */
  readonly slowRequests?: SlowRequests | undefined
  /** With it, tokens of `toToken` cannot be made by anybody else. Default: they are bound to statement and values, not signed. */
  readonly pagingSecret?: Redacted.Redacted | undefined
  /** Default LOCAL_QUORUM. */
  readonly consistency?: Consistency.Consistency | undefined
  /** For conditional statements. Default LOCAL_SERIAL. */
  readonly serialConsistency?: Consistency.SerialConsistency | undefined
  /** For a whole request, all attempts included. Default 12 seconds: servers give up at 10. */
  readonly requestTimeout?: Duration.Input | undefined
  /** For schema changes and TRUNCATE. Default 65 seconds. */
  readonly schemaTimeout?: Duration.Input | undefined
  /**
   * For one attempt of a read or of an idempotent write: after that another node is asked, as long as there is one; what may not
   * be repeated goes on waiting. Default: four times what the statement usually takes, from 500 ms (2 s while nothing is known of
   * it) to 5 s. `false`: an attempt may take all the time of the request.
   */
  readonly attemptTimeout?: Duration.Input | false | undefined
  /**
   * How long to wait for a cluster that is not there yet, or for the `keyspace` to be made: the contact points are tried again and
   * again. Wrong options and wrong credentials fail at once all the same. Default: not at all.
   */
  readonly waitForCluster?: Duration.Input | undefined
  /**
   * How long a change of the schema waits until all nodes that are up have it, and not longer than its request may take. Where they do
   * not, a warning and the result's `schemaAgreement` say which. `false`: it does not wait. Default 10 seconds, as with Java.
   */
  readonly schemaAgreementTimeout?: Duration.Input | false | undefined
  /**
   * The cluster is read again after about this time (a quarter more or less, so that clients do not do so together), although no event
   * said that anything has changed. Default 1 minute, as with Rust. `false`: only when something seems to have changed.
   */
  readonly refreshInterval?: Duration.Input | false | undefined
  /** For a dial. Default 5 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** For the handshake after it. Default 5 seconds. */
  readonly handshakeTimeout?: Duration.Input | undefined
  /** How long a connection may be silent before its node is asked whether it lives. Default 30 seconds. */
  readonly heartbeatInterval?: Duration.Input | undefined
  /** How long requests in flight hold up the end of the client. Default 5 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Rows of a page. Default 5000. */
  readonly pageSize?: number | undefined
  /** Rows that a statement which is read as a whole may have. Default 1 000 000; use `stream` for more. */
  readonly maxRows?: number | undefined
  /** Who stamps writes: this process (default), or the server. */
  readonly timestamps?: "client" | "server" | undefined
  /** How values appear: `uuid` as the `Uuid` class (default) or as strings, `timestamp` as `Date` (default) or as milliseconds. */
  readonly codec?: Codec.CodecOptions | undefined
  /** Prepared statements that are remembered. Default 1000. */
  readonly maxPrepared?: number | undefined
  /** Bytes of their texts and metadata, about. Default 16 MiB. */
  readonly maxPreparedBytes?: number | undefined
  /**
   * Whether a statement that one node has prepared is prepared on the others in the background, and all of them on a node that comes
   * back, instead of when a request gets there. Default true.
   */
  readonly prepareEverywhere?: boolean | undefined
  /** `false` never dials ScyllaDB's shard-aware port. */
  readonly shardAwarePort?: boolean | undefined
  /**
   * Local ports from which the shard-aware port is dialled, both ends included. Default 49152 to 65535. Workers and processes
   * of one host should have shares of their own: `SourcePort.share` of `@effect-scylla/sharding`.
   */
  readonly localPorts?: SourcePort.PortRange | undefined
  /**
   * The version of the native protocol. `"auto"` (default) takes the highest that both sides speak, for the whole cluster: v5
   * of Apache Cassandra since 4.0, v4 of ScyllaDB and older Cassandra, v3 at worst. With a number, servers that do not speak
   * it are not used.
   */
  readonly protocolVersion?: "auto" | 3 | 4 | 5 | undefined
  /**
   * How requests and results are compressed, where the server offers it. Default `"none"`: 4.6 KiB of rows take one side 7 µs
   * to pack and the other 2 µs to unpack (`npm run bench -- protocol`), and 4 µs to cross a network of 10 Gbit/s as they are;
   * results of a few rows hardly shrink. Worth it on slow or metered networks. `"lz4"` is the one to take. v5 has no Snappy:
   * with `"snappy"` v4 is the highest version that is agreed on, and together with `protocolVersion: 5` it is an error.
   */
  readonly compression?: "none" | "lz4" | "snappy" | undefined
  /** Shown in the servers' lists of clients. */
  readonly applicationName?: string | undefined
  readonly applicationVersion?: string | undefined
  /**
   * CLIENT_ID of all connections, by which servers' lists of clients show what belongs together. Default: random, for each
   * client another one.
   */
  readonly clientId?: string | undefined
}

/**
 * How tables of tablets are routed. Servers tell of a tablet when a request for it went the wrong way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tablets {
  /** Reads `system.tablets` when the client connects and when the topology changes, so that nothing has to be learnt. Default false. */
  readonly warmUp?: boolean | undefined
  /** `false` never asks for version 2 of the extension, which also knows the leaders of strongly consistent tables. Default true. */
  readonly v2?: boolean | undefined
}

/**
 * Which requests are logged: node, shard, attempts and durations, without values.
 *
 * @category models
 * @since 0.1.0
 */
export interface SlowRequests {
  readonly threshold: Duration.Input
  /** Lines a second; more are counted, and the next line says how many there were. Default 10. */
  readonly perSecond?: number | undefined
}

/**
 * When lost connections are dialled again: see {@link Options}.
 *
 * @category models
 * @since 0.1.0
 */
export type Reconnect =
  | { readonly base?: Duration.Input | undefined; readonly cap?: Duration.Input | undefined }
  | Schedule.Schedule<unknown, PoolReason>

/** @internal */
export interface Checked {
  readonly contactPoints: ReadonlyArray<ContactPoints.ContactPoint>
  readonly port: number
  /** What connections have in common, but for what is made anew for each client. */
  readonly session: Omit<Handshake.Session, "ticker" | "versions">
  readonly pool: Pick<
    NodePool.Options,
    | "adaptive"
    | "connections"
    | "localPorts"
    | "maxWaiting"
    | "reconnect"
    | "shardAwarePort"
    | "shutdownTimeout"
    | "tls"
  >
  readonly clusterName: string | undefined
  /** But for where requests are counted. */
  readonly defaults: Resolved
  readonly maxRows: number
  readonly maxPrepared: number
  readonly maxPreparedBytes: number
  readonly waitMillis: number
  readonly agreementMillis: number | undefined
  readonly refreshMillis: number | undefined
  readonly failover: Balancing.CheckedFailover | undefined
  readonly retryBudget: Share | undefined
  readonly speculationBudget: Share
  readonly slow: { readonly millis: number; readonly perSecond: number } | undefined
  /** Which keyspaces the schema may know, and which are all of them; `undefined` where it is not read. */
  readonly schema: SchemaScope | undefined
}

/** @internal */
export interface SchemaScope {
  readonly isEager: boolean
  readonly allows: (keyspace: string) => boolean
  readonly wants: (keyspace: string) => boolean
}

/** A value as a message shows it: a string has quotes and says so, or `"9042"` would look like 9042. */
const show = (value: unknown): string =>
  typeof value === "string" ? `the string ${JSON.stringify(value)}` : format(value)

/** One error of all that is wrong. @internal */
export const invalid = (issues: ReadonlyArray<Issue>): CqlError =>
  new CqlError({
    reason: new InvalidConfiguration({
      message: `the client's options are wrong: ${issues.map(({ message, path }) => `${path}: ${message}`).join("; ")}`,
      issues
    }),
    attempts: []
  })

const VERSIONS: ReadonlySet<unknown> = new Set([undefined, "auto", 3, 4, 5])
const MISSING: ReadonlySet<unknown> = new Set([undefined, "allow", "warn", "fail"])
const COMPRESSIONS: ReadonlySet<unknown> = new Set([undefined, "none", "lz4", "snappy"])

/** What connections ask for. Metadata ids wherever there are any: results come without their metadata then. */
const wishesOf = (
  { compression = "none", protocolVersion, tablets }: Options,
  issue: (path: string, message: string) => void
): Negotiation.Wishes => {
  const isVersion = VERSIONS.has(protocolVersion)
  if (!isVersion) issue("protocolVersion", `"auto", 3, 4 or 5, got ${format(protocolVersion)}`)
  const isCompression = COMPRESSIONS.has(compression)
  if (!isCompression) issue("compression", `"none", "lz4" or "snappy", got ${format(compression)}`)
  const wishes = {
    version: protocolVersion === "auto" ? undefined : protocolVersion,
    compression,
    metadataIds: true,
    tablets: tablets?.v2 === false ? "v1" : "v2"
  } as const
  if (!isVersion || !isCompression) return wishes
  try {
    Negotiation.check(wishes)
  } catch (error) {
    if (!(error instanceof NegotiationError)) throw error
    issue("compression", error.message)
  }
  return wishes
}

type Report = (path: string, message: string) => void

/** How this client proves who it is. */
const authenticationOf = (
  options: Options,
  issue: Report
): Pick<Handshake.Session, "authenticator" | "onMissingChallenge"> => {
  const { allowedAuthenticators: allowed, authenticator, onMissingChallenge, password, username } = options
  if ((username === undefined) !== (password === undefined)) {
    issue(username === undefined ? "username" : "password", "user name and password go together")
  }
  const isRedacted = password === undefined || Redacted.isRedacted(password)
  if (!isRedacted) issue("password", "Redacted.make(…) of `effect`, so that it is never shown")
  if (authenticator !== undefined && typeof authenticator?.begin !== "function") {
    issue("authenticator", "an Authenticator of @effect-scylla/pool, such as Authenticator.plain(…)")
  } else if (authenticator !== undefined && username !== undefined) {
    issue("authenticator", "this, or user name and password: not both")
  }
  if (
    allowed !== undefined &&
    (!Array.isArray(allowed) || allowed.length === 0 || allowed.some((name) => typeof name !== "string" || name === ""))
  ) {
    issue("allowedAuthenticators", "at least one server class, such as org.apache.cassandra.auth.PasswordAuthenticator")
  } else if (allowed !== undefined && username === undefined) {
    issue("allowedAuthenticators", "goes with user name and password; an authenticator decides for itself")
  }
  if (!MISSING.has(onMissingChallenge)) {
    issue("onMissingChallenge", `"allow", "warn" or "fail", got ${format(onMissingChallenge)}`)
  }
  return {
    authenticator: username === undefined || password === undefined || !isRedacted
      ? authenticator
      : Authenticator.plain({ username, password }, { allowed }),
    onMissingChallenge
  }
}

/** Other datacenters. */
const failoverOf = (
  given: Balancing.Failover | undefined,
  issue: Report
): Balancing.CheckedFailover | undefined => {
  if (given === undefined) return undefined
  const { connections = 1, datacenters, localConsistency = false, nodes = 2 } = given ?? {}
  const isList = Array.isArray(datacenters) && datacenters.length > 0 &&
    datacenters.every((name) => typeof name === "string" && name !== "")
  if (!isList) {
    issue("datacenterFailover.datacenters", `at least one name of a datacenter, got ${format(datacenters)}`)
  }
  for (const [path, value, most] of [["nodes", nodes, 1_000], ["connections", connections, 64]] as const) {
    if (Number.isInteger(value) && value >= 1 && value <= most) continue
    issue(`datacenterFailover.${path}`, `a whole number from 1 to ${most}, got ${format(value)}`)
  }
  return { datacenters, nodes, localConsistency, connections }
}

/** How many connections a node has. */
const connectionsOf = (given: Options["connections"], issue: Report): NodePool.Options["connections"] => {
  if (given === undefined) return { perShard: 1 }
  const entries = Object.entries(given ?? {})
  const [[name, count] = ["", 0]] = entries
  const most = name === "perShard" ? 64 : name === "perNode" ? 1024 : 0
  if (entries.length !== 1 || !Number.isInteger(count) || count < 1 || count > most) {
    issue("connections", `{ perShard: 1 to 64 } or { perNode: 1 to 1024 }, got ${format(given)}`)
  }
  return given
}

/** What is read of the schema, and when. */
const schemaOf = ({ schema = "lazy", schemaKeyspaces: given }: Options, issue: Report): SchemaScope | undefined => {
  if (schema !== "lazy" && schema !== "eager" && schema !== false) {
    issue("schema", `"lazy", "eager" or false, got ${format(schema)}`)
  }
  const isList = Array.isArray(given) && given.every((name) => typeof name === "string" && name !== "")
  if (given !== undefined && typeof given !== "function" && !isList) {
    issue("schemaKeyspaces", `names of keyspaces, or a function of a name, got ${format(given)}`)
  }
  if (schema === false) return undefined
  const isEager = schema === "eager"
  if (given === undefined) return { isEager, allows: () => true, wants: (name) => !isOfServer(name) }
  const names = new Set(isList ? given : [])
  const allows = typeof given === "function" ? given : (name: string): boolean => names.has(name)
  return { isEager, allows, wants: allows }
}

const adaptiveOf = (given: Options["adaptive"], issue: Report): Options["adaptive"] => {
  if (given === undefined || typeof given === "boolean") return given
  const { min = 4, tolerance = 2 } = given ?? {}
  if (typeof given !== "object" || given === null || !(Number.isInteger(min) && min >= 1 && min <= 32_766)) {
    issue("adaptive", `true, false or { min: 1 to 32766, tolerance: above 1 }, got ${format(given)}`)
  } else if (!(Number.isFinite(tolerance) && tolerance > 1)) {
    issue("adaptive.tolerance", `a number above 1, got ${tolerance}`)
  }
  return given
}

/** Checks everything and names every wrong field at once. @internal */
export const check = (given: Options): Effect.Effect<Checked, CqlError> => {
  const { checked, issues } = examine(given)
  return issues.length === 0 ? Effect.succeed(checked) : Effect.fail(invalid(issues))
}

/** Of each option the name. */
const ALL: Readonly<Record<keyof Options, boolean>> = NAMES

/** The options as checked, and all that is wrong with them. @internal */
export const examine = (given: Options): { readonly checked: Checked; readonly issues: ReadonlyArray<Issue> } => {
  // Of callers without types; what is missing is named below.
  const options = (given ?? {}) as Options
  const issues: Array<Issue> = []
  const issue = (path: string, message: string): void => {
    issues.push({ path, message })
  }
  const whole = (path: string, value: number | undefined, fallback: number, min: number, max: number): number => {
    if (value === undefined) return fallback
    if (!Number.isInteger(value) || value < min || value > max) {
      issue(path, `a whole number from ${min} to ${max}, got ${show(value)}`)
    }
    return value
  }
  const millis = (path: string, value: Duration.Input | undefined, fallback: number): number => {
    if (value === undefined) return fallback
    const duration = Duration.fromInput(value)
    if (duration._tag === "None") {
      issue(path, `a duration such as "12 seconds", got ${format(value)}`)
      return fallback
    }
    return Math.min(Duration.toMillis(duration.value), 2_000_000_000)
  }
  /** Of what cannot be done in no time. */
  const timeout = (path: string, value: Duration.Input | undefined, fallback: number): number => {
    const found = millis(path, value, fallback)
    if (found <= 0) issue(path, `a duration above 0, got ${format(value)}`)
    return found
  }
  const port = whole("port", options.port, 9042, 1, 65_535)
  const contactPoints: Array<ContactPoints.ContactPoint> = []
  for (const { message, path } of unknownIn(options, ALL)) issue(path, message)
  if (!Array.isArray(options.contactPoints) || options.contactPoints.length === 0) {
    issue("contactPoints", 'at least one address of a node, such as "127.0.0.1:9042"')
  } else {
    for (const [i, given] of options.contactPoints.entries()) {
      const parsed = ContactPoints.parse(String(given), port >= 1 && port <= 65_535 ? port : 9042)
      if (typeof parsed === "string") issue(`contactPoints[${i}]`, parsed)
      else contactPoints.push(parsed)
    }
  }
  const consistency = options.consistency ?? "LOCAL_QUORUM"
  if (!Consistency.isConsistency(consistency)) issue("consistency", `unknown level ${format(consistency)}`)
  const serialConsistency = options.serialConsistency ?? "LOCAL_SERIAL"
  if (serialConsistency !== "SERIAL" && serialConsistency !== "LOCAL_SERIAL") {
    issue("serialConsistency", `SERIAL or LOCAL_SERIAL, got ${format(serialConsistency)}`)
  }
  if (options.timestamps !== undefined && options.timestamps !== "client" && options.timestamps !== "server") {
    issue("timestamps", `"client" or "server", got ${format(options.timestamps)}`)
  }
  for (const name of ["keyspace", "clusterName", "clientId"] as const) {
    if (options[name] === "") issue(name, "a name, or leave it out")
  }
  const { localPorts, reconnect, tls } = options
  if (localPorts !== undefined && SourcePort.share(0, 1, localPorts) === undefined) {
    issue("localPorts", `{ from, to } with from 1 to 65535 and to not below it, got ${format(localPorts)}`)
  }
  if (tls !== undefined && typeof tls !== "boolean" && (typeof tls !== "object" || tls === null)) {
    issue("tls", `true, false, options of node:tls or a Tls, got ${format(tls)}`)
  }
  const delays = Schedule.isSchedule(reconnect) ? reconnect : {
    base: millis("reconnect.base", reconnect?.base, 50),
    cap: millis("reconnect.cap", reconnect?.cap, 10_000)
  }
  if ("base" in delays && delays.base > delays.cap) {
    issue("reconnect.cap", `at least the base, ${delays.base} ms, got ${delays.cap} ms`)
  }
  if (options.clientRoutes !== undefined) {
    const { connectionIds, table } = options.clientRoutes
    const isList = Array.isArray(connectionIds) && connectionIds.length > 0
    if (!isList || connectionIds.some((id: unknown) => typeof id !== "string")) {
      issue("clientRoutes.connectionIds", `a list of ids of links, got ${format(connectionIds)}`)
    }
    if (table !== undefined && !/^\w+\.\w+$/.test(table)) {
      issue("clientRoutes.table", `keyspace.table, got ${format(table)}`)
    }
    if (options.addressTranslator !== undefined) {
      issue("addressTranslator", "goes not together with clientRoutes: either leads to all nodes")
    }
  }
  if (options.addressTranslator !== undefined && typeof options.addressTranslator !== "function") {
    issue("addressTranslator", `a function of a node, got ${format(options.addressTranslator)}`)
  }
  if (options.codec !== undefined) {
    for (const { message, path } of Codec.check(options.codec)) issue(path === "" ? "codec" : `codec.${path}`, message)
  }
  if (options.replicas !== undefined && options.replicas !== "lessBusy" && options.replicas !== "turns") {
    issue("replicas", `"lessBusy" or "turns", got ${format(options.replicas)}`)
  }
  for (const name of ["balancing", "hostFilter"] as const) {
    const given = options[name]
    if (given !== undefined && typeof given !== "function") issue(name, `a function, got ${format(given)}`)
  }
  const { pagingSecret } = options
  if (pagingSecret !== undefined && !Redacted.isRedacted(pagingSecret)) {
    issue("pagingSecret", "Redacted.make(…) of `effect`, so that it is never shown")
  }
  const share = (name: string, given: RetryPolicy.RetryBudget | undefined, usual: number): Share => {
    const { burst = 100, share = usual } = given ?? {}
    if (!(typeof share === "number" && share >= 0 && share <= 10)) {
      issue(`${name}.share`, `a number from 0 to 10, got ${format(share)}`)
    }
    const most = whole(`${name}.burst`, burst, 100, 0, 1_000_000)
    return { share, first: most, most }
  }
  const slow = options.slowRequests === undefined ? undefined : {
    millis: timeout("slowRequests.threshold", options.slowRequests.threshold, 1_000),
    perSecond: whole("slowRequests.perSecond", options.slowRequests.perSecond, 10, 1, 10_000)
  }
  const invalidTo = <A>(path: string, make: () => A): A | undefined => {
    try {
      return make()
    } catch (error) {
      if (!(error instanceof InvalidStatement)) throw error
      issue(path, error.message)
      return undefined
    }
  }
  const attempt = options.attemptTimeout ?? options.retry?.attemptTimeout
  const speculation = options.speculation === undefined ? undefined : Speculation.resolve(options.speculation)
  if (typeof speculation === "string") issue("speculation", speculation)
  const checked: Checked = {
    contactPoints,
    port,
    clusterName: options.clusterName,
    session: {
      ...authenticationOf(options, issue),
      keyspace: options.keyspace,
      wishes: wishesOf(options, issue),
      clientId: options.clientId ?? Uuid.random().toString(),
      sessionId: Uuid.random().toString(),
      startup: {
        ...(options.applicationName === undefined ? {} : { APPLICATION_NAME: options.applicationName }),
        ...(options.applicationVersion === undefined ? {} : { APPLICATION_VERSION: options.applicationVersion })
      },
      connectTimeout: timeout("connectTimeout", options.connectTimeout, 5_000),
      handshakeTimeout: timeout("handshakeTimeout", options.handshakeTimeout, 5_000),
      limits: {
        maxInFlight: whole("maxInFlight", options.maxInFlight, Limits.defaults.maxInFlight, 1, 32_766),
        heartbeatInterval: timeout("heartbeatInterval", options.heartbeatInterval, Limits.defaults.heartbeatInterval)
      }
    },
    pool: {
      tls: tls === true ? {} : tls === false ? undefined : tls,
      connections: connectionsOf(options.connections, issue),
      adaptive: adaptiveOf(options.adaptive, issue),
      maxWaiting: whole("maxWaiting", options.maxWaiting, 16_384, 1, 1_000_000),
      reconnect: delays,
      shardAwarePort: options.shardAwarePort,
      localPorts: options.localPorts,
      shutdownTimeout: millis("shutdownTimeout", options.shutdownTimeout, 5_000)
    },
    defaults: {
      request: {
        consistency,
        serialConsistency,
        pageSize: whole("pageSize", options.pageSize, 5_000, 1, 2 ** 31 - 1)
      },
      isServerStamped: false,
      keyspace: undefined,
      idempotent: undefined,
      ...levelsOf(Consistency.isConsistency(consistency) ? consistency : "LOCAL_QUORUM"),
      profile: undefined,
      label: undefined,
      customPayload: undefined,
      way: options.balancing === undefined
        ? undefined
        : { target: undefined, routingKey: undefined, keyBytes: undefined, balancing: options.balancing },
      retry: invalidTo("retry", () => retrying(options.retry)) ?? retrying(undefined),
      speculation: typeof speculation === "string" ? undefined : speculation,
      // Given by the client, which knows where to.
      series: undefined!,
      timeoutMillis: timeout("requestTimeout", options.requestTimeout, 12_000),
      schemaTimeoutMillis: timeout("schemaTimeout", options.schemaTimeout, 65_000),
      attemptMillis: attempt === false ? Infinity : attempt === undefined ? 0 : timeout("attemptTimeout", attempt, 0),
      tracing: false,
      rows: "objects",
      isKept: true
    },
    maxRows: whole("maxRows", options.maxRows, 1_000_000, 1, 2 ** 31 - 1),
    waitMillis: millis("waitForCluster", options.waitForCluster, 0),
    agreementMillis: options.schemaAgreementTimeout === false
      ? undefined
      : millis("schemaAgreementTimeout", options.schemaAgreementTimeout, 10_000),
    refreshMillis: options.refreshInterval === false
      ? undefined
      : timeout("refreshInterval", options.refreshInterval, 60_000),
    maxPrepared: whole("maxPrepared", options.maxPrepared, 1_000, 1, 1_000_000),
    maxPreparedBytes: whole("maxPreparedBytes", options.maxPreparedBytes, 2 ** 24, 1_024, 2 ** 40),
    failover: failoverOf(options.datacenterFailover, issue),
    retryBudget: options.retryBudget === false ? undefined : share("retryBudget", options.retryBudget, 0.2),
    speculationBudget: share("speculationLimit", options.speculationLimit, 0.1),
    slow,
    schema: schemaOf(options, issue)
  }
  for (const [name, profile] of Object.entries(options.profiles ?? {})) {
    invalidTo(`profiles.${name}`, () => profileOf(checked.defaults, name, profile, () => undefined!))
  }
  return { checked, issues }
}

/**
 * Options of which every field may be a `Config`. What is not given is read by its name: `CQL_CONTACT_POINTS` (a list),
 * `CQL_DATACENTER`, `CQL_KEYSPACE`, `CQL_USERNAME`, `CQL_PASSWORD` and others, in the table of the README.
 *
 * @category models
 * @since 0.1.0
 */
export type FromConfig = Partial<Leaves<Options>>
