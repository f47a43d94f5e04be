import type { Place, Waiter } from "@effect-scylla/pool/Admission"
import type { Connection, ResponseHandler } from "@effect-scylla/pool/Connection"
import { type PoolReason, RequestTimeout } from "@effect-scylla/pool/PoolError"
import { Suspension } from "@effect-scylla/pool/Suspension"
import { TICK_MILLIS } from "@effect-scylla/pool/Ticker"
import type * as Dialect from "@effect-scylla/protocol/Dialect"
import * as Frame from "@effect-scylla/protocol/Frame"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import type { Reader } from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import * as Response from "@effect-scylla/protocol/Response"
import type { Row, RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import type { Writer } from "@effect-scylla/protocol/Writer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import { type Attempt, ClientClosed, CqlError, type CqlReason, NoNodeAvailable, type Outcome } from "../CqlError.ts"
import { type Resolved, timeoutOf } from "../ExecuteOptions.ts"
import { layoutOf, type Prepared } from "../Prepared.ts"
import { empty, ResultSet } from "../ResultSet.ts"
import { decide, outcomeOf } from "../RetryPolicy.ts"
import type { Node } from "../Snapshot.ts"
import * as StatementKind from "../StatementKind.ts"
import type { Core } from "./core.ts"

const SEVERITY: ReadonlyArray<Outcome | undefined> = [undefined, "NotSent", "Rejected", "Ambiguous"]

const encodeError = (error: unknown): EncodeError =>
  error instanceof EncodeError ? error : new EncodeError({ message: String(error), path: "", cqlType: "" })

/** The time of a request was over before its statement was prepared. */
export const preparingTimedOut = (): RequestTimeout =>
  new RequestTimeout({ message: "the statement could not be prepared in the time that the request may take" })

/** What the statement is: prepared with its values, or a text without any. */
export type Subject = Prepared | string

/** What a request has been through. */
class History {
  readonly attempts: Array<Attempt> = []
  /** Nodes that are not asked again. */
  readonly tried: Array<Node> = []
  sameNode = 0
  unavailable = 0
  prepares = 0
  /** The gravest outcome of an attempt. */
  worst: Outcome | undefined = undefined
  /** The next attempt goes to the same connection, as long as that takes requests. */
  again: Connection | undefined = undefined
  node: Node | undefined = undefined
  /** Where it waits for room. */
  place: Place | undefined = undefined
}

/**
 * One logical request: encoded, routed and sent when it is evaluated; settled by the answer. Retries happen here too,
 * entered only from a failure; the success path allocates this object, the rows and the result.
 */
export class ExecuteRequest extends Suspension<ResultSet, CqlError> implements ResponseHandler, Waiter {
  private readonly core: Core
  private readonly prepared: Prepared | undefined
  private readonly text: string
  private readonly values: ReadonlyArray<unknown>
  private readonly options: Resolved
  private readonly traced: boolean

  private node: Node | undefined = undefined
  private connection: Connection | undefined = undefined
  private stream = -1
  /** What reads the rows if they come without metadata: that of the pair whose id the request named. */
  private named: RowDecoder | undefined = undefined
  private deadline = 0
  private begun = 0
  /** Drawn once: every attempt sends the same. */
  private timestamp = 0
  /** What only a failure fills in. */
  private history: History | undefined = undefined

  /** `deadline`: that of a request whose time runs already, because its statement had to be prepared. */
  constructor(
    core: Core,
    subject: Subject,
    values: ReadonlyArray<unknown>,
    options: Resolved,
    traced = false,
    deadline = 0
  ) {
    super()
    this.deadline = deadline
    this.core = core
    if (typeof subject === "string") {
      this.prepared = undefined
      this.text = subject
    } else {
      this.prepared = subject
      this.text = subject.text
    }
    this.values = values
    this.options = options
    this.traced = traced
  }

  protected override around(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<ResultSet, CqlError> | undefined {
    if (this.traced) return undefined
    const { span, tracer } = fiber.cache
    if (tracer === undefined && span === undefined) return undefined
    const attributes = { "db.system.name": "cassandra", "db.query.text": this.text }
    return Effect.useSpan("cql.execute", { kind: "client", attributes }, (span) =>
      Effect.tap(
        Effect.provideService(
          new ExecuteRequest(this.core, this.prepared ?? this.text, this.values, this.options, true, this.deadline),
          Tracer.ParentSpan,
          span
        ),
        (result) =>
          Effect.sync(() => {
            span.attribute("server.address", result.coordinator.address)
            span.attribute("server.port", result.coordinator.port)
          })
      ))
  }

  protected renew(): ExecuteRequest {
    return new ExecuteRequest(this.core, this.prepared ?? this.text, this.values, this.options, this.traced)
  }

  private get kind(): StatementKind.StatementKind {
    return this.prepared?.kind ?? StatementKind.of(this.text)
  }

  protected start(): void {
    const { core, options, prepared } = this
    if (this.history === undefined) {
      this.begun = core.ticker.now
      if (this.deadline === 0) {
        const millis = prepared !== undefined && prepared.kind.type !== "schema"
          ? options.timeoutMillis
          : timeoutOf(options, this.kind)
        this.deadline = core.ticker.deadline(millis)
      }
      if (prepared !== undefined && core.stamps(prepared, options)) this.timestamp = core.nextTimestamp()
    }
    core.ticker.send(this)
  }

  /** Called by the ticker. */
  send(): void {
    if (!this.isSettled) this.attempt()
  }

  /** Routes unless a connection is given, encodes and sends; waits for room, or ends the request when there will be none. */
  private attempt(admitted?: Connection): void {
    const { core, history, prepared } = this
    if (core.closed) return this.end(new ClientClosed({ message: "the client is closed: its scope has ended" }))
    let connection = admitted
    let out: Writer | undefined
    let start = 0
    let waitable: ReadonlyArray<Node> | undefined
    core.isEncoding = true
    try {
      if (connection !== undefined) core.node = this.node
      else if (history?.again !== undefined) {
        connection = history.again.isAvailable ? history.again : history.node?.pool?.pickAny()
        core.node = history.node
        history.again = undefined
      }
      const isGiven = connection !== undefined
      connection ??= core.route(prepared, this.values, this.options.isSerial, history?.tried)
      out = connection?.begin()
      if (out !== undefined) {
        start = out.pos
        if (prepared !== undefined) {
          // Nodes of one cluster may speak differently: what is sent is made for the connection at hand, each time.
          const { dialect } = connection!
          const kept = prepared.templatesOf === this.options ? prepared.templates[layoutOf(dialect)] : undefined
          const template = kept ?? this.template(prepared, dialect)
          Request.writeExecute(out, template, prepared.encoder, this.values, this.timestamp)
          if (dialect.tabletVersions) {
            if (isGiven) core.locate(prepared, this.values)
            Request.setTabletBlock(out, core.tabletBlock())
          }
          this.named = dialect.metadataIds ? prepared.known?.decoder : undefined
        } else {
          const { keyspace, request, tracing } = this.options
          const options = keyspace === undefined ? request : { ...request, keyspace }
          Request.encode(out, 0, { _tag: "Query", query: this.text, options }, {
            dialect: connection!.dialect,
            tracing
          })
        }
      } else waitable = core.waitable(prepared, this.values, history?.tried)
    } catch (error) {
      core.isEncoding = false
      if (out !== undefined) connection!.discard(start)
      return this.end(encodeError(error))
    }
    core.isEncoding = false
    if (connection === undefined || out === undefined) return this.wait(waitable)
    this.node = core.node
    this.connection = connection
    this.stream = connection.commit(start, this, this.deadline)
  }

  /** The constant parts of the frame. Those for the client's own options, which are nearly always the same, are kept. */
  private template(prepared: Prepared, dialect: Dialect.Dialect): Request.ExecuteTemplate {
    const { core, options } = this
    const { serialConsistency: _, ...unconditional } = options.request
    const request = prepared.kind.isConditional ? options.request : unconditional
    const known = dialect.metadataIds ? prepared.known : undefined
    const template = Request.executeTemplate(
      prepared.id,
      known?.decoder === undefined ? request : { ...request, skipMetadata: true },
      prepared.variables.length,
      {
        tracing: options.tracing,
        stamped: core.stamps(prepared, options),
        dialect,
        resultMetadataId: known?.id
      }
    )
    // Options of a single call come and go.
    if (options === core.defaults) {
      if (prepared.templatesOf !== options) prepared.templates = []
      prepared.templates[layoutOf(dialect)] = template
      prepared.templatesOf = options
    }
    return template
  }

  /** Waits for room on the first of the nodes whose list has a place. */
  private wait(nodes: ReadonlyArray<Node> | undefined): void {
    let overloaded: PoolReason | undefined
    for (const node of nodes ?? []) {
      const place = node.pool!.wait(this, this.deadline)
      if (!("_tag" in place)) {
        this.node = node
        this.connection = undefined
        this.history ??= new History()
        this.history.place = place
        return
      }
      if (place._tag === "ClientOverloaded") overloaded ??= place
    }
    if (overloaded !== undefined) this.end(overloaded)
    else this.noConnection()
  }

  onAdmitted(connection: Connection): void {
    this.attempt(connection)
  }

  onRefused(reason: PoolReason): void {
    this.failed(reason, false)
  }

  private noConnection(): void {
    const reason = this.history?.attempts.at(-1)?.reason
    if (reason !== undefined) return this.end(reason)
    const why = this.core.snapshot.local.map((node) =>
      `${node.address}:${node.port} (${node.pool?.lastReason?.message ?? "no connection takes a request now"})`
    ).join(", ")
    this.end(
      new NoNodeAvailable({
        message: `no node of the datacenter ${this.core.snapshot.datacenter} can be asked: ${why || "it has no nodes"}`
      })
    )
  }

  protected abandon(): void {
    const place = this.history?.place
    if (place?.isWaiting) this.node!.pool!.leave(place)
    else this.connection?.abandon(this.stream, this)
  }

  onResponse(flags: number, opcode: number, body: Reader): void {
    const prefix = Response.readPrefix(flags, body)
    const node = this.node!
    if (opcode === Frame.Opcode.RESULT) {
      const { core, prepared } = this
      if (prefix.customPayload !== undefined && prepared !== undefined) core.learn(prepared, prefix.customPayload)
      const kind = body.i32()
      if (kind === Response.ResultKind.ROWS) {
        const { page } = core
        const rows = core.decoders.read(body, this.named ?? prepared?.decoder, page)
        if (prepared !== undefined) {
          if (prepared.decoder !== page.decoder) prepared.decoder = page.decoder
          if (page.newMetadataId !== undefined) prepared.changed(page.newMetadataId, page.decoder)
        }
        return this.succeedLater(core.ticker, new ResultSet<Row>(rows, page.pagingState, page.decoder, prefix, node))
      }
      const result = empty(prefix, node)
      return kind === Response.ResultKind.SCHEMA_CHANGE
        ? this.settle(Effect.as(core.slow.schemaChanged(this.connection!), result))
        : this.succeedLater(core.ticker, result)
    }
    if (opcode === Frame.Opcode.ERROR) {
      return this.failed(ServerError.read(body, this.connection!.dialect), true)
    }
    throw new Error(`an answer with opcode 0x${opcode.toString(16)}`)
  }

  onFailure(reason: PoolReason, sent: boolean): void {
    this.failed(reason, sent)
  }

  private failed(reason: CqlReason, sent: boolean): void {
    const { kind, options } = this
    const node = this.node!
    const history = this.history ??= new History()
    const outcome = outcomeOf({ reason, sent, kind })
    if (SEVERITY.indexOf(outcome) > SEVERITY.indexOf(history.worst)) history.worst = outcome
    if (reason._tag === "Unprepared" && this.prepared !== undefined && history.prepares < 2) {
      this.record(history, node, reason, sent, "Prepare")
      history.prepares++
      history.again = this.connection
      history.node = node
      return this.settle(
        Effect.matchEffect(this.inTime(this.core.slow.reprepare(node, this.connection!, this.prepared)), {
          onSuccess: () => this.continued(history),
          onFailure: ({ reason }) => this.unprepared(history, node, reason)
        })
      )
    }
    const { sameNode, unavailable } = history
    const decision = decide({
      reason,
      sent,
      kind,
      isIdempotent: options.idempotent,
      isSerial: options.isSerial,
      sameNode,
      unavailable
    })
    this.record(history, node, reason, sent, decision)
    if (decision === "Fail") return this.end(reason)
    if (decision === "SameNode") {
      history.sameNode++
      history.again = this.connection
      history.node = node
    } else {
      if (reason._tag === "Unavailable") history.unavailable++
      history.tried.push(node)
    }
    this.attempt()
  }

  /** What is waited for on the way of this request: it goes on for others when this one's time is over. */
  private inTime(waiting: Effect.Effect<void, CqlError>): Effect.Effect<void, CqlError> {
    return Effect.timeoutOrElse(waiting, {
      duration: Math.max(0, this.deadline - this.core.ticker.now) * TICK_MILLIS,
      orElse: () => Effect.fail(new CqlError({ reason: preparingTimedOut() }))
    })
  }

  /** A node could not be taught the statement: the others can still be asked, unless the statement is what is wrong. */
  private unprepared(history: History, node: Node, reason: CqlReason): Effect.Effect<ResultSet, CqlError> {
    const decision = decide({
      reason,
      sent: reason._tag !== "ConnectionBusy",
      kind: StatementKind.read,
      isIdempotent: true,
      isSerial: false,
      sameNode: 0,
      unavailable: 0
    })
    this.record(history, node, reason, true, decision)
    if (decision !== "NextNode") return Effect.fail(this.error(reason))
    history.tried.push(node)
    history.again = undefined
    history.prepares = 0
    return this.continued(history)
  }

  private record(history: History, node: Node, reason: CqlReason, sent: boolean, decision: Attempt["decision"]): void {
    history.attempts.push({
      node: `${node.address}:${node.port}`,
      shard: this.connection?.shard ?? 0,
      reason,
      sent,
      durationMillis: (this.core.ticker.now - this.begun) * TICK_MILLIS,
      decision
    })
  }

  /** The same request once more, with what it has been through. */
  private continued(history: History): ExecuteRequest {
    const next = this.renew()
    next.deadline = this.deadline
    next.begun = this.begun
    next.timestamp = this.timestamp
    next.history = history
    return next
  }

  private end(reason: CqlReason): void {
    this.settle(Exit.fail(this.error(reason)))
  }

  private error(reason: CqlReason): CqlError {
    const { history } = this
    // An earlier attempt may have been applied even where the last one was not even sent.
    const outcome = history?.worst ?? outcomeOf({ reason, sent: false, kind: this.kind })
    return new CqlError({ reason, outcome, attempts: history?.attempts ?? [], statement: this.text })
  }
}
