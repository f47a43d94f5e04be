/**
 * A d-engine cluster that runs in the test: who leads, who is cut off and what a node answers are the test's to say.
 *
 * It is no Raft implementation. Entries are applied on all nodes that the leader reaches, at once, if these are a majority;
 * elections happen when the test says so, or by themselves an election timeout after the leader was lost. What clients see (the
 * answers, and how they differ between versions) is d-engine's.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import * as Pb from "@effect-scylla/raft-client/generated/dengine/client_pb"
import * as Cluster from "@effect-scylla/raft-client/generated/dengine/cluster_pb"
import { ErrorCode } from "@effect-scylla/raft-client/generated/dengine/error_pb"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"

/**
 * What a node answers: bytes with status 0, an error of its own, or nothing at all.
 *
 * @category models
 * @since 0.1.0
 */
export type Reply =
  | { readonly code: 0; readonly body: Uint8Array }
  | { readonly code: number; readonly details: string; readonly headers?: Readonly<Record<string, string>> }
  | "silence"

/**
 * How a node says that it does not lead, by the version whose way that is.
 *
 * @category models
 * @since 0.1.0
 */
export type Dialect = "0.2.2" | "0.2.4" | "head" | "0.2.5"

/**
 * A watch that a client has open.
 *
 * @category models
 * @since 0.1.0
 */
export interface Watcher {
  readonly key: Uint8Array
  readonly prefix: boolean
  readonly send: (body: Uint8Array) => void
  readonly end: (reply: Exclude<Reply, "silence">) => void
}

const client = "/d_engine.client.RaftClientService/"
const management = "/d_engine.server.cluster.ClusterManagementService/"
const text = new TextDecoder("latin1")
const encoder = new TextEncoder()

const error = (code: number, details: string): Reply => ({ code, details })

/**
 * One node.
 *
 * @category models
 * @since 0.1.0
 */
export class SimulatedNode {
  readonly id: number
  /** `host:port` that clients dial. */
  address: string
  /** The address that the cluster announces for it, where that is another. */
  announced: string | undefined
  voter = true
  /** The process runs; a paused one accepts connections and answers nothing. */
  running = true
  paused = false
  /** Cut off from the other nodes, not from clients. */
  isolated = false
  leading = false
  term = 1
  /** The leader that it names, which d-engine never clears. */
  names: number | undefined
  /** A leader before its first entry is committed. */
  ready = true
  serving = true
  dialect: Dialect = "0.2.4"
  /** Latency of each answer, in milliseconds. */
  delay = 1
  readonly data = new Map<string, { key: Uint8Array; value: Uint8Array }>()
  applied = 0
  readonly watchers = new Set<Watcher>()
  readonly memberWatchers = new Set<Watcher>()
  /** Requests it has received, by the last part of their path. */
  readonly received: Array<string> = []
  /** Told when the process ends, so that transports break its connections. */
  readonly onDown = new Set<() => void>()
  private readonly scripts: Array<
    { method: string; times: number; reply: (request: Uint8Array) => Reply | undefined }
  > = []

  constructor(id: number, address: string) {
    this.id = id
    this.address = address
  }

  /** The next `times` requests for `method` are answered so; undefined answers as usual. */
  script(method: string, reply: Reply | ((request: Uint8Array) => Reply | undefined), times = 1): void {
    this.scripts.push({ method, times, reply: typeof reply === "function" ? reply : () => reply })
  }

  /** Forgets what is scripted. */
  unscript(): void {
    this.scripts.length = 0
  }

  scripted(method: string, request: Uint8Array): Reply | undefined {
    const at = this.scripts.findIndex((script) => script.method === method)
    const script = this.scripts[at]
    if (script === undefined) return undefined
    const reply = script.reply(request)
    if (reply !== undefined && --script.times === 0) this.scripts.splice(at, 1)
    return reply
  }

  count(method: string): number {
    return this.received.filter((name) => name === method).length
  }
}

/**
 * What to simulate.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface RaftSimulatorOptions {
  /** Default: 3, at `node1:9081`, `node2:9082` and so on. */
  readonly nodes?: number
  /** Somebody is elected so long after a leader was lost; 0: nobody, unless the test says so. Default: 500. */
  readonly electionMillis?: number
  /** Interval of PROGRESS on watches, in milliseconds. Default: 30000. */
  readonly progressMillis?: number
}

/**
 * The cluster.
 *
 * @category services
 * @since 0.1.0
 */
export class RaftSimulator {
  readonly nodes: Array<SimulatedNode>
  /** Version of the membership, 0 as on 0.2.4. */
  version = 0n
  /** The index of the last entry. */
  index = 0
  private readonly after: (millis: number, task: () => void) => void
  private readonly electionMillis: number

  constructor(options: RaftSimulatorOptions, after: (millis: number, task: () => void) => void) {
    const count = options.nodes ?? 3
    this.nodes = Array.from({ length: count }, (_, i) => new SimulatedNode(i + 1, `node${i + 1}:${9081 + i}`))
    this.after = after
    this.electionMillis = options.electionMillis ?? 500
    const progress = (): void => {
      for (const node of this.nodes) {
        if (node.running && !node.paused) {
          for (const watcher of node.watchers) watcher.send(event(3, empty, empty, 0))
        }
      }
      after(options.progressMillis ?? 30_000, progress)
    }
    after(options.progressMillis ?? 30_000, progress)
    this.elect(1)
  }

  node(id: number): SimulatedNode {
    return this.nodes.find((node) => node.id === id)!
  }

  get endpoints(): ReadonlyArray<string> {
    return this.nodes.map(({ address }) => address)
  }

  /** The one that leads and can. */
  get leader(): SimulatedNode | undefined {
    return this.nodes.filter((node) => node.leading && this.hasQuorum(node)).sort((a, b) => b.term - a.term)[0]
  }

  private reaches(a: SimulatedNode, b: SimulatedNode): boolean {
    const works = (node: SimulatedNode): boolean => node.running && !node.paused
    return a === b ? works(a) : works(a) && works(b) && !a.isolated && !b.isolated
  }

  hasQuorum(node: SimulatedNode): boolean {
    const voters = this.nodes.filter(({ voter }) => voter)
    return 2 * voters.filter((other) => this.reaches(node, other)).length > voters.length
  }

  /** Makes a node the leader in a new term. Nodes that it does not reach go on believing what they believed. */
  elect(id: number, options: { readonly term?: number; readonly ready?: boolean } = {}): void {
    const node = this.node(id)
    const term = options.term ?? Math.max(...this.nodes.map((other) => other.term)) + 1
    node.leading = true
    node.ready = options.ready ?? true
    for (const other of this.nodes) {
      if (!this.reaches(node, other)) continue
      other.term = term
      other.names = id
      if (other !== node) other.leading = false
      // A replica that was away learns what it missed.
      if (other !== node && other.applied < node.applied) {
        other.data.clear()
        for (const [key, entry] of node.data) other.data.set(key, entry)
        other.applied = node.applied
      }
    }
  }

  /** The leader was lost: after an election timeout somebody who has the majority leads. */
  private electLater(): void {
    if (this.electionMillis === 0) return
    this.after(this.electionMillis, () => {
      if (this.leader !== undefined) return
      const next = this.nodes.filter((node) => node.voter && this.hasQuorum(node))
        .sort((a, b) => b.applied - a.applied)[0]
      if (next === undefined) return
      // For a moment it leads and cannot serve a linearizable read.
      this.elect(next.id, { ready: false })
      this.after(15, () => {
        next.ready = true
      })
    })
  }

  kill(id: number): void {
    const node = this.node(id)
    node.running = false
    node.paused = false
    node.leading = false
    node.watchers.clear()
    node.memberWatchers.clear()
    for (const down of node.onDown) down()
    this.electLater()
  }

  start(id: number): void {
    const node = this.node(id)
    node.running = true
    this.catchUp(node)
    this.electLater()
  }

  pause(id: number): void {
    this.node(id).paused = true
    this.electLater()
  }

  /** It hears of a newer term a moment later. */
  resume(id: number): void {
    const node = this.node(id)
    node.paused = false
    this.after(20, () => this.catchUp(node))
    this.electLater()
  }

  isolate(id: number): void {
    this.node(id).isolated = true
    this.electLater()
  }

  heal(id: number): void {
    const node = this.node(id)
    node.isolated = false
    this.catchUp(node)
    this.electLater()
  }

  private catchUp(node: SimulatedNode): void {
    const { leader } = this
    if (leader === undefined || leader === node || !this.reaches(leader, node)) return
    node.leading = false
    node.term = leader.term
    node.names = leader.id
    if (node.applied < leader.applied) {
      node.data.clear()
      for (const [key, entry] of leader.data) node.data.set(key, entry)
      node.applied = leader.applied
    }
  }

  /** Adds a node, or takes one out. */
  setNodes(change: (nodes: Array<SimulatedNode>) => void): void {
    change(this.nodes)
    if (this.version > 0n) this.version++
    const members = this.nodes.filter(({ voter }) => voter).map(({ id }) => id)
    const learners = this.nodes.filter(({ voter }) => !voter).map(({ id }) => id)
    const body = toBinary(
      Pb.MembershipSnapshotSchema,
      create(Pb.MembershipSnapshotSchema, { members, learners, committedIndex: BigInt(++this.index) })
    )
    for (const node of this.nodes) {
      this.catchUp(node)
      for (const watcher of node.memberWatchers) watcher.send(body)
    }
  }

  /** A write as if by another client. Answers its revision. */
  write(key: string, value: string | undefined): number {
    const { leader } = this
    if (leader === undefined) throw new Error("nobody leads")
    return this.apply(leader, encoder.encode(key), value === undefined ? undefined : encoder.encode(value))
  }

  private apply(leader: SimulatedNode, key: Uint8Array, value: Uint8Array | undefined): number {
    const index = ++this.index
    for (const node of this.nodes) {
      if (!this.reaches(leader, node)) continue
      const name = text.decode(key)
      if (value === undefined) node.data.delete(name)
      else node.data.set(name, { key, value })
      node.applied = index
      for (const watcher of node.watchers) {
        const wanted = text.decode(watcher.key)
        if (watcher.prefix ? name.startsWith(wanted) : name === wanted) {
          watcher.send(event(value === undefined ? 1 : 0, key, value ?? empty, index))
        }
      }
    }
    return index
  }

  /** Answers a unary request, or says that it stays silent. */
  answer(node: SimulatedNode, path: string, body: Uint8Array): Reply {
    const method = path.slice(path.lastIndexOf("/") + 1)
    node.received.push(method)
    if (node.paused) return "silence"
    const scripted = node.scripted(method, body)
    if (scripted !== undefined) return scripted
    if (path.startsWith(management)) return this.manage(node, method)
    if (!path.startsWith(client)) return error(12, "unknown service")
    if (!node.serving) return error(14, "Service is not ready")
    switch (method) {
      case "HandleClientWrite":
        return this.answerWrite(node, fromBinary(Pb.ClientWriteRequestSchema, body))
      case "HandleClientRead":
        return this.answerRead(node, fromBinary(Pb.ClientReadRequestSchema, body))
      case "HandleClientScan":
        return this.answerScan(node, fromBinary(Pb.ScanRequestSchema, body).prefix)
      default:
        return error(12, "unknown method")
    }
  }

  private manage(node: SimulatedNode, method: string): Reply {
    if (!node.serving) return error(14, "Service is not ready")
    if (!node.voter) return error(7, "Learner should not response to this event.")
    if (method === "GetClusterMetadata") {
      const leader = node.leading && !node.ready ? undefined : node.names
      return ok(Cluster.ClusterMembershipSchema, {
        version: this.version,
        nodes: this.nodes.map(({ address, announced, id, voter }) =>
          create(Cluster.NodeMetaSchema, {
            id,
            address: announced ?? address,
            role: voter ? 1 : 4,
            status: 3
          })
        ),
        ...(leader === undefined ? {} : { currentLeaderId: leader })
      })
    }
    if (method !== "DiscoverLeader") return error(12, "unknown method")
    if (!node.leading) return error(7, "Follower should not response DiscoverLeader event.")
    return ok(Cluster.LeaderDiscoveryResponseSchema, {
      leaderId: node.id,
      leaderAddress: node.announced ?? node.address,
      term: BigInt(node.term)
    })
  }

  /** How this node, by its version, says that it does not lead. */
  notLeader(node: SimulatedNode, lease = false): Reply {
    const leader = node.names === undefined || node.names === node.id ? undefined : this.node(node.names)
    const address = leader === undefined ? undefined : leader.announced ?? leader.address
    switch (node.dialect) {
      case "0.2.4":
        return error(9, "Not leader")
      case "head":
        return lease ? error(13, "RPC error: Not leader") : error(9, "Not leader")
      case "0.2.5":
        if (lease) return error(14, address === undefined ? "Not leader" : `Not leader, try leader at: ${address}`)
        break
      default:
    }
    return ok(Pb.ClientResponseSchema, {
      error: ErrorCode.NOT_LEADER,
      metadata: leader === undefined ? {} : { leaderId: String(leader.id), leaderAddress: address! }
    })
  }

  private answerWrite(node: SimulatedNode, request: Pb.ClientWriteRequest): Reply {
    if (!node.leading) return this.notLeader(node)
    if (!this.hasQuorum(node)) return "silence"
    const operation = request.command?.operation
    let succeeded = true
    switch (operation?.case) {
      case "insert":
        this.apply(node, operation.value.key, operation.value.value)
        break
      case "delete":
        this.apply(node, operation.value.key, undefined)
        break
      case "compareAndSwap": {
        const { expectedValue, key, newValue } = operation.value
        const current = node.data.get(text.decode(key))?.value
        succeeded = expectedValue === undefined
          ? current === undefined
          : current !== undefined && text.decode(current) === text.decode(expectedValue)
        if (succeeded) this.apply(node, key, newValue)
        else this.index++
        break
      }
      default:
        return error(3, "Command is empty")
    }
    return ok(Pb.ClientResponseSchema, { successResult: { case: "writeResult", value: { succeeded } } })
  }

  private answerRead(node: SimulatedNode, request: Pb.ClientReadRequest): Reply {
    const policy = request.consistencyPolicy ?? Pb.ReadConsistencyPolicy.LINEARIZABLE_READ
    if (policy !== Pb.ReadConsistencyPolicy.EVENTUAL_CONSISTENCY) {
      const lease = policy === Pb.ReadConsistencyPolicy.LEASE_READ
      if (!node.leading) return this.notLeader(node, lease)
      if (!lease) {
        if (!node.ready) return error(14, "LeaderNotReady: noop not committed")
        if (!this.hasQuorum(node)) return "silence"
      }
    }
    return ok(Pb.ClientResponseSchema, {
      successResult: {
        case: "readData",
        value: { results: request.keys.flatMap((key) => node.data.get(text.decode(key)) ?? []) }
      }
    })
  }

  private answerScan(node: SimulatedNode, prefix: Uint8Array): Reply {
    if (!node.leading) return this.notLeader(node)
    const wanted = text.decode(prefix)
    const entries = [...node.data].filter(([key]) => key.startsWith(wanted)).map(([, entry]) => entry)
      .toReversed()
    const scanned = { entries, revision: BigInt(node.applied) }
    if (node.dialect !== "0.2.5") return ok(Pb.ScanResponseSchema, scanned)
    // A ClientResponse with the scan in a field of its own: number 5, which is free.
    const inner = toBinary(Pb.ScanResponseSchema, create(Pb.ScanResponseSchema, scanned))
    const head = [0x2a]
    let { length } = inner
    for (; length > 127; length >>>= 7) head.push((length & 127) | 128)
    head.push(length)
    return { code: 0, body: Uint8Array.from([...head, ...inner]) }
  }

  /** Opens a stream; answers how to end it, or why it is not opened. */
  stream(
    node: SimulatedNode,
    path: string,
    body: Uint8Array,
    to: Omit<Watcher, "key" | "prefix">
  ): (() => void) | Reply {
    const method = path.slice(path.lastIndexOf("/") + 1)
    node.received.push(method)
    if (node.paused) return "silence"
    const scripted = node.scripted(method, body)
    if (scripted !== undefined) return scripted
    if (method === "Watch") {
      const { key, prefix } = fromBinary(Pb.WatchRequestSchema, body)
      const watcher = { ...to, key, prefix }
      node.watchers.add(watcher)
      return () => void node.watchers.delete(watcher)
    }
    if (method !== "WatchMembership") return error(12, "unknown method")
    const watcher = { ...to, key: empty, prefix: false }
    node.memberWatchers.add(watcher)
    const members = this.nodes.filter(({ voter }) => voter).map(({ id }) => id)
    const learners = this.nodes.filter(({ voter }) => !voter).map(({ id }) => id)
    watcher.send(toBinary(Pb.MembershipSnapshotSchema, create(Pb.MembershipSnapshotSchema, { members, learners })))
    return () => void node.memberWatchers.delete(watcher)
  }

  /** Gives all watches of a node up, as a full buffer makes a server do. */
  cancelWatches(id: number): void {
    const { watchers } = this.node(id)
    for (const watcher of watchers) {
      watcher.send(event(2, empty, empty, 0))
      watcher.end({ code: 14, details: "Watch canceled" })
    }
    watchers.clear()
  }
}

const empty = new Uint8Array()

const ok = <S extends Parameters<typeof create>[0]>(schema: S, init: Parameters<typeof create<S>>[1]): Reply => ({
  code: 0,
  body: toBinary(schema, create(schema, init))
})

/** A message of a watch. @category constructors @since 0.1.0 */
export const event = (
  type: Pb.WatchEventType,
  key: Uint8Array,
  value: Uint8Array,
  revision: number
): Uint8Array =>
  toBinary(
    Pb.WatchResponseSchema,
    create(Pb.WatchResponseSchema, { eventType: type, key, value, revision: BigInt(revision) })
  )

/**
 * A cluster on the clock of the present fiber, until the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: RaftSimulatorOptions = {}): Effect.Effect<RaftSimulator, never, Scope.Scope> =>
  Effect.map(
    FiberSet.makeRuntime<never>(),
    (run) =>
      new RaftSimulator(options, (millis, task) => void run(Effect.andThen(Effect.sleep(millis), Effect.sync(task))))
  )
