/** Functions that only Cassandra has: of numbers, of collections, of vectors. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as BigDecimal from "effect/BigDecimal"
import { invalid, unsupported } from "../failure.ts"
import { elements, entries } from "../storage/compare.ts"
import { collection, int32, readInt32 } from "../storage/values.ts"
import { aggregateOf } from "./aggregates.ts"
import { define, type Definition } from "./definition.ts"
import { MASKS, MASKS_OF_ONE } from "./masks.ts"
import { isIntegral, narrowed, readIntegral, writeIntegral, writeReal } from "./numbers.ts"
import type { Variables } from "./variables.ts"

type Type = CqlType.CqlType

/** In the order that Cassandra lists them in. */
const NUMERIC: ReadonlyArray<CqlType.ScalarName> = [
  "bigint",
  "varint",
  "decimal",
  "tinyint",
  "counter",
  "int",
  "float",
  "smallint",
  "double"
]

/** Half to the greater side, as Java rounds doubles; half away from zero, as it rounds decimals. */
const roundDecimal = (value: BigDecimal.BigDecimal): BigDecimal.BigDecimal => {
  // It is a whole number afterwards, with all its digits.
  if (value.scale <= 0) return BigDecimal.make(value.value * 10n ** BigInt(-value.scale), 0)
  const size = 10n ** BigInt(value.scale)
  const magnitude = value.value < 0n ? -value.value : value.value
  const rounded = (magnitude + size / 2n) / size
  return BigDecimal.make(value.value < 0n ? -rounded : rounded, 0)
}

/** Java rounds to whole numbers of 64 bits, 32 for floats; what is no number becomes 0. */
const roundDouble = (value: number, type: "double" | "float"): number => {
  if (Number.isNaN(value)) return 0
  const most = type === "double" ? 2 ** 63 : 2 ** 31
  // No zero below zero: that is none of whole numbers.
  return Math.min(most, Math.max(-most, Math.floor(value + 0.5))) + 0
}

const ofNumber = (
  name: string,
  whole: (value: bigint) => bigint,
  float: (value: number, type: "double" | "float") => number,
  decimal: (value: BigDecimal.BigDecimal) => BigDecimal.BigDecimal
): ReadonlyArray<Definition> =>
  NUMERIC.map((each) => {
    const type = CqlType.scalar(each)
    return define(name, [type], type, ([value]) => {
      if (value!.length === 0) return null
      if (isIntegral(each)) return writeIntegral(each, whole(readIntegral(type, value!)))
      if (each === "decimal") return encode(type, decimal(decode(type, value!) as BigDecimal.BigDecimal))
      return writeReal(
        each as "double" | "float",
        float(decode(type, value!) as number, each as "double" | "float")
      )
    })
  })

/** Not of decimal numbers and those without a bound: what they come to depends on the digits of the server. */
const ofDouble = (name: string, compute: (value: number) => number): ReadonlyArray<Definition> =>
  NUMERIC.map((each) => {
    const type = CqlType.scalar(each)
    return define(name, [type], type, ([value]) => {
      if (value!.length === 0) return null
      if (each === "varint" || each === "decimal") throw unsupported(`${name} of the type ${each}`)
      if (isIntegral(each)) return writeIntegral(each, narrowed(compute(Number(readIntegral(type, value!))), each))
      return writeReal(each as "double" | "float", compute(decode(type, value!) as number))
    })
  })

export const MATH: ReadonlyArray<Definition> = [
  ...ofNumber(
    "abs",
    (value) => value < 0n ? -value : value,
    Math.abs,
    BigDecimal.abs
  ),
  ...ofNumber("round", (value) => value, roundDouble, roundDecimal),
  ...ofDouble("exp", Math.exp),
  ...ofDouble("log", Math.log),
  ...ofDouble("log10", Math.log10)
]

const elementOf = (type: Type): Type | undefined =>
  type._tag === "List" || type._tag === "Set" ? type.element : undefined

/** An aggregate over the elements of one collection. */
const folded = (name: string, aggregate: string) => (type: Type, variables: Variables): Definition | undefined => {
  const element = elementOf(type)
  if (element === undefined) return undefined
  const make = aggregateOf(aggregate, element, variables)
  return define(name, [type], element, ([value]) => {
    const aggregator = make()
    for (const each of elements(value!)) aggregator.add(each)
    return aggregator.result()
  })
}

/** Those that work on a value of any type, by the type that they are given. */
export const GENERIC: Record<string, (type: Type, variables: Variables) => Definition | undefined> = {
  map_keys: (type) =>
    type._tag !== "Map" ? undefined : define("map_keys", [type], CqlType.set(type.key), ([value]) => {
      const flat = entries(value!)
      return collection(flat.length / 2, flat.filter((_, i) => i % 2 === 0))
    }),
  map_values: (type) =>
    type._tag !== "Map" ? undefined : define("map_values", [type], CqlType.list(type.value), ([value]) => {
      const flat = entries(value!)
      return collection(flat.length / 2, flat.filter((_, i) => i % 2 === 1))
    }),
  collection_count: (type) =>
    type._tag !== "Map" && elementOf(type) === undefined
      ? undefined
      : define("collection_count", [type], CqlType.scalar("int"), ([value]) => int32(readInt32(value!))),
  collection_min: folded("collection_min", "min"),
  collection_max: folded("collection_max", "max"),
  collection_sum: folded("collection_sum", "sum"),
  collection_avg: folded("collection_avg", "avg"),
  ...MASKS_OF_ONE
}

const similarity = (
  name: string,
  compute: (x: ReadonlyArray<number>, y: ReadonlyArray<number>) => number
) =>
(type: Type): Definition | undefined => {
  const isFloats = type._tag === "Vector" && type.element._tag === "Scalar" && type.element.name === "float"
  if (!isFloats) return undefined
  const float = CqlType.scalar("float")
  const numbers = (bytes: Uint8Array): ReadonlyArray<number> => Array.from(decode(type, bytes) as Iterable<number>)
  return define(name, [type, type], float, ([x, y]) => encode(float, Math.fround(compute(numbers(x!), numbers(y!)))))
}

/** A sum with the digits of a float, as servers count it. */
const total = (count: number, part: (index: number) => number): number => {
  let sum = 0
  for (let i = 0; i < count; i++) sum = Math.fround(sum + Math.fround(part(i)))
  return sum
}

const dot = (x: ReadonlyArray<number>, y: ReadonlyArray<number>): number => total(x.length, (i) => x[i]! * y[i]!)

/** How alike two vectors are, 0 to 1. */
const SIMILARITIES: Record<string, (type: Type) => Definition | undefined> = {
  similarity_cosine: similarity(
    "similarity_cosine",
    (x, y) => {
      if (dot(x, x) === 0 || dot(y, y) === 0) {
        throw invalid("Function system.similarity_cosine doesn't support all-zero vectors.")
      }
      return Math.fround(1 + Math.fround(dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y)))) / 2
    }
  ),
  similarity_euclidean: similarity("similarity_euclidean", (x, y) => {
    const apart = x.map((each, i) => Math.fround(each - y[i]!))
    return 1 / Math.fround(1 + dot(apart, apart))
  }),
  similarity_dot_product: similarity("similarity_dot_product", (x, y) => Math.fround(1 + dot(x, y)) / 2)
}

/** Those with more than one argument, by the type of the first. */
export const OF_SEVERAL: Record<string, (type: Type, count: number) => Definition | undefined> = {
  ...SIMILARITIES,
  ...MASKS
}
