/** The system keyspaces of a schema. */
import { encode } from "@effect-scylla/protocol/Codec"
import type * as Uuid from "@effect-scylla/protocol/Uuid"
import * as Replication from "@effect-scylla/sharding/Replication"
import { uuidOf } from "../cluster/topology.ts"
import { makeKey } from "../plan/keys.ts"
import { whole, type Write } from "../storage/row.ts"
import { CLIENT_ROUTES, observerOf } from "./clientRoutes.ts"
import { Computed } from "./computed.ts"
import { type Column, type ColumnInput, type Keyspace, makeTable, type Table } from "./schema.ts"
import { definitionsOf, keyspacesOf } from "./systemCassandra.ts"
import type { Definition, SystemInput, Values } from "./systemDefinitions.ts"
import { ofText } from "./types.ts"

/** Splits `a text, b map<text, text>` at the commas outside of brackets. */
const split = (text: string): ReadonlyArray<string> => {
  const out: Array<string> = []
  let depth = 0
  let start = 0
  for (let i = 0; i <= text.length; i++) {
    if (i === text.length || (text[i] === "," && depth === 0)) {
      const part = text.slice(start, i).trim()
      if (part !== "") out.push(part)
      start = i + 1
    } else if (text[i] === "<") depth++
    else if (text[i] === ">") depth--
  }
  return out
}

const columnsOf = (text: string): ReadonlyArray<ColumnInput> => {
  const kinds = ["partition_key", "clustering", "regular"] as const
  return text.split("|").flatMap((part, i) =>
    split(part).map((column): ColumnInput => {
      const space = column.indexOf(" ")
      return { name: column.slice(0, space), kind: kinds[i]!, type: ofText(column.slice(space + 1)) }
    })
  )
}

const fill = (table: Table, rows: ReadonlyArray<Values>): void => {
  const { data } = table
  const bytes = (column: Column, row: Values): Uint8Array => encode(column.type.cql, row[column.name])!
  for (const row of rows) {
    const key = makeKey(table.partitionKey.map((column) => bytes(column, row)))
    const writes = table.regular.flatMap((column): ReadonlyArray<Write> => {
      const value = row[column.name]
      if (value === undefined || value === null) return []
      return [
        whole(column, encode(column.type.cql, value)!, { timestamp: 0n, expires: 0, ttl: 0 }, () => data.nextPlace())
      ]
    })
    data.obtain(key.bytes, key.components).write(
      table.clustering.map((column) => bytes(column, row)),
      writes,
      0n,
      { value: new Uint8Array(0), timestamp: 0n, expires: 0, ttl: 0 }
    )
  }
}

const LOCAL = { class: "org.apache.cassandra.locator.LocalStrategy" }

const simple = (factor: number) => ({
  class: "org.apache.cassandra.locator.SimpleStrategy",
  replication_factor: String(factor)
})

/** Keyspaces of the system's that are stored as what users write. */
const REPLICATED: Readonly<Record<string, Keyspace["replication"]>> = {
  system_auth: simple(1),
  system_distributed: simple(3),
  system_traces: simple(2)
}

/** Newer servers say which keyspaces are strongly consistent; the one that answers were recorded from has no such column. */
const shapeOf = ({ columns, name }: Definition, { globalKeyspaces }: SystemInput): string =>
  name === "scylla_keyspaces" && globalKeyspaces.length === 0 ? columns.replace("consistency text, ", "") : columns

/** Adds the system keyspaces to a schema. */
export const install = (input: SystemInput): void => {
  for (const [name, isVirtual] of keyspacesOf(input.product)) {
    const replication = REPLICATED[name] ?? LOCAL
    const keyspace: Keyspace = {
      name,
      isSystem: true,
      isVirtual,
      tables: new Map(),
      types: new Map(),
      replication,
      strategy: Replication.parse(replication),
      durableWrites: true,
      tablets: undefined,
      replicas: undefined
    }
    input.schema.keyspaces.set(name, keyspace)
    for (const definition of definitionsOf(input.product)) {
      if (definition.keyspace !== name) continue
      const id: Uuid.Uuid = uuidOf(`${name}.${definition.name}`)
      const table: Table = makeTable({
        keyspace,
        name: definition.name,
        id,
        version: id,
        options: new Map([
          ...(definition.comment === undefined ? [] : [["comment", definition.comment] as const]),
          ...Object.entries(definition.options ?? {})
        ]),
        computed: definition.isStored === true ? undefined : new Computed(
          (node) => {
            table.data.clear()
            fill(table, definition.rows(input, node))
            return table.data
          },
          () => {
            table.data.clear()
            fill(table, definition.remains ?? [])
          }
        )
      }, columnsOf(shapeOf(definition, input)))
      if (definition === CLIENT_ROUTES) table.data.observer = observerOf(input.onRoutes)
      keyspace.tables.set(definition.name, table)
    }
  }
}
