/** What random statements beside a Cassandra 5.0.5 found, each as its least case: `npm run differential` prints them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { errorOf, rowsOf, warningsOf } from "./rawClient.ts"
import { clientOf } from "./statements.ts"

const TABLE =
  "CREATE TABLE t (p int, q int, c int, d text, v int, w int, l list<int>, m map<int, int>, s set<int>, st int static, " +
  "PRIMARY KEY ((p, q), c, d)) WITH CLUSTERING ORDER BY (c DESC, d ASC)"

const cassandra = (...statements: ReadonlyArray<string>) =>
  clientOf({ product: "cassandra", datacenters: [{ name: "datacenter1", nodes: 3 }] }, TABLE, ...statements)

const FILTERING =
  "Cannot execute this query as it might involve data filtering and thus may have unpredictable performance. If you " +
  "want to execute this query despite the performance unpredictability, use ALLOW FILTERING"

/** Statements that were refused, and in which words. */
const refused: ReadonlyArray<readonly [statement: string, message: string]> = [
  [
    "SELECT p FROM t WHERE l > [1] ALLOW FILTERING",
    "Collection column 'l' (list<int>) cannot be restricted by a '>' relation"
  ],
  [
    "SELECT p FROM t WHERE m IN ({}) ALLOW FILTERING",
    "Collection column 'm' (map<int, int>) cannot be restricted by a 'IN' relation"
  ],
  [
    "SELECT p FROM t WHERE l[1] = 2 ALLOW FILTERING",
    "Indexes on list entries (l[index] = value) are not currently supported."
  ],
  ["SELECT p FROM t WHERE m[1] > 2 ALLOW FILTERING", "Only EQ relations are supported on map entries"],
  [
    "SELECT p FROM t WHERE v = 1 AND v <= 2 ALLOW FILTERING",
    "v cannot be restricted by more than one relation if it includes an Equal"
  ],
  [
    "SELECT p FROM t WHERE v <= 1 AND v = 2 ALLOW FILTERING",
    'Column "v" cannot be restricted by both an equality and an inequality relation'
  ],
  [
    "SELECT p FROM t WHERE v IN (1, 2) AND v > 1 ALLOW FILTERING",
    "v cannot be restricted by more than one relation if it includes a IN"
  ],
  [
    "SELECT p FROM t WHERE v > 1 AND v > 2 ALLOW FILTERING",
    "More than one restriction was found for the start bound on v"
  ],
  ["SELECT p FROM t WHERE v = null ALLOW FILTERING", "Unsupported null value for column v"],
  ["SELECT p FROM t WHERE m[null] = 1 ALLOW FILTERING", "Unsupported null map key for column m"],
  ["SELECT p FROM t GROUP BY p", "Group by is not supported on only a part of the partition key"],
  [
    "SELECT st FROM t WHERE c = 1 ALLOW FILTERING",
    "Cannot restrict clustering columns when selecting only static columns"
  ],
  [
    "SELECT collection_sum(v) FROM t",
    "Function system.collection_sum requires a numeric set/list argument, but found argument v of type int"
  ],
  [
    "SELECT collection_min(m) FROM t",
    "Function system.collection_min requires a set or list argument, but found argument m of type map<int, int>"
  ],
  ["SELECT cast(v AS uuid) FROM t", "v cannot be cast to uuid"],
  [
    "SELECT cast(m AS date) FROM t",
    "Invalid call to function system.cast_as_date, none of its type signatures match (known type signatures: system.cast_as_date : " +
    "(timeuuid) -> date, system.cast_as_date : (timestamp) -> date)"
  ]
]

describe("what differed from a Cassandra", () => {
  it.effect("is refused in its words", () =>
    Effect.gen(function*() {
      const c = yield* cassandra()
      for (const [statement, message] of refused) {
        assert.strictEqual(errorOf(yield* c.query(statement)).message, message, statement)
      }
    }))

  it.effect("a value in a list of its own is an equality", () =>
    Effect.gen(function*() {
      const c = yield* cassandra("INSERT INTO t (p, q, c, d) VALUES (1, 1, 1, 'a')")
      const rows = rowsOf(yield* c.query("SELECT d FROM t WHERE p = 1 AND q = 1 AND c IN (1) ORDER BY d DESC"))
      assert.deepStrictEqual(rows, [{ d: "a" }])
    }))

  it.effect("null is in front of everything in the order of the rows", () =>
    Effect.gen(function*() {
      const c = yield* cassandra("INSERT INTO t (p, q, c, d) VALUES (1, 1, 1, 'a')")
      const count = (where: string) =>
        Effect.map(c.query(`SELECT c FROM t WHERE p = 1 AND q = 1 AND ${where}`), (answer) => rowsOf(answer).length)
      assert.strictEqual(yield* count("c < null"), 1)
      assert.strictEqual(yield* count("c > null"), 0)
      assert.strictEqual(yield* count("c = 1 AND d < null"), 0)
      assert.strictEqual(yield* count("c = 1 AND d > null"), 1)
    }))

  it.effect("pages end with the last row of a partition that can have one", () =>
    Effect.gen(function*() {
      const c = yield* cassandra("CREATE TABLE one (p int PRIMARY KEY)", "INSERT INTO one (p) VALUES (1)")
      const isOver = Effect.fnUntraced(function*(query: string) {
        const answer = yield* c.query(query, { pageSize: 1 })
        return answer._tag === "Rows" && answer.pagingState === null
      })
      assert.isTrue(yield* isOver("SELECT * FROM one WHERE p = 1"))
      assert.isFalse(yield* isOver("SELECT * FROM one"))
      yield* c.query("INSERT INTO t (p, q, c, d) VALUES (1, 1, 1, 'a')")
      assert.isFalse(yield* isOver("SELECT * FROM t WHERE p = 1 AND q = 1"))
      assert.isTrue(yield* isOver("SELECT * FROM t WHERE p = 1 AND q = 1 PER PARTITION LIMIT 1"))
      assert.isTrue(yield* isOver("SELECT DISTINCT p, q FROM t WHERE p = 1 AND q = 1"))
    }))

  it.effect("indexes find ranges where they are storage-attached, and one thing where they are not", () =>
    Effect.gen(function*() {
      const c = yield* cassandra("CREATE INDEX ON t (v) USING 'sai'", "CREATE INDEX ON t (d)")
      assert.deepStrictEqual(rowsOf(yield* c.query("SELECT v FROM t WHERE v > 1 AND v < 3")), [])
      assert.strictEqual(errorOf(yield* c.query("SELECT v FROM t WHERE c > 1 AND d = 'a'")).message, FILTERING)
    }))

  it.effect("static columns are shown by conditional statements that write them", () =>
    Effect.gen(function*() {
      const c = yield* cassandra(
        "INSERT INTO t (p, q, st) VALUES (1, 1, 7)",
        "INSERT INTO t (p, q, c, d) VALUES (1, 1, 1, 'a')"
      )
      const shown = Effect.fnUntraced(function*(query: string) {
        return rowsOf(yield* c.query(query))[0]!["st"]
      })
      assert.isNull(yield* shown("INSERT INTO t (p, q, c, d) VALUES (1, 1, 1, 'a') IF NOT EXISTS"))
      assert.strictEqual(yield* shown("INSERT INTO t (p, q, c, d, st) VALUES (1, 1, 1, 'a', 8) IF NOT EXISTS"), 7)
      assert.strictEqual(
        yield* shown("UPDATE t SET v = 1, st = 8 WHERE p = 1 AND q = 1 AND c = 9 AND d = 'a' IF EXISTS"),
        7
      )
    }))

  it.effect("a constant beside a number is what it is by itself", () =>
    Effect.gen(function*() {
      const c = yield* cassandra("CREATE TABLE n (p tinyint PRIMARY KEY)", "INSERT INTO n (p) VALUES (100)")
      assert.deepStrictEqual(rowsOf(yield* c.query("SELECT p * 2 AS x FROM n")), [{ x: 200 }])
    }))

  it.effect("a conditional batch shows the key of a partition of which there are static columns alone", () =>
    Effect.gen(function*() {
      const c = yield* cassandra("INSERT INTO t (p, q, st) VALUES (1, 1, 7)")
      const update = "UPDATE t SET v = 1 WHERE p = 1 AND q = 1 AND c = 1 AND d = 'a' IF v = 1 AND st = 7"
      assert.deepStrictEqual(rowsOf(yield* c.query(`BEGIN BATCH ${update}; APPLY BATCH`)), [
        { "[applied]": false, p: 1, q: 1, c: null, d: null, v: null, st: 7 }
      ])
    }))

  it.effect("a column as what it is keeps its name, INSERT JSON takes a time, and a token is a part of the key", () =>
    Effect.gen(function*() {
      const c = yield* cassandra('INSERT INTO t JSON \'{"p": 1, "q": 1, "c": 1, "d": "a", "v": 3}\' USING TIMESTAMP 3')
      assert.deepStrictEqual(rowsOf(yield* c.query("SELECT cast(v AS int), writetime(v) FROM t")), [
        { v: 3, "writetime(v)": 3n }
      ])
      const answer = yield* c.ask({
        _tag: "Query",
        query: "SELECT count(*) FROM t WHERE token(p, q) > 0",
        options: { consistency: "ONE" }
      })
      // No warning that there is no partition key.
      assert.strictEqual(answer.flags, 0)
    }))

  it.effect("an order that cannot be is told before what would have to be filtered", () =>
    Effect.gen(function*() {
      const c = yield* cassandra()
      const ORDER = "ORDER BY is only supported when the partition key is restricted by an EQ or an IN."
      assert.strictEqual(errorOf(yield* c.query("SELECT * FROM t WHERE c = 1 ORDER BY p")).message, ORDER)
      assert.strictEqual(errorOf(yield* c.query("SELECT * FROM t WHERE c = 1")).message, FILTERING)
    }))

  it.effect("vectors come as JSON, and are alike in the digits of floats", () =>
    Effect.gen(function*() {
      const c = yield* cassandra("CREATE TABLE e (p int PRIMARY KEY, v vector<float, 3>, w vector<float, 3>)")
      const insert = (v: string) => c.query(`INSERT INTO e JSON '{"p": 1, "v": ${v}, "w": [1, 2, 3]}'`)
      assert.strictEqual(
        errorOf(yield* insert("[1, 2]")).message,
        "Error decoding JSON value for v: List had incorrect size: expected 3 but given 2; [1, 2]"
      )
      assert.strictEqual(
        errorOf(yield* insert("[null, 2, 3]")).message,
        "Error decoding JSON value for v: Invalid null element in list"
      )
      assert.strictEqual((yield* insert("[1, 2.5, 3]"))._tag, "Void")
      const [row] = rowsOf(
        yield* c.query("SELECT similarity_cosine(v, w) AS a, similarity_euclidean(v, w) AS b FROM e")
      )
      assert.deepStrictEqual(row, { a: 0.997245192527771, b: Math.fround(0.8) })
    }))

  it.effect("a view has the order of its table where it says none", () =>
    Effect.gen(function*() {
      const c = yield* cassandra(
        "CREATE TABLE b (a int, b int, v int, PRIMARY KEY (a, b)) WITH CLUSTERING ORDER BY (b DESC)",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM b WHERE v IS NOT NULL AND a IS NOT NULL AND b IS NOT NULL PRIMARY KEY (v, b, a)",
        "INSERT INTO b (a, b, v) VALUES (1, 1, 1)",
        "INSERT INTO b (a, b, v) VALUES (1, 2, 1)"
      )
      assert.deepStrictEqual(rowsOf(yield* c.query("SELECT b FROM m")), [{ b: 2 }, { b: 1 }])
    }))

  it.effect("a batch of much is warned of, and one of more refused, unless it is of one partition", () =>
    Effect.gen(function*() {
      const c = yield* cassandra("CREATE TABLE b (p int, c int, v text, l list<int>, PRIMARY KEY (p, c))")
      const batch = (...parts: ReadonlyArray<string>) =>
        c.ask({ _tag: "Query", query: `BEGIN BATCH ${parts.join("; ")}; APPLY BATCH`, options: { consistency: "ONE" } })
      const inserts = (count: number, length: number) =>
        Array.from({ length: count }, (_, i) => `INSERT INTO b (p, c, v) VALUES (${i}, 1, '${"x".repeat(length)}')`)
      assert.deepStrictEqual(warningsOf(yield* batch(...inserts(6, 900))), [
        "Batch for [ks.b] is of size 5844, exceeding specified threshold of 5120 by 724."
      ])
      assert.deepStrictEqual(warningsOf(yield* batch(...inserts(6, 700))), [])
      const deletions = [
        "DELETE FROM b WHERE p = 1",
        "DELETE FROM b WHERE p = 2 AND c > 4",
        "UPDATE b SET l = l + [1] WHERE p = 3 AND c = 1"
      ]
      assert.deepStrictEqual(warningsOf(yield* batch(...inserts(6, 900), ...deletions)), [
        "Batch for [ks.b] is of size 5916, exceeding specified threshold of 5120 by 796."
      ])
      assert.deepStrictEqual(
        warningsOf(yield* batch(...inserts(6, 900).map((text) => text.replace(/\(\d,/, "(1,")))),
        []
      )
      const large = yield* c.query(`BEGIN BATCH ${inserts(7, 9000).join("; ")}; APPLY BATCH`)
      assert.strictEqual(errorOf(large).message, "Batch too large")
    }))

  it.effect("durations are equal or not, and have no order", () =>
    Effect.gen(function*() {
      const c = yield* cassandra(
        "CREATE TABLE u (p int PRIMARY KEY, d duration, l list<duration>)",
        "INSERT INTO u (p, d, l) VALUES (1, 1mo, [1d])"
      )
      const message = (query: string) => Effect.map(c.query(query), (answer) => errorOf(answer).message)
      assert.strictEqual(
        yield* message("SELECT * FROM u WHERE d > 1mo ALLOW FILTERING"),
        "Slice restrictions are not supported on duration columns"
      )
      assert.strictEqual(
        yield* message("UPDATE u SET d = 2mo WHERE p = 1 IF d > 1mo"),
        "Slice conditions ( > ) are not supported on durations"
      )
      assert.strictEqual(
        yield* message("UPDATE u SET d = 2mo WHERE p = 1 IF l > [1d]"),
        "Slice conditions are not supported on collections containing durations"
      )
      for (const condition of ["d = 1mo", "d IN (2mo, 1mo)", "l = [1d]", "l[0] = 1d", "l CONTAINS 1d", "d != 2mo"]) {
        const [row] = rowsOf(yield* c.query(`UPDATE u SET d = 1mo WHERE p = 1 IF ${condition}`))
        assert.isTrue(row!["[applied]"], condition)
      }
    }))
})
