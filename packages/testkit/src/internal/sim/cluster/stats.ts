/** Counters: which node and shard received a request, and which owns its partition. */
import { Opcode } from "@effect-scylla/protocol/Frame"
import type { Call } from "../plan/plan.ts"

/** Counters of one shard. */
export interface ShardCounters {
  requests: number
  owned: number
  misrouted: number
  unrouted: number
  prepares: number
  readonly connections: { plain: number; shardAware: number }
}

export const shardCounters = (): ShardCounters => ({
  requests: 0,
  owned: 0,
  misrouted: 0,
  unrouted: 0,
  prepares: 0,
  connections: { plain: 0, shardAware: 0 }
})

const NAMES = new Map<number, string>(Object.entries(Opcode).map(([name, code]) => [code, name]))

export class Counters {
  /** By node, then by shard; a shard appears when something reaches it. */
  readonly shards: Array<Array<ShardCounters>> = []
  readonly byOpcode = new Map<string, number>()
  readonly byTable = new Map<string, { requests: number; owned: number; misrouted: number; unrouted: number }>()

  constructor(nodes: number) {
    for (let i = 0; i < nodes; i++) this.shards.push([])
  }

  of(node: number, shard: number): ShardCounters {
    const shards = this.shards[node]!
    while (shards.length <= shard) shards.push(shardCounters())
    return shards[shard]!
  }

  opcode(code: number): void {
    const name = NAMES.get(code) ?? `0x${code.toString(16)}`
    this.byOpcode.set(name, (this.byOpcode.get(name) ?? 0) + 1)
  }

  /** Counts a request of data by what it touched. Requests on system tables do not count. */
  request(call: Call, shard: number, ignoreMsb: number): void {
    const { node, table } = call
    if (table === undefined || table.keyspace.isSystem) return
    const counters = this.of(node.index, shard)
    const name = `${table.keyspace.name}.${table.name}`
    let ofTable = this.byTable.get(name)
    if (ofTable === undefined) {
      ofTable = { requests: 0, owned: 0, misrouted: 0, unrouted: 0 }
      this.byTable.set(name, ofTable)
    }
    counters.requests++
    ofTable.requests++
    const kind = call.partitions !== 1
      ? "unrouted"
      : call.topology.isOwner(table, call.hi, call.lo, node, shard, ignoreMsb)
      ? "owned"
      : "misrouted"
    counters[kind]++
    ofTable[kind]++
  }

  reset(): void {
    for (const shards of this.shards) shards.length = 0
    this.byOpcode.clear()
    this.byTable.clear()
  }
}
