/**
 * The lean client for `async`/`await`: what {@link AlternatorClient} does, as promises and async iterables.
 *
 * ```ts
 * import { connect } from "@effect-scylla/alternator/promise"
 *
 * await using db = await connect({ seeds: "10.0.0.1:8000" })
 * const { Item } = await db.getItem({ TableName: "users", Key: { id: 1 } })
 * for await (const user of db.paging.scan({ TableName: "users" })) console.log(user)
 * ```
 *
 * What it does by itself (nodes, retries, deadlines, health) is what is said of {@link AlternatorClient}. Besides:
 *
 * - **Failures** are {@link AlternatorError}s, with `reason`, `outcome` and `isSafeToRetry`. Their stack leads to the line that
 *   waited, `await db.getItem(…)`; `stacks: false` leaves that out.
 * - **Aborts**: every call takes a `signal`. When it is aborted the request is given up, and the promise rejects with the
 *   signal's reason; a write may have been applied then.
 * - **Streams** ask for a page when the one before is used up; leaving the loop gives up what is under way. Each loop over the
 *   same iterable begins anew.
 * - **The end**: {@link Client.close}, or `await using`. A client that is not closed keeps no process alive (see
 *   {@link ConnectOptions.unref}), and unless `NODE_ENV` is `production` a process that ends well says on stderr where it was
 *   opened.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as AlternatorClient from "./AlternatorClient.ts"
import { AlternatorError, Closed } from "./AlternatorError.ts"
import * as AlternatorNodes from "./AlternatorNodes.ts"
import type * as AlternatorTable from "./AlternatorTable.ts"
import * as AlternatorTransport from "./AlternatorTransport.ts"
import type { ReadItem } from "./AttributeValue.ts"
import * as Batches from "./Batches.ts"
import { Calls, type Failures, ofPromise } from "./internal/calls.ts"
import { type Measure, measures } from "./internal/measures.ts"
import { note } from "./internal/unclosed.ts"
import * as Operations from "./Operations.ts"
import * as Paging from "./Paging.ts"
import * as Retry from "./Retry.ts"
import * as Waiters from "./Waiters.ts"

export { AlternatorError, type AlternatorReason, type Attempt, type Outcome } from "./AlternatorError.ts"
export { type Item, NumberValue, type ReadItem, UnknownValue, type Value } from "./AttributeValue.ts"
export { clientCertificate, sigV4 } from "./Auth.ts"
export type { Measure } from "./internal/measures.ts"
export * as RoutingScope from "./RoutingScope.ts"

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
export interface RequestOptions extends AlternatorClient.RequestOptions, CallOptions {}

/**
 * How a client is opened: all options of `AlternatorClient.layer`, of which only `seeds` is needed, and those of this module.
 * Times are milliseconds, or text such as `"3 seconds"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends Omit<AlternatorClient.Options, "resolve" | "transport"> {
  /** Addresses of a seed's name. Default: the system's resolver, asked again every 30 seconds. */
  readonly resolve?: ((name: string) => Promise<ReadonlyArray<string>>) | undefined
  /** Options of the connections, or how requests reach nodes instead: a test's own transport. Default: over undici. */
  readonly transport?: AlternatorTransport.UndiciOptions | AlternatorTransport.AlternatorTransport | undefined
  /**
   * For programs that have layers of Effect: what it has of `AlternatorTransport`, `AlternatorNodes` and `AlternatorClient` is
   * used, and its clock, logger, tracer and metrics are the client's. The simulated transports of testkit are such layers.
   */
  readonly layer?: Layer.Layer<never, unknown> | undefined
  /**
   * Whether errors have the stack of whoever waits for them. Default: true. Costs a call that succeeds nothing, and one that
   * fails about 7 µs (`bench/promise.ts`); without, the stack shows where the client made the error.
   */
  readonly stacks?: boolean | undefined
  /** `false`: the process stays until the client is closed. Default: true, only calls under way keep it. */
  readonly unref?: boolean | undefined
  /** Gives up connecting when it is aborted. Later it has no effect. */
  readonly signal?: AbortSignal | undefined
}

/**
 * How a client is closed.
 *
 * @category models
 * @since 0.1.0
 */
export interface CloseOptions {
  /**
   * For calls under way to end by themselves, in milliseconds or as text; what is left then fails with the reason `Closed`.
   * Default: 0. Streams end at once in either case.
   */
  readonly timeout?: Duration.Input | undefined
}

/**
 * All pages of queries, scans and lists, as `Paging` has them. A page is asked for when the one before is used up.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientPaging {
  /** The items of a query. */
  readonly query: (input: Operations.QueryInput, options?: RequestOptions) => AsyncIterable<ReadItem>
  /** The pages of a query. */
  readonly queryPages: (input: Operations.QueryInput, options?: RequestOptions) => AsyncIterable<Operations.Page>
  /** The items of a scan, of `segments` parts of the table side by side; in no order when there are several. */
  readonly scan: (
    input: Omit<Operations.ScanInput, "Segment" | "TotalSegments">,
    options?: RequestOptions & { readonly segments?: number | undefined }
  ) => AsyncIterable<ReadItem>
  /** The pages of a scan. */
  readonly scanPages: (
    input: Omit<Operations.ScanInput, "Segment" | "TotalSegments">,
    options?: RequestOptions & { readonly segments?: number | undefined }
  ) => AsyncIterable<Operations.Page>
  /** The names of all tables. */
  readonly listTables: (
    input?: Omit<Operations.ListTablesInput, "ExclusiveStartTableName">,
    options?: RequestOptions
  ) => AsyncIterable<string>
}

/**
 * Batches of any size, done completely, as `Batches` has them.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientBatches {
  /** Writes all, by table, in no order; of several writes to one key the last. */
  readonly write: (
    requests: Readonly<Record<string, ReadonlyArray<Operations.WriteRequest>>>,
    options?: Batches.BatchOptions & CallOptions
  ) => Promise<void>
  /** Reads all keys: the items that exist, by table, in no order, each once. */
  readonly get: (
    requests: Readonly<Record<string, Operations.KeysAndAttributes>>,
    options?: Batches.BatchOptions & CallOptions
  ) => Promise<Record<string, Array<ReadItem>>>
}

/**
 * Waiting for tables, as `Waiters` has it. Fails with the reason `WaitTimeout` after `patience`, 60 seconds by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientWaiters {
  /** Until the table exists and takes requests. */
  readonly tableExists: (
    table: string,
    options?: Waiters.WaitOptions & CallOptions
  ) => Promise<Operations.TableDescription>
  /** Until there is no such table. */
  readonly tableNotExists: (table: string, options?: Waiters.WaitOptions & CallOptions) => Promise<void>
}

/**
 * The nodes that requests go to.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientNodes {
  /** As they are known now. */
  readonly current: () => AlternatorNodes.NodesSnapshot
  /** Now, and after each change. Does not end by itself; keeps no process alive. */
  readonly changes: (options?: CallOptions) => AsyncIterable<AlternatorNodes.NodesSnapshot>
  /** Waits until they are as `predicate` wants them. */
  readonly awaitNodes: (
    predicate: (snapshot: AlternatorNodes.NodesSnapshot) => boolean,
    options?: CallOptions
  ) => Promise<AlternatorNodes.NodesSnapshot>
  /** Looks now. */
  readonly refresh: (options?: CallOptions) => Promise<AlternatorNodes.NodesSnapshot>
  /** Milliseconds since a server last confirmed them; none before. */
  readonly age: () => number | undefined
}

/**
 * A table typed by its schema, on a client.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientTable<Item, Partition, Key> {
  readonly name: string
  /** Creates it, billed by request, and waits until it takes requests. */
  readonly create: (
    more?: Partial<Operations.CreateTableInput>,
    options?: CallOptions
  ) => Promise<Operations.TableDescription>
  readonly put: (
    item: Item,
    more?: Omit<Operations.PutItemInput, "TableName" | "Item" | "ReturnValues">,
    options?: RequestOptions
  ) => Promise<void>
  /** The item, if there is one. */
  readonly get: (
    key: Key,
    options?: RequestOptions & { readonly consistent?: boolean | undefined }
  ) => Promise<Item | undefined>
  readonly remove: (
    key: Key,
    more?: Omit<Operations.DeleteItemInput, "TableName" | "Key" | "ReturnValues">,
    options?: RequestOptions
  ) => Promise<void>
  /** All items of a partition, in the order of the sort key. */
  readonly query: (
    partition: Partition,
    more?: Pick<Operations.QueryInput, "ConsistentRead" | "Limit" | "ScanIndexForward">,
    options?: RequestOptions
  ) => AsyncIterable<Item>
  readonly scan: (
    more?: Pick<Operations.ScanInput, "ConsistentRead" | "Limit">,
    options?: RequestOptions & { readonly segments?: number | undefined }
  ) => AsyncIterable<Item>
  /** Puts any number of items, in batches; of several with one key the last. */
  readonly putAll: (items: ReadonlyArray<Item>, options?: Batches.BatchOptions & CallOptions) => Promise<void>
}

type Of<F extends Schema.Struct.Fields, K extends keyof F> = { readonly [P in K]: F[P]["Type"] }

/**
 * The operations of the DynamoDB API, by their names: `getItem`, `putItem` and so on. `query`, `scan` and `listTables` are one
 * page, see {@link Client.paging}; `batchWriteItem` and `batchGetItem` may leave some undone, see {@link Client.batches}.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientOperations = {
  readonly [Op in Operations.Operation as Uncapitalize<Op>]: (
    input: Operations.Input<Op>,
    options?: RequestOptions
  ) => Promise<Operations.Output<Op>>
}

/**
 * A client that is open. All promises reject with an {@link AlternatorError}, unless a signal was aborted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client extends ClientOperations, AsyncDisposable {
  /** Any operation by its name, `GetItem` for example. */
  readonly execute: <Op extends Operations.Operation>(
    operation: Op,
    input: Operations.Input<Op>,
    options?: RequestOptions
  ) => Promise<Operations.Output<Op>>
  readonly paging: ClientPaging
  readonly batches: ClientBatches
  readonly waiters: ClientWaiters
  readonly nodes: ClientNodes
  /** A table that `AlternatorTable.make` has typed by a Schema. */
  readonly table: <F extends Schema.Struct.Fields, PK extends keyof F & string, SK extends keyof F & string>(
    table: AlternatorTable.AlternatorTable<F, PK, SK>
  ) => ClientTable<Schema.Struct<F>["Type"], Of<F, PK>, Of<F, PK | SK>>
  /**
   * The package's metrics as they are now (`alternator_attempts_total` and others, see the README): of all clients of this process,
   * unless a layer has metrics of its own.
   */
  readonly metrics: () => ReadonlyArray<Measure>
  /**
   * Calls again what has failed where that does no harm (`isSafeToRetry`), as `Retry.whenSafe` does: up to 5 times, each after
   * a random part of a delay of 200 ms that doubles up to 5 seconds. Rejects with the last error.
   */
  readonly retry: <A>(call: () => Promise<A>, options?: CallOptions) => Promise<A>
  /**
   * Refuses what comes from now on (reason `Closed`, `NotSent`), waits for calls under way up to `timeout`, and cuts off the
   * rest (`Closed`, `Ambiguous`). Afterwards no connection, timer or request of it is left. Any number of times: the first
   * decides. `await using` calls it without options.
   */
  readonly close: (options?: CloseOptions) => Promise<void>
}

const failures: Failures<AlternatorError> = {
  is: (error) => error instanceof AlternatorError,
  again: ({ attempts, isIdempotent, operation, outcome, reason }) =>
    new AlternatorError({ reason, operation, outcome, attempts, isIdempotent }),
  closed: (operation, isBegun) =>
    new AlternatorError({
      reason: new Closed({
        message: isBegun ? "the client was closed while this was under way" : "the client is closed"
      }),
      operation,
      outcome: isBegun ? "Ambiguous" : "NotSent",
      attempts: []
    })
}

const lower = <Op extends Operations.Operation>(name: Op): Uncapitalize<Op> =>
  `${name[0]!.toLowerCase()}${name.slice(1)}` as Uncapitalize<Op>

const facade = (
  services: Context.Context<AlternatorClient.AlternatorClient>,
  calls: Calls<AlternatorError>,
  close: Client["close"]
): Client => {
  const client = Context.get(services, AlternatorClient.AlternatorClient)
  const execute: Client["execute"] = (operation, input, options) =>
    calls.run(operation, () => client.execute(operation, input, options), options?.signal)
  const operations = Object.fromEntries(
    Operations.names.map((name) => [
      lower(name),
      (input: Operations.Input<typeof name>, options?: RequestOptions) => execute(name, input, options)
    ])
  ) as unknown as ClientOperations
  return {
    ...operations,
    execute,
    paging: {
      query: (input, options) => calls.iterate("Query", () => Paging.query(client, input, options), options?.signal),
      queryPages: (input, options) =>
        calls.iterate("Query", () => Paging.queryPages(client, input, options), options?.signal),
      scan: (input, options) => calls.iterate("Scan", () => Paging.scan(client, input, options), options?.signal),
      scanPages: (input, options) =>
        calls.iterate("Scan", () => Paging.scanPages(client, input, options), options?.signal),
      listTables: (input, options) =>
        calls.iterate("ListTables", () => Paging.listTables(client, input, options), options?.signal)
    },
    batches: {
      write: (requests, options) =>
        calls.run("BatchWriteItem", () => Batches.write(client, requests, options), options?.signal),
      get: (requests, options) =>
        calls.run("BatchGetItem", () => Batches.get(client, requests, options), options?.signal)
    },
    waiters: {
      tableExists: (table, options) =>
        calls.run("DescribeTable", () => Waiters.tableExists(client, table, options), options?.signal),
      tableNotExists: (table, options) =>
        calls.run("DescribeTable", () => Waiters.tableNotExists(client, table, options), options?.signal)
    },
    nodes: {
      current: client.nodes.current,
      changes: (options) => calls.iterate("nodes.changes", () => client.nodes.changes, options?.signal),
      awaitNodes: (predicate, options) =>
        calls.run("nodes.awaitNodes", () => client.nodes.awaitNodes(predicate), options?.signal),
      refresh: (options) => calls.run("nodes.refresh", () => client.nodes.refresh, options?.signal),
      age: () => Option.getOrUndefined(Option.map(Effect.runSync(client.nodes.age), Duration.toMillis))
    },
    table: (table) => ({
      name: table.name,
      create: (more, options) => calls.run("CreateTable", () => table.create(client, more), options?.signal),
      put: (item, more, options) => calls.run("PutItem", () => table.put(client, item, more, options), options?.signal),
      get: (key, options) =>
        calls.run("GetItem", () => Effect.map(table.get(client, key, options), Option.getOrUndefined), options?.signal),
      remove: (key, more, options) =>
        calls.run("DeleteItem", () => table.remove(client, key, more, options), options?.signal),
      query: (partition, more, options) =>
        calls.iterate("Query", () => table.query(client, partition, more, options), options?.signal),
      scan: (more, options) => calls.iterate("Scan", () => table.scan(client, more, options), options?.signal),
      putAll: (items, options) =>
        calls.run("BatchWriteItem", () => table.putAll(client, items, options), options?.signal)
    }),
    metrics: () => measures(services, "alternator_"),
    retry: (call, options) =>
      calls.run(
        "retry",
        () => Retry.whenSafe(ofPromise(call)),
        options?.signal
      ),
    close,
    [Symbol.asyncDispose]: () => close()
  }
}

const isTransport = (
  transport: ConnectOptions["transport"]
): transport is AlternatorTransport.AlternatorTransport => transport !== undefined && "dispatch" in transport

/** Options of which `read` makes those of the Effect client. */
type Given = Partial<ConnectOptions>
type Read = (own: Partial<AlternatorClient.Options>) => Effect.Effect<AlternatorClient.Options, AlternatorError>

/** What the layer has, and what is missing made of the options. */
const build = Effect.fnUntraced(function*(
  { layer, resolve, signal: _signal, stacks: _stacks, transport, unref: _unref, ...rest }: Given,
  read: Read,
  scope: Scope.Scope
): Effect.fn.Return<Context.Context<AlternatorClient.AlternatorClient>, unknown> {
  let services = (layer === undefined ? Context.empty() : yield* Layer.buildWithScope(layer, scope)) as Context.Context<
    any
  >
  const has = (service: Context.Key<any, any>): boolean => Option.isSome(Context.getOption(services, service))
  const add = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
    Effect.map(Effect.provideContext(Layer.buildWithScope(layer, scope), services), (made) => {
      services = Context.merge(services, made)
    })
  if (isTransport(transport)) services = Context.add(services, AlternatorTransport.AlternatorTransport, transport)
  if (has(AlternatorClient.AlternatorClient)) return services

  const options = yield* Effect.provideContext(
    read({
      ...rest,
      ...(isTransport(transport) ? {} : { transport }),
      ...(resolve === undefined ? {} : {
        resolve: (name: string) => ofPromise(() => resolve(name))
      })
    }),
    services
  )
  const hasTransport = has(AlternatorTransport.AlternatorTransport)
  const hasNodes = has(AlternatorNodes.AlternatorNodes)
  // Alone it names all wrong options at once.
  if (!hasTransport && !hasNodes) {
    yield* add(AlternatorClient.layer(options))
    return services
  }
  if (!hasTransport) yield* add(AlternatorTransport.layerUndici(options.transport))
  if (!hasNodes) yield* add(AlternatorNodes.layer(options))
  yield* add(AlternatorClient.layerClient(options))
  return services
})

const open = async (options: Given, read: Read, opener: (...args: Array<never>) => unknown): Promise<Client> => {
  const { signal, stacks = true, unref = true } = options
  // Now, while whoever called is on the stack.
  const forget = note(!unref, opener)
  const scope = Scope.makeUnsafe()
  const opening = new Calls<AlternatorError>(failures, Context.empty(), stacks)
  try {
    const services = await opening.run("connect", () =>
      Effect.tap(
        build(options, read, scope),
        (services) =>
          Effect.provideContext(Context.get(services, AlternatorClient.AlternatorClient).nodes.awaitReady, services)
      ), signal)
    const calls = new Calls<AlternatorError>(failures, services, stacks)
    return facade(
      services,
      calls,
      ({ timeout = 0 } = {}) =>
        calls.close(
          Effect.suspend(() => Effect.sleep(timeout)),
          Effect.ensuring(Scope.close(scope, Exit.void), Effect.sync(forget))
        )
    )
  } catch (error) {
    forget()
    await opening.release(scope)
    throw error
  }
}

/**
 * Opens a client: checks the options, and waits for the first look at the cluster, up to `discoveryTimeout`. That nobody
 * answers is no failure: the seeds are used, and asked again.
 *
 * Rejects with an {@link AlternatorError}: `ConfigInvalid`, which names all wrong options, or `ScopeUnsupported`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (options: ConnectOptions): Promise<Client> =>
  open(options, (own) => Effect.succeed(own as AlternatorClient.Options), connect)

/**
 * {@link connect} by the environment: `ALTERNATOR_SEEDS` and the others that `AlternatorClient.layerConfig` reads, or what a
 * `ConfigProvider` of the layer has. What is given goes before it. Rejects with one error that names all that is missing or
 * wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connectConfig = (options: Partial<ConnectOptions> = {}): Promise<Client> =>
  open(options, AlternatorClient.optionsFromConfig, connectConfig)
