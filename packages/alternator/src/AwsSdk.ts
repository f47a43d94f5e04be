/**
 * Nodes, fail-over and balancing under the AWS SDK for JavaScript v3: `withAlternator(new DynamoDBClient(…), alternator)`.
 *
 * The client keeps its commands, types, paginators and the document client of `lib-dynamodb`. What changes is below them:
 * each attempt goes to a node of the cluster and is signed for it, retries go to another node by the rules of
 * {@link AlternatorClient}, and connections are kept by node and closed when the node leaves. The endpoint of the
 * configuration is not used: no request leaves the cluster.
 *
 * The SDK is an optional peer: this module does not import it.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import type { ClientOptions } from "./AlternatorClient.ts"
import type { Outcome } from "./AlternatorError.ts"
import * as AlternatorError from "./AlternatorError.ts"
import * as AlternatorNodes from "./AlternatorNodes.ts"
import * as AlternatorTransport from "./AlternatorTransport.ts"
import { AffinityRouter } from "./internal/affinity.ts"
import { checkPacking, checkRouting, checkTimes } from "./internal/clientOptions.ts"
import { compress } from "./internal/compression.ts"
import * as Deadlines from "./internal/deadlines.ts"
import { Issues } from "./internal/issues.ts"
import { isBytes } from "./internal/kinds.ts"
import { check as checkNodes } from "./internal/nodesOptions.ts"
import { PartitionKeys } from "./internal/partitionKeys.ts"
import { sortedNodes } from "./internal/planNodes.ts"
import { Retries } from "./internal/retry.ts"
import {
  copyOf,
  failureOf,
  NodeHandler,
  type Receiver,
  type SdkRequest,
  type Signal,
  waitFor
} from "./internal/sdkHandler.ts"
import { Telemetry } from "./internal/telemetry.ts"
import { checkNested } from "./internal/transportOptions.ts"
import type { TableDescription } from "./Operations.ts"
import * as QueryPlan from "./QueryPlan.ts"
import * as RequestKind from "./RequestKind.ts"

/**
 * Options of the adapter: what it has in common with the lean client, and what of the SDK's requests is sent. The SDK's
 * `maxAttempts` is used as it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdapterOptions extends
  Pick<
    ClientOptions,
    | "acceptEncoding"
    | "affinity"
    | "affinityOrder"
    | "attemptTimeout"
    | "balancing"
    | "compression"
    | "deadline"
    | "partitionKeys"
  >
{
  /** `false`: requests are not signed, and no credentials are needed. Default: true. */
  readonly signing?: boolean | undefined
  /**
   * Headers of the SDK that are sent, besides `host` and those of the signature: others are left out before the request is
   * signed. `all` sends them all. Default: `content-type`, `x-amz-target`, `content-encoding`, `accept-encoding`,
   * `user-agent`.
   */
  readonly headers?: "all" | ReadonlyArray<string> | undefined
}

/**
 * Nodes and connections, for any number of clients.
 *
 * @category models
 * @since 0.1.0
 */
export interface Alternator {
  readonly nodes: AlternatorNodes.AlternatorNodes
  readonly transport: AlternatorTransport.AlternatorTransport
  readonly deadlines: Deadlines.Deadlines
  readonly telemetry: Telemetry
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly seed: number
}

/**
 * What is shared by SDK clients, from the services. Ends with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<
  Alternator,
  never,
  Scope.Scope | AlternatorNodes.AlternatorNodes | AlternatorTransport.AlternatorTransport
> = Effect.gen(function*() {
  const fork = yield* FiberSet.makeRuntime<never>()
  return {
    nodes: yield* AlternatorNodes.AlternatorNodes,
    transport: yield* AlternatorTransport.AlternatorTransport,
    deadlines: yield* Deadlines.make,
    telemetry: new Telemetry(yield* Effect.context<never>()),
    fork: (effect) => {
      fork(effect)
    },
    seed: yield* Random.nextInt
  }
})

/**
 * {@link make} for programs without Effect. Rejects with an `AlternatorError` that names all wrong options; waits for the first
 * look at the cluster. Close it when the clients are done: an open one keeps connections, but never the process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = async (
  options: AlternatorNodes.NodesOptions & { readonly transport?: AlternatorTransport.UndiciOptions | undefined }
): Promise<Alternator & AsyncDisposable & { readonly close: () => Promise<void> }> => {
  const issues = new Issues()
  checkNodes(options, issues)
  checkNested(options.transport, issues)
  if (issues.list.length > 0) throw AlternatorError.configInvalid(issues.list)
  const scope = Scope.makeUnsafe()
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const layer = Layer.provideMerge(
    AlternatorNodes.layer(options),
    AlternatorTransport.layerUndici(options.transport)
  )
  const build = Effect.gen(function*() {
    const services = yield* Layer.build(layer)
    const alternator = yield* Effect.provideContext(make, services)
    yield* Context.get(services, AlternatorNodes.AlternatorNodes).awaitReady
    return alternator
  })
  const exit = await Effect.runPromiseExit(Scope.provide(build, scope))
  if (Exit.isFailure(exit)) {
    await close()
    throw Cause.squash(exit.cause)
  }
  const closing: AsyncDisposable & { readonly close: () => Promise<void> } = { close, [Symbol.asyncDispose]: close }
  return { ...exit.value, ...closing }
}

/**
 * What the adapter needs of an SDK client.
 *
 * @category models
 * @since 0.1.0
 */
export interface SdkClient {
  readonly config: object
  readonly middlewareStack: {
    add(middleware: any, options: any): void
    remove(name: any): boolean
  }
}

interface Arguments {
  readonly input: Readonly<Record<string, unknown>>
  readonly request: SdkRequest
}
/** What the SDK notes of a command: its signal, as far as the SDK is new enough, and the document client's mark. */
interface MiddlewareContext {
  readonly __smithy_context?: { readonly abortSignal?: Signal | undefined }
  readonly __aws_sdk_context?: { readonly features?: { readonly DDB_MAPPER?: string | undefined } }
}
type Handler = (args: Arguments) => Promise<{ readonly output?: { readonly $metadata?: object } }>

const DEFAULT_HEADERS = ["content-type", "x-amz-target", "content-encoding", "accept-encoding", "user-agent"]

/** A marshalled key attribute: `{ S: "…" }`. */
const readKey = (value: any) =>
  value?.S !== undefined
    ? { type: "S" as const, value: value.S as string }
    : value?.N !== undefined
    ? { type: "N" as const, value: String(value.N) }
    : isBytes(value?.B)
    ? { type: "B" as const, value: value.B }
    : undefined

/**
 * Puts an SDK client onto the nodes, and gives it back. Do it before its first request. Throws an `AlternatorError` that
 * names all wrong options.
 *
 * Errors are the SDK's, with `isSafeToRetry` (whether the same command may be sent again), `outcome` (`NotSent`, `Rejected`
 * or `Ambiguous`) and `$metadata.attempts` added; without any answer they are `AlternatorError`s.
 *
 * `abortSignal` and `requestTimeout` of `send` hold: the first ends a request, the second each of its attempts.
 *
 * ScyllaDB's attributes that the SDK does not know (`FLOAT32VECTOR` and any newer type) go through the client as they are,
 * `{ FLOAT32VECTOR: [0.1] }`, but whole numbers beyond 2^53 in them are rounded. The document client reads vectors as arrays
 * of numbers and writes such arrays as `L`, which ScyllaDB takes for vectors as well; of other types it knows nothing, and
 * fails.
 *
 * @category constructors
 * @since 0.1.0
 */
export const withAlternator = <Client extends SdkClient>(
  client: Client,
  alternator: Alternator,
  options: AdapterOptions = {}
): Client => {
  const { nodes } = alternator
  const issues = new Issues()
  const { attemptMillis, deadlineMillis } = checkTimes(options, issues)
  const { acceptEncoding, compression } = checkPacking(options, issues)
  const { balancing, mode, order } = checkRouting(options, issues)
  if (issues.list.length > 0) throw AlternatorError.configInvalid(issues.list)
  if (mode !== "none") nodes.useAffinity()
  const plans = sortedNodes(nodes, order)
  const balancer = new QueryPlan.Balancer({
    balancing,
    order,
    warmUp: nodes.health.warmUp,
    source: plans,
    now: nodes.now,
    seed: alternator.seed
  })
  const handler = new NodeHandler(alternator)
  const allowed = options.headers === "all"
    ? undefined
    : new Set((options.headers ?? DEFAULT_HEADERS).map((name) => name.toLowerCase()))

  // DescribeTable goes the way of the request that wants it, so it is signed as that is.
  let pipeline: { readonly next: Handler; readonly args: Arguments } | undefined
  const describe = (
    table: string
  ): Effect.Effect<{ readonly Table: TableDescription }, AlternatorError.AlternatorError> =>
    Effect.tryPromise({
      try: () => {
        const { args, next } = pipeline!
        const node = new QueryPlan.QueryPlan(balancer).next()
        return handler.describe(args.request, table, node, nodes.now() + attemptMillis, (request) =>
          next({ ...args, request }))
      },
      catch: (cause) => {
        const failure = failureOf(cause, false)
        return AlternatorError.of(
          failure.tag === "ResourceNotFound"
            ? new AlternatorError.ResourceNotFound({ message: String(cause) })
            : new AlternatorError.ConnectionLost({ message: String(cause), cause }),
          "DescribeTable"
        )
      }
    })
  const keys = new PartitionKeys({
    known: options.partitionKeys ?? {},
    describe,
    fork: alternator.fork,
    now: nodes.now
  })
  const router = new AffinityRouter({ mode, order, keys, read: readKey, nodes: () => plans().affinityNodes })

  const prepare = async (request: SdkRequest): Promise<SdkRequest> => {
    const headers: Record<string, string> = {}
    for (const name of Object.keys(request.headers)) {
      if (allowed === undefined || allowed.has(name.toLowerCase())) headers[name] = request.headers[name]!
    }
    if (acceptEncoding !== undefined) headers["accept-encoding"] = acceptEncoding
    let body = request.body
    if (compression !== undefined && body !== undefined) {
      const bytes = typeof body === "string" ? Buffer.from(body) : body
      const { encoding, level, threshold } = compression
      if (bytes.length >= threshold) {
        body = await Effect.runPromise(compress(bytes, encoding, level))
        headers["content-encoding"] = encoding
      }
    }
    delete headers["content-length"]
    return copyOf(request, { headers, body })
  }

  const config = client.config as {
    requestHandler: unknown
    credentials?: unknown
    readonly maxAttempts?: () => Promise<number>
  }
  config.requestHandler = handler
  if (options.signing === false) {
    client.middlewareStack.remove("httpSigningMiddleware")
    // The SDK looks for credentials even when nothing is signed.
    config.credentials = () => Promise.resolve({ accessKeyId: "none", secretAccessKey: "none" })
  }

  // In the place of the SDK's own: below it everything runs once for each attempt, signing included.
  client.middlewareStack.add(
    (next: Handler, context: MiddlewareContext) => async (args: Arguments) => {
      nodes.touch()
      const operation = (args.request.headers["x-amz-target"] ?? "").split(".")[1] ?? ""
      const begun = nodes.now()
      const expiresAt = begun + deadlineMillis
      const mayRepeat = RequestKind.isIdempotent(operation, args.input)
      const signal = context.__smithy_context?.abortSignal
      if (!nodes.isReady()) {
        await waitFor(Deadlines.readyWithin(nodes, deadlineMillis, operation), signal).catch((error) => {
          throw annotate(error, failureOf(error, false).tag, "NotSent", mayRepeat, 0)
        })
      }
      const plan = new QueryPlan.QueryPlan(balancer, begun)
      const request = await prepare(args.request)
      if (mode !== "none") {
        pipeline = { next, args: { ...args, request } }
        router.apply(operation, args.input, plan)
      }
      let retries: Retries | undefined
      while (true) {
        const until = mayRepeat ? Math.min(expiresAt, nodes.now() + attemptMillis) : expiresAt
        const receiver: Receiver = { isDocument: context.__aws_sdk_context?.features?.DDB_MAPPER !== undefined }
        try {
          const result = await handler.aim(
            request,
            plan.next(),
            until,
            (request) => next({ ...args, request }),
            receiver
          )
          Object.assign(result.output?.$metadata ?? {}, { attempts: (retries?.attempts ?? 0) + 1, totalRetryDelay: 0 })
          return result
        } catch (error) {
          retries ??= new Retries(balancer, (await config.maxAttempts?.()) ?? 4, mayRepeat, expiresAt)
          const failure = failureOf(error, receiver.isAnswered === true)
          const delay = retries.next(failure)
          if (delay === undefined) {
            throw annotate(error, failure.tag, retries.outcome(failure.outcome), mayRepeat, retries.attempts)
          }
          const { attempts } = retries
          const soFar = retries.outcome("NotSent")
          if (delay > 0) {
            await waitFor(Effect.sleep(delay), signal).catch((aborted) => {
              throw annotate(aborted, "Closed", soFar, mayRepeat, attempts)
            })
          }
        }
      }
    },
    { step: "finalizeRequest", name: "retryMiddleware", tags: ["RETRY"], priority: "high", override: true }
  )
  return client
}

/** What an error says besides: its outcome, how often it was tried, and whether it may be sent again. */
const annotate = (
  error: unknown,
  tag: AlternatorError.AlternatorReason["_tag"],
  outcome: Outcome,
  isIdempotent: boolean,
  attempts: number
): unknown => {
  if (typeof error !== "object" || error === null) return error
  const { $metadata = {} } = error as { readonly $metadata?: object }
  const safety = error instanceof AlternatorError.AlternatorError
    ? { isIdempotent }
    : { isSafeToRetry: AlternatorError.isSafe(tag, outcome, isIdempotent) }
  return Object.assign(error, { outcome, ...safety, $metadata: Object.assign($metadata, { attempts }) })
}
