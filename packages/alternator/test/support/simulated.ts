/** The lean client on simulated nodes, under TestClock. */
import { AlternatorClient, AlternatorNodes } from "@effect-scylla/alternator"
import * as AlternatorSimulation from "@effect-scylla/testkit/AlternatorSimulation"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"

export type Simulation = AlternatorSimulation.AlternatorSimulation
type Handle = NonNullable<Parameters<typeof AlternatorSimulation.make>[0]["handle"]>

export const three = (handle?: Handle) =>
  AlternatorSimulation.make({
    nodes: [{ host: "10.0.0.1" }, { host: "10.0.0.2" }, { host: "10.0.0.3" }],
    handle
  })

export const open = (
  simulation: Simulation,
  options: AlternatorClient.ClientOptions & Partial<AlternatorNodes.NodesOptions> = {}
) =>
  Effect.gen(function*() {
    const layer = AlternatorNodes.layer({ seeds: "10.0.0.1", ...options }).pipe(Layer.provideMerge(simulation.layer))
    const client = yield* Effect.provideContext(AlternatorClient.make(options), yield* Layer.build(layer))
    yield* client.nodes.awaitReady
    return client
  })

export const key = { TableName: "t", Key: { pk: "a" } }
export const put = { TableName: "t", Item: { pk: "a" } }
export const counter = {
  TableName: "t",
  Key: { pk: "a" },
  UpdateExpression: "ADD n :one",
  ExpressionAttributeValues: { ":one": 1 }
}

export const operations = (simulation: Simulation) => simulation.nodes.map(({ requests }) => requests.operations)
export const total = (simulation: Simulation) => operations(simulation).reduce((a, b) => a + b, 0)

export const serverError = (type: string, message = "no", status = 400) => ({
  status,
  body: JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message })
})

/** Runs it while the clock moves on. */
export const within = <A, E, R>(effect: Effect.Effect<A, E, R>, seconds: number) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* TestClock.adjust(`${seconds} seconds`)
    return yield* Fiber.join(fiber)
  })
