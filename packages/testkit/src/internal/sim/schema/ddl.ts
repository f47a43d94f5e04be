/** CREATE, ALTER and DROP, applied to the schema. */
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import * as Replication from "@effect-scylla/sharding/Replication"
import { config, invalid, syntax, unauthorized, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { createIndex, dropIndex } from "./indexes.ts"
import * as RateLimit from "./rateLimit.ts"
import {
  alterTable,
  type ColumnInput,
  findTable,
  keyspaceOf,
  makeTable,
  rename,
  setOptions,
  type Table
} from "./schema.ts"
import { type Change, changed, type Environment, lookup, touch, UNCHANGED, userKeyspace } from "./schemaChange.ts"
import { resolve, type SimType } from "./types.ts"
import { alterType, createType, dropType } from "./userTypes.ts"

/** What each product says. */
const sayOf = ({ product }: Environment) => (scylla: string, cassandra: string): string =>
  product === "scylla" ? scylla : cassandra

const PACKAGE = "org.apache.cassandra.locator."

/** Replication as `system_schema.keyspaces` shows it: full class names, factors by datacenter. */
const replicationOf = (
  property: Ast.Property | undefined,
  { datacenters, product }: Environment,
  keyspace: string
): Readonly<Record<string, string>> => {
  const unknown = (option: string, strategy: string): Error =>
    config(
      `Unrecognized strategy option {${option}} passed to ${
        product === "scylla" ? PACKAGE : ""
      }${strategy} for keyspace ${keyspace}`
    )
  if (property === undefined) throw config("Missing mandatory replication strategy class")
  if (typeof property === "string") throw syntax("Invalid value for property 'replication'. It should be a map.")
  const given = property.get("class")
  if (given === undefined) throw config("Missing mandatory replication strategy class")
  const name = given.startsWith(PACKAGE) ? given.slice(PACKAGE.length) : given
  const factor = (key: string, text: string): string => {
    if (!/^\d{1,4}$/.test(text)) {
      throw config(
        product === "scylla"
          ? `Replication factor must be numeric and non-negative, found '${text}'`
          : `Replication factor must be numeric and non-negative; found '${text}' for ${key}`
      )
    }
    return String(Number(text))
  }
  const out: Record<string, string> = { class: `${PACKAGE}${name}` }
  switch (name) {
    case "SimpleStrategy": {
      const value = property.get("replication_factor")
      if (value === undefined) throw config("SimpleStrategy requires a replication_factor strategy option.")
      for (const key of property.keys()) {
        if (key !== "class" && key !== "replication_factor") throw unknown(key, name)
      }
      out["replication_factor"] = factor("replication_factor", value)
      return out
    }
    case "NetworkTopologyStrategy": {
      const all = property.get("replication_factor")
      if (all !== undefined) { for (const name of datacenters) out[name] = factor("replication_factor", all) }
      for (const [key, value] of property) {
        if (key === "class" || key === "replication_factor") continue
        if (!datacenters.includes(key)) {
          throw unknown(key, name)
        }
        out[key] = factor(key, value)
      }
      return out
    }
    case "EverywhereStrategy":
      return out
    case "LocalStrategy":
      throw config("LocalStrategy is for system keyspaces")
    default:
      throw config(`unable to find class '${given}'`)
  }
}

/** The smallest replication factor that ScyllaDB does not warn about. */
const WARN_BELOW = 3

const TABLETS_WARNING =
  "Tables in this keyspace will be replicated using Tablets and will not support CDC, LWT and counters features. To use CDC, " +
  "LWT or counters, drop this keyspace and re-create it without tablets by adding AND TABLETS = {'enabled': false} to the " +
  "CREATE KEYSPACE statement."

const warningsOf = (keyspace: string, property: Ast.Property, hasTablets: boolean): ReadonlyArray<string> => {
  const out: Array<string> = []
  if (typeof property === "string") return out
  if (hasTablets) out.push(TABLETS_WARNING)
  const strategy = property.get("class") ?? ""
  if (strategy.endsWith("SimpleStrategy")) {
    out.push(
      `${strategy} replication class is not recommended, but was used for keyspace ${keyspace}. ` +
        `You may suppress this warning by delisting ${strategy} from replication_strategy_warn_list configuration option, ` +
        "or make it into an error by listing this replication strategy on replication_strategy_fail_list."
    )
  }
  for (const [key, value] of property) {
    const factor = Number(value)
    if (key !== "class" && factor > 0 && factor < WARN_BELOW) {
      out.push(
        `Using Replication Factor ${key}=${value} lower than the minimum_replication_factor_warn_threshold=${WARN_BELOW} is not recommended.`
      )
    }
  }
  return out
}

const checkKeyspaceProperties = (properties: ReadonlyMap<string, Ast.Property>): void => {
  for (const [key, value] of properties) {
    if (key === "replication") continue
    if (key === "durable_writes") {
      if (value !== "true" && value !== "false") {
        throw syntax(
          `Invalid boolean value ${String(value)} for 'durable_writes'. Positive values can be '1', 'true' or 'yes'. ` +
            "Negative values can be '0', 'false' or 'no'."
        )
      }
      continue
    }
    if (key !== "tablets") throw syntax(`Unknown property '${key}'`)
    if (typeof value === "string") throw syntax("Invalid value for property 'tablets'. It should be a map.")
  }
}

/** How many tablets the tables of a keyspace begin with; `undefined` for those that have none. */
const tabletsOf = (
  env: Environment,
  property: Ast.Property | undefined,
  strategy: Replication.ReplicationStrategy
): number | undefined => {
  const given = property instanceof Map ? property : new Map<string, string>()
  const enabled = given.get("enabled")
  const initial = given.get("initial")
  if (enabled !== undefined && enabled !== "true" && enabled !== "false") {
    throw config(`Tablets enabled value must be true or false; found: ${enabled}`)
  }
  if (initial !== undefined && !/^\d{1,4}$/.test(initial)) {
    throw config(`Initial tablets value should be numeric; found ${initial}`)
  }
  const isAsked = property !== undefined && enabled !== "false"
  if (isAsked && env.tablets === "none") {
    throw unsupported("tablets here: create the keyspace without, or with {'enabled': false}")
  }
  if (strategy._tag !== "NetworkTopology") {
    if (isAsked) throw config("SimpleStrategy doesn't support tablet replication")
    return undefined
  }
  return isAsked || (property === undefined && env.tablets === "by default") ? Number(initial ?? 0) : undefined
}

const createKeyspace = (
  env: Environment,
  { ifNotExists, name, properties }: Extract<Ast.SchemaStatement, { readonly _tag: "CreateKeyspace" }>
): Change => {
  if (name.length > 48 && env.product === "scylla") {
    throw invalid(`Keyspace names shouldn't be more than 48 characters long (got "${name}")`)
  }
  if (!/^\w{1,48}$/.test(name)) {
    throw invalid(
      sayOf(env)(
        `"${name}" is not a valid keyspace name`,
        "Keyspace name must not be empty, more than 48 characters long, or contain non-alphanumeric-underscore characters " +
          `(got '${name}')`
      )
    )
  }
  checkKeyspaceProperties(properties)
  if (env.schema.keyspaces.get(name)?.isSystem === true) {
    throw invalid(
      env.product === "scylla"
        ? `${name} keyspace is not user-modifiable`
        : `System keyspace '${name}' is not user-modifiable`
    )
  }
  const replication = replicationOf(properties.get("replication"), env, name)
  if (env.schema.keyspaces.has(name)) {
    if (ifNotExists) return UNCHANGED
    throw new ServerError.AlreadyExists({
      code: 0x2400,
      message: `Cannot add existing keyspace "${name}"`,
      keyspace: name,
      table: ""
    })
  }
  const strategy = Replication.parse(replication)
  env.schema.keyspaces.set(name, {
    name,
    isSystem: false,
    tables: new Map(),
    types: new Map(),
    replication,
    strategy,
    tablets: tabletsOf(env, properties.get("tablets"), strategy),
    durableWrites: properties.get("durable_writes") !== "false",
    replicas: undefined
  })
  touch(env)
  return changed(
    { change: "CREATED", target: "KEYSPACE", keyspace: name },
    warningsOf(name, properties.get("replication")!, env.schema.keyspaces.get(name)?.tablets !== undefined)
  )
}

const alterKeyspace = (
  env: Environment,
  { name, properties }: Extract<Ast.SchemaStatement, { readonly _tag: "AlterKeyspace" }>
): Change => {
  const keyspace = userKeyspace(env.schema, name)
  checkKeyspaceProperties(properties)
  if (properties.has("tablets")) throw unsupported("ALTER KEYSPACE with tablets")
  const property = properties.get("replication")
  if (property !== undefined && keyspace.tablets !== undefined) {
    throw unsupported("another replication for a keyspace with tablets")
  }
  if (property !== undefined) {
    keyspace.replication = replicationOf(property, env, name)
    keyspace.strategy = Replication.parse(keyspace.replication)
    keyspace.replicas = undefined
  }
  const durable = properties.get("durable_writes")
  if (durable !== undefined) keyspace.durableWrites = durable !== "false"
  touch(env)
  return changed(
    { change: "UPDATED", target: "KEYSPACE", keyspace: name },
    property === undefined ? [] : warningsOf(name, property, false)
  )
}

const dropKeyspace = (env: Environment, name: string, ifExists: boolean): Change => {
  const keyspace = env.schema.keyspaces.get(name)
  if (keyspace === undefined) {
    if (ifExists) return UNCHANGED
    if (env.product === "cassandra") throw invalid(`Keyspace '${name}' doesn't exist`)
    throw config(`Cannot drop non existing keyspace '${name}'.`)
  }
  if (keyspace.isSystem) throw unauthorized(`${name} keyspace is not user-modifiable.`)
  const events: Array<SchemaChange> = []
  for (const table of keyspace.tables.values()) {
    table.isRetired = true
    events.push({ change: "DROPPED", target: "TABLE", keyspace: name, name: table.name })
  }
  for (const type of keyspace.types.keys()) {
    events.push({ change: "DROPPED", target: "TYPE", keyspace: name, name: type })
  }
  env.schema.keyspaces.delete(name)
  touch(env)
  const answer: SchemaChange = { change: "DROPPED", target: "KEYSPACE", keyspace: name }
  return { answer, events: [...events, answer], warnings: [] }
}

/** Options of tables with their defaults as `system_schema.tables` shows them. What ScyllaDB has beside them is refused. */
const NUMBERS = new Set([
  "bloom_filter_fp_chance",
  "crc_check_chance",
  "dclocal_read_repair_chance",
  "default_time_to_live",
  "gc_grace_seconds",
  "max_index_interval",
  "memtable_flush_period_in_ms",
  "min_index_interval",
  "read_repair_chance",
  "paxos_grace_seconds"
])
const TEXTS = new Set(["comment", "speculative_retry"])
const MAPS = new Set(["caching", "compaction", "compression", "tombstone_gc"])

const checkTableOptions = (options: ReadonlyMap<string, Ast.Property>): void => {
  for (const [key, value] of options) {
    if (NUMBERS.has(key)) {
      if (typeof value !== "string" || !/^-?\d+(?:\.\d+)?$/.test(value)) {
        throw syntax(`Invalid value for property '${key}'`)
      }
      if (key === "default_time_to_live" && !(Number(value) >= 0 && Number(value) <= 630_720_000)) {
        throw config(
          Number(value) < 0
            ? `default_time_to_live must be greater than or equal to 0 (got ${value})`
            : `default_time_to_live must be less than or equal to 630720000 (got ${value})`
        )
      }
    } else if (TEXTS.has(key)) {
      if (typeof value !== "string") throw syntax(`Invalid value for property '${key}'`)
    } else if (MAPS.has(key)) {
      if (typeof value === "string") throw syntax(`Invalid value for property '${key}'. It should be a map.`)
    } else if (key === "per_partition_rate_limit") RateLimit.check(value)
    else if (["cdc", "id", "in_memory", "synchronous_updates"].includes(key)) {
      throw unsupported(`the table option ${key}`)
    } else throw syntax(`Unknown property '${key}'`)
  }
}

/** Counters and other columns do not go together; `owner` is the table that columns are added to. */
const isCounterTable = (
  columns: ReadonlyArray<ColumnInput>,
  product: Environment["product"],
  owner?: { readonly table: Table; readonly added: ReadonlyArray<ColumnInput> }
): void => {
  const regular = columns.filter((column) => column.kind === "regular" || column.kind === "static")
  const counters = regular.filter((column) => column.type.text === "counter")
  if (counters.length > 0 && counters.length < regular.length) {
    const wrong = (owner?.added ?? regular).find((column) =>
      (column.type.text === "counter") !== (owner === undefined || owner.table.isCounter)
    )
    const [kind, other] = owner === undefined || owner.table.isCounter
      ? ["non counter", "counter"]
      : ["counter", "non counter"]
    if (product === "scylla" && wrong !== undefined) {
      throw config(`Cannot add a ${kind} column (${wrong.name}) in a ${other} column family`)
    }
    if (owner !== undefined && wrong !== undefined) {
      throw config(
        `${owner.table.keyspace.name}.${owner.table.name}: Cannot have a ${kind} column ("${wrong.name}") in a ${other} table`
      )
    }
    throw invalid("Cannot mix counter and non counter columns in the same table")
  }
  for (const column of columns) {
    if (column.kind === "regular" || column.kind === "static") continue
    if (column.type.text === "counter") {
      throw invalid(
        product === "scylla"
          ? `counter type is not supported for PRIMARY KEY part ${column.name}`
          : `counter type is not supported for PRIMARY KEY column '${column.name}'`
      )
    }
    if (column.type.multiCell) {
      throw invalid(`Invalid non-frozen collection type for PRIMARY KEY component ${column.name}`)
    }
    if (column.type.cql._tag === "Scalar" && column.type.cql.name === "duration") {
      throw invalid(
        product === "scylla"
          ? `duration type is not supported for PRIMARY KEY part ${column.name}`
          : `duration type is not supported for PRIMARY KEY column '${column.name}'`
      )
    }
  }
}

const checkTableName = (name: string, keyspace: string, product: Environment["product"]): void => {
  if (!/^\w+$/.test(name)) {
    throw product === "scylla"
      ? invalid(`"${name}" is not a valid table name (must be alphanumeric character only: [0-9A-Za-z]+)`)
      : config(
        `${keyspace}.${name}: Table name must not be empty, more than 48 characters long, or contain ` +
          `non-alphanumeric-underscore characters (got "${name}")`
      )
  }
  if (name.length > 48 && product === "scylla") {
    throw invalid(`Table names shouldn't be more than 48 characters long (got "${name}")`)
  }
  if (name.length > 222) throw unsupported("a table with a name of more than 222 characters")
}

const createTable = (
  env: Environment,
  current: string,
  statement: Extract<Ast.SchemaStatement, { readonly _tag: "CreateTable" }>
): Change => {
  const { clustering, columns, ifNotExists, order, partitionKey, properties, table: { keyspace: given, name } } =
    statement
  const keyspaceName = keyspaceOf(given, current)
  const keyspace = env.schema.keyspaces.get(keyspaceName)
  if (keyspace === undefined) throw config(`Cannot add table '${name}' to non existing keyspace '${keyspaceName}'.`)
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
    types.set(column.name, resolve(column.type, lookup(keyspace)))
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
  order.forEach(({ column }, i) => {
    if (clustering[i] !== column) {
      throw invalid(
        clustering.includes(column)
          ? "The order of columns in the CLUSTERING ORDER directive must be the one of the clustering key"
          : `Missing CLUSTERING ORDER for column ${clustering[i] ?? column}`
      )
    }
  })
  if (order.length > 0 && order.length < clustering.length) {
    throw invalid(`Missing CLUSTERING ORDER for column ${clustering[order.length]!}`)
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
  isCounterTable(inputs, env.product)
  checkTableOptions(properties)
  const made = makeTable({
    keyspace,
    name,
    id: Uuid.fromTimestamp(env.now),
    version: Uuid.fromTimestamp(env.now),
    options: properties
  }, inputs)
  if (keyspace.tables.has(name)) {
    if (ifNotExists) return UNCHANGED
    throw new ServerError.AlreadyExists({
      code: 0x2400,
      message: `Cannot add already existing table "${name}" to keyspace "${keyspaceName}"`,
      keyspace: keyspaceName,
      table: name
    })
  }
  keyspace.tables.set(name, made)
  touch(env)
  return changed({ change: "CREATED", target: "TABLE", keyspace: keyspaceName, name })
}

const modifiable = (env: Environment, current: string, { keyspace, name }: Ast.TableName): Table => {
  const table = findTable(env.schema, keyspace, current, name)
  if (table.keyspace.isSystem) throw unauthorized(`${table.keyspace.name} keyspace is not user-modifiable.`)
  return table
}

const renameColumns = (
  env: Environment,
  table: Table,
  renames: ReadonlyArray<readonly [from: string, to: string]>,
  ifColumns: boolean
): Change => {
  const names = new Map<string, string>()
  for (const [from, to] of renames) {
    const column = table.byName.get(from)
    if (column === undefined) {
      if (ifColumns) continue
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
    if (table.indexes.some((index) => index.column === column)) {
      throw unsupported(`renaming ${from}, which is indexed`)
    }
    names.set(from, to)
  }
  if (names.size === 0) return UNCHANGED
  const next = rename(table, Uuid.fromTimestamp(env.now), names)
  table.isRetired = true
  table.keyspace.tables.set(table.name, next)
  touch(env)
  return changed({ change: "UPDATED", target: "TABLE", keyspace: table.keyspace.name, name: table.name })
}

const alterTableStatement = (
  env: Environment,
  current: string,
  statement: Extract<Ast.SchemaStatement, { readonly _tag: "AlterTable" }>
): Change => {
  if (statement.ifExists) {
    const name = keyspaceOf(statement.table.keyspace, current)
    if (env.schema.keyspaces.get(name)?.tables.has(statement.table.name) !== true) return UNCHANGED
  }
  const table = modifiable(env, current, statement.table)
  const { keyspace } = table
  if (statement.rename.length > 0) return renameColumns(env, table, statement.rename, statement.ifColumns)
  const seen = new Set<string>()
  const add = statement.add.flatMap((column): ReadonlyArray<ColumnInput> => {
    if (statement.ifColumns && table.byName.has(column.name)) return []
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
    const type = resolve(column.type, lookup(keyspace))
    const before = table.dropped.find((dropped) => dropped.name === column.name)
    if (before !== undefined && before.type !== type.text) {
      throw invalid(
        `Cannot re-add previously dropped column '${column.name}' of type ${type.text}, incompatible with previous type ${before.type}`
      )
    }
    return [{ name: column.name, kind: column.isStatic ? "static" : "regular", type }]
  })
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
  }
  checkTableOptions(statement.properties)
  // Cassandra keeps statements prepared whose columns stay what they are, ScyllaDB does not.
  if (env.product === "cassandra" && add.length === 0 && drop.length === 0) {
    setOptions(table, Uuid.fromTimestamp(env.now), statement.properties)
    touch(env)
    return changed({ change: "UPDATED", target: "TABLE", keyspace: keyspace.name, name: table.name })
  }
  const next = alterTable(table, {
    version: Uuid.fromTimestamp(env.now),
    add,
    drop,
    options: statement.properties,
    now: env.now
  })
  isCounterTable(next.columns, env.product, { table, added: add })
  table.isRetired = true
  keyspace.tables.set(table.name, next)
  touch(env)
  return changed({ change: "UPDATED", target: "TABLE", keyspace: keyspace.name, name: table.name })
}

const dropTable = (
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
  table.isRetired = true
  keyspace.tables.delete(name)
  touch(env)
  return changed({ change: "DROPPED", target: "TABLE", keyspace: keyspaceName, name })
}

/** Applies a statement; throws before anything is changed. `current` is the connection's keyspace. */
export const applyStatement = (env: Environment, statement: Ast.SchemaStatement, current: string): Change => {
  switch (statement._tag) {
    case "CreateKeyspace":
      return createKeyspace(env, statement)
    case "AlterKeyspace":
      return alterKeyspace(env, statement)
    case "DropKeyspace":
      return dropKeyspace(env, statement.name, statement.ifExists)
    case "CreateTable":
      return createTable(env, current, statement)
    case "AlterTable":
      return alterTableStatement(env, current, statement)
    case "DropTable":
      return dropTable(env, current, statement.table, statement.ifExists)
    case "AlterType":
      return alterType(env, current, statement)
    case "CreateType":
      return createType(env, current, statement)
    case "CreateIndex":
      return createIndex(env, current, statement)
    case "DropIndex":
      return dropIndex(env, current, statement)
    case "DropType":
      return dropType(env, current, statement.type, statement.ifExists)
  }
}
