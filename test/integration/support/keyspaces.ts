import type { CqlClient } from "@effect-scylla/driver"
import { Effect } from "effect"

/** Creates a keyspace on all local nodes (three replicas at most), without tablets where there is such a thing. */
export const createKeyspace = (client: CqlClient.CqlClient, name: string): Effect.Effect<void, unknown> => {
  const { datacenter, local } = client.cluster()
  const create = `CREATE KEYSPACE IF NOT EXISTS ${name} WITH replication = ` +
    `{'class': 'NetworkTopologyStrategy', '${datacenter}': ${Math.min(3, local.length)}}`
  return Effect.asVoid(
    Effect.catch(
      client.execute(`${create} AND tablets = {'enabled': false}`, [], { timeout: "30 seconds" }),
      () => client.execute(create, [], { timeout: "30 seconds" })
    )
  )
}
