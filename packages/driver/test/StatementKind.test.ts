import { StatementKind } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"

describe("StatementKind", () => {
  const cases: ReadonlyArray<readonly [string, Partial<StatementKind.StatementKind>]> = [
    ["SELECT * FROM t", { type: "read", isConditional: false }],
    ["select if FROM t", { type: "read", isConditional: false }],
    ["  -- IF in a comment\n INSERT INTO t (a) VALUES (1)", {
      type: "write",
      isConditional: false,
      isSinglePartition: true
    }],
    ["/* UPDATE */ DELETE FROM t WHERE a = 1 // IF", { type: "write", isConditional: false, isSinglePartition: true }],
    ["INSERT INTO t (a) VALUES ('IF NOT EXISTS')", { type: "write", isConditional: false }],
    ["INSERT INTO t (a) VALUES ('it''s IF')", { type: "write", isConditional: false }],
    ['INSERT INTO t ("IF") VALUES (1)', { type: "write", isConditional: false }],
    ["INSERT INTO t (a) VALUES ($$ IF $$)", { type: "write", isConditional: false }],
    ["INSERT INTO t (a) VALUES (1) IF NOT EXISTS", { type: "write", isConditional: true }],
    ["UPDATE t SET a = 1 WHERE b = 2 if a = 3", { type: "write", isConditional: true, isSinglePartition: true }],
    ["UPDATE t SET a = 1 WHERE b IN (2, 3)", { type: "write", isConditional: false, isSinglePartition: false }],
    ["UPDATE t SET a = 'IN' WHERE b = 2", { type: "write", isSinglePartition: true }],
    ["DELETE FROM t WHERE b IN ?", { type: "write", isSinglePartition: false }],
    ["BEGIN BATCH INSERT INTO t (a) VALUES (1) APPLY BATCH", { type: "batch", batch: "logged", isConditional: false }],
    ["BEGIN UNLOGGED BATCH UPDATE t SET a = 1 WHERE b = 1 IF a = 2 APPLY BATCH", {
      type: "batch",
      batch: "unlogged",
      isConditional: true
    }],
    ["begin counter batch apply batch", { type: "batch", batch: "counter" }],
    ["UPDATE t SET n = n + 1 WHERE id = 2", { type: "write", isCounter: true }],
    ['update t set "N"="N"-12 where id=?', { type: "write", isCounter: true }],
    ["UPDATE t USING TTL 5 SET a = 'n = n + 1', n += 3 WHERE id = 2", { isCounter: true }],
    ["UPDATE t SET l = l + [1], m = m + {'a': 1} WHERE id = 2", { isCounter: false }],
    ["UPDATE t SET l = l + ? WHERE id = 2", { isCounter: false }],
    ["UPDATE t SET v = -1 WHERE id = 2 AND c = 1 - 1", { isCounter: false }],
    ["UPDATE t SET n = m + 1 WHERE id = 2", { isCounter: false }],
    ["begin counter batch apply batch", { isCounter: true }],
    ["DESCRIBE TABLE ks.t", { type: "read", isConditional: false }],
    ["LIST ROLES", { type: "read" }],
    ["CREATE TABLE IF NOT EXISTS t (a int PRIMARY KEY)", { type: "schema", isConditional: false }],
    ["TRUNCATE t", { type: "schema" }],
    ["USE ks", { type: "use" }],
    ["EXPLAIN everything", { type: "other" }],
    ["", { type: "other", isSinglePartition: false }]
  ]
  it.each(cases)("%s", (text, expected) => {
    const kind = StatementKind.of(text)
    for (const [key, value] of Object.entries(expected)) {
      assert.strictEqual(kind[key as keyof StatementKind.StatementKind], value, `${text}: ${key}`)
    }
  })

  it("knows bind variables from what looks like them", () => {
    const some = [
      "SELECT * FROM t WHERE a = ?",
      "SELECT * FROM t WHERE a = :key",
      'UPDATE t SET a = : "Key" WHERE b = 1',
      "INSERT INTO t (a) VALUES ({'x':?})",
      "INSERT INTO t (a) VALUES ({'x':trueish})",
      "BEGIN BATCH DELETE FROM t WHERE a = ?; APPLY BATCH"
    ]
    const none = [
      "SELECT * FROM t",
      "SELECT * FROM t WHERE a = '?' AND b = ':c'",
      'SELECT "a?" FROM t -- ?\n WHERE b = 1 /* :c */ // ?',
      "INSERT INTO t (a) VALUES ({'x': true, 'y':NULL, 'z': now(), 'w': 1, v: 'u'})",
      "INSERT INTO t (a) VALUES ($$ ? :b $$)",
      "CREATE KEYSPACE k WITH tablets = {'enabled': off}",
      "TRUNCATE t -- ?"
    ]
    for (const text of some) assert.isTrue(StatementKind.hasVariables(text), text)
    for (const text of none) assert.isFalse(StatementKind.hasVariables(text), text)
  })
})
