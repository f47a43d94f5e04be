/** Does its work and closes nothing: `forgotten.ts <how> <seeds> <port>`. Then nothing of ours may keep the process. */
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb"
import { AlternatorClient, AlternatorNodes, AlternatorTransport, AwsSdk } from "@effect-scylla/alternator"
import { Context, Effect, Layer, ManagedRuntime, Scope } from "effect"

const [how, seeds = "", port] = process.argv.slice(2)
/** So long that a process which waits for any of it has missed the test's deadline. */
const options = {
  seeds,
  port: Number(port),
  activeInterval: "9 minutes",
  idleInterval: "10 minutes",
  discoveryTimeout: "10 minutes"
} as const

const list = Effect.flatMap(AlternatorClient.AlternatorClient, (client) => client.listTables({}))

const work: Readonly<Record<string, () => Promise<unknown>>> = {
  sdk: async () => {
    const alternator = await AwsSdk.open(options)
    const client = AwsSdk.withAlternator(new DynamoDBClient({ region: "any" }), alternator, { signing: false })
    await client.send(new ListTablesCommand({}))
  },
  runtime: () => ManagedRuntime.make(AlternatorClient.layer(options)).runPromise(list),
  scope: () =>
    Effect.runPromise(
      Effect.flatMap(
        Layer.buildWithScope(AlternatorClient.layer(options), Scope.makeUnsafe()),
        (services) => Effect.provideContext(list, services)
      )
    ),
  static: () =>
    ManagedRuntime.make(AlternatorClient.layer({ ...options, discovery: "static" })).runPromise(
      Effect.andThen(list, list)
    ),
  // It waits for what only comes from the background, and learns of a node to be probed.
  nodes: async () => {
    const layer = Layer.provideMerge(
      AlternatorNodes.layer({ ...options, health: { minEjection: "10 minutes", maxEjection: "10 minutes" } }),
      AlternatorTransport.layerUndici()
    )
    const services = await Effect.runPromise(Layer.buildWithScope(layer, Scope.makeUnsafe()))
    const nodes = Context.get(services, AlternatorNodes.AlternatorNodes)
    const { nodes: [node] } = await Effect.runPromise(nodes.awaitNodes(({ isDiscovered }) => isDiscovered))
    nodes.observe(node!, "unreachable", nodes.now())
  }
}

await work[how!]!()
console.log("done")
