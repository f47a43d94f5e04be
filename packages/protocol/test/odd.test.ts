/** What servers store and JavaScript has no ordinary value for, of every type; the sizes are those that servers let pass. */
import {
  Codec,
  CqlType,
  Metadata,
  ProtocolError,
  Reader,
  RowDecoder,
  Uuid,
  Value,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import * as BigDecimal from "effect/BigDecimal"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { inspect } from "node:util"
import { bytesOf } from "../../../test/fixtures/vectors.ts"

const scalar = CqlType.scalar
const hexOf = (bytes: Uint8Array | null): string => Buffer.from(bytes!).toString("hex")
const int = scalar("int")

interface Odd {
  readonly type: CqlType.ScalarName
  readonly hex: string
  readonly value: unknown
  /** The bytes that it is written as, where they are others than those that it came from. */
  readonly written?: string
  /** Of those that are no ordinary value, as CQL takes it. */
  readonly text?: string
}

const odd: ReadonlyArray<Odd> = [
  // Past Date, on both sides, and the last instants within.
  {
    type: "timestamp",
    hex: "7fffffffffffffff",
    value: new Value.OutOfRangeTimestamp(2n ** 63n - 1n),
    text: String(2n ** 63n - 1n)
  },
  {
    type: "timestamp",
    hex: "8000000000000000",
    value: new Value.OutOfRangeTimestamp(-(2n ** 63n)),
    text: String(-(2n ** 63n))
  },
  {
    type: "timestamp",
    hex: "001eb208c2dc0001",
    value: new Value.OutOfRangeTimestamp(8_640_000_000_000_001n),
    text: "8640000000000001"
  },
  {
    type: "timestamp",
    hex: "ffe14df73d23ffff",
    value: new Value.OutOfRangeTimestamp(-8_640_000_000_000_001n),
    text: "-8640000000000001"
  },
  { type: "timestamp", hex: "001eb208c2dc0000", value: new Date(8.64e15) },
  { type: "timestamp", hex: "ffe14df73d240000", value: new Date(-8.64e15) },
  // Midnight of the next day, before midnight, the extremes.
  {
    type: "time",
    hex: "00004e94914f0000",
    value: new Value.OutOfRangeTime(86_400_000_000_000n),
    text: "blobAsTime(0x00004e94914f0000)"
  },
  {
    type: "time",
    hex: "ffffffffffffffff",
    value: new Value.OutOfRangeTime(-1n),
    text: "blobAsTime(0xffffffffffffffff)"
  },
  {
    type: "time",
    hex: "7fffffffffffffff",
    value: new Value.OutOfRangeTime(2n ** 63n - 1n),
    text: "blobAsTime(0x7fffffffffffffff)"
  },
  { type: "time", hex: "00004e94914effff", value: new Value.LocalTime(86_399_999_999_999n) },
  // Every number of 32 bits is a day.
  { type: "date", hex: "00000000", value: new Value.LocalDate(-(2 ** 31)) },
  { type: "date", hex: "ffffffff", value: new Value.LocalDate(2 ** 31 - 1) },
  // A scale alone; scales at both ends.
  {
    type: "decimal",
    hex: "00000001",
    value: new Value.Unreadable("decimal", bytesOf("00000001"), "a scale without digits"),
    text: "blobAsDecimal(0x00000001)"
  },
  { type: "decimal", hex: "7fffffff01", value: BigDecimal.make(1n, 2 ** 31 - 1) },
  { type: "decimal", hex: "80000000ff", value: BigDecimal.make(-1n, -(2 ** 31)) },
  { type: "decimal", hex: "0000000200000064", value: BigDecimal.make(100n, 2), written: "0000000264" },
  // Digits with zeros or ones in front that nobody needs.
  { type: "varint", hex: "00", value: 0n },
  { type: "varint", hex: `ff${"ff".repeat(40)}80`, value: -128n, written: "80" },
  { type: "varint", hex: "000080", value: 128n, written: "0080" },
  { type: "varint", hex: `7f${"00".repeat(70_000)}`, value: 0x7fn << 560_000n },
  // Something behind the third part.
  { type: "duration", hex: "02040600ff", value: new Value.CqlDuration(1, 2, 3n), written: "020406" },
  {
    type: "duration",
    hex: "000000",
    value: new Value.CqlDuration(0, 0, 0n)
  },
  { type: "inet", hex: "00000000000000000000ffff01020304", value: Value.Inet.parse("::ffff:1.2.3.4") },
  { type: "inet", hex: "00000000000000000000000000000000", value: Value.Inet.parse("::") },
  // Not UTF-8: the characters that cannot be read are U+FFFD.
  { type: "text", hex: "61ff62", value: "a\ufffdb", written: "61efbfbd62" },
  { type: "text", hex: "eda080", value: "\ufffd\ufffd\ufffd", written: "efbfbdefbfbdefbfbd" },
  { type: "text", hex: "efbbbf61", value: "\ufeffa" },
  { type: "text", hex: "00", value: "\u0000" },
  { type: "boolean", hex: "02", value: true, written: "01" },
  { type: "boolean", hex: "ff", value: true, written: "01" },
  { type: "float", hex: "7fc00000", value: NaN },
  { type: "double", hex: "fff0000000000000", value: -Infinity },
  // Versions and variants that no generator makes.
  { type: "uuid", hex: "ffffffffffffffffffffffffffffffff", value: new Uuid.Uuid(-1, -1, -1, -1) },
  {
    type: "timeuuid",
    hex: "00000000000010008080808080808080",
    value: Uuid.parse("00000000-0000-1000-8080-808080808080")
  },
  ...(Object.keys(CqlType.SCALAR_CODES) as Array<CqlType.ScalarName>).map((type): Odd => ({
    type,
    hex: "",
    value: type === "text" || type === "ascii" ? "" : type === "blob" ? new Uint8Array(0) : Value.Empty
  }))
]

const title = ({ hex, type }: Odd): string =>
  `${type} 0x${hex.length > 40 ? `${hex.slice(0, 40)}… (${hex.length / 2})` : hex}`

/** The bytes of a value of one type inside of those of another. */
const cell = (hex: string): string => (hex.length / 2).toString(16).padStart(8, "0") + hex
const vint = (size: number): string => size < 0x80 ? size.toString(16).padStart(2, "0") : ""

const nestings: ReadonlyArray<{
  readonly type: (inner: CqlType.CqlType) => CqlType.CqlType
  readonly hex: (inner: string) => string
  readonly value: (inner: unknown) => unknown
}> = [
  { type: CqlType.list, hex: (inner) => `00000001${cell(inner)}`, value: (inner) => [inner] },
  { type: CqlType.set, hex: (inner) => `00000001${cell(inner)}`, value: (inner) => new Set([inner]) },
  {
    type: (inner) => CqlType.map(int, inner),
    hex: (inner) => `00000001${cell("00000007")}${cell(inner)}`,
    value: (inner) => new Map([[7, inner]])
  },
  {
    type: (inner) => CqlType.map(inner, int),
    hex: (inner) => `00000001${cell(inner)}${cell("00000007")}`,
    value: (inner) => new Map([[inner, 7]])
  },
  {
    type: (inner) => CqlType.tuple(int, inner),
    hex: (inner) => `${cell("00000007")}${cell(inner)}`,
    value: (inner) => [7, inner]
  },
  {
    type: (inner) => CqlType.udt("ks", "u", [{ name: "a", type: inner }, { name: "b", type: int }]),
    hex: (inner) => `${cell(inner)}ffffffff`,
    value: (inner) => ({ a: inner, b: null })
  }
]

describe("what servers store and JavaScript has no place for", () => {
  for (const each of odd) {
    it(`${title(each)}`, () => {
      const type = scalar(each.type)
      const read = Codec.decode(type, bytesOf(each.hex))
      assert.deepStrictEqual(read, each.value)
      assert.strictEqual(hexOf(Codec.encode(type, read)), each.written ?? each.hex)
      for (const nesting of nestings) {
        const outer = nesting.type(type)
        const held = Codec.decode(outer, bytesOf(nesting.hex(each.hex)))
        assert.deepStrictEqual(held, nesting.value(each.value), CqlType.format(outer))
        assert.strictEqual(
          hexOf(Codec.encode(outer, held)),
          nesting.hex(each.written ?? each.hex),
          CqlType.format(outer)
        )
      }
    })
  }

  it("elements of vectors, with and without lengths", () => {
    for (const each of odd.filter(({ hex }) => hex !== "" && hex.length < 200)) {
      const type = CqlType.vector(scalar(each.type), 2)
      if (each.type === "float") continue
      const fixed = ["bigint", "boolean", "double", "int", "timestamp", "timeuuid", "uuid"].includes(each.type)
      const element = (hex: string): string => fixed ? hex : vint(hex.length / 2) + hex
      const hex = element(each.hex) + element(each.hex)
      const read = Codec.decode(type, bytesOf(hex))
      assert.deepStrictEqual(read, [each.value, each.value], title(each))
      const written = element(each.written ?? each.hex)
      assert.strictEqual(hexOf(Codec.encode(type, read)), written + written, title(each))
    }
  })

  it("says that it is not valid, and prints what CQL takes", () => {
    const special = odd.filter(({ text }) => text !== undefined)
    assert.isAbove(special.length, 6)
    for (const { text, value } of special) {
      assert.isFalse((value as { readonly isValid: boolean }).isValid)
      assert.strictEqual(String(value), text)
      assert.strictEqual(JSON.stringify(value), JSON.stringify(text))
      assert.match(inspect(value), /^(?:OutOfRangeTime(?:stamp)?\(-?\d+\)|Unreadable\(decimal of 4 bytes: .+\))$/)
    }
    const makers = [
      () => new Value.OutOfRangeTimestamp(1n),
      () => new Value.OutOfRangeTimestamp(2n),
      () => new Value.OutOfRangeTime(1n),
      () => new Value.Unreadable("decimal", bytesOf("00000001"), ""),
      () => new Value.Unreadable("decimal", bytesOf("00000002"), ""),
      () => new Value.Unreadable("varint", bytesOf("00000001"), "")
    ]
    for (const [i, a] of makers.entries()) {
      assert.strictEqual(Hash.hash(a()), Hash.hash(a()))
      for (const [j, b] of makers.entries()) assert.strictEqual(Equal.equals(a(), b()), i === j)
    }
    assert.strictEqual(String(makers[5]!()), "blobAsVarint(0x00000001)")
  })

  it("is bound only where it came from", () => {
    const wrong: ReadonlyArray<[CqlType.ScalarName, unknown]> = [
      ["time", new Value.OutOfRangeTimestamp(1n)],
      ["timestamp", new Value.OutOfRangeTime(1n)],
      ["varint", new Value.Unreadable("decimal", bytesOf("00000001"), "")],
      ["blob", new Value.Unreadable("decimal", bytesOf("00000001"), "")],
      ["timestamp", new Value.OutOfRangeTimestamp(2n ** 63n)],
      ["time", new Value.OutOfRangeTime(2n ** 63n)]
    ]
    for (const [name, value] of wrong) {
      assert.throws(() => Codec.encode(scalar(name), value), ProtocolError.EncodeError, `expected ${name}`)
    }
  })

  it("leaves its row and its page readable", () => {
    // As Cassandra answers for system_schema.dropped_columns: microseconds in a column of milliseconds.
    const columns = [["column_name", "text"], ["dropped_time", "timestamp"], ["t", "time"]].map(([name, type]) => ({
      keyspace: "system_schema",
      table: "dropped_columns",
      name: name!,
      type: scalar(type as CqlType.ScalarName)
    }))
    const w = new Writer.Writer()
    Metadata.writeResult(w, columns)
    w.i32(2)
    for (const [name, dropped, time] of [["a", 1_790_000_000_000_000_000n, -5n], ["b", 5n, 6n]] as const) {
      for (const value of [Codec.encode(scalar("text"), name), int64(dropped), int64(time)]) w.bytesValue(value)
    }
    for (const generated of [true, false]) {
      const r = Reader.Reader.from(w.toUint8Array())
      const rows = new RowDecoder.RowDecoders({ generated }).read(r, undefined, RowDecoder.emptyPage())
      assert.deepStrictEqual(rows, [
        {
          column_name: "a",
          dropped_time: new Value.OutOfRangeTimestamp(1_790_000_000_000_000_000n),
          t: new Value.OutOfRangeTime(-5n)
        },
        { column_name: "b", dropped_time: new Date(5), t: new Value.LocalTime(6n) }
      ])
    }
  })
})

const int64 = (value: bigint): Uint8Array => {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigInt64(0, value)
  return out
}

describe("what types that hold others are stored as", () => {
  const text = scalar("text")
  const pair = CqlType.tuple(int, text)
  const person = CqlType.udt("ks", "person", [{ name: "age", type: int }, { name: "name", type: text }])
  const one = cell("00000001")
  const none = "ffffffff"
  const cases: ReadonlyArray<[what: string, type: CqlType.CqlType, hex: string, value: unknown]> = [
    ["a tuple from before an element was added", pair, one, [1, null]],
    ["a tuple of no bytes", pair, "", [null, null]],
    ["a tuple of nulls", pair, none + none, [null, null]],
    ["a type from before a field was added", person, one, { age: 1, name: null }],
    ["a type with a field that is not known here", person, one + none + one, { age: 1, name: null }],
    ["a type of no bytes", person, "", { age: null, name: null }],
    ["tuples and types within", CqlType.list(CqlType.tuple(person)), `00000001${cell(cell(one))}`, [[{
      age: 1,
      name: null
    }]]],
    ["a list with nulls", CqlType.list(int), `00000002${none}${one}`, [null, 1]],
    ["a set with a null", CqlType.set(int), `00000002${none}${one}`, new Set([null, 1])],
    [
      "a map with nulls",
      CqlType.map(int, text),
      `00000002${none}${cell("61")}${one}${none}`,
      new Map([[null, "a"], [1, null]])
    ],
    ["a list with empty values", CqlType.list(int), `00000002${cell("")}${one}`, [Value.Empty, 1]],
    [
      "a map with one key twice",
      CqlType.map(int, int),
      `00000002${one}${one}${one}${cell("00000002")}`,
      new Map([[1, 2]])
    ],
    [
      "collections of no bytes",
      CqlType.tuple(CqlType.list(int), CqlType.set(int), CqlType.map(int, int)),
      cell("").repeat(3),
      [
        [],
        new Set(),
        new Map()
      ]
    ],
    ["a vector of no bytes", CqlType.vector(int, 2), "", Value.Empty],
    ["a vector of empty values", CqlType.vector(scalar("varint"), 2), "0000", [Value.Empty, Value.Empty]],
    ["a vector of lists", CqlType.vector(CqlType.list(int), 2), `0c00000001${one}0400000000`, [[1], []]],
    ["a vector of tuples that are too short", CqlType.vector(pair, 1), `08${one}`, [[1, null]]],
    ["a custom type of no bytes", { _tag: "Custom", className: "org.example.Type" }, "", new Uint8Array(0)]
  ]
  for (const [what, type, hex, value] of cases) {
    it(`${what}`, () => assert.deepStrictEqual(Codec.decode(type, bytesOf(hex)), value))
  }

  it("what no server lets pass is refused by the name of the type", () => {
    const wrong: ReadonlyArray<[type: CqlType.CqlType, hex: string]> = [
      [pair, one + cell("61") + one],
      [CqlType.list(int), `00000001${one}00`],
      [CqlType.list(int), "00000002" + one],
      [CqlType.map(int, int), `00000001${one}`],
      [CqlType.vector(int, 2), "00000001"],
      [CqlType.vector(text, 2), "016101"],
      [CqlType.list(scalar("duration")), `00000001${cell("020100")}`],
      [person, "00000004"]
    ]
    for (const [type, hex] of wrong) {
      const name = CqlType.format(type)
      assert.throws(() => Codec.decode(type, bytesOf(hex)), ProtocolError.DecodeError, name)
    }
  })
})

describe("whole numbers as the codec option says", () => {
  const cases: ReadonlyArray<[value: bigint, number: number | bigint]> = [
    [0n, 0],
    [-1n, -1],
    [1_790_000_000_000n, 1_790_000_000_000],
    [2n ** 53n - 1n, 2 ** 53 - 1],
    [-(2n ** 53n) + 1n, -(2 ** 53) + 1],
    // Nothing is rounded.
    [2n ** 53n, 2n ** 53n],
    [2n ** 53n + 1n, 2n ** 53n + 1n],
    [-(2n ** 53n), -(2n ** 53n)],
    [2n ** 63n - 1n, 2n ** 63n - 1n],
    [-(2n ** 63n), -(2n ** 63n)]
  ]
  for (const name of ["bigint", "counter", "varint"] as const) {
    it(`${name}`, () => {
      for (const [value, number] of cases) {
        const type = CqlType.list(scalar(name))
        const bytes = Codec.encode(type, [value])
        assert.deepStrictEqual(Codec.decode(type, bytes), [value])
        assert.deepStrictEqual(Codec.decode(type, bytes, { bigint: "bigint" }), [value])
        assert.deepStrictEqual(Codec.decode(type, bytes, { bigint: "number" }), [number])
        assert.deepStrictEqual(Codec.decode(type, bytes, { bigint: "string" }), [String(value)])
        // Each form can be bound.
        for (const form of [value, number, String(value)]) assert.deepStrictEqual(Codec.encode(type, [form]), bytes)
        for (const bigint of ["number", "string"] as const) {
          assert.strictEqual(Codec.decode(scalar(name), new Uint8Array(0), { bigint }), Value.Empty)
          if (name !== "varint") {
            assert.throws(() => Codec.decode(scalar(name), new Uint8Array(7), { bigint }), ProtocolError.DecodeError)
          }
        }
      }
      assert.deepStrictEqual(Codec.encode(scalar(name), "+007"), Codec.encode(scalar(name), 7n))
    })
  }

  it("leaves other types as they are", () => {
    const options = { bigint: "string" } as const
    assert.deepStrictEqual(Codec.decode(scalar("timestamp"), int64(5n), options), new Date(5))
    assert.strictEqual(Codec.decode(int, bytesOf("00000005"), options), 5)
  })
})

describe("decimals", () => {
  it("are bound from numbers, whole numbers and text", () => {
    const decimal = scalar("decimal")
    for (
      const [given, value, scale] of [
        [1, 1n, 0],
        [-0, 0n, 0],
        [0.1, 1n, 1],
        [-123.456, -123_456n, 3],
        [1e21, 1n, -21],
        [1.5e-7, 15n, 8],
        [5e-324, 5n, 324],
        [Number.MAX_SAFE_INTEGER, 2n ** 53n - 1n, 0],
        [2n ** 70n, 2n ** 70n, 0],
        ["1", 1n, 0],
        ["1.10", 110n, 2],
        ["-1.5E+3", -15n, -2],
        ["+.5", 5n, 1],
        ["5.", 5n, 0],
        ["1e2147483648", 1n, -(2 ** 31)],
        ["1e-2147483647", 1n, 2 ** 31 - 1],
        [BigDecimal.make(7n, 3), 7n, 3]
      ] as const
    ) {
      const read = Codec.decode(decimal, Codec.encode(decimal, given)) as BigDecimal.BigDecimal
      assert.deepStrictEqual([read.value, read.scale], [value, scale], String(given))
    }
  })
})
