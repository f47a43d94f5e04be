import { RequestKind } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"

const update = (UpdateExpression: string, more = {}) =>
  RequestKind.isIdempotent("UpdateItem", { UpdateExpression, ...more })

describe("RequestKind", () => {
  it.each([
    "SET a = :a",
    "set #a = :a, b.c = :b REMOVE d, e.f",
    "SET a = if_not_exists(a, :a)",
    "SET #a.b = if_not_exists ( #a.b , :a ), c = :c",
    "REMOVE a",
    "DELETE tags :t",
    "SET a = :a DELETE tags :t"
  ])("%j may be applied twice", (expression) => {
    assert.isTrue(update(expression))
  })

  it.each([
    "ADD n :one",
    "SET n = n + :one",
    "SET n = :one + n",
    "SET n = if_not_exists(n, :zero) + :one",
    "SET a = b, b = a",
    "SET a = if_not_exists(b, :a)",
    "SET l = list_append(l, :x)",
    "SET l[5] = :x",
    "REMOVE l[0]",
    "SET a = :a ADD n :one",
    "a = :a",
    "SET a",
    "SET a = :a !"
  ])("%j may not", (expression) => {
    assert.isFalse(update(expression))
  })

  it("conditions and old values make a write one that may not be repeated", () => {
    assert.isTrue(RequestKind.isIdempotent("PutItem", {}))
    assert.isTrue(RequestKind.isIdempotent("PutItem", { ReturnValues: "NONE" }))
    assert.isFalse(RequestKind.isIdempotent("PutItem", { ReturnValues: "ALL_OLD" }))
    assert.isFalse(RequestKind.isIdempotent("PutItem", { ConditionExpression: "attribute_exists(a)" }))
    assert.isFalse(RequestKind.isIdempotent("DeleteItem", { Expected: { a: { Exists: false } } }))
    assert.isTrue(update("SET a = :a", { ReturnValues: "ALL_NEW" }))
    assert.isFalse(update("SET a = :a", { ReturnValues: "UPDATED_OLD" }))
    assert.isFalse(update("SET a = :a", { ConditionExpression: "a = :b" }))
    assert.isTrue(RequestKind.isIdempotent("UpdateItem", { AttributeUpdates: { a: { Action: "PUT" } } }))
    assert.isFalse(RequestKind.isIdempotent("UpdateItem", { AttributeUpdates: { a: { Action: "ADD" } } }))
    assert.isTrue(RequestKind.isIdempotent("BatchWriteItem", {}))
    assert.isFalse(RequestKind.isIdempotent("CreateTable", {}))
    assert.isTrue(RequestKind.isIdempotent("Scan", {}))
  })

  it("reads before writes are those of Alternator's rule", () => {
    const rmw = RequestKind.isReadModifyWrite
    for (const operation of ["PutItem", "DeleteItem"]) {
      assert.isFalse(rmw(operation, {}))
      assert.isFalse(rmw(operation, { ConditionExpression: "", Expected: {}, ReturnValues: "NONE" }))
      assert.isTrue(rmw(operation, { ConditionExpression: "a = :a" }))
      assert.isTrue(rmw(operation, { Expected: { a: {} } }))
      assert.isTrue(rmw(operation, { ReturnValues: "ALL_OLD" }))
    }
    assert.isFalse(rmw("UpdateItem", {}))
    assert.isFalse(rmw("UpdateItem", { ReturnValues: "UPDATED_NEW" }))
    assert.isTrue(rmw("UpdateItem", { UpdateExpression: "SET a = :a" }))
    for (const ReturnValues of ["ALL_OLD", "UPDATED_OLD", "ALL_NEW"]) assert.isTrue(rmw("UpdateItem", { ReturnValues }))
    assert.isFalse(rmw("UpdateItem", { AttributeUpdates: { a: { Action: "PUT", Value: 1 }, b: { Action: "DELETE" } } }))
    assert.isTrue(rmw("UpdateItem", { AttributeUpdates: { a: { Action: "ADD", Value: 1 } } }))
    assert.isTrue(rmw("UpdateItem", { AttributeUpdates: { a: { Action: "DELETE", Value: 1 } } }))
    assert.isFalse(rmw("GetItem", { ConditionExpression: "x" }))
    assert.isFalse(rmw("BatchWriteItem", {}))
  })
})
