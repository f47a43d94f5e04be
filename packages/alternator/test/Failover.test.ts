/**
 * One of three nodes fails under load. Safe operations must not fail; p99 is printed beside that of the AWS SDK with a
 * middleware that gives each attempt another node and leaves retries to the SDK, which is how the existing clients work.
 */
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb"
import { AlternatorClient } from "@effect-scylla/alternator"
import { AlternatorCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"

const body = JSON.stringify({ Item: { pk: { S: "a" }, text: { S: "x".repeat(400) } } })
const store = () => Promise.resolve({ status: 200, body })

interface Load {
  readonly failures: number
  readonly p99: number
  readonly attempts: number
}

/** Every request of `concurrency` lanes; a lane sends its next when the one before is done. */
const load = async (
  cluster: AlternatorCluster.AlternatorCluster,
  concurrency: number,
  each: number,
  send: () => Promise<boolean>
): Promise<Load> => {
  const count = () => cluster.nodes.reduce((sum, { requests }) => sum + requests.operations, 0)
  const before = count()
  const latencies: Array<number> = []
  let failures = 0
  const lane = async () => {
    for (let i = 0; i < each; i++) {
      const begun = performance.now()
      if (!(await send())) failures++
      latencies.push(performance.now() - begun)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
  latencies.sort((a, b) => a - b)
  return {
    failures,
    p99: Math.round(latencies[Math.floor(latencies.length * 0.99)]!),
    attempts: (count() - before) / latencies.length
  }
}

const levels = [[100, 6], [300, 4], [1000, 2]] as const

describe("fail-over under load", () => {
  it.live.each(["dead", "hanging", "failing"] as const)(
    "one of three nodes is %s: no safe operation fails",
    (condition) =>
      Effect.gen(function*() {
        for (const [concurrency, each] of levels) {
          const cluster = yield* AlternatorCluster.make({ store })
          const services = yield* Layer.build(AlternatorClient.layer({
            seeds: cluster.seeds,
            transport: { shutdownTimeout: 0 }
          }))
          const client = Context.get(services, AlternatorClient.AlternatorClient)
          yield* client.nodes.awaitReady
          yield* cluster.nodes[1]!.become(condition)
          const read = Effect.map(
            client.getItem({ TableName: "t", Key: { pk: "a" } }),
            ({ Item }) => Item!["pk"] === "a"
          )
          const ours = yield* Effect.promise(() =>
            load(cluster, concurrency, each, () => Effect.runPromise(Effect.catch(read, () => Effect.succeed(false))))
          )
          yield* client.nodes.shutdown

          const sdk = new DynamoDBClient({
            region: "x",
            credentials: { accessKeyId: "a", secretAccessKey: "b" },
            requestHandler: { requestTimeout: 3000, throwOnRequestTimeout: true, connectionTimeout: 2000 } as never
          })
          let turn = 0
          sdk.middlewareStack.addRelativeTo((next: any) => (args: any) => {
            const { address } = cluster.nodes[turn++ % 3]!
            const headers = { ...args.request.headers, host: `${address}:${cluster.port}` }
            const { request } = args
            return next({
              ...args,
              request: Object.assign(Object.create(Object.getPrototypeOf(request)), request, {
                protocol: "http:",
                hostname: address,
                port: cluster.port,
                headers
              })
            })
          }, { name: "nodes", relation: "before", toMiddleware: "httpSigningMiddleware" })
          const theirs = yield* Effect.promise(() =>
            load(cluster, concurrency, each, () =>
              sdk.send(new GetItemCommand({ TableName: "t", Key: { pk: { S: "a" } } })).then(() =>
                true, () =>
                false))
          )
          sdk.destroy()
          const show = ({ attempts, failures, p99 }: Load) =>
            `${failures} failed, p99 ${p99} ms, ${attempts.toFixed(2)} requests that arrived for each`
          console.log(
            `${condition}, ${concurrency} at once, ${concurrency * each} reads: ours ${show(ours)}; AWS SDK ${
              show(theirs)
            }`
          )
          assert.strictEqual(ours.failures, 0)
        }
      }),
    120_000
  )
})
