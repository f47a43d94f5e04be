/**
 * All of it together: CQL, the DynamoDB API of Alternator and a Raft key-value store, as many of them as are configured, over
 * one gate for dials, with one time for the shutdown and common labels of metrics.
 *
 * An entry of its own, outside the package's index: whoever only needs CQL installs neither `@effect-scylla/alternator` nor
 * `@effect-scylla/raft-client`; whoever imports this installs both.
 *
 * @since 0.1.0
 */
import * as AlternatorClient from "@effect-scylla/alternator/AlternatorClient"
import type { AlternatorError } from "@effect-scylla/alternator/AlternatorError"
import * as AlternatorNodes from "@effect-scylla/alternator/AlternatorNodes"
import * as AlternatorTransport from "@effect-scylla/alternator/AlternatorTransport"
import * as ConnectLimiter from "@effect-scylla/pool/ConnectLimiter"
import * as RaftClient from "@effect-scylla/raft-client/RaftClient"
import type { RaftError } from "@effect-scylla/raft-client/RaftError"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as CqlClient from "./CqlClient.ts"
import { type CqlError, InvalidConfiguration } from "./CqlError.ts"
import { readOptions } from "./internal/clientConfig.ts"
import { type Issue, type Leaves, readLeaves } from "./internal/fromConfig.ts"
import type { FromConfig as CqlFromConfig, Options as CqlOptions } from "./Options.ts"

/**
 * What is to be had: each part that is there is built, the others are not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly cql?: CqlOptions | undefined
  /**
   * Over the `AlternatorTransport` in the context, if there is one; else over connections of its own. Where `cql` has `clientRoutes`, the
   * nodes that are listed are reached by the same routes (unless it has a `translate` of its own), as the same hosts.
   */
  readonly alternator?: AlternatorClient.Options | undefined
  readonly raft?: RaftClient.RaftClientOptions | undefined
  /** A gate for the dials of these clients alone. Default: the `ConnectLimiter` in force, which is the process's. */
  readonly limiter?: ConnectLimiter.Options | undefined
  /**
   * How long requests under way hold up the end, of all parts together: they end at the same time. A part that has its own
   * `shutdownTimeout` keeps it. Default 5 seconds.
   */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** On every metric of every part, `{ service: "orders" }` for example. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/**
 * The services of the parts that `O` configures.
 *
 * @category models
 * @since 0.1.0
 */
export type Services<O> =
  | (O extends { readonly cql: object } ? CqlClient.CqlClient : never)
  | (O extends { readonly alternator: object }
    ? AlternatorClient.AlternatorClient | AlternatorNodes.AlternatorNodes | AlternatorTransport.AlternatorTransport
    : never)
  | (O extends { readonly raft: object } ? RaftClient.RaftClient : never)

/**
 * The parts.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = "cql" | "alternator" | "raft"

/**
 * Why a part could not be built.
 *
 * @category errors
 * @since 0.1.0
 */
export type Reason =
  | { readonly part: "cql"; readonly error: CqlError }
  | { readonly part: "alternator"; readonly error: AlternatorError }
  | { readonly part: "raft"; readonly error: RaftError }
  | { readonly part: "configuration"; readonly error: InvalidConfiguration }

/**
 * The driver could not be built. Wrong options of all parts are in one error; of what only shows when servers are asked, the
 * first.
 *
 * @category errors
 * @since 0.1.0
 */
export class DriverError extends Data.TaggedError("DriverError")<{ readonly reasons: ReadonlyArray<Reason> }> {
  override get message(): string {
    return this.reasons.map(({ error, part }) => `${part}: ${error.message}`).join("; ")
  }
}

const DEFAULT_SHUTDOWN: Duration.Input = "5 seconds"

/** Of the scheduler, in which a part that is wrongly configured has failed: no network answers as fast. */
const TURNS = 8

type Built = Context.Context<never>
type Build = Effect.Effect<Built, Reason, Scope.Scope>

/** In a scope of its own, so that the parts can end at the same time. */
const part = <R, E extends Reason["error"]>(
  name: Reason["part"],
  layer: Layer.Layer<R, E>
): Build =>
  Effect.mapError(
    Effect.flatMap(
      Effect.flatMap(Effect.scope, Scope.fork),
      (scope) => Layer.buildWithScope(layer, scope)
    ),
    (error) => ({ part: name, error }) as Reason
  ) as Build

/** What is wrong with the options that belong to no part. */
const wrongIn = ({ labels, limiter, shutdownTimeout }: Options): ReadonlyArray<Issue> => {
  const issues: Array<Issue> = []
  if (shutdownTimeout !== undefined) {
    const millis = Option.match(Duration.fromInput(shutdownTimeout), { onNone: () => -1, onSome: Duration.toMillis })
    if (!(millis >= 0)) issues.push({ path: "shutdownTimeout", message: 'must be a time, as in "5 seconds"' })
  }
  for (const [field, bound] of Object.entries(limiter ?? {})) {
    // The rate may be less than one a second; the others count dials.
    if (bound === undefined || (bound > 0 && (field === "rate" || Number.isInteger(bound)))) continue
    const what = field === "rate" ? "number above 0" : "whole number from 1"
    issues.push({ path: `limiter.${field}`, message: `must be a ${what}, not ${bound}` })
  }
  for (const [name, value] of Object.entries(labels ?? {})) {
    if (typeof value !== "string") issues.push({ path: `labels.${name}`, message: "must be a text" })
  }
  return issues
}

const configuration = (issues: ReadonlyArray<Issue>): Reason => {
  const text = issues.map(({ message, path }) => `${path}: ${message}`).join("; ")
  const error = new InvalidConfiguration({ message: `the driver's options are wrong: ${text}`, issues })
  return { part: "configuration", error }
}

/** Where Alternator is reached of a node that is listed: by the client route that leads to the same host. */
const byRoutes = (
  cql: CqlClient.CqlClient,
  { scheme, seeds }: AlternatorClient.Options
): NonNullable<AlternatorClient.Options["translate"]> => {
  const isHttps = (scheme ?? (typeof seeds === "string" ? [seeds] : seeds)[0] ?? "").startsWith("https")
  return ({ host }) => {
    const node = cql.cluster().nodes.find(({ peer, rpcAddress }) => host === rpcAddress || host === peer)
    const route = node?.alternator
    const port = isHttps ? route?.httpsPort : route?.port
    return route === undefined || port === undefined ? undefined : { host: route.host, port }
  }
}

/** One gate for all dials: Alternator's and Raft's take it as an option, CQL's find it in the context. */
const partsOf = (
  { alternator, cql, raft }: Options,
  limiter: ConnectLimiter.ConnectLimiter,
  common: Duration.Input
): ReadonlyArray<Build> => {
  const parts: Array<Build> = []
  /** The client of CQL, for those who want its routes. */
  const built = Deferred.makeUnsafe<CqlClient.CqlClient>()
  if (cql !== undefined) {
    const layer = CqlClient.layer({ ...cql, shutdownTimeout: cql.shutdownTimeout ?? common })
    parts.push(part(
      "cql",
      Layer.tap(layer, (context) => Deferred.succeed(built, Context.get(context, CqlClient.CqlClient)))
    ))
  }
  if (alternator !== undefined) {
    const { transport: options } = alternator
    const own = AlternatorTransport.layerUndici({
      ...options,
      shutdownTimeout: options?.shutdownTimeout ?? common,
      dialGate: options?.dialGate ?? limiter.limit
    })
    const transport = Layer.unwrap(
      Effect.map(
        Effect.serviceOption(AlternatorTransport.AlternatorTransport),
        Option.match({
          onNone: () => own,
          onSome: (given) => Layer.succeed(AlternatorTransport.AlternatorTransport, given)
        })
      )
    )
    const clientOf = (alternator: AlternatorClient.Options) =>
      AlternatorClient.layerClient(alternator).pipe(
        Layer.provideMerge(AlternatorNodes.layer(alternator)),
        Layer.provideMerge(transport)
      )
    // Nothing of it can be reached before the routes are known.
    const layer = cql?.clientRoutes === undefined || alternator.translate !== undefined
      ? clientOf(alternator)
      : Layer.unwrap(
        Effect.map(Deferred.await(built), (cql) => clientOf({ ...alternator, translate: byRoutes(cql, alternator) }))
      )
    parts.push(part("alternator", layer))
  }
  if (raft !== undefined) {
    parts.push(part(
      "raft",
      RaftClient.layer({
        ...raft,
        shutdownTimeout: raft.shutdownTimeout ?? common,
        dialGate: raft.dialGate ?? limiter.limit
      })
    ))
  }
  return parts
}

/**
 * Builds all at once. Who is wrongly configured fails before anybody is asked, so all of those are reported together, after
 * what is `wrong` already.
 */
const buildAll = Effect.fnUntraced(function*(parts: ReadonlyArray<Build>, wrong: Array<Reason>) {
  const fibers = yield* Effect.forEach(
    parts,
    (build) => Effect.forkChild(Effect.result(build), { startImmediately: true })
  )
  for (let turn = 0; turn < TURNS; turn++) yield* Effect.yieldNow
  for (const fiber of fibers) {
    const exit = fiber.pollUnsafe()
    if (exit?._tag === "Success" && Result.isFailure(exit.value)) wrong.push(exit.value.failure)
  }
  if (wrong.length > 0) {
    yield* Fiber.interruptAll(fibers)
    return yield* new DriverError({ reasons: wrong })
  }
  const built = yield* Effect.forEach(fibers, (fiber) => Effect.flatMap(Fiber.join(fiber), Effect.fromResult), {
    concurrency: "unbounded"
  }).pipe(
    Effect.mapError((reason) => new DriverError({ reasons: [reason] })),
    Effect.onExit((exit) => exit._tag === "Failure" ? Fiber.interruptAll(fibers) : Effect.void)
  )
  return Context.mergeAll(...built)
})

const build = (options: Options): Effect.Effect<Built, DriverError, Scope.Scope> =>
  Effect.gen(function*() {
    const issues = wrongIn(options)
    const isRight = (field: string): boolean => !issues.some(({ path }) => path.startsWith(field))
    const limiter = options.limiter === undefined || !isRight("limiter")
      ? yield* ConnectLimiter.ConnectLimiter
      : ConnectLimiter.make(options.limiter)
    const common = isRight("shutdownTimeout") ? options.shutdownTimeout ?? DEFAULT_SHUTDOWN : DEFAULT_SHUTDOWN
    const labels = { ...yield* Metric.CurrentMetricAttributes, ...options.labels }
    const wrong = issues.length === 0 ? [] : [configuration(issues)]
    return yield* buildAll(partsOf(options, limiter, common), wrong).pipe(
      Effect.provideService(ConnectLimiter.ConnectLimiter, limiter),
      Effect.provideService(Metric.CurrentMetricAttributes, labels)
    )
  })

/** In one scope whose parts end at the same time; the layer closes its own when it cannot be built. */
const make = (options: Options): Effect.Effect<Built, DriverError, Scope.Scope> =>
  Effect.flatMap(
    Effect.flatMap(Effect.scope, (scope) => Scope.fork(scope, "parallel")),
    (scope) => Scope.provide(build(options), scope)
  )

/**
 * The services of the parts that are configured.
 *
 * @example
 * ```ts
 * import * as Driver from "@effect-scylla/driver/Driver"
 * import * as EtcdAdapter from "@effect-scylla/raft-client/EtcdAdapter"
 *
 * export const All = Driver.layer({
 *   cql: { contactPoints: ["10.0.0.1"] },
 *   alternator: { seeds: ["10.0.0.1:8000"] },
 *   raft: { endpoints: ["10.0.0.9:2379"], adapter: EtcdAdapter.make() },
 *   labels: { service: "orders" }
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const O extends Options>(options: O): Layer.Layer<Services<O>, DriverError> =>
  Layer.effectContext(make(options)) as Layer.Layer<Services<O>, DriverError>

type Common = Pick<Options, "shutdownTimeout" | "labels">

/**
 * Options of which every field of every part may be a `Config`.
 *
 * @category models
 * @since 0.1.0
 */
export interface FromConfig {
  /** What is not given is read by its name, as with `CqlClient.layerConfig`: `CQL_CONTACT_POINTS` and others. */
  readonly cql?: CqlFromConfig | undefined
  /** As with `AlternatorClient.layerConfig`: `ALTERNATOR_SEEDS` and others. */
  readonly alternator?: AlternatorClient.FromConfig | undefined
  /** As with `RaftClient.layerConfig`: `RAFT_ENDPOINTS` and others. */
  readonly raft?: RaftClient.FromConfig | undefined
  readonly limiter?: Leaves<ConnectLimiter.Options> | undefined
  readonly shutdownTimeout?: Leaves<Options>["shutdownTimeout"]
  readonly labels?: Leaves<Options>["labels"]
}

/**
 * {@link layer} with options from the configuration. One error names every field of every part that is wrong.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = <const O extends FromConfig>(options: O): Layer.Layer<Services<O>, DriverError> =>
  Layer.effectContext(
    Effect.gen(function*() {
      const issues: Array<Issue> = []
      const reasons: Array<Reason> = []
      const { alternator, cql, limiter, raft, ...common } = options
      const own = <A extends object>(leaves: Partial<Leaves<A>> | undefined, prefix: string) =>
        leaves === undefined
          ? Effect.undefined
          : Effect.map(readLeaves<A>(leaves, prefix, issues), ({ options }) => options)
      const other = <A, E extends Reason["error"]>(part: Reason["part"], read: Effect.Effect<A, E>) =>
        Effect.catch(read, (error) => {
          reasons.push({ part, error } as unknown as Reason)
          return Effect.undefined
        })
      const read = {
        cql: cql === undefined ? undefined : yield* readOptions(cql, "cql.", issues),
        alternator: alternator === undefined
          ? undefined
          : yield* other("alternator", AlternatorClient.optionsFromConfig(alternator)),
        raft: raft === undefined ? undefined : yield* other("raft", RaftClient.optionsFromConfig(raft)),
        limiter: yield* own<ConnectLimiter.Options>(limiter, "limiter."),
        ...yield* own<Common>(common as Partial<Leaves<Common>>, "")
      }
      const wrong = issues.length === 0 ? reasons : [configuration(issues), ...reasons]
      if (wrong.length > 0) return yield* new DriverError({ reasons: wrong })
      return yield* make(read as Options)
    })
  ) as Layer.Layer<Services<O>, DriverError>
