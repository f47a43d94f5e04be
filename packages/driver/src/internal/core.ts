import type { Connection } from "@effect-scylla/pool/Connection"
import type { Ticker } from "@effect-scylla/pool/Ticker"
import type { BatchTemplate } from "@effect-scylla/protocol/BatchFrame"
import { DecodeError } from "@effect-scylla/protocol/ProtocolError"
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import { emptyPage, type Page, type RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as TabletRouting from "@effect-scylla/protocol/TabletRouting"
import { Writer } from "@effect-scylla/protocol/Writer"
import { hashInto, keyBuffer } from "@effect-scylla/sharding/Murmur3"
import { shardOf } from "@effect-scylla/sharding/Sharding"
import * as TabletMap from "@effect-scylla/sharding/TabletMap"
import { TokenWords } from "@effect-scylla/sharding/Token"
import { segmentOf } from "@effect-scylla/sharding/TokenRing"
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type { CqlError } from "../CqlError.ts"
import { type Resolved, Resolver } from "../ExecuteOptions.ts"
import type { Prepared } from "../Prepared.ts"
import type { Node, Snapshot } from "../Snapshot.ts"
import * as StatementKind from "../StatementKind.ts"
import { PlainTexts } from "./plainTexts.ts"
import { SchemaChanges } from "./schemaChanges.ts"
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
}

/** Milliseconds after which a statement is not taken for what it was without asking, before a value is refused. */
const DOUBT_AFTER = 1_000

/** Requests that may be sent to another node while the one that has them is alive: a part of all, and some at once. */
const MOVES = { share: 0.1, first: 100, most: 100 }
/** The same away from a node that seems to be gone: of three nodes one has a third, and all that is under way there at once. */
const ESCAPES = { share: 0.34, first: 100, most: 4_096 }

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
  snapshot: Snapshot
  closed = false
  /** Told once, when the client is closed. */
  readonly closing = new Set<() => void>()
  slow!: SlowPath

  readonly page: Page = emptyPage()
  readonly counters: RoutingCounters = { owned: 0, otherShard: 0, otherNode: 0, unknownTablet: 0, unrouted: 0 }

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
  private readonly token = new TokenWords()
  private turn = 0
  /** Whether the connection that was chosen lands on the shard that owns the token. */
  private isOwned = false
  private moves = MOVES.first
  private escapes = ESCAPES.first
  private movesAt = 0
  private lastTimestamp = 0
  private stampedTurn = -1

  constructor(options: {
    readonly ticker: Ticker
    readonly defaults: Resolved
    readonly clock: Clock.Clock
    readonly clientTimestamps: boolean
    readonly maxRows: number
    readonly decoders: RowDecoders
    readonly warnings: Warnings
    readonly snapshot: Snapshot
  }) {
    this.ticker = options.ticker
    this.defaults = options.defaults
    this.resolver = new Resolver(options.defaults)
    this.clock = options.clock
    this.clientTimestamps = options.clientTimestamps
    this.maxRows = options.maxRows
    this.decoders = options.decoders
    this.warnings = options.warnings
    this.snapshot = options.snapshot
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
      if (key.pos <= 4) return false
      hashInto(key.bytes, 4, key.pos - 4, this.token)
      return true
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
    hashInto(key.bytes, 0, key.pos, this.token)
    return true
  }

  /**
   * The connection for a request: a local replica's, the one that lands on the owning shard, of two replicas the less busy one; else
   * any local node's. Leaves its node in `node`. `skip` holds nodes that were tried. `undefined` when no connection takes requests.
   */
  route(
    prepared: Prepared | undefined,
    values: ReadonlyArray<unknown>,
    isSerial: boolean,
    skip: ReadonlyArray<Node> | undefined
  ): Connection | undefined {
    const { snapshot } = this
    this.tablet = undefined
    let replicas: ReadonlyArray<Node> | undefined
    if (prepared !== undefined && this.hash(prepared, values)) {
      if (prepared.routedBy !== snapshot) {
        prepared.routedBy = snapshot
        const keyspace = snapshot.keyspaces.get(prepared.keyspace)
        prepared.replicas = keyspace?.replicas
        prepared.tabletTable = keyspace?.hasTablets === true ? `${keyspace.name}.${prepared.table}` : undefined
      }
      const { token } = this
      if (prepared.replicas !== undefined) {
        replicas = prepared.replicas[segmentOf(snapshot.ring, token.hi, token.lo)]
      } else if (prepared.tabletTable !== undefined) {
        return this.routeTablet(prepared.tabletTable, isSerial || prepared.kind.isConditional, skip)
      }
      if (replicas !== undefined && replicas.length > 0) {
        const { hi, lo } = token
        const count = replicas.length
        // Conditional statements go to the primary replica, so that Paxos rounds for a row do not contend; others take turns.
        const isPinned = isSerial || prepared.kind.isConditional
        const start = isPinned ? 0 : this.turn++ % count
        let best: Connection | undefined
        for (let i = 0; i < count; i++) {
          const at = start + i
          const node = replicas[at < count ? at : at - count]!
          const { pool } = node
          if (pool === undefined || (skip !== undefined && skip.includes(node))) continue
          const { sharding } = pool
          const shard = sharding === undefined ? 0 : shardOf(hi, lo, sharding.nrShards, sharding.ignoreMsb)
          const connection = pool.pick(shard, isPinned)
          if (connection === undefined) continue
          const isSecond = best !== undefined
          best = this.lessBusy(best, connection, shard, node)
          if (isSecond || isPinned || best.inFlight === 0) break
        }
        if (best !== undefined) return this.counted(best)
      }
    }
    return this.routeAnywhere(replicas === undefined ? "unrouted" : "otherNode", skip)
  }

  /** Of two replicas the less busy one: what a slow node has under way keeps others from it. Leaves its node in `node`. */
  private lessBusy(best: Connection | undefined, other: Connection, shard: number, node: Node): Connection {
    if (best !== undefined && best.inFlight <= other.inFlight) return best
    this.node = node
    this.isOwned = other.shard === shard
    return other
  }

  private counted(connection: Connection): Connection {
    if (this.isOwned) this.counters.owned++
    else this.counters.otherShard++
    return connection
  }

  /** A connection of any local node, which is counted as `counter`. */
  private routeAnywhere(counter: keyof RoutingCounters, skip: ReadonlyArray<Node> | undefined): Connection | undefined {
    const { local } = this.snapshot
    const count = local.length
    const start = this.turn++
    for (let i = 0; i < count; i++) {
      const node = local[(start + i) % count]!
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

  /**
   * `route` for a table with tablets: the tablet names replicas and shards, the ring says nothing about them. Until a server
   * has told it, any local node is as good.
   */
  private routeTablet(table: string, pinned: boolean, skip: ReadonlyArray<Node> | undefined): Connection | undefined {
    const { snapshot, token } = this
    const tablet = this.tablets.find(table, token.hi, token.lo)
    this.tablet = tablet
    if (tablet === undefined) return this.routeAnywhere("unknownTablet", skip)
    const { replicas } = tablet
    const count = replicas.length
    // In the server's order, which all clients know alike: the leader first, where there is one.
    const start = pinned ? 0 : this.turn++ % count
    let best: Connection | undefined
    for (let i = 0; i < count; i++) {
      const at = start + i
      const { host, shard } = replicas[at < count ? at : at - count]!
      const node = snapshot.hosts.get(host)
      if (node?.pool === undefined || (skip !== undefined && skip.includes(node))) continue
      const connection = node.pool.pick(shard, pinned)
      if (connection === undefined) continue
      const isSecond = best !== undefined
      best = this.lessBusy(best, connection, shard, node)
      if (isSecond || pinned || best.inFlight === 0) break
    }
    if (best !== undefined) return this.counted(best)
    return this.routeAnywhere("otherNode", skip)
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
    const { hosts } = this.snapshot
    const local = told.replicas.filter(({ host }) => hosts.get(host)?.isLocal !== false)
      // The text that the snapshot has, so that looking it up compares no characters.
      .map(({ host, shard }) => ({ host: hosts.get(host)?.hostId ?? host, shard }))
    this.tablets.add(tabletTable, local.length === 0 ? told : { ...told, replicas: local })
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
    const start = this.turn++
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
    const { otherNode, otherShard, owned, unknownTablet, unrouted } = this.counters
    const requests = otherNode + otherShard + owned + unknownTablet + unrouted
    const more = requests - this.movesAt
    this.movesAt = requests
    this.moves = Math.min(MOVES.most, this.moves + more * MOVES.share)
    this.escapes = Math.min(ESCAPES.most, this.escapes + more * ESCAPES.share)
    if (isGone && this.escapes >= 1) {
      this.escapes--
      return true
    }
    if (this.moves < 1) return false
    this.moves--
    return true
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
        for (const node of replicas[segmentOf(snapshot.ring, token.hi, token.lo)] ?? []) nodes.add(node)
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
