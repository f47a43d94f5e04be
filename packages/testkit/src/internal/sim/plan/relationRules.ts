/** What Cassandra checks of relations one by one, before a statement means anything. */
import { invalid } from "../failure.ts"
import type { Relation, Term } from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { columnOf } from "./columns.ts"
import { compile, textOf } from "./terms.ts"
import { Variables } from "./variables.ts"

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
    `Collection column '${name}' (${type.text}) cannot be restricted by a '${
      relation._tag === "In" ? "IN" : relation.op
    }' relation`
  )
}

const checkElement = (relation: Relation, { name, type }: Column): void => {
  if (relation._tag !== "Element") return
  if (type.cql._tag === "List") {
    throw invalid("Indexes on list entries (l[index] = value) are not currently supported.")
  }
  if (type.cql._tag === "Map" && !type.multiCell) {
    throw invalid(`Map-entry equality predicates on frozen map column ${name} are not supported`)
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

/** Throws INVALID for values that are none of what the relation is about. */
const checkTerms = (relation: Relation, { name, type: { cql } }: Column, variables: Variables): void => {
  if (relation._tag === "Column" && relation.op !== "!=") compile(relation.term, cql, name, variables)
  if (relation._tag === "In" && Array.isArray(relation.terms)) {
    for (const term of relation.terms as ReadonlyArray<Term>) compile(term, cql, name, variables)
  }
  if (relation._tag === "Element" && cql._tag === "Map" && !Array.isArray(relation.terms)) {
    compile(relation.key, cql.key, `key(${name})`, variables)
    compile(relation.terms as Term, cql.value, `value(${name})`, variables)
  }
}

/** What is wrong with the first relation that is wrong by itself: Cassandra tells of it before it tells of all of them together. */
export const wrongByItself = (
  relations: ReadonlyArray<Relation>,
  table: Table,
  variables: Variables
): Error | undefined => {
  const scratch = new Variables(variables, table)
  const byColumn = new Map<string, Array<Relation>>()
  try {
    for (const given of relations) {
      const relation = simplified(given)
      if (!("column" in relation)) continue
      const column = columnOf(table, relation.column, scratch)
      if (relation._tag === "NotNull") return invalid(`Unsupported restriction: ${column.name} IS NOT NULL`)
      checkWhole(given, column)
      checkElement(relation, column)
      checkTerms(relation, column, scratch)
      if (relation._tag === "Column" && relation.op === "!=") {
        return invalid(`Unsupported "!=" relation: ${column.name} != ${textOf(relation.term, "cassandra")}`)
      }
      if (kindOf(relation) === undefined) continue
      const before = byColumn.get(column.name) ?? []
      checkTogether(column.name, before, relation)
      byColumn.set(column.name, [...before, relation])
    }
  } catch (thrown) {
    return thrown as Error
  }
  return undefined
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
