/** Statements that would make what is there: what DESCRIBE shows. */
import * as Identifier from "@effect-scylla/protocol/Identifier"
import type { Product } from "../parse/product.ts"
import { whereText } from "../plan/relationText.ts"
import { mapText, optionTexts, quoted } from "./optionValues.ts"
import type { Column, Index, Keyspace, Table } from "./schema.ts"
import type { UserType } from "./types.ts"

const name = (text: string): string => Identifier.format(text)

const full = (keyspace: Keyspace, of: string): string => `${name(keyspace.name)}.${name(of)}`

const PACKAGE = "org.apache.cassandra.locator."

/** What is shown of what no statement can make. */
const virtual = (kind: string, shown: string, text: string): string =>
  `/*\nWarning: ${kind} ${shown} is a virtual ${kind.toLowerCase()} and cannot be recreated with CQL.\n` +
  `Structure, for reference:\nVIRTUAL ${kind.toUpperCase()} ${shown}${text};\n*/`

export const keyspaceText = (keyspace: Keyspace, product: Product): string => {
  if (keyspace.isVirtual) return virtual("Keyspace", name(keyspace.name), "")
  const { class: type = "", ...factors } = keyspace.replication
  const shown = product === "scylla" ? type : type.replace(PACKAGE, "")
  const replication = mapText(new Map([["class", shown], ...Object.entries(factors)]))
  const head = `CREATE KEYSPACE ${name(keyspace.name)} WITH replication = ${replication} ${
    product === "scylla" ? "" : " "
  }AND durable_writes = ${keyspace.durableWrites}`
  if (product === "cassandra") return `${head};`
  if (keyspace.tablets === undefined) return `${head} AND tablets = {'enabled': false};`
  return keyspace.tablets === 0 ? `${head};` : `${head} AND tablets = {'initial': ${keyspace.tablets}};`
}

export const typeText = (keyspace: Keyspace, type: UserType): string =>
  `CREATE TYPE ${full(keyspace, type.name)} (\n${
    type.fields.map((field) => `    ${name(field.name)} ${field.type.text}`).join(",\n")
  }\n);`

/** Cassandra shows values that lie in cells of their own behind the others. */
const inOrder = (table: Table, product: Product): ReadonlyArray<Column> => {
  if (product === "scylla") return table.columns
  const rank = ({ kind, layout }: Column): number =>
    kind === "partition_key" || kind === "clustering"
      ? 0
      : (kind === "static" ? 1 : 3) + (layout === undefined ? 0 : 1)
  return table.columns.toSorted((a, b) => rank(a) - rank(b))
}

const names = (columns: ReadonlyArray<Column>): string => columns.map((column) => name(column.name)).join(", ")

const primaryKey = ({ clustering, partitionKey }: Table): string => {
  const partition = partitionKey.length === 1 ? names(partitionKey) : `(${names(partitionKey)})`
  return `PRIMARY KEY (${[partition, ...clustering.map((column) => name(column.name))].join(", ")})`
}

/** The options, the clustering order in front of them. */
const options = (table: Table, product: Product, hasInternals: boolean): string => {
  const order = table.clustering.map((column) => `${name(column.name)} ${column.descending ? "DESC" : "ASC"}`)
  return [
    ...(hasInternals ? [`ID = ${table.id.toString()}`] : []),
    ...(order.length === 0 ? [] : [`CLUSTERING ORDER BY (${order.join(", ")})`]),
    ...optionTexts(table, product).filter(([key]) => !table.keyspace.isVirtual || key === "comment").map((
      [key, value]
    ) => `${key} = ${value}`)
  ].join("\n    AND ")
}

/** ScyllaDB ends what it shows with a line of its own. */
const end = (product: Product): string => product === "scylla" ? ";\n" : ";"

/** What a column is called that was dropped, and how it came to that. */
const changes = ({ byName, dropped, keyspace, name: table }: Table): string =>
  dropped.map((column) => {
    const alter = `\nALTER TABLE ${full(keyspace, table)}`
    const again = byName.get(column.name)
    const added = again === undefined
      ? ""
      : `${alter} ADD ${name(column.name)} ${again.type.text}${again.kind === "static" ? " static" : ""};`
    return `${alter} DROP ${name(column.name)} USING TIMESTAMP ${column.time * 1000};${added}`
  }).join("")

export const tableText = (table: Table, product: Product, hasInternals = false): string => {
  const isInline = product === "cassandra" && table.partitionKey.length === 1 && table.clustering.length === 0
  const lines = inOrder(table, product).map((column) => {
    const isStatic = column.kind === "static" ? (product === "scylla" ? " STATIC" : " static") : ""
    const key = isInline && column.kind === "partition_key" ? " PRIMARY KEY" : ""
    return `    ${name(column.name)} ${column.type.text}${isStatic}${key}`
  })
  for (const column of hasInternals ? table.dropped : []) {
    if (table.byName.has(column.name)) continue
    lines.push(`    ${name(column.name)} ${column.type}${column.kind === "static" ? " static" : ""}`)
  }
  if (!isInline) lines.push(`    ${primaryKey(table)}`)
  const shown = full(table.keyspace, table.name)
  const text = ` (\n${lines.join(",\n")}\n) WITH ${options(table, product, hasInternals)}`
  return table.keyspace.isVirtual
    ? virtual("Table", shown, text)
    : `CREATE TABLE ${shown}${text}${end(product)}${hasInternals ? changes(table) : ""}`
}

export const viewText = (table: Table, product: Product, hasInternals = false): string => {
  const view = table.view!
  return `CREATE MATERIALIZED VIEW ${full(table.keyspace, table.name)} AS\n    SELECT ${
    view.includesAll ? "*" : names(table.columns)
  }\n    FROM ${full(table.keyspace, view.base)}\n    WHERE ${whereText(view.where, product)}\n    ${
    primaryKey(table)
  }\n${product === "scylla" ? "    " : " "}WITH ${options(table, product, hasInternals)}${end(product)}`
}

export const indexText = (table: Table, index: Index, product: Product): string => {
  const target = index.isLocal
    ? `(${names(table.partitionKey)}), ${name(index.column.name)}`
    : index.target
  if (product === "scylla") {
    return `CREATE INDEX ${name(index.name)} ON ${full(table.keyspace, table.name)}(${target});\n`
  }
  const type = index.options.get("class_name")
  const others = new Map([...index.options].filter(([key]) => key !== "class_name"))
  const given = others.size === 0 ? "" : ` WITH OPTIONS = ${mapText(others)}`
  return `CREATE ${type === undefined ? "" : "CUSTOM "}INDEX ${name(index.name)} ON ${
    full(table.keyspace, table.name)
  } (${target})${type === undefined ? "" : ` USING ${quoted(type)}${given}`};`
}
