/** What networks and power cuts do to connections and nodes, on simulated nodes. */
import { layer } from "@effect/vitest"
import { deaths } from "./suites/deaths.ts"
import { faults } from "./suites/faults.ts"
import { simulatedNodes } from "./support/faultyClusters.ts"

layer(simulatedNodes, { excludeTestServices: true })("", (it) => {
  faults(it, "simulated nodes")
  deaths(it, "simulated nodes")
})
