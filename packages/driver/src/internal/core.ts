import type { Connection } from "@effect-scylla/pool/Connection"
import type { NodePool } from "@effect-scylla/pool/NodePool"
import type { Ticker } from "@effect-scylla/pool/Ticker"
import type { BatchTemplate } from "@effect-scylla/protocol/BatchFrame"
import type { CodecOptions } from "@effect-scylla/protocol/Codec"
import { DecodeError } from "@effect-scylla/protocol/ProtocolError"
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import { emptyPage, type Page, type RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as TabletRouting from "@effect-scylla/protocol/TabletRouting"
import { Writer } from "@effect-scylla/protocol/Writer"
import { hashInto, keyBuffer } from "@effect-scylla/sharding/Murmur3"
import * as Partitioner from "@effect-scylla/sharding/Partitioner"
import { shardOf } from "@effect-scylla/sharding/Sharding"
import * as TabletMap from "@effect-scylla/sharding/TabletMap"
import * as Token from "@effect-scylla/sharding/Token"
import { segmentOf } from "@effect-scylla/sharding/TokenRing"
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type { CheckedFailover, Place } from "../Balancing.ts"
import type { CqlError } from "../CqlError.ts"
import type { Resolved, Resolver, Way } from "../ExecuteOptions.ts"
import type { Prepared } from "../Prepared.ts"
import type { Node, Snapshot } from "../Snapshot.ts"
import * as StatementKind from "../StatementKind.ts"
import { Budget, type Share } from "./budget.ts"
import { PlainTexts } from "./plainTexts.ts"
import type { Retries } from "./retries.ts"
import { SchemaChanges } from "./schemaChanges.ts"
import type { SlowLog } from "./slowLog.ts"
import type { Speculator } from "./speculator.ts"
import { Templates } from "./templates.ts"
import { Usual } from "./usual.ts"
import type { Warnings } from "./warnings.ts"

/** What happens once in a while, and is therefore an effect. */
export interface SlowPath {
  /** Teaches the node of `connection` the statement again; it is renewed where its types are others now. */
  readonly reprepare: (node: Node, connection: Connection, prepared: Prepared) => Effect.Effect<void, CqlError>
  /** Prepares the statement again on any node, because a value does not fit its types. */
  readonly refresh: (prepared: Prepared) => Effect.Effect<void, CqlError>
  /**
   * After a change of the schema on `connection`: waits until the nodes agree with that node, and reads what routing needs.
   */
  readonly schemaChanged: (connection: Connection, change: SchemaChange) => Effect.Effect<void>
  /** In the background: has a server tell of the tablet of these values, which the answer to a conditional statement does not. */
  readonly learnTablet: (prepared: Prepared, values: ReadonlyArray<unknown>) => void
}

/** Milliseconds after which a statement is not taken for what it was without asking, before a value is refused. */
const DOUBT_AFTER = 1_000

/** Requests that may be sent to another node while the one that has them is alive. */
const MOVES: Share = { share: 0.1, first: 100, most: 100 }
/** The same away from a node that seems to be gone: of three nodes one has a third, and all that is under way there at once. */
const ESCAPES: Share = { share: 0.34, first: 100, most: 4_096 }
/** A node that is passed over as slow still gets one turn of so many. */
const PROBES = 16
/** Answers of a node that were slow, less those that were not, from which on it is passed over. */
const SLOW = 3
/** It is no slower than this, so that a node that is well again is soon known to be. */
export const SLOWEST = 8
/** What slow is: so many ticks, and so many times what the statement usually takes. */
const SLOW_TICKS = 2
const SLOW_FACTOR = 4

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

const placeOf = ({ host, shard }: TabletMap.TabletReplica): string => `${host} ${shard}`

const NOBODY: ReadonlyArray<never> = []
const NOWHERE = { token: undefined, replicas: NOBODY }
/** How the server names the logs of CDC. */
const CDC_LOG = "_scylla_cdc_log"
const CDC = Partitioner.resolve("CDCPartitioner", "scylla")

/** What the core is made of. */
export interface Parts {
  readonly ticker: Ticker
  readonly resolver: Resolver
  readonly clock: Clock.Clock
  readonly clientTimestamps: boolean
  readonly maxRows: number
  readonly decoders: RowDecoders
  readonly codec: CodecOptions | undefined
  readonly warnings: Warnings
  readonly snapshot: Snapshot
  readonly retries: Retries
  readonly speculator: Speculator
  readonly slowLog: SlowLog | undefined
  readonly isInTurns: boolean
  readonly failover: CheckedFailover | undefined
  /** The client's: of texts without one. */
  readonly keyspace: string | undefined
}

/**
 * The state that all requests of a client share, and the way of a request to a connection. Plain and synchronous: this is
 * the hot path.
 */
export class Core {
  readonly ticker: Ticker
  readonly defaults: Resolved
  readonly resolver: Resolver
  readonly texts: PlainTexts = new PlainTexts()
  readonly schema: SchemaChanges = new SchemaChanges()
  readonly warnings: Warnings
  /** What all batches have in common. */
  readonly batches = { usual: new Usual(), templates: new Templates<BatchTemplate>() }
  readonly clock: Clock.Clock
  readonly clientTimestamps: boolean
  readonly maxRows: number
  readonly decoders: RowDecoders
  readonly codec: CodecOptions | undefined
  readonly retries: Retries
  readonly speculator: Speculator
  readonly slowLog: SlowLog | undefined
  readonly failover: CheckedFailover | undefined
  readonly keyspace: string | undefined
  private readonly isInTurns: boolean
  snapshot: Snapshot
  closed = false
  /** Told once, when the client is closed. */
  readonly closing = new Set<() => void>()
  slow!: SlowPath

  readonly page: Page = emptyPage()
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
  /** Payloads that could not be read, and were left alone. */
  malformedTablets = 0
  /** The tablet of the request that was routed or located last, if that is of such a table; `undefined` where it is not known. */
  tablet: TabletMap.Tablet | undefined
  private block = 0

  /** A frame is being encoded. Values may have getters, and what those do must not end up in the middle of it. */
  isEncoding = false
  /** The node of the connection that `route` answered. */
  node: Node | undefined
  /** Lies in the memory of the hash: most keys are hashed where they are written. */
  private readonly key = Writer.over(keyBuffer(1024))
  private readonly token = new Token.TokenWords()
  private turn = 0
  private anyTurn = 0
  private awayTurn = 0
  /** Whether the connection that was chosen lands on the shard that owns the token. */
  private isOwned = false
  /** The segment of a key whose token is no int64, -1 for others. */
  private segment = -1
  private moment = -1
  private nowMicros = 0
  private readonly moves = new Budget(MOVES)
  private readonly escapes = new Budget(ESCAPES)
  private lastTimestamp = 0
  private stampedTurn = -1

  constructor(parts: Parts) {
    this.ticker = parts.ticker
    this.defaults = parts.resolver.defaults
    this.resolver = parts.resolver
    this.clock = parts.clock
    this.clientTimestamps = parts.clientTimestamps
    this.maxRows = parts.maxRows
    this.decoders = parts.decoders
    this.codec = parts.codec
    this.warnings = parts.warnings
    this.snapshot = parts.snapshot
    this.retries = parts.retries
    this.speculator = parts.speculator
    this.slowLog = parts.slowLog
    this.isInTurns = parts.isInTurns
    this.failover = parts.failover
    this.keyspace = parts.keyspace
  }

  /** No request is taken any more. */
  close(): void {
    this.closed = true
    for (const tell of this.closing) tell()
    this.closing.clear()
  }

  /** Whether this client stamps such a statement: where the caller gives no time of its own. */
  stamps(kind: StatementKind.StatementKind, options: Resolved): boolean {
    return this.clientTimestamps && StatementKind.takesTimestamp(kind) && options.request.timestamp === undefined
  }

  /**
   * Microseconds, for how long something takes: looked at once for many requests, and anew when time may have passed. Wraps every 18
   * minutes, so that it is a small integer.
   */
  get micros(): number {
    const { moment } = this.ticker
    if (moment !== this.moment) {
      this.moment = moment
      this.nowMicros = Number((this.clock.monotonicTimeNanosUnsafe() / 1_000n) & 0x3fff_ffffn)
    }
    return this.nowMicros
  }

  /** Milliseconds, for how long something is ago. */
  get millis(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  /**
   * Whether a value that does not fit may fit when the statement is prepared again: the schema has changed since, or it may have
   * without anybody having told yet. Once in a while only: most such values are wrong for good.
   */
  mayHaveChanged(prepared: Prepared): boolean {
    return prepared.preparedEpoch !== this.schema.epoch || this.millis - prepared.preparedAt >= DOUBT_AFTER
  }

  /** Statements are the same for this node as they are known. */
  confirm(prepared: Prepared, node: Node): void {
    const { confirmed } = prepared
    if (confirmed === undefined) return
    confirmed.add(node.hostId)
    if (this.snapshot.local.every(({ hostId }) => confirmed.has(hostId))) prepared.confirmed = undefined
  }

  /** Microseconds since 1970, growing with every call; the clock is read once for each turn of the event loop. */
  nextTimestamp(): number {
    const { turn } = this.ticker
    if (turn !== this.stampedTurn) {
      this.stampedTurn = turn
      const now = this.clock.currentTimeMillisUnsafe() * 1000
      if (now > this.lastTimestamp) return this.lastTimestamp = now
    }
    return ++this.lastTimestamp
  }

  /** Hashes the partition key of the values; answers false when there is none. Throws `EncodeError`. */
  private hash(prepared: Prepared, values: ReadonlyArray<unknown>): boolean {
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
    skip: ReadonlyArray<Node> | undefined
  ): Connection | undefined {
    const { snapshot } = this
    this.tablet = undefined
    let isKnown = false
    if (prepared !== undefined) {
      if (prepared.routedBy !== snapshot) this.lookUp(prepared, snapshot)
      if (this.hash(prepared, values)) {
        const isPinned = options.isSerial || prepared.kind.isConditional
        if (prepared.replicas !== undefined) {
          const best = this.among(prepared.replicas[this.segmentHere(snapshot)] ?? NOBODY, undefined, isPinned, skip)
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

  /** The same for a key that the caller has given. */
  routeKey(
    { keyBytes, routingKey }: Way,
    prepared: Prepared | undefined,
    isSerial: boolean,
    skip: ReadonlyArray<Node> | undefined
  ): Connection | undefined {
    const { snapshot } = this
    this.tablet = undefined
    const table = routingKey!.table ?? prepared?.table ?? ""
    const name = routingKey!.keyspace ?? prepared?.keyspace ?? this.keyspace ?? ""
    const keyspace = snapshot.keyspaces.get(name)
    if (
      keyspace !== undefined && keyBytes!.length > 0 &&
      this.hashKey(keyBytes!, 0, keyBytes!.length, this.partitionerOf(table, snapshot))
    ) {
      const isPinned = isSerial || prepared?.kind.isConditional === true
      if (keyspace.replicas !== undefined) {
        const best = this.among(keyspace.replicas[this.segmentHere(snapshot)] ?? NOBODY, undefined, isPinned, skip)
        return best === undefined ? this.routeAnywhere("otherNode", skip) : this.counted(best)
      }
      if (keyspace.hasTablets && table !== "") return this.routeTablet(`${name}.${table}`, isPinned, isPinned, skip)
    }
    return this.routeAnywhere("unrouted", skip)
  }

  /** The connection of one node: that of the shard, if one is asked for, else of the one that owns the partition. */
  routeTo(
    node: Node,
    shard: number | undefined,
    prepared: Prepared | undefined,
    values: ReadonlyArray<unknown>
  ): Connection | undefined {
    this.node = node
    this.tablet = undefined
    const { pool } = node
    if (pool === undefined) return undefined
    let wanted = shard
    if (prepared !== undefined) {
      if (prepared.routedBy !== this.snapshot) this.lookUp(prepared, this.snapshot)
      const { replicas } = this.placesOf(prepared, values)
      wanted ??= replicas.find((place) => place.node === node)?.shard
    }
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
    return node?.pool?.isUp === true ? this.routeTo(node, undefined, prepared, values) : undefined
  }

  /** Where a partition lies, as far as this client is connected to it; the token is `undefined` where it is not known. */
  placesOf(
    prepared: Prepared | undefined,
    values: ReadonlyArray<unknown>
  ): { readonly token: bigint | undefined; readonly replicas: ReadonlyArray<Place> } {
    const { snapshot, token } = this
    if (prepared === undefined) return NOWHERE
    if (prepared.routedBy !== snapshot) this.lookUp(prepared, snapshot)
    if (!this.hash(prepared, values)) return NOWHERE
    const { hi, lo } = token
    const value = this.segment >= 0 ? undefined : Token.toBigInt(hi, lo)
    if (prepared.tabletTable !== undefined) {
      const tablet = this.tablets.find(prepared.tabletTable, hi, lo)
      this.tablet = tablet
      const replicas = (tablet?.replicas ?? []).flatMap(({ host, shard }) => {
        const node = snapshot.hosts.get(host)
        return node?.pool === undefined ? [] : [{ node, shard }]
      })
      return { token: value, replicas }
    }
    const nodes = prepared.replicas?.[this.segmentHere(snapshot)] ?? NOBODY
    const replicas = nodes.flatMap((node) => {
      const sharding = node.pool?.sharding
      return node.pool === undefined ? [] : [{
        node,
        shard: sharding === undefined ? 0 : shardOf(hi, lo, sharding.nrShards, sharding.ignoreMsb)
      }]
    })
    return { token: value, replicas }
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
  *plan(prepared: Prepared | undefined, values: ReadonlyArray<unknown>, options: Resolved): Generator<Place> {
    const { snapshot } = this
    const { replicas } = this.placesOf(prepared, values)
    const isPinned = options.isSerial || prepared?.kind.isConditional === true
    const turn = isPinned || replicas.length === 0 ? 0 : this.turn++ % replicas.length
    const inTurn = [...replicas.slice(turn), ...replicas.slice(0, turn)]
    yield* isPinned ? inTurn : inTurn.toSorted((a, b) => this.grade(a.node) - this.grade(b.node))
    const { local, owners, remote } = snapshot
    const start = owners === 0 ? 0 : this.anyTurn++ % owners
    const others = [...local.slice(start, owners), ...local.slice(0, start), ...local.slice(owners)]
    for (const node of others) if (!replicas.some((place) => place.node === node)) yield { node }
    if (this.mayLeave(options, isPinned)) { for (const node of remote) yield { node } }
  }

  /** The later a node is asked, the higher: a slow one behind those of another rack. */
  private grade({ isFar, pool }: Node): number {
    return (pool!.slowness >= SLOW && this.turn % PROBES !== 0 ? 2 : 0) + (isFar === true ? 1 : 0)
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
    const start = isPinned ? 0 : this.turn++ % count
    const isFirst = isPinned || this.isInTurns
    let best: Connection | undefined
    let grade = 0
    while (true) {
      let next = -1
      for (let i = 0; i < count; i++) {
        const at = start + i < count ? start + i : start + i - count
        const node = tablet === undefined ? nodes[at]! : hosts.get(tablet.replicas[at]!.host)
        const pool = node?.pool
        if (pool === undefined || (skip !== undefined && skip.includes(node!))) continue
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

  /** An answer took so many ticks: what its statement and its node usually take, and whether that was slow for the node. */
  observe(took: number, usual: Usual, pool: NodePool): void {
    const isSlow = took >= SLOW_TICKS && took >= SLOW_FACTOR * usual.least
    usual.observe(took)
    if (isSlow) pool.slowness = Math.min(SLOWEST, pool.slowness + 1)
    else if (pool.slowness > 0) pool.slowness--
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
      if (node.pool === undefined || (skip !== undefined && skip.includes(node))) continue
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
      if (!node.isLocal || node.pool === undefined || skip?.includes(node) === true) continue
      const connection = node.pool.pickAny()
      if (connection === undefined) continue
      this.counters.unknownTablet++
      this.node = node
      return connection
    }
    return undefined
  }

  /** Finds the tablet of a request that is not routed, because its connection is given. */
  locate(prepared: Prepared, values: ReadonlyArray<unknown>): void {
    const { tabletTable } = prepared
    this.tablet = tabletTable !== undefined && this.hash(prepared, values)
      ? this.tablets.find(tabletTable, this.token.hi, this.token.lo)
      : undefined
  }

  /**
   * The byte that ends an EXECUTE of that request where servers compare versions of tablets: a part of the
   * version, each time another one. Any byte where none is known; the answer then tells the tablet.
   */
  tabletBlock(): number {
    const index = ++this.block & 15
    const block = this.tablet?.versionBlock(index) ?? -1
    return block < 0 ? (index << 4) | (this.block >>> 4 & 15) : block
  }

  /** A conditional statement was answered, and such answers tell of no tablet: lets a read find out, where it is not known. */
  wonder(prepared: Prepared, values: ReadonlyArray<unknown>): void {
    const { tabletTable } = prepared
    if (tabletTable === undefined || !this.hash(prepared, values)) return
    if (this.tablets.find(tabletTable, this.token.hi, this.token.lo) === undefined) {
      this.slow.learnTablet(prepared, values)
    }
  }

  /** A tablet as `system.tablets` has it: what is known of that range already is not replaced by the same. */
  warm(table: string, tablet: TabletMap.TabletInfo): void {
    const last = new Token.TokenWords()
    Token.fromBigInt(tablet.last, last)
    const known = this.tablets.find(table, last.hi, last.lo)
    const isSame = known !== undefined && known.first === tablet.first && known.last === tablet.last &&
      known.replicas.map(placeOf).join() === this.localReplicas(tablet).map(placeOf).join()
    if (!isSame) this.addTablet(table, tablet)
  }

  /** Those of the datacenters that are asked, or all where none is. */
  private localReplicas(told: TabletMap.TabletInfo): ReadonlyArray<TabletMap.TabletReplica> {
    const { hosts } = this.snapshot
    const local = told.replicas.filter(({ host }) => hosts.get(host)?.isLocal !== false)
      // The text that the snapshot has, so that looking it up compares no characters.
      .map(({ host, shard }) => ({ host: hosts.get(host)?.hostId ?? host, shard }))
    return local.length === 0 ? told.replicas : local
  }

  private addTablet(table: string, told: TabletMap.TabletInfo): void {
    this.tablets.add(table, { ...told, replicas: this.localReplicas(told) })
  }

  /** An answer tells the tablet of its request. One that cannot be read is left alone: the rows are not to blame. */
  learn(prepared: Prepared, payload: ReadonlyMap<string, Uint8Array | null>): void {
    const { tabletTable } = prepared
    if (tabletTable === undefined) return
    let told: TabletRouting.TabletRouting | undefined
    try {
      told = TabletRouting.fromPayload(payload)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.malformedTablets++
      return
    }
    if (told === undefined) return
    this.addTablet(tabletTable, told)
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
      if (skip !== undefined && skip.includes(node)) continue
      const connection = node.pool?.pickSilent()
      if (connection === undefined) continue
      this.node = node
      return connection
    }
    return undefined
  }

  /**
   * Whether a request may be sent to another node that one has already. Away from a node that seems to be gone (`isGone`) more often than
   * from one that is alive; where all nodes are slow, asking each for what the others have under way makes it worse.
   */
  mayMove(isGone: boolean): boolean {
    const { requests } = this
    return (isGone && this.escapes.take(requests)) || this.moves.take(requests)
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
        for (const node of replicas[this.segmentHere(snapshot)] ?? []) nodes.add(node)
      } else if (tabletTable !== undefined) {
        for (const { host } of this.tablets.find(tabletTable, token.hi, token.lo)?.replicas ?? []) {
          const node = snapshot.hosts.get(host)
          if (node !== undefined) nodes.add(node)
        }
      }
    }
    for (const node of snapshot.local) nodes.add(node)
    return [...nodes].filter((node) =>
      (any ? node.pool?.isOpen : node.pool?.isUp) === true && skip?.includes(node) !== true
    )
  }
}
