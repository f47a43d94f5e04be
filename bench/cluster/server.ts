/** A simulated cluster over TCP in a process of its own: `server.ts <nodes> <shards> <vnodes> <keyspaces>`. */
import { CqlClient } from "@effect-scylla/driver"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect, Exit, Scope } from "effect"
import { answer } from "../faults/child.ts"

export type Question =
  | { readonly do: "start" }
  /** So many events that say that something may have changed; nothing has. */
  | { readonly do: "announce"; readonly events: number }
  /** How many looks at the cluster there were. */
  | { readonly do: "count" }

const [nodes = 3, shards = 1, vnodes = 16, keyspaces = 1] = process.argv.slice(2).map(Number)
const scope = Scope.makeUnsafe()

const cluster = await Effect.runPromise(Scope.provide(
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes, shards, vnodes, racks: 3 })
    const make = Effect.gen(function*() {
      const contactPoints = cluster.contactPoints.slice(0, 1)
      const cql = yield* CqlClient.make({ contactPoints, connections: { perNode: 1 }, schemaAgreementTimeout: false })
      for (let i = 0; i < keyspaces; i++) {
        const replication = `{'class': 'NetworkTopologyStrategy', 'datacenter1': ${i % 5 + 1}}`
        yield* cql.execute(`CREATE KEYSPACE ks${i} WITH replication = ${replication} AND tablets = {'enabled': false}`)
      }
    })
    yield* Effect.scoped(make)
    return cluster
  }),
  scope
))

let looks = 0
await Effect.runPromise(cluster.intercept(({ request }) => {
  if (request._tag === "Query" && request.query.startsWith("SELECT * FROM system.local")) looks++
  return undefined
}))

await answer<Question>(async (question) => {
  if (question.do === "start") return cluster.contactPoints
  if (question.do === "count") return looks
  for (let i = 0; i < question.events; i++) {
    // Of an address that nobody has: known nodes need no look at the cluster.
    await Effect.runPromise(
      cluster.announce({ type: "TOPOLOGY_CHANGE", change: "NEW_NODE", address: "127.0.0.254" })
    )
  }
  return question.events
})
await Effect.runPromise(Scope.close(scope, Exit.void))
// Node 24 may turn in circles while it tears a process down whose parent was killed.
process.exit()
