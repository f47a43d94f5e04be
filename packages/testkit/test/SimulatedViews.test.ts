/** Materialized views and the log of changes: what follows from writes to a table. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { rowsOf } from "./rawClient.ts"
import { clientOf, ok, read, refusal } from "./statements.ts"

const TABLE = "CREATE TABLE t (k int, c int, v int, w text, PRIMARY KEY (k, c))"
const BY_V =
  "CREATE MATERIALIZED VIEW by_v AS SELECT * FROM t WHERE v IS NOT NULL AND k IS NOT NULL AND c IS NOT NULL " +
  "PRIMARY KEY (v, k, c)"

for (const product of ["scylla", "cassandra"] as const) {
  describe(`materialized views of ${product}`, () => {
    it.effect("show the table as it is", () =>
      Effect.gen(function*() {
        const c = yield* clientOf({ product }, TABLE, "INSERT INTO t (k, c, v, w) VALUES (1, 1, 5, 'before')", BY_V)
        // What was there before the view is in it, too.
        assert.deepStrictEqual(yield* read(c, "SELECT v, k, c, w FROM by_v"), ["5 1 1 before"])
        yield* ok(c, "INSERT INTO t (k, c, v, w) VALUES (1, 2, 5, 'x')")
        assert.deepStrictEqual(yield* read(c, "SELECT k, c, w FROM by_v WHERE v = 5"), ["1 1 before", "1 2 x"])
        // A row moves with the column that is its key there.
        yield* ok(c, "UPDATE t SET v = 6 WHERE k = 1 AND c = 2")
        assert.deepStrictEqual(yield* read(c, "SELECT c FROM by_v WHERE v = 5"), ["1"])
        assert.deepStrictEqual(yield* read(c, "SELECT c, w FROM by_v WHERE v = 6"), ["2 x"])
        yield* ok(c, "DELETE v FROM t WHERE k = 1 AND c = 2")
        assert.deepStrictEqual(yield* read(c, "SELECT c FROM by_v WHERE v = 6"), [])
        yield* ok(c, "DELETE FROM t WHERE k = 1 AND c = 1")
        assert.deepStrictEqual(yield* read(c, "SELECT * FROM by_v"), [])
      }))

    it.effect("lose what expires, and columns that are added to the table are in views of all of it", () =>
      Effect.gen(function*() {
        const c = yield* clientOf({ product }, TABLE, BY_V, "INSERT INTO t (k, c, v) VALUES (1, 1, 5) USING TTL 10")
        assert.deepStrictEqual(yield* read(c, "SELECT c FROM by_v WHERE v = 5"), ["1"])
        yield* TestClock.adjust("11 seconds")
        assert.deepStrictEqual(yield* read(c, "SELECT c FROM by_v WHERE v = 5"), [])
        yield* ok(c, "ALTER TABLE t ADD a int")
        yield* ok(c, "INSERT INTO t (k, c, v, a) VALUES (1, 1, 5, 9)")
        assert.deepStrictEqual(yield* read(c, "SELECT a FROM by_v WHERE v = 5"), ["9"])
        assert.deepStrictEqual(
          yield* read(c, "SELECT view_name, base_table_name FROM system_schema.views WHERE keyspace_name = 'ks'"),
          ["by_v t"]
        )
      }))

    it.effect("are not written, and their tables stay while they are there", () =>
      Effect.gen(function*() {
        const c = yield* clientOf({ product }, TABLE, BY_V)
        for (
          const statement of [
            "INSERT INTO by_v (v, k, c) VALUES (1, 1, 1)",
            "UPDATE by_v SET w = 'x' WHERE v = 1 AND k = 1 AND c = 1",
            "DELETE FROM by_v WHERE v = 1",
            "TRUNCATE by_v",
            "DROP TABLE t",
            "DROP TABLE by_v",
            "ALTER TABLE t DROP v",
            "CREATE MATERIALIZED VIEW bad AS SELECT * FROM t WHERE v IS NOT NULL AND k IS NOT NULL PRIMARY KEY (v, k)"
          ]
        ) assert.notMatch(yield* refusal(c, statement), /^not simulated/, statement)
        yield* ok(c, "DROP MATERIALIZED VIEW by_v")
        yield* ok(c, "DROP TABLE t")
      }))
  })
}

describe("the log of changes", () => {
  const LOGGED = `${TABLE} WITH cdc = {'enabled': true, 'preimage': true, 'postimage': true}`
  it.effect("has a row of each change, with the row before and behind it", () =>
    Effect.gen(function*() {
      const c = yield* clientOf({}, LOGGED)
      const log = () => read(c, 'SELECT "cdc$operation", k, c, v, w, "cdc$deleted_v" FROM t_scylla_cdc_log')
      yield* ok(c, "INSERT INTO t (k, c, v) VALUES (1, 2, 3)")
      assert.deepStrictEqual(yield* log(), ["2 1 2 3 null null", "9 1 2 3 null null"])
      yield* ok(c, "TRUNCATE t_scylla_cdc_log")
      yield* ok(c, "UPDATE t SET v = null, w = 'x' WHERE k = 1 AND c = 2")
      assert.deepStrictEqual(yield* log(), ["0 1 2 3 null null", "1 1 2 null x true", "9 1 2 null x null"])
      yield* ok(c, "TRUNCATE t_scylla_cdc_log")
      yield* ok(c, "DELETE FROM t WHERE k = 1 AND c = 2")
      const rows = yield* log()
      assert.deepStrictEqual(rows, ["0 1 2 null x null", "3 1 2 null null null"])
    }))

  it.effect("numbers the rows of a batch, and writes none where nothing was applied", () =>
    Effect.gen(function*() {
      const c = yield* clientOf({}, TABLE + " WITH cdc = {'enabled': true}")
      yield* ok(
        c,
        "BEGIN BATCH INSERT INTO t (k, c, v) VALUES (1, 1, 1); INSERT INTO t (k, c, v) VALUES (1, 2, 2) APPLY BATCH"
      )
      const rows = rowsOf(
        yield* c.query('SELECT "cdc$time", "cdc$batch_seq_no", "cdc$end_of_batch", c FROM t_scylla_cdc_log')
      )
      assert.deepStrictEqual(rows.map((row) => [row["cdc$batch_seq_no"], row["c"]]), [[0, 1], [1, 2]])
      assert.deepStrictEqual(rows[0]!["cdc$time"], rows[1]!["cdc$time"])
      assert.isTrue(rows[1]!["cdc$end_of_batch"])
      yield* ok(c, "INSERT INTO t (k, c, v) VALUES (1, 1, 1) IF NOT EXISTS")
      assert.strictEqual((yield* read(c, "SELECT k FROM t_scylla_cdc_log")).length, 2)
      // It lasts until it is switched off.
      yield* ok(c, "ALTER TABLE t WITH cdc = {'enabled': false}")
      yield* ok(c, "INSERT INTO t (k, c, v) VALUES (9, 9, 9)")
      assert.strictEqual((yield* read(c, "SELECT k FROM t_scylla_cdc_log")).length, 2)
    }))
})
