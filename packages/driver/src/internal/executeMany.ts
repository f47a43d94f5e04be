import { Suspension } from "@effect-scylla/pool/Suspension"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { format } from "effect/Formatter"
import * as Stream from "effect/Stream"
import { ClientClosed, CqlError, InvalidStatement } from "../CqlError.ts"
import type { Resolved } from "../ExecuteOptions.ts"
import type { Failure, Options, Summary } from "../Many.ts"
import { Prepared } from "../Prepared.ts"
import type { ResultSet } from "../ResultSet.ts"
import type { Core } from "./core.ts"
import { ExecuteRequest, preparingTimedOut } from "./executeRequest.ts"
import { misplaced, notSent } from "./notSent.ts"
import type { PreparedCache } from "./preparedCache.ts"
import { told } from "./preparing.ts"
import * as Spans from "./spans.ts"
import { inOrder } from "./values.ts"

export const MAX_CONCURRENCY = 16_384
const CONCURRENCY = 256
const MAX_FAILURES = 1_000

/** Where rows come from: the next one at once, or a promise of it. */
export type Rows = Iterator<unknown> | AsyncIterator<unknown>

/** One row under way; its own waiter, so that a row is one object. */
class Row extends ExecuteRequest {
  readonly index: number
  private readonly many: ManyRequest
  /** What goes on with it after a failure. */
  fiber: Fiber.Fiber<ResultSet, CqlError> | undefined = undefined

  constructor(
    many: ManyRequest,
    index: number,
    core: Core,
    prepared: Prepared,
    values: ReadonlyArray<unknown>,
    options: Resolved
  ) {
    super(core, prepared, values, options, false, 0, many.traced)
    this.many = many
    this.index = index
  }

  evaluate(effect: Effect.Effect<ResultSet, CqlError>): void {
    if ((effect as unknown) === this) return this.many.succeeded(this, this.delivered())
    if (Exit.isExit(effect)) return this.many.ended(this, effect as Exit.Exit<ResultSet, CqlError>)
    const fiber = this.fiber = Effect.runForkWith(this.many.context)(effect)
    fiber.addObserver((exit) => this.many.ended(this, exit))
  }

  /** Nobody waits any more. */
  drop(): void {
    if (this.fiber === undefined) this.interrupted()
    else this.fiber.interruptUnsafe()
  }
}

/** What is checked before anything is sent. Throws `InvalidStatement`. */
export const check = ({ concurrency = CONCURRENCY, failures = "stop", maxFailures = MAX_FAILURES }: Options) => {
  const wrong = (message: string): never => {
    throw new InvalidStatement({ message })
  }
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY)) {
    wrong(`concurrency: a whole number from 1 to ${MAX_CONCURRENCY}, got ${format(concurrency)}`)
  }
  if (failures !== "stop" && failures !== "collect") wrong(`failures: "stop" or "collect", got ${format(failures)}`)
  if (!(Number.isInteger(maxFailures) && maxFailures >= 1)) {
    wrong(`maxFailures: a whole number from 1, got ${format(maxFailures)}`)
  }
  return { concurrency, failures, maxFailures }
}

/**
 * Many rows of one statement: a window of them is under way, and the fiber is suspended once for all. Rows are asked for when
 * there is room, so that they may be endless.
 */
export class ManyRequest extends Suspension<Summary, CqlError> {
  readonly context: Context.Context<never>
  private readonly core: Core
  private readonly prepared: Prepared
  private readonly makeRows: () => Rows
  private readonly resolved: Resolved
  private readonly options: Options
  /** What its rows note for the one span of all. */
  readonly traced: Spans.Traced | undefined
  private readonly concurrency: number
  private readonly maxFailures: number

  private rows!: Rows
  private readonly under = new Set<Row>()
  private readonly failures: Array<Failure> = []
  private sent = 0
  private done = 0
  private isExhausted = false
  private isAsking = false
  private isFilling = false
  /** Why no more rows are sent. */
  private stopped: Effect.Effect<never, CqlError> | undefined = undefined

  constructor(
    core: Core,
    prepared: Prepared,
    makeRows: () => Rows,
    resolved: Resolved,
    options: Options,
    context: Context.Context<never>,
    traced?: Spans.Traced
  ) {
    super()
    this.traced = traced
    const { concurrency, failures, maxFailures } = check(options)
    this.core = core
    this.prepared = prepared
    this.makeRows = makeRows
    this.resolved = resolved
    this.options = options
    this.context = context
    this.concurrency = concurrency
    this.maxFailures = failures === "stop" ? 0 : maxFailures
  }

  protected renew(): ManyRequest {
    const { context, core, makeRows, options, prepared, resolved, traced } = this
    return new ManyRequest(core, prepared, makeRows, resolved, options, context, traced)
  }

  protected override around(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<Summary, CqlError> | undefined {
    if (this.traced !== undefined || !Spans.isTraced(fiber)) return undefined
    const { context, core, makeRows, options, prepared, resolved } = this
    return Spans.around(
      Spans.describe(prepared, resolved, core.keyspace, prepared.isCertain),
      (traced) => new ManyRequest(core, prepared, makeRows, resolved, options, context, traced)
    )
  }

  protected start(): void {
    try {
      this.rows = this.makeRows()
    } catch (cause) {
      this.stopped = Effect.die(cause)
    }
    this.core.closing.add(this.onClose)
    this.fill()
  }

  /** Rows that wait for room are told by themselves; a source that is asked may never answer. */
  private readonly onClose = (): void => {
    // Whatever is under way ends as it ends.
    if (this.isExhausted) return
    const reason = new ClientClosed({ message: "the client was closed before all rows were sent" })
    this.stopped ??= Effect.suspend(() =>
      Effect.fail(
        new CqlError({
          reason,
          outcome: this.prepared.kind.type === "read" ? undefined : "NotSent",
          attempts: [],
          statement: this.prepared.text,
          progress: { ...this.standing, index: this.sent, failures: this.failures }
        })
      )
    )
    this.fill()
  }

  protected abandon(): void {
    this.stopped ??= Effect.interrupt
    this.core.closing.delete(this.onClose)
    for (const row of this.under) row.drop()
    this.under.clear()
    this.leave()
  }

  private get inFlight(): number {
    return this.under.size
  }

  /** Sends as many rows as there is room for. */
  private fill(): void {
    if (this.isFilling) return
    this.isFilling = true
    while (this.stopped === undefined && !this.isExhausted && !this.isAsking && this.inFlight < this.concurrency) {
      this.next()
    }
    this.isFilling = false
    // Whoever gives rows may be long in giving the next one, which nobody wants any more.
    if (this.inFlight === 0 && (this.stopped !== undefined || (this.isExhausted && !this.isAsking))) this.finish()
  }

  private next(): void {
    let next: IteratorResult<unknown> | Promise<IteratorResult<unknown>>
    try {
      next = this.rows.next()
    } catch (cause) {
      this.stopped = Effect.die(cause)
      return
    }
    if (!(next instanceof Promise) && !("then" in next)) return this.take(next)
    this.isAsking = true
    ;(next as Promise<IteratorResult<unknown>>).then(
      (result) => {
        this.isAsking = false
        if (this.stopped === undefined) this.take(result)
        this.fill()
      },
      (cause: unknown) => {
        this.isAsking = false
        this.stopped ??= Effect.die(cause)
        this.fill()
      }
    )
  }

  private take(result: IteratorResult<unknown>): void {
    if (typeof result !== "object" || result === null) {
      this.stopped ??= Effect.die(new TypeError(`an iterator of rows gave ${format(result)} instead of a result`))
      return
    }
    if (result.done === true) {
      this.isExhausted = true
      return
    }
    const index = this.sent++
    const { core, prepared, resolved } = this
    const { value } = result
    let values: ReadonlyArray<unknown>
    try {
      if (typeof value !== "object" || value === null) {
        throw new InvalidStatement({
          message: `row ${index} is a list, or an object with a value for each name, got ${format(value)}`
        })
      }
      values = inOrder(prepared, value as Readonly<Record<string, unknown>>)
    } catch (error) {
      if (!(error instanceof InvalidStatement || error instanceof EncodeError)) throw error
      this.done++
      const reason = error
      return this.failed(index, new CqlError({ reason, outcome: "NotSent", attempts: [], statement: prepared.text }))
    }
    const row = new Row(this, index, core, prepared, values, resolved)
    this.under.add(row)
    row.startFor(row)
  }

  succeeded(row: Row, result: ResultSet): void {
    this.under.delete(row)
    this.done++
    this.tell(() => this.options.onResult?.(result, row.index))
    this.progress()
    this.fill()
  }

  ended(row: Row, exit: Exit.Exit<ResultSet, CqlError>): void {
    if (Exit.isSuccess(exit)) return this.succeeded(row, exit.value)
    if (!this.under.delete(row)) return
    this.done++
    const error = Cause.findErrorOption(exit.cause)
    if (error._tag === "Some") this.failed(row.index, error.value)
    else this.stopped ??= Effect.failCause(exit.cause as Cause.Cause<never>)
    this.progress()
    this.fill()
  }

  private failed(index: number, error: CqlError): void {
    if (this.maxFailures > 0) this.failures.push({ index, error })
    else this.lost++
    if (this.failures.length < this.maxFailures || this.stopped !== undefined) return
    // How far it got is known when everything that was sent has ended.
    this.stopped = Effect.suspend(() => {
      const { attempts, idempotent, outcome, reason, statement } = error
      return Effect.fail(
        new CqlError({
          reason,
          outcome,
          attempts,
          statement,
          idempotent,
          progress: { ...this.standing, index, failures: this.failures }
        })
      )
    })
  }

  /** Failed rows that are not kept. */
  private lost = 0

  private get standing() {
    const failed = this.failures.length + this.lost
    return { sent: this.sent, succeeded: this.done - failed, failed }
  }

  private progress(): void {
    if (this.done % this.concurrency === 0) this.tell(() => this.options.onProgress?.(this.standing))
  }

  /** What an observer throws ends it all, and is the caller's defect. */
  private tell(call: () => void): void {
    try {
      call()
    } catch (cause) {
      this.stopped ??= Effect.die(cause)
    }
  }

  private finish(): void {
    if (this.isSettled) return
    this.core.closing.delete(this.onClose)
    this.leave()
    this.tell(() => this.options.onProgress?.(this.standing))
    this.settle(this.stopped ?? Exit.succeed({ succeeded: this.standing.succeeded, failures: this.failures }))
  }

  /** Whoever gives rows is told that no more are wanted. */
  private leave(): void {
    if (this.isExhausted) return
    this.isExhausted = true
    try {
      const left: unknown = this.rows?.return?.()
      if (left instanceof Promise) left.catch(() => {})
    } catch {
      // It has its own way to say so.
    }
  }
}

/** Prepares the statement, and sends all rows. */
export const executeMany = (
  core: Core,
  cache: PreparedCache,
  statement: Prepared | string,
  rows: Iterable<unknown> | AsyncIterable<unknown> | Stream.Stream<unknown, unknown, unknown>,
  given: Options | null | undefined
): Effect.Effect<Summary, any, any> =>
  Effect.suspend(() => {
    const options = given ?? {}
    let resolved: Resolved
    try {
      check(options)
      const isMany = typeof rows === "object" && rows !== null &&
        (Symbol.iterator in rows || Symbol.asyncIterator in rows || Stream.isStream(rows))
      if (!isMany) {
        throw new InvalidStatement({ message: `rows are an array, an iterable or a stream, got ${format(rows)}` })
      }
      resolved = core.resolver.resolve(options)
      if (!(statement instanceof Prepared) && typeof statement !== "string") {
        throw new InvalidStatement({
          message: `what is executed is a text or a prepared statement, got ${format(statement)}`
        })
      }
    } catch (error) {
      if (!(error instanceof InvalidStatement)) throw error
      return Effect.fail(notSent(error, typeof statement === "string" ? statement : ""))
    }
    const isOwn = statement instanceof Prepared && statement.owner === core.schema
    const text = typeof statement === "string" ? statement : statement.text
    const keyspace = resolved.keyspace ?? (typeof statement === "string" ? undefined : statement.givenKeyspace)
    if (isOwn && keyspace !== statement.givenKeyspace) return Effect.fail(misplaced(statement, keyspace!))
    const prepared = isOwn ? Effect.succeed(statement) : told(
      core,
      resolved,
      text,
      Effect.timeoutOrElse(cache.prepare(text, keyspace), {
        duration: resolved.timeoutMillis,
        orElse: () => Effect.fail(notSent(preparingTimedOut(), text))
      })
    )
    return Effect.flatMap(prepared, (prepared) =>
      Effect.contextWith((context: Context.Context<never>) => {
        if (Stream.isStream(rows)) {
          // What fails in the stream is the caller's error, not a defect.
          let broken: Exit.Exit<never, unknown> | undefined
          const noted = Stream.onError(rows as Stream.Stream<unknown, unknown>, (cause) =>
            Effect.sync(() => {
              broken = Exit.failCause(cause)
            }))
          let left: Promise<unknown> | undefined
          const makeRows = (): Rows => {
            const source = Stream.toAsyncIterableWith(noted, context)[Symbol.asyncIterator]()
            return { next: () => source.next(), return: () => left = source.return!() } as AsyncIterator<unknown>
          }
          const request = new ManyRequest(core, prepared, makeRows, resolved, options, context)
          // What the stream has opened is closed before this is over.
          const closed = Effect.suspend(() => left === undefined ? Effect.void : Effect.promise(() => left!))
          return Effect.catchCause(
            Effect.ensuring(request, closed),
            (cause): Effect.Effect<never, unknown> => broken ?? Effect.failCause(cause)
          )
        }
        const isAsync = typeof rows === "object" && rows !== null && Symbol.asyncIterator in rows
        const makeRows = () => isAsync ? rows[Symbol.asyncIterator]() : (rows as Iterable<unknown>)[Symbol.iterator]()
        return new ManyRequest(core, prepared, makeRows, resolved, options, context)
      }))
  })
