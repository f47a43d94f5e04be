/**
 * How this client proves who it is: the exchange of SASL messages that follows AUTHENTICATE.
 *
 * `plain` sends a name and a password, and only to server classes that are known to take them that way. For anything else
 * (Kerberos, tokens, signatures) provide an `Authenticator` of your own.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Buffer } from "node:buffer"
import { AuthenticationFailed } from "./PoolError.ts"

/**
 * Who asks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server {
  /** `address:port` of the node. */
  readonly where: string
  /** The class that the server names, such as `org.apache.cassandra.auth.PasswordAuthenticator`. */
  readonly authenticator: string
}

/**
 * One exchange, of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exchange {
  /** The first message. */
  readonly initial: Uint8Array | null
  /** The answer to a challenge. */
  readonly respond: (challenge: Uint8Array | null) => Effect.Effect<Uint8Array | null, AuthenticationFailed>
  /** The server is satisfied; a mechanism that has to check it does that here. */
  readonly success?: ((token: Uint8Array | null) => Effect.Effect<void, AuthenticationFailed>) | undefined
}

/**
 * The service.
 *
 * @category models
 * @since 0.1.0
 */
export interface Authenticator {
  /** Begins an exchange, or refuses the server: nothing is sent to it then. */
  readonly begin: (server: Server) => Effect.Effect<Exchange, AuthenticationFailed>
}

/**
 * The authenticator in force where a session names none; `undefined` unless one is provided.
 *
 * @category references
 * @since 0.1.0
 */
export const Authenticator: Context.Reference<Authenticator | undefined> = Context.Reference<
  Authenticator | undefined
>("@effect-scylla/pool/Authenticator", { defaultValue: () => undefined })

/**
 * Name and password for SASL PLAIN (RFC 4616).
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  readonly username: string
  readonly password: Redacted.Redacted
}

/**
 * Server classes whose exchange is SASL PLAIN in one message: those of ScyllaDB (`auth/` of its sources) and of Apache
 * Cassandra.
 *
 * @category constants
 * @since 0.1.0
 */
export const plainServers: ReadonlyArray<string> = [
  "org.apache.cassandra.auth.PasswordAuthenticator",
  "com.scylladb.auth.TransitionalAuthenticator",
  "com.scylladb.auth.SaslauthdAuthenticator",
  "com.scylladb.auth.CertificateOrPasswordAuthenticator",
  "org.apache.cassandra.auth.MutualTlsWithPasswordFallbackAuthenticator"
]

const fail = (message: string): Effect.Effect<never, AuthenticationFailed> =>
  Effect.fail(new AuthenticationFailed({ message }))

/**
 * Sends name and password. A server class that is not `allowed` does not get them: it may not even read them as what they
 * are. Default {@link plainServers}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const plain = (
  { password, username }: Credentials,
  options?: { readonly allowed?: ReadonlyArray<string> | undefined }
): Authenticator => {
  const allowed = options?.allowed ?? plainServers
  return {
    begin: ({ authenticator, where }) =>
      allowed.includes(authenticator)
        ? Effect.sync(() => ({
          initial: Uint8Array.from(Buffer.from(`\0${username}\0${Redacted.value(password)}`, "utf8")),
          respond: () => fail(`${where} (${authenticator}) asks for more than a user name and a password`)
        }))
        : fail(
          `${where} wants ${authenticator}, to which the password is not sent. Allowed: ${allowed.join(", ")}`
        )
  }
}

/** Where there is nothing to say. @internal */
export const none: Authenticator = {
  begin: ({ authenticator, where }) =>
    plainServers.includes(authenticator)
      ? fail(`${where} wants a user name and a password: set \`username\` and \`password\` of the client`)
      : fail(`${where} wants ${authenticator}: provide an Authenticator that knows it`)
}

/**
 * Provides an authenticator to everything that is built over the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (authenticator: Authenticator): Layer.Layer<never> =>
  Layer.succeedContext(Context.make(Authenticator, authenticator))
