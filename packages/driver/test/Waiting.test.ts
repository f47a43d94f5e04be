/** A client that is started before its cluster, or before its keyspace. */
import { CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { cutting } from "./support/cutting.ts"
import { clientOf, type ClientOptions, passing } from "./support/world.ts"

const setup = (options: SimulatedCluster.Options = {}) =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory", ...options })
    const line = cutting(cluster.transport)
    const connect = (clientOptions: ClientOptions) =>
      Effect.provideService(
        CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 0, ...clientOptions }),
        Transport.Transport,
        line.transport
      )
    return { cluster, line, connect }
  })

describe("waitForCluster", () => {
  it.effect("without it, a cluster that is not there fails at once", () =>
    Effect.gen(function*() {
      const { connect, line } = yield* setup()
      line.cut()
      const error = yield* Effect.flip(connect({}))
      assert.strictEqual(error.reason._tag, "NoContactPoint")
    }))

  it.effect("a cluster that comes in time", () =>
    Effect.gen(function*() {
      const { connect, line } = yield* setup()
      line.cut()
      const fiber = yield* Effect.forkChild(connect({ waitForCluster: "30 seconds" }), { startImmediately: true })
      yield* TestClock.adjust("12 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      line.mend()
      yield* TestClock.adjust("2 seconds")
      const cql = yield* Fiber.join(fiber)
      yield* passing(cql.execute("SELECT * FROM system.local"))
    }))

  it.effect("one that does not: the error is the last one, when the time is over", () =>
    Effect.gen(function*() {
      const { connect, line } = yield* setup()
      line.cut()
      const fiber = yield* Effect.forkChild(Effect.flip(connect({ waitForCluster: "30 seconds" })), {
        startImmediately: true
      })
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "NoContactPoint")
    }))

  it.effect("a keyspace that is made meanwhile", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* setup()
      const none = yield* Effect.flip(passing(connect({ keyspace: "later" })))
      assert.strictEqual(none.reason._tag, "InvalidConfiguration")
      assert.include(none.message, "waitForCluster")
      const fiber = yield* Effect.forkChild(connect({ keyspace: "later", waitForCluster: "1 minute" }), {
        startImmediately: true
      })
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      const migrations = yield* passing(clientOf(cluster))
      yield* passing(
        migrations.execute(
          "CREATE KEYSPACE later WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
      )
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
    }))

  it.effect("wrong credentials are wrong at once", () =>
    Effect.gen(function*() {
      const { connect } = yield* setup({ credentials: { username: "a", password: "b" } } as never)
      const error = yield* Effect.flip(passing(connect({
        username: "a",
        password: Redacted.make("wrong"),
        waitForCluster: "1 minute"
      })))
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
    }))
})
