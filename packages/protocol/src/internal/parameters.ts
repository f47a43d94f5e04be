/** The parameters of QUERY, EXECUTE and BATCH: consistency, flags, values, and what the flags announce. */
import * as Consistency from "../Consistency.ts"
import type * as Dialect from "../Dialect.ts"
import { DecodeError, EncodeError } from "../ProtocolError.ts"
import type { Reader } from "../Reader.ts"
import { Unset } from "../Value.ts"
import type { Writer } from "../Writer.ts"

/**
 * A value that is encoded already: bytes, null, or {@link Unset}.
 *
 * @category models
 * @since 0.1.0
 */
export type RawValue = Uint8Array | null | typeof Unset

/**
 * How a statement is to be executed, without its values.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly consistency: Consistency.Consistency
  /** For the Paxos phase of conditional statements. The server's default is SERIAL. */
  readonly serialConsistency?: Consistency.SerialConsistency | undefined
  /** Rows of a page; absent or 0 means everything at once. */
  readonly pageSize?: number | undefined
  readonly pagingState?: Uint8Array | null | undefined
  /** Microseconds since 1970 that the writes are stamped with. */
  readonly timestamp?: bigint | undefined
  /** Asks the server to leave result metadata out. Right only where metadata ids are negotiated. */
  readonly skipMetadata?: boolean | undefined
  /** The keyspace of unqualified names, instead of the connection's. v5 only. */
  readonly keyspace?: string | undefined
  /** The server's idea of now, seconds since 1970, as TTLs are reckoned from it. v5 only. */
  readonly nowInSeconds?: number | undefined
}

/**
 * The values of a statement, encoded already.
 *
 * @category models
 * @since 0.1.0
 */
export interface Values {
  readonly values?: ReadonlyArray<RawValue> | undefined
  /** Names of the values, in the same order. */
  readonly names?: ReadonlyArray<string> | undefined
}

export const QueryFlags = {
  VALUES: 0x01,
  SKIP_METADATA: 0x02,
  PAGE_SIZE: 0x04,
  PAGING_STATE: 0x08,
  SERIAL_CONSISTENCY: 0x10,
  TIMESTAMP: 0x20,
  NAMES: 0x40,
  KEYSPACE: 0x80,
  NOW_IN_SECONDS: 0x100
} as const

/** The flags that a batch can have: the rest belongs to its statements. */
export const BATCH_FLAGS = QueryFlags.SERIAL_CONSISTENCY | QueryFlags.TIMESTAMP | QueryFlags.KEYSPACE |
  QueryFlags.NOW_IN_SECONDS

export const flagsOf = (options: Options): number =>
  (options.skipMetadata === true ? QueryFlags.SKIP_METADATA : 0) |
  (options.pageSize !== undefined && options.pageSize > 0 ? QueryFlags.PAGE_SIZE : 0) |
  (options.pagingState === undefined || options.pagingState === null ? 0 : QueryFlags.PAGING_STATE) |
  (options.serialConsistency === undefined ? 0 : QueryFlags.SERIAL_CONSISTENCY) |
  (options.timestamp === undefined ? 0 : QueryFlags.TIMESTAMP) |
  (options.keyspace === undefined ? 0 : QueryFlags.KEYSPACE) |
  (options.nowInSeconds === undefined ? 0 : QueryFlags.NOW_IN_SECONDS)

/** The flags of parameters: four bytes since v5, one before. */
export const writeFlags = (w: Writer, flags: number, dialect: Dialect.Dialect): void => {
  if (dialect.version >= 5) return w.i32(flags)
  if ((flags & ~0x7f) !== 0) {
    const option = (flags & QueryFlags.KEYSPACE) !== 0 ? "keyspace" : "nowInSeconds"
    throw tooOld(`the option ${option} of a request`, 5, dialect)
  }
  w.u8(flags)
}

export const tooOld = (what: string, since: number, dialect: Dialect.Dialect, path = ""): EncodeError =>
  new EncodeError({
    message: `${what} needs protocol v${since}, and the connection speaks v${dialect.version}`,
    path,
    cqlType: ""
  })

const MISSING_TIMESTAMP = -(2n ** 63n)

export const wrongOption = (name: string, value: unknown, expected: string): EncodeError =>
  new EncodeError({ message: `the ${name} is ${String(value)}, expected ${expected}`, path: "", cqlType: "" })

/** What comes behind the values up to the timestamp, in the order of the flags. */
export const writeTail = (w: Writer, options: Options): void => {
  if (options.pageSize !== undefined && options.pageSize > 0) {
    if ((options.pageSize | 0) !== options.pageSize) {
      throw wrongOption("page size", options.pageSize, "a whole number of 32 bits")
    }
    w.i32(options.pageSize)
  }
  if (options.pagingState !== undefined && options.pagingState !== null) w.bytesValue(options.pagingState)
  if (options.serialConsistency !== undefined) {
    if (!Consistency.isSerial(options.serialConsistency)) {
      throw wrongOption("serial consistency", options.serialConsistency, "SERIAL or LOCAL_SERIAL")
    }
    w.u16(Consistency.toCode(options.serialConsistency))
  }
  if (options.timestamp !== undefined) {
    // The smallest number of 64 bits means that there is none.
    if (
      typeof options.timestamp !== "bigint" || BigInt.asIntN(64, options.timestamp) !== options.timestamp ||
      options.timestamp === MISSING_TIMESTAMP
    ) {
      throw wrongOption("timestamp", options.timestamp, "microseconds in a bigint of 64 bits")
    }
    w.i64(options.timestamp)
  }
}

/** Whole microseconds in a number, where there is room for 8 bytes: a `bigint` for every request costs more than the rest of it. */
export const writeTimestamp = (w: Writer, timestamp: number): void => {
  w.view.setInt32(w.pos, Math.floor(timestamp / 4_294_967_296))
  w.view.setUint32(w.pos + 4, timestamp)
  w.pos += 8
}

/** What comes behind the timestamp. */
export const writeEnd = (w: Writer, options: Options): void => {
  if (options.keyspace !== undefined) w.string(options.keyspace)
  if (options.nowInSeconds !== undefined) {
    if ((options.nowInSeconds | 0) !== options.nowInSeconds) {
      throw wrongOption("time of the request", options.nowInSeconds, "whole seconds in 32 bits")
    }
    w.i32(options.nowInSeconds)
  }
}

/** v3 has no Unset: the first one is named. */
export const checkUnset = (
  values: ReadonlyArray<unknown>,
  dialect: Dialect.Dialect,
  nameOf: (index: number) => string | undefined
): void => {
  const at = dialect.version < 4 ? values.indexOf(Unset) : -1
  if (at < 0) return
  const path = nameOf(at) ?? `value ${at + 1}`
  throw tooOld(`${path}: Unset`, 4, dialect, path)
}

export const writeRaw = (w: Writer, value: RawValue): void => {
  if (value === Unset) w.i32(-2)
  else w.bytesValue(value as Uint8Array | null)
}

export const writeParameters = (
  w: Writer,
  options: Options,
  values: Values | undefined,
  dialect: Dialect.Dialect
): void => {
  w.u16(Consistency.toCode(options.consistency))
  const list = values?.values
  const names = values?.names
  const flags = flagsOf(options) | (list === undefined ? 0 : QueryFlags.VALUES) |
    (names === undefined || list === undefined ? 0 : QueryFlags.NAMES)
  writeFlags(w, flags, dialect)
  if (names !== undefined && names.length !== (list?.length ?? 0)) {
    throw new EncodeError({
      message: `${list?.length ?? 0} values and ${names.length} names: each value needs a name of its own`,
      path: "",
      cqlType: ""
    })
  }
  if (list !== undefined) {
    checkUnset(list, dialect, (i) => names?.[i])
    w.count(list.length, "values")
    for (let i = 0; i < list.length; i++) {
      if (names !== undefined) w.string(names[i]!)
      writeRaw(w, list[i]!)
    }
  }
  writeTail(w, options)
  writeEnd(w, options)
}

export const readFlags = (r: Reader, dialect: Dialect.Dialect, known: number): number => {
  const flags = dialect.version >= 5 ? r.i32() : r.u8()
  const most = dialect.version >= 5 ? known : known & 0x7f
  if ((flags & ~most) !== 0) {
    throw new DecodeError({ message: `unknown flags of parameters: 0x${(flags >>> 0).toString(16)}` })
  }
  return flags
}

export type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** What comes behind the values. */
export const readOptions = (r: Reader, consistency: Consistency.Consistency, flags: number): Options => {
  const options: Mutable<Options> = { consistency }
  if ((flags & QueryFlags.SKIP_METADATA) !== 0) options.skipMetadata = true
  if ((flags & QueryFlags.PAGE_SIZE) !== 0) options.pageSize = r.i32()
  if ((flags & QueryFlags.PAGING_STATE) !== 0) options.pagingState = r.bytesValue()
  if ((flags & QueryFlags.SERIAL_CONSISTENCY) !== 0) options.serialConsistency = readSerial(r)
  if ((flags & QueryFlags.TIMESTAMP) !== 0) options.timestamp = r.i64()
  if ((flags & QueryFlags.KEYSPACE) !== 0) options.keyspace = r.string()
  if ((flags & QueryFlags.NOW_IN_SECONDS) !== 0) options.nowInSeconds = r.i32()
  return options
}

export const readParameters = (
  r: Reader,
  dialect: Dialect.Dialect
): { readonly options: Options; readonly values: Values | undefined } => {
  const consistency = Consistency.fromCode(r.u16())
  const flags = readFlags(r, dialect, 0x1ff)
  const named = (flags & QueryFlags.NAMES) !== 0
  let values: Values | undefined
  if ((flags & QueryFlags.VALUES) !== 0) {
    const count = r.count(r.u16(), 4)
    const list: Array<RawValue> = []
    const names: Array<string> = []
    for (let i = 0; i < count; i++) {
      if (named) names.push(r.string())
      list.push(readRaw(r, dialect))
    }
    values = named ? { values: list, names } : { values: list }
  }
  return { options: readOptions(r, consistency, flags), values }
}

const readSerial = (r: Reader): Consistency.SerialConsistency => {
  const level = Consistency.fromCode(r.u16())
  if (!Consistency.isSerial(level)) throw new DecodeError({ message: `${level} is not a serial consistency` })
  return level
}

export const readRaw = (r: Reader, dialect: Dialect.Dialect): RawValue => {
  const length = r.i32()
  // Any negative length is null on v3.
  if (length === -1 || (length < 0 && dialect.version < 4)) return null
  if (length === -2) return Unset
  if (length < 0) throw new DecodeError({ message: `invalid value length: ${length}` })
  return r.copy(length)
}
