/** dynalite in this process, in memory, without a port of its own. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createRequire } from "node:module"

export interface StoreAnswer {
  readonly status: number
  readonly body: string
}

/** Answers an operation (`GetItem`) with a body of DynamoDB JSON. */
export type Store = (operation: string, body: string) => Promise<StoreAnswer>

export class DynaliteMissing extends Data.TaggedError("DynaliteMissing")<{
  readonly message: string
  readonly cause: unknown
}> {}

/** What of it is used: it is an HTTP server whose `request` event does the work. */
interface Dynalite {
  emit(event: "request", request: unknown, response: unknown): boolean
}

/** dynalite wants a signature, and does not look at it. */
const headers = {
  "content-type": "application/x-amz-json-1.0",
  "x-amz-date": "20260101T000000Z",
  authorization:
    "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=b"
}

const ask = (server: Dynalite): Store => (operation, body) =>
  new Promise((resolve) => {
    const listeners = new Map<string, (argument?: unknown) => void>()
    const response = {
      statusCode: 200,
      setHeader: () => {},
      end: (text = "") => resolve({ status: response.statusCode, body: text })
    }
    server.emit("request", {
      method: "POST",
      url: "/",
      headers: { ...headers, "x-amz-target": `DynamoDB_20120810.${operation}` },
      on: (event: string, listener: (argument?: unknown) => void) => listeners.set(event, listener),
      removeAllListeners: () => listeners.clear()
    }, response)
    listeners.get("data")?.(Buffer.from(body))
    listeners.get("end")?.()
  })

/** What it does with a table after it has answered, on a timer of 0 ms. */
const later = new Set(["CreateTable", "UpdateTable", "DeleteTable"])

/** Asks until the table is as it was asked to be: Alternator answers no earlier, and whoever writes next relies on that. */
const settled = (store: Store): Store => async (operation, body) => {
  const answer = await store(operation, body)
  if (!later.has(operation) || answer.status !== 200) return answer
  const { TableName } = JSON.parse(body)
  for (;;) {
    const described = await store("DescribeTable", JSON.stringify({ TableName }))
    if (described.status !== 200) return answer
    const { Table } = JSON.parse(described.body)
    const indexes: ReadonlyArray<{ readonly IndexStatus: string }> = Table.GlobalSecondaryIndexes ?? []
    const isActive = Table.TableStatus === "ACTIVE" && indexes.every(({ IndexStatus }) => IndexStatus === "ACTIVE")
    if (isActive) {
      return operation === "DeleteTable" ? answer : { ...answer, body: JSON.stringify({ TableDescription: Table }) }
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** A store of its own. Tables are there at once. */
export const make: Effect.Effect<Store, DynaliteMissing, Scope.Scope> = Effect.gen(function*() {
  const create = yield* Effect.try({
    try: () => createRequire(import.meta.url)("dynalite") as (options: object) => Dynalite,
    catch: (cause) => new DynaliteMissing({ cause, message: "dynalite is not installed: add it to devDependencies" })
  })
  return settled(ask(create({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })))
})
