/** Answers of servers as they are on the wire, in a form that can be compared and printed. */
import { Consistency, CqlType, Metadata, Reader, Response, ServerError } from "@effect-scylla/protocol"
import { Buffer } from "node:buffer"
import { plain, type RawClient, type RawFrame } from "./rawClient.ts"

/** What a server answered, in the form of the recordings: cells as hex, types as they are on the wire. */
export interface Answer {
  readonly kind?: string
  readonly [key: string]: unknown
}

const NAMES = new Map<number, string>(Object.entries(CqlType.SCALAR_CODES).map(([name, code]) => [code, name]))

/** A type as it is on the wire: what comes as the name of a class stays one. */
const readType = (r: Reader.Reader): string => {
  const code = r.u16()
  const types = (): string => Array.from({ length: r.u16() }, () => readType(r)).join(", ")
  switch (code) {
    case 0x00:
      return `'${r.string()}'`
    case 0x20:
      return `list<${readType(r)}>`
    case 0x21:
      return `map<${readType(r)}, ${readType(r)}>`
    case 0x22:
      return `set<${readType(r)}>`
    case 0x30: {
      const name = `${r.string()}.${r.string()}`
      const fields = Array.from({ length: r.u16() }, () => `${r.string()} ${readType(r)}`)
      return `udt<${name}: ${fields.join(", ")}>`
    }
    case 0x31:
      return `tuple<${types()}>`
    default:
      return NAMES.get(code) ?? `type ${code}`
  }
}

interface WireColumn {
  readonly keyspace: string
  readonly table: string
  readonly name: string
  readonly type: string
}

const readColumns = (r: Reader.Reader, flags: number, count: number): ReadonlyArray<WireColumn> => {
  const isGlobal = (flags & Metadata.Flags.GLOBAL_TABLES_SPEC) !== 0
  const shared = isGlobal ? { keyspace: r.string(), table: r.string() } : undefined
  return Array.from({ length: count }, () => {
    const owner = shared ?? { keyspace: r.string(), table: r.string() }
    return { ...owner, name: r.string(), type: readType(r) }
  })
}

const readResult = (r: Reader.Reader) => {
  const flags = r.i32()
  const columnCount = r.i32()
  const pagingState = (flags & Metadata.Flags.HAS_MORE_PAGES) !== 0 ? r.bytesValue() : null
  if ((flags & Metadata.Flags.METADATA_CHANGED) !== 0) r.shortBytes()
  const columns = (flags & Metadata.Flags.NO_METADATA) !== 0 ? [] : readColumns(r, flags, columnCount)
  return { columnCount, pagingState, columns }
}

const readPrepared = (r: Reader.Reader) => {
  const flags = r.i32()
  const count = r.i32()
  const partitionKey = Array.from({ length: r.i32() }, () => r.u16())
  return { partitionKey, columns: readColumns(r, flags, count) }
}

const described = (columns: ReadonlyArray<WireColumn>): Record<string, unknown> => {
  const of = [...new Set(columns.map(({ keyspace, table }) => `${keyspace}.${table}`))]
  return {
    ...(of.length === 0
      ? {}
      : { of: of.length === 1 ? of[0] : columns.map(({ keyspace, table }) => `${keyspace}.${table}`) }),
    columns: columns.map(({ name, type }) => [name, type])
  }
}

const ERRORS: Record<string, ReadonlyArray<readonly [string, string]>> = {
  Unavailable: [["consistency", "consistency"], ["required", "required"], ["alive", "alive"]],
  WriteFailure: [
    ["consistency", "consistency"],
    ["received", "received"],
    ["required", "required"],
    ["failures", "failures"],
    ["write", "writeType"]
  ],
  AlreadyExists: [["keyspace", "keyspace"], ["table", "table"]]
}

/** Levels of consistency are numbers there. */
const recordedAs = (value: unknown): unknown =>
  typeof value === "string" && Consistency.isConsistency(value) ? Consistency.toCode(value) : value

/** An answer as it came, in that form; `paging` is what the next page is asked with. */
export const answerOf = (client: RawClient, raw: RawFrame): Answer & { readonly paging?: Uint8Array | null } => {
  const frame = plain(raw, client.agreed.compressor)
  const r = Reader.Reader.from(frame.body)
  const { warnings } = Response.readPrefix(frame.flags, r)
  const said = warnings.length === 0 ? {} : { warnings }
  if (frame.opcode === 0) {
    const error = ServerError.read(r, client.agreed.dialect)
    const rest = (ERRORS[error._tag] ?? []).map((
      [name, field]
    ) => [name, recordedAs((error as unknown as Record<string, unknown>)[field])])
    return { kind: "error", code: error.code, message: error.message, ...Object.fromEntries(rest), ...said }
  }
  switch (r.i32()) {
    case Response.ResultKind.VOID:
      return { kind: "void", ...said }
    case Response.ResultKind.SET_KEYSPACE:
      return { kind: "use", keyspace: r.string(), ...said }
    case Response.ResultKind.SCHEMA_CHANGE: {
      const { change, keyspace, target, ...rest } = Response.readSchemaChange(r)
      return { kind: "schema", change, target, keyspace, ...rest, ...said }
    }
    case Response.ResultKind.PREPARED: {
      const id = r.shortBytes()
      const metadataId = client.agreed.dialect.metadataIds ? r.shortBytes() : undefined
      const variables = readPrepared(r)
      const result = readResult(r)
      return {
        kind: "prepared",
        id,
        ...(metadataId === undefined ? {} : { metadataId }),
        markers: { pk: variables.partitionKey, ...described(variables.columns) },
        result: result.columns.length === 0 ? null : described(result.columns),
        ...said
      }
    }
    default: {
      const { columnCount, columns, pagingState } = readResult(r)
      const rows = Array.from({ length: r.i32() }, () =>
        Array.from({ length: columnCount }, () => {
          const bytes = r.bytesValue()
          return bytes === null ? null : Buffer.from(bytes).toString("hex")
        }))
      return {
        kind: "rows",
        ...described(columns),
        rows,
        ...(pagingState === null ? {} : { more: true, paging: pagingState }),
        ...said
      }
    }
  }
}
