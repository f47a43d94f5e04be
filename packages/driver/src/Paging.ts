/**
 * Tokens for the next page, for people outside: a paging state that is bound to the statement and the values it came with.
 *
 * A paging state is the server's, opaque, and means nothing with another statement: Cassandra and ScyllaDB read whatever they make of
 * it. A token has a checksum over text, values and state, so that one that does not belong is refused before anything is asked. With
 * `pagingSecret` among the client's options it is a signature (HMAC-SHA-256), which nobody else can make. What the state says, the
 * last key that was read among others, can be read by anybody who has the token.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import { createHash, createHmac, timingSafeEqual } from "node:crypto"

/** The first byte of a token: its form. */
const VERSION = 1
/** Bytes of the checksum. */
const CHECKSUM = 16

/**
 * What a token is bound to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bound {
  /** The statement's text. */
  readonly text: string
  readonly keyspace: string
  /** The values as they are on the wire. */
  readonly values: Uint8Array
  readonly secret: string | undefined
}

const checksum = ({ keyspace, secret, text, values }: Bound, state: Uint8Array): Uint8Array => {
  const hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret)
  // Each part behind its length, so that none can be taken for a part of another.
  for (const part of [Buffer.from("effect-scylla paging"), Buffer.from(keyspace), Buffer.from(text), values, state]) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(part.length)
    hash.update(length).update(part)
  }
  return hash.digest().subarray(0, CHECKSUM)
}

/**
 * The token of a paging state: text of letters, digits, `-` and `_`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toToken = (bound: Bound, pagingState: Uint8Array): string =>
  Buffer.concat([Uint8Array.of(VERSION), checksum(bound, pagingState), pagingState]).toString("base64url")

/**
 * The paging state of a token, or what is wrong with it, as a text.
 *
 * @category encoding
 * @since 0.1.0
 */
export const fromToken = (bound: Bound, token: string): Uint8Array | string => {
  if (typeof token !== "string" || !/^[\w-]+$/.test(token)) return "it is no paging token: it has other characters"
  const bytes = Buffer.from(token, "base64url")
  if (bytes[0] !== VERSION || bytes.length <= CHECKSUM + 1) return "it is no paging token, or only a part of one"
  const state = Uint8Array.from(bytes.subarray(CHECKSUM + 1))
  return timingSafeEqual(checksum(bound, state), bytes.subarray(1, CHECKSUM + 1))
    ? state
    : "it belongs to another statement or to other values, or it was changed"
}
