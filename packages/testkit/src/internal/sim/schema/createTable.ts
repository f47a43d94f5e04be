/** CREATE TABLE. */
import * as ServerError from "@effect-scylla/protocol/ServerError"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { config, invalid, unauthorized } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { checkCdc, keepLog } from "./cdc.ts"
import { type ColumnInput, keyspaceOf, makeTable } from "./schema.ts"
import { type Change, changed, type Environment, existing, lookup, sayOf, touch } from "./schemaChange.ts"
import { checkCounterTtl, checkNested, checkOrder, checkTableName, isCounterTable, notMasked } from "./tableColumns.ts"
import { tableOptions } from "./tableOptions.ts"
import { resolve, type SimType } from "./types.ts"

/** The id that a table of Cassandra is to have, taken out of its options. */
const idOf = (options: Map<string, Ast.Property>, { product }: Environment): Uuid.Uuid | undefined => {
  const given = options.get("id")
  if (given === undefined || product === "scylla") return undefined
  options.delete("id")
  const id = typeof given === "string" ? Uuid.parse(given) : undefined
  if (id === undefined) throw config("Invalid table id")
  return id
}

export const createTable = (
  env: Environment,
  current: string,
  statement: Extract<Ast.SchemaStatement, { readonly _tag: "CreateTable" }>
): Change => {
  const { clustering, columns, ifNotExists, order, partitionKey, properties, table: { keyspace: given, name } } =
    statement
  const keyspaceName = keyspaceOf(given, current)
  const keyspace = env.schema.keyspaces.get(keyspaceName)
  if (keyspace === undefined) {
    throw invalid(
      sayOf(env)(
        `Cannot create a table in a non-existent keyspace: ${keyspaceName}`,
        `Keyspace '${keyspaceName}' doesn't exist`
      )
    )
  }
  if (env.product === "cassandra" && /^system_(?:auth|distributed|traces)$/.test(keyspaceName)) {
    throw unauthorized(`Cannot CREATE <all tables in ${keyspaceName}>`)
  }
  if (keyspace.isSystem) throw unauthorized(`${keyspaceName} keyspace is not user-modifiable.`)
  checkTableName(name, keyspaceName, env.product)
  const say = sayOf(env)
  if (partitionKey.length === 0) {
    throw invalid(
      say(
        "No PRIMARY KEY specified (exactly one required)",
        `No PRIMARY KEY specifed for table '${name}' (exactly one required)`
      )
    )
  }
  const there = (): Change => {
    if (ifNotExists) return existing(env, { change: "CREATED", target: "TABLE", keyspace: keyspaceName, name })
    throw new ServerError.AlreadyExists({
      code: 0x2400,
      message: `Cannot add already existing table "${name}" to keyspace "${keyspaceName}"`,
      keyspace: keyspaceName,
      table: name
    })
  }
  const isCassandra = env.product === "cassandra"
  const twiceOrdered = order.find(({ column }, i) => order.findIndex((each) => each.column === column) < i)
  if (isCassandra && twiceOrdered !== undefined) {
    throw invalid(`Duplicate column '${twiceOrdered.column}' in CLUSTERING ORDER BY clause for table '${name}'`)
  }
  if (isCassandra && keyspace.tables.has(name)) return there()
  if (columns.some(({ isMasked }) => isMasked)) throw notMasked()
  const own = new Map(properties)
  const id = idOf(own, env)
  const options = tableOptions(own, env)
  const types = new Map<string, SimType>()
  for (const column of columns) {
    if (types.has(column.name)) {
      throw invalid(
        say(
          `Multiple definition of identifier ${column.name}`,
          `Duplicate column '${column.name}' declaration for table '${name}'`
        )
      )
    }
    types.set(column.name, resolve(column.type, lookup(keyspace, env)))
  }
  const keys = [...partitionKey, ...clustering]
  for (const key of keys) {
    if (!types.has(key)) {
      throw invalid(
        say(
          `Unknown definition ${key} referenced in PRIMARY KEY`,
          `Unknown column '${key}' referenced in PRIMARY KEY for table '${name}'`
        )
      )
    }
  }
  const twice = keys.find((key, i) => keys.indexOf(key) < i)
  if (twice !== undefined) {
    throw invalid(
      say(
        `Unknown definition ${twice} referenced in PRIMARY KEY`,
        `Duplicate column '${twice}' in PRIMARY KEY clause for table '${name}'`
      )
    )
  }
  const isStatic = (key: string): boolean => columns.some((column) => column.name === key && column.isStatic)
  const shared = keys.find(isStatic)
  if (shared !== undefined) {
    throw invalid(`Static column ${say(shared, `'${shared}'`)} cannot be part of the PRIMARY KEY`)
  }
  const inputs = [
    ...partitionKey.map((column): ColumnInput => ({ name: column, kind: "partition_key", type: types.get(column)! })),
    ...clustering.map((column, i): ColumnInput => ({
      name: column,
      kind: "clustering",
      type: types.get(column)!,
      descending: order[i]?.descending ?? false
    })),
    ...columns.filter((column) => !keys.includes(column.name)).map((column): ColumnInput => ({
      name: column.name,
      kind: column.isStatic ? "static" : "regular",
      type: types.get(column.name)!
    }))
  ]
  checkNested(inputs, keyspace)
  isCounterTable(inputs, env.product)
  if (env.tabletLimits && keyspace.tablets !== undefined && inputs.some((column) => column.type.text === "counter")) {
    throw invalid(
      `Cannot use the 'counter' type for table ${keyspace.name}.${name}: Counters are not yet supported with tablets`
    )
  }
  if (clustering.length === 0 && columns.some((column) => column.isStatic)) {
    throw invalid(
      "Static columns are only useful (and thus allowed) if the table has at least one clustering column"
    )
  }
  checkOrder(order, clustering, env.product)
  checkCounterTtl(inputs, properties)
  const made = makeTable({
    keyspace,
    name,
    id: id ?? Uuid.fromTimestamp(env.now),
    version: Uuid.fromTimestamp(env.now),
    options
  }, inputs)
  if (keyspace.tables.has(name)) return there()
  if (env.product === "scylla") checkCdc(made, undefined)
  keyspace.tables.set(name, made)
  if (env.product === "scylla") keepLog(made, env)
  touch(env)
  return changed({ change: "CREATED", target: "TABLE", keyspace: keyspaceName, name })
}
