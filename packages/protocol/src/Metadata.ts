/**
 * Metadata of results and of prepared statements (native_protocol_v4.spec and v5 sections 4.2.5.2 and 4.2.5.4).
 *
 * @since 0.1.0
 */
import * as CqlType from "./CqlType.ts"
import * as Dialect from "./Dialect.ts"
import { DecodeError } from "./ProtocolError.ts"
import type { Reader } from "./Reader.ts"
import type { Writer } from "./Writer.ts"

/**
 * Flags of result metadata.
 *
 * @category constants
 * @since 0.1.0
 */
export const Flags = {
  GLOBAL_TABLES_SPEC: 0x0001,
  HAS_MORE_PAGES: 0x0002,
  NO_METADATA: 0x0004,
  METADATA_CHANGED: 0x0008
} as const

/**
 * A column of a result, or a bound variable.
 *
 * @category models
 * @since 0.1.0
 */
export interface Column {
  /** The keyspace of its table. */
  readonly keyspace: string
  /** The table that it is of. */
  readonly table: string
  /** The name in the result: an alias, where the statement gave one. Of the variable of `c IN ?` it is `in(c)`. */
  readonly name: string
  /** What its values are. */
  readonly type: CqlType.CqlType
}

/**
 * Metadata of a result. `columns` is absent where the server was asked to leave it out (NO_METADATA). `newId` is there
 * where the server says that the metadata is not that of the id in the request (METADATA_CHANGED): the columns are then,
 * too, and both replace what is known of the statement.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResultMetadata {
  /** {@link Flags}, as they came. */
  readonly flags: number
  /** How many columns the rows have, also where `columns` is absent. */
  readonly columnCount: number
  /** What to ask for the next page with; `null` after the last one. */
  readonly pagingState: Uint8Array | null
  /** There with METADATA_CHANGED. */
  readonly newId: Uint8Array | undefined
  /** Absent with NO_METADATA. */
  readonly columns: ReadonlyArray<Column> | undefined
}

/**
 * Metadata of the bound variables of a prepared statement. `partitionKey` holds the positions of the partition key's
 * columns among them, in the key's order; it is empty when not all of them are bound.
 *
 * @category models
 * @since 0.1.0
 */
export interface PreparedMetadata {
  /** {@link Flags}, and bits of extensions: see `Features.isConditional`. */
  readonly flags: number
  /** Positions in `columns`. */
  readonly partitionKey: ReadonlyArray<number>
  /** The bound variables, in the order of their markers. */
  readonly columns: ReadonlyArray<Column>
}

const NONE: ReadonlyArray<string> = []

/**
 * The names that more than one column has, each once and in the order of the columns: `SELECT a AS x, b AS x`. Rows that are
 * objects have only the last column of each; arrays, lazy rows and pages by columns have all.
 *
 * @category predicates
 * @since 0.1.0
 */
export const duplicateNames = (columns: ReadonlyArray<{ readonly name: string }>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const { name } of columns) {
    if (seen.has(name)) twice.add(name)
    seen.add(name)
  }
  return twice.size === 0 ? NONE : [...twice]
}

/** A column takes a name and a type at least. */
const LEAST_COLUMN = 4

const readColumns = (r: Reader, flags: number, count: number): ReadonlyArray<Column> => {
  const global = (flags & Flags.GLOBAL_TABLES_SPEC) !== 0
  let keyspace = global && count > 0 ? r.string() : ""
  let table = global && count > 0 ? r.string() : ""
  r.count(count, LEAST_COLUMN)
  const columns: Array<Column> = []
  for (let i = 0; i < count; i++) {
    if (!global) {
      keyspace = r.string()
      table = r.string()
    }
    columns.push({ keyspace, table, name: r.string(), type: CqlType.read(r) })
  }
  return columns
}

/**
 * Reads the metadata of a result. Throws `DecodeError`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readResult = (r: Reader): ResultMetadata => {
  const flags = r.i32()
  const columnCount = r.i32()
  if (columnCount < 0) throw new DecodeError({ message: `a result of ${columnCount} columns` })
  if ((flags & (Flags.METADATA_CHANGED | Flags.NO_METADATA)) === (Flags.METADATA_CHANGED | Flags.NO_METADATA)) {
    throw new DecodeError({ message: "a result whose metadata changed comes without it" })
  }
  const pagingState = (flags & Flags.HAS_MORE_PAGES) !== 0 ? r.bytesValue() : null
  const newId = (flags & Flags.METADATA_CHANGED) !== 0 ? r.shortBytes() : undefined
  const columns = (flags & Flags.NO_METADATA) !== 0 ? undefined : readColumns(r, flags, columnCount)
  return { flags, columnCount, pagingState, newId, columns }
}

/**
 * Reads the metadata of bound variables, as PREPARED carries it; v3 tells nothing of the partition key. Throws
 * `DecodeError`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const readPrepared = (r: Reader, dialect: Dialect.Dialect = Dialect.v4): PreparedMetadata => {
  const flags = r.i32()
  const count = r.i32()
  const keys = dialect.version < 4 ? 0 : r.count(r.i32(), 2)
  const partitionKey: Array<number> = []
  for (let i = 0; i < keys; i++) {
    const index = r.u16()
    if (index >= count) throw new DecodeError({ message: `partition key at variable ${index} of ${count}` })
    partitionKey.push(index)
  }
  if (count < 0) throw new DecodeError({ message: `a statement of ${count} variables` })
  return { flags, partitionKey, columns: readColumns(r, flags, count) }
}

const sameTable = (columns: ReadonlyArray<Column>): boolean =>
  columns.every((column) => column.keyspace === columns[0]!.keyspace && column.table === columns[0]!.table)

const writeColumns = (w: Writer, global: boolean, columns: ReadonlyArray<Column>): void => {
  if (global) {
    w.string(columns[0]!.keyspace)
    w.string(columns[0]!.table)
  }
  for (const column of columns) {
    if (!global) {
      w.string(column.keyspace)
      w.string(column.table)
    }
    w.string(column.name)
    CqlType.write(w, column.type)
  }
}

/**
 * How {@link writeResult} is to write.
 *
 * @category models
 * @since 0.1.0
 */
export interface WriteResultOptions {
  /** Sets HAS_MORE_PAGES. Default null, for the last page. */
  readonly pagingState?: Uint8Array | null | undefined
  /** The id of this metadata, where it is not the one that the request named (METADATA_CHANGED). `skip` is off then. */
  readonly newId?: Uint8Array | undefined
  /** Leaves the columns out (NO_METADATA). */
  readonly skip?: boolean | undefined
  /** `false` repeats the table for every column, as ScyllaDB does in results. */
  readonly global?: boolean | undefined
}

/**
 * Writes result metadata as a server does: one table spec for all columns where they are of one table.
 *
 * @category encoding
 * @since 0.1.0
 */
export const writeResult = (
  w: Writer,
  columns: ReadonlyArray<Column>,
  options?: WriteResultOptions
): void => {
  const newId = options?.newId
  const skip = options?.skip === true && newId === undefined
  const pagingState = options?.pagingState ?? null
  const global = !skip && options?.global !== false && columns.length > 0 && sameTable(columns)
  w.i32(
    (global ? Flags.GLOBAL_TABLES_SPEC : 0) | (pagingState === null ? 0 : Flags.HAS_MORE_PAGES) |
      (skip ? Flags.NO_METADATA : 0) | (newId === undefined ? 0 : Flags.METADATA_CHANGED)
  )
  w.i32(columns.length)
  if (pagingState !== null) w.bytesValue(pagingState)
  if (newId !== undefined) w.shortBytes(newId)
  if (!skip) writeColumns(w, global, columns)
}

/**
 * Writes the metadata of bound variables. `flags` adds bits such as ScyllaDB's mark of conditional statements.
 *
 * @category encoding
 * @since 0.1.0
 */
export const writePrepared = (
  w: Writer,
  metadata: Omit<PreparedMetadata, "flags">,
  flags = 0,
  dialect: Dialect.Dialect = Dialect.v4
): void => {
  const { columns, partitionKey } = metadata
  const global = columns.length > 0 && sameTable(columns)
  w.i32((global ? Flags.GLOBAL_TABLES_SPEC : 0) | flags)
  w.i32(columns.length)
  if (dialect.version >= 4) {
    w.i32(partitionKey.length)
    for (const index of partitionKey) w.u16(index)
  }
  writeColumns(w, global, columns)
}
