/**
 * The cluster as it is known at one moment: nodes, ring, replicas. Immutable and swapped whole, so that routing reads it
 * without waiting.
 *
 * @since 0.1.0
 */
import type { NodePool } from "@effect-scylla/pool/NodePool"
import * as Replication from "@effect-scylla/sharding/Replication"
import * as TokenRing from "@effect-scylla/sharding/TokenRing"
import type { Coordinator } from "./ResultSet.ts"

/**
 * A node of the cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface Node extends Coordinator {
  /** Connections to it; `undefined` for a node of another datacenter. */
  readonly pool: NodePool | undefined
  /** Whether it is of the local datacenter. */
  readonly isLocal: boolean
  readonly tokens: ReadonlyArray<bigint>
  /** Where it says that clients reach it; `address` and `port` are where this client does. */
  readonly rpcAddress: string
  /** The address that gossip and ScyllaDB's events name it by. */
  readonly peer: string
  readonly releaseVersion: string
}

/**
 * A keyspace, as far as routing is concerned.
 *
 * @category models
 * @since 0.1.0
 */
export interface Keyspace {
  readonly name: string
  readonly strategy: Replication.ReplicationStrategy
  /** Its tables are made of tablets: the ring says nothing about them. */
  readonly hasTablets: boolean
  /**
   * Local replicas by ring segment, the primary first; `undefined` for tablets, whose replicas servers tell range by range,
   * and where any local node is as good (strategies that are not known). Keyspaces with equal replication share them.
   */
  readonly replicas: ReadonlyArray<ReadonlyArray<Node>> | undefined
}

/**
 * The cluster as the client sees it at one moment. Never changed: when something happens, another one takes its place.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly clusterName: string
  readonly datacenter: string
  readonly nodes: ReadonlyArray<Node>
  /** The nodes by their host ids. */
  readonly hosts: ReadonlyMap<string, Node>
  /** Nodes of the local datacenter. */
  readonly local: ReadonlyArray<Node>
  readonly ring: TokenRing.TokenRing<Node>
  readonly keyspaces: ReadonlyMap<string, Keyspace>
}

/**
 * A row of `system_schema.keyspaces`, and whether `scylla_keyspaces` gives it tablets.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyspaceRow {
  readonly name: string
  readonly replication: Readonly<Record<string, string>>
  readonly hasTablets: boolean
}

/**
 * Builds a snapshot. Replicas are worked out once for each distinct replication.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  clusterName: string,
  datacenter: string,
  nodes: ReadonlyArray<Node>,
  rows: ReadonlyArray<KeyspaceRow>
): Snapshot => {
  const local = nodes.filter((node) => node.isLocal)
  const ring = TokenRing.make(nodes.flatMap((owner) => owner.tokens.map((token) => ({ token, owner }))))
  const tables = new Map<string, ReadonlyArray<ReadonlyArray<Node>>>()
  const keyspaces = new Map<string, Keyspace>()
  for (const { hasTablets, name, replication } of rows) {
    const strategy = Replication.parse(replication)
    const routed = !hasTablets && strategy._tag !== "Unknown" && strategy._tag !== "Local"
    const key = Replication.replicationKey(strategy)
    let replicas = routed ? tables.get(key) : undefined
    if (routed && replicas === undefined) {
      replicas = Replication.replicasBySegment(ring, strategy, (node) => node).map((segment) =>
        segment.filter((node) => node.isLocal)
      )
      tables.set(key, replicas)
    }
    keyspaces.set(name, { name, strategy, hasTablets, replicas })
  }
  const hosts = new Map(nodes.map((node) => [node.hostId, node]))
  return { clusterName, datacenter, nodes, hosts, local, ring, keyspaces }
}
