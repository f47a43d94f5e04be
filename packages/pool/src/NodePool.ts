/**
 * The connections to one node: one for each shard, supervised, coming back by themselves at a limited rate.
 *
 * One object owns the node's slots. It is changed only on the event loop, by whole steps that end in a consistent state,
 * so that picking a connection reads plain fields and never waits. A supervised fiber for each shard slot dials when its
 * slot is empty (DESIGN section 3).
 *
 * @since 0.1.0
 */
import type { ShardFeatures } from "@effect-scylla/protocol/Features"
import { PortCursor } from "@effect-scylla/sharding/SourcePort"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberMap from "effect/FiberMap"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { ConnectionOptions } from "node:tls"
import { type Connection, type Owner } from "./Connection.ts"
import { ConnectLimiter } from "./ConnectLimiter.ts"
import * as Handshake from "./Handshake.ts"
import * as Backoff from "./internal/backoff.ts"
import { DialFailed, PoolError, type PoolReason } from "./PoolError.ts"
import type { Endpoint } from "./Socket.ts"
import { TICK_MILLIS } from "./Ticker.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly session: Handshake.Session
  /** An IP address: the shard-aware port is dialled from chosen local ports, which a name could not be. */
  readonly address: string
  readonly port: number
  readonly tls?: ConnectionOptions | undefined
  /** `false` never uses the shard-aware port. Default true: used when the node advertises it. */
  readonly shardAwarePort?: boolean | undefined
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
 * Where a shard's slot stands.
 *
 * @category models
 * @since 0.1.0
 */
export type SlotState = "Idle" | "Dialing" | "Handshaking" | "Ready" | "Draining" | "Closed"

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
  /** For each shard. */
  readonly slots: ReadonlyArray<{
    readonly state: SlotState
    readonly requests: number
    readonly inFlight: number
    readonly orphans: number
  }>
  /** Connections beyond one for each shard, kept until the pool is full. */
  readonly excess: number
  /** Dials that were tried and that failed. */
  readonly dials: number
  readonly failures: number
  /** Whether dials go to the shard-aware port: not advertised, trusted, or left alone for a while. */
  readonly shardAwarePort: "absent" | "trusted" | "blocked"
  /** Why the last dial failed or the last connection was lost. */
  readonly lastError: PoolReason | undefined
}

/**
 * How long the shard-aware port is left alone after it led to a wrong shard (a NAT rewrites ports) or to nowhere (a
 * firewall drops packets), milliseconds.
 */
const BLOCK_MILLIS = 300_000
const DEFAULT_SHUTDOWN: Duration.Input = "5 seconds"
/** Local ports in use that are passed over before the plain port is tried. */
const MAX_LOCAL_PORTS = 8

/**
 * The pool of one node.
 *
 * @category models
 * @since 0.1.0
 */
export class NodePool implements Owner {
  readonly address: string
  readonly port: number
  private readonly options: Options
  private readonly run: (effect: Effect.Effect<void>) => void
  private readonly clock: Clock.Clock
  private readonly limiter: ConnectLimiter
  /** By shard. */
  private slots: Array<Connection | undefined> = [undefined]
  private states: Array<SlotState> = ["Idle"]
  private excess: Array<Connection> = []
  /** Connections to be replaced because of their orphans. */
  private readonly exhausted = new Set<Connection>()
  private shards: ShardFeatures | undefined
  private blockedUntil = 0
  private turn = 0
  private dials = 0
  private failures = 0
  private lastError: PoolReason | undefined
  /** Requests of connections that are gone, so that the counters never fall. */
  private readonly past: Array<number> = []
  private readonly waiters = new Set<() => boolean>()
  private signalled = false
  private started = false
  /** How often somebody said that the node is up: whoever waits out a delay goes on. */
  private hints = 0
  /** Slots whose dial is under way or waits for its turn. */
  private dialing = 0
  /** A slot waits to close excess at the bound; how often that was since the pool was full. */
  private trimming = false
  private trims = 0
  /** By shard: the tick at which its connection came; milliseconds that the last one lived, and why it ended. */
  private readonly since: Array<number> = []
  private readonly ended: Array<{ readonly lived: number; readonly reason: PoolReason }> = []
  /** Closing, their last requests under way. */
  private readonly draining = new Set<Connection>()

  constructor(
    options: Options,
    run: (effect: Effect.Effect<void>) => void,
    clock: Clock.Clock,
    limiter: ConnectLimiter
  ) {
    this.options = options
    this.run = run
    this.clock = clock
    this.limiter = limiter
    this.address = options.address
    this.port = options.port
  }

  /** How the node spreads tokens; `undefined` for a server without shards and before the first connection. */
  get sharding(): ShardFeatures | undefined {
    return this.shards
  }

  /** Shards of the node, 1 where there are none. */
  get nrShards(): number {
    return this.slots.length
  }

  /** Whether any connection takes requests. */
  get isUp(): boolean {
    return this.slots.some((slot) => slot?.isOpen) || this.excess.some((connection) => connection.isOpen)
  }

  /** Whether every shard has its connection. */
  get isFull(): boolean {
    return this.slots.every((slot) => slot?.isOpen)
  }

  /** Why the last dial failed or the last connection was lost. */
  get lastReason(): PoolReason | undefined {
    return this.lastError
  }

  /**
   * The connection that lands on `shard`; while it is missing or full, another one of the node; `undefined` when no
   * connection takes a request now. Allocates nothing.
   */
  pick(shard: number): Connection | undefined {
    const own = this.slots[shard]
    if (own !== undefined && own.isAvailable) return own
    return this.pickAny()
  }

  /** Any connection that takes requests, in turn. */
  pickAny(): Connection | undefined {
    const { excess, slots } = this
    const total = slots.length + excess.length
    for (let i = 0; i < total; i++) {
      const at = this.turn = (this.turn + 1) % total
      const connection = at < slots.length ? slots[at] : excess[at - slots.length]
      if (connection !== undefined && connection.isAvailable) return connection
    }
    return undefined
  }

  /** A snapshot for people and tests. */
  get stats(): Stats {
    return {
      address: this.address,
      nrShards: this.slots.length,
      slots: this.slots.map((connection, shard) => ({
        state: connection === undefined
          ? this.states[shard] ?? "Idle"
          : this.exhausted.has(connection)
          ? "Draining"
          : "Ready",
        requests: (this.past[shard] ?? 0) + (connection?.requests ?? 0),
        inFlight: connection?.inFlight ?? 0,
        orphans: connection?.orphans ?? 0
      })),
      excess: this.excess.length,
      dials: this.dials,
      failures: this.failures,
      shardAwarePort: this.shardAwarePort === undefined ? "absent" : this.blockedUntil > 0 ? "blocked" : "trusted",
      lastError: this.lastError
    }
  }

  /** Waits until the first dial has ended, well or badly. */
  get awaitFirst(): Effect.Effect<void> {
    return this.until(() => this.isUp || this.failures > 0)
  }

  /** Waits until every shard has its connection. */
  get awaitFull(): Effect.Effect<void> {
    return this.until(() => this.isFull && this.started)
  }

  /** The node is said to be up: dial now instead of at the end of the delay. */
  nodeUp(): void {
    this.hints++
    this.signal()
  }

  /** The node is said to be down: ask every connection whether it lives. */
  nodeDown(): void {
    for (const connection of this.all()) connection.probe()
  }

  // ---- Owner: called by connections --------------------------------------------------------------------------------

  onClosed(connection: Connection, reason: PoolReason): void {
    const { shard } = connection
    this.past[shard] = (this.past[shard] ?? 0) + connection.requests
    this.exhausted.delete(connection)
    this.draining.delete(connection)
    // By identity: a connection that was replaced or parked must not take its successor with it.
    if (this.slots[shard] === connection) {
      this.slots[shard] = undefined
      this.states[shard] = "Closed"
      this.ended[shard] = { lived: (this.options.session.ticker.now - this.since[shard]!) * TICK_MILLIS, reason }
    } else {
      this.excess = this.excess.filter((other) => other !== connection)
    }
    if (reason._tag !== "ConnectionClosed") this.lastError = reason
    if (reason._tag === "ConnectionLost" || reason._tag === "HeartbeatTimeout") this.limiter.lost(this.clock)
    this.signalLater()
  }

  onExhausted(connection: Connection): void {
    if (this.slots[connection.shard] === connection) {
      this.exhausted.add(connection)
      this.signalLater()
    } else if (this.excess.includes(connection)) {
      this.excess = this.excess.filter((other) => other !== connection)
      this.retire([connection])
    }
  }

  onEvent(): void {}

  // ---- the owner's steps -------------------------------------------------------------------------------------------

  private all(): Array<Connection> {
    return [...this.slots.filter((slot) => slot !== undefined), ...this.excess]
  }

  private get isEmpty(): boolean {
    return this.excess.length === 0 && this.slots.every((slot) => slot === undefined)
  }

  private get shardAwarePort(): number | undefined {
    if (this.options.shardAwarePort === false) return undefined
    return this.options.tls === undefined ? this.shards?.shardAwarePort : this.shards?.shardAwarePortTls
  }

  /** Takes in a new connection; those that it replaces are drained. */
  private adopt(connection: Connection): void {
    const drain: Array<Connection> = []
    const offered = connection.features.shards
    const nrShards = offered?.nrShards ?? 1
    if (nrShards !== this.slots.length || offered?.ignoreMsb !== this.shards?.ignoreMsb) {
      // The node was restarted with other shards: what is open belongs to the old life.
      drain.push(...this.all())
      this.slots = Array.from({ length: nrShards }, () => undefined)
      this.states = Array.from({ length: nrShards }, () => "Idle")
      this.excess = []
    }
    this.shards = offered
    const { shard } = connection
    const current = this.slots[shard]
    if (current === undefined || this.exhausted.has(current)) {
      this.slots[shard] = connection
      this.since[shard] = this.options.session.ticker.now
      if (current !== undefined) drain.push(current)
    } else {
      this.excess.push(connection)
    }
    if (this.isFull) {
      this.trims = 0
      drain.push(...this.excess)
      this.excess = []
    }
    this.started = true
    this.retire(drain)
    this.signalLater()
  }

  private needs(shard: number): boolean {
    if (shard >= this.slots.length) return false
    const connection = this.slots[shard]
    if (connection !== undefined) return this.exhausted.has(connection)
    // An empty pool makes one connection first: the node may be dead, and its shards are not known.
    return shard === 0 || !this.isEmpty
  }

  private get excessBound(): number {
    return Math.max(8, this.slots.length)
  }

  /** As much excess as there may be: no more dials until some of it is closed. */
  private get isAtBound(): boolean {
    return this.excess.length >= this.excessBound
  }

  /** Whether a slot may dial without exceeding the bound, or is the one to see to it that others may. */
  private get mayAct(): boolean {
    return this.isAtBound ? !this.trimming : this.excess.length + this.dialing < this.excessBound
  }

  /** At the bound, lets go of the older half. */
  private trimExcess(): void {
    if (this.isAtBound) this.retire(this.excess.splice(0, Math.ceil(this.excess.length / 2)))
  }

  /** Closes connections that are in no slot any more, each when its last request is answered. */
  private retire(connections: ReadonlyArray<Connection>): void {
    for (const connection of connections) {
      this.draining.add(connection)
      this.run(connection.close(this.options.shutdownTimeout ?? DEFAULT_SHUTDOWN))
    }
  }

  // ---- waiting -----------------------------------------------------------------------------------------------------

  private until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const check = (): boolean => {
        if (!condition()) return false
        resume(Exit.void)
        return true
      }
      if (check()) return
      this.waiters.add(check)
      return Effect.sync(() => {
        this.waiters.delete(check)
      })
    })
  }

  private signal(): void {
    for (const check of this.waiters) {
      if (check()) this.waiters.delete(check)
    }
  }

  /** Whoever waits is resumed on a stack of its own, not within a connection's. */
  private signalLater(): void {
    if (this.signalled) return
    this.signalled = true
    this.options.session.ticker.defer(() => {
      this.signalled = false
      this.signal()
    })
  }

  // ---- slots -------------------------------------------------------------------------------------------------------

  /** Dials when it is this dial's turn; `undefined` when it is not `wanted` any more by then. */
  private connect(
    shard: number,
    endpoint: Endpoint,
    wanted: () => boolean
  ): Effect.Effect<Connection | undefined, PoolError> {
    return this.limiter.limit(
      `${this.address}:${this.port}`,
      Effect.suspend(() => {
        if (!wanted()) return Effect.undefined
        this.dials++
        this.states[shard] = "Dialing"
        return Handshake.connect({
          session: this.options.session,
          endpoint,
          owner: this,
          onDialed: () => {
            this.states[shard] = "Handshaking"
          },
          onReady: (connection) => this.adopt(connection)
        })
      })
    ).pipe(
      // A transport that breaks must not end the slot's supervision.
      Effect.catchDefect((cause) => {
        const message = `the transport broke while it dialled ${endpoint.address}:${endpoint.port}: ${String(cause)}`
        return Effect.fail(new PoolError({ reason: new DialFailed({ message, cause, kind: "Unreachable" }) }))
      })
    )
  }

  private plain(shard: number): Effect.Effect<Connection | undefined, PoolError> {
    const { address, port } = this
    return this.connect(shard, { address, port, tls: this.options.tls }, () => this.needs(shard))
  }

  /** Through the shard-aware port where it is advertised and believed, else through the plain one. */
  private readonly dial = Effect.fnUntraced({ self: this }, function*(this: NodePool, shard: number) {
    const port = this.shardAwarePort
    const now = yield* Clock.currentTimeMillis
    if (this.blockedUntil > 0 && now >= this.blockedUntil) this.blockedUntil = 0
    if (port === undefined || this.blockedUntil > 0 || this.isEmpty) return yield* this.plain(shard)
    const sharding = this.shards!
    const cursor = PortCursor.make({ nrShards: sharding.nrShards, shard, pivot: yield* Random.next })
    if (Result.isFailure(cursor)) return yield* this.plain(shard)
    const wanted = (): boolean => this.blockedUntil === 0 && this.needs(shard)
    for (let tried = 0; tried < MAX_LOCAL_PORTS; tried++) {
      const localPort = cursor.success.next()
      if (localPort < 0) break
      const attempt = yield* Effect.result(
        this.connect(shard, { address: this.address, port, localPort, tls: this.options.tls }, wanted)
      )
      if (Result.isSuccess(attempt)) {
        if (attempt.success === undefined) break
        const landed = attempt.success.features.shards
        const moved = landed?.nrShards !== sharding.nrShards || landed.ignoreMsb !== sharding.ignoreMsb
        // Another shard on an unchanged node: something between us rewrites ports.
        if (!moved && landed.shard !== shard) yield* this.block
        return attempt.success
      }
      const { reason } = attempt.failure
      // No other port will like these credentials better.
      if (reason._tag === "AuthenticationFailed") return yield* attempt.failure
      if (reason._tag === "DialFailed" && reason.kind === "LocalPortInUse") continue
      this.lastError = reason
      // Refused is cheap to try again. Silence is not: a firewall may let the plain port through only.
      if (reason._tag === "ConnectTimeout" && !this.isEmpty) yield* this.block
      break
    }
    return yield* this.plain(shard)
  })

  /** Leaves the shard-aware port alone for a while. */
  private readonly block = Effect.map(Clock.currentTimeMillis, (now) => {
    if (this.blockedUntil === 0) this.blockedUntil = now + BLOCK_MILLIS
  })

  /** One life of a slot after the other. Ends when the node has fewer shards. @internal */
  readonly supervise = Effect.fnUntraced({ self: this }, function*(this: NodePool, shard: number, spawn: () => void) {
    const delays = Backoff.make(this.options.reconnect)
    let { hints } = this
    /** Ends early when the node is said to be up, and only then where there is no end given. */
    const wait = Effect.fnUntraced({ self: this }, function*(this: NodePool, delay: number | undefined) {
      if (hints !== this.hints) return
      const hinted = this.until(() => hints !== this.hints)
      yield* delay === undefined ? hinted : Effect.timeoutOption(hinted, delay)
    })
    const backoff = Effect.fnUntraced({ self: this }, function*(this: NodePool, reason: PoolReason) {
      yield* wait(yield* delays.next(reason))
      // The node is said to be up: what failed before is the past.
      if (hints !== this.hints) delays.reset()
    })
    while (true) {
      yield* this.until(() => shard >= this.slots.length || (this.needs(shard) && this.mayAct))
      if (shard >= this.slots.length) return
      hints = this.hints
      if (this.states[shard] === "Closed") {
        this.states[shard] = "Idle"
        // A server that accepts and closes is no better than one that refuses.
        const { lived, reason } = this.ended[shard]!
        if (lived >= delays.goodLife) delays.reset()
        yield* backoff(reason)
        continue
      }
      if (this.isAtBound) {
        // Closing everything would only repeat itself: the plain port hands out the core with the fewest connections.
        this.trimming = true
        yield* Effect.ensuring(
          Effect.flatMap(Backoff.fullJitter(this.trims++), wait),
          Effect.sync(() => {
            this.trimming = false
          })
        )
        this.trimExcess()
        this.signalLater()
        continue
      }
      this.dialing++
      const dialed = yield* Effect.ensuring(
        Effect.result(this.dial(shard)),
        Effect.sync(() => {
          this.dialing--
          if (this.slots[shard] === undefined && this.states[shard] !== "Closed") this.states[shard] = "Idle"
          this.signalLater()
        })
      )
      if (Result.isSuccess(dialed)) {
        spawn()
      } else {
        this.failures++
        this.lastError = dialed.failure.reason
        yield* backoff(dialed.failure.reason)
      }
    }
  })

  /** Drains everything. @internal */
  get shutdown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const connections = [...this.all(), ...this.draining]
      return Effect.forEach(
        connections,
        (connection) => connection.close(this.options.shutdownTimeout ?? DEFAULT_SHUTDOWN),
        { concurrency: "unbounded", discard: true }
      )
    })
  }
}

/**
 * Starts the pool of a node. It dials in the background and is closed, its requests drained, with the scope.
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
    const pool = new NodePool(options, run, yield* Clock.Clock, yield* ConnectLimiter)
    yield* Effect.addFinalizer(() => pool.shutdown)
    const supervise = yield* FiberMap.makeRuntime<never, number>()
    const spawn = (): void => {
      for (let shard = 0; shard < pool.nrShards; shard++) {
        supervise(shard, pool.supervise(shard, spawn), { onlyIfMissing: true })
      }
    }
    spawn()
    return pool
  })
