/**
 * Tokens of Cassandra's `ByteOrderedPartitioner`: the bytes of the partition key themselves.
 *
 * They are no tokens of a `TokenRing`: `TokenRing.makeOrdered` makes a ring of them.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { TokenParseError } from "./Token.ts"

/**
 * The minimum token, no bytes: it precedes every key, and is the token of the empty key.
 *
 * @category constants
 * @since 0.1.0
 */
export const minimum: Uint8Array = new Uint8Array(0)

/**
 * Token of a whole partition key: the same array, not a copy.
 *
 * @category hashing
 * @since 0.1.0
 */
export const token = (key: Uint8Array): Uint8Array => key

/**
 * Parses a token as system tables print it: hexadecimal digits, a leading zero perhaps left out. Fails with
 * `Token.TokenParseError`.
 *
 * @category converting
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Uint8Array, TokenParseError> => {
  if (!/^[0-9a-fA-F]*$/.test(text)) return Result.fail(new TokenParseError({ text }))
  const digits = text.length % 2 === 0 ? text : `0${text}`
  const bytes = new Uint8Array(digits.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16)
  return Result.succeed(bytes)
}

/**
 * The hexadecimal digits of a token, as system tables print it.
 *
 * @category converting
 * @since 0.1.0
 */
export const format = (token: Uint8Array): string =>
  Array.from(token, (byte) => byte.toString(16).padStart(2, "0")).join("")

/**
 * Orders two tokens as unsigned bytes, a prefix before what it begins.
 *
 * @category comparing
 * @since 0.1.0
 */
export const compare = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
