/** count, min, max, sum and avg. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import type * as CqlType from "@effect-scylla/protocol/CqlType"
import * as BigDecimal from "effect/BigDecimal"
import { invalid, unsupported } from "../failure.ts"
import { comparatorOf, compareBytes } from "../storage/compare.ts"
import { int64 } from "../storage/values.ts"
import { CompensatedSum } from "./compensatedSum.ts"
import { minus, plus, quotient } from "./javaDecimal.ts"
import { BITS, isIntegral, readIntegral, writeIntegral, writeReal } from "./numbers.ts"
import type { Variables } from "./variables.ts"

export interface Aggregator {
  readonly add: (value: Uint8Array | null) => void
  readonly result: () => Uint8Array | null
}

const NAMES = new Set(["count", "min", "max", "sum", "avg"])

export const isAggregate = (name: string): boolean => NAMES.has(name)

/** In the order that Cassandra lists them in. */
const SUMMABLE: ReadonlyArray<CqlType.ScalarName> = [
  "varint",
  "double",
  "smallint",
  "bigint",
  "int",
  "tinyint",
  "float",
  "counter",
  "decimal"
]

const notSummable = (name: string, type: CqlType.CqlType, variables: Variables): Error => {
  const isTimestamp = type._tag === "Scalar" && type.name === "timestamp"
  const matching = isTimestamp ? ["varint", "bigint"] as const : SUMMABLE
  const signatures = variables.product === "scylla"
    ? matching.filter((each) => each !== "counter").map(() => `system.${name}`)
    : matching.map((each) => `system.${name} : (${each}) -> ${each}`)
  return invalid(
    isTimestamp
      ? `Ambiguous call to function ${name} (can be matched by following signatures: ${
        signatures.join(", ")
      }): use type casts to disambiguate`
      : `Invalid call to function ${name}, none of its type signatures match (known type signatures: ${
        signatures.join(", ")
      })`
  )
}

const counting = (): Aggregator => {
  let count = 0n
  return {
    add: (value) => {
      if (value !== null) count++
    },
    result: () => int64(count)
  }
}

const extreme = (type: CqlType.CqlType, sign: 1 | -1) => (): Aggregator => {
  const compare = comparatorOf(type) ?? compareBytes
  let best: Uint8Array | null = null
  return {
    add: (value) => {
      if (value !== null && (best === null || compare(value, best) * sign > 0)) best = value
    },
    result: () => best
  }
}

const total = (type: CqlType.CqlType, isAverage: boolean, variables: Variables) => (): Aggregator => {
  const { name } = type as Extract<CqlType.CqlType, { readonly _tag: "Scalar" }>
  let count = 0n
  if (isIntegral(name)) {
    let sum = 0n
    return {
      add: (value) => {
        if (value === null) return
        sum += readIntegral(type, value)
        count++
      },
      result: () => {
        const result = isAverage ? (count === 0n ? 0n : sum / count) : sum
        if (variables.product === "scylla" && name !== "varint" && BigInt.asIntN(BITS[name], result) !== result) {
          throw invalid("Sum overflow. Values should be casted to a wider type.")
        }
        return writeIntegral(name, result)
      }
    }
  }
  if (name === "decimal") {
    let sum = BigDecimal.make(0n, 0)
    return {
      add: (value) => {
        if (value === null) return
        const next = decode(type, value) as BigDecimal.BigDecimal
        count++
        if (!isAverage || variables.product === "scylla") {
          sum = plus(sum, next)
          return
        }
        // Cassandra keeps the average, and moves it with each number.
        const apart = minus(next, sum)
        sum = plus(sum, quotient(apart, BigDecimal.make(count, 0), apart.scale, "half-even"))
      },
      result: () => {
        if (isAverage && count > 1n && variables.product === "scylla") {
          throw unsupported("avg of decimal numbers, whose digits depend on the server")
        }
        return encode(type, sum)
      }
    }
  }
  if (variables.product === "cassandra") {
    const compensated = new CompensatedSum(isAverage)
    return {
      add: (value) => {
        if (value !== null && value.length > 0) compensated.add(decode(type, value) as number)
      },
      result: () => writeReal(name as "double" | "float", compensated.result())
    }
  }
  let sum = 0
  return {
    add: (value) => {
      if (value === null) return
      const next = decode(type, value) as number
      // Sums of floats are kept with the digits of a float.
      sum = name === "float" && !isAverage ? Math.fround(sum + next) : sum + next
      count++
    },
    result: () => encode(type, isAverage ? (count === 0n ? 0 : sum / Number(count)) : sum)
  }
}

/** What makes an aggregate of values of a type; throws for a type that it is not of. */
export const aggregateOf = (
  name: string,
  type: CqlType.CqlType | undefined,
  variables: Variables
): () => Aggregator => {
  switch (name) {
    case "count":
      return counting
    case "min":
      return extreme(type!, -1)
    case "max":
      return extreme(type!, 1)
    default:
      if (type!._tag !== "Scalar" || !SUMMABLE.includes(type!.name)) throw notSummable(name, type!, variables)
      return total(type!, name === "avg", variables)
  }
}
