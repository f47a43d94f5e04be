/**
 * etcd 3.4 and newer, by its v3 API.
 *
 * Any member forwards to the leader there; the client still goes to the leader itself, because what goes through a follower
 * can hang while the leader it knows is stopped. Lease reads are linearizable ones, the membership is polled, a watch is
 * resumed by revision, and a TTL is a lease of its own. Where authentication is enabled, give the client `auth`.
 *
 * @since 0.1.0
 */
import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf"
import type { GenMessage } from "@bufbuild/protobuf/codegenv2"
import type { Answer } from "./Channel.ts"
import type { Call, Claim, ClusterAdapter, Failure, PageRequest, Target, Verdict, WatchItem } from "./ClusterAdapter.ts"
import * as Pb from "./generated/etcd/rpc_pb.ts"
import { judgeBody, judgeClient, refused, unknown } from "./internal/judge.ts"
import * as Prefix from "./Prefix.ts"
import type { Condition, Operation, Relation, Result } from "./Transaction.ts"

const kv = "/etcdserverpb.KV/"
const empty = new Uint8Array()
const zero = Uint8Array.of(0)

/** No token came with the request, or one from before the users or roles were changed. */
const oldToken = /user name is empty|revision of auth store is old|revision in header is old/

/** Errors by their code and etcd's fixed texts. What may be raised after a proposal is `Unknown`. */
const judgeStatus = (answer: Answer, write: boolean): Failure => {
  if (answer.origin === "Client") return judgeClient(answer, write)
  const { details } = answer
  switch (answer.code) {
    case 2:
      // Found when the request was about to be applied, which it then was not.
      return oldToken.test(details) ? { _tag: "Unauthenticated", message: details } : unknown("Failed", details)
    case 3:
      if (oldToken.test(details)) return { _tag: "Unauthenticated", message: details }
      if (/authentication failed/.test(details)) return refused("PermissionDenied", details)
      return refused(/too (large|many operations)/.test(details) ? "MessageTooLarge" : "InvalidRequest", details)
    case 5:
      return refused(/lease not found/.test(details) ? "LeaseNotFound" : "InvalidRequest", details)
    case 11:
      return refused(/compacted|future revision/.test(details) ? "Compacted" : "InvalidRequest", details)
    case 7:
      return refused("PermissionDenied", details)
    case 16:
      return { _tag: "Unauthenticated", message: details }
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
    return {
      _tag: "Done",
      value: read(message as M),
      term: header.raftTerm,
      revision: header.revision,
      cluster: header.clusterId
    }
  })

const written = (message: { readonly header?: Pb.ResponseHeader | undefined }) => ({
  revision: message.header?.revision
})

const entry = ({ createRevision, key, modRevision, value }: Pb.KeyValue) => ({
  key,
  value,
  revision: modRevision,
  created: createRevision
})

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
  if (message.fragment) items.push({ _tag: "Fragment" })
  if (items.length > 0) return items
  // The header's revision can be ahead of the events: a watch is resumed by what it has told, never by that.
  const { header } = message
  return [{
    _tag: "Progress",
    revision: header?.revision,
    cluster: header === undefined ? undefined : String(header.clusterId)
  }]
}

const rangeOf = (prefix: Uint8Array): { key: Uint8Array; rangeEnd: Uint8Array } =>
  prefix.length === 0 ? { key: zero, rangeEnd: zero } : { key: prefix, rangeEnd: Prefix.end(prefix) ?? zero }

const targetOf = ({ key, prefix }: Target) => prefix ? rangeOf(key) : { key, rangeEnd: empty }

const range = (key: Uint8Array, rangeEnd: Uint8Array, serializable: boolean): Pb.RangeRequest =>
  create(Pb.RangeRequestSchema, { key, rangeEnd, serializable })

/** The first key behind `key`. */
const behind = (key: Uint8Array): Uint8Array => {
  const out = new Uint8Array(key.length + 1)
  out.set(key)
  return out
}

const page = ({ after, limit, revision, ...target }: PageRequest) => {
  const { key, rangeEnd } = targetOf(target)
  return {
    ...rangeCall(create(Pb.RangeRequestSchema, {
      key: after === undefined ? key : behind(after),
      rangeEnd,
      limit: BigInt(limit),
      revision: revision ?? 0n
    })),
    judge: judge(Pb.RangeResponseSchema, false, (message) => ({
      entries: message.kvs.map(entry),
      revision: revision ?? message.header?.revision ?? 0n,
      more: message.more
    }))
  }
}

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

/** A read that was refused for want of a right was a read before: the leader had asked its quorum by then. */
const confirm: Call<void> = {
  ...rangeCall(range(zero, empty, false)),
  judge: (answer) => {
    const verdict = judge(Pb.RangeResponseSchema, false, () => undefined)(answer)
    const refused = verdict._tag === "Unauthenticated" ||
      (verdict._tag === "Refused" && verdict.why === "PermissionDenied")
    return refused ? { _tag: "Done", value: undefined } : verdict
  }
}

const leases: ClusterAdapter["leases"] = {
  grant: (ttlSeconds) => ({
    path: "/etcdserverpb.Lease/LeaseGrant",
    body: toBinary(Pb.LeaseGrantRequestSchema, create(Pb.LeaseGrantRequestSchema, { TTL: BigInt(ttlSeconds) })),
    // A lease that nobody uses ends by itself: granting another one does no harm.
    write: false,
    judge: judge(Pb.LeaseGrantResponseSchema, false, ({ ID, TTL }) => ({ id: ID, seconds: Number(TTL) }))
  }),
  revoke: (id) => ({
    path: "/etcdserverpb.Lease/LeaseRevoke",
    body: toBinary(Pb.LeaseRevokeRequestSchema, create(Pb.LeaseRevokeRequestSchema, { ID: id })),
    // Revoking it twice is revoking it once.
    write: false,
    judge: (answer) => {
      const verdict = judge(Pb.LeaseRevokeResponseSchema, false, () => undefined)(answer)
      return verdict._tag === "Refused" && verdict.why === "LeaseNotFound"
        ? { _tag: "Done", value: undefined }
        : verdict
    }
  }),
  keepAlive: (id) => {
    const body = toBinary(Pb.LeaseKeepAliveRequestSchema, create(Pb.LeaseKeepAliveRequestSchema, { ID: id }))
    return {
      path: "/etcdserverpb.Lease/LeaseKeepAlive",
      body,
      both: true,
      ping: body,
      decode: (body) => [Number(fromBinary(Pb.LeaseKeepAliveResponseSchema, body).TTL)]
    }
  }
}

const AUTHENTICATE = "/etcdserverpb.Auth/Authenticate"

const login: ClusterAdapter["login"] = {
  path: AUTHENTICATE,
  header: "token",
  call: (name, password) => ({
    path: AUTHENTICATE,
    body: toBinary(Pb.AuthenticateRequestSchema, create(Pb.AuthenticateRequestSchema, { name, password })),
    write: false,
    judge: (answer) =>
      answer.origin === "Server" && answer.code === 9 && /authentication is not enabled/.test(answer.details)
        ? { _tag: "Done", value: undefined }
        : judge(Pb.AuthenticateResponseSchema, false, ({ token }): string | undefined => token)(answer)
  })
}

const relations: Record<Relation, Pb.Compare_CompareResult> = {
  equal: Pb.Compare_CompareResult.EQUAL,
  notEqual: Pb.Compare_CompareResult.NOT_EQUAL,
  greater: Pb.Compare_CompareResult.GREATER,
  less: Pb.Compare_CompareResult.LESS
}

const compare = (condition: Condition<Uint8Array>): Pb.Compare => {
  const { key } = condition
  const result = relations[condition.relation ?? "equal"]
  const of = (target: Pb.Compare_CompareTarget, targetUnion: Pb.Compare["targetUnion"]): Pb.Compare =>
    create(Pb.CompareSchema, { key, target, result, targetUnion })
  switch (condition._tag) {
    case "Value":
      return of(Pb.Compare_CompareTarget.VALUE, { case: "value", value: condition.value })
    case "Version":
      return of(Pb.Compare_CompareTarget.VERSION, { case: "version", value: condition.number })
    case "Created":
      return of(Pb.Compare_CompareTarget.CREATE, { case: "createRevision", value: condition.number })
    case "Modified":
      return of(Pb.Compare_CompareTarget.MOD, { case: "modRevision", value: condition.number })
    case "Lease":
      return of(Pb.Compare_CompareTarget.LEASE, { case: "lease", value: condition.number })
  }
}

const operation = (operation: Operation<Uint8Array>): Pb.RequestOp => {
  const { key } = operation
  const of = (request: Pb.RequestOp["request"]): Pb.RequestOp => create(Pb.RequestOpSchema, { request })
  switch (operation._tag) {
    case "Put": {
      const { lease = 0n, value } = operation
      return of({ case: "requestPut", value: create(Pb.PutRequestSchema, { key, value, lease }) })
    }
    case "Delete":
      return of({ case: "requestDeleteRange", value: create(Pb.DeleteRangeRequestSchema, { key }) })
    case "Get":
      return of({ case: "requestRange", value: range(key, empty, false) })
  }
}

const result = ({ response }: Pb.ResponseOp): Result => {
  switch (response.case) {
    case "responseDeleteRange":
      return { _tag: "Delete", deleted: Number(response.value.deleted) }
    case "responseRange": {
      const [found] = response.value.kvs
      return {
        _tag: "Get",
        entry: found === undefined ? undefined : {
          key: found.key,
          value: found.value,
          created: found.createRevision,
          modified: found.modRevision,
          version: found.version,
          lease: found.lease
        }
      }
    }
    default:
      return { _tag: "Put" }
  }
}

const transaction = <A>(
  conditions: ReadonlyArray<Condition<Uint8Array>>,
  success: ReadonlyArray<Operation<Uint8Array>>,
  failure: ReadonlyArray<Operation<Uint8Array>>,
  read: (message: Pb.TxnResponse) => A
): Call<A> => {
  const write = [...success, ...failure].some(({ _tag }) => _tag !== "Get")
  return {
    path: `${kv}Txn`,
    body: toBinary(
      Pb.TxnRequestSchema,
      create(Pb.TxnRequestSchema, {
        compare: conditions.map(compare),
        success: success.map(operation),
        failure: failure.map(operation)
      })
    ),
    write,
    judge: judge(Pb.TxnResponseSchema, write, read)
  }
}

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
    readRevision: true,
    pages: true,
    login: true,
    leases: true,
    transactions: true
  },
  // Asked for: the server's own interval is ten minutes.
  watchProgressMillis: 10_000,
  probe: [
    { path: "/etcdserverpb.Maintenance/Status", body: empty },
    { path: "/etcdserverpb.Cluster/MemberList", body: empty }
  ],
  readProbe,
  judgeStream: (answer) => judgeStatus(answer, false),
  confirm,
  // The operations of a transaction that etcd takes by default.
  maxKeys: 128,
  get: (keys, consistency) => mapCall(getMany(keys, consistency === "eventual"), (kvs) => kvs.map(entry)),
  leases,
  login,
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
  compareAndSwap: (key, expected, value) =>
    transaction(
      [expected === undefined ? { _tag: "Version", key, number: 0n } : { _tag: "Value", key, value: expected }],
      [{ _tag: "Put", key, value }],
      [],
      (message) => ({ ...written(message), succeeded: message.succeeded })
    ),
  transact: (compare, success, failure) =>
    transaction(compare, success, failure, (message) => ({
      succeeded: message.succeeded,
      revision: message.header?.revision ?? 0n,
      results: message.responses.map(result)
    })),
  page,
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
  watch: ({ from, ...target }) => {
    const request = create(Pb.WatchCreateRequestSchema, {
      ...targetOf(target),
      startRevision: from ?? 0n,
      progressNotify: true,
      // Else a backlog comes as one message, whatever its size.
      fragment: true
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
