import { ConnectLimiter } from "@effect-scylla/pool"
import { SimulatedCluster, SimulatedServer } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"

describe("layers of test servers", () => {
  for (
    const [name, layer] of [
      ["SimulatedCluster.layerMemory", SimulatedCluster.layerMemory({ nodes: 1 })],
      ["SimulatedCluster.layer", SimulatedCluster.layer({ nodes: 1 })],
      ["SimulatedServer.layer", SimulatedServer.layer({ nodes: 1 })]
    ] as ReadonlyArray<readonly [string, Layer.Layer<unknown, Error>]>
  ) {
    it.effect(`${name} brings a limiter of dials of its own, each time it is built`, () =>
      Effect.gen(function*() {
        const ofProcess = yield* ConnectLimiter.ConnectLimiter
        const built = Effect.provide(ConnectLimiter.ConnectLimiter, Layer.fresh(layer))
        const first = yield* built
        const second = yield* built
        assert.strictEqual(new Set([ofProcess, first, second]).size, 3)
      }))
  }
})
