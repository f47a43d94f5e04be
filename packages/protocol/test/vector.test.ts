import { BindEncoder, Codec, CqlType, ProtocolError, Value, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import { Random } from "./support/random.ts"
import { column, randomType, scalarNames, scalarValue, valueOf } from "./support/types.ts"

const parse = (text: string): CqlType.CqlType => {
  const type = CqlType.parse(text)
  return typeof type === "string" ? assert.fail(type) : type
}

const hexOf = (type: string, value: unknown): string => Buffer.from(Codec.encode(parse(type), value)!).toString("hex")
const decode = (type: string, hex: string): unknown => Codec.decode(parse(type), Buffer.from(hex, "hex"))

const refused = (type: string, value: unknown): string => {
  try {
    new BindEncoder.BindEncoder([column("c", parse(type))]).write(new Writer.Writer(), [value])
  } catch (error) {
    if (error instanceof ProtocolError.EncodeError) return error.message
    throw error
  }
  return assert.fail(`${type} took ${String(value)}`)
}

describe("vector", () => {
  it("elements that have a size stand side by side, others behind their lengths", () => {
    const cases: ReadonlyArray<[type: string, value: unknown, hex: string]> = [
      ["vector<float, 3>", Float32Array.of(1, -2, 0.5), "3f800000c00000003f000000"],
      ["vector<double, 1>", [1.5], "3ff8000000000000"],
      ["vector<int, 2>", [1, -1], "00000001ffffffff"],
      ["vector<bigint, 1>", [-2n], "fffffffffffffffe"],
      ["vector<boolean, 3>", [true, false, true], "010001"],
      ["vector<timestamp, 1>", [new Date(1)], "0000000000000001"],
      ["vector<vector<int, 2>, 2>", [[1, 2], [3, 4]], "00000001000000020000000300000004"],
      ["vector<text, 2>", ["a", "bcd"], "016103626364"],
      ["vector<blob, 2>", [new Uint8Array(0), Uint8Array.of(7)], "000107"],
      ["vector<varint, 2>", [128n, -1n], "02008001ff"],
      // Of one size each, and with a length all the same.
      ["vector<smallint, 2>", [1, -1], "02000102ffff"],
      ["vector<tinyint, 2>", [1, -1], "010101ff"],
      ["vector<counter, 1>", [1n], "080000000000000001"],
      ["vector<date, 1>", [new Value.LocalDate(0)], "0480000000"],
      ["vector<time, 1>", [new Value.LocalTime(1n)], "080000000000000001"],
      ["vector<list<int>, 2>", [[7], []], "0c0000000100000004000000070400000000"],
      ["vector<tuple<int, text>, 1>", [[null, "x"]], "09ffffffff0000000178"],
      ["vector<vector<text, 1>, 2>", [["a"], ["b"]], "020161020162"]
    ]
    for (const [type, value, hex] of cases) {
      assert.strictEqual(hexOf(type, value), hex, type)
      assert.deepStrictEqual(decode(type, hex), value, type)
    }
  })

  it("lengths of one to four bytes", () => {
    for (const length of [0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000]) {
      const value = ["x".repeat(length), "", "y"]
      const bytes = Codec.encode(parse("vector<text, 3>"), value)!
      assert.isTrue(Codec.decode(parse("vector<text, 3>"), bytes)![0 as never] === value[0])
      const size = bytes.length - length - 3
      assert.strictEqual(size, length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4)
      assert.strictEqual(Math.clz32(~(bytes[0]! << 24)), size - 1)
    }
  })

  it("floats of every number, at every place of a buffer", () => {
    for (const dimension of [1, 2, 47, 48, 49, 255, 768, 8192]) {
      const type = CqlType.vector(CqlType.scalar("float"), dimension)
      const floats = [0, -0, NaN, Infinity, -Infinity, 1e-45, 3.4028234663852886e38]
      const value = Float32Array.from({ length: dimension }, (_, i) => i < floats.length ? floats[i]! : i / 7)
      const expected = new DataView(new ArrayBuffer(4 * dimension))
      for (const [i, float] of value.entries()) expected.setFloat32(4 * i, float)
      for (const shift of [0, 1, 2, 3]) {
        const w = new Writer.Writer(shift + 8)
        w.raw(new Uint8Array(shift))
        new BindEncoder.BindEncoder([column("v", type)]).write(w, [value])
        const bytes = w.toUint8Array().subarray(shift + 4)
        assert.isTrue(Buffer.from(bytes).equals(Buffer.from(expected.buffer)), `${dimension} at ${shift}`)
        const read = Codec.decode(type, bytes) as Float32Array
        assert.deepStrictEqual(read, value)
        assert.notStrictEqual(read.buffer, bytes.buffer)
      }
    }
  })

  it("arrays and typed arrays are written alike", () => {
    assert.strictEqual(hexOf("vector<float, 2>", [1, 2]), hexOf("vector<float, 2>", Float32Array.of(1, 2)))
    assert.strictEqual(hexOf("vector<float, 2>", Float64Array.of(1, 2)), hexOf("vector<float, 2>", [1, 2]))
    assert.strictEqual(hexOf("vector<double, 2>", Float64Array.of(1, 2)), hexOf("vector<double, 2>", [1, 2]))
    assert.strictEqual(hexOf("vector<int, 2>", Int32Array.of(1, 2)), hexOf("vector<int, 2>", [1, 2]))
    assert.strictEqual(hexOf("vector<bigint, 2>", BigInt64Array.of(1n, 2n)), hexOf("vector<bigint, 2>", [1n, 2n]))
    const shifted = new Float32Array(new ArrayBuffer(16), 4, 2)
    shifted.set([3, 4])
    assert.strictEqual(hexOf("vector<float, 2>", shifted), hexOf("vector<float, 2>", [3, 4]))
  })

  it("what does not fit is refused, with its place", () => {
    const cases: ReadonlyArray<[type: string, value: unknown, message: string]> = [
      ["vector<float, 3>", "x", `c: expected vector<float, 3>, got string "x" (an array or Float32Array of 3)`],
      ["vector<int, 3>", new Set([1, 2, 3]), "c: expected vector<int, 3>, got Set (an array of 3)"],
      ["vector<float, 3>", Float32Array.of(1), "c: expected vector<float, 3>, got Float32Array (3 elements, got 1)"],
      ["vector<float, 1>", [1, 2], "c: expected vector<float, 1>, got Array (1 elements, got 2)"],
      ["vector<float, 1>", [], "c: expected vector<float, 1>, got Array (1 elements, got 0)"],
      ["vector<float, 2>", [1, "x"], `c[1]: expected float, got string "x"`],
      ["vector<int, 2>", Float64Array.of(1, 0.5), "c[1]: expected int, got number 0.5 (an integer of 32 bits)"],
      ["vector<float, 1>", [1e39], "c[0]: expected float, got number 1e+39 (32 bits)"],
      [
        "vector<int, 2>",
        [1, null],
        "c[1]: expected an element of vector<int, 2>, got null: collections hold no nulls"
      ],
      [
        "vector<text, 1>",
        [Value.Unset],
        "c[0]: expected an element of vector<text, 1>, got Unset: collections hold no nulls"
      ],
      [
        "vector<int, 2>",
        [1, Value.Empty],
        "c[1]: expected an element of vector<int, 2>, got Empty: each takes 4 bytes"
      ],
      [
        "list<vector<vector<int, 1>, 2>>",
        [[[1], [2]], [[3], ["x"]]],
        `c[1][1][0]: expected int, got string "x" (an integer of 32 bits)`
      ],
      [
        "vector<float, 2>",
        new Uint8Array(8),
        "c: expected vector<float, 2>, got Uint8Array (an array or Float32Array of 2)"
      ]
    ]
    for (const [type, value, message] of cases) assert.strictEqual(refused(type, value), message)
  })

  it("empty, null and a vector are three things", () => {
    for (const type of ["vector<float, 2>", "vector<int, 2>", "vector<text, 2>"]) {
      assert.strictEqual(decode(type, ""), Value.Empty)
      assert.strictEqual(hexOf(type, Value.Empty), "")
      assert.isNull(Codec.encode(parse(type), null))
    }
  })

  it("of a class that nobody here knows is bytes", () => {
    for (const type of ["vector<'org.example.Own', 3>", "vector<vector<'org.example.Own', 3>, 2>"]) {
      assert.deepStrictEqual(decode(type, "0102"), Uint8Array.of(1, 2))
      assert.strictEqual(hexOf(type, Uint8Array.of(1, 2)), "0102")
      assert.include(refused(type, [1, 2, 3]), "(a Uint8Array)")
    }
  })

  it("bytes that are none fail typed, and allocate nothing for what they promise", () => {
    const cases: ReadonlyArray<[type: string, hex: string]> = [
      ["vector<float, 2>", "3f8000003f8000"],
      ["vector<float, 2>", "3f8000003f80000000"],
      ["vector<int, 2>", "00000001"],
      ["vector<int, 2>", "0000000100000002ff"],
      ["vector<text, 2>", "0161"],
      ["vector<text, 2>", "01610162ff"],
      ["vector<text, 2>", "0161ff"],
      ["vector<text, 1>", "0261"],
      ["vector<text, 1>", "ffffffffffffffffff"],
      ["vector<text, 1>", "80"],
      ["vector<smallint, 1>", "0100"],
      ["vector<float, 2147483647>", "3f800000"],
      ["vector<text, 2147483647>", "0161"],
      ["vector<vector<double, 2147483647>, 2147483647>", "0161"]
    ]
    for (const [type, hex] of cases) {
      assert.throws(() => decode(type, hex), ProtocolError.DecodeError, undefined, `${type} ${hex}`)
    }
  })

  it("is what cassandra-driver writes, and reads what it wrote", () => {
    const load = createRequire(import.meta.url)
    const Encoder = load("cassandra-driver/lib/encoder.js") as new(version: number, options: object) => {
      encode(value: unknown, type: object): Buffer
      parseFqTypeName(name: string): object
    }
    const { Vector } = load("cassandra-driver").types as {
      readonly Vector: new(values: ReadonlyArray<unknown>, type?: string) => object
    }
    const encoder = new Encoder(5, { encoding: { useBigIntAsLong: true, useBigIntAsVarint: true } })
    const random = new Random(77)
    for (
      const name of [
        "float",
        "double",
        "int",
        "bigint",
        "boolean",
        "text",
        "blob",
        "smallint",
        "tinyint",
        "varint"
      ] as const
    ) {
      for (const inner of [undefined, 2]) {
        for (let i = 0; i < 30; i++) {
          const scalar = CqlType.scalar(name)
          const type = CqlType.vector(inner === undefined ? scalar : CqlType.vector(scalar, inner), 1 + random.below(5))
          const make = (of: CqlType.CqlType): Array<unknown> =>
            Array.from(
              { length: of._tag === "Vector" ? of.dimension : 0 },
              () => of._tag === "Vector" && of.element._tag === "Vector" ? make(of.element) : scalarValue(name, random)
            )
          const value = make(type)
          const theirs = (of: ReadonlyArray<unknown>): object =>
            new Vector(
              of.map((each) =>
                Array.isArray(each) ? theirs(each) : each instanceof Uint8Array ? Buffer.from(each) : each
              )
            )
          const expected = encoder.encode(theirs(value), encoder.parseFqTypeName(CqlType.className(type)))
          assert.strictEqual(
            Buffer.from(Codec.encode(type, value)!).toString("hex"),
            Buffer.from(expected).toString("hex"),
            `${CqlType.format(type)} ${String(value)}`
          )
        }
      }
    }
  })

  it("of any type is read as it was written", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed * 48_271)
      const element = seed <= scalarNames.length ? CqlType.scalar(scalarNames[seed - 1]!) : randomType(random, 3)
      const type = CqlType.vector(element, 1 + random.below(6))
      const value = valueOf(type, random)
      const bytes = Codec.encode(type, value)!
      assert.deepStrictEqual(Codec.decode(type, bytes), value, `seed ${seed}: ${CqlType.format(type)}`)
    }
  })
})

describe("a user-defined type that changed", () => {
  const field = (name: string, type: string) => ({ name, type: parse(type) })
  const old = CqlType.udt("ks", "u", [field("a", "int"), field("b", "text")])
  const grown = CqlType.udt("ks", "u", [
    field("a", "int"),
    field("b", "text"),
    field("c", "list<int>"),
    field("d", "int")
  ])

  it("fields that are not on the wire are null", () => {
    const bytes = Codec.encode(old, { a: 1, b: "x" })!
    assert.deepStrictEqual(Codec.decode(grown, bytes), { a: 1, b: "x", c: null, d: null })
    assert.deepStrictEqual(Codec.decode(grown, new Uint8Array(0)), { a: null, b: null, c: null, d: null })
    const list = Codec.encode(CqlType.list(old), [{ a: 1 }, { b: "y" }])!
    assert.deepStrictEqual(Codec.decode(CqlType.list(grown), list), [
      { a: 1, b: null, c: null, d: null },
      { a: null, b: "y", c: null, d: null }
    ])
  })

  it("fields that are not known here are left out, within the value's own bytes", () => {
    const bytes = Codec.encode(grown, { a: 1, b: "x", c: [1, 2], d: 4 })!
    assert.deepStrictEqual(Codec.decode(old, bytes), { a: 1, b: "x" })
    // What is behind is another value, not a part of it.
    const pair = Codec.encode(CqlType.tuple(grown, CqlType.scalar("int")), [{ a: 1, c: [9] }, 7])!
    assert.deepStrictEqual(Codec.decode(CqlType.tuple(old, CqlType.scalar("int")), pair), [{ a: 1, b: null }, 7])
    // A tuple has the elements that it has.
    assert.throws(
      () => Codec.decode(CqlType.tuple(CqlType.scalar("int")), Codec.encode(CqlType.tuple(old), [{}])!),
      ProtocolError.DecodeError
    )
  })

  it("who knows fewer fields writes fewer", () => {
    const [less, more] = [Codec.encode(old, { a: 1, b: "x" })!, Codec.encode(grown, { a: 1, b: "x" })!]
    assert.deepStrictEqual(more.subarray(0, less.length), less)
    assert.strictEqual(more.length, less.length + 8)
  })

  it("cut inside a field fails typed", () => {
    const bytes = Codec.encode(old, { a: 1, b: "xyz" })!
    for (let end = 1; end < bytes.length; end++) {
      if (end === 8) continue
      assert.throws(() => Codec.decode(old, bytes.subarray(0, end)), ProtocolError.DecodeError, undefined, `${end}`)
    }
  })
})

describe("parts that are left out", () => {
  it("are bounded by what is there", () => {
    const wide = CqlType.tuple(...Array.from({ length: 60_000 }, () => CqlType.scalar("int")))
    const bytes = new Uint8Array(4 + 4 * 1000)
    new DataView(bytes.buffer).setInt32(0, 1000)
    // A thousand tuples of no bytes: 60 million nulls.
    assert.throws(() => Codec.decode(CqlType.list(wide), bytes), ProtocolError.DecodeError, "leave out")
    const one = new Uint8Array(8)
    one[3] = 1
    assert.deepStrictEqual((Codec.decode(CqlType.list(wide), one) as [Array<null>])[0].length, 60_000)
    // A type of a hundred fields of which one is written: nobody's bound.
    const grown = CqlType.udt(
      "ks",
      "u",
      Array.from({ length: 100 }, (_, i) => ({ name: `f${i}`, type: CqlType.scalar("int") }))
    )
    const many = Codec.encode(
      CqlType.list(CqlType.udt("ks", "u", [{ name: "f0", type: CqlType.scalar("int") }])),
      Array.from({ length: 5_000 }, () => ({ f0: 1 }))
    )!
    assert.strictEqual((Codec.decode(CqlType.list(grown), many) as Array<unknown>).length, 5_000)
  })
})
