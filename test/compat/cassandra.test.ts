/** The same calls on `cassandra-driver` and on ours, and programs of others, on one real Cassandra node. */
import { CassandraServer, TestServer } from "@effect-scylla/testkit"
import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { instead } from "../integration/support/instead.ts"
import { providerOf } from "../integration/support/providers.ts"
import { programs } from "./support/programs.ts"
import { differential } from "./support/suite.ts"

const { isRequired, missing } = providerOf("cassandra")
const settings = { excludeTestServices: true, timeout: "120 seconds" } as const

if (missing !== undefined) instead("compat on cassandra", missing, isRequired)
else {
  layer(Layer.provide(TestServer.ofCassandra, CassandraServer.layer({ nodes: 1 })), settings)("", (it) => {
    differential(it, "cassandra")
    programs(it, "cassandra")
  })
}
