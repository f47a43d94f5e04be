import type { Connection } from "@effect-scylla/pool/Connection"
import { Writer } from "@effect-scylla/protocol/Writer"
import { hashInto, keyBuffer } from "@effect-scylla/sharding/Murmur3"
import * as Partitioner from "@effect-scylla/sharding/Partitioner"
import { shardOf } from "@effect-scylla/sharding/Sharding"
import * as TabletMap from "@effect-scylla/sharding/TabletMap"
import * as Token from "@effect-scylla/sharding/Token"
import { segmentOf } from "@effect-scylla/sharding/TokenRing"
import type { CheckedFailover, Place } from "../Balancing.ts"
import type { Resolved, Way } from "../ExecuteOptions.ts"
import type { Prepared } from "../Prepared.ts"
import type { Keyspace, Node, Snapshot } from "../Snapshot.ts"

/** A node that is passed over as slow still gets one turn of so many. */
const PROBES = 16
/** Answers of a node that were slow, less those that were not, from which on it is passed over. */
const SLOW = 3

/** How requests found their way, for stats. */
export interface RoutingCounters {
  /** On the connection of the shard that owns the token. */
  owned: number
  /** On a replica, but on a connection of another shard: the right one was missing or full. */
  otherShard: number
  /** On a node that is no replica, because none was reachable. */
  otherNode: number
  /** Of a table with tablets, to any node: no server has told yet who holds that range. */
  unknownTablet: number
  /** Without a token: no partition key bound. */
  unrouted: number
  /** In another datacenter, by the failover. */
  otherDatacenter: number
}

const NOBODY: ReadonlyArray<never> = []

/** Where a partition lies. */
export interface Places {
  /** `undefined` where it is not known. */
  readonly token: bigint | undefined
  readonly replicas: ReadonlyArray<Place>
  /** The first of them leads the others. */
  readonly isLed: boolean
}
const NOWHERE: Places = { token: undefined, replicas: NOBODY, isLed: false }
/** How the server names the logs of CDC. */
const CDC_LOG = "_scylla_cdc_log"
const CDC = Partitioner.resolve("CDCPartitioner", "scylla")

/** Whether a node is one of those that were tried, as they may have been known before the cluster was looked at again. */
export const isAmong = (nodes: ReadonlyArray<Node> | undefined, { hostId }: Node): boolean =>
  nodes !== undefined && nodes.some((node) => node.hostId === hostId)

/** What routing goes by. */
export interface RouterParts {
  readonly snapshot: Snapshot
  readonly isInTurns: boolean
  readonly failover: CheckedFailover | undefined
  /** The client's: of texts without one. */
  readonly keyspace: string | undefined
}

/** The way of a request to a connection. Plain and synchronous: this is the hot path. */
export class Router {
  snapshot: Snapshot
  readonly failover: CheckedFailover | undefined
  readonly keyspace: string | undefined
  private readonly isInTurns: boolean
  /** Who gave a page after which there is another one. */
  readonly coordinators = new WeakMap<Uint8Array, Node>()
  readonly counters: RoutingCounters = {
    owned: 0,
    otherShard: 0,
    otherNode: 0,
    unknownTablet: 0,
    unrouted: 0,
    otherDatacenter: 0
  }

  /** What servers have told of tables with tablets. */
  readonly tablets: TabletMap.TabletMap = TabletMap.make()
  /** The tablet of the request that was routed or located last, if that is of such a table; `undefined` where it is not known. */
  tablet: TabletMap.Tablet | undefined
  /** The node of the connection that `route` answered. */
  node: Node | undefined
  /** Lies in the memory of the hash: most keys are hashed where they are written. */
  private readonly key = Writer.over(keyBuffer(1024))
  protected readonly token = new Token.TokenWords()
  private turn = 0
  private isProbing = false
  private anyTurn = 0
  private awayTurn = 0
  /** Whether the connection that was chosen lands on the shard that owns the token. */
  private isOwned = false
  /** The segment of a key whose token is no int64, -1 for others. */
  private segment = -1

  constructor({ failover, isInTurns, keyspace, snapshot }: RouterParts) {
    this.snapshot = snapshot
    this.failover = failover
    this.isInTurns = isInTurns
    this.keyspace = keyspace
  }

  /** Hashes the partition key of the values; answers false when there is none. Throws `EncodeError`. */
  protected hash(prepared: Prepared, values: ReadonlyArray<unknown>): boolean {
    const { encoder, partitionKey } = prepared
    const { key } = this
    const parts = partitionKey.length
    // A wrong number of values is the encoder's to refuse.
    if (parts === 0 || values.length !== prepared.variables.length) return false
    key.reset()
    if (parts === 1) {
      encoder.writeOne(key, partitionKey[0]!, values[partitionKey[0]!])
      // A null key is the server's to refuse; the empty key has another token on Cassandra than on ScyllaDB.
      return key.pos > 4 && this.hashKey(key.bytes, 4, key.pos - 4, prepared.partitioner)
    }
    for (let i = 0; i < parts; i++) {
      const start = key.pos
      encoder.writeOne(key, partitionKey[i]!, values[partitionKey[i]!])
      const size = key.view.getInt32(start)
      if (size < 0 || size > 0xffff) return false
      // The 4-byte length becomes the 2 bytes that a composite key has, and a zero ends the component.
      key.bytes.copyWithin(start + 2, start + 4, key.pos)
      key.view.setUint16(start, size)
      key.pos = start + 2 + size
      key.u8(0)
    }
    return this.hashKey(key.bytes, 0, key.pos, prepared.partitioner)
  }

  /** Makes the token of a key; `partitioner` is `undefined` for Murmur3. Answers false where there is none. */
  private hashKey(
    bytes: Uint8Array,
    offset: number,
    length: number,
    partitioner: Partitioner.Partitioner | undefined
  ): boolean {
    this.segment = -1
    if (partitioner === undefined) {
      hashInto(bytes, offset, length, this.token)
      return true
    }
    if (Partitioner.hashInto(partitioner, bytes, offset, length, this.token)) return true
    this.segment = this.snapshot.segmentOfKey?.(bytes.subarray(offset, offset + length)) ?? -1
    return this.segment >= 0
  }

  /** The segment of the key that was hashed last. */
  private segmentHere(snapshot: Snapshot): number {
    const { segment, token } = this
    return segment >= 0 ? segment : segmentOf(snapshot.ring, token.hi, token.lo)
  }

  /** Looks up once what the snapshot says of a statement's table. */
  private lookUp(prepared: Prepared, snapshot: Snapshot): void {
    prepared.routedBy = snapshot
    const keyspace = snapshot.keyspaces.get(prepared.keyspace)
    prepared.replicas = keyspace?.replicas
    prepared.tabletTable = keyspace?.hasTablets === true ? `${keyspace.name}.${prepared.table}` : undefined
    prepared.isGlobal = keyspace?.isGlobal === true
    prepared.partitioner = this.partitionerOf(prepared.table, snapshot)
  }

  /**
   * `undefined` for Murmur3. Logs of CDC have a partitioner of their own, by the rule that the server names them by (`cdc/log.cc`,
   * `is_log_name`).
   */
  private partitionerOf(table: string, { partitioner }: Snapshot): Partitioner.Partitioner | undefined {
    if (partitioner.kind === "murmur3") {
      return table.endsWith(CDC_LOG) && partitioner.emptyKey === "hash" ? CDC : undefined
    }
    return partitioner
  }

  /**
   * The connection for a request: a local replica's, the one that lands on the owning shard, of two replicas the less busy one; else
   * any local node's. Leaves its node in `node`. `skip` holds nodes that were tried. `undefined` when no connection takes requests.
   */
  route(
    prepared: Prepared | undefined,
    values: ReadonlyArray<unknown>,
    options: Resolved,
    isConditional: boolean,
    skip: ReadonlyArray<Node> | undefined
  ): Connection | undefined {
    const { snapshot } = this
    this.tablet = undefined
    let isKnown = false
    if (prepared !== undefined) {
      if (prepared.routedBy !== snapshot) this.lookUp(prepared, snapshot)
      if (this.hash(prepared, values)) {
        const isPinned = options.isSerial || isConditional
        if (prepared.replicas !== undefined) {
          const best = this.among(prepared.replicas.of(this.segmentHere(snapshot)), undefined, isPinned, skip)
          if (best !== undefined) return this.counted(best)
          isKnown = true
        } else if (prepared.tabletTable !== undefined) {
          const isLed = isPinned || (prepared.isGlobal && !options.isOne)
          return this.routeTablet(prepared.tabletTable, isPinned, isLed, skip)
        }
      }
    }
    return this.routeAnywhere(isKnown ? "otherNode" : "unrouted", skip)
  }

  /** Makes the token of a key that the caller has given; `undefined` where it leads nowhere. */
  private findKey(
    { keyBytes, routingKey }: Way,
    prepared: Prepared | undefined
  ): { readonly keyspace: Keyspace; readonly tabletTable: string | undefined } | undefined {
    const { snapshot } = this
    this.tablet = undefined
    const table = routingKey!.table ?? prepared?.table ?? ""
    const name = routingKey!.keyspace ?? prepared?.keyspace ?? this.keyspace ?? ""
    const keyspace = snapshot.keyspaces.get(name)
    if (
      keyspace === undefined || keyBytes!.length === 0 ||
      !this.hashKey(keyBytes!, 0, keyBytes!.length, this.partitionerOf(table, snapshot))
    ) {
      return undefined
    }
    return { keyspace, tabletTable: keyspace.hasTablets && table !== "" ? `${name}.${table}` : undefined }
  }

  /** The same for a key that the caller has given. */
  routeKey(
    way: Way,
    prepared: Prepared | undefined,
    isPinned: boolean,
    skip: ReadonlyArray<Node> | undefined
  ): Connection | undefined {
    const found = this.findKey(way, prepared)
    const replicas = found?.keyspace.replicas
    if (replicas !== undefined) {
      const best = this.among(replicas.of(this.segmentHere(this.snapshot)), undefined, isPinned, skip)
      return best === undefined ? this.routeAnywhere("otherNode", skip) : this.counted(best)
    }
    return found?.tabletTable === undefined
      ? this.routeAnywhere("unrouted", skip)
      : this.routeTablet(found.tabletTable, isPinned, isPinned, skip)
  }

  /** The connection of one node: that of the shard, if one is asked for, else of the one that owns the partition. */
  routeTo(node: Node, shard: number | undefined, replicas: ReadonlyArray<Place>): Connection | undefined {
    this.node = node
    const { pool } = node
    if (pool === undefined) return undefined
    const wanted = shard ?? replicas.find((place) => place.node === node)?.shard
    const connection = wanted === undefined ? pool.pickAny() : pool.pick(wanted, true)
    if (connection === undefined) return undefined
    this.counters[wanted === undefined ? "unrouted" : wanted === connection.shard ? "owned" : "otherShard"]++
    return connection
  }

  /** For the page behind that state: the node that gave it has what it read ahead, and need not begin anew. */
  routePage(
    pagingState: Uint8Array,
    prepared: Prepared | undefined,
    values: ReadonlyArray<unknown>
  ): Connection | undefined {
    const before = this.coordinators.get(pagingState)
    const node = before === undefined ? undefined : this.snapshot.hosts.get(before.hostId)
    if (node?.pool?.isUp !== true) return undefined
    return this.routeTo(node, undefined, this.placesOf(prepared, values).replicas)
  }

  /** Where a partition lies, as far as this client is connected to it. Throws `EncodeError`. */
  placesOf(prepared: Prepared | undefined, values: ReadonlyArray<unknown>): Places {
    const { snapshot } = this
    this.tablet = undefined
    if (prepared === undefined) return NOWHERE
    if (prepared.routedBy !== snapshot) this.lookUp(prepared, snapshot)
    if (!this.hash(prepared, values)) return NOWHERE
    return this.placesHere(prepared.replicas, prepared.tabletTable, prepared.isGlobal)
  }

  /** The same by a key that the caller has given. */
  placesOfKey(way: Way, prepared: Prepared | undefined): Places {
    const found = this.findKey(way, prepared)
    if (found === undefined) return NOWHERE
    return this.placesHere(found.keyspace.replicas, found.tabletTable, found.keyspace.isGlobal)
  }

  /** Where the token lies that was made last. */
  private placesHere(segments: Keyspace["replicas"], tabletTable: string | undefined, isGlobal: boolean): Places {
    const { snapshot } = this
    const { hi, lo } = this.token
    const token = this.segment >= 0 ? undefined : Token.toBigInt(hi, lo)
    if (tabletTable !== undefined) {
      const tablet = this.tablets.find(tabletTable, hi, lo)
      this.tablet = tablet
      const replicas = (tablet?.replicas ?? []).flatMap(({ host, shard }) => {
        const node = snapshot.hosts.get(host)
        return node?.pool === undefined ? [] : [{ node, shard }]
      })
      return { token, replicas, isLed: isGlobal && tablet?.version !== undefined }
    }
    const nodes = segments?.of(this.segmentHere(snapshot)) ?? NOBODY
    const replicas = nodes.flatMap((node) => {
      const sharding = node.pool?.sharding
      return node.pool === undefined ? [] : [{
        node,
        shard: sharding === undefined ? 0 : shardOf(hi, lo, sharding.nrShards, sharding.ignoreMsb)
      }]
    })
    return { token, replicas, isLed: false }
  }

  /**
   * What lies in one place: the same replicas and the same core of the first of them. `undefined` where that is not known. Throws
   * `EncodeError`.
   */
  placeKey(
    prepared: Prepared,
    values: ReadonlyArray<unknown>
  ): { readonly key: string; readonly partition: unknown } | undefined {
    const { replicas, token } = this.placesOf(prepared, values)
    const [first] = replicas
    if (first === undefined) return undefined
    // Tablets with the same replicas lie on the same cores, too.
    const nodes = replicas.map(({ node, shard }) =>
      prepared.tabletTable === undefined ? node.hostId : `${node.hostId} ${shard}`
    )
    return {
      key: `${nodes.join(" ")} ${first.shard}`,
      partition: `${prepared.keyspace}.${prepared.table} ${token ?? ""}`
    }
  }

  /** What `route` does, as a list of places: for policies that go by it. */
  *plan({ isLed, replicas }: Places, options: Resolved, isPinned: boolean): Generator<Place> {
    const { snapshot } = this
    const isFixed = isPinned || (isLed && !options.isOne)
    const turn = isFixed || replicas.length === 0 ? 0 : this.nextTurn(replicas.length)
    const inTurn = [...replicas.slice(turn), ...replicas.slice(0, turn)]
    yield* isFixed ? inTurn : inTurn.toSorted((a, b) => this.grade(a.node) - this.grade(b.node))
    const { local, owners, remote } = snapshot
    const start = owners === 0 ? 0 : this.anyTurn++ % owners
    const others = [...local.slice(start, owners), ...local.slice(0, start), ...local.slice(owners)]
    for (const node of others) if (!replicas.some((place) => place.node === node)) yield { node }
    if (this.mayLeave(options, isPinned)) { for (const node of remote) yield { node } }
  }

  /** Who of so many begins. Slow ones are looked at in one round of so many, in which each of them begins once. */
  private nextTurn(count: number): number {
    const turn = this.turn++
    const begins = turn % count
    const round = (turn - begins) / count
    // One later within each sixteen than the time before, so that keys which come round and round are not always the same ones.
    this.isProbing = (round + Math.floor(round / PROBES)) % PROBES === 0
    return begins
  }

  /** The later a node is asked, the higher: a slow one behind those of another rack. */
  private grade({ isFar, pool }: Node): number {
    return (pool!.slowness >= SLOW && !this.isProbing ? 2 : 0) + (isFar === true ? 1 : 0)
  }

  /**
   * Of the replicas the first one, or the less busy of two, on the connection of its shard: those of a segment of the ring, or of a
   * tablet, which names the shards. Leaves its node in `node`.
   */
  private among(
    nodes: ReadonlyArray<Node>,
    tablet: TabletMap.Tablet | undefined,
    isPinned: boolean,
    skip: ReadonlyArray<Node> | undefined
  ): Connection | undefined {
    const { hi, lo } = this.token
    const { hosts } = this.snapshot
    const count = tablet === undefined ? nodes.length : tablet.replicas.length
    if (count === 0) return undefined
    // Conditional statements go to the primary replica, so that Paxos rounds for a row do not contend; others take turns.
    const start = isPinned ? 0 : this.nextTurn(count)
    const isFirst = isPinned || this.isInTurns
    let best: Connection | undefined
    let grade = 0
    while (true) {
      let next = -1
      for (let i = 0; i < count; i++) {
        const at = start + i < count ? start + i : start + i - count
        const node = tablet === undefined ? nodes[at]! : hosts.get(tablet.replicas[at]!.host)
        const pool = node?.pool
        if (pool === undefined || (skip !== undefined && isAmong(skip, node!))) continue
        if (!isPinned) {
          const own = this.grade(node!)
          // What is not as good as others is looked at when none of those is left, and not twice.
          if (own !== grade) {
            if (own > grade && (next < 0 || own < next)) next = own
            continue
          }
        }
        let shard = 0
        if (tablet !== undefined) shard = tablet.replicas[at]!.shard
        else {
          const { sharding } = pool
          if (sharding !== undefined) shard = shardOf(hi, lo, sharding.nrShards, sharding.ignoreMsb)
        }
        const connection = pool.pick(shard, isPinned)
        if (connection === undefined) continue
        const isSecond = best !== undefined
        if (best === undefined || best.inFlight > connection.inFlight) {
          best = connection
          this.node = node
          this.isOwned = connection.shard === shard
        }
        if (isSecond || isFirst || best.inFlight === 0) return best
      }
      if (best !== undefined || next < 0) return best
      grade = next
    }
  }

  private counted(connection: Connection): Connection {
    if (this.isOwned) this.counters.owned++
    else this.counters.otherShard++
    return connection
  }

  /** A connection of any local node, which is counted as `counter`: one that owns a part of the ring, where there is any. */
  private routeAnywhere(counter: keyof RoutingCounters, skip: ReadonlyArray<Node> | undefined): Connection | undefined {
    const { local, owners } = this.snapshot
    // Of its own: together with the turns of replicas, two for each request, every second node would be left out.
    this.anyTurn++
    return this.oneOf(local, 0, owners, counter, skip) ?? this.oneOf(local, owners, local.length, counter, skip)
  }

  private oneOf(
    nodes: ReadonlyArray<Node>,
    from: number,
    to: number,
    counter: keyof RoutingCounters,
    skip: ReadonlyArray<Node> | undefined
  ): Connection | undefined {
    const count = to - from
    if (count <= 0) return undefined
    const start = counter === "otherDatacenter" ? this.awayTurn : this.anyTurn
    for (let i = 0; i < count; i++) {
      const node = nodes[from + (start + i) % count]!
      if (node.pool === undefined || (skip !== undefined && isAmong(skip, node))) continue
      const connection = node.pool.pickAny()
      if (connection !== undefined) {
        this.counters[counter]++
        this.node = node
        return connection
      }
    }
    return undefined
  }

  /** Whether a request may go to another datacenter. */
  mayLeave({ isLocal, request }: Resolved, isConditional: boolean): boolean {
    const { failover } = this
    if (failover === undefined) return false
    return failover.localConsistency || !(isLocal || (isConditional && request.serialConsistency === "LOCAL_SERIAL"))
  }

  /** A connection to a node of another datacenter, the first datacenter of the failover first. */
  routeRemote(skip: ReadonlyArray<Node> | undefined): Connection | undefined {
    this.awayTurn++
    for (const datacenter of this.failover?.datacenters ?? []) {
      const nodes = this.snapshot.remote.filter((node) => node.datacenter === datacenter)
      const connection = this.oneOf(nodes, 0, nodes.length, "otherDatacenter", skip)
      if (connection !== undefined) return connection
    }
    return undefined
  }

  /**
   * `route` for a table with tablets: the tablet names replicas and shards, the ring says nothing about them. Until a server
   * has told it, any local node is as good; a conditional statement goes to the same one whoever sends it.
   */
  private routeTablet(
    table: string,
    isPinned: boolean,
    isLed: boolean,
    skip: ReadonlyArray<Node> | undefined
  ): Connection | undefined {
    const { token } = this
    const tablet = this.tablets.find(table, token.hi, token.lo)
    this.tablet = tablet
    if (tablet === undefined) {
      return (isPinned ? this.routeByRing(skip) : undefined) ?? this.routeAnywhere("unknownTablet", skip)
    }
    // In the server's order, which all clients know alike. Only lists with a version have the leader first.
    const best = this.among(NOBODY, tablet, isPinned || (isLed && tablet.version !== undefined), skip)
    return best === undefined ? this.routeAnywhere("otherNode", skip) : this.counted(best)
  }

  /** The node on whose part of the ring the token falls: no replica of a tablet, but the same choice for all clients. */
  private routeByRing(skip: ReadonlyArray<Node> | undefined): Connection | undefined {
    const { ring } = this.snapshot
    const { hi, lo } = this.token
    const { owners } = ring
    const first = segmentOf(ring, hi, lo)
    for (let i = 0; i < owners.length; i++) {
      const node = owners[(first + i) % owners.length]!
      if (!node.isLocal || node.pool === undefined || isAmong(skip, node)) continue
      const connection = node.pool.pickAny()
      if (connection === undefined) continue
      this.counters.unknownTablet++
      this.node = node
      return connection
    }
    return undefined
  }

  /**
   * A connection for a PREPARE, on which requests depend that may be waiting for room themselves. Leaves its node in `node`.
   */
  routeReserved(skip: ReadonlyArray<Node>): Connection | undefined {
    for (const node of this.waitable(undefined, [], skip)) {
      const connection = node.pool!.pickReserved()
      if (connection === undefined) continue
      this.node = node
      return connection
    }
    return undefined
  }

  /**
   * The last resort: a connection that is open, though nothing is heard on it. Where a whole datacenter is slow, a slow answer is
   * better than none. Leaves its node in `node`.
   */
  routeSilent(skip: ReadonlyArray<Node> | undefined): Connection | undefined {
    const { local } = this.snapshot
    const count = local.length
    const start = this.anyTurn++
    for (let i = 0; i < count; i++) {
      const node = local[(start + i) % count]!
      if (skip !== undefined && isAmong(skip, node)) continue
      const connection = node.pool?.pickSilent()
      if (connection === undefined) continue
      this.node = node
      return connection
    }
    return undefined
  }

  /** So many were sent, each attempt counted. */
  get requests(): number {
    const { otherDatacenter, otherNode, otherShard, owned, unknownTablet, unrouted } = this.counters
    return otherDatacenter + otherNode + otherShard + owned + unknownTablet + unrouted
  }

  /**
   * The nodes on which a request may wait when `route` has found no room for it: replicas first, in their order. `any`: also those
   * of which nothing is heard. Throws as `route` does.
   */
  waitable(
    prepared: Prepared | undefined,
    values: ReadonlyArray<unknown>,
    skip: ReadonlyArray<Node> | undefined,
    any = false
  ): ReadonlyArray<Node> {
    const { snapshot, token } = this
    const nodes = new Set<Node>()
    if (prepared !== undefined && prepared.routedBy === snapshot && this.hash(prepared, values)) {
      const { replicas, tabletTable } = prepared
      if (replicas !== undefined) {
        for (const node of replicas.of(this.segmentHere(snapshot))) nodes.add(node)
      } else if (tabletTable !== undefined) {
        for (const { host } of this.tablets.find(tabletTable, token.hi, token.lo)?.replicas ?? []) {
          const node = snapshot.hosts.get(host)
          if (node !== undefined) nodes.add(node)
        }
      }
    }
    for (const node of snapshot.local) nodes.add(node)
    return [...nodes].filter((node) => (any ? node.pool?.isOpen : node.pool?.isUp) === true && !isAmong(skip, node))
  }
}
