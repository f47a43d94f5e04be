/** Reads under load while one of three nodes fails: for the test of ours, and for the benchmark beside the AWS SDK. */
import { AlternatorClient } from "@effect-scylla/alternator"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { Context, type Duration, Effect, Layer } from "effect"

/** What becomes of the node. */
export const conditions = ["dead", "hanging", "failing"] as const
/** Requests at once, and how many after each other. */
export const levels = [[100, 6], [300, 4], [1000, 2]] as const

export interface Load {
  readonly failures: number
  /** Milliseconds. */
  readonly p99: number
  /** Requests that arrived at a node for each that was made. */
  readonly attempts: number
}

/** Sends from `concurrency` lanes; a lane sends its next of `each` when the one before is done. */
export const load = async (
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

const body = JSON.stringify({ Item: { pk: { S: "a" }, text: { S: "x".repeat(400) } } })

/** Three nodes that answer every operation with the same item. */
export const cannedCluster = AlternatorCluster.make({ store: () => Promise.resolve({ status: 200, body }) })

/** The load of the lean client, which knows all nodes when the second becomes `condition`. */
export const ofLean = (
  cluster: AlternatorCluster.AlternatorCluster,
  condition: AlternatorCluster.Condition,
  concurrency: number,
  each: number,
  attemptTimeout?: Duration.Input
) =>
  Effect.gen(function*() {
    const services = yield* Layer.build(AlternatorClient.layer({
      seeds: cluster.seeds,
      attemptTimeout,
      transport: { shutdownTimeout: 0 }
    }))
    const client = Context.get(services, AlternatorClient.AlternatorClient)
    yield* client.nodes.awaitReady
    yield* cluster.nodes[1]!.become(condition)
    const read = client.getItem({ TableName: "t", Key: { pk: "a" } }).pipe(
      Effect.map(({ Item }) => Item!["pk"] === "a"),
      Effect.catch((error) =>
        Effect.as(Effect.logWarning(error.message, error.attempts.map(({ millis, reason }) => [reason, millis])), false)
      )
    )
    return yield* Effect.promise(() => load(cluster, concurrency, each, () => Effect.runPromise(read)))
  }).pipe(Effect.scoped)

export const show = ({ attempts, failures, p99 }: Load): string =>
  `${failures} failed, p99 ${p99} ms, ${attempts.toFixed(2)} requests that arrived for each`
