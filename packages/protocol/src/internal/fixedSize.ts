import type { CqlType, ScalarName } from "../CqlType.ts"

/**
 * Bytes of the scalar types whose values stand in a vector without a length (Cassandra, `valueLengthIfFixed` of each type).
 * Types such as `smallint` and `date` are not among them, though their values have one size.
 */
const SIZES: ReadonlyMap<ScalarName, number> = new Map([
  ["bigint", 8],
  ["boolean", 1],
  ["double", 8],
  ["float", 4],
  ["int", 4],
  ["timestamp", 8],
  ["timeuuid", 16],
  ["uuid", 16]
])

/**
 * Bytes of each value of a type as an element of a vector, 0 where it carries its length, `undefined` where nobody knows: a
 * vector of values of a custom class is bytes, as those are.
 */
export const fixedSize = (type: CqlType): number | undefined => {
  switch (type._tag) {
    case "Scalar":
      return SIZES.get(type.name) ?? 0
    case "Vector": {
      const size = fixedSize(type.element)
      return size === undefined ? undefined : size * type.dimension
    }
    case "Custom":
      return undefined
    default:
      return 0
  }
}
