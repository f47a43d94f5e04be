/** What users do with the client, on simulated nodes, and beside another driver. */
import { SimulatedServer } from "@effect-scylla/testkit"
import { layer } from "@effect/vitest"
import { client } from "./suites/client.ts"
import { interop } from "./suites/interop.ts"
import { requests } from "./suites/requests.ts"
import { schema } from "./suites/schema.ts"
import { ways } from "./suites/ways.ts"
import { writes } from "./suites/writes.ts"

layer(SimulatedServer.layer({ nodes: 3, shards: 4 }), { excludeTestServices: true })("", (it) => {
  client(it, "simulated")
  interop(it, "simulated")
  writes(it, "simulated")
  requests(it, "simulated")
  schema(it, "simulated")
  ways(it, "simulated")
})
