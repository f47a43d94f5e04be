/**
 * The cluster as it is known at one moment: nodes, ring, replicas. Immutable and swapped whole, so that routing reads it
 * without waiting.
 *
 * @since 0.1.0
 */
import type { NodePool } from "@effect-scylla/pool/NodePool"
import * as ByteOrderedPartitioner from "@effect-scylla/sharding/ByteOrderedPartitioner"
import * as Partitioner from "@effect-scylla/sharding/Partitioner"
import * as RandomPartitioner from "@effect-scylla/sharding/RandomPartitioner"
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
  /** Connections to it; `undefined` for a node that this client does not ask. */
  readonly pool: NodePool | undefined
  /** Whether it is of the local datacenter, and not filtered out. */
  readonly isLocal: boolean
  /** The client has a rack, and this node is in another one. Default false. */
  readonly isFar?: boolean | undefined
  readonly tokens: ReadonlyArray<bigint>
  /** The tokens as the server writes them, of partitioners whose tokens are no int64. */
  readonly tokenTexts?: ReadonlyArray<string> | undefined
  /** Where it says that clients reach it; `address` and `port` are where this client does. */
  readonly rpcAddress: string
  /** The address that gossip and ScyllaDB's events name it by. */
  readonly peer: string
  readonly releaseVersion: string
}

/**
 * Whether a node is to be used: see `hostFilter` of the options.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeFilter = (
  node: Pick<Node, "hostId" | "address" | "port" | "datacenter" | "rack" | "releaseVersion">
) => boolean

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
  /** Strongly consistent (ScyllaDB's `consistency = 'global'`): writes go by a leader. */
  readonly isGlobal: boolean
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
  /** Nodes of the local datacenter, those that own no part of the ring last. */
  readonly local: ReadonlyArray<Node>
  /** How many of `local` own a part of the ring. */
  readonly owners: number
  /** Nodes of other datacenters that are asked when no local one can be, in their order. */
  readonly remote: ReadonlyArray<Node>
  /** By tokens of 64 bits; empty for partitioners that have others. */
  readonly ring: TokenRing.TokenRing<Node>
  /** The segment of a key where tokens are no int64: `RandomPartitioner`, `ByteOrderedPartitioner`. */
  readonly segmentOfKey: ((key: Uint8Array) => number) | undefined
  readonly partitioner: Partitioner.Partitioner
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
  readonly isGlobal?: boolean | undefined
}

/**
 * What a snapshot has besides nodes and keyspaces.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** Datacenters of the failover, in their order. */
  readonly remote?: ReadonlyArray<string> | undefined
  /** The cluster's partitioner: the name of a class. Default Murmur3. */
  readonly partitioner?: string | undefined
  /** Whose rules hold: ScyllaDB's (default false) or Cassandra's. */
  readonly isScylla?: boolean | undefined
}

interface Ring {
  readonly owners: ReadonlyArray<Node>
  readonly ring: TokenRing.TokenRing<Node>
  readonly segmentOfKey: Snapshot["segmentOfKey"]
}

/** One that owns no part of the ring can coordinate, and is asked when no other node can be. */
const ownsTokens = ({ tokens, tokenTexts }: Node): boolean => tokens.length > 0 || (tokenTexts?.length ?? 0) > 0

const NONE: TokenRing.TokenRing<any> = TokenRing.make([])

/** Tokens in an order of their own. What cannot be read is no token. */
const orderedRing = <K>(
  nodes: ReadonlyArray<Node>,
  parse: (text: string) => { readonly _tag: string; readonly success?: K },
  compare: (a: K, b: K) => number,
  tokenOf: (key: Uint8Array) => K
): Ring => {
  const entries = nodes.flatMap((owner) =>
    (owner.tokenTexts ?? []).flatMap((text) => {
      const parsed = parse(text)
      return parsed._tag === "Success" ? [{ token: parsed.success as K, owner }] : []
    })
  )
  const ordered = TokenRing.makeOrdered(entries, compare)
  return {
    owners: ordered.owners,
    ring: NONE,
    segmentOfKey: (key) => TokenRing.segmentOfOrdered(ordered, tokenOf(key))
  }
}

const ringOf = (nodes: ReadonlyArray<Node>, partitioner: string): Ring => {
  // Which server's makes a difference for the empty key only, which is not routed.
  const { kind } = Partitioner.resolve(partitioner, "cassandra")
  switch (kind) {
    case "random":
      return orderedRing(nodes, RandomPartitioner.parse as never, RandomPartitioner.compare, RandomPartitioner.token)
    case "byteOrdered":
      return orderedRing(
        nodes,
        ByteOrderedPartitioner.parse as never,
        ByteOrderedPartitioner.compare,
        // The hash of a statement's key lies in memory that is used again.
        (key) => ByteOrderedPartitioner.token(key.slice())
      )
    case "unknown":
      return { owners: [], ring: NONE, segmentOfKey: undefined }
    default: {
      const ring = TokenRing.make(nodes.flatMap((owner) => owner.tokens.map((token) => ({ token, owner }))))
      return { owners: ring.owners, ring, segmentOfKey: undefined }
    }
  }
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
  rows: ReadonlyArray<KeyspaceRow>,
  { isScylla = false, partitioner = "Murmur3Partitioner", remote = [] }: Settings = {}
): Snapshot => {
  const mine = nodes.filter((node) => node.isLocal)
  const owning = mine.filter(ownsTokens)
  const local = [...owning, ...mine.filter((node) => !ownsTokens(node))]
  const others = remote.flatMap((name) =>
    nodes.filter((node) => node.datacenter === name && node.datacenter !== datacenter && node.pool !== undefined)
  )
  const ring = ringOf(nodes, partitioner)
  const tables = new Map<string, ReadonlyArray<ReadonlyArray<Node>>>()
  const keyspaces = new Map<string, Keyspace>()
  for (const { hasTablets, isGlobal = false, name, replication } of rows) {
    const strategy = Replication.parse(replication)
    const routed = !hasTablets && strategy._tag !== "Unknown" && strategy._tag !== "Local"
    const key = Replication.replicationKey(strategy)
    let replicas = routed ? tables.get(key) : undefined
    if (routed && replicas === undefined) {
      replicas = Replication.replicasBySegment(
        { size: ring.owners.length, owners: ring.owners },
        strategy,
        (node) => node
      ).map((segment) => segment.filter((node) => node.isLocal))
      tables.set(key, replicas)
    }
    keyspaces.set(name, { name, strategy, hasTablets, isGlobal, replicas })
  }
  const hosts = new Map(nodes.map((node) => [node.hostId, node]))
  return {
    clusterName,
    datacenter,
    nodes,
    hosts,
    local,
    owners: owning.length,
    remote: others,
    ring: ring.ring,
    segmentOfKey: ring.segmentOfKey,
    partitioner: Partitioner.resolve(partitioner, isScylla ? "scylla" : "cassandra"),
    keyspaces
  }
}
