/**
 * The client's options, what they default to, and what is wrong with them.
 *
 * @since 0.1.0
 */
import type { CodecOptions } from "@effect-scylla/protocol/Codec"
import * as Consistency from "@effect-scylla/protocol/Consistency"
import * as Negotiation from "@effect-scylla/protocol/Negotiation"
import { NegotiationError } from "@effect-scylla/protocol/ProtocolError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { ConnectionOptions } from "node:tls"
import { CqlError, InvalidConfiguration } from "./CqlError.ts"
import type { Resolved } from "./ExecuteOptions.ts"
import { type Issue, type Leaves, readLeaves } from "./internal/configLeaves.ts"
import * as ContactPoints from "./internal/contactPoints.ts"

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
  /** The datacenter whose nodes are asked. Default: the contact points' common one. */
  readonly localDatacenter?: string | undefined
  /** Set on every connection. Case-sensitive, without quotes. */
  readonly keyspace?: string | undefined
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted | undefined
  /** `true` for TLS with the system's certificates, or options of `node:tls`. Certificates are verified by default. */
  readonly tls?: boolean | ConnectionOptions | undefined
  /** Default LOCAL_QUORUM. */
  readonly consistency?: Consistency.Consistency | undefined
  /** For conditional statements. Default LOCAL_SERIAL. */
  readonly serialConsistency?: Consistency.SerialConsistency | undefined
  /** For a whole request, all attempts included. Default 12 seconds: servers give up at 10. */
  readonly requestTimeout?: Duration.Input | undefined
  /** For schema changes and TRUNCATE. Default 65 seconds. */
  readonly schemaTimeout?: Duration.Input | undefined
  /** For a dial. Default 5 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** For the handshake after it. Default 5 seconds. */
  readonly handshakeTimeout?: Duration.Input | undefined
  /** How long requests in flight hold up the end of the client. Default 5 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Rows of a page. Default 5000. */
  readonly pageSize?: number | undefined
  /** Rows that a statement which is read as a whole may have. Default 1 000 000; use `stream` for more. */
  readonly maxRows?: number | undefined
  /** Who stamps writes: this process (default), or the server. */
  readonly timestamps?: "client" | "server" | undefined
  /** How values appear: `uuid` as the `Uuid` class (default) or as strings, `timestamp` as `Date` (default) or as milliseconds. */
  readonly codec?: CodecOptions | undefined
  /** Prepared statements that are remembered. Default 1000. */
  readonly maxPrepared?: number | undefined
  /** `false` never dials ScyllaDB's shard-aware port. */
  readonly shardAwarePort?: boolean | undefined
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
}

/** @internal */
export interface Checked {
  readonly contactPoints: ReadonlyArray<ContactPoints.ContactPoint>
  readonly credentials: { readonly username: string; readonly password: Redacted.Redacted } | undefined
  readonly tls: ConnectionOptions | undefined
  readonly connectTimeout: number
  readonly handshakeTimeout: number
  readonly shutdownTimeout: number
  readonly defaults: Resolved
  readonly maxRows: number
  readonly maxPrepared: number
  readonly startup: Record<string, string>
  readonly wishes: Negotiation.Wishes
}

const invalid = (issues: ReadonlyArray<Issue>): CqlError =>
  new CqlError({
    reason: new InvalidConfiguration({
      message: `the client's options are wrong: ${issues.map(({ message, path }) => `${path}: ${message}`).join("; ")}`,
      issues
    }),
    attempts: []
  })

const VERSIONS: ReadonlySet<unknown> = new Set([undefined, "auto", 3, 4, 5])
const COMPRESSIONS: ReadonlySet<unknown> = new Set([undefined, "none", "lz4", "snappy"])

/** What connections ask for. Metadata ids wherever there are any: results come without their metadata then. */
const wishesOf = (
  { compression = "none", protocolVersion }: Options,
  issue: (path: string, message: string) => void
): Negotiation.Wishes => {
  const isVersion = VERSIONS.has(protocolVersion)
  if (!isVersion) issue("protocolVersion", `"auto", 3, 4 or 5, got ${JSON.stringify(protocolVersion)}`)
  const isCompression = COMPRESSIONS.has(compression)
  if (!isCompression) issue("compression", `"none", "lz4" or "snappy", got ${JSON.stringify(compression)}`)
  const wishes = {
    version: protocolVersion === "auto" ? undefined : protocolVersion,
    compression,
    metadataIds: true
  }
  if (!isVersion || !isCompression) return wishes
  try {
    Negotiation.check(wishes)
  } catch (error) {
    if (!(error instanceof NegotiationError)) throw error
    issue("compression", error.message)
  }
  return wishes
}

/** Checks everything and names every wrong field at once. @internal */
export const check = (options: Options): Effect.Effect<Checked, CqlError> => {
  const issues: Array<Issue> = []
  const issue = (path: string, message: string): void => {
    issues.push({ path, message })
  }
  const whole = (path: string, value: number | undefined, fallback: number, min: number, max: number): number => {
    if (value === undefined) return fallback
    if (!Number.isInteger(value) || value < min || value > max) {
      issue(path, `a whole number from ${min} to ${max}, got ${value}`)
    }
    return value
  }
  const millis = (path: string, value: Duration.Input | undefined, fallback: number): number => {
    if (value === undefined) return fallback
    const duration = Duration.fromInput(value)
    if (duration._tag === "None") {
      issue(path, `a duration such as "12 seconds", got ${JSON.stringify(value)}`)
      return fallback
    }
    return Math.min(Duration.toMillis(duration.value), 2_000_000_000)
  }
  const port = whole("port", options.port, 9042, 1, 65_535)
  const contactPoints: Array<ContactPoints.ContactPoint> = []
  if (!Array.isArray(options.contactPoints) || options.contactPoints.length === 0) {
    issue("contactPoints", 'at least one address of a node, such as "127.0.0.1:9042"')
  } else {
    for (const [i, given] of options.contactPoints.entries()) {
      const parsed = ContactPoints.parse(String(given), port)
      if (typeof parsed === "string") issue(`contactPoints[${i}]`, parsed)
      else contactPoints.push(parsed)
    }
  }
  const { password, username } = options
  if ((username === undefined) !== (password === undefined)) {
    issue(username === undefined ? "username" : "password", "user name and password go together")
  }
  const consistency = options.consistency ?? "LOCAL_QUORUM"
  if (!Consistency.isConsistency(consistency)) issue("consistency", `unknown level ${JSON.stringify(consistency)}`)
  const serialConsistency = options.serialConsistency ?? "LOCAL_SERIAL"
  if (serialConsistency !== "SERIAL" && serialConsistency !== "LOCAL_SERIAL") {
    issue("serialConsistency", `SERIAL or LOCAL_SERIAL, got ${JSON.stringify(serialConsistency)}`)
  }
  if (options.keyspace === "") issue("keyspace", "a name, or leave it out")
  const checked: Checked = {
    contactPoints,
    credentials: username === undefined || password === undefined ? undefined : { username, password },
    tls: options.tls === true ? {} : options.tls === false ? undefined : options.tls,
    connectTimeout: millis("connectTimeout", options.connectTimeout, 5_000),
    handshakeTimeout: millis("handshakeTimeout", options.handshakeTimeout, 5_000),
    shutdownTimeout: millis("shutdownTimeout", options.shutdownTimeout, 5_000),
    defaults: {
      request: {
        consistency,
        serialConsistency,
        pageSize: whole("pageSize", options.pageSize, 5_000, 1, 2 ** 31 - 1)
      },
      keyspace: undefined,
      idempotent: false,
      timeoutMillis: millis("requestTimeout", options.requestTimeout, 12_000),
      schemaTimeoutMillis: millis("schemaTimeout", options.schemaTimeout, 65_000),
      tracing: false,
      isSerial: consistency === "SERIAL" || consistency === "LOCAL_SERIAL"
    },
    maxRows: whole("maxRows", options.maxRows, 1_000_000, 1, 2 ** 31 - 1),
    maxPrepared: whole("maxPrepared", options.maxPrepared, 1_000, 1, 1_000_000),
    startup: {
      ...(options.applicationName === undefined ? {} : { APPLICATION_NAME: options.applicationName }),
      ...(options.applicationVersion === undefined ? {} : { APPLICATION_VERSION: options.applicationVersion })
    },
    wishes: wishesOf(options, issue)
  }
  return issues.length === 0 ? Effect.succeed(checked) : Effect.fail(invalid(issues))
}

/**
 * Options of which every field may be a `Config`.
 *
 * @category models
 * @since 0.1.0
 */
export type FromConfig = Leaves<Options>

/** @internal */
export const fromConfig = (options: FromConfig): Effect.Effect<Options, CqlError> =>
  Effect.gen(function*() {
    const issues: Array<Issue> = []
    const read = yield* readLeaves<Options>(options, "", issues)
    if (read === undefined || issues.length > 0) return yield* invalid(issues)
    return read
  })
