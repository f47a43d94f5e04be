/** Bytes of values: checks of what is bound, the form in which collections are stored. */
import { decode } from "@effect-scylla/protocol/Codec"
import type { CqlType, ScalarName } from "@effect-scylla/protocol/CqlType"
import { format } from "@effect-scylla/protocol/CqlType"
import { Buffer } from "node:buffer"
import { invalid, unsupported } from "../failure.ts"
import { comparatorOf, compareBytes, elements, entries, fieldsOf } from "./compare.ts"

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
export const normalize = (type: CqlType, bytes: Uint8Array): Uint8Array => {
  if (bytes.length === 0) return bytes
  if (type._tag === "Set") {
    const compare = comparatorOf(type.element) ?? compareBytes
    const sorted = elements(bytes).sort(compare)
    const unique = sorted.filter((element, i) => i === 0 || compare(sorted[i - 1]!, element) !== 0)
    return collection(unique.length, unique)
  }
  if (type._tag === "Map") {
    const compare = comparatorOf(type.key) ?? compareBytes
    const pairs = pairsOf(bytes).sort((a, b) => compare(a[0], b[0]))
    // Which of the values stays differs from server to server, and with how the row was written.
    if (pairs.some((pair, i) => i > 0 && compare(pairs[i - 1]![0], pair[0]) === 0)) {
      throw unsupported("a map with one key twice")
    }
    return collection(pairs.length, pairs.flat())
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

/** The check that a bound value of this type passes through. Throws INVALID. */
export const checkOf = (type: CqlType, name: string): Check => {
  const fail = (bytes: Uint8Array): never => {
    throw invalid(
      `Exception while binding column ${name}: marshaling error: Validation failed for type ${
        format(type)
      }: got ${bytes.length} bytes`
    )
  }
  if (type._tag === "Scalar") {
    const size = SIZES[type.name]
    if (size !== undefined) {
      return (bytes) => bytes.length === size || bytes.length === 0 ? bytes : fail(bytes)
    }
    switch (type.name) {
      case "blob":
        return (bytes) => bytes
      case "text":
        return (bytes) => isUtf8(bytes) ? bytes : fail(bytes)
      case "ascii":
        return (bytes) => bytes.every((byte) => byte < 0x80) ? bytes : fail(bytes)
      default:
    }
  }
  const isSorted = type._tag === "Set" || type._tag === "Map"
  const isCollection = isSorted || type._tag === "List"
  return (bytes) => {
    let value: unknown
    try {
      value = decode(type, bytes)
    } catch {
      return fail(bytes)
    }
    if (isCollection && hasNull(value)) throw invalid("null is not supported inside collections")
    return isSorted ? normalize(type, bytes) : bytes
  }
}

const hasNull = (value: unknown): boolean => {
  if (value instanceof Map) { for (const [key, each] of value) if (key === null || each === null) return true }
  return (Array.isArray(value) && value.includes(null)) || (value instanceof Set && value.has(null))
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
