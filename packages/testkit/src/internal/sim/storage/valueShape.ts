/** The form of values that are made of parts: lengths that are right, and nothing behind them. */
import { className, type CqlType } from "@effect-scylla/protocol/CqlType"
import { Buffer } from "node:buffer"
import type { Product } from "../parse/product.ts"

const notEnough = (read: string, wanted: string, got: number): string =>
  `${read} - not enough bytes (${wanted}, got ${got}) Backtrace: <backtrace>`

/** What is wrong with the parts of a collection; `undefined` where nothing is. */
const wrongCollection = (
  type: Extract<CqlType, { readonly _tag: "List" | "Set" | "Map" }>,
  bytes: Uint8Array,
  product: Product
): string | undefined => {
  const kind = type._tag.toLowerCase()
  const isScylla = product === "scylla"
  const { length } = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  if (length < 4) {
    return isScylla
      ? notEnough("read_simple", "expected 4", length)
      : `Not enough bytes to read a ${kind}`
  }
  const count = view.getInt32(0)
  if (count < 0 && !isScylla) return `The data cannot be deserialized as a ${kind}`
  // To ScyllaDB a negative number is a great one.
  const parts = (count >>> 0) * (type._tag === "Map" ? 2 : 1)
  let at = 4
  for (let i = 0; i < parts; i++) {
    if (length - at < 4) {
      return isScylla ? notEnough("read_simple", "expected 4", length - at) : `Not enough bytes to read a ${kind}`
    }
    const size = view.getInt32(at)
    at += 4
    if (size < 0) {
      if (!isScylla && type._tag !== "List") return "Null value read when not allowed"
      continue
    }
    if (length - at < size) {
      return isScylla
        ? notEnough("read_simple_bytes", `requested ${size}`, length - at)
        : `Not enough bytes to read a ${kind}`
    }
    at += size
  }
  if (at === length) return undefined
  return isScylla
    ? `Validation failed for type ${
      className(type)
    }: bytes remaining after reading all ${count} elements of the ${kind} -> [${
      Buffer.from(bytes.subarray(at)).toString("hex")
    }]`
    : `Unexpected extraneous bytes after ${kind} value`
}

/** What is wrong with the fields of a tuple or of a user-defined type. */
const wrongFields = (
  type: Extract<CqlType, { readonly _tag: "Tuple" | "Udt" }>,
  bytes: Uint8Array,
  product: Product
): string | undefined => {
  const expected = type._tag === "Tuple" ? type.elements.length : type.fields.length
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let count = 0
  for (let at = 0; at < bytes.length; count++) {
    if (bytes.length - at < 4) {
      return product === "cassandra" && count >= expected
        ? `Invalid remaining data after end of ${type._tag === "Tuple" ? "tuple" : "UDT"} value`
        : undefined
    }
    const size = view.getInt32(at)
    at += 4 + Math.max(0, size)
  }
  if (count <= expected) return undefined
  return product === "scylla"
    ? `Value of type ${
      className(type).replaceAll(",", ", ")
    } contained too many fields (expected ${expected}, got ${count})`
    : `Invalid remaining data after end of ${type._tag === "Tuple" ? "tuple" : "UDT"} value`
}

/** What is wrong with the form of a value. */
export const wrongShape = (type: CqlType, bytes: Uint8Array, product: Product): string | undefined => {
  switch (type._tag) {
    case "List":
    case "Set":
    case "Map":
      return wrongCollection(type, bytes, product)
    case "Tuple":
    case "Udt":
      return wrongFields(type, bytes, product)
    default:
      return undefined
  }
}
