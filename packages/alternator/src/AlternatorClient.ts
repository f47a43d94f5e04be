/**
 * A lean client of the DynamoDB API, as a service: plain values in and out, any node for any attempt, failures that say
 * what became of a write.
 *
 * What it does unless it is told otherwise:
 *
 * - **Nodes**: all of the cluster are discovered from the seeds before the first request, then once a second while there are
 *   requests and once a minute while there are none. A look has 5 seconds, however many nodes are asked; when nobody answers,
 *   the nodes stay as they were. `discovery: "static"` asks nobody; see {@link AlternatorNodes}.
 * - **Balancing**: each request goes to the better of two random nodes, by latency and requests under way. Retries go to
 *   another node. There is no key affinity.
 * - **Health**: a node that cannot be reached is ejected at once, others after 3 timeouts or lost connections or 5 server
 *   errors in a row; a probe brings it back and its share grows over 10 seconds.
 * - **Time**: a request has 12 seconds, over all its attempts. An attempt that may be repeated is given up after 3 seconds.
 * - **Retries**: up to 4 attempts that reached a node. What may have been applied is repeated only when that is safe: reads,
 *   puts and deletes without condition and old values, batches, and updates that assign only. A node that cannot be reached
 *   costs none of the 4, and the next is tried at once. Whether what has failed then may be sent again, `isSafeToRetry` of
 *   the error says; {@link Retry} does it.
 * - **Hedges**: none; `hedge` allows a second attempt for reads that are slow.
 * - **Auth**: none. Signatures are dated by this machine's clock, until a server refuses it and says its own. **TLS**: `http`; with `https` certificates are verified. **Compression**: none asked for or made;
 *   answers that are compressed anyway are unpacked, up to 5 layers of 32 MiB.
 * - **User-Agent**: {@link USER_AGENT}.
 * - **Connections**: up to 128 to a node, and one for discovery and probes; kept for 60 idle seconds. None of this keeps a
 *   process alive but requests under way.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as AlternatorError from "./AlternatorError.ts"
import * as AlternatorNodes from "./AlternatorNodes.ts"
import * as AlternatorTransport from "./AlternatorTransport.ts"
import { keyOf } from "./AttributeValue.ts"
import { AffinityRouter } from "./internal/affinity.ts"
import { check as checkClient, type ClientOptions } from "./internal/clientOptions.ts"
import { Core } from "./internal/core.ts"
import * as Deadlines from "./internal/deadlines.ts"
import { fromConfig, type Leaves } from "./internal/fromConfig.ts"
import { Issues } from "./internal/issues.ts"
import { check as checkNodes } from "./internal/nodesOptions.ts"
import { PartitionKeys } from "./internal/partitionKeys.ts"
import { sortedNodes } from "./internal/planNodes.ts"
import { ServerClock } from "./internal/serverClock.ts"
import { Telemetry } from "./internal/telemetry.ts"
import { checkNested as checkTransport } from "./internal/transportOptions.ts"
import type { Input, Operation, Output } from "./Operations.ts"
import * as QueryPlan from "./QueryPlan.ts"
import { Signer } from "./SigV4.ts"

export { type ClientOptions, USER_AGENT } from "./internal/clientOptions.ts"

/**
 * Options of one request.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  /** For it with all its attempts. Default: the client's. */
  readonly deadline?: Duration.Input | undefined
  /** Whether it may be sent again after a failure that may have applied it. Default: what the request itself shows. */
  readonly idempotent?: boolean | undefined
  /** Overrides the client's. */
  readonly compression?: "gzip" | "deflate" | false | undefined
  /** `false` makes no second attempt before the first has failed. */
  readonly hedge?: boolean | undefined
}

type Method<Op extends Operation> = (
  input: Input<Op>,
  options?: RequestOptions
) => Effect.Effect<Output<Op>, AlternatorError.AlternatorError>

/**
 * The service. What takes more than one request, like all pages of a query, is in {@link Paging}, {@link Batches} and
 * {@link Waiters}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlternatorClient {
  readonly getItem: Method<"GetItem">
  readonly putItem: Method<"PutItem">
  readonly updateItem: Method<"UpdateItem">
  readonly deleteItem: Method<"DeleteItem">
  /** One page. */
  readonly query: Method<"Query">
  /** One page. */
  readonly scan: Method<"Scan">
  /** May leave some undone, see {@link Batches}. */
  readonly batchWriteItem: Method<"BatchWriteItem">
  /** May leave some unread, see {@link Batches}. */
  readonly batchGetItem: Method<"BatchGetItem">
  readonly createTable: Method<"CreateTable">
  readonly describeTable: Method<"DescribeTable">
  readonly updateTable: Method<"UpdateTable">
  readonly deleteTable: Method<"DeleteTable">
  readonly listTables: Method<"ListTables">
  readonly describeEndpoints: Method<"DescribeEndpoints">
  readonly tagResource: Method<"TagResource">
  readonly untagResource: Method<"UntagResource">
  readonly listTagsOfResource: Method<"ListTagsOfResource">
  readonly updateTimeToLive: Method<"UpdateTimeToLive">
  readonly describeTimeToLive: Method<"DescribeTimeToLive">
  readonly describeContinuousBackups: Method<"DescribeContinuousBackups">
  readonly listStreams: Method<"ListStreams">
  readonly describeStream: Method<"DescribeStream">
  readonly getShardIterator: Method<"GetShardIterator">
  readonly getRecords: Method<"GetRecords">
  /** Any of them by its name. */
  readonly execute: <Op extends Operation>(
    operation: Op,
    input: Input<Op>,
    options?: RequestOptions
  ) => Effect.Effect<Output<Op>, AlternatorError.AlternatorError>
  /** The nodes that requests go to. */
  readonly nodes: AlternatorNodes.AlternatorNodes
}

/**
 * @category services
 * @since 0.1.0
 */
export const AlternatorClient: Context.Service<AlternatorClient, AlternatorClient> = Context.Service<AlternatorClient>(
  "@effect-scylla/alternator/AlternatorClient"
)

/**
 * A client over the nodes and the transport that are provided. Several may share both: what is said of nodes and
 * connections is then said once, there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: ClientOptions = {}
): Effect.Effect<
  AlternatorClient,
  AlternatorError.AlternatorError,
  Scope.Scope | AlternatorNodes.AlternatorNodes | AlternatorTransport.AlternatorTransport
> =>
  Effect.gen(function*() {
    const nodes = yield* AlternatorNodes.AlternatorNodes
    const transport = yield* AlternatorTransport.AlternatorTransport
    const issues = new Issues()
    const checked = checkClient(options, nodes.current().nodes.map(({ scheme }) => scheme), issues)
    yield* issues.result
    const clock = yield* Clock.Clock
    const services = yield* Effect.context<never>()
    const fork = yield* FiberSet.makeRuntime<never>()
    const { balancing, mode, order } = checked.routing
    if (mode !== "none") nodes.useAffinity()
    const signer = checked.auth._tag === "SigV4" ? new Signer(checked.auth) : undefined

    const keys = new PartitionKeys({
      known: options.partitionKeys ?? {},
      describe: (table) => execute("DescribeTable", { TableName: table }),
      fork,
      now: nodes.now
    })
    const sorted = sortedNodes(nodes, order)
    const core = new Core({
      ...checked,
      nodes,
      transport,
      signer,
      balancer: new QueryPlan.Balancer({
        balancing,
        order,
        warmUp: nodes.health.warmUp,
        source: sorted,
        now: nodes.now,
        seed: yield* Random.nextInt
      }),
      affinity: new AffinityRouter({ mode, order, keys, read: keyOf, nodes: () => sorted().affinityNodes }),
      deadlines: yield* Deadlines.make,
      telemetry: new Telemetry(services),
      serverClock: new ServerClock(() => clock.currentTimeMillisUnsafe())
    })

    const execute: AlternatorClient["execute"] = (operation, input, options = {}) => {
      const request = core.execute(operation, input as Readonly<Record<string, unknown>>, options)
      return operation === "CreateTable" || operation === "DeleteTable"
        ? Effect.ensuring(request, Effect.sync(() => keys.forget((input as Input<"DeleteTable">).TableName)))
        : request
    }
    const method = <Op extends Operation>(operation: Op): Method<Op> => (input, options) =>
      execute(operation, input, options)
    return AlternatorClient.of({
      getItem: method("GetItem"),
      putItem: method("PutItem"),
      updateItem: method("UpdateItem"),
      deleteItem: method("DeleteItem"),
      query: method("Query"),
      scan: method("Scan"),
      batchWriteItem: method("BatchWriteItem"),
      batchGetItem: method("BatchGetItem"),
      createTable: method("CreateTable"),
      describeTable: method("DescribeTable"),
      updateTable: method("UpdateTable"),
      deleteTable: method("DeleteTable"),
      listTables: method("ListTables"),
      describeEndpoints: method("DescribeEndpoints"),
      tagResource: method("TagResource"),
      untagResource: method("UntagResource"),
      listTagsOfResource: method("ListTagsOfResource"),
      updateTimeToLive: method("UpdateTimeToLive"),
      describeTimeToLive: method("DescribeTimeToLive"),
      describeContinuousBackups: method("DescribeContinuousBackups"),
      listStreams: method("ListStreams"),
      describeStream: method("DescribeStream"),
      getShardIterator: method("GetShardIterator"),
      getRecords: method("GetRecords"),
      execute,
      nodes
    })
  })

/**
 * Over nodes and a transport of its own, or of others.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (
  options?: ClientOptions
): Layer.Layer<
  AlternatorClient,
  AlternatorError.AlternatorError,
  AlternatorNodes.AlternatorNodes | AlternatorTransport.AlternatorTransport
> => Layer.effect(AlternatorClient, make(options))

/**
 * All options of a client with nodes and connections of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends AlternatorNodes.NodesOptions, ClientOptions {
  readonly transport?: AlternatorTransport.UndiciOptions | undefined
}

/** What is wrong with any of them is said at once, before anything is made. */
const checkAll = (options: Options, issues: Issues): void => {
  const { seeds } = checkNodes(options, issues)
  checkClient(options, seeds.map(({ scheme }) => scheme), issues)
  checkTransport(options.transport, issues)
}

type All = AlternatorClient | AlternatorNodes.AlternatorNodes | AlternatorTransport.AlternatorTransport

const assemble = (options: Options): Layer.Layer<All, AlternatorError.AlternatorError> =>
  layerClient(options).pipe(
    Layer.provideMerge(AlternatorNodes.layer(options)),
    Layer.provideMerge(AlternatorTransport.layerUndici(options.transport))
  )

/**
 * A client with nodes and connections of its own, which are services too. Fails with one error that names all wrong
 * options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<All, AlternatorError.AlternatorError> =>
  Layer.unwrap(Effect.suspend(() => {
    const issues = new Issues()
    checkAll(options, issues)
    return Effect.as(issues.result, assemble(options))
  }))

/**
 * Options of which each may be a `Config`.
 *
 * @category models
 * @since 0.1.0
 */
export type FromConfig = Partial<Leaves<Options>>

/**
 * The options of {@link layerConfig}: what is given goes before what is configured, and all that is wrong is in one error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const optionsFromConfig = (options: FromConfig = {}): Effect.Effect<Options, AlternatorError.AlternatorError> =>
  Effect.gen(function*() {
    const read = yield* fromConfig<Options>(options)
    const issues = new Issues()
    checkAll(read.options, issues)
    yield* read.failWith(issues)
    return read.options
  })

/**
 * {@link layer} of the configuration: `ALTERNATOR_SEEDS` (a list), and what else is set of `ALTERNATOR_SCHEME`, `_PORT`,
 * `_DATACENTER`, `_RACK`, `_DISCOVERY`, `_DEADLINE`, `_ATTEMPT_TIMEOUT`, `_MAX_ATTEMPTS`, `_BALANCING`, `_AFFINITY`,
 * `_AFFINITY_ORDER`, `_ACCESS_KEY_ID` and `_SECRET_ACCESS_KEY`. An option that is given here is not read, and may be a
 * `Config` of another name. Fails with one error that names all that is missing or wrong, also what only shows when values
 * are put together.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: FromConfig = {}): Layer.Layer<All, AlternatorError.AlternatorError> =>
  Layer.unwrap(Effect.map(optionsFromConfig(options), assemble))
