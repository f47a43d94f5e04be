/** Codecs of the user for types and columns, both ways. */
import {
  BindEncoder,
  Codec,
  CqlType,
  type Metadata,
  ProtocolError,
  Reader,
  RowDecoder,
  type Uuid,
  Value,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as BigDecimal from "effect/BigDecimal"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import { runInNewContext } from "node:vm"
import { anyTyped } from "./support/arbitraries.ts"
import { column, scalarNames } from "./support/types.ts"

const SEED = 20_261_201

const address = CqlType.udt("shop", "address", [
  { name: "street", type: CqlType.scalar("text") },
  { name: "since", type: CqlType.scalar("date") }
])

const parse = (text: string): CqlType.CqlType => {
  const type = CqlType.parse(text, (name) => name === "address" ? address : undefined)
  if (typeof type === "string") throw new Error(type)
  return type
}

const item = (name: string, type: string): Metadata.Column => ({
  keyspace: "shop",
  table: "items",
  name,
  type: parse(type)
})

/** A value of the application, of which no built-in codec knows. */
class Box {
  readonly value: unknown
  constructor(value: unknown) {
    this.value = value
  }
}

const boxed: Codec.UserCodec<Box> = {
  decode: (value) => new Box(value),
  encode: (box) => box.value
}

const same: Codec.UserCodec<unknown> = { decode: (value) => value, encode: (value) => value }

const Day: Codec.UserCodec<{ readonly day: string }, Value.LocalDate> = {
  decode: (value) => ({ day: value.toString() }),
  encode: ({ day }) => day
}

/** The rows of one page in all forms, compiled in both ways. */
const everyForm = (
  columns: ReadonlyArray<Metadata.Column>,
  rows: ReadonlyArray<ReadonlyArray<unknown>>,
  options: Codec.CodecOptions
): ReadonlyArray<ReadonlyArray<ReadonlyArray<unknown>>> =>
  [true, false].flatMap((generated) => {
    const w = new Writer.Writer(16)
    w.i32(rows.length)
    const encoder = new BindEncoder.BindEncoder(columns, { ...options, generated })
    for (const row of rows) encoder.write(w, row)
    const decoder = new RowDecoder.RowDecoder(columns, new Uint8Array(8), { ...options, generated })
    const reader = () => Reader.Reader.from(w.toUint8Array())
    const page = decoder.readColumns(reader())
    return [
      decoder.readArrays(reader()),
      decoder.read(reader()).map((row) => columns.map(({ name }) => row[name])),
      decoder.readLazy(reader()).map((row) => columns.map((_, i) => row.at(i))),
      rows.map((_, i) => page.values.map((values) => values[i]))
    ]
  })

const rejected = (run: () => unknown): ProtocolError.EncodeError | ProtocolError.DecodeError => {
  try {
    run()
  } catch (error) {
    if (error instanceof ProtocolError.EncodeError || error instanceof ProtocolError.DecodeError) return error
    throw error
  }
  throw new Error("nothing was thrown")
}

/** What codecs of `boxes` make of a value: a box around every part of it whose type they are for, the innermost first. */
const box = (type: CqlType.CqlType, value: unknown, has: (type: CqlType.CqlType) => boolean): unknown => {
  if (value === null) return null
  const inner = ((): unknown => {
    switch (type._tag) {
      case "List":
        return (value as Array<unknown>).map((each) => box(type.element, each, has))
      case "Set":
        return new Set(Array.from(value as Set<unknown>, (each) => box(type.element, each, has)))
      case "Map":
        return new Map(
          Array.from(
            value as Map<unknown, unknown>,
            ([key, each]) => [box(type.key, key, has), box(type.value, each, has)]
          )
        )
      case "Vector":
        return has(type.element) || type.element._tag !== "Scalar"
          ? Array.from(value as ArrayLike<unknown>, (each) => box(type.element, each, has))
          : value
      case "Tuple":
        return type.elements.map((element, i) => box(element, (value as Array<unknown>)[i] ?? null, has))
      case "Udt":
        return Object.fromEntries(
          type.fields.map((field) => [
            field.name,
            box(field.type, (value as Record<string, unknown>)[field.name] ?? null, has)
          ])
        )
      default:
        return value
    }
  })()
  return has(type) ? new Box(inner) : inner
}

/** Compares boxes by what is in them, too; keys of sets and maps by their order. */
const alike = (a: unknown, b: unknown): boolean => {
  if (a instanceof Box) return b instanceof Box && alike(a.value, b.value)
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((each, i) => alike(each, b[i]))
  if (a instanceof Set) return b instanceof Set && alike([...a], [...b])
  if (a instanceof Map) {
    return b instanceof Map && alike([...a.keys()], [...b.keys()]) && alike([...a.values()], [...b.values()])
  }
  if (typeof a === "object" && a !== null && Object.getPrototypeOf(a) === Object.prototype) {
    return typeof b === "object" && b !== null &&
      Object.keys(a).every((key) => alike((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  }
  return Equal.equals(a, b)
}

const property = <A>(name: string, arbitrary: Arbitrary.Arbitrary<A>, runs: number, holds: (value: A) => boolean) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      const result = yield* Arbitrary.checkEffect(arbitrary, holds, { seed: SEED, runs })
      const failure = Arbitrary.formatCheckFailure(result)
      if (failure !== undefined) assert.fail(failure)
      assert.strictEqual(result._tag, "Passed")
    }))

const every = (codec: Codec.UserCodec<any>): Codec.UserCodecs =>
  Object.fromEntries(scalarNames.map((name) => [name, codec]))

describe("round trips", () => {
  property("codecs of all scalar types that change nothing", anyTyped(2), 300, ({ type, value }) => {
    const options = { types: every(same) }
    const bytes = Codec.encode(type, value)!
    const own = Codec.encode(type, value, options)!
    const read = Codec.decode(type, bytes, options)
    return Equal.equals(own, bytes) && Equal.equals(Codec.encode(type, read, options), bytes)
  })

  property(
    "codecs of all scalar types that box, however deep their values are",
    anyTyped(2),
    300,
    ({ type, value }) => {
      const options = { types: every(boxed) }
      const made = box(type, value, (each) => each._tag === "Scalar")
      const bytes = Codec.encode(type, value)!
      return Equal.equals(Codec.encode(type, made, options), bytes) && alike(Codec.decode(type, bytes, options), made)
    }
  )

  property("codecs of bytes", anyTyped(2), 300, ({ type, value }) => {
    const options: Codec.CodecOptions = {
      types: every({
        fromBytes: (bytes: Uint8Array) => new Box(Buffer.from(bytes).toString("hex")),
        toBytes: (box: Box) => Buffer.from(box.value as string, "hex")
      })
    }
    const bytes = Codec.encode(type, value)!
    return Equal.equals(Codec.encode(type, Codec.decode(type, bytes, options), options), bytes)
  })

  property(
    "a codec of the whole type and those of its parts, in a row of any form",
    Arbitrary.array(anyTyped(1), { minLength: 1, maxLength: 4 }),
    120,
    (cells) => {
      const columns = cells.map(({ type }, i) => column(`c${i}`, type))
      const types: Codec.UserCodecs = {
        ...every(boxed),
        ...Object.fromEntries(columns.map(({ name }) => [`ks.t.${name}`, boxed]))
      }
      const made = cells.map(({ type, value }) =>
        // The column's codec stands in place of that of its type.
        box(type, value, (each) => each === type || each._tag === "Scalar")
      )
      return everyForm(columns, [made, made.map(() => null)], { types })
        .every((rows) => alike(rows, [made, made.map(() => null)]))
    }
  )
})

describe("which codec is taken", () => {
  const columns = [item("price", "decimal"), item("cost", "decimal"), item("days", "list<date>")]

  it("that of the column before that of its type, those of its parts inside it", () => {
    const types: Codec.UserCodecs = {
      date: Day,
      decimal: { decode: (value) => BigDecimal.format(value), encode: (value) => value },
      "shop.items.price": { decode: (value) => new Box(value), encode: (value: Box) => value.value },
      "shop.items.days": {
        decode: (days: Array<{ readonly day: string }>) => days.map(({ day }) => day).join(" "),
        encode: (days: string) => days.split(" ").map((day) => ({ day }))
      }
    }
    const row = [new Box(BigDecimal.make(199n, 2)), "0.5", "2026-12-01 2027-01-01"]
    for (const rows of everyForm(columns, [row], { types })) assert.deepStrictEqual(rows, [row])
    // A column of the same name elsewhere has only its type's.
    for (const rows of everyForm([{ ...columns[0]!, table: "other" }], [["1.99"]], { types })) {
      assert.deepStrictEqual(rows, [["1.99"]])
    }
  })

  it("by any spelling of a type", () => {
    const spellings: ReadonlyArray<[key: string, type: string, value: unknown]> = [
      ["varchar", "text", "a"],
      ["INT", "int", 1],
      ["list<int>", "list<int>", [1]],
      [" frozen< List<int> > ", "list<int>", [1]],
      ["map<text,frozen<set<int>>>", "map<text, set<int>>", new Map([["a", new Set([1])]])],
      ["tuple<int, text>", "tuple<int, text>", [1, "a"]],
      ["vector<float,2>", "vector<float, 2>", Float32Array.of(1, 2)],
      ["shop.address", "address", { street: "s", since: new Value.LocalDate(1) }],
      ['"shop" . address', "address", { street: "s", since: new Value.LocalDate(1) }],
      ["set<frozen<shop.address>>", "set<address>", new Set([{ street: "s", since: new Value.LocalDate(1) }])],
      ["'org.example.My'", "'org.example.My'", Uint8Array.of(1)],
      ["'org.apache.cassandra.db.marshal.Int32Type'", "int", 1]
    ]
    for (const [key, text, value] of spellings) {
      const options = { types: { [key]: boxed } }
      assert.deepStrictEqual(Codec.check(options), [], key)
      const type = parse(text)
      const bytes = Codec.encode(type, new Box(value), options)!
      assert.deepStrictEqual(bytes, Codec.encode(type, value)!, key)
      assert.deepStrictEqual(Codec.decode(type, bytes, options), new Box(value), key)
    }
    const other = CqlType.udt("mall", "address", address._tag === "Udt" ? address.fields : [])
    const bytes = Codec.encode(other, { street: "s" }, { types: { "shop.address": boxed } })
    assert.deepStrictEqual(Codec.decode(other, bytes, { types: { "shop.address": boxed } }), {
      street: "s",
      since: null
    })
  })

  it("by names that CQL quotes", () => {
    const options = { types: { 'shop."Order items"."unit.Price ""net"""': boxed, 'list<shop."Adr">': boxed } }
    assert.deepStrictEqual(Codec.check(options), [])
    const price = { keyspace: "shop", table: "Order items", name: 'unit.Price "net"', type: CqlType.scalar("int") }
    const list = CqlType.list(CqlType.udt("shop", "Adr", [{ name: "zip", type: CqlType.scalar("int") }]))
    const row = [new Box(1), new Box([{ zip: 5 }])]
    for (const rows of everyForm([price, { ...price, name: "b", type: list }], [row], options)) {
      assert.deepStrictEqual(rows, [row])
    }
  })

  it("of a column for each element of a list that it is compared with", () => {
    const marker = { ...item("in(price)", "list<decimal>") }
    const w = new Writer.Writer()
    new BindEncoder.BindEncoder([marker], { types: { "shop.items.price": boxed } })
      .write(w, [[new Box("1.5"), null]])
    const plain = new Writer.Writer()
    new BindEncoder.BindEncoder([marker]).write(plain, [["1.5", null]])
    assert.deepStrictEqual(w.toUint8Array(), plain.toUint8Array())
  })

  it("of a collection sees what those of its elements made, and what other options say", () => {
    const seen: Array<unknown> = []
    const options: Codec.CodecOptions = {
      uuid: "string",
      types: {
        date: Day,
        "map<uuid, date>": { decode: (value) => (seen.push(value), value), encode: (value) => value }
      }
    }
    const type = parse("map<uuid, date>")
    const id = "550e8400-e29b-41d4-a716-446655440000"
    const value = new Map([[id, { day: "2026-12-01" }]])
    assert.deepStrictEqual(Codec.decode(type, Codec.encode(type, value, options), options), value)
    assert.deepStrictEqual(seen, [value])
  })

  it("is called with its own object, and may be a class", () => {
    class Cents {
      readonly cents: number
      constructor(cents: number) {
        this.cents = cents
      }
      static readonly scale = 2
      static decode(value: BigDecimal.BigDecimal): Cents {
        return new Cents(Number(BigDecimal.scale(value, this.scale).value))
      }
      static encode(value: Cents): BigDecimal.BigDecimal {
        return BigDecimal.make(BigInt(value.cents), this.scale)
      }
    }
    for (const rows of everyForm([item("price", "decimal")], [[new Cents(1999)]], { types: { decimal: Cents } })) {
      assert.deepStrictEqual(rows, [[new Cents(1999)]])
    }
  })
})

describe("what no codec sees", () => {
  const never: Codec.UserCodec<unknown> = {
    decode: () => assert.fail("decode was called"),
    encode: () => assert.fail("encode was called")
  }

  it("null and unset", () => {
    const columns = [item("a", "int"), item("b", "tuple<int, text>"), item("c", "address")]
    const types = { ...every(never) }
    const row = [null, [null, null], { street: null, since: null }]
    for (const rows of everyForm(columns, [row], { types })) assert.deepStrictEqual(rows, [row])
    for (const generated of [true, false]) {
      const w = new Writer.Writer()
      new BindEncoder.BindEncoder([item("a", "int"), item("b", "int")], { types, generated })
        .write(w, [null, Value.Unset])
      assert.deepStrictEqual([...w.toUint8Array()], [255, 255, 255, 255, 255, 255, 255, 254])
    }
  })

  it("values of no bytes, and those that JavaScript cannot hold", () => {
    const odd: ReadonlyArray<[type: string, value: unknown]> = [
      ["int", Value.Empty],
      ["timestamp", Value.Empty],
      ["timestamp", new Value.OutOfRangeTimestamp(2n ** 63n - 1n)],
      ["time", new Value.OutOfRangeTime(-1n)],
      ["decimal", new Value.Unreadable("decimal", Uint8Array.of(0, 0, 0, 1), "a scale without digits")]
    ]
    for (const [text, value] of odd) {
      const type = parse(text)
      const options = { types: every(never) }
      const bytes = Codec.encode(type, value, options)
      assert.deepStrictEqual(bytes, Codec.encode(type, value))
      assert.deepStrictEqual(Codec.decode(type, bytes, options), value)
    }
  })

  it("but a codec of bytes sees those of no bytes", () => {
    const hex: Codec.UserCodec<string> = {
      fromBytes: (bytes) => Buffer.from(bytes).toString("hex"),
      toBytes: (text) => Buffer.from(text, "hex")
    }
    const type = CqlType.scalar("int")
    const options = { types: { int: hex } }
    assert.strictEqual(Codec.decode(type, new Uint8Array(0), options), "")
    assert.deepStrictEqual(Codec.encode(type, "", options), new Uint8Array(0))
    assert.deepStrictEqual(Codec.encode(type, Value.Empty, options), new Uint8Array(0))
  })

  it("undefined, which is refused as ever", () => {
    const encoder = new BindEncoder.BindEncoder([item("a", "int")], { types: { int: never } })
    assert.strictEqual(
      rejected(() => encoder.write(new Writer.Writer(), [undefined])).message,
      "a: expected int, got undefined: bind null to write a null, Unset to leave the column as it is"
    )
  })
})

describe("what a codec throws", () => {
  const cause = new RangeError("no such day")
  const broken: Codec.UserCodec<unknown> = {
    decode: (value) => {
      if (String(value) === "2026-12-02") throw cause
      return value
    },
    encode: (value) => {
      if (value === "bad") throw cause
      return value
    }
  }
  const columns = [item("id", "int"), item("day", "date"), item("days", "map<text, frozen<list<date>>>")]

  it("fails a page with the column, its type and the cause", () => {
    const w = new Writer.Writer()
    w.i32(2)
    const plain = new BindEncoder.BindEncoder(columns)
    plain.write(w, [1, "2026-12-01", null])
    plain.write(w, [2, "2026-12-02", null])
    for (const generated of [true, false]) {
      const decoder = new RowDecoder.RowDecoder(columns, new Uint8Array(8), { types: { date: broken }, generated })
      const reader = () => Reader.Reader.from(w.toUint8Array())
      for (
        const read of [
          () => decoder.read(reader()),
          () => decoder.readArrays(reader()),
          () => decoder.readColumns(reader())
        ]
      ) {
        const error = rejected(read)
        assert.instanceOf(error, ProtocolError.DecodeError)
        assert.strictEqual(
          error.message,
          'row 2 of 2, column "day" of type date: the codec for date threw: no such day'
        )
        assert.deepInclude(error, { column: "day", cqlType: "date" })
        assert.strictEqual(error.cause, cause)
      }
      const [first, second] = decoder.readLazy(reader())
      assert.strictEqual(String(first!.get("day")), "2026-12-01")
      const error = rejected(() => second!.get("day"))
      assert.strictEqual(error.message, 'column "day" of type date: the codec for date threw: no such day')
      assert.strictEqual(error.cause, cause)
      assert.strictEqual(second!.get("id"), 2)
    }
    const bytes = Codec.encode(CqlType.scalar("date"), "2026-12-02")
    assert.strictEqual(
      rejected(() => Codec.decode(CqlType.scalar("date"), bytes, { types: { date: broken } })).cause,
      cause
    )
  })

  it("refuses a value with its place, its type and the cause", () => {
    for (const generated of [true, false]) {
      const encoder = new BindEncoder.BindEncoder(columns, { types: { date: broken }, generated })
      const whole = rejected(() => encoder.write(new Writer.Writer(), [1, "bad", null]))
      assert.instanceOf(whole, ProtocolError.EncodeError)
      assert.strictEqual(whole.message, 'day: the codec for date threw on string "bad": no such day')
      assert.deepInclude(whole, { path: "day", cqlType: "date" })
      assert.strictEqual(whole.cause, cause)
      const inner = rejected(() => encoder.write(new Writer.Writer(), [1, null, { k: ["2026-12-01", "bad"] }]))
      assert.strictEqual(inner.message, 'days["k"][1]: the codec for date threw on string "bad": no such day')
      assert.strictEqual(inner.cause, cause)
    }
  })

  it("whatever it is", () => {
    const things: ReadonlyArray<[thrown: unknown, text: string]> = [
      ["text", "text"],
      [undefined, "undefined"],
      [{ message: "m" }, "m"],
      [Object.create(null), "something without a text"],
      [new Error("x".repeat(300)), `${"x".repeat(200)}…`],
      [runInNewContext("new TypeError('elsewhere')"), "elsewhere"]
    ]
    for (const [thrown, text] of things) {
      const fail = (): never => {
        throw thrown
      }
      const options = { types: { int: { decode: fail, encode: fail } } }
      const type = CqlType.scalar("int")
      assert.strictEqual(
        rejected(() => Codec.encode(type, 1, options)).message,
        `value: the codec for int threw on number 1: ${text}`
      )
      assert.strictEqual(
        rejected(() => Codec.decode(type, new Uint8Array(4), options)).message,
        `int: the codec for int threw: ${text}`
      )
    }
  })

  it("and what it makes that does not fit", () => {
    const type = parse("list<smallint>")
    const says = (options: Codec.UserCodecs, value: unknown): string =>
      rejected(() => Codec.encode(type, value, { types: options })).message
    const making = (out: unknown): Codec.UserCodec<unknown> => ({ decode: (value) => value, encode: () => out })
    assert.strictEqual(
      says({ smallint: making("x") }, [new Box(1)]),
      'value[0]: expected smallint, got string "x" (an integer from -32768 to 32767) (of the codec for smallint, for Box)'
    )
    assert.strictEqual(
      says({ smallint: making(null) }, [1]),
      "value[0]: expected smallint, got null (of its codec, for number 1)"
    )
    assert.strictEqual(
      says({ "list<smallint>": making([1, Value.Unset]) }, new Box(1)),
      "value[1]: expected an element of list<smallint>, got Unset: collections hold no nulls (of the codec for list<smallint>, for Box)"
    )
    assert.strictEqual(
      says({ smallint: { fromBytes: (bytes) => bytes, toBytes: (value) => value } }, [5]),
      "value[0]: expected bytes of smallint, got number 5 (of its codec, for number 5)"
    )
    const vector = parse("vector<int, 2>")
    const short: Codec.UserCodec<number> = { fromBytes: (bytes) => bytes[0]!, toBytes: (value) => Uint8Array.of(value) }
    assert.strictEqual(
      rejected(() => Codec.encode(vector, [1, 2], { types: { int: short } })).message,
      "value[0]: expected an element of vector<int, 2>, got number 1: each takes 4 bytes"
    )
  })
})

describe("check", () => {
  it("says what is wrong with every key and codec", () => {
    const codec = boxed
    const problems = Codec.check({
      types: {
        dat: codec,
        address: codec,
        "list<int": codec,
        "list<shop.address": codec,
        "list<>": codec,
        "shop.items.userId": codec,
        "shop.Address": codec,
        "a.b.c.d": codec,
        "shop..price": codec,
        "shop.items.": codec,
        "list<a.b.c>": codec,
        "shop.it-ems.price": codec,
        "": codec,
        text: codec,
        varchar: codec,
        int: { decode: (value: number) => value } as never,
        "set<int>": { ...codec, fromBytes: () => 1, toBytes: () => new Uint8Array(0) } as never,
        uuid: 5 as never,
        date: undefined,
        "shop.items.price": codec
      }
    })
    assert.deepStrictEqual(problems.map(({ message, path }) => `${path}: ${message}`), [
      "types.dat: no type of CQL has the name dat: a user-defined type is written with its keyspace, as shop.dat, a column as shop.items.price",
      "types.address: no type of CQL has the name address: a user-defined type is written with its keyspace, as shop.address, a column as shop.items.price",
      'types["list<int"]: no type of CQL: ">" expected',
      'types["list<shop.address"]: no type of CQL: ">" expected',
      'types["list<>"]: no type of CQL: a type name expected',
      'types["shop.items.userId"]: CQL reads userId as userid: write "userId" in double quotes, or all in lower case',
      'types["shop.Address"]: CQL reads Address as address: write "Address" in double quotes, or all in lower case',
      'types["a.b.c.d"]: 4 names: a column is keyspace.table.column, a user-defined type keyspace.type, a custom class stands in single quotes',
      'types["shop..price"]: a name is missing in shop..price',
      'types["shop.items."]: a name is missing in shop.items.',
      'types["list<a.b.c>"]: a.b.c: a user-defined type is written keyspace.type',
      'types["shop.it-ems.price"]: it-ems is no name of CQL: put it in double quotes',
      'types[""]: no type of CQL: a type name expected',
      'types.varchar: means the same as "text"',
      "types.int: decode and encode, or fromBytes and toBytes, are functions, and both are needed",
      'types["set<int>"]: decode and encode, or fromBytes and toBytes, but not both',
      "types.uuid: expected an object with decode and encode, or with fromBytes and toBytes"
    ])
    assert.deepStrictEqual(Codec.check({ types: [codec] as never }), [
      { path: "types", message: "expected an object of codecs by type or column" }
    ])
    assert.deepStrictEqual(Codec.check({}), [])
  })

  it("and who is given such options throws", () => {
    const options = { types: { dat: boxed } }
    const says = /^codec options: types\.dat: no type of CQL has the name dat/
    assert.throws(() => new RowDecoder.RowDecoders(options), TypeError, says)
    assert.throws(() => new BindEncoder.BindEncoder([item("a", "int")], options), TypeError, says)
    assert.throws(() => Codec.encode(CqlType.scalar("int"), 1, options), TypeError, says)
    assert.throws(() => Codec.decode(CqlType.scalar("int"), new Uint8Array(4), options), TypeError, says)
  })
})

describe("elsewhere and again", () => {
  it("codecs and values of another realm", () => {
    const types: Codec.UserCodecs = runInNewContext(`({
      timestamp: { decode: (value) => new Date(value.getTime()), encode: (value) => new Date(value.getTime() + 1) },
      "set<int>": { decode: (value) => [...value], encode: (value) => new Set(value) },
      blob: { fromBytes: (bytes) => [...bytes], toBytes: (value) => Uint8Array.from(value) }
    })`)
    assert.deepStrictEqual(Codec.check({ types }), [])
    const value = runInNewContext("[new Date(5), [1, 2], [7, 8]]")
    const columns = [item("a", "timestamp"), item("b", "set<int>"), item("c", "blob")]
    const w = new Writer.Writer()
    new BindEncoder.BindEncoder(columns, { types }).write(w, value)
    const plain = new Writer.Writer()
    new BindEncoder.BindEncoder(columns).write(plain, [new Date(6), new Set([1, 2]), Uint8Array.of(7, 8)])
    assert.deepStrictEqual(w.toUint8Array(), plain.toUint8Array())
  })

  it("a codec that decodes by itself does not use up what its page may leave out", () => {
    const wide = CqlType.tuple(...Array.from({ length: 50_000 }, () => CqlType.scalar("int")))
    const columns = [item("a", "blob"), { ...item("b", "text"), type: wide }]
    const inner: Codec.UserCodec<unknown> = {
      decode: (bytes) => Codec.decode(CqlType.scalar("int"), bytes as Uint8Array),
      encode: () => new Uint8Array(4)
    }
    const w = new Writer.Writer()
    w.i32(2)
    for (let i = 0; i < 2; i++) {
      w.bytesValue(new Uint8Array(4))
      w.bytesValue(new Uint8Array(0))
    }
    const options = { types: { blob: inner } }
    const decoder = new RowDecoder.RowDecoder(columns, new Uint8Array(8), options)
    // Two rows leave out 100,000 parts: more than such a page may, however often the codec asks for more.
    assert.match(
      rejected(() => decoder.readArrays(Reader.Reader.from(w.toUint8Array()))).message,
      /leave out more of their parts/
    )
  })

  it("two clients may have other codecs for one shape", () => {
    const shape = [item("day", "date")]
    const w = new Writer.Writer()
    w.i32(1)
    new BindEncoder.BindEncoder(shape).write(w, ["2026-12-01"])
    const read = (types: Codec.UserCodecs | undefined): unknown =>
      new RowDecoder.RowDecoder(shape, new Uint8Array(8), { types }).read(
        Reader.Reader.from(w.toUint8Array())
      )[0]!["day"]
    assert.deepStrictEqual(read({ date: Day }), { day: "2026-12-01" })
    assert.deepStrictEqual(read({ date: boxed }), new Box(Value.LocalDate.parse("2026-12-01")))
    assert.deepStrictEqual(read(undefined), Value.LocalDate.parse("2026-12-01"))
  })

  it("types of codecs follow from the type's name", () => {
    const types: Codec.UserCodecs = {
      date: {
        decode: (value) => {
          expectTypeOf(value).toEqualTypeOf<Value.LocalDate>()
          return value
        },
        encode: (value) => value
      },
      uuid: {
        decode: (value) => {
          expectTypeOf(value).toEqualTypeOf<Uuid.Uuid | string>()
          return value
        },
        encode: (value) => value
      },
      // @ts-expect-error: half a codec
      text: { decode: (value: string) => value }
    }
    assert.lengthOf(Codec.check({ types }), 1)
  })
})
