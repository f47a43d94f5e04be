import * as Idempotence from "@effect-scylla/driver/Idempotence"
import { describe, expect, it } from "@effect/vitest"

const certain: ReadonlyArray<string> = [
  "INSERT INTO t (k, v) VALUES (?, ?)",
  "insert into ks.t (k, \"V\") values (1, 'it''s') using ttl 60 and timestamp 5;",
  "INSERT INTO t (k, v) VALUES (:k, :v) USING TIMESTAMP ?",
  "INSERT INTO t (a, b, c, d) VALUES ({1, 2}, (['x'], 1), {'a': 1, 'b': -2.5e-3}, {street: 'x', zip: 1})",
  "INSERT INTO t (a, b) VALUES (550e8400-e29b-41d4-a716-446655440000, 0xcafe)",
  "INSERT INTO t (a, b, c, d) VALUES (1h30m, P1Y2M, true, null)",
  "INSERT INTO t (a, b) VALUES ((1, 'x'), $$a b$$)",
  "INSERT INTO t (a) VALUES ({}) -- done",
  "INSERT INTO t (a, b) VALUES (NaN, -1)",
  "UPDATE t SET v = ? WHERE k = ?",
  "UPDATE ks.t USING TTL ? SET a = 1, b.field = 'x' WHERE k = 1 AND c IN (1, 2)",
  "UPDATE t SET v = {} WHERE (a, b) = (1, 2) AND c = ['x']",
  "DELETE FROM t WHERE k = ?",
  "DELETE a, b FROM ks.t USING TIMESTAMP 1 WHERE k = 1 AND c > 2 AND c <= 5",
  "DELETE FROM t WHERE k IN ?",
  "BEGIN BATCH INSERT INTO t (k) VALUES (1); UPDATE t SET v = 1 WHERE k = 2 APPLY BATCH",
  "BEGIN UNLOGGED BATCH USING TIMESTAMP 5 DELETE FROM t WHERE k = 1; APPLY BATCH;",
  "/* why */ DELETE FROM t WHERE k = 1 // end"
]

const uncertain: Readonly<Record<string, string>> = {
  "a condition": "INSERT INTO t (k) VALUES (1) IF NOT EXISTS",
  "a condition of an update": "UPDATE t SET v = 1 WHERE k = 1 IF v = 2",
  "a condition of a delete": "DELETE FROM t WHERE k = 1 IF EXISTS",
  "a function": "INSERT INTO t (k, v) VALUES (1, now())",
  "a function of a value": "INSERT INTO t (k, v) VALUES (1, blobAsInt(0x01))",
  "a function in a collection": "INSERT INTO t (k, v) VALUES (1, {'a': uuid()})",
  "a function in a relation": "DELETE FROM t WHERE k = 1 AND c < maxTimeuuid('2020-01-01')",
  "a token": "DELETE FROM t WHERE token(k) = 1",
  "a counter": "UPDATE t SET n = n + 1 WHERE k = 1",
  "a counter that falls": "UPDATE t SET n = n - ? WHERE k = 1",
  "a counter, shorter": "UPDATE t SET n += 1 WHERE k = 1",
  "something appended": "UPDATE t SET l = l + ['x'] WHERE k = 1",
  "something prepended": "UPDATE t SET l = ['x'] + l WHERE k = 1",
  "something taken away": "UPDATE t SET l = l - ? WHERE k = 1",
  "an element": "UPDATE t SET l[0] = 1 WHERE k = 1",
  "an element that may be of a map": "UPDATE t SET m['a'] = 1 WHERE k = 1",
  "an element that is deleted": "DELETE l[0] FROM t WHERE k = 1",
  "a cast": "INSERT INTO t (k) VALUES ((int) ?)",
  "arithmetic": "INSERT INTO t (k) VALUES (1 + 2)",
  "a list": "UPDATE t SET l = ['x'] WHERE k = 1",
  "an empty list, or a vector": "INSERT INTO t (k, l) VALUES (1, [])",
  "what may be a list": "INSERT INTO t JSON ?",
  "what may be a list, in a text": `INSERT INTO t JSON '{"k": 1}' DEFAULT UNSET`,
  "a counter batch": "BEGIN COUNTER BATCH UPDATE t SET n = n + 1 WHERE k = 1 APPLY BATCH",
  "one of a batch": "BEGIN BATCH INSERT INTO t (k) VALUES (1); UPDATE t SET n = n + 1 WHERE k = 1 APPLY BATCH",
  "a batch with a condition": "BEGIN BATCH INSERT INTO t (k) VALUES (1) IF NOT EXISTS APPLY BATCH",
  "a batch without an end": "BEGIN BATCH INSERT INTO t (k) VALUES (1)",
  "a read": "SELECT * FROM t",
  "DDL": "DROP TABLE t",
  "two statements": "DELETE FROM t WHERE k = 1; DELETE FROM t WHERE k = 2",
  "half a statement": "INSERT INTO t (k) VALUES (1",
  "no CQL": "DELETE FROM t WHERE k = #",
  "nothing": "",
  "an open string": "INSERT INTO t (k) VALUES ('1)",
  "what is too long to be read": `INSERT INTO t (k) VALUES ('${"x".repeat(70_000)}')`
}

describe("Idempotence", () => {
  it.each(certain)("is certain of %s", (text) => {
    expect(Idempotence.isCertain(text)).toBe(true)
  })
  it.each(Object.entries(uncertain))("is not certain of %s", (_, text) => {
    expect(Idempotence.isCertain(text)).toBe(false)
  })
  it("reads a text of any size in time", () => {
    expect(Idempotence.isCertain(`INSERT INTO t (k) VALUES (${"(".repeat(20_000)}`)).toBe(false)
    expect(Idempotence.isCertain("-".repeat(60_000))).toBe(false)
  })
})
