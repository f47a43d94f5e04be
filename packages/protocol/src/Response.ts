/**
 * Responses, there and back (section 4.2 of native_protocol_v3.spec, v4 and v5).
 *
 * {@link decode} is the general way, for everything that happens once in a while. The path of a request that answers rows
 * reads the prefix with {@link readPrefix} and the rows with a compiled `RowDecoder`.
 *
 * @since 0.1.0
 */
import * as Dialect from "./Dialect.ts"
import * as Frame from "./Frame.ts"
import * as Metadata from "./Metadata.ts"
import { DecodeError } from "./ProtocolError.ts"
import type { Reader } from "./Reader.ts"
import { emptyPage, type Row, type RowDecoder, type RowDecoders } from "./RowDecoder.ts"
import * as ServerError from "./ServerError.ts"
import * as Uuid from "./Uuid.ts"
import type { Writer } from "./Writer.ts"

/**
 * Kinds of RESULT.
 *
 * @category constants
 * @since 0.1.0
 */
export const ResultKind = { VOID: 1, ROWS: 2, SET_KEYSPACE: 3, PREPARED: 4, SCHEMA_CHANGE: 5 } as const

/**
 * A change of the schema, of a RESULT or an EVENT. `name` and `argTypes` are absent for a keyspace, `argTypes` is there
 * for functions and aggregates.
 *
 * @category models
 * @since 0.1.0
 */
export interface SchemaChange {
  /** CREATED, UPDATED or DROPPED. */
  readonly change: string
  /** KEYSPACE, TABLE, TYPE, FUNCTION or AGGREGATE. */
  readonly target: string
  /** The keyspace that changed, or in which something did. */
  readonly keyspace: string
  /** Of the table, type, function or aggregate. */
  readonly name?: string
  /** CQL types of the arguments, which tell overloads apart. */
  readonly argTypes?: ReadonlyArray<string>
}

/**
 * What is in front of any response's body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Prefix {
  /** Of the trace that the request asked for: the key of `system_traces.sessions`. */
  readonly tracingId: Uuid.Uuid | undefined
  /** Texts for people, such as that a batch is large. v4 and later. */
  readonly warnings: ReadonlyArray<string>
  /** What extensions and query handlers of the server add, see `TabletRouting`. */
  readonly customPayload: ReadonlyMap<string, Uint8Array | null> | undefined
}

/**
 * What a PREPARE answers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Prepared {
  readonly _tag: "Prepared"
  /** To be named by every EXECUTE. It is of the server's making, and opaque. */
  readonly id: Uint8Array
  /** The id of `result`, to be named by every EXECUTE; `undefined` where the dialect has no such ids. */
  readonly resultMetadataId: Uint8Array | undefined
  /** What is to be bound. */
  readonly variables: Metadata.PreparedMetadata
  /** What the rows will look like, as far as the server knows. */
  readonly result: Metadata.ResultMetadata
  /** Reads the statement's rows; `undefined` for a statement that announces no columns. */
  readonly decoder: RowDecoder | undefined
}

/**
 * What a server announces to connections that registered for it. A type that this version does not know stays readable.
 *
 * `ClientRoutesChange` names rows of ScyllaDB's `system.client_routes`: pairs of a connection id and a host id, at the same
 * position of both lists.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "TopologyChange"; readonly change: string; readonly address: string; readonly port: number }
  | { readonly _tag: "StatusChange"; readonly change: string; readonly address: string; readonly port: number }
  | { readonly _tag: "SchemaChange"; readonly schema: SchemaChange }
  | {
    readonly _tag: "ClientRoutesChange"
    readonly change: string
    readonly connectionIds: ReadonlyArray<string>
    readonly hostIds: ReadonlyArray<string>
  }
  | { readonly _tag: "UnknownEvent"; readonly type: string }

/**
 * A response.
 *
 * @category models
 * @since 0.1.0
 */
export type Response =
  | { readonly _tag: "Error"; readonly error: ServerError.ServerError }
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Authenticate"; readonly authenticator: string }
  | { readonly _tag: "Supported"; readonly options: ReadonlyMap<string, ReadonlyArray<string>> }
  | { readonly _tag: "AuthChallenge"; readonly token: Uint8Array | null }
  | { readonly _tag: "AuthSuccess"; readonly token: Uint8Array | null }
  | { readonly _tag: "Event"; readonly event: Event }
  | { readonly _tag: "Void" }
  | {
    readonly _tag: "Rows"
    readonly columns: ReadonlyArray<Metadata.Column>
    readonly rows: ReadonlyArray<Row>
    readonly pagingState: Uint8Array | null
    /** There where the request named other metadata (METADATA_CHANGED): the id of `columns`. */
    readonly newMetadataId?: Uint8Array
  }
  | { readonly _tag: "SetKeyspace"; readonly keyspace: string }
  | Prepared
  | { readonly _tag: "SchemaChanged"; readonly schema: SchemaChange }

/**
 * The prefix of a response without any.
 *
 * @category constants
 * @since 0.1.0
 */
export const noPrefix: Prefix = { tracingId: undefined, warnings: [], customPayload: undefined }

const PREFIX_FLAGS = Frame.Flags.TRACING | Frame.Flags.WARNING | Frame.Flags.CUSTOM_PAYLOAD

/**
 * Reads what the header's flags promise in front of the body: tracing id, warnings, custom payload, in this order.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readPrefix = (flags: number, r: Reader): Prefix => {
  if ((flags & Frame.Flags.COMPRESSION) !== 0) {
    throw new DecodeError({ message: "a compressed frame where no compression was agreed on" })
  }
  if ((flags & PREFIX_FLAGS) === 0) return noPrefix
  return {
    tracingId: (flags & Frame.Flags.TRACING) === 0 ? undefined : Uuid.fromBytes(r.bytes, r.take(16)),
    warnings: (flags & Frame.Flags.WARNING) === 0 ? [] : r.stringList(),
    customPayload: (flags & Frame.Flags.CUSTOM_PAYLOAD) === 0 ? undefined : r.bytesMap()
  }
}

/**
 * Reads what changed of the schema, in an event or behind the kind of a result.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readSchemaChange = (r: Reader): SchemaChange => {
  const change = r.string()
  const target = r.string()
  const keyspace = r.string()
  if (target === "KEYSPACE") return { change, target, keyspace }
  const name = r.string()
  return target === "FUNCTION" || target === "AGGREGATE"
    ? { change, target, keyspace, name, argTypes: r.stringList() }
    : { change, target, keyspace, name }
}

const readEvent = (r: Reader): Event => {
  const type = r.string()
  switch (type) {
    case "TOPOLOGY_CHANGE":
      return { _tag: "TopologyChange", change: r.string(), ...r.inet() }
    case "STATUS_CHANGE":
      return { _tag: "StatusChange", change: r.string(), ...r.inet() }
    case "SCHEMA_CHANGE":
      return { _tag: "SchemaChange", schema: readSchemaChange(r) }
    case "CLIENT_ROUTES_CHANGE": {
      const change = r.string()
      const connectionIds = r.stringList()
      const hostIds = r.stringList()
      if (connectionIds.length !== hostIds.length) {
        throw new DecodeError({ message: `${connectionIds.length} connection ids and ${hostIds.length} host ids` })
      }
      return { _tag: "ClientRoutesChange", change, connectionIds, hostIds }
    }
    default:
      return { _tag: "UnknownEvent", type }
  }
}

/**
 * Reads the body of a PREPARED result behind its kind.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readPrepared = (
  r: Reader,
  decoders: RowDecoders,
  dialect: Dialect.Dialect = Dialect.v4
): Prepared => {
  const id = r.shortBytes()
  const resultMetadataId = dialect.metadataIds ? r.shortBytes() : undefined
  const variables = Metadata.readPrepared(r, dialect)
  const { decoder, metadata } = decoders.prepare(r)
  return { _tag: "Prepared", id, resultMetadataId, variables, result: metadata, decoder }
}

const readRows = (r: Reader, decoders: RowDecoders, expected: RowDecoder | undefined): Response => {
  const page = emptyPage()
  const rows = decoders.read(r, expected, page)
  const { newMetadataId, pagingState } = page
  const result = { _tag: "Rows", columns: page.decoder!.columns, rows, pagingState } as const
  return newMetadataId === undefined ? result : { ...result, newMetadataId }
}

const readResult = (
  r: Reader,
  decoders: RowDecoders,
  dialect: Dialect.Dialect,
  expected: RowDecoder | undefined
): Response => {
  const kind = r.i32()
  switch (kind) {
    case ResultKind.VOID:
      return { _tag: "Void" }
    case ResultKind.ROWS:
      return readRows(r, decoders, expected)
    case ResultKind.SET_KEYSPACE:
      return { _tag: "SetKeyspace", keyspace: r.string() }
    case ResultKind.PREPARED:
      return readPrepared(r, decoders, dialect)
    case ResultKind.SCHEMA_CHANGE:
      return { _tag: "SchemaChanged", schema: readSchemaChange(r) }
    default:
      throw new DecodeError({ message: `unknown kind of result ${kind}` })
  }
}

/**
 * Reads the body of a response behind its prefix. Throws `DecodeError`.
 *
 * `dialect` is what the connection speaks. `expected` reads rows that come without metadata.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (
  opcode: number,
  r: Reader,
  decoders: RowDecoders,
  dialect: Dialect.Dialect = Dialect.v4,
  expected?: RowDecoder
): Response => {
  switch (opcode) {
    case Frame.Opcode.ERROR:
      return { _tag: "Error", error: ServerError.read(r, dialect) }
    case Frame.Opcode.READY:
      return { _tag: "Ready" }
    case Frame.Opcode.AUTHENTICATE:
      return { _tag: "Authenticate", authenticator: r.string() }
    case Frame.Opcode.SUPPORTED:
      return { _tag: "Supported", options: r.stringMultimap() }
    case Frame.Opcode.AUTH_CHALLENGE:
      return { _tag: "AuthChallenge", token: r.bytesValue() }
    case Frame.Opcode.AUTH_SUCCESS:
      return { _tag: "AuthSuccess", token: r.bytesValue() }
    case Frame.Opcode.EVENT:
      return { _tag: "Event", event: readEvent(r) }
    case Frame.Opcode.RESULT:
      return readResult(r, decoders, dialect, expected)
    default:
      throw new DecodeError({ message: `unknown opcode 0x${opcode.toString(16)} of a response` })
  }
}

const writeSchemaChange = (w: Writer, schema: SchemaChange): void => {
  w.string(schema.change)
  w.string(schema.target)
  w.string(schema.keyspace)
  if (schema.name !== undefined) w.string(schema.name)
  if (schema.argTypes !== undefined) w.stringList(schema.argTypes)
}

const writeInet = (w: Writer, address: Uint8Array, port: number): void => {
  w.u8(address.length)
  w.raw(address)
  w.i32(port)
}

/**
 * A response as a server writes it. Rows hold bytes: their values are encoded already.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerResponse =
  | Exclude<Response, { readonly _tag: "Rows" | "Prepared" | "Event" }>
  | {
    readonly _tag: "Rows"
    readonly columns: ReadonlyArray<Metadata.Column>
    readonly rows: ReadonlyArray<ReadonlyArray<Uint8Array | null>>
    readonly pagingState?: Uint8Array | null | undefined
    readonly skipMetadata?: boolean | undefined
    /** The id of `columns`, for a request that named another: it sets METADATA_CHANGED, and metadata is not skipped. */
    readonly newMetadataId?: Uint8Array | undefined
    /** `false` repeats the table for every column, as ScyllaDB does. */
    readonly globalSpec?: boolean | undefined
  }
  | {
    readonly _tag: "Prepared"
    readonly id: Uint8Array
    /** The id of `result`, where the dialect has such ids. */
    readonly resultMetadataId?: Uint8Array | undefined
    readonly variables: Omit<Metadata.PreparedMetadata, "flags">
    /** Further bits of the flags, such as ScyllaDB's mark of conditional statements. */
    readonly variableFlags?: number | undefined
    readonly result: ReadonlyArray<Metadata.Column>
    readonly globalSpec?: boolean | undefined
  }
  | { readonly _tag: "SchemaEvent"; readonly schema: SchemaChange }
  | {
    readonly _tag: "ClientRoutesEvent"
    readonly change: string
    readonly connectionIds: ReadonlyArray<string>
    readonly hostIds: ReadonlyArray<string>
  }
  | {
    readonly _tag: "NodeEvent"
    readonly type: "TOPOLOGY_CHANGE" | "STATUS_CHANGE"
    readonly change: string
    readonly address: Uint8Array
    readonly port: number
  }

const SERVER_OPCODES: Record<ServerResponse["_tag"], number> = {
  Error: Frame.Opcode.ERROR,
  Ready: Frame.Opcode.READY,
  Authenticate: Frame.Opcode.AUTHENTICATE,
  Supported: Frame.Opcode.SUPPORTED,
  AuthChallenge: Frame.Opcode.AUTH_CHALLENGE,
  AuthSuccess: Frame.Opcode.AUTH_SUCCESS,
  SchemaEvent: Frame.Opcode.EVENT,
  ClientRoutesEvent: Frame.Opcode.EVENT,
  NodeEvent: Frame.Opcode.EVENT,
  Void: Frame.Opcode.RESULT,
  Rows: Frame.Opcode.RESULT,
  SetKeyspace: Frame.Opcode.RESULT,
  Prepared: Frame.Opcode.RESULT,
  SchemaChanged: Frame.Opcode.RESULT
}

/**
 * Appends the whole frame of a response, as a server writes it: in the older versions errors that they do not have as the
 * nearest that they have, and on v3 no warnings.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (
  w: Writer,
  stream: number,
  response: ServerResponse,
  prefix: Partial<Prefix> = noPrefix,
  dialect: Dialect.Dialect = Dialect.v4
): void => {
  const warnings = dialect.version < 4 ? [] : prefix.warnings ?? []
  const flags = (prefix.tracingId === undefined ? 0 : Frame.Flags.TRACING) |
    (warnings.length === 0 ? 0 : Frame.Flags.WARNING) |
    (prefix.customPayload === undefined ? 0 : Frame.Flags.CUSTOM_PAYLOAD)
  const start = Frame.begin(w, dialect.version | Frame.RESPONSE_BIT, flags, stream, SERVER_OPCODES[response._tag])
  try {
    if (prefix.tracingId !== undefined) w.raw(prefix.tracingId.toBytes())
    if (warnings.length > 0) w.stringList(warnings)
    if (prefix.customPayload !== undefined) w.bytesMap(prefix.customPayload)
    encodeBody(w, response, dialect)
  } catch (error) {
    w.pos = start
    throw error
  }
  Frame.end(w, start)
}

const NO_ID = new Uint8Array(0)

const encodeBody = (w: Writer, response: ServerResponse, dialect: Dialect.Dialect): void => {
  switch (response._tag) {
    case "Ready":
      return
    case "Error":
      return ServerError.write(w, response.error, dialect)
    case "Authenticate":
      return w.string(response.authenticator)
    case "Supported":
      return w.stringMultimap(response.options)
    case "AuthChallenge":
    case "AuthSuccess":
      return w.bytesValue(response.token)
    case "SchemaEvent":
      w.string("SCHEMA_CHANGE")
      return writeSchemaChange(w, response.schema)
    case "ClientRoutesEvent":
      w.string("CLIENT_ROUTES_CHANGE")
      w.string(response.change)
      w.stringList(response.connectionIds)
      return w.stringList(response.hostIds)
    case "NodeEvent":
      w.string(response.type)
      w.string(response.change)
      return writeInet(w, response.address, response.port)
    case "Void":
      return w.i32(ResultKind.VOID)
    case "SetKeyspace":
      w.i32(ResultKind.SET_KEYSPACE)
      return w.string(response.keyspace)
    case "SchemaChanged":
      w.i32(ResultKind.SCHEMA_CHANGE)
      return writeSchemaChange(w, response.schema)
    case "Prepared":
      w.i32(ResultKind.PREPARED)
      w.shortBytes(response.id)
      if (dialect.metadataIds) w.shortBytes(response.resultMetadataId ?? NO_ID)
      Metadata.writePrepared(w, response.variables, response.variableFlags, dialect)
      // A statement that answers no rows is announced as a result without metadata.
      return Metadata.writeResult(w, response.result, {
        skip: response.result.length === 0,
        global: response.globalSpec
      })
    case "Rows":
      w.i32(ResultKind.ROWS)
      Metadata.writeResult(w, response.columns, {
        pagingState: response.pagingState,
        newId: response.newMetadataId,
        skip: response.skipMetadata,
        global: response.globalSpec
      })
      w.i32(response.rows.length)
      for (const row of response.rows) {
        for (const cell of row) w.bytesValue(cell)
      }
  }
}
