/** Clients of the operations suite. */
import type { AlternatorClient, AlternatorError } from "@effect-scylla/alternator"
import { Effect } from "effect"
import type { Operator } from "./suite.ts"

const types: Readonly<Record<string, string>> = {
  ConditionalCheckFailed: "ConditionalCheckFailedException",
  ResourceNotFound: "ResourceNotFoundException",
  ValidationFailed: "ValidationException"
}

export const ofLean = (client: AlternatorClient.AlternatorClient): Operator => ({
  send: (operation, input) =>
    Effect.runPromise(Effect.result(client.execute(operation as never, input))).then((result) => {
      if (result._tag === "Success") return result.success
      const error = result.failure as AlternatorError.AlternatorError
      throw Object.assign(new Error(error.message), { type: types[error.reason._tag] ?? error.reason._tag })
    })
})
