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

  /** Called by {@link make} and {@link mapOwners}. */
  constructor(hi: Int32Array, loFlipped: Int32Array, owners: ReadonlyArray<T>, starts: Int32Array, shift: number) {
    this.size = hi.length
    this.hi = hi
    this.loFlipped = loFlipped
    this.owners = owners
    this.starts = starts
    this.shift = shift
  }
}

/** Entries or buckets between two steps of {@link makeInSteps}: some tenths of a millisecond. */
const STEP = 512

/** Buckets with more tokens than this are sorted by the engine; tokens are spread evenly, so most have one or two. */
const FEW = 16

/**
 * {@link make} for rings so large that nobody should wait for them in one go: every `next` does some tenths of a millisecond of the
 * work, and the last gives the ring. Where the tokens are all in one place, as no cluster has them, a step may take longer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeInSteps = function*<T>(entries: Iterable<TokenRingEntry<T>>): Generator<void, TokenRing<T>> {
  const given: Array<T> = []
  let his = new Int32Array(1_024)
  let los = new Int32Array(1_024)
  for (const { owner, token } of entries) {
    const at = given.length
    if (at === his.length) {
      const [wider, other] = [new Int32Array(2 * at), new Int32Array(2 * at)]
      wider.set(his)
      other.set(los)
      his = wider
      los = other
    }
    his[at] = Number(BigInt.asIntN(32, token >> 32n))
    los[at] = Number(BigInt.asIntN(32, token)) ^ 0x80000000
    given.push(owner)
    if (given.length % STEP === 0) yield
  }
  const count = given.length
  // As many buckets as tokens, rounded up to a power of two from 2 to 65536 (a shift by 32 would be one by 0).
  const bits = Math.min(16, Math.max(1, 32 - Math.clz32(count)))
  const shift = 32 - bits
  const buckets = 1 << bits
  const ends = new Int32Array(buckets)
  for (let i = 0; i < count; i++) ends[(his[i]! ^ 0x80000000) >>> shift]!++
  for (let bucket = 1; bucket < buckets; bucket++) ends[bucket]! += ends[bucket - 1]!
  yield
  // The entries by buckets; within one in the order in which they were given.
  const order = new Int32Array(count)
  for (let i = count - 1; i >= 0; i--) {
    order[--ends[(his[i]! ^ 0x80000000) >>> shift]!] = i
    if (i % (4 * STEP) === 0) yield
  }
  const compare = (a: number, b: number): number => his[a]! - his[b]! || los[a]! - los[b]! || a - b
  const hi = new Int32Array(count)
  const loFlipped = new Int32Array(count)
  const owners: Array<T> = []
  const starts = new Int32Array(buckets + 1)
  for (let bucket = 0; bucket < buckets; bucket++) {
    const start = ends[bucket]!
    const end = bucket + 1 < buckets ? ends[bucket + 1]! : count
    starts[bucket] = owners.length
    if (end - start > FEW) order.subarray(start, end).sort(compare)
    else {
      for (let i = start + 1; i < end; i++) {
        const moved = order[i]!
        let to = i
        for (; to > start && compare(order[to - 1]!, moved) > 0; to--) order[to] = order[to - 1]!
        order[to] = moved
      }
    }
    for (let i = start; i < end; i++) {
      const entry = order[i]!
      const last = owners.length - 1
      // Of a token that was given more than once the last entry counts.
      if (last >= starts[bucket]! && hi[last] === his[entry] && loFlipped[last] === los[entry]) {
        owners[last] = given[entry]!
        continue
      }
      hi[owners.length] = his[entry]!
      loFlipped[owners.length] = los[entry]!
      owners.push(given[entry]!)
    }
    if (bucket % (2 * STEP) === STEP) yield
  }
  starts[buckets] = owners.length
  const size = owners.length
  return new TokenRing(
    size === count ? hi : hi.slice(0, size),
    size === count ? loFlipped : loFlipped.slice(0, size),
    owners,
    starts,
    shift
  )
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
  const steps = makeInSteps(entries)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/**
 * The same tokens with other owners, which share the memory of the tokens: for an owner who is not the same object any more.
 * `owner` is asked for every token.
 *
 * @category constructors
 * @since 0.1.0
 */
export const mapOwners = <T, U>(ring: TokenRing<T>, owner: (owner: T) => U): TokenRing<U> =>
  new TokenRing(ring.hi, ring.loFlipped, ring.owners.map(owner), ring.starts, ring.shift)

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
