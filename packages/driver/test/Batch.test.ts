/** Batches: what may be in one, where it goes, and what becomes of it. */
import type { Batch, CqlClient } from "@effect-scylla/driver"
import { Frame, type Request } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, type ClientOptions, passing, world } from "./support/world.ts"

const setup = (options: SimulatedCluster.Options = {}, clientOptions: ClientOptions = {}) =>
  Effect.gen(function*() {
    const { cluster, cql } = yield* world(options, clientOptions)
    yield* passing(cql.execute("CREATE TABLE ks.u (k int, c int, v text, PRIMARY KEY (k, c))"))
    yield* passing(cql.execute("CREATE TABLE ks.n (k int PRIMARY KEY, n counter)"))
    const insert = yield* passing(cql.prepare("INSERT INTO ks.u (k, c, v) VALUES (:k, :c, :v)"))
    return { cluster, cql, insert }
  })

const rows = (cql: CqlClient.CqlClient, where = "") =>
  Effect.map(
    passing(cql.execute(`SELECT k, c, v FROM ks.u ${where}`)),
    ({ rows }) => rows.map(({ c, k, v }) => `${k} ${c} ${v}`).sort()
  )

const batches = (cluster: SimulatedCluster.SimulatedCluster) =>
  Effect.gen(function*() {
    const seen: Array<Extract<Request.Request, { _tag: "Batch" }>> = []
    yield* cluster.intercept(({ request }) => {
      if (request._tag === "Batch") seen.push(request)
      return undefined
    })
    return seen
  })

const products: ReadonlyArray<readonly [string, SimulatedCluster.Options, ClientOptions]> = [
  ["ScyllaDB", {}, {}],
  ["Cassandra, v5", { product: "cassandra" }, {}],
  ["v3", {}, { protocolVersion: 3 }]
]

for (const [name, options, clientOptions] of products) {
  describe(`batch on ${name}`, () => {
    for (const type of ["logged", "unlogged"] as const) {
      it.effect(`${type}: templates, texts, and prepared statements with their values, mixed`, () =>
        Effect.gen(function*() {
          const { cluster, cql, insert } = yield* setup(options, clientOptions)
          const seen = yield* batches(cluster)
          const result = yield* passing(cql.batch([
            cql`INSERT INTO ks.u (k, c, v) VALUES (${1}, ${1}, ${"template"})`,
            "INSERT INTO ks.u (k, c, v) VALUES (1, 2, 'text')",
            [insert, [1, 3, "prepared"]],
            [insert, { v: "by name", c: 4, k: 1 }],
            ["INSERT INTO ks.u (k, c, v) VALUES (?, ?, ?)", [1, 5, "text with values"]],
            "DELETE FROM ks.u WHERE k = 1 AND c = 9"
          ], { type }))
          assert.isTrue(result.wasApplied)
          assert.deepStrictEqual(result.rows, [])
          assert.deepStrictEqual(yield* rows(cql), [
            "1 1 template",
            "1 2 text",
            "1 3 prepared",
            "1 4 by name",
            "1 5 text with values"
          ])
          assert.strictEqual(seen.at(-1)!.kind, type)
          assert.deepStrictEqual(seen.at(-1)!.entries.map(({ _tag }) => _tag), [
            "Prepared",
            "Text",
            "Prepared",
            "Prepared",
            "Prepared",
            "Text"
          ])
          assert.typeOf(seen.at(-1)!.options.timestamp, "bigint")
        }))
    }

    it.effect("counters", () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* setup(options, clientOptions)
        const seen = yield* batches(cluster)
        const add = cql`UPDATE ks.n SET n = n + ${2n} WHERE k = ${1}`
        yield* passing(cql.batch([add, add, "UPDATE ks.n SET n = n + 1 WHERE k = 2"], { type: "counter" }))
        const { rows } = yield* passing(cql.execute("SELECT k, n FROM ks.n"))
        assert.deepStrictEqual(new Map(rows.map(({ k, n }) => [k, n])), new Map([[1, 4n], [2, 1n]]))
        assert.isUndefined(seen.at(-1)!.options.timestamp)
      }))

    it.effect("conditional statements give rows and whether they were applied", () =>
      Effect.gen(function*() {
        const { cql } = yield* setup(options, clientOptions)
        const both = [
          cql`INSERT INTO ks.u (k, c, v) VALUES (${1}, ${1}, ${"a"}) IF NOT EXISTS`,
          cql`INSERT INTO ks.u (k, c, v) VALUES (${1}, ${2}, ${"b"})`
        ]
        assert.isTrue((yield* passing(cql.batch(both))).wasApplied)
        const again = yield* passing(cql.batch(both))
        assert.isFalse(again.wasApplied)
        assert.strictEqual(again.rows[0]!["[applied]"], false)
      }))

    it.effect("a node that has forgotten all of its statements is taught them", () =>
      Effect.gen(function*() {
        const { cluster, cql, insert } = yield* setup({ ...options, nodes: 1 }, clientOptions)
        const remove = yield* passing(cql.prepare("DELETE FROM ks.u WHERE k = ? AND c = ?"))
        const update = yield* passing(cql.prepare("UPDATE ks.u SET v = ? WHERE k = ? AND c = ?"))
        yield* cluster.stop(0)
        yield* TestClock.adjust("1 second")
        yield* cluster.start(0)
        yield* TestClock.adjust("20 seconds")
        yield* passing(cql.batch([
          [insert, [1, 1, "a"]],
          [remove, [1, 2]],
          [update, ["c", 1, 3]]
        ]))
        assert.deepStrictEqual(yield* rows(cql), ["1 1 a", "1 3 c"])
      }))

    it.effect("types that changed meanwhile", () =>
      Effect.gen(function*() {
        const { cluster, cql, insert } = yield* setup(options, clientOptions)
        yield* passing(cql.batch([[insert, [1, 1, "a"]]]))
        const other = yield* passing(clientOf(cluster, clientOptions))
        yield* passing(other.awaitConnected)
        for (const text of ["DROP TABLE ks.u", "CREATE TABLE ks.u (k int, c int, v int, PRIMARY KEY (k, c))"]) {
          yield* passing(other.execute(text))
        }
        for (let i = 0; i < 9; i++) yield* passing(other.execute(insert.text, { k: 9, c: i, v: 1 }))
        yield* passing(cql.batch([[insert, [2, 1, 5]], [insert, [2, 2, 6]]]))
        assert.deepStrictEqual(yield* rows(cql, "WHERE k = 2"), ["2 1 5", "2 2 6"])
      }))
  })
}

describe("a batch", () => {
  it.effect("goes to the shard that owns the first partition that is known", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup({ nodes: 3, shards: 4 })
      yield* cluster.resetStats
      for (let k = 0; k < 40; k++) {
        yield* passing(cql.batch([[insert, [k, 1, "a"]], [insert, [k, 2, "b"]]], { type: "unlogged" }))
      }
      const { owned, requests } = yield* cluster.stats
      assert.deepStrictEqual([owned, requests], [40, 40])
    }))

  it.effect("is repeated only if all of its statements may be, with the same timestamp", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup()
      const safe = cql`INSERT INTO ks.u (k, c, v) VALUES (${1}, ${1}, ${"a"})`.with({ idempotent: true })
      const unsafe = cql`INSERT INTO ks.u (k, c, v) VALUES (${1}, ${2}, ${"a"})`.with({ idempotent: false })
      yield* passing(cql.batch([safe, unsafe]))
      let stamps: Array<bigint | undefined> = []
      yield* cluster.intercept(({ opcode, request }) => {
        if (opcode !== Frame.Opcode.BATCH || request._tag !== "Batch") return undefined
        stamps.push(request.options.timestamp)
        return stamps.length === 1 ? { _tag: "Close" } : undefined
      })
      const error = yield* Effect.flip(passing(cql.batch([safe, unsafe])))
      assert.deepStrictEqual([error.outcome, error.reason._tag, stamps.length], ["Ambiguous", "ConnectionLost", 1])
      assert.include(error.message, "BATCH of 2 statements, the first INSERT INTO ks.u")
      for (const attempt of [cql.batch([safe, safe]), cql.batch([[insert, [1, 1, "x"]]])]) {
        yield* TestClock.adjust("5 seconds")
        stamps = []
        yield* passing(attempt)
        assert.strictEqual(stamps.length, 2)
        assert.strictEqual(stamps[0], stamps[1])
      }
    }))

  const refusals: ReadonlyArray<readonly [string, (cql: CqlClient.CqlClient) => unknown, string, Batch.Options?]> = [
    ["nothing", () => [], "at least one statement"],
    ["no list", () => "INSERT", "a batch is a list of statements"],
    ["a read", () => ["SELECT * FROM ks.u"], "statement 1 of the batch is no INSERT, UPDATE or DELETE"],
    ["a schema change", () => ["DROP TABLE ks.u"], "statement 1 of the batch is no INSERT"],
    ["a batch", () => ["BEGIN BATCH DELETE FROM ks.u WHERE k = 1 APPLY BATCH"], "is no INSERT"],
    ["a prepared read", (cql) => [cql`SELECT * FROM ks.u WHERE k = ${1}`], "is no INSERT"],
    [
      "a statement with options of its own",
      (cql) => [cql`DELETE FROM ks.u WHERE k = ${1}`.with({ consistency: "ONE" })],
      "statement 1 of the batch has the option consistency"
    ],
    ["what is no statement", () => ["DELETE FROM ks.u WHERE k = 1", 42], "statement 2 of the batch is 42"],
    ["values that are none", () => [["DELETE FROM ks.u WHERE k = ?", 1]], "values are a list"],
    ["another type", () => ["DELETE FROM ks.u WHERE k = 1"], 'type: "logged", "unlogged" or "counter"', {
      type: "fast" as never
    }],
    [
      "more than 65,535 statements",
      () => Array.from({ length: 65_536 }, () => "DELETE FROM ks.u WHERE k = 1"),
      "at most 65535 statements, got 65536"
    ],
    [
      "a value that does not fit",
      () => [["INSERT INTO ks.u (k, c, v) VALUES (?, ?, ?)", [1, 2, "a"]], [
        "INSERT INTO ks.u (k, c, v) VALUES (?, ?, ?)",
        [1, "x", "a"]
      ]],
      "statement 2 of the batch: c: expected int"
    ],
    [
      "a name that is unknown",
      () => [["INSERT INTO ks.u (k, c, v) VALUES (:k, :c, :v)", { k: 1, c: 2, w: 3 }]],
      'the statement has no variable "w"'
    ]
  ]
  for (const [what, items, message, options] of refusals) {
    it.effect(`refuses ${what} before anything is sent`, () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* setup({ nodes: 1 })
        yield* cluster.resetStats
        const error = yield* Effect.flip(passing(cql.batch(items(cql) as ReadonlyArray<Batch.Item>, options)))
        assert.include(error.message, message)
        assert.strictEqual(error.outcome, "NotSent")
        assert.isUndefined((yield* cluster.stats).byOpcode["BATCH"])
      }))
  }

  it.effect("a large one is sent whole", () =>
    Effect.gen(function*() {
      const { cql, insert } = yield* setup({ nodes: 1 })
      yield* passing(cql.batch(Array.from({ length: 3_000 }, (_, c) => [insert, [1, c, "x".repeat(50)]] as const), {
        type: "unlogged"
      }))
      assert.strictEqual((yield* rows(cql)).length, 3_000)
    }))
})
