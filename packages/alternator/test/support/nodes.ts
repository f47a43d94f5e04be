/** AlternatorNodes on simulated nodes, under TestClock. */
import { AlternatorNodes } from "@effect-scylla/alternator"
import * as AlternatorSimulation from "@effect-scylla/testkit/AlternatorSimulation"
import { Effect, Logger } from "effect"

export const three = () =>
  AlternatorSimulation.make({ nodes: [{ host: "10.0.0.1" }, { host: "10.0.0.2" }, { host: "10.0.0.3" }] })

/** Two datacenters: racks r1 (two nodes) and r2 (one) in dc1, one node in dc2. */
export const two = () =>
  AlternatorSimulation.make({
    nodes: [
      { host: "10.0.0.1", datacenter: "dc1", rack: "r1" },
      { host: "10.0.0.2", datacenter: "dc1", rack: "r1" },
      { host: "10.0.0.3", datacenter: "dc1", rack: "r2" },
      { host: "10.1.0.1", datacenter: "dc2", rack: "r1" }
    ]
  })

export const start = (
  simulation: AlternatorSimulation.AlternatorSimulation,
  options: Partial<AlternatorNodes.NodesOptions> = {}
) => AlternatorNodes.make({ seeds: ["10.0.0.1"], ...options }).pipe(Effect.provide(simulation.layer))

export const hosts = (snapshot: AlternatorNodes.NodesSnapshot) => snapshot.nodes.map(({ host }) => host)
export const looks = (simulation: AlternatorSimulation.AlternatorSimulation) =>
  simulation.nodes.reduce((sum, { requests }) => sum + requests.localNodes, 0)

/** Messages of the logger while `effect` runs. */
export const logged = <A, E, R>(effect: (lines: Array<string>) => Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => {
    lines.push(String(message))
  })
  return Effect.provide(effect(lines), Logger.layer([logger]))
}
