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
const TICKS_PER_MILLI = 10_000n

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
    return Number(ticks / TICKS_PER_MILLI) - GREGORIAN_MILLIS
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

/** Of 60 bits: the first ticks past the last UUID. */
const END = 1n << 60n

/** A UUID of a time in 100 ns since 1582-10-15 and the 64 bits behind it. */
const timeBased = (ticks: bigint, c: number, d: number): Uuid =>
  new Uuid(
    Number(ticks & 0xffffffffn) | 0,
    (Number((ticks >> 32n) & 0xffffn) << 16) | 0x1000 | Number((ticks >> 48n) & 0xfffn),
    c,
    d
  )

/** The first tick of a millisecond. Throws a `RangeError` for what 60 bits do not hold. */
const ticksOf = (millis: number): bigint => {
  const ticks = Number.isFinite(millis) ? BigInt(Math.floor(millis)) * TICKS_PER_MILLI + GREGORIAN : -1n
  if (ticks < 0n || ticks >= END) throw new RangeError(`a time-based UUID cannot hold the instant ${millis}`)
  return ticks
}

/**
 * The 48 and 14 bits behind the time of a time-based UUID. What is left out is random, a node with the multicast bit set: it
 * is that of no network card (RFC 9562 section 6.10).
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeAndClock {
  /** 48 bits. */
  readonly node?: bigint
  /** 14 bits. */
  readonly clock?: number
}

/** The last 64 bits, with the variant. */
const tailOf = (options: NodeAndClock | undefined): readonly [c: number, d: number] => {
  const noise = random()
  const clock = (options?.clock ?? noise.c >>> 16) & 0x3fff
  const node = options?.node ?? (BigInt(noise.c & 0xffff) << 32n) | BigInt(noise.d >>> 0) | (1n << 40n)
  return [((clock | 0x8000) << 16) | Number((node >> 32n) & 0xffffn), Number(node & 0xffffffffn) | 0]
}

let lastInstant = NaN
let repeated = 0

/**
 * A time-based (version 1) UUID for an instant in milliseconds since 1970, another one by each call. Calls for one instant in a
 * row are in order, up to 10,000 of them: they count the 100 ns within the millisecond. For UUIDs of the present take
 * {@link now}, whose order holds whatever the clock does.
 *
 * With a node or a clock the time is the first 100 ns of the millisecond, and two calls with both give one UUID. Throws a
 * `RangeError` for an instant that 60 bits do not hold: before 1582-10-15 or after the year 5236.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromTimestamp = (millis: number, options?: NodeAndClock): Uuid => {
  const first = ticksOf(millis)
  const [c, d] = tailOf(options)
  if (options !== undefined) return timeBased(first, c, d)
  const instant = Math.floor(millis)
  repeated = instant === lastInstant ? (repeated + 1) % Number(TICKS_PER_MILLI) : 0
  lastInstant = instant
  const ticks = first + BigInt(repeated)
  return timeBased(ticks < END ? ticks : first, c, d)
}

/**
 * A source of time-based UUIDs, each later than the one before in the order of CQL's `timeuuid`: of several within a millisecond
 * each takes the next 100 ns, and where more than 10,000 are made in one, or the clock goes back, they run ahead of it until it
 * catches up (as Cassandra's own do). Node and clock sequence stay the same: random, so that two sources, of two processes
 * perhaps, do not meet.
 *
 * `clock` gives milliseconds since 1970, `Date.now` by default. {@link now} is such a source.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generator = (clock: () => number = Date.now, options?: NodeAndClock): () => Uuid => {
  let tail: readonly [number, number] | undefined
  let last = -1n
  return () => {
    // Not before the first call: where there is no source of randomness, the module can be loaded all the same.
    tail ??= tailOf(options)
    const ticks = ticksOf(clock())
    last = ticks > last ? ticks : last + 1n
    return timeBased(last, tail[0], tail[1])
  }
}

/**
 * A time-based UUID of the present, as CQL's `now()`: each is later than all that this process (this thread of it) made before,
 * in the order of `timeuuid`. See {@link generator}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const now: () => Uuid = generator()

const MIN_TAIL = 0x80808080 | 0
const MAX_TAIL = 0x7f7f7f7f

const millisOf = (instant: Date | number): number => typeof instant === "number" ? instant : instant.getTime()

/**
 * The smallest `timeuuid` of a millisecond, as CQL's `minTimeuuid`: a bound to compare with, and no UUID that anybody makes. Of
 * two with one time servers compare the rest as signed bytes, so it ends in bytes of 0x80. Takes a `Date` or milliseconds since
 * 1970; throws a `RangeError` as {@link fromTimestamp} does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const min = (instant: Date | number): Uuid => timeBased(ticksOf(millisOf(instant)), MIN_TAIL, MIN_TAIL)

/**
 * The greatest `timeuuid` of a millisecond, as CQL's `maxTimeuuid`: of its last 100 ns, and ending in bytes of 0x7f. See
 * {@link min}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const max = (instant: Date | number): Uuid =>
  timeBased(ticksOf(millisOf(instant)) + TICKS_PER_MILLI - 1n, MAX_TAIL, MAX_TAIL)

const sign = (a: number, b: number): -1 | 0 | 1 => (a < b ? -1 : a > b ? 1 : 0)

/**
 * The order of CQL's `timeuuid`: by time, then by the other 64 bits as signed bytes. Negative, zero or positive, for `sort`.
 *
 * @category ordering
 * @since 0.1.0
 */
export const compareTime = (x: Uuid, y: Uuid): -1 | 0 | 1 =>
  sign(x.b & 0xfff, y.b & 0xfff) || sign(x.b >>> 16, y.b >>> 16) || sign(x.a >>> 0, y.a >>> 0) ||
  sign((x.c ^ MIN_TAIL) >>> 0, (y.c ^ MIN_TAIL) >>> 0) || sign((x.d ^ MIN_TAIL) >>> 0, (y.d ^ MIN_TAIL) >>> 0)
