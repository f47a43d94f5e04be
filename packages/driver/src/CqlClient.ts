/**
 * The client: a cluster to ask, as a service.
 *
 * The client is itself the template tag: ``yield* cql`SELECT name FROM users WHERE id = ${id}` `` binds `id` and gives the
 * rows. Requests go to a replica of their partition, on the connection of the core that owns it.
 *
 * @since 0.1.0
 */
import * as Background from "@effect-scylla/pool/Background"
import type * as NodePool from "@effect-scylla/pool/NodePool"
import { ProtocolVersions } from "@effect-scylla/pool/ProtocolVersions"
import * as Ticker from "@effect-scylla/pool/Ticker"
import { Encoded } from "@effect-scylla/protocol/Encoded"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import { type Row, RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import type { ColumnarPage, LazyRow } from "@effect-scylla/protocol/RowShape"
import type { Uuid } from "@effect-scylla/protocol/Uuid"
import { Writer } from "@effect-scylla/protocol/Writer"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Balancing from "./Balancing.ts"
import type * as Batch from "./Batch.ts"
import { CqlError, InvalidStatement, PagingTokenRefused } from "./CqlError.ts"
import * as ExecuteOptions from "./ExecuteOptions.ts"
import type * as Grouped from "./Grouped.ts"
import { Batching, refused } from "./internal/batching.ts"
import { expose } from "./internal/clientMetrics.ts"
import * as Cluster from "./internal/cluster.ts"
import { Core } from "./internal/core.ts"
import { over } from "./internal/defaults.ts"
import * as DriverConfig from "./internal/driverConfig.ts"
import { EncodedStatement } from "./internal/encodedStatement.ts"
import { executeMany } from "./internal/executeMany.ts"
import { ExecuteRequest, preparingTimedOut, tooLarge } from "./internal/executeRequest.ts"
import { sendGrouped } from "./internal/grouping.ts"
import { fromConfig } from "./internal/lazyConfig.ts"
import { misplaced, notSent } from "./internal/notSent.ts"
import { ownCodecs } from "./internal/ownCodecs.ts"
import type { PlainText } from "./internal/plainTexts.ts"
import { PreparedCache } from "./internal/preparedCache.ts"
import { told } from "./internal/preparing.ts"
import { Retries } from "./internal/retries.ts"
import type { RoutingCounters } from "./internal/router.ts"
import * as SchemaStore from "./internal/schema/store.ts"
import { AllSeries } from "./internal/series.ts"
import { SlowLog } from "./internal/slowLog.ts"
import { Speculator } from "./internal/speculator.ts"
import { learning } from "./internal/tabletLearning.ts"
import { Teacher } from "./internal/teacher.ts"
import { traceOf } from "./internal/tracing.ts"
import { inOrder, keyOf } from "./internal/values.ts"
import { Warnings } from "./internal/warnings.ts"
import type * as Many from "./Many.ts"
import * as Options from "./Options.ts"
import * as Paging from "./Paging.ts"
import { Prepared } from "./Prepared.ts"
import * as RequestMetrics from "./RequestMetrics.ts"
import type { ResultSet, SchemaAgreement } from "./ResultSet.ts"
import type { Schemas } from "./Schema.ts"
import * as Snapshot from "./Snapshot.ts"
import * as Statements from "./Statement.ts"
import { compile, Identifier, InValues, pages, type Runner, type Statement } from "./Statement.ts"
import type { Trace } from "./Trace.ts"

/**
 * Values of a prepared statement: in its order, or by the variables' names.
 *
 * @category models
 * @since 0.1.0
 */
export type Values = Batch.Values

/**
 * How requests found their way, and what the pools look like.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShardAwareStats {
  readonly isShardAware: boolean
  /** The version of the protocol that the control connection speaks; nodes of a cluster may differ during an upgrade. */
  readonly protocolVersion: 3 | 4 | 5
  /** How its frames are compressed, `undefined` where they are not. */
  readonly compression: "lz4" | "snappy" | undefined
  /** Requests by the connection they left on, seen from their token. */
  readonly routing: Readonly<RoutingCounters>
  /**
   * Of tables with tablets: how many tablets are known, how many lookups found one (`hits`) and how many did not, how many were
   * forgotten for the bound, and told unreadably.
   */
  readonly tablets: {
    readonly known: number
    readonly hits: number
    readonly misses: number
    readonly evicted: number
    readonly malformed: number
  }
  readonly nodes: ReadonlyArray<
    NodePool.Stats & { readonly hostId: string; readonly datacenter: string; readonly rack: string }
  >
}

/**
 * What happens to a node: it joins or leaves the cluster, or something happens to the pool of its connections.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeChange = Snapshot.NodeChange

/**
 * The service.
 *
 * @category models
 * @since 0.1.0
 */
export interface CqlClient {
  /** A statement whose values are bound, never written into the text. */
  <A = Row>(strings: TemplateStringsArray, ...args: ReadonlyArray<unknown>): Statement<A>
  /** A name (`cql("users")`, `cql("shop", "users")`) to put into a template. */
  (...path: readonly [string, ...ReadonlyArray<string>]): Identifier
  /** The values of an `IN`, bound as one list. */
  readonly in: (values: ReadonlyArray<unknown>) => InValues
  /** Conditions of a template, all of which hold. */
  readonly and: typeof Statements.and
  /** Parts of a template with commas between. */
  readonly csv: typeof Statements.csv
  /** The columns and values of an INSERT. */
  readonly insert: typeof Statements.insert
  /** The assignments of an UPDATE. */
  readonly update: typeof Statements.update
  /** The same client with other defaults for what is said of a request. */
  readonly with: (options: ExecuteOptions.ExecuteOptions) => CqlClient
  /**
   * Prepares a statement; prepared once for all who ask for the same text, and remembered. The templates and `execute`
   * with a text do this by themselves. `keyspace` is that of names without one, instead of the client's (protocol v5).
   */
  readonly prepare: (
    text: string,
    options?: { readonly keyspace?: string | undefined }
  ) => Effect.Effect<Prepared, CqlError>
  /**
   * Runs a statement and gives one page. A text with values is prepared first. Values are read when they are sent, which is the
   * end of the event loop's turn at the earliest, and again by a retry: buffers and objects among them stay as they are until
   * the effect has ended.
   */
  readonly execute: {
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: ExecuteOptions.ExecuteOptions & { readonly rows: "arrays" }
    ): Effect.Effect<ResultSet<ReadonlyArray<unknown>>, CqlError>
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: ExecuteOptions.ExecuteOptions & { readonly rows: "lazy" }
    ): Effect.Effect<ResultSet<LazyRow>, CqlError>
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: ExecuteOptions.ExecuteOptions & { readonly rows: "columns" }
    ): Effect.Effect<ResultSet<ColumnarPage>, CqlError>
    (
      statement: Prepared | string,
      values?: Values,
      options?: ExecuteOptions.ExecuteOptions
    ): Effect.Effect<ResultSet, CqlError>
  }
  /**
   * Several writes in one request: templates, texts, and prepared statements or texts with their values, in any mixture. It goes
   * where the first statement whose partition is known goes, and its outcome is that of all of them. Conditional statements in it
   * give rows and `wasApplied`.
   */
  readonly batch: (items: ReadonlyArray<Batch.Item>, options?: Batch.Options) => Effect.Effect<ResultSet, CqlError>
  /**
   * Many writes as few requests: unlogged batches of those that lie on the same replicas and the same core, bounded in bytes and number.
   * Answers for each statement, in their order, what became of it; fails as a whole only before anything is sent.
   */
  readonly grouped: (
    items: ReadonlyArray<Batch.Item>,
    options?: Grouped.Options
  ) => Effect.Effect<ReadonlyArray<Grouped.Outcome>, CqlError>
  /**
   * One statement with many rows of values, of an array, an iterable or a stream: so many at a time, each to the shard that owns it,
   * and the fiber is suspended once for all of them. Rows are taken when there is room, so they may be endless.
   */
  readonly executeMany: {
    (
      statement: Prepared | string,
      rows: Iterable<Values> | AsyncIterable<Values>,
      options?: Many.Options
    ): Effect.Effect<Many.Summary, CqlError>
    <E, R>(
      statement: Prepared | string,
      rows: Stream.Stream<Values, E, R>,
      options?: Many.Options
    ): Effect.Effect<Many.Summary, CqlError | E, R>
  }
  /**
   * What servers noted of a request that was executed with `tracing: true`, by its result or the id in that. Servers write it a moment
   * later, so it is looked for again for some seconds; fails with `TraceMissing` then.
   */
  readonly trace: (of: ResultSet<any> | Uuid) => Effect.Effect<Trace, CqlError>
  /** The rows of all pages, each page asked for when the one before is used up. */
  readonly stream: {
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: ExecuteOptions.ExecuteOptions & { readonly rows: "arrays" }
    ): Stream.Stream<ReadonlyArray<unknown>, CqlError>
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: ExecuteOptions.ExecuteOptions & { readonly rows: "lazy" }
    ): Stream.Stream<LazyRow, CqlError>
    (
      statement: Prepared | string,
      values: Values | undefined,
      options: ExecuteOptions.ExecuteOptions & { readonly rows: "columns" }
    ): Stream.Stream<ColumnarPage, CqlError>
    (
      statement: Prepared | string,
      values?: Values,
      options?: ExecuteOptions.ExecuteOptions
    ): Stream.Stream<Row, CqlError>
  }
  /**
   * A token for the page behind a result of this statement and these values, `undefined` after the last page: for people outside, who
   * cannot use it for anything else. See `Paging`.
   */
  readonly toToken: (
    statement: Prepared | string,
    values: Values | undefined,
    result: ResultSet<any>
  ) => Effect.Effect<string | undefined, CqlError>
  /**
   * The paging state of such a token, for `execute` with the option `pagingState`. Fails with `PagingTokenRefused` for a token that
   * does not belong to this statement and these values.
   */
  readonly fromToken: (
    statement: Prepared | string,
    values: Values | undefined,
    token: string
  ) => Effect.Effect<Uint8Array, CqlError>
  /** The cluster as it is known now. */
  readonly cluster: () => Snapshot.Snapshot
  /** What keyspaces hold, as data that is kept up to date: see `Schema`. */
  readonly schema: Schemas
  /** Whether requests are routed to shards: some node says it has them. */
  readonly isShardAware: () => boolean
  readonly shardAwareStats: () => ShardAwareStats
  /**
   * What happens to the cluster's nodes from now on: those that join and leave, and what their pools do (connections, failed
   * dials, up, down). A subscriber that is slow misses the oldest of what it has not read.
   */
  readonly nodeChanges: Stream.Stream<NodeChange>
  /**
   * Whether the nodes that are up have the same schema, asked until they do or the `timeout` is over (default: `schemaAgreementTimeout` of
   * the options). Statements that change the schema wait for it by themselves.
   */
  readonly schemaAgreement: (
    options?: { readonly timeout?: Duration.Input | undefined }
  ) => Effect.Effect<SchemaAgreement>
  /** Waits until every shard of every local node has its connection. */
  readonly awaitConnected: Effect.Effect<void, CqlError>
}

/**
 * @category services
 * @since 0.1.0
 */
export const CqlClient: Context.Service<CqlClient, CqlClient> = Context.Service<CqlClient>(
  "@effect-scylla/driver/CqlClient"
)

/** What runs statements, with tokens of prepared ones, too. */
interface OwnRunner extends Runner {
  readonly toToken: (
    statement: Prepared | string,
    values: Values | undefined,
    pagingState: Uint8Array,
    options?: ExecuteOptions.ExecuteOptions
  ) => Effect.Effect<string, CqlError>
  readonly fromToken: (
    statement: Prepared | string,
    values: Values | undefined,
    token: string,
    options?: ExecuteOptions.ExecuteOptions
  ) => Effect.Effect<Uint8Array, CqlError>
}

const NO_VALUES: ReadonlyArray<unknown> = []

const unsent = (statement: string, message: string): CqlError => notSent(new InvalidStatement({ message }), statement)

/** The facts that a caller gets wrong with a text. */
const refuse = (text: string, isUse: (text: string) => boolean): CqlError | undefined =>
  typeof text !== "string"
    ? unsent(format(text), `a statement is a text, got ${format(text)}`)
    : isUse(text)
    ? unsent(
      text,
      "USE would change one connection of many: set `keyspace` of the client, or name the keyspace in the statement"
    )
    : undefined

/** An error that was found in what the caller gave, before anything was sent; others are bugs. */
const failed = (error: unknown, statement: string): Effect.Effect<never, CqlError> => {
  if (!(error instanceof InvalidStatement || error instanceof EncodeError)) throw error
  return Effect.fail(notSent(error, statement))
}

/**
 * Connects to a cluster. Succeeds when at least one node of the local datacenter takes requests, the rest follows in the
 * background; everything is closed, with requests in flight drained, at the end of the scope.
 *
 * Fails with one `CqlError` that says what to do: wrong options, no contact point that answers, wrong credentials, an
 * unknown datacenter or keyspace.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options.Options): Effect.Effect<CqlClient, CqlError, Scope.Scope> =>
  Effect.gen(function*() {
    const checked = yield* Options.check(options)
    const scope = yield* Effect.scope
    const ticker = yield* Ticker.make
    const context = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const all = new AllSeries(context)
    const seriesOf = (profile: string | undefined, label: string | undefined) => all.of(profile, label)
    const balancing = Option.getOrUndefined(
      Context.getOption(context as Context.Context<Balancing.Policy>, Balancing.Balancing)
    )
    const defaults: ExecuteOptions.Resolved = {
      ...checked.defaults,
      series: all.default,
      way: checked.defaults.way ??
        (balancing === undefined
          ? undefined
          : { target: undefined, routingKey: undefined, keyBytes: undefined, balancing })
    }
    const profiles = new Map(
      Object.entries(options.profiles ?? {}).map(([name, profile]) =>
        [name, ExecuteOptions.profileOf(defaults, name, profile, seriesOf)] as const
      )
    )
    const core = new Core({
      ticker,
      resolver: new ExecuteOptions.Resolver(defaults, seriesOf, profiles),
      clock,
      clientTimestamps: options.timestamps !== "server",
      maxRows: checked.maxRows,
      decoders: new RowDecoders(options.codec),
      codec: options.codec,
      warnings: new Warnings(context, clock),
      snapshot: Snapshot.make("", "", [], []),
      retries: new Retries(checked.retryBudget, checked.speculationBudget, () => random.nextDoubleUnsafe()),
      speculator: yield* Speculator.make,
      slowLog: checked.slow === undefined ? undefined : new SlowLog(checked.slow, context, clock),
      isInTurns: options.replicas === "turns",
      failover: checked.failover,
      keyspace: options.keyspace
    })
    const cache = new PreparedCache(core, scope, { count: checked.maxPrepared, bytes: checked.maxPreparedBytes })
    if (options.prepareEverywhere !== false) cache.teacher = yield* Teacher.make(cache.teach)
    const schema = checked.schema === undefined ? undefined : yield* SchemaStore.make({
      allows: guarded(core, checked.schema.allows),
      wants: guarded(core, checked.schema.wants),
      timeoutMillis: checked.defaults.timeoutMillis,
      whileOpen: (effect) => core.whileOpen(effect),
      source: { query: (text) => cluster.query(text), isScylla: () => cluster.isScyllaDB }
    })
    const cluster: Cluster.Cluster = yield* Cluster.make({
      schema,
      contactPoints: checked.contactPoints,
      localDatacenter: options.localDatacenter,
      core,
      session: {
        ...checked.session,
        ticker,
        versions: new ProtocolVersions(),
        driverConfig: DriverConfig.make(options, checked)
      },
      pool: checked.pool,
      port: checked.port,
      addressTranslator: options.addressTranslator,
      clientRoutes: options.clientRoutes,
      waitMillis: checked.waitMillis,
      agreementMillis: checked.agreementMillis,
      refreshMillis: checked.refreshMillis,
      clusterName: checked.clusterName,
      localRack: options.localRack,
      hostFilter: options.hostFilter,
      failover: checked.failover,
      warmUp: options.tablets?.warmUp === true,
      onUp: (hostId) => cache.nodeUp(hostId)
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        core.close()
      })
    )
    const secret = options.pagingSecret === undefined ? undefined : Redacted.value(options.pagingSecret)
    const cql = fromCore(core, cache, cluster, SchemaStore.schemasOf(schema), secret)
    const { reprepare, refresh } = cache
    const schemaChanged: typeof cluster.schemaChanged = (connection, change, leftMillis) => {
      const until = clock.currentTimeMillisUnsafe() + leftMillis
      const known = Effect.suspend(() => schema?.settle(change, until - clock.currentTimeMillisUnsafe()) ?? Effect.void)
      return Effect.tap(cluster.schemaChanged(connection, change, leftMillis), known)
    }
    if (schema !== undefined) {
      yield* Effect.forkScoped(Background.run(schema.run))
      if (checked.schema?.isEager) yield* schema.eager
    }
    core.slow = { reprepare, refresh, schemaChanged, learnTablet: learning(scope, context, cql.execute) }
    yield* exposed(core, cache)
    return cql
  })

/** A function of the user's, which servers' events come to. */
const guarded = ({ warnings }: Core, allows: (keyspace: string) => boolean) => (keyspace: string): boolean => {
  try {
    return allows(keyspace)
  } catch (error) {
    warnings.warn("schemaKeyspaces", `schemaKeyspaces has thrown, the keyspace is left out: ${String(error)}`)
    return false
  }
}

/** What is measured of a client as a whole. */
const exposed = (core: Core, cache: PreparedCache): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    yield* expose(RequestMetrics.prepared, {}, () => cache.size)
    yield* expose(RequestMetrics.preparedEvictions, {}, () => cache.evictions)
    yield* expose(RequestMetrics.tablets, { result: "hit" }, () => core.tablets.hits)
    yield* expose(RequestMetrics.tablets, { result: "miss" }, () => core.tablets.misses)
    for (const route of Object.keys(core.counters) as Array<keyof RoutingCounters>) {
      yield* expose(RequestMetrics.routes, { route }, () => core.counters[route])
    }
  })

const fromCore = (
  core: Core,
  cache: PreparedCache,
  cluster: Cluster.Cluster,
  schema: Schemas,
  secret: string | undefined
): CqlClient => {
  const batching = new Batching(core, cache)
  const isUse = (text: string): boolean => core.texts.of(text).isUse
  /** May throw: values by name may lack one, options may be wrong. */
  const bound = (
    prepared: Prepared,
    values: Values,
    options: ExecuteOptions.Resolved,
    whole: boolean,
    deadline?: number
  ): ExecuteRequest =>
    values instanceof Encoded ? withBytes(prepared, values, options, whole) : new ExecuteRequest(
      core,
      prepared,
      inOrder(prepared, values),
      options,
      whole,
      deadline
    )
  /** Values that are bytes already; of a prepared statement they say where it goes, if they are as many as it takes. */
  const withBytes = (
    statement: Prepared | PlainText,
    encoded: Encoded,
    options: ExecuteOptions.Resolved,
    whole: boolean
  ): ExecuteRequest => {
    const keyed = statement.form === "prepared" && options.way === undefined
      ? ExecuteOptions.withKey(options, keyOf(statement, encoded))
      : options
    return new ExecuteRequest(core, new EncodedStatement(statement, encoded), NO_VALUES, keyed, whole)
  }
  /** Prepares the text and runs it, all in the time of one request. */
  const prepareAndRun = (
    text: string,
    values: Values,
    resolved: ExecuteOptions.Resolved,
    whole: boolean
  ): Effect.Effect<any, CqlError> =>
    Effect.suspend(() => {
      const millis = ExecuteOptions.timeoutOf(resolved, core.texts.of(text).kind)
      const deadline = core.ticker.deadline(millis)
      const preparing = Effect.timeoutOrElse(cache.prepare(text, resolved.keyspace), {
        duration: millis,
        orElse: () => Effect.fail(notSent(preparingTimedOut(), text))
      })
      return Effect.flatMap(told(core, resolved, text, preparing), (prepared) => {
        try {
          return bound(prepared, values, resolved, whole, deadline)
        } catch (error) {
          return failed(error, text)
        }
      })
    })
  const run = (
    statement: Prepared | string,
    values: Values,
    options: ExecuteOptions.ExecuteOptions | undefined,
    whole: boolean
  ): Effect.Effect<any, CqlError> => {
    if (typeof values !== "object" || values === null) {
      throw new InvalidStatement({
        message: `values are a list, or an object with a value for each name, got ${format(values)}`
      })
    }
    const resolved = core.resolver.resolve(options)
    const { keyspace } = resolved
    if (statement instanceof Prepared) {
      // Of another client, which is told of other changes: by its text.
      if (statement.owner !== core.schema) {
        return run(statement.text, values, { ...options, keyspace: keyspace ?? statement.givenKeyspace }, whole)
      }
      return keyspace === undefined || keyspace === statement.givenKeyspace
        ? bound(statement, values, resolved, whole)
        : Effect.fail(misplaced(statement, keyspace))
    }
    if (typeof statement !== "string") {
      throw new InvalidStatement({
        message: `what is executed is a text or a prepared statement, got ${format(statement)}`
      })
    }
    if (values instanceof Encoded) {
      const refused = refuse(statement, isUse)
      return refused === undefined
        ? withBytes(core.texts.of(statement), values, resolved, whole)
        : Effect.fail(refused)
    }
    const isEmpty = Array.isArray(values) ? values.length === 0 : Object.keys(values).length === 0
    if (!isEmpty) {
      const known = cache.get(statement, keyspace)
      if (known !== undefined) return bound(known, values, resolved, whole)
    }
    const refused = refuse(statement, isUse)
    if (refused !== undefined) return Effect.fail(refused)
    const text = core.texts.of(statement)
    // Variables without values are for the encoder to refuse, which knows their names and types.
    return isEmpty && !text.hasVariables
      ? new ExecuteRequest(core, text, NO_VALUES, resolved, whole)
      : prepareAndRun(statement, values, resolved, whole)
  }
  const execute = (
    statement: Prepared | string,
    values: Values = NO_VALUES,
    options?: ExecuteOptions.ExecuteOptions
  ): Effect.Effect<any, CqlError> => {
    try {
      return run(statement, values, options, false)
    } catch (error) {
      const text = typeof statement === "string" ? statement : format((statement as Prepared | undefined)?.text)
      return failed(error, text)
    }
  }
  const rows: Runner["rows"] = (text, values, options) => {
    try {
      return run(text, values, options, true)
    } catch (error) {
      return failed(error, text)
    }
  }
  const pagesUntil: Runner["pages"] = (text, values, options, wanted) => {
    const more = (
      all: Array<ResultSet>,
      { pagingState, rows }: ResultSet,
      before: number
    ): Effect.Effect<ReadonlyArray<ResultSet>, CqlError> => {
      const count = before + rows.length
      if (pagingState === null || count >= wanted) return Effect.succeed(all)
      if (count > core.maxRows) return Effect.fail(tooLarge(core.maxRows, text))
      return Effect.flatMap(
        execute(text, values, { ...options, pagingState }),
        (page: ResultSet) => {
          all.push(page)
          return more(all, page, count)
        }
      )
    }
    return Effect.flatMap(execute(text, values, options), (page: ResultSet) => more([page], page, 0))
  }
  const prepare = (text: string, keyspace: string | undefined): Effect.Effect<Prepared, CqlError> =>
    Effect.timeoutOrElse(cache.prepare(text, keyspace), {
      duration: core.defaults.timeoutMillis,
      orElse: () => Effect.fail(notSent(preparingTimedOut(), text))
    })
  /** Also that of a profile; or what is wrong with the options. */
  const keyspaceOf = (options: ExecuteOptions.ExecuteOptions | undefined): string | undefined | InvalidStatement => {
    try {
      return core.resolver.resolve(options).keyspace
    } catch (error) {
      if (error instanceof InvalidStatement) return error
      throw error
    }
  }
  /** What a token is bound to: for a prepared statement the values as they are sent. */
  const boundTo = (
    statement: Prepared | string,
    values: Values = NO_VALUES,
    options?: ExecuteOptions.ExecuteOptions
  ): Effect.Effect<Paging.Bound, CqlError> => {
    const text = statement instanceof Prepared ? statement.text : statement
    const refused = refuse(text, isUse)
    if (refused !== undefined) return Effect.fail(refused)
    const given = keyspaceOf(options)
    if (typeof given === "object") return Effect.fail(notSent(given, text))
    const keyspace = given ?? (statement instanceof Prepared ? statement.givenKeyspace : undefined)
    if (!core.texts.of(text).hasVariables) {
      return Effect.succeed({ text, keyspace: keyspace ?? core.keyspace ?? "", values: new Uint8Array(0), secret })
    }
    return Effect.flatMap(cache.prepare(text, keyspace), (prepared) => {
      try {
        const writer = new Writer(256)
        prepared.encoder.write(writer, inOrder(prepared, values))
        return Effect.succeed({ text, keyspace: prepared.keyspace, values: writer.toUint8Array(), secret })
      } catch (error) {
        return failed(error, text)
      }
    })
  }
  const fromToken = (
    statement: Prepared | string,
    values: Values | undefined,
    token: string,
    options?: ExecuteOptions.ExecuteOptions
  ): Effect.Effect<Uint8Array, CqlError> =>
    Effect.flatMap(boundTo(statement, values, options), (bound) => {
      const state = Paging.fromToken(bound, token)
      return typeof state !== "string" ? Effect.succeed(state) : Effect.fail(
        new CqlError({
          reason: new PagingTokenRefused({ message: `the paging token was refused: ${state}` }),
          attempts: [],
          statement: bound.text
        })
      )
    })
  const runner: OwnRunner = {
    page: execute,
    rows,
    pages: pagesUntil,
    home: (options) => {
      const said = keyspaceOf(options)
      return { client: core, said: typeof said === "object" ? undefined : said, usual: core.keyspace }
    },
    describe: (text, options) => {
      const refused = refuse(text, isUse)
      if (refused !== undefined) return Effect.fail(refused)
      const { hasVariables, kind } = core.texts.of(text)
      if (!hasVariables && kind.type !== "read" && kind.type !== "write") return Effect.undefined
      const keyspace = keyspaceOf(options)
      if (typeof keyspace === "object") return Effect.fail(notSent(keyspace, text))
      return Effect.map(prepare(text, keyspace), ({ columns, variables }) => ({
        columns,
        variables,
        hasOwnCodecs: core.codec !== undefined,
        isOwn: ownCodecs(core.codec)
      }))
    },
    toToken: (text, values, pagingState, options) =>
      Effect.map(boundTo(text, values, options), (bound) => Paging.toToken(bound, pagingState)),
    fromToken
  }
  const tag = (first: TemplateStringsArray | string, ...rest: ReadonlyArray<unknown>): Statement<any> | Identifier => {
    if (typeof first === "string") return new Identifier([first, ...rest as ReadonlyArray<string>])
    return compile(runner, first, rest)
  }
  const isShardAware = (): boolean => core.snapshot.local.some((node) => node.pool?.sharding !== undefined)
  const client: CqlClient = Object.assign(tag as any, {
    and: Statements.and,
    csv: Statements.csv,
    insert: Statements.insert,
    update: Statements.update,
    with: (options: ExecuteOptions.ExecuteOptions) => withDefaults(client, runner, options),
    in: (values: ReadonlyArray<unknown>) => new InValues(values),
    prepare: (text: string, options?: { readonly keyspace?: string | undefined }) => {
      const keyspace = keyspaceOf(options)
      return typeof keyspace === "object"
        ? Effect.fail(notSent(keyspace, text))
        : refuse(text, isUse) ?? prepare(text, keyspace)
    },
    execute,
    batch: (items: ReadonlyArray<Batch.Item>, options?: Batch.Options) => {
      try {
        return batching.run(items, options)
      } catch (error) {
        return Effect.fail(refused(error))
      }
    },
    grouped: (items: ReadonlyArray<Batch.Item>, options?: Grouped.Options) => {
      try {
        return sendGrouped(core, batching, items, options)
      } catch (error) {
        return Effect.fail(refused(error))
      }
    },
    toToken: (statement: Prepared | string, values: Values | undefined, { pagingState }: ResultSet<any>) =>
      pagingState === null
        ? Effect.succeed(undefined)
        : Effect.map(boundTo(statement, values), (bound) => Paging.toToken(bound, pagingState)),
    fromToken,
    trace: (of: ResultSet<any> | Uuid) => traceOf(execute, of),
    executeMany: (statement: Prepared | string, rows: any, options?: Many.Options) =>
      executeMany(core, cache, statement, rows, options),
    stream: (statement: Prepared | string, values?: Values, options?: ExecuteOptions.ExecuteOptions) =>
      pages((pagingState) => execute(statement, values, pagingState === null ? options : { ...options, pagingState })),
    cluster: () => core.snapshot,
    schema,
    isShardAware,
    shardAwareStats: (): ShardAwareStats => ({
      isShardAware: isShardAware(),
      ...cluster.negotiated!,
      routing: { ...core.counters },
      tablets: {
        known: core.tablets.size,
        hits: core.tablets.hits,
        misses: core.tablets.misses,
        evicted: core.tablets.evictions,
        malformed: core.malformedTablets
      },
      nodes: core.snapshot.local.flatMap(({ datacenter, hostId, pool, rack }) =>
        pool === undefined ? [] : [{ ...pool.stats, hostId, datacenter, rack }]
      )
    }),
    nodeChanges: cluster.changes,
    schemaAgreement: (options?: { readonly timeout?: Duration.Input | undefined }) =>
      cluster.agreement(
        undefined,
        options?.timeout === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(options.timeout))
      ),
    awaitConnected: core.whileOpen(
      Effect.suspend(() =>
        Effect.forEach(core.snapshot.local, (node) => node.pool?.awaitFull ?? Effect.void, {
          concurrency: "unbounded",
          discard: true
        })
      )
    )
  }) as CqlClient
  return client
}

/** The client, with these options where a call has none of its own. */
const withDefaults = (cql: CqlClient, runner: OwnRunner, defaults: ExecuteOptions.ExecuteOptions): CqlClient => {
  const own = <O extends object>(options: O | undefined): O => over(defaults, options)
  const { pageSize: _, pagingState: __, rows: ___, ...ofBatch } = defaults
  const where = { keyspace: defaults.keyspace, profile: defaults.profile }
  const mine: Runner = {
    page: (text, values, options) => runner.page(text, values, own(options)),
    rows: (text, values, options) => runner.rows(text, values, own(options)),
    pages: (text, values, options, wanted) => runner.pages(text, values, own(options), wanted),
    describe: (text, options) => runner.describe(text, own(options)),
    home: (options) => runner.home(own(options)),
    toToken: (text, values, pagingState, options) => runner.toToken(text, values, pagingState, own(options)),
    fromToken: (text, values, token, options) => runner.fromToken(text, values, token, own(options))
  }
  const tag = (first: TemplateStringsArray | string, ...rest: ReadonlyArray<unknown>): unknown =>
    typeof first === "string"
      ? new Identifier([first, ...rest as ReadonlyArray<string>])
      : compile(mine, first, rest)
  return Object.assign(tag as any, cql, {
    with: (options: ExecuteOptions.ExecuteOptions) => withDefaults(cql, runner, own(options)),
    prepare: (text: string, options?: { readonly keyspace?: string | undefined }) =>
      cql.prepare(text, options?.keyspace === undefined ? where : options),
    execute: (statement: Prepared | string, values?: Values, options?: ExecuteOptions.ExecuteOptions) =>
      cql.execute(statement, values, own(options)),
    stream: (statement: Prepared | string, values?: Values, options?: ExecuteOptions.ExecuteOptions) =>
      cql.stream(statement, values, own(options)),
    toToken: (statement: Prepared | string, values: Values | undefined, { pagingState }: ResultSet<any>) =>
      pagingState === null
        ? Effect.succeed(undefined)
        : runner.toToken(statement, values, pagingState, defaults),
    fromToken: (statement: Prepared | string, values: Values | undefined, token: string) =>
      runner.fromToken(statement, values, token, defaults),
    batch: (items: ReadonlyArray<Batch.Item>, options?: Batch.Options) => cql.batch(items, over(ofBatch, options)),
    grouped: (items: ReadonlyArray<Batch.Item>, options?: Grouped.Options) =>
      cql.grouped(items, over(ofBatch, options)),
    executeMany: (statement: Prepared | string, rows: any, options?: Many.Options) =>
      cql.executeMany(statement, rows, own(options))
  }) as CqlClient
}

/**
 * The client as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options.Options): Layer.Layer<CqlClient, CqlError> =>
  Layer.effect(CqlClient, make(options))

/**
 * The client as a layer whose options come from the configuration: every field may be a `Config`, and what is not given is read by
 * its name, `CQL_CONTACT_POINTS` (a list) among others. One error names every field that is wrong.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Options.FromConfig = {}): Layer.Layer<CqlClient, CqlError> =>
  Layer.effect(CqlClient, Effect.flatMap(fromConfig(options), make))
