/**
 * One connection: its pipeline from encoded requests to answers.
 *
 * A plain mutable class fed by the socket's callbacks. Requests are copied into one output buffer that is flushed once for
 * each turn of the event loop; answers are parsed where they lie and handed to whoever sent the request. Nothing here
 * knows statements, nodes or retries.
 *
 * The invariants it keeps: every request that was admitted gets exactly one of `onResponse` and
 * `onFailure` unless it was abandoned; an id is free again only when the server has answered it; an answer on an id that
 * is not in flight ends the connection.
 *
 * @since 0.1.0
 */
import type { Compressor } from "@effect-scylla/protocol/Compression"
import * as Dialect from "@effect-scylla/protocol/Dialect"
import * as Features from "@effect-scylla/protocol/Features"
import * as Frame from "@effect-scylla/protocol/Frame"
import { Framing } from "@effect-scylla/protocol/Framing"
import { DecodeError } from "@effect-scylla/protocol/ProtocolError"
import type { Reader } from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import * as Response from "@effect-scylla/protocol/Response"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { MAX_FRAME, type Writer } from "@effect-scylla/protocol/Writer"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import type { Buffer } from "node:buffer"
import { type Answer, Ask, RepeatableAsk } from "./internal/ask.ts"
import { switchKeyspace } from "./internal/keyspace.ts"
import type { Liveness } from "./internal/liveness.ts"
import { KEEP_OUTPUT, KEEP_OUTPUTS, MAX_OUTPUT, Output } from "./internal/output.ts"
import type { ResponseHandler } from "./internal/responseHandler.ts"
import { StreamIds } from "./internal/streamIds.ts"
import { isTlsAlert } from "./internal/tlsErrors.ts"
import { Vigil } from "./internal/vigil.ts"
import type { Limits } from "./Limits.ts"
import {
  ConnectionClosed,
  ConnectionLost,
  HeartbeatTimeout,
  MalformedResponse,
  NodeSilent,
  type PoolError,
  type PoolReason,
  ProtocolViolation,
  RequestTimeout
} from "./PoolError.ts"
import type { Handlers, Socket } from "./Socket.ts"
import { TICK_MILLIS, type Ticker } from "./Ticker.ts"

export type { ResponseHandler } from "./internal/responseHandler.ts"

/**
 * What a connection tells its owner.
 *
 * @category models
 * @since 0.1.0
 */
export interface Owner {
  /** It is closed, whoever did it. Called once. */
  onClosed(connection: Connection, reason: PoolReason): void
  /**
   * It holds too many orphans, or says nothing for too long: replace it, then drain it. Called again only where it was silent and
   * has come back meanwhile.
   */
  onExhausted(connection: Connection): void
  /** A pushed event. */
  onEvent(event: Response.Event): void
  /** It may take requests again. Called only while `isAwaited` is set. */
  onRoom?(connection: Connection): void
  /** The peer is set aside: it was asked whether it lives, and said nothing. Called before requests in flight are told. */
  onSilent?(connection: Connection, reason: PoolReason): void
  /** It is back: it has said something. */
  onHeard?(connection: Connection): void
}

/**
 * Requests of `request` that are taken beyond `maxInFlight`: what others wait for, such as a PREPARE or the keyspace, has to
 * get through when everything else is full.
 *
 * @category constants
 * @since 0.1.0
 */
export const RESERVED = 64

/** Holds the place of a request that nobody waits for any more until the server has answered it. */
const ORPHAN: ResponseHandler = { onResponse() {}, onFailure() {} }
let connections = 0

/**
 * An open connection. Made by `Handshake.connect`.
 *
 * @category models
 * @since 0.1.0
 */
export class Connection implements Handlers {
  /** Unique in the process; for logs and stats. */
  readonly id: number = ++connections
  /** Offered by the server and read from SUPPORTED; set by the handshake. */
  features: Features.Features = Features.none
  /**
   * What is spoken on it: the version, and the extensions that change messages. Whoever writes a frame after `begin` writes
   * it in this; two connections to one cluster may differ while it is being upgraded.
   */
  dialect: Dialect.Dialect = Dialect.v4
  /** How frames or segments are compressed; `undefined` where they are not. */
  compression: Compressor["name"] | undefined = undefined
  /** The keyspace that is set, `undefined` for none. */
  keyspace: string | undefined = undefined
  /** Requests that were given to this connection, for stats. */
  requests = 0
  /** Abandoned requests whose answer is still out. */
  orphans = 0
  /** The tick at which a request was answered last, -1 for none. */
  answeredAt = -1
  /** Set by the owner while somebody waits for room. */
  isAwaited = false
  /** Told of each answer that says that the server has too much to do; set by an owner who wants to know. */
  onCongestion: ((connection: Connection) => void) | undefined = undefined
  readonly socket: Socket
  private readonly ticker: Ticker
  private readonly limits: Limits
  private readonly owner: Owner
  private readonly framing: Framing
  /** The first byte of an answer. */
  private answer = Dialect.v4.version | Frame.RESPONSE_BIT
  private readonly ids = new StreamIds()
  private handlers: Array<ResponseHandler | undefined> = [undefined]
  /** Tick at which a request is overdue, 0 for none; for an orphan, minus the tick at which it became one. */
  private deadlines = new Int32Array(64)
  /** No deadline is before this tick. */
  private earliest = 0x7fffffff
  private readonly freeOutputs: Array<Output> = []
  private out: Output
  /** Bytes that the socket was given and is not done with. */
  private held = 0
  /** When the socket got rid of some of it last, or was given the first of it. */
  private lastWritten = 0
  /** Whether requests are taken: open, not draining, and not too much output waiting. */
  private accepts = true
  /** Ids in `out`: their frames were not given to the socket yet. */
  private unsent = new Int16Array(64)
  private unsentCount = 0
  private handshaking = true
  private draining = false
  private exhausted = false
  /** Whose turn it is to set the keyspace; made when somebody does. */
  private switching: Semaphore.Semaphore | undefined = undefined
  private reason: PoolReason | undefined
  private readonly closed = Deferred.makeUnsafe<PoolReason>()
  private readonly drained = Deferred.makeUnsafe<void>()
  private inFlightCount = 0
  private maxInFlight: number
  private busyAbove: number
  private readonly maxOutput: number
  private readonly vigil: Vigil
  private readonly liveness: Liveness
  /** Waits for the answer to a heartbeat. No request: it is not counted, and a close does not wait for it. */
  private readonly heartbeat: ResponseHandler
  /** Orphans are not looked at before this tick. */
  private calmUntil = 0

  constructor(socket: Socket, ticker: Ticker, limits: Limits, owner: Owner) {
    this.socket = socket
    this.ticker = ticker
    this.limits = limits
    this.maxInFlight = bounded(limits.maxInFlight)
    this.busyAbove = this.maxInFlight >> 1
    this.maxOutput = Math.min(limits.maxOutput, MAX_OUTPUT - MAX_FRAME)
    this.owner = owner
    this.vigil = new Vigil(
      {
        inFlight: () => this.inFlightCount,
        send: (request, handler, timeoutMillis) => this.sendOwn(request, handler, timeoutMillis),
        orphan: (id) => this.orphan(id),
        abandon: (id, handler) => this.abandon(id, handler),
        onSilent: (now) => this.setAside(now),
        onBack: () => {
          this.heard()
          this.checkRoom()
        },
        onOverdue: () => this.exhaust(),
        onDead: () => this.dead()
      },
      limits,
      ticker.now
    )
    this.liveness = this.vigil.liveness
    this.heartbeat = this.vigil.heartbeat
    this.framing = new Framing(this, { maxBody: limits.maxFrame })
    this.out = new Output(this.release)
    socket.start(this)
  }

  /** Whether it takes requests. */
  get isOpen(): boolean {
    return this.reason === undefined && !this.draining
  }

  /**
   * Whether nothing is heard of the peer: while something was in flight it was quiet, was asked whether it lives, and said nothing.
   * Requests should go elsewhere until it says something.
   */
  get isSilent(): boolean {
    return this.liveness.isSilent
  }

  /** Whether it was asked whether it lives and has said nothing so far. */
  get isUnheard(): boolean {
    return this.liveness.isUnheard
  }

  /** Whether several requests in a row were given up on it, though it may answer heartbeats. */
  get isSuspect(): boolean {
    return this.liveness.isSuspect
  }

  /** Whether it is set aside although it answers heartbeats: it answers no requests, and is back when it does. */
  get isDeaf(): boolean {
    return this.liveness.isDeaf
  }

  /** The tick at which it was set aside; means nothing while it is not. */
  get silentSince(): number {
    return this.liveness.silentSince
  }

  /** Whether it takes a request now, and the peer is heard. */
  get isAvailable(): boolean {
    return this.accepts && this.ids.taken < this.maxInFlight && !this.liveness.isSilent
  }

  /** Whether it takes a request now, though nothing may be heard of the peer. */
  get hasRoom(): boolean {
    return this.accepts && this.ids.taken < this.maxInFlight
  }

  /** Whether it takes one of `request` now: there are some ids more for those. */
  get hasReserve(): boolean {
    return this.accepts && this.ids.taken < Math.min(this.maxInFlight + RESERVED, StreamIds.MAX - 1)
  }

  /** Requests in flight past which none is taken now: `maxInFlight` of the limits, or less. */
  get limit(): number {
    return this.maxInFlight
  }

  /** From now on it takes so many, at most what its limits say; what is in flight beyond stays there. */
  limitTo(limit: number): void {
    const before = this.maxInFlight
    this.maxInFlight = bounded(Math.min(limit, this.limits.maxInFlight))
    this.busyAbove = this.maxInFlight >> 1
    if (this.maxInFlight > before) this.checkRoom()
  }

  /** Ids that are taken: what `limit` bounds. */
  get load(): number {
    return this.ids.taken
  }

  /** Whether more than half of what it may have is in flight. */
  get isBusy(): boolean {
    return this.ids.taken > this.busyAbove
  }

  /** Requests somebody waits for. */
  get inFlight(): number {
    return this.inFlightCount
  }

  /** Why it is closed, or `undefined` while it is not. */
  get closeReason(): PoolReason | undefined {
    return this.reason
  }

  /** The shard it landed on, or 0 for a server without shards. */
  get shard(): number {
    return this.features.shards?.shard ?? 0
  }

  /**
   * The buffer to append one frame to, at its `pos`; `commit` then sends it, `discard` forgets it. `undefined` when the
   * connection is closed or full; not when the peer is silent. What is written goes to the socket with everything else of this turn, uncopied.
   */
  begin(): Writer | undefined {
    if (!this.accepts || this.ids.taken >= this.maxInFlight) return undefined
    const { out } = this
    // The bound of one frame, wherever in the buffer it starts.
    out.limit = out.pos + MAX_FRAME
    return out
  }

  /** Forgets what was appended from `start` on. */
  discard(start: number): void {
    this.out.pos = start
  }

  /**
   * Sends the frame that was appended from `start` on; its stream id is filled in here, and answered. `deadline` is a
   * tick of the `Ticker`. Nothing may happen to the connection between `begin` and `commit`.
   */
  commit(start: number, handler: ResponseHandler, deadline: number): number {
    const id = this.ids.acquire()
    this.requests++
    this.register(id, start, handler, deadline)
    return id
  }

  private register(id: number, start: number, handler: ResponseHandler, deadline: number): void {
    if (id >= this.deadlines.length) {
      const next = new Int32Array(this.deadlines.length * 2)
      next.set(this.deadlines)
      this.deadlines = next
    }
    this.handlers[id] = handler
    this.deadlines[id] = deadline
    if (!this.liveness.isOwing) this.liveness.owes(id, this.ticker.now, this.inFlightCount === 0)
    this.count(1)
    const { out } = this
    out.bytes[start + 2] = id >> 8
    out.bytes[start + 3] = id
    if (start === 0) this.ticker.flush(this)
    if (out.pos + this.held > this.maxOutput) this.accepts = false
    if (this.unsentCount === this.unsent.length) {
      const next = new Int16Array(this.unsentCount * 2)
      next.set(this.unsent)
      this.unsent = next
    }
    // An array whose length is set back loses its storage and grows it again every turn.
    this.unsent[this.unsentCount++] = id
    if (deadline < this.earliest) {
      this.earliest = deadline
      this.ticker.arm(this)
    }
  }

  private count(more: number): void {
    this.inFlightCount += more
    this.ticker.inFlight += more
  }

  /** Appends a request that is on nobody's fast path. */
  private put(id: number, request: Request.Request, handler: ResponseHandler, timeoutMillis: number): void {
    const start = this.out.pos
    this.out.limit = start + MAX_FRAME
    try {
      Request.encode(this.out, id, request, { dialect: this.dialect })
    } catch (error) {
      // Half a frame would break all that follow it.
      this.discard(start)
      if (id !== 0) this.ids.release(id)
      throw error
    }
    this.register(id, start, handler, this.ticker.deadline(timeoutMillis))
  }

  /**
   * Nobody waits for request `id` any more. The id stays taken until the server answers; the answer is dropped. Does
   * nothing when the request is not `handler`'s.
   */
  abandon(id: number, handler: ResponseHandler): void {
    if (this.handlers[id] !== handler || this.reason !== undefined) return
    this.orphan(id)
    this.count(-1)
    this.checkDrained()
    this.checkOrphans()
  }

  private orphan(id: number): void {
    this.handlers[id] = ORPHAN
    this.deadlines[id] = -this.ticker.now - 1
    this.orphans++
  }

  private checkDrained(): void {
    if (this.draining && this.inFlightCount === 0) Deferred.doneUnsafe(this.drained, Exit.void)
  }

  private checkOrphans(): void {
    if (this.exhausted || this.orphans < Math.min(this.limits.maxOrphans, this.limits.maxOldOrphans)) return
    // Those of a peer that is silent may all be answered when it goes on, which takes a while.
    if (this.liveness.isSilent || this.ticker.now < this.calmUntil) return
    if (this.orphans < this.limits.maxOrphans) {
      // Old enough: orphaned at least a second ago.
      const before = this.ticker.now - SECOND
      let old = 0
      for (let id = 1; id <= this.ids.issued; id++) {
        const since = -this.deadlines[id]! - 1
        if (since >= 0 && since <= before && this.handlers[id] === ORPHAN) old++
      }
      // Looked at again with the next tick: they grow old without anybody calling.
      if (old < this.limits.maxOldOrphans) return this.ticker.arm(this)
    }
    this.exhaust()
  }

  private exhaust(): void {
    if (this.exhausted) return
    this.exhausted = true
    this.owner.onExhausted(this)
  }

  /**
   * Flushes where half of all that is in flight waits to be sent: the server has that while we see to the rest. Called in the
   * middle of a read, and by the ticker in the middle of a turn.
   */
  flushEarly(): void {
    if (this.unsentCount >= EAGER && this.unsentCount * 2 >= this.inFlightCount) this.flush()
  }

  /** Gives all frames of this turn to the socket in one write. Called by the ticker. */
  flush(): void {
    const { out } = this
    if (this.reason !== undefined || out.pos === 0) return
    if (!this.framing.isPlain) return this.flushFramed(out)
    const isTaken = this.write(out)
    if (isTaken === undefined) return
    if (isTaken && out.bytes.length <= KEEP_OUTPUT) out.reset()
    else this.out = this.freeOutputs.pop() ?? new Output(this.release)
    if (!this.accepts) this.checkOutput()
  }

  /** The same where frames are compressed or put in segments: by way of a second buffer. */
  private flushFramed(out: Output): void {
    const wire = this.freeOutputs.pop() ?? new Output(this.release)
    wire.limit = MAX_OUTPUT
    try {
      this.framing.write(wire, out.bytes, 0, out.pos)
    } catch (cause) {
      return this.fail(new ConnectionLost({ message: `cannot write to ${this.where}: ${String(cause)}`, cause }))
    }
    if (out.bytes.length <= KEEP_OUTPUT) out.reset()
    else this.out = new Output(this.release)
    if (this.write(wire) === true) this.recycle(wire)
    if (!this.accepts) this.checkOutput()
  }

  /** Whether the socket has taken it; `undefined` when that was the end of the connection. */
  private write(output: Output): boolean | undefined {
    const size = output.pos
    let isTaken: boolean
    // Whatever comes of it: the socket may have taken any part.
    this.unsentCount = 0
    try {
      isTaken = this.socket.write(output.bytes.subarray(0, size), output.done)
    } catch (cause) {
      this.fail(new ConnectionLost({ message: `cannot write to ${this.where}: ${String(cause)}`, cause }))
      return undefined
    }
    if (!isTaken) {
      if (this.held === 0) this.lastWritten = this.ticker.now
      this.held += size
    }
    return isTaken
  }

  /** The socket is done with what it did not take at once. */
  private readonly release = (output: Output): void => {
    this.held -= output.pos
    this.lastWritten = this.ticker.now
    this.recycle(output)
    if (!this.accepts) this.checkOutput()
  }

  private recycle(output: Output): void {
    if (output.bytes.length > KEEP_OUTPUT || this.freeOutputs.length >= KEEP_OUTPUTS) return
    output.reset()
    this.freeOutputs.push(output)
  }

  private checkOutput(): void {
    this.accepts = this.isOpen && this.out.pos + this.held <= this.maxOutput
    this.checkRoom()
  }

  private checkRoom(): void {
    if (!this.isAwaited || !this.isAvailable) return
    try {
      this.owner.onRoom?.(this)
    } catch (error) {
      // An observer of a fiber that was let in: not the loss of those whose answers are read.
      this.ticker.raise(error)
    }
  }

  /** Called by the socket. */
  onData(bytes: Buffer, view: DataView, length: number): void {
    if (this.reason !== undefined) return
    if (this.handshaking && isTlsAlert(bytes, length)) return this.fail(speaksTls(this.where))
    const { ticker } = this
    ticker.beginRead()
    if (this.liveness.read(ticker.now)) this.heard()
    try {
      this.framing.push(bytes, view, 0, length)
    } catch (cause) {
      const message = cause instanceof DecodeError ? cause.message : String(cause)
      this.fail(new ProtocolViolation({ message: `${this.where} sent what is no CQL frame: ${message}`, cause }))
    }
    // Once for all answers of a read.
    this.checkRoom()
    ticker.endRead()
  }

  /** Called by the socket. */
  onClose(error: Error | undefined): void {
    const hint = this.handshaking && !this.liveness.hasRead
      ? ", before it said anything: is it a CQL server, and is `tls` set if, and only if, it speaks TLS there?"
      : ""
    this.fail(
      new ConnectionLost({
        message: `the connection to ${this.where} was lost: ${error?.message ?? "the server closed it"}${hint}`,
        cause: error
      })
    )
  }

  /** Called by the parser. */
  onFrame(version: number, flags: number, stream: number, opcode: number, body: Reader): void {
    if (version !== this.answer && !this.isReadable(version, opcode)) return
    const handler = this.take(stream)
    if (handler === undefined) return this.unexpected(flags, stream, opcode, body)
    if (opcode === Frame.Opcode.ERROR && this.onCongestion !== undefined) this.checkCongestion(flags, body)
    if (handler === ORPHAN) return
    try {
      handler.onResponse(flags, opcode, body)
    } catch (cause) {
      this.malformed(handler, cause)
    }
    this.flushEarly()
    if (this.draining) this.checkDrained()
  }

  /** Called by the framing: a body that cannot be decompressed. The stream goes on, only its request is told. */
  onBroken(version: number, _flags: number, stream: number, opcode: number, error: DecodeError): void {
    if (version !== this.answer && !this.isReadable(version, opcode)) return
    // An event that cannot be read says nothing.
    if (stream === -1 && opcode === Frame.Opcode.EVENT) return
    const handler = this.take(stream)
    if (handler === undefined) return this.unasked(stream)
    if (handler !== ORPHAN) this.malformed(handler, error)
    if (this.draining) this.checkDrained()
  }

  /** Ends the wait for the answer to `stream`; the handler, which may be `ORPHAN`, or `undefined` where nobody asked. */
  private take(stream: number): ResponseHandler | undefined {
    const handler = stream >= 0 ? this.handlers[stream] : undefined
    if (handler === undefined) return undefined
    this.handlers[stream] = undefined
    this.deadlines[stream] = 0
    // Free before anybody is resumed: what runs then may send the next request at once.
    if (stream !== 0) this.ids.release(stream)
    if (handler === ORPHAN) this.orphans--
    else if (handler !== this.heartbeat) this.count(-1)
    const { liveness } = this
    if (stream === liveness.timed) liveness.timedOne(this.ticker.now)
    if (handler !== this.heartbeat) {
      const isTrial = handler === this.vigil.trial
      if (!isTrial) this.answeredAt = this.ticker.now
      if (liveness.answered(isTrial)) this.heard()
    }
    return handler
  }

  /** Looks whether an ERROR says that there is too much to do; the cursor stays where it is. */
  private checkCongestion(flags: number, body: Reader): void {
    const { pos } = body
    try {
      Response.readPrefix(flags, body)
      const code = body.i32()
      if (code === OVERLOADED || (code >>> 0) === this.dialect.rateLimitCode) this.onCongestion!(this)
    } catch {
      // Whoever waits for it will say so.
    } finally {
      body.pos = pos
    }
  }

  private malformed(handler: ResponseHandler, cause: unknown): void {
    const message = cause instanceof Error ? cause.message : String(cause)
    this.refuse(
      handler,
      new MalformedResponse({ message: `the answer of ${this.where} cannot be read: ${message}`, cause }),
      true
    )
  }

  /** Tells `handler` that no answer comes. What an observer of its fiber throws is not the others' loss. */
  private refuse(handler: ResponseHandler, reason: PoolReason, sent: boolean): void {
    try {
      handler.onFailure(reason, sent)
    } catch (error) {
      this.ticker.raise(error)
    }
  }

  /** Ends the connection for a frame that is no answer in our version; only an error may say so in the server's own. */
  private isReadable(version: number, opcode: number): boolean {
    const isAnswer = (version & Frame.RESPONSE_BIT) !== 0
    if (isAnswer && opcode === Frame.Opcode.ERROR) return true
    const what = isAnswer
      ? `an answer in protocol version ${version & ~Frame.RESPONSE_BIT}, not ${this.dialect.version}`
      : "a request: is it a CQL server?"
    this.fail(new ProtocolViolation({ message: `${this.where} sent ${what}` }))
    return false
  }

  /** Called for what nobody waits for: an event, an error of the whole connection, or what breaks the protocol. */
  private unexpected(flags: number, stream: number, opcode: number, body: Reader): void {
    if (stream === -1 && opcode === Frame.Opcode.EVENT) {
      const pushed = this.readPushed(flags, opcode, body)
      // An event that cannot be read says nothing: the metadata refresh will find what it meant.
      if (pushed?._tag === "Event") this.owner.onEvent(pushed.event)
      return
    }
    // Where its text cannot be read the verdict stands.
    const pushed = stream === 0 && opcode === Frame.Opcode.ERROR ? this.readPushed(flags, opcode, body) : undefined
    this.unasked(
      stream,
      pushed?._tag === "Error" ? `an error of the whole connection: ${pushed.error.message}` : undefined
    )
  }

  private readPushed(flags: number, opcode: number, body: Reader): Response.Response | undefined {
    try {
      Response.readPrefix(flags, body)
      return Response.decode(opcode, body, NO_ROWS, this.dialect)
    } catch {
      return undefined
    }
  }

  private unasked(stream: number, detail = `an answer on stream ${stream}, which is not in flight`): void {
    this.fail(new ProtocolViolation({ message: `${this.where} sent ${detail}` }))
  }

  /** Called by the ticker: expires what is overdue, beats when the peer was silent for long. */
  onTick(now: number): boolean {
    if (this.reason !== undefined) return false
    if (now >= this.earliest) this.expire(now)
    if (this.held > 0 && (now - this.lastWritten) * TICK_MILLIS >= this.limits.writeTimeout) this.stalled()
    if (this.reason === undefined && !this.handshaking) {
      if (!this.draining || this.inFlightCount > 0) this.vigil.watch(now, this.draining)
      this.checkOrphans()
    }
    // Once the handshake is over the heartbeat waits for ever.
    return this.reason === undefined && (!this.handshaking || this.earliest !== 0x7fffffff)
  }

  private expire(now: number): void {
    let earliest = 0x7fffffff
    /** One for all of this tick. */
    let timedOut: RequestTimeout | undefined
    // What a handler sends while this runs gets a later deadline, which `put` records.
    this.earliest = earliest
    for (let id = 0; id <= this.ids.issued; id++) {
      const deadline = this.deadlines[id]!
      if (deadline <= 0) continue
      if (deadline > now) {
        if (deadline < earliest) earliest = deadline
        continue
      }
      const handler = this.handlers[id]
      if (handler === undefined) continue
      const until = handler === this.heartbeat ? this.vigil.beatOverdue(now) : this.untilOf(handler, now)
      if (this.reason !== undefined) return
      // Of a trial it is known already.
      if (handler !== this.heartbeat && handler !== this.vigil.trial) this.liveness.missed()
      if (until > now) {
        this.deadlines[id] = until
        if (until < earliest) earliest = until
        continue
      }
      if (handler !== this.vigil.trial) this.liveness.gaveUp()
      this.abandon(id, handler)
      timedOut ??= new RequestTimeout({ message: `${this.where} did not answer in time` })
      this.refuse(handler, timedOut, true)
      if (this.reason !== undefined) return
    }
    if (earliest < this.earliest) this.earliest = earliest
  }

  /** Until when a handler whose time is over goes on waiting. One that throws does not. */
  private untilOf(handler: ResponseHandler, now: number): number {
    try {
      return handler.onOverdue?.(now) ?? 0
    } catch (error) {
      this.ticker.raise(error)
      return 0
    }
  }

  /** A question of the connection's own. Answers its id, -1 where none is left. */
  private sendOwn(request: Request.Request, handler: ResponseHandler, timeoutMillis: number): number {
    const id = this.ids.acquire()
    if (id < 0) return id
    this.put(id, request, handler, timeoutMillis)
    if (handler === this.heartbeat) this.count(-1)
    return id
  }

  /** Nothing is heard of the peer: whoever can go elsewhere does. */
  private setAside(now: number): void {
    const reason = new NodeSilent({
      message: `nothing is heard of ${this.where}: it has not answered requests, nor whether it lives`
    })
    this.owner.onSilent?.(this, reason)
    const { issued } = this.ids
    for (let id = 1; id <= issued && this.reason === undefined; id++) {
      const handler = this.handlers[id]
      if (handler?.onOverdue === undefined) continue
      const until = this.untilOf(handler, now)
      if (until > now) this.deadlines[id] = until
      else {
        this.abandon(id, handler)
        this.refuse(handler, reason, true)
      }
      if (until < this.earliest) this.earliest = until
    }
  }

  /** Called in a read, whose end tells of room. */
  private heard(): void {
    this.exhausted = false
    this.calmUntil = this.ticker.now + SECOND
    this.owner.onHeard?.(this)
  }

  private stalled(): void {
    this.fail(
      new ConnectionLost({
        message:
          `${this.where} has taken none of ${this.held} bytes for ${this.limits.writeTimeout} ms: it does not read`
      })
    )
  }

  private dead(): void {
    this.fail(
      new HeartbeatTimeout({
        message: `${this.where} was silent and did not answer a heartbeat within ${this.limits.heartbeatTimeout} ms`
      })
    )
  }

  /** Looks at once whether the peer lives, for example because another node says that it is down. */
  probe(): void {
    if (this.reason === undefined && !this.liveness.isUnheard && !this.handshaking) this.vigil.beat(this.ticker.now)
  }

  /** Looks with the next tick whether it answers requests, for example because another connection of the node does not. */
  suspect(): void {
    this.liveness.suspect()
  }

  /** Ends the connection: every request in flight fails with `reason`. Only the first call counts. */
  fail(reason: PoolReason): void {
    if (this.reason !== undefined) return
    this.reason = reason
    this.accepts = false
    this.framing.stop()
    this.socket.destroy()
    const { handlers } = this
    const unsent = new Set(this.unsent.subarray(0, this.unsentCount))
    this.handlers = []
    this.unsentCount = 0
    this.freeOutputs.length = 0
    this.count(-this.inFlightCount)
    this.orphans = 0
    // The owner first: whoever is resumed by a failure must not be given this connection again.
    this.owner.onClosed(this, reason)
    for (let id = 0; id < handlers.length; id++) {
      const handler = handlers[id]
      if (handler !== undefined && handler !== ORPHAN) this.refuse(handler, reason, !unsent.has(id))
    }
    Deferred.doneUnsafe(this.drained, Exit.void)
    Deferred.doneUnsafe(this.closed, Exit.succeed(reason))
  }

  /** From now on requests are of this dialect. @internal */
  speak(dialect: Dialect.Dialect): void {
    this.dialect = dialect
    this.answer = dialect.version | Frame.RESPONSE_BIT
  }

  /** STARTUP is about to be sent: with its answer the framing and the compression begin. @internal */
  startup(dialect: Dialect.Dialect, compressor: Compressor | undefined): void {
    this.speak(dialect)
    this.framing.startup(dialect.version, compressor)
    this.compression = compressor?.name
  }

  /** The handshake is over: heartbeats start, stream 0 is the connection's. @internal */
  ready(): void {
    this.handshaking = false
    this.liveness.begin(this.ticker.now)
    this.ticker.arm(this)
  }

  /** Waits until it is closed. */
  get awaitClosed(): Effect.Effect<PoolReason> {
    return Deferred.await(this.closed)
  }

  /**
   * Takes no more requests, waits for those in flight at most `timeout`, then closes. With nothing in flight it does not
   * wait at all.
   */
  close(timeout: Duration.Input): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.draining = true
      this.accepts = false
      this.vigil.end()
      const end = Effect.sync(() =>
        this.fail(new ConnectionClosed({ message: `the connection to ${this.where} was closed by this client` }))
      )
      if (this.inFlightCount === 0 || this.reason !== undefined) return end
      return Effect.ensuring(Effect.timeoutOption(Deferred.await(this.drained), timeout), end)
    }) as Effect.Effect<void>
  }

  /**
   * Sends a request that is not on anybody's fast path and waits for its answer, an ERROR included. It may take one of the
   * {@link RESERVED} ids. `isRepeatable`: it fails with `NodeSilent` as soon as nothing is heard of the peer, because it may be asked
   * of another one; otherwise it waits for its whole time.
   */
  request(
    request: Request.Request,
    options: {
      readonly timeoutMillis: number
      readonly decoders: RowDecoders
      readonly isRepeatable?: boolean | undefined
    }
  ): Effect.Effect<Answer, PoolError> {
    const { decoders, isRepeatable = false, timeoutMillis } = options
    return isRepeatable
      ? new RepeatableAsk(this, request, timeoutMillis, decoders)
      : new Ask(this, request, timeoutMillis, decoders)
  }

  /**
   * Sets the keyspace. One switch at a time: others wait their turn, and whoever wants what is set already has it. A switch
   * whose end is not known (no answer, interrupted) closes the connection: nobody could say where a request on it goes.
   */
  useKeyspace(name: string, timeoutMillis: number): Effect.Effect<void, PoolError> {
    this.switching ??= Semaphore.makeUnsafe(1)
    return this.switching.withPermit(switchKeyspace(this, name, timeoutMillis))
  }

  /** @internal */
  askNow(request: Request.Request, handler: ResponseHandler, timeoutMillis: number): number {
    if (this.handshaking) {
      if (this.reason !== undefined || this.handlers[0] !== undefined) return -1
      this.put(0, request, handler, timeoutMillis)
      return 0
    }
    if (!this.hasReserve) return -1
    const id = this.ids.acquire()
    this.put(id, request, handler, timeoutMillis)
    this.requests++
    return id
  }

  private get where(): string {
    return this.socket.remoteAddress
  }
}

const speaksTls = (where: string): ProtocolViolation =>
  new ProtocolViolation({ message: `${where} speaks TLS: set \`tls\`, or use the port without TLS (9042, mostly)` })
/** native_protocol_v4.spec, section 9: the coordinator cannot take more. */
const OVERLOADED = 0x1001
/** Requests that are worth a write of their own: see `docs/decisions/0011-when-requests-are-written.md`. */
const EAGER = 8
const SECOND = 1_000 / TICK_MILLIS
/** One id stays for the heartbeat. */
const bounded = (maxInFlight: number): number => Math.max(1, Math.min(maxInFlight, StreamIds.MAX - 1))
const NO_ROWS = new RowDecoders()
