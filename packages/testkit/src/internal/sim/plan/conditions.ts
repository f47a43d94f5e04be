/** IF: what a conditional statement asks of the row, and what it answers about it. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { type Comparator, comparatorOf, compareBytes, elements, entries, fieldsOf } from "../storage/compare.ts"
import type { Row } from "../storage/row.ts"
import type { Partition } from "../storage/storage.ts"
import { isNothing, readInt32 } from "../storage/values.ts"
import { columnOf } from "./columns.ts"
import { compares, likePattern } from "./comparison.ts"
import { noSlice } from "./durations.ts"
import { compile } from "./terms.ts"
import type { Bound, Compiled, Variables } from "./variables.ts"

/** One relation of IF. */
export interface ConditionTest {
  readonly column: Column
  /** Of an element of a list or map: which one. */
  readonly element: Wanted | undefined
  readonly test: Test
}

export interface RowCheck {
  readonly kind: Ast.Condition["_tag"]
  /** The columns that the answer shows, in the table's order. */
  readonly columns: ReadonlyArray<Column>
  /** The same in the order of the conditions, which is Cassandra's, static ones last. */
  readonly asked: ReadonlyArray<Column>
  /** In the order of the conditions. */
  readonly tests: ReadonlyArray<ConditionTest>
  /** Whether the statement may be applied to the row, `undefined` where there is none. */
  readonly holds: (values: Bound, partition: Partition | undefined, row: Row | undefined, now: number) => boolean
}

type Test = (values: Bound, actual: Uint8Array | null) => boolean

/** The value that is asked for. */
type Wanted = (values: Bound) => Uint8Array | null

const wantedOf = (term: Ast.Term, compiled: Compiled, variables: Variables): Wanted => (values) => {
  const bytes = compiled(values)
  if (bytes !== Unset) return bytes as Uint8Array | null
  throw invalid(
    variables.say(
      `Unexpected unset value for bind variable ${term._tag === "Marker" ? term.index : 0}`,
      "Invalid 'unset' value in condition"
    )
  )
}

/** How values are compared; to Cassandra those without an order may be equal nevertheless. */
const orderOf = (type: CqlType.CqlType, name: string, op: Ast.Comparison, variables: Variables): Comparator => {
  const compare = comparatorOf(type)
  if (compare !== undefined) return compare
  const wrong = variables.product === "cassandra" ? noSlice(type, "conditions", op) : undefined
  if (wrong === undefined) throw unsupported(`a condition on ${name}, whose type has no order`)
  if (op !== "=" && op !== "!=") throw invalid(wrong)
  return compareBytes
}

/** Null equals null and nothing else, and is neither smaller nor greater than anything. */
const compareTest = (
  type: CqlType.CqlType,
  name: string,
  op: Ast.Comparison,
  wanted: Wanted,
  variables: Variables
): Test => {
  const compare = orderOf(type, name, op, variables)
  return (values, actual) => {
    const to = wanted(values)
    if (to === null || actual === null) {
      if (op === "=") return to === actual
      if (op === "!=") return to !== actual
      if (to === null) throw invalid(`Invalid comparison with null for operator "${op}"`)
      return false
    }
    return compares(op, compare(actual, to))
  }
}

/**
 * An empty collection that is not frozen is null, as it is once it is stored; a user-defined type of nulls equals none. Cassandra says
 * by its name that it has no order.
 */
const emptied = (column: Column, wanted: Wanted, variables: Variables, op: Ast.Comparison = "="): Wanted => {
  const { cql } = column.type
  if (!column.type.multiCell || cql._tag === "Udt") return wanted
  return (values) => {
    const bytes = wanted(values)
    if (bytes === null || !isNothing(cql, bytes)) return bytes
    if (op === "=" || op === "!=" || variables.product === "scylla") return null
    throw invalid(`Invalid comparison with an empty ${cql._tag.toLowerCase()} for operator "${op}"`)
  }
}

/** One of several values, or of those in a variable. */
const inTest = (
  type: CqlType.CqlType,
  name: string,
  terms: ReadonlyArray<Ast.Term> | Ast.Term,
  variables: Variables,
  prepare: (wanted: Wanted) => Wanted
): Test => {
  if (Array.isArray(terms)) {
    const itemName = variables.say(`value(${variables.inName}(${name}))`, name)
    const tests = (terms as ReadonlyArray<Ast.Term>).map((term) => {
      const compiled = compile(term, type, term._tag === "Marker" ? itemName : name, variables)
      return compareTest(type, name, "=", prepare(wantedOf(term, compiled, variables)), variables)
    })
    return (values, actual) => tests.some((test) => test(values, actual))
  }
  const term = terms as Ast.Term
  const list = wantedOf(term, compile(term, CqlType.list(type), `${variables.inName}(${name})`, variables), variables)
  const compare = orderOf(type, name, "=", variables)
  return (values, actual) => {
    const bytes = list(values)
    if (bytes === null) {
      if (variables.product === "scylla") return false
      throw invalid("Invalid null list in IN condition")
    }
    return (elements(bytes) as ReadonlyArray<Uint8Array | null>).some((each) =>
      each === null || actual === null ? each === actual : compare(each, actual) === 0
    )
  }
}

/** A test of an element: what the value of the column is taken to first. */
const elementTest = (
  relation: Extract<Ast.Relation, { readonly _tag: "Element" }>,
  column: Column,
  variables: Variables
): ConditionTest => {
  const { cql } = column.type
  if (cql._tag !== "List" && cql._tag !== "Map") {
    throw invalid(
      cql._tag === "Set"
        ? variables.say(
          `Column ${column.name} is not a map/list, cannot be subscripted`,
          `Invalid element access syntax for set column ${column.name}`
        )
        : variables.say(
          `Column ${column.name} is not a map/list, cannot be subscripted`,
          `Invalid element access syntax for non-collection column ${column.name}`
        )
    )
  }
  const isMap = cql._tag === "Map"
  const keyType = isMap ? cql.key : CqlType.scalar("int")
  const valueType = isMap ? cql.value : cql.element
  const keyName = `${isMap ? "key" : variables.say("index", "idx")}(${column.name})`
  const key = wantedOf(relation.key, compile(relation.key, keyType, keyName, variables), variables)
  const { op, terms } = relation
  const name = `value(${column.name})`
  const test = op === "in"
    ? inTest(valueType, name, terms, variables, (wanted) => wanted)
    : compareTest(
      valueType,
      name,
      op,
      wantedOf(terms as Ast.Term, compile(terms as Ast.Term, valueType, name, variables), variables),
      variables
    )
  const compareKeys = comparatorOf(keyType)!
  const found: Test = (values, actual) => {
    const at = key(values)
    if (at === null) {
      if (variables.product === "scylla") return false
      throw invalid(`Invalid null value for ${isMap ? "map" : "list"} element access`)
    }
    if (!isMap) {
      const index = readInt32(at)
      if (index < 0) {
        if (variables.product === "scylla") return false
        throw invalid(`Invalid negative list index ${index}`)
      }
      return test(values, actual === null ? null : elements(actual)[index] ?? null)
    }
    const flat = actual === null ? [] : entries(actual)
    const place = flat.findIndex((each, i) => i % 2 === 0 && compareKeys(each, at) === 0)
    return test(values, place < 0 ? null : flat[place + 1]!)
  }
  return { column, element: key, test: found }
}

/** A test of a field of a user-defined type. */
const fieldTest = (
  { field, op, terms }: Extract<Ast.Relation, { readonly _tag: "Field" }>,
  column: Column,
  variables: Variables
): Test => {
  const { cql } = column.type
  if (cql._tag !== "Udt") throw invalid(`Column ${column.name} is not a user type`)
  const at = cql.fields.findIndex(({ name }) => name === field)
  if (at < 0) throw invalid(`Unknown field ${field} for column ${column.name}`)
  const { type } = cql.fields[at]!
  const name = `${column.name}.${field}`
  const test = op === "in"
    ? inTest(type, name, terms, variables, (wanted) => wanted)
    : compareTest(
      type,
      name,
      op,
      wantedOf(terms as Ast.Term, compile(terms as Ast.Term, type, name, variables), variables),
      variables
    )
  return (values, actual) => test(values, actual === null ? null : fieldsOf(actual, cql.fields.length)[at] ?? null)
}

const containsTest = (
  relation: Extract<Ast.Relation, { readonly _tag: "Contains" }>,
  column: Column,
  variables: Variables
): Test => {
  const { cql } = column.type
  if (cql._tag !== "List" && cql._tag !== "Set" && cql._tag !== "Map") {
    throw invalid(`Cannot use CONTAINS on non-collection column ${column.name}`)
  }
  if (relation.isKey && cql._tag !== "Map") throw invalid(`Cannot use CONTAINS KEY on non-map column ${column.name}`)
  const type = cql._tag === "Map" ? (relation.isKey ? cql.key : cql.value) : cql.element
  const name = `${relation.isKey ? "key" : "value"}(${column.name})`
  const wanted = wantedOf(relation.term, compile(relation.term, type, name, variables), variables)
  const compare = comparatorOf(type) ?? compareBytes
  return (values, actual) => {
    const to = wanted(values)
    if (to === null || actual === null) return false
    const parts = cql._tag === "Map"
      ? entries(actual).filter((_, i) => (i % 2 === 0) === relation.isKey)
      : elements(actual)
    return parts.some((each) => compare(each, to) === 0)
  }
}

const testOf = (relation: Ast.Relation, table: Table, variables: Variables): ConditionTest => {
  if (relation._tag === "Other") throw unsupported(relation.what)
  if (!("column" in relation)) throw unsupported("a condition on several columns at once")
  const column = columnOf(table, relation.column, variables)
  const { cql } = column.type
  const of = (test: Test): ConditionTest => ({ column, element: undefined, test })
  if (column.kind === "partition_key" || column.kind === "clustering") {
    throw invalid(`PRIMARY KEY column '${column.name}' cannot have IF conditions`)
  }
  switch (relation._tag) {
    case "Column": {
      const compiled = compile(relation.term, cql, column.name, variables)
      return of(
        compareTest(
          cql,
          column.name,
          relation.op,
          emptied(column, wantedOf(relation.term, compiled, variables), variables, relation.op),
          variables
        )
      )
    }
    case "In":
      return of(inTest(cql, column.name, relation.terms, variables, (wanted) => emptied(column, wanted, variables)))
    case "Element":
      return elementTest(relation, column, variables)
    case "Field":
      return of(fieldTest(relation, column, variables))
    case "Contains":
      return of(containsTest(relation, column, variables))
    case "Like": {
      const pattern = wantedOf(relation.term, compile(relation.term, cql, column.name, variables), variables)
      const text = new TextDecoder()
      return of((values, actual) => {
        const to = pattern(values)
        return to !== null && actual !== null && likePattern(text.decode(to)).test(text.decode(actual))
      })
    }
    case "NotNull":
      throw unsupported("IS NOT NULL in a condition")
  }
}

/** Compiles IF; `undefined` for a statement without. */
export const compileConditions = (
  condition: Ast.Condition | undefined,
  table: Table,
  variables: Variables
): RowCheck | undefined => {
  if (condition === undefined) return undefined
  if (condition._tag !== "Columns") {
    const wanted = condition._tag === "Exists"
    return {
      kind: condition._tag,
      // The row itself is asked for: the answer shows all of it.
      columns: table.columns,
      asked: table.columns,
      tests: [],
      holds: (_values, _partition, row, now) => (row !== undefined && row.isLive(now)) === wanted
    }
  }
  const tests = condition.relations.map((relation) => testOf(relation, table, variables))
  const asked = new Set(tests.map(({ column }) => column))
  return {
    kind: condition._tag,
    columns: table.columns.filter((column) => asked.has(column)),
    asked: [
      ...[...asked].filter((column) => column.kind !== "static"),
      ...[...asked].filter((column) => column.kind === "static")
    ],
    tests,
    holds: (values, partition, row, now) =>
      // Each of them is asked: one may be refused that would not be needed.
      tests.map(({ column, test }) => {
        const from = column.kind === "static" ? partition?.statics : row
        return test(values, from === undefined ? null : from.value(column, now))
      }).every((holds) => holds)
  }
}
