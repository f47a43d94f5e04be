/** The cluster, in a process of its own: `server.ts simulated|cassandra`. It is asked by messages, {@link ServerQuestion}. */
import { CqlClient } from "@effect-scylla/driver"
import { CassandraServer, FaultProxy, SimulatedCluster } from "@effect-scylla/testkit"
import { Effect, Exit, Scope } from "effect"
import { connect } from "node:net"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { answer } from "./child.ts"
import {
  type FaultName,
  LATE_EVERY,
  LATE_MILLIS,
  NODE,
  now,
  type On,
  SHARDS,
  SHARDS_AFTER,
  SLOW_MILLIS
} from "./plan.ts"

export type ServerQuestion =
  | { readonly do: "start" }
  | { readonly do: "begin"; readonly fault: FaultName }
  | { readonly do: "end"; readonly fault: FaultName }
  /** Waits until all is as it was, and answers the longest that this process was held up since it was last asked. */
  | { readonly do: "heal" }

/** Where clients find the cluster. */
export interface Place {
  readonly contactPoint: string
  readonly datacenter: string
  /** Addresses of the nodes, in order. */
  readonly nodes: ReadonlyArray<string>
  /** Where nodes are reached by way of the proxy, `address:port` by the address that they tell. */
  readonly proxied: Readonly<Record<string, string>> | undefined
}

interface Cluster {
  readonly place: Place
  readonly begin: (fault: FaultName) => Promise<unknown>
  readonly end: (fault: FaultName) => Promise<unknown>
  readonly heal: () => Promise<unknown>
}

const run = Effect.runPromise
const not = (fault: FaultName): never => {
  throw new Error(`${fault} is not for this cluster`)
}

const simulated = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: SHARDS })
  const begin = (fault: FaultName) => {
    switch (fault) {
      case "killed":
        return cluster.stop(NODE)
      case "stopped":
        return cluster.setFault(NODE, { _tag: "Stopped" })
      case "cut":
        return cluster.setFault(NODE, { _tag: "HalfOpen" })
      case "slow":
        return cluster.setFault(NODE, { _tag: "Slow", millis: SLOW_MILLIS })
      case "resharded":
        return cluster.reshard(NODE, SHARDS_AFTER)
      case "late": {
        let turn = 0
        return cluster.intercept(({ node, request }) =>
          node === NODE && request._tag === "Execute" && ++turn % LATE_EVERY === 0
            ? { _tag: "Delay", millis: LATE_MILLIS }
            : undefined
        )
      }
    }
  }
  const end = (fault: FaultName) => {
    switch (fault) {
      case "killed":
        return cluster.start(NODE)
      case "late":
        return cluster.intercept(undefined)
      case "resharded":
        return Effect.void
      default:
        return cluster.setFault(NODE, undefined)
    }
  }
  return {
    place: {
      contactPoint: cluster.contactPoints[0]!,
      datacenter: cluster.datacenter,
      nodes: cluster.nodes.map(({ address }) => address),
      proxied: undefined
    },
    begin: (fault) => run(begin(fault)),
    end: (fault) => run(end(fault)),
    heal: () => Promise.resolve()
  } satisfies Cluster
})

/** Resolves when something listens there. */
const listening = async (host: string, port: number): Promise<void> => {
  for (let attempts = 0; attempts < 6_000; attempts++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port })
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
      socket.once("connect", () => socket.destroy())
    })
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`nothing listens on ${host}:${port} after two minutes`)
}

const cassandra = Effect.gen(function*() {
  const server = yield* CassandraServer.make({ nodes: 3 })
  const proxy = yield* FaultProxy.make
  const node = server.nodes[NODE]!
  const proxied: Record<string, string> = {}
  for (const { address, port } of server.nodes) {
    // Each has an address of its own, as nodes do: 127.0.0.1 is 127.0.1.1.
    const from = `127.0.1.${address.split(".")[3]}`
    proxied[address] = `${from}:${yield* proxy.forward({ address: from }, { address, port })}`
  }
  const begin = (fault: FaultName) => {
    switch (fault) {
      case "killed":
        return node.kill
      case "stopped":
        return node.pause
      case "cut":
        return proxy.set(node.address, { _tag: "Hold" })
      case "slow":
        // In each direction.
        return proxy.set(node.address, { _tag: "Delay", minMillis: SLOW_MILLIS / 2, maxMillis: SLOW_MILLIS / 2 })
      default:
        return not(fault)
    }
  }
  const end = async (fault: FaultName) => {
    if (fault === "stopped") return run(node.resume)
    if (fault !== "killed") return run(proxy.set(node.address, { _tag: "Pass" }))
    // It is back when it takes connections, a moment before all others say that they see it.
    starting = run(node.start)
    return Promise.race([listening(node.address, node.port), starting])
  }
  let starting: Promise<void> = Promise.resolve()
  return {
    place: {
      contactPoint: server.contactPoints[0]!,
      datacenter: server.datacenter,
      nodes: server.nodes.map(({ address }) => address),
      proxied
    },
    begin: (fault) => run(begin(fault)),
    end,
    heal: async () => {
      await starting
      await run(Effect.forEach(server.nodes, ({ start }) => start, { concurrency: "unbounded", discard: true }))
    }
  } satisfies Cluster
})

const makeTable = (place: Place) =>
  Effect.scoped(Effect.gen(function*() {
    const { contactPoint, datacenter } = place
    const cql = yield* CqlClient.make({ contactPoints: [contactPoint], localDatacenter: datacenter })
    yield* cql.execute(
      `CREATE KEYSPACE faults WITH replication = {'class': 'NetworkTopologyStrategy', '${datacenter}': 3}`
    )
    yield* cql.execute("CREATE TABLE faults.w (id int, seq int, v text, PRIMARY KEY (id, seq))")
  }))

const scope = Effect.runSync(Scope.make())
let cluster: Cluster | undefined
const pauses = monitorEventLoopDelay({ resolution: 5 })
pauses.enable()

await answer(async (question: ServerQuestion) => {
  if (question.do === "start") {
    const kind = process.argv[2] as On
    const made = Effect.gen(function*() {
      const found = yield* kind === "simulated" ? simulated : cassandra
      yield* makeTable(found.place)
      return found
    })
    cluster = await run(Effect.provideService(made, Scope.Scope, scope))
    return cluster.place
  }
  if (cluster === undefined) throw new Error("it was not started")
  switch (question.do) {
    case "begin": {
      const at = now()
      await cluster.begin(question.fault)
      return at
    }
    case "end":
      await cluster.end(question.fault)
      return now()
    case "heal": {
      await cluster.heal()
      const longest = pauses.max / 1e6
      pauses.reset()
      return longest
    }
  }
})
await run(Scope.close(scope, Exit.void))
process.exit(0)
