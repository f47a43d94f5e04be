import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb"
import { AlternatorClient, AlternatorNodes, AlternatorTransport, Auth, AwsSdk } from "@effect-scylla/alternator"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { createRequire } from "node:module"
import { ofLean, ofSdk } from "./support/clients.ts"
import { operations } from "./support/suite.ts"

const secrets = { alice: "s3cret/with+signs=" }

const lean = (cluster: AlternatorCluster.AlternatorCluster, options: Partial<AlternatorClient.Options> = {}) =>
  Effect.map(
    Layer.build(AlternatorClient.layer({ seeds: cluster.seeds, ...options })),
    (context) => Context.get(context, AlternatorClient.AlternatorClient)
  )

/** dynalite by itself, which answers /localnodes with a text. */
const dynalite = Effect.acquireRelease(
  Effect.callback<string>((resume) => {
    const server = createRequire(import.meta.url)("dynalite")({ createTableMs: 0, deleteTableMs: 0 })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(`127.0.0.1:${server.address().port}`)))
    servers.push(server)
  }),
  () =>
    Effect.callback<void>((resume) => {
      const server = servers.pop()
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
)
const servers: Array<any> = []

describe("plain dynalite", () => {
  const credentials = { accessKeyId: "a", secretAccessKey: "b" }

  it.live(
    "the bare SDK, the SDK on our nodes and the lean client do the same operations, discovery on and off",
    () =>
      Effect.gen(function*() {
        const address = yield* dynalite
        const sdk = () => new DynamoDBClient({ region: "us-east-1", credentials, endpoint: `http://${address}` })
        const bare = sdk()
        yield* Effect.promise(() => operations(ofSdk(bare), "bare"))
        bare.destroy()
        for (const discovery of ["static", "live"] as const) {
          const layer = AlternatorClient.layer({ seeds: address, discovery, auth: Auth.sigV4(credentials) })
          const services = yield* Layer.build(layer)
          const client = Context.get(services, AlternatorClient.AlternatorClient)
          yield* Effect.promise(() => operations(ofLean(client), `lean-${discovery}`))
          assert.isFalse(client.nodes.current().isDiscovered)
          const adapted = AwsSdk.withAlternator(sdk(), yield* Effect.provideContext(AwsSdk.make, services))
          yield* Effect.promise(() => operations(ofSdk(adapted), `adapted-${discovery}`))
          adapted.destroy()
        }
      }),
    60_000
  )
})

describe("the lean client on a cluster of sockets", () => {
  it.live("does all operations", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const client = yield* lean(cluster)
      yield* Effect.promise(() => operations(ofLean(client), "plain"))
      const counts = cluster.nodes.map(({ requests }) => requests.operations)
      for (const count of counts) assert.isAbove(count, 0, `${counts}`)
    }))

  it.live("with enforced signatures, compression both ways and affinity", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ secrets, compressionThreshold: 1 })
      const client = yield* lean(cluster, {
        auth: Auth.sigV4({ accessKeyId: "alice", secretAccessKey: secrets.alice }),
        compression: { threshold: 1 },
        acceptEncoding: ["gzip", "deflate"],
        affinity: "any-write"
      })
      yield* Effect.promise(() => operations(ofLean(client), "all"))
      const refused = yield* lean(cluster, {
        auth: Auth.sigV4({ accessKeyId: "alice", secretAccessKey: "wrong" })
      })
      const error = yield* Effect.flip(refused.listTables({}))
      assert.strictEqual(error.reason._tag, "AccessRefused")
      assert.strictEqual(error.outcome, "Rejected")
      assert.strictEqual(error.attempts.length, 1)
    }))

  it.live.each([20, -20])(
    "clocks that are %d minutes away are found out by the first refusal, for a write too",
    (minutes) =>
      Effect.gen(function*() {
        const cluster = yield* AlternatorCluster.make({
          secrets,
          clockSkew: minutes * 60_000,
          store: () => Promise.resolve({ status: 200, body: "{}" })
        })
        const client = yield* lean(cluster, {
          auth: Auth.sigV4({ accessKeyId: "alice", secretAccessKey: secrets.alice })
        })
        const count = () => cluster.nodes.reduce((sum, { requests }) => sum + requests.operations, 0)
        const write = client.updateItem({
          TableName: "t",
          Key: { pk: "a" },
          UpdateExpression: "ADD n :one",
          ExpressionAttributeValues: { ":one": 1 }
        })
        yield* write
        assert.strictEqual(count(), 2)
        yield* write
        assert.strictEqual(count(), 3)

        const adapted = AwsSdk.withAlternator(
          new DynamoDBClient({ region: "any", credentials: { accessKeyId: "alice", secretAccessKey: secrets.alice } }),
          yield* Effect.provideContext(
            AwsSdk.make,
            yield* Layer.build(
              Layer.provideMerge(AlternatorNodes.layer({ seeds: cluster.seeds }), AlternatorTransport.layerUndici())
            )
          )
        )
        const put = new PutItemCommand({ TableName: "t", Item: { pk: { S: "a" } } })
        yield* Effect.promise(() => adapted.send(put))
        assert.strictEqual(count(), 5)
        yield* Effect.promise(() => adapted.send(put))
        assert.strictEqual(count(), 6)
        adapted.destroy()
      })
  )

  it.live("a refusal of the date without a date is no reason to try for ever", () =>
    Effect.gen(function*() {
      const refusal = JSON.stringify({ __type: "x#InvalidSignatureException", message: "Signature expired: …" })
      const cluster = yield* AlternatorCluster.make({ store: () => Promise.resolve({ status: 400, body: refusal }) })
      const client = yield* lean(cluster)
      const error = yield* Effect.flip(client.listTables({}))
      assert.strictEqual(error.reason._tag, "AccessRefused")
      // The node's clock is ours, so there is nothing to correct.
      assert.strictEqual(error.attempts.length, 1)
    }))

  it.live("each attempt is signed for its node: with one of three dead, and others restarting, all operations are done", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ secrets })
      const client = yield* lean(cluster, {
        auth: Auth.sigV4({ accessKeyId: "alice", secretAccessKey: secrets.alice }),
        balancing: "round-robin",
        health: false
      })
      yield* client.nodes.awaitReady
      yield* cluster.nodes[2]!.become("dead")
      yield* Effect.promise(() => operations(ofLean(client), "two"))
      yield* cluster.nodes[0]!.become("dead")
      yield* cluster.nodes[2]!.become("up")
      yield* Effect.promise(() => operations(ofLean(client), "others"))
      assert.isAbove(cluster.nodes[2]!.requests.operations, 0)
    }))
})
