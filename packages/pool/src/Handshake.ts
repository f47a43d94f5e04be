/**
 * From an address to a connection that takes requests: dial, OPTIONS, STARTUP, authentication, keyspace, REGISTER.
 *
 * Whoever asks gets a connection on which all of this is done, or one typed error, within the timeouts, and nothing stays
 * open behind a failure or an interruption.
 *
 * @since 0.1.0
 */
import * as Features from "@effect-scylla/protocol/Features"
import type * as Request from "@effect-scylla/protocol/Request"
import type * as Response from "@effect-scylla/protocol/Response"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import type { ServerError } from "@effect-scylla/protocol/ServerError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Buffer } from "node:buffer"
import { Connection, defaultLimits, type Limits, type Owner } from "./Connection.ts"
import {
  AuthenticationFailed,
  ConnectionClosed,
  ConnectTimeout,
  DialFailed,
  HandshakeFailed,
  PoolError
} from "./PoolError.ts"
import type { Endpoint } from "./Socket.ts"
import type { Ticker } from "./Ticker.ts"
import { Transport } from "./Transport.ts"

/**
 * Name and password for SASL PLAIN.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  readonly username: string
  readonly password: Redacted.Redacted
}

/**
 * What every connection of a client has in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session {
  readonly ticker: Ticker
  readonly credentials?: Credentials | undefined
  /** Set on every connection before it takes requests. */
  readonly keyspace?: string | undefined
  /**
   * Further STARTUP options, such as APPLICATION_NAME; the driver's own win. What changes the wire format (COMPRESSION,
   * SCYLLA_*, TABLETS_*) is left out: it is negotiated, not set.
   */
  readonly startup?: Readonly<Record<string, string>> | undefined
  readonly limits?: Partial<Limits> | undefined
  /** Milliseconds for the dial. Default 5 000. */
  readonly connectTimeout?: number | undefined
  /** Milliseconds for everything after the dial. Default 5 000. */
  readonly handshakeTimeout?: number | undefined
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
  /** The socket is open and the handshake begins. */
  readonly onDialed?: (() => void) | undefined
  /** The handshake is over, told in the same step: whoever is interrupted from now on has been told. */
  readonly onReady?: ((connection: Connection) => void) | undefined
  /** Events to register for. */
  readonly events?: ReadonlyArray<Request.EventType> | undefined
}

/**
 * The name and version that servers show in their list of clients.
 *
 * @category constants
 * @since 0.1.0
 */
export const driver = { name: "effect-scylla", version: "0.1.0" } as const

/** Server classes whose exchange is SASL PLAIN in one message. */
const PLAIN = [
  "org.apache.cassandra.auth.PasswordAuthenticator",
  "com.scylladb.auth.TransitionalAuthenticator",
  "com.scylladb.auth.SaslauthdAuthenticator",
  "com.scylladb.auth.CertificateOrPasswordAuthenticator",
  "org.apache.cassandra.auth.MutualTlsWithPasswordFallbackAuthenticator"
]

const decoders = new RowDecoders()

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

const saslPlain = ({ password, username }: Credentials): Uint8Array =>
  Uint8Array.from(Buffer.from(`\0${username}\0${Redacted.value(password)}`, "utf8"))

const authenticate = (
  authenticator: string,
  credentials: Credentials | undefined,
  where: string,
  ask: Ask
): Effect.Effect<void, PoolError> => {
  if (!PLAIN.includes(authenticator)) {
    return fail(
      new AuthenticationFailed({
        message: `${where} wants ${authenticator}, to which the password is not sent. Supported: ${PLAIN.join(", ")}`
      })
    )
  }
  if (credentials === undefined) {
    return fail(
      new AuthenticationFailed({
        message: `${where} wants a user name and a password: set \`username\` and \`password\` of the client`
      })
    )
  }
  return Effect.flatMap(
    ask({ _tag: "AuthResponse", token: saslPlain(credentials) }),
    (response) => response._tag === "AuthSuccess" ? Effect.void : unexpected("the credentials", where, response)
  )
}

type Ask = (request: Request.Request) => Effect.Effect<Response.Response, PoolError>

const NEGOTIATED = /^(COMPRESSION$|SCYLLA_|TABLETS_)/

const startupOptions = (given: Session["startup"], features: Features.Features): Record<string, string> => ({
  ...Object.fromEntries(Object.entries(given ?? {}).filter(([key]) => !NEGOTIATED.test(key))),
  CQL_VERSION: "3.0.0",
  DRIVER_NAME: driver.name,
  DRIVER_VERSION: driver.version,
  ...Features.startupOptions(features)
})

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

const greet = Effect.fnUntraced(
  function*(connection: Connection, options: Options, where: string, timeoutMillis: number) {
    const { session } = options
    const ask: Ask = (request) =>
      Effect.map(connection.request(request, { timeoutMillis, decoders }), (answer) => answer.response)

    const supported = yield* ask({ _tag: "Options" })
    if (supported._tag !== "Supported") return yield* unexpected("OPTIONS", where, supported)
    const features = Features.fromSupported(supported.options)
    for (const warning of features.warnings) yield* Effect.logWarning(`${where}: ${warning}`)

    const started = yield* ask({ _tag: "Startup", options: startupOptions(session.startup, features) })
    if (started._tag === "Authenticate") yield* authenticate(started.authenticator, session.credentials, where, ask)
    else if (started._tag !== "Ready") return yield* unexpected("STARTUP", where, started)
    connection.features = features

    if (session.keyspace !== undefined) {
      const used = yield* ask({
        _tag: "Query",
        query: `USE ${quote(session.keyspace)}`,
        options: { consistency: "ONE" }
      })
      if (used._tag !== "SetKeyspace") return yield* unexpected(`the keyspace ${session.keyspace}`, where, used)
    }
    if (options.events !== undefined) {
      const registered = yield* ask({ _tag: "Register", events: options.events })
      if (registered._tag !== "Ready") return yield* unexpected("REGISTER", where, registered)
    }
    // Nobody is told of a connection after it was told that it is closed.
    if (connection.closeReason !== undefined) return yield* fail(connection.closeReason)
    connection.ready()
    options.onReady?.(connection)
    return connection
  }
)

/**
 * Makes a connection. The caller owns it: it lives until it fails or is closed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (options: Options): Effect.Effect<Connection, PoolError> => {
  const { endpoint, session } = options
  const where = `${endpoint.address}:${endpoint.port}`
  const connectTimeout = session.connectTimeout ?? 5_000
  const handshakeTimeout = session.handshakeTimeout ?? 5_000
  const timedOut = (what: string, millis: number) => () =>
    fail(new ConnectTimeout({ message: `${where} did not answer ${what} within ${millis} ms` }))
  return Effect.flatMap(Transport, (transport) => {
    let connection: Connection | undefined
    // A socket that was handed over is known to whoever gives up: no interruption comes in between.
    const dialed = Effect.uninterruptibleMask((restore) =>
      Effect.map(restore(transport.dial(endpoint)), (socket) => {
        connection = new Connection(socket, session.ticker, { ...defaultLimits, ...session.limits }, options.owner)
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
        greet(connection, options, where, handshakeTimeout).pipe(
          Effect.timeoutOrElse({ duration: handshakeTimeout, orElse: timedOut("the handshake", handshakeTimeout) })
        )
      ),
      Effect.catchReason("PoolError", "RequestTimeout", timedOut("the handshake", handshakeTimeout)),
      Effect.onError((cause) =>
        Effect.sync(() => {
          const error = Cause.findErrorOption(cause)
          connection?.fail(
            Option.isSome(error)
              ? error.value.reason
              : new ConnectionClosed({ message: `the handshake with ${where} was given up` })
          )
        })
      )
    )
  })
}
