/** What indexes do not take: the values are keys of what an index is made of. */
import * as ServerError from "@effect-scylla/protocol/ServerError"
import { maxComponentLength } from "@effect-scylla/sharding/RoutingKey"
import { invalid } from "../failure.ts"
import type { Index, Table } from "../schema/schema.ts"
import type { Write } from "../storage/row.ts"
import type { Assigned } from "./assign.ts"

/** Values that an index of the column gets from a write. */
const valuesOf = ({ part }: Index, write: Write): ReadonlyArray<Uint8Array> => {
  if ("cell" in write) return write.cell.value === null ? [] : [write.cell.value]
  return write.elements.flatMap(([path, { value }]) => value === null ? [] : part === "keys" ? [path] : [value])
}

/** How ScyllaDB tells that what an index is made of could not be written. */
export class IndexFailure extends Error {
  readonly table: Table

  constructor(table: Table) {
    super("a write that an index does not take")
    this.table = table
  }

  /** What the client is told, at its level of consistency. */
  toServerError(consistency: ServerError.WriteFailure["consistency"]): ServerError.WriteFailure {
    return new ServerError.WriteFailure({
      code: 0x1500,
      message:
        `Operation failed for ${this.table.keyspace.name}.${this.table.name} - received 0 responses and 1 failures from 1 ` +
        `CL=${consistency}.`,
      consistency,
      received: 0,
      required: 1,
      failures: 1,
      writeType: "SIMPLE"
    })
  }
}

/** Throws for values that are too long, and on ScyllaDB for static columns beside an index of keys. */
export const checkIndexed = (table: Table, assigned: ReadonlyArray<Assigned>, isCassandra: boolean): void => {
  if (table.indexes.length === 0) return
  const writes = assigned.flatMap((each) => each.writes(undefined))
  for (const index of table.indexes) {
    const { column, name } = index
    for (const write of writes.filter(({ slot }) => slot === column.position && column.kind !== "clustering")) {
      if (column.kind === "partition_key") continue
      for (const { length } of valuesOf(index, write)) {
        if (isCassandra && length >= maxComponentLength) {
          throw invalid(
            `Cannot index value of size ${length} for index ${name} on ${table.keyspace.name}.${table.name}(${column.name}) ` +
              `(maximum allowed size=${maxComponentLength})`
          )
        }
        if (!isCassandra && length + 2 > maxComponentLength) throw new IndexFailure(table)
      }
    }
    if (isCassandra || (index.part !== "keys" && column.type.cql._tag !== "Set")) continue
    const statics = new Set(table.regular.filter(({ kind }) => kind === "static").map(({ position }) => position))
    if (writes.some(({ slot }) => statics.has(slot))) throw new IndexFailure(table)
  }
}
