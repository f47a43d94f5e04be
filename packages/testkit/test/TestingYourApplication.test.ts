import { CqlClient } from "@effect-scylla/driver"
import { ServerError } from "@effect-scylla/protocol"
import { Priming, Recorder, SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"

const Client = Layer.effect(
  CqlClient.CqlClient,
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.SimulatedCluster
    const client = yield* CqlClient.make({ contactPoints: cluster.contactPoints })
    yield* client.execute("CREATE KEYSPACE app WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
    yield* client.execute("CREATE TABLE app.session (id int PRIMARY KEY, name text)")
    return client
  })
)

const Memory = Layer.provideMerge(Client, SimulatedCluster.layerMemory({ nodes: 3, shards: 2 }))

// The code under test: it wants a client, and does not care whose.
const remember = Effect.fnUntraced(function*(id: number, name: string) {
  const client = yield* CqlClient.CqlClient
  yield* client.execute("INSERT INTO app.session (id, name) VALUES (?, ?) USING TTL 60", [id, name])
})
const recall = Effect.fnUntraced(function*(id: number) {
  const client = yield* CqlClient.CqlClient
  const { rows } = yield* client.execute("SELECT name FROM app.session WHERE id = ?", [id])
  return rows.map((row) => row["name"])
})

describe("sessions", () => {
  it.effect("are gone after a minute", () =>
    Effect.gen(function*() {
      yield* remember(1, "kim")
      assert.deepStrictEqual(yield* recall(1), ["kim"])
      yield* TestClock.adjust("61 seconds")
      assert.deepStrictEqual(yield* recall(1), [])
    }).pipe(Effect.provide(Memory)))

  it.effect("outlive a node that ends, and wait for one that hangs", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.SimulatedCluster
      yield* remember(1, "kim")
      yield* cluster.stop(2)
      assert.deepStrictEqual(yield* recall(1), ["kim"])

      yield* cluster.setFault(0, { _tag: "Slow", millis: 500 })
      yield* cluster.setFault(1, { _tag: "Slow", millis: 500 })
      const waiting = yield* Effect.forkChild(recall(1))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["kim"])
    }).pipe(Effect.provide(Memory)))

  it.effect("are written once, whatever the server says", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.SimulatedCluster
      yield* cluster.intercept(({ request }) =>
        request._tag === "Query" || request._tag === "Execute"
          ? { _tag: "Error", error: new ServerError.InvalidRequest({ code: 0x2200, message: "no" }) }
          : undefined
      )
      const failure = yield* Effect.flip(remember(1, "kim"))
      assert.strictEqual(failure._tag, "CqlError")
      yield* cluster.intercept(undefined)
      assert.deepStrictEqual(yield* recall(1), [])
    }).pipe(Effect.provide(Memory)))

  it.effect("are looked for again when the answer does not come", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.SimulatedCluster
      yield* remember(1, "kim")
      const recorder = yield* Recorder.make(cluster)
      const primed = yield* Priming.prime(cluster, [
        { when: { table: "app.session", operation: "SELECT" }, answer: Priming.readTimeout({ received: 2 }), times: 1 },
        { when: { operation: "SELECT", values: ([id]) => id === 2 }, answer: Priming.rows([{ name: "primed" }]) }
      ])
      assert.deepStrictEqual(yield* recall(1), ["kim"])
      assert.deepStrictEqual(yield* recall(2), ["primed"])
      assert.deepStrictEqual(yield* primed.used, [1, 1])
      const reads = yield* recorder.of({ operation: "SELECT" })
      assert.deepStrictEqual(reads.map(({ values }) => values), [[1], [1], [2]])
      assert.strictEqual(reads[0]!.consistency, "LOCAL_QUORUM")
    }).pipe(Effect.scoped, Effect.provide(Memory)))
})

// Over TCP: for clients that dial by themselves. The clock is the real one.
const Tcp = Layer.provideMerge(Client, SimulatedCluster.layer({ nodes: 3, product: "cassandra" }))

layer(Tcp, { excludeTestServices: true })("on sockets, as of Cassandra", (it) => {
  it.effect("one cluster serves all tests of the block", () =>
    Effect.gen(function*() {
      yield* remember(2, "lee")
      assert.deepStrictEqual(yield* recall(2), ["lee"])
    }))
})

it("the page shows what runs here", () => {
  const own = readFileSync(new URL(import.meta.url), "utf8")
  const page = readFileSync(new URL("../../../docs/testing-your-application.md", import.meta.url), "utf8")
  const blocks = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!)
  assert.isAbove(blocks.length, 3)
  for (const block of blocks) assert.include(own, block)
})
