import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** Options of which every field may be a `Config`. */
export type Leaves<A> = { readonly [K in keyof A]: Config.Config<A[K]> | A[K] }

/** What is wrong with the field at `path`. */
export interface Issue {
  readonly path: string
  readonly message: string
}

/** What a schema says of a value, in one line, without the schema's own words around it. */
const readable = ({ message }: Config.ConfigError): string =>
  message.replace(/^SchemaError\(([^]*)\)$/, "$1").replace(/\n\s*at .*$/s, "").replace(
    /^Expected/,
    "is missing or wrong, expected"
  )

/** Options as far as they could be read. */
export interface Read<A> {
  readonly options: Partial<A>
  /** Fields whose value could not be read: what else is said of them is of no use. */
  readonly unread: ReadonlySet<string>
  /** By which name of the configuration a field was read that was not given. */
  readonly names: ReadonlyMap<string, string>
}

/** Runs every `Config` by itself, so that all that is wrong is added to `issues`: one `Config` of all stops at the first. */
export const readLeaves = <A extends object>(
  leaves: Partial<Leaves<A>> | undefined,
  prefix: string,
  issues: Array<Issue>,
  defaults: Readonly<Record<string, Named>> = {}
): Effect.Effect<Read<A>> =>
  Effect.gen(function*() {
    const options: Record<string, unknown> = {}
    const unread = new Set<string>()
    const names = new Map<string, string>()
    const read = <B>(field: string, path: string, config: Config.Config<B>): Effect.Effect<B | undefined> =>
      Effect.map(Effect.result(config), (result) => {
        if (Result.isSuccess(result)) return result.success
        issues.push({ path, message: readable(result.failure) })
        unread.add(field)
        return undefined
      })
    for (const [field, leaf] of Object.entries(leaves ?? {})) {
      options[field] = Config.isConfig(leaf)
        ? yield* read(field, `${prefix}${field}`, leaf as Config.Config<unknown>)
        : leaf
    }
    for (const [field, { config, name }] of Object.entries(defaults)) {
      if (options[field] !== undefined || unread.has(field)) continue
      const found = yield* read(field, name, Config.option(config as Config.Config<unknown>))
      if (found === undefined || Option.isNone(found)) continue
      options[field] = found.value
      names.set(field, name)
    }
    return { options: options as Partial<A>, unread, names }
  })

/** An option that is read by its name where it is not given. */
export interface Named {
  readonly name: string
  readonly config: Config.Config<unknown>
}

const named = (name: string, of: (name: string) => Config.Config<unknown>): Named => ({ name, config: of(name) })
const text = (name: string): Named => named(name, (name) => Config.map(Config.String(name), (text) => text.trim()))
/** A number, or the text that is none, which the checks of the options name. */
const count = (name: string): Named =>
  named(name, (name) => Config.map(Config.String(name), (text) => /^\d+$/.test(text.trim()) ? Number(text) : text))

/** The client's options by their names in the configuration. What a text means, and whether it is right, is the checks' matter. */
export const defaultNames: Readonly<Record<string, Named>> = {
  contactPoints: named("CQL_CONTACT_POINTS", (name) => Config.Array(Schema.String, name)),
  port: count("CQL_PORT"),
  localDatacenter: text("CQL_DATACENTER"),
  keyspace: text("CQL_KEYSPACE"),
  username: text("CQL_USERNAME"),
  password: named("CQL_PASSWORD", (name) => Config.Redacted(name)),
  tls: named("CQL_TLS", (name) => Config.Boolean(name)),
  clusterName: text("CQL_CLUSTER_NAME"),
  consistency: text("CQL_CONSISTENCY"),
  serialConsistency: text("CQL_SERIAL_CONSISTENCY"),
  requestTimeout: text("CQL_REQUEST_TIMEOUT"),
  connectTimeout: text("CQL_CONNECT_TIMEOUT"),
  waitForCluster: text("CQL_WAIT_FOR_CLUSTER"),
  pageSize: count("CQL_PAGE_SIZE"),
  maxInFlight: count("CQL_MAX_IN_FLIGHT"),
  timestamps: text("CQL_TIMESTAMPS"),
  compression: text("CQL_COMPRESSION"),
  protocolVersion: count("CQL_PROTOCOL_VERSION"),
  applicationName: text("CQL_APPLICATION_NAME"),
  applicationVersion: text("CQL_APPLICATION_VERSION")
}
