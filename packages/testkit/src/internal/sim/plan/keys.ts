/** Keys of partitions as servers take them. */
import { maxComponentLength } from "@effect-scylla/sharding/RoutingKey"
import * as RoutingKey from "@effect-scylla/sharding/RoutingKey"
import { internal, invalid } from "../failure.ts"
import type { Column } from "../schema/schema.ts"
import type { Clustering } from "../storage/row.ts"
import type { Key } from "../storage/storage.ts"
import type { Variables } from "./variables.ts"

/** ScyllaDB counts the lengths of the parts of a key, too. */
export const checkSize = (parts: Clustering): void => {
  const size = parts.reduce((sum, part) => sum + part.length + 2, 0)
  if (size > maxComponentLength) throw internal(`Key size too large: ${size} > ${maxComponentLength}`)
}

/** Cassandra counts the bytes of all parts together. */
export const checkLength = (parts: Clustering): void => {
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  if (size > maxComponentLength) throw invalid(`Key length of ${size} is longer than maximum of ${maxComponentLength}`)
}

/** Refuses tuples in partition keys that end within a part, as Cassandra does where it writes. */
export const checkTuples = (columns: ReadonlyArray<Column>, { components }: Key): void => {
  for (let c = 0; c < columns.length; c++) {
    const { cql } = columns[c]!.type
    if (cql._tag !== "Tuple") continue
    const bytes = components[c]!
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let i = 0, at = 0; i < cql.elements.length && at < bytes.length; i++) {
      if (bytes.length - at < 4) throw invalid(`Not enough bytes to read size of ${i}th component`)
      const size = view.getInt32(at)
      at += 4
      if (size > bytes.length - at) throw invalid(`Not enough bytes to read ${i}th component`)
      at += Math.max(0, size)
    }
  }
}

/** The key of a partition; throws for what no server stores. */
export const makeKey = (components: ReadonlyArray<Uint8Array>, product?: Variables["product"]): Key => {
  if (product === "scylla") checkSize(components)
  if (components.length === 1 && components[0]!.length === 0) throw invalid("Key may not be empty")
  checkLength(components)
  return { components, bytes: RoutingKey.compose(components) }
}
