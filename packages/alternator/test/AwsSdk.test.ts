import { DynamoDBClient, GetItemCommand, PutItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb"
import { DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb"
import { Affinity, type AlternatorError, AlternatorNodes, AlternatorTransport, AwsSdk } from "@effect-scylla/alternator"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Metric } from "effect"
import { waitFor } from "../src/internal/sdkHandler.ts"
import { ofSdk } from "./support/clients.ts"
import { operations } from "./support/suite.ts"

const secrets = { alice: "s3cret/with+signs=" }
const credentials = { accessKeyId: "alice", secretAccessKey: secrets.alice }

const adapted = (
  cluster: AlternatorCluster.AlternatorCluster,
  options: AwsSdk.AdapterOptions = {},
  sdk: ConstructorParameters<typeof DynamoDBClient>[0] = { credentials },
  nodes: Partial<AlternatorNodes.NodesOptions> = {}
) =>
  Effect.gen(function*() {
    const layer = Layer.provideMerge(
      AlternatorNodes.layer({ seeds: cluster.seeds, ...nodes }),
      AlternatorTransport.layerUndici({ shutdownTimeout: 0 })
    )
    const alternator = yield* Effect.provideContext(AwsSdk.make, yield* Layer.build(layer))
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new DynamoDBClient({ region: "us-east-1", ...sdk })),
      (client) => Effect.sync(() => client.destroy())
    )
    return { client: AwsSdk.withAlternator(client, alternator, options), alternator }
  })

const key = { pk: { S: "a" }, sk: { N: "1" } }
const get = new GetItemCommand({ TableName: "t", Key: key })

describe("the AWS SDK on the nodes", () => {
  it.live("the bare SDK does all operations on an enforcing node: the cluster verifies as a server does", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ secrets })
      const client = new DynamoDBClient({ region: "us-east-1", credentials, endpoint: `http://${cluster.seeds[0]}` })
      yield* Effect.promise(() => operations(ofSdk(client), "bare"))
      client.destroy()
    }))

  it.live("with the adapter all operations, spread over the nodes, each attempt signed for its node", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ secrets })
      const { client } = yield* adapted(cluster)
      yield* Effect.promise(() => operations(ofSdk(client), "adapted"))
      for (const { requests } of cluster.nodes) assert.isAbove(requests.operations, 0)
    }))

  it.live("D9: the headers that are left out are left out before signing", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ secrets })
      const { client } = yield* adapted(cluster, { headers: ["x-amz-target", "content-type"] })
      yield* Effect.promise(() => operations(ofSdk(client), "lean"))
      const [received] = cluster.nodes[0]!.received
      assert.isUndefined(received!.headers["amz-sdk-invocation-id"])
      assert.isUndefined(received!.headers["x-amz-user-agent"])
      assert.isDefined(received!.headers["authorization"])
    }))

  it.live("R13: compression, headers, affinity and signatures together, with the document client", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ secrets, compressionThreshold: 1 })
      const { client } = yield* adapted(cluster, {
        affinity: "any-write",
        compression: { threshold: 1 },
        acceptEncoding: ["gzip"],
        balancing: "round-robin"
      })
      yield* Effect.promise(() => operations(ofSdk(client), "together"))
      const received = cluster.nodes.flatMap((node) => node.received)
      assert.isTrue(received.some(({ headers }) => headers["content-encoding"] === "gzip"))
    }))

  it.live("without signatures no credentials are needed", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const { client } = yield* adapted(cluster, { signing: false }, {})
      yield* Effect.promise(() => operations(ofSdk(client), "unsigned"))
      assert.isUndefined(cluster.nodes[0]!.received[0]!.headers["authorization"])
    }))

  it.live("D5, D11: a node that refuses costs no quota and no wait, retries go elsewhere", () =>
    Effect.gen(function*() {
      const answered: Array<number> = []
      const cluster = yield* AlternatorCluster.make({
        store: () => Promise.resolve({ status: 200, body: "{}" })
      })
      const { alternator, client } = yield* adapted(
        cluster,
        // Slow is not dead, on a busy machine.
        { attemptTimeout: "1 minutes", deadline: "2 minutes" },
        { credentials },
        { health: false }
      )
      yield* alternator.nodes.awaitReady
      yield* cluster.nodes[1]!.become("dead")
      const results = yield* Effect.promise(() => Promise.all(Array.from({ length: 300 }, () => client.send(get))))
      for (const { $metadata } of results) answered.push($metadata.attempts!)
      assert.isTrue(answered.includes(2), "some went to the dead node first")
      assert.isTrue(answered.every((attempts) => attempts <= 2))
    }))

  it.live("what may have been applied is repeated only when that is safe", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({
        store: () =>
          Promise.resolve({
            status: 500,
            body: '{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"timeout"}'
          })
      })
      const { client } = yield* adapted(cluster)
      const fail = (command: any) =>
        Effect.promise(() => client.send(command).then(() => undefined, (error: any) => error))
      const counting = yield* fail(
        new UpdateItemCommand({
          TableName: "t",
          Key: key,
          UpdateExpression: "ADD n :one",
          ExpressionAttributeValues: { ":one": { N: "1" } }
        })
      )
      assert.strictEqual(counting.outcome, "Ambiguous")
      assert.strictEqual(counting.$metadata.attempts, 1)
      assert.isFalse(counting.isSafeToRetry)
      const put = yield* fail(new PutItemCommand({ TableName: "t", Item: key }))
      assert.strictEqual(put.$metadata.attempts, 4, "the SDK's maxAttempts")
      assert.isTrue(put.isSafeToRetry)
    }))

  it.live("affinity goes to the node of the key, its name learned once, with the document client too", () =>
    Effect.gen(function*() {
      let described = 0
      const cluster = yield* AlternatorCluster.make({
        secrets,
        store: (operation) => {
          if (operation === "DescribeTable") described++
          return Promise.resolve({
            status: 200,
            body: operation === "DescribeTable"
              ? JSON.stringify({ Table: { TableName: "t", KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }] } })
              : "{}"
          })
        }
      })
      const { alternator, client } = yield* adapted(cluster, { affinity: "any-write" })
      const documents = DynamoDBDocumentClient.from(client)
      const put = (pk: string) => Effect.promise(() => documents.send(new PutCommand({ TableName: "t", Item: { pk } })))
      yield* Effect.all(Array.from({ length: 20 }, () => put("first")), { concurrency: "unbounded" })
      assert.strictEqual(described, 1)
      const sorted = Affinity.sorted("go", alternator.nodes.current().affinityNodes)
      for (const pk of ["a", "b", "c", "d", "e", "f"]) {
        const hash = new Affinity.KeyHash()
        Affinity.hashInto("S", pk, hash)
        const expected = Affinity.order("go", hash, sorted)[0]!
        const node = cluster.nodes.find(({ address }) => address === expected.host)!
        const before = node.requests.operations
        for (let i = 0; i < 5; i++) yield* put(pk)
        assert.strictEqual(node.requests.operations - before, 5, pk)
      }
    }))

  it.live("attempts are counted by node and result, as the lean client's are", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ secrets })
      const { client } = yield* adapted(cluster)
      yield* Effect.promise(() => client.send(get).catch(() => {}))
      const counted = (yield* Metric.snapshot).filter(({ attributes, id }) =>
        id === "alternator_attempts_total" && attributes?.["node"]?.endsWith(`:${cluster.port}`)
      )
      assert.deepStrictEqual(counted.map(({ attributes }) => attributes?.["result"]), ["ValidationFailed"])
      // A registry of its own: an earlier cluster of this worker may have had the same port.
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.live("wrong options are named", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const adapter = adapted(cluster, { deadline: 0, attemptTimeout: "-1 seconds", compression: { level: 12 } })
      const error = Cause.squash(yield* Effect.flip(Effect.sandbox(adapter))) as AlternatorError.AlternatorError
      assert.strictEqual(error.reason._tag, "ConfigInvalid")
      for (const field of ["deadline", "attemptTimeout", "compression.level"]) assert.include(error.message, field)
    }))

  it.live("an abort signal ends a request, and it is not repeated", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const { alternator, client } = yield* adapted(cluster)
      yield* alternator.nodes.awaitReady
      for (const node of cluster.nodes) yield* node.become("hanging")
      const controller = new AbortController()
      const sent = client.send(get, { abortSignal: controller.signal }).then(() => "", (error: Error) => error.name)
      const total = () => cluster.nodes.reduce((sum, { requests }) => sum + requests.operations, 0)
      for (let i = 0; total() === 0 && i < 1000; i++) yield* Effect.sleep("5 millis")
      controller.abort()
      assert.strictEqual(yield* Effect.promise(() => sent), "AbortError")
      assert.strictEqual(total(), 1)
    }))

  it.live("a signal that is aborted already sends nothing, and says so; one that comes later is Ambiguous", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const { alternator, client } = yield* adapted(cluster)
      yield* alternator.nodes.awaitReady
      const put = new PutItemCommand({ TableName: "t", Item: key })
      const send = (abortSignal: AbortSignal) => client.send(put, { abortSignal }).then(() => ({}), (error) => error)
      const early: any = yield* Effect.promise(() => send(AbortSignal.abort()))
      assert.deepInclude({ ...early, name: early.name }, {
        name: "AbortError",
        outcome: "NotSent",
        isSafeToRetry: false
      })
      assert.strictEqual(cluster.nodes.reduce((sum, { requests }) => sum + requests.operations, 0), 0)

      for (const node of cluster.nodes) yield* node.become("hanging")
      const controller = new AbortController()
      const sent = send(controller.signal)
      const arrived = () => cluster.nodes.some(({ requests }) => requests.operations > 0)
      for (let i = 0; !arrived() && i < 1000; i++) yield* Effect.sleep("5 millis")
      controller.abort()
      const late: any = yield* Effect.promise(() => sent)
      assert.deepInclude({ ...late, name: late.name }, { name: "AbortError", outcome: "Ambiguous" })
    }))

  it.live("a request that is aborted while it waits for a connection was not sent", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ nodes: [{ address: "127.0.0.1" }] })
      const layer = Layer.provideMerge(
        AlternatorNodes.layer({ seeds: cluster.seeds }),
        AlternatorTransport.layerUndici({ shutdownTimeout: 0, connections: 1 })
      )
      const alternator = yield* Effect.provideContext(AwsSdk.make, yield* Layer.build(layer))
      const client = AwsSdk.withAlternator(new DynamoDBClient({ region: "x" }), alternator, { signing: false })
      yield* alternator.nodes.awaitReady
      yield* cluster.nodes[0]!.become("hanging")
      const controller = new AbortController()
      const send = () => client.send(get, { abortSignal: controller.signal }).then(() => "", (error) => error.outcome)
      const first = send()
      for (let i = 0; cluster.nodes[0]!.requests.operations === 0 && i < 1000; i++) yield* Effect.sleep("5 millis")
      const [node] = alternator.nodes.current().nodes
      const second = send()
      for (let i = 0; node!.outstanding < 2 && i < 1000; i++) yield* Effect.sleep("5 millis")
      controller.abort()
      assert.deepStrictEqual(yield* Effect.promise(() => Promise.all([first, second])), ["Ambiguous", "NotSent"])
    }))

  it.live("a signal ends the wait for the nodes, and between attempts", () =>
    Effect.gen(function*() {
      const never = yield* AlternatorCluster.make()
      for (const node of never.nodes) yield* node.become("hanging")
      const waiting = yield* adapted(never, { deadline: "10 minutes" }, { credentials }, {
        discoveryTimeout: "10 minutes"
      })
      const controller = new AbortController()
      const send = (client: DynamoDBClient, abortSignal: AbortSignal) =>
        client.send(get, { abortSignal }).then(() => ({}), (error) => error)
      const sent = send(waiting.client, controller.signal)
      for (let i = 0; never.nodes[0]!.requests.localNodes === 0 && i < 1000; i++) yield* Effect.sleep("5 millis")
      controller.abort()
      const early: any = yield* Effect.promise(() => sent)
      assert.deepInclude({ ...early, name: early.name }, { name: "AbortError", outcome: "NotSent" })
      assert.strictEqual(early.$metadata.attempts, 0)

      // Between attempts.
      const later = new AbortController()
      const pause = waitFor(Effect.never, later.signal).then(() => "", (error) => error.name)
      later.abort()
      assert.strictEqual(yield* Effect.promise(() => pause), "AbortError")
      assert.strictEqual(yield* Effect.promise(() => waitFor(Effect.succeed("on"), new AbortController().signal)), "on")
    }))

  it.live("the requestTimeout of a command ends each of its attempts", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const { alternator, client } = yield* adapted(cluster, { deadline: "10 minutes", attemptTimeout: "5 minutes" })
      yield* alternator.nodes.awaitReady
      for (const node of cluster.nodes) yield* node.become("hanging")
      const add = new UpdateItemCommand({
        TableName: "t",
        Key: key,
        UpdateExpression: "ADD n :one",
        ExpressionAttributeValues: { ":one": { N: "1" } }
      })
      const fail = (command: any) =>
        Effect.promise(() => client.send(command, { requestTimeout: 20 }).then(() => undefined, (error: any) => error))
      const counting = yield* fail(add)
      assert.strictEqual(counting.reason._tag, "AttemptTimeout")
      assert.strictEqual(counting.outcome, "Ambiguous")
      assert.isFalse(counting.isSafeToRetry)
      assert.strictEqual(counting.$metadata.attempts, 1)
      const reading = yield* fail(get)
      assert.strictEqual(reading.$metadata.attempts, 4)
      assert.isTrue(reading.isSafeToRetry)
    }))

  describe("attributes that the SDK does not know", () => {
    const attributes = '"id":{"S":"a"},"v":{"FLOAT32VECTOR":[0.5,2]},"m":{"M":{"FLOAT32VECTOR":{"N":"1"}}}'
    const answering = (attributes: string) =>
      Effect.gen(function*() {
        const bodies: Array<string> = []
        const cluster = yield* AlternatorCluster.make({
          store: (operation, body) => {
            bodies.push(body)
            return Promise.resolve({ status: 200, body: operation === "GetItem" ? `{"Item":{${attributes}}}` : "{}" })
          }
        })
        return { bodies, ...(yield* adapted(cluster)) }
      })

    it.live("go through the client unchanged, both ways", () =>
      Effect.gen(function*() {
        const { bodies, client } = yield* answering(`${attributes},"new":{"X":{"y":[1,null]}}`)
        const { Item } = yield* Effect.promise(() => client.send(get))
        yield* Effect.promise(() => client.send(new PutItemCommand({ TableName: "t", Item: Item! })))
        assert.strictEqual(bodies.at(-1), `{"TableName":"t","Item":{${attributes},"new":{"X":{"y":[1,null]}}}}`)
      }))

    it.live("vectors are arrays of numbers for the document client", () =>
      Effect.gen(function*() {
        const { client } = yield* answering(attributes)
        const documents = DynamoDBDocumentClient.from(client)
        const { Item } = yield* Effect.promise(() =>
          documents.send(new GetCommand({ TableName: "t", Key: { id: "a" } }))
        )
        assert.deepStrictEqual(Item, { id: "a", v: [0.5, 2], m: { FLOAT32VECTOR: 1 } })
      }))

    it.live("an answer that the document client cannot read is no request that was not sent", () =>
      Effect.gen(function*() {
        const { client } = yield* answering('"new":{"X":1}')
        const documents = DynamoDBDocumentClient.from(client)
        const error: any = yield* Effect.promise(() =>
          documents.send(new GetCommand({ TableName: "t", Key: { id: "a" } })).then(() => undefined, (error) => error)
        )
        assert.include(error.message, "Unsupported type")
        assert.strictEqual(error.outcome, "Ambiguous")
        assert.isFalse(error.isSafeToRetry)
      }))
  })

  it.live("open and close, for programs without Effect", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ secrets })
      yield* Effect.promise(async () => {
        const alternator = await AwsSdk.open({ seeds: cluster.seeds })
        assert.strictEqual(alternator.nodes.current().nodes.length, 3)
        const client = AwsSdk.withAlternator(new DynamoDBClient({ region: "x", credentials }), alternator)
        await operations(ofSdk(client), "opened")
        await alternator.close()
        await alternator.close()
        client.destroy()
      })
      const wrong = { seeds: "a/b", transport: { connections: 0 } }
      const rejected = yield* Effect.promise(() => AwsSdk.open(wrong).then(() => undefined, (error) => error))
      assert.deepStrictEqual(rejected.reason.issues.map(({ field }: { field: string }) => field), [
        "seeds",
        "transport.connections"
      ])
      for (let i = 0; cluster.nodes.some(({ connections }) => connections.open > 0) && i < 1000; i++) {
        yield* Effect.sleep("5 millis")
      }
      assert.deepStrictEqual(cluster.nodes.map(({ connections }) => connections.open), [0, 0, 0])
    }))
})
