/**
 * How a client shows who it is: not at all, by signature, or by its TLS certificate.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

/**
 * No credentials, a role and its secret, or the certificate of the connection.
 *
 * @category models
 * @since 0.1.0
 */
export type Auth =
  | { readonly _tag: "None" }
  | {
    readonly _tag: "SigV4"
    /** The name of the role. */
    readonly accessKeyId: string
    /** ScyllaDB takes the role's `salted_hash` of `system.roles` for it. */
    readonly secretAccessKey: Redacted.Redacted
    /** Part of what is signed; ScyllaDB takes any. */
    readonly region: string
    readonly service: string
  }
  | { readonly _tag: "ClientCertificate" }

/**
 * Requests are not signed: clusters do not check unless `alternator_enforce_authorization` is set.
 *
 * @category constructors
 * @since 0.1.0
 */
export const none: Auth = { _tag: "None" }

/**
 * Requests are signed with AWS Signature Version 4. Region and service default to `us-east-1` and `dynamodb`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sigV4 = (options: {
  readonly accessKeyId: string
  readonly secretAccessKey: string | Redacted.Redacted
  readonly region?: string | undefined
  readonly service?: string | undefined
}): Auth => ({
  _tag: "SigV4",
  accessKeyId: options.accessKeyId,
  secretAccessKey: typeof options.secretAccessKey === "string"
    ? Redacted.make(options.secretAccessKey)
    : options.secretAccessKey,
  region: options.region ?? "us-east-1",
  service: options.service ?? "dynamodb"
})

/**
 * The client certificate of the transport (`tls.cert`, `tls.key`) says who this is. Needs `https`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const clientCertificate: Auth = { _tag: "ClientCertificate" }

/** Names in the configuration. @internal */
export const names = {
  ACCESS_KEY_ID: "ALTERNATOR_ACCESS_KEY_ID",
  SECRET_ACCESS_KEY: "ALTERNATOR_SECRET_ACCESS_KEY"
} as const

/**
 * Signs with `ALTERNATOR_ACCESS_KEY_ID` and `ALTERNATOR_SECRET_ACCESS_KEY` of the configuration, and fails when they are
 * missing.
 *
 * @category configuration
 * @since 0.1.0
 */
export const required: Config.Config<Auth> = Config.map(
  Config.all({
    accessKeyId: Config.String(names.ACCESS_KEY_ID),
    secretAccessKey: Config.Redacted(names.SECRET_ACCESS_KEY)
  }),
  sigV4
)

/**
 * Signs with `ALTERNATOR_ACCESS_KEY_ID` and `ALTERNATOR_SECRET_ACCESS_KEY` when they are configured, and does without when
 * neither is. One of them alone is a mistake and fails.
 *
 * @category configuration
 * @since 0.1.0
 */
export const optional: Effect.Effect<Auth, Config.ConfigError> = Effect.gen(function*() {
  const accessKeyId = yield* Config.option(Config.String(names.ACCESS_KEY_ID))
  const secretAccessKey = yield* Config.option(Config.Redacted(names.SECRET_ACCESS_KEY))
  return accessKeyId._tag === "None" && secretAccessKey._tag === "None" ? none : yield* required
})
