/** Indexes of ScyllaDB are views: what `system_schema` tells of those. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type * as Uuid from "@effect-scylla/protocol/Uuid"
import { uuidOf } from "../cluster/topology.ts"
import type { Column, ColumnKind, Index, Table } from "./schema.ts"

/** The name of the view behind an index. */
export const viewNameOf = ({ name }: Index): string => `${name}_index`

export const viewIdOf = (table: Table, index: Index): Uuid.Uuid => uuidOf(`${table.id.toString()}/${index.name}`)

export interface ViewColumn {
  readonly name: string
  readonly kind: ColumnKind
  readonly position: number
  readonly descending: boolean
  readonly type: string
}

/** The column that is looked for: that of the table, or one of a part of a collection. */
const target = ({ column, part }: Index): readonly [name: string, type: string] => {
  const { cql } = column.type
  if (column.layout === undefined || part === "full") return [column.name, column.type.text]
  const text = CqlType.format
  if (cql._tag === "Map") {
    return part === "keys"
      ? [`${column.name}_key`, text(cql.key)]
      : part === "values"
      ? [`${column.name}_value`, text(cql.value)]
      : [`${column.name}_entry`, `frozen<tuple<${text(cql.key)}, ${text(cql.value)}>>`]
  }
  return cql._tag === "List" || cql._tag === "Set"
    ? [`${column.name}_value`, text(cql.element)]
    : [column.name, column.type.text]
}

/**
 * The columns of the view: one indexed by its value and then by the token of the base's partition, and a local one within partitions of
 * the base; the rest of the base's key behind.
 */
export const viewColumnsOf = (table: Table, index: Index): ReadonlyArray<ViewColumn> => {
  const [name, type] = target(index)
  const of = (column: Column): readonly [string, string, boolean] => [column.name, column.type.text, column.descending]
  const own = [name, type, false] as const
  const rest = table.clustering.filter((column) => column.name !== name).map(of)
  const partition = index.isLocal ? table.partitionKey.map(of) : [own]
  const clustering = index.isLocal
    ? [own, ...rest]
    : [
      ["idx_token", "bigint", false] as const,
      ...table.partitionKey.filter((column) => column.name !== name).map(of),
      ...rest
    ]
  const placed =
    (kind: ColumnKind) => ([name, type, descending]: readonly [string, string, boolean], position: number) => ({
      name,
      kind,
      position,
      descending,
      type
    })
  return [...partition.map(placed("partition_key")), ...clustering.map(placed("clustering"))]
}
