/** Clusters whose nodes a suite may kill, stop and start, behind a proxy that does the same to their connections. */
import { CassandraServer, SimulatedCluster } from "@effect-scylla/testkit"
import { Context, Effect, Layer } from "effect"

export interface FaultyNode {
  readonly address: string
  /** Ends it as a power cut would. */
  readonly kill: Effect.Effect<void, Error>
  /** Starts it again and waits until it answers. */
  readonly start: Effect.Effect<void, Error>
  /** SIGSTOP and SIGCONT, where it is a process of its own. */
  readonly stopped:
    | { readonly pause: Effect.Effect<void, Error>; readonly resume: Effect.Effect<void, Error> }
    | undefined
}

export interface FaultyCluster {
  readonly contactPoints: ReadonlyArray<string>
  readonly port: number
  readonly datacenter: string
  /** The source port of a connection chooses its shard, by way of the proxy too. */
  readonly isShardAware: boolean
  readonly nodes: ReadonlyArray<FaultyNode>
}

export const FaultyCluster: Context.Service<FaultyCluster, FaultyCluster> = Context.Service<FaultyCluster>(
  "test/FaultyCluster"
)

export const simulatedNodes = Layer.effect(
  FaultyCluster,
  Effect.map(SimulatedCluster.make({ nodes: 3, shards: 4 }), (cluster): FaultyCluster => ({
    contactPoints: cluster.contactPoints,
    port: cluster.port,
    datacenter: cluster.datacenter,
    // Elsewhere the proxy cannot go on from the port that it was reached from.
    isShardAware: process.platform === "linux",
    nodes: cluster.nodes.map(({ address, index }) => ({
      address,
      kill: cluster.stop(index),
      start: cluster.start(index),
      stopped: undefined
    }))
  }))
)

export const cassandraNodes = Layer.effect(
  FaultyCluster,
  Effect.map(CassandraServer.CassandraServer, (server): FaultyCluster => ({
    contactPoints: server.contactPoints,
    port: server.port,
    datacenter: server.datacenter,
    isShardAware: false,
    nodes: server.nodes.map(({ address, kill, pause, resume, start }) => ({
      address,
      kill,
      start,
      stopped: { pause, resume }
    }))
  }))
)
