/**
 * What the client must know of one kind of server: how to ask, and what an answer means. All of it plain functions.
 *
 * @since 0.1.0
 */
import type { Answer } from "./Channel.ts"
import type { Condition, Operation, Transacted } from "./Transaction.ts"

/**
 * A leader that a server names beside its refusal.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hint {
  readonly id: string | undefined
  readonly address: string | undefined
}

/**
 * What happened to a request, in one of these and no other way.
 *
 * **Details**
 *
 * | verdict | applied? | what the client does |
 * | --- | --- | --- |
 * | `Done` | yes | answers |
 * | `NotLeader` | no | follows the hint to a known member, else looks for the leader |
 * | `NotReady` | no | asks the same node again in a moment |
 * | `NotServing` | no | turns to another node |
 * | `Busy` | no | asks the same node again, later |
 * | `Unauthenticated` | no | logs in again, if it can, and asks again; else fails |
 * | `Refused` | no | fails |
 * | `NotSent` | no | turns to another node |
 * | `Unknown` | perhaps | fails a write as `Ambiguous`; asks again with a read |
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict<A> =
  /** `term`, `revision` and the identity of the cluster where the answer carries them. */
  | {
    readonly _tag: "Done"
    readonly value: A
    readonly term?: bigint
    readonly revision?: bigint
    readonly cluster?: bigint
  }
  | { readonly _tag: "NotLeader"; readonly message: string; readonly hint?: Hint | undefined }
  | { readonly _tag: "NotReady"; readonly message: string }
  | { readonly _tag: "NotServing"; readonly message: string }
  | { readonly _tag: "Busy"; readonly message: string; readonly retryAfterMillis?: number | undefined }
  /** There was no token, or it is worth nothing any longer. */
  | { readonly _tag: "Unauthenticated"; readonly message: string }
  | { readonly _tag: "Refused"; readonly why: Refusal; readonly message: string }
  | { readonly _tag: "NotSent"; readonly message: string }
  | {
    readonly _tag: "Unknown"
    readonly cause: "Lost" | "TimedOut" | "Failed" | "Unreadable"
    readonly message: string
    /** The answer casts doubt on who leads. */
    readonly doubt: boolean
  }

/**
 * Why a request will not be served, whoever is asked.
 *
 * @category models
 * @since 0.1.0
 */
export type Refusal =
  | "InvalidRequest"
  | "MessageTooLarge"
  | "Unsupported"
  | "PermissionDenied"
  | "ServerFailure"
  | "Compacted"
  | "LeaseNotFound"
  | "OtherCluster"

/**
 * A verdict that ends nothing well.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure = Exclude<Verdict<never>, { readonly _tag: "Done" }>

/**
 * One request: bytes for a method, and what the answer to it means.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call<A> {
  readonly path: string
  readonly body: Uint8Array
  readonly write: boolean
  readonly judge: (answer: Answer) => Verdict<A>
}

/**
 * A node of the cluster. `voter` is false for learners.
 *
 * @category models
 * @since 0.1.0
 */
export interface Member {
  readonly id: string
  /** `host:port` to dial. */
  readonly address: string
  readonly voter: boolean
}

/**
 * What one node says about the cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface Claim {
  /** Who was asked. */
  readonly address: string
  /** Its own id, where it can be told. */
  readonly self: string | undefined
  /** The leader it names. */
  readonly leader: string | undefined
  /** It says that it leads itself. */
  readonly selfClaim: boolean
  /** Its term, where it tells one. */
  readonly term: bigint | undefined
  readonly members: ReadonlyArray<Member>
  /** A higher version of the membership is newer; 0 says nothing. */
  readonly version: bigint
  /** The identity of the cluster, where the server has one; in decimal. */
  readonly cluster: string | undefined
}

/**
 * Who may answer a read. `lease` is served by a leader on the strength of its lease, without asking the others; `eventual`
 * by any healthy voter, which may be behind.
 *
 * @category models
 * @since 0.1.0
 */
export type Consistency = "linearizable" | "lease" | "eventual"

/**
 * A key and its value. `revision` is that of the last change, `created` that of the first since the key exists, where the
 * server tells them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly revision: bigint | undefined
  readonly created?: bigint | undefined
}

/**
 * What a write that was applied is told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Written {
  /** The revision of the write; only where `capabilities.writeRevision`. */
  readonly revision: bigint | undefined
}

/**
 * What became of a compare-and-swap that was decided: `succeeded` is false when the value was another.
 *
 * @category models
 * @since 0.1.0
 */
export interface Swapped extends Written {
  readonly succeeded: boolean
}

/**
 * All keys under a prefix at one moment. On d-engine `revision` may be newer than the entries.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scanned {
  readonly entries: ReadonlyArray<Entry>
  readonly revision: bigint
}

/**
 * What is read or watched: one key, or all under a prefix.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  readonly key: Uint8Array
  readonly prefix: boolean
}

/**
 * A part of what `Target` names: at most `limit` keys, those behind `after`, as they were at `revision` (undefined: now).
 *
 * @category models
 * @since 0.1.0
 */
export interface PageRequest extends Target {
  readonly limit: number
  readonly after: Uint8Array | undefined
  readonly revision: bigint | undefined
}

/**
 * A part of the keys, sorted by their bytes, at the revision that was asked for; the present one if none was. `more`: others
 * come behind.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page extends Scanned {
  readonly more: boolean
}

/**
 * What a kind of server can do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities {
  /** Reads on the strength of the leader's lease; elsewhere a `lease` read is linearizable. */
  readonly leaseRead: boolean
  readonly ttl: boolean
  /** The server streams changes of the membership; elsewhere it is polled. */
  readonly watchMembership: boolean
  /** A watch continues where it ended; elsewhere it is put together from scans. */
  readonly resumableWatch: boolean
  readonly writeRevision: boolean
  /** A scan is linearizable by itself; elsewhere leadership is confirmed before and after it. */
  readonly linearizableScan: boolean
  /** Reads carry the revision of the node that answers, which is what keeps eventual reads from going back in time. */
  readonly readRevision: boolean
  /** Prefixes are read page by page, so that one of any size can be; elsewhere a scan is one answer. */
  readonly pages: boolean
  /** Users and passwords: the option `auth` of the client. */
  readonly login: boolean
  /** Leases that are kept alive, and what rests on them: locks and elections. */
  readonly leases: boolean
  readonly transactions: boolean
}

/**
 * What to watch. `from` is the first revision wanted, where watches can be resumed.
 *
 * @category models
 * @since 0.1.0
 */
export interface WatchTarget extends Target {
  readonly from: bigint | undefined
}

/**
 * What a message on a watch means.
 *
 * @category models
 * @since 0.1.0
 */
export type WatchItem =
  | { readonly _tag: "Put"; readonly key: Uint8Array; readonly value: Uint8Array; readonly revision: bigint }
  | { readonly _tag: "Delete"; readonly key: Uint8Array; readonly revision: bigint }
  /** The stream lives. `revision` is that of the server, `cluster` its identity in decimal, where it tells them. */
  | { readonly _tag: "Progress"; readonly revision?: bigint | undefined; readonly cluster?: string | undefined }
  /** The last of a message that goes on in the next one: of its last revision there may be more to come. */
  | { readonly _tag: "Fragment" }
  /** The server gave the watch up. `compacted`: what was asked for exists no more. `why`: asking again is in vain. */
  | {
    readonly _tag: "Canceled"
    readonly message: string
    readonly compacted: boolean
    readonly why?: Refusal | undefined
  }

/**
 * A stream to open.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamSpec<A> {
  readonly path: string
  readonly body: Uint8Array
  readonly both: boolean
  /** Asks for a sign of life; only on a stream of both directions. */
  readonly ping: Uint8Array | undefined
  /** Throws on bytes that are no message. */
  readonly decode: (body: Uint8Array) => ReadonlyArray<A>
}

/**
 * A lease that was granted; `seconds` may be more than was asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Granted {
  readonly id: bigint
  readonly seconds: number
}

/**
 * Leases, where a server has them.
 *
 * @category models
 * @since 0.1.0
 */
export interface LeaseCalls {
  readonly grant: (ttlSeconds: number) => Call<Granted>
  readonly revoke: (id: bigint) => Call<void>
  /** The first message and each `ping` renew it; what comes back is how many seconds it has, 0 when it is gone. */
  readonly keepAlive: (id: bigint) => StreamSpec<number>
}

/**
 * How users log in, where a server has users.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoginCalls {
  /** Answers the token; undefined where the cluster asks for none. Sent without a token. */
  readonly call: (username: string, password: string) => Call<string | undefined>
  readonly path: string
  /** The metadata of a call that carries the token. */
  readonly header: string
}

/**
 * The membership as a stream tells it: ids only, because servers do not stream addresses.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemberIds {
  readonly voters: ReadonlyArray<string>
  readonly learners: ReadonlyArray<string>
}

/**
 * One kind of server.
 *
 * @category services
 * @since 0.1.0
 */
export interface ClusterAdapter {
  readonly name: string
  readonly capabilities: Capabilities
  /** How long the server itself waits between signs of life on a watch, in milliseconds. */
  readonly watchProgressMillis: number
  /** The requests that make up a probe, sent together. */
  readonly probe: ReadonlyArray<{ readonly path: string; readonly body: Uint8Array }>
  /** What the answers to `probe` say, or the one failure that stands for them. `map` gives the address to dial. */
  readonly readProbe: (
    address: string,
    answers: ReadonlyArray<Answer>,
    map: (announced: string) => string
  ) => Claim | Failure
  /** What a failure of a stream means. */
  readonly judgeStream: (answer: Answer) => Failure
  /** A linearizable read of next to nothing, which only a leader with a quorum can answer. */
  readonly confirm: Call<void>
  /** How many keys one `get` may ask for. */
  readonly maxKeys: number
  /** `consistency` undefined leaves it to the server. Missing keys are missing in the answer. */
  readonly get: (keys: ReadonlyArray<Uint8Array>, consistency: Consistency | undefined) => Call<ReadonlyArray<Entry>>
  /** Undefined: a TTL, if there is one, is given with the put. */
  readonly leases: LeaseCalls | undefined
  readonly login: LoginCalls | undefined
  /** `seconds` where the server takes a TTL with the put, `lease` where it has leases. */
  readonly put: (
    key: Uint8Array,
    value: Uint8Array,
    ttl?: { readonly seconds?: number | undefined; readonly lease?: bigint | undefined }
  ) => Call<Written>
  readonly delete: (key: Uint8Array) => Call<Written>
  /** `expected` undefined: the key must not exist. */
  readonly compareAndSwap: (key: Uint8Array, expected: Uint8Array | undefined, value: Uint8Array) => Call<Swapped>
  readonly scan: (prefix: Uint8Array) => Call<Scanned>
  /** Undefined: the server answers a scan in one piece. */
  readonly page: ((request: PageRequest) => Call<Page>) | undefined
  /** `success` when all conditions hold, else `failure`: in one step. Undefined: the server has none. */
  readonly transact:
    | ((
      compare: ReadonlyArray<Condition<Uint8Array>>,
      success: ReadonlyArray<Operation<Uint8Array>>,
      failure: ReadonlyArray<Operation<Uint8Array>>
    ) => Call<Transacted>)
    | undefined
  readonly watch: (target: WatchTarget) => StreamSpec<WatchItem>
  readonly watchMembership: StreamSpec<MemberIds> | undefined
}
