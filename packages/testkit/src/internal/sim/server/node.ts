/** A node while it runs: its listeners' connections, what it has prepared, what it says about itself. */
import { METADATA_ID, TABLETS_V1, TABLETS_V2 } from "@effect-scylla/protocol/Features"
import type { ServerResponse } from "@effect-scylla/protocol/Response"
import type { SimNode } from "../cluster/simNode.ts"
import type { Counters } from "../cluster/stats.ts"
import type { Engine } from "../engine.ts"
import type { Plan } from "../plan/plan.ts"
import { RATE_LIMIT_CODE } from "../schema/rateLimit.ts"
import { type ClientRow, CQL_VERSIONS } from "../schema/systemDefinitions.ts"
import type { Listener } from "./asked.ts"
import { Connection } from "./connection.ts"
import { type Flavour, versionNames } from "./flavour.ts"
import type { Host, Interceptor, Port } from "./host.ts"
import { Line, type LineHost, type NodeFault } from "./line.ts"
import type { Wire } from "./wire.ts"

/** What all nodes share. */
export interface Shared {
  readonly flavour: Flavour
  readonly engine: Engine
  readonly counters: Counters
  readonly ignoreMsb: number
  readonly credentials: { readonly username: string; readonly password: string } | undefined
  readonly shardAwarePort: number | undefined
  readonly forge: (supported: Map<string, ReadonlyArray<string>>) => ReadonlyMap<string, ReadonlyArray<string>>
  readonly intercept: () => Interceptor | undefined
  readonly listeners: ReadonlySet<Listener>
  readonly delay: (millis: number, task: () => void) => void
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly nextConnection: () => number
}

export class NodeHost implements Host<Connection>, LineHost {
  readonly node: SimNode
  readonly prepared = new Map<string, Plan>()
  readonly connections = new Set<Connection>()
  readonly flavour: Flavour
  readonly engine: Engine
  readonly counters: Counters
  readonly ignoreMsb: number
  readonly credentials: Shared["credentials"]
  readonly intercept: Shared["intercept"]
  readonly listeners: Shared["listeners"]
  readonly delay: Shared["delay"]
  readonly now: Shared["now"]
  fault: NodeFault | undefined = undefined
  private readonly lines = new Map<Connection, Line>()
  /** Open connections by shard, of the plain listener alone: each listener balances for itself. */
  private open: Array<number> = []
  private readonly shared: Shared

  constructor(node: SimNode, shared: Shared) {
    this.node = node
    this.shared = shared
    this.flavour = shared.flavour
    this.engine = shared.engine
    this.counters = shared.counters
    this.ignoreMsb = shared.ignoreMsb
    this.credentials = shared.credentials
    this.intercept = shared.intercept
    this.listeners = shared.listeners
    this.delay = shared.delay
    this.now = shared.now
  }

  /** The shard for a new connection: by its source port, or the one with the fewest connections, the first of equals. */
  private assign(port: Port, remotePort: number): number {
    const { nrShards } = this.node
    if (port.kind === "shardAware") return remotePort % nrShards
    let best = 0
    for (let shard = 1; shard < nrShards; shard++) {
      if ((this.open[shard] ?? 0) < (this.open[best] ?? 0)) best = shard
    }
    this.open[best] = (this.open[best] ?? 0) + 1
    return best
  }

  accept(port: Port, wire: Wire): Line {
    const shard = this.assign(port, wire.remotePort)
    const line = new Line(this, wire)
    const connection = new Connection(this, this.shared.nextConnection(), shard, port, line)
    line.attach(connection)
    this.lines.set(connection, line)
    this.counters.of(this.node.index, shard).connections[port.kind]++
    this.connections.add(connection)
    return line
  }

  release(connection: Connection): void {
    this.lines.delete(connection)
    if (this.connections.delete(connection) && connection.port.kind === "plain") this.open[connection.shard]!--
  }

  /** From now on this is wrong with the node, or nothing. */
  setFault(fault: NodeFault | undefined): void {
    this.fault = fault
    for (const line of this.lines.values()) line.changed()
  }

  /** What this node answers to OPTIONS: keys in the order that was recorded, without what is not simulated. */
  supported(shard: number): ReadonlyMap<string, ReadonlyArray<string>> {
    const { flavour, shared } = this
    const out = new Map<string, ReadonlyArray<string>>()
    if (flavour.product === "cassandra") {
      out.set("PROTOCOL_VERSIONS", versionNames(flavour))
      out.set("COMPRESSION", flavour.compression)
      out.set("CQL_VERSION", [CQL_VERSIONS.cassandra])
      return shared.forge(out)
    }
    // Without algorithms too: the Python driver takes the key for granted.
    out.set("COMPRESSION", flavour.compression)
    out.set("CQL_VERSION", [CQL_VERSIONS.scylla])
    // ScyllaDB has no v5 and no such key: a client that is to speak v5 with shards has to be told.
    if (flavour.versions.includes(5)) out.set("PROTOCOL_VERSIONS", versionNames(flavour))
    out.set("SCYLLA_LWT_ADD_METADATA_MARK", ["LWT_OPTIMIZATION_META_BIT_MASK=2147483648"])
    out.set("SCYLLA_NR_SHARDS", [String(this.node.nrShards)])
    out.set("SCYLLA_PARTITIONER", ["org.apache.cassandra.dht.Murmur3Partitioner"])
    out.set("SCYLLA_RATE_LIMIT_ERROR", [`ERROR_CODE=${RATE_LIMIT_CODE}`])
    out.set("SCYLLA_SHARD", [String(shard)])
    out.set("SCYLLA_SHARDING_ALGORITHM", ["biased-token-round-robin"])
    out.set("SCYLLA_SHARDING_IGNORE_MSB", [String(this.ignoreMsb)])
    if (shared.shardAwarePort !== undefined) out.set("SCYLLA_SHARD_AWARE_PORT", [String(shared.shardAwarePort)])
    if (flavour.metadataIds) out.set(METADATA_ID, [""])
    out.set(TABLETS_V1, [""])
    if (flavour.tabletVersions) out.set(TABLETS_V2, [""])
    return shared.forge(out)
  }

  push(type: string, event: (port: number) => ServerResponse): void {
    for (const connection of this.connections) connection.push(type, event(connection.port.number))
  }

  clients(): ReadonlyArray<ClientRow> {
    return Array.from(this.connections, (connection) => ({
      ...connection.client,
      address: connection.wire.remoteAddress,
      port: connection.wire.remotePort,
      shard: connection.shard
    }))
  }

  /** The process is gone: connections are cut, what was prepared is forgotten. */
  crash(): void {
    // Each one removes itself, which a Set allows while it is gone through.
    for (const connection of this.connections) connection.destroy()
    this.prepared.clear()
    this.open = []
  }
}
