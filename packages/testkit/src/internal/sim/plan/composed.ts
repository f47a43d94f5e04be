/** Lists, sets, maps, tuples and user-defined types that Cassandra makes of what it selects: `[a, b]`, `(a, 1)`, `{a: b}`. */
import { type CqlType, format, list, set, tuple } from "@effect-scylla/protocol/CqlType"
import { invalid, unsupported } from "../failure.ts"
import type { Expression } from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"
import { collection, normalize, record } from "../storage/values.ts"
import { bytesOf, fitOf, type Typed, valueAs } from "./typed.ts"
import type { Bound, Compiled, Fit, View } from "./variables.ts"

type Literal = Extract<Expression, { readonly _tag: "Literal" }>

const shown = ({ of }: Literal, items: ReadonlyArray<Typed>): string => {
  const texts = items.map(({ text }) => text)
  if (of === "Map") return `{${texts.flatMap((key, i) => i % 2 > 0 ? [] : [`${key}: ${texts[i + 1]!}`]).join(", ")}}`
  const inner = texts.join(", ")
  return of === "List" ? `[${inner}]` : of === "Set" ? `{${inner}}` : `(${inner})`
}

/** The type that it has by itself: of what may be something else there is none. */
const ownType = ({ of }: Literal, items: ReadonlyArray<Typed>): CqlType | undefined => {
  if (of === "Map") return undefined
  const types = items.flatMap(({ type }) => type ?? [])
  if (of === "Tuple") return types.length === items.length && types.length > 1 ? tuple(...types) : undefined
  return types.length === 0 ? undefined : of === "List" ? list(types[0]!) : set(types[0]!)
}

/** The type of each part where a type is wanted; `undefined` where it is none of these. */
const partsOf = (
  literal: Literal,
  items: ReadonlyArray<Typed>,
  wanted: CqlType
): ReadonlyArray<CqlType> | undefined => {
  switch (wanted._tag) {
    case "List":
      return literal.of === "List" ? items.map(() => wanted.element) : undefined
    case "Vector":
      return literal.of === "List" && items.length === wanted.dimension ? items.map(() => wanted.element) : undefined
    case "Set":
      return literal.of === "Set" ? items.map(() => wanted.element) : undefined
    case "Map":
      return literal.of === "Map" ? items.map((_, i) => i % 2 > 0 ? wanted.value : wanted.key) : undefined
    case "Tuple":
      return literal.of === "Tuple" && items.length <= wanted.elements.length
        ? wanted.elements.slice(0, items.length)
        : undefined
    default:
      return undefined
  }
}

/** A literal of expressions. */
export const composed = (literal: Literal, items: ReadonlyArray<Typed>, product: Product): Typed => {
  const type = ownType(literal, items)
  const text = shown(literal, items)
  const isBracketed = literal.of === "Tuple" && items.length === 1
  const fits = (wanted: CqlType): Fit => {
    if (isBracketed && wanted._tag !== "Tuple") return fitOf(items[0]!, wanted, product)
    const types = partsOf(literal, items, wanted)
    if (types === undefined) return "no"
    const all = new Set(items.map((each, i) => fitOf(each, types[i]!, product)))
    return all.has("no") ? "no" : all.has("weak") ? "weak" : "exact"
  }
  const as = (wanted: CqlType, name: string): Compiled => {
    if (isBracketed && wanted._tag !== "Tuple") return valueAs(items[0]!, wanted, name)
    if (wanted._tag === "Udt" && literal.of === "Map") throw unsupported("a user-defined type of what is selected")
    const types = partsOf(literal, items, wanted)
    if (types === undefined) {
      throw invalid(`Invalid ${literal.of.toLowerCase()} literal for ${name} of type ${format(wanted)}`)
    }
    const values = items.map((each, i) => valueAs(each, types[i]!, name))
    const all = (bound: Bound, view: View | undefined) => values.map((each) => bytesOf(each(bound, view)))
    // Cassandra falls over a null in what has an order.
    const whole = (bytes: ReadonlyArray<Uint8Array | null>): ReadonlyArray<Uint8Array> =>
      bytes.map((each) => {
        if (each === null) throw unsupported("a null in a set or map of what is selected")
        return each
      })
    switch (wanted._tag) {
      case "Tuple":
        return (bound, view) => record(all(bound, view))
      case "List":
        return (bound, view) => collection(items.length, all(bound, view))
      case "Set":
        return (bound, view) => normalize(wanted, collection(items.length, whole(all(bound, view))))
      case "Map":
        return (bound, view) => normalize(wanted, collection(items.length / 2, whole(all(bound, view))))
      default:
        throw unsupported(`a ${format(wanted)} of what is selected`)
    }
  }
  return {
    text,
    type,
    value: type === undefined
      ? () => {
        throw unsupported("a literal without its type in a selection")
      }
      : as(type, "[selection]"),
    as,
    fits
  }
}
