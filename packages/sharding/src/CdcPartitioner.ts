/**
 * The partitioner of ScyllaDB's CDC log tables (`com.scylladb.dht.CDCPartitioner`).
 *
 * The partition key of a CDC log is a stream id of 16 bytes, and its token is written in it: the first eight bytes, so
 * that changes are logged on the very replicas that hold what has changed.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { toBigInt, TokenWords } from "./Token.ts"

/**
 * Writes the token of the key of `length` bytes at `offset` of `bytes` to `out`; allocates nothing.
 *
 * A key of less than eight bytes, which no stream id is, has the minimum token. Otherwise a token of `-2^63` becomes
 * `2^63 - 1`, as with Murmur3Partitioner.
 *
 * @category hashing
 * @since 0.1.0
 */
export const hashInto = (bytes: Uint8Array, offset: number, length: number, out: TokenWords): void => {
  if (length < 8) {
    out.hi = -0x80000000
    out.lo = 0
    return
  }
  const hi = (bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!
  const lo = (bytes[offset + 4]! << 24) | (bytes[offset + 5]! << 16) | (bytes[offset + 6]! << 8) | bytes[offset + 7]!
  const isMinimum = hi === -0x80000000 && lo === 0
  out.hi = isMinimum ? 0x7fffffff : hi
  out.lo = isMinimum ? -1 : lo
}

const scratch = new TokenWords()

/**
 * Token of a whole partition key; the comfortable form of {@link hashInto}.
 *
 * @category hashing
 * @since 0.1.0
 */
export const token = (key: Uint8Array): bigint => {
  hashInto(key, 0, key.length, scratch)
  return toBigInt(scratch.hi, scratch.lo)
}
