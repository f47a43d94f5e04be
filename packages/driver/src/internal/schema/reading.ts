/** Reads `system_schema`, of which servers have more or less. */
import type { Row } from "@effect-scylla/protocol/RowDecoder"
import * as Effect from "effect/Effect"
import type { CqlError } from "../../CqlError.ts"
import { quoted } from "./clauses.ts"

/** Who answers: a server's own connection, or a client. */
export interface Source {
  readonly query: (text: string) => Effect.Effect<ReadonlyArray<Row>, CqlError>
  readonly isScylla: () => boolean
}

type Rows = ReadonlyArray<Row>

/** What there is of keyspaces as a whole. */
export interface Properties {
  readonly keyspaces: Rows
  readonly scylla: Rows
  /** Whether the server has tablets, used or not. */
  readonly hasTablets: boolean
}

export interface Functions {
  readonly functions: Rows
  readonly aggregates: Rows
  readonly scylla: Rows
}

export interface Relations {
  readonly tables: Rows
  readonly views: Rows
  readonly columns: Rows
  readonly indexes: Rows
  readonly masks: Rows
  readonly scylla: Rows
}

export interface All extends Properties {
  readonly types: Rows
  readonly of: Functions
  readonly relations: Relations
}

/** Keyspaces or tables in one statement: ScyllaDB refuses more than 100. */
const MOST = 64
/** Statements on their way at a time. */
const CONCURRENCY = 4

const oneOf = (column: string, values: ReadonlyArray<string>): string =>
  values.length === 1 ? `${column} = ${quoted(values[0]!)}` : `${column} IN (${values.map(quoted).join(", ")})`

const chunks = (values: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
  Array.from(
    { length: Math.ceil(values.length / MOST) },
    (_, i) => values.slice(i * MOST, (i + 1) * MOST)
  )

/** What a server does not have is empty. */
const optional = (rows: Effect.Effect<Rows, CqlError>): Effect.Effect<Rows, CqlError> =>
  Effect.catchIf(rows, (error) => error.reason._tag === "InvalidRequest", () => Effect.succeed([]))

const together = <A extends Readonly<Record<string, Effect.Effect<any, CqlError>>>>(parts: A) =>
  Effect.all(parts, { concurrency: CONCURRENCY })

/** Rows of a table of keyspaces, many at a time. */
const select = (
  { query }: Source,
  table: string,
  names: ReadonlyArray<string>,
  more = ""
): Effect.Effect<Rows, CqlError> =>
  Effect.map(
    Effect.forEach(
      chunks(names),
      (some) => query(`SELECT * FROM system_schema.${table} WHERE ${oneOf("keyspace_name", some)}${more}`)
    ),
    (rows) => rows.flat()
  )

const none: Effect.Effect<Rows> = Effect.succeed([])

/** That of the node that answers. */
export const version = ({ query }: Source): Effect.Effect<string, CqlError> =>
  Effect.map(
    query("SELECT schema_version FROM system.local WHERE key = 'local'"),
    ([row]) => String(row?.["schema_version"] ?? "")
  )

/** Those of other nodes, as the one that answers has heard them. */
export const versionsOfOthers = ({ query }: Source): Effect.Effect<ReadonlyArray<string>, CqlError> =>
  Effect.map(
    query("SELECT schema_version FROM system.peers"),
    (rows) => rows.flatMap((row) => typeof row["schema_version"] === "string" ? row["schema_version"] : [])
  )

export const names = ({ query }: Source): Effect.Effect<ReadonlyArray<string>, CqlError> =>
  Effect.map(
    query("SELECT keyspace_name FROM system_schema.keyspaces"),
    (rows) => rows.map((row) => String(row["keyspace_name"]))
  )

export const properties = (source: Source, keyspaces: ReadonlyArray<string>): Effect.Effect<Properties, CqlError> => {
  const isScylla = source.isScylla()
  const tablets = source.query(
    "SELECT column_name FROM system_schema.columns WHERE keyspace_name = 'system_schema' " +
      "AND table_name = 'scylla_keyspaces' AND column_name = 'initial_tablets'"
  )
  return together({
    keyspaces: select(source, "keyspaces", keyspaces),
    scylla: isScylla ? optional(select(source, "scylla_keyspaces", keyspaces)) : none,
    hasTablets: isScylla ? Effect.map(tablets, (rows) => rows.length > 0) : Effect.succeed(false)
  })
}

export const types = (source: Source, keyspaces: ReadonlyArray<string>): Effect.Effect<Rows, CqlError> =>
  select(source, "types", keyspaces)

export const functions = (source: Source, keyspaces: ReadonlyArray<string>): Effect.Effect<Functions, CqlError> =>
  together({
    functions: optional(select(source, "functions", keyspaces)),
    aggregates: optional(select(source, "aggregates", keyspaces)),
    scylla: source.isScylla() ? optional(select(source, "scylla_aggregates", keyspaces)) : none
  })

/** Those of whole keyspaces, or tables and views of one; the indexes of all its tables, as ScyllaDB's are views, too. */
export const relations = (
  source: Source,
  keyspaces: ReadonlyArray<string>,
  named: ReadonlyArray<string> | undefined
): Effect.Effect<Relations, CqlError> => {
  const isScylla = source.isScylla()
  const some = (table: string, column = "table_name"): Effect.Effect<Rows, CqlError> =>
    named === undefined
      ? select(source, table, keyspaces)
      : Effect.map(
        Effect.forEach(chunks(named), (names) => select(source, table, keyspaces, ` AND ${oneOf(column, names)}`)),
        (rows) => rows.flat()
      )
  return together({
    tables: some("tables"),
    views: optional(some("views", "view_name")),
    columns: some("columns"),
    indexes: select(source, "indexes", keyspaces),
    masks: isScylla ? none : optional(some("column_masks")),
    scylla: isScylla ? optional(some("scylla_tables")) : none
  })
}

/** All of some keyspaces. */
export const all = (source: Source, keyspaces: ReadonlyArray<string>): Effect.Effect<All, CqlError> =>
  Effect.map(
    Effect.all([
      properties(source, keyspaces),
      types(source, keyspaces),
      functions(source, keyspaces),
      relations(source, keyspaces, undefined)
    ]),
    ([own, types, of, relations]) => ({ ...own, types, of, relations })
  )
