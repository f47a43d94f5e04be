import { Affinity } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { counter, key, open, operations, put, serverError, type Simulation, three } from "./support/simulated.ts"

describe("affinity", () => {
  const nodeOf = (simulation: Simulation, value: string | number, order: Affinity.AffinityOrder = "go") => {
    const nodes = simulation.nodes.map(({ host }) => ({
      scheme: "http" as const,
      host,
      port: 8000,
      urlHost: host,
      url: `http://${host}:8000`,
      hostHeader: `${host}:8000`,
      servername: undefined
    }))
    const hash = new Affinity.KeyHash()
    Affinity.hashInto(typeof value === "string" ? "S" : "N", String(value), hash)
    return simulation.node(Affinity.order(order, hash, Affinity.sorted(order, nodes))[0]!.host)
  }

  it.effect.each(["go", "python", "rust"] as const)(
    "writes of a key go to one node, that of the %s clients",
    (order) =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation, {
          affinity: "any-write",
          affinityOrder: order,
          partitionKeys: { t: "pk" }
        })
        for (const pk of ["hello", "é", 42, 7]) {
          const node = nodeOf(simulation, pk, order)
          const before = node.requests.operations
          for (let i = 0; i < 5; i++) yield* client.putItem({ TableName: "t", Item: { pk } })
          yield* client.deleteItem({ TableName: "t", Key: { pk } })
          yield* client.updateItem({ TableName: "t", Key: { pk } })
          yield* client.batchWriteItem({ RequestItems: { t: [{ PutRequest: { Item: { pk } } }] } })
          assert.strictEqual(node.requests.operations - before, 8)
        }
      })
  )

  it.effect("a table that is dropped may come back with another key: its name is learned again, but not for a description of a request", () =>
    Effect.gen(function*() {
      let described = 0
      const simulation = three(({ operation }) => {
        if (operation === "DescribeTable") described++
        return {
          status: 200,
          body: JSON.stringify({ Table: { KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }] } })
        }
      })
      const client = yield* open(simulation, { affinity: "any-write" })
      const write = Effect.andThen(client.putItem(put), TestClock.adjust(0))
      yield* write
      const drop = client.deleteTable({ TableName: "t" })
      yield* write
      assert.strictEqual(described, 1)
      yield* drop
      yield* write
      assert.strictEqual(described, 2)
    }))

  it.effect("rmw: only writes that read have affinity; reads never have", () =>
    Effect.gen(function*() {
      const simulation = three()
      const client = yield* open(simulation, {
        affinity: "rmw",
        partitionKeys: { t: "pk" },
        balancing: "round-robin"
      })
      for (let i = 0; i < 9; i++) yield* client.putItem(put)
      for (let i = 0; i < 9; i++) yield* client.getItem(key)
      assert.deepStrictEqual(operations(simulation), [6, 6, 6])
      for (let i = 0; i < 9; i++) yield* client.updateItem(counter)
      assert.strictEqual(nodeOf(simulation, "a").requests.operations, 15)
    }))

  it.effect("the partition key is learned once for all; who asked goes its way; failures cool down", () =>
    Effect.gen(function*() {
      let described = 0
      let exists = true
      const simulation = three(({ operation }) => {
        if (operation !== "DescribeTable") return { status: 200, body: "{}" }
        described++
        return exists
          ? {
            status: 200,
            body: JSON.stringify({
              Table: {
                TableName: "t",
                KeySchema: [{ AttributeName: "sk", KeyType: "RANGE" }, { AttributeName: "pk", KeyType: "HASH" }]
              }
            })
          }
          : serverError("ResourceNotFoundException")
      })
      const client = yield* open(simulation, { affinity: "any-write" })
      yield* Effect.all(Array.from({ length: 50 }, () => client.putItem(put)), { concurrency: "unbounded" })
      yield* TestClock.adjust(0)
      assert.strictEqual(described, 1)
      const node = nodeOf(simulation, "a")
      const before = node.requests.operations
      for (let i = 0; i < 10; i++) yield* client.putItem(put)
      assert.strictEqual(node.requests.operations - before, 10)

      exists = false
      const other = { TableName: "other", Item: { pk: "a" } }
      for (let i = 0; i < 20; i++) {
        yield* client.putItem(other)
        yield* TestClock.adjust("1 seconds")
      }
      assert.strictEqual(described, 2)
      yield* TestClock.adjust("5 minutes")
      yield* client.putItem(other)
      yield* TestClock.adjust(0)
      assert.strictEqual(described, 3)
    }))
})
