/** Masks of Cassandra: what is shown in place of a value. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import { invalid } from "../failure.ts"
import { readInt32 } from "../storage/values.ts"
import type { Definition } from "./definition.ts"

type Type = CqlType.CqlType
type Nullable = ReadonlyArray<Uint8Array | null>

const masked = (
  name: string,
  args: ReadonlyArray<Type>,
  returns: Type,
  runWithNulls: (args: Nullable) => Uint8Array | null
): Definition => ({ name, args, returns, run: runWithNulls, runWithNulls })

const isText = (type: Type): boolean => type._tag === "Scalar" && (type.name === "text" || type.name === "ascii")

const zeros = (size: number): Uint8Array => new Uint8Array(size)

/** What stands for any value of a type. */
const DEFAULTS: Partial<Record<CqlType.ScalarName, Uint8Array>> = {
  ascii: Buffer.from("****"),
  text: Buffer.from("****"),
  bigint: zeros(8),
  blob: zeros(0),
  boolean: zeros(1),
  date: Uint8Array.of(0x80, 0, 0, 0),
  decimal: zeros(5),
  double: zeros(8),
  duration: zeros(3),
  float: zeros(4),
  inet: zeros(4),
  int: zeros(4),
  smallint: zeros(2),
  time: zeros(8),
  timestamp: zeros(8),
  tinyint: zeros(1),
  uuid: zeros(16),
  varint: zeros(1)
}

const defaultOf = (type: Type): Uint8Array | undefined => {
  if (type._tag === "List" || type._tag === "Set" || type._tag === "Map") return zeros(4)
  return type._tag === "Scalar" ? DEFAULTS[type.name] : undefined
}

const hashed = (algorithm: string, value: Uint8Array | null): Uint8Array | null => {
  if (value === null) return null
  try {
    return Uint8Array.from(createHash(algorithm.replace(/^SHA-/i, "sha").toLowerCase()).update(value).digest())
  } catch {
    throw invalid(`Hash algorithm not found: ${algorithm}`)
  }
}

const blob = CqlType.scalar("blob")
const text = CqlType.scalar("text")
const int = CqlType.scalar("int")

/** Those of a value alone, by its type. */
export const MASKS_OF_ONE: Record<string, (type: Type) => Definition | undefined> = {
  mask_null: (type) => masked("mask_null", [type], type, () => null),
  mask_default: (type) => {
    const value = defaultOf(type)
    return value === undefined ? undefined : masked("mask_default", [type], type, () => value)
  },
  mask_hash: (type) => masked("mask_hash", [type], blob, ([value]) => hashed("SHA-256", value!))
}

/** Masks of a text but for what is inside of it, or outside, so many characters from its ends. */
const parts = (name: string, isInner: boolean) => (type: Type, count: number): Definition | undefined => {
  if (!isText(type)) return undefined
  return masked(name, count === 4 ? [type, int, int, text] : [type, int, int], type, ([value, begin, end, pad]) => {
    if (value === null || value === undefined) return null
    const chars = [...Buffer.from(value).toString("utf8")]
    const from = begin === null ? 0 : readInt32(begin!)
    const to = chars.length - (end === null ? 0 : readInt32(end!))
    const by = pad === undefined || pad === null ? "*" : Buffer.from(pad).toString("utf8")
    return Buffer.from(chars.map((char, i) => ((i >= from && i < to) === isInner ? by : char)).join(""))
  })
}

/** Those of more, by the type of the value and the number of arguments. */
export const MASKS: Record<string, (type: Type, count: number) => Definition | undefined> = {
  mask_replace: (type) => masked("mask_replace", [type, type], type, ([, by]) => by!),
  mask_hash: (type) =>
    masked(
      "mask_hash",
      [type, text],
      blob,
      ([value, algorithm]) => hashed(algorithm === null ? "SHA-256" : Buffer.from(algorithm!).toString(), value!)
    ),
  mask_inner: parts("mask_inner", true),
  mask_outer: parts("mask_outer", false)
}
