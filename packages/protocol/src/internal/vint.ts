import { DecodeError } from "../ProtocolError.ts"
import type { Writer } from "../Writer.ts"

/*
 * Variable-length integers of durations and vectors (native_protocol_v5.spec section 3, "[vint]"): the number of leading one
 * bits of the first byte says how many bytes follow; signed values are zig-zag encoded.
 */

export const zigzag = (value: bigint): bigint => BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
export const unzigzag = (value: bigint): bigint => BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))

export const writeUnsigned = (w: Writer, value: bigint): void => {
  const bits = value === 0n ? 1 : value.toString(2).length
  const extra = Math.min(8, Math.floor((bits - 1) / 7))
  w.ensure(extra + 1)
  if (extra === 8) {
    w.u8(0xff)
    w.i64(BigInt.asIntN(64, value))
    return
  }
  const mask = (0xff << (8 - extra)) & 0xff
  w.u8(mask | Number(value >> BigInt(8 * extra)))
  for (let i = extra - 1; i >= 0; i--) w.u8(Number((value >> BigInt(8 * i)) & 0xffn))
}

/** How many bytes an unsigned vint of up to 32 bits takes. */
export const unsignedSize = (value: number): number =>
  value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5

/** Writes an unsigned vint of up to 32 bits into the `size` bytes at `pos`, which are {@link unsignedSize} of it. */
export const putUnsigned = (bytes: Uint8Array, pos: number, value: number, size: number): void => {
  let rest = value
  for (let i = size - 1; i > 0; i--) {
    bytes[pos + i] = rest & 0xff
    rest = Math.floor(rest / 256)
  }
  bytes[pos] = (0xff00 >> (size - 1)) & 0xff | rest
}

/** A cursor for values that are a few vints in a row. */
export class VintCursor {
  private readonly bytes: Uint8Array
  pos: number
  private readonly end: number
  constructor(bytes: Uint8Array, pos: number, end: number) {
    this.bytes = bytes
    this.pos = pos
    this.end = end
  }
  unsigned(): bigint {
    if (this.pos >= this.end) throw new DecodeError({ message: "truncated vint" })
    const first = this.bytes[this.pos++]!
    const extra = Math.clz32(~(first << 24))
    if (extra > this.end - this.pos) throw new DecodeError({ message: "truncated vint" })
    let value = extra >= 8 ? 0n : BigInt(first & (0xff >> extra))
    for (let i = 0; i < extra; i++) value = (value << 8n) | BigInt(this.bytes[this.pos++]!)
    return value
  }
  /** An unsigned vint that says how many of the bytes behind it belong together. */
  length(): number {
    const first = this.pos < this.end ? this.bytes[this.pos]! : 0x80
    const length = first < 0x80 ? first : Number(this.unsigned())
    if (first < 0x80) this.pos++
    if (length > this.end - this.pos) throw new DecodeError({ message: `an element of ${length} bytes is cut off` })
    return length
  }
  signed(): bigint {
    return unzigzag(this.unsigned())
  }
  get done(): boolean {
    return this.pos === this.end
  }
}
