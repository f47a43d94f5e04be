/** Tablets of a table: equal ranges of tokens, each with its own replicas on named shards. */
import * as TabletRouting from "@effect-scylla/protocol/TabletRouting"
import { Writer } from "@effect-scylla/protocol/Writer"
import type * as Replication from "@effect-scylla/sharding/Replication"
import { createHash } from "node:crypto"
import type { SimNode } from "./simNode.ts"

export interface TabletReplica {
  readonly node: SimNode
  readonly shard: number
}

export interface Tablet {
  /** The tokens `first < token <= last`. */
  readonly first: bigint
  readonly last: bigint
  readonly replicas: ReadonlyArray<TabletReplica>
  readonly nodes: ReadonlyArray<SimNode>
  /** Follows from the replicas, whatever their order: eight opaque bytes. */
  readonly version: bigint
}

const MINIMUM = -(2n ** 63n)
/** Tablets of a table at most. */
const MOST = 4096

const versionOf = (replicas: ReadonlyArray<TabletReplica>): bigint => {
  const text = replicas.map(({ node, shard }) => `${node.hostId.toString()}/${shard}`).sort().join()
  return createHash("md5").update(text).digest().readBigInt64BE(0)
}

const tabletOf = (first: bigint, last: bigint, replicas: ReadonlyArray<TabletReplica>): Tablet => ({
  first,
  last,
  replicas,
  nodes: replicas.map(({ node }) => node),
  version: versionOf(replicas)
})

/** Nodes in an order in which neighbours are of different racks, as far as there are racks. */
const byRacks = (nodes: ReadonlyArray<SimNode>): ReadonlyArray<SimNode> => {
  const racks = Map.groupBy(nodes, (node) => node.rack)
  const rows = [...racks.values()]
  return Array.from(
    { length: Math.max(0, ...rows.map((row) => row.length)) },
    (_, i) => rows.flatMap((row) => row[i] ?? [])
  )
    .flat()
}

/** A power of two, as ScyllaDB rounds it: what was asked for, else about one tablet for each shard. */
const countOf = (initial: number, factors: ReadonlyMap<string, number>, nodes: ReadonlyArray<SimNode>): number => {
  const shards = nodes.reduce((sum, node) => sum + node.nrShards, 0)
  const replicas = Math.max(1, [...factors.values()].reduce((sum, factor) => sum + factor, 0))
  const wanted = Math.max(2, initial > 0 ? initial : Math.ceil(shards / replicas))
  return Math.min(MOST, 2 ** Math.ceil(Math.log2(wanted)))
}

export class TabletLayout {
  /** In the order of their tokens. */
  tablets: Array<Tablet>
  private bits: number

  constructor(
    initial: number,
    { replicationFactors }: Extract<Replication.ReplicationStrategy, { readonly _tag: "NetworkTopology" }>,
    nodes: ReadonlyArray<SimNode>
  ) {
    const count = countOf(initial, replicationFactors, nodes)
    this.bits = Math.log2(count)
    const size = 2n ** 64n / BigInt(count)
    const dealt = new Map<SimNode, number>()
    const nextShard = (node: SimNode): number => {
      const turn = dealt.get(node) ?? 0
      dealt.set(node, turn + 1)
      return turn % node.nrShards
    }
    const datacenters = [...replicationFactors].map(([name, factor]) => {
      const members = byRacks(nodes.filter((node) => node.datacenter === name))
      return { members, factor: Math.min(factor, members.length) }
    })
    this.tablets = Array.from({ length: count }, (_, i) => {
      const replicas = datacenters.flatMap(({ factor, members }) =>
        Array.from({ length: factor }, (_, at) => {
          const node = members[(i + at) % members.length]!
          return { node, shard: nextShard(node) }
        })
      )
      // The range before the first token is open: the minimum stands for it.
      const first = MINIMUM + size * BigInt(i)
      return tabletOf(i === 0 ? MINIMUM : first - 1n, first + size - 1n, replicas)
    })
  }

  private indexOf(hi: number): number {
    return this.bits === 0 ? 0 : (hi ^ 0x80000000) >>> (32 - this.bits)
  }

  /** The tablet of a token, by its high word. */
  of(hi: number): Tablet {
    return this.tablets[this.indexOf(hi)]!
  }

  /** Other replicas for the tablet of a token. */
  move(token: bigint, replicas: ReadonlyArray<TabletReplica>): void {
    const at = this.indexOf(Number(BigInt.asIntN(32, token >> 32n)))
    const { first, last } = this.tablets[at]!
    this.tablets[at] = tabletOf(first, last, replicas)
  }

  /** Twice as many tablets: both halves of each stay where it was. */
  split(): boolean {
    if (this.tablets.length * 2 > MOST) return false
    this.tablets = this.tablets.flatMap(({ first, last, replicas }, i) => {
      const middle = ((i === 0 ? MINIMUM : first + 1n) + last) >> 1n
      return [tabletOf(first, middle, replicas), tabletOf(middle, last, replicas)]
    })
    this.bits++
    return true
  }

  /** Half as many: of two neighbours the second goes to where the first is. */
  merge(): boolean {
    if (this.tablets.length === 1) return false
    this.tablets = Array.from({ length: this.tablets.length / 2 }, (_, i) => {
      const { first, replicas } = this.tablets[2 * i]!
      return tabletOf(first, this.tablets[2 * i + 1]!.last, replicas)
    })
    this.bits--
    return true
  }

  /** A node is gone: another one of its datacenter, if there is one, takes its place. */
  replace(gone: SimNode, members: ReadonlyArray<SimNode>): void {
    for (const { first, nodes, replicas } of this.tablets) {
      if (!nodes.includes(gone)) continue
      const other = members.find((node) => node.datacenter === gone.datacenter && !nodes.includes(node))
      this.move(
        first + 1n,
        replicas.flatMap((replica) =>
          replica.node !== gone
            ? replica
            : other === undefined
            ? []
            : { node: other, shard: replica.shard % other.nrShards }
        )
      )
    }
  }
}

/** Whether a request was received where a replica is. A node with fewer shards than before has its tablets on those. */
export const isOwner = (tablet: Tablet, node: SimNode, shard: number): boolean =>
  tablet.replicas.some((replica) => replica.node === node && replica.shard % node.nrShards === shard)

/** The payload of an answer: a tuple of both tokens and the replicas, and of v2 the version. */
export const payloadOf = (tablet: Tablet, isVersioned: boolean): ReadonlyMap<string, Uint8Array> => {
  const w = new Writer(256)
  const bigint = (value: bigint): void => {
    w.i32(8)
    w.i64(value)
  }
  bigint(tablet.first)
  bigint(tablet.last)
  const { replicas } = tablet
  w.i32(4 + replicas.length * 32)
  w.i32(replicas.length)
  for (const { node, shard } of replicas) {
    w.i32(28)
    w.i32(16)
    w.raw(node.hostId.toBytes())
    w.i32(4)
    w.i32(shard % node.nrShards)
  }
  if (isVersioned) bigint(tablet.version)
  return new Map([[isVersioned ? TabletRouting.Keys.V2 : TabletRouting.Keys.V1, w.bytes.slice(0, w.pos)]])
}

/** Whether the block that ends an EXECUTE is of this version. */
export const isCurrent = (tablet: Tablet, block: number): boolean =>
  Number((tablet.version >> BigInt((block >> 4) * 4)) & 15n) === (block & 15)
