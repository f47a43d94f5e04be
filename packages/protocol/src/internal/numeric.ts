import * as BigDecimal from "effect/BigDecimal"
import * as Option from "effect/Option"

/** Of what is accepted beside a `bigint` for one; `undefined` for anything else. */
export const integerOf = (value: unknown): bigint | undefined =>
  typeof value === "string"
    ? /^[+-]?\d+$/.test(value) ? BigInt(value.replace("+", "")) : undefined
    : typeof value === "number" && Number.isSafeInteger(value)
    ? BigInt(value)
    : undefined

/** Of what is accepted beside a `BigDecimal` for one; `undefined` for anything else. A number is what it prints. */
export const decimalOf = (value: unknown): BigDecimal.BigDecimal | undefined =>
  typeof value === "bigint"
    ? BigDecimal.fromBigInt(value)
    : typeof value === "number"
    ? Option.getOrUndefined(BigDecimal.fromNumber(value))
    : typeof value === "string" && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(value)
    ? Option.getOrUndefined(BigDecimal.fromString(value))
    : undefined
