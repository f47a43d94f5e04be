/**
 * UUIDs as four 32-bit words: decoding one from a row costs four loads, its text is made only when asked for.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { NodeInspectSymbol } from "effect/Inspectable"
import { fillRandom } from "./internal/platform.ts"
import { DecodeError } from "./ProtocolError.ts"

const HEX: ReadonlyArray<string> = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))
/** Value of a hexadecimal digit by its character code, or 255. */
const DIGIT = new Uint8Array(128).fill(255)
for (let i = 0; i < 10; i++) DIGIT[48 + i] = i
for (let i = 0; i < 6; i++) DIGIT[65 + i] = DIGIT[97 + i] = 10 + i

const hex32 = (word: number): string =>
  HEX[word >>> 24]! + HEX[(word >>> 16) & 0xff]! + HEX[(word >>> 8) & 0xff]! + HEX[word & 0xff]!
const hex16 = (half: number): string => HEX[(half >>> 8) & 0xff]! + HEX[half & 0xff]!

/** 100 ns intervals between 1582-10-15 and 1970-01-01 (RFC 9562 section 5.1). */
const GREGORIAN = 0x01b21dd213814000n
const GREGORIAN_MILLIS = 12_219_292_800_000

/**
 * A `uuid` or `timeuuid`.
 *
 * Two equal UUIDs are equal for `Equal.equals` and hash alike, so they work as keys of Effect's hash maps. Against a
 * string compare `uuid.toString()`. `JSON.stringify` gives the canonical text.
 *
 * @category models
 * @since 0.1.0
 */
export class Uuid implements Equal.Equal {
  /** Bits 0–31 (most significant), as int32. */
  readonly a: number
  /** Bits 32–63. */
  readonly b: number
  /** Bits 64–95. */
  readonly c: number
  /** Bits 96–127. */
  readonly d: number

  constructor(a: number, b: number, c: number, d: number) {
    this.a = a | 0
    this.b = b | 0
    this.c = c | 0
    this.d = d | 0
  }

  /** The canonical lower-case text. */
  toString(): string {
    const { a, b, c, d } = this
    return `${hex32(a)}-${hex16(b >>> 16)}-${hex16(b)}-${hex16(c >>> 16)}-${hex16(c)}${hex32(d)}`
  }

  /** The canonical text. */
  toJSON(): string {
    return this.toString()
  }

  /** The 16 bytes, most significant first. */
  toBytes(): Uint8Array {
    const out = new Uint8Array(16)
    const view = new DataView(out.buffer)
    view.setInt32(0, this.a)
    view.setInt32(4, this.b)
    view.setInt32(8, this.c)
    view.setInt32(12, this.d)
    return out
  }

  /** Whether both are the same 128 bits. */
  equals(that: Uuid): boolean {
    return this.a === that.a && this.b === that.b && this.c === that.c && this.d === that.d
  }

  /** The version field, for example 4 (random) or 1 (time). */
  get version(): number {
    return (this.b >>> 12) & 0xf
  }

  /** The instant of a time-based (version 1) UUID, in milliseconds since 1970, or `undefined` for other versions. */
  get timestamp(): number | undefined {
    if (this.version !== 1) return undefined
    const ticks = (BigInt(this.b & 0xfff) << 48n) | (BigInt(this.b >>> 16) << 32n) | BigInt(this.a >>> 0)
    return Number(ticks / 10_000n) - GREGORIAN_MILLIS
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Uuid && this.equals(that)
  }

  [Hash.symbol](): number {
    return Hash.number(this.a ^ this.b ^ this.c ^ this.d)
  }

  [NodeInspectSymbol](): string {
    return `Uuid(${this.toString()})`
  }
}

/**
 * Reads the canonical text (any case, with dashes), or answers `undefined`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Uuid | undefined => {
  if (text.length !== 36) return undefined
  const words = [0, 0, 0, 0]
  let digits = 0
  for (let i = 0; i < 36; i++) {
    const code = text.charCodeAt(i)
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (code !== 45) return undefined
      continue
    }
    const digit = code < 128 ? DIGIT[code]! : 255
    if (digit === 255) return undefined
    const word = digits++ >>> 3
    words[word] = (words[word]! << 4) | digit
  }
  return new Uuid(words[0]!, words[1]!, words[2]!, words[3]!)
}

/**
 * Like {@link parse}, for texts that the program itself wrote: throws a `TypeError` where `parse` answers `undefined`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseUnsafe = (text: string): Uuid => {
  const uuid = parse(text)
  if (uuid === undefined) throw new TypeError(`not a UUID: ${JSON.stringify(text)}`)
  return uuid
}

/**
 * Reads 16 bytes from `offset`. Throws `DecodeError` where there are fewer.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromBytes = (bytes: Uint8Array, offset = 0): Uuid => {
  // Past the end of `bytes` there may be somebody else's: it may be a part of a larger buffer.
  if (offset < 0 || offset + 16 > bytes.length) {
    throw new DecodeError({ message: `a UUID takes 16 bytes, got ${Math.max(0, bytes.length - offset)}` })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 16)
  return new Uuid(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12))
}

const pool = new Int32Array(256)
let used = pool.length

/**
 * A random (version 4) UUID from the system's secure source.
 *
 * @category constructors
 * @since 0.1.0
 */
export const random = (): Uuid => {
  if (used === pool.length) {
    fillRandom(pool)
    used = 0
  }
  const i = used
  used += 4
  return new Uuid(pool[i]!, (pool[i + 1]! & ~0xf000) | 0x4000, (pool[i + 2]! & 0x3fffffff) | 0x80000000, pool[i + 3]!)
}

/**
 * A time-based (version 1) UUID for an instant in milliseconds since 1970. `node` and `clock` are the 48 and 14 bits
 * behind the time; without them they are random, so that two calls for one instant differ. Throws a `RangeError` for an
 * instant that 60 bits do not hold: before 1582-10-15 or after the year 5236.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromTimestamp = (millis: number, options?: { readonly node?: bigint; readonly clock?: number }): Uuid => {
  const ticks = Number.isFinite(millis) ? BigInt(Math.floor(millis)) * 10_000n + GREGORIAN : -1n
  if (ticks < 0n || ticks >> 60n !== 0n) throw new RangeError(`a time-based UUID cannot hold the instant ${millis}`)
  const noise = random()
  const clock = (options?.clock ?? noise.c >>> 16) & 0x3fff
  const node = options?.node ?? (BigInt(noise.c & 0xffff) << 32n) | BigInt(noise.d >>> 0) | (1n << 40n)
  return new Uuid(
    Number(ticks & 0xffffffffn) | 0,
    (Number((ticks >> 32n) & 0xffffn) << 16) | 0x1000 | Number((ticks >> 48n) & 0xfffn),
    ((clock | 0x8000) << 16) | Number((node >> 32n) & 0xffffn),
    Number(node & 0xffffffffn) | 0
  )
}
