import * as BigDecimal from "effect/BigDecimal"
import { type CqlType, format, type ScalarName } from "../CqlType.ts"
import { EncodeError } from "../ProtocolError.ts"
import * as UuidModule from "../Uuid.ts"
import { CqlDuration, Inet, LocalDate, LocalTime, Unset } from "../Value.ts"
import type { Writer } from "../Writer.ts"
import { writeUnsigned, zigzag } from "./vint.ts"

const { Uuid } = UuidModule

/** Writes a `[bytes]`: the length and the value. Throws {@link Mismatch}; null and unset are {@link bind}'s. */
export type ValueEncoder = (w: Writer, value: unknown) => void

/** Thrown inside, turned into one {@link EncodeError} that names the whole path at the edge. */
export class Mismatch {
  path = ""
  readonly cqlType: string
  readonly detail: string
  constructor(cqlType: string, detail: string) {
    this.cqlType = cqlType
    this.detail = detail
  }
}

const describe = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return `string ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`
    case "bigint":
      return `bigint ${value}n`
    case "number":
    case "boolean":
      return `${typeof value} ${value}`
    case "object":
      return value === null ? "null" : (value.constructor?.name ?? "an object")
    default:
      return typeof value
  }
}

const mismatch = (cqlType: string, value: unknown, hint = ""): never => {
  throw new Mismatch(cqlType, `expected ${cqlType}, got ${describe(value)}${hint === "" ? "" : ` (${hint})`}`)
}

/** The public error for a mismatch at `name`. */
export const toEncodeError = (error: unknown, name: string): unknown =>
  error instanceof Mismatch
    ? new EncodeError({
      message: `${name}${error.path}: ${error.detail}`,
      path: `${name}${error.path}`,
      cqlType: error.cqlType
    })
    : error

const text: ValueEncoder = (w, value) => {
  if (typeof value !== "string") return mismatch("text", value)
  w.ensure(4 + value.length * 3)
  const start = w.pos
  w.pos = start + 4
  w.view.setInt32(start, w.utf8(value))
}

const intIn = (name: string, size: 1 | 2 | 4): ValueEncoder => {
  const max = 2 ** (8 * size - 1) - 1
  const min = -max - 1
  const hint = `an integer from ${min} to ${max}`
  return (w, value) => {
    if (typeof value !== "number" || !(value >= min && value <= max) || value % 1 !== 0) {
      return mismatch(name, value, hint)
    }
    w.ensure(8)
    const pos = w.pos
    w.view.setInt32(pos, size)
    if (size === 4) w.view.setInt32(pos + 4, value)
    else if (size === 2) w.view.setInt16(pos + 4, value)
    else w.view.setInt8(pos + 4, value)
    w.pos = pos + 4 + size
  }
}

/** `int` on its own: it is in nearly every statement, and one shape per function keeps it inlined. */
const int: ValueEncoder = (w, value) => {
  if (typeof value !== "number" || (value | 0) !== value) return mismatch("int", value, "an integer of 32 bits")
  w.ensure(8)
  const pos = w.pos
  w.view.setInt32(pos, 4)
  w.view.setInt32(pos + 4, value)
  w.pos = pos + 8
}

const MIN_64 = -(2n ** 63n)
const MAX_64 = 2n ** 63n - 1n

const writeInt64 = (w: Writer, value: bigint): void => {
  w.ensure(12)
  const pos = w.pos
  w.view.setInt32(pos, 8)
  w.view.setBigInt64(pos + 4, value)
  w.pos = pos + 12
}

const toBig = (name: string, value: unknown): bigint =>
  typeof value === "bigint"
    ? value
    : typeof value === "number" && Number.isSafeInteger(value)
    ? BigInt(value)
    : mismatch(name, value, "a bigint, or a safe integer")

const big = (name: string): ValueEncoder => (w, value) => {
  const int64 = toBig(name, value)
  if (int64 < MIN_64 || int64 > MAX_64) return mismatch(name, value, "64 bits")
  writeInt64(w, int64)
}

const uuid = (name: string): ValueEncoder => (w, value) => {
  const id = value instanceof Uuid ? value : typeof value === "string" ? UuidModule.parse(value) : undefined
  if (id === undefined) return mismatch(name, value, "a Uuid or its canonical text")
  w.ensure(20)
  const { view, pos } = w
  view.setInt32(pos, 16)
  view.setInt32(pos + 4, id.a)
  view.setInt32(pos + 8, id.b)
  view.setInt32(pos + 12, id.c)
  view.setInt32(pos + 16, id.d)
  w.pos = pos + 20
}

const number = (name: "double" | "float"): ValueEncoder => (w, value) => {
  if (typeof value !== "number") return mismatch(name, value)
  w.ensure(12)
  const pos = w.pos
  if (name === "double") {
    w.view.setInt32(pos, 8)
    w.view.setFloat64(pos + 4, value)
    w.pos = pos + 12
  } else {
    w.view.setInt32(pos, 4)
    w.view.setFloat32(pos + 4, value)
    w.pos = pos + 8
  }
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
  w.bytes.write(unsigned, w.pos, "hex")
  w.pos += size
}

/** Writes what `body` writes behind its length. */
const sized = (w: Writer, body: () => void): void => {
  const start = w.pos
  w.i32(0)
  body()
  w.view.setInt32(start, w.pos - start - 4)
}

const scalarEncoders: Record<ScalarName, ValueEncoder> = {
  ascii: (w, value) => {
    const start = w.pos
    text(w, value)
    if (w.pos - start - 4 !== (value as string).length) {
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
  double: number("double"),
  float: number("float"),
  boolean: (w, value) => {
    if (typeof value !== "boolean") return mismatch("boolean", value)
    w.ensure(5)
    w.view.setInt32(w.pos, 1)
    w.bytes[w.pos + 4] = value ? 1 : 0
    w.pos += 5
  },
  blob: (w, value) => {
    if (!(value instanceof Uint8Array)) return mismatch("blob", value, "a Uint8Array")
    w.bytesValue(value)
  },
  timestamp: (w, value) => {
    const millis = value instanceof Date ? value.getTime() : value
    if (typeof millis === "bigint") return writeInt64(w, millis)
    if (typeof millis !== "number" || !Number.isSafeInteger(millis)) {
      return mismatch("timestamp", value, "a Date, or whole milliseconds since 1970")
    }
    writeInt64(w, BigInt(millis))
  },
  date: (w, value) => {
    const day = value instanceof LocalDate ? value : typeof value === "string" ? LocalDate.parse(value) : undefined
    if (day === undefined || !Number.isInteger(day.epochDay) || Math.abs(day.epochDay) > 2_147_483_648) {
      return mismatch("date", value, "a LocalDate or YYYY-MM-DD")
    }
    w.i32(4)
    w.i32((day.epochDay + 2_147_483_648) | 0)
  },
  time: (w, value) => {
    const time = value instanceof LocalTime ? value : typeof value === "string" ? LocalTime.parse(value) : undefined
    if (time === undefined || !time.isValid) return mismatch("time", value, "a LocalTime or HH:MM:SS.fraction")
    writeInt64(w, time.nanos)
  },
  inet: (w, value) => {
    const inet = value instanceof Inet ? value : typeof value === "string" ? Inet.parse(value) : undefined
    if (inet === undefined) return mismatch("inet", value, "an Inet or the text of an address")
    w.bytesValue(inet.toBytes())
  },
  varint: (w, value) => {
    const int = toBig("varint", value)
    sized(w, () => writeVarint(w, int))
  },
  decimal: (w, value) => {
    const parsed = BigDecimal.isBigDecimal(value) ? value : undefined
    if (parsed === undefined) return mismatch("decimal", value, "a BigDecimal of effect/BigDecimal")
    if ((parsed.scale | 0) !== parsed.scale) return mismatch("decimal", value, "a scale of 32 bits")
    sized(w, () => {
      w.i32(parsed.scale)
      writeVarint(w, parsed.value)
    })
  },
  duration: (w, value) => {
    if (!(value instanceof CqlDuration)) return mismatch("duration", value, "a CqlDuration")
    const { months, days, nanos } = value
    const signs = new Set([Math.sign(months), Math.sign(days), nanos < 0n ? -1 : nanos > 0n ? 1 : 0])
    if (signs.has(1) && signs.has(-1)) return mismatch("duration", value, "months, days and nanoseconds of one sign")
    if ((months | 0) !== months || (days | 0) !== days || nanos < MIN_64 || nanos > MAX_64) {
      return mismatch("duration", value, "months and days of 32 bits, nanoseconds of 64")
    }
    sized(w, () => {
      writeUnsigned(w, zigzag(BigInt(months)))
      writeUnsigned(w, zigzag(BigInt(days)))
      writeUnsigned(w, zigzag(nanos))
    })
  }
}

const inside = (error: unknown, step: string): unknown => {
  if (error instanceof Mismatch) error.path = step + error.path
  return error
}

/** Writes one element of a collection, where neither null nor unset exists. */
const element = (w: Writer, encode: ValueEncoder, value: unknown, step: string, owner: string): void => {
  try {
    if (value === null || value === undefined || value === Unset) {
      throw new Mismatch(owner, `expected an element of ${owner}, got ${describe(value)}: collections hold no nulls`)
    }
    encode(w, value)
  } catch (error) {
    throw inside(error, step)
  }
}

/** Writes one part of a tuple or user-defined type, where null exists and unset does not. */
const part = (w: Writer, encode: ValueEncoder, value: unknown, step: string): void => {
  if (value === null || value === undefined) {
    w.i32(-1)
    return
  }
  try {
    encode(w, value)
  } catch (error) {
    throw inside(error, step)
  }
}

/** Compiles the encoder of a type. */
export const encoderOf = (type: CqlType): ValueEncoder => {
  switch (type._tag) {
    case "Scalar":
      return scalarEncoders[type.name]
    case "Custom":
      return (w, value) => {
        if (!(value instanceof Uint8Array)) return mismatch(format(type), value, "a Uint8Array")
        w.bytesValue(value)
      }
    case "List":
    case "Set": {
      const name = format(type)
      const encode = encoderOf(type.element)
      return (w, value) => {
        const values = Array.isArray(value) ? value : value instanceof Set ? [...value] : undefined
        if (values === undefined) return mismatch(name, value, type._tag === "Set" ? "a Set or an array" : "an array")
        sized(w, () => {
          w.i32(values.length)
          for (let i = 0; i < values.length; i++) element(w, encode, values[i], `[${i}]`, name)
        })
      }
    }
    case "Map": {
      const name = format(type)
      const key = encoderOf(type.key)
      const encode = encoderOf(type.value)
      const textKeys = type.key._tag === "Scalar" && (type.key.name === "text" || type.key.name === "ascii")
      return (w, value) => {
        const entries = value instanceof Map
          ? [...value]
          : textKeys && typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
          ? Object.entries(value)
          : undefined
        if (entries === undefined) return mismatch(name, value, textKeys ? "a Map or an object" : "a Map")
        sized(w, () => {
          w.i32(entries.length)
          for (const [k, v] of entries) {
            element(w, key, k, `[key ${String(k)}]`, name)
            element(w, encode, v, `[${typeof k === "string" ? JSON.stringify(k) : String(k)}]`, name)
          }
        })
      }
    }
    case "Tuple": {
      const name = format(type)
      const encoders = type.elements.map(encoderOf)
      return (w, value) => {
        if (!Array.isArray(value)) return mismatch(name, value, `an array of ${encoders.length}`)
        if (value.length > encoders.length) {
          return mismatch(name, value, `${encoders.length} elements, got ${value.length}`)
        }
        sized(w, () => {
          for (let i = 0; i < encoders.length; i++) part(w, encoders[i]!, value[i], `[${i}]`)
        })
      }
    }
    case "Udt": {
      const encoders = type.fields.map((field) => encoderOf(field.type))
      const names = new Set(type.fields.map((field) => field.name))
      return (w, value) => {
        if (typeof value !== "object" || value === null || Array.isArray(value)) {
          return mismatch(type.name, value, "an object with its fields")
        }
        for (const key of Object.keys(value)) {
          if (!names.has(key)) {
            return mismatch(
              type.name,
              value,
              `${type.name} has no field ${JSON.stringify(key)}, it has ${[...names].join(", ")}`
            )
          }
        }
        sized(w, () => {
          for (let i = 0; i < encoders.length; i++) {
            const field = type.fields[i]!.name
            part(
              w,
              encoders[i]!,
              Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : null,
              `.${field}`
            )
          }
        })
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
