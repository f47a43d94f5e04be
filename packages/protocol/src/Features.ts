/**
 * What a server offers in SUPPORTED, as one value.
 *
 * Everything of ScyllaDB is used only where it was offered. A map with wrong values never breaks a
 * connection: the sharding part is left out and a warning says why, the rest stands on its own.
 *
 * Keys and values: scylladb `transport/cql_protocol_extension.cc` and `transport/server.cc`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Uuid from "./Uuid.ts"

/** Texts of a server are cut in messages: a map of them may be of megabytes. */
const MAX_SHOWN = 200

/**
 * Something of SUPPORTED was malformed and left out; the connection goes on without it.
 *
 * @category models
 * @since 0.1.0
 */
export class SupportedWarning extends Data.TaggedClass("SupportedWarning")<{
  /** The field of {@link Features}, or of its `shards`, that is left out for it; of `"shards"` that is all of them. */
  readonly without: "shards" | "shardAwarePort" | "shardAwarePortTls" | "lwtMask" | "rateLimitCode" | "hostId"
  /** The key of SUPPORTED that is wrong. */
  readonly key: string
  /** Its values; `undefined` where the key is missing, and others say that it should be there. */
  readonly values: ReadonlyArray<string> | undefined
  /** What should be there, in words. */
  readonly expected: string
}> {
  /** One sentence for logs: the key, its values (200 characters of them at most), what was expected, what follows. */
  get message(): string {
    const shown = JSON.stringify(this.values?.map((value) => value.slice(0, MAX_SHOWN)).slice(0, MAX_SHOWN) ?? null)
    const values = shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown
    const follows = this.without === "shards" ? "the node is used without shards" : "it is not used"
    return `SUPPORTED has ${this.key}=${values} where ${this.expected} was expected: ${follows}`
  }

  override toString(): string {
    return this.message
  }
}

/**
 * Where a connection landed and how the node spreads tokens over its shards.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShardFeatures {
  /** The shard (core) that serves this connection. */
  readonly shard: number
  /** How many shards the node has, 1 to 65535. */
  readonly nrShards: number
  /** Most significant token bits that do not count, `murmur3_partitioner_ignore_msb_bits`. */
  readonly ignoreMsb: number
  /** The port that lands on shard `source port modulo nrShards`, if it is advertised. */
  readonly shardAwarePort: number | undefined
  /** The same for TLS. Never interchangeable with the plain one. */
  readonly shardAwarePortTls: number | undefined
}

/**
 * What was offered. What of it is used is the choice of `Negotiation.agree`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Features {
  /** `undefined` for a server without shards (Cassandra), and for a malformed map. */
  readonly shards: ShardFeatures | undefined
  /** The bit of prepared metadata's flags that marks conditional statements: see {@link isConditional}. */
  readonly lwtMask: number | undefined
  /** The code of the rate-limit error. */
  readonly rateLimitCode: number | undefined
  /** Whether results may tell tablets: {@link TABLETS_V1}. */
  readonly tabletsV1: boolean
  /** The name under which they may with versions, {@link TABLETS_V2} or {@link TABLETS_V2_EXPERIMENTAL}: the one to echo. */
  readonly tabletsV2: typeof TABLETS_V2 | typeof TABLETS_V2_EXPERIMENTAL | undefined
  /** Whether v4 may have ids of result metadata: {@link METADATA_ID}. */
  readonly metadataId: boolean
  /**
   * The key of STARTUP for JSON about this client, which servers show in their lists of clients: `DRIVER_CONFIG` where that is offered,
   * or the older `CLIENT_OPTIONS`, which ScyllaDB has since 2026.1 (and since then, too, events of type CLIENT_ROUTES_CHANGE, which
   * SUPPORTED does not tell). `undefined` where neither is; Apache Cassandra wants none.
   */
  readonly driverConfig: "DRIVER_CONFIG" | "CLIENT_OPTIONS" | undefined
  /** The node's host id, canonical text. */
  readonly hostId: string | undefined
  /** Compression algorithms, lower case. */
  readonly compression: ReadonlyArray<string>
  /** Versions by their number, from Cassandra's `PROTOCOL_VERSIONS`; beta versions are left out. */
  readonly protocolVersions: ReadonlyArray<number>
  /** Whether any `SCYLLA_` key was there. */
  readonly isScylla: boolean
  /** What was malformed and therefore left out. */
  readonly warnings: ReadonlyArray<SupportedWarning>
}

const ALGORITHM = "biased-token-round-robin"
const PARTITIONER = "org.apache.cassandra.dht.Murmur3Partitioner"
const SHARD_KEYS = [
  "SCYLLA_SHARD",
  "SCYLLA_NR_SHARDS",
  "SCYLLA_SHARDING_IGNORE_MSB",
  "SCYLLA_SHARDING_ALGORITHM",
  "SCYLLA_PARTITIONER",
  "SCYLLA_SHARD_AWARE_PORT",
  "SCYLLA_SHARD_AWARE_PORT_SSL"
]
const LWT = "SCYLLA_LWT_ADD_METADATA_MARK"
const RATE_LIMIT = "SCYLLA_RATE_LIMIT_ERROR"

/**
 * The key of SUPPORTED and STARTUP for ids of result metadata on v4: PREPARED and EXECUTE carry them where it was echoed.
 *
 * @category constants
 * @since 0.1.0
 */
export const METADATA_ID = "SCYLLA_USE_METADATA_ID"

/**
 * The key for tablets in the custom payload of results, see `TabletRouting`.
 *
 * @category constants
 * @since 0.1.0
 */
export const TABLETS_V1 = "TABLETS_ROUTING_V1"

/**
 * The key for the same with versions: every EXECUTE then ends with a tablet version block. Exclusive of {@link TABLETS_V1}.
 *
 * @category constants
 * @since 0.1.0
 */
export const TABLETS_V2 = "TABLETS_ROUTING_V2"

/**
 * What builds of ScyllaDB call {@link TABLETS_V2} that have it as an experiment: whichever name is offered is the one to echo
 * (scylladb `docs/dev/tablets-routing-v2.md`).
 *
 * @category constants
 * @since 0.1.0
 */
export const TABLETS_V2_EXPERIMENTAL = "TABLETS_ROUTING_V2_EXPERIMENTAL"

/** The offered name of the second version. */
const tabletsV2Of = (supported: Supported): Features["tabletsV2"] =>
  supported.has(TABLETS_V2)
    ? TABLETS_V2
    : supported.has(TABLETS_V2_EXPERIMENTAL)
    ? TABLETS_V2_EXPERIMENTAL
    : undefined

type Supported = ReadonlyMap<string, ReadonlyArray<string>>

const integer = (text: string | undefined, min: number, max: number): number | undefined => {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined
  const value = Number(text)
  return value >= min && value <= max ? value : undefined
}

const single = (supported: Supported, key: string): string | undefined => {
  const values = supported.get(key)
  return values?.length === 1 ? values[0] : undefined
}

/** Notes what is left out, and that there is nothing in its place. */
type Wrong = (without: SupportedWarning["without"], key: string, expected: string) => undefined

const readShards = (supported: Supported, wrong: Wrong): ShardFeatures | undefined => {
  if (!SHARD_KEYS.some((key) => supported.has(key))) return undefined
  for (
    const [key, expected] of [["SCYLLA_SHARDING_ALGORITHM", ALGORITHM], ["SCYLLA_PARTITIONER", PARTITIONER]] as const
  ) {
    if (single(supported, key) !== expected) return wrong("shards", key, expected)
  }
  const number = (key: string, min: number, max: number): number | undefined =>
    integer(single(supported, key), min, max) ?? wrong("shards", key, `a number from ${min} to ${max}`)
  const nrShards = number("SCYLLA_NR_SHARDS", 1, 65_535)
  if (nrShards === undefined) return undefined
  const shard = number("SCYLLA_SHARD", 0, nrShards - 1)
  if (shard === undefined) return undefined
  const ignoreMsb = number("SCYLLA_SHARDING_IGNORE_MSB", 0, 63)
  if (ignoreMsb === undefined) return undefined
  const port = (without: "shardAwarePort" | "shardAwarePortTls", key: string): number | undefined =>
    supported.has(key) ? integer(single(supported, key), 1, 65_535) ?? wrong(without, key, "a port") : undefined
  return {
    shard,
    nrShards,
    ignoreMsb,
    shardAwarePort: port("shardAwarePort", "SCYLLA_SHARD_AWARE_PORT"),
    shardAwarePortTls: port("shardAwarePortTls", "SCYLLA_SHARD_AWARE_PORT_SSL")
  }
}

/** `NAME=<number>` in the value of an extension key. */
const assigned = (
  supported: Supported,
  without: "lwtMask" | "rateLimitCode",
  key: string,
  name: string,
  wrong: Wrong
): number | undefined => {
  if (!supported.has(key)) return undefined
  for (const value of supported.get(key)!) {
    // Each text of the list is one parameter of the extension.
    const number = value.startsWith(`${name}=`) ? integer(value.slice(name.length + 1), 1, 0xffff_ffff) : undefined
    if (number !== undefined) return number
  }
  return wrong(without, key, `${name}=<number>`)
}

const readHostId = (supported: Supported, wrong: Wrong): string | undefined =>
  supported.has("SCYLLA_HOST_ID")
    ? Uuid.parse(single(supported, "SCYLLA_HOST_ID") ?? "")?.toString() ?? wrong("hostId", "SCYLLA_HOST_ID", "a UUID")
    : undefined

/**
 * Reads a SUPPORTED map, whatever it holds: never throws.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromSupported = (supported: Supported): Features => {
  const warnings: Array<SupportedWarning> = []
  const wrong: Wrong = (without, key, expected) => {
    warnings.push(new SupportedWarning({ without, key, values: supported.get(key), expected }))
    return undefined
  }
  return {
    shards: readShards(supported, wrong),
    lwtMask: assigned(supported, "lwtMask", LWT, "LWT_OPTIMIZATION_META_BIT_MASK", wrong),
    rateLimitCode: assigned(supported, "rateLimitCode", RATE_LIMIT, "ERROR_CODE", wrong),
    tabletsV1: supported.has(TABLETS_V1),
    tabletsV2: tabletsV2Of(supported),
    metadataId: supported.has(METADATA_ID),
    driverConfig: supported.has("DRIVER_CONFIG")
      ? "DRIVER_CONFIG"
      : supported.has("CLIENT_OPTIONS")
      ? "CLIENT_OPTIONS"
      : undefined,
    hostId: readHostId(supported, wrong),
    compression: (supported.get("COMPRESSION") ?? []).map((name) => name.toLowerCase()),
    protocolVersions: (supported.get("PROTOCOL_VERSIONS") ?? []).flatMap((text) => {
      const match = /^(\d+)\/v\d+$/.exec(text)
      return match === null ? [] : [Number(match[1])]
    }),
    isScylla: [...supported.keys()].some((key) => key.startsWith("SCYLLA_")),
    warnings
  }
}

/**
 * Nothing offered.
 *
 * @category constants
 * @since 0.1.0
 */
export const none: Features = fromSupported(new Map())

/**
 * Whether PREPARED marked the statement as conditional (LWT), by the flags of its variables. Only servers that were asked for
 * the mark set it: `false` says nothing where there is no mask.
 *
 * @category decoding
 * @since 0.1.0
 */
export const isConditional = (features: Features, flags: number): boolean =>
  features.lwtMask !== undefined && (flags & features.lwtMask) !== 0

/**
 * Extensions to ask for. The mark of conditional statements and the rate-limit error, which cost nothing and need nobody's
 * help, are asked for wherever they are offered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Extensions {
  /**
   * Learn tablets from the payloads of answers (`TabletRouting`): `"v1"`, or `"v2"` where it is offered and else v1.
   * Default `"none"`.
   */
  readonly tablets?: "none" | "v1" | "v2" | undefined
  /** Ids of result metadata on v4. Default false. */
  readonly metadataIds?: boolean | undefined
}

/**
 * The extension keys to echo in STARTUP, of those that were offered and are asked for. Take `Negotiation.agree` where the
 * layout of messages follows from it, too.
 *
 * @category encoding
 * @since 0.1.0
 */
export const startupOptions = (features: Features, extensions: Extensions = {}): Record<string, string> => {
  const options: Record<string, string> = {}
  if (features.lwtMask !== undefined) options[LWT] = `LWT_OPTIMIZATION_META_BIT_MASK=${features.lwtMask}`
  if (features.rateLimitCode !== undefined) options[RATE_LIMIT] = ""
  if (extensions.metadataIds === true && features.metadataId) options[METADATA_ID] = ""
  // The two exclude each other.
  if (extensions.tablets === "v2" && features.tabletsV2 !== undefined) options[features.tabletsV2] = ""
  else if ((extensions.tablets === "v1" || extensions.tablets === "v2") && features.tabletsV1) options[TABLETS_V1] = ""
  return options
}
