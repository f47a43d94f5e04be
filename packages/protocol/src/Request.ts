/**
 * Requests, there and back (native_protocol_v4.spec section 4.1).
 *
 * @since 0.1.0
 */
import type { BindEncoder } from "./BindEncoder.ts"
import * as Consistency from "./Consistency.ts"
import * as Frame from "./Frame.ts"
import { DecodeError, EncodeError } from "./ProtocolError.ts"
import type { Reader } from "./Reader.ts"
import { Unset } from "./Value.ts"
import { Writer } from "./Writer.ts"

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

/**
 * One statement of a batch.
 *
 * @category models
 * @since 0.1.0
 */
export type BatchEntry =
  | { readonly _tag: "Text"; readonly query: string; readonly values: ReadonlyArray<RawValue> }
  | { readonly _tag: "Prepared"; readonly id: Uint8Array; readonly values: ReadonlyArray<RawValue> }

/**
 * What a batch promises: `logged` ones are applied whole or not at all, `counter` ones hold counter updates only.
 *
 * @category models
 * @since 0.1.0
 */
export type BatchKind = "logged" | "unlogged" | "counter"

const BATCH_KINDS: ReadonlyArray<BatchKind> = ["logged", "unlogged", "counter"]

/**
 * What an EVENT registration may name in v4.
 *
 * @category models
 * @since 0.1.0
 */
export type EventType = "TOPOLOGY_CHANGE" | "STATUS_CHANGE" | "SCHEMA_CHANGE"

/**
 * A request.
 *
 * @category models
 * @since 0.1.0
 */
export type Request =
  | { readonly _tag: "Startup"; readonly options: Readonly<Record<string, string>> }
  | { readonly _tag: "Options" }
  | { readonly _tag: "AuthResponse"; readonly token: Uint8Array | null }
  | { readonly _tag: "Query"; readonly query: string; readonly options: Options; readonly values?: Values | undefined }
  | { readonly _tag: "Prepare"; readonly query: string }
  | {
    readonly _tag: "Execute"
    readonly id: Uint8Array
    readonly options: Options
    readonly values?: Values | undefined
  }
  | {
    readonly _tag: "Batch"
    readonly kind: BatchKind
    readonly entries: ReadonlyArray<BatchEntry>
    readonly options: Omit<Options, "pageSize" | "pagingState" | "skipMetadata">
  }
  | { readonly _tag: "Register"; readonly events: ReadonlyArray<string> }

const QueryFlags = {
  VALUES: 0x01,
  SKIP_METADATA: 0x02,
  PAGE_SIZE: 0x04,
  PAGING_STATE: 0x08,
  SERIAL_CONSISTENCY: 0x10,
  TIMESTAMP: 0x20,
  NAMES: 0x40
} as const

const OPCODES = {
  Startup: Frame.Opcode.STARTUP,
  Options: Frame.Opcode.OPTIONS,
  AuthResponse: Frame.Opcode.AUTH_RESPONSE,
  Query: Frame.Opcode.QUERY,
  Prepare: Frame.Opcode.PREPARE,
  Execute: Frame.Opcode.EXECUTE,
  Batch: Frame.Opcode.BATCH,
  Register: Frame.Opcode.REGISTER
} as const

const flagsOf = (options: Options): number =>
  (options.skipMetadata === true ? QueryFlags.SKIP_METADATA : 0) |
  (options.pageSize !== undefined && options.pageSize > 0 ? QueryFlags.PAGE_SIZE : 0) |
  (options.pagingState === undefined || options.pagingState === null ? 0 : QueryFlags.PAGING_STATE) |
  (options.serialConsistency === undefined ? 0 : QueryFlags.SERIAL_CONSISTENCY) |
  (options.timestamp === undefined ? 0 : QueryFlags.TIMESTAMP)

const MISSING_TIMESTAMP = -(2n ** 63n)

const wrongOption = (name: string, value: unknown, expected: string): EncodeError =>
  new EncodeError({ message: `the ${name} is ${String(value)}, expected ${expected}`, path: "", cqlType: "" })

/** What comes behind the values, in the order of the flags. */
const writeTail = (w: Writer, options: Options): void => {
  if (options.pageSize !== undefined && options.pageSize > 0) {
    if ((options.pageSize | 0) !== options.pageSize) {
      throw wrongOption("page size", options.pageSize, "a whole number of 32 bits")
    }
    w.i32(options.pageSize)
  }
  if (options.pagingState !== undefined && options.pagingState !== null) w.bytesValue(options.pagingState)
  if (options.serialConsistency !== undefined) w.u16(Consistency.toCode(options.serialConsistency))
  if (options.timestamp !== undefined) {
    // The smallest number of 64 bits means that there is none.
    if (BigInt.asIntN(64, options.timestamp) !== options.timestamp || options.timestamp === MISSING_TIMESTAMP) {
      throw wrongOption("timestamp", options.timestamp, "microseconds in 64 bits")
    }
    w.i64(options.timestamp)
  }
}

const writeRaw = (w: Writer, value: RawValue): void => {
  if (value === Unset) w.i32(-2)
  else w.bytesValue(value as Uint8Array | null)
}

const writeParameters = (w: Writer, options: Options, values: Values | undefined): void => {
  w.u16(Consistency.toCode(options.consistency))
  const list = values?.values
  const names = values?.names
  w.u8(flagsOf(options) | (list === undefined ? 0 : QueryFlags.VALUES) | (names === undefined ? 0 : QueryFlags.NAMES))
  if (list !== undefined) {
    if (names !== undefined && names.length !== list.length) {
      throw new EncodeError({
        message: `${list.length} values and ${names.length} names: each value needs a name of its own`,
        path: "",
        cqlType: ""
      })
    }
    w.count(list.length, "values")
    for (let i = 0; i < list.length; i++) {
      if (names !== undefined) w.string(names[i]!)
      writeRaw(w, list[i]!)
    }
  }
  writeTail(w, options)
}

/**
 * The frame of an EXECUTE but for its values and its timestamp: everything that is the same each time a statement is
 * executed with the same options, put together once.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExecuteTemplate {
  /** From the header to the count of values. */
  readonly head: Uint8Array
  /** What comes behind the values, but for the timestamp. */
  readonly tail: Uint8Array
  /** Whether {@link writeExecute} adds a timestamp behind the tail. */
  readonly stamped: boolean
}

/**
 * Puts together what is the same each time `count` values are bound to a statement. `stamped` leaves room for a timestamp,
 * which {@link writeExecute} is given; a timestamp among the options wins over it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const executeTemplate = (
  id: Uint8Array,
  options: Options,
  count: number,
  settings: { readonly tracing: boolean; readonly stamped: boolean }
): ExecuteTemplate => {
  const w = new Writer(128)
  const stamped = settings.stamped && options.timestamp === undefined
  Frame.begin(w, Frame.VERSION, settings.tracing ? Frame.Flags.TRACING : 0, 0, Frame.Opcode.EXECUTE)
  w.shortBytes(id)
  w.u16(Consistency.toCode(options.consistency))
  w.u8(flagsOf(options) | (stamped ? QueryFlags.TIMESTAMP : 0) | (count > 0 ? QueryFlags.VALUES : 0))
  if (count > 0) w.count(count, "values")
  const head = w.toUint8Array()
  w.reset()
  writeTail(w, options)
  return { head, tail: w.toUint8Array(), stamped }
}

/**
 * Appends the frame of an EXECUTE, its values encoded straight into the buffer: the way of every prepared statement.
 * Throws `EncodeError` for values that do not fit; nothing is appended then.
 *
 * `timestamp` is the write's time in whole microseconds since 1970, for a template that is `stamped`: a number, because a
 * `bigint` for every request costs more than the rest of the frame.
 *
 * @category encoding
 * @since 0.1.0
 */
export const writeExecute = (
  w: Writer,
  template: ExecuteTemplate,
  encoder: BindEncoder,
  values: ReadonlyArray<unknown>,
  timestamp: number
): void => {
  const { head, tail } = template
  const start = w.pos
  w.ensure(head.length)
  w.bytes.set(head, start)
  w.pos = start + head.length
  const size = tail.length
  try {
    encoder.write(w, values)
    w.ensure(size + 8)
  } catch (error) {
    w.pos = start
    throw error
  }
  for (let i = 0, pos = w.pos; i < size; i++) w.bytes[pos + i] = tail[i]!
  w.pos += size
  if (template.stamped) {
    w.view.setInt32(w.pos, Math.floor(timestamp / 4_294_967_296))
    w.view.setUint32(w.pos + 4, timestamp)
    w.pos += 8
  }
  Frame.end(w, start)
}

const readParameters = (r: Reader): { readonly options: Options; readonly values: Values | undefined } => {
  const consistency = Consistency.fromCode(r.u16())
  const flags = r.u8()
  const named = (flags & QueryFlags.NAMES) !== 0
  let values: Values | undefined
  if ((flags & QueryFlags.VALUES) !== 0) {
    const count = r.count(r.u16(), 4)
    const list: Array<RawValue> = []
    const names: Array<string> = []
    for (let i = 0; i < count; i++) {
      if (named) names.push(r.string())
      list.push(readRaw(r))
    }
    values = named ? { values: list, names } : { values: list }
  }
  const options: { -readonly [K in keyof Options]: Options[K] } = { consistency }
  if ((flags & QueryFlags.SKIP_METADATA) !== 0) options.skipMetadata = true
  if ((flags & QueryFlags.PAGE_SIZE) !== 0) options.pageSize = r.i32()
  if ((flags & QueryFlags.PAGING_STATE) !== 0) options.pagingState = r.bytesValue()
  if ((flags & QueryFlags.SERIAL_CONSISTENCY) !== 0) options.serialConsistency = readSerial(r)
  if ((flags & QueryFlags.TIMESTAMP) !== 0) options.timestamp = r.i64()
  return { options, values }
}

const readSerial = (r: Reader): Consistency.SerialConsistency => {
  const level = Consistency.fromCode(r.u16())
  if (!Consistency.isSerial(level)) throw new DecodeError({ message: `${level} is not a serial consistency` })
  return level
}

const readRaw = (r: Reader): RawValue => {
  const length = r.i32()
  if (length === -1) return null
  if (length === -2) return Unset
  if (length < 0) throw new DecodeError({ message: `invalid value length: ${length}` })
  return r.copy(length)
}

/**
 * What goes around a request's body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Envelope {
  readonly version?: number | undefined
  /** Ask for a trace. */
  readonly tracing?: boolean | undefined
  readonly customPayload?: ReadonlyMap<string, Uint8Array | null> | undefined
}

/**
 * Appends a whole frame. Throws `EncodeError` for what does not fit, the writer's limit included; nothing is appended then.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (w: Writer, stream: number, request: Request, envelope: Envelope = {}): void => {
  const flags = (envelope.tracing === true ? Frame.Flags.TRACING : 0) |
    (envelope.customPayload === undefined ? 0 : Frame.Flags.CUSTOM_PAYLOAD)
  const start = Frame.begin(w, envelope.version ?? Frame.VERSION, flags, stream, OPCODES[request._tag])
  try {
    if (envelope.customPayload !== undefined) w.bytesMap(envelope.customPayload)
    encodeBody(w, request)
  } catch (error) {
    w.pos = start
    throw error
  }
  Frame.end(w, start)
}

const encodeBody = (w: Writer, request: Request): void => {
  switch (request._tag) {
    case "Options":
      break
    case "Startup":
      w.stringMap(request.options)
      break
    case "AuthResponse":
      w.bytesValue(request.token)
      break
    case "Query":
      w.longString(request.query)
      writeParameters(w, request.options, request.values)
      break
    case "Prepare":
      w.longString(request.query)
      break
    case "Execute":
      w.shortBytes(request.id)
      writeParameters(w, request.options, request.values)
      break
    case "Batch":
      w.u8(BATCH_KINDS.indexOf(request.kind))
      w.count(request.entries.length, "statements of a batch: split it")
      for (const entry of request.entries) {
        if (entry._tag === "Text") {
          w.u8(0)
          w.longString(entry.query)
        } else {
          w.u8(1)
          w.shortBytes(entry.id)
        }
        w.count(entry.values.length, "values")
        for (const value of entry.values) writeRaw(w, value)
      }
      w.u16(Consistency.toCode(request.options.consistency))
      w.u8(flagsOf(request.options))
      writeTail(w, request.options)
      break
    case "Register":
      w.stringList(request.events)
      break
  }
}

/**
 * Reads the body of a request, as a server does. Throws `DecodeError`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (
  opcode: number,
  flags: number,
  r: Reader
): { readonly request: Request; readonly envelope: Envelope } => {
  const customPayload = (flags & Frame.Flags.CUSTOM_PAYLOAD) === 0 ? undefined : r.bytesMap()
  return { request: decodeBody(opcode, r), envelope: { tracing: (flags & Frame.Flags.TRACING) !== 0, customPayload } }
}

const decodeBody = (opcode: number, r: Reader): Request => {
  switch (opcode) {
    case Frame.Opcode.OPTIONS:
      return { _tag: "Options" }
    case Frame.Opcode.STARTUP:
      return { _tag: "Startup", options: Object.fromEntries(r.stringMap()) }
    case Frame.Opcode.AUTH_RESPONSE:
      return { _tag: "AuthResponse", token: r.bytesValue() }
    case Frame.Opcode.QUERY:
      return { _tag: "Query", query: r.longString(), ...readParameters(r) }
    case Frame.Opcode.PREPARE:
      return { _tag: "Prepare", query: r.longString() }
    case Frame.Opcode.EXECUTE:
      return { _tag: "Execute", id: r.shortBytes(), ...readParameters(r) }
    case Frame.Opcode.REGISTER:
      return { _tag: "Register", events: r.stringList() }
    case Frame.Opcode.BATCH: {
      const kind = BATCH_KINDS[r.u8()]
      if (kind === undefined) throw new DecodeError({ message: "unknown batch type" })
      const count = r.count(r.u16(), 5)
      const entries: Array<BatchEntry> = []
      for (let i = 0; i < count; i++) {
        const tag = r.u8()
        if (tag > 1) throw new DecodeError({ message: `invalid batch entry kind ${tag}` })
        const query = tag === 0 ? r.longString() : ""
        const id = tag === 1 ? r.shortBytes() : undefined
        const values: Array<RawValue> = []
        const size = r.count(r.u16(), 4)
        for (let v = 0; v < size; v++) values.push(readRaw(r))
        entries.push(id === undefined ? { _tag: "Text", query, values } : { _tag: "Prepared", id, values })
      }
      return { _tag: "Batch", kind, entries, options: readParameters(r).options }
    }
    default:
      throw new DecodeError({ message: `Unknown opcode ${opcode}` })
  }
}
