import * as BigDecimal from "effect/BigDecimal"
import { type CqlType, format, type ScalarName } from "../CqlType.ts"
import type { Column } from "../Metadata.ts"
import { DecodeError } from "../ProtocolError.ts"
import { Uuid } from "../Uuid.ts"
import {
  CqlDuration,
  Empty,
  Inet,
  LocalDate,
  LocalTime,
  OutOfRangeTime,
  OutOfRangeTimestamp,
  Unreadable
} from "../Value.ts"
import type { CodecOptions } from "./codecOptions.ts"
import { copyBytes, type FastBuffer, swap32, SWAP_FROM } from "./fastBuffer.ts"
import { fixedSize } from "./fixedSize.ts"
import { decodeText } from "./text.ts"
import { codecOfColumn, codecOfType } from "./userCodecs.ts"
import { inPlace, withCodec } from "./userDecoders.ts"
import type { ValueDecoder } from "./valueCodec.ts"
import { VintCursor } from "./vint.ts"

const wrongSize = (name: string, length: number): never => {
  throw new DecodeError({ message: `a value of type ${name} cannot have ${length} bytes` })
}

const text: ValueDecoder = (b, _v, p, l) => decodeText(b, p, l)

const int: ValueDecoder = (_b, v, p, l) => l === 4 ? v.getInt32(p) : l === 0 ? Empty : wrongSize("int", l)
const bigint: ValueDecoder = (_b, v, p, l) => l === 8 ? v.getBigInt64(p) : l === 0 ? Empty : wrongSize("bigint", l)
const uuid: ValueDecoder = (_b, v, p, l) =>
  l === 16
    ? new Uuid(v.getInt32(p), v.getInt32(p + 4), v.getInt32(p + 8), v.getInt32(p + 12))
    : l === 0
    ? Empty
    : wrongSize("uuid", l)
const uuidText: ValueDecoder = (b, v, p, l) => {
  const value = uuid(b, v, p, l)
  return value === Empty ? Empty : String(value)
}
const timestampBig: ValueDecoder = (_b, v, p, l) =>
  l === 8 ? v.getBigInt64(p) : l === 0 ? Empty : wrongSize("timestamp", l)
const blob: ValueDecoder = (b, _v, p, l) => copyBytes(b, p, p + l)

const signedBig = (b: FastBuffer, p: number, l: number): bigint => {
  let value = 0n
  for (let i = 0; i < l; i++) value = (value << 8n) | BigInt(b[p + i]!)
  return l === 0 ? 0n : BigInt.asIntN(8 * l, value)
}

/** From hexadecimal digits, which takes linear time; `undefined` past what the engine's `bigint` holds. */
const longBig = (b: FastBuffer, p: number, l: number): bigint | undefined => {
  try {
    return BigInt.asIntN(8 * l, BigInt(`0x${b.hexSlice(p, p + l)}`))
  } catch {
    return undefined
  }
}

/** Digits of a `varint` or a `decimal`, of any number of bytes but none. */
const digitsOf = (b: FastBuffer, p: number, l: number): bigint | undefined =>
  l > 16 ? longBig(b, p, l) : signedBig(b, p, l)

const unreadable = (cqlType: "decimal" | "varint", b: FastBuffer, p: number, l: number, reason: string): Unreadable =>
  new Unreadable(cqlType, copyBytes(b, p, p + l), reason)

const TOO_LONG = "more digits than a bigint holds"

const varint: ValueDecoder = (b, _v, p, l) =>
  l === 0 ? Empty : digitsOf(b, p, l) ?? unreadable("varint", b, p, l, TOO_LONG)

const decimal: ValueDecoder = (b, v, p, l) => {
  if (l === 0) return Empty
  if (l < 4) return wrongSize("decimal", l)
  if (l === 4) return unreadable("decimal", b, p, l, "a scale without digits")
  const digits = digitsOf(b, p + 4, l - 4)
  return digits === undefined ? unreadable("decimal", b, p, l, TOO_LONG) : BigDecimal.make(digits, v.getInt32(p))
}

/** A `bigint` in the form of the codec option. */
const asOption = (value: bigint, form: "number" | "string"): unknown => {
  if (form === "string") return String(value)
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

const bigintText: ValueDecoder = (b, v, p, l) => {
  const value = bigint(b, v, p, l)
  return value === Empty ? Empty : String(value)
}
/** Without a `bigint` in between, where the number is exact. */
const bigintNumber: ValueDecoder = (b, v, p, l) => {
  if (l !== 8) return bigint(b, v, p, l)
  const number = v.getInt32(p) * 4_294_967_296 + v.getUint32(p + 4)
  return Number.isSafeInteger(number) ? number : v.getBigInt64(p)
}
const varintAs = (form: "number" | "string"): ValueDecoder => (b, v, p, l) => {
  const value = varint(b, v, p, l)
  return typeof value === "bigint" ? asOption(value, form) : value
}
const varintText = varintAs("string")
const varintNumber = varintAs("number")

/** The furthest instants that `Date` can hold. */
const MAX_DATE = 8.64e15

const dateOf = (v: DataView, p: number): Date | OutOfRangeTimestamp => {
  const millis = v.getInt32(p) * 4_294_967_296 + v.getUint32(p + 4)
  return millis > MAX_DATE || millis < -MAX_DATE ? new OutOfRangeTimestamp(v.getBigInt64(p)) : new Date(millis)
}

const timeOf = (nanos: bigint): LocalTime | OutOfRangeTime => {
  const time = new LocalTime(nanos)
  return time.isValid ? time : new OutOfRangeTime(nanos)
}

const scalarDecoders: Record<ScalarName, ValueDecoder> = {
  ascii: text,
  text,
  bigint,
  counter: bigint,
  int,
  uuid,
  timeuuid: uuid,
  blob,
  varint,
  decimal,
  boolean: (b, _v, p, l) => l === 1 ? b[p] !== 0 : l === 0 ? Empty : wrongSize("boolean", l),
  double: (_b, v, p, l) => l === 8 ? v.getFloat64(p) : l === 0 ? Empty : wrongSize("double", l),
  float: (_b, v, p, l) => l === 4 ? v.getFloat32(p) : l === 0 ? Empty : wrongSize("float", l),
  smallint: (_b, v, p, l) => l === 2 ? v.getInt16(p) : l === 0 ? Empty : wrongSize("smallint", l),
  tinyint: (_b, v, p, l) => l === 1 ? v.getInt8(p) : l === 0 ? Empty : wrongSize("tinyint", l),
  timestamp: (_b, v, p, l) => l === 8 ? dateOf(v, p) : l === 0 ? Empty : wrongSize("timestamp", l),
  date: (_b, v, p, l) =>
    l === 4 ? new LocalDate(v.getUint32(p) - 2_147_483_648) : l === 0 ? Empty : wrongSize("date", l),
  time: (_b, v, p, l) => l === 8 ? timeOf(v.getBigInt64(p)) : l === 0 ? Empty : wrongSize("time", l),
  inet: (b, _v, p, l) => l === 4 || l === 16 ? Inet.fromBytes(b, p, l) : l === 0 ? Empty : wrongSize("inet", l),
  duration: (b, _v, p, l) => {
    if (l === 0) return Empty
    const cursor = new VintCursor(b, p, p + l)
    const months = cursor.signed()
    const days = cursor.signed()
    const nanos = cursor.signed()
    // What is behind the third part servers let pass and ignore.
    const duration = new CqlDuration(Number(months), Number(days), nanos)
    if (!duration.isValid) {
      throw new DecodeError({
        message:
          `months ${months}, days ${days}, nanoseconds ${nanos}: a duration has one sign, and 32 bits of the first two`
      })
    }
    return duration
  }
}

/**
 * What compiled row decoders do in place: the source of a condition and of the value where it holds, over the bytes `b`,
 * the view `v`, the position `p`, the length `l` and the class `U` of UUIDs.
 */
export const inline: ReadonlyMap<ValueDecoder, string> = new Map([
  [int, "l===4?v.getInt32(p)"],
  [bigint, "l===8?v.getBigInt64(p)"],
  [scalarDecoders.double, "l===8?v.getFloat64(p)"],
  [scalarDecoders.float, "l===4?v.getFloat32(p)"],
  [scalarDecoders.smallint, "l===2?v.getInt16(p)"],
  [scalarDecoders.tinyint, "l===1?v.getInt8(p)"],
  [scalarDecoders.boolean, "l===1?b[p]!==0"],
  [uuid, "l===16?new U(v.getInt32(p),v.getInt32(p+4),v.getInt32(p+8),v.getInt32(p+12))"]
])

/** The types whose values stand in a typed array when a page is read by columns: the array, and how a view reads a value. */
export const typed: ReadonlyMap<ValueDecoder, {
  readonly array:
    | Int8ArrayConstructor
    | Int16ArrayConstructor
    | Int32ArrayConstructor
    | Float32ArrayConstructor
    | Float64ArrayConstructor
    | BigInt64ArrayConstructor
  readonly get: string
}> = new Map([
  [int, { array: Int32Array, get: "getInt32" }],
  [scalarDecoders.smallint, { array: Int16Array, get: "getInt16" }],
  [scalarDecoders.tinyint, { array: Int8Array, get: "getInt8" }],
  [scalarDecoders.float, { array: Float32Array, get: "getFloat32" }],
  [scalarDecoders.double, { array: Float64Array, get: "getFloat64" }],
  [bigint, { array: BigInt64Array, get: "getBigInt64" }],
  [timestampBig, { array: BigInt64Array, get: "getBigInt64" }]
])

/**
 * What values may still leave out, see {@link allowMissing}: a tuple of 65,535 elements that is four bytes long would be
 * half a megabyte of nulls, and a page holds any number of them.
 */
const missing = { left: 0 }

/** Nulls for parts that are not there, in words, for each byte of a page; and for a page of any size. */
const MISSING_PER_BYTE = 32
const MISSING_AT_LEAST = 65_536

/** Whoever decodes values of so many bytes calls it first: it bounds what short tuples and user-defined types expand to. */
export const allowMissing = (bytes: number): void => {
  missing.left = MISSING_AT_LEAST + MISSING_PER_BYTE * bytes
}

/** The same for one value, which a codec of the user may decode in the middle of a page: what the page may is kept. */
export const allowingMissing = <A>(bytes: number, decode: () => A): A => {
  const { left } = missing
  allowMissing(bytes)
  try {
    return decode()
  } finally {
    missing.left = left
  }
}

const missingPart = (): null => {
  if (--missing.left < 0) {
    throw new DecodeError({ message: "values leave out more of their parts than could be held" })
  }
  return null
}

/** Walks the `[bytes]` elements of a collection, tuple or user-defined type. */
class Elements {
  readonly bytes: FastBuffer
  readonly view: DataView
  pos: number
  readonly end: number
  constructor(bytes: FastBuffer, view: DataView, pos: number, length: number) {
    this.bytes = bytes
    this.view = view
    this.pos = pos
    this.end = pos + length
  }
  count(least: number): number {
    if (this.end - this.pos < 4) throw new DecodeError({ message: "truncated collection" })
    const count = this.view.getInt32(this.pos)
    this.pos += 4
    if (count < 0 || count * least > this.end - this.pos) {
      throw new DecodeError({
        message: `a collection of ${count} elements does not fit in its ${this.end - this.pos} bytes`
      })
    }
    return count
  }
  next(decode: ValueDecoder): unknown {
    const pos = this.pos + 4
    if (pos > this.end) throw new DecodeError({ message: "truncated element" })
    const length = this.view.getInt32(pos - 4)
    if (length < 0) {
      this.pos = pos
      return null
    }
    if (length > this.end - pos) throw new DecodeError({ message: `an element of ${length} bytes is cut off` })
    this.pos = pos + length
    return decode(this.bytes, this.view, pos, length)
  }
  get more(): boolean {
    return this.pos < this.end
  }
  /** Nothing may be behind the last element. */
  close(): void {
    if (this.pos !== this.end) {
      throw new DecodeError({ message: `${this.end - this.pos} bytes are left behind the last element` })
    }
  }
}

/** `count` elements, of `size` bytes each or (0) behind their lengths. */
const vectorOf = (name: string, element: ValueDecoder, count: number, size: number): ValueDecoder =>
  size > 0
    ? (b, v, p, l) => {
      if (l === 0) return Empty
      if (l !== count * size) return wrongSize(name, l)
      const out: Array<unknown> = []
      for (let i = 0; i < count; i++) out.push(element(b, v, p + i * size, size))
      return out
    }
    : (b, v, p, l) => {
      if (l === 0) return Empty
      // Every element has a length, of a byte at least.
      if (count > l) return wrongSize(name, l)
      const cursor = new VintCursor(b, p, p + l)
      const out: Array<unknown> = []
      for (let i = 0; i < count; i++) {
        const length = cursor.length()
        out.push(element(b, v, cursor.pos, length))
        cursor.pos += length
      }
      return cursor.done ? out : wrongSize(name, l)
    }

const floatVector = (name: string, count: number): ValueDecoder => (b, v, p, l) => {
  if (l === 0) return Empty
  if (l !== 4 * count) return wrongSize(name, l)
  if (count >= SWAP_FROM) {
    const own = copyBytes(b, p, p + l)
    swap32(own, 0, l)
    return new Float32Array(own.buffer, own.byteOffset, count)
  }
  const out = new Float32Array(count)
  for (let i = 0; i < count; i++) out[i] = v.getFloat32(p + 4 * i)
  return out
}

/** Compiles the decoder of a type. */
export const decoderOf = (type: CqlType, options: CodecOptions): ValueDecoder => {
  const own = options.codecOf?.(type)
  if (own !== undefined) return inPlace(own, type)
  const codec = codecOfType(type, options)
  return codec === undefined
    ? builtInDecoderOf(type, options)
    : withCodec(codec, type, () => builtInDecoderOf(type, options))
}

/** Compiles the decoder of a column, whose own codec goes before that of its type. */
export const columnDecoder = (column: Column, options: CodecOptions): ValueDecoder => {
  const { name, type } = column
  const codec = codecOfColumn(column, name, options)
  return codec === undefined
    ? decoderOf(type, options)
    : withCodec(codec, type, () => builtInDecoderOf(type, options))
}

/** The decoder of a type without a codec for it as a whole; those of its parts apply. */
const builtInDecoderOf = (type: CqlType, options: CodecOptions): ValueDecoder => {
  switch (type._tag) {
    case "Scalar":
      if (options.uuid === "string" && (type.name === "uuid" || type.name === "timeuuid")) return uuidText
      if (options.timestamp === "bigint" && type.name === "timestamp") return timestampBig
      if (options.bigint === "number" || options.bigint === "string") {
        const isText = options.bigint === "string"
        if (type.name === "bigint" || type.name === "counter") return isText ? bigintText : bigintNumber
        if (type.name === "varint") return isText ? varintText : varintNumber
      }
      return scalarDecoders[type.name]
    case "Custom":
      return blob
    case "Vector": {
      const name = format(type)
      const element = decoderOf(type.element, options)
      if (element === scalarDecoders.float) return floatVector(name, type.dimension)
      const size = fixedSize(type.element)
      return size === undefined ? blob : vectorOf(name, element, type.dimension, size)
    }
    case "List": {
      const element = decoderOf(type.element, options)
      return (b, v, p, l) => {
        if (l === 0) return []
        const elements = new Elements(b, v, p, l)
        const count = elements.count(4)
        const out: Array<unknown> = []
        for (let i = 0; i < count; i++) out.push(elements.next(element))
        elements.close()
        return out
      }
    }
    case "Set": {
      const element = decoderOf(type.element, options)
      return (b, v, p, l) => {
        const out = new Set<unknown>()
        if (l === 0) return out
        const elements = new Elements(b, v, p, l)
        const count = elements.count(4)
        for (let i = 0; i < count; i++) out.add(elements.next(element))
        elements.close()
        return out
      }
    }
    case "Map": {
      const key = decoderOf(type.key, options)
      const value = decoderOf(type.value, options)
      return (b, v, p, l) => {
        const out = new Map<unknown, unknown>()
        if (l === 0) return out
        const elements = new Elements(b, v, p, l)
        const count = elements.count(8)
        for (let i = 0; i < count; i++) {
          const k = elements.next(key)
          out.set(k, elements.next(value))
        }
        elements.close()
        return out
      }
    }
    case "Tuple": {
      const decoders = type.elements.map((element) => decoderOf(element, options))
      return (b, v, p, l) => {
        const elements = new Elements(b, v, p, l)
        // A value written before an element was added is shorter: what is missing is null.
        const out = decoders.map((decode) => elements.more ? elements.next(decode) : missingPart())
        elements.close()
        return out
      }
    }
    case "Udt": {
      const names = type.fields.map((field) => field.name)
      const decoders = type.fields.map((field) => decoderOf(field.type, options))
      return (b, v, p, l) => {
        const elements = new Elements(b, v, p, l)
        const out: Record<string, unknown> = {}
        for (let i = 0; i < names.length; i++) {
          define(out, names[i]!, elements.more ? elements.next(decoders[i]!) : missingPart())
        }
        // No close: the type may have grown on the server since.
        return out
      }
    }
  }
}

/** Sets a property even where the name is `__proto__`, which plain assignment would lose. */
export const define = (target: Record<string, unknown>, name: string, value: unknown): void => {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[name] = value
  }
}
