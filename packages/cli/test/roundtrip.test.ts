/** Rows through the generated Schemas, to JSON and back: no digit is lost, down to the bytes that would be stored. */
import { Codegen, KeyspaceSchema } from "@effect-scylla/cli"
import * as CqlTypes from "@effect-scylla/driver/CqlTypes"
import { CqlType, Uuid, Value } from "@effect-scylla/protocol"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { BigDecimal, Effect, Schema, Struct } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Random } from "../../protocol/test/support/random.ts"
import { scalarNames } from "../../protocol/test/support/types.ts"
import * as Shop from "./golden/shop.ts"
import { world } from "./support/cluster.ts"
import { KEYSPACE } from "./support/keyspace.ts"
import {
  assertLossless,
  assertTableLossless,
  randomRow,
  type Row,
  type RowSchema,
  throughJson
} from "./support/rows.ts"

const SEED = 20_261_202

const golden: Readonly<Record<string, RowSchema>> = {
  scalars: Shop.Scalars,
  nested: Shop.Nested,
  vectors: Shop.Vectors,
  OrderItems: Shop.OrderItems_,
  order_items: Shop.OrderItems,
  rooms: Shop.Rooms
}

describe("a row of the live keyspace", () => {
  it.live("is what its Schema says, and is the same after a way through JSON", () =>
    Effect.gen(function*() {
      const { cql } = yield* world
      const schema = yield* KeyspaceSchema.read(cql, KEYSPACE)
      const random = new Random(SEED)
      for (const [name, rowSchema] of Object.entries(golden)) {
        const table = schema.tables.find((table) => table.name === name)!
        assert.isAbove(yield* assertTableLossless(cql, table, rowSchema, random), 5)
      }
      yield* cql`UPDATE shop.hits SET seen = seen + ${5n} WHERE page = ${"/"}`
      const hits = yield* cql<Row>`SELECT * FROM shop.hits`
      assert.deepStrictEqual(hits.map((row) => throughJson(Shop.Hits, row)), [{ page: "/", seen: 5n }])
      // A partition of static columns alone has a row without a clustering key.
      yield* cql`INSERT INTO shop.rooms (house, address) VALUES (${"empty"}, ${{ street: "s", zip: 1, since: null }})`
      const rooms = yield* cql<Row>`SELECT * FROM shop.rooms WHERE house = ${"empty"}`
      assert.isNull(Schema.decodeUnknownSync(Shop.Rooms)(rooms[0]).number)
    }))

  it("has the types of what the driver decodes", () => {
    expectTypeOf<Shop.OrderItems>().toEqualTypeOf<{
      readonly shop: string
      readonly customer: Uuid.Uuid
      readonly at: Date
      readonly number: number
      readonly note: string | null
      readonly price: BigDecimal.BigDecimal | null
    }>()
    expectTypeOf<Shop.Scalars["c_bigint"]>().toEqualTypeOf<bigint | null>()
    expectTypeOf<Shop.Scalars["c_date"]>().toEqualTypeOf<Value.LocalDate | null>()
    expectTypeOf<Shop.Scalars["c_blob"]>().toEqualTypeOf<Uint8Array | null>()
    expectTypeOf<Shop.Nested["map_of"]>().toEqualTypeOf<ReadonlyMap<string, bigint> | null>()
    expectTypeOf<Shop.Nested["pair_of"]>().toEqualTypeOf<readonly [number | null, string | null] | null>()
    expectTypeOf<Shop.Nested["homes"]>().toEqualTypeOf<ReadonlySet<Shop.AddressType> | null>()
    expectTypeOf<Shop.Vectors["near"]>().toEqualTypeOf<Float32Array | null>()
    expectTypeOf<Shop.Vectors["far"]>().toEqualTypeOf<ReadonlyArray<string> | null>()
  })
})

describe("any types", () => {
  /** A type of what there is, nested up to `depth`; vectors of fields that are wider than they may be are left out. */
  const typeOf = (random: Random, depth: number, userTypes: ReadonlyArray<CqlType.CqlType>): CqlType.CqlType => {
    const inner = (): CqlType.CqlType => typeOf(random, depth - 1, userTypes)
    switch (depth <= 0 ? 0 : random.below(9)) {
      case 1:
        return CqlType.list(inner())
      case 2:
        return CqlType.set(inner())
      case 3:
        return CqlType.map(inner(), inner())
      case 4:
        return CqlType.tuple(...Array.from({ length: 1 + random.below(4) }, inner))
      case 5:
        return userTypes.length === 0 ? inner() : random.pick(userTypes)
      case 6:
        return { _tag: "Custom", className: "org.example.*/Type" }
      case 7:
        return CqlType.vector(inner(), 1 + random.below(4))
      default:
        return CqlType.scalar(random.pick(scalarNames))
    }
  }

  it.live("of a keyspace that nobody would make", () =>
    Effect.promise(async () => {
      const random = new Random(SEED)
      const userTypes: Array<CqlType.CqlType> = []
      const types: Array<KeyspaceSchema.UserType> = []
      for (const name of ["address", "Address", "1 weird */ name", "addressType"]) {
        const fields = ["street", "__proto__", "constructor", "0", 'Weird "name"\n', "ž"].map((field) => {
          const type = typeOf(random, 2, userTypes)
          return { name: field, type, text: CqlType.format(type) }
        })
        types.push({ name, fields })
        userTypes.push(CqlType.udt("ks", name, fields))
      }
      const columns = Array.from({ length: 80 }, (_, i): KeyspaceSchema.Column => {
        const type = typeOf(random, 3, userTypes)
        return {
          name: i === 0 ? "__proto__" : i === 1 ? "it's" : `c${i}`,
          kind: "regular",
          descending: false,
          type,
          text: CqlType.format(type)
        }
      })
      const [keyspace] = Codegen.generate([
        { name: "ks", types, tables: [{ name: "t", comment: "", columns }], views: [] }
      ])
      const folder = mkdtempSync(join(fileURLToPath(new URL(".", import.meta.url)), ".generated-"))
      try {
        writeFileSync(join(folder, keyspace!.name), keyspace!.text)
        const { T } = await import(pathToFileURL(join(folder, keyspace!.name)).href) as { readonly T: RowSchema }
        for (let i = 0; i < 20; i++) assertLossless(columns, T, randomRow(columns, random))
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    }))
})

describe("values", () => {
  const json = (schema: RowSchema, value: unknown): string =>
    JSON.stringify(Schema.encodeSync(Schema.toCodecJson(schema))(value))

  it("have the JSON that the comments promise", () => {
    const cases: ReadonlyArray<[schema: RowSchema, value: unknown, text: string]> = [
      [CqlTypes.Bigint, -9223372036854775808n, '"-9223372036854775808"'],
      [CqlTypes.Decimal, BigDecimal.make(190n, 2), '"1.90"'],
      [CqlTypes.Decimal, BigDecimal.make(-5n, 2), '"-0.05"'],
      [CqlTypes.Decimal, BigDecimal.make(0n, 3), '"0.000"'],
      [CqlTypes.Decimal, BigDecimal.make(12n, -3), '"12e3"'],
      [CqlTypes.Decimal, BigDecimal.make(5n, 2147483647), '"5e-2147483647"'],
      [CqlTypes.Double, -0, '"-0"'],
      [CqlTypes.Double, Number.NaN, '"NaN"'],
      [CqlTypes.Double, Number.NEGATIVE_INFINITY, '"-Infinity"'],
      [CqlTypes.Double, 0.1, "0.1"],
      [CqlTypes.Blob, Uint8Array.of(0, 255), '"0x00ff"'],
      [
        CqlTypes.Uuid,
        Uuid.parseUnsafe("550e8400-e29b-41d4-a716-446655440000"),
        '"550e8400-e29b-41d4-a716-446655440000"'
      ],
      [CqlTypes.Timestamp, new Date(0), '"1970-01-01T00:00:00.000Z"'],
      [CqlTypes.Date, new Value.LocalDate(0), '"1970-01-01"'],
      [CqlTypes.Time, new Value.LocalTime(1n), '"00:00:00.000000001"'],
      [CqlTypes.Duration, new Value.CqlDuration(-1, -2, -3n), '"-1mo2d3ns"'],
      [CqlTypes.Inet, Value.Inet.parse("::1"), '"::1"'],
      [CqlTypes.Map(CqlTypes.Int, CqlTypes.Text), new Map([[1, "a"]]), '[[1,"a"]]'],
      [CqlTypes.Set(CqlTypes.Varint), new Set([2n ** 70n]), '["1180591620717411303424"]'],
      [CqlTypes.FloatVector(2), Float32Array.of(0.5, -0), '[0.5,"-0"]']
    ]
    for (const [schema, value, text] of cases) {
      assert.strictEqual(json(schema, value), text)
      const back = Schema.decodeUnknownSync(Schema.toCodecJson(schema))(JSON.parse(text))
      assert.deepStrictEqual(back, value, text)
    }
  })

  it("of a statement with other columns have a Schema with those alone", () => {
    const Prices = Shop.OrderItems.mapFields(Struct.pick(["number", "price"]))
    expectTypeOf<typeof Prices.Type>().toEqualTypeOf<
      { readonly number: number; readonly price: BigDecimal.BigDecimal | null }
    >()
    assert.deepStrictEqual(Schema.decodeUnknownSync(Prices)({ number: 1, price: null }), { number: 1, price: null })
  })

  it("that are none of their type are refused", () => {
    const wrong: ReadonlyArray<[schema: RowSchema, value: unknown]> = [
      [CqlTypes.Int, 2 ** 31],
      [CqlTypes.Smallint, 1.5],
      [CqlTypes.Tinyint, 128],
      [CqlTypes.Bigint, 2n ** 63n],
      [CqlTypes.Bigint, 5],
      [CqlTypes.Ascii, "ž"],
      [CqlTypes.Uuid, "550e8400-e29b-41d4-a716-446655440000"],
      [CqlTypes.Date, "2026-12-01"],
      [CqlTypes.Timestamp, new Date(Number.NaN)],
      [CqlTypes.Decimal, 1.5],
      [CqlTypes.Vector(CqlTypes.Int, 2), [1]],
      [CqlTypes.FloatVector(2), Float32Array.of(1)],
      [CqlTypes.Tuple(CqlTypes.Int), []],
      [CqlTypes.Int, Value.Empty]
    ]
    for (const [schema, value] of wrong) {
      assert.throws(() => Schema.decodeUnknownSync(schema)(value), /./, String(value))
    }
    const texts: ReadonlyArray<[schema: RowSchema, json: unknown]> = [
      [CqlTypes.Blob, "00"],
      [CqlTypes.Blob, "0x0"],
      [CqlTypes.Uuid, "550e8400"],
      [CqlTypes.Decimal, ""],
      [CqlTypes.Decimal, "1,5"],
      [CqlTypes.Date, "2026-02-30"],
      [CqlTypes.Double, "1"]
    ]
    for (const [schema, text] of texts) {
      assert.throws(() => Schema.decodeUnknownSync(Schema.toCodecJson(schema))(text), /./, String(text))
    }
  })
})
