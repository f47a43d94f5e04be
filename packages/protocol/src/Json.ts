/**
 * Rows and values as JSON: `JSON.stringify` throws for every `bigint`, and knows nothing of maps, sets and bytes.
 *
 * | value | JSON |
 * |---|---|
 * | `string`, `boolean`, `null`, `number` | themselves; `NaN`, the infinities and `-0` as text |
 * | `bigint` | decimal text, as a number of JSON is read with 53 bits by most |
 * | `BigDecimal` | decimal text with its scale: 1.90 is not 1.9 |
 * | `Uint8Array` | `"0x…"`, as CQL writes blobs |
 * | `Date` | ISO 8601 in UTC; `null` for an invalid one |
 * | `Uuid` and the classes of `Value` | their text; `Empty` is `""` |
 * | arrays, sets, vectors | an array |
 * | maps | an array of pairs: keys need not be texts, and an object moves those that look like numbers |
 * | rows, user-defined types | an object with their fields; a `LazyRow` as its object |
 *
 * The types are not in it: a Schema of the row (`CqlTypes` of the driver) reads it back.
 *
 * @since 0.1.0
 */
import * as BigDecimal from "effect/BigDecimal"
import { define } from "./internal/decoders.ts"
import { asFast } from "./internal/fastBuffer.ts"
import { isBytes, isMap, isSet, millisOf } from "./internal/kinds.ts"
import { LazyRow } from "./RowShape.ts"
import { Empty, Unset } from "./Value.ts"

/**
 * What `JSON.stringify` takes as it is.
 *
 * @category models
 * @since 0.1.0
 */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

const decimalText = ({ scale, value }: BigDecimal.BigDecimal): string => {
  const sign = value < 0n ? "-" : ""
  const digits = String(value < 0n ? -value : value)
  if (scale === 0) return sign + digits
  if (scale < 0 || scale > digits.length + 20) return sign + digits + "e" + String(-scale)
  const padded = digits.padStart(scale + 1, "0")
  return sign + padded.slice(0, -scale) + "." + padded.slice(-scale)
}

const objectOf = (entries: Iterable<readonly [key: string, value: unknown]>): Json => {
  const out: Record<string, unknown> = {}
  for (const [key, value] of entries) define(out, key, toJson(value))
  return out as Json
}

const ofObject = (value: object): Json => {
  if (value === Empty) return ""
  if (value === Unset) return null
  if (Array.isArray(value)) return value.map(toJson)
  if (isBytes(value)) return `0x${asFast(value).hexSlice(0, value.length)}`
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number | bigint>, toJson)
  if (BigDecimal.isBigDecimal(value)) return decimalText(value)
  if (value instanceof LazyRow) return toJson(value.toObject())
  const toJSON: unknown = (value as { readonly toJSON?: unknown }).toJSON
  const millis = millisOf(value)
  if (millis !== undefined) return Number.isNaN(millis) ? null : new Date(millis).toISOString()
  if (typeof toJSON === "function") return toJson(toJSON.call(value, ""))
  if (isSet(value)) return Array.from(value, toJson)
  if (isMap(value)) return Array.from(value, ([key, held]) => [toJson(key), toJson(held)])
  return objectOf(Object.entries(value))
}

/**
 * A row, several, or a value as the table above says. Throws for nothing that is read from rows but a value of a `LazyRow` that
 * cannot be read (`DecodeError`); what JSON has nothing for (`undefined`, functions) is `null`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toJson = (value: unknown): Json => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      return Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value : String(value)
    case "bigint":
      return String(value)
    case "object":
      return value === null ? null : ofObject(value)
    default:
      return null
  }
}

/**
 * The same as text; `space` as that of `JSON.stringify`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const stringify = (value: unknown, space?: number | string): string =>
  JSON.stringify(toJson(value), undefined, space)
