/** The log table beside a table of ScyllaDB whose changes are written down. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { invalid, unauthorized } from "../failure.ts"
import { ChangeLog, deletedType, loggedType } from "../plan/changeLog.ts"
import { type CdcOptions, cdcOptionsOf } from "./cdcOptions.ts"
import { alterTable, type Column, type ColumnInput, makeTable, type Table } from "./schema.ts"
import type { Environment } from "./schemaChange.ts"
import { ofText } from "./types.ts"

const SUFFIX = "_scylla_cdc_log"

const frozen = (type: CqlType.CqlType): ColumnInput["type"] => ({
  cql: type,
  text: type._tag === "Scalar" || type._tag === "Vector" ? CqlType.format(type) : `frozen<${CqlType.format(type)}>`,
  multiCell: false,
  uses: []
})

/** What the log has of a column. */
const columnsFor = (column: Column): ReadonlyArray<ColumnInput> => {
  const { kind, name, type } = column
  const own: ColumnInput = {
    name,
    kind: "regular",
    type: column.layout === undefined ? type : frozen(loggedType(column))
  }
  if (kind === "partition_key" || kind === "clustering") return [own]
  const deleted: ColumnInput = { name: `cdc$deleted_${name}`, kind: "regular", type: ofText("boolean") }
  const elements = deletedType(column)
  return elements === undefined
    ? [own, deleted]
    : [own, deleted, { name: `cdc$deleted_elements_${name}`, kind: "regular", type: frozen(elements) }]
}

const COLUMNS: ReadonlyArray<ColumnInput> = [
  { name: "cdc$stream_id", kind: "partition_key", type: ofText("blob") },
  { name: "cdc$time", kind: "clustering", type: ofText("timeuuid") },
  { name: "cdc$batch_seq_no", kind: "clustering", type: ofText("int") },
  { name: "cdc$operation", kind: "regular", type: ofText("tinyint") },
  { name: "cdc$ttl", kind: "regular", type: ofText("bigint") },
  { name: "cdc$end_of_batch", kind: "regular", type: ofText("boolean") }
]

export const logOf = ({ keyspace, name }: Table): Table | undefined => keyspace.tables.get(name + SUFFIX)

/** The table that this is the log of, while it is kept. */
export const loggedBy = (log: Table): Table | undefined => {
  if (!log.name.endsWith(SUFFIX)) return undefined
  const base = log.keyspace.tables.get(log.name.slice(0, -SUFFIX.length))
  return base !== undefined && optionsOf(base).enabled ? base : undefined
}

const optionsOf = ({ options }: Table): CdcOptions => cdcOptionsOf(options.get("cdc"))

const makeLog = (base: Table, env: Environment): Table => {
  const id = Uuid.fromTimestamp(env.now)
  return makeTable({
    keyspace: base.keyspace,
    name: base.name + SUFFIX,
    id,
    version: id,
    options: new Map([["comment", `CDC log for ${base.keyspace.name}.${base.name}`]])
  }, [...COLUMNS, ...base.columns.flatMap(columnsFor)])
}

/** Throws where a table cannot have a log. */
export const checkCdc = (table: Table, before: Table | undefined): void => {
  const { keyspace, name } = table
  if (!optionsOf(table).enabled) return
  if (keyspace.tablets !== undefined) {
    throw invalid(
      `Cannot create CDC log for a table ${keyspace.name}.${name}, because keyspace uses tablets. See issue #16317.`
    )
  }
  if (table.isCounter) throw invalid(`Cannot create CDC log for a table ${keyspace.name}.${name} with counters`)
  const isNew = before === undefined || !optionsOf(before).enabled
  if (isNew && before === undefined && logOf(table) !== undefined) {
    throw invalid(
      `Cannot create CDC log table for table ${keyspace.name}.${name} because a table of name ${keyspace.name}.${name}${SUFFIX} already exists`
    )
  }
}

/** Counts what tells entries of one time apart. */
let entries = 0

/** After a table was made or altered: its log is made, or has columns of the table that it lacks. */
export const keepLog = (table: Table, env: Environment): void => {
  const options = optionsOf(table)
  const { data, keyspace } = table
  if (data.observer instanceof ChangeLog) data.observer.options = options
  if (!options.enabled) return
  const log = logOf(table)
  if (log === undefined) keyspace.tables.set(table.name + SUFFIX, makeLog(table, env))
  else {
    const add = table.columns.flatMap(columnsFor).filter(({ name }) => !log.byName.has(name))
    if (add.length > 0) {
      log.isRetired = true
      keyspace.tables.set(log.name, alterTable(log, { version: Uuid.fromTimestamp(env.now), add, now: env.now }))
    }
  }
  if (data.observer !== undefined) return
  data.observer = new ChangeLog(options, () => {
    const base = keyspace.tables.get(table.name)
    const log = base === undefined ? undefined : logOf(base)
    return base === undefined || log === undefined ? undefined : { base, log }
  }, () => ++entries)
}

/** A table takes its log with it. */
export const dropLog = (table: Table): void => {
  if (loggedBy(table) !== undefined) throw unauthorized(`Cannot DROP cdc log table ${table.name}`)
  const log = optionsOf(table).enabled ? logOf(table) : undefined
  if (log === undefined) return
  log.isRetired = true
  log.keyspace.tables.delete(log.name)
}
