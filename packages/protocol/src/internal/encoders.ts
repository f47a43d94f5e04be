import * as BigDecimal from "effect/BigDecimal"
import { type CqlType, format, type ScalarName } from "../CqlType.ts"
import type { Column } from "../Metadata.ts"
import * as UuidModule from "../Uuid.ts"
import {
  CqlDuration,
  Empty,
  Inet,
  LocalDate,
  LocalTime,
  OutOfRangeTime,
  OutOfRangeTimestamp,
  Unreadable,
  Unset
} from "../Value.ts"
import type { Writer } from "../Writer.ts"
import type { CodecOptions } from "./codecOptions.ts"
import { type FastBuffer, swap32, SWAP_FROM } from "./fastBuffer.ts"
import { fixedSize } from "./fixedSize.ts"
import { isBytes, isMap, isPlain, isSet, millisOf, typedArrayName } from "./kinds.ts"
import { describe, describeKey, inside, Mismatch, mismatch, quote } from "./mismatch.ts"
import { decimalOf, integerOf } from "./numeric.ts"
import { codecOfColumn, codecOfType } from "./userCodecs.ts"
import { inPlace, withCodec } from "./userEncoders.ts"
import type { ValueEncoder } from "./valueCodec.ts"
import { putUnsigned, unsignedSize, writeUnsigned, zigzag } from "./vint.ts"

const { Uuid } = UuidModule

/** The way out of encoders of types that have a size: {@link Empty} is their value of no bytes, nothing else is left. */
const orEmpty = (w: Writer, cqlType: string, value: unknown, hint = ""): void => {
  if (value === Empty) w.i32(0)
  else if (value instanceof Unreadable && value.cqlType === cqlType) w.bytesValue(value.bytes)
  else mismatch(cqlType, value, hint)
}

export const text: ValueEncoder = (w, value) => {
  if (typeof value !== "string") return mismatch("text", value)
  w.longString(value)
}

const intIn = (name: string, size: 1 | 2): ValueEncoder => {
  const max = 2 ** (8 * size - 1) - 1
  const min = -max - 1
  const hint = `an integer from ${min} to ${max}`
  return (w, value) => {
    if (typeof value !== "number" || !(value >= min && value <= max) || value % 1 !== 0) {
      return orEmpty(w, name, value, hint)
    }
    w.ensure(4 + size)
    const pos = w.pos
    w.view.setInt32(pos, size)
    if (size === 2) w.view.setInt16(pos + 4, value)
    else w.view.setInt8(pos + 4, value)
    w.pos = pos + 4 + size
  }
}

/** `int` on its own: it is in nearly every statement, and one shape per function keeps it inlined. */
const int: ValueEncoder = (w, value) => {
  if (typeof value !== "number" || (value | 0) !== value) return orEmpty(w, "int", value, "an integer of 32 bits")
  w.ensure(8)
  const pos = w.pos
  w.view.setInt32(pos, 4)
  w.view.setInt32(pos + 4, value)
  w.pos = pos + 8
}

const fits64 = (value: bigint): boolean => BigInt.asIntN(64, value) === value

const writeInt64 = (w: Writer, value: bigint): void => {
  w.ensure(12)
  const pos = w.pos
  w.view.setInt32(pos, 8)
  w.view.setBigInt64(pos + 4, value)
  w.pos = pos + 12
}

/** A safe integer as 64 bits, without a `bigint` in between. */
const writeSafe = (w: Writer, value: number): void => {
  w.ensure(12)
  const pos = w.pos
  const high = Math.floor(value / 4_294_967_296)
  w.view.setInt32(pos, 8)
  w.view.setInt32(pos + 4, high)
  w.view.setUint32(pos + 8, value - high * 4_294_967_296)
  w.pos = pos + 12
}

const INTEGER_HINT = "a bigint, a safe integer, or the decimal text of one"

const big = (name: string): ValueEncoder => (w, value) => {
  if (typeof value === "bigint") {
    if (!fits64(value)) return mismatch(name, value, "64 bits")
    writeInt64(w, value)
  } else if (typeof value === "number" && Number.isSafeInteger(value)) writeSafe(w, value)
  else {
    const read = integerOf(value)
    if (read === undefined) return orEmpty(w, name, value, INTEGER_HINT)
    if (!fits64(read)) return mismatch(name, value, "64 bits")
    writeInt64(w, read)
  }
}

const uuid = (name: string): ValueEncoder => (w, value) => {
  const id = value instanceof Uuid ? value : typeof value === "string" ? UuidModule.parse(value) : undefined
  if (id === undefined) return orEmpty(w, name, value, "a Uuid or its canonical text")
  w.ensure(20)
  const { view, pos } = w
  view.setInt32(pos, 16)
  view.setInt32(pos + 4, id.a)
  view.setInt32(pos + 8, id.b)
  view.setInt32(pos + 12, id.c)
  view.setInt32(pos + 16, id.d)
  w.pos = pos + 20
}

const double: ValueEncoder = (w, value) => {
  if (typeof value !== "number") return orEmpty(w, "double", value)
  w.ensure(12)
  const pos = w.pos
  w.view.setInt32(pos, 8)
  w.view.setFloat64(pos + 4, value)
  w.pos = pos + 12
}

const float: ValueEncoder = (w, value) => {
  if (typeof value !== "number") return orEmpty(w, "float", value)
  // It would become an infinity.
  if (!Number.isFinite(Math.fround(value)) && Number.isFinite(value)) return mismatch("float", value, "32 bits")
  w.ensure(8)
  const pos = w.pos
  w.view.setInt32(pos, 4)
  w.view.setFloat32(pos + 4, value)
  w.pos = pos + 8
}

/** The fewest bytes that hold the value in two's complement, as `java.math.BigInteger` writes it. */
const writeVarint = (w: Writer, value: bigint): void => {
  const magnitude = value < 0n ? -value - 1n : value
  const digits = magnitude.toString(16)
  // One more bit than the magnitude has, for the sign.
  const bits = magnitude === 0n ? 0 : digits.length * 4 - Math.clz32(Number.parseInt(digits[0]!, 16)) + 28
  const size = (bits >> 3) + 1
  const unsigned = BigInt.asUintN(8 * size, value).toString(16).padStart(2 * size, "0")
  w.ensure(size)
  ;(w.bytes as FastBuffer).hexWrite(unsigned, w.pos)
  w.pos += size
}

/** Leaves room for a length that {@link close} fills in; answers where the value starts. */
const open = (w: Writer): number => {
  w.i32(0)
  return w.pos
}

const close = (w: Writer, start: number): void => {
  w.view.setInt32(start - 4, w.pos - start)
}

/** Values that are written as they come. */
const bytesOf = (name: string): ValueEncoder => (w, value) => {
  if (!isBytes(value)) return mismatch(name, value, "a Uint8Array")
  w.bytesValue(value)
}

const scalarEncoders: Record<ScalarName, ValueEncoder> = {
  ascii: (w, value) => {
    if (typeof value !== "string") return mismatch("ascii", value)
    const start = w.pos
    w.longString(value)
    if (w.pos - start - 4 !== value.length) {
      w.pos = start
      return mismatch("ascii", value, "ASCII characters only")
    }
  },
  text,
  int,
  smallint: intIn("smallint", 2),
  tinyint: intIn("tinyint", 1),
  bigint: big("bigint"),
  counter: big("counter"),
  uuid: uuid("uuid"),
  timeuuid: uuid("timeuuid"),
  double,
  float,
  boolean: (w, value) => {
    if (typeof value !== "boolean") return orEmpty(w, "boolean", value)
    w.ensure(5)
    w.view.setInt32(w.pos, 1)
    w.bytes[w.pos + 4] = value ? 1 : 0
    w.pos += 5
  },
  blob: bytesOf("blob"),
  timestamp: (w, value) => {
    if (typeof value === "bigint") {
      if (!fits64(value)) return mismatch("timestamp", value, "64 bits")
      return writeInt64(w, value)
    }
    const millis = typeof value === "number" ? value : millisOf(value)
    if (millis === undefined || !Number.isSafeInteger(millis)) {
      if (value instanceof OutOfRangeTimestamp && fits64(value.millis)) return writeInt64(w, value.millis)
      return orEmpty(w, "timestamp", value, "a valid Date, or whole milliseconds since 1970")
    }
    writeSafe(w, millis)
  },
  date: (w, value) => {
    const day = value instanceof LocalDate ? value : typeof value === "string" ? LocalDate.parse(value) : undefined
    if (day === undefined || !day.isValid) {
      return orEmpty(w, "date", value, "a LocalDate or YYYY-MM-DD")
    }
    w.i32(4)
    // Counted from -2^31, unsigned.
    w.i32(day.epochDay ^ 0x8000_0000)
  },
  time: (w, value) => {
    const time = value instanceof LocalTime ? value : typeof value === "string" ? LocalTime.parse(value) : undefined
    if (value instanceof OutOfRangeTime && fits64(value.nanos)) return writeInt64(w, value.nanos)
    if (time === undefined || !time.isValid) return orEmpty(w, "time", value, "a LocalTime or HH:MM:SS.fraction")
    writeInt64(w, time.nanos)
  },
  inet: (w, value) => {
    const inet = value instanceof Inet ? value : typeof value === "string" ? Inet.parse(value) : undefined
    if (inet === undefined) return orEmpty(w, "inet", value, "an Inet or the text of an address")
    w.bytesValue(inet.toBytes())
  },
  varint: (w, value) => {
    const int = typeof value === "bigint" ? value : integerOf(value)
    if (int === undefined) return orEmpty(w, "varint", value, INTEGER_HINT)
    const start = open(w)
    writeVarint(w, int)
    close(w, start)
  },
  decimal: (w, value) => {
    const number = BigDecimal.isBigDecimal(value) ? value : decimalOf(value)
    if (number === undefined) {
      return orEmpty(
        w,
        "decimal",
        value,
        "a BigDecimal of effect/BigDecimal, a finite number, a bigint, or decimal text"
      )
    }
    if ((number.scale | 0) !== number.scale) return mismatch("decimal", value, "a scale of 32 bits")
    const start = open(w)
    w.i32(number.scale)
    writeVarint(w, number.value)
    close(w, start)
  },
  duration: (w, value) => {
    const duration = value instanceof CqlDuration
      ? value
      : typeof value === "string"
      ? CqlDuration.parse(value)
      : undefined
    if (duration === undefined) return orEmpty(w, "duration", value, "a CqlDuration, or text such as 1mo2d3h")
    if (!duration.isValid) {
      return mismatch(
        "duration",
        value,
        "months and days of 32 bits and nanoseconds of 64, all of one sign"
      )
    }
    const start = open(w)
    writeUnsigned(w, zigzag(BigInt(duration.months)))
    writeUnsigned(w, zigzag(BigInt(duration.days)))
    writeUnsigned(w, zigzag(duration.nanos))
    close(w, start)
  }
}

/** What a compiled bind does in place for a type: where `when` holds for the value `x`, `write` writes `size` bytes at `p`. */
export interface Inline {
  readonly when: string
  readonly write: string
  readonly size: number
}

/**
 * By encoder. The sources stand over the values `x`, the position `p`, the view `v`, the bytes `b`, scratch `m`, and the
 * classes `U` of UUIDs and `D` of dates. Text is left out: its size is not fixed.
 */
export const inline: ReadonlyMap<ValueEncoder, Inline> = new Map([
  [int, { when: `typeof x==="number"&&(x|0)===x`, write: "v.setInt32(p,4);v.setInt32(p+4,x)", size: 8 }],
  ...[scalarEncoders.bigint, scalarEncoders.counter].map((encoder): [ValueEncoder, Inline] => [encoder, {
    when: `typeof x==="bigint"&&BigInt.asIntN(64,x)===x`,
    write: "v.setInt32(p,8);v.setBigInt64(p+4,x)",
    size: 12
  }]),
  [double, { when: `typeof x==="number"`, write: "v.setInt32(p,8);v.setFloat64(p+4,x)", size: 12 }],
  [scalarEncoders.boolean, { when: `typeof x==="boolean"`, write: "v.setInt32(p,1);b[p+4]=x?1:0", size: 5 }],
  ...[scalarEncoders.uuid, scalarEncoders.timeuuid].map((encoder): [ValueEncoder, Inline] => [encoder, {
    when: `x instanceof U`,
    write: "v.setInt32(p,16);v.setInt32(p+4,x.a);v.setInt32(p+8,x.b);v.setInt32(p+12,x.c);v.setInt32(p+16,x.d)",
    size: 20
  }]),
  [scalarEncoders.timestamp, {
    when: `x instanceof D&&(m=x.getTime())===m`,
    write: "v.setInt32(p,8);x=Math.floor(m/4294967296);v.setInt32(p+4,x);v.setUint32(p+8,m-x*4294967296)",
    size: 12
  }]
])

/** Writes an element of a collection, where neither null nor unset exists. */
const element = (w: Writer, encode: ValueEncoder, value: unknown, owner: string): void => {
  if (value === null || value === undefined || value === Unset) {
    throw new Mismatch(owner, `expected an element of ${owner}, got ${describe(value)}: collections hold no nulls`)
  }
  encode(w, value)
}

/** Writes an element of the list of an IN marker, which alone may be null. */
const inElement: typeof element = (w, encode, value, owner) => {
  if (value === null) w.i32(-1)
  else element(w, encode, value, owner)
}

/** Compiles the encoder of a list or a set, `put` being how each element is written. */
const sequenceOf = (
  type: Extract<CqlType, { readonly _tag: "List" | "Set" }>,
  put: typeof element,
  encode: ValueEncoder
): ValueEncoder => {
  const name = format(type)
  const hint = type._tag === "Set" ? "a Set or an array" : "an array"
  return (w, value) => {
    const values = Array.isArray(value) ? value : isSet(value) ? [...value] : undefined
    if (values === undefined) return mismatch(name, value, hint)
    const start = open(w)
    w.i32(values.length)
    let i = 0
    try {
      for (; i < values.length; i++) put(w, encode, values[i], name)
    } catch (error) {
      throw inside(error, `[${i}]`)
    }
    close(w, start)
  }
}

/** Compiles the encoder of a column, whose own codec goes before that of its type; `type` is what is written under its name. */
const columnEncoder = (column: Column, name: string, type: CqlType, options: CodecOptions): ValueEncoder => {
  const codec = codecOfColumn(column, name, options)
  return codec === undefined
    ? encoderOf(type, options)
    : withCodec(codec, type, () => builtInEncoderOf(type, options))
}

/**
 * Compiles the encoder of a bound variable. Servers call the variable of `c IN ?` `in(c)`: its list is compared with and
 * never stored, and a condition may ask for null, so there nulls are elements (Cassandra's `ListSerializer`, ScyllaDB's
 * transient lists; scylla-rust-driver issue 605).
 */
export const variableEncoder = (column: Column, options: CodecOptions): ValueEncoder => {
  const { name, type } = column
  if (options.codecOf?.(type) !== undefined) return encoderOf(type, options)
  const compared = type._tag === "List" ? /^in\((.*)\)$/s.exec(name) : null
  return compared === null || type._tag !== "List"
    ? columnEncoder(column, name, type, options)
    : sequenceOf(type, inElement, columnEncoder(column, compared[1]!, type.element, options))
}

/** Writes a part of a tuple or user-defined type, where null exists and unset does not. A missing part is null. */
const part = (w: Writer, encode: ValueEncoder, type: CqlType, value: unknown): void => {
  if (value === null || value === undefined) w.i32(-1)
  else if (value === Unset) {
    const name = format(type)
    throw new Mismatch(name, `expected ${name}, got Unset: only a whole column can be left as it is`)
  } else encode(w, value)
}

/** Writes an element of a vector that has a size: without its length, over which the bytes in front of it are put back. */
const fixedElement = (w: Writer, encode: ValueEncoder, value: unknown, owner: string, size: number): void => {
  const start = w.pos
  const before = w.view.getInt32(start - 4)
  w.pos = start - 4
  element(w, encode, value, owner)
  if (w.pos - start !== size) {
    throw new Mismatch(owner, `expected an element of ${owner}, got ${describe(value)}: each takes ${size} bytes`)
  }
  w.view.setInt32(start - 4, before)
}

/**
 * Writes an element of a vector behind its length, which takes as many bytes as it needs. Its own four bytes of length go
 * over three bytes that are put back, so that an element of up to 127 bytes is where it belongs.
 */
const variableElement = (w: Writer, encode: ValueEncoder, value: unknown, owner: string): void => {
  const start = w.pos
  const before = w.view.getInt32(start - 4)
  w.pos = start - 3
  element(w, encode, value, owner)
  const length = w.pos - start - 1
  w.view.setInt32(start - 4, before)
  const size = unsignedSize(length)
  if (size > 1) {
    w.ensure(size - 1)
    w.bytes.copyWithin(start + size, start + 1, start + 1 + length)
  }
  putUnsigned(w.bytes, start, length, size)
  w.pos = start + size + length
}

type Elements = ReadonlyArray<unknown> | Float32Array | Float64Array | Int32Array | BigInt64Array

const VECTORS: ReadonlySet<string | undefined> = new Set([
  "Float32Array",
  "Float64Array",
  "Int32Array",
  "BigInt64Array"
])

const isVector = (value: unknown): value is Elements => Array.isArray(value) || VECTORS.has(typedArrayName(value))

const isFloats = (value: unknown): value is Float32Array =>
  value instanceof Float32Array || typedArrayName(value) === "Float32Array"

/** Compiles the encoder of a type. */
export const encoderOf = (type: CqlType, options: CodecOptions): ValueEncoder => {
  const own = options.codecOf?.(type)
  if (own !== undefined) return inPlace(own, type)
  const codec = codecOfType(type, options)
  return codec === undefined
    ? builtInEncoderOf(type, options)
    : withCodec(codec, type, () => builtInEncoderOf(type, options))
}

/** The same without a codec for the type as a whole; those of its parts apply. */
const builtInEncoderOf = (type: CqlType, options: CodecOptions): ValueEncoder => {
  switch (type._tag) {
    case "Scalar":
      return scalarEncoders[type.name]
    case "Custom":
      return bytesOf(format(type))
    case "Vector": {
      const { dimension } = type
      const name = format(type)
      const encode = encoderOf(type.element, options)
      const size = fixedSize(type.element)
      if (size === undefined) return bytesOf(name)
      const floats = encode === scalarEncoders.float
      const hint = `an array${floats ? " or Float32Array" : ""} of ${dimension}`
      return (w, value) => {
        if (!isVector(value)) return orEmpty(w, name, value, hint)
        if (value.length !== dimension) return mismatch(name, value, `${dimension} elements, got ${value.length}`)
        const start = open(w)
        if (floats && isFloats(value)) {
          w.ensure(4 * dimension)
          if (dimension >= SWAP_FROM) {
            w.bytes.set(new Uint8Array(value.buffer, value.byteOffset, 4 * dimension), start)
            swap32(w.bytes, start, start + 4 * dimension)
          } else {
            for (let i = 0; i < dimension; i++) w.view.setFloat32(start + 4 * i, value[i]!)
          }
          w.pos = start + 4 * dimension
        } else {
          let i = 0
          try {
            for (; i < dimension; i++) {
              if (size > 0) fixedElement(w, encode, value[i], name, size)
              else variableElement(w, encode, value[i], name)
            }
          } catch (error) {
            throw inside(error, `[${i}]`)
          }
        }
        close(w, start)
      }
    }
    case "List":
    case "Set":
      return sequenceOf(type, element, encoderOf(type.element, options))
    case "Map": {
      const name = format(type)
      const encodeKey = encoderOf(type.key, options)
      const encode = encoderOf(type.value, options)
      const textKeys = type.key._tag === "Scalar" && (type.key.name === "text" || type.key.name === "ascii")
      const hint = textKeys ? "a Map or a plain object" : "a Map"
      return (w, value) => {
        const entries = isMap(value)
          ? value
          : textKeys && typeof value === "object" && value !== null && isPlain(value)
          ? Object.entries(value)
          : undefined
        if (entries === undefined) return mismatch(name, value, hint)
        const start = open(w)
        w.i32(Array.isArray(entries) ? entries.length : (entries as ReadonlyMap<unknown, unknown>).size)
        for (const [k, v] of entries) {
          let written = false
          try {
            element(w, encodeKey, k, name)
            written = true
            element(w, encode, v, name)
          } catch (error) {
            throw inside(error, written ? `[${describeKey(k)}]` : `[key ${describeKey(k)}]`)
          }
        }
        close(w, start)
      }
    }
    case "Tuple": {
      const name = format(type)
      const { elements } = type
      const encoders = elements.map((each) => encoderOf(each, options))
      return (w, value) => {
        if (!Array.isArray(value)) return mismatch(name, value, `an array of ${encoders.length}`)
        if (value.length > encoders.length) {
          return mismatch(name, value, `${encoders.length} elements, got ${value.length}`)
        }
        const start = open(w)
        let i = 0
        try {
          for (; i < encoders.length; i++) part(w, encoders[i]!, elements[i]!, value[i])
        } catch (error) {
          throw inside(error, `[${i}]`)
        }
        close(w, start)
      }
    }
    case "Udt": {
      const { fields } = type
      const name = format(type)
      const encoders = fields.map((field) => encoderOf(field.type, options))
      const names = new Set(fields.map((field) => field.name))
      const hint = (): string => `an object with its fields ${[...names].join(", ")}`
      return (w, value) => {
        if (typeof value !== "object" || value === null || Array.isArray(value)) {
          return mismatch(name, value, hint())
        }
        const keys = Object.keys(value)
        for (const key of keys) {
          if (!names.has(key)) {
            return mismatch(name, value, `${name} has no field ${quote(key)}, it has ${[...names].join(", ")}`)
          }
        }
        // A Map, a Date or the like: it would be written as nulls.
        if (keys.length === 0 && !isPlain(value)) return mismatch(name, value, hint())
        const start = open(w)
        let i = 0
        try {
          for (; i < encoders.length; i++) {
            const field = fields[i]!
            part(
              w,
              encoders[i]!,
              field.type,
              Object.hasOwn(value, field.name) ? (value as Record<string, unknown>)[field.name] : null
            )
          }
        } catch (error) {
          throw inside(error, `.${fields[i]!.name}`)
        }
        close(w, start)
      }
    }
  }
}

/** Writes a bound variable: a value, null or unset. `undefined` is refused, it is a forgotten value far more often than a wish. */
export const bind = (w: Writer, encode: ValueEncoder, type: string, value: unknown): void => {
  if (value === null) w.i32(-1)
  else if (value === Unset) w.i32(-2)
  else if (value === undefined) {
    throw new Mismatch(
      type,
      `expected ${type}, got undefined: bind null to write a null, Unset to leave the column as it is`
    )
  } else encode(w, value)
}
