/** Bytes of values: checks of what is bound, the form in which collections are stored. */
import { decode } from "@effect-scylla/protocol/Codec"
import { className, type CqlType, format, type ScalarName } from "@effect-scylla/protocol/CqlType"
import { Buffer } from "node:buffer"
import { invalid, unsupported } from "../failure.ts"
import type { Product } from "../parse/product.ts"
import { comparatorOf, compareBytes, elements, entries, fieldsOf } from "./compare.ts"
import { wrongShape } from "./valueShape.ts"

const SIZES: Partial<Record<ScalarName, number>> = {
  bigint: 8,
  counter: 8,
  int: 4,
  smallint: 2,
  tinyint: 1,
  timestamp: 8,
  date: 4,
  time: 8,
  double: 8,
  float: 4,
  boolean: 1,
  uuid: 16,
  timeuuid: 16
}

export type Check = (bytes: Uint8Array) => Uint8Array

/** Joins the parts of a collection: the count, then each part with its length. */
export const collection = (count: number, parts: ReadonlyArray<Uint8Array | null>): Uint8Array => {
  let size = 4
  for (const part of parts) size += 4 + (part?.length ?? 0)
  const out = new Uint8Array(size)
  const view = new DataView(out.buffer)
  view.setInt32(0, count)
  let at = 4
  for (const part of parts) {
    view.setInt32(at, part === null ? -1 : part.length)
    if (part !== null) out.set(part, at + 4)
    at += 4 + (part?.length ?? 0)
  }
  return out
}

/** Joins the fields of a tuple or of a user-defined type: each with its length, -1 for null. */
export const record = (fields: ReadonlyArray<Uint8Array | null>): Uint8Array => {
  let size = 0
  for (const field of fields) size += 4 + (field?.length ?? 0)
  const out = new Uint8Array(size)
  const view = new DataView(out.buffer)
  let at = 0
  for (const field of fields) {
    view.setInt32(at, field === null ? -1 : field.length)
    at += 4
    if (field !== null) {
      out.set(field, at)
      at += field.length
    }
  }
  return out
}

/** Sets are stored sorted and without repetition, maps by their keys. */
export const normalize = (type: CqlType, bytes: Uint8Array, keep: "first" | "last" | "none" = "none"): Uint8Array => {
  if (bytes.length === 0) return bytes
  if (type._tag === "Set") {
    const compare = comparatorOf(type.element) ?? compareBytes
    const sorted = elements(bytes).sort(compare)
    const isTwice = (i: number): boolean => compare(sorted[i - 1]!, sorted[i]!) === 0
    // Cassandra keeps now one and now another of a literal.
    const isUnclear = (i: number): boolean => i > 0 && isTwice(i) && compareBytes(sorted[i - 1]!, sorted[i]!) !== 0
    if (keep === "none" && sorted.some((_, i) => isUnclear(i))) {
      throw unsupported("a set with one number in two spellings")
    }
    const unique = sorted.filter((_, i) => i === 0 || !isTwice(i))
    return collection(unique.length, unique)
  }
  if (type._tag === "Map") {
    const compare = comparatorOf(type.key) ?? compareBytes
    const pairs = pairsOf(bytes).sort((a, b) => compare(a[0], b[0]))
    const isSame = (i: number): boolean =>
      i >= 0 && i + 1 < pairs.length && compare(pairs[i]![0], pairs[i + 1]![0]) === 0
    // Cassandra keeps now one and now another value of a literal.
    if (keep === "none" && pairs.some((_, i) => isSame(i))) throw unsupported("a map with one key twice")
    const kept = pairs.filter((_, i) => keep === "first" ? !isSame(i - 1) : !isSame(i))
    return collection(kept.length, kept.flat())
  }
  return bytes
}

const pairsOf = (bytes: Uint8Array): Array<readonly [Uint8Array, Uint8Array]> => {
  const flat = entries(bytes)
  const pairs: Array<readonly [Uint8Array, Uint8Array]> = []
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i]!, flat[i + 1]!])
  return pairs
}

/** A value with all the fields that the type has, those at the end that were left out as null. */
export const padded = (type: Extract<CqlType, { readonly _tag: "Udt" }>): Check => (bytes) => {
  const given = fieldsOf(bytes, type.fields.length)
  return record(type.fields.map((_, i) => given[i] ?? null))
}

/** Types of Cassandra that an empty value is none of. */
const NEVER_EMPTY = new Set<ScalarName>(["smallint", "tinyint", "date", "time"])

/** What is said of bytes that are no value of a scalar type. */
const wrongBytes = (type: ScalarName, bytes: Uint8Array, product: Product): string => {
  const { length } = bytes
  const isScylla = product === "scylla"
  switch (type) {
    case "int":
    case "bigint":
    case "counter":
      return isScylla
        ? `Validation failed for type ${className({ _tag: "Scalar", name: type })}: got ${length} bytes`
        : `Expected ${SIZES[type]} or 0 byte ${type === "int" ? "int" : "long"} (${length})`
    case "smallint":
      return `Expected 2 bytes for a smallint (${length})`
    case "tinyint":
      return `Expected 1 byte for a tinyint (${length})`
    case "boolean":
      return isScylla ? `Validation failed for boolean, got ${length} bytes` : `Expected 1 or 0 byte value (${length})`
    case "date":
      return `Expected 4 byte long for date (${length})`
    case "time":
      return `Expected 8 byte long for time (${length})`
    case "timestamp":
      return isScylla
        ? `Validation failed for timestamp - got ${length} bytes`
        : `Expected 8 or 0 byte long for date (${length})`
    case "double":
    case "float":
      return isScylla
        ? `Expected ${SIZES[type]} bytes for a floating type, got ${length}`
        : `Expected ${SIZES[type]} or 0 byte value for a ${type} (${length})`
    case "decimal":
      return `Expected 0 or at least 4 bytes (${length})`
    case "duration":
      return `Expected at least 3 bytes for a duration${isScylla ? `, got ${length}` : ` (${length})`}`
    case "text":
      return isScylla
        ? `Validation failed - non-UTF8 character in a UTF8 string, at byte offset ${firstInvalid(bytes)}`
        : "String didn't validate."
    case "ascii":
      return isScylla
        ? "Validation failed - non-ASCII character in an ASCII string"
        : `Invalid byte for ascii: ${(bytes.find((byte) => byte >= 0x80)! << 24) >> 24}`
    case "uuid":
    case "timeuuid":
      return isScylla
        ? `Validation failed for ${type} - got ${length} bytes`
        : `${type === "uuid" ? "UUID" : "TimeUUID"} should be 16 or 0 bytes (${length})`
    default:
      return isScylla
        ? `Validation failed for type ${className({ _tag: "Scalar", name: type })}: got ${length} bytes`
        : `Invalid value of type ${type}: ${length} bytes`
  }
}

/** The offset of the first byte that is no UTF-8. */
const firstInvalid = (bytes: Uint8Array): number => {
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at]!
    const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    if (!isUtf8(bytes.subarray(at, at + size))) return at
    at += size
  }
  return bytes.length
}

/** The check that a bound value of this type passes through. Throws INVALID. */
export const checkOf = (type: CqlType, name: string, product: Product): Check => {
  // A name that is no plain one is quoted.
  const shown = /^\w+$/.test(name) ? name : JSON.stringify(name)
  const prefix = product === "scylla" ? `Exception while binding column ${shown}: marshaling error: ` : ""
  const fail = (bytes: Uint8Array): never => {
    throw invalid(
      prefix + (type._tag === "Scalar"
        ? wrongBytes(type.name, bytes, product)
        : product === "cassandra" && (type._tag === "List" || type._tag === "Set" || type._tag === "Map")
        ? `Not enough bytes to read a ${type._tag.toLowerCase()}`
        : `Validation failed for type ${format(type)}: got ${bytes.length} bytes`)
    )
  }
  if (type._tag === "Scalar") {
    const size = SIZES[type.name]
    const isEmptyWrong = product === "cassandra" && NEVER_EMPTY.has(type.name)
    if (size !== undefined) {
      return (bytes) => bytes.length === size || (bytes.length === 0 && !isEmptyWrong) ? bytes : fail(bytes)
    }
    switch (type.name) {
      case "blob":
        return (bytes) => bytes
      case "text":
        return (bytes) => isUtf8(bytes) ? bytes : fail(bytes)
      case "ascii":
        return (bytes) => bytes.every((byte) => byte < 0x80) ? bytes : fail(bytes)
      case "decimal":
        return (bytes) => product === "scylla" || bytes.length === 0 || bytes.length >= 4 ? bytes : fail(bytes)
      case "duration":
        return (bytes) => {
          if (bytes.length < 3) return fail(bytes)
          const parts = vints(bytes).slice(0, 3)
          if (parts.length < 3) return fail(bytes)
          const [months, days, nanos] = parts as [bigint, bigint, bigint]
          if (parts.some((part) => part > 0n) && parts.some((part) => part < 0n)) {
            throw invalid(
              `${prefix}The duration months, days${
                product === "scylla" ? "," : ""
              } and nanoseconds must be all of the same sign (${months}, ${days}, ${nanos})`
            )
          }
          return bytes
        }
      default:
    }
  }
  const isSorted = type._tag === "Set" || type._tag === "Map"
  if (type._tag === "Vector") {
    const fixed = type.element._tag === "Scalar" ? SIZES[type.element.name] : undefined
    const size = fixed === undefined ? undefined : fixed * type.dimension
    return (bytes) => {
      if (size !== undefined && bytes.length < size) throw invalid(`Not enough bytes to read a ${format(type)}`)
      if (size !== undefined && bytes.length > size) {
        throw invalid(`Unexpected ${bytes.length - size} extraneous bytes after ${format(type)} value`)
      }
      return bytes
    }
  }
  return (bytes) => {
    const wrong = wrongShape(type, bytes, product)
    if (wrong !== undefined) throw invalid(prefix + wrong)
    if (product === "cassandra") checkParts(type, bytes, name)
    let value: unknown
    try {
      value = decode(type, bytes)
    } catch {
      return fail(bytes)
    }
    // A null in a list is refused where the list is to go.
    if (isSorted && hasNull(value)) throw invalid("null is not supported inside collections")
    return isSorted ? normalize(type, bytes, product === "scylla" ? "first" : "last") : bytes
  }
}

/** Each part of a value has to be one of its own type. */
const checkParts = (type: CqlType, bytes: Uint8Array, name: string): void => {
  const check = (of: CqlType, part: Uint8Array | null | undefined): void => {
    if (part !== null && part !== undefined) checkOf(of, name, "cassandra")(part)
  }
  switch (type._tag) {
    case "List":
    case "Set":
      for (const part of elements(bytes)) check(type.element, part)
      return
    case "Map":
      entries(bytes).forEach((part, i) => check(i % 2 === 0 ? type.key : type.value, part))
      return
    case "Tuple":
      fieldsOf(bytes, type.elements.length).forEach((part, i) => check(type.elements[i]!, part))
      return
    case "Udt":
      fieldsOf(bytes, type.fields.length).forEach((part, i) => check(type.fields[i]!.type, part))
      return
    default:
  }
}

/** Whole numbers of variable length, of which the sign is the last bit. */
const vints = (bytes: Uint8Array): ReadonlyArray<bigint> => {
  const out: Array<bigint> = []
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at]!
    const more = Math.clz32(~(first << 24) >>> 0)
    const size = Math.min(more, 8)
    if (at + 1 + size > bytes.length) break
    let value = size === 8 ? 0n : BigInt(first & (0xff >> size))
    for (let i = 1; i <= size; i++) value = (value << 8n) | BigInt(bytes[at + i]!)
    out.push((value >> 1n) ^ -(value & 1n))
    at += 1 + size
  }
  return out
}

const hasNull = (value: unknown): boolean => {
  if (value instanceof Map) { for (const [key, each] of value) if (key === null || each === null) return true }
  return value instanceof Set && value.has(null)
}

const isUtf8 = (bytes: Uint8Array): boolean => {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i]! >= 0x80) {
      try {
        new TextDecoder("utf-8", { fatal: true }).decode(bytes)
        return true
      } catch {
        return false
      }
    }
  }
  return true
}

/** Whether a value of a type that is not frozen is as good as null: a collection of nothing, a user-defined type of nulls. */
export const isNothing = (type: CqlType, bytes: Uint8Array): boolean =>
  type._tag === "Udt"
    ? fieldsOf(bytes, type.fields.length).every((field) => field === null)
    : bytes.length < 4 || new DataView(bytes.buffer, bytes.byteOffset).getInt32(0) === 0

export const textBytes = (text: string): Uint8Array => Buffer.from(text, "utf8")

export const int32 = (value: number): Uint8Array => {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setInt32(0, value)
  return out
}

export const int64 = (value: bigint): Uint8Array => {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigInt64(0, value)
  return out
}

export const readInt32 = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getInt32(0)

export const readInt64 = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0)
