/**
 * Tokens of Cassandra's `RandomPartitioner`: numbers from 0 to 2^127, made with MD5.
 *
 * Clusters that were made before Cassandra 1.2 may still have it. Such tokens exist as `bigint` only, and are no tokens
 * of a `TokenRing`: `TokenRing.makeOrdered` makes a ring of them.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { md5 } from "./internal/md5.ts"
import { TokenParseError } from "./Token.ts"

/**
 * The minimum token, -1: it precedes every key, and is the token of the empty key.
 *
 * @category constants
 * @since 0.1.0
 */
export const minimum: bigint = -1n

/**
 * The maximum token, 2^127.
 *
 * @category constants
 * @since 0.1.0
 */
export const maximum: bigint = 1n << 127n

/**
 * Token of a whole partition key: its MD5 read as a signed big-endian number, without the sign.
 *
 * @category hashing
 * @since 0.1.0
 */
export const token = (key: Uint8Array): bigint => {
  if (key.length === 0) return minimum
  const digest = new DataView(md5(key).buffer)
  const value = (digest.getBigInt64(0) << 64n) | digest.getBigUint64(8)
  return value < 0n ? -value : value
}

/**
 * Parses a token as system tables print it: a decimal number from -1 to 2^127. Fails with `Token.TokenParseError`.
 *
 * @category converting
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<bigint, TokenParseError> => {
  if (!/^(?:-1|\d{1,39})$/.test(text)) return Result.fail(new TokenParseError({ text }))
  const value = BigInt(text)
  return value > maximum ? Result.fail(new TokenParseError({ text })) : Result.succeed(value)
}

/**
 * Orders two tokens: negative when the first is smaller, 0 when equal, positive when greater.
 *
 * @category comparing
 * @since 0.1.0
 */
export const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)
