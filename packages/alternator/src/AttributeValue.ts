/**
 * Items as plain values, and as DynamoDB's JSON.
 *
 * | value | attribute |
 * | --- | --- |
 * | `string` | S |
 * | `number`, `bigint`, {@link NumberValue} | N |
 * | `Uint8Array` | B |
 * | `boolean`, `null` | BOOL, NULL |
 * | array | L |
 * | plain object, `Map` with strings as keys | M |
 * | `Set` of strings, numbers, bytes | SS, NS, BS |
 * | `Float32Array` | FLOAT32VECTOR, of ScyllaDB alone |
 * | {@link UnknownValue} | any other that an answer has |
 *
 * Numbers are exact. One that is read is a `number` if that has the same decimal value; written out as a whole number
 * beyond 2^53 it is a `bigint`; anything else is a {@link NumberValue}.
 *
 * Values are what they are, whichever realm made them (`vm`, `structuredClone`, test runners with contexts of their own).
 *
 * FLOAT32VECTOR is an array of JSON numbers, `{"FLOAT32VECTOR":[0.1,-0.3]}`, as ScyllaDB's documentation of Alternator's
 * vector search says (`docs/alternator/vector-search.md` of its repository). They are written with as many digits as it takes
 * to read the same 32-bit numbers again.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import { toNumber } from "./internal/exactJson.ts"
import { isBytes, isFloats, isMap, isPlain, isSet } from "./internal/kinds.ts"

const brand = (name: string): symbol => Symbol.for(`@effect-scylla/alternator/${name}`)
const numberBrand: unique symbol = brand("NumberValue") as never
const unknownBrand: unique symbol = brand("UnknownValue") as never

/** By its mark: another copy of this module may have made it. */
const has = (value: unknown, mark: symbol): boolean => typeof value === "object" && value !== null && mark in value

/**
 * A number by its decimal text, of up to 38 digits.
 *
 * @category models
 * @since 0.1.0
 */
export class NumberValue {
  readonly text: string
  constructor(text: string) {
    if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) {
      throw new InvalidValue({ message: `"${text}" is not a decimal number` })
    }
    this.text = text
  }
  toString(): string {
    return this.text
  }
  toJSON(): string {
    return this.text
  }
  /** @internal */
  get [numberBrand](): true {
    return true
  }
}

/**
 * An attribute of a type that this version does not know, as it came: the rest of its item can be read, and it can be
 * written back unchanged.
 *
 * @category models
 * @since 0.1.0
 */
export class UnknownValue {
  /** `N2` for example. */
  readonly type: string
  /** What the type's name stands before, as parsed JSON; whole numbers beyond 2^53 are those of `JSON.rawJSON`. */
  readonly value: unknown
  constructor(type: string, value: unknown) {
    this.type = type
    this.value = value
  }
  toJSON(): Readonly<Record<string, unknown>> {
    return { [this.type]: this.value }
  }
  /** @internal */
  get [unknownBrand](): true {
    return true
  }
}

/** Whether it is a {@link NumberValue}. @category guards @since 0.1.0 */
export const isNumberValue = (value: unknown): value is NumberValue => has(value, numberBrand)

/** Whether it is an {@link UnknownValue}. @category guards @since 0.1.0 */
export const isUnknownValue = (value: unknown): value is UnknownValue => has(value, unknownBrand)

/**
 * Why a value cannot be an attribute; the message says where it is.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidValue extends Data.TaggedError("InvalidValue")<{ readonly message: string }> {}

/**
 * What can be an attribute.
 *
 * @category models
 * @since 0.1.0
 */
export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | NumberValue
  | UnknownValue
  | Uint8Array
  | Float32Array
  | ReadonlyArray<Value>
  | ReadonlySet<string | number | bigint | NumberValue | Uint8Array>
  | ReadonlyMap<string, Value>
  | { readonly [name: string]: Value | undefined }

/**
 * An item, a key, or the values of an expression. A member that is `undefined` is left out.
 *
 * @category models
 * @since 0.1.0
 */
export type Item = { readonly [name: string]: Value | undefined }

/**
 * What comes out of an answer. Maps are objects, sets are `Set`s.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadItem = { [name: string]: any }

/** Depth at which a value is refused, as DynamoDB does. @category constants @since 0.1.0 */
export const MAX_DEPTH = 32

const fail = (path: string, message: string): never => {
  throw new InvalidValue({ message: `${path === "" ? "the value" : path} ${message}` })
}

// JSON.stringify for short strings without anything to escape.
const plain = /^[ !#-[\]-~]*$/
const quote = (text: string): string => text.length < 64 && plain.test(text) ? `"${text}"` : JSON.stringify(text)

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")

const numberText = (value: number | bigint | NumberValue, path: string): string => {
  if (typeof value === "number" && !Number.isFinite(value)) fail(path, `is ${value}, which is no decimal number`)
  return typeof value === "number" ? (Object.is(value, -0) ? "0" : String(value)) : value.toString()
}

const isNumeric = (value: unknown): value is number | bigint | NumberValue =>
  typeof value === "number" || typeof value === "bigint" || isNumberValue(value)

const encodeSet = (set: ReadonlySet<unknown>, path: string): string => {
  const values = Array.from(set)
  const [first] = values
  if (values.length === 0) return fail(path, "is an empty set, which DynamoDB has not: leave it out")
  if (typeof first === "string") {
    return `{"SS":[${
      values.map((value) => typeof value === "string" ? quote(value) : fail(path, "is a set of mixed types")).join(",")
    }]}`
  }
  if (isBytes(first)) {
    return `{"BS":[${
      values.map((value) => isBytes(value) ? `"${base64(value)}"` : fail(path, "is a set of mixed types"))
        .join(",")
    }]}`
  }
  if (!isNumeric(first)) {
    return fail(path, `is a set of ${typeof first}, only strings, numbers and bytes can be in sets`)
  }
  return `{"NS":[${
    values.map((value) => isNumeric(value) ? `"${numberText(value, path)}"` : fail(path, "is a set of mixed types"))
      .join(",")
  }]}`
}

const encodeVector = (vector: Float32Array, path: string): string => {
  const parts: Array<string> = []
  for (const value of vector) {
    if (!Number.isFinite(value)) fail(path, `is a vector with ${value}, which JSON has not`)
    parts.push(Object.is(value, -0) ? "-0.0" : String(value))
  }
  return `{"FLOAT32VECTOR":[${parts.join(",")}]}`
}

const encodeAt = (value: unknown, path: string, depth: number): string => {
  if (depth > MAX_DEPTH) return fail(path, `is nested more than ${MAX_DEPTH} deep`)
  switch (typeof value) {
    case "string":
      return `{"S":${quote(value)}}`
    case "number":
    case "bigint":
      return `{"N":"${numberText(value, path)}"}`
    case "boolean":
      return value ? '{"BOOL":true}' : '{"BOOL":false}'
    case "object":
      break
    default:
      return fail(path, value === undefined ? "is undefined" : `is a ${typeof value}, which cannot be stored`)
  }
  if (value === null) return '{"NULL":true}'
  if (Array.isArray(value)) {
    let out = '{"L":['
    for (let i = 0; i < value.length; i++) {
      if (i > 0) out += ","
      out += encodeAt(value[i], `${path}[${i}]`, depth + 1)
    }
    return `${out}]}`
  }
  if (isPlain(value)) return `{"M":${encodeObject(value as Item, path, depth + 1)}}`
  if (isBytes(value)) return `{"B":"${base64(value)}"}`
  if (isNumberValue(value)) return `{"N":"${value.text}"}`
  if (isSet(value)) return encodeSet(value, path)
  if (isMap(value)) return `{"M":${encodeEntries(value, path, depth + 1)}}`
  if (isFloats(value)) return encodeVector(value, path)
  if (isUnknownValue(value)) return `{${quote(value.type)}:${JSON.stringify(value.value) ?? "null"}}`
  return fail(path, `is a ${value.constructor?.name || "class"}: say what of it is to be stored`)
}

const encodeEntries = (map: ReadonlyMap<unknown, unknown>, path: string, depth: number): string => {
  const parts: Array<string> = []
  for (const [name, value] of map) {
    if (typeof name !== "string") fail(path, "is a Map with keys that are no strings")
    else if (value !== undefined) parts.push(`${quote(name)}:${encodeAt(value, join(path, name), depth)}`)
  }
  return `{${parts.join(",")}}`
}

const join = (path: string, name: string): string => path === "" ? name : `${path}.${name}`

const encodeObject = (item: Item, path: string, depth: number): string => {
  let out = "{"
  for (const name of Object.keys(item)) {
    const value = item[name]
    if (value === undefined) continue
    if (out.length > 1) out += ","
    // Most are strings and numbers; the path is only made for what is nested.
    out += quote(name)
    out += typeof value === "string" ? `:{"S":${quote(value)}}` : `:${encodeAt(value, join(path, name), depth)}`
  }
  return `${out}}`
}

/**
 * The DynamoDB JSON of an item: `{"name":{"S":"…"},…}`. Throws {@link InvalidValue}.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeItem = (item: Item): string => encodeObject(item, "", 0)

/**
 * The DynamoDB JSON of one value: `{"S":"…"}`. Throws {@link InvalidValue}.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (value: Value): string => encodeAt(value, "", 0)

/** Significant digits and exponent, so that equal numbers have equal texts. @internal */
export const canonicalNumber = (text: string): string => {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text)
  if (match === null) return ""
  const [, sign, whole, fraction = "", exponent] = match
  const digits = `${whole}${fraction}`.replace(/^0+/, "")
  const trimmed = digits.replace(/0+$/, "")
  if (trimmed === "") return "0"
  const power = Number(exponent ?? 0) - fraction.length + (digits.length - trimmed.length)
  return `${sign === "-" ? "-" : ""}${trimmed}e${power}`
}

/**
 * A number of an answer: exact, whatever type that takes.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeNumber = (text: string): number | bigint | NumberValue => {
  const value = Number(text)
  // Fifteen digits are always exact.
  if (text.length <= 15 && value === value) return value
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(value) ? value : BigInt(text)
  if (Number.isFinite(value) && canonicalNumber(String(value)) === canonicalNumber(text)) return value
  return new NumberValue(text)
}

const bytesOf = (text: string): Uint8Array => {
  const buffer = Buffer.from(text, "base64")
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

const decodeMap = (map: Record<string, any>, onUnknown: (() => void) | undefined): ReadItem => {
  const out: ReadItem = {}
  for (const name in map) {
    const value = decode(map[name], onUnknown)
    if (name === "__proto__") {
      Object.defineProperty(out, name, { value, enumerable: true, writable: true, configurable: true })
    } else out[name] = value
  }
  return out
}

/** None when it is no array of numbers. */
const decodeVector = (values: unknown): Float32Array | undefined => {
  if (!Array.isArray(values)) return undefined
  const numbers = values.map(toNumber)
  return numbers.some(Number.isNaN) ? undefined : Float32Array.from(numbers)
}

const unknown = (type: string, value: unknown, onUnknown: (() => void) | undefined): UnknownValue => {
  onUnknown?.()
  return new UnknownValue(type, value)
}

/**
 * The value of parsed DynamoDB JSON. Throws {@link InvalidValue}. `onUnknown` is told of each {@link UnknownValue}.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (wire: Record<string, any>, onUnknown?: () => void): any => {
  for (const type in wire) {
    const value = wire[type]
    switch (type) {
      case "S":
        return value
      case "N":
        return decodeNumber(value)
      case "BOOL":
        return value
      case "M":
        return decodeMap(value, onUnknown)
      case "L":
        return value.map((element: Record<string, any>) => decode(element, onUnknown))
      case "NULL":
        return null
      case "B":
        return bytesOf(value)
      case "SS":
        return new Set(value)
      case "NS":
        return new Set(value.map(decodeNumber))
      case "BS":
        return new Set(value.map(bytesOf))
      case "FLOAT32VECTOR":
        return decodeVector(value) ?? unknown(type, value, onUnknown)
      default:
        // Names of texts and arrays are no types.
        if (typeof wire === "object" && !Array.isArray(wire)) return unknown(type, value, onUnknown)
    }
  }
  throw new InvalidValue({ message: "the answer has an attribute without a type" })
}

/**
 * The item of parsed DynamoDB JSON. Throws {@link InvalidValue}. `onUnknown` is told of each {@link UnknownValue}.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeItem = (wire: Record<string, any>, onUnknown?: () => void): ReadItem => {
  if (typeof wire !== "object" || wire === null || Array.isArray(wire)) {
    throw new InvalidValue({ message: "the answer has an item that is no JSON object" })
  }
  return decodeMap(wire, onUnknown)
}

/**
 * Type and text, or bytes, of a value that can be a key; none of others.
 *
 * @category encoding
 * @since 0.1.0
 */
export const keyOf = (
  value: unknown
):
  | { readonly type: "S" | "N"; readonly value: string }
  | { readonly type: "B"; readonly value: Uint8Array }
  | undefined =>
  typeof value === "string"
    ? { type: "S", value }
    : isNumeric(value)
    ? { type: "N", value: value.toString() }
    : isBytes(value)
    ? { type: "B", value }
    : undefined
