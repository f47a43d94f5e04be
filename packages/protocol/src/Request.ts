/**
 * Requests, there and back (section 4.1 of native_protocol_v3.spec, v4 and v5).
 *
 * What a version does not have is refused with an `EncodeError` before a byte is kept: `Unset` and custom payloads on v3,
 * the keyspace and the time of a single request before v5.
 *
 * @since 0.1.0
 */
import type { BindEncoder } from "./BindEncoder.ts"
import * as Consistency from "./Consistency.ts"
import * as Dialect from "./Dialect.ts"
import * as Frame from "./Frame.ts"
import {
  BATCH_FLAGS,
  checkUnset,
  flagsOf,
  type Mutable,
  type Options,
  QueryFlags,
  type RawValue,
  readFlags,
  readOptions,
  readParameters,
  readRaw,
  tooOld,
  type Values,
  writeEnd,
  writeFlags,
  writeParameters,
  writeRaw,
  writeTail,
  writeTimestamp,
  wrongOption
} from "./internal/parameters.ts"
import { DecodeError } from "./ProtocolError.ts"
import type { Reader } from "./Reader.ts"
import { Writer } from "./Writer.ts"

export type { Options, RawValue, Values }

/**
 * One statement of a batch. Its values have no names: no version can carry them there (the flag that announces them comes
 * behind the statements).
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
 * What an EVENT registration may name. `CLIENT_ROUTES_CHANGE` is ScyllaDB's, since 2026.1; a server that does not know it
 * answers 0x000A and keeps what was named before it.
 *
 * @category models
 * @since 0.1.0
 */
export type EventType = "TOPOLOGY_CHANGE" | "STATUS_CHANGE" | "SCHEMA_CHANGE" | "CLIENT_ROUTES_CHANGE"

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
  | {
    readonly _tag: "Prepare"
    readonly query: string
    /** The keyspace of unqualified names, instead of the connection's. v5 only. */
    readonly keyspace?: string | undefined
  }
  | {
    readonly _tag: "Execute"
    readonly id: Uint8Array
    /** Of the metadata that is known for the results, where the dialect has such ids; absent where none is known. */
    readonly resultMetadataId?: Uint8Array | undefined
    /**
     * The tablet version block, where the dialect has them: an index of 0 to 15 in the upper half of the byte, and in the
     * lower half this nibble, 0 the least significant, of the version that is known of the tablet. Any byte where none is
     * known. Default 0.
     */
    readonly tabletBlock?: number | undefined
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

/** The only flag of a PREPARE, v5. */
const PREPARE_KEYSPACE = 0x01

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
  /** What comes behind the values, up to the timestamp. */
  readonly tail: Uint8Array
  /** Whether {@link writeExecute} adds a timestamp behind the tail. */
  readonly stamped: boolean
  /** What only some dialects and options have; most templates have nothing of it. */
  readonly special: ExecuteSpecial | undefined
}

/**
 * Of an {@link ExecuteTemplate}, what is off the path that all requests take.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExecuteSpecial {
  /** What values are checked against: v3 has no Unset. */
  readonly dialect: Dialect.Dialect
  /** What comes behind the timestamp, and a last byte for the tablet version block if the dialect has one. */
  readonly rest: Uint8Array
}

/**
 * What a template is made for besides the statement and its options.
 *
 * @category models
 * @since 0.1.0
 */
export interface TemplateSettings {
  /** Ask for a trace. */
  readonly tracing: boolean
  /** Leave room for a timestamp, which {@link writeExecute} is given; a timestamp among the options wins over it. */
  readonly stamped: boolean
  /** Of the connections that it is used on. Default v4 without extensions. */
  readonly dialect?: Dialect.Dialect | undefined
  /** The id of the result metadata that PREPARED or the last METADATA_CHANGED gave, where the dialect has such ids. */
  readonly resultMetadataId?: Uint8Array | undefined
  /** Sent with every EXECUTE. v4 and later. */
  readonly customPayload?: ReadonlyMap<string, Uint8Array | null> | undefined
}

const NOTHING = new Uint8Array(0)

/**
 * Puts together what is the same each time `count` values are bound to a statement. Throws `EncodeError` for what the
 * dialect's version does not have.
 *
 * @category constructors
 * @since 0.1.0
 */
export const executeTemplate = (
  id: Uint8Array,
  options: Options,
  count: number,
  settings: TemplateSettings
): ExecuteTemplate => {
  const w = new Writer(128)
  const { customPayload, dialect = Dialect.v4 } = settings
  const stamped = settings.stamped && options.timestamp === undefined
  Frame.begin(w, dialect.version, headerFlags(settings, dialect), 0, Frame.Opcode.EXECUTE)
  if (customPayload !== undefined) w.bytesMap(customPayload)
  w.shortBytes(id)
  if (dialect.metadataIds) w.shortBytes(settings.resultMetadataId ?? NOTHING)
  w.u16(Consistency.toCode(options.consistency))
  const flags = flagsOf(options) | (stamped ? QueryFlags.TIMESTAMP : 0) | (count > 0 ? QueryFlags.VALUES : 0)
  writeFlags(w, flags, dialect)
  if (count > 0) w.count(count, "values")
  const head = w.toUint8Array()
  w.reset()
  writeTail(w, options)
  const tail = w.toUint8Array()
  w.reset()
  writeEnd(w, options)
  if (dialect.tabletVersions) w.u8(0)
  const special = w.pos > 0 || dialect.version < 4 ? { dialect, rest: w.toUint8Array() } : undefined
  return { head, tail, stamped, special }
}

/**
 * Appends the frame of an EXECUTE, its values encoded straight into the buffer: the way of every prepared statement.
 * Throws `EncodeError` for values that do not fit; nothing is appended then.
 *
 * `timestamp` is the write's time in whole microseconds since 1970, for a template that is `stamped`: a number, because a
 * `bigint` for every request costs more than the rest of the frame. Where the dialect has tablet version blocks,
 * {@link setTabletBlock} comes behind this.
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
  if (template.stamped) writeTimestamp(w, timestamp)
  if (template.special !== undefined) writeSpecial(w, template.special, encoder, values, start)
  Frame.end(w, start)
}

const writeSpecial = (
  w: Writer,
  { dialect, rest }: ExecuteSpecial,
  encoder: BindEncoder,
  values: ReadonlyArray<unknown>,
  start: number
): void => {
  try {
    checkUnset(values, dialect, (i) => encoder.columns[i]?.name)
    w.raw(rest)
  } catch (error) {
    w.pos = start
    throw error
  }
}

/**
 * Sets the tablet version block of the EXECUTE that {@link writeExecute} just appended, 0 until then; for a dialect that has
 * one. A call of its own, as a further parameter of `writeExecute` costs every request 2.5 ns (measured).
 *
 * @category encoding
 * @since 0.1.0
 */
export const setTabletBlock = (w: Writer, block: number): void => {
  w.bytes[w.pos - 1] = block
}

/**
 * The frame of a QUERY without values but for its text and its timestamp.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueryTemplate {
  readonly version: Dialect.Version
  /** Of the header. */
  readonly flags: number
  /** What comes before the text: a custom payload; empty in most cases. */
  readonly head: Uint8Array
  /** What comes behind the text, up to the timestamp. */
  readonly middle: Uint8Array
  /** Whether {@link writeQuery} adds a timestamp there. */
  readonly stamped: boolean
  /** What comes behind the timestamp. */
  readonly rest: Uint8Array
}

/**
 * Puts together what is the same for all texts that are sent with the same options. Throws `EncodeError` for what the dialect's
 * version does not have.
 *
 * @category constructors
 * @since 0.1.0
 */
export const queryTemplate = (
  options: Options,
  settings: Omit<TemplateSettings, "resultMetadataId">
): QueryTemplate => {
  const w = new Writer(64)
  const { dialect = Dialect.v4 } = settings
  const stamped = settings.stamped && options.timestamp === undefined
  const flags = headerFlags(settings, dialect)
  const head = payloadHead(settings)
  w.u16(Consistency.toCode(options.consistency))
  writeFlags(w, flagsOf(options) | (stamped ? QueryFlags.TIMESTAMP : 0), dialect)
  writeTail(w, options)
  const middle = w.toUint8Array()
  w.reset()
  writeEnd(w, options)
  return { version: dialect.version, flags, head, middle, stamped, rest: w.toUint8Array() }
}

/**
 * Appends the frame of a QUERY without values; `timestamp` as for {@link writeExecute}. Throws `EncodeError` for a text that
 * does not fit; nothing is appended then.
 *
 * @category encoding
 * @since 0.1.0
 */
export const writeQuery = (w: Writer, template: QueryTemplate, query: string, timestamp: number): void => {
  const { flags, head, middle, rest, stamped, version } = template
  const start = Frame.begin(w, version, flags, 0, Frame.Opcode.QUERY)
  try {
    w.raw(head)
    w.longString(query)
    w.raw(middle)
    if (stamped) {
      w.ensure(8)
      writeTimestamp(w, timestamp)
    }
    w.raw(rest)
  } catch (error) {
    w.pos = start
    throw error
  }
  Frame.end(w, start)
}

/**
 * What goes around a request's body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Envelope {
  /** What the connection speaks. Default v4 without extensions. */
  readonly dialect?: Dialect.Dialect | undefined
  /** Ask for a trace. */
  readonly tracing?: boolean | undefined
  /** v4 and later. */
  readonly customPayload?: ReadonlyMap<string, Uint8Array | null> | undefined
}

/** What a custom payload is on the wire, before the rest of a body; nothing where there is none. @internal */
export const payloadHead = ({ customPayload }: Pick<Envelope, "customPayload">): Uint8Array => {
  if (customPayload === undefined) return NOTHING
  const w = new Writer(64)
  w.bytesMap(customPayload)
  return w.toUint8Array()
}

/** Of the header of a request. Throws `EncodeError` for what the version does not have. @internal */
export const headerFlags = (
  envelope: Pick<Envelope, "tracing" | "customPayload">,
  dialect: Dialect.Dialect
): number => {
  if (envelope.customPayload !== undefined && dialect.version < 4) throw tooOld("a custom payload", 4, dialect)
  return (envelope.tracing === true ? Frame.Flags.TRACING : 0) |
    (envelope.customPayload === undefined ? 0 : Frame.Flags.CUSTOM_PAYLOAD)
}

/**
 * Appends a whole frame. Throws `EncodeError` for what does not fit, the writer's limit included; nothing is appended then.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (w: Writer, stream: number, request: Request, envelope: Envelope = {}): void => {
  const { customPayload, dialect = Dialect.v4 } = envelope
  const start = Frame.begin(w, dialect.version, headerFlags(envelope, dialect), stream, OPCODES[request._tag])
  try {
    if (customPayload !== undefined) w.bytesMap(customPayload)
    encodeBody(w, request, dialect)
  } catch (error) {
    w.pos = start
    throw error
  }
  Frame.end(w, start)
}

/** Only what a batch can have, whatever else the object holds. */
const batchOptions = ({ consistency, keyspace, nowInSeconds, serialConsistency, timestamp }: Options): Options => ({
  consistency,
  keyspace,
  nowInSeconds,
  serialConsistency,
  timestamp
})

const encodeBody = (w: Writer, request: Request, dialect: Dialect.Dialect): void => {
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
      writeParameters(w, request.options, request.values, dialect)
      break
    case "Prepare":
      w.longString(request.query)
      if (dialect.version >= 5) w.i32(request.keyspace === undefined ? 0 : PREPARE_KEYSPACE)
      if (request.keyspace !== undefined) {
        if (dialect.version < 5) throw tooOld("the keyspace of a PREPARE", 5, dialect)
        w.string(request.keyspace)
      }
      break
    case "Execute":
      w.shortBytes(request.id)
      if (dialect.metadataIds) w.shortBytes(request.resultMetadataId ?? NOTHING)
      writeParameters(w, request.options, request.values, dialect)
      if (dialect.tabletVersions) w.u8(request.tabletBlock ?? 0)
      break
    case "Batch":
      if (!BATCH_KINDS.includes(request.kind)) {
        throw wrongOption("kind of the batch", request.kind, "logged, unlogged or counter")
      }
      w.u8(BATCH_KINDS.indexOf(request.kind))
      w.count(request.entries.length, "statements of a batch: split it")
      for (let n = 0; n < request.entries.length; n++) {
        const entry = request.entries[n]!
        if (entry._tag === "Text") {
          w.u8(0)
          w.longString(entry.query)
        } else {
          w.u8(1)
          w.shortBytes(entry.id)
        }
        w.count(entry.values.length, "values")
        checkUnset(entry.values, dialect, (i) => `statement ${n + 1}, value ${i + 1}`)
        for (const value of entry.values) writeRaw(w, value)
      }
      writeParameters(w, batchOptions(request.options), undefined, dialect)
      break
    case "Register":
      w.stringList(request.events)
      break
  }
}

/**
 * Reads the body of a request, as a server does; `dialect` is what the connection speaks. Throws `DecodeError`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (
  opcode: number,
  flags: number,
  r: Reader,
  dialect: Dialect.Dialect = Dialect.v4
): { readonly request: Request; readonly envelope: Envelope } => {
  const customPayload = (flags & Frame.Flags.CUSTOM_PAYLOAD) === 0 ? undefined : r.bytesMap()
  return {
    request: decodeBody(opcode, r, dialect),
    envelope: { tracing: (flags & Frame.Flags.TRACING) !== 0, customPayload }
  }
}

const decodePrepare = (r: Reader, dialect: Dialect.Dialect): Request => {
  const query = r.longString()
  const flags = dialect.version >= 5 ? r.i32() : 0
  if ((flags & ~PREPARE_KEYSPACE) !== 0) throw new DecodeError({ message: `unknown flags of a PREPARE: ${flags}` })
  return (flags & PREPARE_KEYSPACE) === 0
    ? { _tag: "Prepare", query }
    : { _tag: "Prepare", query, keyspace: r.string() }
}

const decodeExecute = (r: Reader, dialect: Dialect.Dialect): Request => {
  const id = r.shortBytes()
  const resultMetadataId = dialect.metadataIds ? r.shortBytes() : undefined
  const request: Mutable<Extract<Request, { readonly _tag: "Execute" }>> = {
    _tag: "Execute",
    id,
    ...readParameters(r, dialect)
  }
  if (resultMetadataId !== undefined) request.resultMetadataId = resultMetadataId
  if (dialect.tabletVersions) request.tabletBlock = r.u8()
  return request
}

const decodeBody = (opcode: number, r: Reader, dialect: Dialect.Dialect): Request => {
  switch (opcode) {
    case Frame.Opcode.OPTIONS:
      return { _tag: "Options" }
    case Frame.Opcode.STARTUP:
      return { _tag: "Startup", options: Object.fromEntries(r.stringMap()) }
    case Frame.Opcode.AUTH_RESPONSE:
      return { _tag: "AuthResponse", token: r.bytesValue() }
    case Frame.Opcode.QUERY:
      return { _tag: "Query", query: r.longString(), ...readParameters(r, dialect) }
    case Frame.Opcode.PREPARE:
      return decodePrepare(r, dialect)
    case Frame.Opcode.EXECUTE:
      return decodeExecute(r, dialect)
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
        for (let v = 0; v < size; v++) values.push(readRaw(r, dialect))
        entries.push(id === undefined ? { _tag: "Text", query, values } : { _tag: "Prepared", id, values })
      }
      const consistency = Consistency.fromCode(r.u16())
      return { _tag: "Batch", kind, entries, options: readOptions(r, consistency, readFlags(r, dialect, BATCH_FLAGS)) }
    }
    default:
      throw new DecodeError({ message: `Unknown opcode ${opcode}` })
  }
}
