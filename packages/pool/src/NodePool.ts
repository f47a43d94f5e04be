/**
 * The connections to one node: one for each shard, supervised, coming back by themselves at a limited rate.
 *
 * One object owns the node's slots. It is changed only on the event loop, by whole steps that end in a consistent state,
 * so that picking a connection reads plain fields and never waits. A supervised fiber for each shard slot dials when its
 * slot is empty.
 *
 * @since 0.1.0
 */
import type { ShardFeatures } from "@effect-scylla/protocol/Features"
import type { PortRange } from "@effect-scylla/sharding/SourcePort"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Admission, type Place, type Waiter } from "./Admission.ts"
import * as Background from "./Background.ts"
import type { Connection } from "./Connection.ts"
import { ConnectLimiter } from "./ConnectLimiter.ts"
import type * as Handshake from "./Handshake.ts"
import { type Adaptive, AdaptiveLimits } from "./internal/adaptiveLimit.ts"
import type * as Backoff from "./internal/backoff.ts"
import { PoolKeyspace } from "./internal/poolKeyspace.ts"
import { PoolRecorder } from "./internal/poolRecorder.ts"
import { type Belief, PortBelief } from "./internal/portBelief.ts"
import { type Host, SlotDialer } from "./internal/slotDialer.ts"
import { SlotSupervisor, type Supervised } from "./internal/slotSupervisor.ts"
import * as Slots from "./internal/slotTable.ts"
import { Waiters } from "./internal/waiters.ts"
import * as Limits from "./Limits.ts"
import { ClientOverloaded, ConnectionClosed, NodeSilent, type PoolError, type PoolReason } from "./PoolError.ts"
import { TICK_MILLIS, type Tickable } from "./Ticker.ts"
import type * as Tls from "./Tls.ts"

/**
 * One node, and how many connections it gets.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly session: Handshake.Session
  /** An IP address: the shard-aware port is dialled from chosen local ports, which a name could not be. */
  readonly address: string
  readonly port: number
  /** Absent: plain TCP. Nothing ever falls back from one to the other. */
  readonly tls?: Tls.Input | undefined
  /**
   * The name by which the node was reached, such as a contact point that is one. Its certificates are verified by it, instead of by
   * `address`, where `tls` says nothing else; see `Endpoint`.
   */
  readonly servername?: string | undefined
  /** Who has to be there: a connection that reaches another node is closed and reported as `WrongNode`. */
  readonly expect?: Handshake.Expected | undefined
  /**
   * How many connections there are: `perShard` for each shard of the node (default 1), or `perNode` whatever their shard,
   * for nodes that are asked little, such as those of remote datacenters.
   */
  readonly connections?: Slots.Size | undefined
  /**
   * Finds for each shard how many requests it bears in flight: more, a few at a time, while it answers as quickly as ever, and
   * fewer, by a part, when it says OVERLOADED or that a rate limit is reached, or becomes slow. At most `maxInFlight` of the
   * session's limits; what is more waits. Default `false`: always `maxInFlight`.
   */
  readonly adaptive?: boolean | Adaptive | undefined
  /** Requests that may wait for room on the node's connections. Default 16 384. */
  readonly maxWaiting?: number | undefined
  /** `false` never uses the shard-aware port. Default true: used when the node advertises it. */
  readonly shardAwarePort?: boolean | undefined
  /**
   * Local ports for the shard-aware port. Default 49152 to 65535. Workers and processes of one host should have shares of
   * their own: `SourcePort.share`.
   */
  readonly localPorts?: PortRange | undefined
  /** Longest time that requests in flight hold up the closing of a connection. Default 5 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /**
   * Before a dial that follows a failed one or a lost connection: `base` milliseconds (50), doubled up to `cap` (10 000),
   * and a random part of that. Or a schedule, whose delays are taken as they are and whose input is the reason; where it
   * ends, the slot stays empty until the node is said to be up. Starts anew once a connection has lived for `cap`, with a
   * schedule for 10 seconds.
   */
  readonly reconnect?: Backoff.Reconnect | undefined
}

/**
 * Where a slot stands.
 *
 * @category models
 * @since 0.1.0
 */
export type SlotState = Slots.SlotState

/**
 * A look at a pool.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  readonly address: string
  /** Shards of the node; 1 for a server without shards, and before the first connection. */
  readonly nrShards: number
  /** For each connection that there should be: in the order of shards, those of one shard together. */
  readonly slots: ReadonlyArray<{
    /** The shard it is for; `undefined` where any will do. */
    readonly shard: number | undefined
    readonly state: SlotState
    readonly requests: number
    readonly inFlight: number
    readonly orphans: number
    /** Requests in flight past which it takes none now; 0 without a connection. */
    readonly limit: number
    /** Whether nothing is heard on it: it is not picked until something is. */
    readonly isSilent: boolean
  }>
  /** Connections beyond those, kept until the pool is full. */
  readonly excess: number
  /** Requests that wait for room. */
  readonly waiting: number
  /** Dials that were tried and that failed. */
  readonly dials: number
  readonly failures: number
  /** Whether dials go to the shard-aware port: not advertised, trusted, left alone for a while, or tried by one dial. */
  readonly shardAwarePort: "absent" | Belief
  /** Why the last dial failed or the last connection was lost. */
  readonly lastError: PoolReason | undefined
}

/**
 * What happens to a pool.
 *
 * @category models
 * @since 0.1.0
 */
export type Change =
  /**
   * A slot goes from one state to another; `reason` where a connection was lost. Where slots are laid anew (`resize`), those
   * with a connection go to `Idle` by the shard that they were for, then to `Ready` by the one that they are for.
   */
  | {
    readonly _tag: "Slot"
    readonly slot: number
    readonly shard: number | undefined
    readonly from: SlotState
    readonly to: SlotState
    readonly reason: PoolReason | undefined
  }
  /** A dial for a slot failed. */
  | {
    readonly _tag: "DialFailed"
    readonly slot: number
    readonly shard: number | undefined
    readonly reason: PoolReason
  }
  /** The node takes requests now, or no longer does. */
  | { readonly _tag: "Up" }
  | { readonly _tag: "Down"; readonly reason: PoolReason | undefined }
  /** The shard-aware port is believed, left alone, or tried again. */
  | { readonly _tag: "ShardAwarePort"; readonly belief: Belief }
  /** The node has another address now. */
  | { readonly _tag: "Moved"; readonly from: string; readonly to: string }
  /** The node came back with other shards: all connections are made anew. */
  | { readonly _tag: "Resharded"; readonly from: number; readonly to: number }

const DEFAULT_SHUTDOWN: Duration.Input = "5 seconds"
const DEFAULT_MAX_WAITING = 16_384
/** Changes that a subscriber may be behind; older ones are dropped for it. */
const CHANGES = 256
/** Ticks of silence on all connections after which one of them is dialled anew: a collection of garbage is over by then. */
const SCOUT_TICKS = 1_000 / TICK_MILLIS
/** Ticks after which a connection is replaced whose peer answers heartbeats only: another one to it may be no better. */
const DEAF_TICKS = 60_000 / TICK_MILLIS
/** Ticks between two settings of the gauges. */
const SAMPLE_TICKS = 1000 / TICK_MILLIS

/**
 * The pool of one node.
 *
 * @category models
 * @since 0.1.0
 */
export class NodePool implements Host, Supervised, Tickable {
  /** Where the node is now: see {@link NodePool.moveTo}. */
  address: string
  port: number
  private readonly options: Options
  private readonly run: (effect: Effect.Effect<void>) => void
  private readonly clock: Clock.Clock
  private readonly limiter: ConnectLimiter
  private readonly recorder: PoolRecorder
  private readonly waiters: Waiters
  private readonly admission: Admission
  private readonly published: PubSub.PubSub<Change>
  private readonly table: Slots.SlotTable
  private shards: ShardFeatures | undefined
  private readonly belief: PortBelief
  private readonly dialer: SlotDialer
  /** @internal */
  readonly supervisor: SlotSupervisor
  private readonly adaptive: AdaptiveLimits | undefined
  private readonly keyspaces: PoolKeyspace
  private sampled = 0
  private failures = 0
  private wasUp = false
  private lastError: PoolReason | undefined
  private started = false
  /** Closing, their last requests under way. */
  private readonly draining = new Set<Connection>()
  /** Those that the limiter was told of. */
  private readonly lost = new WeakSet<Connection>()
  /** What all those are told who find the list full. */
  private overloaded: ClientOverloaded | undefined

  /** Made by {@link make}. */
  constructor(options: Options, services: {
    readonly run: (effect: Effect.Effect<void>) => void
    readonly clock: Clock.Clock
    readonly limiter: ConnectLimiter
    readonly published: PubSub.PubSub<Change>
    readonly recorder: PoolRecorder
  }) {
    this.options = options
    this.run = services.run
    this.clock = services.clock
    this.limiter = services.limiter
    this.recorder = services.recorder
    this.published = services.published
    this.address = options.address
    this.port = options.port
    this.table = new Slots.SlotTable(options.connections, (slot, from, to, reason) => {
      this.publish({ _tag: "Slot", slot, shard: this.shardOf(slot), from, to, reason })
      this.recorder.stand(this.table.stats)
    })
    const { keyspace, limits, ticker } = options.session
    const { maxWaiting = DEFAULT_MAX_WAITING } = options
    Limits.check(limits)
    if (!(maxWaiting >= 0)) throw new RangeError(`maxWaiting must be a number from 0, got ${maxWaiting}`)
    this.keyspaces = new PoolKeyspace(keyspace, this.table, (connection) => this.replace(connection))
    if (options.adaptive !== undefined && options.adaptive !== false) {
      const max = limits?.maxInFlight ?? Limits.defaults.maxInFlight
      this.adaptive = new AdaptiveLimits(options.adaptive === true ? {} : options.adaptive, max)
    }
    this.waiters = new Waiters(ticker.defer)
    this.admission = new Admission(
      ticker,
      maxWaiting,
      () => this.table.next(),
      (millis) => this.recorder.queued(millis)
    )
    const belief = new PortBelief((belief) => this.publish({ _tag: "ShardAwarePort", belief }))
    this.belief = belief
    const { address, expect, localPorts, port, servername, session, tls } = options
    const target = { address, expect, localPorts, port, servername, session, tls }
    this.dialer = new SlotDialer(this, target, { ...services, belief })
    const { dialer, table, waiters } = this
    this.supervisor = new SlotSupervisor(this, { table, dialer, waiters, reconnect: options.reconnect })
  }

  /**
   * How slow the node is, as its user sees it: kept here for the user, who knows what its answers should take. A pool of which nothing is
   * said has 0.
   */
  slowness = 0

  /** How the node spreads tokens; `undefined` for a server without shards and before the first connection. */
  get sharding(): ShardFeatures | undefined {
    return this.shards
  }

  /** Shards of the node, 1 where there are none. */
  get nrShards(): number {
    return this.shards?.nrShards ?? 1
  }

  /** Whether any connection takes requests, and the node is heard. */
  get isUp(): boolean {
    return this.table.isUp
  }

  /** Whether no connection is beyond doubt: each is silent, or several requests in a row were given up on it. */
  get isSuspect(): boolean {
    return this.table.all.every(({ isSilent, isSuspect }) => isSilent || isSuspect)
  }

  /** The tick at which a request was answered last, -1 for none. */
  get answeredAt(): number {
    return Math.max(-1, ...this.table.all.map(({ answeredAt }) => answeredAt))
  }

  /** The tick at which a connection of it was set aside last, 0 for never. */
  get silentSince(): number {
    return Math.max(0, ...this.table.all.map(({ silentSince }) => silentSince))
  }

  /** Whether any connection is open, though nothing may be heard of the node. */
  get isOpen(): boolean {
    return this.table.isOpen
  }

  /** Whether every slot has its connection, heard or not. */
  get isFull(): boolean {
    return this.table.isFull
  }

  /** Why the last dial failed or the last connection was lost. */
  get lastReason(): PoolReason | undefined {
    return this.lastError
  }

  /**
   * The connection that lands on `shard`; while it is missing or full, another one of the node. When it is more than half
   * full, the less busy of it and another one, unless `pinned`: conditional statements stay on their shard as long as they
   * can. `undefined` when no connection takes a request now, and while others wait for room. Allocates nothing.
   */
  pick(shard: number, pinned = false): Connection | undefined {
    if (this.admission.size > 0) return undefined
    return this.table.pick(shard, pinned)
  }

  /** Any connection that takes requests, in turn; `undefined` as `pick`. */
  pickAny(): Connection | undefined {
    return this.admission.size > 0 ? undefined : this.table.next()
  }

  /**
   * A connection for what others wait for, such as a PREPARE, by its `request`: also when all are full and requests wait.
   * `undefined` when there is no connection, or too much of that is under way.
   */
  pickReserved(): Connection | undefined {
    return this.table.nextReserved()
  }

  /** A connection on which nothing is heard, for when no node is heard: it may still answer. */
  pickSilent(): Connection | undefined {
    return this.table.nextSilent()
  }

  /**
   * Waits for room on the node until tick `deadline`; {@link Admission.Waiter} is told once. For when `pick` answers
   * `undefined`. Answers the reason when it cannot wait: the list is full, or the node is down.
   */
  wait(waiter: Waiter, deadline: number): Place | PoolReason {
    if (!this.isOpen) {
      return this.lastError ?? new ConnectionClosed({ message: `there is no connection to ${this.where} yet` })
    }
    const place = this.admission.join(waiter, deadline)
    // The same object for all: who is refused by the hundred thousand must cost nothing.
    if (place === undefined) return this.overloaded ??= this.overload()
    if (this.admission.size === 1) {
      this.await(true)
      // Nobody tells of room that is there already.
      this.options.session.ticker.defer(() => this.onRoom())
    }
    return place
  }

  private overload(): ClientOverloaded {
    return new ClientOverloaded({
      message: `${this.admission.size} requests wait for room on the connections to ${this.where}, as many as may: ` +
        "send fewer at once"
    })
  }

  /** Waits no more. */
  leave(place: Place): void {
    this.admission.leave(place)
    if (this.admission.size === 0) this.await(false)
  }

  /** Whether connections tell when they have room. */
  private await(isAwaited: boolean): void {
    for (const connection of this.table.all) connection.isAwaited = isAwaited
  }

  /** A snapshot for people and tests. */
  get stats(): Stats {
    return {
      address: this.address,
      nrShards: this.nrShards,
      slots: this.table.stats,
      excess: this.table.excess.length,
      waiting: this.admission.size,
      dials: this.dialer.dials,
      failures: this.failures,
      shardAwarePort: this.portState,
      lastError: this.lastError
    }
  }

  private get portState(): Stats["shardAwarePort"] {
    return this.shardAwarePort === undefined ? "absent" : this.belief.state
  }

  /** What happens from now on. A subscriber that is slow misses the oldest of what it has not read. */
  get changes(): Stream.Stream<Change> {
    return Stream.fromPubSub(this.published)
  }

  /** Waits until the first dial has ended, well or badly, or the pool has. */
  get awaitFirst(): Effect.Effect<void> {
    return this.waiters.until(() => this.isUp || this.failures > 0 || this.hasEnded)
  }

  /** Waits until every slot has its connection, or the pool has ended. */
  get awaitFull(): Effect.Effect<void> {
    return this.waiters.until(() => (this.isFull && this.started) || this.hasEnded)
  }

  /** The node is said to be up: dial now instead of at the end of the delay. */
  nodeUp(): void {
    this.supervisor.hint()
  }

  /** The node is said to be down: ask every connection whether it lives. */
  nodeDown(): void {
    for (const connection of this.table.all) connection.probe()
  }

  /**
   * The node has another address from now on; it is the same node, as `expect.hostId` makes sure, and keeps its counters,
   * its keyspace and whoever waits. New dials go there, at the rate that all dials have; each connection to the old
   * address serves until there is one in its place, and is drained then. `servername` is what its certificate has to name from now on, as in
   * {@link Options}, `null` for nothing but the address.
   */
  moveTo(address: string, port = this.port, servername?: string | null): void {
    if (servername !== undefined) this.dialer.rename(servername ?? undefined)
    if (address === this.address && port === this.port) return
    const from = this.where
    this.address = address
    this.port = port
    this.overloaded = undefined
    this.dialer.moveTo(address, port)
    this.recorder.rename(this.where)
    this.recorder.stand(this.table.stats)
    // What was found out about the way to the old address says nothing about this one.
    this.belief.reset()
    this.publish({ _tag: "Moved", from, to: this.where })
    this.table.outdate()
    // A delay that began with the old address is over.
    this.nodeUp()
  }

  /** @internal */
  get slotCount(): number {
    return this.table.length
  }

  /**
   * Another number of connections from now on, for example because the node is asked more or less than before. Those that
   * have a place keep it, the others are drained, and what is missing is dialled. Throws a `RangeError` for no number at all.
   */
  resize(connections: Options["connections"]): void {
    if (!this.table.resize(connections, this.nrShards, this.now)) return
    this.recorder.stand(this.table.stats)
    this.closeExcess()
    this.onResized()
    this.checkUp()
    this.waiters.signalLater()
  }

  /** Slots appeared: somebody has to see to them. Set by `make`. @internal */
  onResized: () => void = () => {}

  /**
   * Sets the keyspace on all connections, and on those that come. A connection that does not take it now is replaced by one
   * that has it; fails when none has taken it.
   */
  useKeyspace(name: string): Effect.Effect<void, PoolError> {
    return this.keyspaces.use(name, this.dialer.handshakeTimeout)
  }

  /** @internal */
  get keyspace(): string | undefined {
    return this.keyspaces.wanted
  }

  // ---- Owner: called by connections --------------------------------------------------------------------------------

  onClosed(connection: Connection, reason: PoolReason): void {
    this.draining.delete(connection)
    const wasInSlot = this.table.remove(connection, reason, this.now)
    this.dialer.closed(connection)
    if (reason._tag !== "ConnectionClosed") {
      this.lastError = reason
      if (wasInSlot) this.recorder.lost(reason)
    }
    if (reason._tag === "ConnectionLost" || reason._tag === "HeartbeatTimeout") this.countLost(connection)
    this.checkUp(reason)
    this.waiters.signalLater()
  }

  /** Of a connection that is silent this is no longer true when something is heard on it. */
  onExhausted(connection: Connection): void {
    this.replace(connection, connection.isSilent)
  }

  private replace(connection: Connection, isSilenced = false): void {
    this.retire(this.table.exhaust(connection, this.now, isSilenced))
    this.waiters.signalLater()
  }

  /** Requests go elsewhere; the other connections are asked at once, not by the next request that is lost there. */
  onSilent(connection: Connection, reason: PoolReason): void {
    this.lastError = reason
    this.recorder.silent()
    if (connection.isDeaf) {
      for (const other of this.table.all) if (other !== connection) other.suspect()
    } else this.nodeDown()
    this.checkUp(reason)
  }

  onHeard(connection: Connection): void {
    this.lost.delete(connection)
    this.table.restore(connection)
    // What a dial has brought meanwhile may be too much now.
    this.closeExcess()
    this.checkUp()
    this.waiters.signalLater()
  }

  /**
   * Replaces connections on which nothing is heard: at once where others of the node are heard, as then it is their way that is
   * broken, or their shard hangs; where none is heard one dial finds out whether it is the ways or the node.
   */
  private replaceSilent(connections: ReadonlyArray<Connection>, now: number): void {
    const { table } = this
    const silent = connections.filter((connection) => connection.isSilent && !table.isExhausted(connection))
    if (silent.length === 0) return
    const isHeard = connections.some(({ isOpen, isSilent, isUnheard }) => isOpen && !isSilent && !isUnheard)
    for (const connection of silent) {
      const ticks = now - connection.silentSince
      if (connection.isDeaf ? ticks >= DEAF_TICKS : isHeard) this.countLost(connection)
      else if (connection.isDeaf || ticks < SCOUT_TICKS || connections.some((other) => table.isExhausted(other))) {
        continue
      }
      this.replace(connection, true)
    }
  }

  /** Once for a connection: to the limiter that is one more dial that is due. */
  private countLost(connection: Connection): void {
    if (this.lost.has(connection)) return
    this.lost.add(connection)
    this.limiter.lost(this.clock)
  }

  onRoom(): void {
    this.admission.admit()
    if (this.admission.size === 0) this.await(false)
  }

  onEvent(): void {}

  /** Called by the ticker. */
  onTick(now: number): boolean {
    const connections = this.table.all
    const isQuiet = connections.length === 0
    this.adaptive?.onTick(connections)
    this.replaceSilent(connections, now)
    if (!isQuiet && now - this.sampled < SAMPLE_TICKS) return true
    this.sampled = now
    this.recorder.sample({
      connections,
      nrShards: this.nrShards,
      waiting: this.admission.size,
      excess: this.table.excess.length,
      shardAwarePort: this.portState
    })
    return !isQuiet
  }

  // ---- the owner's steps -------------------------------------------------------------------------------------------

  private get now(): number {
    return this.options.session.ticker.now
  }

  private get where(): string {
    return `${this.address}:${this.port}`
  }

  /** The shard that a slot is for. @internal */
  shardOf(slot: number): number | undefined {
    return this.table.shardOf(slot)
  }

  private publish(change: Change): void {
    PubSub.publishUnsafe(this.published, change)
  }

  /** Publishes whether requests are taken, when that has changed. */
  private checkUp(reason?: PoolReason): void {
    const { isUp } = this
    if (isUp !== this.wasUp) {
      this.wasUp = isUp
      if (isUp) return this.publish({ _tag: "Up" })
      this.publish({ _tag: "Down", reason })
    } else if (isUp || this.isOpen) return
    // Nobody knows when there will be room again; other nodes may have some now. Where there are none they may join again, as long as
    // there are connections on which something may be heard again.
    this.admission.refuse(
      reason ?? new ConnectionClosed({ message: `the connections to ${this.where} are closed` })
    )
  }

  /** @internal */
  get isEmpty(): boolean {
    return this.table.isEmpty
  }

  /** @internal */
  isHeard(slot: number): boolean {
    return this.isUp && this.table.slots[slot]?.isSilent !== true
  }

  /** @internal */
  get shardAwarePort(): number | undefined {
    if (this.options.shardAwarePort === false) return undefined
    return this.options.tls === undefined ? this.shards?.shardAwarePort : this.shards?.shardAwarePortTls
  }

  /** @internal */
  onProgress(slot: number, state: "Dialing" | "Handshaking"): void {
    this.table.progress(slot, state)
  }

  /** @internal */
  onAwareFailed(reason: PoolReason): void {
    this.lastError = reason
  }

  /** Takes in a new connection; those that it replaces are drained. @internal */
  adopt(connection: Connection): void {
    const drain: Array<Connection> = []
    const offered = connection.features.shards
    const from = this.nrShards
    const to = offered?.nrShards ?? 1
    if (this.started && (to !== from || offered?.ignoreMsb !== this.shards?.ignoreMsb)) {
      // The node was restarted with other shards: what is open belongs to the old life.
      this.publish({ _tag: "Resharded", from, to })
      const message = `${this.where} has ${to} shards and not ${from} any more: the connection is replaced`
      drain.push(...this.table.reshard(to, new ConnectionClosed({ message }), this.now))
    } else if (this.table.lengthFor(to) !== this.table.length) this.table.reset(to)
    this.shards = offered
    this.keyspaces.adopted(connection)
    this.adaptive?.adopt(connection)
    const replaced = this.table.add(connection, this.now)
    if (replaced !== undefined) {
      drain.push(replaced)
      if (replaced.isSilent) this.countReplaced(replaced)
    }
    this.started = true
    this.options.session.ticker.arm(this)
    connection.isAwaited = this.admission.size > 0
    this.closeExcess()
    this.retire(drain)
    this.checkUp()
    if (connection.isAwaited) this.onRoom()
    this.waiters.signalLater()
  }

  /** It was open to the end, and is lost all the same. */
  private countReplaced(connection: Connection): void {
    this.countLost(connection)
    this.recorder.lost(new NodeSilent({ message: `nothing was heard of ${this.where}` }))
  }

  /** Closes what is of no use any more, and what is too much: fewer slots have a lower bound. */
  private closeExcess(): void {
    const { isSettled } = this.table
    if (isSettled) this.supervisor.settled()
    this.retire(this.table.takeExcess(isSettled ? "all" : "beyond the bound"))
  }

  /** @internal */
  needs(slot: number): boolean {
    return this.table.needs(slot)
  }

  /** Closes connections that are in no slot any more, each when its last request is answered. @internal */
  retire(connections: ReadonlyArray<Connection>): void {
    for (const connection of connections) {
      this.draining.add(connection)
      this.run(connection.close(this.options.shutdownTimeout ?? DEFAULT_SHUTDOWN))
    }
  }

  /** Called by the supervisor. @internal */
  onDialFailed(slot: number, reason: PoolReason): void {
    this.failures++
    this.lastError = reason
    this.recorder.failed(reason)
    this.publish({ _tag: "DialFailed", slot, shard: this.shardOf(slot), reason })
  }

  private hasEnded = false

  /** Drains everything. @internal */
  get shutdown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.hasEnded = true
      this.waiters.signal()
      const connections = [...this.table.all, ...this.draining]
      return Effect.forEach(
        connections,
        (connection) => connection.close(this.options.shutdownTimeout ?? DEFAULT_SHUTDOWN),
        { concurrency: "unbounded", discard: true }
      ).pipe(Effect.ensuring(Effect.sync(() => this.recorder.stand([]))))
    })
  }
}

/**
 * Starts the pool of a node. It dials in the background and is closed, its requests drained, with the scope. Dies of a
 * `RangeError` that names the option with which no connection would be made, or nothing bounded.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<NodePool, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<never>()
    const run = (effect: Effect.Effect<void>): void => {
      Effect.runForkWith(context)(effect)
    }
    const pool = new NodePool(options, {
      run,
      clock: yield* Clock.Clock,
      limiter: yield* ConnectLimiter,
      published: yield* PubSub.sliding<Change>(CHANGES),
      recorder: new PoolRecorder(`${options.address}:${options.port}`, context)
    })
    yield* Effect.addFinalizer(() => pool.shutdown)
    const supervise = yield* FiberMap.makeRuntime<never, number>()
    const spawn = (): void => {
      for (let slot = 0; slot < pool.slotCount; slot++) {
        supervise(slot, Background.run(pool.supervisor.run(slot, spawn)), { onlyIfMissing: true })
      }
    }
    pool.onResized = spawn
    spawn()
    return pool
  })
