import type { InPlaceCodec } from "@effect-scylla/protocol/Codec"
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import type { Writer } from "@effect-scylla/protocol/Writer"
import { type Encoder, theirs } from "./theirs.ts"
import { type TypeInfo, typeInfoOf } from "./typeInfo.ts"

/**
 * Values as `cassandra-driver` has them. What most programs read and write (numbers, texts, ids, times) goes between the frame and the
 * value without anything in between; everything else goes through the encoder of `cassandra-driver`, whose rules count in any case.
 */

const { Long, LocalDate, TimeUuid, Uuid } = theirs.types as any

type Read = InPlaceCodec["read"]
type Write = InPlaceCodec["write"]

/** A copy: the frame's memory is used again. */
const copy = (bytes: Uint8Array, pos: number, length: number): Buffer => {
  const out = Buffer.allocUnsafeSlow(length)
  out.set(bytes.subarray(pos, pos + length))
  return out
}

/** Sixteen bytes of their own, without the views that a longer copy takes. */
const sixteen = (bytes: Uint8Array, pos: number): Buffer => {
  const out = Buffer.allocUnsafe(16)
  for (let i = 0; i < 16; i++) out[i] = bytes[pos + i]!
  return out
}

const readInt: Read = (_, view, pos, length) => length === 0 ? null : view.getInt32(pos)
const readSmallint: Read = (_, view, pos, length) => length === 0 ? null : view.getInt16(pos)
const readTinyint: Read = (_, view, pos, length) => length === 0 ? null : view.getInt8(pos)
const readBoolean: Read = (_, view, pos, length) => length === 0 ? null : view.getUint8(pos) !== 0
const readDouble: Read = (_, view, pos, length) => length === 0 ? null : view.getFloat64(pos)
const readFloat: Read = (_, view, pos, length) => length === 0 ? null : view.getFloat32(pos)
const readLong: Read = (_, view, pos, length) =>
  length === 0 ? null : new Long(view.getInt32(pos + 4), view.getInt32(pos))
const readBigInt: Read = (_, view, pos, length) => length === 0 ? null : view.getBigInt64(pos)
/** The number nearest to the 64 bits, as `Long.toNumber` gives it; what is no date is an invalid one. */
const readTimestamp: Read = (_, view, pos, length) =>
  length === 0 ? null : new Date(view.getInt32(pos) * 4_294_967_296 + view.getUint32(pos + 4))
const readUuid: Read = (bytes, _, pos, length) =>
  length === 0 ? null : new Uuid(length === 16 ? sixteen(bytes, pos) : copy(bytes, pos, length))
const readTimeUuid: Read = (bytes, _, pos, length) =>
  length === 0 ? null : new TimeUuid(length === 16 ? sixteen(bytes, pos) : copy(bytes, pos, length))
const readBlob: Read = (bytes, _, pos, length) => copy(bytes, pos, length)
const readDate: Read = (_, view, pos, length) =>
  length === 0 ? null : new LocalDate(view.getUint32(pos) - 2_147_483_648)

const eightBytes = (w: Writer, high: number, low: number): void => {
  w.i32(8)
  w.i32(high)
  w.i32(low)
}

/** High and low words of a whole number that is exact. */
const writeWhole = (w: Writer, value: number): void => eightBytes(w, Math.floor(value / 4_294_967_296) | 0, value | 0)

const isInt = (value: unknown): value is number => typeof value === "number" && (value | 0) === value

/** How values of a client appear. */
export interface Appearance {
  readonly encoder: Encoder
  readonly isBigInt: boolean
}

/** By the encoder of `cassandra-driver`, in both directions. */
const general = ({ encoder }: Appearance, info: TypeInfo): { readonly read: Read; readonly write: Write } => ({
  read: (bytes, _, pos, length) => encoder.decode(copy(bytes, pos, length), info),
  write: (w, value) => {
    const made = encoder.encode(value, info)
    if (made === null) w.i32(-1)
    else if (Buffer.isBuffer(made)) w.bytesValue(made)
    // Unset, of a value that is none.
    else w.i32(-2)
  }
})

/** The quick ways, and whether a value takes them: `write` answers false for all others. */
interface Quick {
  readonly read?: Read
  readonly write?: (w: Writer, value: any) => boolean
}

const writeLong = (w: Writer, value: unknown): boolean => {
  if (value instanceof Long) eightBytes(w, (value as any).high, (value as any).low)
  else if (Number.isSafeInteger(value)) writeWhole(w, value as number)
  else return false
  return true
}

const writeUuid = (w: Writer, value: unknown): boolean => {
  if (!(value instanceof Uuid)) return false
  w.bytesValue((value as any).buffer)
  return true
}

const writeText = (w: Writer, value: unknown): boolean => {
  if (typeof value !== "string") return false
  w.longString(value)
  return true
}

const quickOf = (type: CqlType, { isBigInt }: Appearance): Quick => {
  if (type._tag !== "Scalar") return {}
  switch (type.name) {
    case "int":
      return {
        read: readInt,
        write: (w, value) => {
          if (!isInt(value)) return false
          w.i32(4)
          w.i32(value)
          return true
        }
      }
    case "smallint":
      return { read: readSmallint }
    case "tinyint":
      return { read: readTinyint }
    case "boolean":
      return {
        read: readBoolean,
        write: (w, value) => {
          if (typeof value !== "boolean") return false
          w.i32(1)
          w.u8(value ? 1 : 0)
          return true
        }
      }
    case "double":
      return {
        read: readDouble,
        write: (w, value) => {
          if (typeof value !== "number") return false
          w.i32(8)
          w.ensure(8)
          w.view.setFloat64(w.pos, value)
          w.pos += 8
          return true
        }
      }
    case "float":
      return { read: readFloat }
    case "bigint":
    case "counter":
      return isBigInt ? { read: readBigInt } : { read: readLong, write: writeLong }
    case "timestamp":
      return {
        read: readTimestamp,
        write: (w, value) => {
          if (!(value instanceof Date)) return false
          const millis = value.getTime()
          if (!Number.isSafeInteger(millis)) return false
          writeWhole(w, millis)
          return true
        }
      }
    case "text":
      return { write: writeText }
    case "uuid":
      return { read: readUuid, write: writeUuid }
    case "timeuuid":
      return { read: readTimeUuid, write: writeUuid }
    case "blob":
      return { read: readBlob }
    case "date":
      return { read: readDate }
    default:
      return {}
  }
}

const readUtf8: Read = (bytes, _, pos, length) => (bytes as any).utf8Slice(pos, pos + length)

/** The codec of each type of a client whose values appear like that. */
export const codecOf = (appearance: Appearance) => (type: CqlType): InPlaceCodec => {
  const { read, write } = general(appearance, typeInfoOf(type))
  const quick = quickOf(type, appearance)
  const isText = type._tag === "Scalar" && type.name === "text"
  const { write: quickly } = quick
  return {
    read: isText ? readUtf8 : quick.read ?? read,
    write: quickly === undefined ? write : (w, value) => {
      if (!quickly(w, value)) write(w, value)
    }
  }
}
