/**
 * The simulated cluster as a provider of `TestServer`, so that suites written for real servers run against it.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { testLayer } from "./internal/testLayer.ts"
import * as SimulatedCluster from "./SimulatedCluster.ts"
import { TestServer, TestServerError } from "./TestServer.ts"

const failure = (error: { readonly message: string }): TestServerError =>
  new TestServerError({ provider: "simulated", message: error.message })

/**
 * A simulated cluster on loopback sockets. Its faults are `stop` and `start` of its nodes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Omit<SimulatedCluster.Options, "transport"> = {}
): Layer.Layer<TestServer, TestServerError> =>
  testLayer(Layer.effect(
    TestServer,
    Effect.map(
      Effect.mapError(SimulatedCluster.make({ ...options, transport: "tcp" }), failure),
      (cluster): TestServer => ({
        provider: "simulated",
        contactPoints: cluster.contactPoints,
        datacenter: cluster.datacenter,
        product: cluster.product,
        shardAware: cluster.shardAwarePort !== undefined,
        ...(cluster.credentials === undefined ? {} : { credentials: cluster.credentials }),
        faults: Option.some({
          nodes: cluster.nodes.length,
          kill: (index) => Effect.mapError(cluster.stop(index), failure),
          start: (index) => Effect.mapError(cluster.start(index), failure)
        })
      })
    )
  ))
