/** CREATE and DROP INDEX. What an index finds is found by looking at the rows: it changes what may be asked, not how fast. */
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import * as Identifier from "@effect-scylla/protocol/Identifier"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { config, invalid, syntax, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { type Column, findKeyspace, type Index, keyspaceOf, type Table, withIndexes } from "./schema.ts"
import { type Change, changed, type Environment, touch, UNCHANGED } from "./schemaChange.ts"

type CreateIndex = Extract<Ast.SchemaStatement, { readonly _tag: "CreateIndex" }>

/** Options of an index are texts. */
const textsOf = (options: CreateIndex["options"]): ReadonlyArray<readonly [string, string]> =>
  [...options].map(([key, value]) => {
    if (typeof value !== "string") throw syntax(`Invalid value for property '${key}'. It should be a string`)
    return [key, value]
  })

const isCollection = ({ type: { cql } }: Column): boolean =>
  cql._tag === "List" || cql._tag === "Set" || cql._tag === "Map"

/** What part of the column is indexed; throws for what cannot be. */
const partOf = (
  column: Column,
  given: "values" | "keys" | "entries" | "full" | undefined,
  say: (scylla: string, cassandra: string) => string
): Index["part"] => {
  const { name, type } = column
  const isFrozen = isCollection(column) && !type.multiCell
  if (given === "full") {
    if (!isFrozen) throw invalid("full() indexes can only be created on frozen collections")
    return "full"
  }
  const frozen =
    `Cannot create ${
      given ?? "values"
    }() index on frozen column ${name}. Frozen collections are immutable and must be ` +
    `fully indexed by using the 'full(${name})' modifier`
  if (given === undefined) {
    if (isFrozen) throw invalid(say(`Cannot create index on value of frozen collection column ${name}`, frozen))
    return "values"
  }
  if (isFrozen) throw invalid(say(`Cannot create index on ${given}() of frozen collection column ${name}`, frozen))
  if (!isCollection(column)) {
    throw invalid(
      say(
        `Cannot create index on ${given}() of column ${name}; only non-frozen collections support ${given}() indexes`,
        `Cannot create ${given}() index on ${name}. Non-collection columns only support simple indexes`
      )
    )
  }
  if (given !== "values" && type.cql._tag !== "Map") {
    throw invalid(
      say(
        `Cannot create secondary index on ${given} of column ${name} with non-map type`,
        `Cannot create index on ${given} of column ${name} with non-map type`
      )
    )
  }
  return given
}

const targetText = (column: Column, part: Index["part"], { product }: Environment): string => {
  const name = Identifier.format(column.name)
  // To ScyllaDB the elements of a set are keys.
  if (product === "scylla" && column.type.cql._tag === "Set" && part === "values") return `keys(${name})`
  if (part === "full") return product === "scylla" ? name : `full(${name})`
  return isCollection(column) ? `${part}(${name})` : name
}

/** What Cassandra tells who makes an index of vectors. */
const EXPERIMENTAL =
  "SAI ANN indexes on vector columns are experimental and are not recommended for production use.\n" +
  "They don't yet support SELECT queries with:\n * Consistency level higher than ONE/LOCAL_ONE.\n * Paging.\n" +
  " * No LIMIT clauses.\n * PER PARTITION LIMIT clauses.\n * GROUP BY clauses.\n * Aggregation functions.\n" +
  " * Filters on columns without a SAI index."

const SAI = /(?:^|\.)(?:sai|StorageAttachedIndex)$/i

/** What Cassandra's storage-attached indexes do not take. */
const NOT_ATTACHED = new Set(["blob", "counter", "duration"])

/** The types of what an index holds of a column. */
const indexedTypes = ({ layout, type: { cql } }: Column, part: Index["part"]): ReadonlyArray<CqlType> => {
  if (layout === undefined || part === "full") return [cql]
  if (cql._tag === "List" || cql._tag === "Set") return [cql.element]
  if (cql._tag !== "Map") return [cql]
  return part === "keys" ? [cql.key] : part === "values" ? [cql.value] : [cql.key, cql.value]
}

export const createIndex = (env: Environment, current: string, statement: CreateIndex): Change => {
  const say = (scylla: string, cassandra: string): string => env.product === "scylla" ? scylla : cassandra
  const { className, ifNotExists, isCustom, options, table: { keyspace: given, name: tableName }, targets } = statement
  const keyspaceName = keyspaceOf(given, current)
  if (env.product === "cassandra" && !env.schema.keyspaces.has(keyspaceName)) {
    throw invalid(`Keyspace '${keyspaceName}' doesn't exist`)
  }
  const keyspace = findKeyspace(env.schema, keyspaceName)
  const table = keyspace.tables.get(tableName)
  if (table === undefined) throw invalid(say(`unconfigured table ${tableName}`, `Table '${tableName}' doesn't exist`))
  if (keyspace.isSystem) throw invalid(`${keyspaceName} keyspace is not user-modifiable.`)
  if (table.view !== undefined) {
    throw invalid(
      say(
        "Secondary indexes are not supported on materialized views",
        "Secondary indexes on materialized views aren't supported"
      )
    )
  }
  if (table.isCounter) {
    throw invalid(
      say(
        "Secondary indexes are not supported on counter tables",
        "Secondary indexes on counter tables aren't supported"
      )
    )
  }
  if (targets.length === 0) throw invalid("Only CUSTOM indexes can be created without specifying a target column")
  const isSai = className !== undefined && SAI.test(className)
  const isOld = env.product === "cassandra" && !isCustom && className?.toLowerCase() === "legacy_local_table"
  if ((isCustom || className !== undefined) && !isOld) {
    if (env.product === "scylla") {
      if (!isCustom) throw invalid("Cannot specify index class for a non-CUSTOM index")
      throw invalid(
        className === undefined
          ? "CUSTOM index requires specifying the index class"
          : `Unsupported CUSTOM INDEX class ${className}. Note that currently, Scylla does not support SASI or any other CUSTOM INDEX class.`
      )
    }
    if (!isSai) throw config(`Unable to find custom indexer class '${className ?? "legacy_local_table"}'`)
  }
  if (options.size > 0 && !isCustom && !isSai) throw invalid("Cannot specify options for a non-CUSTOM index")
  const [first, ...others] = targets
  const isLocal = first!._tag === "Key"
  if (isLocal && others.length !== 1) throw unsupported("a local index over several columns")
  if (!isLocal && others.length > 0) throw invalid("Only CUSTOM indexes support multiple columns")
  const target = (isLocal ? others[0] : first) as Extract<Ast.IndexTarget, { readonly _tag: "Column" }>
  const columnOf = (name: string): Column => {
    const found = table.byName.get(name)
    if (found === undefined) {
      throw invalid(
        say(
          `No column definition found for column ${name}`,
          `Undefined column name ${name} in table ${keyspaceName}.${tableName}`
        )
      )
    }
    return found
  }
  if (first!._tag === "Key") {
    const key = table.partitionKey.map((each) => each.name)
    const redundant = first!.columns.find((name) => columnOf(name).kind !== "partition_key")
    if (redundant !== undefined) {
      throw invalid(`Local index definition must contain full partition key only. Redundant column: ${redundant}`)
    }
    if (first!.columns.join() !== key.join()) throw unsupported("a local index over another key than the partition's")
  }
  const column = columnOf(target.column)
  if (column.kind === "partition_key" && (table.partitionKey.length === 1 || isLocal)) {
    throw invalid(
      say(
        `Cannot create secondary index on partition key column ${column.name}`,
        `Cannot create secondary index on the only partition key column ${column.name}`
      )
    )
  }
  if (column.type.cql._tag === "Scalar" && column.type.cql.name === "duration") {
    throw invalid("Secondary indexes are not supported on duration columns")
  }
  if (env.product === "cassandra" && column.type.multiCell && column.type.cql._tag === "Udt") {
    throw invalid(`Cannot create index on non-frozen UDT column ${column.name}`)
  }
  const part = partOf(column, target.part, say)
  for (const type of isSai ? indexedTypes(column, part) : []) {
    if (type._tag === "Scalar" && NOT_ATTACHED.has(type.name)) throw invalid(`Unsupported type: ${type.name}`)
  }
  if (env.product === "cassandra" && statement.name !== undefined && !/^\w+$/.test(statement.name)) {
    throw config(`Illegal index name ${statement.name}`)
  }
  const taken = new Set([...keyspace.tables.values()].flatMap((each) => each.indexes.map((index) => index.name)))
  const base = `${tableName}_${column.name}_idx`.replaceAll(/\W/g, "")
  let name = statement.name
  if (name === undefined) {
    name = base
    for (let i = 1; taken.has(name); i++) name = `${base}_${i}`
  } else if (taken.has(name)) {
    if (ifNotExists) return UNCHANGED
    throw invalid(say("Index already exists", `Index '${name}' already exists`))
  }
  const same = table.indexes.find((index) =>
    index.column === column && index.part === part && index.isLocal === isLocal &&
    (index.kind === "CUSTOM") === isSai
  )
  if (same !== undefined) {
    if (ifNotExists) return UNCHANGED
    throw invalid(
      isSai
        ? `Cannot create more than one storage-attached index on the same column: ${column.name}`
        : `Index ${name} is a duplicate of existing index ${same.name}`
    )
  }
  const text = targetText(column, part, env)
  const shown = isLocal
    ? `{"pk":[${table.partitionKey.map((each) => JSON.stringify(each.name)).join(",")}],"ck":[${
      JSON.stringify(column.name)
    }]}`
    : text
  const index: Index = {
    name,
    column,
    part,
    isLocal,
    target: shown,
    kind: isSai ? "CUSTOM" : "COMPOSITES",
    options: isSai ? new Map([["class_name", className!], ...textsOf(options)]) : new Map()
  }
  replace(env, table, [...table.indexes, index])
  return changed(
    { change: "UPDATED", target: "TABLE", keyspace: keyspaceName, name: tableName },
    isSai && column.type.cql._tag === "Vector" ? [EXPERIMENTAL] : []
  )
}

/** The table with other indexes: statements on it are prepared anew. */
const replace = (env: Environment, table: Table, indexes: ReadonlyArray<Index>): void => {
  table.isRetired = true
  table.keyspace.tables.set(table.name, withIndexes(table, Uuid.fromTimestamp(env.now), indexes))
  touch(env)
}

export const dropIndex = (
  env: Environment,
  current: string,
  { ifExists, index: { keyspace: given, name } }: Extract<Ast.SchemaStatement, { readonly _tag: "DropIndex" }>
): Change => {
  const keyspaceName = keyspaceOf(given, current)
  const keyspace = env.schema.keyspaces.get(keyspaceName)
  const table = keyspace === undefined
    ? undefined
    : [...keyspace.tables.values()].find((each) => each.indexes.some((index) => index.name === name))
  if (table === undefined) {
    if (ifExists) return UNCHANGED
    if (env.product === "cassandra") throw invalid(`Index '${keyspaceName}.${name}' doesn't exist'`)
    throw invalid(
      keyspace === undefined
        ? `Keyspace ${keyspaceName} does not exist`
        : `Index '${name}' could not be found in any of the tables of keyspace '${keyspaceName}'`
    )
  }
  replace(env, table, table.indexes.filter((index) => index.name !== name))
  return changed({ change: "UPDATED", target: "TABLE", keyspace: keyspaceName, name: table.name })
}
