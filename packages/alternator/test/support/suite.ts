/** The operations that every client must do the same, whichever it is and whatever it talks to. */
import { assert } from "@effect/vitest"

/** A DynamoDB client reduced to names and plain DynamoDB JSON-like values of the suite. */
export interface Operator {
  /** Sends an operation; values of items are plain. Rejects with an error whose `type` is the server's word. */
  readonly send: (operation: string, input: any) => Promise<any>
}

export const operations = async (client: Operator, table: string): Promise<void> => {
  const { send } = client
  const failure = async (promise: Promise<unknown>): Promise<string> => {
    try {
      await promise
    } catch (error) {
      return (error as { readonly type: string }).type
    }
    return "none"
  }
  const created = await send("CreateTable", {
    TableName: table,
    KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
    AttributeDefinitions: [
      { AttributeName: "pk", AttributeType: "S" },
      { AttributeName: "sk", AttributeType: "N" }
    ],
    BillingMode: "PAY_PER_REQUEST"
  })
  assert.strictEqual(created.TableDescription.TableName, table)
  for (let i = 0; i < 200; i++) {
    const { Table } = await send("DescribeTable", { TableName: table })
    if (Table.TableStatus === "ACTIVE") break
    assert.isBelow(i, 199, "the table became active")
  }
  assert.include((await send("ListTables", {})).TableNames, table)

  const item = { pk: "é", sk: 1, text: "hello", flag: true, none: null, list: [1, "a"], map: { deep: { n: 2 } } }
  await send("PutItem", { TableName: table, Item: item })
  const read = await send("GetItem", { TableName: table, Key: { pk: "é", sk: 1 }, ConsistentRead: true })
  assert.deepStrictEqual(read.Item, item)
  assert.isUndefined((await send("GetItem", { TableName: table, Key: { pk: "é", sk: 99 } })).Item)

  const updated = await send("UpdateItem", {
    TableName: table,
    Key: { pk: "é", sk: 1 },
    UpdateExpression: "SET #t = :t ADD hits :one",
    ExpressionAttributeNames: { "#t": "text" },
    ExpressionAttributeValues: { ":t": "changed", ":one": 1 },
    ReturnValues: "UPDATED_NEW"
  })
  assert.deepStrictEqual(updated.Attributes, { text: "changed", hits: 1 })
  assert.strictEqual(
    await failure(send("PutItem", { TableName: table, Item: item, ConditionExpression: "attribute_not_exists(pk)" })),
    "ConditionalCheckFailedException"
  )

  // The parameters that expressions have replaced.
  const legacy = { TableName: table, Key: { pk: "old", sk: 1 } }
  await send("UpdateItem", { ...legacy, AttributeUpdates: { n: { Action: "PUT", Value: 7 } } })
  assert.strictEqual(
    await failure(send("DeleteItem", { ...legacy, Expected: { n: { Value: 8 } } })),
    "ConditionalCheckFailedException"
  )
  const conditions = { pk: { ComparisonOperator: "EQ", AttributeValueList: ["old"] } }
  const old = await send("Query", { TableName: table, KeyConditions: conditions, AttributesToGet: ["n"] })
  assert.deepStrictEqual(old.Items, [{ n: 7 }])
  await send("DeleteItem", { ...legacy, Expected: { n: { Value: 7 } } })

  const requests = Array.from({ length: 20 }, (_, i) => ({ PutRequest: { Item: { pk: "many", sk: i, i } } }))
  const batch = await send("BatchWriteItem", { RequestItems: { [table]: requests } })
  assert.deepStrictEqual(batch.UnprocessedItems ?? {}, {})
  const query = {
    TableName: table,
    KeyConditionExpression: "pk = :p AND sk >= :s",
    ExpressionAttributeValues: { ":p": "many", ":s": 5 },
    Limit: 10
  }
  const page = await send("Query", query)
  assert.deepStrictEqual(page.Items.map(({ sk }: { sk: number }) => sk), [5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
  const rest = await send("Query", { ...query, ExclusiveStartKey: page.LastEvaluatedKey })
  assert.deepStrictEqual(rest.Items.map(({ i }: { i: number }) => i), [15, 16, 17, 18, 19])
  assert.isUndefined(rest.LastEvaluatedKey)
  assert.strictEqual((await send("Scan", { TableName: table, Select: "COUNT" })).Count, 21)
  const many = await send("BatchGetItem", {
    RequestItems: { [table]: { Keys: [{ pk: "many", sk: 3 }, { pk: "nobody", sk: 0 }] } }
  })
  assert.deepStrictEqual(many.Responses[table], [{ pk: "many", sk: 3, i: 3 }])

  const deleted = await send("DeleteItem", { TableName: table, Key: { pk: "é", sk: 1 }, ReturnValues: "ALL_OLD" })
  assert.strictEqual(deleted.Attributes.text, "changed")
  assert.strictEqual(
    await failure(send("GetItem", { TableName: "no-such-table", Key: { pk: "a" } })),
    "ResourceNotFoundException"
  )
  assert.strictEqual(await failure(send("GetItem", { TableName: table, Key: { pk: "a" } })), "ValidationException")
  await send("DeleteTable", { TableName: table })
}
