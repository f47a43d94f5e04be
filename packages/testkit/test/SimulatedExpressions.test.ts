/** Terms that are computed: arithmetic, functions on values, JSON, vectors, and conditions on fields. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { clientOf, int, ok, read, refusal } from "./statements.ts"

describe("arithmetic of Cassandra", () => {
  it.effect("in selections and values, by the wider of the types", () =>
    Effect.gen(function*() {
      const c = yield* clientOf(
        { product: "cassandra" },
        "CREATE TABLE t (k int PRIMARY KEY, v int, b bigint, d double, at timestamp)",
        "INSERT INTO t (k, v, b, d, at) VALUES (1, 7, 10, 0.5, 86400000)"
      )
      const of = (selection: string) => Effect.map(read(c, `SELECT ${selection} FROM t`), ([row]) => row)
      assert.strictEqual(yield* of("v + 1, v - 9, v * 2, v / 2, v % 4, -v"), "8 -2 14 3 3 -7")
      assert.strictEqual(yield* of("v + b, v + d"), "17 7.5")
      assert.strictEqual(yield* of("v + 2 * 3, (v + 2) * 3 AS x, 1 + 1.5"), "13 27 2.5")
      yield* ok(c, "UPDATE t SET v = 2 + 3 * 4 WHERE k = 1")
      assert.strictEqual(yield* of("v"), "14")
      assert.match(yield* refusal(c, "SELECT v / 0 FROM t"), /./)
      assert.match(yield* refusal(c, "SELECT at + v FROM t"), /./)
    }))

  it.effect("is no syntax of ScyllaDB's", () =>
    Effect.gen(function*() {
      const c = yield* clientOf({}, "CREATE TABLE t (k int PRIMARY KEY, v int)")
      assert.match(yield* refusal(c, "SELECT v * 2 FROM t"), /^line 1:/)
    }))
})

for (const product of ["scylla", "cassandra"] as const) {
  describe(`values of ${product}`, () => {
    it.effect("come from JSON, whole rows and single terms", () =>
      Effect.gen(function*() {
        const c = yield* clientOf(
          { product },
          "CREATE TYPE ad (street text, zip int)",
          "CREATE TABLE t (k int PRIMARY KEY, v int, m map<text, frozen<list<int>>>, a frozen<ad>)"
        )
        yield* ok(c, `INSERT INTO t JSON '{"k": 1, "m": {"x": [1, 2]}, "a": {"street": "s", "zip": 5}}'`)
        yield* ok(c, `UPDATE t SET v = fromJson('7') WHERE k = 1`)
        const [row] = yield* read(c, "SELECT JSON k, v, m, a FROM t")
        assert.deepStrictEqual(JSON.parse(row!), {
          k: 1,
          v: 7,
          m: { x: [1, 2] },
          a: { street: "s", zip: 5 }
        })
        for (
          const wrong of [
            `INSERT INTO t JSON '{"k": "x"}'`,
            `INSERT INTO t JSON '{"k": 1, "nope": 1}'`,
            `INSERT INTO t JSON '{"k": 1'`,
            `INSERT INTO t JSON '{"k": 2, "v": 99999999999}'`,
            `UPDATE t SET v = fromJson('"x"') WHERE k = 1`
          ]
        ) assert.notMatch(yield* refusal(c, wrong), /^not simulated/, wrong)
        // DEFAULT UNSET leaves alone what is not said; without, it is null.
        yield* ok(c, `INSERT INTO t JSON '{"k": 1}' DEFAULT UNSET`)
        assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["7"])
        yield* ok(c, `INSERT INTO t JSON '{"k": 1}'`)
        assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["null"])
      }))

    it.effect("are checked field by field", () =>
      Effect.gen(function*() {
        const c = yield* clientOf(
          { product },
          "CREATE TYPE ad (street text, zip int)",
          "CREATE TABLE t (k int PRIMARY KEY, v int, a ad)",
          "INSERT INTO t (k, v, a) VALUES (1, 1, {street: 's', zip: 5})"
        )
        const holds = (condition: string) =>
          Effect.map(read(c, `UPDATE t SET v = 2 WHERE k = 1 IF ${condition}`), ([row]) => row!.split(" ")[0])
        if (product === "cassandra") {
          assert.strictEqual(yield* holds("a.zip = 5"), "true")
          assert.strictEqual(yield* holds("a.zip > 5"), "false")
          assert.strictEqual(yield* holds("a.street IN ('r', 's')"), "true")
          assert.match(yield* refusal(c, "UPDATE t SET v = 2 WHERE k = 1 IF a.nope = 5"), /nope/)
        } else assert.match(yield* refusal(c, "UPDATE t SET v = 2 WHERE k = 1 IF a.zip = 5"), /^line 1:35/)
        assert.strictEqual(yield* holds("a = {street: 's', zip: 5}"), "true")
      }))
  })
}

describe("the nearest vectors", () => {
  it.effect("come first, as many as were asked for", () =>
    Effect.gen(function*() {
      const c = yield* clientOf(
        { product: "cassandra" },
        "CREATE TABLE t (k int PRIMARY KEY, v vector<float, 2>)",
        "CREATE CUSTOM INDEX ON t (v) USING 'StorageAttachedIndex' WITH OPTIONS = {'similarity_function': 'EUCLIDEAN'}"
      )
      for (const [k, v] of [[1, "[0, 0]"], [2, "[3, 4]"], [3, "[1, 0]"], [4, "[9, 9]"]] as const) {
        yield* ok(c, `INSERT INTO t (k, v) VALUES (${k}, ${v})`)
      }
      yield* ok(c, "INSERT INTO t (k) VALUES (5)")
      assert.deepStrictEqual(yield* read(c, "SELECT k FROM t ORDER BY v ANN OF [0.9, 0] LIMIT 3"), ["3", "1", "2"])
      assert.deepStrictEqual(yield* read(c, "SELECT k FROM t ORDER BY v ANN OF [9, 8] LIMIT ?", [int(1)]), ["4"])
      assert.match(
        yield* refusal(c, "SELECT k FROM t ORDER BY k ANN OF [1, 2] LIMIT 1"),
        /only list and vector are expected/
      )
    }))
})

describe("service levels of ScyllaDB", () => {
  it.effect("are made, changed, listed and dropped", () =>
    Effect.gen(function*() {
      const c = yield* clientOf({})
      yield* ok(c, "CREATE SERVICE LEVEL fast WITH timeout = 5s AND workload_type = 'interactive'")
      assert.match((yield* read(c, "LIST SERVICE LEVEL fast"))[0]!, /^fast .*interactive/)
      assert.match(yield* refusal(c, "CREATE SERVICE LEVEL fast"), /fast/)
      yield* ok(c, "ALTER SERVICE LEVEL fast WITH workload_type = 'batch'")
      assert.match((yield* read(c, "LIST ALL SERVICE LEVELS"))[0]!, /^fast .*batch/)
      yield* ok(c, "DROP SERVICE LEVEL fast")
      assert.match(yield* refusal(c, "DROP SERVICE LEVEL fast"), /fast/)
    }))
})

describe("tables with tablets", () => {
  it.effect("are unknown to Cassandra, which may pass over that there shall be none", () =>
    Effect.gen(function*() {
      const make =
        "CREATE KEYSPACE x WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} AND tablets = "
      const c = yield* clientOf({ product: "cassandra" })
      yield* ok(c, `${make}{'enabled': false}`)
      assert.strictEqual(yield* refusal(c, `${make}{'enabled': true}`), "Unknown property 'tablets'")
      const exact = yield* clientOf({ product: "cassandra", passesNoTablets: false })
      assert.strictEqual(yield* refusal(exact, `${make}{'enabled': false}`), "Unknown property 'tablets'")
    }))

  const statements = ["INSERT INTO t (k) VALUES (1) IF NOT EXISTS", "CREATE TABLE n (k int PRIMARY KEY, n counter)"]
  it.effect("take what needs Paxos, and counters, unless the cluster is to refuse them", () =>
    Effect.gen(function*() {
      const now = yield* clientOf({ tablets: true }, "CREATE TABLE t (k int PRIMARY KEY)")
      for (const statement of statements) yield* ok(now, statement)
      const old = yield* clientOf({ tablets: true, tabletLimits: true }, "CREATE TABLE t (k int PRIMARY KEY)")
      for (const statement of statements) {
        assert.match(yield* refusal(old, statement), /not yet supported with tablets$/)
      }
      yield* ok(old, "INSERT INTO t (k) VALUES (1)")
    }))
})

for (const product of ["scylla", "cassandra"] as const) {
  it.effect(`functions of users and compact tables are refused as ${product} does that is not told to have them`, () =>
    Effect.gen(function*() {
      const c = yield* clientOf({ product })
      const make = "FUNCTION f (a int, b text) RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS $$ return a; $$"
      assert.match(yield* refusal(c, `CREATE ${make}`), /^User.defined functions are disabled/)
      assert.match(yield* refusal(c, `CREATE OR REPLACE ${make}`), /^User.defined functions are disabled/)
      assert.match(yield* refusal(c, "CREATE FUNCTION f (a int) RETURNS int"), /^line 1:/)
      assert.match(
        yield* refusal(c, "CREATE AGGREGATE IF NOT EXISTS a (int) SFUNC f STYPE bigint INITCOND 0"),
        /^State function/
      )
      assert.match(yield* refusal(c, "DROP FUNCTION f (int, text)"), /ks\.f\(int, text\)/)
      assert.strictEqual((yield* ok(c, "DROP AGGREGATE IF EXISTS a"))._tag, "Void")
      assert.match(yield* refusal(c, "CREATE TABLE t (k int PRIMARY KEY, v int) WITH COMPACT STORAGE"), /ompact/i)
    }))
}
