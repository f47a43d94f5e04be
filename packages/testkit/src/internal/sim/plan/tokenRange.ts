/** Relations of `token()`: a part of the ring. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid } from "../failure.ts"
import type { Comparison, Relation } from "../parse/ast.ts"
import type { Table } from "../schema/schema.ts"
import { readInt64 } from "../storage/values.ts"
import { columnOf } from "./columns.ts"
import { collect, nothing, unsetOf } from "./restrictions.ts"
import { compile, serves, textOf } from "./terms.ts"
import type { Bound, Variables } from "./variables.ts"

export interface TokenBounds {
  readonly lower: { readonly token: bigint; readonly inclusive: boolean } | undefined
  readonly upper: { readonly token: bigint; readonly inclusive: boolean } | undefined
}

export const compileTokens = (
  relations: ReadonlyArray<Extract<Relation, { readonly _tag: "Token" }>>,
  table: Table,
  variables: Variables
): (values: Bound) => TokenBounds | undefined => {
  const key = table.partitionKey.map((column) => column.name)
  const bounds: Array<{ readonly op: Comparison; readonly token: (values: Bound) => bigint | undefined }> = []
  const seen = nothing()
  for (const { columns, op, term } of relations) {
    if (columns.join() !== key.join()) {
      const given = columns.map((name) => columnOf(table, name, variables))
      if (variables.product === "scylla") {
        const wrong = given.length !== key.length
          ? -1
          : given.findIndex(({ type }, i) => serves(type.cql, table.partitionKey[i]!.type.cql) === "no")
        if (wrong >= 0) {
          throw invalid(
            `Type error: ${given[wrong]!.name} cannot be passed as argument ${wrong} of function system.token of type ${
              CqlType.format(table.partitionKey[wrong]!.type.cql)
            }`
          )
        }
        throw invalid(
          columns.length === key.length
            ? `The token function arguments must be in the partition key order: ${key.join(", ")}`
            : `Invalid number of arguments in call to function system.token: ${key.length} required but ${columns.length} provided`
        )
      }
      throw invalid(
        columns.length > key.length
          ? "The token() function must contains only partition key components"
          : columns.every((name) => key.includes(name)) && columns.length === key.length
          ? `The token function arguments must be in the partition key order: ${key.join(", ")}`
          : "The token() function must be applied to all partition key components or none of them"
      )
    }
    if (op === "!=") {
      throw invalid(
        `Unsupported "!=" relation: token(${columns.join(", ")}) != ${textOf(term, variables.product)}`
      )
    }
    collect(seen, op, term, key.join(", "), variables)
    const compiled = compile(term, CqlType.scalar("bigint"), "partition key token", variables)
    bounds.push({
      op,
      token: (values) => {
        const bytes = compiled(values)
        if (bytes === Unset) throw unsetOf(term, variables, "Invalid unset token value")
        if (bytes === null) {
          if (variables.product === "scylla") return undefined
          throw invalid("Invalid null token value")
        }
        return readInt64(bytes as Uint8Array)
      }
    })
  }
  return (values) => {
    let lower: TokenBounds["lower"]
    let upper: TokenBounds["upper"]
    for (const { op, token: read } of bounds) {
      const token = read(values)
      if (token === undefined) return undefined
      const inclusive = op === "=" || op === ">=" || op === "<="
      if (op === "=" || op === ">" || op === ">=") {
        const isTighter = lower === undefined || token > lower.token || (token === lower.token && !inclusive)
        if (isTighter) lower = { token, inclusive }
      }
      if (op === "=" || op === "<" || op === "<=") {
        const isTighter = upper === undefined || token < upper.token || (token === upper.token && !inclusive)
        if (isTighter) upper = { token, inclusive }
      }
    }
    return { lower, upper }
  }
}
