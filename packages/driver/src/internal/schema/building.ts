/** Rows of `system_schema` as the model. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Row } from "@effect-scylla/protocol/RowDecoder"
import { optionsOf } from "./extensions.ts"
import { indexOf } from "./indexes.ts"
import type * as Schema from "./model.ts"
import type * as Reading from "./reading.ts"
import { Types } from "./types.ts"

type Rows = ReadonlyArray<Row>
type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const text = (value: unknown): string => value === null || value === undefined ? "" : String(value)
const isThere = (value: unknown): boolean => value !== null && value !== undefined
const list = (value: unknown): ReadonlyArray<string> => Array.isArray(value) ? value.map(text) : []
const record = (value: unknown): Readonly<Record<string, string>> =>
  value instanceof Map ? Object.fromEntries(Array.from(value, ([key, each]) => [text(key), text(each)])) : {}

/** By code units, so that the order is the same wherever it is made. */
const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

const grouped = (rows: Rows, column: string): ReadonlyMap<string, Rows> => {
  const out = new Map<string, Array<Row>>()
  for (const row of rows) {
    const key = text(row[column])
    const found = out.get(key)
    if (found === undefined) out.set(key, [row])
    else found.push(row)
  }
  return out
}

export const byName = <A extends { readonly name: string }>(all: Iterable<A>): ReadonlyMap<string, A> =>
  new Map([...all].sort((a, b) => compare(a.name, b.name)).map((each) => [each.name, each]))

const named = (name: string, { text, type }: Schema.TypeOf): Schema.TypeOf & { readonly name: string } => ({
  name,
  text,
  type
})

/** Types of a keyspace, each behind those that it has fields of; what is left of a circle is no type. */
export const userTypes = (keyspace: string, rows: Rows): ReadonlyMap<string, Schema.UserType> => {
  const rowOf = new Map(
    [...rows].sort((a, b) => compare(text(a["type_name"]), text(b["type_name"]))).map((row) => [
      text(row["type_name"]),
      row
    ])
  )
  const made = new Map<string, Schema.UserType>()
  const open = new Set<string>()
  const make = (name: string): CqlType.CqlType | undefined => {
    const known = made.get(name)
    if (known !== undefined) return known.type
    const row = rowOf.get(name)
    if (row === undefined || open.has(name)) return undefined
    open.add(name)
    const types = list(row["field_types"])
    const fields = list(row["field_names"]).map((field, i) => named(field, resolver.of(types[i] ?? "")))
    open.delete(name)
    const type = CqlType.udt(keyspace, name, fields.map(({ name, type }) => ({ name, type })))
    made.set(name, { _tag: "UserType", keyspace, name, fields, type })
    return type
  }
  const resolver = new Types(make)
  for (const name of rowOf.keys()) make(name)
  return made
}

/** What texts of a keyspace with these types mean. */
export const typesOf = (types: ReadonlyMap<string, Schema.UserType>): Types =>
  new Types((name) => types.get(name)?.type)

const KINDS: ReadonlyArray<Schema.ColumnKind> = ["partition_key", "clustering", "static", "regular"]

/** Of compact tables, whose only regular column is hidden: `empty`, and once a class. */
const isHidden = ({ text }: Schema.Column): boolean => text === "empty" || text.includes("marshal.EmptyType")

const maskOf = (row: Row): Schema.Mask => {
  const types = list(row["function_argument_types"])
  const values = list(row["function_argument_values"])
  const nulls = row["function_argument_nulls"] as ReadonlyArray<boolean> | null
  return {
    keyspace: text(row["function_keyspace"]),
    name: text(row["function_name"]),
    arguments: types.map((type, i) => ({ type, value: nulls?.[i] === true ? null : values[i] ?? "" }))
  }
}

const columnsOf = (rows: Rows, masks: Rows, types: Types): ReadonlyArray<Schema.Column> => {
  const byColumn = new Map(masks.map((row) => [text(row["column_name"]), maskOf(row)]))
  const rank = ({ kind }: Schema.Column): number => (KINDS.indexOf(kind) + 1) || KINDS.length + 1
  return rows.map((row): Schema.Column => {
    const name = text(row["column_name"])
    // Whatever a newer server says.
    const kind = text(row["kind"]) as Schema.ColumnKind
    return {
      name,
      kind,
      position: Number(row["position"] ?? -1),
      // ScyllaDB writes that of views in capitals.
      order: kind === "clustering" ? (/^desc$/i.test(text(row["clustering_order"])) ? "DESC" : "ASC") : undefined,
      ...types.of(text(row["type"])),
      mask: byColumn.get(name)
    }
  }).filter((column) => !isHidden(column)).sort((a, b) =>
    rank(a) - rank(b) || a.position - b.position || compare(a.name, b.name)
  )
}

/** As statements see them. A compact table without clustering columns stores those that it has as static ones, and two more. */
const ofCompact = (columns: ReadonlyArray<Schema.Column>, isDense: boolean): ReadonlyArray<Schema.Column> =>
  isDense
    ? columns
    : columns.flatMap((column) =>
      column.kind === "partition_key" ? column : column.kind === "static" ? { ...column, kind: "regular" as const } : []
    )

/** What of a row is no option. */
const OWN = new Set([
  "keyspace_name",
  "table_name",
  "view_name",
  "id",
  "flags",
  "base_table_id",
  "base_table_name",
  "include_all_columns",
  "where_clause",
  "extensions"
])
/** What it means that nothing was said (Cassandra 4.1 and later). */
const UNSAID: Readonly<Record<string, Schema.OptionValue>> = {
  allow_auto_snapshot: true,
  cdc: false,
  incremental_backups: true,
  memtable: "default"
}
/** Gone since Cassandra 4, and refused then; 0 where they are not used. */
const GONE = new Set(["read_repair_chance", "dclocal_read_repair_chance"])

const valueOf = (name: string, value: unknown): Schema.OptionValue | undefined => {
  if (value === null || value === undefined) return UNSAID[name]
  if (value instanceof Map) return record(value)
  if (typeof value === "number") return GONE.has(name) && value === 0 ? undefined : value
  return typeof value === "string" || typeof value === "boolean" ? value : undefined
}

/** What ScyllaDB keeps in a table of its own, as far as it can be said in CQL. */
const ofScylla = (row: Row | undefined): ReadonlyArray<[string, Schema.OptionValue]> => {
  const { cdc, in_memory, storage_engine, tablets } = row ?? {}
  const maps = [["cdc", cdc], ["tablets", tablets]] as const
  return [
    ...maps.flatMap(([name, value]): ReadonlyArray<[string, Schema.OptionValue]> =>
      value instanceof Map && value.size > 0 ? [[name, record(value)]] : []
    ),
    ...(in_memory === true ? [["in_memory", true] as [string, Schema.OptionValue]] : []),
    ...(typeof storage_engine === "string" && storage_engine !== ""
      ? [["storage_engine", storage_engine] as [string, Schema.OptionValue]]
      : [])
  ]
}

const extensionsOf = (value: unknown): ReadonlyMap<string, Uint8Array> =>
  new Map(
    value instanceof Map
      ? [...value].flatMap(([key, bytes]): ReadonlyArray<[string, Uint8Array]> =>
        bytes instanceof Uint8Array ? [[text(key), Uint8Array.from(bytes)]] : []
      )
      : []
  )

const without = (row: Row, names: ReadonlyArray<string>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)))

/** What tables and views have in common. */
const relationOf = (
  row: Row,
  name: string,
  columns: ReadonlyArray<Schema.Column>,
  scylla: Row | undefined,
  isScylla: boolean
) => {
  const extensions = extensionsOf(row["extensions"])
  const own = Object.entries(row).flatMap(([option, value]): ReadonlyArray<[string, Schema.OptionValue]> => {
    const found = OWN.has(option) ? undefined : valueOf(option, value)
    return found === undefined ? [] : [[option, found]]
  })
  return {
    keyspace: text(row["keyspace_name"]),
    name,
    id: text(row["id"]),
    columns,
    options: Object.fromEntries([...own, ...(isScylla ? [...ofScylla(scylla), ...optionsOf(extensions)] : [])]),
    extensions,
    scylla: scylla === undefined ? undefined : without(scylla, ["keyspace_name", "table_name"])
  }
}

/** Tables and views of a keyspace. */
export interface Built {
  readonly tables: ReadonlyMap<string, Schema.Table>
  readonly views: ReadonlyMap<string, Schema.View>
}

/** Made in one step. */
const AT_ONCE = 8

/** In steps, see `paced`. */
function* each<A, B>(all: ReadonlyArray<A>, make: (one: A) => B): Generator<void, ReadonlyArray<B>> {
  const out: Array<B> = []
  for (const [i, one] of all.entries()) {
    if (i % AT_ONCE === AT_ONCE - 1) yield
    out.push(make(one))
  }
  return out
}

/** Of one keyspace. In steps, see `paced`. */
export function* relations(
  { columns, indexes, masks, scylla, tables, views }: Reading.Relations,
  types: Types,
  isScylla: boolean
): Generator<void, Built> {
  const columnsBy = grouped(columns, "table_name")
  const masksBy = grouped(masks, "table_name")
  const scyllaBy = new Map(scylla.map((row) => [text(row["table_name"]), row]))
  const indexesBy = grouped(indexes, "table_name")
  const partsOf = (name: string) => ({
    columns: columnsOf(columnsBy.get(name) ?? [], masksBy.get(name) ?? [], types),
    scylla: scyllaBy.get(name)
  })
  const tableOf = (row: Row): Schema.Table => {
    const name = text(row["table_name"])
    const { columns, scylla } = partsOf(name)
    const flags = row["flags"] instanceof Set ? [...row["flags"]].map(text).sort(compare) : []
    const isDense = flags.includes("dense")
    const isCompact = "flags" in row && (isDense || flags.includes("super") || !flags.includes("compound"))
    return {
      _tag: "Table",
      ...relationOf(row, name, isCompact ? ofCompact(columns, isDense) : columns, scylla, isScylla),
      flags,
      isCompact,
      indexes: byName((indexesBy.get(name) ?? []).map((index) => indexOf(index, columns)))
    }
  }
  const viewOf = (row: Row): Schema.View => {
    const name = text(row["view_name"])
    const { columns, scylla } = partsOf(name)
    const relation = relationOf(row, name, columns, scylla, isScylla)
    const { default_time_to_live: lifetime, ...options } = relation.options
    return {
      _tag: "View",
      ...relation,
      // Servers have 0 there, and want nothing else.
      options: lifetime === undefined || lifetime === 0 ? options : { ...options, default_time_to_live: lifetime },
      base: text(row["base_table_name"]),
      baseId: text(row["base_table_id"]),
      where: text(row["where_clause"]),
      includesAll: row["include_all_columns"] === true
    }
  }
  /** ScyllaDB keeps an index in a view of its table. */
  const isOfIndex = (row: Row): boolean =>
    isScylla && (indexesBy.get(text(row["base_table_name"])) ?? [])
      .some((index) => `${text(index["index_name"])}_index` === text(row["view_name"]))
  return {
    tables: byName(yield* each(tables, tableOf)),
    views: byName(yield* each(views.filter((row) => !isOfIndex(row)), viewOf))
  }
}

/** The same with what types are now. */
export const retyped = (keyspace: Schema.Keyspace, types: ReadonlyMap<string, Schema.UserType>): Schema.Keyspace => {
  const now = typesOf(types)
  const column = (each: Schema.Column): Schema.Column => ({ ...each, ...now.of(each.text) })
  const all = <A extends { readonly columns: ReadonlyArray<Schema.Column> }>(of: ReadonlyMap<string, A>) =>
    new Map(Array.from(of, ([name, each]) => [name, { ...each, columns: each.columns.map(column) }]))
  const argument = <A extends Schema.TypeOf>(each: A): A => ({ ...each, ...now.of(each.text) })
  return {
    ...keyspace,
    types,
    tables: all(keyspace.tables),
    views: all(keyspace.views),
    functions: new Map(
      Array.from(keyspace.functions, ([key, each]) => [
        key,
        { ...each, arguments: each.arguments.map(argument), returns: argument(each.returns) }
      ])
    ),
    aggregates: new Map(
      Array.from(keyspace.aggregates, ([key, each]) => [
        key,
        {
          ...each,
          arguments: each.arguments.map(argument),
          returns: argument(each.returns),
          state: argument(each.state)
        }
      ])
    )
  }
}

const signatureOf = (name: string, types: ReadonlyArray<Schema.TypeOf>): string =>
  `${name}(${types.map(({ text }) => text).join(", ")})`

/** In the order of their names. */
const signed = <A extends { readonly name: string; readonly arguments: ReadonlyArray<Schema.TypeOf> }>(
  all: ReadonlyArray<A>
): ReadonlyMap<string, A> =>
  new Map(
    all.map((each): [string, A] => [signatureOf(each.name, each.arguments), each])
      .sort(([a], [b]) => compare(a, b))
  )

/** Functions and aggregates of one keyspace. */
export const functions = (
  rows: Reading.Functions,
  types: Types
): Pick<Schema.Keyspace, "functions" | "aggregates"> => {
  const typesIn = (row: Row) => list(row["argument_types"]).map((each) => types.of(each))
  const reducing = new Map(
    rows.scylla.map((row) => [signatureOf(text(row["aggregate_name"]), typesIn(row)), row["reduce_func"]])
  )
  const given = (value: unknown): string | undefined => isThere(value) ? text(value) : undefined
  return {
    functions: signed(rows.functions.map((row): Schema.UserFunction => {
      const names = list(row["argument_names"])
      return {
        _tag: "Function",
        keyspace: text(row["keyspace_name"]),
        name: text(row["function_name"]),
        arguments: typesIn(row).map((type, i) => named(names[i] ?? "", type)),
        returns: types.of(text(row["return_type"])),
        language: text(row["language"]),
        body: text(row["body"]),
        isCalledOnNull: row["called_on_null_input"] === true
      }
    })),
    aggregates: signed(rows.aggregates.map((row): Schema.Aggregate => {
      const name = text(row["aggregate_name"])
      return {
        _tag: "Aggregate",
        keyspace: text(row["keyspace_name"]),
        name,
        arguments: typesIn(row),
        returns: types.of(text(row["return_type"])),
        state: types.of(text(row["state_type"])),
        stateFunction: text(row["state_func"]),
        finalFunction: given(row["final_func"]),
        reduceFunction: given(reducing.get(signatureOf(name, typesIn(row)))),
        initialCondition: given(row["initcond"])
      }
    }))
  }
}

type Own = Pick<Schema.Keyspace, "replication" | "durableWrites" | "tablets" | "consistency" | "storage">

/** Racks stand one by one under `datacenter:0`, `datacenter:1`, … (ScyllaDB). */
const replicationOf = (row: Row): Schema.Keyspace["replication"] => {
  const second = record(row["replication_v2"])
  const given = Object.keys(second).length > 0 ? second : record(row["replication"])
  const out: Mutable<Record<string, string | Array<string>>> = {}
  for (const [key, value] of Object.entries(given)) {
    const [, datacenter] = second === given ? /^(.*):\d+$/.exec(key) ?? [] : []
    if (datacenter === undefined) out[key] = value
    else (Array.isArray(out[datacenter]) ? out[datacenter] : (out[datacenter] = [])).push(value)
  }
  return out
}

/** What is said of keyspaces as a whole, by name. */
export const properties = ({ hasTablets, keyspaces, scylla }: Reading.Properties): ReadonlyMap<string, Own> => {
  const more = new Map(scylla.map((row) => [text(row["keyspace_name"]), row]))
  return new Map(keyspaces.map((row) => {
    const name = text(row["keyspace_name"])
    const { consistency, initial_tablets: initial, storage_options, storage_type: type } = more.get(name) ?? {}
    return [name, {
      replication: replicationOf(row),
      durableWrites: row["durable_writes"] !== false,
      tablets: hasTablets ? { enabled: isThere(initial), initial: Number(initial ?? 0) } : undefined,
      consistency: isThere(consistency) ? text(consistency) : undefined,
      storage: isThere(type) && text(type) !== "LOCAL" ? { type: text(type), ...record(storage_options) } : undefined
    }]
  }))
}

/** All of them, by name. In steps, see `paced`. */
export function* keyspaces(
  rows: Reading.All,
  isScylla: boolean
): Generator<void, ReadonlyMap<string, Schema.Keyspace>> {
  const of = (all: Rows): (name: string) => Rows => {
    const by = grouped(all, "keyspace_name")
    return (name) => by.get(name) ?? []
  }
  const parts = {
    types: of(rows.types),
    functions: of(rows.of.functions),
    aggregates: of(rows.of.aggregates),
    reducing: of(rows.of.scylla),
    tables: of(rows.relations.tables),
    views: of(rows.relations.views),
    columns: of(rows.relations.columns),
    indexes: of(rows.relations.indexes),
    masks: of(rows.relations.masks),
    scylla: of(rows.relations.scylla)
  }
  const out = new Map<string, Schema.Keyspace>()
  for (const [name, own] of properties(rows)) {
    yield
    const types = userTypes(name, parts.types(name))
    const known = typesOf(types)
    const given = {
      tables: parts.tables(name),
      views: parts.views(name),
      columns: parts.columns(name),
      indexes: parts.indexes(name),
      masks: parts.masks(name),
      scylla: parts.scylla(name)
    }
    out.set(name, {
      _tag: "Keyspace",
      name,
      ...own,
      types,
      ...functions({
        functions: parts.functions(name),
        aggregates: parts.aggregates(name),
        scylla: parts.reducing(name)
      }, known),
      ...(yield* relations(given, known, isScylla))
    })
  }
  return out
}
