/** Found for issue 14: what is done again, and what a strongly consistent keyspace takes. */
import { Retry } from "@effect-scylla/driver"
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, world } from "../support/world.ts"

const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })

describe("Retry.whenSafe", () => {
  // executeRequest.ts, `error`: `idempotent: this.isIdempotent` is also what is only inferred, and that holds as long as "a repetition writes
  // the same at the same time" (Idempotence.ts, ExecuteOptions.ts:69). Evaluating the request again draws another time: what another client
  // wrote and was told of meanwhile is lost. CqlError.idempotent: "whether it was said to be idempotent".
  it.effect("does not write at another time what nobody said to be idempotent", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      yield* TestClock.adjust("1 second")
      const stamps: Array<bigint | undefined> = []
      yield* cluster.intercept(({ request }) => {
        if (request._tag !== "Execute") return undefined
        stamps.push(request.options.timestamp)
        return { _tag: "Error", error: overloaded }
      })
      const error = yield* passing(Effect.flip(Retry.whenSafe(cql.execute(insert, [Uuid.random(), 1]))))
      assert.strictEqual(error.outcome, "Ambiguous")
      assert.strictEqual(new Set(stamps).size, 1)
    }))

  it.effect("does not lose what another client was told to be written", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const other = yield* passing(clientOf(cluster))
      const insert = yield* passing(cql.prepare(INSERT))
      const id = Uuid.random()
      yield* TestClock.adjust("1 second")
      let count = 0
      // It is written, and nobody says so in time; then it can be written again.
      yield* cluster.intercept(({ request }) =>
        request._tag === "Execute" && ++count <= 3 ? { _tag: "Delay", millis: 400 } : undefined
      )
      const first = yield* Effect.forkChild(
        Retry.whenSafe(cql.execute(insert, [id, 1], { timeout: "200 millis" })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("100 millis")
      yield* TestClock.adjust("50 millis")
      yield* cluster.intercept(undefined)
      yield* passing(other.execute(INSERT, [id, 2]))
      yield* TestClock.adjust("30 seconds")
      void first
      const rows = yield* passing(cql`SELECT v FROM ks.t WHERE id = ${id}`)
      assert.deepStrictEqual(rows.map(({ v }) => v), [2])
    }))
})

describe("a strongly consistent keyspace", () => {
  // grouping.ts: up to 10 partitions go together; strongConsistency.ts:33 says "of one table and one partition", and looks at tables only.
  it.effect("gets no batches over several partitions", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({
        nodes: 1,
        shards: 1,
        tablets: true,
        tabletVersions: true,
        globalKeyspaces: ["tab"]
      }, { tablets: { warmUp: true } })
      yield* passing(cql.execute(
        "CREATE KEYSPACE tab WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1} AND tablets = {'initial': 1}"
      ))
      yield* passing(cql.execute("CREATE TABLE tab.t (id int PRIMARY KEY, v int)"))
      const insert = yield* passing(cql.prepare("INSERT INTO tab.t (id, v) VALUES (?, ?)"))
      for (let id = 0; id < 5; id++) yield* passing(cql.execute(insert, [id, id], { consistency: "QUORUM" }))
      const sizes: Array<number> = []
      yield* cluster.intercept(({ opcode, request }) => {
        if (opcode === Frame.Opcode.BATCH && request._tag === "Batch") sizes.push(request.entries.length)
        return undefined
      })
      const items = Array.from({ length: 5 }, (_, id) => [insert, [id, 1]] as const)
      const outcomes = yield* passing(cql.grouped(items, { consistency: "QUORUM" }))
      assert.isTrue(outcomes.every(Result.isSuccess))
      assert.deepStrictEqual(sizes, [])
      const batch = yield* passing(Effect.result(cql.batch(items, { type: "unlogged", consistency: "QUORUM" })))
      assert.isTrue(Result.isFailure(batch))
    }))
})

describe("a pause before a repetition", () => {
  // executeRequest.ts, `failed`: `Effect.sleep(wait)` knows nothing of `core.closing`.
  it.effect("ends when the client is closed", () =>
    Effect.gen(function*() {
      const { cluster } = yield* world()
      const fiber = yield* Effect.scoped(Effect.gen(function*() {
        const cql = yield* passing(
          clientOf(cluster, { retry: { decide: () => ({ decision: "SameNode", delay: "8 seconds" }) } })
        )
        const insert = yield* passing(cql.prepare(INSERT))
        yield* cluster.intercept(({ opcode }) =>
          opcode === Frame.Opcode.EXECUTE ? { _tag: "Error", error: overloaded } : undefined
        )
        const fiber = yield* Effect.forkDetach(Effect.exit(cql.execute(insert, [Uuid.random(), 1])))
        yield* TestClock.adjust("100 millis")
        return fiber
      }))
      yield* TestClock.adjust("1 second")
      assert.isDefined(fiber.pollUnsafe())
    }))
})

describe("hostFilter", () => {
  it.effect("that leaves nobody is a typed error", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 1, transport: "memory" })
      const error = yield* passing(Effect.flip(clientOf(cluster, { hostFilter: () => false })))
      assert.strictEqual(error.reason._tag, "NoContactPoint")
    }))
})
