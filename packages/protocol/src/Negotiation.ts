/**
 * How client and server come to a version, a compression and extensions.
 *
 * OPTIONS goes out as v4, which every server knows that is not very old; v5 is spoken only where SUPPORTED offers it, and
 * STARTUP is then its first message, on the same connection. A version is lowered only by an ERROR that says so. A lost
 * connection never lowers it: a node that dies in the midst of a handshake would take a whole cluster down to v3.
 *
 * @since 0.1.0
 */
import * as Compression from "./Compression.ts"
import * as Dialect from "./Dialect.ts"
import * as Features from "./Features.ts"
import { NegotiationError } from "./ProtocolError.ts"
import type { ServerError } from "./ServerError.ts"

/**
 * What a client wishes for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wishes extends Features.Extensions {
  /** Speak this version and no other. Default: the highest that both ends speak. */
  readonly version?: Dialect.Version | undefined
  /** Compress where the server offers this. Default `"none"`. */
  readonly compression?: "none" | "lz4" | "snappy" | undefined
}

/**
 * Throws `NegotiationError` for wishes that no server can fulfil: to be asked before anybody is dialled.
 *
 * @category negotiation
 * @since 0.1.0
 */
export const check = (wishes: Wishes): void => {
  if (wishes.version !== undefined && wishes.version >= 5 && wishes.compression === "snappy") {
    throw new NegotiationError({
      message: "protocol v5 has no Snappy: set the compression to lz4 or none, or the version to 4"
    })
  }
}

/**
 * The version that OPTIONS goes out as.
 *
 * @category negotiation
 * @since 0.1.0
 */
export const firstVersion = (wishes: Wishes): Dialect.Version => wishes.version === 3 ? 3 : 4

/**
 * What both ends agree on: what STARTUP says, and what follows from it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Agreement {
  /** Of STARTUP and all messages after it. */
  readonly dialect: Dialect.Dialect
  /** For `Framing.startup`. */
  readonly compressor: Compression.Compressor | undefined
  /** Which payloads `TabletRouting.fromPayload` will find. */
  readonly tablets: "none" | "v1" | "v2"
  /** CQL_VERSION, COMPRESSION and extensions. */
  readonly startup: Readonly<Record<string, string>>
  /** Wishes that were not fulfilled, one sentence each. */
  readonly warnings: ReadonlyArray<string>
}

const COMPRESSORS = { lz4: Compression.lz4, snappy: Compression.snappy } as const

/** The best version of those offered; without `PROTOCOL_VERSIONS`, which ScyllaDB does not have, v4. */
const versionOf = (features: Features.Features, wishes: Wishes, most: Dialect.Version): Dialect.Version => {
  const offered = features.protocolVersions
  const speaks = (version: Dialect.Version): boolean => offered.length === 0 ? version <= 4 : offered.includes(version)
  const candidates = wishes.version === undefined ? [5, 4, 3] as const : [wishes.version]
  // Without a wish Snappy is worth more than v5.
  const highest = wishes.compression === "snappy" ? 4 : 5
  const version = candidates.find((version) => version <= most && version <= highest && speaks(version))
  if (version === undefined) {
    throw new NegotiationError({
      message: `the server speaks protocol ${offered.map((version) => `v${version}`).join(", ") || "v3, v4"}${
        most < 5 ? ` and refused what is over v${most}` : ""
      }, and ${wishes.version === undefined ? "v3 to v5 are" : `v${wishes.version} is`} wished for: set another version`
    })
  }
  return version
}

/**
 * What to say in STARTUP to a server that offered `features`, and what it means. `most` is the highest version that was not
 * refused by {@link afterRefusal}. Throws `NegotiationError` if there is no version that both speak, and as {@link check}.
 *
 * @category negotiation
 * @since 0.1.0
 */
export const agree = (
  features: Features.Features,
  wishes: Wishes = {},
  most: Dialect.Version = 5
): Agreement => {
  check(wishes)
  const warnings: Array<string> = []
  const version = versionOf(features, wishes, most)
  const wished = wishes.compression ?? "none"
  const compressor = wished === "none" || !features.compression.includes(wished) ? undefined : COMPRESSORS[wished]
  if (wished !== "none" && compressor === undefined) {
    warnings.push(
      `the server offers no ${wished} (${features.compression.join(", ") || "no compression"}): nothing is compressed`
    )
  }
  // The extension is v4's; v5 has it built in.
  const extensions = Features.startupOptions(features, { ...wishes, metadataIds: version === 4 && wishes.metadataIds })
  return {
    dialect: Dialect.make(version, {
      metadataIds: Features.METADATA_ID in extensions,
      tabletVersions: features.tabletsV2 !== undefined && features.tabletsV2 in extensions,
      rateLimitCode: features.rateLimitCode
    }),
    compressor,
    tablets: features.tabletsV2 !== undefined && features.tabletsV2 in extensions
      ? "v2"
      : Features.TABLETS_V1 in extensions
      ? "v1"
      : "none",
    startup: {
      CQL_VERSION: "3.0.0",
      ...(compressor === undefined ? {} : { COMPRESSION: compressor.name }),
      ...extensions
    },
    warnings
  }
}

/**
 * What an ERROR says of the version: that it is `"unsupported"`; that it is a `"beta"` one, which needs a flag that this
 * client does not set; that it is `"mixed"`, not the one that the connection began with. `undefined` for any other error.
 *
 * The code is 0x000A, which means much else, too, so the text decides. The texts of ScyllaDB (`transport/server.cc`) and of
 * all versions of Apache Cassandra (`ProtocolVersion`, `Envelope.Decoder`) begin alike.
 *
 * @category negotiation
 * @since 0.1.0
 */
export const refusal = (error: ServerError): "unsupported" | "beta" | "mixed" | undefined => {
  if (error._tag !== "ProtocolError") return undefined
  if (/invalid or unsupported protocol version/i.test(error.message)) return "unsupported"
  if (/beta version of the protocol/i.test(error.message)) return "beta"
  if (/invalid message version/i.test(error.message)) return "mixed"
  return undefined
}

/**
 * What to do when a version was refused: dial again, as the server closes the connection, and go no higher than `version`
 * (`Lower`), or begin with `version` from OPTIONS on (`Redial`); or there is nothing to do about it (`GiveUp`).
 *
 * @category models
 * @since 0.1.0
 */
export type AfterRefusal =
  | { readonly _tag: "Lower"; readonly version: Dialect.Version }
  | { readonly _tag: "Redial"; readonly version: Dialect.Version }
  | { readonly _tag: "GiveUp" }

/**
 * What to do when OPTIONS or STARTUP, sent in version `asked`, was answered with an error, or the connection was lost, which
 * is no answer. To OPTIONS any ERROR 0x000A is about the version, as the message says nothing else; to STARTUP only one whose
 * text says so. A version that is wished for is not lowered.
 *
 * @category negotiation
 * @since 0.1.0
 */
export const afterRefusal = (
  asked: Dialect.Version,
  message: "OPTIONS" | "STARTUP",
  answer: ServerError | "lost",
  wishes: Wishes = {}
): AfterRefusal => {
  if (answer === "lost") return GIVE_UP
  const said = refusal(answer)
  if (said === "mixed") return message === "STARTUP" ? { _tag: "Redial", version: asked } : GIVE_UP
  if (said === undefined && !(message === "OPTIONS" && answer._tag === "ProtocolError")) return GIVE_UP
  if (asked === 3 || wishes.version !== undefined) return GIVE_UP
  return { _tag: "Lower", version: asked === 5 ? 4 : 3 }
}

const GIVE_UP: AfterRefusal = { _tag: "GiveUp" }
