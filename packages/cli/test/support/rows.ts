/** Rows of random values, their bytes, and their way through JSON. */
import type { KeyspaceSchema } from "@effect-scylla/cli"
import type { CqlClient } from "@effect-scylla/driver"
import { Codec, Identifier, Json } from "@effect-scylla/protocol"
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Random } from "../../../protocol/test/support/random.ts"
import { valueOf } from "../../../protocol/test/support/types.ts"
import { KEYSPACE } from "./keyspace.ts"

export type Row = Record<string, unknown>

export type RowSchema = Schema.Codec<unknown, unknown>

/** The bytes of each column, as hexadecimal digits. */
export const bytesOf = (columns: ReadonlyArray<KeyspaceSchema.Column>, row: Row): ReadonlyArray<string> =>
  columns.map(({ name, type }) => {
    const bytes = Codec.encode(type, row[name] ?? null)
    return `${name} ${type._tag} ${bytes === null ? "null" : Buffer.from(bytes).toString("hex")}`
  })

/** A row as the driver decodes it. */
const decoded = (columns: ReadonlyArray<KeyspaceSchema.Column>, row: Row): Row => {
  const out: Row = {}
  for (const { name, type } of columns) {
    const value = Codec.decode(type, Codec.encode(type, row[name] ?? null))
    Object.defineProperty(out, name, { value, enumerable: true, writable: true, configurable: true })
  }
  return out
}

/** Through the Schema, to JSON text and back, and through the Schema again; the text is what is written of the row without a Schema. */
export const throughJson = (schema: RowSchema, row: Row): Row => {
  const value = Schema.decodeUnknownSync(schema)(row, { onExcessProperty: "error" })
  const json = Schema.toCodecJson(schema)
  const text = JSON.stringify(Schema.encodeSync(json)(value))
  assert.deepStrictEqual(JSON.parse(text), Json.toJson(row))
  return Schema.encodeSync(schema)(Schema.decodeUnknownSync(json)(JSON.parse(text))) as Row
}

export const assertLossless = (columns: ReadonlyArray<KeyspaceSchema.Column>, schema: RowSchema, row: Row): void => {
  const read = decoded(columns, row)
  assert.deepStrictEqual(bytesOf(columns, throughJson(schema, read)), bytesOf(columns, read))
}

export const randomRow = (columns: ReadonlyArray<KeyspaceSchema.Column>, random: Random): Row => {
  const out: Row = {}
  for (const { kind, name, type } of columns) {
    const value = kind !== "partition_key" && kind !== "clustering" && random.below(8) === 0
      ? null
      : valueOf(type, random)
    Object.defineProperty(out, name, { value, enumerable: true, writable: true, configurable: true })
  }
  return out
}

/** Writes rows of random values into a table, reads all of its rows, and takes each through JSON. Gives how many there were. */
export const assertTableLossless = Effect.fnUntraced(function*(
  cql: CqlClient.CqlClient,
  table: KeyspaceSchema.Table,
  schema: RowSchema,
  random: Random
) {
  const { columns, name } = table
  const names = columns.map((column) => Identifier.quote(column.name)).join(", ")
  const insert = `INSERT INTO ${KEYSPACE}.${Identifier.quote(name)} (${names}) VALUES (${
    columns.map(() => "?").join(", ")
  })`
  for (let i = 0; i < 10; i++) {
    const row = randomRow(columns, random)
    yield* cql.execute(insert, columns.map((column) => row[column.name]))
  }
  const rows = yield* cql<Row>`SELECT * FROM ${cql(KEYSPACE, name)}`
  for (const row of rows) {
    assert.deepStrictEqual(Object.keys(row), columns.map((column) => column.name))
    assert.deepStrictEqual(bytesOf(columns, throughJson(schema, row)), bytesOf(columns, row))
  }
  return rows.length
})
