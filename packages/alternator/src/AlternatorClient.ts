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
 *   costs none of the 4, and the next is tried at once.
 * - **Hedges**: none; `hedge` allows a second attempt for reads that are slow.
 * - **Auth**: none. Signatures are dated by this machine's clock, until a server refuses it and says its own. **TLS**: `http`; with `https` certificates are verified. **Compression**: none asked for or made;
 *   answers that are compressed anyway are unpacked, up to 5 layers of 32 MiB.
 * - **User-Agent**: {@link USER_AGENT}.
 * - **Connections**: up to 128 to a node, and one for discovery and probes; kept for 60 idle seconds.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Affinity from "./Affinity.ts"
import type * as AlternatorError from "./AlternatorError.ts"
import * as AlternatorNodes from "./AlternatorNodes.ts"
import * as AlternatorTransport from "./AlternatorTransport.ts"
import { keyOf } from "./AttributeValue.ts"
import * as Auth from "./Auth.ts"
import { AffinityRouter } from "./internal/affinity.ts"
import { Core } from "./internal/core.ts"
import * as Deadlines from "./internal/deadlines.ts"
import { Issues } from "./internal/issues.ts"
import { PartitionKeys } from "./internal/partitionKeys.ts"
import { sortedNodes } from "./internal/planNodes.ts"
import { ServerClock } from "./internal/serverClock.ts"
import { Telemetry } from "./internal/telemetry.ts"
import type { Input, Operation, Output } from "./Operations.ts"
import * as QueryPlan from "./QueryPlan.ts"
import { Signer } from "./SigV4.ts"

/**
 * Options of one client; those of the nodes and of the transport, which several may share, are elsewhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientOptions {
  /** Default: {@link Auth.none}. */
  readonly auth?: Auth.Auth | undefined
  /** Default: `power-of-two`. */
  readonly balancing?: QueryPlan.Balancing | undefined
  /** Which writes go to the node of their key. Default: `none`. */
  readonly affinity?: Affinity.AffinityMode | undefined
  /** Whose order of nodes for a key: clients of different families choose different nodes. Default: `go`. */
  readonly affinityOrder?: Affinity.AffinityOrder | undefined
  /** Names of partition keys by table, for affinity. Those that are missing are learned by DescribeTable. */
  readonly partitionKeys?: Readonly<Record<string, string>> | undefined
  /** For a request with all its attempts. Default: 12 seconds, 2 more than servers take. */
  readonly deadline?: Duration.Input | undefined
  /** For an attempt of a request that may be repeated. Default: 3 seconds. */
  readonly attemptTimeout?: Duration.Input | undefined
  /** Attempts that reached a node. Default: 4. */
  readonly maxAttempts?: number | undefined
  /** Compresses requests (ScyllaDB 2026.1 and newer unpack them). Default: no. */
  readonly compression?: {
    readonly encoding?: "gzip" | "deflate" | undefined
    /** Bytes from which on it is worth it. Default: 1024. */
    readonly threshold?: number | undefined
    /** 1 to 9. Default: 6. */
    readonly level?: number | undefined
  } | undefined
  /** Asks for compressed answers: the encodings, the best first. Default: none. */
  readonly acceptEncoding?: ReadonlyArray<"gzip" | "deflate"> | undefined
  /** Bytes of an answer, as it arrives. Default: 32 MiB. */
  readonly maxResponseBytes?: number | undefined
  /** Unpacking of answers. Default: 32 MiB for each of at most 5 layers. */
  readonly decompression?:
    | { readonly maxBytes?: number | undefined; readonly maxLayers?: number | undefined }
    | undefined
  /** A second attempt on another node for GetItem, BatchGetItem and Query that are slow. Default: no. */
  readonly hedge?: {
    /** After which an attempt is slow. */
    readonly delay: Duration.Input
    /** Second attempts as a part of all requests. Default: 0.05; up to 10 may be saved. */
    readonly budget?: number | undefined
  } | undefined
  /** The `User-Agent`, which `system.clients` shows; a function gets the default, `false` sends none. */
  readonly userAgent?: string | false | ((own: string) => string) | undefined
}

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

/** The `User-Agent` of requests, unless another is given. @category constants @since 0.1.0 */
export const USER_AGENT = "effect-scylla-alternator"

const userAgent = (option: ClientOptions["userAgent"]): string | undefined =>
  option === false ? undefined : typeof option === "function" ? option(USER_AGENT) : option ?? USER_AGENT

const MIB = 1_048_576

const check = (options: ClientOptions, nodes: AlternatorNodes.AlternatorNodes) => {
  const issues = new Issues()
  const { auth = Auth.none, compression, hedge } = options
  if (auth._tag === "ClientCertificate" && nodes.current().nodes.some(({ scheme }) => scheme === "http")) {
    issues.add("auth", "a client certificate needs https: say so in the nodes' scheme")
  }
  if (auth._tag === "SigV4" && (auth.accessKeyId === "" || Redacted.value(auth.secretAccessKey) === "")) {
    issues.add("auth", "accessKeyId and secretAccessKey must not be empty; use Auth.none for no signatures")
  }
  const budget = hedge?.budget ?? 0.05
  if (!(budget > 0 && budget <= 1)) issues.add("hedge.budget", `must be more than 0 and at most 1, is ${budget}`)
  const agent = userAgent(options.userAgent)
  if (agent !== undefined && !/^[ -~]+$/.test(agent)) issues.add("userAgent", "must be printable ASCII")
  const checked = {
    auth,
    maxAttempts: issues.count("maxAttempts", options.maxAttempts, 4),
    deadlineMillis: issues.millis("deadline", options.deadline, "12 seconds"),
    attemptMillis: issues.millis("attemptTimeout", options.attemptTimeout, "3 seconds"),
    maxResponseBytes: issues.count("maxResponseBytes", options.maxResponseBytes, 32 * MIB),
    bounds: {
      maxBytes: issues.count("decompression.maxBytes", options.decompression?.maxBytes, 32 * MIB),
      maxLayers: issues.count("decompression.maxLayers", options.decompression?.maxLayers, 5)
    },
    compression: compression === undefined ? undefined : {
      encoding: compression.encoding ?? "gzip" as const,
      threshold: issues.count("compression.threshold", compression.threshold, 1024, 0),
      level: issues.count("compression.level", compression.level, 6, 1, 9)
    },
    acceptEncoding: options.acceptEncoding === undefined || options.acceptEncoding.length === 0
      ? undefined
      : options.acceptEncoding.join(", "),
    userAgent: agent,
    hedge: hedge === undefined
      ? undefined
      : { delay: Duration.millis(issues.millis("hedge.delay", hedge.delay, "1 seconds")), budget }
  }
  return Effect.as(issues.result, checked)
}

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
    const checked = yield* check(options, nodes)
    const clock = yield* Clock.Clock
    const services = yield* Effect.context<never>()
    const fork = yield* FiberSet.makeRuntime<never>()
    const mode = options.affinity ?? "none"
    const order = options.affinityOrder ?? "go"
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
        balancing: options.balancing ?? "power-of-two",
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

/**
 * A client with nodes and connections of its own, which are services too. Fails with one error that names the wrong
 * options of whichever of the three it finds first.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<
  AlternatorClient | AlternatorNodes.AlternatorNodes | AlternatorTransport.AlternatorTransport,
  AlternatorError.AlternatorError
> =>
  layerClient(options).pipe(
    Layer.provideMerge(AlternatorNodes.layer(options)),
    Layer.provideMerge(AlternatorTransport.layerUndici(options.transport))
  )

const leaves = {
  seeds: Config.Array(Schema.String, "SEEDS"),
  scheme: Config.option(Config.String("SCHEME")),
  port: Config.option(Config.Port("PORT")),
  deadline: Config.option(Config.Duration("DEADLINE"))
}

/**
 * {@link layer} with `SEEDS` (a list), `SCHEME`, `PORT`, `DEADLINE`, `ACCESS_KEY_ID` and `SECRET_ACCESS_KEY` of the
 * configuration, all but the first optional; nest the provider to give them a prefix. Fails with one error that names all
 * that are missing or wrong.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Partial<Options> = {}
): Layer.Layer<
  AlternatorClient | AlternatorNodes.AlternatorNodes | AlternatorTransport.AlternatorTransport,
  AlternatorError.AlternatorError
> =>
  Layer.unwrap(Effect.gen(function*() {
    const issues = new Issues()
    const read = <A>(name: string, leaf: Effect.Effect<A, Config.ConfigError>): Effect.Effect<A | undefined> =>
      Effect.map(Effect.result(leaf), (result) => {
        if (Result.isSuccess(result)) return result.success
        issues.add(name, result.failure.message)
        return undefined
      })
    const seeds = yield* read("SEEDS", leaves.seeds)
    const scheme = yield* read("SCHEME", leaves.scheme)
    const port = yield* read("PORT", leaves.port)
    const deadline = yield* read("DEADLINE", leaves.deadline)
    const auth = yield* read("ACCESS_KEY_ID, SECRET_ACCESS_KEY", Auth.optional)
    yield* issues.result
    return layer({
      ...options,
      seeds: seeds ?? [],
      scheme: scheme?._tag === "Some" ? scheme.value : options.scheme,
      port: port?._tag === "Some" ? port.value : options.port,
      deadline: deadline?._tag === "Some" ? deadline.value : options.deadline,
      auth: options.auth ?? auth
    })
  }))
