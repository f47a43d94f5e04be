/** A client on a simulated cluster in memory, under the test clock. */
import { CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"

export interface World {
  readonly cluster: SimulatedCluster.SimulatedCluster
  readonly cql: CqlClient.CqlClient
}

export type ClientOptions = Partial<Parameters<typeof CqlClient.make>[0]>

/** Gives the other fibers their turns: time does not pass. */
export const settle = TestClock.adjust(0)

/** Runs an effect that needs time to pass, a little at a time, until it is done. */
export const passing = <A, E, R>(effect: Effect.Effect<A, E, R>, step = "100 millis" as const) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let i = 0; i < 2_000 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust(step)
    return yield* Fiber.join(fiber)
  })

/** A client of the cluster, by its transport or another one. It looks at the cluster only when something happens, unless it is told to. */
export const clientOf = (
  cluster: SimulatedCluster.SimulatedCluster,
  options: ClientOptions = {},
  transport: Transport.Transport = cluster.transport
) =>
  Effect.provideService(
    CqlClient.make({
      contactPoints: cluster.contactPoints,
      shutdownTimeout: 0,
      refreshInterval: false,
      ...options
    }),
    Transport.Transport,
    transport
  )

/** From now on nodes tell nobody what happens, who registers for it included. */
export const withoutEvents = (cluster: SimulatedCluster.SimulatedCluster) =>
  cluster.intercept(({ request }) => {
    if (request._tag === "Register") (request.events as Array<string>).length = 0
    return undefined
  })

/** All of it, with a table `ks.t (id uuid, v int)` that every node has. */
export const world = (
  options: SimulatedCluster.Options = {},
  clientOptions: ClientOptions = {},
  before: (cluster: SimulatedCluster.SimulatedCluster) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<World, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory", ...options })
    yield* before(cluster)
    const cql = yield* passing(clientOf(cluster, clientOptions))
    yield* passing(cql.awaitConnected)
    yield* passing(
      cql.execute(
        `CREATE KEYSPACE IF NOT EXISTS ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': ${
          options.nodes ?? 3
        }} AND tablets = {'enabled': false}`
      )
    )
    yield* passing(cql.execute("CREATE TABLE IF NOT EXISTS ks.t (id uuid PRIMARY KEY, v int)"))
    return { cluster, cql }
  })
