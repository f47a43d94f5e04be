/** What SELECT may ask for: its order, its groups, DISTINCT; and what servers warn of. */
import { invalid } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { columnOf } from "./columns.ts"
import type { Selection } from "./selection.ts"
import type { Variables } from "./variables.ts"
import type { Where } from "./where.ts"

/** Whether rows come backwards: ORDER BY must be the clustering order or its exact opposite. */
export const isReversed = (statement: Ast.Select, table: Table, where: Where, variables: Variables): boolean => {
  const { orderBy } = statement
  if (orderBy.length === 0) return false
  if (variables.product === "cassandra" && where.usesIndex) {
    throw invalid("ORDER BY with 2ndary indexes is not supported, except for ANN queries.")
  }
  if (!where.hasKeys) {
    throw invalid("ORDER BY is only supported when the partition key is restricted by an EQ or an IN.")
  }
  let reversed: boolean | undefined
  let next = 0
  for (const { column: name, descending } of orderBy) {
    const column = columnOf(table, name, variables, (each) => `Order by on unknown column ${each}`)
    if (column.kind !== "clustering") {
      throw invalid(
        `Order by is currently only supported on the clustered columns of the PRIMARY KEY, got ${column.name}`
      )
    }
    // What an equality fixes needs no order of its own.
    while (next < column.position && where.fixed.has(table.clustering[next]!)) next++
    if (column.position !== next) {
      if (variables.product === "cassandra" && column.position === next - 1) continue
      throw invalid(
        variables.say(
          column.position < next
            ? "Order by currently only supports the ordering of columns following their declared order in the PRIMARY KEY"
            : `Unsupported order by relation - column ${
              table.clustering[next]!.name
            } doesn't have an ordering or EQ relation.`,
          "Order by currently only supports the ordering of columns following their declared order in the PRIMARY KEY"
        )
      )
    }
    next++
    const turned = descending !== column.descending
    if (reversed !== undefined && reversed !== turned) {
      throw invalid(
        variables.say(
          `Unsupported order by relation - only reversing all columns is supported, but column ${column.name} has opposite ordering`,
          "Unsupported order by relation"
        )
      )
    }
    reversed = turned
  }
  return reversed === true
}

/** The columns of a table that a relation is about. */
export const columnsOf = (table: Table) => (relation: Ast.Relation): ReadonlyArray<Column> =>
  ("column" in relation ? [relation.column] : "columns" in relation ? relation.columns : [])
    .flatMap((name) => table.byName.get(name) ?? [])

/** What DISTINCT may ask for. */
const checkRestricted = (columns: Iterable<Column>, variables: Variables): void => {
  for (const column of columns) {
    const isAllowed = column.kind === "partition_key" || (column.kind === "static" && variables.product === "cassandra")
    if (!isAllowed) {
      throw invalid(
        `SELECT DISTINCT with WHERE clause only supports restriction by partition key${
          variables.say("", " and/or static columns")
        }.`
      )
    }
  }
}

export const checkDistinct = (
  statement: Ast.Select,
  { isAggregate, plain, used }: Selection,
  table: Table,
  where: Where,
  variables: Variables
): void => {
  const wrong = used.find((column) => column.kind !== "partition_key" && column.kind !== "static")
  if (wrong !== undefined) {
    throw invalid(
      `SELECT DISTINCT queries must only request partition key columns and/or static columns (not ${wrong.name})`
    )
  }
  const isKeyed = isAggregate || where.isSinglePartition
  // To Cassandra a column is asked for by what is made of it, too.
  const asked = new Set(variables.product === "cassandra" ? used : plain)
  for (const column of table.partitionKey) {
    if (!isKeyed && !asked.has(column)) {
      throw invalid(
        `SELECT DISTINCT queries must request all the partition key columns (missing ${column.name})`
      )
    }
  }
  checkRestricted(where.restricted, variables)
  if (statement.perPartitionLimit !== undefined && variables.product === "cassandra") {
    throw invalid("PER PARTITION LIMIT is not allowed with SELECT DISTINCT queries")
  }
}

/** The columns that rows are grouped by: those of the key, from its front, but for those that are fixed. */
export const groupColumns = (
  statement: Ast.Select,
  table: Table,
  where: Where,
  variables: Variables
): ReadonlyArray<Column> => {
  const key = [...table.partitionKey, ...table.clustering]
  let next = 0
  const columns = statement.groupBy.map((name) => {
    const column = columnOf(table, name, variables, (each) => `Group by unknown column ${each}`)
    const at = key.indexOf(column)
    if (at < 0) {
      throw invalid(
        variables.say(
          `Group by non-primary-key column ${name}`,
          `Group by is currently only supported on the columns of the PRIMARY KEY, got ${name}`
        )
      )
    }
    while (next < at && where.fixed.has(key[next]!)) next++
    if (at !== next) {
      throw invalid(
        variables.say(
          `Group by column ${name} is out of order`,
          "Group by currently only support groups of columns following their declared order in the PRIMARY KEY"
        )
      )
    }
    next++
    return column
  })
  if (variables.product === "cassandra" && columns.length > 0 && key[next]?.kind === "partition_key") {
    throw invalid("Group by is not supported on only a part of the partition key")
  }
  return columns
}

/** What Cassandra warns of: any relation of the partition key is one, and so is its token. */
export const aggregationWarning = (where: Where, table: Table, variables: Variables): ReadonlyArray<string> => {
  if (variables.product === "scylla" || where.isSinglePartition) return []
  if (where.listsKeys) return ["Aggregation query used on multiple partition keys (IN restriction)"]
  return where.tokens !== undefined || table.partitionKey.some((column) => where.restricted.has(column))
    ? []
    : ["Aggregation query used without partition key"]
}

/** Whether static columns are asked for and no rows: Cassandra takes the partition key for part of them. */
export const isOfStatics = ({ allowFiltering }: Ast.Select, { used }: Selection, isScylla: boolean): boolean =>
  isScylla
    ? used.length > 0 && used.every((column) => column.kind === "static") && !allowFiltering
    : used.some((column) => column.kind === "static") &&
      used.every((column) => column.kind === "static" || column.kind === "partition_key")
