/** How values are ordered: clustering keys, elements of sets, keys of maps. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import type { CqlType, ScalarName } from "@effect-scylla/protocol/CqlType"
import * as BigDecimal from "effect/BigDecimal"
import { Buffer } from "node:buffer"

export type Comparator = (a: Uint8Array, b: Uint8Array) => number

export const compareBytes: Comparator = (a, b) => Buffer.compare(a, b)

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Empty values come first; `rest` sees none. */
const emptyFirst = (rest: Comparator): Comparator => (a, b) =>
  a.length === 0 || b.length === 0 ? Math.sign(a.length - b.length) : rest(a, b)

/** Two's complement numbers of one size: the first byte signed, the others unsigned. */
const signed: Comparator = (a, b) => a[0] === b[0] ? Buffer.compare(a, b) : (a[0]! << 24) - (b[0]! << 24) < 0 ? -1 : 1

/** As `Double.compare`: NaN last, -0 before 0. */
const compareDoubles = (x: number, y: number): number =>
  x < y ? -1 : x > y ? 1 : Object.is(x, y) ? 0 : Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : Object.is(x, -0) ? -1 : 1

/** The time of a version 1 UUID, most significant first. */
const timeOf = (bytes: Uint8Array): bigint => {
  const v = view(bytes)
  return (BigInt(v.getUint16(6) & 0xfff) << 48n) | (BigInt(v.getUint16(4)) << 32n) | BigInt(v.getUint32(0))
}

const signedBytes: Comparator = (a, b) => {
  for (let i = 8; i < 16; i++) {
    const difference = ((a[i]! << 24) >> 24) - ((b[i]! << 24) >> 24)
    if (difference !== 0) return difference < 0 ? -1 : 1
  }
  return 0
}

const timeuuid: Comparator = (a, b) => {
  const x = timeOf(a)
  const y = timeOf(b)
  return x < y ? -1 : x > y ? 1 : signedBytes(a, b)
}

const uuid: Comparator = (a, b) => {
  const version = (a[6]! >> 4) - (b[6]! >> 4)
  if (version !== 0) return version < 0 ? -1 : 1
  if (a[6]! >> 4 !== 1) return Buffer.compare(a, b)
  const x = timeOf(a)
  const y = timeOf(b)
  return x < y ? -1 : x > y ? 1 : Buffer.compare(a, b)
}

const decoded = (type: CqlType, compare: (x: never, y: never) => number): Comparator => (a, b) =>
  compare(decode(type, a) as never, decode(type, b) as never)

const bigints = (x: bigint, y: bigint): number => x < y ? -1 : x > y ? 1 : 0

const scalars: Record<ScalarName, Comparator | undefined> = {
  ascii: compareBytes,
  text: compareBytes,
  blob: compareBytes,
  inet: compareBytes,
  boolean: emptyFirst(compareBytes),
  date: emptyFirst(compareBytes),
  int: emptyFirst(signed),
  bigint: emptyFirst(signed),
  smallint: emptyFirst(signed),
  tinyint: emptyFirst(signed),
  timestamp: emptyFirst(signed),
  time: emptyFirst(signed),
  counter: emptyFirst(signed),
  double: emptyFirst((a, b) => compareDoubles(view(a).getFloat64(0), view(b).getFloat64(0))),
  float: emptyFirst((a, b) => compareDoubles(view(a).getFloat32(0), view(b).getFloat32(0))),
  uuid: emptyFirst(uuid),
  timeuuid: emptyFirst(timeuuid),
  varint: emptyFirst(decoded({ _tag: "Scalar", name: "varint" }, bigints)),
  decimal: emptyFirst(decoded({ _tag: "Scalar", name: "decimal" }, (x, y) => BigDecimal.Order(x, y))),
  duration: undefined
}

/** The elements of a collection value, as they lie in its bytes. */
export const elements = (bytes: Uint8Array): Array<Uint8Array> => {
  const v = view(bytes)
  const count = v.getInt32(0)
  return readElements(bytes, 4, count) as Array<Uint8Array>
}

/** The fields of a tuple or of a user-defined type, `null` for those that are null; those at the end may be missing. */
export const fieldsOf = (bytes: Uint8Array, count: number): Array<Uint8Array | null> => readElements(bytes, 0, count)

const readElements = (bytes: Uint8Array, start: number, count: number): Array<Uint8Array | null> => {
  const v = view(bytes)
  const out: Array<Uint8Array | null> = []
  for (let at = start; out.length < count && at < bytes.length;) {
    const length = v.getInt32(at)
    at += 4
    out.push(length < 0 ? null : bytes.subarray(at, at + length))
    at += Math.max(0, length)
  }
  return out
}

/** The elements of a map value: keys and values in turn. */
export const entries = (bytes: Uint8Array): Array<Uint8Array> =>
  readElements(bytes, 4, 2 * view(bytes).getInt32(0)) as Array<Uint8Array>

/** The elements of a vector. */
export const vectorParts = (
  type: Extract<CqlType, { readonly _tag: "Vector" }>,
  bytes: Uint8Array
): Array<Uint8Array> => Array.from(decode(type, bytes) as Iterable<unknown>, (each) => encode(type.element, each)!)

/** Compares lists part by part, the shorter one first; a null comes before any value, and is what fields at the end are that are missing. */
const byParts = (
  parts: (bytes: Uint8Array) => Array<Uint8Array | null>,
  compare: (index: number) => Comparator,
  isPadded = false
): Comparator =>
(a, b) => {
  const x = parts(a)
  const y = parts(b)
  for (let i = 0; i < x.length && i < y.length; i++) {
    const left = x[i]!
    const right = y[i]!
    if (left === null || right === null) {
      if (left !== right) return left === null ? -1 : 1
      continue
    }
    const result = compare(i)(left, right)
    if (result !== 0) return result
  }
  const rest = x.length < y.length ? y.slice(x.length) : x.slice(y.length)
  return isPadded && rest.every((each) => each === null) ? 0 : Math.sign(x.length - y.length)
}

/** The order of a type, `undefined` for a type that has none. */
export const comparatorOf = (type: CqlType): Comparator | undefined => {
  switch (type._tag) {
    case "Scalar":
      return scalars[type.name]
    case "List":
    case "Set": {
      const element = comparatorOf(type.element)
      return element === undefined ? undefined : emptyFirst(byParts(elements, () => element))
    }
    case "Map": {
      const key = comparatorOf(type.key)
      const value = comparatorOf(type.value)
      if (key === undefined || value === undefined) return undefined
      return emptyFirst(byParts(entries, (index) => index % 2 === 0 ? key : value))
    }
    case "Tuple":
    case "Udt": {
      const types = type._tag === "Tuple" ? type.elements : type.fields.map((field) => field.type)
      const parts: Array<Comparator> = []
      for (const part of types) {
        const compare = comparatorOf(part)
        if (compare === undefined) return undefined
        parts.push(compare)
      }
      return byParts((bytes) => fieldsOf(bytes, types.length), (index) => parts[index]!, true)
    }
    case "Vector": {
      const element = comparatorOf(type.element)
      return element === undefined ? undefined : emptyFirst(byParts((bytes) => vectorParts(type, bytes), () => element))
    }
    case "Custom":
      return undefined
  }
}
