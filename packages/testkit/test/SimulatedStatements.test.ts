/** What statements do, and what is refused. */
import { Codec, CqlType, type Request, type Response, Value } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { connect, errorOf, type RawClient, rowsOf } from "./rawClient.ts"
import { client, int, ok, read, refusal, text } from "./statements.ts"

const EVENTS = "CREATE TABLE e (a int, b int, c int, d text, v text, PRIMARY KEY ((a), b, c, d)) " +
  "WITH CLUSTERING ORDER BY (b ASC, c DESC, d ASC)"

const fill = Effect.fnUntraced(function*(of: RawClient) {
  for (const b of [2, 1]) {
    for (const c of [1, 3, 2]) {
      for (const d of ["y", "x"]) yield* ok(of, `INSERT INTO e (a, b, c, d, v) VALUES (1, ${b}, ${c}, '${d}', 'v')`)
    }
  }
})

describe("reading", () => {
  it.effect("clustering order, ranges, IN, ORDER BY, LIMIT", () =>
    Effect.gen(function*() {
      const c = yield* client(EVENTS)
      yield* fill(c)
      const all = [
        "1 3 x",
        "1 3 y",
        "1 2 x",
        "1 2 y",
        "1 1 x",
        "1 1 y",
        "2 3 x",
        "2 3 y",
        "2 2 x",
        "2 2 y",
        "2 1 x",
        "2 1 y"
      ]
      const rows = (rest: string, values?: ReadonlyArray<Request.RawValue>) =>
        read(c, `SELECT b, c, d FROM e WHERE a = 1 ${rest}`, values)
      assert.deepStrictEqual(yield* rows(""), all)
      assert.deepStrictEqual(yield* rows("ORDER BY b DESC, c ASC, d DESC"), all.toReversed())
      assert.deepStrictEqual(yield* rows("ORDER BY b DESC LIMIT 2"), ["2 1 y", "2 1 x"])
      assert.deepStrictEqual(yield* rows("ORDER BY b ASC"), all)
      assert.deepStrictEqual(yield* rows("AND b = 2"), all.slice(6))
      assert.deepStrictEqual(yield* rows("AND b > 1"), all.slice(6))
      assert.deepStrictEqual(yield* rows("AND b >= 1 AND b < 2"), all.slice(0, 6))
      assert.deepStrictEqual(yield* rows("AND b = 1 AND c > 1"), all.slice(0, 4))
      assert.deepStrictEqual(yield* rows("AND b = 1 AND c >= 2 AND c < 3"), all.slice(2, 4))
      assert.deepStrictEqual(yield* rows("AND b = 1 AND c <= 2"), all.slice(2, 6))
      assert.deepStrictEqual(yield* rows("AND b = 1 AND c < 1"), [])
      assert.deepStrictEqual(yield* rows("AND b = 1 AND c > 3 AND c < 2"), [])
      assert.deepStrictEqual(yield* rows("AND b IN (2, 1, 2) AND c = 3 AND d > 'x'"), ["1 3 y", "2 3 y"])
      assert.deepStrictEqual(yield* rows("AND b IN (2, 1) AND c = 3 AND d = 'x' ORDER BY b DESC"), ["2 3 x", "1 3 x"])
      assert.deepStrictEqual(
        yield* rows("AND b = ? AND c IN ?", [
          int(2),
          Codec.encode(CqlType.list(CqlType.scalar("int")), [1, 3])
        ]),
        ["2 3 x", "2 3 y", "2 1 x", "2 1 y"]
      )
      assert.deepStrictEqual(yield* rows("LIMIT ?", [int(3)]), all.slice(0, 3))
      assert.deepStrictEqual(yield* read(c, "SELECT count(*) FROM e WHERE a = 1 AND b = 1"), ["6"])
      assert.deepStrictEqual(yield* read(c, "SELECT DISTINCT a FROM e"), ["1"])
      assert.deepStrictEqual(rowsOf(yield* ok(c, "SELECT b AS bee FROM e WHERE a = 1 LIMIT 1")), [{ bee: 1 }])
    }))

  it.effect("pages forwards, backwards, over partitions, and ends behind what is full", () =>
    Effect.gen(function*() {
      const c = yield* client(EVENTS, "CREATE TABLE s (pk int PRIMARY KEY, v int)")
      yield* fill(c)
      for (let i = 0; i < 25; i++) yield* ok(c, `INSERT INTO s (pk, v) VALUES (${i}, ${i})`)
      const paged = Effect.fnUntraced(function*(query: string, pageSize: number) {
        const rows: Array<string> = []
        const sizes: Array<number> = []
        let pagingState: Uint8Array | null = null
        do {
          const answer: Response.Response = yield* ok(c, query, { pageSize, pagingState })
          if (answer._tag !== "Rows") return assert.fail("rows expected")
          sizes.push(answer.rows.length)
          rows.push(...answer.rows.map((row) => Object.values(row).join(" ")))
          pagingState = answer.pagingState
        } while (pagingState !== null)
        return { rows, sizes }
      })
      for (
        const query of [
          "SELECT b, c, d FROM e WHERE a = 1",
          "SELECT b, c, d FROM e WHERE a = 1 ORDER BY b DESC",
          "SELECT b, c, d FROM e WHERE a = 1 AND b IN (1, 2) AND c <= 2",
          "SELECT pk FROM s",
          "SELECT pk FROM s WHERE pk IN (3, 1, 24, 99, 7)",
          "SELECT DISTINCT pk FROM s"
        ]
      ) {
        const whole = yield* read(c, query)
        for (const pageSize of [1, 2, 5, 7, 100]) {
          const { rows, sizes } = yield* paged(query, pageSize)
          assert.deepStrictEqual(rows, whole, `${query} by ${pageSize}`)
          // Behind a last page that is full there is an empty one, as the servers cannot know that it was the last.
          assert.strictEqual(sizes.length, Math.floor(whole.length / pageSize) + 1, `${query} by ${pageSize}`)
        }
      }
      assert.deepStrictEqual((yield* paged("SELECT pk FROM s LIMIT 7", 3)).sizes, [3, 3, 1])
      const broken = yield* c.query("SELECT * FROM s", { pageSize: 2, pagingState: Uint8Array.of(0, 0, 0, 0, 9) })
      assert.strictEqual(errorOf(broken).message, "Invalid value for the paging state")
      assert.strictEqual(errorOf(broken).code, 0x000a)
    }))

  it.effect("a scan goes along the ring, and token() cuts it", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE s (pk int PRIMARY KEY)")
      for (let i = 0; i < 20; i++) yield* ok(c, `INSERT INTO s (pk) VALUES (${i})`)
      // Murmur3 of the ints 1 to 3: the usual published ones.
      const order = (yield* read(c, "SELECT pk FROM s")).map(Number)
      const at = (pk: number): number => order.indexOf(pk)
      assert.isTrue(at(1) < at(2) && at(1) < at(3), "-4069959284402364209 < -3248873570005575792 < 9010454139840013625")
      assert.isTrue(at(2) < at(3))
      const upTo = (yield* read(c, "SELECT pk FROM s WHERE token(pk) <= -4069959284402364209")).map(Number)
      const behind = (yield* read(c, "SELECT pk FROM s WHERE token(pk) > -4069959284402364209")).map(Number)
      assert.deepStrictEqual([...upTo, ...behind], order)
      assert.strictEqual(upTo[upTo.length - 1], 1)
    }))
})

describe("writing", () => {
  it.effect("the last write wins, whatever the order of arrival", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int PRIMARY KEY, v text, w text)")
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 'new') USING TIMESTAMP 200")
      yield* ok(c, "INSERT INTO t (pk, v, w) VALUES (1, 'old', 'old') USING TIMESTAMP 100")
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t WHERE pk = 1"), ["new old"])
      yield* ok(c, "DELETE FROM t USING TIMESTAMP 150 WHERE pk = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t WHERE pk = 1"), ["new null"])
      yield* ok(c, "UPDATE t USING TIMESTAMP 140 SET w = 'late' WHERE pk = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t WHERE pk = 1"), ["new null"])
      // Of equal timestamps the greater value wins, and a deletion over both.
      yield* ok(c, "UPDATE t SET v = 'b' WHERE pk = 1", { timestamp: 300n })
      yield* ok(c, "UPDATE t SET v = 'a' WHERE pk = 1", { timestamp: 300n })
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t WHERE pk = 1"), ["b"])
      yield* ok(c, "DELETE v FROM t WHERE pk = 1", { timestamp: 300n })
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t WHERE pk = 1"), ["null"])
      // A timestamp in the text counts more than that of the request.
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (2, 'x') USING TIMESTAMP 5", { timestamp: 900n })
      yield* ok(c, "DELETE FROM t WHERE pk = 2", { timestamp: 10n })
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t WHERE pk = 2"), [])
    }))

  it.effect("a row of UPDATE lives by its columns, one of INSERT by itself", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int, ck int, v text, PRIMARY KEY (pk, ck))")
      yield* ok(c, "UPDATE t SET v = 'x' WHERE pk = 1 AND ck = 1")
      yield* ok(c, "INSERT INTO t (pk, ck, v) VALUES (1, 2, null)")
      yield* ok(c, "UPDATE t SET v = null WHERE pk = 1 AND ck = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t WHERE pk = 1"), ["1 2 null"])
      for (let ck = 3; ck < 8; ck++) yield* ok(c, `INSERT INTO t (pk, ck, v) VALUES (1, ${ck}, 'v')`)
      yield* ok(c, "DELETE FROM t WHERE pk = 1 AND ck >= 4 AND ck < 6")
      yield* ok(c, "DELETE FROM t WHERE pk IN (1, 9) AND ck IN (2, 7)")
      assert.deepStrictEqual(yield* read(c, "SELECT ck FROM t WHERE pk = 1"), ["3", "6"])
      // A range that was deleted stays deleted for writes from before.
      yield* ok(c, "INSERT INTO t (pk, ck, v) VALUES (1, 5, 'v') USING TIMESTAMP 1")
      assert.deepStrictEqual(yield* read(c, "SELECT ck FROM t WHERE pk = 1"), ["3", "6"])
      yield* ok(c, "DELETE FROM t WHERE pk = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), [])
      yield* ok(c, "INSERT INTO t (pk, ck) VALUES (1, 1)")
      yield* ok(c, "TRUNCATE t")
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), [])
    }))

  it.effect("unset leaves a column as it is, null deletes it", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int PRIMARY KEY, v text, w text)")
      yield* ok(c, "INSERT INTO t (pk, v, w) VALUES (?, ?, ?)", {}, [int(1), text("a"), text("b")])
      yield* ok(c, "INSERT INTO t (pk, v, w) VALUES (?, ?, ?)", {}, [int(1), Value.Unset, null])
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t"), ["a null"])
      assert.strictEqual(
        yield* refusal(c, "INSERT INTO t (pk, v) VALUES (?, 'x')", [null]),
        "Invalid null value in condition for column pk"
      )
      assert.strictEqual(
        yield* refusal(c, "INSERT INTO t (pk, v) VALUES (?, 'x')", [Value.Unset]),
        "Unexpected unset value for bind variable 0"
      )
      assert.match(
        yield* refusal(c, "INSERT INTO t (pk, v) VALUES (?, 'x')", [Uint8Array.of(1)]),
        /Validation failed for type org.apache.cassandra.db.marshal.Int32Type: got 1 bytes/
      )
      assert.match(
        yield* refusal(c, "INSERT INTO t (pk, v) VALUES (1, ?)", [Uint8Array.of(0xff)]),
        /Validation failed - non-UTF8 character/
      )
    }))

  it.effect("a time to live is that of the clock", () =>
    Effect.gen(function*() {
      const c = yield* client(
        "CREATE TABLE t (pk int PRIMARY KEY, v text, w text)",
        "CREATE TABLE d (pk int PRIMARY KEY) WITH default_time_to_live = 5"
      )
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 'x') USING TTL 10")
      yield* ok(c, "UPDATE t USING TTL ? SET w = 'y' WHERE pk = 1", {}, [int(20)])
      yield* ok(c, "INSERT INTO d (pk) VALUES (1)")
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), ["1 x y"])
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM d"), [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), ["1 null y"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), [])
      assert.match(
        yield* refusal(c, "INSERT INTO t (pk) VALUES (1) USING TTL -1"),
        /must be greater or equal to 0$/
      )
    }))

  it.effect("counters count", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE n (pk text PRIMARY KEY, a counter, b counter)")
      yield* ok(c, "UPDATE n SET a = a + 5, b = b - 1 WHERE pk = 'x'")
      yield* ok(c, "UPDATE n SET a = a - ? WHERE pk = ?", {}, [Codec.encode(CqlType.scalar("bigint"), 2n), text("x")])
      yield* ok(
        c,
        "BEGIN COUNTER BATCH UPDATE n SET a = a + 10 WHERE pk = 'x'; UPDATE n SET b = b - 1 WHERE pk = 'y'; APPLY BATCH"
      )
      assert.deepStrictEqual((yield* read(c, "SELECT * FROM n")).sort(), ["x 13 -1", "y null -1"])
      assert.match(yield* refusal(c, "INSERT INTO n (pk, a) VALUES ('x', 1)"), /not allowed on counter tables/)
      assert.match(yield* refusal(c, "UPDATE n SET a = 5 WHERE pk = 'x'"), /Cannot set the value of counter column a/)
      assert.match(
        yield* refusal(c, "CREATE TABLE m (pk int PRIMARY KEY, a counter, b int)"),
        /Cannot add a non counter column \(b\)/
      )
    }))

  it.effect("collections are stored sorted, without repetition, and empty ones not at all", () =>
    Effect.gen(function*() {
      const c = yield* client(
        "CREATE TYPE u (a int, b frozen<list<text>>)",
        "CREATE TABLE t (pk int PRIMARY KEY, l list<int>, s set<int>, m map<text, int>, f frozen<set<int>>, tu tuple<int, text>, x u)"
      )
      yield* ok(
        c,
        "INSERT INTO t (pk, l, s, m, f, tu, x) VALUES (1, [3, 1], {-1, 5, -7, 5}, {'b': 3, 'a': 2}, {}, (1, null), {b: ['z'], a: 4})"
      )
      const [row] = rowsOf(yield* c.query("SELECT * FROM t WHERE pk = 1"))
      assert.deepStrictEqual(row, {
        pk: 1,
        l: [3, 1],
        s: new Set([-7, -1, 5]),
        m: new Map([["a", 2], ["b", 3]]),
        f: new Set(),
        tu: [1, null],
        x: { a: 4, b: ["z"] }
      })
      const ints = CqlType.set(CqlType.scalar("int"))
      yield* ok(c, "UPDATE t SET s = ?, l = [], f = ? WHERE pk = 1", {}, [
        Codec.encode(ints, [9, 2, 9]),
        Codec.encode(ints, [])
      ])
      const [after] = rowsOf(yield* c.query("SELECT s, l, f FROM t"))
      assert.deepStrictEqual(after, { s: new Set([2, 9]), l: null, f: new Set() })
      const bad = Uint8Array.of(0, 0, 0, 1, 255, 255, 255, 255)
      assert.strictEqual(
        yield* refusal(c, "UPDATE t SET s = ? WHERE pk = 1", [bad]),
        "null is not supported inside collections"
      )
      assert.deepStrictEqual(yield* read(c, "UPDATE t SET l = [4] WHERE pk = 1 IF l = [] AND s = {9, 2}"), [
        "true null [object Set]"
      ])
      yield* ok(c, "UPDATE t SET l = l + [1], s = s - {9}, m['b'] = 1, x.a = 1 WHERE pk = 1")
      yield* ok(c, "DELETE l[0], m['a'], x.b FROM t WHERE pk = 1")
      assert.deepStrictEqual(rowsOf(yield* c.query("SELECT l, s, m, x FROM t"))[0], {
        l: [1],
        s: new Set([2]),
        m: new Map([["b", 1]]),
        x: { a: 1, b: null }
      })
    }))
})

describe("conditions", () => {
  it.effect("IF NOT EXISTS, IF EXISTS and IF on columns answer the row as it was", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int, ck int, v int, w text, PRIMARY KEY (pk, ck))")
      const lwt = (query: string) => read(c, query)
      assert.deepStrictEqual(yield* lwt("UPDATE t SET v = 1 WHERE pk = 1 AND ck = 1 IF EXISTS"), [
        "false null null null null"
      ])
      assert.deepStrictEqual(yield* lwt("INSERT INTO t (pk, ck, v) VALUES (1, 1, 5) IF NOT EXISTS"), [
        "true null null null null"
      ])
      assert.deepStrictEqual(yield* lwt("INSERT INTO t (pk, ck, v) VALUES (1, 1, 6) IF NOT EXISTS"), [
        "false 1 1 5 null"
      ])
      assert.deepStrictEqual(yield* lwt("UPDATE t SET v = 7 WHERE pk = 1 AND ck = 1 IF v = 5"), ["true 5"])
      assert.deepStrictEqual(yield* lwt("UPDATE t SET v = 8 WHERE pk = 1 AND ck = 1 IF v IN (1, 2) AND w = null"), [
        "false 7 null"
      ])
      assert.deepStrictEqual(
        yield* lwt("UPDATE t SET v = 8 WHERE pk = 1 AND ck = 1 IF v >= 7 AND v < 8 AND w = null"),
        ["true 7 null"]
      )
      assert.deepStrictEqual(yield* lwt("UPDATE t SET w = 'x' WHERE pk = 1 AND ck = 2 IF w = null"), ["true null"])
      assert.deepStrictEqual(yield* lwt("UPDATE t SET w = 'y' WHERE pk = 1 AND ck = 2 IF w != 'x'"), ["false x"])
      assert.deepStrictEqual(yield* lwt("DELETE FROM t WHERE pk = 1 AND ck = 1 IF v = 8"), ["true 8"])
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), ["1 2 null x"])
      assert.match(yield* refusal(c, "DELETE FROM t WHERE pk = 1 IF EXISTS"), /must restrict all PRIMARY KEY columns/)
      assert.match(
        yield* refusal(c, "UPDATE t SET v = 1 WHERE pk IN (1, 2) AND ck = 1 IF EXISTS"),
        /IN on the partition key/
      )
      assert.match(
        yield* refusal(c, "INSERT INTO t (pk, ck) VALUES (1, 1) IF NOT EXISTS USING TIMESTAMP 4"),
        /custom timestamp/
      )
    }))

  it.effect("the mark is on what is conditional, for those who asked for it", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int PRIMARY KEY, v int)")
      const flagsOf = Effect.fnUntraced(function*(query: string) {
        const answer = yield* c.request({ _tag: "Prepare", query })
        return answer._tag === "Prepared" ? answer.variables.flags >>> 31 : assert.fail("prepared expected")
      })
      assert.strictEqual(yield* flagsOf("UPDATE t SET v = ? WHERE pk = ? IF v = ?"), 1)
      assert.strictEqual(yield* flagsOf("UPDATE t SET v = ? WHERE pk = ?"), 0)
    }))

  it.effect("a conditional batch answers a row for each statement and is applied whole or not at all", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int, ck int, v int, PRIMARY KEY (pk, ck))")
      yield* ok(c, "INSERT INTO t (pk, ck, v) VALUES (1, 1, 10)")
      const batch = (v: number) =>
        read(
          c,
          `BEGIN BATCH UPDATE t SET v = ${v} WHERE pk = 1 AND ck = 1 IF v = 10; ` +
            "INSERT INTO t (pk, ck, v) VALUES (1, 2, 20); INSERT INTO t (pk, ck, v) VALUES (1, 3, 30) IF NOT EXISTS APPLY BATCH"
        )
      assert.deepStrictEqual(yield* batch(11), ["true 1 1 10", "true 1 null null", "true null null null"])
      assert.deepStrictEqual(yield* batch(12), ["false 1 1 11", "false 1 null null", "false 1 3 30"])
      assert.deepStrictEqual(yield* read(c, "SELECT ck, v FROM t WHERE pk = 1"), ["1 11", "2 20", "3 30"])
      assert.match(
        yield* refusal(
          c,
          "BEGIN BATCH UPDATE t SET v = 1 WHERE pk = 1 AND ck = 1 IF v = 1; DELETE FROM t WHERE pk = 2 APPLY BATCH"
        ),
        /cannot span multiple partitions/
      )
    }))
})

describe("batches", () => {
  it.effect("of texts and of prepared statements, each with values of its own", () =>
    Effect.gen(function*() {
      const c = yield* client(
        "CREATE TABLE t (pk int PRIMARY KEY, v text)",
        "CREATE TABLE n (pk int PRIMARY KEY, c counter)"
      )
      const prepared = yield* c.request({ _tag: "Prepare", query: "INSERT INTO t (pk, v) VALUES (?, ?)" })
      const select = yield* c.request({ _tag: "Prepare", query: "SELECT * FROM t" })
      if (prepared._tag !== "Prepared" || select._tag !== "Prepared") return assert.fail("prepared expected")
      const batch = (entries: ReadonlyArray<Request.BatchEntry>, kind: Request.BatchKind = "logged") =>
        c.request({ _tag: "Batch", kind, entries, options: { consistency: "QUORUM" } })
      const done = yield* batch([
        { _tag: "Prepared", id: prepared.id, values: [int(1), text("a")] },
        { _tag: "Text", query: "INSERT INTO ks.t (pk, v) VALUES (?, 'b')", values: [int(2)] },
        { _tag: "Text", query: "DELETE FROM t WHERE pk = 3", values: [] }
      ])
      assert.strictEqual(done._tag, "Void")
      assert.deepStrictEqual((yield* read(c, "SELECT * FROM t")).sort(), ["1 a", "2 b"])
      assert.strictEqual((yield* batch([]))._tag, "Void")
      const count = yield* batch([{ _tag: "Prepared", id: prepared.id, values: [int(1)] }])
      assert.strictEqual(errorOf(count).message, "There were 2 markers(?) in CQL but 1 bound variables")
      const wrong = yield* batch([{ _tag: "Prepared", id: select.id, values: [] }])
      assert.match(errorOf(wrong).message, /only UPDATE, INSERT and DELETE/)
      assert.strictEqual(errorOf(yield* batch([{ _tag: "Prepared", id: new Uint8Array(16), values: [] }])).code, 0x2500)
      const mixed = yield* batch([
        { _tag: "Text", query: "INSERT INTO t (pk, v) VALUES (9, 'b')", values: [] },
        { _tag: "Text", query: "UPDATE n SET c = c + 1 WHERE pk = 1", values: [] }
      ], "unlogged")
      assert.match(errorOf(mixed).message, /Counter and non-counter mutations/)
      yield* ok(c, "CREATE TABLE o (pk int PRIMARY KEY)")
      const two = yield* c.request({
        _tag: "Prepare",
        query: "BEGIN BATCH INSERT INTO t (pk, v) VALUES (?, 'x'); INSERT INTO o (pk) VALUES (?) APPLY BATCH"
      })
      if (two._tag !== "Prepared") return assert.fail("prepared expected")
      assert.deepStrictEqual(two.variables.columns.map((column) => `${column.table}.${column.name}`), ["t.pk", "o.pk"])
      // Nothing of a batch that is refused was written.
      assert.deepStrictEqual((yield* read(c, "SELECT pk FROM t")).sort(), ["1", "2"])
    }))
})

describe("variables", () => {
  it.effect("a name that is used twice is one variable, values may come by name", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int PRIMARY KEY, v int, w int)")
      const prepared = yield* c.request({ _tag: "Prepare", query: "INSERT INTO t (pk, v, w) VALUES (:a, :b, :a)" })
      if (prepared._tag !== "Prepared") return assert.fail("prepared expected")
      assert.deepStrictEqual(prepared.variables.columns.map((column) => column.name), ["a", "b"])
      yield* c.request({
        _tag: "Execute",
        id: prepared.id,
        options: { consistency: "ONE" },
        values: { values: [int(2), int(1)], names: ["b", "a"] }
      })
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), ["1 2 1"])
      const missing = yield* c.request({
        _tag: "Execute",
        id: prepared.id,
        options: { consistency: "ONE" },
        values: { values: [int(2)], names: ["b"] }
      })
      assert.strictEqual(errorOf(missing).message, "Invalid amount of bind variables: expected 2 received 1")
      const other = yield* c.request({
        _tag: "Execute",
        id: prepared.id,
        options: { consistency: "ONE" },
        values: { values: [int(2), int(1)], names: ["b", "c"] }
      })
      assert.strictEqual(errorOf(other).message, "Missing value for bind marker with name: a")
      // Positions of the key, in the key's order, whatever the order of the text.
      yield* ok(c, "CREATE TABLE k (a int, b text, v int, PRIMARY KEY ((a, b)))")
      const keys = yield* c.request({ _tag: "Prepare", query: "UPDATE k SET v = ? WHERE b = ? AND a = ?" })
      assert.deepStrictEqual(keys._tag === "Prepared" && keys.variables.partitionKey, [2, 1])
      const half = yield* c.request({ _tag: "Prepare", query: "UPDATE k SET v = ? WHERE b = 'x' AND a = ?" })
      assert.deepStrictEqual(half._tag === "Prepared" && half.variables.partitionKey, [])
    }))
})

describe("schema", () => {
  it.effect("tables are described as they were made", () =>
    Effect.gen(function*() {
      const c = yield* client(
        'CREATE TYPE "Addr" (street text, tags frozen<set<text>>)',
        'CREATE TABLE t (a int, "B" text, c timeuuid, v list<int>, x frozen<map<text, frozen<"Addr">>>, PRIMARY KEY ((a, "B"), c)) ' +
          "WITH CLUSTERING ORDER BY (c DESC) AND comment = 'it''s' AND gc_grace_seconds = 7"
      )
      assert.deepStrictEqual(
        yield* read(
          c,
          "SELECT column_name, kind, position, clustering_order, type FROM system_schema.columns WHERE keyspace_name = 'ks' AND table_name = 't'"
        ),
        [
          "B partition_key 1 none text",
          "a partition_key 0 none int",
          "c clustering 0 desc timeuuid",
          "v regular -1 none list<int>",
          'x regular -1 none frozen<map<text, frozen<"Addr">>>'
        ]
      )
      assert.deepStrictEqual(
        yield* read(
          c,
          "SELECT comment, gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = 'ks' AND table_name = 't'"
        ),
        ["it's 7"]
      )
      assert.deepStrictEqual(
        yield* read(c, "SELECT type_name, field_types FROM system_schema.types WHERE keyspace_name = ?", [text("ks")]),
        [
          "Addr text,frozen<set<text>>"
        ]
      )
      const [keyspace] = rowsOf(yield* c.query("SELECT * FROM system_schema.keyspaces WHERE keyspace_name = 'ks'"))
      assert.deepStrictEqual(
        keyspace!["replication"],
        new Map([
          ["class", "org.apache.cassandra.locator.NetworkTopologyStrategy"],
          ["datacenter1", "3"]
        ])
      )
      assert.match(yield* refusal(c, 'DROP TYPE "Addr"'), /still used by table ks.t/)
    }))

  it.effect("columns come and go, and what was dropped does not come back", () =>
    Effect.gen(function*() {
      const c = yield* client("CREATE TABLE t (pk int PRIMARY KEY, v text)")
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 'x')")
      yield* ok(c, "ALTER TABLE t ADD (a int, z int)")
      yield* ok(c, "UPDATE t SET a = 4 WHERE pk = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), ["1 4 x null"])
      yield* ok(c, "ALTER TABLE t DROP v")
      yield* ok(c, "ALTER TABLE t ADD v text")
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM t"), ["1 4 null null"])
      assert.deepStrictEqual(
        yield* read(c, "SELECT column_name, type FROM system_schema.dropped_columns WHERE keyspace_name = 'ks'"),
        ["v text"]
      )
      assert.match(yield* refusal(c, "ALTER TABLE t DROP pk"), /PRIMARY KEY part pk/)
      assert.match(yield* refusal(c, "ALTER TABLE t ADD a int"), /conflicts with an existing column/)
    }))

  it.effect("what foreign clients ask at connect is answered, or refused as ScyllaDB refuses it", () =>
    Effect.gen(function*() {
      const c = yield* client()
      for (
        const query of [
          "SELECT * FROM system.local WHERE key='local'",
          "select * from system.local where key = 'local'",
          "SELECT cluster_name FROM system.local",
          "SELECT host_id, rpc_address, data_center, rack, tokens FROM system.peers",
          "SELECT host_id, rpc_address, data_center, rack, tokens, cluster_name FROM system.local WHERE key='local'",
          "SELECT keyspace_name, replication, durable_writes FROM system_schema.keyspaces USING TIMEOUT 5s",
          "SELECT keyspace_name, type_name, field_names, field_types FROM system_schema.types",
          "SELECT keyspace_name, table_name FROM system_schema.tables",
          "SELECT keyspace_name, table_name, column_name, kind, position, type FROM system_schema.columns",
          "SELECT keyspace_name, view_name, base_table_name FROM system_schema.views",
          "SELECT keyspace_name, table_name, partitioner FROM system_schema.scylla_tables",
          "SELECT keyspace_name, initial_tablets FROM system_schema.scylla_keyspaces",
          ...["functions", "aggregates", "indexes", "triggers"].map((name) => `SELECT * FROM system_schema.${name}`)
        ]
      ) {
        const prepared = yield* c.request({ _tag: "Prepare", query })
        if (prepared._tag !== "Prepared") return assert.fail(query)
        const answer = yield* c.request({
          _tag: "Execute",
          id: prepared.id,
          options: { consistency: "ONE", pageSize: 5000 }
        })
        assert.strictEqual(answer._tag, "Rows", query)
      }
      assert.strictEqual(yield* refusal(c, "SELECT * FROM system.peers_v2"), "unconfigured table peers_v2")
      assert.strictEqual(
        yield* refusal(c, "SELECT * FROM system_virtual_schema.keyspaces"),
        "Keyspace system_virtual_schema does not exist"
      )
    }))
})

describe("what is refused", () => {
  const CASES: ReadonlyArray<readonly [query: string, message: RegExp]> = [
    ["SELECT v FROM t WHERE v = 1", /ALLOW FILTERING/],
    ["SELECT v FROM t WHERE pk > 1", /Only EQ and IN relation are supported on the partition key/],
    ["SELECT v FROM t WHERE pk = 1 AND dk = 1", /preceding column "ck" is not restricted/],
    ["SELECT v FROM t WHERE pk = 1 AND ck > 1 AND dk = 1", /preceding column "ck" is restricted by a non-EQ relation/],
    ["SELECT v FROM t WHERE m CONTAINS 1", /ALLOW FILTERING/],
    ["SELECT fromJson(v) FROM t", /^not simulated: /],
    ["SELECT v FROM t ORDER BY ck", /ORDER BY is only supported when the partition key is restricted/],
    ["SELECT v FROM t WHERE pk = 1 ORDER BY dk", /column ck doesn't have an ordering or EQ relation/],
    ["SELECT v FROM t WHERE pk = 1 ORDER BY ck ASC, dk DESC", /Unsupported order by relation/],
    ["SELECT nope FROM t", /Unrecognized name nope/],
    ["INSERT INTO t (pk, ck, dk, v) VALUES (1, 1, 1, 'x')", /Invalid STRING constant \(x\) for "v" of type int/],
    [
      "INSERT INTO t (pk, ck, dk) VALUES (1, 1, 99999999999)",
      /Value out of range for type org.apache.cassandra.db.marshal.Int32Type: '99999999999'/
    ],
    ["INSERT INTO t (pk, ck) VALUES (1, 1)", /Missing mandatory PRIMARY KEY part dk/],
    ["INSERT INTO t (pk, ck, dk, v) VALUES (1, 1, 1)", /Unmatched column names\/values/],
    ["INSERT INTO t (pk, ck, dk, v) VALUES (1, 1, 1, now())", /cannot assign result of function system.now/],
    ["INSERT INTO t JSON '{}'", /Missing mandatory PRIMARY KEY part pk/],
    ["UPDATE t SET v = 1 WHERE pk = 1", /Missing mandatory PRIMARY KEY part/],
    ["UPDATE t SET ck = 1 WHERE pk = 1 AND ck = 1 AND dk = 1", /PRIMARY KEY part ck found in SET part/],
    ["DELETE FROM t WHERE ck = 1", /ALLOW FILTERING|Missing mandatory/],
    ["CREATE TABLE x (pk list<int> PRIMARY KEY)", /non-frozen collection/],
    ["CREATE TABLE x (pk int PRIMARY KEY, v vector<float, 3>)", /./],
    ["CREATE TABLE x (pk int PRIMARY KEY, v nope)", /Unknown type ks.nope/],
    ["CREATE TABLE x (pk int PRIMARY KEY) WITH cdc = {'enabled': true, 'nonsense': 1}", /nonsense/],
    ["CREATE TABLE x (pk int PRIMARY KEY) WITH nonsense = 1", /Unknown property 'nonsense'/],
    ["CREATE TABLE x (pk int)", /No PRIMARY KEY/],
    ["CREATE TABLE x (select int PRIMARY KEY)", /no viable alternative at input 'select'/],
    ["CREATE TABLE nope.x (pk int PRIMARY KEY)", /^Cannot create a table in a non-existent keyspace: nope$/],
    [
      "CREATE KEYSPACE x WITH replication = {'class': 'NetworkTopologyStrategy', 'mars': 1}",
      /Unrecognized strategy option \{mars\}/
    ],
    [
      "CREATE KEYSPACE x WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} AND tablets = {'enabled': true}",
      /^SimpleStrategy doesn't support tablet replication/
    ],
    ["CREATE MATERIALIZED VIEW x AS SELECT * FROM t", /^line 1:0 : Syntax error$/],
    ["CREATE ROLE x", /^You have to be logged in/],
    ["GRANT ALL ON KEYSPACE ks TO x", /^You have to be logged in/],
    ["DESCRIBE TABLE nope", /nope/],
    ["DROP TABLE nope", /Cannot drop non existing table 'nope' in keyspace 'ks'/],
    ["DROP KEYSPACE nope", /Cannot drop non existing keyspace 'nope'/],
    ["SELECT * FROM nope.t", /Keyspace nope does not exist/],
    [
      "SELECT * FROM t WHERE pk IN (" + Array.from({ length: 101 }, (_, i) => i).join() + ")",
      /cartesian product of IN list 101 is greater than maximum 100/
    ]
  ]

  it.effect("with an error of the server's, and never with an answer", () =>
    Effect.gen(function*() {
      const c = yield* client(
        "CREATE TABLE t (pk int, ck int, dk int, v int, m map<int, int>, PRIMARY KEY (pk, ck, dk))"
      )
      for (const [query, message] of CASES) {
        const answer = yield* c.query(query)
        const { code, message: text } = errorOf(answer)
        assert.match(text, message, query)
        assert.include([0, 0x2000, 0x2100, 0x2200, 0x2300], code, `${query}: ${text}`)
      }
      const level = yield* c.query("SELECT * FROM t", { consistency: "ANY" })
      assert.strictEqual(errorOf(level).message, "ANY ConsistencyLevel is only supported for writes")
      const serial = yield* c.query("INSERT INTO t (pk, ck, dk) VALUES (1, 1, 1)", { consistency: "SERIAL" })
      assert.strictEqual(errorOf(serial).message, "You must use conditional updates for serializable writes")
      const scan = yield* c.query("SELECT * FROM t", { consistency: "SERIAL" })
      assert.match(errorOf(scan).message, /one partition at a time/)
    }))

  it.effect("without a keyspace, and with the wrong number of values", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ transport: "memory" })
      const c = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* c.startup()
      assert.match(yield* refusal(c, "SELECT * FROM t"), /No keyspace has been specified/)
      assert.strictEqual(
        yield* refusal(c, "SELECT * FROM system.local WHERE key = ?", []),
        "Invalid amount of bind variables: expected 1 received 0"
      )
    }))
})
