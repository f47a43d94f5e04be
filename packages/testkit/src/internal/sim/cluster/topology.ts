/** Nodes, tokens, replicas, and who must be alive for a consistency level. */
import type * as Consistency from "@effect-scylla/protocol/Consistency"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import * as Replication from "@effect-scylla/sharding/Replication"
import { shardOf } from "@effect-scylla/sharding/Sharding"
import * as TokenRing from "@effect-scylla/sharding/TokenRing"
import { createHash } from "node:crypto"
import { invalid } from "../failure.ts"
import type { Keyspace, Table } from "../schema/schema.ts"
import type { TableData } from "../storage/storage.ts"
import type { SimNode } from "./simNode.ts"
import { isOwner, TabletLayout } from "./tablets.ts"

const digest = (text: string): DataView => {
  const bytes = createHash("md5").update(text).digest()
  return new DataView(bytes.buffer, bytes.byteOffset, 16)
}

/** Tokens that are the same in every run. */
export const tokensOf = (seed: string, node: number, count: number): ReadonlyArray<bigint> =>
  Array.from({ length: count }, (_, i) => digest(`${seed}/token/${node}/${i}`).getBigInt64(0))
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))

/** A version 4 UUID that is the same in every run. */
export const uuidOf = (text: string): Uuid.Uuid => {
  const view = digest(text)
  return new Uuid.Uuid(
    view.getInt32(0),
    (view.getInt32(4) & ~0xf000) | 0x4000,
    (view.getInt32(8) & 0x3fffffff) | 0x80000000,
    view.getInt32(12)
  )
}

/** So many replicas, of one datacenter or of any. */
export interface Requirement {
  readonly required: number
  readonly datacenter: string | undefined
}

export class Topology {
  /** Without those that have left. */
  nodes: ReadonlyArray<SimNode>
  private ring: TokenRing.TokenRing<SimNode>
  /** By what stays the same when a table is altered. */
  private readonly layouts = new WeakMap<TableData, TabletLayout>()

  constructor(nodes: ReadonlyArray<SimNode>) {
    this.nodes = nodes
    this.ring = Topology.ringOf(nodes)
  }

  private static ringOf(nodes: ReadonlyArray<SimNode>): TokenRing.TokenRing<SimNode> {
    return TokenRing.make(nodes.flatMap((owner) => owner.tokens.map((token) => ({ token, owner }))))
  }

  /** Without those that only coordinate. */
  private get owners(): ReadonlyArray<SimNode> {
    return this.nodes.filter(({ tokens }) => tokens.length > 0)
  }

  /** A node becomes a member, and owner of what its tokens say. */
  add(node: SimNode, keyspaces: Iterable<Keyspace>): void {
    this.nodes = [...this.nodes, node].sort((a, b) => a.index - b.index)
    this.ring = Topology.ringOf(this.nodes)
    for (const keyspace of keyspaces) keyspace.replicas = undefined
  }

  /** A node leaves for good: the others take over what it had. */
  remove(node: SimNode, keyspaces: Iterable<Keyspace>): void {
    node.hasLeft = true
    this.nodes = this.nodes.filter((other) => other !== node)
    this.ring = Topology.ringOf(this.nodes)
    for (const keyspace of keyspaces) {
      keyspace.replicas = undefined
      for (const table of keyspace.tables.values()) this.tablets(table)?.replace(node, this.owners)
    }
  }

  /** `undefined` for a table without tablets. */
  tablets(table: Table): TabletLayout | undefined {
    const { strategy, tablets } = table.keyspace
    if (tablets === undefined || strategy._tag !== "NetworkTopology") return undefined
    let layout = this.layouts.get(table.data)
    if (layout === undefined) this.layouts.set(table.data, layout = new TabletLayout(tablets, strategy, this.owners))
    return layout
  }

  /** Nodes that hold the token's partition of this table. */
  replicas(table: Table, hi: number, lo: number): ReadonlyArray<SimNode> {
    return this.tablets(table)?.of(hi).nodes ??
      this.table(table.keyspace)[TokenRing.segmentOf(this.ring, hi, lo)]!
  }

  /** The same where system tables are asked for too, of which each node has its own. */
  holders(table: Table, hi: number, lo: number, coordinator: SimNode): ReadonlyArray<SimNode> {
    return table.keyspace.strategy._tag === "Local" ? [coordinator] : this.replicas(table, hi, lo)
  }

  /** Whether the shard of the node holds the token's partition of this table. */
  isOwner(table: Table, hi: number, lo: number, node: SimNode, shard: number, ignoreMsb: number): boolean {
    const layout = this.tablets(table)
    return layout === undefined
      ? this.replicas(table, hi, lo).includes(node) && shardOf(hi, lo, node.nrShards, ignoreMsb) === shard
      : isOwner(layout.of(hi), node, shard)
  }

  private table(keyspace: Keyspace): ReadonlyArray<ReadonlyArray<SimNode>> {
    keyspace.replicas ??= Replication.replicasBySegment(this.ring, keyspace.strategy, (node) => node)
    return keyspace.replicas
  }

  /** How many replicas a datacenter has, or all of them together. A factor counts even where nodes are fewer. */
  private factor(keyspace: Keyspace, datacenter: string | undefined): number {
    const { strategy } = keyspace
    switch (strategy._tag) {
      case "Simple":
        return strategy.replicationFactor
      case "NetworkTopology":
        return datacenter === undefined
          ? [...strategy.replicationFactors.values()].reduce((sum, factor) => sum + factor, 0)
          : strategy.replicationFactors.get(datacenter) ?? 0
      case "Everywhere":
        return this.nodes.filter((node) => datacenter === undefined || node.datacenter === datacenter).length
      default:
        return 1
    }
  }

  /** Throws UNAVAILABLE when too few of the replicas are alive for the level. */
  ensureAlive(
    keyspace: Keyspace,
    level: Consistency.Consistency,
    coordinator: SimNode,
    replicas: ReadonlyArray<SimNode>
  ): void {
    const alive = (datacenter?: string): number => {
      let count = 0
      for (let i = 0; i < replicas.length; i++) {
        const node = replicas[i]!
        if (node.isRunning && (datacenter === undefined || node.datacenter === datacenter)) count++
      }
      return count
    }
    for (const { datacenter, required } of this.requirements(keyspace, level, coordinator)) {
      const living = alive(datacenter)
      if (living >= required) continue
      throw new ServerError.Unavailable({
        code: 0x1000,
        message: `Cannot achieve consistency level for cl ${level}. Requires ${required}, alive ${living}`,
        consistency: level,
        required,
        alive: living
      })
    }
  }

  /** How many replicas a level wants, of which datacenter. */
  requirements(
    keyspace: Keyspace,
    level: Consistency.Consistency,
    coordinator: SimNode
  ): ReadonlyArray<Requirement> {
    const of = (required: number, datacenter?: string): ReadonlyArray<Requirement> => [{ required, datacenter }]
    const half = (factor: number): number => Math.floor(factor / 2) + 1
    // SimpleStrategy knows no datacenters: its local levels count every replica.
    const simple = keyspace.strategy._tag === "Simple"
    const local = simple ? undefined : coordinator.datacenter
    switch (level) {
      case "ANY":
        return []
      case "ONE":
        return of(1)
      case "TWO":
        return of(2)
      case "THREE":
        return of(3)
      case "LOCAL_ONE":
        return of(1, local)
      case "ALL":
        return of(this.factor(keyspace, undefined))
      case "QUORUM":
      case "SERIAL":
        return of(half(this.factor(keyspace, undefined)))
      case "LOCAL_QUORUM":
      case "LOCAL_SERIAL":
        return of(half(this.factor(keyspace, local)), local)
      case "EACH_QUORUM": {
        if (keyspace.strategy._tag !== "NetworkTopology") return of(half(this.factor(keyspace, undefined)))
        return [...keyspace.strategy.replicationFactors].flatMap(([datacenter, factor]) => of(half(factor), datacenter))
      }
    }
  }

  /** The same for every segment of the ring or every tablet, as a full scan needs it. */
  ensureAllAlive(table: Table, level: Consistency.Consistency, coordinator: SimNode): void {
    const { keyspace } = table
    if (keyspace.strategy._tag === "Local") return this.ensureAlive(keyspace, level, coordinator, [coordinator])
    const all = this.tablets(table)?.tablets.map(({ nodes }) => nodes) ?? this.table(keyspace)
    for (const replicas of new Set(all)) this.ensureAlive(keyspace, level, coordinator, replicas)
  }
}

/** Levels that a read or an unconditional write may not have. */
export const checkLevel = (level: Consistency.Consistency, kind: "read" | "write"): void => {
  if (kind === "read" && (level === "ANY" || level === "EACH_QUORUM")) {
    throw invalid(`${level} ConsistencyLevel is only supported for writes`)
  }
  if (kind === "write" && (level === "SERIAL" || level === "LOCAL_SERIAL")) {
    throw invalid("You must use conditional updates for serializable writes")
  }
}
