/**
 * The client for `async`/`await`: what {@link RaftClient} does, as promises and async iterables.
 *
 * ```ts
 * import { connect } from "@effect-scylla/raft-client/promise"
 *
 * await using raft = await connect({ endpoints: ["10.0.0.1:2379"] })
 * await raft.put("/config/rate", "100")
 * for await (const event of raft.watchPrefix("/config/")) console.log(event)
 * ```
 *
 * What it does by itself (finding the leader, deadlines, what is sent again) is what is said of {@link RaftClient}. Besides:
 *
 * - **Failures** are {@link RaftError}s, with `reason`, `outcome` and `isSafeToRetry`. Their stack leads to the line that waited,
 *   `await raft.put(…)`; `stacks: false` leaves that out.
 * - **Aborts**: every call takes a `signal`. When it is aborted the request is given up, and the promise rejects with the
 *   signal's reason; a write may have been applied then.
 * - **Streams**, watches among them, are read as they are iterated; leaving the loop ends them on the server too. Each loop over
 *   the same iterable begins anew.
 * - **The end**: {@link Client.close}, or `await using`. A client that is not closed keeps no process alive (see
 *   {@link ConnectOptions.unref}), only requests under way, watches and leases do; and unless `NODE_ENV` is `production` a
 *   process that ends well says on stderr where it was opened.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ChannelOptions, TlsOptions } from "./Channel.ts"
import type { Capabilities, ClusterAdapter, Member, MemberIds, Page, Swapped, Written } from "./ClusterAdapter.ts"
import * as DEngineAdapter from "./DEngineAdapter.ts"
import * as Election from "./Election.ts"
import * as EtcdAdapter from "./EtcdAdapter.ts"
import { Calls, type Failures, ofPromise } from "./internal/calls.ts"
import { type Measure, measures } from "./internal/measures.ts"
import { note } from "./internal/unclosed.ts"
import type { Leader } from "./LeaderBelief.ts"
import * as Lock from "./Lock.ts"
import type * as Prefix from "./Prefix.ts"
import * as RaftClient from "./RaftClient.ts"
import * as Errors from "./RaftError.ts"
import type { Condition, Transacted, Transaction } from "./Transaction.ts"
import { Transport } from "./Transport.ts"
import type { WatchEvent } from "./WatchEvent.ts"

export type { Consistency, Entry, Member, Page, Swapped, Written } from "./ClusterAdapter.ts"
export { make as dEngine } from "./DEngineAdapter.ts"
export { make as etcd } from "./EtcdAdapter.ts"
export type { Measure } from "./internal/measures.ts"
export { type Attempt, type Outcome, RaftError, type RaftReason } from "./RaftError.ts"
export * as Transaction from "./Transaction.ts"
export type { WatchEvent } from "./WatchEvent.ts"

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

type Bytes = RaftClient.Bytes
type Name = Prefix.Prefix | string

/**
 * How a client is opened: all options of `RaftClient.layer`, of which only `endpoints` is needed, and those of this module. Times
 * are milliseconds, or text such as `"3 seconds"`.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface ConnectOptions extends Omit<RaftClient.RaftClientOptions, "adapter" | "auth" | "channel"> {
  /** The kind of the servers: its name, or `dEngine({ ttl: true })`, or another adapter. Default: `etcd`. */
  readonly adapter?: "etcd" | "d-engine" | ClusterAdapter | undefined
  /** Logs in as this user, on servers that have users (etcd). */
  readonly auth?: { readonly username: string; readonly password: string | Redacted.Redacted } | undefined
  /** TLS, metadata, keepalive, limits, compression. */
  readonly channel?:
    | Omit<ChannelOptions, "tls"> & {
      readonly tls?:
        | Omit<TlsOptions, "key"> & { readonly key?: string | Redacted.Redacted | undefined }
        | undefined
    }
    | undefined
  /** Who opens connections instead: a test's own. Default: `@grpc/grpc-js`. */
  readonly transport?: Transport | undefined
  /**
   * For programs that have layers of Effect: what it has of `Transport` and `RaftClient` is used, and its clock, logger, tracer
   * and metrics are the client's.
   */
  readonly layer?: Layer.Layer<never, unknown> | undefined
  /**
   * Whether errors have the stack of whoever waits for them. Default: true. Costs a call that succeeds nothing, and one that
   * fails about 7 µs; without, the stack shows where the client made the error.
   */
  readonly stacks?: boolean | undefined
  /** `false`: the process stays until the client is closed. Default: true, only what is under way keeps it. */
  readonly unref?: boolean | undefined
  /** Gives up connecting when it is aborted. Later it has no effect. */
  readonly signal?: AbortSignal | undefined
}

/**
 * How a client is closed.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface CloseOptions {
  /**
   * For calls under way to end by themselves, in milliseconds or as text; what is left then fails with the reason
   * `ClientClosed`. Default: 0, `shutdownTimeout` remains. Streams end at once in either case.
   */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Something that is held: it is given back by `close`, by `await using`, or with the client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Held extends AsyncDisposable {
  /** Aborted when it is lost before it is given back, with a {@link RaftError} of reason `LeaseLost`. */
  readonly lost: AbortSignal
  /** Gives it back, any number of times. */
  readonly close: () => Promise<void>
}

/**
 * A lease that is kept alive: keys that were put with it go when it ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease extends Held {
  readonly id: bigint
  /** How long it lives without being renewed; servers may grant more than was asked for. */
  readonly seconds: number
  /** False from the moment on at which the server may have ended it, and when it was given back. */
  readonly isAlive: () => boolean
}

/**
 * A lock that is held.
 *
 * @category models
 * @since 0.1.0
 */
export interface HeldLock extends Held {
  /** Higher than that of every holder before; give it to what the lock protects. */
  readonly token: bigint
  /** The key that stands for the holder. */
  readonly key: Uint8Array
  /** Holds in a transaction as long as the lock is held. */
  readonly isHeld: Condition
}

/**
 * An office that is held.
 *
 * @category models
 * @since 0.1.0
 */
export interface Leadership extends HeldLock {
  /** Changes what the others see of the leader. Fails with the reason `LeaseLost` when the office is lost. */
  readonly proclaim: (value: Bytes, options?: CallOptions) => Promise<void>
}

/**
 * Locks, as `Lock` has them, on servers with leases and transactions (etcd).
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientLock {
  /** Waits for the lock, as long as it takes. `name` is a prefix that nothing else uses, as in `/locks/report/`. */
  readonly acquire: (name: Name, options?: Lock.LockOptions & CallOptions) => Promise<HeldLock>
  /**
   * Runs `use` with the lock, and gives it back when `use` has ended. When the lock is lost meanwhile, `held.lost` is aborted,
   * and whatever `use` comes to, the promise rejects with the reason `LeaseLost`. The signal of the options ends the wait for
   * the lock only.
   */
  readonly withLock: <A>(
    name: Name,
    use: (held: HeldLock) => Promise<A>,
    options?: Lock.LockOptions & CallOptions
  ) => Promise<A>
}

/**
 * Elections among programs, as `Election` has them, on servers with leases and transactions (etcd).
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientElection {
  /** Stands for the office and waits for it, as long as it takes; `value` is what the others see. */
  readonly campaign: (
    name: Name,
    value: Bytes,
    options?: Pick<Lock.LockOptions, "ttl"> & CallOptions
  ) => Promise<Leadership>
  /** Who holds the office now, if anybody does. */
  readonly leader: (name: Name, options?: CallOptions) => Promise<Election.Leader | undefined>
  /** Who holds it: now, and whenever that or what it proclaims changes. Does not end by itself. */
  readonly observe: (name: Name, options?: CallOptions) => AsyncIterable<Election.Leader | undefined>
}

/**
 * A client that is open. All promises reject with a {@link RaftError}, unless a signal was aborted.
 *
 * @category services
 * @since 0.1.0
 */
export interface Client extends AsyncDisposable {
  readonly capabilities: Capabilities
  /** The value of a key, if there is one. */
  readonly get: (key: Bytes, options?: RaftClient.ReadOptions & CallOptions) => Promise<Uint8Array | undefined>
  /** One value for each key, in their order; at most 64 MiB. */
  readonly getMany: (
    keys: ReadonlyArray<Bytes>,
    options?: RaftClient.ReadOptions & CallOptions
  ) => Promise<ReadonlyArray<Uint8Array | undefined>>
  /** The same, asked for as it is read, `pageSize` keys at a time. */
  readonly getManyStream: (
    keys: Iterable<Bytes>,
    options?: RaftClient.ManyOptions & CallOptions
  ) => AsyncIterable<Uint8Array | undefined>
  readonly put: (key: Bytes, value: Bytes, options?: RaftClient.PutOptions & CallOptions) => Promise<Written>
  /** The key disappears after `ttl`, which servers take in whole seconds. */
  readonly putWithTtl: (
    key: Bytes,
    value: Bytes,
    ttl: Duration.Input,
    options?: RaftClient.WriteOptions & CallOptions
  ) => Promise<Written>
  /** Succeeds as well when there is no such key. */
  readonly delete: (key: Bytes, options?: RaftClient.WriteOptions & CallOptions) => Promise<Written>
  /** `expected` undefined: the key must not exist. A value that does not match is no failure: see `succeeded`. */
  readonly compareAndSwap: (
    key: Bytes,
    expected: Bytes | undefined,
    value: Bytes,
    options?: RaftClient.RequestOptions & CallOptions
  ) => Promise<Swapped>
  /** Compares and writes several keys in one step. Conditions that do not hold are no failure: see `succeeded`. */
  readonly transact: (
    transaction: Transaction,
    options?: RaftClient.RequestOptions & CallOptions
  ) => Promise<Transacted>
  /** A lease of so many whole seconds, renewed three times in that time until it is given back. */
  readonly grantLease: (ttl: Duration.Input, options?: RaftClient.RequestOptions & CallOptions) => Promise<Lease>
  /** The keys under a prefix at one moment, sorted by their bytes; at most 64 MiB. */
  readonly scan: (prefix: Name, options?: RaftClient.ScanOptions & CallOptions) => Promise<Page>
  /** The same page by page, asked for as it is read, all of one moment. */
  readonly scanPages: (prefix: Name, options?: RaftClient.PageOptions & CallOptions) => AsyncIterable<Page>
  /** Changes of one key. Does not end by itself. */
  readonly watch: (key: Bytes, options?: RaftClient.WatchOptions & CallOptions) => AsyncIterable<WatchEvent>
  /** Changes of all keys under a prefix. Does not end by itself. */
  readonly watchPrefix: (prefix: Name, options?: RaftClient.WatchOptions & CallOptions) => AsyncIterable<WatchEvent>
  /** The ids of the members, now and when they change. `pollInterval` (5 seconds) is for servers that do not tell. */
  readonly watchMembership: (
    options?: { readonly pollInterval?: Duration.Input | undefined } & CallOptions
  ) => AsyncIterable<MemberIds>
  /** The members as they are known. */
  readonly members: () => ReadonlyArray<Member>
  /** The leader, waited for up to the client's timeout. */
  readonly leader: (options?: CallOptions) => Promise<Leader>
  /** What the client believes, and why. */
  readonly view: () => RaftClient.ClusterView
  /** Every change of what it believes. Does not end by itself; keeps no process alive. */
  readonly changes: (options?: CallOptions) => AsyncIterable<RaftClient.ClusterView>
  /** Looks for the leader anew, starting from `endpoints` if given. */
  readonly refresh: (endpoints?: ReadonlyArray<string>, options?: CallOptions) => Promise<void>
  /** Finds out what became of an ambiguous compare-and-swap, and keeps it from being applied later. */
  readonly resolve: (
    write: RaftClient.Unresolved,
    options?: RaftClient.RequestOptions & CallOptions
  ) => Promise<RaftClient.Resolution>
  readonly lock: ClientLock
  readonly election: ClientElection
  /**
   * The package's metrics as they are now, `raft_client_retries_total` and others: of all clients of this process, unless a layer
   * has metrics of its own.
   */
  readonly metrics: () => ReadonlyArray<Measure>
  /**
   * Calls again what has failed where that does no harm (`isSafeToRetry`), by `RaftError.retrySchedule`: up to 8 times, after
   * pauses that double from 50 ms up to 2 seconds. Rejects with the last error.
   */
  readonly retry: <A>(call: () => Promise<A>, options?: CallOptions) => Promise<A>
  /**
   * Refuses what comes from now on (reason `ClientClosed`), waits for calls under way up to `timeout`, gives back leases and
   * locks, and cuts off the rest (`ClientClosed`; writes are `Ambiguous`). Afterwards no connection, timer or request of it is
   * left. Any number of times: the first decides. `await using` calls it without options.
   */
  readonly close: (options?: CloseOptions) => Promise<void>
}

const WRITES = new Set(["put", "putWithTtl", "delete", "compareAndSwap", "transact", "resolve", "proclaim"])

const failures: Failures<Errors.RaftError> = {
  is: (error) => error instanceof Errors.RaftError,
  again: ({ attempts, idempotent, operation, outcome, reason }) =>
    new Errors.RaftError({ operation, reason, outcome, attempts, idempotent }),
  closed: (operation, isBegun) =>
    Errors.make(
      operation,
      new Errors.ClientClosed({
        message: isBegun ? "the client was closed while it was under way" : "the client is closed"
      }),
      WRITES.has(operation) ? isBegun ? "Ambiguous" : "NotSent" : undefined
    )
}

type Lost = { readonly lost: Effect.Effect<Errors.RaftError> }

/** With a signal for its loss, for as long as its scope is open. */
const signalling = <A extends Lost, R>(acquire: Effect.Effect<A, Errors.RaftError, R>, controller: AbortController) =>
  Effect.tap(acquire, ({ lost }) => Effect.forkScoped(Effect.map(lost, (error) => controller.abort(error))))

const facade = (
  services: Context.Context<RaftClient.RaftClient>,
  calls: Calls<Errors.RaftError>,
  close: Client["close"]
): Client => {
  const client = Context.get(services, RaftClient.RaftClient)
  const provided = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(effect, RaftClient.RaftClient, client)

  const hold = async <A extends Lost>(
    operation: string,
    acquire: () => Effect.Effect<A, Errors.RaftError, Scope.Scope | RaftClient.RaftClient>,
    signal: AbortSignal | undefined
  ): Promise<{ readonly value: A; readonly held: Held; readonly isHeld: () => boolean }> => {
    const controller = new AbortController()
    const { giveBack, isHeld, value } = await calls.hold(
      operation,
      () => provided(signalling(acquire(), controller)),
      signal
    )
    const held = { lost: controller.signal, close: giveBack, [Symbol.asyncDispose]: giveBack }
    return { value, isHeld, held }
  }

  const acquire: ClientLock["acquire"] = async (name, options) => {
    const { held, value: { isHeld, key, token } } = await hold(
      "lock",
      () => Lock.acquire(name, options),
      options?.signal
    )
    return { ...held, isHeld, key, token }
  }

  return {
    capabilities: client.capabilities,
    get: (key, options) =>
      calls.run("get", () => Effect.map(client.get(key, options), Option.getOrUndefined), options?.signal),
    getMany: (keys, options) =>
      calls.run(
        "getMany",
        () => Effect.map(client.getMany(keys, options), (values) => values.map(Option.getOrUndefined)),
        options?.signal
      ),
    getManyStream: (keys, options) =>
      calls.iterate(
        "getManyStream",
        () => Stream.map(client.getManyStream(keys, options), Option.getOrUndefined),
        options?.signal
      ),
    put: (key, value, options) => calls.run("put", () => client.put(key, value, options), options?.signal),
    putWithTtl: (key, value, ttl, options) =>
      calls.run("putWithTtl", () => client.putWithTtl(key, value, ttl, options), options?.signal),
    delete: (key, options) => calls.run("delete", () => client.delete(key, options), options?.signal),
    compareAndSwap: (key, expected, value, options) =>
      calls.run("compareAndSwap", () => client.compareAndSwap(key, expected, value, options), options?.signal),
    transact: (transaction, options) =>
      calls.run("transact", () => client.transact(transaction, options), options?.signal),
    grantLease: async (ttl, options) => {
      const { held, isHeld, value: { id, isAlive, seconds } } = await hold(
        "grantLease",
        () => client.grantLease(ttl, options),
        options?.signal
      )
      return { ...held, id, seconds, isAlive: () => isHeld() && Effect.runSync(isAlive) }
    },
    scan: (prefix, options) => calls.run("scan", () => client.scan(prefix, options), options?.signal),
    scanPages: (prefix, options) =>
      calls.iterate("scanPages", () => client.scanPages(prefix, options), options?.signal),
    watch: (key, options) => calls.iterate("watch", () => client.watch(key, options), options?.signal),
    watchPrefix: (prefix, options) =>
      calls.iterate("watch", () => client.watchPrefix(prefix, options), options?.signal),
    watchMembership: ({ pollInterval, signal } = {}) =>
      calls.iterate(
        "watchMembership",
        () => client.watchMembership(pollInterval === undefined ? {} : { pollInterval }),
        signal
      ),
    members: () => Effect.runSync(client.members),
    leader: (options) => calls.run("leader", () => client.leader, options?.signal),
    view: () => Effect.runSync(client.view),
    changes: (options) => calls.iterate("changes", () => client.changes, options?.signal),
    refresh: (endpoints, options) => calls.run("refresh", () => client.refresh(endpoints), options?.signal),
    resolve: (write, options) => calls.run("resolve", () => client.resolve(write, options), options?.signal),
    lock: {
      acquire,
      withLock: async (name, use, options) => {
        const held = await acquire(name, options)
        try {
          const value = await use(held)
          if (!held.lost.aborted) return value
        } catch (error) {
          if (!held.lost.aborted) throw error
        } finally {
          await held.close()
        }
        throw calls.placed(held.lost.reason)
      }
    },
    election: {
      campaign: async (name, value, options) => {
        const { held, value: { isHeld, key, proclaim, token } } = await hold(
          "campaign",
          () => Election.campaign(name, value, options),
          options?.signal
        )
        return {
          ...held,
          isHeld,
          key,
          token,
          proclaim: (value, options) => calls.run("proclaim", () => proclaim(value), options?.signal)
        }
      },
      leader: (name, options) =>
        calls.run("leader", () => provided(Effect.map(Election.leader(name), Option.getOrUndefined)), options?.signal),
      observe: (name, options) =>
        calls.iterate(
          "observe",
          () =>
            Stream.provideService(
              Stream.map(Election.observe(name), Option.getOrUndefined),
              RaftClient.RaftClient,
              client
            ),
          options?.signal
        )
    },
    metrics: () => measures(services, "raft_client_"),
    retry: (call, options) =>
      calls.run(
        "retry",
        () => Errors.retry()(ofPromise(call) as Effect.Effect<Awaited<ReturnType<typeof call>>, Errors.RaftError>),
        options?.signal
      ),
    close,
    [Symbol.asyncDispose]: () => close()
  }
}

const redacted = (text: string | Redacted.Redacted): Redacted.Redacted =>
  typeof text === "string" ? Redacted.make(text) : text

const channelOf = ({ tls, ...rest }: NonNullable<ConnectOptions["channel"]>): ChannelOptions => {
  if (tls === undefined) return rest
  const { key, ...others } = tls
  return { ...rest, tls: key === undefined ? others : { ...others, key: redacted(key) } }
}

type Own = Partial<RaftClient.RaftClientOptions>

/** Options of which `read` makes those of the Effect client. */
type Given = Partial<ConnectOptions>
type Read = (own: Own) => Effect.Effect<RaftClient.RaftClientOptions, Errors.RaftError>

const ownOf = ({ adapter, auth, channel, ...rest }: Given): Own => ({
  ...rest,
  ...(adapter === undefined ? {} : {
    adapter: adapter === "etcd" ? EtcdAdapter.make() : adapter === "d-engine" ? DEngineAdapter.make() : adapter
  }),
  ...(auth === undefined ? {} : { auth: { ...auth, password: redacted(auth.password) } }),
  ...(channel === undefined ? {} : { channel: channelOf(channel) })
})

/** The layer's client, or one of the options. */
const build = Effect.fnUntraced(function*(
  { layer, signal: _signal, stacks: _stacks, transport, unref: _unref, ...rest }: Given,
  read: Read,
  scope: Scope.Scope
): Effect.fn.Return<Context.Context<RaftClient.RaftClient>, unknown> {
  const given = layer === undefined ? Context.empty() : yield* Layer.buildWithScope(layer, scope)
  const services = transport === undefined ? given : Context.add(given, Transport, transport)
  const shared = Context.getOption(services as Context.Context<RaftClient.RaftClient>, RaftClient.RaftClient)
  const client = Option.isSome(shared)
    ? shared.value
    : yield* Effect.flatMap(read(ownOf(rest)), RaftClient.make).pipe(
      Scope.provide(scope),
      Effect.provideContext(services)
    )
  return Context.add(services, RaftClient.RaftClient, client)
})

const open = async (options: Given, read: Read, opener: (...args: Array<never>) => unknown): Promise<Client> => {
  const { signal, stacks = true, unref = true } = options
  // Now, while whoever called is on the stack.
  const forget = note(!unref, opener)
  const scope = Scope.makeUnsafe()
  const opening = new Calls<Errors.RaftError>(failures, Context.empty(), stacks)
  try {
    const services = await opening.run("connect", () => build(options, read, scope), signal)
    const calls = new Calls<Errors.RaftError>(failures, services, stacks)
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
 * Opens a client: checks the options, and waits up to `readyTimeout` (5 seconds) for a confirmed leader, unless `lazy`.
 *
 * Rejects with a {@link RaftError}: `InvalidRequest`, which names all wrong options, `NoLeader` with what each endpoint answered,
 * or what became of the login.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (options: ConnectOptions): Promise<Client> =>
  open(
    options,
    (own) => Effect.succeed({ adapter: EtcdAdapter.make(), ...own } as RaftClient.RaftClientOptions),
    connect
  )

/**
 * {@link connect} by the environment: `RAFT_ENDPOINTS` and the others of the README's table, or what a `ConfigProvider` of the
 * layer has. What is given goes before it; `prefix` replaces `RAFT_`. Rejects with one error that names all that is missing or
 * wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connectConfig = (
  { prefix, ...options }: Partial<ConnectOptions> & { readonly prefix?: string | undefined } = {}
): Promise<Client> => open(options, (own) => RaftClient.optionsFromConfig({ ...own, prefix }), connectConfig)
