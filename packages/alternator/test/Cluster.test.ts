import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb"
import {
  AlternatorClient,
  AlternatorNodes,
  AlternatorTransport,
  Auth,
  AwsSdk,
  RoutingScope
} from "@effect-scylla/alternator"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
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

/** Rows of values, few, in which every value of an axis meets every value of every other axis (greedy all-pairs). */
const allPairs = (axes: ReadonlyArray<number>): Array<Array<number>> => {
  const open = new Set<string>()
  const pair = (i: number, a: number, j: number, b: number) => i < j ? `${i}=${a},${j}=${b}` : `${j}=${b},${i}=${a}`
  for (let i = 0; i < axes.length; i++) {
    for (let j = i + 1; j < axes.length; j++) {
      for (let a = 0; a < axes[i]!; a++) for (let b = 0; b < axes[j]!; b++) open.add(pair(i, a, j, b))
    }
  }
  const rows: Array<Array<number>> = []
  while (open.size > 0) {
    const [first] = open
    const row: Array<number | undefined> = axes.map(() => undefined)
    for (const part of first!.split(",")) row[Number(part.split("=")[0])] = Number(part.split("=")[1])
    for (let i = 0; i < axes.length; i++) {
      if (row[i] !== undefined) continue
      let best = 0
      let most = -1
      for (let value = 0; value < axes[i]!; value++) {
        const met = row.filter((other, j) => other !== undefined && open.has(pair(i, value, j, other))).length
        if (met > most) [best, most] = [value, met]
      }
      row[i] = best
    }
    const full = row as Array<number>
    full.forEach((a, i) => full.forEach((b, j) => i < j && open.delete(pair(i, a, j, b))))
    rows.push(full)
  }
  return rows
}

const axes = {
  client: ["lean", "adapter"],
  transport: ["undici", "fetch"],
  discovery: ["live", "static"],
  scope: ["cluster", "rack"],
  auth: ["signed", "unsigned"],
  compression: ["none", "gzip", "deflate"],
  acceptEncoding: ["none", "gzip"],
  balancing: ["round-robin", "power-of-two"],
  affinity: ["none", "rmw", "any-write"],
  affinityOrder: ["go", "python", "rust"],
  headers: ["default", "few"],
  node: ["all up", "one dead"]
} as const
const rows = allPairs(Object.values(axes).map(({ length }) => length)).map((row) =>
  Object.fromEntries(Object.entries(axes).map(([name, values], i) => [name, values[row[i]!]!]))
) as unknown as ReadonlyArray<{ readonly [A in keyof typeof axes]: (typeof axes)[A][number] }>

describe("R13: options together, on nodes that verify signatures", () => {
  it("every two values meet", () => {
    const names = Object.keys(axes) as Array<keyof typeof axes>
    for (const [i, a] of names.entries()) {
      for (const b of names.slice(i + 1)) {
        for (const x of axes[a]) {
          for (const y of axes[b]) {
            assert.isTrue(rows.some((row) => row[a] === x && row[b] === y), `${a} ${x}, ${b} ${y}`)
          }
        }
      }
    }
  })

  it.live.each(rows.map((row) => [Object.values(row).join(", "), row] as const))(
    "%s",
    ([, row]) =>
      Effect.gen(function*() {
        const isSigned = row.auth === "signed"
        const cluster = yield* AlternatorCluster.make({
          ...(isSigned ? { secrets } : {}),
          compressionThreshold: 1,
          nodes: [1, 2, 3].map((n) => ({ address: `127.0.0.${n}`, rack: n === 3 ? "r2" : "r1" }))
        })
        const transport = row.transport === "undici"
          ? AlternatorTransport.layerUndici({ shutdownTimeout: 0 })
          : Layer.provide(AlternatorTransport.layerHttpClient, FetchHttpClient.layer)
        const seeds = row.discovery === "live"
          ? cluster.seeds
          : cluster.nodes.map(({ address }) => `${address}:${cluster.port}`)
        const nodes = AlternatorNodes.layer({
          seeds,
          discovery: row.discovery,
          scope: row.scope === "rack" ? RoutingScope.rack("dc1", "r1") : RoutingScope.cluster()
        })
        const services = yield* Layer.build(Layer.provideMerge(nodes, transport))
        const live = Context.get(services, AlternatorNodes.AlternatorNodes)
        yield* live.awaitReady
        yield* live.awaitNodes(({ nodes }) =>
          nodes.length === (row.scope === "rack" && row.discovery === "live" ? 2 : 3)
        )
        if (row.node === "one dead") yield* cluster.nodes[1]!.become("dead")
        const shared = {
          balancing: row.balancing,
          affinity: row.affinity,
          affinityOrder: row.affinityOrder,
          compression: row.compression === "none" ? undefined : { encoding: row.compression, threshold: 1 },
          acceptEncoding: row.acceptEncoding === "none" ? undefined : [row.acceptEncoding]
        }
        const credentials = { accessKeyId: "alice", secretAccessKey: secrets.alice }
        if (row.client === "lean") {
          const client = yield* Effect.provideContext(
            AlternatorClient.make({
              ...shared,
              auth: isSigned ? Auth.sigV4(credentials) : Auth.none,
              userAgent: row.headers === "few" ? false : undefined
            }),
            services
          )
          yield* Effect.promise(() => operations(ofLean(client), "pairs"))
        } else {
          const client = AwsSdk.withAlternator(
            new DynamoDBClient({ region: "any", credentials }),
            yield* Effect.provideContext(AwsSdk.make, services),
            {
              ...shared,
              signing: isSigned,
              headers: row.headers === "few"
                ? ["x-amz-target", "content-type", "content-encoding", "accept-encoding"]
                : undefined
            }
          )
          yield* Effect.promise(() => operations(ofSdk(client), "pairs"))
          client.destroy()
        }

        // Everything went through the nodes that it should have, as it should have.
        const received = cluster.nodes.flatMap((node) => node.received)
        assert.isAbove(received.length, 15)
        for (const { headers, operation } of received) {
          assert.strictEqual(headers["authorization"] !== undefined, isSigned, operation)
          // The names of keys are asked for in a request of our own.
          if (operation !== "DescribeTable") {
            assert.strictEqual(headers["content-encoding"], row.compression === "none" ? undefined : row.compression)
          }
          if (row.transport === "undici" && row.headers === "few") assert.isUndefined(headers["user-agent"])
        }
        if (row.scope === "rack" && row.discovery === "live" && row.affinity === "none") {
          assert.strictEqual(cluster.nodes[2]!.requests.operations, 0)
        }
      })
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

        // Requests that were under way when the first was refused.
        const many = yield* lean(cluster, {
          auth: Auth.sigV4({ accessKeyId: "alice", secretAccessKey: secrets.alice })
        })
        const before = count()
        yield* Effect.all(Array.from({ length: 60 }, () => many.listTables({})), { concurrency: "unbounded" })
        assert.isAtMost(count() - before, 120)
        const sofar = count()

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
        assert.strictEqual(count() - sofar, 2)
        yield* Effect.promise(() => adapted.send(put))
        assert.strictEqual(count() - sofar, 3)
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
