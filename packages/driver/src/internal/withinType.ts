import type { CqlType } from "@effect-scylla/protocol/CqlType"

/** Whether it is a type that is met, or has one within, however deep. */
export const isWithin = (type: CqlType, isMet: (type: CqlType) => boolean): boolean => {
  if (isMet(type)) return true
  switch (type._tag) {
    case "List":
    case "Set":
    case "Vector":
      return isWithin(type.element, isMet)
    case "Map":
      return isWithin(type.key, isMet) || isWithin(type.value, isMet)
    case "Tuple":
      return type.elements.some((element) => isWithin(element, isMet))
    case "Udt":
      return type.fields.some((field) => isWithin(field.type, isMet))
    default:
      return false
  }
}
