/**
 * The same client for `async`/`await`: promises and async iterables, no Effect needed.
 *
 * ```ts
 * import { connect } from "@effect-scylla/driver/promise"
 *
 * await using db = await connect({ contactPoints: ["10.0.0.1"], keyspace: "shop" })
 * const [user] = await db<{ name: string }>`SELECT name FROM users WHERE id = ${1}`
 * for await (const order of db.stream("SELECT * FROM orders WHERE customer = ?", [1])) console.log(order)
 * ```
 *
 * What it does by itself (routing, retries, deadlines, timestamps) is what is said of `CqlClient`. Besides:
 *
 * - **Failures** are `CqlError`s, with `reason`, `outcome`, `attempts` and `isSafeToRetry`. Their stack leads to the line that waited;
 *   `stacks: false` leaves that out.
 * - **Aborts**: every call takes a `signal`. When it is aborted the request is given up, and the promise rejects with the signal's
 *   reason; a write may have been applied then.
 * - **Templates** are sent when they are awaited, once, however often they are.
 * - **The end**: `close`, or `await using`. A client that is forgotten keeps no process alive (see {@link ConnectOptions}), and unless
 *   `NODE_ENV` is `production` a process that ends well says on stderr where it was opened.
 *
 * @since 0.1.0
 */
import type { Row } from "@effect-scylla/protocol/RowDecoder"
import type { ColumnarPage, LazyRow } from "@effect-scylla/protocol/RowShape"
import type { Uuid } from "@effect-scylla/protocol/Uuid"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Item as BatchItem, Options as BatchOptions, Values } from "./Batch.ts"
import * as CqlClient from "./CqlClient.ts"
import type { CqlError } from "./CqlError.ts"
import type { ExecuteOptions } from "./ExecuteOptions.ts"
import type { Options as GroupedOptions } from "./Grouped.ts"
import { Calls, type Settled } from "./internal/calls.ts"
import { fromConfig } from "./internal/lazyConfig.ts"
import { note } from "./internal/unclosed.ts"
import type { Options as ManyOptions, Summary } from "./Many.ts"
import type * as Options from "./Options.ts"
import type { Prepared } from "./Prepared.ts"
import type { Coordinator, ResultSet, SchemaAgreement } from "./ResultSet.ts"
import type * as Schema from "./Schema.ts"
import { type Fragment, type Identifier, type InValues, type Part as StatementPart, Statement } from "./Statement.ts"
import type { Trace } from "./Trace.ts"

export * as Json from "@effect-scylla/protocol/Json"
export * as ServerError from "@effect-scylla/protocol/ServerError"
export * as Uuid from "@effect-scylla/protocol/Uuid"
export * as Value from "@effect-scylla/protocol/Value"
export type { Values } from "./Batch.ts"
export { CqlError, type CqlReason, type Outcome } from "./CqlError.ts"
export type { Profile } from "./ExecuteOptions.ts"
export type { Prepared } from "./Prepared.ts"
export type { Coordinator, ResultSet, SchemaAgreement } from "./ResultSet.ts"
export * as Schema from "./Schema.ts"

/**
 * What every call takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /** Gives the call up when it is aborted; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Options of one request. Times are milliseconds, or text such as `"3 seconds"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions extends ExecuteOptions, CallOptions {}

/**
 * How a client is opened: all options of `CqlClient.layer`, of which only `contactPoints` is needed, and those of this module. Times
 * are milliseconds, or text such as `"3 seconds"`; secrets may be plain text.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends Omit<Options.Options, "password" | "pagingSecret"> {
  readonly password?: string | Options.Options["password"]
  readonly pagingSecret?: string | Options.Options["pagingSecret"]
  /**
   * For programs that have layers of Effect: its services are the client's, a test's `Transport` for example, its clock, logger, tracer.
   */
  readonly layer?: Layer.Layer<never, unknown> | undefined
  /**
   * Whether errors have the stack of whoever waits for them. Default true: costs a call that succeeds nothing, and one that fails some
   * microseconds. `false`: the stack of where the client made the error.
   */
  readonly stacks?: boolean | undefined
  /** `false`: the process stays until the client is closed. Default true: only calls under way keep it. */
  readonly unref?: boolean | undefined
  /** Gives up connecting when it is aborted. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A node as the client sees it now.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeInfo extends Coordinator {
  readonly isLocal: boolean
  /** Whether it takes requests of this client now. */
  readonly isUp: boolean
  readonly releaseVersion: string
}

/**
 * A statement of a batch.
 *
 * @category models
 * @since 0.1.0
 */
export type Item = Query<any> | Prepared | string | readonly [statement: Prepared | string, values: Values]

/**
 * What may be a part of a template.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = Query<any> | Fragment | Identifier

/**
 * What became of one statement of many.
 *
 * @category models
 * @since 0.1.0
 */
export type GroupedOutcome =
  | { readonly ok: true; readonly coordinator: Coordinator }
  | { readonly ok: false; readonly error: CqlError }

/**
 * A statement: sent when it is awaited, and gives all its rows. Iterated, it is read page by page.
 *
 * @category models
 * @since 0.1.0
 */
export class Query<A = Row> implements PromiseLike<Array<A>>, AsyncIterable<A> {
  /** @internal */
  readonly statement: Statement<A>
  private readonly calls: Calls
  private readonly signal: AbortSignal | undefined
  private sent: Promise<Array<A>> | undefined = undefined

  /** @internal */
  constructor(calls: Calls, statement: Statement<A>, signal?: AbortSignal) {
    this.calls = calls
    this.statement = statement
    this.signal = signal
  }

  /** The text that is sent, with a `?` for each value. */
  get text(): string {
    return this.statement.text
  }

  get values(): ReadonlyArray<unknown> {
    return this.statement.values
  }

  /** The same statement with other options. */
  with({ signal, ...options }: RequestOptions): Query<A> {
    return new Query(this.calls, this.statement.with(options), signal ?? this.signal)
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a template is awaited
  then<B = Array<A>, C = never>(
    onRows?: ((rows: Array<A>) => B | PromiseLike<B>) | null,
    onError?: ((error: unknown) => C | PromiseLike<C>) | null
  ): Promise<B | C> {
    return this.rows().then(onRows, onError)
  }

  /** All rows: what awaiting the statement gives. */
  rows(): Promise<Array<A>> {
    return this.sent ??= this.calls.run(() => this.statement.asEffect(), this.signal)
  }

  /** One page: the first, or the one behind a paging state. */
  page(pagingState?: Uint8Array | null): Promise<ResultSet<A>> {
    return this.calls.run(() => this.statement.page(pagingState), this.signal)
  }

  /** A token for the page behind a result, for people outside; `undefined` after the last page. */
  toToken(result: ResultSet<any>): Promise<string | undefined> {
    return this.calls.run(() => this.statement.toToken(result), this.signal)
  }

  /** The page that such a token stands for. */
  pageOf(token: string): Promise<ResultSet<A>> {
    return this.calls.run(() => this.statement.pageOf(token), this.signal)
  }

  /** The first row, `undefined` where there is none. */
  async first(): Promise<A | undefined> {
    const found = await this.calls.run(() => this.statement.first, this.signal)
    return found._tag === "Some" ? found.value : undefined
  }

  /** The one row that there is; rejects with `NotOneRow` where there is none, or more than one. */
  one(): Promise<A> {
    return this.calls.run(() => this.statement.one, this.signal)
  }

  /** Whether a conditional statement was applied; true for all others. */
  applied(): Promise<boolean> {
    return this.calls.run(() => this.statement.applied, this.signal)
  }

  /** Page by page. */
  pages(): AsyncIterable<ResultSet<A>> {
    return pagesOf(this.calls, (pagingState) => this.statement.page(pagingState), this.signal)
  }

  [Symbol.asyncIterator](): AsyncIterator<A> {
    return rowsOf(this.pages(), this.signal)
  }
}

/** Bytes of a page up to which the next one is read ahead. */
const READ_AHEAD = 2 ** 20

/** Pages one after the other, one read ahead; who leaves the loop gives up what is under way. */
const pagesOf = <A>(
  calls: Calls,
  page: (pagingState: Uint8Array | undefined) => Effect.Effect<ResultSet<A>, CqlError>,
  signal: AbortSignal | undefined
): AsyncIterable<ResultSet<A>> => ({
  async *[Symbol.asyncIterator]() {
    const leaving = new AbortController()
    const both = signal === undefined ? leaving.signal : AbortSignal.any([signal, leaving.signal])
    // Whoever has left does not hear of it.
    const ask = (pagingState: Uint8Array | undefined) => calls.start(() => page(pagingState), both)
    try {
      let next: Promise<Settled<ResultSet<A>>> | undefined = ask(undefined)
      while (next !== undefined) {
        const result: ResultSet<A> = await calls.waited(next)
        const { bytes, pagingState } = result
        const isSmall = bytes <= READ_AHEAD
        next = pagingState !== null && isSmall ? ask(pagingState) : undefined
        yield result
        signal?.throwIfAborted()
        if (pagingState !== null && !isSmall) next = ask(pagingState)
      }
    } finally {
      leaving.abort()
    }
  }
})

async function* rowsOf<A>(
  pages: AsyncIterable<ResultSet<A>>,
  signal: AbortSignal | undefined
): AsyncGenerator<A, void, undefined> {
  for await (const { rows } of pages) {
    for (const row of rows) {
      yield row
      // What has come already is no more wanted than what has not.
      signal?.throwIfAborted()
    }
  }
}

/**
 * The schema of a client, as `Schemas` of `Schema` has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Schemas {
  /** A keyspace, read when it is asked for first; `undefined` where there is none of the name, or `schemaKeyspaces` leaves it out. */
  readonly keyspace: (name: string, options?: CallOptions) => Promise<Schema.Keyspace | undefined>
  /** A table of it. */
  readonly table: (keyspace: string, name: string, options?: CallOptions) => Promise<Schema.Table | undefined>
  /** All keyspaces but the servers' own, or those that `schemaKeyspaces` lets through. */
  readonly all: (options?: CallOptions) => Promise<Schema.Snapshot>
  /** What is known now; asks nobody. */
  readonly snapshot: () => Schema.Snapshot
  /** Reads again all that is known. */
  readonly refresh: (options?: CallOptions) => Promise<void>
  /** What changes from now on. Who waits for it alone is not kept alive by it: see `unref`. */
  readonly changes: (options?: CallOptions) => AsyncIterable<Schema.Change>
}

/**
 * The client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client extends AsyncDisposable {
  /** A statement whose values are bound, never written into the text. */
  <A = Row>(strings: TemplateStringsArray, ...args: ReadonlyArray<unknown>): Query<A>
  /** A name (`db("users")`, `db("shop", "users")`) to put into a template. */
  (...path: readonly [string, ...ReadonlyArray<string>]): Identifier
  /** The values of an `IN`, bound as one list. */
  readonly in: (values: ReadonlyArray<unknown>) => InValues
  /** Conditions of a template, all of which hold. */
  readonly and: (parts: ReadonlyArray<Part>) => Fragment
  /** Parts of a template with commas between. */
  readonly csv: (parts: ReadonlyArray<Part>) => Fragment
  /** The columns and values of an INSERT: a column that is `undefined` is left out. */
  readonly insert: (row: Readonly<Record<string, unknown>>) => Fragment
  /** The assignments of an UPDATE. */
  readonly update: (row: Readonly<Record<string, unknown>>, omit?: ReadonlyArray<string>) => Fragment
  /** The same client with other defaults for what is said of a request. */
  readonly with: (options: ExecuteOptions) => Client
  /** Prepares a statement, once for all who ask for the same text. Anything with values is prepared without that, too. */
  readonly prepare: (
    text: string,
    options?: { readonly keyspace?: string | undefined } & CallOptions
  ) => Promise<Prepared>
  /** Runs a statement and gives one page. */
  readonly execute: {
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: RequestOptions & { readonly rows: "arrays" }
    ): Promise<ResultSet<ReadonlyArray<unknown>>>
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: RequestOptions & { readonly rows: "lazy" }
    ): Promise<ResultSet<LazyRow>>
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: RequestOptions & { readonly rows: "columns" }
    ): Promise<ResultSet<ColumnarPage>>
    <A = Row>(statement: Prepared | string, values?: Values, options?: RequestOptions): Promise<ResultSet<A>>
  }
  /** Several writes in one request. */
  readonly batch: (items: ReadonlyArray<Item>, options?: BatchOptions & CallOptions) => Promise<ResultSet>
  /** Many writes as few requests, and what became of each. */
  readonly grouped: (
    items: ReadonlyArray<Item>,
    options?: GroupedOptions & CallOptions
  ) => Promise<ReadonlyArray<GroupedOutcome>>
  /** One statement with many rows of values. */
  readonly executeMany: (
    statement: Prepared | string,
    rows: Iterable<Values> | AsyncIterable<Values>,
    options?: ManyOptions & CallOptions
  ) => Promise<Summary>
  /** The rows of all pages, the next page on its way while this one is used. */
  readonly stream: <A = Row>(
    statement: Prepared | string,
    values?: Values,
    options?: RequestOptions
  ) => AsyncIterable<A>
  /** The pages. */
  readonly pages: <A = Row>(
    statement: Prepared | string,
    values?: Values,
    options?: RequestOptions
  ) => AsyncIterable<ResultSet<A>>
  /** A token for the page behind a result, and the paging state of such a token. */
  readonly toToken: (
    statement: Prepared | string,
    values: Values | undefined,
    result: ResultSet<any>
  ) => Promise<string | undefined>
  readonly fromToken: (statement: Prepared | string, values: Values | undefined, token: string) => Promise<Uint8Array>
  /** What servers noted of a request that was executed with `tracing: true`. */
  readonly trace: (of: ResultSet<any> | Uuid, options?: CallOptions) => Promise<Trace>
  /** The cluster as it is known now. */
  readonly nodes: () => ReadonlyArray<NodeInfo>
  /** What keyspaces hold, as data that is kept up to date: see `Schema`. */
  readonly schema: Schemas
  /** How requests found their way, and what the pools look like. */
  readonly stats: () => CqlClient.ShardAwareStats
  /** What happens to nodes from now on. Who waits for it alone is not kept alive by it: see `unref`. */
  readonly events: (options?: CallOptions) => AsyncIterable<CqlClient.NodeChange>
  /** Waits until every shard of every local node has its connection. */
  readonly connected: (options?: CallOptions) => Promise<void>
  /**
   * Whether the nodes that are up have the same schema, asked until they do or the `timeout` is over. Statements that change the schema wait
   * for it by themselves.
   */
  readonly schemaAgreement: (
    options?: CallOptions & { readonly timeout?: Duration.Input | undefined }
  ) => Promise<SchemaAgreement>
  /**
   * Refuses new calls, waits for those under way for `timeout` (default: `shutdownTimeout` of the options, 5 seconds), and closes
   * everything; what is left then fails. The second call waits for the same end.
   */
  readonly close: (options?: { readonly timeout?: Duration.Input | undefined }) => Promise<void>
}

const redacted = <A extends string>(secret: A | Redacted.Redacted<A> | undefined): Redacted.Redacted<A> | undefined =>
  typeof secret === "string" ? Redacted.make(secret) : secret

const millisOf = (given: Duration.Input): number => {
  const duration = Duration.fromInput(given)
  return duration._tag === "Some" ? Duration.toMillis(duration.value) : 0
}

const bare = (part: unknown): unknown => part instanceof Query ? part.statement : part

/** What is no list is refused where all of it is. */
const itemsOf = (items: ReadonlyArray<Item>): ReadonlyArray<BatchItem> =>
  (Array.isArray(items) ? items.map(bare) : items) as never

const partsOf = (parts: ReadonlyArray<Part>): ReadonlyArray<StatementPart> =>
  (Array.isArray(parts) ? parts.map(bare) : parts) as never

const facade = (
  cql: CqlClient.CqlClient,
  calls: Calls,
  context: Context.Context<never>,
  close: Client["close"]
): Client => {
  const run: Calls["run"] = (make, signal) => calls.run(make, signal)
  const tag = (first: TemplateStringsArray | string, ...rest: ReadonlyArray<unknown>): Query<any> | Identifier => {
    const made = (cql as any)(first, ...rest.map(bare)) as Statement<any> | Identifier
    return made instanceof Statement ? new Query(calls, made) : made
  }
  const execute = (statement: Prepared | string, values?: Values, options?: RequestOptions): Promise<any> => {
    if (options?.signal === undefined) return calls.run(() => cql.execute(statement, values, options))
    const { signal, ...own } = options
    return calls.run(() => cql.execute(statement, values, own), signal)
  }
  const split = <O extends CallOptions>(options: O | undefined) => {
    const { signal, ...own } = options ?? ({} as O)
    return { signal, own }
  }
  const pages = (statement: Prepared | string, values?: Values, options?: RequestOptions): AsyncIterable<any> => {
    const { own, signal } = split(options)
    return pagesOf(
      calls,
      (pagingState) => cql.execute(statement, values, pagingState === undefined ? own : { ...own, pagingState }),
      signal
    )
  }
  return Object.assign(tag as any, {
    in: cql.in,
    and: (parts: ReadonlyArray<Part>) => cql.and(partsOf(parts)),
    csv: (parts: ReadonlyArray<Part>) => cql.csv(partsOf(parts)),
    insert: cql.insert,
    update: cql.update,
    with: (options: ExecuteOptions) => facade(cql.with(options), calls, context, close),
    prepare: (text: string, options?: Parameters<Client["prepare"]>[1]) => {
      const { own, signal } = split(options)
      return run(() => cql.prepare(text, own), signal)
    },
    execute,
    batch: (items: ReadonlyArray<Item>, options?: BatchOptions & CallOptions) => {
      const { own, signal } = split(options)
      return run(() => cql.batch(itemsOf(items), own), signal)
    },
    grouped: async (items: ReadonlyArray<Item>, options?: GroupedOptions & CallOptions) => {
      const { own, signal } = split(options)
      const outcomes = await run(() => cql.grouped(itemsOf(items), own), signal)
      return outcomes.map((outcome): GroupedOutcome =>
        Result.isSuccess(outcome) ? { ok: true, coordinator: outcome.success } : { ok: false, error: outcome.failure }
      )
    },
    executeMany: (statement: Prepared | string, rows: Iterable<Values>, options?: ManyOptions & CallOptions) => {
      const { own, signal } = split(options)
      return run(() => cql.executeMany(statement, rows, own), signal)
    },
    stream: (statement: Prepared | string, values?: Values, options?: RequestOptions) => ({
      [Symbol.asyncIterator]: () => rowsOf(pages(statement, values, options), options?.signal)
    }),
    pages,
    toToken: (statement: Prepared | string, values: Values | undefined, result: ResultSet<any>) =>
      run(() => cql.toToken(statement, values, result)),
    fromToken: (statement: Prepared | string, values: Values | undefined, token: string) =>
      run(() => cql.fromToken(statement, values, token)),
    trace: (of: ResultSet<any> | Uuid, options?: CallOptions) => run(() => cql.trace(of), options?.signal),
    nodes: () =>
      cql.cluster().nodes.map(({ address, datacenter, hostId, isLocal, pool, port, rack, releaseVersion }) => ({
        address,
        datacenter,
        hostId,
        isLocal,
        isUp: pool?.isUp === true,
        port,
        rack,
        releaseVersion
      })),
    schema: {
      keyspace: (name, options) =>
        run(() => Effect.map(cql.schema.keyspace(name), Option.getOrUndefined), options?.signal),
      table: (keyspace, name, options) =>
        run(() => Effect.map(cql.schema.table(keyspace, name), Option.getOrUndefined), options?.signal),
      all: (options) => run(() => cql.schema.all, options?.signal),
      snapshot: cql.schema.snapshot,
      refresh: (options) => run(() => cql.schema.refresh, options?.signal),
      changes: (options) => iterate(cql.schema.changes, context, options?.signal)
    } satisfies Schemas,
    stats: cql.shardAwareStats,
    events: (options?: CallOptions) => iterate(cql.nodeChanges, context, options?.signal),
    connected: (options?: CallOptions) => run(() => cql.awaitConnected, options?.signal),
    schemaAgreement: (options?: CallOptions & { readonly timeout?: Duration.Input | undefined }) =>
      run(() => cql.schemaAgreement(options), options?.signal),
    close,
    [Symbol.asyncDispose]: () => close()
  }) as Client
}

/** Ends with the client, with the loop, or with the signal. */
const iterate = <A>(
  stream: Stream.Stream<A>,
  context: Context.Context<never>,
  signal: AbortSignal | undefined
): AsyncIterable<A> => {
  const aborted = signal === undefined ? Effect.never : Effect.callback<void>((resume) => {
    const abort = (): void => resume(Effect.void)
    if (signal.aborted) return abort()
    signal.addEventListener("abort", abort)
    return Effect.sync(() => signal.removeEventListener("abort", abort))
  })
  const all = Stream.toAsyncIterableWith(Stream.interruptWhen(stream, aborted), context)
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = all[Symbol.asyncIterator]()
      // What happens before it is asked for counts, too: a stream is subscribed to by the first question.
      let first: Promise<IteratorResult<A>> | undefined = iterator.next()
      first.catch(() => {})
      return {
        next: () => {
          const next = first ?? iterator.next()
          first = undefined
          return next
        },
        return: () => iterator.return?.() ?? Promise.resolve({ done: true, value: undefined })
      }
    }
  }
}

const open = async (
  given: Partial<ConnectOptions>,
  read: (options: Options.FromConfig) => Effect.Effect<Options.Options, CqlError>,
  opener: (...args: Array<never>) => unknown
): Promise<Client> => {
  const { layer, pagingSecret, password, shutdownTimeout, signal, stacks = true, unref = true, ...rest } = given ?? {}
  // Now, while whoever called is on the stack.
  const forget = note(!unref, opener)
  const scope = Scope.makeUnsafe()
  const opening = new Calls(Context.empty(), stacks)
  const closeScope = (): Promise<unknown> => Effect.runPromise(Scope.close(scope, Exit.void))
  try {
    const { context, cql } = await opening.run(
      () =>
        Effect.gen(function*() {
          const context = (layer === undefined
            ? Context.empty()
            : yield* Layer.buildWithScope(layer, scope)) as Context.Context<never>
          const making = Effect.gen(function*() {
            const options = yield* read({
              ...rest,
              // What is under way is waited for here.
              shutdownTimeout: 0,
              ...(password === undefined ? {} : { password: redacted(password) }),
              ...(pagingSecret === undefined ? {} : { pagingSecret: redacted(pagingSecret) })
            })
            return yield* Scope.provide(CqlClient.make(options), scope)
          })
          const cql = yield* Effect.provideContext(making, context)
          return { context: yield* Effect.provideContext(Effect.context<never>(), context), cql }
        }) as Effect.Effect<{ readonly context: Context.Context<never>; readonly cql: CqlClient.CqlClient }, CqlError>,
      signal
    )
    const calls = new Calls(context, stacks)
    let closing: Promise<void> | undefined
    const close: Client["close"] = ({ timeout = shutdownTimeout ?? "5 seconds" } = {}) =>
      closing ??= (async () => {
        await calls.drain(millisOf(timeout))
        forget()
        await closeScope()
      })()
    return facade(cql, calls, context, close)
  } catch (error) {
    forget()
    await closeScope()
    throw error
  }
}

/**
 * Opens a client. Resolves when at least one node of the local datacenter takes requests; rejects with one `CqlError` that says what to
 * do: wrong options, all of them, no contact point that answers, wrong credentials, an unknown datacenter or keyspace.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (options: ConnectOptions): Promise<Client> =>
  open(options, (options) => Effect.succeed(options as Options.Options), connect)

/**
 * {@link connect} by the environment: what is not given is read by its name, `CQL_CONTACT_POINTS` and others, in the table of the README.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connectConfig = (options: Partial<ConnectOptions> = {}): Promise<Client> =>
  open(options, fromConfig, connectConfig)
