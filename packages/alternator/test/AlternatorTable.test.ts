import {
  AlternatorClient,
  type AlternatorError,
  AlternatorNodes,
  AlternatorTable,
  AttributeValue,
  Batches,
  Paging,
  Waiters
} from "@effect-scylla/alternator"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import * as AlternatorSimulation from "@effect-scylla/testkit/AlternatorSimulation"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const Users = AlternatorTable.make("users", {
  item: Schema.Struct({
    country: Schema.String,
    id: Schema.Number,
    name: Schema.String,
    joined: Schema.DateFromString,
    nick: Schema.optionalKey(Schema.String)
  }),
  partitionKey: { name: "country", type: "S" },
  sortKey: { name: "id", type: "N" }
})

const joined = new Date("2026-11-21T12:00:00.000Z")
const user = (id: number) => ({ country: "se", id, name: `user ${id}`, joined })

const open = (cluster: AlternatorCluster.AlternatorCluster) =>
  Effect.map(
    Layer.build(AlternatorClient.layer({ seeds: cluster.seeds })),
    (services) => Context.get(services, AlternatorClient.AlternatorClient)
  )

const simulated = (handle: NonNullable<Parameters<typeof AlternatorSimulation.make>[0]["handle"]>) =>
  Effect.gen(function*() {
    const simulation = AlternatorSimulation.make({ nodes: [{ host: "10.0.0.1" }], handle })
    const layer = AlternatorClient.layerClient().pipe(
      Layer.provideMerge(AlternatorNodes.layer({ seeds: "10.0.0.1" })),
      Layer.provideMerge(simulation.layer)
    )
    return Context.get(yield* Layer.build(layer), AlternatorClient.AlternatorClient)
  })

const json = (value: unknown) => ({ status: 200, body: JSON.stringify(value) })
const inputOf = (body: Uint8Array) => JSON.parse(Buffer.from(body).toString("utf8"))

describe("AlternatorTable", () => {
  it.live("writes what the schema encodes, reads what it decodes", () =>
    Effect.gen(function*() {
      const client = yield* open(yield* AlternatorCluster.make())
      yield* Users.create(client)
      yield* Users.put(client, { ...user(1), nick: "one" })
      const found = yield* Users.get(client, { country: "se", id: 1 }, { consistent: true })
      assert.deepStrictEqual(found, Option.some({ ...user(1), nick: "one" }))
      const { Item } = yield* client.getItem({ TableName: "users", Key: { country: "se", id: 1 } })
      assert.strictEqual(Item!["joined"], "2026-11-21T12:00:00.000Z")
      assert.isTrue(Option.isNone(yield* Users.get(client, { country: "se", id: 2 })))
      yield* Users.putAll(client, Array.from({ length: 60 }, (_, i) => user(i)), { size: 25 })
      const ids = yield* Users.query(client, { country: "se" }, { Limit: 7, ScanIndexForward: false }).pipe(
        Stream.map(({ id }) => id),
        Stream.runCollect
      )
      assert.deepStrictEqual(ids, Array.from({ length: 60 }, (_, i) => 59 - i))
      const scanned = yield* Stream.runCollect(Users.scan(client, { Limit: 11 }, { segments: 3 }))
      assert.strictEqual(scanned.length, 60)
      yield* Users.remove(client, { country: "se", id: 1 })
      assert.isTrue(Option.isNone(yield* Users.get(client, { country: "se", id: 1 })))
      yield* client.deleteTable({ TableName: "users" })
      yield* Waiters.tableNotExists(client, "users")
    }))

  it.effect("what does not fit the schema is neither sent nor believed", () =>
    Effect.gen(function*() {
      let operations = 0
      const client = yield* simulated(() => {
        operations++
        return json({ Item: { country: { S: "se" }, id: { S: "one" } } })
      })
      const unsent = yield* Effect.flip(Users.put(client, { ...user(1), name: 7 as never }))
      assert.strictEqual(unsent.reason._tag, "RequestInvalid")
      assert.include(unsent.message, "name")
      assert.strictEqual(operations, 0)
      const unfit = yield* Effect.flip(Users.get(client, { country: "se", id: 1 }))
      assert.strictEqual(unfit.reason._tag, "MalformedResponse")
    }))
})

describe("Paging", () => {
  it.effect("asks for a page when the one before is used up, and stops with its consumer", () =>
    Effect.gen(function*() {
      let pages = 0
      const client = yield* simulated(({ body }) => {
        pages++
        const from = Number(inputOf(body).ExclusiveStartKey?.id.N ?? 0)
        return json({
          Items: [{ id: { N: String(from + 1) } }, { id: { N: String(from + 2) } }],
          Count: 2,
          ScannedCount: 2,
          ...(from < 8 ? { LastEvaluatedKey: { id: { N: String(from + 2) } } } : {})
        })
      })
      const query = Paging.query(client, { TableName: "t", KeyConditionExpression: "id = :a" })
      assert.deepStrictEqual((yield* Stream.runCollect(query)).map(({ id }) => id), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      assert.strictEqual(pages, 5)
      yield* Stream.runCollect(Stream.take(query, 3))
      assert.strictEqual(pages, 7)
    }))

  it.effect("lists all tables", () =>
    Effect.gen(function*() {
      const client = yield* simulated(({ body }) =>
        json(
          inputOf(body).ExclusiveStartTableName === undefined
            ? { TableNames: ["a", "b"], LastEvaluatedTableName: "b" }
            : { TableNames: ["c"] }
        )
      )
      assert.deepStrictEqual(yield* Stream.runCollect(Paging.listTables(client)), ["a", "b", "c"])
    }))
})

describe("Batches", () => {
  it.effect("what is left undone is sent again until nothing is", () =>
    Effect.gen(function*() {
      const written = new Set<string>()
      const sizes: Array<number> = []
      const client = yield* simulated(({ body }) => {
        const { t } = inputOf(body).RequestItems
        sizes.push(t.length)
        const half = Math.ceil(t.length / 2)
        for (const { PutRequest } of t.slice(0, half)) written.add(PutRequest.Item.pk.S)
        const rest = t.slice(half)
        return json({ UnprocessedItems: rest.length === 0 ? {} : { t: rest } })
      })
      const requests = Array.from({ length: 130 }, (_, i) => ({ PutRequest: { Item: { pk: `k${i}` } } }))
      const fiber = yield* Effect.forkChild(
        Batches.write(client, { t: requests }, { concurrency: 1, keys: { t: ["pk"] } }),
        {
          startImmediately: true
        }
      )
      yield* TestClock.adjust("1 minutes")
      yield* Fiber.join(fiber)
      assert.strictEqual(written.size, 130)
      assert.deepStrictEqual(sizes.slice(0, 4), [100, 50, 25, 12])
    }))

  it.effect("a server that never does the rest is given up on, with what is left", () =>
    Effect.gen(function*() {
      const client = yield* simulated(({ body }) =>
        json({ UnprocessedKeys: inputOf(body).RequestItems, Responses: {} })
      )
      const fiber = yield* Effect.forkChild(
        Effect.flip(Batches.get(client, { t: { Keys: [{ pk: "a" }, { pk: "b" }] } }, { patience: "10 seconds" })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("20 seconds")
      const { reason } = yield* Fiber.join(fiber)
      assert.strictEqual(reason._tag, "BatchIncomplete")
      if (reason._tag === "BatchIncomplete") {
        assert.deepStrictEqual(reason.unprocessed, { t: [{ pk: "a" }, { pk: "b" }] })
      }
    }))

  it.effect("all keys are read, of several tables, in parts", () =>
    Effect.gen(function*() {
      let batches = 0
      const client = yield* simulated(({ body }) => {
        batches++
        const tables = inputOf(body).RequestItems
        return json({
          Responses: Object.fromEntries(Object.entries(tables).map(([table, { Keys }]: any) => [table, Keys]))
        })
      })
      const keys = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => ({ pk: `${prefix}${i}` }))
      const found = yield* Batches.get(client, { a: { Keys: keys("a", 150) }, b: { Keys: keys("b", 70) } })
      assert.strictEqual(batches, 3)
      assert.deepStrictEqual([found["a"]!.length, found["b"]!.length], [150, 70])
    }))
})

/** What a key is the same as, and what not: numbers by value, binary by bytes, types apart. */
const keysOfTwo: ReadonlyArray<readonly [AttributeValue.Value, AttributeValue.Value, "same" | "other"]> = [
  ["a", "a", "same"],
  ["a", "A", "other"],
  [1, new AttributeValue.NumberValue("1.0"), "same"],
  [100n, new AttributeValue.NumberValue("1E2"), "same"],
  [0, new AttributeValue.NumberValue("-0.00"), "same"],
  [1e21, 10n ** 21n, "same"],
  [1, -1, "other"],
  [9007199254740992n, 9007199254740993n, "other"],
  [1, "1", "other"],
  [Uint8Array.of(1, 2), Buffer.from([0, 1, 2]).subarray(1), "same"],
  [Uint8Array.of(1), Uint8Array.of(1, 0), "other"],
  [Uint8Array.of(97), "a", "other"]
]

describe("the same key twice in a batch", () => {
  /** Refuses it within one request, as servers do. */
  const strict = (described: Array<string> = []) =>
    Effect.map(
      Effect.sync(() => [] as Array<ReadonlyArray<any>>),
      (sent) =>
        ({
          sent,
          described,
          client: simulated(({ body, operation }) => {
            const input = inputOf(body)
            if (operation === "DescribeTable") {
              described.push(input.TableName)
              const KeySchema = [{ AttributeName: "sk", KeyType: "RANGE" }, { AttributeName: "pk", KeyType: "HASH" }]
              return json({ Table: { TableName: input.TableName, TableStatus: "ACTIVE", KeySchema } })
            }
            const { t } = input.RequestItems
            sent.push(t.Keys ?? t)
            return json(t.Keys === undefined ? {} : { Responses: { t: t.Keys } })
          })
        }) as const
    )

  it.effect.each(keysOfTwo)("write: %o and %o are the %s", ([one, two, expected]) =>
    Effect.gen(function*() {
      const { client, sent } = yield* strict()
      const put = (pk: AttributeValue.Value, n: number) => ({ PutRequest: { Item: { sk: 1, pk, n } } })
      yield* Batches.write(yield* client, { t: [put(one, 1), put("between", 2), put(two, 3)] }, { size: 2 })
      const written = sent.flat().map(({ PutRequest }) => PutRequest.Item.n.N)
      assert.deepStrictEqual(written.toSorted(), expected === "same" ? ["2", "3"] : ["1", "2", "3"])
    }))

  it.effect.each(keysOfTwo)("get: %o and %o are the %s", ([one, two, expected]) =>
    Effect.gen(function*() {
      const { client, sent } = yield* strict()
      const Keys = [{ pk: one, sk: 1 }, { sk: new AttributeValue.NumberValue("1.0"), pk: two }, { pk: one, sk: 2 }]
      const { t } = yield* Batches.get(yield* client, { t: { Keys } }, { size: 1 })
      assert.strictEqual(sent.length, expected === "same" ? 2 : 3)
      assert.strictEqual(t!.length, sent.length)
    }))

  it.effect("the last is kept, put or delete; the key is asked for once, and not where it is said", () =>
    Effect.gen(function*() {
      const { client: made, described, sent } = yield* strict()
      const client = yield* made
      const put = (pk: string, sk: number) => ({ PutRequest: { Item: { pk, sk, more: [1] } } })
      const remove = (pk: string, sk: number) => ({ DeleteRequest: { Key: { sk, pk, none: undefined } } })
      yield* Batches.write(client, { t: [put("a", 1), remove("a", 1), put("a", 2), put("b", 1), put("b", 1)] })
      assert.deepStrictEqual(sent.flat().map((request) => Object.keys(request)[0]), [
        "DeleteRequest",
        "PutRequest",
        "PutRequest"
      ])
      assert.deepStrictEqual(described, [], "a delete says what the key is")
      yield* Batches.write(client, { t: [remove("a", 1), put("a", 1)] })
      assert.property(sent.at(-1)![0], "PutRequest")
      yield* Batches.write(client, { t: [put("a", 1), put("b", 1)] }, { keys: { t: ["pk", "sk"] } })
      yield* Batches.write(client, { t: [put("a", 1)] })
      assert.deepStrictEqual(described, [])
      for (let i = 0; i < 3; i++) yield* Batches.write(client, { t: [put("a", 1), put("a", 1)] })
      assert.deepStrictEqual(described, ["t"])
    }))

  it.effect("a table that cannot be described fails before anything is written; another key is learned", () =>
    Effect.gen(function*() {
      let key = "old"
      let writes = 0
      const client = yield* simulated(({ body, operation }) => {
        if (operation === "DescribeTable") {
          return json({
            Table: { TableName: "t", KeySchema: key === "" ? [] : [{ AttributeName: key, KeyType: "HASH" }] }
          })
        }
        writes++
        return inputOf(body).RequestItems.t.length > 1
          ? { status: 400, body: '{"__type":"x#ValidationException","message":"duplicates"}' }
          : json({})
      })
      const requests = { t: [1, 2].map((old) => ({ PutRequest: { Item: { old, id: "a" } } })) }
      assert.strictEqual((yield* Effect.flip(Batches.write(client, requests))).reason._tag, "ValidationFailed")
      key = ""
      const error = yield* Effect.flip(Batches.write(client, requests))
      assert.deepStrictEqual([error.reason._tag, error.outcome], ["MalformedResponse", "NotSent"])
      assert.strictEqual(writes, 1)
      key = "id"
      yield* Batches.write(client, requests)
      assert.strictEqual(writes, 2)
    }))

  it.live("a server takes it", () =>
    Effect.gen(function*() {
      const client = yield* open(yield* AlternatorCluster.make())
      yield* Users.create(client)
      yield* Users.putAll(client, [user(1), { ...user(1), name: "last" }, user(2)])
      const put = (id: AttributeValue.Value, name: string) => ({ PutRequest: { Item: { country: "se", id, name } } })
      yield* Batches.write(client, { users: [put(2, "first"), put(new AttributeValue.NumberValue("2.0"), "second")] })
      const Keys = [{ country: "se", id: 1 }, { country: "se", id: 2 }, { id: 1n, country: "se" }]
      const { users } = yield* Batches.get(client, { users: { Keys } })
      assert.deepStrictEqual(users!.map(({ name }) => name).toSorted(), ["last", "second"])
      // Without it the server would not.
      const refused = yield* Effect.flip(client.batchWriteItem({ RequestItems: { users: [put(2, "a"), put(2, "b")] } }))
      assert.strictEqual(refused.reason._tag, "ValidationFailed")
    }))
})

describe("options that make no sense", () => {
  it.effect("are said, and nothing is sent", () =>
    Effect.gen(function*() {
      let sent = 0
      const client = yield* simulated(() => {
        sent++
        return json({})
      })
      for (const segments of [0, -1, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(Stream.runCollect(Paging.scan(client, { TableName: "t" }, { segments })))
        assert.strictEqual(error.reason._tag, "RequestInvalid")
        assert.include(error.message, `is ${segments}`)
      }
      const requests = { t: [{ PutRequest: { Item: { pk: "a" } } }] }
      const wrong = { size: 0, concurrency: 1.5, patience: "soon" as never }
      for (const batch of [Batches.write(client, requests, wrong), Batches.get(client, { t: { Keys: [] } }, wrong)]) {
        const { reason } = yield* Effect.flip<unknown, AlternatorError.AlternatorError, never>(batch)
        assert.strictEqual(reason._tag, "ConfigInvalid")
        if (reason._tag !== "ConfigInvalid") return
        assert.deepStrictEqual(reason.issues.map(({ field }) => field), ["size", "concurrency", "patience"])
      }
      assert.strictEqual(sent, 0)
    }))
})

describe("Waiters", () => {
  it.effect("wait, and not for ever", () =>
    Effect.gen(function*() {
      let looks = 0
      const client = yield* simulated(() =>
        ++looks < 4
          ? { status: 400, body: '{"__type":"x#ResourceNotFoundException","message":"no"}' }
          : json({ Table: { TableName: "t", TableStatus: looks < 6 ? "CREATING" : "ACTIVE" } })
      )
      const fiber = yield* Effect.forkChild(Waiters.tableExists(client, "t"), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).TableStatus, "ACTIVE")
      assert.strictEqual(looks, 6)
      const gone = yield* Effect.forkChild(
        Effect.flip(Waiters.tableNotExists(client, "t", { patience: "5 seconds" })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(gone)).reason._tag, "WaitTimeout")
    }))
})
