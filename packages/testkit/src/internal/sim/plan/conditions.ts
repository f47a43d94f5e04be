/** IF: what a conditional statement asks of the row, and what it answers about it. */
import { invalid, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { type Column, findColumn, type Table } from "../schema/schema.ts"
import { comparatorOf } from "../storage/compare.ts"
import type { Row } from "../storage/storage.ts"
import { isNothing } from "../storage/values.ts"
import { type Bound, compile, type Compiled, type Variables } from "./terms.ts"

export interface RowCheck {
  readonly kind: Ast.Condition["_tag"]
  /** The columns that the answer shows, in the table's order. */
  readonly columns: ReadonlyArray<Column>
  /** The same in the order of the conditions, which is Cassandra's. */
  readonly asked: ReadonlyArray<Column>
  /** Whether the statement may be applied to the row, `undefined` where there is none. */
  readonly holds: (values: Bound, row: Row | undefined, now: number) => boolean
}

type Test = (values: Bound, actual: Uint8Array | null) => boolean

/** Null equals null and nothing else, and is neither smaller nor greater than anything. */
const compareTest = (column: Column, op: Exclude<Ast.Operator, "in">, term: Compiled): Test => {
  const compare = comparatorOf(column.type.cql)
  if (compare === undefined) throw unsupported(`a condition on ${column.name}, whose type has no order`)
  return (values, actual) => {
    const wanted = value(term, values, column)
    if (wanted === null || actual === null) {
      if (op === "=") return wanted === actual
      if (op === "!=") return wanted !== actual
      if (wanted === null) throw invalid(`Invalid comparison with null for operator "${op}"`)
      return false
    }
    const side = compare(actual, wanted)
    switch (op) {
      case "=":
        return side === 0
      case "!=":
        return side !== 0
      case "<":
        return side < 0
      case "<=":
        return side <= 0
      case ">":
        return side > 0
      case ">=":
        return side >= 0
    }
  }
}

/** An empty collection that is not frozen is null, as it is once it is stored; a user-defined type of nulls equals none. */
const value = (term: Compiled, values: Bound, column: Column): Uint8Array | null => {
  const bytes = term(values)
  if (bytes !== null && !(bytes instanceof Uint8Array)) {
    throw invalid(`Invalid unset value in condition for column ${column.name}`)
  }
  const isCollection = column.type.multiCell && column.type.cql._tag !== "Udt"
  return bytes !== null && isCollection && isNothing(column.type.cql, bytes) ? null : bytes
}

const testOf = (relation: Ast.Relation, table: Table, variables: Variables): readonly [Column, Test] => {
  if (relation._tag === "Other") throw unsupported(relation.what)
  if (relation._tag === "Token") throw invalid("token() cannot be used in a condition")
  const column = findColumn(table, relation.column)
  if (column.kind !== "regular") throw invalid(`PRIMARY KEY column '${column.name}' cannot have IF conditions`)
  if (relation._tag === "Column") {
    return [column, compareTest(column, relation.op, compile(relation.term, column.type.cql, column.name, variables))]
  }
  if (!Array.isArray(relation.terms)) throw unsupported("one variable for a whole IN list in a condition")
  const tests = (relation.terms as ReadonlyArray<Ast.Term>).map((term) =>
    compareTest(column, "=", compile(term, column.type.cql, column.name, variables))
  )
  return [column, (values, actual) => tests.some((test) => test(values, actual))]
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
      holds: (_values, row, now) => (row !== undefined && row.isLive(now)) === wanted
    }
  }
  const tests = condition.relations.map((relation) => testOf(relation, table, variables))
  const asked = new Set(tests.map(([column]) => column))
  return {
    kind: condition._tag,
    columns: table.columns.filter((column) => asked.has(column)),
    asked: [...asked],
    holds: (values, row, now) =>
      // Each of them is asked: one may be refused that would not be needed.
      tests.map(([column, test]) => test(values, row === undefined ? null : row.value(column.position, now)))
        .every((holds) => holds)
  }
}
