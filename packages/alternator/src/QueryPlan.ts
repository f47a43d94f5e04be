/**
 * Which node each attempt of a request goes to.
 *
 * A plan is made once for a request and consumed once for each attempt: it remembers who was tried, so that a retry goes
 * to another node. Strategies differ in how the next node is found and in nothing else. When all were tried it begins
 * anew: there may be more attempts than nodes, and no request ever leaves the nodes of the cluster.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Affinity from "./Affinity.ts"
import type { TrackedNode } from "./NodeHealth.ts"

/**
 * How requests without affinity are spread.
 *
 * - `round-robin`: one node after the other.
 * - `power-of-two`: the better of two random nodes, by latency and requests under way.
 *
 * @category models
 * @since 0.1.0
 */
export type Balancing = "round-robin" | "power-of-two"

/**
 * What plans read, of one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlanNodes {
  readonly nodes: ReadonlyArray<TrackedNode>
  /** For affinity, sorted as its order wants. */
  readonly affinityNodes: ReadonlyArray<TrackedNode>
}

/**
 * What plans of one client share.
 *
 * @category models
 * @since 0.1.0
 */
export class Balancer {
  /** The next of the round. */
  cursor = 0
  private seed: number
  readonly balancing: Balancing
  readonly order: Affinity.AffinityOrder
  /** Milliseconds in which the share of a node grows that has returned. */
  readonly warmUp: number
  readonly source: () => PlanNodes
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number

  constructor(options: {
    readonly balancing: Balancing
    readonly order: Affinity.AffinityOrder
    readonly warmUp: number
    readonly source: () => PlanNodes
    readonly now: () => number
    readonly seed: number
  }) {
    this.balancing = options.balancing
    this.order = options.order
    this.warmUp = options.warmUp
    this.source = options.source
    this.now = options.now
    this.seed = options.seed | 1
    this.cursor = (options.seed >>> 8) & 0xffff
  }

  /** A number in `0..1`. */
  draw(): number {
    return (this.step() >>> 0) / 0x100000000
  }

  /** A whole number below `count`. What is no whole number would be allocated. */
  below(count: number): number {
    return Math.floor(((this.step() >>> 0) / 0x100000000) * count)
  }

  /** The next of xorshift32: chances need nothing better. */
  private step(): number {
    let x = this.seed
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.seed = x
    return x
  }
}

/** Nodes beyond these are remembered in a set. */
const WORD = 31

/**
 * The plan of one request.
 *
 * @category models
 * @since 0.1.0
 */
export class QueryPlan {
  private readonly balancer: Balancer
  private readonly now: number
  private nodes: ReadonlyArray<TrackedNode>
  /** Indices in `nodes` that were tried: bits, or a set where there are more nodes than bits. */
  private tried = 0
  private triedMore: Set<number> | undefined
  private triedCount = 0
  private last: TrackedNode | undefined
  /** With affinity: all nodes in the order of the key, made when the first is not enough. */
  private order: ReadonlyArray<TrackedNode> | undefined
  private orderAt = 0
  private isAffine = false
  private hi = 0
  private lo = 0

  /** `now`, of the balancer's clock, for who has read it already. */
  constructor(balancer: Balancer, now = balancer.now()) {
    this.balancer = balancer
    this.now = now
    this.nodes = balancer.source().nodes
  }

  /** The node of a key first, then the others in its order. */
  prefer(hash: Affinity.KeyHash): void {
    this.isAffine = true
    this.hi = hash.hi
    this.lo = hash.lo
  }

  /** These nodes in this order, then all. For batches. */
  preferOrder(order: ReadonlyArray<TrackedNode>): void {
    this.order = order
  }

  /** The node for the next attempt; none only when there are no nodes at all. */
  next(): TrackedNode | undefined {
    const node = this.isAffine || this.order !== undefined ? this.byAffinity() : this.byBalance()
    this.last = node
    return node
  }

  private byAffinity(): TrackedNode | undefined {
    if (this.order === undefined) {
      const { affinityNodes } = this.balancer.source()
      if (affinityNodes.length === 0) return this.byBalance()
      scratch.hi = this.hi
      scratch.lo = this.lo
      const first = affinityNodes[Affinity.first(this.balancer.order, scratch, affinityNodes.length)]!
      if (this.last === undefined && !first.isEjected && !first.removed) return first
      this.order = Affinity.order(this.balancer.order, scratch, affinityNodes)
      this.orderAt = this.last === undefined ? 0 : 1
    }
    const { order } = this
    // Those that take requests, in their order; when there is none, whoever is next.
    for (let at = this.orderAt; at < order.length; at++) {
      const node = order[at]!
      if (node.removed || node.isEjected) continue
      this.orderAt = at + 1
      return node
    }
    if (this.triedCount === 0 && this.last === undefined) {
      const any = order.find((node) => !node.removed)
      if (any !== undefined) {
        this.orderAt = order.length
        return any
      }
    }
    return this.byBalance()
  }

  private byBalance(): TrackedNode | undefined {
    const found = this.pick()
    if (found >= 0) return this.take(found)
    // All were tried, or have left: who is there now?
    this.nodes = this.balancer.source().nodes
    this.tried = 0
    this.triedMore?.clear()
    this.triedCount = 0
    const { last, nodes } = this
    if (nodes.length > 1 && last !== undefined) {
      const index = nodes.indexOf(last)
      if (index >= 0) this.mark(index)
    }
    const again = this.pick()
    return again >= 0 ? this.take(again) : nodes[0]
  }

  private take(index: number): TrackedNode {
    this.mark(index)
    return this.nodes[index]!
  }

  private mark(index: number): void {
    this.triedCount++
    if (index < WORD) this.tried |= 1 << index
    else (this.triedMore ??= new Set()).add(index)
  }

  private isTried(index: number): boolean {
    return index < WORD ? (this.tried & (1 << index)) !== 0 : this.triedMore?.has(index) === true
  }

  private isOpen(index: number): boolean {
    const node = this.nodes[index]!
    return !node.removed && !node.isEjected && node !== this.last && !this.isTried(index)
  }

  /** An index that was not tried, one that takes requests if there is any; -1 when there is none. */
  private pick(): number {
    const { balancer, nodes } = this
    const count = nodes.length
    if (count === 0) return -1
    if (balancer.balancing === "power-of-two" && count > 1) {
      const a = this.probe(balancer.below(count))
      if (a >= 0) {
        const start = balancer.below(count - 1)
        const b = this.probe(start >= a ? start + 1 : start)
        return b >= 0 && b !== a && this.isBetter(nodes[b]!, nodes[a]!) ? b : a
      }
    } else {
      const start = balancer.cursor
      balancer.cursor = start + 1 >= 0x40000000 ? 0 : start + 1
      const found = this.probe(start % count)
      if (found >= 0) return found
    }
    // Nobody takes requests: whoever was not tried, from a place that moves on.
    const start = balancer.cursor++ % count
    for (let i = 0; i < count; i++) {
      const index = (start + i) % count
      if (!nodes[index]!.removed && nodes[index] !== this.last && !this.isTried(index)) return index
    }
    return -1
  }

  /**
   * The node at `start`, or by chance another that takes requests: its neighbour alone would get a dead node's whole share.
   * One that warms up is passed by, by chance, while others are there.
   */
  private probe(start: number): number {
    const { balancer, nodes } = this
    const count = nodes.length
    const isOpen = this.isOpen(start)
    if (isOpen && nodes[start]!.admits(balancer.now, balancer.warmUp, balancer)) return start
    let others = 0
    let warming = isOpen ? start : -1
    for (let i = 0; i < count; i++) {
      if (i === start || !this.isOpen(i)) continue
      if (!nodes[i]!.isWarming) others++
      else if (warming < 0) warming = i
    }
    if (others === 0) return warming
    let rest = balancer.below(others)
    for (let i = 0; i < count; i++) {
      if (i !== start && this.isOpen(i) && !nodes[i]!.isWarming && rest-- === 0) return i
    }
    return warming
  }

  private isBetter(a: TrackedNode, b: TrackedNode): boolean {
    // A node without a latency has the other's.
    const ofA = a.fadedLatency(this.now)
    const ofB = b.fadedLatency(this.now)
    const latencyA = ofA === 0 ? ofB : ofA
    const latencyB = ofB === 0 ? ofA : ofB
    return (latencyA + 0.1) * (a.outstanding + 1) < (latencyB + 0.1) * (b.outstanding + 1)
  }
}

const scratch = new Affinity.KeyHash()

/**
 * The order for a batch: each key votes for its node; most votes first, ties by URL, then those without votes by URL.
 *
 * @category ordering
 * @since 0.1.0
 */
export const orderByVotes = (
  order: Affinity.AffinityOrder,
  nodes: ReadonlyArray<TrackedNode>,
  hashes: Iterable<Affinity.KeyHash>
): Array<TrackedNode> => {
  const votes = new Map<TrackedNode, number>()
  for (const hash of hashes) {
    const node = nodes[Affinity.first(order, hash, nodes.length)]
    if (node !== undefined) votes.set(node, (votes.get(node) ?? 0) + 1)
  }
  return nodes.slice().sort((a, b) =>
    (votes.get(b) ?? 0) - (votes.get(a) ?? 0) || (a.url < b.url ? -1 : a.url > b.url ? 1 : 0)
  )
}
