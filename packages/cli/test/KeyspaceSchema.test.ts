/** Reading the schema tables: order, views, and what servers hide in them. */
import { Codegen, KeyspaceSchema } from "@effect-scylla/cli"
import { type CqlClient, Schema } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SchemaStore from "../../driver/src/internal/schema/store.ts"

type Rows = ReadonlyArray<Readonly<Record<string, unknown>>>

/** What a server has in `system_schema`, by table. */
interface Tables {
  readonly types?: Rows
  readonly tables?: Rows
  readonly views?: Rows
  readonly indexes?: Rows
  readonly columns?: Rows
}

const ofShop = (row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  keyspace_name: "shop",
  ...row
})

/** A client whose schema is that of a server which answers queries of the schema tables. */
const serving = (tables: Tables): CqlClient.CqlClient => {
  const names = ["system", "system_auth", "shop", "Shop"]
  const rows: Readonly<Record<string, Rows | undefined>> = {
    ...tables,
    keyspaces: names.map((keyspace_name) => ({ keyspace_name }))
  }
  const answer = (text: string): Rows => {
    const name = /FROM system_schema\.(\w+)/.exec(text)?.[1] ?? ""
    const asked = (row: Readonly<Record<string, unknown>>) =>
      !text.includes(" WHERE ") || text.includes(`'${String(row["keyspace_name"])}'`)
    return (rows[name] ?? []).map(ofShop)
      .filter(asked)
  }
  const store = Effect.runSync(Effect.scoped(SchemaStore.make({
    allows: () => true,
    wants: (name) => !Schema.isOfServer(name),
    timeoutMillis: 1_000,
    source: { isScylla: () => true, query: (text) => Effect.succeed(answer(text)) }
  })))
  return { schema: SchemaStore.schemasOf(store) } as CqlClient.CqlClient
}

const read = (tables: Tables) => KeyspaceSchema.read(serving(tables), "shop")

const column = (
  table_name: string,
  column_name: string,
  kind: string,
  position: number,
  type: string,
  order = "none"
) => ({
  table_name,
  column_name,
  kind,
  position,
  type,
  clustering_order: order
})

const table = (table_name: string, comment: string | null = "") => ({ table_name, comment })

describe("read", () => {
  it.effect("puts columns into the order of SELECT *, whatever that of the rows", () =>
    Effect.gen(function*() {
      const schema = yield* read({
        tables: [table("b"), table("a", null)],
        columns: [
          column("a", "z", "regular", -1, "text"),
          column("a", "s", "static", -1, "int"),
          column("a", "y", "regular", -1, "frozen<list<int>>"),
          column("a", "c2", "clustering", 1, "int", "DESC"),
          column("a", "c1", "clustering", 0, "int", "asc"),
          column("a", "p2", "partition_key", 1, "int"),
          column("a", "p1", "partition_key", 0, "int")
        ]
      })
      assert.deepStrictEqual(schema.tables.map(({ comment, name }) => [name, comment]), [["a", ""], ["b", ""]])
      assert.deepStrictEqual(
        schema.tables[0]!.columns.map(({ descending, name, text }) => [name, text, descending]),
        [
          ["p1", "int", false],
          ["p2", "int", false],
          ["c1", "int", false],
          ["c2", "int", true],
          ["s", "int", false],
          ["y", "frozen<list<int>>", false],
          ["z", "text", false]
        ]
      )
    }))

  it.effect("has views, but not those of indexes; and not the hidden column of compact tables", () =>
    Effect.gen(function*() {
      const schema = yield* read({
        tables: [table("items"), table("compact")],
        views: ["items_by_price", "by_note_index"].map((view_name) => ({
          view_name,
          base_table_name: "items",
          comment: ""
        })),
        indexes: [{ table_name: "items", index_name: "by_note" }],
        columns: [
          column("items", "id", "partition_key", 0, "int"),
          column("items_by_price", "id", "clustering", 0, "int"),
          column("items_by_price", "price", "partition_key", 0, "decimal"),
          column("by_note_index", "id", "clustering", 0, "int"),
          column("compact", "id", "partition_key", 0, "int"),
          column("compact", "value", "regular", 0, "empty"),
          column("compact", "other", "regular", 0, "'org.apache.cassandra.db.marshal.EmptyType'")
        ]
      })
      assert.deepStrictEqual(
        schema.views.map(({ base, columns, name }) => [name, base, columns.map((each) => each.name)]),
        [
          ["items_by_price", "items", ["price", "id"]]
        ]
      )
      assert.deepStrictEqual(schema.tables[0]!.columns.map(({ name }) => name), ["id"])
      const [file] = Codegen.generate([schema])
      assert.include(
        file!.text,
        `/** view shop.items_by_price of items */
export const ItemsByPrice = Schema.Struct({
  /** decimal, partition key */
  price: CqlTypes.Decimal,
  /** int, clustering key */
  id: CqlTypes.Int
})
export type ItemsByPrice = typeof ItemsByPrice.Type
`
      )
    }))

  it.effect("puts types behind those that they are made of, by name where there is a choice", () =>
    Effect.gen(function*() {
      const type = (type_name: string, ...fields: ReadonlyArray<readonly [name: string, type: string]>) => ({
        type_name,
        field_names: fields.map(([name]) => name),
        field_types: fields.map(([, text]) => text)
      })
      const schema = yield* read({
        types: [
          type("d", ["x", "int"]),
          type("a", ["b", "frozen<list<frozen<c>>>"], ["d", "frozen<d>"]),
          type("c", ["m", 'frozen<map<text, frozen<"Z">>>']),
          type("Z", ["x", "int"])
        ]
      })
      assert.deepStrictEqual(schema.types.map(({ name }) => name), ["Z", "c", "d", "a"])
    }))

  it.effect("says which keyspaces there are", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(KeyspaceSchema.read(serving({}), "shops"))
      assert.strictEqual(error.message, "there is no keyspace shops; there are: Shop, shop")
    }))

  it.effect("names what it cannot read", () =>
    Effect.gen(function*() {
      const says = (tables: Tables) => Effect.map(Effect.flip(read(tables)), (error) => error.message)
      assert.strictEqual(
        yield* says({ tables: [table("t")], columns: [column("t", "c", "regular", -1, "list<strange>")] }),
        'the type of shop.t.c cannot be read: unknown type strange in the type "list<strange>". Is the schema being changed? Run it again'
      )
      assert.strictEqual(
        yield* says({ tables: [table("t")], columns: [column("t", "c", "odd", -1, "int")] }),
        "the type of shop.t.c cannot be read: a column of the kind odd. Is the schema being changed? Run it again"
      )
      assert.strictEqual(
        yield* says({ types: [{ type_name: "a", field_names: ["x"], field_types: ["frozen<b>"] }] }),
        'the type of shop.a.x cannot be read: unknown type b in the type "frozen<b>". Is the schema being changed? Run it again'
      )
    }))
})
