/** Names and text of what is generated, and that the compiler takes it in strict mode. */
import { Codegen, type KeyspaceSchema } from "@effect-scylla/cli"
import { CqlType } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const table = (name: string, type: CqlType.CqlType = CqlType.scalar("int"), column = "id"): KeyspaceSchema.Table => ({
  name,
  comment: "",
  columns: [{ name: column, kind: "partition_key", descending: false, type, text: CqlType.format(type) }]
})

const keyspace = (schema: Partial<KeyspaceSchema.KeyspaceSchema>): KeyspaceSchema.KeyspaceSchema => ({
  name: "shop",
  tables: [],
  views: [],
  types: [],
  ...schema
})

const exportsOf = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/^export const (\S+) =/gm), ([, name]) => name!)

const textOf = (schema: Partial<KeyspaceSchema.KeyspaceSchema>): string => Codegen.generate([keyspace(schema)])[0]!.text

/** What `tsc --strict` says of a program, in a folder from which the packages are found. */
const compile = (files: Readonly<Record<string, string>>, options: ReadonlyArray<string>): Promise<string> => {
  const folder = mkdtempSync(join(fileURLToPath(new URL(".", import.meta.url)), ".compiled-"))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const tsc = fileURLToPath(new URL("../../../node_modules/typescript/bin/tsc", import.meta.url))
  const types = [
    "--typeRoots",
    fileURLToPath(new URL("../../../node_modules/@types", import.meta.url)),
    "--types",
    "node"
  ]
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [
        tsc,
        "--noEmit",
        "--ignoreConfig",
        "--skipLibCheck",
        // Of the packages, which are sources here.
        "--allowImportingTsExtensions",
        "--strict",
        "--target",
        "ES2023",
        "--lib",
        "ES2024,ESNext.Disposable,DOM",
        ...types,
        ...options,
        ...Object.keys(files)
      ],
      { cwd: folder, encoding: "utf8" },
      (error, stdout, stderr) => {
        rmSync(folder, { recursive: true, force: true })
        resolve(error === null ? "" : stdout + stderr)
      }
    )
  })
}

describe("names", () => {
  it("are those of the tables, in the manner of TypeScript", () => {
    const tables = ["a", "a_b", "a2_b", "2_b", "_", "Čaj", "Two Words", "it's"].map((name) => table(name))
    assert.deepStrictEqual(exportsOf(textOf({ tables })), ["A", "AB", "A2B", "_2B", "_", "Čaj", "TwoWords", "ItS"])
  })

  it("are given once: plain names first, types behind tables", () => {
    const text = textOf({
      tables: [table("OrderItems"), table("address_type"), table("order_items"), table("orderitems"), table("schema")],
      views: [{ ...table("order__items"), base: "order_items" }, { ...table("cql_types"), base: "schema" }],
      types: [{ name: "address", fields: [] }]
    })
    assert.deepStrictEqual(exportsOf(text), [
      "AddressType_",
      "OrderItems__",
      "AddressType",
      "OrderItems",
      "Orderitems",
      "Schema_",
      "OrderItems_",
      "CqlTypes_"
    ])
  })

  it("of columns are properties, whatever they are", () => {
    const names = ["id", "$x", "class", "1", "a-b", 'say "hi"\n', "__proto__"]
    const text = textOf({
      tables: [{ ...table("t"), columns: names.flatMap((name) => table("t", CqlType.scalar("int"), name).columns) }]
    })
    assert.deepStrictEqual(
      Array.from(text.matchAll(/^ {2}(?!\/)(.*): CqlTypes/gm), ([, property]) => property),
      ["id", "$x", "class", '"1"', '"a-b"', '"say \\"hi\\"\\n"', '["__proto__"]']
    )
  })

  it("no comment ends early", () => {
    const type: CqlType.CqlType = { _tag: "Custom", className: "a*/ alert(1) /*" }
    const text = textOf({ tables: [{ ...table("t", type), comment: "*/ export const x = 1\n/*" }] })
    assert.deepStrictEqual(exportsOf(text), ["T"])
    assert.include(text, "/** table shop.t: *\\/ export const x = 1 /* */")
  })
})

describe("types", () => {
  it("have the form that the driver decodes", () => {
    const types: ReadonlyArray<[type: CqlType.CqlType, source: string]> = [
      [CqlType.scalar("timeuuid"), "CqlTypes.TimeUuid"],
      [CqlType.vector(CqlType.scalar("float"), 3), "CqlTypes.FloatVector(3)"],
      [CqlType.vector(CqlType.scalar("text"), 3), "CqlTypes.Vector(CqlTypes.Text, 3)"],
      [CqlType.vector({ _tag: "Custom", className: "x" }, 3), "CqlTypes.Blob"],
      [{ _tag: "Custom", className: "x" }, "CqlTypes.Blob"],
      [
        CqlType.map(CqlType.scalar("int"), CqlType.list(CqlType.scalar("date"))),
        "CqlTypes.Map(CqlTypes.Int, CqlTypes.List(CqlTypes.Date))"
      ],
      [
        CqlType.tuple(CqlType.scalar("int"), CqlType.set(CqlType.scalar("inet"))),
        "CqlTypes.Tuple(CqlTypes.Int, CqlTypes.Set(CqlTypes.Inet))"
      ]
    ]
    for (const [type, source] of types) assert.include(textOf({ tables: [table("t", type)] }), `  id: ${source}\n`)
  })
})

describe("the generated modules", () => {
  const golden = (name: string): string => readFileSync(new URL(`./golden/${name}`, import.meta.url), "utf8")
  const use = (extension: string): string =>
    `import * as Schema from "effect/Schema"
import * as Shop from "./shop${extension}"
const read = (row: unknown): Shop.OrderItems => Schema.decodeUnknownSync(Shop.OrderItems)(row)
export const total = (row: unknown): bigint => read(row).price?.value ?? 0n
const json = Schema.toCodecJson(Schema.Array(Shop.Nested))
export const text = (rows: ReadonlyArray<Shop.Nested>): string => JSON.stringify(Schema.encodeSync(json)(rows))
`

  it("are strict, by any way to import them", { timeout: 60_000 }, () =>
    Effect.runPromise(Effect.forEach(
      [
        [".js", [
          "--module",
          "NodeNext",
          "--exactOptionalPropertyTypes",
          "--noUncheckedIndexedAccess",
          "--verbatimModuleSyntax"
        ]],
        ["", ["--module", "ESNext", "--moduleResolution", "bundler", "--noUnusedLocals", "--isolatedModules"]]
      ] as const,
      ([extension, options]) =>
        Effect.promise(async () => {
          const files = {
            "shop.ts": golden("shop.ts"),
            "main.ts": use(extension)
          }
          assert.strictEqual(await compile(files, options), "")
        }),
      { discard: true }
    )))

  it(
    "find mistakes: the compiler knows the columns",
    { timeout: 60_000 },
    () =>
      Effect.runPromise(Effect.promise(async () => {
        const files = {
          "shop.ts": golden("shop.ts"),
          "main.ts": `import type * as Shop from "./shop.js"
export const a = (row: Shop.OrderItems): string => row.note
export const b = (row: Shop.OrderItems): unknown => row.prize
`
        }
        const said = await compile(files, ["--module", "NodeNext"])
        assert.match(said, /main\.ts\(2,.*'string \| null' is not assignable to type 'string'/)
        assert.match(said, /main\.ts\(3,.*'prize' does not exist/)
        assert.lengthOf(said.match(/error TS/g) ?? [], 2)
      }))
  )
})
