/** The same calls on `cassandra-driver` and on ours, on simulated nodes of both kinds. */
import { SimulatedServer } from "@effect-scylla/testkit"
import { layer } from "@effect/vitest"
import { programs } from "./support/programs.ts"
import { differential } from "./support/suite.ts"

for (const product of ["cassandra", "scylla"] as const) {
  layer(SimulatedServer.layer({ nodes: 1, product }), { excludeTestServices: true })(product, (it) => {
    differential(it, "simulated")
    programs(it, "simulated")
  })
}
