/** Orders in CQL, stock in a DynamoDB-style item, and a lock around what must not be done twice at once. */
import { AlternatorClient, Waiters } from "@effect-scylla/alternator"
import { CqlClient } from "@effect-scylla/driver"
import { Uuid } from "@effect-scylla/protocol"
import { RaftClient } from "@effect-scylla/raft-client"
import { Effect } from "effect"
import { withLock } from "./lock.ts"

const STOCK = "stock"

export interface Result {
  /** Rows of CQL. */
  readonly orders: number
  /** What the item says in the end. */
  readonly left: number
  readonly leader: string
}

/** Sells `orders` things out of `stock`, several at once. Knows only services: what they stand on is a layer's choice. */
export const program = Effect.fnUntraced(function*(settings: { readonly orders: number; readonly stock: number }) {
  const cql = yield* CqlClient.CqlClient
  const dynamo = yield* AlternatorClient.AlternatorClient
  const raft = yield* RaftClient.RaftClient

  const replicas = cql.cluster().local.length
  yield* cql.execute(
    "CREATE KEYSPACE IF NOT EXISTS shop WITH replication = " +
      `{'class': 'NetworkTopologyStrategy', '${cql.cluster().datacenter}': ${replicas}}`
  )
  yield* cql.execute("CREATE TABLE IF NOT EXISTS shop.orders (id uuid PRIMARY KEY, quantity int)")
  yield* dynamo.createTable({
    TableName: STOCK,
    AttributeDefinitions: [{ AttributeName: "sku", AttributeType: "S" }],
    KeySchema: [{ AttributeName: "sku", KeyType: "HASH" }],
    BillingMode: "PAY_PER_REQUEST"
  })
  yield* Waiters.tableExists(dynamo, STOCK)
  yield* dynamo.putItem({ TableName: STOCK, Item: { sku: "tea", left: settings.stock } })

  // Reads, then writes: right only if nobody else does the same in between.
  const take = Effect.gen(function*() {
    const { Item } = yield* dynamo.getItem({ TableName: STOCK, Key: { sku: "tea" }, ConsistentRead: true })
    yield* dynamo.putItem({ TableName: STOCK, Item: { sku: "tea", left: Number(Item!["left"]) - 1 } })
  })
  const order = Effect.gen(function*() {
    yield* cql`INSERT INTO shop.orders (id, quantity) VALUES (${Uuid.random()}, ${1})`
    yield* withLock(raft, "tea", take)
  })
  yield* Effect.forEach(Array.from({ length: settings.orders }), () => order, { concurrency: 4, discard: true })

  const rows = yield* cql`SELECT id FROM shop.orders`
  const { Item } = yield* dynamo.getItem({ TableName: STOCK, Key: { sku: "tea" }, ConsistentRead: true })
  const { address } = yield* raft.leader
  const result: Result = { orders: rows.length, left: Number(Item!["left"]), leader: address }
  return result
})
