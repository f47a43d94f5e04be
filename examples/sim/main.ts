/**
 * A simulated ScyllaDB cluster as a command, for clients of any language:
 *
 *     npm run sim -- --nodes 3 --shards 4
 *
 * prints one line, `ready 127.0.0.1:9042 …`, and serves until it, or who started it, is stopped.
 */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"

const flags = {
  nodes: Flag.Int("nodes").pipe(Flag.withDefault(3), Flag.withDescription("Nodes, on 127.0.0.1, 127.0.0.2, …")),
  shards: Flag.Int("shards").pipe(Flag.withDefault(4), Flag.withDescription("Shards of each node")),
  product: Flag.Literals("product", ["scylla", "cassandra"]).pipe(
    Flag.withDefault("scylla" as const),
    Flag.withDescription("Whose manners it has: versions of the protocol, shards, refusals")
  ),
  port: Flag.Int("port").pipe(Flag.withDefault(9042), Flag.withDescription("The port of all nodes")),
  shardAwarePort: Flag.Int("shard-aware-port").pipe(
    Flag.withDefault(19_042),
    Flag.withDescription("The port on which the source port chooses the shard; 0 for none")
  ),
  stats: Flag.Boolean("stats").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Print the counters as JSON when stopped")
  ),
  username: Flag.String("username").pipe(
    Flag.withDescription("Ask for this name and --password at login"),
    Flag.optional
  ),
  password: Flag.Redacted("password").pipe(Flag.optional)
}

const serve = Effect.fnUntraced(function*(options: Command.Command.Config.Infer<typeof flags>) {
  const { nodes, port, product, shardAwarePort, shards } = options
  const username = Option.getOrUndefined(options.username)
  const password = Option.getOrUndefined(Option.map(options.password, Redacted.value))
  if ((username === undefined) !== (password === undefined)) {
    return yield* new SimulatedCluster.SimulatedClusterError({
      reason: "BadOptions",
      message: "--username and --password go together"
    })
  }
  const cluster = yield* SimulatedCluster.make({
    nodes,
    shards,
    product,
    port,
    shardAwarePort: shardAwarePort === 0 ? false : shardAwarePort,
    credentials: username === undefined || password === undefined ? undefined : { username, password }
  })
  if (options.stats) {
    // Registered after the cluster, so it runs before the cluster is gone.
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(cluster.stats, (stats) => Console.log(JSON.stringify(stats, undefined, 2)))
    )
  }
  const took = [
    `product=${product}`,
    `nodes=${nodes}`,
    `shards=${shards}`,
    `shard-aware-port=${cluster.shardAwarePort ?? "none"}`
  ]
  yield* Console.log(["ready", ...cluster.contactPoints, ...took].join(" "))
  return yield* Effect.never
}, Effect.scoped)

const command = Command.make("sim", flags, (options) =>
  serve(options).pipe(
    Effect.catchTag("SimulatedClusterError", (error) =>
      Effect.andThen(
        Console.error(`sim: ${error.message}`),
        Effect.sync(() => {
          process.exitCode = 1
        })
      ))
  )).pipe(Command.withDescription("A simulated ScyllaDB cluster"))

// The runner is gone without a word: so are those who could stop us.
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))

Command.run(command, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
