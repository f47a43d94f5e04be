/** What Cassandra checks of relations one by one, before a statement means anything. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { invalid } from "../failure.ts"
import type { Relation, Term } from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { columnOf } from "./columns.ts"
import type { Variables } from "./variables.ts"

/** One value in a list is an equality. */
const simplified = (relation: Relation): Relation => {
  if ((relation._tag !== "In" && relation._tag !== "MultiIn") || !Array.isArray(relation.terms)) return relation
  const terms = relation.terms as ReadonlyArray<Term>
  if (terms.length !== 1) return relation
  const [term] = terms as readonly [Term]
  return relation._tag === "In"
    ? { _tag: "Column", column: relation.column, op: "=", term }
    : { _tag: "Multi", columns: relation.columns, op: "=", term }
}

/** What whole values of several cells cannot be asked for. */
const checkWhole = (relation: Relation, { name, type }: Column): void => {
  if (!type.multiCell || (relation._tag !== "Column" && relation._tag !== "In")) return
  if (type.cql._tag === "Udt") {
    throw invalid(`Non-frozen UDT column '${name}' (${type.cql.name}) cannot be restricted by any relation`)
  }
  throw invalid(
    `Collection column '${name}' (${CqlType.format(type.cql)}) cannot be restricted by a '${
      relation._tag === "In" ? "IN" : relation.op
    }' relation`
  )
}

const checkElement = (relation: Relation, { type }: Column): void => {
  if (relation._tag !== "Element") return
  if (type.cql._tag === "List") {
    throw invalid("Indexes on list entries (l[index] = value) are not currently supported.")
  }
  if (relation.op !== "=") throw invalid("Only EQ relations are supported on map entries")
}

type Kind = "equal" | "list" | "slice" | "contains"

const kindOf = (relation: Relation): Kind | undefined => {
  switch (relation._tag) {
    case "Column":
      return relation.op === "=" ? "equal" : relation.op === "!=" ? undefined : "slice"
    case "In":
      return "list"
    case "Contains":
    case "Element":
      return "contains"
    default:
      return undefined
  }
}

/** What may stand beside what there is of a column. */
const checkTogether = (name: string, before: ReadonlyArray<Relation>, next: Relation): void => {
  const [first] = before
  const kind = kindOf(next)
  switch (first === undefined ? undefined : kindOf(first)) {
    case "equal":
      throw invalid(`${name} cannot be restricted by more than one relation if it includes an Equal`)
    case "list":
      throw invalid(`${name} cannot be restricted by more than one relation if it includes a IN`)
    case "slice": {
      if (kind !== "slice") {
        throw invalid(`Column "${name}" cannot be restricted by both an equality and an inequality relation`)
      }
      const sideOf = (of: Relation) => "op" in of ? of.op[0] : ""
      if (before.some((each) => sideOf(each) === sideOf(next))) {
        const side = sideOf(next) === ">" ? "start" : "end"
        throw invalid(`More than one restriction was found for the ${side} bound on ${name}`)
      }
      return
    }
    case "contains":
      if (kind !== "contains") {
        throw invalid(
          `Collection column ${name} can only be restricted by CONTAINS, CONTAINS KEY, or map-entry equality`
        )
      }
  }
}

/** The relations of a statement as Cassandra takes them; throws INVALID for those that it does not take. */
export const asCassandraTakes = (
  relations: ReadonlyArray<Relation>,
  table: Table,
  variables: Variables
): ReadonlyArray<Relation> => {
  const byColumn = new Map<string, Array<Relation>>()
  return relations.map((given) => {
    const relation = simplified(given)
    if (!("column" in relation) || kindOf(relation) === undefined) return relation
    const column = columnOf(table, relation.column, variables)
    checkWhole(given, column)
    checkElement(relation, column)
    const before = byColumn.get(column.name) ?? []
    checkTogether(column.name, before, relation)
    byColumn.set(column.name, [...before, relation])
    return relation
  })
}
