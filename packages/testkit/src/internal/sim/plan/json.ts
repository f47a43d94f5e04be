/** Values as the JSON of CQL, and back: the forms that servers write and take, which differ a little. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import type * as CqlType from "@effect-scylla/protocol/CqlType"
import type { CqlDuration } from "@effect-scylla/protocol/Value"
import type * as BigDecimal from "effect/BigDecimal"
import { Buffer } from "node:buffer"
import { internal, unsupported } from "../failure.ts"
import type { Product } from "../parse/product.ts"
import { elements, entries, fieldsOf, vectorParts } from "../storage/compare.ts"
import { collection, normalize, readInt64, record } from "../storage/values.ts"
import { durationText } from "./durations.ts"
import { encodeConstant } from "./literals.ts"

type Type = CqlType.CqlType

const quoted = (text: string): string => JSON.stringify(text)

/** A double as Java writes it. */
const javaDouble = (value: number, isFloat: boolean): string => {
  if (!Number.isFinite(value)) return "null"
  const magnitude = Math.abs(value)
  const shortest = isFloat ? shortestFloat(value) : String(value)
  if (magnitude === 0) return Object.is(value, -0) ? "-0.0" : "0.0"
  if (magnitude >= 1e-3 && magnitude < 1e7) {
    return /^-?\d+$/.test(shortest) ? `${shortest}.0` : shortest
  }
  const shown = isFloat ? Number(shortest) : value
  const short = shown.toExponential()
  // Java has two digits at least, those that are nearest.
  const [mantissa, exponent] = (/^-?\de/.test(short) ? shown.toExponential(1) : short).split("e") as [string, string]
  return `${mantissa.includes(".") ? mantissa : `${mantissa}.0`}E${Number(exponent)}`
}

const shortestFloat = (value: number): string => {
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return String(Number(text))
  }
  return String(value)
}

/** A double as ScyllaDB writes it: as few digits as tell it apart, with an exponent for the great and the small. */
const scyllaDouble = (value: number, isFloat: boolean): string => {
  if (!Number.isFinite(value)) return "null"
  if (value === 0) return Object.is(value, -0) ? "-0" : "0"
  const shown = isFloat ? Number(shortestFloat(value)) : value
  const [mantissa, exponent] = shown.toExponential().split("e") as [string, string]
  const power = Number(exponent)
  if (power >= -4 && power < 16) {
    const digits = mantissa.replace(/^-?\d\.?/, "").length
    return shown.toFixed(Math.max(0, digits - power))
  }
  return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`
}

/** A key of an object: the text of the value without quotes around it. */
const keyText = (type: Type, bytes: Uint8Array, product: Product): string => {
  const text = toJson(type, bytes, product)
  return text.startsWith('"') ? text : quoted(text)
}

export const toJson = (type: Type, bytes: Uint8Array, product: Product): string => {
  switch (type._tag) {
    case "List":
    case "Set":
      return `[${elements(bytes).map((each) => nullable(type.element, each, product)).join(", ")}]`
    case "Map": {
      const flat = entries(bytes)
      const out: Array<string> = []
      for (let i = 0; i < flat.length; i += 2) {
        out.push(`${keyText(type.key, flat[i]!, product)}: ${nullable(type.value, flat[i + 1]!, product)}`)
      }
      return `{${out.join(", ")}}`
    }
    case "Tuple": {
      const given = fieldsOf(bytes, type.elements.length)
      // ScyllaDB says nothing of fields that were left out.
      if (product === "scylla") {
        return `[${given.map((each, i) => nullable(type.elements[i]!, each, product)).join(", ")}]`
      }
      return `[${type.elements.map((each, i) => nullable(each, given[i] ?? null, product)).join(", ")}]`
    }
    case "Udt": {
      const given = fieldsOf(bytes, type.fields.length)
      return `{${
        type.fields.map(({ name, type: each }, i) =>
          `${quoted(product === "cassandra" ? columnKey(name) : name)}: ${nullable(each, given[i] ?? null, product)}`
        )
          .join(", ")
      }}`
    }
    case "Scalar":
      return scalarJson(type, bytes, product)
    case "Vector":
      return `[${vectorParts(type, bytes).map((each) => toJson(type.element, each, product)).join(", ")}]`
    case "Custom":
      throw unsupported(`JSON of ${type.className}`)
  }
}

/** The name of a column as a key: with quotes of its own where it has capitals. */
export const columnKey = (name: string): string => name === name.toLowerCase() ? name : `"${name}"`

export const nullable = (type: Type, bytes: Uint8Array | null, product: Product): string =>
  bytes === null ? "null" : toJson(type, bytes, product)

const scalarJson = (
  type: Extract<Type, { readonly _tag: "Scalar" }>,
  bytes: Uint8Array,
  product: Product
): string => {
  switch (type.name) {
    case "ascii":
    case "text":
      return quoted(Buffer.from(bytes).toString("utf8"))
    case "blob":
      return `"0x${Buffer.from(bytes).toString("hex")}"`
    default:
  }
  if (bytes.length === 0) {
    if (product === "scylla" && type.name === "timestamp") throw internal("Unexpected empty value")
    return '""'
  }
  const value: unknown = decode(type, bytes)
  switch (type.name) {
    case "bigint":
    case "counter":
    case "varint":
    case "int":
    case "smallint":
    case "tinyint":
    case "boolean":
      return String(value)
    case "double":
    case "float": {
      const isFloat = type.name === "float"
      return product === "scylla" ? scyllaDouble(value as number, isFloat) : javaDouble(value as number, isFloat)
    }
    case "decimal":
      return decimalText(value as BigDecimal.BigDecimal, product)
    case "timestamp": {
      return quoted(timestampText(readInt64(bytes)))
    }
    case "duration":
      return quoted(durationText(value as CqlDuration))
    case "date":
      return quoted(product === "scylla" ? String(value).replace(/^\+/, "") : String(value))
    case "inet":
      return quoted(product === "cassandra" && bytes.length === 16 ? longInet(bytes) : String(value))
    default:
      return quoted(String(value))
  }
}

/** A time of any year. */
const timestampText = (millis: bigint): string => {
  const day = 86_400_000n
  const days = (millis - ((millis % day) + day) % day) / day
  const time = new Date(Number(millis - days * day)).toISOString().slice(11)
  return `${dayText(Number(days))} ${time}`
}

/** Days since 1970-01-01 as a date of any year, which has a sign from 10000 on. */
const dayText = (days: number): string => {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const part = Math.floor((5 * dayOfYear + 2) / 153)
  const month = part < 10 ? part + 3 : part - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const two = (value: number): string => String(value).padStart(2, "0")
  const sign = year < 0 ? "-" : year > 9999 ? "+" : ""
  return `${sign}${String(Math.abs(year)).padStart(4, "0")}-${two(month)}-${
    two(dayOfYear - Math.floor((153 * part + 2) / 5) + 1)
  }`
}

/** An IPv6 address as Java writes it: all eight groups. */
const longInet = (bytes: Uint8Array): string =>
  Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16)).join(":")

/** Digits as Java writes them, with an exponent where the scale asks for one. */
const decimalText = ({ scale, value }: BigDecimal.BigDecimal, product: Product): string => {
  let unscaled = value
  let places = scale
  if (product === "scylla") {
    while (places > 0 && unscaled % 10n === 0n) {
      unscaled /= 10n
      places--
    }
  }
  const sign = unscaled < 0n ? "-" : ""
  const digits = String(unscaled < 0n ? -unscaled : unscaled)
  if (product === "scylla" && places < 0) return sign + digits + "0".repeat(-places)
  if (product === "scylla" && places > 0) {
    const padded = digits.padStart(places + 1, "0")
    return `${sign}${padded.slice(0, -places)}.${padded.slice(-places)}`
  }
  if (places === 0) return sign + digits
  const exponent = digits.length - 1 - places
  if (places > 0 && exponent >= -6) {
    const padded = digits.padStart(places + 1, "0")
    return `${sign}${padded.slice(0, -places)}.${padded.slice(-places)}`
  }
  const mantissa = digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`
  return `${sign}${mantissa}E${exponent >= 0 ? "+" : ""}${exponent}`
}

/** JSON with numbers as they were written. */
export type Json =
  | null
  | boolean
  | string
  | { readonly number: string }
  | ReadonlyArray<Json>
  | ReadonlyMap<string, Json>

/** Reads JSON; `undefined` for what is none. Numbers keep their digits. */
export const parseJson = (text: string): Json | undefined => {
  let at = 0
  const fail = (): never => {
    throw new SyntaxError(`at ${at}`)
  }
  const space = (): void => {
    while (at < text.length && " \t\n\r".includes(text[at]!)) at++
  }
  const string = (): string => {
    const start = at++
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1
    if (at >= text.length) fail()
    return JSON.parse(text.slice(start, ++at)) as string
  }
  const value = (depth: number): Json => {
    if (depth > 64) fail()
    space()
    const first = text[at]
    if (first === '"') return string()
    if (first === "[") {
      const out: Array<Json> = []
      at++
      space()
      if (text[at] === "]") at++
      else {
        do {
          out.push(value(depth + 1))
          space()
        } while (text[at] === "," && ++at > 0)
        if (text[at++] !== "]") fail()
      }
      return out
    }
    if (first === "{") {
      const out = new Map<string, Json>()
      at++
      space()
      if (text[at] === "}") at++
      else {
        do {
          space()
          if (text[at] !== '"') fail()
          const key = string()
          space()
          if (text[at++] !== ":") fail()
          out.set(key, value(depth + 1))
          space()
        } while (text[at] === "," && ++at > 0)
        if (text[at++] !== "}") fail()
      }
      return out
    }
    const word = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(text.slice(at, at + 1000))
    if (word === null) return fail()
    at += word[0].length
    return word[0] === "null"
      ? null
      : word[0] === "true" || word[0] === "false"
      ? word[0] === "true"
      : { number: word[0] }
  }
  try {
    const out = value(0)
    space()
    return at === text.length ? out : undefined
  } catch {
    return undefined
  }
}

export const isNumber = (json: Json): json is { readonly number: string } =>
  typeof json === "object" && json !== null && "number" in json

/** A value of JSON that is none of a type. */
export class WrongJson extends Error {
  readonly type: Type
  readonly json: Json

  constructor(type: Type, json: Json) {
    super("not a value of the type")
    this.type = type
    this.json = json
  }
}

/** A value of JSON as a value of a type; throws {@link WrongJson}, for each product has its own words for it. */
export const fromJson = (type: Type, json: Json, name: string, product: Product): Uint8Array | null => {
  if (json === null) return null
  const wrong = (): never => {
    throw new WrongJson(type, json)
  }
  const each = (of: Type, part: Json): Uint8Array => {
    const bytes = fromJson(of, part, name, product)
    if (bytes !== null) return bytes
    // A null within is what ScyllaDB takes for a wrong value of the element, Cassandra for one of the whole.
    throw product === "scylla" ? new WrongJson(of, part) : new WrongJson(type, json)
  }
  switch (type._tag) {
    case "List":
    case "Set": {
      const items = Array.isArray(json)
        ? json as ReadonlyArray<Json>
        : typeof json === "string" && product === "cassandra"
        ? parseJson(json)
        : undefined
      if (!Array.isArray(items)) return wrong()
      return normalize(
        type,
        collection(items.length, (items as ReadonlyArray<Json>).map((part) => each(type.element, part)))
      )
    }
    case "Map": {
      if (!(json instanceof Map)) return wrong()
      const flat = [...json as ReadonlyMap<string, Json>].flatMap(([key, part]) => [
        each(type.key, key),
        each(type.value, part)
      ])
      return normalize(type, collection(flat.length / 2, flat))
    }
    case "Tuple": {
      if (!Array.isArray(json)) return wrong()
      const items = json as ReadonlyArray<Json>
      if (product === "scylla") {
        if (items.length > type.elements.length) return wrong()
        return record(items.map((item, i) => each(type.elements[i]!, item)))
      }
      if (items.length !== type.elements.length) return wrong()
      return record(type.elements.map((of, i) => fromJson(of, items[i]!, name, product)))
    }
    case "Udt": {
      if (!(json instanceof Map)) return wrong()
      const given = new Map([...json as ReadonlyMap<string, Json>].map(([key, part]) => [nameOf(key), part]))
      for (const key of given.keys()) if (!type.fields.some((field) => field.name === key)) wrong()
      return record(type.fields.map((field) => fromJson(field.type, given.get(field.name) ?? null, name, product)))
    }
    case "Vector": {
      if (!Array.isArray(json) || json.length !== type.dimension) return wrong()
      const items = (json as ReadonlyArray<Json>).map((part) => decode(type.element, each(type.element, part)))
      return encode(type, items)
    }
    case "Scalar":
      return scalarOf(type, json, name, product) ?? wrong()
    default:
      return wrong()
  }
}

/** The column that a key names: in lower case, unless it is in quotes. */
export const nameOf = (key: string): string =>
  key.length > 1 && key.startsWith('"') && key.endsWith('"')
    ? key.slice(1, -1).replaceAll('""', '"')
    : key.toLowerCase()

const scalarOf = (
  type: Extract<Type, { readonly _tag: "Scalar" }>,
  json: Json,
  name: string,
  product: Product
): Uint8Array | undefined => {
  const text = isNumber(json) ? json.number : typeof json === "string" ? json : undefined
  const constant = (
    kind: "INTEGER" | "FLOAT" | "STRING" | "UUID" | "DURATION",
    of = text
  ): Uint8Array | undefined =>
    of === undefined
      ? undefined
      : encodeQuietly(() => encodeConstant(type, { _tag: "Constant", kind, text: of }, name, product))
  switch (type.name) {
    case "ascii":
      return typeof json === "string" && /^[\0-\x7f]*$/.test(json) ? Buffer.from(json) : undefined
    case "text":
      return typeof json === "string" ? Buffer.from(json) : undefined
    case "blob":
      return typeof json === "string" && /^0x(?:[0-9a-f]{2})*$/i.test(json)
        ? Buffer.from(json.slice(2), "hex")
        : undefined
    case "boolean":
      if (typeof json === "boolean") return Uint8Array.of(json ? 1 : 0)
      return typeof json === "string" && /^(?:true|false)$/i.test(json)
        ? Uint8Array.of(json.toLowerCase() === "true" ? 1 : 0)
        : undefined
    case "int":
    case "bigint":
    case "smallint":
    case "tinyint":
    case "varint":
    case "counter": {
      if (text === undefined) return undefined
      // ScyllaDB takes a fraction of nothing but zeros.
      const whole = product === "scylla" && isNumber(json) ? text.replace(/\.0+$/, "") : text
      return /^-?\d+$/.test(whole) ? constant("INTEGER", whole) : undefined
    }
    case "decimal":
    case "double":
    case "float": {
      const number = type.name === "decimal" && isNumber(json) ? asDouble(json.number, product) : text
      return number !== undefined && /^(?:-?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|infinity)|nan)$/i.test(number)
        ? constant("FLOAT", number)
        : undefined
    }
    case "timestamp":
      // To Cassandra a number is one of 64 bits only where 32 do not hold it.
      if (isNumber(json) && product === "cassandra" && Math.abs(Number(json.number)) < 2 ** 31) return undefined
      return isNumber(json) ? constant("INTEGER") : constant("STRING")
    case "date":
    case "time":
    case "inet":
      return typeof json === "string" ? constant("STRING") : undefined
    case "uuid":
    case "timeuuid":
      return typeof json === "string" ? constant("UUID") : undefined
    case "duration":
      return typeof json === "string" ? constant("DURATION") : undefined
  }
}

/** A number with a fraction or an exponent is a double to both products before it is a decimal. */
const asDouble = (number: string, product: Product): string => {
  if (/^-?\d+$/.test(number)) return number
  const value = Number(number)
  if (product === "cassandra") return javaDouble(value, false)
  const text = String(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

const encodeQuietly = (run: () => Uint8Array): Uint8Array | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}
