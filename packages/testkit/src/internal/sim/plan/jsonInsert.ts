/** INSERT JSON: an object's fields as the values of columns. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { RawValue } from "@effect-scylla/protocol/Request"
import { Unset } from "@effect-scylla/protocol/Value"
import { Buffer } from "node:buffer"
import { invalid, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import type { Bounds, Key } from "../storage/storage.ts"
import { type Assign, assignValue } from "./assign.ts"
import { type Json, nameOf } from "./json.ts"
import { notAnObject } from "./jsonErrors.ts"
import { makeKey } from "./keys.ts"
import { parsed, valueOfJson } from "./readJson.ts"
import { compile } from "./terms.ts"
import type { Bound, Variables } from "./variables.ts"
import type { Where } from "./where.ts"

type Fields = (values: Bound) => ReadonlyMap<string, Json>

/** Reads the object once for all columns of one run. */
const reader = (source: NonNullable<Ast.Insert["json"]>, table: Table, variables: Variables): Fields => {
  const text = variables.product === "scylla"
    ? variables.ofNone("", () => compile(source.term, CqlType.scalar("text"), "", variables))
    : compile(source.term, CqlType.scalar("text"), "[json]", variables)
  let last: { readonly values: Bound; readonly fields: ReadonlyMap<string, Json> } | undefined
  return (values) => {
    if (last?.values === values) return last.fields
    const bytes = text(values)
    if (bytes === null) {
      throw invalid(variables.say("Invalid null JSON value", "Got null for INSERT JSON values"))
    }
    if (bytes === Unset) throw unsupported("an unset value for INSERT JSON")
    const given = Buffer.from(bytes as Uint8Array).toString("utf8")
    const json = parsed(given, variables.product, variables.product === "cassandra" ? notAnObject : undefined)
    if (!(json instanceof Map) && variables.product === "cassandra") throw notAnObject(given)
    if (!(json instanceof Map)) throw unsupported("what a server says of text that is not a JSON object")
    const fields = new Map([...json as ReadonlyMap<string, Json>].map(([key, value]) => [nameOf(key), value]))
    for (const name of fields.keys()) {
      if (table.byName.has(name)) continue
      throw invalid(
        variables.say(
          `JSON values map contains unrecognized column: ${name}`,
          `JSON values map contains unrecognized column: ${name}`
        )
      )
    }
    last = { values, fields }
    return fields
  }
}

export const compileJson = (
  json: NonNullable<Ast.Insert["json"]>,
  table: Table,
  variables: Variables
): { readonly assigns: ReadonlyArray<Assign>; readonly where: Where } => {
  const fields = reader(json, table, variables)
  const read = (column: Column, values: Bound): Uint8Array | null =>
    valueOfJson(column.type.cql, fields(values).get(column.name) ?? null, column.name, variables.product)
  const key = (column: Column, values: Bound): Uint8Array => {
    const bytes = read(column, values)
    if (bytes !== null) return bytes
    const isUnset = json.defaultUnset && !fields(values).has(column.name)
    throw invalid(
      variables.say(
        `Missing mandatory PRIMARY KEY part ${column.name}`,
        isUnset
          ? `Invalid unset value for column ${column.name}`
          : `Invalid null value in condition for column ${column.name}`
      )
    )
  }
  const assigns = table.regular.map((column): Assign =>
    assignValue(column, (values): RawValue => {
      if (json.defaultUnset && !fields(values).has(column.name)) return Unset
      return read(column, values)
    }, variables)
  )
  const keys = (values: Bound): ReadonlyArray<Key> => [makeKey(table.partitionKey.map((column) => key(column, values)))]
  const ranges = (values: Bound): ReadonlyArray<Bounds> => [
    { prefix: table.clustering.map((column) => key(column, values)) }
  ]
  return {
    assigns,
    where: {
      hasKeys: true,
      listsKeys: false,
      check: () => undefined,
      isSinglePartition: true,
      isFullKey: true,
      usesIndex: false,
      restrictsClustering: table.clustering.length > 0,
      keys,
      ranges,
      tokens: undefined,
      filters: [],
      restricted: new Set(),
      fixed: new Set(),
      warnings: [],
      missing: { partition: [], clustering: [] },
      partitionKey: []
    }
  }
}
