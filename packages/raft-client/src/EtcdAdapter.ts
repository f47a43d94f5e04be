/**
 * etcd 3.4 and newer, by its v3 API.
 *
 * Any member forwards to the leader there; the client still goes to the leader itself, because what goes through a follower
 * can hang while the leader it knows is stopped. Lease reads are linearizable ones, the membership is polled, a watch is
 * resumed by revision, and a TTL is a lease of its own.
 *
 * @since 0.1.0
 */
import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf"
import type { GenMessage } from "@bufbuild/protobuf/codegenv2"
import type { Call, Claim, ClusterAdapter, Failure, Verdict, WatchItem } from "./ClusterAdapter.ts"
import * as Pb from "./generated/etcd/rpc_pb.ts"
import { judgeBody, judgeClient, refused, unknown } from "./internal/judge.ts"
import * as Prefix from "./Prefix.ts"
import type { Answer } from "./Transport.ts"

const kv = "/etcdserverpb.KV/"
const empty = new Uint8Array()
const zero = Uint8Array.of(0)

/** Errors by their code and etcd's fixed texts. What may be raised after a proposal is `Unknown`. */
const judgeStatus = (answer: Answer, write: boolean): Failure => {
  if (answer.origin === "Client") return judgeClient(answer, write)
  const { details } = answer
  switch (answer.code) {
    case 3:
      return refused(/too (large|many operations)/.test(details) ? "MessageTooLarge" : "InvalidRequest", details)
    case 5:
    case 11:
      return refused("InvalidRequest", details)
    case 7:
    case 16:
      return refused("PermissionDenied", details)
    case 8:
      if (/larger than max/.test(details)) return refused("MessageTooLarge", details)
      return /too many requests/.test(details) ? { _tag: "Busy", message: details } : refused("ServerFailure", details)
    case 9:
      return /not leader/.test(details)
        ? { _tag: "NotLeader", message: details }
        : refused("InvalidRequest", details)
    case 12:
      return refused("Unsupported", details)
    case 14:
      // Raised before anything is proposed, unlike the others of this code.
      return /: (no leader|rpc not supported for learner|not capable)/.test(details)
        ? { _tag: "NotServing", message: details }
        : unknown(/timed out/.test(details) ? "TimedOut" : "Lost", details)
    case 1:
    case 4:
      return unknown("TimedOut", details)
    default:
      return unknown("Failed", details)
  }
}

const judge = <A, M extends Message & { readonly header?: Pb.ResponseHeader | undefined }>(
  schema: GenMessage<M>,
  write: boolean,
  read: (message: M) => A
) =>
(answer: Answer): Verdict<A> =>
  answer.code !== 0 ? judgeStatus(answer, write) : judgeBody(answer, (body) => {
    const message = fromBinary(schema, body)
    const { header } = message
    if (header === undefined) return unknown("Unreadable", "the answer has no header")
    return { _tag: "Done", value: read(message as M), term: header.raftTerm, revision: header.revision }
  })

const written = (message: { readonly header?: Pb.ResponseHeader | undefined }) => ({
  revision: message.header?.revision
})

const entry = ({ key, modRevision, value }: Pb.KeyValue) => ({ key, value, revision: modRevision })

const stripScheme = (url: string): string => url.replace(/^[a-z]+:\/\//, "").replace(/\/$/, "")

const readProbe: ClusterAdapter["readProbe"] = (address, [status, list], map) => {
  if (status === undefined || list === undefined) return unknown("Lost", "not asked")
  if (status.code !== 0) return judgeStatus(status, false)
  if (list.code !== 0) return judgeStatus(list, false)
  const verdict = judgeBody<Claim>(status, (body) => {
    const said = fromBinary(Pb.StatusResponseSchema, body)
    const { members } = fromBinary(Pb.MemberListResponseSchema, list.body ?? empty)
    const self = String(said.header?.memberId ?? 0n)
    const leader = said.leader === 0n ? undefined : String(said.leader)
    return {
      _tag: "Done",
      value: {
        address,
        self,
        leader,
        selfClaim: leader === self,
        term: said.raftTerm,
        members: members.flatMap(({ ID, clientUrls, isLearner }) => {
          const mapped = clientUrls.map((url) => map(stripScheme(url)))
          // The way that was just used, if it is one of them; else the first.
          const dial = mapped.includes(address) || String(ID) === self ? address : mapped[0]
          return dial === undefined ? [] : [{ id: String(ID), address: dial, voter: !isLearner }]
        }),
        version: 0n,
        cluster: said.header === undefined ? undefined : String(said.header.clusterId)
      }
    }
  })
  return verdict._tag === "Done" ? verdict.value : verdict
}

const decodeWatch = (body: Uint8Array): ReadonlyArray<WatchItem> => {
  const message = fromBinary(Pb.WatchResponseSchema, body)
  if (message.canceled) {
    const compacted = message.compactRevision > 0n
    const why = message.cancelReason === "" ? "the server gave the watch up" : message.cancelReason
    return [{
      _tag: "Canceled",
      message: compacted ? `compacted up to revision ${message.compactRevision}` : why,
      compacted,
      // A watch is refused on its stream, not by the status of the call.
      why: /permission denied|invalid auth token|PermissionDenied|Unauthenticated/.test(why)
        ? "PermissionDenied"
        : undefined
    }]
  }
  const items = message.events.map(({ kv, type }): WatchItem => {
    const { key = empty, modRevision: revision = 0n, value = empty } = kv ?? {}
    return type === Pb.Event_EventType.DELETE
      ? { _tag: "Delete", key, revision }
      : { _tag: "Put", key, value, revision }
  })
  // The header's revision can be ahead of the events: a watch is resumed by what it has told, never by that.
  return items.length === 0 ? [{ _tag: "Progress" }] : items
}

const rangeOf = (prefix: Uint8Array): { key: Uint8Array; rangeEnd: Uint8Array } =>
  prefix.length === 0 ? { key: zero, rangeEnd: zero } : { key: prefix, rangeEnd: Prefix.end(prefix) ?? zero }

const range = (key: Uint8Array, rangeEnd: Uint8Array, serializable: boolean): Pb.RangeRequest =>
  create(Pb.RangeRequestSchema, { key, rangeEnd, serializable })

const rangeCall = (request: Pb.RangeRequest) => ({
  path: `${kv}Range`,
  body: toBinary(Pb.RangeRequestSchema, request),
  write: false
})

const getMany = (keys: ReadonlyArray<Uint8Array>, serializable: boolean): Call<ReadonlyArray<Pb.KeyValue>> => {
  const [only] = keys
  if (keys.length === 1 && only !== undefined) {
    return {
      ...rangeCall(range(only, empty, serializable)),
      judge: judge(Pb.RangeResponseSchema, false, (message) => message.kvs)
    }
  }
  const success = keys.map((key) =>
    create(Pb.RequestOpSchema, { request: { case: "requestRange", value: range(key, empty, serializable) } })
  )
  return {
    path: `${kv}Txn`,
    body: toBinary(Pb.TxnRequestSchema, create(Pb.TxnRequestSchema, { success })),
    write: false,
    judge: judge(
      Pb.TxnResponseSchema,
      false,
      (message) =>
        message.responses.flatMap(({ response }) => response.case === "responseRange" ? response.value.kvs : [])
    )
  }
}

const mapCall = <A, B>(call: Call<A>, f: (value: A) => B): Call<B> => ({
  ...call,
  judge: (answer) => {
    const verdict = call.judge(answer)
    return verdict._tag === "Done" ? { ...verdict, value: f(verdict.value) } : verdict
  }
})

/**
 * An adapter for etcd.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): ClusterAdapter => ({
  name: "etcd",
  capabilities: {
    leaseRead: false,
    ttl: true,
    watchMembership: false,
    resumableWatch: true,
    writeRevision: true,
    linearizableScan: true,
    readRevision: true
  },
  // Asked for: the server's own interval is ten minutes.
  watchProgressMillis: 10_000,
  probe: [
    { path: "/etcdserverpb.Maintenance/Status", body: empty },
    { path: "/etcdserverpb.Cluster/MemberList", body: empty }
  ],
  readProbe,
  judgeStream: (answer) => judgeStatus(answer, false),
  confirm: {
    ...rangeCall(range(zero, empty, false)),
    judge: judge(Pb.RangeResponseSchema, false, () => undefined)
  },
  // The operations of a transaction that etcd takes by default.
  maxKeys: 128,
  get: (keys, consistency) => mapCall(getMany(keys, consistency === "eventual"), (kvs) => kvs.map(entry)),
  grant: (ttlSeconds) => ({
    path: "/etcdserverpb.Lease/LeaseGrant",
    body: toBinary(Pb.LeaseGrantRequestSchema, create(Pb.LeaseGrantRequestSchema, { TTL: BigInt(ttlSeconds) })),
    // A lease that nobody uses ends by itself: granting another one does no harm.
    write: false,
    judge: judge(Pb.LeaseGrantResponseSchema, false, (message) => message.ID)
  }),
  put: (key, value, ttl) => ({
    path: `${kv}Put`,
    body: toBinary(Pb.PutRequestSchema, create(Pb.PutRequestSchema, { key, value, lease: ttl?.lease ?? 0n })),
    write: true,
    judge: judge(Pb.PutResponseSchema, true, written)
  }),
  delete: (key) => ({
    path: `${kv}DeleteRange`,
    body: toBinary(Pb.DeleteRangeRequestSchema, create(Pb.DeleteRangeRequestSchema, { key })),
    write: true,
    judge: judge(Pb.DeleteRangeResponseSchema, true, written)
  }),
  compareAndSwap: (key, expected, value) => ({
    path: `${kv}Txn`,
    body: toBinary(
      Pb.TxnRequestSchema,
      create(Pb.TxnRequestSchema, {
        compare: [
          expected === undefined
            ? {
              key,
              target: Pb.Compare_CompareTarget.VERSION,
              result: Pb.Compare_CompareResult.EQUAL,
              targetUnion: { case: "version", value: 0n }
            }
            : {
              key,
              target: Pb.Compare_CompareTarget.VALUE,
              result: Pb.Compare_CompareResult.EQUAL,
              targetUnion: { case: "value", value: expected }
            }
        ],
        success: [{ request: { case: "requestPut", value: create(Pb.PutRequestSchema, { key, value }) } }]
      })
    ),
    write: true,
    judge: judge(Pb.TxnResponseSchema, true, (message) => ({ ...written(message), succeeded: message.succeeded }))
  }),
  scan: (prefix) => {
    const { key, rangeEnd } = rangeOf(prefix)
    return {
      ...rangeCall(range(key, rangeEnd, false)),
      judge: judge(Pb.RangeResponseSchema, false, (message) => ({
        entries: message.kvs.map(entry),
        revision: message.header?.revision ?? 0n
      }))
    }
  },
  watch: ({ from, key, prefix }) => {
    const target = prefix ? rangeOf(key) : { key, rangeEnd: empty }
    const request = create(Pb.WatchCreateRequestSchema, {
      ...target,
      startRevision: from ?? 0n,
      progressNotify: true
    })
    return {
      path: "/etcdserverpb.Watch/Watch",
      body: toBinary(
        Pb.WatchRequestSchema,
        create(Pb.WatchRequestSchema, { requestUnion: { case: "createRequest", value: request } })
      ),
      both: true,
      ping: toBinary(
        Pb.WatchRequestSchema,
        create(Pb.WatchRequestSchema, {
          requestUnion: { case: "progressRequest", value: create(Pb.WatchProgressRequestSchema, {}) }
        })
      ),
      decode: decodeWatch
    }
  },
  watchMembership: undefined
})
