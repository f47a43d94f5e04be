/**
 * Rows and values as JSON: `JSON.stringify` throws for every `bigint`, and knows nothing of maps, sets and bytes.
 *
 * | value | JSON |
 * |---|---|
 * | `string`, `boolean`, `null`, `number` | themselves; `NaN` and the infinities as text |
 * | `bigint` | decimal text, as a number of JSON is read with 53 bits by most |
 * | `BigDecimal` | decimal text |
 * | `Uint8Array` | `"0x…"`, as CQL writes blobs |
 * | `Date` | ISO 8601 in UTC; `null` for an invalid one |
 * | `Uuid` and the classes of `Value` | their text; `Empty` is `""` |
 * | arrays, sets, vectors | an array |
 * | maps | an object; a key that is no text is the text of its JSON |
 * | rows, user-defined types | an object with their fields; a `LazyRow` as its object |
 *
 * What is written so is not read back as the same value: the types are lost.
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

const objectOf = (entries: Iterable<readonly [key: string, value: unknown]>): Json => {
  const out: Record<string, unknown> = {}
  for (const [key, value] of entries) define(out, key, toJson(value))
  return out as Json
}

const keyOf = (key: unknown): string => {
  const json = toJson(key)
  return typeof json === "string" ? json : JSON.stringify(json)
}

const ofObject = (value: object): Json => {
  if (value === Empty) return ""
  if (value === Unset) return null
  if (Array.isArray(value)) return value.map(toJson)
  if (isBytes(value)) return `0x${asFast(value).hexSlice(0, value.length)}`
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number | bigint>, toJson)
  if (BigDecimal.isBigDecimal(value)) return BigDecimal.format(value)
  if (value instanceof LazyRow) return toJson(value.toObject())
  const toJSON: unknown = (value as { readonly toJSON?: unknown }).toJSON
  const millis = millisOf(value)
  if (millis !== undefined) return Number.isNaN(millis) ? null : new Date(millis).toISOString()
  if (typeof toJSON === "function") return toJson(toJSON.call(value, ""))
  if (isSet(value)) return Array.from(value, toJson)
  if (isMap(value)) return objectOf(Array.from(value, ([key, held]) => [keyOf(key), held] as const))
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
      return Number.isFinite(value) ? value : String(value)
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
