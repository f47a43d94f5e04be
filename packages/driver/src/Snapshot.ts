/**
 * The cluster as it is known at one moment: nodes, ring, replicas. Immutable and swapped whole, so that routing reads it
 * without waiting.
 *
 * @since 0.1.0
 */
import type { Change, NodePool } from "@effect-scylla/pool/NodePool"
import * as ByteOrderedPartitioner from "@effect-scylla/sharding/ByteOrderedPartitioner"
import * as Partitioner from "@effect-scylla/sharding/Partitioner"
import * as RandomPartitioner from "@effect-scylla/sharding/RandomPartitioner"
import * as Replication from "@effect-scylla/sharding/Replication"
import * as TokenRing from "@effect-scylla/sharding/TokenRing"
import type { Coordinator } from "./ResultSet.ts"

/**
 * Where Alternator, the DynamoDB API of a node, is reached by a client route.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlternatorRoute {
  /** An address or a name. */
  readonly host: string
  /** `undefined`: it is not reached so. */
  readonly port: number | undefined
  readonly httpsPort: number | undefined
}

/**
 * What happens to a node of the cluster, as this client sees it: it joins or leaves, or something happens to the pool of its connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeChange {
  readonly hostId: string
  readonly address: string
  readonly port: number
  readonly change:
    | Change
    /** It is a member of the cluster now, or is none any more. */
    | { readonly _tag: "Added" }
    | { readonly _tag: "Removed" }
}

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
  /** With `clientRoutes` only. */
  readonly alternator?: AlternatorRoute | undefined
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
 * The local replicas of a replication: `of(segment)` gives those of a segment of the ring.
 *
 * @category models
 * @since 0.1.0
 */
export type Replicas = Replication.ReplicaTable<Node, Replication.RingOwners<Node>>

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
   * Local replicas by ring segment, the primary first, worked out for a segment when it is first asked for; `undefined` for tablets, whose
   * replicas servers tell range by range, and where any local node is as good (strategies that are not known). Keyspaces with equal
   * replication share them.
   */
  readonly replicas: Replicas | undefined
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
  /** What snapshots share as long as it is the same. @internal */
  readonly placement: Placement
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

/** Where data lies, as far as tokens and racks say it. */
interface Placement {
  readonly nodes: ReadonlyArray<Node>
  readonly partitioner: string
  /** By the index of the owner among `nodes`, so that it outlives objects of nodes. */
  readonly tokens: TokenRing.TokenRing<number>
  readonly ring: TokenRing.TokenRing<Node>
  readonly segmentOfKey: Snapshot["segmentOfKey"]
  readonly tables: Replication.ReplicaTables<Node, Replication.RingOwners<Node>>
}

/** One that owns no part of the ring can coordinate, and is asked when no other node can be. */
const ownsTokens = ({ tokens, tokenTexts }: Node): boolean => tokens.length > 0 || (tokenTexts?.length ?? 0) > 0

const NO_TOKENS: TokenRing.TokenRing<number> = TokenRing.make([])
const NONE: TokenRing.TokenRing<Node> = TokenRing.make([])

/** Tokens in an order of their own. What cannot be read is no token. */
const orderedRing = <K>(
  nodes: ReadonlyArray<Node>,
  parse: (text: string) => { readonly _tag: string; readonly success?: K },
  compare: (a: K, b: K) => number,
  tokenOf: (key: Uint8Array) => K
): { readonly owners: Replication.RingOwners<Node>; readonly segmentOfKey: (key: Uint8Array) => number } => {
  const entries = nodes.flatMap((owner) =>
    (owner.tokenTexts ?? []).flatMap((text) => {
      const parsed = parse(text)
      return parsed._tag === "Success" ? [{ token: parsed.success as K, owner }] : []
    })
  )
  const owners = TokenRing.makeOrdered(entries, compare)
  return { owners, segmentOfKey: (key) => TokenRing.segmentOfOrdered(owners, tokenOf(key)) }
}

const tablesOf = (owners: Replication.RingOwners<Node>): Placement["tables"] =>
  new Replication.ReplicaTables(owners, (node: Node) => node, (node) => node.isLocal)

const ofTokens = (nodes: ReadonlyArray<Node>, partitioner: string, tokens: TokenRing.TokenRing<number>): Placement => {
  const ring = TokenRing.mapOwners(tokens, (at) => nodes[at]!)
  return { nodes, partitioner, tokens, ring, segmentOfKey: undefined, tables: tablesOf(ring) }
}

const entriesOf = function*(nodes: ReadonlyArray<Node>): Generator<TokenRing.TokenRingEntry<number>> {
  for (const [owner, { tokens }] of nodes.entries()) for (const token of tokens) yield { token, owner }
}

/**
 * Where data lies, from what `before` was where the tokens are the same; else made anew, in steps of some tenths of a millisecond.
 *
 * @internal
 */
export const place = function*(
  nodes: ReadonlyArray<Node>,
  partitioner: string,
  before: Placement | undefined
): Generator<void, Placement> {
  const isSame = before !== undefined && before.partitioner === partitioner && before.nodes.length === nodes.length &&
    nodes.every((node, i) => {
      const other = before.nodes[i]!
      return node === other ||
        (node.hostId === other.hostId && isSameList(node.tokens, other.tokens) &&
          isSameList(node.tokenTexts, other.tokenTexts))
    })
  if (isSame && nodes.every((node, i) => node === before.nodes[i])) return before
  // Which server's makes a difference for the empty key only, which is not routed.
  const { kind } = Partitioner.resolve(partitioner, "cassandra")
  const others = { nodes, partitioner, tokens: NO_TOKENS, ring: NONE }
  switch (kind) {
    case "random": {
      const { compare, parse, token } = RandomPartitioner
      const { owners, segmentOfKey } = orderedRing(nodes, parse as never, compare, token)
      return { ...others, segmentOfKey, tables: tablesOf(owners) }
    }
    case "byteOrdered": {
      const { compare, parse, token } = ByteOrderedPartitioner
      // The hash of a statement's key lies in memory that is used again.
      const { owners, segmentOfKey } = orderedRing(nodes, parse as never, compare, (key) => token(key.slice()))
      return { ...others, segmentOfKey, tables: tablesOf(owners) }
    }
    case "unknown":
      return { ...others, segmentOfKey: undefined, tables: tablesOf(NONE) }
    default:
      return ofTokens(
        nodes,
        partitioner,
        isSame ? before.tokens : yield* TokenRing.makeInSteps(entriesOf(nodes))
      )
  }
}

/** What is the same without a look at each of many tokens, mostly. @internal */
export const isSameList = (a: ReadonlyArray<unknown> = [], b: ReadonlyArray<unknown> = []): boolean =>
  a === b || (a.length === b.length && a.every((value, i) => value === b[i]))

const placed = (nodes: ReadonlyArray<Node>, partitioner: string): Placement => {
  const steps = place(nodes, partitioner, undefined)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/**
 * Builds a snapshot. Replicas are there once for each distinct replication.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  clusterName: string,
  datacenter: string,
  nodes: ReadonlyArray<Node>,
  rows: ReadonlyArray<KeyspaceRow>,
  { isScylla = false, partitioner = "Murmur3Partitioner", placement = placed(nodes, partitioner), remote = [] }:
    & Settings
    & { readonly placement?: Placement } = {}
): Snapshot => {
  const mine = nodes.filter((node) => node.isLocal)
  const owning = mine.filter(ownsTokens)
  const local = [...owning, ...mine.filter((node) => !ownsTokens(node))]
  const others = remote.flatMap((name) =>
    nodes.filter((node) => node.datacenter === name && node.datacenter !== datacenter && node.pool !== undefined)
  )
  const keyspaces = new Map<string, Keyspace>()
  for (const { hasTablets, isGlobal = false, name, replication } of rows) {
    const strategy = Replication.parse(replication)
    const isRouted = !hasTablets && strategy._tag !== "Unknown" && strategy._tag !== "Local"
    const replicas = isRouted ? placement.tables.get(strategy) : undefined
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
    ring: placement.ring,
    segmentOfKey: placement.segmentOfKey,
    partitioner: Partitioner.resolve(partitioner, isScylla ? "scylla" : "cassandra"),
    keyspaces,
    placement
  }
}
