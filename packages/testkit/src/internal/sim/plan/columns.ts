/** Columns by their names, and what a row shows of them. */
import * as Identifier from "@effect-scylla/protocol/Identifier"
import { invalid } from "../failure.ts"
import type { Column, Table } from "../schema/schema.ts"
import type { Variables, View } from "./variables.ts"

/** A column of a table, or what the product says when there is none. */
export const columnOf = (
  table: Table,
  name: string,
  variables: Variables,
  scylla: (name: string) => string = (each) => `Unrecognized name ${each}`
): Column => {
  const found = table.byName.get(name)
  if (found === undefined) {
    throw invalid(
      variables.say(
        scylla(name),
        `Undefined column name ${Identifier.format(name)} in table ${table.keyspace.name}.${table.name}`
      )
    )
  }
  return found
}

/** The value of a column as a row shows it. */
export const valueOf = (column: Column, { now, partition, row }: View): Uint8Array | null => {
  switch (column.kind) {
    case "partition_key":
      return partition.components[column.position]!
    case "clustering":
      return row === undefined ? null : row.clustering[column.position]!
    case "static":
      return partition.statics.value(column, now)
    default:
      return row === undefined ? null : row.value(column, now)
  }
}
