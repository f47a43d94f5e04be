/** `npm run demo -- alternator`: live nodes under load, one of which dies and comes back. */
import { AlternatorClient, AlternatorTable, Auth } from "@effect-scylla/alternator"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { Console, Context, Effect, Fiber, Layer, Ref, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { heading, table } from "../demo/terminal.ts"

const Users = AlternatorTable.make("users", {
  item: Schema.Struct({ id: Schema.String, name: Schema.String, visits: Schema.Number }),
  partitionKey: { name: "id", type: "S" }
})

const flags = {
  requests: Flag.Int("requests").pipe(Flag.withDescription("items to write and read back"), Flag.withDefault(600)),
  concurrency: Flag.Int("concurrency").pipe(Flag.withDescription("requests under way at once"), Flag.withDefault(16))
}

const secrets = { demo: "secret" }

/** Writes and reads back so many items; gives how many failed. */
const work = Effect.fnUntraced(function*(
  client: AlternatorClient.AlternatorClient,
  settings: { readonly requests: number; readonly concurrency: number },
  during: (done: number) => Effect.Effect<void>
) {
  const failures = yield* Ref.make(0)
  let done = 0
  yield* Effect.forEach(
    Array.from({ length: settings.requests }, (_, i) => ({ id: `user-${i}`, name: `user ${i}`, visits: i })),
    (user) =>
      Effect.gen(function*() {
        yield* Users.put(client, user)
        const found = yield* Users.get(client, { id: user.id }, { consistent: true })
        if (found._tag === "None" || found.value.visits !== user.visits) {
          return yield* Effect.die(new Error(`${user.id} is not what was written`))
        }
      }).pipe(
        Effect.catch((error) =>
          Effect.andThen(Console.error(`  ${error.message}`), Ref.update(failures, (n) => n + 1))
        ),
        Effect.ensuring(Effect.suspend(() => during(++done)))
      ),
    { concurrency: settings.concurrency, discard: true }
  )
  return yield* Ref.get(failures)
})

const balance = (cluster: AlternatorCluster.AlternatorCluster, before: ReadonlyArray<number>) =>
  table(
    ["node", "rack", "condition", "operations", "connections"],
    cluster.nodes.map((node, i) => [
      `${node.address}:${cluster.port}`,
      node.rack,
      node.condition,
      node.requests.operations - (before[i] ?? 0),
      node.connections.open
    ])
  )

const counts = (cluster: AlternatorCluster.AlternatorCluster) =>
  cluster.nodes.map(({ requests }) => requests.operations)

const run = Effect.fnUntraced(function*(settings: { readonly requests: number; readonly concurrency: number }) {
  const cluster = yield* AlternatorCluster.make({ secrets })
  yield* heading("Three Alternator nodes on loopback, over one store; signatures are enforced")
  const services = yield* Layer.build(AlternatorClient.layer({
    seeds: cluster.seeds,
    auth: Auth.sigV4({ accessKeyId: "demo", secretAccessKey: secrets.demo }),
    health: { minEjection: "500 millis", warmUp: "1 seconds" }
  }))
  const client = Context.get(services, AlternatorClient.AlternatorClient)
  const { nodes } = yield* client.nodes.awaitReady
  yield* Console.log(`  seed ${cluster.seeds[0]} told of ${nodes.map(({ url }) => url).join(", ")}`)
  yield* Users.create(client)

  const node = cluster.nodes[1]!
  const tracked = () => client.nodes.current().nodes.find(({ host }) => host === node.address)
  let failed = 0

  yield* heading("Balance")
  let before = counts(cluster)
  failed += yield* work(client, settings, () => Effect.void)
  yield* balance(cluster, before)

  yield* heading(`${node.address} dies in the middle of it`)
  before = counts(cluster)
  failed += yield* work(
    client,
    settings,
    (done) => done === Math.floor(settings.requests / 3) ? Effect.orDie(node.become("dead")) : Effect.void
  )
  yield* balance(cluster, before)
  yield* Console.log(`  ejected: ${tracked()?.isEjected === true ? "yes" : "no"}`)

  yield* heading(`${node.address} comes back, and a probe finds it`)
  yield* node.become("up")
  yield* Effect.gen(function*() {
    while (tracked()?.isEjected === true) yield* Effect.sleep("20 millis")
  }).pipe(Effect.timeout("30 seconds"))
  before = counts(cluster)
  const fiber = yield* Effect.forkChild(work(client, settings, () => Effect.void))
  failed += yield* Fiber.join(fiber)
  yield* balance(cluster, before)

  yield* heading(`${3 * settings.requests} items written and read back, ${failed} failed`)
  if (failed > 0) return yield* Effect.die(new Error("requests failed although two nodes were there"))
  yield* Console.log("\ndone")
})

/** The subcommand. */
export const alternator = Command.make("alternator", flags, (settings) =>
  Effect.scoped(run(settings)).pipe(
    Effect.catchTag(
      ["AlternatorError", "AlternatorClusterError", "DynaliteMissing", "PortsError", "TimeoutError"],
      (error) =>
        Effect.andThen(
          Console.error(`\n${error.message}`),
          Effect.sync(() => {
            process.exitCode = 1
          })
        )
    )
  )).pipe(Command.withDescription("The DynamoDB API: discovery, balance, a node's death and return"))
