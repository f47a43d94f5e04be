/** The counters as tests see them. */
import type { SimNode } from "./simNode.ts"
import { type Counters, shardCounters } from "./stats.ts"

/** Counters of data requests: QUERY, EXECUTE and BATCH on tables of users. */
export interface RequestStats {
  /** All of them. */
  readonly requests: number
  /** Of one partition, and received by a replica on the shard that owns it. */
  readonly owned: number
  /** Of one partition, and received elsewhere. */
  readonly misrouted: number
  /** Without a single partition: scans, several keys, batches over partitions, TRUNCATE. */
  readonly unrouted: number
}

/** Counters of a shard. `connections` were opened since the last reset, by the port they came through. */
export interface ShardStats extends RequestStats {
  readonly shard: number
  readonly prepares: number
  readonly connections: { readonly plain: number; readonly shardAware: number }
}

/** Counters of a node. */
export interface NodeStats extends RequestStats {
  readonly address: string
  readonly shards: ReadonlyArray<ShardStats>
}

/** Counters of the cluster. */
export interface ClusterStats extends RequestStats {
  readonly prepares: number
  readonly connections: { readonly plain: number; readonly shardAware: number }
  /** Every frame received, by the name of its opcode. */
  readonly byOpcode: Readonly<Record<string, number>>
  /** By `keyspace.table`; a batch counts for the table of its last statement. */
  readonly byTable: Readonly<Record<string, RequestStats>>
  readonly nodes: ReadonlyArray<NodeStats>
}

const sum = (parts: ReadonlyArray<RequestStats>): RequestStats => {
  const out = { requests: 0, owned: 0, misrouted: 0, unrouted: 0 }
  for (const part of parts) {
    out.requests += part.requests
    out.owned += part.owned
    out.misrouted += part.misrouted
    out.unrouted += part.unrouted
  }
  return out
}

export const snapshot = (counters: Counters, nodes: ReadonlyArray<SimNode>): ClusterStats => {
  const byNode = nodes.map((node): NodeStats => {
    const known = counters.shards[node.index]!
    const shards = Array.from({ length: Math.max(node.nrShards, known.length) }, (_, shard): ShardStats => {
      const { connections, ...rest } = known[shard] ?? shardCounters()
      return { shard, ...rest, connections: { ...connections } }
    })
    return { address: node.address, ...sum(shards), shards }
  })
  const shards = byNode.flatMap((node) => node.shards)
  return {
    ...sum(byNode),
    prepares: shards.reduce((total, shard) => total + shard.prepares, 0),
    connections: {
      plain: shards.reduce((total, shard) => total + shard.connections.plain, 0),
      shardAware: shards.reduce((total, shard) => total + shard.connections.shardAware, 0)
    },
    byOpcode: Object.fromEntries(counters.byOpcode),
    byTable: Object.fromEntries(Array.from(counters.byTable, ([name, stats]) => [name, { ...stats }])),
    nodes: byNode
  }
}
