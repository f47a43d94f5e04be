/** CREATE, ALTER and DROP MATERIALIZED VIEW, and what becomes of views when their table changes. */
import * as ServerError from "@effect-scylla/protocol/ServerError"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { config, invalid, unauthorized, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { optionTexts } from "./optionValues.ts"
import {
  alterTable,
  type Column,
  type ColumnInput,
  findKeyspace,
  findTable,
  keyspaceOf,
  makeTable,
  rename,
  setOptions,
  type Table,
  viewsOf
} from "./schema.ts"
import { type Change, changed, type Environment, sayOf, touch, UNCHANGED } from "./schemaChange.ts"
import { checkOrder, checkTableName } from "./tableColumns.ts"
import { tableOptions } from "./tableOptions.ts"

type CreateView = Extract<Ast.SchemaStatement, { readonly _tag: "CreateView" }>

const EXPERIMENTAL = "Materialized views are experimental and are not recommended for production use."

/** ScyllaDB takes 0, which it shows of views, too. */
const hasTtl = (properties: ReadonlyMap<string, Ast.Property>, { product }: Environment): boolean => {
  const given = properties.get("default_time_to_live")
  return product === "scylla" ? Number(given ?? 0) > 0 : given !== undefined
}

const TTL_OF_BASE =
  "Data in a materialized view always expire at the same time than the corresponding data in the parent table."

const warningsOf = ({ product }: Environment): ReadonlyArray<string> => product === "cassandra" ? [EXPERIMENTAL] : []

const isKey = ({ kind }: Column): boolean => kind === "partition_key" || kind === "clustering"

const columnOf = (name: string, base: Table, env: Environment): Column => {
  const found = base.byName.get(name)
  if (found !== undefined) return found
  throw invalid(
    sayOf(env)(
      `Unknown column name detected in CREATE MATERIALIZED VIEW statement: ${name}`,
      `Undefined column name ${name} in table ${base.keyspace.name}.${base.name}`
    )
  )
}

const baseOf = (env: Environment, keyspaceName: string, { keyspace, name }: Ast.TableName): Table => {
  if (keyspace !== undefined && keyspace !== keyspaceName) {
    throw invalid(
      sayOf(env)(
        "Cannot create a materialized view on a table in a separate keyspace",
        "Cannot create a materialized view on a table in a different keyspace"
      )
    )
  }
  const base = env.product === "scylla"
    ? findTable(env.schema, keyspace, keyspaceName, name)
    : findKeyspace(env.schema, keyspaceName).tables.get(name)
  if (base === undefined || (base.view !== undefined && env.product === "cassandra")) {
    throw invalid(`Base table '${name}' doesn't exist`)
  }
  if (base.view !== undefined) throw invalid("Materialized views cannot be created against other materialized views")
  if (base.keyspace.isSystem) throw unauthorized(`${keyspaceName} keyspace is not user-modifiable.`)
  if (base.isCounter) {
    throw invalid(
      sayOf(env)(
        "Materialized views are not supported on counter tables",
        "Materialized views are not supported on counter tables"
      )
    )
  }
  return base
}

/** The columns that are selected, by name. */
const selectedOf = (statement: CreateView, base: Table, env: Environment): ReadonlyArray<Column> =>
  statement.selectors.map(({ alias, expression }) => {
    if (expression._tag !== "Column") {
      throw invalid(
        sayOf(env)(
          "Cannot use general expressions when defining a materialized view",
          "Can only select columns by name when defining a materialized view " +
            "(got org.apache.cassandra.cql3.selection.Selectable$WithFunction$Raw@<hash>)"
        )
      )
    }
    if (alias !== undefined) {
      throw invalid(
        sayOf(env)(
          "Cannot use alias when defining a materialized view",
          "Cannot use aliases when defining a materialized view (got org.apache.cassandra.cql3.selection.RawSelector@<hash>)"
        )
      )
    }
    return columnOf(expression.name, base, env)
  })

const staticIn = (column: Column, name: string): Error =>
  invalid(`Cannot include static column '${column.name}' in materialized view '${name}'`)

/** What the key of a view must be: all of the table's, and at most one column beside it. */
const checkKey = (statement: CreateView, base: Table, env: Environment): void => {
  const { clustering, partitionKey, view: { name } } = statement
  const say = sayOf(env)
  const names = [...partitionKey, ...clustering]
  const selected = statement.selectors.flatMap(({ expression }) =>
    expression._tag === "Column" ? [expression.name] : []
  )
  const unknown = names.find((each) => !base.byName.has(each) || (selected.length > 0 && !selected.includes(each)))
  if (unknown !== undefined && env.product === "cassandra") {
    throw invalid(`Unknown column '${unknown}' referenced in PRIMARY KEY for materialized view '${name}'`)
  }
  const keys = names.map((each) => columnOf(each, base, env))
  const twice = keys.find((column, i) => keys.indexOf(column) < i)
  if (twice !== undefined) {
    throw invalid(
      say(
        `Duplicate entry found in PRIMARY KEY: ${twice.name}`,
        `Duplicate column '${twice.name}' in PRIMARY KEY clause for materialized view '${name}'`
      )
    )
  }
  const others = keys.filter((column) => !isKey(column))
  for (const column of others) {
    if (column.kind === "static") {
      throw env.product === "cassandra"
        ? staticIn(column, name)
        : invalid(`Cannot use Static column '${column.name}' in PRIMARY KEY of materialized view`)
    }
    if (column.type.multiCell) {
      throw invalid(
        say(
          `Cannot use MultiCell column '${column.name}' in PRIMARY KEY of materialized view`,
          `Invalid non-frozen collection type for PRIMARY KEY component ${column.name}`
        )
      )
    }
  }
  if (others.length > 1) {
    throw invalid(
      say(
        `Cannot include more than one non-primary key column '${others[1]!.name}' in materialized view primary key`,
        `Cannot include more than one non-primary key column in materialized view primary key (got ${
          others.map((column) => column.name).join(", ")
        })`
      )
    )
  }
  const absent = [...base.partitionKey, ...base.clustering].filter((column) => !keys.includes(column))
  if (absent.length > 0) {
    const names = absent.map((column) => column.name).join(", ")
    throw invalid(
      say(
        `Cannot create Materialized View ${name} without primary key columns from base ${base.name} (${names})`,
        `Cannot create materialized view '${name}' without primary key columns ${names} from base table '${base.name}'`
      )
    )
  }
}

/** All that its rows are made of must be there, and Cassandra looks at nothing but the key for more than that. */
const checkWhere = (statement: CreateView, base: Table, env: Environment): void => {
  const restricted = new Set(
    statement.where.flatMap((relation) =>
      "column" in relation ? relation.column : "columns" in relation ? relation.columns : []
    )
  )
  for (const name of restricted) columnOf(name, base, env)
  const keys = [...statement.partitionKey, ...statement.clustering]
  const open = keys.filter((name) => !restricted.has(name))
  if (open.length > 0) {
    throw invalid(
      sayOf(env)(
        `Primary key column '${open[0]!}' is required to be filtered by 'IS NOT NULL'`,
        `Primary key columns ${open.join(", ")} must be restricted with 'IS NOT NULL' or otherwise`
      )
    )
  }
  const wrong = statement.where.flatMap((relation) => {
    if (relation._tag === "NotNull") return keys.includes(relation.column) ? [] : relation.column
    if (!("column" in relation)) return []
    return isKey(base.byName.get(relation.column)!) || env.product === "scylla" ? [] : relation.column
  })
  if (wrong.length === 0) return
  throw invalid(
    sayOf(env)(
      `The IS NOT NULL restriction is allowed only columns which are part of the view's primary key, found columns: ${
        wrong.join(", ")
      }. The flag strict_is_not_null_in_views can be used to turn this error into a warning, or to silence it. ` +
        "(true - error, warn - warning, false - silent)",
      `Non-primary key columns can only be restricted with 'IS NOT NULL' (got: ${
        wrong.join(", ")
      } restricted illegally)`
    )
  )
}

export const createView = (env: Environment, current: string, statement: CreateView): Change => {
  const { clustering, ifNotExists, order, partitionKey, properties, view: { keyspace: given, name } } = statement
  const say = sayOf(env)
  const keyspaceName = keyspaceOf(given, current)
  const keyspace = findKeyspace(env.schema, keyspaceName)
  checkTableName(name, keyspaceName, env.product)
  const base = baseOf(env, keyspaceName, statement.base)
  const existing = keyspace.tables.has(name)
  if (existing && ifNotExists && env.product === "cassandra") return { ...UNCHANGED, warnings: warningsOf(env) }
  if (existing && !ifNotExists) {
    throw new ServerError.AlreadyExists({
      code: 0x2400,
      message: say(
        `Cannot add already existing table "${name}" to keyspace "${keyspaceName}"`,
        `Cannot add already existing table "${name}" to keyspace "${keyspaceName}"`
      ),
      keyspace: keyspaceName,
      table: name
    })
  }
  if (hasTtl(properties, env)) {
    throw invalid(
      `Cannot set ${say("or alter ", "")}default_time_to_live for a materialized view. ${TTL_OF_BASE}`
    )
  }
  const options = tableOptions(properties, env)
  const selected = selectedOf(statement, base, env)
  const included = selected.length === 0 ? base.columns : selected
  const shared = included.find((column) => column.kind === "static")
  if (shared !== undefined && env.product === "cassandra") throw staticIn(shared, name)
  checkKey(statement, base, env)
  if (shared !== undefined) {
    throw invalid(
      `Unable to include static column '${shared.name}'${
        selected.length === 0 ? " which would be included by Materialized View SELECT * statement" : ""
      }`
    )
  }
  checkWhere(statement, base, env)
  if (statement.where.some(({ _tag }) => _tag === "Multi" || _tag === "MultiIn" || _tag === "Token")) {
    throw unsupported("a view of relations over several columns, or of tokens")
  }
  checkOrder(order, clustering, env.product)
  if (existing) return { ...UNCHANGED, answer: { change: "CREATED", target: "TABLE", keyspace: keyspaceName, name } }
  const keys = new Set([...partitionKey, ...clustering])
  const input = (column: string, kind: ColumnInput["kind"], descending = false): ColumnInput => ({
    name: column,
    kind,
    type: base.byName.get(column)!.type,
    descending
  })
  const id = Uuid.fromTimestamp(env.now)
  keyspace.tables.set(
    name,
    makeTable({
      keyspace,
      name,
      id,
      version: id,
      options,
      view: { base: base.name, includesAll: selected.length === 0, where: statement.where }
    }, [
      ...partitionKey.map((column) => input(column, "partition_key")),
      ...clustering.map((column, i) =>
        input(
          column,
          "clustering",
          // Of Cassandra an order that is not said is that of the table.
          order[i]?.descending ?? (env.product === "cassandra" && base.byName.get(column)!.descending)
        )
      ),
      ...included.filter((column) => !keys.has(column.name)).map((column) => input(column.name, "regular"))
    ])
  )
  touch(env)
  return changed({ change: "CREATED", target: "TABLE", keyspace: keyspaceName, name }, warningsOf(env))
}

/** The view that a statement names. */
const findView = (env: Environment, current: string, { keyspace: given, name }: Ast.TableName, verb: string): Table => {
  const keyspaceName = keyspaceOf(given, current)
  if (env.product === "cassandra") {
    const found = env.schema.keyspaces.get(keyspaceName)?.tables.get(name)
    if (found?.view !== undefined) return found
    throw invalid(`Materialized view '${keyspaceName}.${name}' doesn't exist`)
  }
  const found = findTable(env.schema, given, current, name)
  if (found.view === undefined) throw invalid(`Cannot use ${verb} MATERIALIZED VIEW on Table`)
  return found
}

export const alterView = (
  env: Environment,
  current: string,
  { ifExists, properties, view }: Extract<Ast.SchemaStatement, { readonly _tag: "AlterView" }>
): Change => {
  if (ifExists && env.schema.keyspaces.get(keyspaceOf(view.keyspace, current))?.tables.has(view.name) !== true) {
    return UNCHANGED
  }
  const found = findView(env, current, view, "ALTER")
  if (hasTtl(properties, env)) {
    throw invalid(
      `Cannot set${sayOf(env)(" or alter", "")} default_time_to_live for a materialized view. ${TTL_OF_BASE}`
    )
  }
  if (env.product === "cassandra" && Number(properties.get("gc_grace_seconds") ?? 1) === 0) {
    throw invalid(
      "Cannot alter gc_grace_seconds of a materialized view to 0, since this value is used to TTL undelivered updates. " +
        "Setting gc_grace_seconds too low might cause undelivered updates to expire before being replayed."
    )
  }
  const before = String(optionTexts(found, env.product))
  setOptions(found, Uuid.fromTimestamp(env.now), tableOptions(properties, env, found.options))
  if (env.product === "cassandra" && String(optionTexts(found, env.product)) === before) return UNCHANGED
  touch(env)
  return changed({ change: "UPDATED", target: "TABLE", keyspace: found.keyspace.name, name: found.name })
}

export const dropView = (
  env: Environment,
  current: string,
  { ifExists, view }: Extract<Ast.SchemaStatement, { readonly _tag: "DropView" }>
): Change => {
  const keyspaceName = keyspaceOf(view.keyspace, current)
  if (env.schema.keyspaces.get(keyspaceName)?.tables.has(view.name) !== true) {
    if (ifExists) return UNCHANGED
    if (env.product === "scylla") {
      throw config(`Cannot drop non existing materialized view '${view.name}' in keyspace '${keyspaceName}'.`)
    }
  }
  const found = findView(env, current, view, "DROP")
  found.isRetired = true
  found.keyspace.tables.delete(found.name)
  touch(env)
  return changed({ change: "DROPPED", target: "TABLE", keyspace: keyspaceName, name: found.name })
}

/** Whether a view needs a column of its table, to show it or to know that a row is there. */
const needs = (view: Table, column: Column, base: Table): boolean =>
  view.byName.has(column.name) ||
  [...view.partitionKey, ...view.clustering].every(({ name }) => isKey(base.byName.get(name)!))

/** Throws for a column that cannot be dropped for a view's sake. */
export const checkDrop = (base: Table, column: Column, env: Environment): void => {
  const views = viewsOf(base)
  const indexes = base.indexes.filter((index) => index.column === column)
  if (env.product === "cassandra" && indexes.length > 0) {
    throw invalid(
      `Cannot drop column ${column.name} because it has dependent secondary indexes (${
        indexes.map(({ name }) => name).join(", ")
      })`
    )
  }
  if (env.product === "cassandra" && views.length > 0) {
    throw invalid(`Cannot drop column ${column.name} on base table ${base.name} with materialized views`)
  }
  const needing = views.find((view) => needs(view, column, base))
  if (needing === undefined) return
  throw invalid(
    `Cannot drop column ${column.name} from base table ${base.keyspace.name}.${base.name}: materialized view ${needing.name} needs this column`
  )
}

const replace = (view: Table, next: Table): void => {
  view.isRetired = true
  view.keyspace.tables.set(view.name, next)
}

/** Views that show all of their table show what is added to it. */
export const addToViews = (base: Table, add: ReadonlyArray<ColumnInput>, env: Environment): void => {
  const shown = add.filter(({ kind }) => kind === "regular")
  if (shown.length === 0) return
  for (const view of viewsOf(base)) {
    if (view.view!.includesAll) {
      replace(view, alterTable(view, { version: Uuid.fromTimestamp(env.now), add: shown, now: env.now }))
    }
  }
}

const renamed = (relation: Ast.Relation, names: ReadonlyMap<string, string>): Ast.Relation =>
  "column" in relation ? { ...relation, column: names.get(relation.column) ?? relation.column } : relation

/** Columns of a table's key are called in its views what they are called in the table. */
export const renameInViews = (base: Table, names: ReadonlyMap<string, string>, env: Environment): void => {
  for (const view of viewsOf(base)) {
    const next = rename(view, Uuid.fromTimestamp(env.now), names)
    replace(view, {
      ...next,
      view: { ...view.view!, where: view.view!.where.map((relation) => renamed(relation, names)) }
    })
  }
}
