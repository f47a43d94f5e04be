/**
 * d-engine 0.2.3, 0.2.4 and what is announced of 0.2.5, told apart answer by answer.
 *
 * **Gotchas**
 *
 * A gRPC status of OK is not success. One put with a TTL destroys a 0.2.4 cluster that has no leases, for good: `putWithTtl` is
 * refused unless the adapter is made with `ttl: true`.
 *
 * @since 0.1.0
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire"
import type { Answer } from "./Channel.ts"
import type {
  Call,
  Claim,
  ClusterAdapter,
  Consistency,
  Entry,
  Failure,
  Hint,
  MemberIds,
  Scanned,
  Swapped,
  Verdict,
  WatchItem,
  Written
} from "./ClusterAdapter.ts"
import * as Pb from "./generated/dengine/client_pb.ts"
import {
  ClusterMembershipSchema,
  LeaderDiscoveryRequestSchema,
  LeaderDiscoveryResponseSchema
} from "./generated/dengine/cluster_pb.ts"
import { NodeRole } from "./generated/dengine/common_pb.ts"
import { ErrorCode, type ErrorMetadata } from "./generated/dengine/error_pb.ts"
import { judgeBody, judgeClient, refused, unknown } from "./internal/judge.ts"

/**
 * What the servers are known to be set up for.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface DEngineOptions {
  /** The servers have leases, in their program and in their configuration. Default: false. */
  readonly ttl?: boolean | undefined
  /** The interval of the servers' watch progress, in milliseconds. Default: 30000, as theirs. */
  readonly watchProgressMillis?: number | undefined
  /** Sent as client id, which servers do not use so far. Default: 0. */
  readonly clientId?: number | undefined
}

const client = "/d_engine.client.RaftClientService/"
const cluster = "/d_engine.server.cluster.ClusterManagementService/"

const policies: Record<Consistency, Pb.ReadConsistencyPolicy> = {
  lease: Pb.ReadConsistencyPolicy.LEASE_READ,
  linearizable: Pb.ReadConsistencyPolicy.LINEARIZABLE_READ,
  eventual: Pb.ReadConsistencyPolicy.EVENTUAL_CONSISTENCY
}

const empty = new Uint8Array()

/** `x-raft-leader: {"leader_id":"2","address":"host:port"}`, which some versions promise. */
const hintOfHeader = (answer: Answer): Hint | undefined => {
  const text = answer.header("x-raft-leader")
  if (text === undefined) return undefined
  try {
    const value = JSON.parse(text) as { leader_id?: unknown; address?: unknown }
    return {
      id: value.leader_id === undefined ? undefined : String(value.leader_id),
      address: typeof value.address === "string" ? value.address : undefined
    }
  } catch {
    return undefined
  }
}

const hintOfText = (details: string): Hint | undefined => {
  const address = /try leader at: *(\S+)/i.exec(details)?.[1]
  return address === undefined ? undefined : { id: undefined, address: address.replace(/^https?:\/\//, "") }
}

const notLeader = (message: string, hint: Hint | undefined): Failure => ({ _tag: "NotLeader", message, hint })

/** gRPC failures by what the server's sources make of them; what they do not say is `Unknown`. */
const judgeStatus = (answer: Answer, write: boolean): Failure => {
  if (answer.origin === "Client") return judgeClient(answer, write)
  const { details } = answer
  const saysNotLeader = /\bnot leader\b/i.test(details)
  const hint = hintOfHeader(answer) ?? hintOfText(details)
  switch (answer.code) {
    case 1:
    case 4:
      return unknown("TimedOut", details)
    case 3:
      return refused("InvalidRequest", details)
    case 7:
      // Learners and candidates.
      return notLeader(details, hint)
    case 8:
      return { _tag: "Busy", message: details }
    case 9:
      return saysNotLeader ? notLeader(details, hint) : unknown("Failed", details)
    case 11:
      return /message length too large/i.test(details)
        ? refused("MessageTooLarge", details)
        : unknown("Failed", details)
    case 12:
      return refused("Unsupported", details)
    case 13:
      if (saysNotLeader) return notLeader(details, hint)
      return /^(Command|Event) channel closed/.test(details)
        ? { _tag: "NotServing", message: details }
        : unknown("Failed", details)
    case 14:
      if (details.startsWith("Service is not ready")) return { _tag: "NotServing", message: details }
      if (details.startsWith("LeaderNotReady")) return { _tag: "NotReady", message: details }
      if (/disabled in server configuration/.test(details)) return refused("Unsupported", details)
      return saysNotLeader ? notLeader(details, hint) : unknown("Lost", details)
    case 16:
      return refused("PermissionDenied", details)
    default:
      return hint === undefined ? unknown("Failed", details) : notLeader(details, hint)
  }
}

const nameOf = (code: number): string =>
  Object.entries(ErrorCode).find(([, value]) => value === code)?.[0] ?? `error ${code}`

/** Codes inside an answer whose status is OK. */
const judgeCode = (code: number, metadata: ErrorMetadata | undefined): Failure => {
  const name = nameOf(code)
  const debug = metadata?.debugMessage
  const message = debug === undefined ? name : `${name}: ${debug}`
  const hint = metadata?.leaderId === undefined && metadata?.leaderAddress === undefined
    ? undefined
    : { id: metadata.leaderId, address: metadata.leaderAddress?.replace(/^https?:\/\//, "") }
  switch (code) {
    case ErrorCode.NOT_LEADER:
      return notLeader(message, hint)
    case ErrorCode.INVALID_REQUEST:
      return refused("InvalidRequest", message)
    case ErrorCode.RATE_LIMITED: {
      const retry = metadata?.retryAfterMs
      return { _tag: "Busy", message, retryAfterMillis: retry === undefined ? undefined : Number(retry) }
    }
    default:
      // PROPOSE_FAILED and TERM_OUTDATED come when the entry is in a log already.
      return unknown("Failed", message)
  }
}

const done = <A>(value: A): Verdict<A> => ({ _tag: "Done", value })

const judge =
  (write: boolean) => <A>(read: (response: Pb.ClientResponse) => Verdict<A>) => (answer: Answer): Verdict<A> =>
    answer.code === 0
      ? judgeBody(answer, (body) => read(fromBinary(Pb.ClientResponseSchema, body)))
      : judgeStatus(answer, write)

const judgeWrite = judge(true)
const judgeRead = judge(false)

/** Success is the code SUCCESS and a result; anything else that is not a refusal is unknown. */
const swapped = judgeWrite<Swapped>((response) => {
  if (response.error !== ErrorCode.SUCCESS) return judgeCode(response.error, response.metadata)
  return response.successResult.case === "writeResult"
    ? done({ succeeded: response.successResult.value.succeeded, revision: undefined })
    : unknown("Unreadable", "the answer says success and has no result")
})

const written = (answer: Answer): Verdict<Written> => {
  const verdict = swapped(answer)
  if (verdict._tag !== "Done") return verdict
  return verdict.value.succeeded
    ? done({ revision: undefined })
    : unknown("Failed", "the server says that the write did not succeed", false)
}

const entries = judgeRead<ReadonlyArray<Entry>>((response) => {
  if (response.error !== ErrorCode.SUCCESS) return judgeCode(response.error, response.metadata)
  switch (response.successResult.case) {
    case "readData":
      return done(
        response.successResult.value.results.map(({ key, value }) => ({ key, value, revision: undefined }))
      )
    case undefined:
      // proto3 writes nothing for a result without entries in some versions.
      return done([])
    default:
      return unknown("Unreadable", "the answer to a read is the result of a write")
  }
})

const toScanned = (response: Pb.ScanResponse): Scanned => ({
  entries: response.entries.map(({ key, value }) => ({ key, value, revision: undefined })),
  revision: response.revision
})

/**
 * 0.2.4 answers a ScanResponse, 0.2.5 a ClientResponse with the scan inside. Field 1 is a message in one and a number in
 * the other, field 2 the other way round, and only the ClientResponse has messages from field 3 on.
 */
const readScan = (body: Uint8Array): Verdict<Scanned> => {
  const reader = new BinaryReader(body)
  let inner: Uint8Array | undefined
  let code = 0
  let wrapped = false
  let metadata: Uint8Array | undefined
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag()
    if (field === 1 && wire === WireType.Varint) {
      wrapped = true
      code = reader.uint32()
    } else if (field === 4 && wire === WireType.LengthDelimited) {
      wrapped = true
      metadata = reader.bytes()
    } else if (field >= 3 && wire === WireType.LengthDelimited) {
      wrapped = true
      inner = reader.bytes()
    } else reader.skip(wire, field)
  }
  if (!wrapped) return done(toScanned(fromBinary(Pb.ScanResponseSchema, body)))
  if (code !== ErrorCode.SUCCESS) {
    const response = metadata === undefined ? undefined : fromBinary(Pb.ClientResponseSchema, rewrap(metadata)).metadata
    return judgeCode(code, response)
  }
  return inner === undefined
    ? unknown("Unreadable", "the answer to a scan has no result")
    : done(toScanned(fromBinary(Pb.ScanResponseSchema, inner)))
}

/** The metadata of a ClientResponse as a ClientResponse of its own: field 4, length-delimited. */
const rewrap = (metadata: Uint8Array): Uint8Array => {
  const head = [0x22]
  let length = metadata.length
  for (; length > 127; length >>>= 7) head.push((length & 127) | 128)
  head.push(length)
  const out = new Uint8Array(head.length + metadata.length)
  out.set(head)
  out.set(metadata, head.length)
  return out
}

const judgeScan = (answer: Answer): Verdict<Scanned> =>
  answer.code === 0 ? judgeBody(answer, readScan) : judgeStatus(answer, false)

const wildcard = /^(0\.0\.0\.0|\[::\]|::):/

const readProbe: ClusterAdapter["readProbe"] = (address, [metadata, discovery], map) => {
  if (metadata === undefined || discovery === undefined) return unknown("Lost", "not asked")
  if (metadata.code !== 0) {
    const failure = judgeStatus(metadata, false)
    // Learners refuse it.
    return failure._tag === "NotLeader" ? { _tag: "NotServing", message: failure.message } : failure
  }
  const verdict = judgeBody<Claim>(metadata, (body) => {
    const membership = fromBinary(ClusterMembershipSchema, body)
    // Only a leader answers the other question, and names itself.
    const leading = discovery.code === 0 && discovery.body !== undefined
      ? fromBinary(LeaderDiscoveryResponseSchema, discovery.body)
      : undefined
    const leader = leading?.leaderId ?? membership.currentLeaderId
    const selfByAddress = membership.nodes.find((node) => map(node.address) === address)?.id
    const self = leading?.leaderId ?? selfByAddress
    return done({
      address,
      self: self === undefined ? undefined : String(self),
      leader: leader === undefined || leader === 0 ? undefined : String(leader),
      selfClaim: leading !== undefined,
      term: leading?.term,
      members: membership.nodes.flatMap((node) => {
        const mapped = map(node.address)
        // An address to listen on is no address to dial; the one that was just dialled is.
        const dial = wildcard.test(mapped) ? (node.id === self ? address : undefined) : mapped
        return dial === undefined
          ? []
          : [{ id: String(node.id), address: dial, voter: node.role !== NodeRole.LEARNER }]
      }),
      version: membership.version,
      cluster: undefined
    })
  })
  return verdict._tag === "Done" ? verdict.value : verdict
}

const decodeWatch = (body: Uint8Array): ReadonlyArray<WatchItem> => {
  const { error, eventType, key, revision, value } = fromBinary(Pb.WatchResponseSchema, body)
  // The type first: a cancellation has revision 0 and error 0.
  switch (eventType) {
    case Pb.WatchEventType.CANCELED:
      return [{ _tag: "Canceled", message: "the server gave the watch up, its buffer was full", compacted: false }]
    case Pb.WatchEventType.PROGRESS:
      // Its revision is 0 on 0.2.4, and no barrier elsewhere: it shows that the stream lives.
      return [{ _tag: "Progress" }]
    default:
      if (error !== ErrorCode.SUCCESS) return [{ _tag: "Canceled", message: nameOf(error), compacted: false }]
      return eventType === Pb.WatchEventType.DELETE
        ? [{ _tag: "Delete", key, revision }]
        : [{ _tag: "Put", key, value, revision }]
  }
}

const decodeMembership = (body: Uint8Array): ReadonlyArray<MemberIds> => {
  const { learners, members } = fromBinary(Pb.MembershipSnapshotSchema, body)
  return [{ voters: members.map(String), learners: learners.map(String) }]
}

/** A key that nobody has: what matters is that the leader answers. */
const nothing = new TextEncoder().encode("/.effect-scylla/none")

/**
 * An adapter for d-engine.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: DEngineOptions = {}): ClusterAdapter => {
  const clientId = options.clientId ?? 0
  const write = <A>(operation: Pb.WriteCommand["operation"], judge: (answer: Answer) => Verdict<A>): Call<A> => ({
    path: `${client}HandleClientWrite`,
    body: toBinary(
      Pb.ClientWriteRequestSchema,
      create(Pb.ClientWriteRequestSchema, { clientId, command: { operation } })
    ),
    write: true,
    judge
  })
  const get: ClusterAdapter["get"] = (keys, consistency) => ({
    path: `${client}HandleClientRead`,
    body: toBinary(
      Pb.ClientReadRequestSchema,
      create(Pb.ClientReadRequestSchema, {
        clientId,
        keys: [...keys],
        ...(consistency === undefined ? {} : { consistencyPolicy: policies[consistency] })
      })
    ),
    write: false,
    judge: entries
  })
  const confirm = get([nothing], "linearizable")
  return {
    name: "d-engine",
    capabilities: {
      leaseRead: true,
      ttl: options.ttl ?? false,
      watchMembership: true,
      resumableWatch: false,
      writeRevision: false,
      linearizableScan: false,
      readRevision: false,
      pages: false,
      login: false,
      leases: false,
      transactions: false
    },
    watchProgressMillis: options.watchProgressMillis ?? 30_000,
    probe: [
      { path: `${cluster}GetClusterMetadata`, body: empty },
      {
        path: `${cluster}DiscoverLeader`,
        body: toBinary(LeaderDiscoveryRequestSchema, create(LeaderDiscoveryRequestSchema, {}))
      }
    ],
    readProbe,
    judgeStream: (answer) => judgeStatus(answer, false),
    confirm: {
      ...confirm,
      judge: (answer) => {
        const verdict = confirm.judge(answer)
        return verdict._tag === "Done" ? done(undefined) : verdict
      }
    },
    maxKeys: Infinity,
    get,
    leases: undefined,
    login: undefined,
    page: undefined,
    transact: undefined,
    put: (key, value, ttl) =>
      write({
        case: "insert",
        value: create(Pb.WriteCommand_InsertSchema, { key, value, ttlSecs: BigInt(ttl?.seconds ?? 0) })
      }, written),
    delete: (key) => write({ case: "delete", value: create(Pb.WriteCommand_DeleteSchema, { key }) }, written),
    compareAndSwap: (key, expected, value) =>
      write({
        case: "compareAndSwap",
        value: create(Pb.WriteCommand_CompareAndSwapSchema, {
          key,
          newValue: value,
          ...(expected === undefined ? {} : { expectedValue: expected })
        })
      }, swapped),
    scan: (prefix) => ({
      path: `${client}HandleClientScan`,
      body: toBinary(Pb.ScanRequestSchema, create(Pb.ScanRequestSchema, { clientId, prefix })),
      write: false,
      judge: judgeScan
    }),
    watch: ({ key, prefix }) => ({
      path: `${client}Watch`,
      // `prev` is folded here: the server's is wrong where it applies an entry twice.
      body: toBinary(Pb.WatchRequestSchema, create(Pb.WatchRequestSchema, { clientId, key, prefix })),
      both: false,
      ping: undefined,
      decode: decodeWatch
    }),
    watchMembership: {
      path: `${client}WatchMembership`,
      body: toBinary(Pb.WatchMembershipRequestSchema, create(Pb.WatchMembershipRequestSchema, { clientId })),
      both: false,
      ping: undefined,
      decode: decodeMembership
    }
  }
}
