/**
 * A canned CQL server in a process of its own: prints `ready <port>`, exits when stdin closes.
 *
 * It speaks protocol v4 and answers the two prepared statements of the benchmark with frames made beforehand, so that its
 * cost is small beside a client's. Everything else (handshake, system tables) takes the slow path through
 * `@effect-scylla/protocol`. With `--metadata-ids` it offers ScyllaDB's extension of that name, and leaves metadata out for
 * connections that took it and ask so.
 */
import {
  Codec,
  CqlType,
  Dialect,
  Features,
  Frame,
  type Metadata,
  Reader,
  Request,
  Response,
  ServerError,
  Writer
} from "@effect-scylla/protocol"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { INSERT, PAGE_ROWS, PAGES, row, SELECT, SELECT_PAGES, SELECT_TEXT } from "../cql/workload.ts"
import { parseQuery, type Query } from "./tables.ts"

const column = (name: string, type: CqlType.ScalarName): Metadata.Column => ({
  keyspace: "ks",
  table: "t",
  name,
  type: CqlType.scalar(type)
})
const columns = [column("id", "uuid"), column("name", "text"), column("age", "int"), column("score", "bigint")]

interface Prepared {
  readonly id: Uint8Array
  readonly variables: Omit<Metadata.PreparedMetadata, "flags">
  readonly result: ReadonlyArray<Metadata.Column>
  /** Absent for the benchmark's two statements, which have a canned frame. */
  readonly query?: Query
}

/** 16 bytes as Cassandra's ids have, of which the last four number the statement. */
const idSize = 16
const idMagic = Buffer.from("canned-bench")
const statementId = (index: number): Uint8Array => {
  const id = Buffer.alloc(idSize)
  idMagic.copy(id)
  id.writeUInt32BE(index, idSize - 4)
  return id
}

/** Prepared statements by number; the benchmark's are the first two, as `canned` has their answers. */
const statements: Array<Prepared> = [
  { id: statementId(0), variables: { partitionKey: [0], columns: [columns[0]!] }, result: columns },
  { id: statementId(1), variables: { partitionKey: [0], columns }, result: [] }
]
const numbers = new Map([[SELECT, 0], [INSERT, 1]])

const offersIds = process.argv.includes("--metadata-ids")
const withIds = Dialect.make(4, { metadataIds: true })

/** Of a statement's result: opaque to clients, so any 16 bytes do. */
const resultId = (index: number): Uint8Array => statementId(index).toReversed()

const frame = (response: Response.ServerResponse): Uint8Array => {
  const w = new Writer.Writer()
  Response.encode(w, 0, response)
  return w.toUint8Array()
}

const oneRow = {
  _tag: "Rows",
  columns,
  rows: [columns.map(({ name, type }) => Codec.encode(type, row[name as keyof typeof row]))]
} as const

/** The rows of a page of {@link SELECT_PAGES}: what there is of them in all is a page for each number of `PAGES`. */
const pageRows = Array.from({ length: PAGE_ROWS }, () => oneRow.rows[0]!)

/** The page behind a state, which is the number of the next one. */
const pageOf = (state: Uint8Array | null | undefined): Response.ServerResponse => {
  const number = state === null || state === undefined ? 0 : state[0]!
  const pagingState = number + 1 < PAGES ? Uint8Array.of(number + 1) : null
  return { _tag: "Rows", columns, rows: pageRows, pagingState }
}

/** Whole frames with stream id 0, by the number of the statement. Each carries metadata, as plain v4 wants. */
const canned: ReadonlyArray<Uint8Array> = [frame(oneRow), frame({ _tag: "Void" })]
/** The same without metadata. */
const cannedBare: ReadonlyArray<Uint8Array> = [frame({ ...oneRow, skipMetadata: true }), frame({ _tag: "Void" })]

const invalid = (message: string): Response.ServerResponse => ({
  _tag: "Error",
  error: new ServerError.InvalidRequest({ message, code: 0x2200 })
})

const protocolError = (message: string): Response.ServerResponse => ({
  _tag: "Error",
  error: new ServerError.ProtocolError({ message, code: 0x000a })
})

const rowsOf = (query: Query, values: ReadonlyArray<Request.RawValue>): Response.ServerResponse => ({
  _tag: "Rows",
  columns: query.result,
  rows: query.rows(values.map((value) => value instanceof Uint8Array ? value : null))
})

const prepare = (text: string): Response.ServerResponse => {
  let index = numbers.get(text)
  if (index === undefined) {
    const query = parseQuery(text)
    if (typeof query === "string") return invalid(query)
    const { result, variables } = query
    index = statements.length
    statements.push({ id: statementId(index), variables: { partitionKey: [], columns: variables }, result, query })
    numbers.set(text, index)
  }
  const { id, result, variables } = statements[index]!
  return { _tag: "Prepared", id, resultMetadataId: resultId(index), variables, result }
}

const SKIP_METADATA = 0x02
const skipRefused = "this benchmark is plain v4, where nobody may skip metadata: a table may have changed"

const execute = (
  request: Request.Request & { readonly _tag: "Execute" },
  dialect: Dialect.Dialect
): Response.ServerResponse => {
  const index = statements.findIndex(({ id }) => Buffer.compare(id, request.id) === 0)
  const statement = statements[index]
  if (statement === undefined) {
    return { _tag: "Error", error: new ServerError.Unprepared({ message: "unknown id", code: 0x2500, id: request.id }) }
  }
  // The right ones took the fast path.
  if (statement.query === undefined) {
    // Of a client that knows no id yet.
    if (dialect.metadataIds) return index === 0 ? { ...oneRow, newMetadataId: resultId(index) } : { _tag: "Void" }
    return invalid(request.options.skipMetadata === true ? skipRefused : "the canned server knows only plain EXECUTE")
  }
  return rowsOf(statement.query, request.values?.values ?? [])
}

const supported = new Map([
  ["CQL_VERSION", ["3.4.7"]],
  ["COMPRESSION", []],
  ["PROTOCOL_VERSIONS", ["4/v4"]],
  ...offersIds ? [[Features.METADATA_ID, [""]] as const] : []
])

const answer = (request: Request.Request, dialect: Dialect.Dialect): Response.ServerResponse => {
  switch (request._tag) {
    case "Options":
      return { _tag: "Supported", options: supported }
    case "Startup":
      return request.options["COMPRESSION"] === undefined
        ? { _tag: "Ready" }
        : protocolError(`Unknown compression algorithm: ${request.options["COMPRESSION"]}`)
    case "Register":
      return { _tag: "Ready" }
    case "Prepare":
      return prepare(request.query)
    case "Execute":
      return execute(request, dialect)
    case "Query": {
      const use = /^\s*USE\s+"?(\w+)"?\s*;?\s*$/i.exec(request.query)
      if (use !== null) {
        return use[1]!.toLowerCase() === "ks"
          ? { _tag: "SetKeyspace", keyspace: "ks" }
          : invalid(`Keyspace '${use[1]}' does not exist`)
      }
      if (request.query === SELECT_PAGES) return pageOf(request.options.pagingState)
      const query = parseQuery(request.query)
      return typeof query === "string" ? invalid(query) : rowsOf(query, request.values?.values ?? [])
    }
    case "Batch":
    case "AuthResponse":
      return invalid(`the canned server does not answer ${request._tag}`)
  }
}

const OUT_SIZE = 1024 * 1024
/** Where in an EXECUTE frame the statement's number and the query flags are. */
const NUMBER_AT = Frame.HEADER_SIZE + 2 + idSize - 4
const FLAGS_AT = NUMBER_AT + 4 + 2
/** Where metadata ids are: the id of the result's metadata, in front of the consistency. */
const RESULT_ID_AT = NUMBER_AT + 4
const FLAGS_BEHIND_AT = FLAGS_AT + 2 + idSize
const resultIds = [0, 1].map(resultId)
const TEXT = Buffer.from(SELECT_TEXT)

class Connection {
  private readonly socket: Socket
  private out = Buffer.allocUnsafeSlow(OUT_SIZE)
  private outEnd = 0
  private carry: Buffer | undefined
  private closed = false
  private dialect = Dialect.v4

  constructor(socket: Socket) {
    this.socket = socket
  }

  onData(chunk: Buffer): void {
    if (this.closed) return
    const bytes = this.carry === undefined ? chunk : Buffer.concat([this.carry, chunk])
    this.carry = undefined
    const end = bytes.length
    let pos = 0
    while (end - pos >= Frame.HEADER_SIZE) {
      const version = bytes[pos]!
      if (version !== Frame.VERSION) return this.refuse(version, (bytes[pos + 2]! << 8) | bytes[pos + 3]!)
      const size = (bytes[pos + 5]! << 24) | (bytes[pos + 6]! << 16) | (bytes[pos + 7]! << 8) | bytes[pos + 8]!
      const next = pos + Frame.HEADER_SIZE + size
      if (next > end) break
      if (!this.fast(bytes, pos, size) && !this.fastText(bytes, pos, size) && !this.fastBatch(bytes, pos)) {
        this.slow(bytes, pos, next)
      }
      pos = next
    }
    if (pos < end) this.carry = bytes.subarray(pos)
    this.flush()
  }

  /** EXECUTE of one of the two statements: looks at the id and at one byte of flags. */
  private fast(bytes: Buffer, pos: number, size: number): boolean {
    const { metadataIds } = this.dialect
    const flagsAt = metadataIds ? FLAGS_BEHIND_AT : FLAGS_AT
    if (bytes[pos + 4] !== Frame.Opcode.EXECUTE || bytes[pos + 1] !== 0 || size <= flagsAt - Frame.HEADER_SIZE) {
      return false
    }
    const at = pos + NUMBER_AT
    const number = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    if (bytes[pos + Frame.HEADER_SIZE + 1] !== idSize || number < 0 || number >= canned.length) return false
    const skips = (bytes[pos + flagsAt]! & SKIP_METADATA) !== 0
    if (metadataIds ? !this.names(number, bytes, pos + RESULT_ID_AT) : skips) return false
    this.copy((skips ? cannedBare : canned)[number]!, bytes, pos)
    return true
  }

  /** Any BATCH without flags is done. */
  private fastBatch(bytes: Buffer, pos: number): boolean {
    if (bytes[pos + 4] !== Frame.Opcode.BATCH || bytes[pos + 1] !== 0) return false
    this.copy(canned[1]!, bytes, pos)
    return true
  }

  /** A canned frame on the stream of the request at `pos`. */
  private copy(frame: Uint8Array, bytes: Buffer, pos: number): void {
    this.reserve(frame.length)
    const { out, outEnd } = this
    out.set(frame, outEnd)
    out[outEnd + 2] = bytes[pos + 2]!
    out[outEnd + 3] = bytes[pos + 3]!
    this.outEnd = outEnd + frame.length
  }

  /** QUERY of the one text that has a canned frame. */
  private fastText(bytes: Buffer, pos: number, size: number): boolean {
    const from = pos + Frame.HEADER_SIZE + 4
    if (bytes[pos + 4] !== Frame.Opcode.QUERY || bytes[pos + 1] !== 0 || size < TEXT.length + 7) return false
    if (TEXT.compare(bytes, from, from + TEXT.length) !== 0) return false
    this.copy(canned[0]!, bytes, pos)
    return true
  }

  /** Whether the metadata that a request names is that of the statement's result. */
  private names(number: number, bytes: Buffer, at: number): boolean {
    const id = resultIds[number]!
    if (bytes[at + 1] !== idSize) return false
    for (let i = 0; i < idSize; i++) if (bytes[at + 2 + i] !== id[i]) return false
    return true
  }

  private slow(bytes: Buffer, pos: number, end: number): void {
    const body = Reader.Reader.from(bytes.subarray(pos + Frame.HEADER_SIZE, end))
    this.write((bytes[pos + 2]! << 8) | bytes[pos + 3]!, this.respond(bytes[pos + 4]!, bytes[pos + 1]!, body))
  }

  private respond(opcode: number, flags: number, body: Reader.Reader): Response.ServerResponse {
    try {
      const { request } = Request.decode(opcode, flags, body, this.dialect)
      if (request._tag === "Startup" && offersIds && request.options[Features.METADATA_ID] !== undefined) {
        this.dialect = withIds
      }
      return answer(request, this.dialect)
    } catch (error) {
      return protocolError((error as Error).message)
    }
  }

  private write(stream: number, response: Response.ServerResponse): void {
    const w = new Writer.Writer()
    Response.encode(w, stream, response, {}, this.dialect)
    this.reserve(w.pos)
    this.out.set(w.bytes.subarray(0, w.pos), this.outEnd)
    this.outEnd += w.pos
  }

  /** Any other version is refused with a v4 header, as a server that knows only v4 does; clients then come down to it. */
  private refuse(version: number, stream: number): void {
    this.closed = true
    const number = version & 0x7f
    this.write(
      // Before v3 the header had no such stream id.
      number < 3 ? 0 : stream,
      protocolError(`Invalid or unsupported protocol version: ${number}`)
    )
    this.flush()
    this.socket.end()
  }

  private reserve(size: number): void {
    if (this.outEnd + size > OUT_SIZE) this.flush()
  }

  private flush(): void {
    if (this.outEnd === 0) return
    this.socket.write(this.out.subarray(0, this.outEnd))
    // The kernel did not take everything: the bytes still belong to the socket.
    if (this.socket.writableLength > 0) this.out = Buffer.allocUnsafeSlow(OUT_SIZE)
    this.outEnd = 0
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  const connection = new Connection(socket)
  socket.on("data", (chunk: Buffer) => connection.onData(chunk))
  // A client that goes away mid-flight is none of our business.
  socket.on("error", () => socket.destroy())
})
server.listen(0, "127.0.0.1", () => console.log(`ready ${(server.address() as AddressInfo).port}`))

process.stdin.on("end", () => process.exit(0))
process.stdin.resume()
