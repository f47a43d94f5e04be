/** What ScyllaDB and Apache Cassandra do differently on the wire, as recorded from 6.0.4 and 5.0.5. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Dialect, Version } from "@effect-scylla/protocol/Dialect"
import * as Frame from "@effect-scylla/protocol/Frame"
import { type Column, Flags } from "@effect-scylla/protocol/Metadata"
import { ResultKind, type ServerResponse } from "@effect-scylla/protocol/Response"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import { Buffer } from "node:buffer"
import { protocol } from "../failure.ts"
import { cassandraId, scyllaId } from "./metadataId.ts"

export type Product = "scylla" | "cassandra"
export type Algorithm = "lz4" | "snappy"

/** The last byte of a RESULT's kind. */
const KIND = Frame.HEADER_SIZE + 3

/** How a cluster talks. */
export interface Flavour {
  readonly product: Product
  /** In ascending order. */
  readonly versions: ReadonlyArray<Version>
  readonly compression: ReadonlyArray<Algorithm>
  /** Whether v4 may have ids of result metadata, by an extension that only ScyllaDB has. */
  readonly metadataIds: boolean
  /** Whether clients may be told of tablets by their versions, by an extension that is experimental in ScyllaDB. */
  readonly tabletVersions: boolean
}

/** What is said of bytes that are no request, or none that the server takes. */
export interface Refusal {
  readonly error: ServerError.ServerError
  readonly stream: number
  readonly close: boolean
  /** Version and flags of the answer, where they are not the connection's. */
  readonly header?: { readonly version: number; readonly flags: number }
}

const named = (version: number): string => `${version}/v${version}`

/** Versions as Cassandra lists them: the one behind v5 is a beta. */
export const versionNames = (flavour: Flavour): ReadonlyArray<string> => {
  const names = flavour.versions.map(named)
  return flavour.product === "cassandra" && flavour.versions.includes(5) ? [...names, "6/v6-beta"] : names
}

/** A first byte of a version that is not spoken. ScyllaDB closes the connection, Cassandra goes on. */
export const unsupported = (flavour: Flavour, version: number): Refusal => {
  if (flavour.product === "scylla") {
    return { error: protocol(`Invalid or unsupported protocol version: ${version}`), stream: 0, close: true }
  }
  const names = versionNames(flavour)
  if (version === 6 && names.includes("6/v6-beta")) {
    return {
      error: protocol("Beta version of the protocol used (6/v6-beta), but USE_BETA flag is unset"),
      stream: 0,
      close: false,
      header: { version, flags: Frame.Flags.USE_BETA }
    }
  }
  const { versions } = flavour
  return {
    error: protocol(
      `Invalid or unsupported protocol version (${version}); supported versions are (${names.join(", ")})`
    ),
    stream: 0,
    close: false,
    header: { version: versions[versions.length - 1]!, flags: 0 }
  }
}

/** A message in another version than the connection's. */
export const mixed = (flavour: Flavour, got: number, had: Version, stream: number): Refusal => {
  const cassandra = flavour.product === "cassandra"
  const name = cassandra ? named : String
  const error = protocol(
    `Invalid message version. Got ${name(got)} but previous messages on this connection had version ${name(had)}`
  )
  return { error, stream: cassandra ? stream : 0, close: !cassandra }
}

/** What STARTUP asks for, or the error that it is refused with. */
export const compressionOf = (flavour: Flavour, asked: string | undefined, version: Version): Algorithm | undefined => {
  if (asked === undefined) return undefined
  const known = flavour.compression.find((name) => name === asked.toLowerCase())
  if (known === undefined) throw protocol(`Unknown compression algorithm: ${asked}`)
  if (version >= 5 && known === "snappy") throw protocol("Snappy compression is not supported in protocol V5")
  return known
}

const ids = { scylla: new WeakMap<object, Uint8Array>(), cassandra: new WeakMap<object, Uint8Array>() }

/** The id of the metadata of a result. */
export const metadataId = ({ product }: Flavour, columns: ReadonlyArray<Column>): Uint8Array => {
  let id = ids[product].get(columns)
  if (id === undefined) ids[product].set(columns, id = product === "scylla" ? scyllaId(columns) : cassandraId(columns))
  return id
}

/** Cassandra announces by their class the types that a version has no code for; ScyllaDB uses the codes anyway. */
const columnsIn = (columns: ReadonlyArray<Column>, version: Version): ReadonlyArray<Column> =>
  columns.map((column) => ({ ...column, type: CqlType.announced(column.type, version) }))

/** Texts of Cassandra, for the errors that a client may look at. Those of the parser are the simulator's own. */
const TEXTS: ReadonlyArray<readonly [RegExp, (match: RegExpExecArray) => string]> = [
  [/^Keyspace (\w+) does not exist$/, ([, keyspace]) => `keyspace ${keyspace} does not exist`],
  [/^unconfigured table (.*)$/, ([, table]) => `table ${table} does not exist`],
  [
    /^Invalid amount of bind variables: expected (\d+) received (\d+)$/,
    ([, expected, received]) => `there were ${expected} markers(?) in CQL but ${received} bound variables`
  ],
  [
    /^unable to find class '(.*)'$/,
    ([, name]) => `Unable to find replication strategy class 'org.apache.cassandra.locator.${name}'`
  ],
  [/^(Invalid value '.*' for) Event\.Type$/, ([, begin]) => `${begin} Type`],
  [
    /^Unexpected message (\d+), (expecting .*)$/,
    ([, opcode, rest]) =>
      `Unexpected message ${
        Object.entries(Frame.Opcode).find(([, code]) => code === Number(opcode))?.[0] ?? opcode
      }, ${rest}`
  ]
]

const errorOfCassandra = (error: ServerError.ServerError): ServerError.ServerError => {
  switch (error._tag) {
    case "Unavailable":
      return new ServerError.Unavailable({
        ...error,
        message: `Cannot achieve consistency level ${error.consistency}`
      })
    case "Unprepared": {
      const id = Buffer.from(error.id).toString("hex")
      return new ServerError.Unprepared({
        ...error,
        message:
          `Prepared query with ID ${id} not found (either the query was not prepared on this host (maybe the host ` +
          "has been restarted?) or you have prepared too many queries and it has been evicted from the internal cache)"
      })
    }
    case "InvalidRequest":
    case "ConfigError":
    case "ProtocolError": {
      for (const [pattern, text] of TEXTS) {
        const match = pattern.exec(error.message)
        if (match === null) continue
        const common = { code: error.code, message: text(match) }
        return error._tag === "InvalidRequest"
          ? new ServerError.InvalidRequest(common)
          : error._tag === "ConfigError"
          ? new ServerError.ConfigError(common)
          : new ServerError.ProtocolError(common)
      }
      return error
    }
    default:
      return error
  }
}

/** An answer of the simulator, which is ScyllaDB's, as this product would say it. */
export const inFlavour = (flavour: Flavour, dialect: Dialect, response: ServerResponse): ServerResponse => {
  if (flavour.product === "scylla") return response
  switch (response._tag) {
    case "Error":
      return { _tag: "Error", error: errorOfCassandra(response.error) }
    case "Rows":
      return { ...response, columns: columnsIn(response.columns, dialect.version), globalSpec: true }
    case "Prepared":
      return {
        ...response,
        variables: { ...response.variables, columns: columnsIn(response.variables.columns, dialect.version) },
        result: columnsIn(response.result, dialect.version),
        globalSpec: true
      }
    default:
      return response
  }
}

/** Cassandra says that there is one table for all columns even where it leaves the columns out. */
export const afterEncoding = ({ product }: Flavour, answer: Uint8Array): void => {
  if (product !== "cassandra" || answer[4] !== Frame.Opcode.RESULT || answer[KIND] !== ResultKind.ROWS) return
  const flags = KIND + 4
  if ((answer[flags]! & Flags.NO_METADATA) !== 0) answer[flags] = answer[flags]! | Flags.GLOBAL_TABLES_SPEC
}
