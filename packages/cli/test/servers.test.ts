/** Codegen on a real Cassandra, which has materialized views, too. */
import { Codegen, KeyspaceSchema } from "@effect-scylla/cli"
import { CqlClient } from "@effect-scylla/driver"
import { CassandraServer, TestServer } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Random } from "../../protocol/test/support/random.ts"
import { CREATE, KEYSPACE } from "./support/keyspace.ts"
import { assertTableLossless, type Row, type RowSchema, throughJson } from "./support/rows.ts"

const requirement = await Effect.runPromise(TestServer.requirement("cassandra"))

// A suite that is skipped says why in its title.
const why = requirement._tag === "Run" ? "" : `: ${requirement.why}`

const VIEW =
  `CREATE MATERIALIZED VIEW ${KEYSPACE}.items_by_note AS SELECT shop, customer, at, number, note FROM ${KEYSPACE}.order_items ` +
  "WHERE note IS NOT NULL AND shop IS NOT NULL AND customer IS NOT NULL AND at IS NOT NULL AND number IS NOT NULL " +
  "PRIMARY KEY (note, shop, customer, at, number)"

const VIEW_TEXT = `
/** view shop.items_by_note of order_items */
export const ItemsByNote = Schema.Struct({
  /** text, partition key */
  note: CqlTypes.Text,
  /** text, clustering key */
  shop: CqlTypes.Text,
  /** uuid, clustering key */
  customer: CqlTypes.Uuid,
  /** timestamp, clustering key, descending */
  at: CqlTypes.Timestamp,
  /** int, clustering key */
  number: CqlTypes.Int
})
export type ItemsByNote = typeof ItemsByNote.Type
`

describe(`Codegen on Cassandra${why}`, () => {
  if (requirement._tag === "Required") it("runs here", () => assert.fail(requirement.why))

  it.live.skipIf(requirement._tag !== "Run")(
    "gives the golden files, and a view; rows of every type go through JSON without loss",
    () =>
      Effect.gen(function*() {
        const server = yield* CassandraServer.make()
        const cql = yield* CqlClient.make({ contactPoints: server.contactPoints, shutdownTimeout: 0 })
        yield* cql.execute(
          `CREATE KEYSPACE ${KEYSPACE} WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}`
        )
        yield* Effect.forEach([...CREATE, VIEW], (text) => cql.execute(text), { discard: true })
        const schema = yield* KeyspaceSchema.read(cql, KEYSPACE)
        const files = Codegen.generate([schema])
        const golden = (name: string): string => readFileSync(new URL(`./golden/${name}`, import.meta.url), "utf8")
        assert.deepStrictEqual(files, [
          { name: "shop.ts", text: golden("shop.ts") + VIEW_TEXT }
        ])

        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(fileURLToPath(new URL(".", import.meta.url)), ".generated-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
        )
        for (const { name, text } of files) writeFileSync(join(folder, name), text)
        const generated = (yield* Effect.promise(() =>
          import(pathToFileURL(join(folder, "shop.ts")).href)
        )) as Readonly<
          Record<string, RowSchema>
        >
        const random = new Random(20_261_204)
        for (
          const [name, exported] of [
            ["scalars", "Scalars"],
            ["nested", "Nested"],
            ["vectors", "Vectors"],
            ["OrderItems", "OrderItems_"],
            ["order_items", "OrderItems"],
            ["rooms", "Rooms"]
          ] as const
        ) {
          const table = schema.tables.find((table) => table.name === name)!
          assert.isAbove(yield* assertTableLossless(cql, table, generated[exported]!, random), 5, name)
        }
        const [view] = schema.views
        const rows = yield* cql<Row>`SELECT * FROM shop.items_by_note`
        assert.isAbove(rows.length, 3)
        for (const row of rows) {
          assert.deepStrictEqual(Object.keys(row), view!.columns.map(({ name }) => name))
          assert.deepStrictEqual(throughJson(generated["ItemsByNote"]!, row), row)
        }
      }),
    180_000
  )
})
