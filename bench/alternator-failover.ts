/**
 * One of three nodes dies, hangs or fails under load: failures and p99 of the lean client, of the AWS SDK with the adapter,
 * and of the SDK with a middleware that gives each attempt another node and leaves retries to the SDK, which is how the
 * existing clients work. All in one process with the nodes: compare the columns, not the milliseconds.
 *
 * `node bench/alternator-failover.ts [--json]`, about a minute and a half.
 */
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb"
import { AwsSdk } from "@effect-scylla/alternator"
import type { AlternatorCluster, Condition } from "@effect-scylla/testkit/AlternatorCluster"
import { Effect } from "effect"
import { pathToFileURL } from "node:url"
import {
  cannedCluster,
  conditions,
  levels,
  type Load,
  load,
  ofLean,
  show
} from "../packages/alternator/test/support/load.ts"

const sdkClient = () =>
  new DynamoDBClient({
    region: "x",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    requestHandler: { requestTimeout: 3000, throwOnRequestTimeout: true, connectionTimeout: 2000 } as never
  })

const ofSdk = (sdk: DynamoDBClient, cluster: AlternatorCluster, concurrency: number, each: number) =>
  Effect.promise(() =>
    load(
      cluster,
      concurrency,
      each,
      () => sdk.send(new GetItemCommand({ TableName: "t", Key: { pk: { S: "a" } } })).then(() => true, () => false)
    )
  )

/** The SDK alone, each attempt on the next node. */
const ofBare = (cluster: AlternatorCluster, concurrency: number, each: number) =>
  Effect.gen(function*() {
    const sdk = sdkClient()
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
    const seen = yield* ofSdk(sdk, cluster, concurrency, each)
    sdk.destroy()
    return seen
  })

const ofAdapter = (cluster: AlternatorCluster, condition: Condition, concurrency: number, each: number) =>
  Effect.gen(function*() {
    const alternator = yield* Effect.acquireRelease(
      Effect.promise(() => AwsSdk.open({ seeds: cluster.seeds, transport: { shutdownTimeout: 0 } })),
      ({ close }) => Effect.promise(close)
    )
    const sdk = AwsSdk.withAlternator(sdkClient(), alternator)
    yield* cluster.nodes[1]!.become(condition)
    return yield* ofSdk(sdk, cluster, concurrency, each)
  }).pipe(Effect.scoped)

export interface FailoverFigures {
  readonly condition: Condition
  readonly concurrency: number
  readonly reads: number
  readonly lean: Load
  readonly adapter: Load
  readonly sdk: Load
}

export const run = async (options: { readonly json: boolean }): Promise<ReadonlyArray<FailoverFigures>> => {
  const figures: Array<FailoverFigures> = []
  for (const condition of conditions) {
    for (const [concurrency, each] of levels) {
      const one = await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
        const cluster = yield* cannedCluster
        const lean = yield* ofLean(cluster, condition, concurrency, each)
        const sdk = yield* ofBare(cluster, concurrency, each)
        yield* cluster.nodes[1]!.become("up")
        const adapter = yield* ofAdapter(cluster, condition, concurrency, each)
        return { condition, concurrency, reads: concurrency * each, lean, adapter, sdk }
      })))
      figures.push(one)
      const line = `${condition}, ${concurrency} at once, ${one.reads} reads`
      const said = `${line}\n  lean     ${show(one.lean)}\n  adapter  ${show(one.adapter)}\n  AWS SDK  ${show(one.sdk)}`
      if (options.json) console.error(said)
      else console.log(said)
    }
  }
  if (options.json) console.log(JSON.stringify(figures))
  return figures
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await run({ json: process.argv.includes("--json") })
}
