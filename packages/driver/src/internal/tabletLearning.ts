import * as Identifier from "@effect-scylla/protocol/Identifier"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CqlError } from "../CqlError.ts"
import type { ExecuteOptions } from "../ExecuteOptions.ts"
import type { Prepared } from "../Prepared.ts"

/** Tables that are asked about at a time; of each, one partition. */
const AT_ONCE = 32

const OPTIONS: ExecuteOptions = { consistency: "LOCAL_ONE", timeout: "2 seconds", label: "tablet learning" }

/**
 * Reads the key of a partition so that a server tells of its tablet: answers to conditional statements do not (java-driver #882,
 * scylladb #29874). One read of a table at a time; what comes of it is not looked at.
 */
export const learning = (
  scope: Scope.Scope,
  context: Context.Context<never>,
  execute: (text: string, values: ReadonlyArray<unknown>, options: ExecuteOptions) => Effect.Effect<unknown, CqlError>
): (prepared: Prepared, values: ReadonlyArray<unknown>) => void => {
  const asked = new Set<string>()
  return ({ keyspace, partitionKey, table, variables }, values) => {
    const name = `${Identifier.format(keyspace)}.${Identifier.format(table)}`
    if (asked.has(name) || asked.size >= AT_ONCE) return
    asked.add(name)
    const columns = partitionKey.map((at) => Identifier.format(variables[at]!.name))
    const text = `SELECT ${columns.join(", ")} FROM ${name} WHERE ${
      columns.map((column) => `${column} = ?`).join(" AND ")
    } LIMIT 1`
    const read = execute(text, partitionKey.map((at) => values[at]), OPTIONS)
    const done = Effect.sync(() => asked.delete(name))
    Effect.runForkWith(context)(Effect.forkIn(Effect.ensuring(Effect.ignore(read), done), scope))
  }
}
