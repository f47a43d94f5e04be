/** What a cluster is to be like: the options, what they default to, and what is wrong with them. */
import * as Duration from "effect/Duration"
import type { SimNode } from "../cluster/simNode.ts"
import { tokensOf, uuidOf } from "../cluster/topology.ts"
import type { Flavour } from "./flavour.ts"

export interface Datacenter {
  readonly name: string
  readonly nodes: number
  /** Racks `rack1`, `rack2`, … that its nodes are dealt to in turn. Default: that of the options. */
  readonly racks?: number | undefined
}

/** What a node says of itself; what is left out is as it is. */
export interface Advertised {
  readonly address?: string | undefined
  readonly port?: number | undefined
}

export interface Options {
  /** Nodes of the one datacenter `datacenter1`. Default: 3. Not used where `datacenters` is given. */
  readonly nodes?: number | undefined
  /** Shards of each node. Default: 4. */
  readonly shards?: number | undefined
  readonly datacenters?: ReadonlyArray<Datacenter> | undefined
  /** Racks of a datacenter. Default: 1. */
  readonly racks?: number | undefined
  /** Tokens of each node, the same in every run. Default: 16. */
  readonly vnodes?: number | undefined
  /** Token bits that do not count for the shard. Default: 12, as ScyllaDB's. */
  readonly ignoreMsb?: number | undefined
  /** The plain port of all nodes. Default: a free one over TCP, 9042 in memory. */
  readonly port?: number | undefined
  /** The shard-aware port; `false` for none. Default: a free one over TCP, 19042 in memory. */
  readonly shardAwarePort?: number | false | undefined
  /** Whether SUPPORTED names the shard-aware port. Default: true. */
  readonly advertiseShardAwarePort?: boolean | undefined
  /**
   * With these everybody has to log in (`PasswordAuthenticator`), first as this superuser; others are made by CREATE ROLE, and may do what
   * they are granted (`CassandraAuthorizer`). Changes of roles hold at once. Default: nobody has to log in, and all may do everything.
   */
  readonly credentials?: { readonly username: string; readonly password: string } | undefined
  /** Real sockets or connections in memory. Default: `"tcp"`. */
  readonly transport?: "tcp" | "memory" | undefined
  /** What it calls itself. Default: `effect-scylla simulated`. */
  readonly clusterName?: string | undefined
  /**
   * Whose manners it has. `"scylla"` (default) as recorded from ScyllaDB 6.0.4, with what later versions added to the
   * protocol, and in its statements from 6.2.3. `"cassandra"` as recorded from Apache Cassandra 5.0.5: its SUPPORTED (no shards,
   * no shard-aware port), its way to refuse versions, its metadata, its grammar, its answers, the texts of its errors and the
   * columns of its system tables.
   */
  readonly product?: "scylla" | "cassandra" | undefined
  /**
   * Versions of the protocol. Default: 3 and 4 of ScyllaDB, 3 to 5 of Cassandra. ScyllaDB with 5, which there is not, says
   * so in SUPPORTED (`PROTOCOL_VERSIONS`).
   */
  readonly versions?: ReadonlyArray<3 | 4 | 5> | undefined
  /** What SUPPORTED offers and STARTUP may ask for; Snappy is refused on v5. Default: both. */
  readonly compression?: ReadonlyArray<"lz4" | "snappy"> | undefined
  /**
   * Whether ScyllaDB offers ids of result metadata on v4 (`SCYLLA_USE_METADATA_ID`, since 2025.3). Default: true. On v5
   * there are always such ids, on v4 of Cassandra never.
   */
  readonly metadataIds?: boolean | undefined
  /**
   * Whether keyspaces with NetworkTopologyStrategy have tablets unless they say otherwise, as in ScyllaDB since 6.0. Default:
   * false; with `AND tablets = {'enabled': true}`, or `{'initial': 8}`, they have them anyway. Tablets neither split nor merge.
   */
  readonly tablets?: boolean | undefined
  /**
   * Whether tables with tablets refuse conditional statements, serial reads and counters, as those of ScyllaDB 6.2 do; later
   * versions take them. Default: false.
   */
  readonly tabletLimits?: boolean | undefined
  /**
   * Whether Cassandra passes over `AND tablets = {'enabled': false}`, which it does not know, so that a suite may make its
   * keyspaces on both products with one text. Default: true.
   */
  readonly passesNoTablets?: boolean | undefined
  /** Whether it offers `TABLETS_ROUTING_V2`; clients may ask for it by its experimental name, too. Default: false. */
  readonly tabletVersions?: boolean | undefined
  /** Nodes, by their index, that own no part of the ring and no tablet: they only coordinate (ScyllaDB's `join_ring: false`). */
  readonly zeroToken?: ReadonlyArray<number> | undefined
  /** Indexes of nodes that are no members yet: `join` brings them in. Their shards and tokens are counted as those of all. Default: none. */
  readonly joining?: ReadonlyArray<number> | undefined
  /**
   * Names of keyspaces of which the schema tables say that they are strongly consistent (`consistency = 'global'`): their lists of
   * replicas begin with the leader. Statements on them are executed as all others are.
   */
  readonly globalKeyspaces?: ReadonlyArray<string> | undefined
  /**
   * `"own"`: each node keeps its own data. A write reaches the replicas that run and answer (`Stopped`, `HalfOpen` and `HeartbeatsOnly`
   * are faults of nodes that do not); where they are fewer than the level wants, it ends in WRITE_TIMEOUT and a read in READ_TIMEOUT, at
   * once. A read asks as many replicas as its level says, its coordinator first, and tells them what only some of them have; what a
   * node missed otherwise it is told 10 seconds after it answers again. Views, the log of changes and tables of the system are as with
   * `"one"`, and nodes do not leave. Default: `"one"` copy of the data, which all nodes have.
   */
  readonly replicas?: "one" | "own" | undefined
  /**
   * How far the clocks of the nodes are ahead of the fiber's (behind it, if negative): of all, or by the index of each.
   * Timestamps that a node gives to writes come from its own clock. Default: 0.
   */
  readonly clockSkew?: Duration.Input | ((node: number) => Duration.Input) | undefined
  /**
   * The address and the port that a node says it is reached at, asked for by its index whenever they are told: `rpc_address` in
   * `system.local` and `system.peers`, and of Cassandra `rpc_port`, `system.peers_v2` and events, too. For tests of tunnels and mapped
   * ports. Default: where it listens.
   */
  readonly advertise?: ((node: number) => Advertised | undefined) | undefined
  /**
   * How the marker of `c IN ?` is called, `in(c)` or `IN(c)`, which is an option of ScyllaDB that may change while it runs, as by
   * `renameIn`. Values by name are taken under both. Default: `"in"`.
   */
  readonly inName?: "in" | "IN" | undefined
  /** Changes SUPPORTED before it is sent, for tests of clients that must bear a forged one. */
  readonly supported?:
    | ((supported: Map<string, ReadonlyArray<string>>) => ReadonlyMap<string, ReadonlyArray<string>>)
    | undefined
}

const DATACENTER = "datacenter1"

/** The nodes, none of them running. */
export const nodesOf = (options: Options): Array<SimNode> => {
  const datacenters = options.datacenters ?? [{ name: DATACENTER, nodes: options.nodes ?? 3 }]
  const out: Array<SimNode> = []
  for (const { name, nodes, racks = options.racks ?? 1 } of datacenters) {
    for (let i = 0; i < nodes; i++) {
      const index = out.length
      out.push({
        index,
        address: `127.0.0.${index + 1}`,
        hostId: uuidOf(`host/${index}`),
        datacenter: name,
        rack: `rack${i % racks + 1}`,
        tokens: options.zeroToken?.includes(index) === true
          ? []
          : tokensOf("effect-scylla", index, options.vnodes ?? 16),
        nrShards: options.shards ?? 4,
        isRunning: false,
        isDeaf: false,
        hasLeft: false
      })
    }
  }
  return out
}

/** Microseconds that the clock of a node is ahead. */
export const skewOf = ({ clockSkew = 0 }: Options, node: number): bigint => {
  const skew = Duration.toMillis(typeof clockSkew === "function" ? clockSkew(node) : clockSkew)
  return BigInt(Math.round(skew * 1000))
}

export const between = (value: number, low: number, high: number): boolean =>
  Number.isInteger(value) && value >= low && value <= high

/** What is wrong with the options of a cluster of so many nodes. */
export const wrongIn = (options: Options, nodes: number): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  if (!between(nodes, 1, 250)) wrong.push(`nodes must be 1 to 250, got ${nodes}`)
  if (!between(options.shards ?? 4, 1, 1024)) wrong.push(`shards must be 1 to 1024, got ${options.shards}`)
  if (!between(options.racks ?? 1, 1, 250)) wrong.push(`racks must be 1 to 250, got ${options.racks}`)
  if (!between(options.vnodes ?? 16, 1, 256)) wrong.push(`vnodes must be 1 to 256, got ${options.vnodes}`)
  if (!between(options.ignoreMsb ?? 12, 0, 63)) wrong.push(`ignoreMsb must be 0 to 63, got ${options.ignoreMsb}`)
  const zero = new Set(options.zeroToken)
  if (zero.size > 0 && ([...zero].some((node) => !between(node, 0, nodes - 1)) || zero.size >= nodes)) {
    wrong.push(`zeroToken must be indexes of some of the ${nodes} nodes and not of all, got ${[...zero].join(", ")}`)
  }
  const joining = new Set(options.joining)
  if ([...joining].some((node) => !between(node, 0, nodes - 1)) || (joining.size > 0 && joining.size >= nodes)) {
    wrong.push(`joining must be indexes of some of the ${nodes} nodes and not of all, got ${[...joining].join(", ")}`)
  }
  for (const port of [options.port ?? 1, options.shardAwarePort || 1]) {
    if (!between(port, 1, 65_535)) wrong.push(`ports must be 1 to 65535, got ${port}`)
  }
  const { compression, product, versions } = options
  if (versions !== undefined && (versions.length === 0 || versions.some((version) => ![3, 4, 5].includes(version)))) {
    wrong.push(`versions must be some of 3, 4 and 5, got ${versions.join(", ") || "none"}`)
  }
  if (compression?.some((name) => !(["lz4", "snappy"] as ReadonlyArray<string>).includes(name)) === true) {
    wrong.push(`compression must be some of lz4 and snappy, got ${compression.join(", ")}`)
  }
  if (product === "cassandra" && typeof options.shardAwarePort === "number") {
    wrong.push("Cassandra has no shard-aware port: leave shardAwarePort out, or take the product scylla")
  }
  for (let node = 0; node < nodes; node++) {
    const { clockSkew = 0 } = options
    const skew = Duration.fromInput(typeof clockSkew === "function" ? clockSkew(node) : clockSkew)
    if (skew._tag === "None" || !Duration.isFinite(skew.value)) {
      wrong.push("clockSkew must be a finite duration")
      break
    }
  }
  if (options.port !== undefined && options.port === options.shardAwarePort) wrong.push("the two ports must differ")
  return wrong
}

/** Whose manners it has, in detail. */
export const flavourOf = (options: Options): Flavour => {
  const product = options.product ?? "scylla"
  return {
    product,
    versions: [...options.versions ?? (product === "scylla" ? [3, 4] as const : [3, 4, 5] as const)].sort(),
    // In the order that each of them was recorded to list them.
    compression: (product === "scylla" ? ["lz4", "snappy"] as const : ["snappy", "lz4"] as const)
      .filter((name) => options.compression === undefined || options.compression.includes(name)),
    metadataIds: product === "scylla" && options.metadataIds !== false,
    tabletVersions: product === "scylla" && options.tabletVersions === true
  }
}
