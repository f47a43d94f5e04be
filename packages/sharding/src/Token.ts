/**
 * Tokens: where a partition key falls on the ring, a signed 64-bit number.
 *
 * Two forms exist side by side. The public form is a `bigint`, which is what tokens mean and how they are compared,
 * printed and stored. The form of the request path is a pair of int32 words in scratch that the caller owns, because
 * a `bigint` is a heap object and its arithmetic costs more than hashing the key.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * A token as two int32 words, owned by the caller and overwritten by each use.
 *
 * **Details**
 *
 * The token is `hi * 2^32 + (lo >>> 0)`: `hi` carries the sign, `lo` holds the low 32 bits and is also kept as a
 * signed int32, so that both fields stay small integers of the engine and writing them allocates nothing. Keep one
 * instance per connection, session or module and read it before the next call that writes to it.
 *
 * @category models
 * @since 0.1.0
 */
export class TokenWords {
  /** High word, int32: bits 63..32 of the token, sign included. */
  hi = 0
  /** Low word, int32: bits 31..0 of the token (read as unsigned: `lo >>> 0`). */
  lo = 0
}

/**
 * A text is not a decimal int64, so it cannot be a token of the Murmur3 partitioner.
 *
 * @category errors
 * @since 0.1.0
 */
export class TokenParseError extends Data.TaggedError("TokenParseError")<{
  /** The text as it was given. */
  readonly text: string
}> {
  override get message(): string {
    const shown = this.text.length > 60 ? `${this.text.slice(0, 60)}…` : this.text
    return `Token: ${JSON.stringify(shown)} is not a decimal 64-bit integer; ` +
      "only clusters with Murmur3Partitioner (or CDCPartitioner tables) have such tokens, check system.local.partitioner"
  }
}

/**
 * The minimum token, `-2^63`: it precedes every key of the ring and no key hashes to it.
 *
 * **Details**
 *
 * Murmur3Partitioner maps a hash of `-2^63` to `2^63 - 1` so that this value stays free to mean "before everything"
 * in `token()` ranges (Cassandra's `Murmur3Partitioner.MINIMUM`, ScyllaDB's `dht/token.hh`).
 *
 * @category constants
 * @since 0.1.0
 */
export const minimum: bigint = -(2n ** 63n)

/**
 * The maximum token, `2^63 - 1`: the last one a key can have.
 *
 * @category constants
 * @since 0.1.0
 */
export const maximum: bigint = 2n ** 63n - 1n

/**
 * Converts two int32 words to the public form of a token.
 *
 * Allocates a `bigint`, so call it at the edge (logging, public results), not per request.
 *
 * @category converting
 * @since 0.1.0
 */
export const toBigInt = (hi: number, lo: number): bigint => (BigInt(hi) << 32n) | BigInt(lo >>> 0)

/**
 * Writes the two int32 words of `token` to `out`.
 *
 * Only the low 64 bits are kept, as in two's complement: a number outside `minimum..maximum` wraps.
 *
 * @category converting
 * @since 0.1.0
 */
export const fromBigInt = (token: bigint, out: TokenWords): void => {
  out.hi = Number(BigInt.asIntN(32, token >> 32n))
  out.lo = Number(BigInt.asIntN(32, token))
}

/**
 * Parses a token as system tables print it (`system.local.tokens`, `system.peers.tokens`): a decimal int64.
 *
 * Fails with {@link TokenParseError} when the text is anything else or does not fit in 64 bits, which is how the
 * 127-bit tokens of RandomPartitioner and the hex tokens of ByteOrderedPartitioner show themselves.
 *
 * @category converting
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<bigint, TokenParseError> => {
  // As many digits as 64 bits have: a text of millions, which a server can send, would take seconds to read.
  if (!/^[+-]?[0-9]{1,19}$/.test(text)) return Result.fail(new TokenParseError({ text }))
  const token = BigInt(text)
  return token < minimum || token > maximum ? Result.fail(new TokenParseError({ text })) : Result.succeed(token)
}

/**
 * Orders two tokens as signed 64-bit numbers: negative when the first is smaller, 0 when equal, positive when greater.
 *
 * Takes the int32 words of both, allocates nothing.
 *
 * @category comparing
 * @since 0.1.0
 */
export const compare = (hiA: number, loA: number, hiB: number, loB: number): number => {
  if (hiA !== hiB) return hiA < hiB ? -1 : 1
  // The low words carry no sign: flipping the top bit makes the signed comparison an unsigned one.
  const a = loA ^ 0x80000000
  const b = loB ^ 0x80000000
  return a < b ? -1 : a > b ? 1 : 0
}
