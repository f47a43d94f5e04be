/** An address translator that never answers: the client is never made and never fails; later the actor stands still for good. */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing } from "./support/world.ts"

const never = () => new Promise<undefined>(() => {})

it.effect("at the start: it fails, or the node is dialled where it says, in bounded time", () =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory" })
    const fiber = yield* Effect.forkChild(Effect.exit(Effect.scoped(clientOf(cluster, { addressTranslator: never }))), {
      startImmediately: true
    })
    for (let i = 0; i < 600 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust(100)
    const ended = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    assert.isDefined(ended)
  }))

it.effect("once, later: what happens to the cluster afterwards is still noticed", () =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory" })
    let isHanging = false
    const cql = yield* passing(clientOf(cluster, { addressTranslator: () => isHanging ? never() : undefined }))
    yield* passing(cql.awaitConnected)
    isHanging = true
    yield* passing(
      cql.execute("CREATE KEYSPACE k2 WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    )
    yield* TestClock.adjust("30 seconds")
    isHanging = false
    yield* cluster.remove(0)
    yield* TestClock.adjust("180 seconds")
    assert.strictEqual(cql.cluster().nodes.length, 2)
  }))
