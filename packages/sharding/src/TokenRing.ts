/**
 * The token ring: which node owns which range of tokens, as an immutable sorted table.
 *
 * A token `t` of a node means that the node is the primary owner of every key whose token is greater than the ring's
 * previous token and not greater than `t`; past the last token the ring starts over. Such a range is a *segment* here,
 * numbered by the position of the token that ends it.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { toBigInt } from "./Token.ts"

/**
 * A token and who owns it: an entry to build a ring from.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenRingEntry<T> {
  /** The token, int64. */
  readonly token: bigint
  /** Its owner, in whatever form the caller knows nodes (a host id, an object). */
  readonly owner: T
}

/**
 * A sorted, immutable ring. Make one with {@link make}.
 *
 * **Details**
 *
 * Tokens lie in two typed arrays, 8 bytes a token, so a lookup touches no heap objects. `starts` is an index by the
 * topmost bits of the token: tokens are hashes or random numbers, hence evenly spread, and with about as many buckets
 * as tokens a lookup looks at one or two of them. Inside a bucket the search is binary, so even a ring of neighbouring
 * tokens costs no more than a plain binary search.
 *
 * @category models
 * @since 0.1.0
 */
export class TokenRing<T> {
  /** Number of segments, which is the number of distinct tokens. */
  readonly size: number
  /** High words of the tokens in ring order, int32. */
  readonly hi: Int32Array
  /** Low words of the tokens in ring order, each with its top bit flipped so that signed order is unsigned order. */
  readonly loFlipped: Int32Array
  /** Owner of each token, in ring order. */
  readonly owners: ReadonlyArray<T>
  /** `starts[b]` is the first segment whose token is in bucket `b` or after; one element more than buckets. */
  readonly starts: Int32Array
  /** A token's bucket is its biased high word, shifted right by this many bits. */
  readonly shift: number

  /** Takes distinct tokens in ascending order; called by {@link make}. */
  constructor(tokens: ReadonlyArray<bigint>, owners: ReadonlyArray<T>) {
    const size = tokens.length
    this.size = size
    this.owners = owners
    this.hi = new Int32Array(size)
    this.loFlipped = new Int32Array(size)
    // As many buckets as tokens, rounded up to a power of two from 2 to 65536 (a shift by 32 would be one by 0).
    const bits = Math.min(16, Math.max(1, 32 - Math.clz32(size)))
    this.shift = 32 - bits
    this.starts = new Int32Array((1 << bits) + 1)
    let filled = 0
    for (let i = 0; i < size; i++) {
      const token = tokens[i]!
      const hi = Number(BigInt.asIntN(32, token >> 32n))
      this.hi[i] = hi
      this.loFlipped[i] = Number(BigInt.asIntN(32, token)) ^ 0x80000000
      const bucket = (hi ^ 0x80000000) >>> this.shift
      while (filled < bucket) this.starts[++filled] = i
    }
    while (filled < 1 << bits) this.starts[++filled] = size
  }
}

/**
 * Builds a ring from entries in any order.
 *
 * When a token is given more than once the last entry wins: a cluster gives each token to one node, so a repetition
 * is a stale row beside a newer one. No entries make an empty ring. Tokens outside int64 wrap.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <T>(entries: Iterable<TokenRingEntry<T>>): TokenRing<T> => {
  const byToken = new Map<bigint, T>()
  for (const { owner, token } of entries) byToken.set(BigInt.asIntN(64, token), owner)
  const tokens = Array.from(byToken.keys()).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return new TokenRing(tokens, tokens.map((token) => byToken.get(token)!))
}

/**
 * Segment of the token given as two int32 words: the index of the first token that is not smaller, 0 past the last.
 *
 * Returns -1 for an empty ring. Allocates nothing, about 10 ns whatever the size of the ring.
 *
 * @category lookups
 * @since 0.1.0
 */
export const segmentOf = <T>(ring: TokenRing<T>, hi: number, lo: number): number => {
  const size = ring.size
  if (size === 0) return -1
  const his = ring.hi
  const bucket = (hi ^ 0x80000000) >>> ring.shift
  let low = ring.starts[bucket]!
  let high = ring.starts[bucket + 1]!
  const flipped = lo ^ 0x80000000
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = his[middle]!
    if (other < hi || (other === hi && ring.loFlipped[middle]! < flipped)) low = middle + 1
    else high = middle
  }
  return low === size ? 0 : low
}

/**
 * Owner of the segment that the token (two int32 words) falls into, `undefined` for an empty ring.
 *
 * @category lookups
 * @since 0.1.0
 */
export const ownerOf = <T>(ring: TokenRing<T>, hi: number, lo: number): T | undefined =>
  ring.owners[segmentOf(ring, hi, lo)]

/**
 * Token that ends a segment, `undefined` when the ring has no such segment.
 *
 * @category lookups
 * @since 0.1.0
 */
export const tokenAt = <T>(ring: TokenRing<T>, segment: number): bigint | undefined => {
  const hi = ring.hi[segment]
  return hi === undefined ? undefined : toBigInt(hi, ring.loFlipped[segment]! ^ 0x80000000)
}

/**
 * A ring of tokens of any kind, with an order of their own: those of Cassandra's `RandomPartitioner` and
 * `ByteOrderedPartitioner`. Make one with {@link makeOrdered}.
 *
 * @category models
 * @since 0.1.0
 */
export interface OrderedRing<K, T> {
  /** Number of segments, which is the number of distinct tokens. */
  readonly size: number
  /** Tokens in ring order. */
  readonly tokens: ReadonlyArray<K>
  /** Owner of each token, in ring order. */
  readonly owners: ReadonlyArray<T>
  /** Negative when the first token is smaller, 0 when equal, positive when greater. */
  readonly compare: (a: K, b: K) => number
}

/**
 * Builds a ring from entries in any order, with the order that `compare` tells. As with {@link make}, the last entry of
 * a repeated token wins. `Replication.replicasBySegment` takes either ring.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeOrdered = <K, T>(
  entries: Iterable<{ readonly token: K; readonly owner: T }>,
  compare: (a: K, b: K) => number
): OrderedRing<K, T> => {
  const sorted = Array.from(entries).sort((a, b) => compare(a.token, b.token))
  // Sorting is stable, so the last of equal entries was the last given.
  const distinct = sorted.filter(({ token }, i) =>
    i + 1 === sorted.length || compare(token, sorted[i + 1]!.token) !== 0
  )
  return {
    size: distinct.length,
    tokens: distinct.map(({ token }) => token),
    owners: distinct.map(({ owner }) => owner),
    compare
  }
}

/**
 * Segment of a token in an ordered ring, as {@link segmentOf}: -1 for an empty one.
 *
 * @category lookups
 * @since 0.1.0
 */
export const segmentOfOrdered = <K, T>(ring: OrderedRing<K, T>, token: K): number => {
  const { compare, size, tokens } = ring
  let low = 0
  let high = size
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(tokens[middle]!, token) < 0) low = middle + 1
    else high = middle
  }
  return low < size ? low : size === 0 ? -1 : 0
}
