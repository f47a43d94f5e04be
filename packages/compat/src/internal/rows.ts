import type { Column } from "@effect-scylla/protocol/Metadata"
import type { RowMaker } from "@effect-scylla/protocol/RowShape"
import { theirs } from "./theirs.ts"
import { type ColumnInfo, columnsOf } from "./typeInfo.ts"

const { Row } = theirs.types as any

/** Whether this platform lets code be generated. */
const canGenerate = ((): boolean => {
  try {
    return new Function("return true")() === true
  } catch {
    return false
  }
})()

/** Wider rows are put together value by value. */
const MAX_GENERATED = 256

const compile = (
  columns: ReadonlyArray<Column>,
  described: ReadonlyArray<ColumnInfo>
): (...values: Array<unknown>) => unknown => {
  const names = columns.map(({ name }) => name)
  if (!canGenerate || names.length > MAX_GENERATED) {
    return (...values) => {
      const row = new Row(described)
      for (let i = 0; i < names.length; i++) row[names[i]!] = values[i]
      return row
    }
  }
  const parameters = names.map((_, i) => `c${i}`)
  const sets = names.map((name, i) => `r[${JSON.stringify(name)}]=c${i};`)
  const body = `return function(${parameters.join(",")}){const r=new Row(columns);${sets.join("")}return r}`
  return new Function("Row", "columns", body)(Row, described)
}

/** Rows as `cassandra-driver` has them, made as they are read; `isScylla` says whose servers they come from. */
export const rowMaker = (isScylla: () => boolean): RowMaker<unknown> => ({
  of: (columns, isOfOneTable) => compile(columns, columnsOf(columns, isOfOneTable, isScylla()))
})
