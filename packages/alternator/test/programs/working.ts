/** What a program does, on whichever runtime: `working.ts <seeds> <https port>`. Says what came of it as JSON. */
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb"
import { AlternatorClient, type AlternatorError, Auth, AwsSdk, Batches } from "@effect-scylla/alternator"
import { Effect } from "effect"
import { readFileSync } from "node:fs"

const [seeds = "", securePort = ""] = process.argv.slice(2)
const auth = Auth.sigV4({ accessKeyId: "alice", secretAccessKey: "secret" })
const ca = readFileSync(new URL("../fixtures/server-cert.pem", import.meta.url))

const withClient = <A>(
  options: AlternatorClient.Options,
  use: (client: AlternatorClient.AlternatorClient) => Effect.Effect<A, AlternatorError.AlternatorError>
) =>
  Effect.runPromise(
    Effect.scoped(
      Effect.provide(Effect.flatMap(AlternatorClient.AlternatorClient, use), AlternatorClient.layer(options))
    )
  )

const failure = (effect: Effect.Effect<unknown, AlternatorError.AlternatorError>): Effect.Effect<string> =>
  Effect.match(effect, {
    onFailure: ({ outcome, reason }) => `${reason._tag} ${outcome}`,
    onSuccess: () => "none"
  })

const item = { id: "é", bytes: Uint8Array.of(0, 255), text: "x".repeat(20_000), big: 2n ** 90n }

const lean = await withClient(
  { seeds, auth, compression: { threshold: 100 }, acceptEncoding: ["gzip"] },
  (client) =>
    Effect.gen(function*() {
      yield* client.createTable({
        TableName: "things",
        BillingMode: "PAY_PER_REQUEST",
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }]
      })
      yield* client.putItem({ TableName: "things", Item: item })
      yield* Batches.write(client, {
        things: Array.from({ length: 250 }, (_, i) => ({ PutRequest: { Item: { id: `${i}` } } }))
      }, {
        size: 25,
        concurrency: 10
      })
      for (let i = 0; i < 100; i++) yield* client.getItem({ TableName: "things", Key: { id: `${i}` } })
      const { Item } = yield* client.getItem({ TableName: "things", Key: { id: "é" } })
      const { Count } = yield* client.scan({ TableName: "things", Select: "COUNT" })
      return {
        isSame: Item!["text"] === item.text && Item!["big"] === item.big && Item!["bytes"][1] === 255,
        Count,
        nodes: client.nodes.current().nodes.length,
        refused: yield* failure(client.getItem({ TableName: "none", Key: { id: "a" } }))
      }
    })
)

const alternator = await AwsSdk.open({ seeds })
const credentials = { accessKeyId: "alice", secretAccessKey: "secret" }
const client = AwsSdk.withAlternator(new DynamoDBClient({ region: "any", credentials }), alternator)
const { Item } = await client.send(new GetItemCommand({ TableName: "things", Key: { id: { S: "7" } } }))
await alternator.close()

const dead = await withClient(
  { seeds: "127.0.0.1:9", discovery: "static", maxAttempts: 1 },
  (client) => failure(client.listTables({}))
)
const secure = await withClient({
  seeds: `https://127.0.0.1:${securePort}`,
  discovery: "static",
  transport: { tls: { ca } }
}, (client) => Effect.map(Effect.all([client.listTables({}), client.listTables({})]), ([{ TableNames }]) => TableNames))
const distrusted = await withClient(
  { seeds: `https://127.0.0.1:${securePort}`, discovery: "static" },
  (client) => failure(client.listTables({}))
)

console.log(JSON.stringify({ lean, sdk: Item, dead, secure, distrusted }))
