/** Clients of the operations suite. */
import * as Sdk from "@aws-sdk/client-dynamodb"
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb"
import * as Documents from "@aws-sdk/lib-dynamodb"
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb"
import type { AlternatorClient, AlternatorError, Operations } from "@effect-scylla/alternator"
import { Effect } from "effect"
import type { Operator } from "./suite.ts"

const types: Readonly<Record<string, string>> = {
  ConditionalCheckFailed: "ConditionalCheckFailedException",
  ResourceNotFound: "ResourceNotFoundException",
  ValidationFailed: "ValidationException"
}

export const ofLean = (client: AlternatorClient.AlternatorClient): Operator => ({
  send: (operation, input) =>
    Effect.runPromise(Effect.result(client.execute(operation as Operations.Operation, input))).then((result) => {
      if (result._tag === "Success") return result.success
      const error = result.failure as AlternatorError.AlternatorError
      throw Object.assign(new Error(error.message), { type: types[error.reason._tag] ?? error.reason._tag })
    })
})

/** The SDK's document client speaks plain values; control plane operations go past it. */
export const ofSdk = (client: DynamoDBClient): Operator => {
  const documents = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
  const short: Readonly<Record<string, string>> = {
    GetItem: "Get",
    PutItem: "Put",
    UpdateItem: "Update",
    DeleteItem: "Delete",
    BatchWriteItem: "BatchWrite",
    BatchGetItem: "BatchGet",
    Query: "Query",
    Scan: "Scan"
  }
  return {
    send: async (operation, input) => {
      try {
        return short[operation] === undefined
          ? await client.send(new (Sdk as any)[`${operation}Command`](input))
          : await documents.send(new (Documents as any)[`${short[operation]}Command`](input))
      } catch (error) {
        throw Object.assign(error as Error, { type: (error as Error).name })
      }
    }
  }
}
