/** Rules for statements of a simulated cluster, and what was recorded of them. */
import { Codec, CqlType, type Request, type Response, Value } from "@effect-scylla/protocol"
import { Priming, Recorder, SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import { connect, errorOf, rowsOf } from "./rawClient.ts"

const int = (value: number): Uint8Array => Codec.encode(CqlType.scalar("int"), value)!

const setUp = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory" })
  const dial = Effect.fnUntraced(function*() {
    const client = yield* connect("127.0.0.1", 9042, cluster.transport)
    yield* client.startup()
    return client
  })
  const client = yield* dial()
  yield* client.query("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
  yield* client.query("CREATE TABLE ks.t (p int PRIMARY KEY, v text)")
  return { cluster, client, dial }
})

const INSERT = "INSERT INTO ks.t (p, v) VALUES (?, 'a')"
const SELECT = "SELECT p, v FROM ks.t"

describe("priming", () => {
  it.effect("answers what is meant, so many times, and lets the rest pass", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp
      const { used } = yield* Priming.prime(cluster, [
        { when: { statement: `  ${INSERT};`, values: ([p]) => p === 1 }, answer: Priming.writeTimeout(), times: 1 },
        {
          when: { operation: "INSERT", table: "ks.t", values: ([p]) => p === 1 },
          answer: Priming.unavailable(),
          times: 1
        }
      ])
      const insert = (p: number) => client.query(INSERT, {}, [int(p)])
      assert.strictEqual((yield* insert(2))._tag, "Void")
      assert.strictEqual(errorOf(yield* insert(1)).code, 0x1100)
      assert.strictEqual(errorOf(yield* insert(1)).code, 0x1000)
      // Nothing of it was executed.
      assert.deepStrictEqual(rowsOf(yield* client.query(SELECT)), [{ p: 2, v: "a" }])
      assert.strictEqual((yield* insert(1))._tag, "Void")
      assert.deepStrictEqual(yield* used, [1, 1])
    }))

  it.effect("ends with its scope", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Priming.prime(cluster, [{ when: {}, answer: Priming.readTimeout() }])
        assert.strictEqual(errorOf(yield* client.query(SELECT)).code, 0x1200)
      }))
      assert.deepStrictEqual(rowsOf(yield* client.query(SELECT)), [])
    }))

  it.effect("gives pages, whose paging states go on with them", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp
      const { used } = yield* Priming.prime(cluster, [
        { when: { statement: /from ks\.t/gi }, answer: Priming.pages([[{ p: 1 }], [], [{ p: 2, v: "b" }]]), times: 1 }
      ])
      const seen: Array<unknown> = []
      let pagingState: Uint8Array | null = null
      do {
        const page: Response.Response = yield* client.query(SELECT, { pagingState })
        seen.push(rowsOf(page))
        pagingState = page._tag === "Rows" ? page.pagingState : null
      } while (pagingState !== null)
      assert.deepStrictEqual(seen, [[{ p: 1, v: null }], [], [{ p: 2, v: "b" }]])
      assert.deepStrictEqual(yield* used, [1])
      assert.deepStrictEqual(rowsOf(yield* client.query(SELECT)), [])
    }))

  it.effect("refuses rows that the statement cannot answer", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp
      yield* Priming.prime(cluster, [{ when: {}, answer: Priming.rows([{ q: 1 }]) }])
      assert.include(errorOf(yield* client.query(SELECT)).message, "a column q, which the statement does not answer")
    }))

  it.effect("answers late, never, or by the end of the connection", () =>
    Effect.gen(function*() {
      const { client, cluster, dial } = yield* setUp
      yield* Priming.prime(cluster, [
        { when: { operation: "SELECT" }, answer: Priming.delay(500), times: 1 },
        { when: { operation: "SELECT" }, answer: Priming.ignore, times: 1 },
        { when: { operation: "SELECT" }, answer: Priming.close, times: 1 }
      ])
      const late = yield* Effect.forkChild(client.query(SELECT))
      yield* TestClock.adjust("499 millis")
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(rowsOf(yield* Fiber.join(late)), [])
      const never = yield* Effect.forkChild(client.query(SELECT))
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(never.pollUnsafe())
      yield* Fiber.interrupt(never)
      yield* Effect.forkChild(client.query(SELECT))
      yield* client.closed
      assert.deepStrictEqual(rowsOf(yield* (yield* dial()).query(SELECT)), [])
    }))

  it.effect("draws from a seed", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp
      const drawn = (seed: string) =>
        Effect.scoped(Effect.gen(function*() {
          yield* Priming.prime(cluster, [{ when: {}, answer: Priming.readTimeout(), probability: 0.5 }])
          const failed: Array<boolean> = []
          for (let i = 0; i < 40; i++) failed.push((yield* client.query(SELECT))._tag === "Error")
          return failed
        })).pipe(Random.withSeed(seed))
      const first = yield* drawn("a")
      assert.include(first, true)
      assert.include(first, false)
      assert.deepStrictEqual(yield* drawn("a"), first)
      assert.notDeepEqual(yield* drawn("b"), first)
    }))
})

describe("a recorder", () => {
  it.effect("keeps what was asked with its values, and not what drivers ask for themselves", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp
      const recorder = yield* Recorder.make(cluster)
      yield* client.query("SELECT * FROM system.local")
      yield* client.query(INSERT, { consistency: "QUORUM" }, [int(7)])
      const prepared = yield* client.request({ _tag: "Prepare", query: INSERT })
      if (prepared._tag !== "Prepared") return assert.fail("not prepared")
      const options: Request.Options = { consistency: "ALL" }
      yield* client.request({ _tag: "Execute", id: prepared.id, options, values: { values: [Value.Unset] } })
      yield* client.request({
        _tag: "Batch",
        kind: "logged",
        entries: [
          { _tag: "Prepared", id: prepared.id, values: [int(8)] },
          { _tag: "Text", query: "DELETE FROM ks.t WHERE p = 9", values: [] }
        ],
        options
      })
      const all = yield* recorder.all
      const shown = all.map((
        { consistency, isPrepared, operation, table, values }
      ) => [operation, table, values, consistency, isPrepared])
      assert.deepStrictEqual(shown, [
        ["INSERT", "ks.t", [7], "QUORUM", false],
        ["INSERT", "ks.t", [undefined], "ALL", true],
        ["BATCH", "ks.t", [8], "ALL", false]
      ])
      assert.deepStrictEqual(all[2]!.statements.map(({ operation, text }) => [operation, text]), [
        ["INSERT", INSERT],
        ["DELETE", "DELETE FROM ks.t WHERE p = 9"]
      ])
      // What is in a batch counts too.
      assert.strictEqual((yield* recorder.of({ operation: "DELETE" })).length, 1)
      yield* recorder.clear
      assert.deepStrictEqual(yield* recorder.all, [])
    }))

  it.effect("records what rules answer, and forgets the oldest", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp
      yield* Priming.prime(cluster, [{ when: {}, answer: Priming.readTimeout() }])
      const recorder = yield* Recorder.make(cluster, { limit: 2 })
      for (const p of [1, 2, 3, 4]) yield* client.query(INSERT, {}, [int(p)])
      assert.deepStrictEqual((yield* recorder.all).map(({ values }) => values), [[3], [4]])
    }))
})
