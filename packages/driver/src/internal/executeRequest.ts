import type { Waiter } from "@effect-scylla/pool/Admission"
import type { Connection, ResponseHandler } from "@effect-scylla/pool/Connection"
import type { NodePool } from "@effect-scylla/pool/NodePool"
import { type PoolReason, RequestTimeout } from "@effect-scylla/pool/PoolError"
import { Suspension } from "@effect-scylla/pool/Suspension"
import { TICK_MILLIS } from "@effect-scylla/pool/Ticker"
import * as BatchFrame from "@effect-scylla/protocol/BatchFrame"
import * as Frame from "@effect-scylla/protocol/Frame"
import type { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import type { Reader } from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import * as Response from "@effect-scylla/protocol/Response"
import type { Row, RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import type { Writer } from "@effect-scylla/protocol/Writer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import {
  type Attempt,
  AttemptTimeout,
  ClientClosed,
  CqlError,
  type CqlReason,
  NoNodeAvailable,
  ResultTooLarge,
  shortened,
  StatementChanged
} from "../CqlError.ts"
import { levelsOf, type Resolved, timeoutOf } from "../ExecuteOptions.ts"
import { layoutOf, type Prepared } from "../Prepared.ts"
import { countOf, type Effort, empty, ResultSet, type SchemaAgreement } from "../ResultSet.ts"
import { decide, mayBeSentTwice, outcomeOf } from "../RetryPolicy.ts"
import type { Node } from "../Snapshot.ts"
import type * as Speculation from "../Speculation.ts"
import * as StatementKind from "../StatementKind.ts"
import { type Core, SLOWEST } from "./core.ts"
import * as Frames from "./frames.ts"
import { graver, History } from "./history.ts"
import { judge, type Judgement } from "./judging.ts"
import { Latencies } from "./latencies.ts"
import { PolicyDefect } from "./plan.ts"
import { slowLine } from "./slowLog.ts"
import * as Spans from "./spans.ts"
import type { Impatient } from "./speculator.ts"
import { refusal } from "./strongConsistency.ts"
import type { Subject } from "./subject.ts"
import { encodeError } from "./values.ts"
import * as Ways from "./ways.ts"

const withoutStack = <A>(make: () => A): A => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

const isSameId = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

/** The time of a request was over before its statement was prepared. */
export const preparingTimedOut = (): RequestTimeout =>
  new RequestTimeout({ message: "the statement could not be prepared in the time that the request may take" })

/** A result that is read as a whole, and may not be. */
export const tooLarge = (maxRows: number, statement: string): CqlError =>
  new CqlError({
    reason: new ResultTooLarge({
      message: `the result has more than ${maxRows} rows: use \`stream\`, or set \`maxRows\``
    }),
    attempts: [],
    statement
  })

/** Ticks within which a node that is well has answered somebody, and for which it was never set aside. */
const WELL = { answered: 5, heard: 50 }

const isWell = ({ answeredAt, isSuspect, silentSince }: NodePool, now: number): boolean =>
  !isSuspect && now - answeredAt <= WELL.answered && (silentSince === 0 || now - silentSince > WELL.heard)

/** What a node answers that has too much to do, or is not well. */
const BUSY: ReadonlySet<string> = new Set(["InternalServerError", "IsBootstrapping", "Overloaded", "TruncateError"])

/** It is passed over for others when that happens often. */
const slowDown = ({ pool }: Node): void => {
  if (pool !== undefined && pool.slowness < SLOWEST) pool.slowness++
}

/** The same options at another level of consistency. */
const atLevel = (options: Resolved, consistency: Resolved["request"]["consistency"]): Resolved => ({
  ...options,
  ...levelsOf(consistency),
  request: { ...options.request, consistency },
  isKept: false
})

/** Rows in one of the forms that few ask for. */
const readAs = (form: Resolved["rows"], decoder: RowDecoder, body: Reader): Array<any> =>
  typeof form === "object"
    ? decoder.readMade(body, form)
    : form === "arrays"
    ? decoder.readArrays(body)
    : form === "lazy"
    ? decoder.readLazy(body)
    : [decoder.readColumns(body)]

/** An attempt that is given up because its time is over. */
interface Overdue {
  readonly reason: AttemptTimeout
  /** What the policy says, if there is one, or that it has thrown. */
  readonly judgement?: Judgement
  readonly defect?: { readonly cause: unknown }
}
const NO_MORE: Judgement = { decision: "Fail", wait: 0, isAsked: false, consistency: undefined }

/** How often one request may have statements prepared again: nodes that do not agree on the schema take turns. */
const MAX_PREPARES = 16

/** What is won in a race for a result of several pages. */
class FirstPage {
  /** All rows. */
  readonly rest: Effect.Effect<Array<Row>, CqlError>

  constructor(rest: Effect.Effect<Array<Row>, CqlError>) {
    this.rest = rest
  }
}

/** Requests of which the first answer is taken. */
interface Race {
  /** The one that took too long. */
  first: ExecuteRequest
  isAnswered: boolean
  /** Besides the first. */
  speculations: number
}

/**
 * One logical request: encoded, routed and sent when it is evaluated; settled by the answer. Retries happen here too,
 * entered only from a failure; the success path allocates this object, the rows and the result.
 */
export class ExecuteRequest extends Suspension<any, CqlError> implements ResponseHandler, Waiter, Impatient {
  readonly core: Core
  /** What routes it: the statement itself, or one of a batch. */
  readonly prepared: Prepared | undefined
  readonly subject: Subject
  /** Of `prepared`. */
  readonly values: ReadonlyArray<unknown>
  options: Resolved
  /** All rows of all pages are wanted, and not a result. */
  private readonly whole: boolean
  /** Where it is noted who answered, if a span has begun already. */
  private readonly traced: Spans.Traced | undefined

  node: Node | undefined = undefined
  connection: Connection | undefined = undefined
  private stream = -1
  /** What reads the rows if they come without metadata: that of the pair whose id the request named. */
  private named: RowDecoder | undefined = undefined
  private deadline = 0
  private begun = 0
  /** When this attempt was sent. */
  private sentAt = 0
  /** Microseconds at the end of the turn in which it was asked. */
  private startedAt = 0
  /** It is one of several that race for one answer. */
  private race: Race | undefined = undefined
  /** Drawn once: every attempt sends the same. */
  private timestamp = 0
  /** No answer in the attempt's own time, and another node is to be asked. */
  private overdue: Overdue | undefined = undefined
  /** What only a failure fills in. */
  history: History | undefined = undefined

  /** `deadline`: that of a request whose time runs already, because its statement had to be prepared. */
  constructor(
    core: Core,
    subject: Subject,
    values: ReadonlyArray<unknown>,
    options: Resolved,
    whole: boolean,
    deadline = 0,
    traced?: Spans.Traced
  ) {
    super()
    this.deadline = deadline
    this.core = core
    this.subject = subject
    if (subject.form === "batch") {
      this.prepared = subject.routing?.statement
      this.values = subject.routing?.values ?? values
    } else {
      this.prepared = subject.form === "prepared"
        ? subject
        : subject.form === "encoded"
        ? subject.prepared
        : undefined
      this.values = values
    }
    this.options = options
    this.whole = whole
    this.traced = traced
  }

  protected override around(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<any, CqlError> | undefined {
    if (this.traced !== undefined) return undefined
    if (!Spans.isTraced(fiber)) return undefined
    const { core, options, subject, values, whole } = this
    const deadline = this.isFresh ? this.deadline : 0
    return Spans.around(
      Spans.describe(subject, options, core.keyspace, this.isIdempotent),
      (traced) => new ExecuteRequest(core, subject, values, this.firstOptions, whole, deadline, traced)
    )
  }

  /** As it was asked for, whatever a policy has made of it since. */
  private get firstOptions(): Resolved {
    return this.history?.first ?? this.options
  }

  protected renew(): ExecuteRequest {
    return new ExecuteRequest(this.core, this.subject, this.values, this.firstOptions, this.whole, 0, this.traced)
  }

  private get kind(): StatementKind.StatementKind {
    return this.subject.kind
  }

  /** May be done twice, by another node at the same time. */
  private get isRepeatable(): boolean {
    const { kind, options } = this
    return mayBeSentTwice({ kind, isIdempotent: this.isIdempotent, isSerial: options.isSerial })
  }

  /**
   * What was said of it, else what its text says: that counts where each time it is sent it writes at the same time. To count is never
   * idempotent, whatever is said, nor is a batch of which some statement is not.
   */
  private get isIdempotent(): boolean {
    const { core, options, subject } = this
    if (subject.kind.isCounter === true || (subject.form === "batch" && subject.isForbidden)) return false
    if (options.idempotent !== undefined) return options.idempotent
    if (subject.form === "batch" && subject.isAllowed) return true
    // Servers of a strongly consistent keyspace stamp writes themselves, each time anew.
    if (subject.form === "batch" ? subject.isGlobal : this.prepared?.isGlobal === true) return false
    const isStamped = options.request.timestamp !== undefined || (core.clientTimestamps && !options.isServerStamped)
    return isStamped && subject.isCertain
  }

  /** Also when it is evaluated again: what its text says holds for one timestamp only, and that draws another. */
  private get isIdempotentAnew(): boolean {
    const { options, subject } = this
    const isSaid = options.idempotent !== undefined || options.request.timestamp !== undefined ||
      (subject.form === "batch" && subject.isAllowed)
    return isSaid && this.isIdempotent
  }

  protected start(): void {
    const { core, options } = this
    if (this.history === undefined) {
      const { kind } = this
      this.begun = core.ticker.now
      if (this.deadline === 0) this.deadline = core.ticker.deadline(timeoutOf(options, kind))
      if (core.stamps(kind, options)) this.timestamp = core.nextTimestamp()
    }
    core.ticker.send(this)
    const { speculation } = options
    if (speculation === undefined || this.race !== undefined || !this.isRepeatable) return
    if (speculation.next !== undefined) return this.speculateBy(speculation.next)
    const { latencies } = this.subject.usual
    if (speculation.quantile > 0 && latencies === undefined) this.subject.usual.latencies = new Latencies()
    const millis = speculation.quantile === 0 ? speculation.millis : latencies?.quantile(speculation.quantile)
    if (millis === undefined) return
    const delay = speculation.quantile === 0 ? millis : millis / 1_000
    // What would come after its time is over is not waited for.
    if (delay < this.left) core.speculator.add(this, delay)
  }

  /** A function says when. What it throws is a defect. */
  private speculateBy(next: (asked: number) => number | undefined): void {
    let delay: number | undefined
    try {
      delay = next(1)
    } catch (cause) {
      return this.settle(Exit.die(cause))
    }
    if (delay !== undefined && delay >= 0 && delay < this.left) this.core.speculator.add(this, delay)
  }

  /** When further ones are asked, in milliseconds from the first that is: `max` in all. */
  private delaysOf({ max, next }: Speculation.Resolved, delay: number): ReadonlyArray<number> {
    const delays: Array<number> = []
    let sum = 0
    for (let asked = 2; asked <= max; asked++) {
      const wait = next === undefined ? delay : next(asked)
      if (wait === undefined || !(wait >= 0)) break
      delays.push(sum += wait)
    }
    return delays
  }

  /** Called by the ticker. */
  send(): void {
    if (this.isSettled) return
    if (this.startedAt === 0) this.startedAt = this.core.micros
    this.attempt()
  }

  /** Routes unless a connection is given, encodes and sends; waits for room, or ends the request when there will be none. */
  private attempt(admitted?: Connection): void {
    const { core, history, prepared } = this
    if (core.closed) return this.end(new ClientClosed({ message: "the client is closed: its scope has ended" }))
    if (prepared !== undefined && prepared.epoch !== core.schema.epoch) core.schema.check(prepared)
    const { subject } = this
    let connection = admitted
    let out: Writer | undefined
    let start = 0
    let waitable: ReadonlyArray<Node> | undefined
    core.isEncoding = true
    try {
      if (connection !== undefined) core.node = this.node
      else if (history?.again !== undefined) {
        const { again } = history
        connection = again.isAvailable ? again : history.node?.pool?.pick(again.shard, this.kind.isConditional)
        core.node = history.node
        history.again = undefined
      }
      const isGiven = connection !== undefined
      if (connection === undefined) {
        const { options } = this
        const { way } = options
        const { pagingState } = options.request
        // A page is asked of the node that gave the one before, unless the caller knows better.
        if (
          pagingState !== undefined && pagingState !== null && history === undefined && way?.target === undefined &&
          way?.balancing === undefined
        ) {
          connection = core.routePage(pagingState, prepared, this.values)
        }
        connection ??= way === undefined
          ? core.route(prepared, this.values, options, subject.kind.isConditional, history?.tried)
          : Ways.routeBy(this, way)
      }
      if (connection === undefined) {
        waitable = Ways.waitable(this, history?.tried)
        if (waitable.length === 0) connection = Ways.routeLast(this, history?.tried)
      }
      if (prepared?.isGlobal === true) {
        const refused = refusal(core, subject, this.options)
        if (refused !== undefined) {
          core.isEncoding = false
          return this.end(refused)
        }
      }
      if (connection !== undefined && (prepared?.confirmed !== undefined || subject.form === "batch")) {
        const stranger = this.strangerTo(core.node!)
        if (stranger !== undefined) {
          core.isEncoding = false
          return this.teach(core.node!, connection, stranger)
        }
      }
      out = connection?.begin()
      if (out !== undefined) {
        start = out.pos
        // Nodes of one cluster may speak differently: what is sent is made for the connection at hand, each time.
        const { dialect } = connection!
        if (subject.form === "prepared") {
          const { templates } = subject
          const kept = templates.options === this.options ? templates.current[layoutOf(dialect)] : undefined
          const template = kept ?? Frames.executeTemplate(core, this.options, subject, dialect)
          Request.writeExecute(out, template, subject.encoder, this.values, this.timestamp)
          if (dialect.tabletVersions) {
            if (isGiven) core.locate(subject, this.values)
            Request.setTabletBlock(out, core.tabletBlock())
          }
          this.named = dialect.metadataIds ? subject.known?.decoder : undefined
        } else if (subject.form === "text") {
          const { templates } = subject
          const kept = templates.options === this.options ? templates.current[dialect.version] : undefined
          Request.writeQuery(
            out,
            kept ?? Frames.queryTemplate(core, this.options, subject, dialect),
            subject.text,
            this.timestamp
          )
        } else if (subject.form === "encoded") {
          Frames.writeEncoded(out, core, this.options, subject, dialect, this.timestamp)
        } else {
          BatchFrame.write(
            out,
            Frames.batchTemplate(core, this.options, subject, dialect),
            subject.entries,
            this.timestamp
          )
        }
      } else if (waitable === undefined || waitable.length === 0) {
        waitable = Ways.waitable(this, history?.tried, waitable !== undefined)
      }
    } catch (error) {
      core.isEncoding = false
      if (out !== undefined) connection!.discard(start)
      if (error instanceof PolicyDefect) return this.settle(Exit.die(error.cause))
      return this.unfit(encodeError(error))
    }
    core.isEncoding = false
    if (connection === undefined || out === undefined) return this.wait(waitable)
    this.node = core.node
    this.connection = connection
    this.sentAt = core.ticker.now
    this.stream = connection.commit(start, this, this.attemptDeadline())
    // Those that race do not go where one of them is already.
    if (this.race !== undefined) this.history!.tried.push(core.node!)
  }

  /** Called when it takes longer than it should: asks other nodes, too, and takes the first answer. */
  onImpatient(): void {
    const { core, history, node, options } = this
    const { millis, quantile } = options.speculation!
    const delay = quantile === 0 ? millis : (this.subject.usual.latencies?.quantile(quantile) ?? 0) / 1_000
    // Who waits for room has asked nobody yet.
    if (node === undefined || this.stream < 0 || history?.place?.isWaiting === true) {
      if (delay < this.left) core.speculator.add(this, delay)
      return
    }
    // Whether it may be done twice is known better once it is routed.
    if (!this.isRepeatable) return
    const shared = this.history ??= new History()
    const { tried } = shared
    if (Ways.others(this, [...tried, node], false).length === 0) return
    tried.push(node)
    const race: Race = { first: this, isAnswered: false, speculations: 0 }
    const spare = (): Effect.Effect<any, CqlError> => {
      if (!core.retries.maySpeculate(core.requests)) {
        options.series.throttle()
        return Effect.interrupt
      }
      options.series.speculate()
      race.speculations++
      if (this.traced !== undefined) this.traced.speculations++
      const other = this.renew()
      other.race = race
      other.deadline = this.deadline
      other.begun = this.begun
      other.startedAt = this.startedAt
      other.timestamp = this.timestamp
      other.options = this.options
      other.history = new History(tried)
      other.history.plan = shared.plan
      return other
    }
    const first = spare()
    if (first === Effect.interrupt) return
    let delays: ReadonlyArray<number>
    try {
      delays = this.delaysOf(options.speculation!, delay)
    } catch (cause) {
      return this.settle(Exit.die(cause))
    }
    const later = delays.map((millis) =>
      Effect.andThen(
        Effect.sleep(millis),
        Effect.suspend(() => Ways.others(this, tried, false).length > 0 ? spare() : Effect.interrupt)
      )
    )
    this.race = race
    this.handOver((rest) =>
      Effect.catchCause(Effect.raceAll([rest, first, ...later]), (cause) => this.allFailed(cause)).pipe(
        // The race is for the first page.
        Effect.flatMap((won) => won instanceof FirstPage ? won.rest : Effect.succeed(won))
      )
    )
  }

  /** None of those that raced has an answer: one error, with all attempts. */
  private allFailed(cause: Cause.Cause<CqlError>): Effect.Effect<never, CqlError> {
    const errors = cause.reasons.flatMap((reason) => Cause.isFailReason(reason) ? [reason.error] : [])
    const [first] = errors
    if (first === undefined || Cause.hasDies(cause)) return Effect.failCause(cause)
    const outcome = errors.reduce((worst, error) => graver(worst, error.outcome), first.outcome)
    this.options.series.fail(first.reason._tag, outcome)
    this.noteSlow(first.reason)
    const { idempotent, reason, statement } = first
    const attempts = errors.flatMap((error) => error.attempts ?? [])
    return Effect.fail(new CqlError({ reason, outcome, attempts, statement, idempotent }))
  }

  /** The tick after which another node is asked. */
  private attemptDeadline(): number {
    const { core, deadline, options, subject } = this
    // Where the time of an attempt was too short once, it may be the statement that takes long.
    const patience = 2 ** (this.history?.moves ?? 0)
    const millis = options.attemptMillis === 0 ? subject.usual.attemptMillis * patience : options.attemptMillis
    return millis === Infinity ? deadline : Math.min(deadline, core.ticker.deadline(millis))
  }

  /** A statement that the node has to be asked about before it is sent there. */
  private strangerTo({ hostId }: Node): Prepared | undefined {
    const { core, prepared, subject } = this
    if (subject.form !== "batch") return prepared!.confirmed!.has(hostId) ? undefined : prepared
    for (const { statement } of subject.entries) {
      if (statement.form !== "prepared") continue
      if (statement.epoch !== core.schema.epoch) core.schema.check(statement)
      if (statement.confirmed !== undefined && !statement.confirmed.has(hostId)) return statement
    }
    return undefined
  }

  /** A value does not fit: the statement's types may be out of date, unless it was prepared again just now. */
  private unfit(error: EncodeError): void {
    const { core, subject } = this
    const prepared = subject.form === "batch" ? [...subject.prepared] : subject.form === "prepared" ? [subject] : []
    const doubtful = prepared.filter((statement) => core.mayHaveChanged(statement))
    if (doubtful.length === 0 || this.history?.refreshed === true) return this.end(error)
    const history = this.history ??= new History()
    history.refreshed = true
    const before = doubtful.map(({ encoder }) => encoder)
    const refreshed = Effect.forEach(doubtful, (statement) => core.slow.refresh(statement), { discard: true })
    this.settle(
      Effect.matchEffect(this.inTime(refreshed), {
        // The one error that says what is wrong stays, whatever became of asking.
        onSuccess: () =>
          doubtful.every(({ encoder }, i) => encoder === before[i])
            ? Effect.fail(this.failure(error))
            : this.continued(history),
        onFailure: ({ reason }) => Effect.fail(this.failure(reason._tag === "StatementChanged" ? reason : error))
      })
    )
  }

  /** Different statements that are prepared. */
  private get statements(): number {
    const { subject } = this
    return subject.form === "batch" ? subject.prepared.size : 1
  }

  /** The statement of that id. */
  private statementOf(id: Uint8Array): Prepared | undefined {
    const { subject } = this
    if (subject.form !== "batch") return this.prepared
    const { prepared } = subject
    for (const statement of prepared) if (isSameId(statement.id, id)) return statement
    // It was renewed meanwhile, and has another id: whichever is asked about, the batch is sent again as it is now.
    return prepared.values().next().value
  }

  /** Prepares a statement on the node before it is sent there: the schema has changed since the node was asked. */
  private teach(node: Node, connection: Connection, prepared: Prepared): void {
    const history = this.history ??= new History()
    this.node = node
    this.connection = connection
    this.prepareAgain(history, node, connection, prepared)
  }

  private prepareAgain(history: History, node: Node, connection: Connection, prepared: Prepared): void {
    if (++history.prepares > MAX_PREPARES + this.statements) {
      const message = "nodes give different types for the statement's variables: they do not agree on the schema"
      return this.end(new StatementChanged({ message }))
    }
    history.again = connection
    history.node = node
    this.settle(
      Effect.matchEffect(this.inTime(this.core.slow.reprepare(node, connection, prepared)), {
        onSuccess: () => this.continued(history),
        onFailure: ({ reason }) => this.unprepared(history, node, reason)
      })
    )
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
    // It may wait there again, if there is nobody else.
    if (reason._tag === "NodeSilent") this.attempt()
    else this.failed(reason, false)
  }

  private noConnection(): void {
    const reason = this.history?.attempts.at(-1)?.reason
    if (reason !== undefined) return this.end(reason)
    const target = this.options.way?.target
    if (target !== undefined) return this.end(new NoNodeAvailable({ message: Ways.whyNot(this, target.hostId) }))
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
    const bytes = body.end - body.pos
    if (prefix.warnings.length > 0) this.warned(prefix.warnings)
    if (opcode === Frame.Opcode.RESULT) {
      const { core, prepared } = this
      const { usual } = this.subject
      const pool = node.pool!
      const took = core.ticker.now - this.sentAt
      if (took > 0 || usual.ticks !== 0 || pool.slowness !== 0) core.observe(took, usual, pool)
      this.answered()
      if (prepared !== undefined) {
        if (prefix.customPayload !== undefined) core.learn(prepared, prefix.customPayload)
        if (prepared.kind.isConditional && prepared.tabletTable !== undefined) core.wonder(prepared, this.values)
      }
      const kind = body.i32()
      if (kind === Response.ResultKind.ROWS) {
        const { page } = core
        const { subject } = this
        const decoder = core.decoders.open(body, this.named ?? subject.decoder, page)
        const rows: Array<any> = this.options.rows === "objects"
          ? decoder.read(body)
          : readAs(this.options.rows, decoder, body)
        if (decoder.duplicates.length > 0) this.warnOfNames(decoder)
        if (subject.decoder !== decoder) subject.decoder = decoder
        if (page.newMetadataId !== undefined) prepared?.changed(page.newMetadataId, decoder)
        const { whole } = this
        const { pagingState } = page
        if (pagingState !== null) {
          core.coordinators.set(pagingState, node)
          this.options.series.page()
        }
        if (!whole) {
          return this.succeedLater(
            core.ticker,
            new ResultSet<Row>(rows, pagingState, decoder, prefix, node, bytes, this.effort())
          )
        }
        return pagingState === null
          ? this.succeedLater(core.ticker, rows)
          : this.settle(
            this.race === undefined
              ? this.allRows(rows, pagingState)
              : Exit.succeed(new FirstPage(Effect.suspend(() => this.allRows(rows, pagingState))))
          )
      }
      if (kind === Response.ResultKind.SCHEMA_CHANGE) {
        const change = Response.readSchemaChange(body)
        core.schema.add(change)
        // It is done, whether the nodes agree on it in time or not.
        const agreement = core.slow.schemaChanged(this.connection!, change, this.left)
        return this.settle(
          Effect.map(agreement, (agreement) => this.whole ? [] : empty(prefix, node, this.effort(change, agreement)))
        )
      }
      return this.succeedLater(core.ticker, this.whole ? [] : empty(prefix, node, this.effort()))
    }
    if (opcode === Frame.Opcode.ERROR) {
      return this.failed(ServerError.read(body, this.connection!.dialect), true)
    }
    throw new Error(`an answer with opcode 0x${opcode.toString(16)}`)
  }

  /** What came before the answer, and with it, of the few requests that have something of it. */
  private effort(schemaChange?: Response.SchemaChange, schemaAgreement?: SchemaAgreement): Effort | undefined {
    const { history, race } = this
    if (history === undefined && race === undefined && schemaChange === undefined) return undefined
    return { attempts: history?.attempts ?? [], speculations: race?.speculations ?? 0, schemaChange, schemaAgreement }
  }

  /** It is counted, and noted where it took long. */
  private answered(): void {
    const { core, options, race, startedAt, subject } = this
    if (race !== undefined) {
      // Another one may have been answered in the same turn of the loop.
      if (race.isAnswered) return
      race.isAnswered = true
    }
    if (this.traced !== undefined) this.noteSpan(this.traced)
    const micros = (core.micros - startedAt) & 0x3fff_ffff
    options.series.answer(micros)
    const { latencies } = subject.usual
    if (latencies !== undefined) latencies.observe(micros)
    const { slowLog } = core
    if (slowLog !== undefined && micros >= slowLog.threshold) slowLog.write(() => slowLine(this, micros, "answered"))
  }

  /** Who is asked, and what was before that. */
  private noteSpan(traced: Spans.Traced): void {
    traced.node = this.node
    traced.shard = this.connection?.shard
  }

  private warned(warnings: ReadonlyArray<string>): void {
    const { core, node, subject } = this
    for (const warning of warnings) {
      core.warnings.warn(
        `${warning}\0${subject.text}`,
        `${node!.address}:${node!.port} warns: ${warning} (${shortened(subject.text)})`
      )
    }
  }

  /** Rows as objects have the last of several columns of one name. */
  private warnOfNames({ duplicates }: RowDecoder): void {
    const { core, options, subject } = this
    if (options.rows !== "objects") return
    core.warnings.warn(
      `names\0${subject.text}`,
      `the result has more than one column ${
        duplicates.join(", ")
      }, of which each row has the last: give them names with AS, ` +
        `or ask for rows: "arrays" (${shortened(subject.text)})`,
      Infinity
    )
  }

  /** With the rows of the pages from this paging state on. */
  private allRows(all: Array<Row>, pagingState: Uint8Array): Effect.Effect<Array<Row>, CqlError> {
    const { core, options, subject, values } = this
    if (countOf(all) > core.maxRows) {
      return Effect.fail(tooLarge(core.maxRows, subject.text))
    }
    const page: Effect.Effect<ResultSet, CqlError> = new ExecuteRequest(
      core,
      subject,
      values,
      { ...options, request: { ...options.request, pagingState }, isKept: false },
      false
    )
    return Effect.flatMap(page, ({ pagingState, rows }) => {
      for (const row of rows) all.push(row)
      return pagingState === null ? Effect.succeed(all) : this.allRows(all, pagingState)
    })
  }

  /**
   * Called by the connection when the attempt's time is over, or when nothing is heard of the node any more: until when to wait, or
   * 0 for no longer. What may be done twice goes to another node, where there is one that may be asked.
   */
  onOverdue(now: number): number {
    const { core, deadline } = this
    if (now >= deadline || !this.isRepeatable) return deadline
    const { connection, history, node } = this
    // Nothing is heard of it, or it has answered none of several requests.
    const isSilent = connection!.isSilent || connection!.isSuspect
    const others = Ways.others(this, [...history?.tried ?? [], node!])
    // Away from such a node it may go once, to one that is better: where none is, all of them may be slow.
    const isFree = isSilent && (history?.moves ?? 0) === 0 &&
      others.some(({ pool }) => pool !== undefined && isWell(pool, now))
    if (others.length === 0) return this.attemptDeadline()
    const millis = (now - this.sentAt) * TICK_MILLIS
    const { address, port } = node!
    const reason = new AttemptTimeout({ message: `${address}:${port} did not answer within ${millis} ms` })
    const overdue = this.overdueFor(reason)
    // The policy wants no other attempt: this one has all the time.
    if (overdue.judgement?.decision === "Fail") return deadline
    if (!core.mayMove(isFree)) return this.attemptDeadline()
    this.overdue = overdue
    // It has made somebody wait, whatever it answers in the end.
    slowDown(node!)
    return 0
  }

  /** What is done about an attempt that failed. Throws what the policy throws. */
  private judged(history: History, reason: CqlReason, sent: boolean): Judgement {
    const { begun, isIdempotent, kind, left, options } = this
    const { sameNode, unavailable } = history
    const failure = { reason, sent, kind, isIdempotent, isSerial: options.isSerial, sameNode, unavailable }
    return judge(this, history, failure, {
      outcome: outcomeOf({ reason, sent, kind }),
      begun,
      leftMillis: left,
      node: this.node!
    })
  }

  /** What comes of giving up this attempt. */
  private overdueFor(reason: AttemptTimeout): Overdue {
    const history = this.history ??= new History()
    if (this.options.retry.policy === undefined) return { reason }
    const { maxAttempts } = this.options.retry.policy
    if (maxAttempts !== undefined && history.attempts.length + 1 >= maxAttempts) return { reason, judgement: NO_MORE }
    try {
      return { reason, judgement: this.judged(history, reason, true) }
    } catch (cause) {
      return { reason, defect: { cause } }
    }
  }

  onFailure(reason: PoolReason, sent: boolean): void {
    const { overdue } = this
    if (overdue === undefined) return this.failed(reason, sent)
    this.overdue = undefined
    this.history!.moves++
    this.failed(overdue.reason, sent, overdue)
  }

  /** `overdue`: what is decided already. */
  private failed(reason: CqlReason, sent: boolean, overdue?: Overdue): void {
    const { kind, options } = this
    const node = this.node!
    const history = this.history ??= new History()
    const outcome = outcomeOf({ reason, sent, kind })
    history.came(outcome)
    // A batch may hold several that the node does not know, and is told one at a time.
    if (reason._tag === "Unprepared" && history.unprepared < 1 + this.statements) {
      const unknown = this.statementOf(reason.id)
      if (unknown !== undefined) {
        unknown.knownBy.delete(node.hostId)
        this.record(history, node, reason, sent, "Prepare")
        history.unprepared++
        return this.prepareAgain(history, node, this.connection!, unknown)
      }
    }
    // What refuses is quick, and would be taken for the less busy node.
    if (sent && BUSY.has(reason._tag)) slowDown(node)
    if (overdue?.defect !== undefined) return this.settle(Exit.die(overdue.defect.cause))
    let judgement: Judgement
    try {
      judgement = overdue?.judgement ?? this.judged(history, reason, sent)
    } catch (cause) {
      // The policy is the user's, and so is the defect.
      return this.settle(Exit.die(cause))
    }
    const { consistency, decision, wait } = judgement
    this.record(history, node, reason, sent, decision)
    if (decision === "Fail") return this.end(reason)
    options.series.retry(decision)
    if (consistency !== undefined) {
      history.first ??= options
      this.options = atLevel(options, consistency)
    }
    if (decision === "SameNode") {
      history.sameNode++
      history.again = this.connection
      history.node = node
    } else {
      history.nextNode++
      // Each node may have forgotten it.
      history.unprepared = 0
      if (reason._tag === "Unavailable") history.unavailable++
      history.tried.push(node)
      if (options.retry.policy?.decide !== undefined) this.beginAgain(history, node)
    }
    // Where nobody is left to be asked, there is nothing to wait for, unless somebody says so.
    const isVain = decision === "NextNode" && !judgement.isAsked && Ways.others(this, history.tried).length === 0
    if (wait === 0 || isVain) return this.attempt()
    this.settle(Effect.andThen(this.core.pause(wait), Effect.suspend(() => this.continued(history))))
  }

  /** A policy wants another node where all were asked: once more round, the last one last. */
  private beginAgain(history: History, last: Node): void {
    const { tried } = history
    // Where others race with it, they are there.
    if (this.race !== undefined || this.options.way !== undefined || Ways.others(this, tried).length > 0) return
    tried.length = 0
    if (Ways.others(this, [last]).length > 0) tried.push(last)
  }

  /** What is waited for on the way of this request: it goes on for others when this one's time is over. */
  private inTime(waiting: Effect.Effect<void, CqlError>): Effect.Effect<void, CqlError> {
    return Effect.timeoutOrElse(waiting, {
      duration: this.left,
      orElse: () => Effect.fail(new CqlError({ reason: preparingTimedOut() }))
    })
  }

  /** Milliseconds that the request has left. */
  private get left(): number {
    return Math.max(0, this.deadline - this.core.ticker.now) * TICK_MILLIS
  }

  /** A node could not be taught the statement: the others can still be asked, unless the statement is what is wrong. */
  private unprepared(history: History, node: Node, reason: CqlReason): Effect.Effect<ResultSet, CqlError> {
    // That a node does not answer a PREPARE in its time is no reason to ask nobody else; the end of the request's own time is.
    const isLate = reason._tag === "RequestTimeout" || reason._tag === "NodeSilent"
    // Less than a tick is no time to ask anybody; the clock that ended the wait and the ticker need not agree about it.
    const decision = isLate && this.core.ticker.now + 1 < this.deadline
      ? "NextNode"
      : decide({
        reason,
        sent: reason._tag !== "ConnectionBusy",
        kind: StatementKind.read,
        isIdempotent: true,
        isSerial: false,
        sameNode: 0,
        unavailable: 0
      })
    this.record(history, node, reason, true, decision)
    if (decision !== "NextNode") return Effect.fail(this.failure(reason))
    history.tried.push(node)
    history.again = undefined
    history.unprepared = 0
    return this.continued(history)
  }

  private record(history: History, node: Node, reason: CqlReason, sent: boolean, decision: Attempt["decision"]): void {
    const attempt: Attempt = {
      node: `${node.address}:${node.port}`,
      shard: this.connection?.shard ?? 0,
      reason,
      sent,
      durationMillis: (this.core.ticker.now - this.begun) * TICK_MILLIS,
      decision
    }
    history.attempts.push(attempt)
    this.traced?.attempts.push(attempt)
  }

  /** The same request once more, with what it has been through. */
  private continued(history: History): ExecuteRequest {
    const next = this.renew()
    const { race } = this
    if (race !== undefined) {
      next.race = race
      if (race.first === this) race.first = next
    }
    next.options = this.options
    next.deadline = this.deadline
    next.begun = this.begun
    next.startedAt = this.startedAt
    next.timestamp = this.timestamp
    next.history = history
    return next
  }

  private end(reason: CqlReason): void {
    this.settle(Exit.fail(this.failure(reason)))
  }

  /** The error of a request that ends, which is counted unless others race with it. */
  private failure(reason: CqlReason): CqlError {
    const error = this.error(reason)
    if (this.traced !== undefined) this.noteSpan(this.traced)
    if (this.race !== undefined) return error
    this.options.series.fail(reason._tag, error.outcome)
    this.noteSlow(reason)
    return error
  }

  /** It has failed, and is noted where that took long. */
  private noteSlow(reason: CqlReason): void {
    const { core, startedAt } = this
    const { slowLog } = core
    const micros = startedAt === 0 ? 0 : (core.micros - startedAt) & 0x3fff_ffff
    if (slowLog !== undefined && micros >= slowLog.threshold) {
      slowLog.write(() => slowLine(this, micros, `failed with ${reason._tag}, asked last`))
    }
  }

  private error(reason: CqlReason): CqlError {
    const { history } = this
    // An earlier attempt may have been applied even where the last one was not even sent.
    const outcome = history?.worst ?? outcomeOf({ reason, sent: false, kind: this.kind })
    const fields = {
      reason,
      outcome,
      attempts: history?.attempts ?? [],
      statement: this.subject.text,
      idempotent: this.isIdempotentAnew
    }
    // Of those there may be a hundred thousand at once, and a stack costs more than the rest of the request.
    return reason._tag === "ClientOverloaded" ? withoutStack(() => new CqlError(fields)) : new CqlError(fields)
  }
}
