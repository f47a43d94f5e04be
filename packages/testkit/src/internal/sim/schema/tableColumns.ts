/** What columns and names of tables may be. */
import { config, invalid, unsupported } from "../failure.ts"
import type { ColumnOrder, Property } from "../parse/ast.ts"
import type { ColumnInput, Keyspace, Table } from "./schema.ts"
import type { Environment } from "./schemaChange.ts"

/** Counters and other columns do not go together; `owner` is the table that columns are added to. */
export const isCounterTable = (
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
      const { cql, text } = column.type
      const kind = cql._tag === "Udt" ? "user-defined" : "collection"
      if (product === "scylla") {
        throw invalid(`Invalid non-frozen ${kind} type for PRIMARY KEY component ${column.name}`)
      }
      const shown = cql._tag === "Udt" ? `"${cql.keyspace}.${cql.name}"` : text
      throw invalid(`Invalid non-frozen ${kind} type ${shown} for PRIMARY KEY column '${column.name}'`)
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

/** A user-defined type whose fields are cells has no field that is of several. */
export const checkNested = (columns: ReadonlyArray<ColumnInput>, keyspace: Keyspace): void => {
  for (const { type } of columns) {
    if (!type.multiCell || type.cql._tag !== "Udt") continue
    if (keyspace.types.get(type.cql.name)?.fields.some(({ type }) => /^(?:list|map|set)</.test(type.text)) === true) {
      throw invalid("Non-frozen UDTs with nested non-frozen collections are not supported")
    }
  }
}

/** A Cassandra that is not configured to mask columns does not. */
export const notMasked = (): Error =>
  invalid(
    "Cannot mask columns because dynamic data masking is not enabled. You can enable it with the " +
      "dynamic_data_masking_enabled property on cassandra.yaml"
  )

export const checkTableName = (name: string, keyspace: string, product: Environment["product"]): void => {
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

/** CLUSTERING ORDER names clustering columns, as they stand in the key: the first of them, or all. */
export const checkOrder = (
  order: ReadonlyArray<ColumnOrder>,
  clustering: ReadonlyArray<string>,
  product: Environment["product"]
): void => {
  const isCassandra = product === "cassandra"
  const others = order.filter(({ column }) => !clustering.includes(column))
  if (isCassandra ? others.length > 0 : order.length > clustering.length) {
    throw invalid(
      "Only clustering key columns can be defined in CLUSTERING ORDER directive" +
        (isCassandra ? `: [${others.map(({ column }) => column).join(", ")}] are not clustering columns` : "")
    )
  }
  order.forEach(({ column }, i) => {
    const wanted = clustering[i]!
    if (wanted === column) return
    throw invalid(
      !order.some((each) => each.column === wanted)
        ? `Missing CLUSTERING ORDER for column ${wanted}`
        : isCassandra
        ? `The order of columns in the CLUSTERING ORDER directive must match that of the clustering columns (${wanted} must appear before ${column})`
        : `The order of columns in the CLUSTERING ORDER directive must be the one of the clustering key (${wanted} must appear before ${column})`
    )
  })
}

/** Counters do not expire. */
export const checkCounterTtl = (
  columns: ReadonlyArray<ColumnInput>,
  options: ReadonlyMap<string, Property>
): void => {
  const hasCounters = columns.some((column) => column.type.text === "counter")
  if (hasCounters && Number(options.get("default_time_to_live") ?? 0) > 0) {
    throw invalid("Cannot set default_time_to_live on a table with counters")
  }
}
