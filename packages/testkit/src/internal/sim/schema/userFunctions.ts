/** Functions and aggregates of users, of servers that are configured to have none: as both are unless they are told to. */
import { invalid } from "../failure.ts"
import type { TypeNode, UserFunction } from "../parse/ast.ts"
import { keyspaceOf } from "./schema.ts"
import { type Change, type Environment, sayOf, UNCHANGED, userKeyspace } from "./schemaChange.ts"
import { nodeText } from "./types.ts"

const signature = (keyspace: string, name: string, args: ReadonlyArray<TypeNode> | undefined): string =>
  `${keyspace}.${name}${args === undefined ? "" : `(${args.map(nodeText).join(", ")})`}`

export const userFunction = (env: Environment, current: string, statement: UserFunction): Change => {
  const { args, ifExists, kind, name, stateFunction, stateType, verb } = statement
  const say = sayOf(env)
  const keyspace = userKeyspace(env.schema, keyspaceOf(name.keyspace, current)).name
  if (verb === "DROP") {
    if (ifExists) return UNCHANGED
    const shown = signature(keyspace, name.name, args)
    throw invalid(
      say(
        `No ${kind === "function" ? "function" : "aggregate"} named ${shown} found`,
        `${kind === "function" ? "Function" : "Aggregate"} '${shown}' doesn't exist`
      )
    )
  }
  if (stateFunction !== undefined && stateType !== undefined) {
    throw invalid(
      say(
        `State function ${stateFunction} not found`,
        `State function ${signature(keyspace, stateFunction, [stateType, ...args ?? []])} doesn't exist`
      )
    )
  }
  throw invalid(
    say(
      "User defined functions are disabled. Set enable_user_defined_functions and experimental_features:udf to enable them",
      "User-defined functions are disabled in cassandra.yaml - set user_defined_functions_enabled=true to enable"
    )
  )
}
