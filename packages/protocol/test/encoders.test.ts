import {
  BindEncoder,
  Codec,
  CqlType,
  ProtocolError,
  Reader,
  Request,
  Uuid,
  Value,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import * as BigDecimal from "effect/BigDecimal"
import { column } from "./support/types.ts"

const parse = (text: string): CqlType.CqlType => {
  const type = CqlType.parse(text, (name) =>
    name === "address"
      ? CqlType.udt("ks", "address", [
        { name: "street", type: CqlType.scalar("text") },
        { name: "zip", type: CqlType.scalar("int") },
        { name: "tags", type: CqlType.set(CqlType.scalar("text")) }
      ])
      : undefined)
  if (typeof type === "string") throw new Error(type)
  return type
}

const encodeError = (run: () => unknown): ProtocolError.EncodeError => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, ProtocolError.EncodeError, String(error))
    return error as ProtocolError.EncodeError
  }
  return assert.fail("it was accepted")
}

/** Binds to a column `c`; answers the error. */
const refused = (type: string, value: unknown): ProtocolError.EncodeError =>
  encodeError(() => {
    new BindEncoder.BindEncoder([column("c", parse(type))]).write(new Writer.Writer(), [value])
    throw new Error(`${type} took ${String(value)}`)
  })

class Opaque {
  get street() {
    return "Main"
  }
}

const nothing = Object.create(null) as object

describe("values that do not fit", () => {
  const wrong: Record<string, ReadonlyArray<unknown>> = {
    ascii: [1, true, {}, [], Symbol("s"), () => 1, "é", "a\u0080", "\ud800", Value.Empty],
    text: [1, 1n, true, {}, nothing, new Date(), Buffer.from("x"), Symbol("s"), Value.Empty],
    int: [
      "x",
      "1",
      1n,
      1.5,
      NaN,
      Infinity,
      -Infinity,
      2 ** 31,
      -(2 ** 31) - 1,
      1e20,
      true,
      {},
      nothing,
      [1],
      new Date()
    ],
    smallint: [32_768, -32_769, 0.1, NaN, "1", 1n],
    tinyint: [128, -129, 0.1, NaN, "1", 1n],
    bigint: [2n ** 63n, -(2n ** 63n) - 1n, 1.5, 2 ** 53, NaN, "9223372036854775808", "", "1.0", "0x1", " 1", true, {}],
    counter: [2n ** 63n, 1.5, "x"],
    varint: [1.5, 2 ** 53, NaN, "1e3", "--1", {}],
    boolean: [0, 1, "true", {}],
    double: ["1", 1n, true, {}],
    float: ["1", 1n, 1e39, -1e39, Number.MAX_VALUE],
    blob: ["x", [1, 2], new ArrayBuffer(2), {}, 1, new Uint16Array(2)],
    uuid: [
      "",
      "x",
      "550e8400-e29b-41d4-a716-44665544000",
      "550e8400-e29b-41d4-a716-44665544000g",
      1,
      {},
      new Uint8Array(16)
    ],
    timeuuid: ["x", 1],
    timestamp: [new Date(NaN), "2020-01-01", 1.5, NaN, 2 ** 53, 2n ** 63n, -(2n ** 63n) - 1n, true, {}],
    date: [
      "2020-02-30",
      "2020-1-1",
      "x",
      new Date(),
      1,
      new Value.LocalDate(2 ** 31),
      new Value.LocalDate(-(2 ** 31) - 1),
      new Value.LocalDate(1.5),
      new Value.LocalDate(NaN)
    ],
    time: [
      "24:00:00",
      "x",
      1n,
      new Value.LocalTime(-1n),
      new Value.LocalTime(86_400_000_000_000n),
      // What only TypeScript would have refused.
      new Value.LocalTime(5 as unknown as bigint)
    ],
    inet: ["x", "1.2.3", "1.2.3.4.5", "::g", "fe80::1%eth0", "", 1],
    decimal: [NaN, Infinity, "", "1,5", "0x1", "1e", ".", "1e2147483649", true, {}, BigDecimal.make(1n, 2 ** 31)],
    duration: [
      "",
      "1x",
      1,
      new Value.CqlDuration(1, -1, 0n),
      new Value.CqlDuration(0, 1, -1n),
      new Value.CqlDuration(2 ** 31, 0, 0n),
      new Value.CqlDuration(0, 0.5, 0n),
      new Value.CqlDuration(0, 0, 2n ** 63n),
      new Value.CqlDuration(1, 2, 3 as unknown as bigint)
    ],
    "list<int>": [1, "x", {}, new Map(), new Uint8Array(2)],
    "set<int>": [1, "x", {}, new Map()],
    "map<text, int>": [1, "x", [], new Set(), new Date(), new Opaque()],
    "map<int, int>": [{ 1: 2 }, []],
    "tuple<int, int>": [1, {}, [1, 2, 3], new Set([1])],
    // Nothing of these is a field: all nulls would be written.
    address: [1, "x", [], new Map([["street", "x"]]), new Date(), new Set(), new Opaque(), new Uint8Array(0), {
      streat: "x"
    }],
    "'org.example.Type'": ["x", 1, {}]
  }
  for (const [type, values] of Object.entries(wrong)) {
    it(`${type}`, () => {
      const name = CqlType.format(parse(type))
      for (const value of [...values, undefined]) {
        const error = refused(type, value)
        assert.strictEqual(error.path, "c")
        assert.strictEqual(error.cqlType, name)
        assert.match(error.message, /^c: expected .+, got .+/)
      }
    })
  }

  it("names the place and the type", () => {
    const cases: ReadonlyArray<[type: string, value: unknown, message: string]> = [
      ["int", "x", `c: expected int, got string "x" (an integer of 32 bits)`],
      ["list<address>", [{}, {}, { zip: "x" }], `c[2].zip: expected int, got string "x" (an integer of 32 bits)`],
      ["address", { tags: ["a", 1] }, "c.tags[1]: expected text, got number 1"],
      ["map<text, int>", { "a b": "x" }, `c["a b"]: expected int, got string "x" (an integer of 32 bits)`],
      [
        "map<int, list<int>>",
        new Map([[7, [1, NaN]]]),
        "c[7][1]: expected int, got number NaN (an integer of 32 bits)"
      ],
      ["map<int, int>", new Map([["k", 1]]), `c[key "k"]: expected int, got string "k" (an integer of 32 bits)`],
      [
        "map<uuid, int>",
        new Map([[nothing, 1]]),
        "c[key an object]: expected uuid, got an object (a Uuid or its canonical text)"
      ],
      ["tuple<int, tuple<int, int>>", [1, [2, "x"]], `c[1][1]: expected int, got string "x" (an integer of 32 bits)`],
      ["list<int>", [1, undefined], "c[1]: expected an element of list<int>, got undefined: collections hold no nulls"],
      ["set<int>", new Set([null]), "c[0]: expected an element of set<int>, got null: collections hold no nulls"],
      ["list<int>", [Value.Unset], "c[0]: expected an element of list<int>, got Unset: collections hold no nulls"],
      [
        "map<int, int>",
        new Map([[1, null]]),
        "c[1]: expected an element of map<int, int>, got null: collections hold no nulls"
      ],
      ["tuple<int>", [Value.Unset], "c[0]: expected int, got Unset: only a whole column can be left as it is"],
      ["address", { zip: Value.Unset }, "c.zip: expected int, got Unset: only a whole column can be left as it is"],
      [
        "int",
        undefined,
        "c: expected int, got undefined: bind null to write a null, Unset to leave the column as it is"
      ],
      [
        "address",
        { streat: "x" },
        `c: expected address, got Object (address has no field "streat", it has street, zip, tags)`
      ]
    ]
    for (const [type, value, message] of cases) assert.strictEqual(refused(type, value).message, message)
    assert.strictEqual(refused("list<address>", [{ zip: "x" }]).path, "c[0].zip")
    assert.strictEqual(refused("list<address>", [{ zip: "x" }]).cqlType, "int")
  })

  it("a long value is not repeated whole", () => {
    assert.isBelow(refused("int", "x".repeat(10_000)).message.length, 200)
    assert.isBelow(refused("int", 10n ** 10_000n).message.length, 200)
    const long = Object.assign(new Opaque(), { constructor: { name: { toString: () => "x".repeat(10_000) } } })
    assert.isBelow(refused("int", long).message.length, 200)
    assert.isBelow(refused("map<text, int>", { ["k".repeat(10_000)]: "x" }).message.length, 300)
  })
})

describe("values that fit in more than one form", () => {
  const same = (type: string, a: unknown, b: unknown): void =>
    assert.deepStrictEqual(Codec.encode(parse(type), a), Codec.encode(parse(type), b))
  it("are written alike", () => {
    assert.deepStrictEqual(Codec.encode(parse("bigint"), 5), Codec.encode(parse("bigint"), 5n))
    same("bigint", 5, 5n)
    same("varint", -5, -5n)
    same("timestamp", new Date(5), 5)
    same("timestamp", new Date(-5), -5n)
    same("uuid", "550E8400-e29b-41d4-a716-446655440000", Uuid.parse("550e8400-e29b-41d4-a716-446655440000"))
    same("date", "2020-02-29", Value.LocalDate.parse("2020-02-29"))
    same("time", "12:30", Value.LocalTime.parse("12:30:00.000"))
    same("inet", "::ffff:1.2.3.4", Value.Inet.parse("::ffff:0102:0304"))
    same("set<int>", [1, 2], new Set([1, 2]))
    same("list<int>", new Set([1, 2]), [1, 2])
    same("map<text, int>", { a: 1 }, new Map([["a", 1]]))
    same("map<text, int>", Object.assign(Object.create(null), { a: 1 }), { a: 1 })
    same("tuple<int, int>", [1], [1, null])
    same("tuple<int, int>", [1, undefined], [1, null])
    same("address", {}, { street: null, zip: undefined, tags: null })
    same("address", Object.assign(Object.create(null), { zip: 1 }), { zip: 1 })
    same(
      "address",
      new (class {
        street = "x"
      })(),
      { street: "x" }
    )
    same("int", -0, 0)
    same("blob", Buffer.from("ab"), new Uint8Array([97, 98]))
  })

  it("what is inherited is no field", () => {
    assert.deepStrictEqual(
      Codec.encode(parse("address"), Object.assign(new Opaque(), { zip: 1 })),
      Codec.encode(parse("address"), { zip: 1 })
    )
  })

  it("Unset has no bytes of its own", () => {
    assert.match(encodeError(() => Codec.encode(parse("int"), Value.Unset)).message, /got Unset/)
  })

  it("lone surrogates become U+FFFD, as everywhere in the platform", () => {
    for (const text of ["\ud800", "a\udc00b", "x".repeat(50) + "\ud83d"]) {
      assert.deepStrictEqual(Codec.encode(parse("text"), text), new TextEncoder().encode(text))
    }
  })

  it("texts of every length and width", () => {
    for (const unit of ["a", "é", "€", "🐎"]) {
      for (const count of [0, 1, 2, 7, 8, 11, 12, 13, 24, 25, 63, 64, 65, 1000, 100_000]) {
        for (const text of [unit.repeat(count), `a${unit.repeat(count)}`, `${"a".repeat(11)}${unit.repeat(count)}`]) {
          const bytes = Codec.encode(parse("text"), text)
          assert.isTrue(Buffer.from(bytes!).equals(Buffer.from(text)), `${count} of ${unit}`)
          assert.isTrue(Codec.decode(parse("text"), bytes) === text, `${count} of ${unit}`)
        }
      }
    }
  })
})

describe("BindEncoder", () => {
  const encoder = new BindEncoder.BindEncoder([
    column("id", parse("int")),
    column("name", parse("text")),
    column("__proto__", parse("bigint")),
    column("flag", parse("boolean"))
  ])

  it("writes each value behind its length, behind what was written before", () => {
    const w = new Writer.Writer(1)
    w.raw(new Uint8Array(3))
    encoder.write(w, [1, "é", null, Value.Unset])
    assert.strictEqual(
      Buffer.from(w.toUint8Array()).toString("hex"),
      "000000000000040000000100000002c3a9fffffffffffffffe"
    )
    const end = w.pos
    encoder.write(w, [2, "", 3n, true])
    assert.strictEqual(
      Buffer.from(w.toUint8Array().subarray(end)).toString("hex"),
      "0000000400000002000000000000000800000000000000030000000101"
    )
  })

  it("lists of an IN marker may hold nulls, as conditions compare with them; no other list does", () => {
    // What both servers call the variable of `c IN ?`.
    const inList = (type: string) => new BindEncoder.BindEncoder([column("in(c)", parse(type))])
    const w = new Writer.Writer()
    inList("list<int>").write(w, [[1, null]])
    assert.strictEqual(
      Buffer.from(w.toUint8Array()).toString("hex"),
      "00000010000000020000000400000001ffffffff"
    )
    assert.deepStrictEqual(Codec.decode(parse("list<int>"), w.toUint8Array().subarray(4)), [1, null])
    inList("list<int>").write(w, [null])
    inList("list<int>").write(w, [[]])
    const refusals: ReadonlyArray<[encoder: BindEncoder.BindEncoder, value: unknown, message: RegExp]> = [
      [inList("list<int>"), [undefined], /^in\(c\)\[0\]: expected an element of list<int>, got undefined/],
      [inList("list<int>"), [1, Value.Unset], /^in\(c\)\[1\]: expected an element of list<int>, got Unset/],
      [inList("list<int>"), [null, "x"], /^in\(c\)\[1\]: expected int, got string "x"/],
      [inList("list<frozen<list<int>>>"), [[null]], /^in\(c\)\[0\]\[0\]: expected an element of list<int>, got null/],
      [inList("set<int>"), [null], /got null: collections hold no nulls$/],
      [new BindEncoder.BindEncoder([column("c", parse("list<int>"))]), [null], /got null: collections hold no nulls$/]
    ]
    for (const [encoder, value, message] of refusals) {
      assert.match(encodeError(() => encoder.write(new Writer.Writer(), [value])).message, message)
    }
  })

  it("a wrong count is refused, with what is expected", () => {
    for (const values of [[], [1, "x", 1n], [1, "x", 1n, true, 1]]) {
      assert.strictEqual(
        encodeError(() => encoder.write(new Writer.Writer(), values)).message,
        `the statement takes 4 values (id int, name text, __proto__ bigint, flag boolean), got ${values.length}`
      )
    }
    const none = new BindEncoder.BindEncoder([])
    none.write(new Writer.Writer(), [])
    assert.strictEqual(
      encodeError(() => none.write(new Writer.Writer(), [1])).message,
      "the statement takes 0 values (none), got 1"
    )
  })

  it("a caller that resets sees nothing of a failed write", () => {
    const w = new Writer.Writer(8)
    encodeError(() => encoder.write(w, [1, "x".repeat(100), 1n, "no boolean"]))
    w.reset()
    encoder.write(w, [1, "x", 1n, true])
    const fresh = new Writer.Writer()
    encoder.write(fresh, [1, "x", 1n, true])
    assert.deepStrictEqual(w.toUint8Array(), fresh.toUint8Array())
  })

  it("takes objects by name", () => {
    const own = Object.assign(Object.create(null), { id: 1, name: "x", flag: null })
    Object.defineProperty(own, "__proto__", { value: 3n, enumerable: true })
    assert.deepStrictEqual(encoder.order(own), [1, "x", 3n, null])
    assert.strictEqual(
      encodeError(() => encoder.order({ id: 1, name: "x", flag: true })).message,
      "__proto__: no value for this variable of type bigint"
    )
    assert.strictEqual(
      encodeError(() => encoder.order({ ...own, nam: 1 })).message,
      `the statement has no variable "nam", it has id int, name text, __proto__ bigint, flag boolean`
    )
    assert.strictEqual(encodeError(() => encoder.order({})).path, "id")
  })

  it("one name bound twice takes one value", () => {
    const twice = new BindEncoder.BindEncoder([column("a", parse("int")), column("a", parse("int"))])
    assert.deepStrictEqual(twice.order({ a: 1 }), [1, 1])
  })

  it("writes one variable alone as it is written among the others", () => {
    const row = [1, "é", null, Value.Unset]
    const all = new Writer.Writer()
    encoder.write(all, row)
    const w = new Writer.Writer(1)
    for (const [i, value] of row.entries()) encoder.writeOne(w, i, value)
    assert.deepStrictEqual(w.toUint8Array(), all.toUint8Array())
    assert.strictEqual(
      encodeError(() => encoder.writeOne(w, 3, 1)).message,
      "flag: expected boolean, got number 1"
    )
    assert.strictEqual(encodeError(() => encoder.writeOne(w, 0, undefined)).path, "id")
  })

  it("many variables", () => {
    const columns = Array.from({ length: 3000 }, (_, i) => column(`c${i}`, parse(["int", "text", "list<int>"][i % 3]!)))
    const many = new BindEncoder.BindEncoder(columns)
    const w = new Writer.Writer()
    many.write(w, columns.map((_, i) => [i, String(i), [i]][i % 3]))
    const r = Reader.Reader.from(w.toUint8Array())
    for (let i = 0; i < 2997; i++) r.bytesValue()
    assert.deepStrictEqual([r.i32(), r.i32()], [4, 2997])
    const error = encodeError(() =>
      many.write(w, columns.map((_, i) => i === 2999 ? ["x"] : [i, String(i), [i]][i % 3]))
    )
    assert.strictEqual(error.path, "c2999[0]")
  })

  it("the writer's limit is an EncodeError that names the column", () => {
    for (const value of ["x".repeat(200), "€".repeat(40)]) {
      const error = encodeError(() => encoder.write(new Writer.Writer(16, 64), [1, value, 1n, true]))
      assert.strictEqual(error.path, "name")
      assert.match(error.message, /^name: the request is larger than 64 bytes/)
    }
    encodeError(() =>
      new BindEncoder.BindEncoder([column("b", parse("blob"))]).write(new Writer.Writer(16, 64), [new Uint8Array(64)])
    )
    // What fits is taken, to the last byte.
    const text = new BindEncoder.BindEncoder([column("b", parse("text"))])
    const w = new Writer.Writer(16, 64)
    text.write(w, ["x".repeat(60)])
    assert.strictEqual(w.pos, 64)
    encodeError(() => text.write(new Writer.Writer(1024, 64), ["x".repeat(61)]))
  })

  it("errors of the program's own getters pass through", () => {
    const own = new RangeError("mine")
    const value = {
      get zip() {
        throw own
      }
    }
    let thrown: unknown
    try {
      new BindEncoder.BindEncoder([column("c", parse("list<address>"))]).write(new Writer.Writer(), [[value]])
    } catch (error) {
      thrown = error
    }
    assert.strictEqual(thrown, own)
  })
})

describe("Writer", () => {
  it("a string that takes more than a fifth of the limit in UTF-16 is measured before it is refused", () => {
    const w = new Writer.Writer(16, 1000)
    w.longString("x".repeat(996))
    assert.strictEqual(w.pos, 1000)
  })

  it("counts and lengths of 16 bits are checked", () => {
    const w = new Writer.Writer()
    const many = Array.from({ length: 65_536 }, () => "")
    assert.match(encodeError(() => w.stringList(many)).message, /at most 65535 texts of a list, got 65536/)
    encodeError(() => w.stringMap(new Map(many.map((_, i) => [String(i), ""]))))
    encodeError(() => w.bytesMap(new Map(many.map((_, i) => [String(i), null]))))
    encodeError(() => w.stringMultimap(new Map(many.map((_, i) => [String(i), []]))))
    encodeError(() => w.string("x".repeat(65_536)))
    encodeError(() => w.shortBytes(new Uint8Array(65_536)))
    const consistency = "ONE"
    encodeError(() =>
      Request.encode(w, 1, {
        _tag: "Query",
        query: "",
        options: { consistency },
        values: { values: many.map(() => null) }
      })
    )
    encodeError(() =>
      Request.encode(w, 1, {
        _tag: "Batch",
        kind: "logged",
        options: { consistency },
        entries: many.map(() => ({ _tag: "Text", query: "", values: [] }))
      })
    )
  })
})
