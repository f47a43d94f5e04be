/**
 * A keyspace as its schema tables tell it: what code is generated from.
 *
 * @since 0.1.0
 */
import type { CqlClient } from "@effect-scylla/driver/CqlClient"
import type { CqlError } from "@effect-scylla/driver/CqlError"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as Effect from "effect/Effect"
import { CodegenError, KeyspaceNotFound, UnreadableType } from "./CodegenError.ts"

/**
 * What a column is for its table.
 *
 * @category models
 * @since 0.1.0
 */
export type ColumnKind = "partition_key" | "clustering" | "static" | "regular"

/**
 * A column of a table or view.
 *
 * @category models
 * @since 0.1.0
 */
export interface Column {
  /** As it was defined: case counts. */
  readonly name: string
  /** What it is for its table. */
  readonly kind: ColumnKind
  /** Whether a clustering column is ordered from the greatest on. */
  readonly descending: boolean
  /** What its values are. */
  readonly type: CqlType.CqlType
  /** Its type as the server writes it, `frozen<…>` included. */
  readonly text: string
}

/**
 * A table.
 *
 * @category models
 * @since 0.1.0
 */
export interface Table {
  /** As it was defined: case counts. */
  readonly name: string
  /** Its option `comment`, mostly empty. */
  readonly comment: string
  /** In the order of `SELECT *`: partition key, clustering columns, static columns, the others; the latter two by name. */
  readonly columns: ReadonlyArray<Column>
}

/**
 * A materialized view.
 *
 * @category models
 * @since 0.1.0
 */
export interface View extends Table {
  /** The table that it is a view of. */
  readonly base: string
}

/**
 * A field of a user-defined type.
 *
 * @category models
 * @since 0.1.0
 */
export interface Field {
  /** As it was defined: case counts. */
  readonly name: string
  /** What its values are. */
  readonly type: CqlType.CqlType
  /** Its type as the server writes it. */
  readonly text: string
}

/**
 * A user-defined type.
 *
 * @category models
 * @since 0.1.0
 */
export interface UserType {
  /** As it was defined: case counts. */
  readonly name: string
  /** In the order of the definition. */
  readonly fields: ReadonlyArray<Field>
}

/**
 * A keyspace.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyspaceSchema {
  /** As it was defined: case counts. */
  readonly name: string
  /** By name; each stands behind those that it has fields of. */
  readonly types: ReadonlyArray<UserType>
  /** By name. */
  readonly tables: ReadonlyArray<Table>
  /** By name; without those that ScyllaDB keeps for secondary indexes. */
  readonly views: ReadonlyArray<View>
}

interface TableRow {
  readonly table_name: string
  readonly comment: string | null
}

interface ViewRow {
  readonly view_name: string
  readonly base_table_name: string
  readonly comment: string | null
}

interface ColumnRow {
  readonly table_name: string
  readonly column_name: string
  readonly clustering_order: string
  readonly kind: string
  readonly position: number
  readonly type: string
}

interface TypeRow {
  readonly type_name: string
  readonly field_names: ReadonlyArray<string>
  readonly field_types: ReadonlyArray<string>
}

/** By code units, so that the order is the same wherever it is made. */
const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

const KINDS: ReadonlyArray<ColumnKind> = ["partition_key", "clustering", "static", "regular"]

/** Of compact tables, whose only regular column is hidden: `empty`, and once a class. */
const isHidden = (text: string): boolean => text === "empty" || text.includes("marshal.EmptyType")

const fail = (place: string, problem: string): Effect.Effect<never, CodegenError> =>
  Effect.fail(new CodegenError({ reason: new UnreadableType({ place, problem }) }))

const parse = (
  place: string,
  text: string,
  types: ReadonlyMap<string, CqlType.CqlType>
): Effect.Effect<CqlType.CqlType, CodegenError> => {
  const type = CqlType.parse(text, (name) => types.get(name))
  return typeof type === "string" ? fail(place, type) : Effect.succeed(type)
}

/** The types in an order in which each stands behind those that it is made of, by name where that leaves a choice. */
const readTypes = (
  keyspace: string,
  rows: ReadonlyArray<TypeRow>
): Effect.Effect<
  { readonly list: ReadonlyArray<UserType>; readonly known: ReadonlyMap<string, CqlType.CqlType> },
  CodegenError
> =>
  Effect.gen(function*() {
    const known = new Map<string, CqlType.CqlType>()
    const list: Array<UserType> = []
    let waiting = [...rows].sort((a, b) => compare(a.type_name, b.type_name))
    while (waiting.length > 0) {
      // Where each that is left needs another of them, the first says why.
      const next = waiting.find((row) =>
        row.field_types.every((text) => typeof CqlType.parse(text, (name) => known.get(name)) !== "string")
      ) ?? waiting[0]!
      const fields: Array<Field> = []
      for (const [i, name] of next.field_names.entries()) {
        const text = next.field_types[i] ?? ""
        fields.push({ name, text, type: yield* parse(`${keyspace}.${next.type_name}.${name}`, text, known) })
      }
      known.set(next.type_name, CqlType.udt(keyspace, next.type_name, fields))
      list.push({ name: next.type_name, fields })
      waiting = waiting.filter((each) =>
        each !== next
      )
    }
    return { list, known }
  })

const inOrder = (rows: ReadonlyArray<ColumnRow>): ReadonlyArray<ColumnRow> =>
  [...rows].sort((a, b) =>
    KINDS.indexOf(a.kind as ColumnKind) - KINDS.indexOf(b.kind as ColumnKind) || a.position - b.position ||
    compare(a.column_name, b.column_name)
  )

const readColumns = (
  keyspace: string,
  rows: ReadonlyArray<ColumnRow>,
  types: ReadonlyMap<string, CqlType.CqlType>
): Effect.Effect<ReadonlyMap<string, ReadonlyArray<Column>>, CodegenError> =>
  Effect.gen(function*() {
    const byTable = new Map<string, Array<Column>>()
    for (const row of inOrder(rows)) {
      if (isHidden(row.type)) continue
      const place = `${keyspace}.${row.table_name}.${row.column_name}`
      const kind = KINDS.find((each) => each === row.kind)
      if (kind === undefined) return yield* fail(place, `a column of the kind ${row.kind}`)
      const columns = byTable.get(row.table_name) ?? []
      byTable.set(row.table_name, columns)
      columns.push({
        name: row.column_name,
        kind,
        descending: row.clustering_order.toLowerCase() === "desc",
        type: yield* parse(place, row.type, types),
        text: row.type
      })
    }
    return byTable
  })

/** Keyspaces that servers have for themselves. */
const isOfServer = (name: string): boolean => name === "system" || name.startsWith("system_")

/**
 * Reads a keyspace from the schema tables. Fails with `KeyspaceNotFound` where there is none of the name, whose case counts.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (cql: CqlClient, keyspace: string): Effect.Effect<KeyspaceSchema, CodegenError | CqlError> =>
  Effect.gen(function*() {
    const keyspaces = yield* cql<{ readonly keyspace_name: string }>`SELECT keyspace_name FROM system_schema.keyspaces`
    const names = keyspaces.map((row) => row.keyspace_name)
    if (!names.includes(keyspace)) {
      const known = names.filter((name) => !isOfServer(name)).sort(compare)
      return yield* new CodegenError({ reason: new KeyspaceNotFound({ keyspace, known }) })
    }
    const typeRows = yield* cql<
      TypeRow
    >`SELECT type_name, field_names, field_types FROM system_schema.types WHERE keyspace_name = ${keyspace}`
    const tableRows = yield* cql<
      TableRow
    >`SELECT table_name, comment FROM system_schema.tables WHERE keyspace_name = ${keyspace}`
    const viewRows = yield* cql<
      ViewRow
    >`SELECT view_name, base_table_name, comment FROM system_schema.views WHERE keyspace_name = ${keyspace}`
    const indexRows = yield* cql<
      { readonly index_name: string }
    >`SELECT index_name FROM system_schema.indexes WHERE keyspace_name = ${keyspace}`
    const columnRows = yield* cql<
      ColumnRow
    >`SELECT table_name, column_name, clustering_order, kind, position, type FROM system_schema.columns WHERE keyspace_name = ${keyspace}`
    const types = yield* readTypes(keyspace, typeRows)
    const columns = yield* readColumns(keyspace, columnRows, types.known)
    const tableOf = ({ comment, table_name: name }: TableRow): Table => ({
      name,
      comment: comment ?? "",
      columns: columns.get(name) ?? []
    })
    const viewOf = ({ base_table_name: base, comment, view_name: name }: ViewRow): View => ({
      name,
      comment: comment ?? "",
      base,
      columns: columns.get(name) ?? []
    })
    const ofIndexes = new Set(indexRows.map((row) => `${row.index_name}_index`))
    const byName = (a: Table, b: Table): number => compare(a.name, b.name)
    return {
      name: keyspace,
      types: types.list,
      tables: tableRows.map(tableOf).sort(byName),
      views: viewRows.filter((row) => !ofIndexes.has(row.view_name)).map(viewOf).sort(byName)
    }
  })
