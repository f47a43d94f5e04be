/** One simulated d-engine node in a process of its own; prints `ready <port>` and ends with its input. */
import * as RaftSimulatedServer from "@effect-scylla/testkit/RaftSimulatedServer"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { Effect } from "effect"

await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const cluster = yield* RaftSimulator.make({ nodes: 1 })
  const { port } = yield* RaftSimulatedServer.listen(cluster, cluster.node(1))
  cluster.write("/bench/key", "x".repeat(200))
  console.log(`ready ${port}`)
  yield* Effect.callback<void>((resume) => {
    process.stdin.once("end", () => resume(Effect.void)).resume()
  })
})))
process.exit(0)
