import type { ShardFeatures } from "@effect-scylla/protocol/Features"
import { PortCursor, type PortRange, RecentPorts } from "@effect-scylla/sharding/SourcePort"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import type { Connection, Owner } from "../Connection.ts"
import type { ConnectLimiter } from "../ConnectLimiter.ts"
import * as Handshake from "../Handshake.ts"
import { ConnectionClosed, DialFailed, PoolError, type PoolReason } from "../PoolError.ts"
import type { Endpoint } from "../Socket.ts"
import type * as Tls from "../Tls.ts"
import type { PoolRecorder } from "./poolRecorder.ts"
import type { PortBelief } from "./portBelief.ts"
import { TlsSessions } from "./tlsSessions.ts"

/**
 * Whoever asked for the pool: a dial is part of that as long as it lasts. Later ones are traces of their own, so that the first does
 * not grow as long as the client lives, with a link to it.
 */
const belongingTo = (asker: Tracer.AnySpan | undefined): Tracer.SpanOptionsNoTrace =>
  asker === undefined
    ? { root: true }
    : asker._tag === "Span" && asker.status._tag === "Started"
    ? { parent: asker }
    : { root: true, links: [{ span: asker, attributes: {} }] }

/** Local ports in use that are passed over before the plain port is tried. */
const MAX_LOCAL_PORTS = 8

/** The pool that is dialled for. */
export interface Host extends Owner {
  /** Whether the slot wants a connection now. */
  needs(slot: number): boolean
  /** The shard that the slot is for; `undefined` where any will do. */
  shardOf(slot: number): number | undefined
  /** No connection at all: the node may be dead, and is asked at its plain port. */
  readonly isEmpty: boolean
  /** Whether the node is heard, and what is in the slot, if anything, too. */
  isHeard(slot: number): boolean
  readonly sharding: ShardFeatures | undefined
  /** Where it is advertised and used. */
  readonly shardAwarePort: number | undefined
  /** To be set on connections before they are adopted. */
  readonly keyspace: string | undefined
  /** The dial of the slot has got so far. */
  onProgress(slot: number, state: "Dialing" | "Handshaking"): void
  /** The shard-aware port did not work; the plain one may. */
  onAwareFailed(reason: PoolReason): void
  adopt(connection: Connection): void
}

/** What stays the same for all dials. */
export interface Target {
  readonly session: Handshake.Session
  readonly address: string
  readonly port: number
  readonly tls: Tls.Input | undefined
  readonly servername: string | undefined
  readonly expect: Handshake.Expected | undefined
  readonly localPorts: PortRange | undefined
}

/** Makes the connections of one node: through which port, from which port, one dial for a slot at a time. */
export class SlotDialer {
  /** Dials that were begun. */
  dials = 0
  private readonly host: Host
  private target: Target
  private readonly clock: Clock.Clock
  private readonly limiter: ConnectLimiter
  private readonly recorder: PoolRecorder
  private readonly belief: PortBelief
  private sessions = new TlsSessions()
  /** Local ports that may be in TIME_WAIT. */
  private readonly recentPorts = new RecentPorts()

  constructor(host: Host, target: Target, services: {
    readonly clock: Clock.Clock
    readonly limiter: ConnectLimiter
    readonly recorder: PoolRecorder
    readonly belief: PortBelief
  }) {
    this.host = host
    this.target = target
    this.clock = services.clock
    this.limiter = services.limiter
    this.recorder = services.recorder
    this.belief = services.belief
  }

  private get where(): string {
    return `${this.target.address}:${this.target.port}`
  }

  /** Dials go there from now on. */
  moveTo(address: string, port: number): void {
    this.target = { ...this.target, address, port }
  }

  /** The node's certificate has to name that from now on. */
  rename(servername: string | undefined): void {
    if (servername === this.target.servername) return
    this.target = { ...this.target, servername }
    this.sessions = new TlsSessions()
  }

  /** Milliseconds for a question of the handshake. */
  get handshakeTimeout(): number {
    return this.target.session.handshakeTimeout ?? 5_000
  }

  /** The connection is gone. */
  closed(connection: Connection): void {
    const { localPort } = connection.socket
    if (localPort !== undefined) this.recentPorts.close(localPort, this.clock.currentTimeMillisUnsafe())
  }

  /**
   * Through the shard-aware port where it is advertised and believed, else through the plain one. `undefined` when the slot
   * did not want a connection any more when it was its turn.
   */
  dial(slot: number): Effect.Effect<Connection | undefined, PoolError> {
    return Effect.suspend(() => {
      const { belief, host } = this
      const port = host.shardAwarePort
      const shard = host.shardOf(slot)
      if (
        port === undefined || shard === undefined || host.isEmpty || !belief.enter(this.clock.currentTimeMillisUnsafe())
      ) {
        return this.plain(slot)
      }
      return Effect.onInterrupt(this.dialShard(slot, shard, port), () => Effect.sync(() => belief.undecided())).pipe(
        Effect.filterOrElse((connection) => connection !== undefined, () => this.plain(slot))
      )
    })
  }

  private plain(slot: number): Effect.Effect<Connection | undefined, PoolError> {
    const { target } = this
    const { address, port } = target
    return this.connect(slot, { address, port }, () => this.host.needs(slot) && target === this.target)
  }

  /** Through the shard-aware port; `undefined` where that does not work, but the plain port may. */
  private readonly dialShard = Effect.fnUntraced({ self: this }, function*(
    this: SlotDialer,
    slot: number,
    shard: number,
    port: number
  ) {
    const { belief, host } = this
    const { address, localPorts } = this.target
    const sharding = host.sharding!
    const cursor = PortCursor.make({
      nrShards: sharding.nrShards,
      shard,
      pivot: yield* Random.next,
      from: localPorts?.from,
      to: localPorts?.to,
      recent: this.recentPorts,
      now: this.clock.currentTimeMillisUnsafe()
    })
    const wanted = (): boolean => belief.isOpen && host.needs(slot) && address === this.target.address
    let inUse: DialFailed | undefined
    for (let tried = 0; tried < MAX_LOCAL_PORTS && Result.isSuccess(cursor); tried++) {
      const localPort = cursor.success.next()
      if (localPort < 0) break
      const attempt = yield* Effect.result(
        this.connect(slot, { address, port, localPort }, wanted)
      )
      const now = this.clock.currentTimeMillisUnsafe()
      // The node has moved meanwhile: what became of a dial to its old address says nothing about the new one.
      if (address !== this.target.address) {
        belief.undecided()
        return Result.isSuccess(attempt) ? attempt.success : undefined
      }
      if (Result.isSuccess(attempt)) {
        const connection = attempt.success
        if (connection === undefined) belief.undecided()
        else this.judge(connection.features.shards, sharding, shard, now)
        return connection
      }
      const { reason } = attempt.failure
      // No other port will like these credentials better.
      if (reason._tag === "AuthenticationFailed") {
        belief.undecided()
        return yield* attempt.failure
      }
      if (reason._tag === "DialFailed" && reason.kind === "LocalPortInUse") {
        inUse = reason
        continue
      }
      inUse = undefined
      host.onAwareFailed(reason)
      // A node that is stopped, or one of whose shards is: its kernel takes the connection, and nobody greets. The port is not to blame.
      if (reason._tag === "ConnectTimeout" && !host.isEmpty && !host.isHeard(slot)) {
        belief.undecided()
        return yield* attempt.failure
      }
      // Refused is cheap to try again. Silence is not: a firewall may let the plain port through only.
      if (reason._tag === "ConnectTimeout" && !host.isEmpty) belief.wrong(now)
      break
    }
    if (inUse !== undefined) {
      const { cause, kind } = inUse
      const message =
        `no local port for ${address}:${port} could be used, the last one because of: ${inUse.message}. ` +
        "Are `localPorts` large enough, and is this host's address the right one?"
      host.onAwareFailed(new DialFailed({ message, cause, kind }))
    }
    belief.undecided()
    return undefined
  })

  /** What a dial to `shard` that landed says about the shard-aware port. */
  private judge(landed: ShardFeatures | undefined, expected: ShardFeatures, shard: number, now: number): void {
    const isResharded = landed?.nrShards !== expected.nrShards || landed.ignoreMsb !== expected.ignoreMsb
    if (isResharded) this.belief.undecided()
    else if (landed.shard === shard) this.belief.right()
    // Another shard on an unchanged node: something between us rewrites ports.
    else this.belief.wrong(now)
  }

  /** Dials when it is this dial's turn; `undefined` when it is not `wanted` any more by then. */
  private connect(
    slot: number,
    endpoint: Endpoint,
    wanted: () => boolean
  ): Effect.Effect<Connection | undefined, PoolError> {
    const { host, target } = this
    return this.limiter.limit(
      this.where,
      Effect.suspend(() => {
        if (!wanted()) return Effect.undefined
        let isIn = false
        this.dials++
        this.recorder.dialed()
        const begun = this.clock.monotonicTimeNanosUnsafe()
        host.onProgress(slot, "Dialing")
        return Handshake.connect({
          session: { ...target.session, keyspace: host.keyspace },
          endpoint: { ...endpoint, servername: target.servername, ...this.sessions.of(target.tls) },
          owner: host,
          expect: target.expect,
          onDialed: () => host.onProgress(slot, "Handshaking"),
          // In the same step, so that nobody comes in between; but where the keyspace was changed meanwhile.
          onReady: (connection) => {
            this.recorder.shook(Number(this.clock.monotonicTimeNanosUnsafe() - begun) / 1_000_000)
            isIn = this.hasKeyspace(connection)
            if (isIn) this.adopt(connection, target)
          }
        }).pipe(
          Effect.tap((connection) => isIn ? Effect.void : this.catchUp(connection, target)),
          this.traced(slot, endpoint)
        )
      })
    ).pipe(
      // A transport that breaks must not end the slot's supervision.
      Effect.catchDefect((cause) => {
        const message = `the transport broke while it dialled ${endpoint.address}:${endpoint.port}: ${String(cause)}`
        return Effect.fail(new PoolError({ reason: new DialFailed({ message, cause, kind: "Unreachable" }) }))
      })
    )
  }

  /** Gives it to the pool. One that was dialled before the node moved serves until there is another one. */
  private adopt(connection: Connection, target: Target): void {
    this.host.adopt(connection)
    if (target !== this.target) this.host.onExhausted(connection)
  }

  private hasKeyspace(connection: Connection): boolean {
    const { keyspace } = this.host
    return keyspace === undefined || connection.keyspace === keyspace
  }

  /** Sets the keyspace that was set on the others while this connection was being made, and takes it in. */
  private catchUp(connection: Connection, target: Target): Effect.Effect<void, PoolError> {
    return Effect.gen({ self: this }, function*() {
      while (!this.hasKeyspace(connection)) yield* connection.useKeyspace(this.host.keyspace!, this.handshakeTimeout)
      this.adopt(connection, target)
    }).pipe(
      Effect.onError(() =>
        Effect.sync(() =>
          connection.fail(new ConnectionClosed({ message: `the keyspace could not be set on ${this.where}` }))
        )
      )
    )
  }

  /** A span of its own for each dial, where there is a tracer. */
  private traced(slot: number, endpoint: Endpoint) {
    return <A, E>(dial: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.withFiber((fiber) => {
        const { span: asker, tracer } = fiber.cache
        if (tracer === undefined) return dial
        const shard = this.host.shardOf(slot)
        const attributes = {
          "server.address": endpoint.address,
          "server.port": endpoint.port,
          ...(shard === undefined ? {} : { "scylla.shard": shard }),
          "scylla.shard_aware": endpoint.localPort !== undefined
        }
        return Effect.useSpan("cql.dial", { kind: "client", ...belongingTo(asker), attributes }, (span) =>
          Effect.provideService(dial, Tracer.ParentSpan, span))
      })
  }
}
