/**
 * `node worker.ts <client> <operation> <port> <millis> <concurrency>`: CPU microseconds per request of one client, as JSON,
 * measured for so long after a warm-up of six tenths of that.
 */
import { DynamoDBClient, GetItemCommand, PutItemCommand, QueryCommand } from "@aws-sdk/client-dynamodb"
import { DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand as DocumentQuery } from "@aws-sdk/lib-dynamodb"
import { AlternatorClient, Auth, AwsSdk } from "@effect-scylla/alternator"
import { Context, Effect, Exit, Layer, Scope } from "effect"

const [client = "", operation = "", port = "", millisText = "", concurrencyText = ""] = process.argv.slice(2)
const millis = Number(millisText)
const concurrency = Number(concurrencyText)

const item = {
  pk: "customer#1",
  sk: 17,
  name: "name of the item number 17",
  email: "someone.17@example.com",
  price: 17.25,
  active: true,
  tags: ["red", "green", "blue"]
}
const wire = {
  pk: { S: item.pk },
  sk: { N: "17" },
  name: { S: item.name },
  email: { S: item.email },
  price: { N: "17.25" },
  active: { BOOL: true },
  tags: { L: [{ S: "red" }, { S: "green" }, { S: "blue" }] }
}
const condition = "pk = :p"
const credentials = { accessKeyId: "alice", secretAccessKey: "secret" }
const TableName = "t"

/** One request; its answer is looked at, so that it was decoded. */
type Send = () => Promise<unknown>

const check = (value: unknown): void => {
  if (value === undefined) throw new Error("an empty answer")
}

const ofSdk = (sdk: DynamoDBClient): Send =>
  operation === "GetItem"
    ? () => sdk.send(new GetItemCommand({ TableName, Key: { pk: wire.pk, sk: wire.sk } })).then((r) => check(r.Item))
    : operation === "PutItem"
    ? () => sdk.send(new PutItemCommand({ TableName, Item: wire as never })).then((r) => check(r.$metadata))
    : () =>
      sdk.send(
        new QueryCommand({
          TableName,
          KeyConditionExpression: condition,
          ExpressionAttributeValues: { ":p": wire.pk }
        })
      ).then((r) => check(r.Items![99]))

const ofDocuments = (sdk: DynamoDBClient): Send => {
  const documents = DynamoDBDocumentClient.from(sdk)
  return operation === "GetItem"
    ? () => documents.send(new GetCommand({ TableName, Key: { pk: item.pk, sk: 17 } })).then((r) => check(r.Item))
    : operation === "PutItem"
    ? () => documents.send(new PutCommand({ TableName, Item: item })).then((r) => check(r.$metadata))
    : () =>
      documents.send(
        new DocumentQuery({
          TableName,
          KeyConditionExpression: condition,
          ExpressionAttributeValues: { ":p": item.pk }
        })
      ).then((r) => check(r.Items![99]))
}

const sdk = () =>
  new DynamoDBClient({ region: "us-east-1", credentials, endpoint: `http://127.0.0.1:${port}`, maxAttempts: 1 })

/** Runs requests for so many milliseconds, `concurrency` at a time. Gives how many. */
type Run = (millis: number) => Promise<number>

const loop = (send: Send): Run => async (millis) => {
  const end = performance.now() + millis
  let count = 0
  const lane = async () => {
    for (; performance.now() < end; count++) await send()
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
  return count
}

const lean = async (): Promise<{ readonly run: Run; readonly close: () => Promise<unknown> }> => {
  const scope = Effect.runSync(Scope.make())
  const services = await Effect.runPromise(Scope.provide(
    Layer.build(AlternatorClient.layer({ seeds: `127.0.0.1:${port}`, auth: Auth.sigV4(credentials) })),
    scope
  ))
  const client = Context.get(services, AlternatorClient.AlternatorClient)
  const send = operation === "GetItem"
    ? () => Effect.map(client.getItem({ TableName, Key: { pk: item.pk, sk: 17 } }), (r) => check(r.Item))
    : operation === "PutItem"
    ? () => Effect.map(client.putItem({ TableName, Item: item }), check)
    : () =>
      Effect.map(
        client.query({
          TableName,
          KeyConditionExpression: condition,
          ExpressionAttributeValues: { ":p": item.pk }
        }),
        (r) => check(r.Items![99])
      )
  return {
    run: (millis) => {
      const end = performance.now() + millis
      let count = 0
      const lane = Effect.whileLoop({
        while: () => performance.now() < end,
        body: send,
        step: () => {
          count++
        }
      })
      const lanes = Array.from({ length: concurrency }, () => lane)
      return Effect.runPromise(Effect.all(lanes, { concurrency: "unbounded", discard: true })).then(() => count)
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const start = async (): Promise<{ readonly run: Run; readonly close: () => unknown }> => {
  if (client === "lean") return lean()
  if (client === "sdk") return { run: loop(ofSdk(sdk())), close: () => {} }
  if (client === "documents") return { run: loop(ofDocuments(sdk())), close: () => {} }
  const alternator = await AwsSdk.open({ seeds: `127.0.0.1:${port}` })
  return { run: loop(ofSdk(AwsSdk.withAlternator(sdk(), alternator))), close: alternator.close }
}

const { close, run } = await start()
await run(0.6 * millis)
const before = process.cpuUsage()
const begun = performance.now()
const requests = await run(millis)
const { system, user } = process.cpuUsage(before)
const seconds = (performance.now() - begun) / 1000
process.stdout.write(JSON.stringify({ cpu: (system + user) / requests, perSecond: Math.round(requests / seconds) }))
await close()
process.exit(0)
