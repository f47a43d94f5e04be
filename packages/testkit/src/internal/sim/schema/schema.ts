/** Keyspaces, tables and user-defined types. A table that is altered is replaced by a new one over the same data. */
import type { Column as WireColumn } from "@effect-scylla/protocol/Metadata"
import type * as Uuid from "@effect-scylla/protocol/Uuid"
import type * as Replication from "@effect-scylla/sharding/Replication"
import type { SimNode } from "../cluster/simNode.ts"
import { invalid } from "../failure.ts"
import type { Property, Relation } from "../parse/ast.ts"
import { type Comparator, comparatorOf } from "../storage/compare.ts"
import { type Layout, layoutOf } from "../storage/layout.ts"
import { TableData } from "../storage/storage.ts"
import type { Computed } from "./computed.ts"
import { RateLimiter } from "./rateLimit.ts"
import type { SimType, UserType } from "./types.ts"

export type ColumnKind = "partition_key" | "clustering" | "static" | "regular"

export interface Column {
  readonly name: string
  readonly kind: ColumnKind
  /** Place in its part of the key; among a row's cells for static and regular columns, never given to another column. */
  readonly position: number
  readonly type: SimType
  readonly descending: boolean
  /** Of a value that lies in cells of its own. */
  readonly layout: Layout | undefined
  readonly wire: WireColumn
}

/** A secondary index. What it finds is found by looking at the rows. */
export interface Index {
  readonly name: string
  readonly column: Column
  /** What of the column: its value, and of a collection its values; its keys; pairs; all of a frozen one. */
  readonly part: "values" | "keys" | "entries" | "full"
  /** Within partitions: of ScyllaDB. */
  readonly isLocal: boolean
  /** As `system_schema.indexes` shows it. */
  readonly target: string
  readonly kind: "COMPOSITES" | "CUSTOM"
  readonly options: ReadonlyMap<string, string>
}

/** A column that was. */
export interface Dropped {
  readonly name: string
  readonly kind: ColumnKind
  readonly type: string
  readonly isMultiCell: boolean
  /** Milliseconds since 1970. */
  readonly time: number
  /** Where its values are, if what was written after a time may be there again. */
  readonly kept: { readonly slot: number; readonly after: bigint } | undefined
}

/** What a materialized view shows of its table. Its rows are made of the table's when they are read. */
export interface View {
  /** The name of the table. */
  readonly base: string
  /** `SELECT *`: columns that the table gets are the view's too. */
  readonly includesAll: boolean
  /** Which rows it shows. */
  readonly where: ReadonlyArray<Relation>
}

export interface Table {
  readonly keyspace: Keyspace
  readonly name: string
  readonly id: Uuid.Uuid
  /** Changes with every change of the table. */
  version: Uuid.Uuid
  readonly partitionKey: ReadonlyArray<Column>
  readonly clustering: ReadonlyArray<Column>
  /** Not of the key, static ones among them. By name. */
  readonly regular: ReadonlyArray<Column>
  readonly hasStatics: boolean
  /** In the order of `SELECT *`. */
  readonly columns: ReadonlyArray<Column>
  readonly byName: ReadonlyMap<string, Column>
  readonly isCounter: boolean
  readonly indexes: ReadonlyArray<Index>
  options: ReadonlyMap<string, Property>
  readonly data: TableData
  /** Present for a materialized view. */
  readonly view: View | undefined
  /** Present for a system table: its rows. */
  readonly computed: Computed | undefined
  /** Slots given to regular columns so far. */
  readonly slots: number
  readonly dropped: ReadonlyArray<Dropped>
  /** Present for a table with `per_partition_rate_limit`. */
  rateLimiter: RateLimiter | undefined
  /** Set once the table was altered or dropped: plans that were compiled against it are void. */
  isRetired: boolean
}

export interface Keyspace {
  readonly name: string
  readonly isSystem: boolean
  /** Its tables are made when they are read, and cannot be written. */
  readonly isVirtual: boolean
  readonly tables: Map<string, Table>
  readonly types: Map<string, UserType>
  replication: Readonly<Record<string, string>>
  strategy: Replication.ReplicationStrategy
  durableWrites: boolean
  /** Tables are made of tablets: so many at first, 0 for as many as the cluster thinks fit. `undefined`: of vnodes. */
  readonly tablets: number | undefined
  /** Replicas of each segment of the ring; made on first use. */
  replicas: ReadonlyArray<ReadonlyArray<SimNode>> | undefined
}

export interface ColumnInput {
  readonly name: string
  readonly kind: ColumnKind
  readonly type: SimType
  readonly descending?: boolean
  /** What it was when it was there before. */
  readonly again?: Dropped | undefined
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0

const reversed = (compare: Comparator): Comparator => (a, b) => -compare(a, b)

/** Comparators of the clustering columns, each in its direction. */
const orderOf = (clustering: ReadonlyArray<Column>): ReadonlyArray<Comparator> =>
  clustering.map((column) => {
    const compare = comparatorOf(column.type.cql)
    if (compare === undefined) throw invalid(`duration type is not supported for PRIMARY KEY column '${column.name}'`)
    return column.descending ? reversed(compare) : compare
  })

export interface TableInput {
  readonly keyspace: Keyspace
  readonly name: string
  readonly id: Uuid.Uuid
  readonly version: Uuid.Uuid
  readonly options: ReadonlyMap<string, Property>
  readonly computed?: Table["computed"]
  readonly dropped?: Table["dropped"]
  readonly indexes?: Table["indexes"]
  readonly view?: Table["view"]
}

const rateLimiterOf = (options: Table["options"]): RateLimiter | undefined => {
  const limits = options.get("per_partition_rate_limit")
  return limits instanceof Map ? new RateLimiter(limits) : undefined
}

const assemble = (
  input: TableInput,
  partitionKey: ReadonlyArray<Column>,
  clustering: ReadonlyArray<Column>,
  regular: ReadonlyArray<Column>,
  slots: number,
  data: TableData | undefined
): Table => {
  const sorted = [...regular].sort(byName)
  const statics = sorted.filter((each) => each.kind === "static")
  const columns = [...partitionKey, ...clustering, ...statics, ...sorted.filter((each) => each.kind !== "static")]
  return {
    keyspace: input.keyspace,
    name: input.name,
    id: input.id,
    version: input.version,
    options: input.options,
    indexes: input.indexes ?? [],
    partitionKey,
    clustering,
    regular: sorted,
    hasStatics: statics.length > 0,
    columns,
    byName: new Map(columns.map((column) => [column.name, column])),
    isCounter: regular.some((column) => column.type.text === "counter"),
    data: data ?? new TableData(orderOf(clustering)),
    computed: input.computed,
    view: input.view,
    slots,
    dropped: input.dropped ?? [],
    rateLimiter: rateLimiterOf(input.options),
    isRetired: false
  }
}

const column = (
  input: TableInput,
  { descending = false, kind, name, type }: ColumnInput,
  position: number
): Column => ({
  name,
  kind,
  position,
  type,
  descending,
  layout: type.multiCell && (kind === "regular" || kind === "static") ? layoutOf(type.cql) : undefined,
  wire: { keyspace: input.keyspace.name, table: input.name, name, type: type.cql }
})

export const makeTable = (input: TableInput, columns: ReadonlyArray<ColumnInput>): Table => {
  const part = (kind: ColumnKind): ReadonlyArray<Column> =>
    columns.filter((each) => each.kind === kind).map((each, position) => column(input, each, position))
  const regular = columns.filter((each) => each.kind === "regular" || each.kind === "static")
    .map((each, position) => column(input, each, position))
  return assemble(input, part("partition_key"), part("clustering"), regular, regular.length, undefined)
}

/** The table with columns added and removed. What dropped columns held is gone for good: their places are not reused. */
export const alterTable = (
  table: Table,
  change: {
    readonly version: Uuid.Uuid
    readonly add?: ReadonlyArray<ColumnInput>
    readonly drop?: ReadonlyArray<string>
    /** Until when what was written to dropped columns is gone; all of it without. */
    readonly dropTimestamp?: bigint | undefined
    readonly options?: ReadonlyMap<string, Property>
    readonly now: number
  }
): Table => {
  const drop = new Set(change.drop ?? [])
  const gone = table.regular.filter((each) => drop.has(each.name))
  const input: TableInput = {
    ...table,
    version: change.version,
    options: new Map([...table.options, ...(change.options ?? [])]),
    dropped: [
      ...table.dropped.filter((each) => !drop.has(each.name)),
      ...gone.map((each): Dropped => ({
        name: each.name,
        kind: each.kind,
        type: each.type.text,
        isMultiCell: each.type.multiCell,
        time: change.dropTimestamp === undefined ? change.now : Number(change.dropTimestamp / 1000n),
        kept: change.dropTimestamp === undefined ? undefined : { slot: each.position, after: change.dropTimestamp }
      }))
    ]
  }
  const added = (change.add ?? []).map((each, i) => {
    const kept = each.again?.kept
    if (kept === undefined) return column(input, each, table.slots + i)
    table.data.forget(kept.slot, kept.after)
    return column(input, each, kept.slot)
  })
  const kept = table.regular.filter((each) => !drop.has(each.name))
  return reindexed(assemble(
    input,
    table.partitionKey,
    table.clustering,
    [...kept, ...added],
    table.slots + added.length,
    table.data
  ))
}

/** The indexes over the columns as they are now. */
const reindexed = (table: Table): Table => ({
  ...table,
  indexes: table.indexes.flatMap((index) => {
    const column = table.byName.get(index.column.name)
    return column === undefined ? [] : [{ ...index, column }]
  })
})

export const withIndexes = (table: Table, version: Uuid.Uuid, indexes: Table["indexes"]): Table =>
  assemble({ ...table, version, indexes }, table.partitionKey, table.clustering, table.regular, table.slots, table.data)

/** Changes options of the table as it stands, so that statements on it stay what they are. */
export const setOptions = (table: Table, version: Uuid.Uuid, options: Table["options"]): void => {
  table.version = version
  table.options = new Map([...table.options, ...options])
  table.rateLimiter = rateLimiterOf(table.options)
}

/** The table with columns of other types, which their user-defined types have become. */
export const retype = (table: Table, version: Uuid.Uuid, typeOf: (type: SimType, of: Column) => SimType): Table => {
  const input: TableInput = { ...table, version }
  const retyped = (columns: ReadonlyArray<Column>): ReadonlyArray<Column> =>
    columns.map((each) => column(input, { ...each, type: typeOf(each.type, each) }, each.position))
  table.isRetired = true
  return reindexed(assemble(
    input,
    retyped(table.partitionKey),
    retyped(table.clustering),
    retyped(table.regular),
    table.slots,
    table.data
  ))
}

/** The table with other names for columns of its key. */
export const rename = (table: Table, version: Uuid.Uuid, names: ReadonlyMap<string, string>): Table => {
  const input: TableInput = { ...table, version }
  const renamed = (columns: ReadonlyArray<Column>): ReadonlyArray<Column> =>
    columns.map((each) => column(input, { ...each, name: names.get(each.name) ?? each.name }, each.position))
  return reindexed(assemble(
    input,
    renamed(table.partitionKey),
    renamed(table.clustering),
    table.regular,
    table.slots,
    table.data
  ))
}

/** The views of a table, by name. */
export const viewsOf = ({ keyspace, name }: Table): ReadonlyArray<Table> =>
  [...keyspace.tables.values()].filter(({ view }) => view?.base === name).sort(byName)

/** Everything that DDL changes. */
export interface Schema {
  readonly keyspaces: Map<string, Keyspace>
  version: Uuid.Uuid
}

export const findKeyspace = (schema: Schema, name: string): Keyspace => {
  const keyspace = schema.keyspaces.get(name)
  if (keyspace === undefined) throw invalid(`Keyspace ${name} does not exist`)
  return keyspace
}

/** The keyspace that a name without one means. */
export const keyspaceOf = (given: string | undefined, current: string): string => {
  const name = given ?? current
  if (name === "") {
    throw invalid("No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename")
  }
  return name
}

export const findTable = (schema: Schema, given: string | undefined, current: string, name: string): Table => {
  const table = findKeyspace(schema, keyspaceOf(given, current)).tables.get(name)
  if (table === undefined) throw invalid(`unconfigured table ${name}`)
  return table
}

export const findColumn = (table: Table, name: string): Column => {
  const found = table.byName.get(name)
  if (found === undefined) throw invalid(`Unrecognized name ${name}`)
  return found
}
