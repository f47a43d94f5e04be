/** Durations have no order: what Cassandra says of relations that would need one. */
import type { CqlType } from "@effect-scylla/protocol/CqlType"

const hasDuration = (type: CqlType): boolean => {
  switch (type._tag) {
    case "Scalar":
      return type.name === "duration"
    case "List":
    case "Set":
    case "Vector":
      return hasDuration(type.element)
    case "Map":
      return hasDuration(type.key) || hasDuration(type.value)
    case "Tuple":
      return type.elements.some(hasDuration)
    case "Udt":
      return type.fields.some((field) => hasDuration(field.type))
    default:
      return false
  }
}

/** `undefined` for a type of which values have an order. */
export const noSlice = (type: CqlType, what: "conditions" | "restrictions", op: string): string | undefined => {
  if (!hasDuration(type)) return undefined
  const head = `Slice ${what}`
  switch (type._tag) {
    case "List":
    case "Set":
    case "Map":
      return `${head} are not supported on collections containing durations`
    case "Tuple":
      return `${head} are not supported on tuples containing durations`
    case "Udt":
      return `${head} are not supported on UDTs containing durations`
    default:
      return what === "conditions"
        ? `${head} ( ${op} ) are not supported on durations`
        : `${head} are not supported on duration columns`
  }
}
