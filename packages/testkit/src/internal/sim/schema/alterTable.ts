/** ALTER and DROP TABLE. */
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { config, invalid, unauthorized, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { serves } from "../plan/terms.ts"
import { checkCdc, dropLog, keepLog } from "./cdc.ts"
import { optionTexts } from "./optionValues.ts"
import {
  alterTable,
  type ColumnInput,
  findTable,
  keyspaceOf,
  rename,
  retype,
  setOptions,
  type Table,
  viewsOf
} from "./schema.ts"
import { type Change, changed, type Environment, lookup, sayOf, touch, UNCHANGED } from "./schemaChange.ts"
import { checkCounterTtl, checkNested, isCounterTable, notMasked } from "./tableColumns.ts"
import { tableOptions } from "./tableOptions.ts"
import { resolve, type SimType } from "./types.ts"
import { addToViews, checkDrop, renameInViews } from "./views.ts"

const modifiable = (env: Environment, current: string, { keyspace, name }: Ast.TableName): Table => {
  const keyspaceName = keyspaceOf(keyspace, current)
  if (env.product === "cassandra" && env.schema.keyspaces.get(keyspaceName)?.tables.has(name) !== true) {
    throw invalid(`Table '${keyspaceName}.${name}' doesn't exist`)
  }
  const table = findTable(env.schema, keyspace, current, name)
  if (table.keyspace.isSystem) throw unauthorized(`${table.keyspace.name} keyspace is not user-modifiable.`)
  if (table.view !== undefined) {
    throw invalid(
      sayOf(env)(
        "Cannot use ALTER TABLE on Materialized View",
        "Cannot use ALTER TABLE on a materialized view; use ALTER MATERIALIZED VIEW instead"
      )
    )
  }
  return table
}

/** Throws for a column that was there before as another one. */
const checkAgain = (
  before: Table["dropped"][number],
  kind: ColumnInput["kind"],
  type: SimType,
  { product }: Environment
): void => {
  if (product === "scylla") {
    if (before.type === type.text || !(type.multiCell || before.isMultiCell)) return
    throw invalid(
      `Cannot add a collection with the name ${before.name} because a collection with the same name and a different type has already been used in the past`
    )
  }
  if (before.type !== type.text) {
    throw invalid(
      `Cannot re-add previously dropped column '${before.name}' of type ${type.text}, incompatible with previous type ${before.type}`
    )
  }
  if (before.kind !== kind) {
    throw invalid(
      `Cannot re-add previously dropped column '${before.name}' of kind ${kind.toUpperCase()}, incompatible with previous kind ${before.kind.toUpperCase()}`
    )
  }
}

/** Another type for a column, which ScyllaDB takes where values stay what they are. */
const retypeColumn = (
  env: Environment,
  table: Table,
  { column: name, type: node }: NonNullable<AlterTable["retype"]>
): Change => {
  if (env.product === "cassandra") throw invalid("Altering column types is no longer supported")
  const column = table.byName.get(name)
  if (column === undefined) throw invalid(`Column ${name} was not found in table ${table.name}`)
  const type = resolve(node, lookup(table.keyspace, env))
  if (serves(column.type.cql, type.cql) === "no" || column.type.multiCell !== type.multiCell) {
    throw config(`Cannot change ${name} from type ${column.type.text} to type ${type.text}: types are incompatible.`)
  }
  const next = retype(table, Uuid.fromTimestamp(env.now), (each, of) => of === column ? type : each)
  table.keyspace.tables.set(table.name, next)
  touch(env)
  return changed({ change: "UPDATED", target: "TABLE", keyspace: table.keyspace.name, name: table.name })
}

type AlterTable = Extract<Ast.SchemaStatement, { readonly _tag: "AlterTable" }>

const renameColumns = (
  env: Environment,
  table: Table,
  renames: ReadonlyArray<readonly [from: string, to: string]>
): Change => {
  const names = new Map<string, string>()
  for (const [from, to] of renames) {
    const column = table.byName.get(from)
    if (column === undefined) {
      throw invalid(
        env.product === "scylla"
          ? `Cannot rename unknown column ${from} in table ${table.name}`
          : `Undefined column name ${from} in table ${table.keyspace.name}.${table.name}`
      )
    }
    if (table.byName.has(to)) {
      throw invalid(
        env.product === "scylla"
          ? `Cannot rename column ${from} to ${to} in table ${table.name}; another column of that name already exist`
          : `Cannot rename column ${from} to ${to} in table '${table.keyspace.name}.${table.name}'; ` +
            "another column with that name already exists"
      )
    }
    if (column.kind !== "partition_key" && column.kind !== "clustering") {
      throw invalid(`Cannot rename non PRIMARY KEY ${env.product === "scylla" ? "part" : "column"} ${from}`)
    }
    const indexes = table.indexes.filter((index) => index.column === column)
    if (indexes.length > 0 && env.product === "cassandra") {
      throw invalid(
        `Can't rename column ${from} because it has dependent secondary indexes (${
          indexes.map(({ name }) => name).join(", ")
        })`
      )
    }
    if (indexes.length > 0) {
      throw unsupported(`renaming ${from}, which is indexed`)
    }
    names.set(from, to)
  }
  const next = rename(table, Uuid.fromTimestamp(env.now), names)
  table.isRetired = true
  table.keyspace.tables.set(table.name, next)
  renameInViews(next, names, env)
  touch(env)
  return changed({ change: "UPDATED", target: "TABLE", keyspace: table.keyspace.name, name: table.name })
}

export const alterTableStatement = (
  env: Environment,
  current: string,
  statement: AlterTable
): Change => {
  if (env.product === "cassandra" && statement.properties.has("id")) throw config("Cannot alter table id.")
  if (env.product === "cassandra") tableOptions(statement.properties, env)
  if (statement.ifExists) {
    const name = keyspaceOf(statement.table.keyspace, current)
    if (env.schema.keyspaces.get(name)?.tables.has(statement.table.name) !== true) return UNCHANGED
  }
  const table = modifiable(env, current, statement.table)
  const { keyspace } = table
  if (statement.mask?.isMasked === true || statement.add.some(({ isMasked }) => isMasked)) throw notMasked()
  if (statement.mask !== undefined) {
    if (statement.ifColumns || table.byName.has(statement.mask.column)) return UNCHANGED
    throw unsupported("the mask of a column that is not there")
  }
  if (statement.rename.length > 0) return renameColumns(env, table, statement.rename)
  if (statement.retype !== undefined) return retypeColumn(env, table, statement.retype)
  const seen = new Set<string>()
  const add = statement.add.flatMap((column): ReadonlyArray<ColumnInput> => {
    if (statement.ifColumns && table.byName.has(column.name)) return []
    const before = table.dropped.find((dropped) => dropped.name === column.name)
    const kind = column.isStatic ? "static" : "regular"
    if (table.byName.has(column.name) || seen.has(column.name)) {
      const known = table.byName.get(column.name)
      const isKey = known?.kind === "partition_key" || known?.kind === "clustering"
      throw invalid(
        sayOf(env)(
          `Invalid column name ${column.name} because it conflicts with ${
            isKey ? "a PRIMARY KEY part" : "an existing column"
          }`,
          `Column with name '${column.name}' already exists`
        )
      )
    }
    seen.add(column.name)
    const type = resolve(column.type, lookup(keyspace, env))
    if (before !== undefined) checkAgain(before, kind, type, env)
    return [{ name: column.name, kind, type, again: before }]
  })
  checkNested(add, keyspace)
  const drop = statement.drop.filter((name) => !statement.ifColumns || table.byName.has(name))
  if (statement.ifColumns && add.length === 0 && drop.length === 0) return UNCHANGED
  for (const name of drop) {
    const column = table.byName.get(name)
    if (column === undefined) {
      throw invalid(
        `Column ${name} was not found in table ${sayOf(env)(table.name, `'${keyspace.name}.${table.name}'`)}`
      )
    }
    if (column.kind !== "regular" && column.kind !== "static") {
      throw invalid(`Cannot drop PRIMARY KEY ${sayOf(env)("part", "column")} ${name}`)
    }
    checkDrop(table, column, env)
  }
  const options = tableOptions(statement.properties, env, table.options)
  checkCounterTtl(table.columns, statement.properties)
  // Cassandra keeps statements prepared whose columns stay what they are, ScyllaDB does not.
  if (env.product === "cassandra" && add.length === 0 && drop.length === 0) {
    const before = String(optionTexts(table, env.product))
    setOptions(table, Uuid.fromTimestamp(env.now), options)
    // What changes nothing is told nobody.
    if (String(optionTexts(table, env.product)) === before) return UNCHANGED
    touch(env)
    return changed({ change: "UPDATED", target: "TABLE", keyspace: keyspace.name, name: table.name })
  }
  const next = alterTable(table, {
    version: Uuid.fromTimestamp(env.now),
    add,
    drop,
    // ScyllaDB forgets all of it.
    dropTimestamp: env.product === "cassandra" ? statement.dropTimestamp : undefined,
    options,
    now: env.now
  })
  isCounterTable(next.columns, env.product, { table, added: add })
  if (env.product === "scylla") checkCdc(next, table)
  table.isRetired = true
  keyspace.tables.set(table.name, next)
  if (env.product === "scylla") keepLog(next, env)
  addToViews(next, add, env)
  touch(env)
  return changed({ change: "UPDATED", target: "TABLE", keyspace: keyspace.name, name: table.name })
}

export const dropTable = (
  env: Environment,
  current: string,
  { keyspace: given, name }: Ast.TableName,
  ifExists: boolean
): Change => {
  const keyspaceName = keyspaceOf(given, current)
  const keyspace = env.schema.keyspaces.get(keyspaceName)
  const table = keyspace?.tables.get(name)
  if (keyspace === undefined || table === undefined) {
    if (ifExists) return UNCHANGED
    throw invalid(
      env.product === "scylla"
        ? `Cannot drop non existing table '${name}' in keyspace '${keyspaceName}'.`
        : `Table '${keyspaceName}.${name}' doesn't exist`
    )
  }
  if (keyspace.isSystem) throw unauthorized(`${keyspaceName} keyspace is not user-modifiable.`)
  if (table.view !== undefined) {
    throw invalid(
      sayOf(env)(
        "Cannot use DROP TABLE on Materialized View",
        "Cannot use DROP TABLE on a materialized view. Please use DROP MATERIALIZED VIEW instead."
      )
    )
  }
  const views = viewsOf(table)
  if (views.length > 0) {
    throw invalid(
      sayOf(env)(
        `Cannot drop table when materialized views still depend on it (${keyspaceName}.{${
          views.map((view) => view.name).join(", ")
        }})`,
        `Cannot drop a table when materialized views still depend on it (${keyspaceName})`
      )
    )
  }
  if (env.product === "scylla") dropLog(table)
  table.isRetired = true
  keyspace.tables.delete(name)
  touch(env)
  return changed({ change: "DROPPED", target: "TABLE", keyspace: keyspaceName, name })
}
