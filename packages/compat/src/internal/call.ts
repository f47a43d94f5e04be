import { type Attempt, CqlError, type CqlReason } from "@effect-scylla/driver/CqlError"
import type { Prepared } from "@effect-scylla/driver/Prepared"
import type { ResultSet } from "@effect-scylla/driver/ResultSet"
import { attemptError, byNode, fromCqlError, type Next } from "./errors.ts"
import { stateOf, type Wanted } from "./requestOptions.ts"
import type { Session } from "./session.ts"
import { adaptNamedParamsPrepared, adaptNamedParamsWithHints, theirs } from "./theirs.ts"
import { columnsOf, typeInfoOf } from "./typeInfo.ts"
import * as Watched from "./watched.ts"

const TheirResultSet = (theirs.types as any).ResultSet
const { DriverInternalError, NoHostAvailableError } = theirs.errors as any

const NO_VALUES: ReadonlyArray<unknown> = []
/** What came with most answers. */
const NO_FLAGS = Object.freeze({})
const USE = /^\s*USE\s+(?:"((?:[^"]|"")+)"|(\w+))\s*;?\s*$/i

/** What a call is told in the end. */
export type Done = (error: Error | null, result?: any) => void

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/** What came with an answer, under the names that programs look for. */
const flagsOf = ({ customPayload, tracingId, warnings }: ResultSet<any>): object => {
  if (tracingId === undefined && customPayload === undefined && warnings.length === 0) return NO_FLAGS
  return {
    ...(tracingId === undefined ? {} : { traceId: (theirs.types as any).Uuid.fromString(tracingId.toString()) }),
    ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
    ...(customPayload === undefined ? {} : {
      customPayload: Object.fromEntries(
        [...customPayload].map(([name, bytes]) => [name, bytes === null ? null : bufferOf(bytes)])
      )
    })
  }
}

/** What of errors is counted together. */
const KINDS: Readonly<Record<string, string>> = {
  AttemptTimeout: "ClientTimeout",
  ReadTimeout: "ReadTimeout",
  RequestTimeout: "ClientTimeout",
  Unavailable: "Unavailable",
  WriteTimeout: "WriteTimeout"
}
const LOST: ReadonlySet<string> = new Set(["ConnectionLost", "ConnectionClosed", "HeartbeatTimeout"])

const countError = (metrics: any, { _tag }: CqlReason, error: Error): void =>
  metrics[`on${LOST.has(_tag) ? "Connection" : KINDS[_tag] ?? "Other"}Error`](error)

const countRetry = (metrics: any, { _tag }: CqlReason, error: Error): void =>
  metrics[`on${KINDS[_tag] ?? "OtherError"}Retry`](error)

/** One call of a client: a page of one statement, or a batch. */
export class Call {
  readonly session: Session
  /** The text, or the batch as it was given. */
  readonly query: any
  readonly params: any
  /** As they were given. */
  readonly given: any
  wanted: Wanted
  readonly rowCallback: ((n: number, row: unknown, rowLength: number) => void) | undefined
  private readonly done: Done
  /** What a retry policy has chosen last. */
  consistency: number
  /** A retry policy wants no error, and no rows. */
  isIgnored = false
  /** What a retry policy has said last of the next node. */
  next: Next = "unwanted"
  /** Asked before it was known how many values there are. */
  private isExact = false
  /** When it was begun, where somebody wants to know how long it takes. */
  private begun: [number, number] | undefined = undefined
  watched: Watched.Watched | undefined = undefined

  constructor(
    session: Session,
    query: any,
    params: any,
    given: any,
    wanted: Wanted,
    rowCallback: ((n: number, row: unknown, rowLength: number) => void) | undefined,
    done: Done
  ) {
    this.session = session
    this.query = query
    this.params = params
    this.given = given
    this.wanted = wanted
    this.rowCallback = rowCallback
    this.done = done
    this.consistency = wanted.consistency
  }

  /** From now on it takes its time. */
  begin(): void {
    if (this.session.isMeasured) this.begun = process.hrtime()
  }

  /** Begins: what is wrong is told, never thrown. */
  start(): void {
    try {
      this.begin()
      if (typeof this.query !== "string") {
        throw Object.assign(new TypeError(`a query is a text, got ${String(this.query)}`), {
          code: "ERR_INVALID_ARG_TYPE"
        })
      }
      if (this.wanted.isWatched) {
        if (!this.startUse()) Watched.start(this)
      } else if (this.wanted.isPrepared) this.startPrepared()
      else this.startPlain()
    } catch (error) {
      this.refuse(error)
    }
  }

  private startPrepared(): void {
    const { params, session } = this
    if (this.startUse()) return
    if (params === undefined || params === null) return this.send(this.query, NO_VALUES)
    if (Array.isArray(params)) return this.send(this.query, session.bindings.settled(params))
    // By name: the columns have to be known.
    const known = session.preparedNow(this.query, this.keyspace)
    if (known !== undefined) return this.sendNamed(known)
    session.prepare(this.query, this.keyspace).then(
      (prepared) => this.sendNamed(prepared),
      (error) => this.refuse(error)
    )
  }

  private get keyspace(): string | undefined {
    return this.wanted.engine.keyspace
  }

  private sendNamed(prepared: Prepared): void {
    try {
      const values = adaptNamedParamsPrepared(this.params, prepared.variables)
      this.send(prepared, this.session.bindings.settled(Array.isArray(values) ? values : NO_VALUES))
    } catch (error) {
      this.refuse(error)
    }
  }

  /** Not prepared: the server reads the text, and values go as what they look like. */
  private startPlain(): void {
    const { client } = this.session
    const { params, query } = this
    if (this.startUse()) return
    if (params === undefined || params === null) return this.send(query, NO_VALUES)
    const { hints } = this.wanted
    if (Array.isArray(hints) && hints.some((hint) => typeof hint === "string")) {
      client.metadata.adaptUserHints(client.keyspace, hints).then(
        () => this.sendPlain(),
        (error: unknown) => this.refuse(error)
      )
    } else this.sendPlain()
  }

  /** Another keyspace is for the client to take: answers whether the statement wants that. */
  private startUse(): boolean {
    const { query } = this
    const first = query.charCodeAt(0)
    // Of nearly all statements it is certain by their first letter.
    if (first > 0x20 && (first | 0x20) !== 0x75) return false
    const used = USE.exec(query)
    if (used === null) return false
    this.use(used[1]?.replaceAll('""', '"') ?? used[2]!.toLowerCase())
    return true
  }

  private sendPlain(): void {
    try {
      this.send(this.query, this.guessed())
    } catch (error) {
      this.misfit(error)
    }
  }

  /** What is wrong with the statement itself: the error names it. */
  misfit(error: unknown): void {
    this.refuse(
      error instanceof Error && typeof this.query === "string" ? Object.assign(error, { query: this.query }) : error
    )
  }

  /** Values of a statement that is not prepared, by hints and looks. Throws `TypeError`. */
  guessed() {
    const { bindings } = this.session
    let { hints } = this.wanted as { hints: any }
    const holder: any = {
      getHints: () => hints,
      setHints: (found: unknown) => {
        hints = found
      }
    }
    const { namedParameters, params } = adaptNamedParamsWithHints(this.params, holder)
    const typeOf = (i: number): unknown => hints?.[i]
    return namedParameters
      ? bindings.encoded(params!.map(({ value }) => value), typeOf, params!.map(({ name }) => name))
      : bindings.encoded(params as ReadonlyArray<unknown>, typeOf)
  }

  private use(keyspace: string): void {
    const { session } = this
    session.use(keyspace).then(
      () => {
        const node = session.engine!.cql.cluster().local[0]!
        this.complete(this.resultOf({ flags: NO_FLAGS }, node, undefined))
      },
      (error) => this.misfit(error)
    )
  }

  send(statement: Prepared | string, values: any): void {
    const { engine } = this.session
    if (engine === undefined) return this.refuse(notConnected())
    engine.run(engine.cql.execute(statement as never, values, this.wanted.engine as never), this)
  }

  /** The engine's answer. */
  succeed(result: ResultSet<any>): void {
    try {
      this.answered(result)
    } catch (error) {
      this.refuse(error)
    }
  }

  private answered(result: ResultSet<any>): void {
    const { rowCallback } = this
    const { pagingState, rows } = result
    const { columns } = result
    const response: any = columns.length === 0 ? { flags: flagsOf(result) } : {
      rows: rowCallback === undefined ? rows : undefined,
      rowLength: rows.length,
      meta: { columns: columnsOf(columns), pageState: pagingState === null ? undefined : bufferOf(pagingState) },
      flags: flagsOf(result)
    }
    if (rowCallback !== undefined) { for (let i = 0; i < rows.length; i++) rowCallback(i, rows[i], rows.length) }
    const made = this.resultOf(response, result.coordinator, result)
    if (pagingState !== null) made.nextPageAsync = (state: unknown) => this.page(state)
    if (this.begun !== undefined || this.watched !== undefined || result.attempts.length > 0) this.measured(result)
    for (let i = 0; i < result.speculations; i++) this.session.client.metrics.onSpeculativeExecution()
    const { schemaChange } = result
    if (schemaChange !== undefined) {
      made.info.isSchemaInAgreement = result.schemaAgreement?.agreed !== false
      void this.session.control.refresh(schemaChange, true).then(() => this.complete(made))
    } else this.complete(made)
  }

  private resultOf(
    response: object,
    coordinator: { address: string; port: number },
    result: ResultSet<any> | undefined
  ): any {
    const attempts = result?.attempts ?? []
    const { address, alone } = this.session.answerers.of(coordinator)
    let tried: Record<string, Error | null>
    if (attempts.length === 0) tried = { ...alone }
    else {
      tried = byNode(attempts)
      // The last failure of a node stays with it where the same one was asked again.
      if (!(address in tried)) tried[address] = null
    }
    // Of a batch cassandra-driver does not tell it.
    const level = typeof this.query === "string" ? this.consistency : undefined
    return new TheirResultSet(response, address, tried, result?.speculations ?? 0, level, true)
  }

  private measured({ attempts, bytes, coordinator }: ResultSet<any>): void {
    this.noteRetried(attempts)
    const { metrics } = this.session.client
    const latency = process.hrtime(this.begun)
    metrics.onSuccessfulResponse(latency)
    metrics.onResponse(latency)
    this.watched?.succeeded(coordinator, bytes, latency)
  }

  private complete(made: any): void {
    const { warnings } = made.info
    if (warnings) this.session.warn(warnings, this.query)
    this.done(null, made)
  }

  /** The next page of the same. */
  private page(state: unknown): Promise<unknown> {
    const wanted: Wanted = { ...this.wanted, engine: { ...this.wanted.engine, pagingState: stateOf(state)! } }
    return new Promise((resolve, reject) => {
      new Call(
        this.session,
        this.query,
        this.params,
        this.given,
        wanted,
        this.rowCallback,
        (error, result) => error === null ? resolve(result) : reject(error)
      ).start()
    })
  }

  /** The engine's failure. What trackers and metrics throw about it is told instead, so that the call ends. */
  fail(error: unknown): void {
    try {
      this.failed(error)
    } catch (thrown) {
      this.refuse(thrown)
    }
  }

  private failed(error: unknown): void {
    if (error instanceof CqlError && error.reason._tag === "EncodeError" && error.reason.path === "" && !this.isExact) {
      return this.exactly()
    }
    const made = error instanceof CqlError
      ? fromCqlError(error, {
        query: typeof this.query === "string" ? this.query : undefined,
        next: this.next
      })
      : error
    if (this.isIgnored && error instanceof CqlError) {
      const [host = ""] = error.attempts?.slice(-1).map(({ node }) => node) ?? []
      return this.complete(
        new TheirResultSet({}, host, byNode(error.attempts ?? []), 0, this.consistency, true)
      )
    }
    if (error instanceof CqlError) this.count(error, made as Error)
    this.refuse(made)
  }

  /** Metrics and trackers are told of a failure, and of those before it. */
  private count(error: CqlError, made: Error): void {
    const { attempts = [], reason } = error
    this.noteRetried(attempts.slice(0, -1))
    const { metrics } = this.session.client
    const latency = process.hrtime(this.begun)
    const last = attempts.at(-1)
    // Nobody was left to be asked after it: it is told like those before it.
    const isGoing = last !== undefined && made instanceof NoHostAvailableError
    const own = isGoing ? attemptError(reason, last.node, last.sent) : made
    countError(metrics, reason, own)
    if (isGoing) countRetry(metrics, reason, own)
    if ("code" in reason) metrics.onResponse(latency)
    this.watched?.failed(last?.node, own, latency)
  }

  /** Attempts that failed before the request went on. */
  private noteRetried(attempts: ReadonlyArray<Attempt>): void {
    const { metrics } = this.session.client
    for (const { decision, durationMillis, node, reason, sent } of attempts) {
      // To teach a node a statement is no failure.
      if (decision === "Prepare") continue
      const made = attemptError(reason, node, sent)
      countError(metrics, reason, made)
      countRetry(metrics, reason, made)
      this.watched?.failed(node, made, [Math.floor(durationMillis / 1_000), (durationMillis % 1_000) * 1_000_000])
    }
  }

  /**
   * As many values as there are, whatever the statement takes: what is wrong with that is for the server to say, in its words.
   */
  private exactly(): void {
    this.isExact = true
    const { bindings } = this.session
    const values: ReadonlyArray<unknown> = Array.isArray(this.params) ? this.params : NO_VALUES
    if (!this.wanted.isPrepared) return this.send(this.query, bindings.encoded(values, () => undefined))
    this.session.prepare(this.query, this.keyspace).then(
      (prepared) => {
        const typeOf = (i: number): unknown => {
          const column = prepared.variables[i]
          return column === undefined ? undefined : typeInfoOf(column.type)
        }
        try {
          this.send(prepared, bindings.encoded(values, typeOf))
        } catch (error) {
          this.misfit(error)
        }
      },
      (error) => this.refuse(error)
    )
  }

  /** Ends it with an error that is what its caller gets. */
  refuse(error: unknown): void {
    this.done(error instanceof Error ? error : new DriverInternalError(String(error)))
  }
}

/** No engine: the client was shut down meanwhile. */
export const notConnected = (): Error => new NoHostAvailableError(null, "the client is not connected, or was shut down")
