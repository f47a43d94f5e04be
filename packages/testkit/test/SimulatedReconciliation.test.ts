/** Which of several writes stays, and what conditional statements say about it: as Apache Cassandra 5.0.5 was seen to do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { errorOf, rowsOf } from "./rawClient.ts"
import { client, clientOf, ok, read, refusal } from "./statements.ts"

const TABLE =
  "CREATE TABLE t (pk int PRIMARY KEY, v int, l list<int>, s set<int>, m map<text, int>, u pair, f frozen<pair>)"
const PAIR = "CREATE TYPE pair (a int, b text)"

const write = (assignment: string, timestamp = 5, ttl = 0) =>
  `UPDATE t USING TIMESTAMP ${timestamp}${ttl === 0 ? "" : ` AND TTL ${ttl}`} SET ${assignment} WHERE pk = 1`

/** What a column is after these writes. */
const after = (column: string, ...writes: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const c = yield* client(PAIR, TABLE)
    for (const each of writes) yield* ok(c, each)
    return rowsOf(yield* c.query(`SELECT ${column} AS x FROM t WHERE pk = 1`, {}))[0]?.["x"] ?? null
  })

describe("two writes with one timestamp", () => {
  it.effect("of collections are writes of their elements", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* after("s", write("s = {1, 3}"), write("s = {2, 3}")), new Set([1, 2, 3]))
      assert.deepStrictEqual(yield* after("l", write("l = [2, 1]"), write("l = [2]")), [2, 1, 2])
      assert.deepStrictEqual(
        yield* after("m", write("m = {'a': 1, 'c': 3}"), write("m = {'b': 2, 'c': 2}")),
        new Map([["a", 1], ["b", 2], ["c", 3]])
      )
    }))

  it.effect("of a user-defined type are writes of its fields", () =>
    Effect.gen(function*() {
      const fields = (value: unknown) => value === null ? null : JSON.stringify(value)
      assert.strictEqual(fields(yield* after("u", write("u = {a: 1}"), write("u = {b: 'x'}"))), '{"a":1,"b":"x"}')
      assert.strictEqual(fields(yield* after("u", write("u = {a: 2}"), write("u = {a: 1}"))), '{"a":2,"b":null}')
    }))

  it.effect("later ones replace all of it; null and nothing delete only what was before, DELETE also what is now", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* after("s", write("s = {1}", 5), write("s = {2}", 6)), new Set([2]))
      assert.deepStrictEqual(yield* after("s", write("s = {1}", 6), write("s = {2}", 5)), new Set([1]))
      assert.deepStrictEqual(yield* after("s", write("s = {1}"), write("s = null")), new Set([1]))
      assert.deepStrictEqual(yield* after("s", write("s = null"), write("s = {1}")), new Set([1]))
      assert.isNull(yield* after("s", write("s = {1}"), "DELETE s FROM t USING TIMESTAMP 5 WHERE pk = 1"))
      assert.isNull(yield* after("v", write("v = 1"), write("v = null")))
      assert.deepStrictEqual(yield* after("s", write("s = {1}"), write("s = {}")), new Set([1]))
      assert.deepStrictEqual(yield* after("s", write("s = {}"), write("s = {1}")), new Set([1]))
      assert.isNull(yield* after("s", write("s = {1}", 4), write("s = {}", 5)))
    }))

  it.effect("what expires stays, of two the one that expires later, and only then the greater value", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* after("v", write("v = 1", 5, 100), write("v = 2")), 1)
      assert.strictEqual(yield* after("v", write("v = 2"), write("v = 1", 5, 100)), 1)
      assert.strictEqual(yield* after("v", write("v = 1", 5, 200), write("v = 2", 5, 100)), 1)
      assert.strictEqual(yield* after("v", write("v = 2"), write("v = 1")), 2)
    }))

  it.effect("expire at the same time when they were written within the same second", () =>
    Effect.gen(function*() {
      const c = yield* client(PAIR, TABLE)
      yield* ok(c, write("v = 2", 5, 100))
      yield* TestClock.adjust("900 millis")
      yield* ok(c, write("v = 1", 5, 100))
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["2"])
      yield* TestClock.adjust("100 millis")
      yield* ok(c, write("v = 1", 5, 100))
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["1"])
    }))

  it.effect("elements of a collection live as long as each was written for", () =>
    Effect.gen(function*() {
      const c = yield* client(PAIR, TABLE)
      yield* ok(c, write("s = {1}"))
      yield* ok(c, write("v = 9, s = {2}", 5, 100))
      assert.deepStrictEqual(rowsOf(yield* c.query("SELECT v, s FROM t"))[0], { v: 9, s: new Set([1, 2]) })
      yield* TestClock.adjust("100 seconds")
      assert.deepStrictEqual(rowsOf(yield* c.query("SELECT v, s FROM t"))[0], { v: null, s: new Set([1]) })
    }))
})

describe("a range", () => {
  it.effect("that was deleted stays deleted for what was written before", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE r (pk int, ck int, v int, PRIMARY KEY (pk, ck))")
      yield* ok(c, "DELETE FROM r USING TIMESTAMP 5 WHERE pk = 1 AND ck > 1 AND ck <= 3")
      for (const ck of [1, 2, 3, 4]) yield* ok(c, `INSERT INTO r (pk, ck, v) VALUES (1, ${ck}, 0) USING TIMESTAMP 5`)
      yield* ok(c, "INSERT INTO r (pk, ck, v) VALUES (1, 3, 1) USING TIMESTAMP 6")
      assert.deepStrictEqual(yield* read(c, "SELECT ck, v FROM r"), ["1 0", "3 1", "4 0"])
    }))

  it.effect("of tokens up to the least one goes to the end of the ring", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE r (pk int PRIMARY KEY)")
      for (const pk of [1, 2, 3]) yield* ok(c, `INSERT INTO r (pk) VALUES (${pk})`)
      const all = yield* read(c, "SELECT pk FROM r")
      assert.strictEqual(all.length, 3)
      assert.deepStrictEqual(yield* read(c, "SELECT pk FROM r WHERE token(pk) <= -9223372036854775808"), all)
      assert.deepStrictEqual(yield* read(c, "SELECT pk FROM r WHERE token(pk) < -9223372036854775807"), [])
    }))
})

describe("values", () => {
  it.effect("a user-defined type of nulls that is not frozen is null, and no row", () =>
    Effect.gen(function*() {
      const c = yield* client(PAIR, TABLE)
      yield* ok(c, "UPDATE t SET u = {a: null, b: null} WHERE pk = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT pk FROM t"), [])
      yield* ok(c, "UPDATE t SET f = {a: null, b: null} WHERE pk = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT u, f FROM t"), ["null [object Object]"])
      const holds = (condition: string) =>
        Effect.map(
          ok(c, `UPDATE t SET v = 1 WHERE pk = 1 IF ${condition}`),
          (answer) => rowsOf(answer)[0]?.["[applied]"]
        )
      assert.isFalse(yield* holds("u = {a: null}"))
      assert.isTrue(yield* holds("s = {}"))
    }))

  it.effect("of a map with one key twice the first value stays", () =>
    Effect.gen(function*() {
      const c = yield* client(PAIR, TABLE)
      yield* ok(c, write("m = {'b': 2, 'a': 1, 'b': 3}"))
      const [row] = rowsOf(yield* c.query("SELECT m FROM t"))
      assert.deepStrictEqual(row!["m"], new Map([["a", 1], ["b", 2]]))
    }))
})

describe("what is refused", () => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ["SELECT DISTINCT b FROM two", /must request all the partition key columns \(missing a\)/],
    ["SELECT DISTINCT a, b FROM two WHERE a = 1 AND b = 1 AND c = 1", /only supports restriction by partition key/],
    ["SELECT v FROM t WHERE v = 1", /use ALLOW FILTERING$/],
    ["UPDATE t SET v = 1 WHERE pk = 1 IF v = 3 AND v > null", /Invalid comparison with null for operator ">"/],
    ["UPDATE two SET v = 1 WHERE a = 1 AND b = 1 AND c IN (1, 1) IF EXISTS", /IN on the clustering key columns/],
    ["DELETE FROM two WHERE a = 1 AND b = 1 AND c IN () IF EXISTS", /IN on the clustering key columns/],
    ["DELETE FROM n USING TIMESTAMP 2 WHERE pk = 1", /Cannot provide custom timestamp for counter updates/],
    [
      "BEGIN BATCH UPDATE t SET v = 1 WHERE pk = 1 IF EXISTS; INSERT INTO one (pk) VALUES (1); APPLY BATCH",
      /BATCH with conditions cannot span multiple tables/
    ],
    ["BEGIN COUNTER BATCH USING TIMESTAMP 3 APPLY BATCH", /Cannot provide custom timestamp for counter BATCH/]
  ]
  it.effect("instead of being answered wrongly", () =>
    Effect.gen(function*() {
      const c = yield* client(
        PAIR,
        TABLE,
        "CREATE TABLE two (a int, b int, c int, v int, PRIMARY KEY ((a, b), c))",
        "CREATE TABLE n (pk int PRIMARY KEY, n counter)",
        "CREATE TABLE one (pk int PRIMARY KEY)"
      )
      for (const [query, expected] of cases) {
        const error = errorOf(yield* c.query(query, {}))
        assert.strictEqual(error.code, 0x2200, query)
        assert.match(error.message, expected, query)
      }
      // Brackets around a value are no type.
      yield* ok(c, "INSERT INTO t (pk, v) VALUES ((1), (2))")
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t WHERE pk IN ((1), (2))"), ["2"])
    }))
})

describe("conditional statements on Cassandra", () => {
  const world = clientOf(
    { product: "cassandra" },
    "CREATE TABLE t (pk int, ck int, a int, b int, PRIMARY KEY (pk, ck))",
    "INSERT INTO t (pk, ck, b) VALUES (1, 1, 1)",
    "INSERT INTO t (pk, ck, a, b) VALUES (1, 2, 2, 2)"
  )

  it.effect("say nothing of a row that is not there", () =>
    Effect.gen(function*() {
      const c = yield* world
      const none = [{ "[applied]": false }]
      for (
        const query of [
          "UPDATE t SET a = 1 WHERE pk = 7 AND ck = 1 IF b = 1",
          "DELETE FROM t WHERE pk = 1 AND ck = 7 IF EXISTS",
          "BEGIN BATCH UPDATE t SET a = 1 WHERE pk = 1 AND ck = 7 IF b = 1; APPLY BATCH"
        ]
      ) assert.deepStrictEqual(rowsOf(yield* ok(c, query)), none, query)
    }))

  it.effect("show what was asked for in the order of the conditions", () =>
    Effect.gen(function*() {
      const c = yield* world
      const said = rowsOf(yield* ok(c, "UPDATE t SET a = 1 WHERE pk = 1 AND ck = 1 IF b = 9 AND a = 1"))
      assert.deepStrictEqual(said.map((row) => Object.entries(row)), [[["[applied]", false], ["b", 1], ["a", null]]])
    }))

  it.effect("of a batch show each row once, in its order, behind its key", () =>
    Effect.gen(function*() {
      const c = yield* world
      const batch = (first: string, second: string) =>
        `BEGIN BATCH UPDATE t SET a = 1 WHERE pk = 1 AND ck = 2 ${first}; ` +
        `UPDATE t SET b = 1 WHERE pk = 1 AND ck = 1 ${second}; UPDATE t SET a = 3 WHERE pk = 1 AND ck = 2 IF a = 2; APPLY BATCH`
      const entries = (rows: ReadonlyArray<object>) => rows.map((row) => Object.entries(row).flat().join(" "))
      assert.deepStrictEqual(
        entries(rowsOf(yield* ok(c, batch("IF b = 9", "IF a = 1")))),
        ["[applied] false pk 1 ck 1 b 1 a ", "[applied] false pk 1 ck 2 b 2 a 2"]
      )
      assert.deepStrictEqual(
        entries(rowsOf(yield* ok(c, batch("IF b = 9", "IF EXISTS")))),
        ["[applied] false pk 1 ck 1 a  b 1", "[applied] false pk 1 ck 2 a 2 b 2"]
      )
      assert.deepStrictEqual(rowsOf(yield* ok(c, batch("IF b = 2", "IF EXISTS"))), [{ "[applied]": true }])
    }))

  it.effect("of a batch ask one kind of thing of a row", () =>
    Effect.gen(function*() {
      const c = yield* world
      const batch = "BEGIN BATCH INSERT INTO t (pk, ck, a) VALUES (1, 1, 2) IF NOT EXISTS; " +
        "UPDATE t SET b = 1 WHERE pk = 1 AND ck = 1 IF a = 1; APPLY BATCH"
      assert.match(yield* refusal(c, batch), /^Cannot mix IF conditions/)
      const several = "BEGIN BATCH INSERT INTO t (pk, ck) VALUES (1, 9) IF NOT EXISTS; " +
        "UPDATE t SET b = 1 WHERE pk = 1 AND ck IN (1, 2); APPLY BATCH"
      assert.match(yield* refusal(c, several), /^IN on the clustering key columns/)
    }))

  it.effect("of ScyllaDB always show all of them", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int PRIMARY KEY, a int, b int)")
      yield* TestClock.adjust(0)
      const said = rowsOf(yield* ok(c, "UPDATE t SET a = 1 WHERE pk = 1 IF b = 9 AND a = 1"))
      assert.deepStrictEqual(said.map((row) => Object.entries(row)), [[["[applied]", false], ["a", null], ["b", null]]])
    }))
})
