/** DESCRIBE: names of what there is, and the statements that would make it. */
import { encode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as Identifier from "@effect-scylla/protocol/Identifier"
import type { Column as WireColumn } from "@effect-scylla/protocol/Metadata"
import { Buffer } from "node:buffer"
import type { SimNode } from "../cluster/simNode.ts"
import type { Topology } from "../cluster/topology.ts"
import { invalid } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"
import { loggedBy } from "./cdc.ts"
import { indexText, keyspaceText, tableText, typeText, viewText } from "./createText.ts"
import { type Index, type Keyspace, type Schema, type Table, viewsOf } from "./schema.ts"
import type { UserType } from "./types.ts"

type Describe = Extract<Ast.Statement, { readonly _tag: "Describe" }>

/** Keyspace, kind and name; the statement, where statements are asked for. */
type Row = ReadonlyArray<string>

const TEXT = CqlType.scalar("text")

const wire = (name: string, type: CqlType.CqlType = TEXT): WireColumn => ({
  keyspace: "system",
  table: "describe",
  name,
  type
})

const NAMES = [wire("keyspace_name"), wire("type"), wire("name")]
const STATEMENTS = [...NAMES, wire("create_statement")]
const CLUSTER = [wire("cluster"), wire("partitioner"), wire("snitch")]
const OWNERSHIP_TYPE = CqlType.map(TEXT, CqlType.list(TEXT))
const OWNERSHIP = wire("range_ownership", OWNERSHIP_TYPE)

const byName = <A extends { readonly name: string }>(all: Iterable<A>): ReadonlyArray<A> =>
  [...all].sort((a, b) => a.name < b.name ? -1 : 1)

/** Types in front of those that are made of them. */
const inOrder = ({ types }: Keyspace): ReadonlyArray<UserType> => {
  const out = new Set<UserType>()
  const add = (type: UserType): void => {
    for (const used of type.uses) {
      const found = types.get(used)
      if (found !== undefined && found !== type) add(found)
    }
    out.add(type)
  }
  for (const type of byName(types.values())) add(type)
  return [...out]
}

const tablesOf = ({ tables }: Keyspace): ReadonlyArray<Table> =>
  byName(tables.values()).filter((table) => table.view === undefined && loggedBy(table) === undefined)

export interface DescribeInput {
  readonly schema: Schema
  readonly topology: Topology
  readonly product: Product
  readonly clusterName: string
}

class Describer {
  private readonly input: DescribeInput
  /** The keyspace that the connection uses, "" for none. */
  private readonly current: string

  private readonly hasInternals: boolean

  constructor(input: DescribeInput, current: string, hasInternals: boolean) {
    this.input = input
    this.current = current
    this.hasInternals = hasInternals
  }

  private get product(): Product {
    return this.input.product
  }

  private keyspace(name: string): Keyspace {
    const found = this.input.schema.keyspaces.get(name)
    if (found === undefined) throw invalid(`'${name}' not found in keyspaces`)
    return found
  }

  /** The keyspace of what is named. */
  owner(given: Ast.TableName): Keyspace {
    const name = given.keyspace ?? this.current
    if (name === "") throw invalid("No keyspace specified and no current keyspace")
    return this.keyspace(name)
  }

  private row(keyspace: Keyspace, kind: string, name: string, text: string): Row {
    return [Identifier.format(keyspace.name), kind, Identifier.format(name), text]
  }

  private notFound(kind: string, name: string, keyspace: Keyspace): Error {
    return invalid(
      this.product === "scylla"
        ? `${kind} '${name}' not found in keyspace '${keyspace.name}'`
        : `${kind} '${name}' not found in '${keyspace.name}'`
    )
  }

  typeRow(keyspace: Keyspace, type: UserType): Row {
    return this.row(keyspace, "type", type.name, typeText(keyspace, type))
  }

  indexRow(table: Table, index: Index): Row {
    const name = this.product === "scylla" ? `${index.name}_index` : index.name
    return this.row(table.keyspace, "index", name, indexText(table, index, this.product))
  }

  viewRow(table: Table): Row {
    const kind = this.product === "scylla" ? "view" : "materialized_view"
    return this.row(table.keyspace, kind, table.name, viewText(table, this.product, this.hasInternals))
  }

  /** A table with its indexes and views. */
  tableRows(table: Table): ReadonlyArray<Row> {
    return [
      this.row(table.keyspace, "table", table.name, tableText(table, this.product, this.hasInternals)),
      ...byName(table.indexes).map((index) => this.indexRow(table, index)),
      ...viewsOf(table).map((view) => this.viewRow(view))
    ]
  }

  keyspaceRows(keyspace: Keyspace, isAlone: boolean): ReadonlyArray<Row> {
    const head = this.row(keyspace, "keyspace", keyspace.name, keyspaceText(keyspace, this.product))
    if (isAlone) return [head]
    return [
      head,
      ...inOrder(keyspace).map((type) => this.typeRow(keyspace, type)),
      ...tablesOf(keyspace).flatMap((table) => this.tableRows(table))
    ]
  }

  table(given: Ast.TableName): ReadonlyArray<Row> {
    const keyspace = this.owner(given)
    const table = keyspace.tables.get(given.name)
    if (table === undefined || (table.view !== undefined && this.product === "cassandra")) {
      throw invalid(`Table '${given.name}' not found in keyspace '${keyspace.name}'`)
    }
    return table.view === undefined ? this.tableRows(table) : [this.viewRow(table)]
  }

  view(given: Ast.TableName): ReadonlyArray<Row> {
    const keyspace = this.owner(given)
    const table = keyspace.tables.get(given.name)
    if (table?.view === undefined) throw this.notFound("Materialized view", given.name, keyspace)
    return [this.viewRow(table)]
  }

  private findIndex(keyspace: Keyspace, name: string): Row | undefined {
    for (const table of keyspace.tables.values()) {
      const index = table.indexes.find((each) => each.name === name)
      if (index !== undefined) return this.indexRow(table, index)
    }
    return undefined
  }

  index(given: Ast.TableName): ReadonlyArray<Row> {
    const keyspace = this.owner(given)
    const found = this.findIndex(keyspace, given.name)
    if (found === undefined) {
      throw invalid(`Table for existing index '${given.name}' not found in '${keyspace.name}'`)
    }
    return [found]
  }

  type(given: Ast.TableName): ReadonlyArray<Row> {
    const keyspace = this.owner(given)
    const type = keyspace.types.get(given.name)
    if (type === undefined) {
      throw this.notFound(this.product === "scylla" ? "Type" : "User defined type", given.name, keyspace)
    }
    return [this.typeRow(keyspace, type)]
  }

  /** There are none. */
  function(given: Ast.TableName, kind: "function" | "aggregate"): never {
    const keyspace = this.owner(given)
    throw this.notFound(
      this.product === "cassandra" ? `User defined ${kind}` : kind === "function" ? "Function" : "Aggregate",
      given.name,
      keyspace
    )
  }

  /** Whatever has the name: a keyspace first. */
  any(given: Ast.TableName): ReadonlyArray<Row> {
    const { keyspaces } = this.input.schema
    if (given.keyspace === undefined && keyspaces.has(given.name)) {
      return this.keyspaceRows(this.keyspace(given.name), false)
    }
    const name = given.keyspace ?? this.current
    if (name === "") throw invalid(`'${given.name}' not found in keyspaces`)
    const keyspace = this.keyspace(name)
    const table = keyspace.tables.get(given.name)
    if (table !== undefined) return table.view === undefined ? this.tableRows(table) : [this.viewRow(table)]
    const index = this.findIndex(keyspace, given.name)
    if (index !== undefined) return [index]
    const type = this.product === "scylla" ? keyspace.types.get(given.name) : undefined
    if (type !== undefined) return [this.typeRow(keyspace, type)]
    throw invalid(`'${given.name}' not found in keyspace '${keyspace.name}'`)
  }

  /** Keyspaces of users, or all. */
  keyspaces(all: boolean): ReadonlyArray<Keyspace> {
    return byName(this.input.schema.keyspaces.values()).filter(({ isSystem }) => all || !isSystem)
  }

  /** Cassandra lists its own keyspaces, too. */
  get showsSystem(): boolean {
    return this.product === "cassandra"
  }

  /** A keyspace, which may be the one that is used. */
  used(name: string): Keyspace {
    if (name === "" && this.product === "cassandra") throw invalid("No keyspace specified and no current keyspace")
    return this.keyspace(name)
  }

  /** Names of what is in the keyspace that is used, or in any. */
  names(kind: string, of: (keyspace: Keyspace) => ReadonlyArray<{ readonly name: string }>): ReadonlyArray<Row> {
    const all = this.current === "" ? this.keyspaces(true) : [this.keyspace(this.current)]
    const caseless = (each: { readonly name: string }): string => each.name.toLowerCase()
    const listed = (keyspace: Keyspace) =>
      this.product === "scylla"
        ? of(keyspace)
        : of(keyspace).toSorted((a, b) => caseless(a) < caseless(b) ? -1 : caseless(a) > caseless(b) ? 1 : 0)
    return all.flatMap((keyspace) =>
      listed(keyspace).map((each): Row => [Identifier.format(keyspace.name), kind, Identifier.format(each.name)])
    )
  }

  cluster(): ReadonlyArray<ReadonlyArray<Uint8Array>> {
    const { clusterName, product, topology } = this.input
    const prefix = product === "scylla" ? "org.apache.cassandra.dht." : ""
    const snitch = product === "scylla" ? "org.apache.cassandra.locator.SimpleSnitch" : "SimpleSnitch"
    const named = [clusterName, `${prefix}Murmur3Partitioner`, snitch].map((text) => Buffer.from(text))
    if (this.current === "") return [named]
    const owners = new Map<string, ReadonlyArray<string>>(
      topology.nodes.flatMap((node: SimNode) => node.tokens.map((token) => [String(token), [node.address]] as const))
        .sort(([a], [b]) => a < b ? -1 : 1)
    )
    return [[...named, encode(OWNERSHIP_TYPE, owners)!]]
  }
}

const rowsOf = (statement: Describe, describer: Describer, current: string): ReadonlyArray<Row> => {
  const { isOnly, name, what } = statement
  const named = name ?? { keyspace: undefined, name: "" }
  switch (what) {
    case "keyspaces":
      return describer.keyspaces(describer.showsSystem).map(({ name }) => {
        const shown = Identifier.format(name)
        return [shown, "keyspace", shown]
      })
    case "tables":
      return describer.names("table", tablesOf)
    case "types":
      return describer.names("type", inOrder)
    case "functions":
    case "aggregates":
      return []
    case "schema":
      return describer.keyspaces(isOnly).flatMap((keyspace) => describer.keyspaceRows(keyspace, false))
    case "keyspace":
      return describer.keyspaceRows(describer.used(name?.name ?? current), isOnly)
    case "table":
      return describer.table(named)
    case "view":
      return describer.view(named)
    case "index":
      return describer.index(named)
    case "type":
      return describer.type(named)
    case "function":
    case "aggregate":
      return describer.function(named, what)
    default:
      return describer.any(named)
  }
}

const LISTS = new Set(["keyspaces", "tables", "types", "functions", "aggregates"])

/** The columns of the answer. */
export const describedColumns = ({ what }: Describe, current: string): ReadonlyArray<WireColumn> =>
  what === "cluster"
    ? (current === "" ? CLUSTER : [...CLUSTER, OWNERSHIP])
    : LISTS.has(what)
    ? NAMES
    : STATEMENTS

/** The rows of the answer. */
export const describe = (
  statement: Describe,
  input: DescribeInput,
  current: string
): ReadonlyArray<ReadonlyArray<Uint8Array>> => {
  const describer = new Describer(input, current, statement.hasInternals)
  if (statement.what === "cluster") return describer.cluster()
  return rowsOf(statement, describer, current).map((row) => row.map((text) => Buffer.from(text)))
}
