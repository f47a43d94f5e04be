/**
 * A cluster that speaks CQL as ScyllaDB does, or as Apache Cassandra does, in this process: several nodes with several shards
 * each, over TCP on loopback addresses or in memory.
 *
 * It is a server for tests of clients. It keeps one copy of the data for the whole cluster (or one for each node, by option), and everything that a client can
 * see of distribution is real: tokens, replicas, shards, consistency levels that fail when replicas are down, prepared
 * statements that a restarted node has forgotten, events. What it cannot do it refuses with INVALID (`not simulated: …`).
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Transport from "@effect-scylla/pool/Transport"
import { parseAddress } from "@effect-scylla/protocol/Reader"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  type ClusterStats,
  type NodeStats,
  type RequestStats,
  type ShardStats,
  snapshot
} from "./internal/sim/cluster/clusterStats.ts"
import type { SimNode } from "./internal/sim/cluster/simNode.ts"
import { Counters } from "./internal/sim/cluster/stats.ts"
import type { TabletLayout, TabletReplica } from "./internal/sim/cluster/tablets.ts"
import { Topology } from "./internal/sim/cluster/topology.ts"
import { Engine } from "./internal/sim/engine.ts"
import type { Schema } from "./internal/sim/schema/schema.ts"
import * as SystemTables from "./internal/sim/schema/systemTables.ts"
import type { Asked, AskedStatement, Listener, Reaction } from "./internal/sim/server/asked.ts"
import type { InterceptContext, Intercepted, Interceptor, Port } from "./internal/sim/server/host.ts"
import type { NodeFault } from "./internal/sim/server/line.ts"
import { NodeHost } from "./internal/sim/server/node.ts"
import {
  type Advertised,
  between,
  type Datacenter,
  flavourOf,
  nodesOf,
  type Options,
  skewOf,
  wrongIn
} from "./internal/sim/server/options.ts"
import * as Tcp from "./internal/sim/server/tcp.ts"
import { testLayer } from "./internal/testLayer.ts"
import * as MemoryTransport from "./MemoryTransport.ts"
import * as Ports from "./Ports.ts"

export type {
  /**
   * The address and port that a node says it is reached at.
   *
   * @category models
   * @since 0.1.0
   */
  Advertised,
  /**
   * A datacenter of the cluster.
   *
   * @category models
   * @since 0.1.0
   */
  Datacenter,
  /**
   * The shape of a cluster.
   *
   * @category models
   * @since 0.1.0
   */
  Options
}

export type {
  /**
   * The request that an interceptor is asked about: the index of the node, the shard and id of the connection, the
   * opcode, and the decoded request.
   *
   * @category models
   * @since 0.1.0
   */
  InterceptContext,
  /**
   * What an interceptor does with a request: never answers it, answers an error, closes the connection, answers it
   * later, or sends bytes of its own: just these, neither compressed nor put into segments.
   *
   * @category models
   * @since 0.1.0
   */
  Intercepted,
  /**
   * Looks at each request before it is handled; `undefined` lets it pass.
   *
   * @category models
   * @since 0.1.0
   */
  Interceptor
}

export type {
  /**
   * A statement that reached a node: its text, its values decoded, how it was asked.
   *
   * @category models
   * @since 0.1.0
   */
  Asked,
  /**
   * One statement of a request.
   *
   * @category models
   * @since 0.1.0
   */
  AskedStatement,
  /**
   * Is told of a statement, and may answer it in the node's place.
   *
   * @category models
   * @since 0.1.0
   */
  Listener,
  /**
   * What is answered in the node's place: an error, the node's own answer later, rows, nothing, or the end of the connection.
   *
   * @category models
   * @since 0.1.0
   */
  Reaction
}

export type {
  /**
   * What is wrong with a node that runs, until further notice.
   *
   * - `Stopped`: as by SIGSTOP. It takes connections and bytes and answers nothing; what came is answered when it goes on. A
   *   connection of which more than 16 MiB wait is reset.
   * - `HalfOpen`: bytes vanish both ways, those of new connections too, and nobody is told, not of an end either. Once this is
   *   over, connections that lost something are reset with the next byte that comes.
   * - `HeartbeatsOnly`: QUERY, PREPARE, EXECUTE and BATCH are neither executed nor answered; OPTIONS, and what a handshake
   *   needs, are.
   * - `Slow`: all that it sends, events too, is late by `millis`, in order.
   *
   * @category models
   * @since 0.1.0
   */
  NodeFault
}

export type {
  /**
   * Counters of the cluster.
   *
   * @category models
   * @since 0.1.0
   */
  ClusterStats,
  /**
   * Counters of a node.
   *
   * @category models
   * @since 0.1.0
   */
  NodeStats,
  /**
   * Counters of data requests: QUERY, EXECUTE and BATCH on tables of users.
   *
   * @category models
   * @since 0.1.0
   */
  RequestStats,
  /**
   * Counters of a shard. `connections` were opened since the last reset, by the port they came through.
   *
   * @category models
   * @since 0.1.0
   */
  ShardStats
}

/**
 * A node could not be started, or there is no such node.
 *
 * @category errors
 * @since 0.1.0
 */
export class SimulatedClusterError extends Data.TaggedError("SimulatedClusterError")<{
  readonly reason: "PortInUse" | "AddressUnusable" | "NoSuchNode" | "BadOptions"
  readonly message: string
}> {}

/**
 * A node as tests see it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedNode {
  readonly index: number
  readonly address: string
  readonly hostId: Uuid.Uuid
  readonly datacenter: string
  readonly rack: string
  readonly tokens: ReadonlyArray<bigint>
  readonly nrShards: number
  readonly isRunning: boolean
  /** Connections that are open now. */
  readonly connections: ReadonlyArray<{ readonly id: number; readonly shard: number; readonly port: number }>
}

/**
 * A tablet: the tokens `first < token <= last` of a table, and the nodes (by their index) and shards that hold them.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedTablet {
  readonly first: bigint
  readonly last: bigint
  readonly replicas: ReadonlyArray<{ readonly node: number; readonly shard: number }>
}

/**
 * A running cluster.
 *
 * @category services
 * @since 0.1.0
 */
export interface SimulatedCluster {
  /** `address:port` of every node. */
  readonly contactPoints: ReadonlyArray<string>
  readonly port: number
  readonly shardAwarePort: number | undefined
  /** The first datacenter. */
  readonly datacenter: string
  readonly nodes: ReadonlyArray<SimulatedNode>
  /** How to reach it: in memory, or node's TCP. */
  readonly transport: Transport.Transport
  readonly product: "scylla" | "cassandra"
  readonly credentials: { readonly username: string; readonly password: string } | undefined
  /** Ends a node as a power cut would: its connections are reset, the others tell their clients that it is down. */
  readonly stop: (index: number) => Effect.Effect<void, SimulatedClusterError>
  /** Starts it again, with the data and without what was prepared on it; the others tell their clients that it is up. */
  readonly start: (index: number) => Effect.Effect<void, SimulatedClusterError>
  /**
   * A node leaves the cluster for good: others take over its tokens and tablets, clients are told. Its place among `nodes`
   * stays.
   */
  readonly remove: (index: number) => Effect.Effect<void, SimulatedClusterError>
  /** A node that was among those `joining` becomes a member: it starts, and clients are told. */
  readonly join: (index: number) => Effect.Effect<void, SimulatedClusterError>
  /** A node ends and comes back, the same node with its data, at another address. Contact points stay what they were. */
  readonly relocate: (index: number, address: string) => Effect.Effect<void, SimulatedClusterError>
  /** The tablets of `keyspace.table` in the order of their tokens; none for a table without. */
  readonly tablets: (table: string) => ReadonlyArray<SimulatedTablet>
  /** Moves the tablet of a token: these are its replicas from now on. No client is told. */
  readonly moveTablet: (
    table: string,
    token: bigint,
    replicas: SimulatedTablet["replicas"]
  ) => Effect.Effect<void, SimulatedClusterError>
  /**
   * The table has twice as many tablets, where the first ones were, or half as many: of two neighbours the second moves to the first. No
   * client is told. Fails for one tablet that is to become half a one, and for more than 4096.
   */
  readonly resizeTablets: (table: string, how: "split" | "merge") => Effect.Effect<void, SimulatedClusterError>
  /**
   * From now on this is wrong with the node; `undefined` for nothing. It lasts over `stop` and `start`. Other nodes notice nothing:
   * they count on its replicas, and `announce` is for what they would say.
   */
  readonly setFault: (index: number, fault: NodeFault | undefined) => Effect.Effect<void, SimulatedClusterError>
  /** Restarts it with another number of shards. */
  readonly reshard: (index: number, shards: number) => Effect.Effect<void, SimulatedClusterError>
  readonly stats: Effect.Effect<ClusterStats>
  readonly resetStats: Effect.Effect<void>
  /** Tells the clients of all running nodes something that has not happened, for tests of event floods and lies. */
  readonly announce: (event: {
    readonly type: "STATUS_CHANGE" | "TOPOLOGY_CHANGE"
    /** `UP`, `DOWN`, `NEW_NODE`, `REMOVED_NODE`, or anything else. */
    readonly change: string
    readonly address: string
  }) => Effect.Effect<void>
  /**
   * From now on the marker of `c IN ?` is called `in(c)`, or `IN(c)`: nodes have forgotten what was prepared, and a second PREPARE,
   * whose id is the same, tells the other name.
   */
  readonly renameIn: (name: "in" | "IN") => Effect.Effect<void>
  /** Sets what looks at every request first; `undefined` clears it. */
  readonly intercept: (interceptor: Interceptor | undefined) => Effect.Effect<void>
  /**
   * As long as the scope lives, tells of each statement that reaches a node, in the order in which they began to listen; the first that
   * answers something decides what the client gets. Statements about tables of the system, which drivers read for themselves, are not
   * told. `Priming` and `Recorder` are made of it.
   */
  readonly listen: (listener: Listener) => Effect.Effect<void, never, Scope.Scope>
}

/**
 * The cluster as a service.
 *
 * @category services
 * @since 0.1.0
 */
export const SimulatedCluster: Context.Service<SimulatedCluster, SimulatedCluster> = Context.Service<SimulatedCluster>(
  "@effect-scylla/testkit/SimulatedCluster"
)

/** How long hints wait, as those of Cassandra (`hints_flush_period`). */
const HINTS_AFTER = "10 seconds"

/** The ports of the cluster: those asked for, else free ones on all addresses. */
const choosePorts = Effect.fnUntraced(function*(given: Options, addresses: ReadonlyArray<string>) {
  const options = given.product === "cassandra" ? { ...given, shardAwarePort: false as const } : given
  const isMemory = options.transport === "memory"
  const wanted = (options.port === undefined ? 1 : 0) + (options.shardAwarePort === undefined ? 1 : 0)
  const found = isMemory || wanted === 0 ? [] : yield* Effect.mapError(
    Ports.freePorts({ addresses, count: wanted }),
    ({ message, reason }) =>
      new SimulatedClusterError({ reason: reason === "NoneFree" ? "PortInUse" : "AddressUnusable", message })
  )
  const port = options.port ?? (isMemory ? 9042 : found[0]!)
  const shardAwarePort = options.shardAwarePort === false
    ? undefined
    : options.shardAwarePort ?? (isMemory ? 19_042 : found[found.length - 1]!)
  return { port, shardAwarePort }
})

/**
 * Starts a cluster, which stops with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(options: Options = {}): Effect.fn.Return<SimulatedCluster, SimulatedClusterError, Scope.Scope> {
    const nodes = nodesOf(options)
    const wrong = wrongIn(options, nodes.length)
    if (wrong.length > 0) {
      return yield* new SimulatedClusterError({ reason: "BadOptions", message: wrong.join("; ") })
    }
    const { port, shardAwarePort } = yield* choosePorts(options, nodes.map((node) => node.address))
    const clock = yield* Clock.Clock
    const runLater = yield* FiberSet.makeRuntime<never>()
    const isJoining = (node: SimNode): boolean => options.joining?.includes(node.index) === true
    const topology = new Topology(nodes.filter((node) => !isJoining(node)))
    const counters = new Counters(nodes.length)
    const now = clock.currentTimeMillisUnsafe()
    const schema: Schema = { keyspaces: new Map(), version: Uuid.fromTimestamp(now) }
    const skews = nodes.map((node) => skewOf(options, node.index))
    const generations = nodes.map(() => Math.floor(now / 1000))
    const { clusterName = "effect-scylla simulated", credentials } = options
    let interceptor: Interceptor | undefined
    const listeners = new Set<Listener>()
    let connections = 0
    const flavour = flavourOf(options)

    const hosts: Array<NodeHost> = []
    const announce = (type: string, event: Parameters<NodeHost["push"]>[1], except?: SimNode): void => {
      for (const host of hosts) if (host.node.isRunning && host.node !== except) host.push(type, event)
    }
    const engine = new Engine(
      schema,
      topology,
      { millis: () => clock.currentTimeMillisUnsafe(), skew: (node) => skews[node.index]! },
      {
        product: flavour.product,
        tablets: flavour.product === "cassandra" ? "none" : options.tablets === true ? "by default" : "on demand",
        tabletLimits: options.tabletLimits === true,
        passesNoTablets: options.passesNoTablets !== false,
        inName: options.inName ?? "in",
        credentials,
        hasOwnReplicas: options.replicas === "own",
        clusterName
      },
      (change) => announce("SCHEMA_CHANGE", () => ({ _tag: "SchemaEvent", schema: change }))
    )
    for (const node of nodes) {
      hosts.push(
        new NodeHost(node, {
          flavour,
          engine,
          counters,
          ignoreMsb: options.ignoreMsb ?? 12,
          credentials,
          shardAwarePort: options.advertiseShardAwarePort === false ? undefined : shardAwarePort,
          forge: options.supported ?? ((supported) => supported),
          intercept: () => interceptor,
          listeners,
          delay: (millis, task) => void runLater(Effect.andThen(Effect.sleep(millis), Effect.sync(task))),
          now: () => clock.currentTimeMillisUnsafe(),
          nextConnection: () => ++connections
        })
      )
    }
    const advertised = (node: SimNode): { readonly address: string; readonly port: number } => {
      const said = options.advertise?.(node.index)
      return { address: said?.address ?? node.address, port: said?.port ?? port }
    }
    SystemTables.install({
      globalKeyspaces: options.globalKeyspaces ?? [],
      product: flavour.product,
      advertised,
      schema,
      topology,
      clusterName,
      nativeProtocol: String(flavour.versions[flavour.versions.length - 1]),
      generation: (node) => generations[node.index]!,
      clients: (node) => hosts[node.index]!.clients(),
      traces: engine.traces,
      onRoutes: (changed) =>
        announce("CLIENT_ROUTES_CHANGE", () => ({
          _tag: "ClientRoutesEvent",
          change: "UPDATE_NODES",
          connectionIds: changed.map(([connectionId]) => connectionId),
          hostIds: changed.map(([, hostId]) => hostId)
        })),
      roles: () => engine.access?.roles ?? new Map()
    })

    const memory = options.transport === "memory" ? MemoryTransport.make() : undefined
    const closers: Array<ReadonlyArray<Effect.Effect<void>>> = nodes.map(() => [])
    const ports: ReadonlyArray<Port> = [
      { kind: "plain", number: port },
      ...(shardAwarePort === undefined ? [] : [{ kind: "shardAware", number: shardAwarePort } as const])
    ]

    const listen = (host: NodeHost, on: Port): Effect.Effect<Effect.Effect<void>, SimulatedClusterError> => {
      if (memory !== undefined) {
        return Effect.sync(() => {
          const close = memory.listen(host.node.address, on.number, (peer) => {
            const line = host.accept(on, peer)
            return { onData: (bytes) => line.receive(bytes), onClose: () => line.closed() }
          })
          return Effect.sync(close)
        })
      }
      return Effect.mapBoth(Tcp.listen(host, on), {
        onSuccess: (listener) => listener.close,
        onFailure: (error) => {
          const where = `${host.node.address}:${on.number}`
          return error.code === "EADDRINUSE"
            ? new SimulatedClusterError({
              reason: "PortInUse",
              message: `${where} is in use: stop what listens there, or choose another port`
            })
            : new SimulatedClusterError({
              reason: "AddressUnusable",
              message: `cannot listen on ${where}: ${error.message}`
            })
        }
      })
    }

    const hostOf = (index: number): Effect.Effect<NodeHost, SimulatedClusterError> => {
      const host = hosts[index]
      return host !== undefined ? Effect.succeed(host) : Effect.fail(
        new SimulatedClusterError({
          reason: "NoSuchNode",
          message: `there is no node ${index}: nodes are counted from 0 and there are ${nodes.length}`
        })
      )
    }

    const layoutOf = (name: string): TabletLayout | undefined => {
      const [keyspace = "", table = ""] = name.split(".")
      const found = schema.keyspaces.get(keyspace)?.tables.get(table)
      return found === undefined ? undefined : topology.tablets(found)
    }
    const badTablets = (message: string) => new SimulatedClusterError({ reason: "BadOptions", message })
    /** The tablets of a table, where they can be others from now on. */
    const changeableOf = Effect.fnUntraced(function*(name: string) {
      const layout = layoutOf(name)
      if (engine.replicas !== undefined) {
        return yield* badTablets("tablets of nodes with data of their own do not move: not simulated")
      }
      return layout ?? (yield* badTablets(`there is no table ${name} with tablets`))
    })

    const nodeEvent = (
      type: "STATUS_CHANGE" | "TOPOLOGY_CHANGE",
      change: string,
      address: Uint8Array,
      except?: SimNode
    ): void => announce(type, (number) => ({ _tag: "NodeEvent", type, change, address, port: number }), except)
    /** ScyllaDB names nodes as they name each other, with the port of the listener; Cassandra as clients know them. */
    const told = (type: "STATUS_CHANGE" | "TOPOLOGY_CHANGE", change: string, node: SimNode): void => {
      if (flavour.product === "scylla") return nodeEvent(type, change, parseAddress(node.address)!, node)
      const { address, port } = advertised(node)
      announce(type, () => ({ _tag: "NodeEvent", type, change, address: parseAddress(address)!, port }), node)
    }
    const status = (node: SimNode, change: "UP" | "DOWN"): void => told("STATUS_CHANGE", change, node)

    /** A node that answers again is told by the others what it missed, some time later. */
    const hint = (node: SimNode): void => {
      const { replicas } = engine
      if (replicas === undefined || !node.isRunning || node.isDeaf) return
      runLater(Effect.andThen(Effect.sleep(HINTS_AFTER), Effect.sync(() => replicas.deliver(node))))
    }

    const down = (host: NodeHost): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!host.node.isRunning) return Effect.void
        host.node.isRunning = false
        const closing = closers[host.node.index]!
        closers[host.node.index] = []
        host.crash()
        status(host.node, "DOWN")
        return Effect.forEach(closing, (close) => close, { discard: true, concurrency: "unbounded" })
      })

    const up = (host: NodeHost): Effect.Effect<void, SimulatedClusterError> =>
      Effect.suspend(() => {
        if (host.node.isRunning) return Effect.void
        if (host.node.hasLeft) {
          const message = `node ${host.node.index} has left the cluster`
          return Effect.fail(new SimulatedClusterError({ reason: "NoSuchNode", message }))
        }
        if (!topology.nodes.includes(host.node)) {
          const message = `node ${host.node.index} is no member of the cluster yet: \`join\` brings it in`
          return Effect.fail(new SimulatedClusterError({ reason: "NoSuchNode", message }))
        }
        const opened: Array<Effect.Effect<void>> = []
        const all = Effect.forEach(ports, (on) => Effect.map(listen(host, on), (close) => opened.push(close)), {
          discard: true
        })
        return Effect.onError(all, () => Effect.forEach(opened, (close) => close, { discard: true })).pipe(
          Effect.andThen(Effect.sync(() => {
            closers[host.node.index] = opened
            generations[host.node.index] = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
            host.node.isRunning = true
            status(host.node, "UP")
            hint(host.node)
          }))
        )
      })

    yield* Effect.addFinalizer(() => Effect.forEach(hosts, down, { discard: true, concurrency: "unbounded" }))
    for (const host of hosts) if (!isJoining(host.node)) yield* up(host)

    return {
      contactPoints: topology.nodes.map((node) => `${node.address}:${port}`),
      port,
      shardAwarePort,
      datacenter: topology.nodes[0]!.datacenter,
      product: flavour.product,
      credentials,
      transport: memory?.transport ?? (yield* Transport.Transport),
      nodes: hosts.map((host): SimulatedNode => ({
        index: host.node.index,
        get address() {
          return host.node.address
        },
        hostId: host.node.hostId,
        datacenter: host.node.datacenter,
        rack: host.node.rack,
        tokens: host.node.tokens,
        get nrShards() {
          return host.node.nrShards
        },
        get isRunning() {
          return host.node.isRunning
        },
        get connections() {
          return Array.from(host.connections, ({ id, port, shard }) => ({ id, shard, port: port.number }))
        }
      })),
      stop: (index) => Effect.flatMap(hostOf(index), down),
      start: (index) => Effect.uninterruptible(Effect.flatMap(hostOf(index), up)),
      setFault: (index, fault) =>
        Effect.flatMap(
          hostOf(index),
          (host) =>
            fault?._tag === "Slow" && !(fault.millis >= 0 && fault.millis < Infinity)
              ? Effect.fail(
                new SimulatedClusterError({
                  reason: "BadOptions",
                  message: `millis must be a number from 0, got ${fault.millis}`
                })
              )
              : Effect.sync(() => {
                host.setFault(fault)
                host.node.isDeaf = fault !== undefined && fault._tag !== "Slow"
                hint(host.node)
              })
        ),
      reshard: (index, shards) =>
        Effect.gen(function*() {
          const host = yield* hostOf(index)
          if (!between(shards, 1, 1024)) {
            return yield* new SimulatedClusterError({
              reason: "BadOptions",
              message: `shards must be 1 to 1024, got ${shards}`
            })
          }
          yield* down(host)
          host.node.nrShards = shards
          yield* up(host)
        }).pipe(Effect.uninterruptible),
      remove: (index) =>
        Effect.gen(function*() {
          const host = yield* hostOf(index)
          if (engine.replicas !== undefined) {
            const message = "nodes with data of their own do not leave: not simulated"
            return yield* new SimulatedClusterError({ reason: "BadOptions", message })
          }
          if (topology.nodes.length === 1) {
            const message = "the last node cannot leave"
            return yield* new SimulatedClusterError({ reason: "BadOptions", message })
          }
          yield* down(host)
          topology.remove(host.node, schema.keyspaces.values())
          told("TOPOLOGY_CHANGE", "REMOVED_NODE", host.node)
        }).pipe(Effect.uninterruptible),
      join: (index) =>
        Effect.gen(function*() {
          const host = yield* hostOf(index)
          const wrong = (message: string) => new SimulatedClusterError({ reason: "BadOptions", message })
          if (engine.replicas !== undefined) {
            return yield* wrong("nodes with data of their own do not join: not simulated")
          }
          if (host.node.hasLeft || topology.nodes.includes(host.node)) {
            return yield* wrong(`node ${index} is or was a member of the cluster`)
          }
          topology.add(host.node, schema.keyspaces.values())
          told("TOPOLOGY_CHANGE", "NEW_NODE", host.node)
          yield* up(host)
        }).pipe(Effect.uninterruptible),
      relocate: (index, address) =>
        Effect.gen(function*() {
          const host = yield* hostOf(index)
          if (parseAddress(address) === undefined || nodes.some((node) => node.address === address)) {
            const message = `${address} is no IP address, or that of another node`
            return yield* new SimulatedClusterError({ reason: "BadOptions", message })
          }
          yield* down(host)
          host.node.address = address
          yield* up(host)
        }).pipe(Effect.uninterruptible),
      tablets: (name) =>
        layoutOf(name)?.tablets.map(({ first, last, replicas }) => ({
          first,
          last,
          replicas: replicas.map(({ node, shard }) => ({ node: node.index, shard }))
        })) ?? [],
      resizeTablets: (name, how) =>
        Effect.gen(function*() {
          const layout = yield* changeableOf(name)
          if (how === "split" ? layout.split() : layout.merge()) return
          return yield* badTablets(`${name} has ${layout.tablets.length} tablets, too few or too many to ${how}`)
        }),
      moveTablet: (name, token, replicas) =>
        Effect.gen(function*() {
          const layout = yield* changeableOf(name)
          const moved: Array<TabletReplica> = []
          for (const { node: index, shard } of replicas) {
            const { node } = yield* hostOf(index)
            if (!between(shard, 0, node.nrShards - 1)) return yield* badTablets(`node ${index} has no shard ${shard}`)
            moved.push({ node, shard })
          }
          layout.move(token, moved)
        }),
      stats: Effect.sync(() => snapshot(counters, nodes)),
      resetStats: Effect.sync(() => counters.reset()),
      announce: ({ address, change, type }) =>
        Effect.sync(() => {
          const bytes = parseAddress(address)
          if (bytes === undefined) throw new TypeError(`not an address: ${address}`)
          nodeEvent(type, change, bytes)
        }),
      renameIn: (name) =>
        Effect.sync(() => {
          engine.renameIn(name)
          for (const host of hosts) host.prepared.clear()
        }),
      listen: (listener) =>
        Effect.asVoid(Effect.acquireRelease(
          // A function of its own each time, so that who listens twice is told twice.
          Effect.sync(() => {
            const own: Listener = (asked) => listener(asked)
            listeners.add(own)
            return own
          }),
          (own) => Effect.sync(() => listeners.delete(own))
        )),
      intercept: (next) =>
        Effect.sync(() => {
          interceptor = next
        })
    }
  }
)

/**
 * A cluster for as long as the layer lives.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<SimulatedCluster, SimulatedClusterError> =>
  testLayer(Layer.effect(SimulatedCluster, make(options)))

/**
 * A cluster in memory, and the `Transport` that reaches it: clients built over this layer dial nothing else.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (
  options: Omit<Options, "transport"> = {}
): Layer.Layer<SimulatedCluster, SimulatedClusterError> =>
  testLayer(Layer.effectContext(
    Effect.map(make({ ...options, transport: "memory" }), (cluster) =>
      Context.make(SimulatedCluster, cluster).pipe(Context.add(Transport.Transport, cluster.transport)))
  ))
