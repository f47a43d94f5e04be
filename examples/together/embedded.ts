/** Three clusters in this process, on loopback sockets, and where to find them. */
import { DEngineAdapter } from "@effect-scylla/raft-client"
import { Ports, SimulatedCluster } from "@effect-scylla/testkit"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import * as RaftSimulatedServer from "@effect-scylla/testkit/RaftSimulatedServer"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { Effect } from "effect"

export const embedded = Effect.gen(function*() {
  // Not every system has more than one loopback address.
  const nodes = (yield* Ports.canUseLoopback("127.0.0.2")) ? 3 : 1
  const cql = yield* SimulatedCluster.make({ nodes, shards: 4, transport: "tcp" })
  const alternator = yield* AlternatorCluster.make({
    nodes: Array.from({ length: nodes }, (_, i) => ({ address: `127.0.0.${i + 1}`, rack: `r${i + 1}` }))
  })
  const raft = yield* RaftSimulator.make()
  yield* RaftSimulatedServer.listenAll(raft)
  return {
    cql: { contactPoints: cql.contactPoints },
    alternator: { seeds: alternator.seeds },
    raft: { endpoints: raft.endpoints, adapter: DEngineAdapter.make() }
  }
})
