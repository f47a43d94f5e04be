/**
 * What the client must know of one kind of server: how to ask, and what an answer means. All of it plain functions.
 *
 * @since 0.1.0
 */
import type { Answer } from "./Transport.ts"

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
 * | `Refused` | no | fails |
 * | `NotSent` | no | turns to another node |
 * | `Unknown` | perhaps | fails a write as `Ambiguous`; asks again with a read |
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict<A> =
  /** `term` and `revision` where the answer carries them. */
  | { readonly _tag: "Done"; readonly value: A; readonly term?: bigint; readonly revision?: bigint }
  | { readonly _tag: "NotLeader"; readonly message: string; readonly hint?: Hint | undefined }
  | { readonly _tag: "NotReady"; readonly message: string }
  | { readonly _tag: "NotServing"; readonly message: string }
  | { readonly _tag: "Busy"; readonly message: string; readonly retryAfterMillis?: number | undefined }
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
export type Refusal = "InvalidRequest" | "MessageTooLarge" | "Unsupported" | "PermissionDenied" | "ServerFailure"

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
  /** The identity of the cluster, where the server has one. */
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
 * A key and its value. `revision` is that of the last change, where the server tells it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly revision: bigint | undefined
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
}

/**
 * What to watch. `from` is the first revision wanted, where watches can be resumed.
 *
 * @category models
 * @since 0.1.0
 */
export interface WatchTarget {
  readonly key: Uint8Array
  readonly prefix: boolean
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
  /** The stream lives. */
  | { readonly _tag: "Progress" }
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
  /** A lease for `put`, where a TTL needs one beforehand. */
  readonly grant: ((ttlSeconds: number) => Call<bigint>) | undefined
  readonly put: (
    key: Uint8Array,
    value: Uint8Array,
    ttl?: { readonly seconds: number; readonly lease: bigint | undefined }
  ) => Call<Written>
  readonly delete: (key: Uint8Array) => Call<Written>
  /** `expected` undefined: the key must not exist. */
  readonly compareAndSwap: (key: Uint8Array, expected: Uint8Array | undefined, value: Uint8Array) => Call<Swapped>
  readonly scan: (prefix: Uint8Array) => Call<Scanned>
  readonly watch: (target: WatchTarget) => StreamSpec<WatchItem>
  readonly watchMembership: StreamSpec<MemberIds> | undefined
}
