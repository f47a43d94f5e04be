/** Relations as conditions on rows, which are looked at one by one; and what an index spares that for. */
import type * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid, unsupported } from "../failure.ts"
import type { Relation, Term } from "../parse/ast.ts"
import type { Column, Index, Table } from "../schema/schema.ts"
import { type Comparator, comparatorOf, compareBytes, elements, entries } from "../storage/compare.ts"
import { columnOf, valueOf } from "./columns.ts"
import { compares, likePattern } from "./comparison.ts"
import { noSlice } from "./durations.ts"
import { inList, unsetOf, type Verb } from "./restrictions.ts"
import { compile, textOf } from "./terms.ts"
import type { Bound, Variables, View } from "./variables.ts"

export type Filter = (values: Bound, view: View) => boolean

/** A relation as a condition on rows; what is to be checked of its values before any row goes to `checks`. */
export const filterOf = (
  relation: Relation,
  table: Table,
  variables: Variables,
  verb: Verb,
  checks: Array<(values: Bound) => void> = [],
  // What an old index of Cassandra finds has the same bytes: no 1.0 for 1.
  isExact = false,
  isOfKeys = false
): { readonly column: Column; readonly holds: Filter } => {
  if (
    relation._tag === "Multi" || relation._tag === "MultiIn" || relation._tag === "Token" ||
    relation._tag === "Field" || relation._tag === "Other"
  ) {
    throw unsupported(relation._tag === "Other" ? relation.what : "this relation where rows are filtered")
  }
  const column = columnOf(table, relation.column, variables)
  const { cql } = column.type
  const ordered = (type: CqlType.CqlType): Comparator => {
    const compare = comparatorOf(type)
    if (compare !== undefined) return compare
    throw unsupported(`a relation on ${column.name}, whose type has no order`)
  }
  /** What has no order may be equal nevertheless. */
  const equality = (type: CqlType.CqlType): Comparator => (isExact ? undefined : comparatorOf(type)) ?? compareBytes
  /** ScyllaDB finds nothing for null. */
  const wanted = (
    term: Term,
    type: CqlType.CqlType,
    name: string,
    what = "value"
  ): (values: Bound, view: View) => Uint8Array | null => {
    const compiled = compile(term, type, name, variables)
    // Cassandra looks at values before it looks at rows.
    if (variables.product === "cassandra") checks.push((values) => void read(values))
    const read = (values: Bound, view?: View): Uint8Array | null => {
      const bytes = compiled(values, view)
      if (bytes === Unset) throw unsetOf(term, variables, `Invalid unset value for column ${column.name}`)
      if (bytes === null && variables.product === "cassandra") {
        throw invalid(`Unsupported null ${what} for column ${column.name}`)
      }
      return bytes as Uint8Array | null
    }
    return read
  }
  switch (relation._tag) {
    case "Column": {
      if (relation.op === "!=") {
        throw invalid(
          `Unsupported "!=" relation: ${column.name} != ${textOf(relation.term, variables.product)}`
        )
      }
      const wrong = relation.op !== "=" && variables.product === "cassandra"
        ? noSlice(cql, "restrictions", relation.op)
        : undefined
      if (wrong !== undefined) throw invalid(wrong)
      const compare = relation.op === "=" ? equality(cql) : ordered(cql)
      const value = wanted(relation.term, cql, column.name)
      return {
        column,
        holds: (values, view) => {
          const to = value(values, view)
          const actual = valueOf(column, view)
          return to !== null && actual !== null && compares(relation.op, compare(actual, to))
        }
      }
    }
    case "In": {
      const compare = equality(cql)
      const list = inList(column, cql, relation.terms, verb, variables, true)
      return {
        column,
        holds: (values, view) => {
          const actual = valueOf(column, view)
          return actual !== null && list(values).some((each) => compare(each, actual) === 0)
        }
      }
    }
    case "Contains": {
      // Cassandra does not see a collection in a column of descending order.
      const isHidden = column.descending && variables.product === "cassandra"
      if (isHidden || (cql._tag !== "List" && cql._tag !== "Set" && cql._tag !== "Map")) {
        throw invalid(`Cannot use CONTAINS${relation.isKey ? " KEY" : ""} on non-collection column ${column.name}`)
      }
      if (relation.isKey && cql._tag !== "Map") {
        throw invalid(`Cannot use CONTAINS KEY on non-map column ${column.name}`)
      }
      const type = cql._tag === "Map" ? (relation.isKey ? cql.key : cql.value) : cql.element
      // A frozen collection is asked by Cassandra as Java asks it, to which 1.0 is not 1.
      const compare = variables.product === "cassandra" && !column.type.multiCell ? compareBytes : equality(type)
      // Of static columns of partitions that are named Cassandra finds what was deleted, too: it looks before it takes that away.
      const isOfStatics = isOfKeys && variables.product === "cassandra" && column.kind === "static" &&
        column.type.multiCell &&
        (cql._tag === "Set" || relation.isKey)
      const value = wanted(relation.term, type, `${relation.isKey ? "key" : "value"}(${column.name})`)
      return {
        column,
        holds: (values, view) => {
          const to = value(values, view)
          if (to === null) return false
          const statics = isOfStatics ? view.partition.statics.complex(column) : undefined
          if (statics !== undefined) return statics.find(column.layout!, to) >= 0
          const actual = valueOf(column, view)
          if (actual === null) return false
          const parts = cql._tag === "Map"
            ? entries(actual).filter((_, i) => (i % 2 === 0) === relation.isKey)
            : elements(actual)
          return parts.some((each) => compare(each, to) === 0)
        }
      }
    }
    case "Element": {
      if (cql._tag !== "Map" || relation.op === "in") {
        throw unsupported("a relation on an element that is not one of a map")
      }
      if (relation.op !== "=") throw unsupported("a relation on an element of a map other than =")
      const key = wanted(relation.key, cql.key, `key(${column.name})`, "map key")
      const value = wanted(relation.terms as Term, cql.value, `value(${column.name})`, "map value")
      const compareKeys = ordered(cql.key)
      const compareValues = equality(cql.value)
      return {
        column,
        holds: (values, view) => {
          const at = key(values, view)
          const to = value(values, view)
          const actual = valueOf(column, view)
          if (at === null || to === null || actual === null) return false
          const flat = entries(actual)
          for (let i = 0; i < flat.length; i += 2) {
            if (compareKeys(flat[i]!, at) === 0) return compareValues(flat[i + 1]!, to) === 0
          }
          return false
        }
      }
    }
    case "Like":
      return { column, holds: likeFilter(relation, column, variables) }
    case "NotNull":
      throw invalid(
        variables.say(
          `restriction '${column.name} IS NOT null' is only supported in materialized view creation`,
          `Unsupported restriction: ${column.name} IS NOT NULL`
        )
      )
  }
}

/** Whether it needs no filtering beside what an index finds: one of Cassandra's old ones finds one thing, its newer ones together. */
export const isFound = (
  relation: Relation,
  index: Index,
  relations: ReadonlyArray<Relation>,
  { indexes }: Table,
  variables: Variables
): boolean => {
  if (variables.product === "scylla") return isIndexed(relation, index)
  if (index.kind !== "CUSTOM") {
    // An old one looks for one thing in a collection, and filters nothing.
    return relation === relations.find((each) => isIndexed(each, index)) &&
      relations.every((other) => other === relation || !isOneWith(relation, other))
  }
  return indexes.some((each) =>
    each.kind === "CUSTOM" && relations.some((other) => isOneWith(relation, other) && isIndexed(other, each))
  )
}

/** What is asked of the parts of one collection is one restriction to Cassandra, which an index finds if it finds one of them. */
const isOneWith = (relation: Relation, other: Relation): boolean =>
  relation === other ||
  (relation._tag === "Contains" || relation._tag === "Element") &&
    (other._tag === "Contains" || other._tag === "Element") && relation.column === other.column

export const likeFilter = (
  relation: Extract<Relation, { readonly _tag: "Like" }>,
  column: Column,
  variables: Variables
): Filter => {
  const { cql } = column.type
  const isText = cql._tag === "Scalar" && (cql.name === "text" || cql.name === "ascii")
  if (variables.product === "cassandra") {
    compile(relation.term, cql, column.name, variables)
    throw invalid(
      `LIKE restriction is only supported on properly indexed columns. ${column.name} LIKE ${
        textOf(relation.term, variables.product)
      } is not valid.`
    )
  }
  if (!isText) throw invalid(`LIKE is allowed only on string types, which ${column.name} is not`)
  const value = compile(relation.term, cql, column.name, variables)
  const text = new TextDecoder()
  return (values, view) => {
    const to = value(values, view)
    const actual = valueOf(column, view)
    if (!(to instanceof Uint8Array) || actual === null) return false
    return likePattern(text.decode(to)).test(text.decode(actual))
  }
}

/** Types whose ranges Cassandra's storage-attached indexes do not find. */
const NOT_RANGED = new Set(["ascii", "blob", "boolean", "text", "uuid"])

/** Whether an index finds what a relation asks for. */
export const isIndexed = (relation: Relation, index: Index): boolean => {
  if (!("column" in relation) || relation.column !== index.column.name) return false
  const { type } = index.column
  switch (relation._tag) {
    case "Column":
      if (index.kind === "CUSTOM" && relation.op !== "=" && relation.op !== "!=") {
        // That a uuid has none is overlooked where the column is in descending order.
        const isOverlooked = type.cql._tag === "Scalar" && type.cql.name === "uuid" && index.column.descending
        return index.part === "values" && type.cql._tag === "Scalar" && (isOverlooked || !NOT_RANGED.has(type.cql.name))
      }
      return relation.op === "=" && (index.part === "full" || (!type.multiCell && index.part === "values"))
    case "Contains":
      return relation.isKey ? index.part === "keys" : index.part === "values" && type.multiCell
    case "Element":
      return relation.op === "=" && index.part === "entries"
    default:
      return false
  }
}
