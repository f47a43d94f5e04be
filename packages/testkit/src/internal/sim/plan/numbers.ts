/** Numbers of CQL as JavaScript computes with them. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import type * as CqlType from "@effect-scylla/protocol/CqlType"

export type Integral = "tinyint" | "smallint" | "int" | "bigint" | "counter" | "varint"

export const BITS: Record<Integral, number> = {
  tinyint: 8,
  smallint: 16,
  int: 32,
  bigint: 64,
  counter: 64,
  varint: 0
}

export const isIntegral = (name: string): name is Integral => name in BITS

export const readIntegral = (type: CqlType.CqlType, bytes: Uint8Array): bigint =>
  bytes.length === 0 ? 0n : BigInt(decode(type, bytes) as bigint | number)

/** The bytes of an integer, without what does not fit. */
export const writeIntegral = (name: Integral, value: bigint): Uint8Array => {
  if (name === "varint") return encode({ _tag: "Scalar", name }, value)!
  const size = BITS[name] / 8
  const out = new Uint8Array(size)
  let rest = BigInt.asUintN(BITS[name], value)
  for (let i = size - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return out
}

/** The whole number that Java makes of a double: 32 or 64 bits that hold the nearest, of which shorter types take the last. */
export const narrowed = (value: number, type: string): bigint => {
  if (Number.isNaN(value)) return 0n
  const bits = type === "bigint" || type === "counter" || type === "varint" ? 64n : 32n
  const most = (1n << (bits - 1n)) - 1n
  if (value >= 2 ** Number(bits - 1n)) return most
  if (value < -(2 ** Number(bits - 1n))) return -most - 1n
  return BigInt(Math.trunc(value))
}

const NOT_A_NUMBER = {
  double: Uint8Array.of(0x7f, 0xf8, 0, 0, 0, 0, 0, 0),
  float: Uint8Array.of(0x7f, 0xc0, 0, 0)
}

/** The bytes of a float or a double. Which NaN JavaScript has in its hands is not to be known. */
export const writeReal = (name: "double" | "float", value: number): Uint8Array =>
  Number.isNaN(value) ? NOT_A_NUMBER[name] : encode({ _tag: "Scalar", name }, value)!
