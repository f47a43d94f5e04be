/**
 * Replication strategies: which nodes hold the replicas of each segment of a token ring.
 *
 * Servers tell a keyspace's strategy as a map of texts (`system_schema.keyspaces.replication`). From it, the ring and
 * the nodes' racks a client computes the same replicas, in the same order, as the servers do. This holds for keyspaces
 * with vnodes; tables with tablets have their replicas listed by the server.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { segmentOf, type TokenRing } from "./TokenRing.ts"

/**
 * What placing replicas needs of a ring: its owners in ring order. `TokenRing.TokenRing` and `TokenRing.OrderedRing`
 * have it.
 *
 * @category models
 * @since 0.1.0
 */
export type RingOwners<T> = Pick<TokenRing<T>, "size" | "owners">

/**
 * How a keyspace places its replicas.
 *
 * **Details**
 *
 * - `Simple`: the next `replicationFactor` nodes of the ring, wherever they are.
 * - `NetworkTopology`: `replicationFactors` by data center, on distinct racks while there are any.
 * - `Everywhere`: all nodes.
 * - `Local`: each node keeps its own data (system tables); no token belongs to a node.
 * - `Unknown`: a class this package does not know, or options without the numbers that their class needs. Only the
 *   primary owner of a segment is taken for a replica then, which is a coordinator as good as any.
 *
 * @category models
 * @since 0.1.0
 */
export type ReplicationStrategy =
  | { readonly _tag: "Simple"; readonly replicationFactor: number }
  | { readonly _tag: "NetworkTopology"; readonly replicationFactors: ReadonlyMap<string, number> }
  | { readonly _tag: "Everywhere" }
  | { readonly _tag: "Local" }
  | { readonly _tag: "Unknown"; readonly className: string; readonly options: Readonly<Record<string, string>> }

/**
 * Where a node is: the data center and rack that its snitch reports (`system.local` and `system.peers`).
 *
 * Racks of different data centers are different racks even when they share a name.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeLocation {
  /** As replication options name it: case counts. */
  readonly datacenter: string
  /** Within its data center. */
  readonly rack: string
}

/** `"3"` is 3; `"3/1"`, three replicas of which one is transient (Cassandra 4), is 3 too. */
const parseFactor = (text: string | undefined): number | undefined => {
  const match = /^\s*(\d{1,9})(?:\/\d{1,9})?\s*$/.exec(text ?? "")
  return match === null ? undefined : Number(match[1])
}

/**
 * Parses the replication options of a keyspace, `class` among them, as `system_schema.keyspaces.replication` has them.
 *
 * **Details**
 *
 * Class names come with or without the package `org.apache.cassandra.locator`. A transient factor (`"3/1"`) counts
 * all its replicas. `replication_factor` of NetworkTopologyStrategy is ignored: servers have expanded it to data
 * centers when they store it. Data centers with factor 0 are left out. Anything not understood is `Unknown`, never
 * an error: a client must be able to use a cluster with a strategy from the future.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (options: Readonly<Record<string, string>>): ReplicationStrategy => {
  const className = options["class"] ?? ""
  const unknown: ReplicationStrategy = { _tag: "Unknown", className, options }
  switch (className.replace(/^org\.apache\.cassandra\.locator\./, "")) {
    case "SimpleStrategy": {
      const replicationFactor = parseFactor(options["replication_factor"])
      return replicationFactor === undefined ? unknown : { _tag: "Simple", replicationFactor }
    }
    case "NetworkTopologyStrategy": {
      const replicationFactors = new Map<string, number>()
      for (const [name, value] of Object.entries(options)) {
        if (name === "class" || name === "replication_factor") continue
        const factor = parseFactor(value)
        if (factor === undefined) return unknown
        if (factor > 0) replicationFactors.set(name, factor)
      }
      return { _tag: "NetworkTopology", replicationFactors }
    }
    case "EverywhereStrategy":
      return { _tag: "Everywhere" }
    case "LocalStrategy":
      return { _tag: "Local" }
    default:
      return unknown
  }
}

/**
 * A text that is equal for strategies that place replicas equally.
 *
 * Keyspaces mostly share a few replications, so callers keep one table of {@link replicasBySegment} per key. The order
 * of data centers does not count, and all unknown strategies share one key, since they are all treated alike.
 *
 * @category comparing
 * @since 0.1.0
 */
export const replicationKey = (strategy: ReplicationStrategy): string => {
  switch (strategy._tag) {
    case "Simple":
      return `Simple ${strategy.replicationFactor}`
    case "NetworkTopology":
      // JSON quotes the names, which may hold any character.
      return `NetworkTopology ${
        JSON.stringify(
          Array.from(strategy.replicationFactors)
            .filter(([, factor]) => factor > 0)
            .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
        )
      }`
    default:
      return strategy._tag
  }
}

/** The ring with owners, data centers and racks numbered, so that walks compare integers. */
class Topology<T> {
  /** Distinct owners in the order they first appear on the ring. */
  readonly owners: Array<T> = []
  /** Number of the owner of each segment. */
  readonly ownerOfSegment: Int32Array

  constructor(ring: RingOwners<T>) {
    this.ownerOfSegment = new Int32Array(ring.size)
    const numbers = new Map<T, number>()
    for (let segment = 0; segment < ring.size; segment++) {
      const owner = ring.owners[segment]!
      let number = numbers.get(owner)
      if (number === undefined) {
        number = this.owners.length
        this.owners.push(owner)
        numbers.set(owner, number)
      }
      this.ownerOfSegment[segment] = number
    }
  }
}

/** Writes the numbers of a segment's replicas to `found`, and returns how many they are. */
type Walk = (segment: number, found: Int32Array) => number

const simple = <T>({ ownerOfSegment, owners }: Topology<T>, replicationFactor: number): Walk => {
  const size = ownerOfSegment.length
  const wanted = Math.min(replicationFactor, owners.length)
  return (segment, found) => {
    let count = 0
    for (let at = segment; count < wanted; at = at + 1 === size ? 0 : at + 1) {
      const owner = ownerOfSegment[at]!
      // Replication factors are small, so searching the few found so far beats a set.
      let i = 0
      while (i < count && found[i] !== owner) i++
      if (i === count) found[count++] = owner
    }
    return count
  }
}

/** What a walk knows of a data center that the strategy names. */
interface Datacenter {
  readonly wanted: number
  readonly racks: Map<string, number>
  nodes: number
  /** Nodes still to be found in the current walk. */
  left: number
  /** How many more nodes of a rack already used the current walk may accept. */
  repeats: number
}

const networkTopology = <T>(
  { ownerOfSegment, owners }: Topology<T>,
  factors: ReadonlyMap<string, number>,
  nodeOf: (owner: T) => NodeLocation
): Walk => {
  const size = ownerOfSegment.length
  const datacenters = new Map<string, Datacenter>()
  const datacenterOf: Array<Datacenter | undefined> = []
  const rackOf = new Int32Array(owners.length)
  let racks = 0
  for (let number = 0; number < owners.length; number++) {
    const location = nodeOf(owners[number]!)
    const wanted = factors.get(location.datacenter) ?? 0
    if (wanted <= 0) {
      datacenterOf.push(undefined)
      continue
    }
    let datacenter = datacenters.get(location.datacenter)
    if (datacenter === undefined) {
      datacenter = { wanted, racks: new Map(), nodes: 0, left: 0, repeats: 0 }
      datacenters.set(location.datacenter, datacenter)
    }
    datacenter.nodes++
    let rack = datacenter.racks.get(location.rack)
    if (rack === undefined) {
      rack = racks++
      datacenter.racks.set(location.rack, rack)
    }
    rackOf[number] = rack
    datacenterOf.push(datacenter)
  }
  // The walk that last accepted an owner or used a rack: a new walk needs no clearing. Walks count from 1.
  const ownerAccepted = new Float64Array(owners.length)
  const rackUsed = new Float64Array(racks)
  let walk = 0
  return (segment, found) => {
    walk++
    let open = 0
    for (const datacenter of datacenters.values()) {
      // With fewer nodes than the factor asks for, all of them are replicas. With fewer racks, the difference is made
      // up by the first nodes met whose rack is used already; otherwise every replica needs a rack of its own.
      datacenter.left = Math.min(datacenter.wanted, datacenter.nodes)
      datacenter.repeats = datacenter.wanted - datacenter.racks.size
      open++
    }
    let count = 0
    for (let at = segment; open > 0; at = at + 1 === size ? 0 : at + 1) {
      const owner = ownerOfSegment[at]!
      const datacenter = datacenterOf[owner]
      if (datacenter === undefined || datacenter.left === 0 || ownerAccepted[owner] === walk) continue
      const rack = rackOf[owner]!
      if (rackUsed[rack] === walk) {
        if (datacenter.repeats <= 0) continue
        datacenter.repeats--
      }
      rackUsed[rack] = walk
      ownerAccepted[owner] = walk
      found[count++] = owner
      if (--datacenter.left === 0) open--
    }
    return count
  }
}

/** How replicas are found segment by segment; with EverywhereStrategy and LocalStrategy they are the same for all of them. */
const walkOf = <T>(topology: Topology<T>, strategy: ReplicationStrategy, nodeOf: (owner: T) => NodeLocation): Walk => {
  switch (strategy._tag) {
    case "Simple":
      return simple(topology, strategy.replicationFactor)
    case "NetworkTopology":
      return networkTopology(topology, strategy.replicationFactors, nodeOf)
    case "Everywhere":
      return (_, found) => {
        for (let i = 0; i < topology.owners.length; i++) found[i] = i
        return topology.owners.length
      }
    case "Local":
      return () => 0
    case "Unknown":
      return simple(topology, 1)
  }
}

const nobody: ReadonlyArray<never> = []

/** Of more owners than these hardly two segments have the same replicas. */
const SHARED = 24

/**
 * The replicas of one strategy over one ring. Get one from {@link ReplicaTables}.
 *
 * **Details**
 *
 * Those of a segment are worked out when they are first asked for, about a microsecond, and kept: a table of a ring of 300 nodes with
 * 256 tokens each is there at once, and one that nobody asks costs nothing. In small clusters equal lists are one array.
 *
 * @category models
 * @since 0.1.0
 */
export class ReplicaTable<T, R extends RingOwners<T> = TokenRing<T>> {
  /** What the replicas follow from. */
  readonly strategy: ReplicationStrategy
  /** What it is indexed by. */
  readonly ring: R
  private readonly owners: ReadonlyArray<T>
  private readonly walk: Walk
  private readonly isWanted: ((owner: T) => boolean) | undefined
  private readonly found: Int32Array
  private lists: Array<ReadonlyArray<T> | undefined> | undefined
  private readonly shared = new Map<string, ReadonlyArray<T>>()

  /** Tables are made by {@link ReplicaTables}. */
  constructor(
    strategy: ReplicationStrategy,
    ring: R,
    owners: ReadonlyArray<T>,
    walk: Walk,
    isWanted: ((owner: T) => boolean) | undefined
  ) {
    this.strategy = strategy
    this.ring = ring
    this.owners = owners
    this.walk = walk
    this.isWanted = isWanted
    this.found = new Int32Array(owners.length)
  }

  /** How many segments there are. */
  get size(): number {
    return this.ring.size
  }

  /** Replicas of a segment, the primary first; empty for -1, which an empty ring gives. */
  of(segment: number): ReadonlyArray<T> {
    return segment < 0 ? nobody : this.lists?.[segment] ?? this.add(segment)
  }

  private add(segment: number): ReadonlyArray<T> {
    const { isWanted, owners } = this
    const numbers = this.found.subarray(0, this.walk(segment, this.found))
    const key = owners.length <= SHARED ? numbers.join() : undefined
    let replicas = key === undefined ? undefined : this.shared.get(key)
    if (replicas === undefined) {
      const all = Array.from(numbers, (number) => owners[number]!)
      replicas = isWanted === undefined ? all : all.filter(isWanted)
      if (key !== undefined) this.shared.set(key, replicas)
    }
    this.lists ??= Array.from<ReadonlyArray<T> | undefined>({ length: this.ring.size })
    this.lists[segment] = replicas
    return replicas
  }
}

/**
 * Replicas of a token (two int32 words), the primary first: the list as it lies in the table, nothing is allocated once it is there.
 *
 * Empty for an empty ring, and with LocalStrategy.
 *
 * @category routing
 * @since 0.1.0
 */
export const replicasOf = <T>(table: ReplicaTable<T>, hi: number, lo: number): ReadonlyArray<T> =>
  table.of(segmentOf(table.ring, hi, lo))

/**
 * The replica tables of one ring, one for each distinct replication: keyspaces with the same one share a table.
 *
 * **Details**
 *
 * A snapshot as the ring is: make a new one when nodes, tokens or racks change. When only the schema does, ask the same
 * one again; it has no more tables than there have been distinct replications.
 *
 * **Example** (Tables of all keyspaces)
 *
 * ```ts
 * const tables = new Replication.ReplicaTables(ring, (node) => node)
 * const byKeyspace = new Map(
 *   keyspaces.map(({ name, replication }) => [name, tables.get(Replication.parse(replication))])
 * )
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class ReplicaTables<T, R extends RingOwners<T> = TokenRing<T>> {
  /** What all of its tables are of. */
  readonly ring: R
  private readonly nodeOf: (owner: T) => NodeLocation
  private readonly isWanted: ((owner: T) => boolean) | undefined
  private readonly byKey = new Map<string, ReplicaTable<T, R>>()
  private topology: Topology<T> | undefined

  /** `nodeOf` as in {@link replicasBySegment}; of the replicas, those are left out that `isWanted` does not want. */
  constructor(ring: R & RingOwners<T>, nodeOf: (owner: T) => NodeLocation, isWanted?: (owner: T) => boolean) {
    this.ring = ring
    this.nodeOf = nodeOf
    this.isWanted = isWanted
  }

  /** How many tables there are. */
  get size(): number {
    return this.byKey.size
  }

  /** The table of a strategy, made when it is first asked for. */
  get(strategy: ReplicationStrategy): ReplicaTable<T, R> {
    const key = replicationKey(strategy)
    let table = this.byKey.get(key)
    if (table === undefined) {
      this.topology ??= new Topology(this.ring)
      const { isWanted, nodeOf, ring, topology } = this
      table = new ReplicaTable(strategy, ring, topology.owners, walkOf(topology, strategy, nodeOf), isWanted)
      this.byKey.set(key, table)
    }
    return table
  }
}

/**
 * Replicas of every segment of a ring, the primary first, in the order in which servers choose them.
 *
 * **Details**
 *
 * The result is indexed by `TokenRing.segmentOf`; it is a snapshot to compute when ring or schema change and to read
 * on requests. In small clusters equal lists are one array.
 *
 * `nodeOf` is asked once for each owner, with NetworkTopologyStrategy only. Owners are told apart as keys of a `Map`.
 *
 * NetworkTopologyStrategy follows Cassandra's `calculateNaturalReplicas` and ScyllaDB's `natural_endpoints_tracker`:
 * one walk clockwise for all data centers together. A node of an unused rack is accepted; a node of a used rack only
 * as one of the `factor - racks` that the data center lacks racks for. (Cassandra 2 put those nodes behind, once all
 * racks were used: the same nodes in another order.) A factor beyond the nodes of a data center means all of them.
 *
 * EverywhereStrategy gives each segment the same list of all owners in ring order, LocalStrategy empty lists, and an
 * unknown strategy the owner of the segment alone.
 *
 * @category routing
 * @since 0.1.0
 */
export const replicasBySegment = <T>(
  ring: RingOwners<T>,
  strategy: ReplicationStrategy,
  nodeOf: (owner: T) => NodeLocation
): ReadonlyArray<ReadonlyArray<T>> => {
  const table = new ReplicaTables(ring, nodeOf).get(strategy)
  return ring.owners.map((_, segment) => table.of(segment))
}
