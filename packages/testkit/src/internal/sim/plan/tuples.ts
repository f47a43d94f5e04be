/** Relations of several clustering columns at once: `(a, b) > (1, 2)`. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid } from "../failure.ts"
import type { Comparison, Relation, Term } from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { comparatorOf, fieldsOf } from "../storage/compare.ts"
import type { Clustering } from "../storage/row.ts"
import { columnOf } from "./columns.ts"
import { restrictTo, unsetOf, type Verb } from "./restrictions.ts"
import { compile, fits, textOf } from "./terms.ts"
import type { Bound, Variables } from "./variables.ts"

export interface Multi {
  readonly columns: ReadonlyArray<Column>
  readonly op: Comparison | "in"
  readonly terms: ReadonlyArray<Term> | Term
}

const multiText = (columns: ReadonlyArray<string>, op: string, term: string): string =>
  `(${columns.join(", ")}) ${op} ${term}`

export const multiOf = (
  relation: Extract<Relation, { readonly _tag: "Multi" | "MultiIn" }>,
  table: Table,
  variables: Variables
): Multi => {
  const columns = relation.columns.map((name) => columnOf(table, name, variables))
  const text = (): string =>
    relation._tag === "Multi"
      ? multiText(relation.columns, relation.op, textOf(relation.term, variables.product))
      : multiText(relation.columns, "IN", "…")
  for (const column of columns) {
    if (column.kind !== "clustering") {
      throw invalid(
        `Multi-column relations can only be applied to clustering columns but was applied to: ${column.name}`
      )
    }
  }
  const twice = columns.find((column, i) => columns.indexOf(column) < i)
  if (variables.product === "cassandra" && twice !== undefined) {
    throw invalid(`Column "${twice.name}" appeared twice in a relation: ${text()}`)
  }
  columns.forEach(({ position }, i) => {
    if (i === 0 && position > 0 && variables.product === "scylla") {
      throw invalid(
        "Clustering columns may not be skipped in multi-column relations. They should appear in the PRIMARY KEY order"
      )
    }
    if (i > 0 && position !== columns[i - 1]!.position + 1) {
      throw invalid(
        `Clustering columns must appear in the PRIMARY KEY order in multi-column relations${
          variables.say("", `: ${text()}`)
        }`
      )
    }
  })
  if (relation._tag === "MultiIn") return { columns, op: "in", terms: relation.terms }
  const { term } = relation
  if (relation.op === "!=") throw invalid(`Unsupported "!=" relation: ${text()}`)
  if (term._tag === "Tuple" && term.items.length !== columns.length) {
    throw invalid(
      `Expected ${columns.length} elements in value tuple, but got ${term.items.length}: ${
        textOf(term, variables.product)
      }`
    )
  }
  return { columns, op: relation.op, terms: term }
}

/** The values of a tuple that several columns are compared with. */
export const tupleOf = (
  term: Term,
  columns: ReadonlyArray<Column>,
  verb: Verb,
  variables: Variables,
  name?: string
): (values: Bound) => Clustering | undefined => {
  if (term._tag === "Tuple") {
    const parts = columns.map((column, i) => {
      const item = term.items[i]!
      if (variables.product === "scylla" && fits(item, column.type.cql, variables) === "no") {
        throw invalid(
          `Invalid tuple literal for (${columns.map((each) => each.name).join(",")}): component ${i} is not of type ${
            CqlType.format(column.type.cql)
          }`
        )
      }
      const itemName = variables.say(`${name ?? `(${columns.map((each) => each.name).join(",")})`}[${i}]`, column.name)
      const compiled = compile(item, column.type.cql, item._tag === "Marker" ? itemName : column.name, variables)
      return restrictTo(item, compiled, column, "INSERT", variables)
    })
    return (values) => parts.map((part) => part(values)!)
  }
  const type = CqlType.tuple(...columns.map((column) => column.type.cql))
  const compiled = compile(term, type, name ?? `(${columns.map((column) => column.name).join(",")})`, variables)
  return (values) => {
    const bytes = compiled(values)
    if (bytes === Unset) throw unsetOf(term, variables, "Invalid unset value for tuple")
    if (bytes === null) {
      if (verb === "SELECT" && variables.product === "scylla") return undefined
      throw invalid("Invalid null value in condition for columns")
    }
    return partsOf(bytes as Uint8Array, columns)
  }
}

export const partsOf = (bytes: Uint8Array, columns: ReadonlyArray<Column>): Clustering => {
  const parts = fieldsOf(bytes, columns.length)
  return columns.map((column, i) => {
    const part = parts[i] ?? null
    if (part === null) throw invalid(`Invalid null value in condition for column ${column.name}`)
    return part
  })
}

/** Compares parts of a clustering key as values, whatever the clustering order is. */
export const compareTuples = (clustering: Clustering, to: Clustering, columns: ReadonlyArray<Column>): number => {
  for (let i = 0; i < columns.length; i++) {
    const { position, type } = columns[i]!
    const side = comparatorOf(type.cql)!(clustering[position]!, to[i]!)
    if (side !== 0) return side
  }
  return 0
}
