/**
 * A client of a Raft key-value cluster: it finds the leader, follows it, and says what happened to a write.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Capabilities, Member, MemberIds, Page, Swapped, Target, Written } from "./ClusterAdapter.ts"
import { type Bytes as AnyBytes, toBytes } from "./internal/bytes.ts"
import * as Configured from "./internal/config.ts"
import * as Discovery from "./internal/discovery.ts"
import * as Leasing from "./internal/leasing.ts"
import * as Metrics from "./internal/metrics.ts"
import { Nodes } from "./internal/nodes.ts"
import * as Reading from "./internal/reading.ts"
import * as Requests from "./internal/requests.ts"
import { type Resolution as Resolved, resolveOutcome } from "./internal/resolving.ts"
import { Sender } from "./internal/sender.ts"
import { Session } from "./internal/session.ts"
import { isAddress, type Options, resolve, toMillis } from "./internal/settings.ts"
import * as Tracing from "./internal/tracing.ts"
import * as Watching from "./internal/watching.ts"
import type { Leader } from "./LeaderBelief.ts"
import type { Lease } from "./Lease.ts"
import type * as Prefix from "./Prefix.ts"
import * as RaftError from "./RaftError.ts"
import type { Condition, Operation, Transacted, Transaction } from "./Transaction.ts"
import { Transport } from "./Transport.ts"
import type { WatchEvent } from "./WatchEvent.ts"

/**
 * Bytes, or text that stands for its UTF-8.
 *
 * @category models
 * @since 0.1.0
 */
export type Bytes = AnyBytes

/**
 * How to reach a cluster and how patient to be.
 *
 * @category configuration
 * @since 0.1.0
 */
export type RaftClientOptions = Options

/**
 * Options of an operation.
 *
 * @category configuration
 * @since 0.1.0
 */
export type RequestOptions = Reading.RequestOptions

/**
 * Options of a read.
 *
 * @category configuration
 * @since 0.1.0
 */
export type ReadOptions = Reading.ReadOptions

/**
 * Options of a read of many keys, part by part.
 *
 * @category configuration
 * @since 0.1.0
 */
export type ManyOptions = Reading.ManyOptions

/**
 * Options of a scan.
 *
 * @category configuration
 * @since 0.1.0
 */
export type ScanOptions = Reading.ScanOptions

/**
 * Options of a scan page by page.
 *
 * @category configuration
 * @since 0.1.0
 */
export type PageOptions = Reading.PageOptions

/**
 * Options of a write.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface WriteOptions extends RequestOptions {
  /**
   * Doing it again does no harm, although another write may have come in between: then `RaftError.isSafeToRetry` holds for an
   * ambiguous outcome too. The client itself repeats nothing that may have been applied. Default: false.
   */
  readonly idempotent?: boolean | undefined
}

/**
 * Options of a put.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface PutOptions extends WriteOptions {
  /** The key goes when this lease ends. */
  readonly lease?: Pick<Lease, "id"> | undefined
}

/**
 * Options of a watch.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface WatchOptions {
  /** Start with the present state as `Put`s. The `Synced` that ends it comes in either case. Default: true. */
  readonly initial?: boolean | undefined
  /** `any` watches on any voter; d-engine's followers lose and reorder events. Default: `leader`. */
  readonly on?: "leader" | "any" | undefined
  /** How many events may wait for their consumer before the server is held back. Default: 1024. */
  readonly bufferSize?: number | undefined
  /** How often the state is compared with a scan, where the server may drop events silently (d-engine). Default: 1 minute. */
  readonly reconcile?: Duration.Input | undefined
}

/**
 * What a client believes about its cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClusterView {
  /** Undefined while it is looked for. */
  readonly leader: Leader | undefined
  readonly members: ReadonlyArray<Member>
  /** The last thing that was heard of each node. */
  readonly evidence: ReadonlyArray<RaftError.Evidence>
}

/**
 * What became of an ambiguous write.
 *
 * **Details**
 *
 * `Applied`: the value is there. `NotApplied`: it was not applied and cannot be any more; the key has the value `fence` now.
 * `Superseded`: somebody else's value is there; whether the write came before it nobody can say, but it cannot come any more.
 *
 * @category models
 * @since 0.1.0
 */
export type Resolution = Resolved

/**
 * An ambiguous compare-and-swap, to be resolved.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unresolved {
  readonly key: Bytes
  /** What the write expected; undefined: that the key does not exist. */
  readonly expected: Bytes | undefined
  /** What it would have written. No other attempt, of anybody, may ever write the same. */
  readonly value: Bytes
  /** What to write in its stead if it was not applied, which is what keeps it from being applied later. Unique, too. */
  readonly fence: Bytes
}

/**
 * The client.
 *
 * **Details**
 *
 * Put `RaftError.retry()` around an operation to try it again as long as that does no harm (`isSafeToRetry`).
 *
 * Every write ends in success or in a `RaftError` whose `outcome` is `NotSent`, `Rejected` or `Ambiguous`. What is certainly not
 * applied is sent again until the deadline; what may be is never.
 *
 * @category services
 * @since 0.1.0
 */
export interface RaftClient {
  readonly capabilities: Capabilities
  readonly get: (key: Bytes, options?: ReadOptions) => Effect.Effect<Option.Option<Uint8Array>, RaftError.RaftError>
  /**
   * One value for each key, in their order. Many keys are asked for in parts (128 on etcd), each part at a moment of its own.
   * At most 64 MiB; for more there is `getManyStream`.
   */
  readonly getMany: (
    keys: ReadonlyArray<Bytes>,
    options?: ReadOptions
  ) => Effect.Effect<ReadonlyArray<Option.Option<Uint8Array>>, RaftError.RaftError>
  /** The same, asked for as it is read, `pageSize` keys at a time. `timeout` is that of each part. */
  readonly getManyStream: (
    keys: Iterable<Bytes>,
    options?: ManyOptions
  ) => Stream.Stream<Option.Option<Uint8Array>, RaftError.RaftError>
  readonly put: (key: Bytes, value: Bytes, options?: PutOptions) => Effect.Effect<Written, RaftError.RaftError>
  /** The key disappears after `ttl`, which servers take in whole seconds. */
  readonly putWithTtl: (
    key: Bytes,
    value: Bytes,
    ttl: Duration.Input,
    options?: WriteOptions
  ) => Effect.Effect<Written, RaftError.RaftError>
  /** Succeeds as well when there is no such key. */
  readonly delete: (key: Bytes, options?: WriteOptions) => Effect.Effect<Written, RaftError.RaftError>
  /** `expected` undefined: the key must not exist. A value that does not match is no failure: see `succeeded`. */
  readonly compareAndSwap: (
    key: Bytes,
    expected: Bytes | undefined,
    value: Bytes,
    options?: RequestOptions
  ) => Effect.Effect<Swapped, RaftError.RaftError>
  /** Compares and writes several keys in one step. Conditions that do not hold are no failure: see `succeeded`. */
  readonly transact: (
    transaction: Transaction,
    options?: RequestOptions
  ) => Effect.Effect<Transacted, RaftError.RaftError>
  /**
   * A lease of so many whole seconds, renewed three times in that time and revoked when the scope closes. See `Lease.lost` for how its
   * holder hears that it is gone.
   */
  readonly grantLease: (
    ttl: Duration.Input,
    options?: RequestOptions
  ) => Effect.Effect<Lease, RaftError.RaftError, Scope.Scope>
  /**
   * The keys under a prefix at one moment, sorted by their bytes: all, or the first `limit` of them (`more` says that there are
   * others). At most 64 MiB; for more there is `scanPages`.
   */
  readonly scan: (
    prefix: Prefix.Prefix | string,
    options?: ScanOptions
  ) => Effect.Effect<Page, RaftError.RaftError>
  /**
   * The same page by page, asked for as it is read, all of one moment. `timeout` is that of each page. Fails with `Compacted` when
   * the server gives that moment up meanwhile. Where the server knows no pages (d-engine) it is one answer, cut in pieces.
   */
  readonly scanPages: (
    prefix: Prefix.Prefix | string,
    options?: PageOptions
  ) => Stream.Stream<Page, RaftError.RaftError>
  /** Changes of one key. */
  readonly watch: (key: Bytes, options?: WatchOptions) => Stream.Stream<WatchEvent, RaftError.RaftError>
  /** Changes of all keys under a prefix. */
  readonly watchPrefix: (
    prefix: Prefix.Prefix | string,
    options?: WatchOptions
  ) => Stream.Stream<WatchEvent, RaftError.RaftError>
  /** The ids of the members, now and when they change. `pollInterval` (5 seconds) is for servers that do not tell. */
  readonly watchMembership: (
    options?: { readonly pollInterval?: Duration.Input }
  ) => Stream.Stream<MemberIds, RaftError.RaftError>
  /** The members as they are known. */
  readonly members: Effect.Effect<ReadonlyArray<Member>>
  /** The leader, waited for up to the client's timeout. */
  readonly leader: Effect.Effect<Leader, RaftError.RaftError>
  /** What the client believes, and why. */
  readonly view: Effect.Effect<ClusterView>
  /** Every change of what it believes. */
  readonly changes: Stream.Stream<ClusterView>
  /**
   * Looks for the leader anew, starting from `endpoints` if given. Only when one is confirmed they replace the old ones;
   * connections to nodes that stay are kept.
   */
  readonly refresh: (endpoints?: ReadonlyArray<string>) => Effect.Effect<void, RaftError.RaftError>
  /** Finds out what became of an ambiguous compare-and-swap, and keeps it from being applied later. */
  readonly resolve: (write: Unresolved, options?: RequestOptions) => Effect.Effect<Resolution, RaftError.RaftError>
}

/**
 * The client as a service.
 *
 * @category services
 * @since 0.1.0
 */
export const RaftClient: Context.Service<RaftClient, RaftClient> = Context.Service<RaftClient>(
  "@effect-scylla/raft-client/RaftClient"
)

const { invalid, prefixBytes } = Reading

const noLeader = (operation: string, evidence: ReadonlyArray<RaftError.Evidence>, millis: number) => {
  const said = evidence.map(({ address, answer }) => `${address}: ${answer}`).join("; ")
  const message = `no leader was found within ${millis} ms. ${said}`
  return RaftError.make(operation, new RaftError.NoLeader({ message, evidence }))
}

/** Nobody leads here, or only somebody of another cluster. */
const nobodyLeads = (operation: string, discovery: Discovery.Discovery, millis: number): RaftError.RaftError => {
  const strangers = discovery.strangers()
  return strangers === undefined
    ? noLeader(operation, discovery.evidence(), millis)
    : RaftError.make(operation, new RaftError.OtherCluster({ message: strangers }))
}

const build = Effect.fnUntraced(
  function*(options: RaftClientOptions): Effect.fn.Return<RaftClient, RaftError.RaftError, Scope.Scope> {
    const settings = resolve(options)
    if (!("adapter" in settings)) {
      return yield* invalid("RaftClient.make", `${settings.length} wrong option(s): ${settings.join("; ")}`)
    }
    const { adapter } = settings
    const clock = yield* Clock.Clock
    const now = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
    const transport = yield* Transport
    const count = Metrics.make(yield* Effect.context<never>())
    const { auth } = settings
    if (auth !== undefined && adapter.login === undefined) {
      const message = `${adapter.name} has no users to log in as; leave auth out`
      return yield* RaftError.make("RaftClient.make", new RaftError.Unsupported({ capability: "login", message }))
    }
    const session = auth === undefined || adapter.login === undefined ? undefined : new Session(auth, adapter.login)
    const given = settings.channel.callMetadata
    const channel = session === undefined ? settings.channel : {
      ...settings.channel,
      callMetadata: (path: string) => ({ ...given?.(path), ...session.metadata(path) })
    }
    const nodes = yield* Effect.acquireRelease(
      Effect.sync(() => new Nodes(transport, channel, settings.endpoints)),
      (nodes) => Effect.sync(() => nodes.close())
    )
    const sender = new Sender(now)
    const discovery = yield* Discovery.make(settings, nodes, sender, count)
    const background = yield* FiberSet.makeRuntime<never>()
    const requests = Requests.make(
      settings,
      nodes,
      sender,
      discovery,
      session,
      count,
      (effect) => void background(effect)
    )
    const reading = Reading.make(settings, sender, discovery, requests)
    const watching = Watching.make(settings, nodes, sender, discovery, requests, session, count)
    const leasing = Leasing.make(settings, nodes, sender, discovery, requests)
    const traced = Tracing.make(adapter.name, () => discovery.belief.leader?.address)
    const runWatchdog = yield* FiberHandle.makeRuntime<never>()
    sender.onBusy = () => void runWatchdog(requests.watchdog, { onlyIfMissing: true })

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        const until = now() + settings.shutdownMillis
        discovery.close()
        while (sender.inFlight > 0 && now() < until) yield* Effect.sleep(10)
        sender.abortAll("the client was closed while it was under way")
      })
    )

    const millisOf = (options: RequestOptions | undefined): number =>
      options?.timeout === undefined ? settings.timeoutMillis : toMillis(options.timeout)

    const put = (operation: string, key: Bytes, value: Bytes, timeoutMillis: number, ttl?: {
      readonly seconds?: number
      readonly lease: bigint | undefined
    }) => requests.run(operation, adapter.put(toBytes(key), toBytes(value), ttl), "Quorum", timeoutMillis)

    const putWithTtl: RaftClient["putWithTtl"] = Effect.fnUntraced(function*(key, value, ttl, options) {
      if (!adapter.capabilities.ttl) {
        return yield* RaftError.make(
          "putWithTtl",
          new RaftError.Unsupported({
            capability: "ttl",
            message:
              `this ${adapter.name} cluster is not known to have leases, and one put with a TTL destroys one without; ` +
              "if its servers have them, make the adapter with { ttl: true }"
          }),
          "NotSent"
        )
      }
      const seconds = Leasing.wholeSeconds(ttl)
      if (typeof seconds === "string") return yield* invalid("putWithTtl", seconds, true)
      const startedAt = now()
      const timeoutMillis = millisOf(options)
      const granted = adapter.leases === undefined
        ? undefined
        : yield* Effect.mapError(
          requests.run("putWithTtl", adapter.leases.grant(seconds), "Quorum", timeoutMillis),
          ({ attempts, operation, reason }) => RaftError.make(operation, reason, "NotSent", attempts)
        )
      return yield* put("putWithTtl", key, value, timeoutMillis - (now() - startedAt), { seconds, lease: granted?.id })
    })

    const conditionOf = (condition: Condition): Condition<Uint8Array> =>
      condition._tag === "Value"
        ? { ...condition, key: toBytes(condition.key), value: toBytes(condition.value) }
        : { ...condition, key: toBytes(condition.key) }
    const operationOf = (operation: Operation): Operation<Uint8Array> =>
      operation._tag === "Put"
        ? { ...operation, key: toBytes(operation.key), value: toBytes(operation.value) }
        : { ...operation, key: toBytes(operation.key) }

    const transact: RaftClient["transact"] = ({ compare, failure = [], success }, options) => {
      if (adapter.transact === undefined) {
        return Effect.fail(Leasing.unsupported("transact", adapter, "transactions", true))
      }
      const call = adapter.transact(compare.map(conditionOf), success.map(operationOf), failure.map(operationOf))
      return requests.run("transact", call, "Quorum", millisOf(options))
    }

    /** Marks what the caller knows of its write. */
    const known = <A>(effect: Effect.Effect<A, RaftError.RaftError>, options: WriteOptions | undefined) =>
      options?.idempotent === true ? Effect.mapError(effect, RaftError.asIdempotent) : effect

    const watch = (target: Target, options: WatchOptions = {}) => {
      const { bufferSize = 1024, initial = true, on = "leader", reconcile = "1 minute" } = options
      const reconcileMillis = toMillis(reconcile)
      if (!(reconcileMillis > 0) || !Number.isInteger(bufferSize) || bufferSize < 1) {
        return Stream.fail(
          invalid("watch", `reconcile must be a time, as in "1 minute", and bufferSize a whole number from 1`)
        )
      }
      return watching.watch(target, { initial, on, bufferSize, reconcileMillis })
    }

    const view = Effect.sync((): ClusterView => ({
      leader: discovery.belief.leader,
      members: nodes.members,
      evidence: discovery.evidence()
    }))

    const refresh: RaftClient["refresh"] = Effect.fnUntraced(function*(endpoints) {
      const wrong = endpoints?.filter((endpoint) => !isAddress(endpoint)) ?? []
      if (endpoints?.length === 0 || wrong.length > 0) {
        return yield* invalid(
          "refresh",
          `endpoints must be host:port${wrong.length > 0 ? `, not ${wrong.join(", ")}` : ""}`
        )
      }
      const heard = yield* discovery.refresh(endpoints, settings.readyTimeoutMillis)
      if (heard !== undefined) return yield* noLeader("refresh", heard, settings.readyTimeoutMillis)
    })

    const client: RaftClient = {
      capabilities: adapter.capabilities,
      get: (key, options) =>
        traced("get", Effect.map(reading.many([key], options), ([value]) => value ?? Option.none())),
      getMany: (keys, options) => traced("getMany", reading.many(keys, options)),
      getManyStream: reading.stream,
      put: (key, value, options) => {
        const lease = options?.lease
        if (lease !== undefined && adapter.leases === undefined) {
          return Effect.fail(Leasing.unsupported("put", adapter, "leases", true))
        }
        const hung = lease === undefined ? undefined : { lease: lease.id }
        return traced("put", known(put("put", key, value, millisOf(options), hung), options))
      },
      putWithTtl: (key, value, ttl, options) =>
        traced("putWithTtl", known(putWithTtl(key, value, ttl, options), options)),
      delete: (key, options) => {
        const call = adapter.delete(toBytes(key))
        return traced("delete", known(requests.run("delete", call, "Quorum", millisOf(options)), options))
      },
      transact: (transaction, options) => traced("transact", transact(transaction, options)),
      grantLease: (ttl, options) => leasing.grant("grantLease", ttl, millisOf(options)),
      compareAndSwap: (key, expected, value, options) =>
        traced(
          "compareAndSwap",
          requests.run(
            "compareAndSwap",
            adapter.compareAndSwap(
              toBytes(key),
              expected === undefined ? undefined : toBytes(expected),
              toBytes(value)
            ),
            "Quorum",
            millisOf(options)
          )
        ),
      scan: (prefix, options) => traced("scan", reading.scan(prefix, options)),
      scanPages: reading.pages,
      watch: (key, options) => watch({ key: toBytes(key), prefix: false }, options),
      watchPrefix: (prefix, options) =>
        Stream.unwrap(
          Effect.map(prefixBytes("watch", prefix, false), (key) => watch({ key, prefix: true }, options))
        ),
      watchMembership: (options = {}) => {
        const millis = toMillis(options.pollInterval ?? "5 seconds")
        return millis > 0
          ? watching.watchMembership(millis)
          : Stream.fail(invalid("watchMembership", `pollInterval must be a time, as in "5 seconds"`))
      },
      members: Effect.sync(() => nodes.members),
      leader: Effect.mapError(
        discovery.awaitLeader(settings.timeoutMillis),
        (why) =>
          why === "Closed"
            ? RaftError.make("leader", new RaftError.ClientClosed({ message: "the client is closed" }))
            : nobodyLeads("leader", discovery, settings.timeoutMillis)
      ),
      view,
      changes: SubscriptionRef.changes(discovery.view),
      refresh,
      resolve: (write, options) =>
        traced(
          "resolve",
          Effect.suspend(() =>
            resolveOutcome(client, {
              key: toBytes(write.key),
              expected: write.expected === undefined ? undefined : toBytes(write.expected),
              value: toBytes(write.value),
              fence: toBytes(write.fence),
              timeoutMillis: millisOf(options)
            }, now)
          )
        )
    }

    if (settings.lazy) return client
    return yield* discovery.awaitLeader(settings.readyTimeoutMillis).pipe(
      Effect.mapError(() => noLeader("RaftClient.make", discovery.evidence(), settings.readyTimeoutMillis)),
      Effect.andThen(Effect.mapError(
        requests.logIn(0, settings.timeoutMillis),
        ({ attempts, reason }) => RaftError.make("RaftClient.make", reason, undefined, attempts)
      )),
      Effect.as(client)
    )
  }
)

/**
 * Connects to a cluster.
 *
 * **Details**
 *
 * Waits for a confirmed leader up to `readyTimeout`, unless `lazy`, and fails with what each endpoint has answered. When the
 * scope closes, requests that wait for a leader fail as not sent, and those under way as ambiguous if they are writes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: RaftClientOptions): Effect.Effect<RaftClient, RaftError.RaftError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(yield* Effect.scope)
      return yield* restore(Scope.provide(build(options), scope)).pipe(
        Effect.onExit((exit) => Exit.isFailure(exit) ? Scope.close(scope, Exit.failCause(exit.cause)) : Effect.void)
      )
    })
  )

/**
 * The client as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: RaftClientOptions): Layer.Layer<RaftClient, RaftError.RaftError> =>
  Layer.effect(RaftClient, make(options))

/**
 * Options of which every one may be a `Config` too, or be left out: then it is read by its name.
 *
 * @category configuration
 * @since 0.1.0
 */
export type FromConfig = Configured.FromConfig

/**
 * The options of {@link layerConfig}: what is given goes before what is configured, and all that is wrong is in one error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const optionsFromConfig = (options: FromConfig = {}): Effect.Effect<RaftClientOptions, RaftError.RaftError> =>
  Effect.gen(function*() {
    const read = yield* Configured.read(options)
    if ("adapter" in read) return read
    return yield* invalid("RaftClient.layerConfig", `${read.length} wrong setting(s): ${read.join("; ")}`)
  })

/**
 * The client as a layer, its options from the configuration: `RAFT_ENDPOINTS` (`host:port,host:port`), and where they are set
 * `RAFT_ADAPTER` (`etcd` or `d-engine`; default `etcd`), `RAFT_USERNAME`, `RAFT_PASSWORD`, `RAFT_TIMEOUT` and the others of the table
 * in the README. What is given here goes before what is configured. All that is wrong is reported in one error.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: FromConfig = {}): Layer.Layer<RaftClient, RaftError.RaftError> =>
  Layer.effect(RaftClient, Effect.flatMap(optionsFromConfig(options), make))
