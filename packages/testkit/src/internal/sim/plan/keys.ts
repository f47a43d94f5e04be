/** Keys of partitions as servers take them. */
import { maxComponentLength } from "@effect-scylla/sharding/RoutingKey"
import * as RoutingKey from "@effect-scylla/sharding/RoutingKey"
import { internal, invalid } from "../failure.ts"
import type { Clustering, Key } from "../storage/storage.ts"
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

/** The key of a partition; throws for what no server stores. */
export const makeKey = (components: ReadonlyArray<Uint8Array>, product?: Variables["product"]): Key => {
  if (product === "scylla") checkSize(components)
  if (components.length === 1 && components[0]!.length === 0) throw invalid("Key may not be empty")
  checkLength(components)
  return { components, bytes: RoutingKey.compose(components) }
}
