/** Statements that make again what the schema holds. */
import { format } from "@effect-scylla/protocol/Identifier"
import { isLog } from "./changeLogs.ts"
import { part, quoted, word } from "./clauses.ts"
import type * as Schema from "./model.ts"
import { thawed, toText } from "./types.ts"

const LOCATORS = "org.apache.cassandra.locator."
const AND = "\n    AND "

const full = (keyspace: string, name: string): string => `${format(keyspace)}.${format(name)}`
const names = (columns: ReadonlyArray<{ readonly name: string }>): string =>
  columns.map(({ name }) => format(name)).join(", ")

const map = (entries: Readonly<Record<string, string>>): string =>
  `{${Object.entries(entries).map(([key, value]) => `${quoted(key)}: ${quoted(value)}`).join(", ")}}`

const hex = (bytes: Uint8Array): string =>
  `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`

/** Servers write chances with a fraction. */
const number = (name: string, value: number): string =>
  name.endsWith("_chance") && Number.isInteger(value) ? value.toFixed(1) : String(value)

const option = (name: string, value: Schema.OptionValue): string => {
  const text = typeof value === "string"
    ? quoted(value)
    : typeof value === "object"
    ? map(value)
    : typeof value === "number"
    ? number(name, value)
    : String(value)
  return `${word("the name of an option", name)} = ${text}`
}

const replication = ({ replication: { class: type = "", ...others } }: Schema.Keyspace): string => {
  const short = String(type).startsWith(LOCATORS) ? String(type).slice(LOCATORS.length) : String(type)
  const given = Object.entries(others).map(([key, value]) =>
    `${quoted(key)}: ${typeof value === "string" ? quoted(value) : `[${value.map(quoted).join(", ")}]`}`
  )
  return `{${[`'class': ${quoted(short)}`, ...given].join(", ")}}`
}

const keyspace = (given: Schema.Keyspace): string => {
  const { consistency, durableWrites, name, storage, tablets } = given
  const parts = [`replication = ${replication(given)}`, `durable_writes = ${durableWrites}`]
  if (tablets?.enabled === false) parts.push("tablets = {'enabled': false}")
  else if (tablets !== undefined && tablets.initial > 0) parts.push(`tablets = {'initial': ${tablets.initial}}`)
  if (consistency !== undefined) parts.push(`consistency = ${quoted(consistency)}`)
  if (storage !== undefined) parts.push(`storage = ${map(storage)}`)
  return `CREATE KEYSPACE ${format(name)} WITH ${parts.join(" AND ")}`
}

const type = ({ fields, keyspace, name }: Schema.UserType): string =>
  `CREATE TYPE ${full(keyspace, name)} (\n${
    fields.map((field) => `    ${format(field.name)} ${toText(field.text)}`).join(",\n")
  }\n)`

/** A body in which `$$` cannot end too early stands between those. */
const body = (text: string): string => text.includes("$$") || text.endsWith("$") ? quoted(text) : `$$${text}$$`

const userFunction = (given: Schema.UserFunction): string => {
  const { isCalledOnNull, keyspace, language, name, returns } = given
  const types = given.arguments.map((each) => `${format(each.name)} ${toText(thawed(each.text))}`).join(", ")
  return `CREATE FUNCTION ${full(keyspace, name)}(${types})\n    ${
    isCalledOnNull ? "CALLED" : "RETURNS NULL"
  } ON NULL INPUT\n    RETURNS ${toText(thawed(returns.text))}\n    LANGUAGE ${
    word("the language of a function", language)
  }\n    AS ${body(given.body)}`
}

const aggregate = (given: Schema.Aggregate): string => {
  const { finalFunction, initialCondition, keyspace, name, reduceFunction, state, stateFunction } = given
  return [
    `CREATE AGGREGATE ${full(keyspace, name)}(${given.arguments.map(({ text }) => toText(thawed(text))).join(", ")})`,
    `SFUNC ${format(stateFunction)}`,
    `STYPE ${toText(thawed(state.text))}`,
    ...(reduceFunction === undefined ? [] : [`REDUCEFUNC ${format(reduceFunction)}`]),
    ...(finalFunction === undefined ? [] : [`FINALFUNC ${format(finalFunction)}`]),
    ...(initialCondition === undefined ? [] : [`INITCOND ${part("an initial state", initialCondition)}`])
  ].join("\n    ")
}

/** Texts of types whose values stand in quotes, of which servers give the text without. */
const IN_QUOTES = new Set(["ascii", "date", "inet", "text", "time", "timestamp", "varchar"])

const maskText = ({ arguments: given, keyspace, name }: Schema.Mask): string =>
  `${full(keyspace, name)}(${
    given.map(({ type, value }) =>
      value === null ? "null" : IN_QUOTES.has(type) ? quoted(value) : part("an argument of a mask", value)
    ).join(", ")
  })`

const ofKind = (kind: Schema.ColumnKind, { columns }: Schema.Table | Schema.View): ReadonlyArray<Schema.Column> =>
  columns.filter((column) => column.kind === kind)

const primaryKey = (given: Schema.Table | Schema.View): string => {
  const partition = ofKind("partition_key", given)
  const head = partition.length === 1 ? names(partition) : `(${names(partition)})`
  return `PRIMARY KEY (${[head, ...ofKind("clustering", given).map(({ name }) => format(name))].join(", ")})`
}

/** What stands behind WITH; a table always has options. */
const properties = (given: Schema.Table | Schema.View): string => {
  const order = ofKind("clustering", given).map(({ name, order }) => `${format(name)} ${order ?? "ASC"}`)
  // Where they can be given: others have them as options with names of their own.
  const hasExtensions = "additional_write_policy" in given.options
  const extensions = [...given.extensions].map(([key, value]) => `${quoted(key)}: ${hex(value)}`)
  return [
    ...(given._tag === "Table" && given.isCompact ? ["COMPACT STORAGE"] : []),
    ...(order.length === 0 ? [] : [`CLUSTERING ORDER BY (${order.join(", ")})`]),
    ...Object.entries(given.options).map(([name, value]) => option(name, value)),
    ...(hasExtensions ? [`extensions = {${extensions.join(", ")}}`] : [])
  ].join(AND)
}

const withProperties = (text: string): string => text === "" ? "" : ` WITH ${text}`

const table = (given: Schema.Table): string => {
  const isOneColumn = ofKind("partition_key", given).length === 1 && ofKind("clustering", given).length === 0
  const lines = given.columns.map(({ kind, mask, name, text }) =>
    `    ${format(name)} ${toText(text)}${kind === "static" ? " static" : ""}${
      mask === undefined ? "" : ` MASKED WITH ${maskText(mask)}`
    }${isOneColumn && kind === "partition_key" ? " PRIMARY KEY" : ""}`
  )
  return `CREATE TABLE ${full(given.keyspace, given.name)} (\n${
    [...lines, ...(isOneColumn ? [] : [`    ${primaryKey(given)}`])].join(",\n")
  }\n)${withProperties(properties(given))}`
}

const view = (given: Schema.View): string =>
  `CREATE MATERIALIZED VIEW ${full(given.keyspace, given.name)} AS\n    SELECT ${
    given.includesAll ? "*" : names(given.columns)
  }\n    FROM ${full(given.keyspace, given.base)}\n    WHERE ${part("a condition", given.where)}\n    ${
    primaryKey(given)
  }${withProperties(properties(given))}`

const index = (given: Schema.Index): string => {
  const { className, columns, localTo, name, options, part: of } = given
  const column = columns.map((each) => format(each)).join(", ")
  const target = localTo !== undefined
    ? `(${localTo.map((each) => format(each)).join(", ")}), ${column}`
    : of === undefined
    ? column
    : `${of}(${column})`
  const hasOptions = Object.keys(options).length > 0
  return `CREATE ${className === undefined ? "" : "CUSTOM "}INDEX ${format(name)} ON ${
    full(given.keyspace, given.table)
  } (${target})${className === undefined ? "" : ` USING ${quoted(className)}`}${
    hasOptions ? ` WITH OPTIONS = ${map(options)}` : ""
  }`
}

const withIndexes = (given: Schema.Table): ReadonlyArray<string> => [
  table(given),
  ...Array.from(given.indexes.values(), index)
]

export const statements = (given: Schema.Part): ReadonlyArray<string> => {
  switch (given._tag) {
    case "Keyspace":
      return [
        keyspace(given),
        ...Array.from(given.types.values(), type),
        ...Array.from(given.functions.values(), userFunction),
        ...Array.from(given.aggregates.values(), aggregate),
        // Those of changes come with the tables whose changes they hold.
        ...[...given.tables.values()].filter((each) => !isLog(given, each)).flatMap(withIndexes),
        ...Array.from(given.views.values(), view)
      ]
    case "Table":
      return withIndexes(given)
    case "View":
      return [view(given)]
    case "Index":
      return [index(given)]
    case "UserType":
      return [type(given)]
    case "Function":
      return [userFunction(given)]
    case "Aggregate":
      return [aggregate(given)]
  }
}
