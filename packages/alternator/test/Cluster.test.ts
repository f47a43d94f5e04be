import { AlternatorClient, Auth } from "@effect-scylla/alternator"
import { AlternatorCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { ofLean } from "./support/clients.ts"
import { operations } from "./support/suite.ts"

const secrets = { alice: "s3cret/with+signs=" }

const lean = (cluster: AlternatorCluster.AlternatorCluster, options: Partial<AlternatorClient.Options> = {}) =>
  Effect.map(
    Layer.build(AlternatorClient.layer({ seeds: cluster.seeds, ...options })),
    (context) => Context.get(context, AlternatorClient.AlternatorClient)
  )

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
})
