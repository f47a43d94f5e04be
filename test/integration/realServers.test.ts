/** The suites on real servers: all of them on one Cassandra cluster, whose start takes long, and the client's on those that are named. */
import { CassandraServer, TestServer } from "@effect-scylla/testkit"
import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { client } from "./suites/client.ts"
import { deaths } from "./suites/deaths.ts"
import { faults } from "./suites/faults.ts"
import { interop } from "./suites/interop.ts"
import { requests } from "./suites/requests.ts"
import { schema } from "./suites/schema.ts"
import { ways } from "./suites/ways.ts"
import { writes } from "./suites/writes.ts"
import { cassandraNodes } from "./support/faultyClusters.ts"
import { instead } from "./support/instead.ts"
import { providers } from "./support/providers.ts"

const settings = { excludeTestServices: true, timeout: "120 seconds" } as const

for (const { isRequired, missing, provider } of providers) {
  if (missing !== undefined) {
    instead(provider === "cassandra" ? "everything on cassandra" : `client on ${provider}`, missing, isRequired)
  } else if (provider === "cassandra") {
    const views = Layer.merge(TestServer.ofCassandra, cassandraNodes)
    layer(Layer.provide(views, CassandraServer.layer({ nodes: 3 })), settings)("", (it) => {
      client(it, provider)
      interop(it, provider)
      writes(it, provider)
      requests(it, provider)
      ways(it, provider)
      faults(it, "Cassandra")
      deaths(it, "Cassandra")
    })
    // A hundred changes of the schema: many nodes at once would take minutes to agree on each.
    layer(Layer.provide(TestServer.ofCassandra, CassandraServer.layer({ nodes: 1 })), settings)("", (it) => {
      schema(it, provider)
    })
  } else {
    const server = provider === "container" ? TestServer.container() : TestServer.external
    layer(server, settings)("", (it) => {
      client(it, provider)
      writes(it, provider)
      requests(it, provider)
      schema(it, provider)
    })
  }
}
