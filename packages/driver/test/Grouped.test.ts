/** Many writes as few requests: unlogged batches of what lies on the same replicas and the same core. */
import type { Batch, CqlClient } from "@effect-scylla/driver"
import { Frame, type Request, ServerError, Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"

const setup = Effect.fnUntraced(function*(options: SimulatedCluster.Options = {}) {
  const { cluster, cql } = yield* world(options)
  yield* passing(cql.execute("CREATE TABLE ks.n (id int PRIMARY KEY, n counter)"))
  const insert = yield* passing(cql.prepare(INSERT))
  yield* TestClock.adjust("1 second")
  return { cluster, cql, insert }
})
type Sent = Extract<Request.Request, { readonly _tag: "Batch" }>

/** Writes from now on: batches, and single ones as `undefined`. */
const writes = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number) => SimulatedCluster.Intercepted | undefined = () => undefined
) {
  const seen: Array<{ readonly node: number; readonly shard: number; readonly batch: Sent | undefined }> = []
  yield* cluster.intercept(({ node, opcode, request, shard }) => {
    if (opcode !== Frame.Opcode.BATCH && opcode !== Frame.Opcode.EXECUTE) return undefined
    seen.push({ node, shard, batch: request._tag === "Batch" ? request : undefined })
    return answer(seen.length)
  })
  return seen
})

const many = (insert: Batch.Item, count: number): ReadonlyArray<Batch.Item> =>
  Array.from({ length: count }, (_, i) => [insert, [new Uuid.Uuid(i, i, i, i), i]] as never)

describe("grouped", () => {
  it.effect("sends far fewer requests than statements, each to a core that owns all of it, and everything is written", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup()
      yield* cluster.resetStats
      const seen = yield* writes(cluster)
      const outcomes = yield* passing(cql.grouped(many(insert, 600)))
      assert.strictEqual(outcomes.length, 600)
      assert.isTrue(outcomes.every(Result.isSuccess))
      // 3 nodes with 3 replicas: the same replicas for all, 2 shards, at most 10 partitions a batch.
      assert.isAtMost(seen.length, 64)
      const batches = seen.flatMap(({ batch }) => batch ?? [])
      assert.isTrue(batches.every(({ kind }) => kind === "unlogged"))
      assert.strictEqual(batches.reduce((sum, { entries }) => sum + entries.length, seen.length - batches.length), 600)
      const { byTable } = yield* cluster.stats
      assert.strictEqual(byTable["ks.t"]!.misrouted, 0)
      const [{ count }] = (yield* passing(cql`SELECT count(*) AS count FROM ks.t`)) as [{ count: bigint }]
      assert.strictEqual(count, 600n)
    }))

  it.effect("keeps to its bounds of bytes, statements and partitions; what is too large goes alone", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup({ nodes: 1, shards: 1 })
      yield* passing(cql.execute("CREATE TABLE ks.big (id int, c int, v blob, PRIMARY KEY (id, c))"))
      const big = yield* passing(cql.prepare("INSERT INTO ks.big (id, c, v) VALUES (?, ?, ?)"))
      const sizes = Effect.fnUntraced(
        function*(items: ReadonlyArray<Batch.Item>, options: Parameters<CqlClient.CqlClient["grouped"]>[1]) {
          const seen = yield* writes(cluster)
          const outcomes = yield* passing(cql.grouped(items, options))
          assert.isTrue(outcomes.every(Result.isSuccess))
          return seen.map(({ batch }) => batch?.entries.length ?? 1)
        }
      )
      assert.deepStrictEqual(yield* sizes(many(insert, 25), {}), [10, 10, 5])
      assert.deepStrictEqual(yield* sizes(many(insert, 25), { maxPartitions: 100, maxStatements: 12 }), [12, 12, 1])
      const rows = (bytes: number, count: number): ReadonlyArray<Batch.Item> =>
        Array.from({ length: count }, (_, c) => [big, [1, c, new Uint8Array(bytes)]])
      // One partition: only bytes and statements count.
      assert.deepStrictEqual(yield* sizes(rows(10, 150), {}), [100, 50])
      assert.deepStrictEqual(yield* sizes(rows(1_000, 10), { maxBytes: 4_096 }), [3, 3, 3, 1])
      assert.deepStrictEqual(yield* sizes(rows(9_000, 2), { maxBytes: 4_096 }), [1, 1])
    }))

  it.effect("says of each statement what became of it", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup()
      const error = new ServerError.WriteTimeout({
        code: 0x1100,
        message: "late",
        consistency: "LOCAL_QUORUM",
        received: 1,
        required: 2,
        writeType: "UNLOGGED_BATCH"
      })
      const seen = yield* writes(cluster, (count) => count === 2 ? { _tag: "Error", error } : undefined)
      const items = [...many(insert, 40)]
      items[17] = [insert, [Uuid.random()]]
      const outcomes = yield* passing(cql.grouped(items, { concurrency: 1, idempotent: false }))
      const failed = outcomes.flatMap((outcome, i) =>
        Result.isFailure(outcome) ? [[i, outcome.failure.reason._tag, outcome.failure.outcome] as const] : []
      )
      const wrong = failed.find(([i]) => i === 17)!
      assert.deepStrictEqual(wrong, [17, "EncodeError", "NotSent"])
      const late = failed.filter(([i]) => i !== 17)
      assert.strictEqual(late.length, seen[1]!.batch!.entries.length)
      assert.isTrue(late.every(([, reason, outcome]) => reason === "WriteTimeout" && outcome === "Ambiguous"))
      for (const outcome of outcomes) if (Result.isSuccess(outcome)) assert.match(outcome.success.address, /^127/)
    }))

  it.effect("takes templates and texts; counters go in batches of counters; conditions are refused", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup({ nodes: 1, shards: 1 })
      const seen = yield* writes(cluster)
      const count = "UPDATE ks.n SET n = n + 1 WHERE id = ?"
      const outcomes = yield* passing(cql.grouped([
        cql`INSERT INTO ks.t (id, v) VALUES (${Uuid.random()}, ${1})`,
        [count, [1]],
        [count, [2]],
        `INSERT INTO ks.t (id, v) VALUES (${Uuid.random()}, 2)`,
        [insert, [Uuid.random(), 3]]
      ]))
      assert.isTrue(outcomes.every(Result.isSuccess))
      assert.deepStrictEqual(seen.flatMap(({ batch }) => batch?.kind ?? []).sort(), ["counter", "unlogged"])
      const refused = yield* passing(
        Effect.flip(cql.grouped([[insert, [Uuid.random(), 3]], [`${INSERT} IF NOT EXISTS`, [Uuid.random(), 1]]]))
      )
      assert.include(refused.message, "statement 2 is conditional")
      assert.deepStrictEqual(yield* cql.grouped([]), [])
      for (
        const [items, message] of [["INSERT", "a batch is a list"], [[5], "statement 1 of the batch is 5"]] as const
      ) {
        const error = yield* Effect.flip(cql.grouped(items as never))
        assert.include(error.message, message)
      }
      const wrong = yield* Effect.flip(cql.grouped(many(insert, 1), { maxBytes: 0 }))
      assert.include(wrong.message, "maxBytes: a whole number from 1")
    }))

  it.effect("goes by the tablets of a table", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup({ tablets: true })
      yield* passing(cql.execute(
        "CREATE KEYSPACE tab WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1} AND tablets = {'initial': 8}"
      ))
      yield* passing(cql.execute("CREATE TABLE tab.t (id uuid PRIMARY KEY, v int)"))
      const insert = yield* passing(cql.prepare("INSERT INTO tab.t (id, v) VALUES (?, ?)"))
      for (let round = 0; round < 20; round++) {
        yield* passing(cql.executeMany(insert, Array.from({ length: 64 }, (_, i) => [new Uuid.Uuid(i, i, i, i), i])))
      }
      yield* cluster.resetStats
      const seen = yield* writes(cluster)
      const outcomes = yield* passing(cql.grouped(many(insert, 64)))
      assert.isTrue(outcomes.every(Result.isSuccess))
      assert.isAtMost(seen.length, 20)
      assert.strictEqual((yield* cluster.stats).byTable["tab.t"]!.misrouted, 0)
    }))
})
