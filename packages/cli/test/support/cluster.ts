/** A simulated cluster with the keyspace of the golden files, on sockets: programs connect to it as well. */
import { CqlClient } from "@effect-scylla/driver"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect } from "effect"
import { CREATE, KEYSPACE } from "./keyspace.ts"

export const world = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make({ nodes: 1, product: "cassandra" })
  const cql = yield* CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 0 })
  yield* cql.execute(
    `CREATE KEYSPACE ${KEYSPACE} WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}`
  )
  yield* Effect.forEach(CREATE, (text) => cql.execute(text), { discard: true })
  return { cluster, cql }
})
