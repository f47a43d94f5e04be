/**
 * From an address to a connection that takes requests: dial, OPTIONS, STARTUP, authentication, keyspace, REGISTER.
 *
 * Whoever asks gets a connection on which all of this is done, or one typed error, within the timeouts, and nothing stays
 * open behind a failure or an interruption.
 *
 * @since 0.1.0
 */
import * as Dialect from "@effect-scylla/protocol/Dialect"
import * as Features from "@effect-scylla/protocol/Features"
import * as Negotiation from "@effect-scylla/protocol/Negotiation"
import { NegotiationError } from "@effect-scylla/protocol/ProtocolError"
import type * as Request from "@effect-scylla/protocol/Request"
import type * as Response from "@effect-scylla/protocol/Response"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import type { ServerError } from "@effect-scylla/protocol/ServerError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Buffer } from "node:buffer"
import * as Authenticator from "./Authenticator.ts"
import { Connection, type Owner } from "./Connection.ts"
import * as Limits from "./Limits.ts"
import {
  AuthenticationFailed,
  ConnectionClosed,
  ConnectTimeout,
  DialFailed,
  HandshakeFailed,
  PoolError,
  WrongNode
} from "./PoolError.ts"
import type { ProtocolVersions } from "./ProtocolVersions.ts"
import type { Endpoint } from "./Socket.ts"
import type { Ticker } from "./Ticker.ts"
import { Transport } from "./Transport.ts"

/**
 * What every connection of a client has in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session {
  readonly ticker: Ticker
  /** Short for an `authenticator` that is `Authenticator.plain`. */
  readonly credentials?: Authenticator.Credentials | undefined
  /** Default: `credentials`, else the `Authenticator` in force. */
  readonly authenticator?: Authenticator.Authenticator | undefined
  /**
   * What to do where there are credentials and the server does not ask for any: it may be the wrong cluster, or
   * authentication was never turned on. Default `"warn"`, once for a session.
   */
  readonly onMissingChallenge?: "allow" | "warn" | "fail" | undefined
  /** Set on every connection before it takes requests. */
  readonly keyspace?: string | undefined
  /**
   * Version, compression and extensions, each used where the server offers it; messages are then written and read in
   * `Connection.dialect`. Default: the highest version, no compression (within a datacenter it costs more time than it
   * saves), and no extension that changes messages.
   */
  readonly wishes?: Negotiation.Wishes | undefined
  /** What the cluster has agreed on: one for all its connections. Default: each connection finds out for itself. */
  readonly versions?: ProtocolVersions | undefined
  /** CLIENT_ID and SESSION_ID, which servers show in their lists of clients: of this client, of this run of it. */
  readonly clientId?: string | undefined
  readonly sessionId?: string | undefined
  /**
   * A JSON text of at most 32 KiB about this client, for servers to show; sent on control connections only, and under the name that the
   * server offers (`Features.driverConfig`).
   */
  readonly driverConfig?: string | undefined
  /**
   * Further STARTUP options, such as APPLICATION_NAME; the driver's own win. What changes the wire format (COMPRESSION,
   * SCYLLA_*, TABLETS_*) is left out: it is negotiated, not set. So is DRIVER_CONFIG, see `driverConfig`.
   */
  readonly startup?: Readonly<Record<string, string>> | undefined
  readonly limits?: Partial<Limits.Limits> | undefined
  /** Milliseconds for the dial. Default 5 000. */
  readonly connectTimeout?: number | undefined
  /** Milliseconds for everything after the dial. Default 5 000. */
  readonly handshakeTimeout?: number | undefined
}

/**
 * Who is expected at an address. A node that is somebody else is not spoken to: `WrongNode`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Expected {
  /** As text. */
  readonly hostId?: string | undefined
  readonly clusterName?: string | undefined
}

/**
 * One connection to make.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly session: Session
  readonly endpoint: Endpoint
  readonly owner: Owner
  readonly expect?: Expected | undefined
  /** The socket is open and the handshake begins. Again where the server wants another version on a new connection. */
  readonly onDialed?: (() => void) | undefined
  /** The handshake is over, told in the same step: whoever is interrupted from now on has been told. */
  readonly onReady?: ((connection: Connection) => void) | undefined
  /** Events to register for: it is a control connection. */
  readonly events?: ReadonlyArray<Request.EventType> | undefined
}

/**
 * The name and version that servers show in their list of clients.
 *
 * @category constants
 * @since 0.1.0
 */
export const driver = { name: "effect-scylla", version: "0.1.0" } as const

/** Bytes of the longest DRIVER_CONFIG, as gocql has it. */
const MAX_DRIVER_CONFIG = 32 * 1024

const decoders = new RowDecoders({ uuid: "string" })

const fail = (reason: PoolError["reason"]): Effect.Effect<never, PoolError> => Effect.fail(new PoolError({ reason }))

const refused = (what: string, where: string, error: ServerError): Effect.Effect<never, PoolError> =>
  fail(
    error._tag === "BadCredentials"
      ? new AuthenticationFailed({
        message: `${where} did not accept the credentials: ${error.message}. Check the user name and the password`,
        cause: error
      })
      : new HandshakeFailed({ message: `${where} refused ${what}: ${error.message}`, error, cause: error })
  )

const unexpected = (what: string, where: string, response: Response.Response): Effect.Effect<never, PoolError> =>
  response._tag === "Error"
    ? refused(what, where, response.error)
    : fail(new HandshakeFailed({ message: `${where} answered ${what} with ${response._tag}: is it a CQL server?` }))

type Ask = (request: Request.Request) => Effect.Effect<Response.Response, PoolError>

const authenticate = Effect.fnUntraced(
  function*(authenticator: Authenticator.Authenticator, server: Authenticator.Server, ask: Ask) {
    const failed = Effect.mapError((reason: AuthenticationFailed) => new PoolError({ reason }))
    const exchange = yield* failed(authenticator.begin(server))
    let token = exchange.initial
    // As many challenges as the mechanism has; the timeout of the handshake is the bound.
    while (true) {
      const response = yield* ask({ _tag: "AuthResponse", token })
      if (response._tag === "AuthSuccess") {
        if (exchange.success !== undefined) yield* failed(exchange.success(response.token))
        return
      }
      if (response._tag !== "AuthChallenge") return yield* unexpected("the credentials", server.where, response)
      token = yield* failed(exchange.respond(response.token))
    }
  }
)

/** Sessions whose user knows that the servers do not ask for credentials. */
const warned = new WeakSet<object>()

/** Credentials were given and nobody asked for them. */
const unchallenged = (session: Session, where: string): Effect.Effect<void, PoolError> => {
  const message = `${where} did not ask for credentials although there are some: is authentication turned on?`
  switch (session.onMissingChallenge ?? "warn") {
    case "allow":
      return Effect.void
    case "fail":
      return fail(new AuthenticationFailed({ message }))
    case "warn": {
      // The ticker is the client's: the session may have been copied.
      if (warned.has(session.ticker)) return Effect.void
      warned.add(session.ticker)
      return Effect.logWarning(message)
    }
  }
}

/** Not to be set by `startup`. */
const OWN = /^(COMPRESSION$|DRIVER_CONFIG$|CLIENT_OPTIONS$|SCYLLA_|TABLETS_)/

const startupOptions = (
  options: Options,
  negotiated: Readonly<Record<string, string>>,
  features: Features.Features
): Record<string, string> => {
  const { clientId, driverConfig, sessionId, startup } = options.session
  return {
    ...Object.fromEntries(Object.entries(startup ?? {}).filter(([key]) => !OWN.test(key))),
    DRIVER_NAME: driver.name,
    DRIVER_VERSION: driver.version,
    ...(clientId === undefined ? {} : { CLIENT_ID: clientId }),
    ...(sessionId === undefined ? {} : { SESSION_ID: sessionId }),
    ...(driverConfig === undefined || options.events === undefined || features.driverConfig === undefined
      ? {}
      : { [features.driverConfig]: driverConfig }),
    ...negotiated
  }
}

/** The node is who it is expected to be. */
const identify = Effect.fnUntraced(function*(expected: Expected, features: Features.Features, where: string, ask: Ask) {
  let { hostId } = features
  let clusterName: unknown
  if ((expected.hostId !== undefined && hostId === undefined) || expected.clusterName !== undefined) {
    const answer = yield* ask({
      _tag: "Query",
      query: "SELECT cluster_name, host_id FROM system.local",
      options: { consistency: "ONE" }
    })
    if (answer._tag !== "Rows") return yield* unexpected("who it is", where, answer)
    const row = answer.rows[0] as { readonly cluster_name?: unknown; readonly host_id?: unknown } | undefined
    clusterName = row?.cluster_name
    if (typeof row?.host_id === "string") hostId ??= row.host_id
  }
  if (expected.hostId !== undefined && hostId?.toLowerCase() !== expected.hostId.toLowerCase()) {
    return yield* fail(
      new WrongNode({
        message: hostId === undefined
          ? `${where} does not say which node it is, and ${expected.hostId} is expected: is it a CQL server?`
          : `${where} is the node ${hostId}, not ${expected.hostId}: its address was given to another one, or something ` +
            "in between leads elsewhere"
      })
    )
  }
  if (expected.clusterName !== undefined && clusterName !== expected.clusterName) {
    return yield* fail(
      new WrongNode({
        message: `${where} is of the cluster ${JSON.stringify(clusterName)}, not of ${
          JSON.stringify(expected.clusterName)
        }: check the contact points`
      })
    )
  }
})

/** How a connection is begun: the version of OPTIONS, and the highest for STARTUP. */
interface Attempt {
  readonly version: Dialect.Version
  readonly most: Dialect.Version
}

/** The connection is of no use, another one may be. */
class Again {
  readonly attempt: Attempt
  constructor(attempt: Attempt) {
    this.attempt = attempt
  }
}

/** What to do about a refusal; `undefined`: nothing. */
const again = (
  asked: Dialect.Version,
  message: "OPTIONS" | "STARTUP",
  error: ServerError,
  { versions, wishes }: Session,
  attempt: Attempt
): Again | undefined => {
  const after = Negotiation.afterRefusal(asked, message, error, wishes)
  if (after._tag === "Lower") {
    const { version } = after
    return new Again({ version: version < attempt.version ? version : attempt.version, most: version })
  }
  // Once: what is asked in one version from its first message on cannot be mixed.
  if (after._tag === "GiveUp" || attempt.version === asked) return undefined
  if (versions !== undefined) versions.isStrict = true
  return new Again({ version: after.version, most: after.version })
}

const agree = (
  features: Features.Features,
  session: Session,
  attempt: Attempt,
  where: string
): Effect.Effect<Negotiation.Agreement, PoolError> =>
  Effect.try({
    try: () => Negotiation.agree(features, session.wishes, attempt.most),
    catch: (cause) => {
      if (!(cause instanceof NegotiationError)) throw cause
      return new PoolError({ reason: new HandshakeFailed({ message: `${where}: ${cause.message}`, cause }) })
    }
  })

const greet = Effect.fnUntraced(
  function*(connection: Connection, options: Options, attempt: Attempt, where: string, timeoutMillis: number) {
    const { session } = options
    const ask: Ask = (request) =>
      Effect.map(connection.request(request, { timeoutMillis, decoders }), (answer) => answer.response)

    connection.speak(Dialect.make(attempt.version))
    const supported = yield* ask({ _tag: "Options" })
    if (supported._tag === "Error") {
      const next = again(attempt.version, "OPTIONS", supported.error, session, attempt)
      if (next !== undefined) return next
    }
    if (supported._tag !== "Supported") return yield* unexpected("OPTIONS", where, supported)
    const features = Features.fromSupported(supported.options)
    for (const warning of features.warnings) yield* Effect.logWarning(`${where}: ${warning}`)

    const { compressor, dialect, startup, warnings } = yield* agree(features, session, attempt, where)
    for (const warning of warnings) yield* Effect.logDebug(`${where}: ${warning}`)
    connection.startup(dialect, compressor)
    const started = yield* ask({ _tag: "Startup", options: startupOptions(options, startup, features) })
    if (started._tag === "Error") {
      const next = again(dialect.version, "STARTUP", started.error, session, attempt)
      if (next !== undefined) return next
    }
    const authenticator = session.authenticator ??
      (session.credentials === undefined ? undefined : Authenticator.plain(session.credentials)) ??
      (yield* Authenticator.Authenticator)
    if (started._tag === "Authenticate") {
      yield* authenticate(authenticator ?? Authenticator.none, { where, authenticator: started.authenticator }, ask)
    } else if (started._tag !== "Ready") {
      return yield* unexpected("STARTUP", where, started)
    } else if (authenticator !== undefined) {
      yield* unchallenged(session, where)
    }
    connection.features = features

    if (options.expect !== undefined) yield* identify(options.expect, features, where, ask)
    if (session.keyspace !== undefined) yield* connection.useKeyspace(session.keyspace, timeoutMillis)
    if (options.events !== undefined) {
      const { events } = options
      const registered = yield* ask({ _tag: "Register", events })
      if (registered._tag === "Error" && events.length > 1) {
        // A server that does not know one of them refuses them all.
        const answers = yield* Effect.forEach(events, (event) => ask({ _tag: "Register", events: [event] }))
        const unknown = events.filter((_, i) => answers[i]!._tag !== "Ready")
        if (unknown.length === events.length) return yield* unexpected("REGISTER", where, registered)
        yield* Effect.logDebug(`${where} does not tell of ${unknown.join(", ")}: ${registered.error.message}`)
      } else if (registered._tag !== "Ready") return yield* unexpected("REGISTER", where, registered)
    }
    // Nobody is told of a connection after it was told that it is closed.
    if (connection.closeReason !== undefined) return yield* fail(connection.closeReason)
    const agreed = session.versions?.note(where, dialect.version)
    if (agreed !== undefined) {
      yield* Effect.logWarning(
        `${where} speaks protocol v${dialect.version} and not v${agreed} as the rest of the cluster: is it being upgraded?`
      )
    }
    connection.ready()
    options.onReady?.(connection)
    return connection
  }
)

/** One dial, and what comes of it. */
const connectOnce = (
  options: Options,
  attempt: Attempt,
  transport: Transport
): Effect.Effect<Connection | Again, PoolError> => {
  const { endpoint, session } = options
  const where = `${endpoint.address}:${endpoint.port}`
  const connectTimeout = session.connectTimeout ?? 5_000
  const handshakeTimeout = session.handshakeTimeout ?? 5_000
  const timedOut = (what: string, millis: number) => () =>
    fail(new ConnectTimeout({ message: `${where} did not answer ${what} within ${millis} ms` }))
  let connection: Connection | undefined
  const end = (reason: PoolError["reason"]): Effect.Effect<void> => Effect.sync(() => connection?.fail(reason))
  // A socket that was handed over is known to whoever gives up: no interruption comes in between.
  const dialed = Effect.uninterruptibleMask((restore) =>
    Effect.map(restore(transport.dial(endpoint)), (socket) => {
      connection = new Connection(socket, session.ticker, { ...Limits.defaults, ...session.limits }, options.owner)
      options.onDialed?.()
      return connection
    })
  )
  return dialed.pipe(
    Effect.mapError((error) =>
      new PoolError({ reason: new DialFailed({ message: error.message, cause: error, kind: error.kind }) })
    ),
    Effect.timeoutOrElse({ duration: connectTimeout, orElse: timedOut("the dial", connectTimeout) }),
    Effect.flatMap((connection) =>
      greet(connection, options, attempt, where, handshakeTimeout).pipe(
        Effect.timeoutOrElse({ duration: handshakeTimeout, orElse: timedOut("the handshake", handshakeTimeout) })
      )
    ),
    Effect.catchReason("PoolError", "RequestTimeout", timedOut("the handshake", handshakeTimeout)),
    Effect.tap((result) =>
      result instanceof Again
        ? end(new ConnectionClosed({ message: `${where} does not speak this version of the protocol` }))
        : Effect.void
    ),
    Effect.onError((cause) => {
      const error = Cause.findErrorOption(cause)
      return end(
        Option.isSome(error)
          ? error.value.reason
          : new ConnectionClosed({ message: `the handshake with ${where} was given up` })
      )
    })
  )
}

/**
 * Makes a connection. The caller owns it: it lives until it fails or is closed. Dies of a `RangeError` for limits that bound
 * nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (options: Options): Effect.Effect<Connection, PoolError> =>
  Effect.gen(function*() {
    const { driverConfig, limits, versions, wishes = {} } = options.session
    Limits.check(limits)
    const configBytes = driverConfig === undefined ? 0 : Buffer.byteLength(driverConfig)
    if (configBytes > MAX_DRIVER_CONFIG) {
      return yield* fail(
        new HandshakeFailed({
          message: `driverConfig has ${configBytes} bytes, at most ${MAX_DRIVER_CONFIG} are sent: shorten it`
        })
      )
    }
    const transport = yield* Transport
    const agreed = versions?.agreed
    const first = agreed === 3 || (agreed === 5 && versions?.isStrict) ? agreed : Negotiation.firstVersion(wishes)
    let attempt: Attempt = { version: first, most: agreed ?? 5 }
    // It ends: each refusal lowers a version, or makes the one that is asked for the first.
    while (true) {
      const result: Connection | Again = yield* connectOnce(options, attempt, transport)
      if (!(result instanceof Again)) return result
      attempt = result.attempt
    }
  })
