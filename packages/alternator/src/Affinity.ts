/**
 * Which node coordinates the writes of a partition key, the same one for every client that computes it.
 *
 * A lightweight transaction is cheaper when one node coordinates all those of a key, and two plain writes of a key keep
 * their order when one node stamps both. The hash of a key is that of all official clients (MurmurHash3 x64-128, first
 * word, of a type prefix and the value); the order of nodes for a hash differs between their families, see
 * {@link AffinityOrder}.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { firstBelow, GoRandom, reduceSeed } from "./internal/goRandom.ts"
import * as Murmur3 from "./internal/murmur3.ts"
import type { AlternatorNode } from "./NodeAddress.ts"

/**
 * Whose order of nodes: that of the Go and Java clients (`go`), of Python 2.0.2, or of Rust 1.0.1.
 *
 * - `go`: Go's `math/rand` over URLs with their port, sorted by bytes.
 * - `python`: the same generator over addresses without scheme and port, sorted.
 * - `rust`: xorshift64* over URLs without default ports and with a final slash.
 *
 * Clients of different families choose the same node by chance only.
 *
 * @category models
 * @since 0.1.0
 */
export type AffinityOrder = "go" | "python" | "rust"

/**
 * Which writes go to the node of their key.
 *
 * - `none`: no request does.
 * - `rmw`: writes that read before they write (conditions, update expressions, returned values), which Alternator may
 *   run as lightweight transactions.
 * - `any-write`: all writes of single items, and batches, by the votes of their items.
 *
 * @category models
 * @since 0.1.0
 */
export type AffinityMode = "none" | "rmw" | "any-write"

/**
 * An int64 hash as two int32 words, owned by the caller.
 *
 * @category models
 * @since 0.1.0
 */
export class KeyHash {
  hi = 0
  lo = 0
}

const prefixes = { S: 1, N: 2, B: 3 } as const
const encoder = new TextEncoder()
let scratch = new Uint8Array(1024)

/**
 * Writes the hash of a partition key to `out`. A number is hashed by its text, as it is sent.
 *
 * @category hashing
 * @since 0.1.0
 */
export const hashInto = (type: "S" | "N" | "B", value: string | Uint8Array, out: KeyHash): void => {
  const most = typeof value === "string" ? value.length * 3 : value.length
  if (scratch.length <= most) scratch = new Uint8Array(most + 1024)
  scratch[0] = prefixes[type]
  let length = 1
  if (typeof value === "string") {
    // Short ASCII is quicker by hand than through an encoder.
    let i = 0
    if (value.length <= 64) {
      for (; i < value.length; i++) {
        const code = value.charCodeAt(i)
        if (code >= 128) break
        scratch[i + 1] = code
      }
    }
    length = i === value.length && i <= 64 ? i + 1 : 1 + encoder.encodeInto(value, scratch.subarray(1)).written
  } else {
    scratch.set(value, 1)
    length += value.length
  }
  Murmur3.hash(scratch, length, out)
}

/**
 * Hash of a partition key; the comfortable form of {@link hashInto}.
 *
 * @category hashing
 * @since 0.1.0
 */
export const hash = (type: "S" | "N" | "B", value: string | Uint8Array): bigint => {
  const out = new KeyHash()
  hashInto(type, value, out)
  return BigInt.asIntN(64, (BigInt(out.hi) << 32n) | BigInt(out.lo >>> 0))
}

/** Unsigned multiplication and shifts of xorshift64*, in halves of 32 bits. */
const MASK = (1n << 64n) - 1n
const xorshift = (hi: number, lo: number): (bound: number) => number => {
  let state = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
  if (state === 0n) state = 0x9e3779b97f4a7c15n
  return (bound) => {
    state ^= state >> 12n
    state = (state ^ (state << 25n)) & MASK
    state ^= state >> 27n
    const value = (state * 0x2545f4914f6cdd1dn) & MASK
    return Number((value * BigInt(bound)) >> 64n)
  }
}

const draws = (order: AffinityOrder, hi: number, lo: number): (bound: number) => number => {
  if (order === "rust") return xorshift(hi, lo)
  const random = new GoRandom(reduceSeed(hi, lo))
  return (bound) => random.below(bound)
}

/**
 * What nodes are sorted by before a hash is applied to them.
 *
 * @category ordering
 * @since 0.1.0
 */
export const sortKey = (order: AffinityOrder, node: AlternatorNode): string => {
  if (order === "go") return node.url
  if (order === "python") return node.host
  const isDefault = node.port === (node.scheme === "https" ? 443 : 80)
  return isDefault ? `${node.scheme}://${node.urlHost}/` : `${node.url}/`
}

/**
 * Nodes in the sequence that {@link first} and {@link order} draw from. Sort once for each set of nodes.
 *
 * @category ordering
 * @since 0.1.0
 */
export const sorted = (order: AffinityOrder, nodes: ReadonlyArray<AlternatorNode>): ReadonlyArray<AlternatorNode> =>
  // Addresses are ASCII: comparing UTF-16 units compares bytes.
  nodes
    .map((node) => ({ node, key: sortKey(order, node) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ node }) => node)

/**
 * Index in the {@link sorted} nodes of the first one for a hash. With `go` and `python` it allocates nothing.
 *
 * @category ordering
 * @since 0.1.0
 */
export const first = (order: AffinityOrder, hash: KeyHash, count: number): number =>
  order === "rust" ? xorshift(hash.hi, hash.lo)(count) : firstBelow(reduceSeed(hash.hi, hash.lo), count)

/**
 * All {@link sorted} nodes in the order for a hash: one is drawn, the last takes its place, and so on.
 *
 * @category ordering
 * @since 0.1.0
 */
export const order = <A>(order: AffinityOrder, hash: KeyHash, sorted: ReadonlyArray<A>): Array<A> => {
  const below = draws(order, hash.hi, hash.lo)
  const rest = sorted.slice()
  const out: Array<A> = []
  while (rest.length > 0) {
    const i = below(rest.length)
    out.push(rest[i]!)
    rest[i] = rest.at(-1)!
    rest.pop()
  }
  return out
}
