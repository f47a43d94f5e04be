/** Statements with Schemas: compared with what servers say, and read without looking twice. */
import { type CqlError, CqlSchema, CqlTypes } from "@effect-scylla/driver"
import { Frame, Json, Uuid, Value } from "@effect-scylla/protocol"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { BigDecimal, DateTime, Effect, Exit, Option, Schema, SchemaTransformation } from "effect"
import * as SqlSchema from "effect/sql/SqlSchema"
import { clientOf, passing, world } from "./support/world.ts"

const Item = Schema.Struct({
  id: CqlTypes.Uuid,
  name: Schema.NullOr(CqlTypes.Text),
  price: Schema.NullOr(CqlTypes.Decimal),
  stock: Schema.NullOr(CqlTypes.Int),
  tags: Schema.NullOr(CqlTypes.Set(CqlTypes.Text))
})
const id = (n: number) => new Uuid.Uuid(n, n, n, n)

const setup = Effect.gen(function*() {
  const { cluster, cql } = yield* world()
  yield* passing(
    cql.execute("CREATE TABLE ks.items (id uuid PRIMARY KEY, name text, price decimal, stock int, tags set<text>)")
  )
  const add = CqlSchema.void({
    Request: Item,
    execute: ({ id, name, price, stock, tags }) =>
      cql`INSERT INTO ks.items (id, name, price, stock, tags) VALUES (${id}, ${name}, ${price}, ${stock}, ${tags})`
  })
  yield* passing(
    add({ id: id(1), name: "pen", price: BigDecimal.fromStringUnsafe("1.90"), stock: 3, tags: new Set(["new"]) })
  )
  yield* passing(add({ id: id(2), name: null, price: null, stock: null, tags: null }))
  const byId = CqlSchema.findAll({
    Request: CqlTypes.Uuid,
    Result: Item,
    execute: (id) => cql`SELECT id, name, price, stock, tags FROM ks.items WHERE id = ${id}`
  })
  return { cluster, cql, byId, add }
})

describe("CqlSchema", () => {
  it.effect("finds rows, of the types that the Schemas have", () =>
    Effect.gen(function*() {
      const { byId, cql } = yield* setup
      const rows = yield* passing(byId(id(1)))
      expectTypeOf(rows).toEqualTypeOf<Array<typeof Item.Type>>()
      assert.deepStrictEqual(rows, [{
        id: id(1),
        name: "pen",
        price: BigDecimal.fromStringUnsafe("1.90"),
        stock: 3,
        tags: new Set(["new"])
      }])
      assert.deepStrictEqual(yield* passing(byId(id(9))), [])
      const query = {
        Request: CqlTypes.Uuid,
        Result: Schema.Struct({ stock: Schema.NullOr(Schema.Int) }),
        execute: (id: Uuid.Uuid) => cql`SELECT stock FROM ks.items WHERE id = ${id}`
      }
      assert.deepStrictEqual(yield* passing(CqlSchema.findOne(query)(id(1))), { stock: 3 })
      assert.deepStrictEqual(yield* passing(CqlSchema.findOneOption(query)(id(9))), Option.none())
      assert.deepStrictEqual(yield* passing(CqlSchema.single(query)(id(1))), { stock: 3 })
      assert.strictEqual((yield* passing(CqlSchema.findNonEmpty(query)(id(2)))).length, 1)
      for (const find of [CqlSchema.findOne(query), CqlSchema.single(query), CqlSchema.findNonEmpty(query)]) {
        const error = yield* passing(Effect.flip(find(id(9)) as Effect.Effect<unknown, { readonly _tag: string }>))
        assert.strictEqual(error._tag, "NoSuchElementError")
      }
    }))

  it.effect("names everything that does not fit, before anything is executed", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup
      const wrong = CqlSchema.findAll({
        Request: Schema.Struct({ id: CqlTypes.Int, stock: CqlTypes.Int }),
        Result: Schema.Struct({ id: CqlTypes.Text, stock: Schema.NullOr(CqlTypes.Bigint), colour: CqlTypes.Text }),
        execute: ({ id, stock }) =>
          cql`SELECT id, stock FROM ks.items WHERE id = ${id} AND stock = ${stock} ALLOW FILTERING`
      })
      let executed = 0
      yield* cluster.intercept(({ opcode }) => {
        if (opcode === Frame.Opcode.EXECUTE) executed++
        return undefined
      })
      const error = yield* passing(Effect.flip(wrong({ id: 1, stock: 2 })))
      assert.isTrue(error._tag === "CqlError" && error.reason._tag === "SchemaMismatch")
      const { issues } = (error as any).reason
      assert.strictEqual(issues.length, 4)
      assert.match(issues[0], /column id is uuid, and its Schema is of/)
      assert.match(issues[1], /column stock is int, and its Schema is of/)
      assert.match(issues[2], /the result has no column colour.*it has id, stock/)
      assert.match(issues[3], /the value for id is uuid, and its Schema in the request is of/)
      assert.strictEqual(executed, 0)
    }))

  it.effect("is verified when a layer is built: all queries in one error", () =>
    Effect.gen(function*() {
      const { byId, cql } = yield* setup
      const bad = CqlSchema.findAll({
        Request: CqlTypes.Uuid,
        Result: Schema.Struct({ price: CqlTypes.Int }),
        execute: (id) => cql`SELECT price FROM ks.items WHERE id = ${id}`
      })
      const worse = CqlSchema.void({
        Request: Schema.Struct({ stock: CqlTypes.Text, id: CqlTypes.Uuid }),
        execute: ({ id, stock }) => cql`UPDATE ks.items SET stock = ${stock} WHERE id = ${id}`
      })
      yield* passing(CqlSchema.verify(byId.verify(id(1))))
      const error = yield* passing(Effect.flip(
        CqlSchema.verify(byId.verify(id(1)), bad.verify(id(1)), worse.verify({ id: id(1), stock: "3" }))
      ))
      assert.isTrue(error._tag === "CqlError" && error.reason._tag === "SchemaMismatch")
      assert.strictEqual((error as any).reason.issues.length, 2)
      const gone = CqlSchema.findAll({
        Request: CqlTypes.Uuid,
        Result: Item,
        execute: (id) => cql`SELECT * FROM ks.nothing WHERE id = ${id}`
      })
      const other = yield* passing(Effect.flip(CqlSchema.verify(bad.verify(id(1)), gone.verify(id(1)))))
      assert.strictEqual((other as any).reason._tag, "InvalidRequest")
    }))

  it.effect("looks at values that the server has not promised: nulls, transformations, checks of one's own", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const of = <S extends Schema.Constraint>(stock: S, n: number) =>
        passing(Effect.exit(
          CqlSchema.findAll({
            Request: CqlTypes.Uuid,
            Result: Schema.Struct({ stock }),
            execute: (id) => cql`SELECT stock FROM ks.items WHERE id = ${id}`
          })(id(n)) as unknown as Effect.Effect<ReadonlyArray<unknown>, unknown>
        ))
      assert.isTrue(Exit.isFailure(yield* of(CqlTypes.Int, 2)))
      assert.deepStrictEqual(yield* of(CqlTypes.Int, 1), Exit.succeed([{ stock: 3 }]))
      const positive = CqlTypes.Int.check(Schema.isGreaterThan(5))
      assert.isTrue(Exit.isFailure(yield* of(positive, 1)))
      const Text = CqlTypes.Int.pipe(
        Schema.decodeTo(Schema.String, SchemaTransformation.transform({ decode: String, encode: Number }))
      )
      assert.deepStrictEqual(yield* of(Text, 1), Exit.succeed([{ stock: "3" }]))
      assert.deepStrictEqual(yield* of(Schema.Unknown, 2), Exit.succeed([{ stock: null }]))
    }))

  it.effect("leaves columns out that the Schema does not have, and follows a text with other columns", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const some = CqlSchema.findAll({
        Request: CqlTypes.Uuid,
        Result: Schema.Struct({ name: Schema.NullOr(CqlTypes.Text) }),
        execute: (id) => cql`SELECT * FROM ks.items WHERE id = ${id}`
      })
      assert.deepStrictEqual(yield* passing(some(id(1))), [{ name: "pen" }])
      yield* passing(cql.execute("ALTER TABLE ks.items ADD extra int"))
      assert.deepStrictEqual(yield* passing(some(id(1))), [{ name: "pen" }])
    }))

  it.effect("of a client with codecs of its own is decoded value by value", () =>
    Effect.gen(function*() {
      const { cluster } = yield* setup
      const cql = yield* passing(clientOf(cluster, { codec: { uuid: "string" } }))
      const find = CqlSchema.findAll({
        Request: Schema.String,
        Result: Schema.Struct({ id: Schema.String, stock: Schema.NullOr(Schema.Int) }),
        execute: (id) => cql`SELECT id, stock FROM ks.items WHERE id = ${id}`
      })
      assert.deepStrictEqual(yield* passing(find(id(1).toString())), [{ id: id(1).toString(), stock: 3 }])
    }))

  it.effect("is compared where a codec of one's own is of another type or column, and not where it is of this one", () =>
    Effect.gen(function*() {
      const { cluster } = yield* setup
      const codec = { decode: (value: unknown) => value, encode: (value: unknown) => value }
      const isRefused = Effect.fnUntraced(function*(key: string) {
        const cql = yield* passing(clientOf(cluster, { codec: { types: { [key]: codec } } }))
        const find = CqlSchema.findAll({
          Request: CqlTypes.Uuid,
          Result: Schema.Struct({ tags: CqlTypes.Int }),
          execute: (id) => cql`SELECT tags FROM ks.items WHERE id = ${id}`
        })
        return Exit.isFailure(yield* passing(Effect.exit(find.verify(id(1)))))
      })
      for (const key of ["date", "ks.items.name", "ks.other.tags", '"Ks".items.tags']) {
        assert.isTrue(yield* isRefused(key), key)
      }
      for (const key of ["text", "set<text>", "ks.items.tags", 'ks."items".tags', "ks.anything"]) {
        assert.isFalse(yield* isRefused(key), key)
      }
    }))

  it.effect("a column that a request leaves out stays as it is; null deletes it", () =>
    Effect.gen(function*() {
      const { byId, cql } = yield* setup
      const Change = Schema.Struct({
        id: CqlTypes.Uuid,
        name: CqlTypes.Absent(Schema.NullOr(CqlTypes.Text)),
        stock: CqlTypes.Absent(Schema.NullOr(CqlTypes.Int))
      })
      const change = CqlSchema.void({
        Request: Change,
        execute: ({ id, name, stock }) => cql`UPDATE ks.items SET name = ${name}, stock = ${stock} WHERE id = ${id}`
      })
      yield* passing(change({ id: id(1), name: undefined, stock: null }))
      const [row] = yield* passing(byId(id(1)))
      assert.deepStrictEqual([row!.name, row!.stock], ["pen", null])
      assert.strictEqual(Value.Unset, Schema.encodeSync(Change)({ id: id(1), name: undefined, stock: 1 }).name)
    }))

  it.effect("Effect's own SqlSchema works on our templates unchanged", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const find = SqlSchema.findOne({
        Request: CqlTypes.Uuid,
        Result: Schema.Struct({ name: Schema.NullOr(Schema.String) }),
        execute: (id) => cql`SELECT name FROM ks.items WHERE id = ${id}`
      })
      assert.deepStrictEqual(yield* passing(find(id(1))), { name: "pen" })
    }))
})

describe("CqlTypes", () => {
  it("go to JSON and back without losing a digit", () => {
    const All = Schema.Struct({
      big: CqlTypes.Bigint,
      huge: CqlTypes.Varint,
      price: CqlTypes.Decimal,
      id: CqlTypes.TimeUuid,
      at: CqlTypes.Timestamp,
      day: CqlTypes.Date,
      time: CqlTypes.Time,
      took: CqlTypes.Duration,
      from: CqlTypes.Inet,
      bytes: CqlTypes.Blob,
      ratio: CqlTypes.Double,
      list: CqlTypes.List(CqlTypes.Bigint),
      map: CqlTypes.Map(CqlTypes.Bigint, CqlTypes.Decimal),
      pair: CqlTypes.Tuple(CqlTypes.Int, CqlTypes.Text),
      vector: CqlTypes.FloatVector(2),
      home: CqlTypes.Udt({ street: CqlTypes.Text, zip: CqlTypes.Int })
    })
    const row = {
      big: 9_007_199_254_740_993n,
      huge: 2n ** 100n,
      price: BigDecimal.fromStringUnsafe("1.90"),
      id: Uuid.parse("50554d6e-29bb-11e5-b345-feff819cdc9f")!,
      at: new Date("2026-12-01T01:02:03.004Z"),
      day: Value.LocalDate.parse("2026-12-01")!,
      time: Value.LocalTime.parse("01:02:03.000000004")!,
      took: Value.CqlDuration.parse("1mo2d3ns")!,
      from: Value.Inet.parse("::1")!,
      bytes: Uint8Array.of(1, 255),
      ratio: NaN,
      list: [1n],
      map: new Map([[2n, BigDecimal.fromStringUnsafe("0.10")]]),
      pair: [1, null] as const,
      vector: Float32Array.of(0.5, 2),
      home: { street: "Long", zip: null }
    }
    const codec = Schema.toCodecJson(All)
    const text = JSON.stringify(Schema.encodeSync(codec)(row))
    const back = Schema.decodeUnknownSync(codec)(JSON.parse(text))
    assert.deepStrictEqual(back, row)
    assert.include(text, '"9007199254740993"')
    assert.include(text, '"1.90"')
    assert.deepStrictEqual(JSON.parse(text), Json.toJson(row))
  })

  it.effect("have a timestamp as a DateTime.Utc, too, of columns that are timestamps and nothing else", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.at (id int PRIMARY KEY, at timestamp, name text)"))
      const at = DateTime.makeUnsafe("2026-12-01T01:02:03.004Z")
      const insert = CqlSchema.void({
        Request: Schema.Struct({ id: CqlTypes.Int, at: CqlTypes.TimestampUtc }),
        execute: ({ at, id }) => cql`INSERT INTO ks.at (id, at) VALUES (${id}, ${at})`
      })
      yield* passing(insert({ id: 1, at }))
      const find = CqlSchema.findOne({
        Request: CqlTypes.Int,
        Result: Schema.Struct({ at: Schema.NullOr(CqlTypes.TimestampUtc) }),
        execute: (id) => cql`SELECT at FROM ks.at WHERE id = ${id}`
      })
      const found = yield* passing(find(1))
      assert.isTrue(DateTime.isDateTime(found.at) && DateTime.isUtc(found.at))
      assert.strictEqual(DateTime.toEpochMillis(found.at!), DateTime.toEpochMillis(at))
      const text = Schema.encodeSync(Schema.toCodecJson(CqlTypes.TimestampUtc))(at)
      assert.strictEqual(text, "2026-12-01T01:02:03.004Z")
      const wrong = CqlSchema.findOne({
        Request: CqlTypes.Int,
        Result: Schema.Struct({ name: Schema.NullOr(CqlTypes.TimestampUtc) }),
        execute: (id) => cql`SELECT name FROM ks.at WHERE id = ${id}`
      })
      const error = yield* passing(Effect.flip(wrong(1)))
      assert.strictEqual((error as CqlError.CqlError).reason._tag, "SchemaMismatch")
    }))
})
