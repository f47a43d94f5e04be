import { Codec, CqlType, ProtocolError, Uuid, Value, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import * as BigDecimal from "effect/BigDecimal"
import { bytesOf, vectors } from "../../../test/fixtures/vectors.ts"
import { unzigzag, VintCursor, writeUnsigned, zigzag } from "../src/internal/vint.ts"

const values = vectors("values.json") as {
  readonly varint: ReadonlyArray<[string, string]>
  readonly decimal: ReadonlyArray<[string, number, string]>
  readonly duration: ReadonlyArray<[number, number, string, string]>
  readonly unsigned_vint: ReadonlyArray<[string, string]>
  readonly zigzag_vint: ReadonlyArray<[string, string]>
  readonly date: ReadonlyArray<[number, string]>
  readonly bigint: ReadonlyArray<[string, string]>
}

const hexOf = (bytes: Uint8Array | null): string => Buffer.from(bytes!).toString("hex")

/** Both ways; `show` makes values of classes comparable. */
const both = (name: CqlType.ScalarName, value: unknown, hex: string, show: (value: any) => unknown = (v) => v) => {
  const type = CqlType.scalar(name)
  assert.strictEqual(hexOf(Codec.encode(type, value)), hex, `${name} ${String(show(value))}`)
  assert.deepStrictEqual(show(Codec.decode(type, bytesOf(hex))), show(value), `${name} ${hex}`)
}

const fails = (name: CqlType.ScalarName, hex: string): void => {
  try {
    const value = Codec.decode(CqlType.scalar(name), bytesOf(hex))
    assert.fail(`${name} ${hex} decodes to ${String(value)}`)
  } catch (error) {
    assert.instanceOf(error, ProtocolError.DecodeError, `${name} ${hex}: ${String(error)}`)
  }
}

describe("conformance vectors", () => {
  it("varint, bigint and counter", () => {
    assert.isAbove(values.varint.length, 200)
    for (const [value, hex] of values.varint) both("varint", BigInt(value), hex)
    for (const [value, hex] of values.bigint) {
      both("bigint", BigInt(value), hex)
      both("counter", BigInt(value), hex)
    }
  })

  it("decimal", () => {
    assert.isAbove(values.decimal.length, 100)
    for (const [unscaled, scale, hex] of values.decimal) {
      both("decimal", BigDecimal.make(BigInt(unscaled), scale), hex, (d: BigDecimal.BigDecimal) => [d.value, d.scale])
    }
  })

  it("duration", () => {
    assert.isAbove(values.duration.length, 100)
    for (const [months, days, nanos, hex] of values.duration) {
      both("duration", new Value.CqlDuration(months, days, BigInt(nanos)), hex)
    }
  })

  it("vints, unsigned and zig-zag", () => {
    const written = (value: bigint): string => {
      const w = new Writer.Writer()
      writeUnsigned(w, value)
      return hexOf(w.toUint8Array())
    }
    for (const [value, hex] of values.unsigned_vint) {
      assert.strictEqual(written(BigInt(value)), hex, value)
      const bytes = bytesOf(hex)
      const cursor = new VintCursor(bytes, 0, bytes.length)
      assert.strictEqual(cursor.unsigned(), BigInt(value), hex)
      assert.isTrue(cursor.done)
      for (let end = 0; end < bytes.length; end++) {
        assert.throws(() => new VintCursor(bytes, 0, end).unsigned(), ProtocolError.DecodeError)
      }
    }
    for (const [value, hex] of values.zigzag_vint) {
      assert.strictEqual(written(zigzag(BigInt(value))), hex, value)
      const bytes = bytesOf(hex)
      assert.strictEqual(new VintCursor(bytes, 0, bytes.length).signed(), BigInt(value), hex)
      assert.strictEqual(unzigzag(zigzag(BigInt(value))), BigInt(value))
    }
    // The table of the Rust driver (scylla-cql, `frame/types.rs`).
    for (const [value, wire] of [[0n, 0n], [-1n, 1n], [1n, 2n], [-2n, 3n]] as const) {
      assert.strictEqual(zigzag(value), wire)
    }
  })

  it("date", () => {
    assert.isAbove(values.date.length, 5)
    for (const [day, hex] of values.date) both("date", new Value.LocalDate(day), hex)
  })
})

describe("numbers of any size", () => {
  it("are read as they were written, in linear time", () => {
    for (const bits of [8 * 65_536 - 1, 8 * 65_536, 8_000_000]) {
      for (const value of [1n << BigInt(bits - 1), -(1n << BigInt(bits - 1)) - 1n]) {
        const varint = CqlType.scalar("varint")
        assert.isTrue(Codec.decode(varint, Codec.encode(varint, value)) === value)
        const decimal = CqlType.scalar("decimal")
        const read = Codec.decode(decimal, Codec.encode(decimal, BigDecimal.make(value, -7))) as BigDecimal.BigDecimal
        assert.isTrue(read.value === value && read.scale === -7)
      }
    }
    assert.strictEqual(Codec.decode(CqlType.scalar("varint"), new Uint8Array(1_000_000)), 0n)
  })
})

describe("facts about encodings", () => {
  it("values", () => {
    const decimal = (d: BigDecimal.BigDecimal) => [d.value, d.scale]
    both("decimal", BigDecimal.make(-112233441191n, 6), "00000006e5de5d9859", decimal)
    both("decimal", BigDecimal.make(64206n, -100), "ffffff9c00face", decimal)
    both("varint", 123456789123456789123456789n, "661efdf2e3b19f7c045f15")
    both("varint", 128n, "0080")
    both("varint", -129n, "ff7f")
    for (const [value, hex] of [[0n, "00"], [1n, "01"], [-1n, "ff"], [127n, "7f"], [-128n, "80"]] as const) {
      both("varint", value, hex)
    }
    both("date", new Value.LocalDate(1), "80000001")
    both("date", Value.LocalDate.parse("1969-12-31"), "7fffffff")
    both("inet", Value.Inet.parse("127.0.0.1"), "7f000001", String)
    both("inet", Value.Inet.parse("2001:db8::1"), "20010db8000000000000000000000001", String)
    both("timestamp", new Date(0), "0000000000000000")
    both("timestamp", new Date(-1), "ffffffffffffffff")
    both("timestamp", new Date(1_429_038_000_456), "0000014cb94d6948")
    assert.deepStrictEqual(Codec.encode(CqlType.scalar("boolean"), true), Uint8Array.of(1))
    both("boolean", true, "01")
    both("boolean", false, "00")
    both("int", -1, "ffffffff")
    both("smallint", -32_768, "8000")
    both("tinyint", -128, "80")
    both("float", 3.140000104904175, "4048f5c3")
    both("double", -Infinity, "fff0000000000000")
    both("double", -0, "8000000000000000")
    both("text", "€", "e282ac")
    both("ascii", "abc", "616263")
    both("blob", bytesOf("00ff"), "00ff")
    both("time", Value.LocalTime.parse("00:00:00.000000001"), "0000000000000001")
    both("time", Value.LocalTime.parse("23:59:59.999999999"), "00004e94914effff")
    both("uuid", Uuid.parse("550e8400-e29b-41d4-a716-446655440000"), "550e8400e29b41d4a716446655440000")
    both("duration", new Value.CqlDuration(0, 0, 0n), "000000")
    both("duration", new Value.CqlDuration(1, 0, 0n), "020000")
    both("duration", new Value.CqlDuration(-1, 0, 0n), "010000")
    both("duration", new Value.CqlDuration(127, 0, 0n), "80fe0000")
    both("duration", new Value.CqlDuration(-128, 0, 0n), "80ff0000")
  })

  it("a longer form than needed is read too", () => {
    assert.strictEqual(Codec.decode(CqlType.scalar("varint"), bytesOf("0000000001")), 1n)
    assert.strictEqual(Codec.decode(CqlType.scalar("varint"), bytesOf("ff".repeat(20))), -1n)
    assert.strictEqual(Codec.decode(CqlType.scalar("varint"), bytesOf(`80${"00".repeat(16)}`)), -(2n ** 135n))
    assert.strictEqual(Codec.decode(CqlType.scalar("boolean"), bytesOf("02")), true)
  })

  it("no bytes: empty text, blob and collections, nothing in tuples, Empty elsewhere", () => {
    const empty = new Uint8Array(0)
    for (const name of Object.keys(CqlType.SCALAR_CODES) as Array<CqlType.ScalarName>) {
      const value = Codec.decode(CqlType.scalar(name), empty)
      if (name === "text" || name === "ascii") assert.strictEqual(value, "")
      else if (name === "blob") assert.deepStrictEqual(value, empty)
      else {
        assert.strictEqual(value, Value.Empty, name)
        assert.deepStrictEqual(Codec.encode(CqlType.scalar(name), Value.Empty), empty, name)
      }
    }
    const int = CqlType.scalar("int")
    assert.strictEqual(Codec.decode(CqlType.scalar("uuid"), empty, { uuid: "string" }), Value.Empty)
    assert.deepStrictEqual(Codec.decode(CqlType.list(int), empty), [])
    assert.deepStrictEqual(Codec.decode(CqlType.set(int), empty), new Set())
    assert.deepStrictEqual(Codec.decode(CqlType.map(int, int), empty), new Map())
    assert.deepStrictEqual(Codec.decode(CqlType.tuple(int, int), empty), [null, null])
    assert.deepStrictEqual(Codec.decode(CqlType.udt("k", "u", [{ name: "a", type: int }]), empty), { a: null })
    assert.isNull(Codec.decode(int, null))
    assert.isNull(Codec.encode(int, null))
  })

  it("wrong sizes are refused", () => {
    const sizes: Record<string, ReadonlyArray<number>> = {
      bigint: [1, 4, 7, 9],
      counter: [1, 7, 9],
      boolean: [2, 4],
      double: [1, 4, 7, 9],
      float: [1, 3, 5, 8],
      int: [1, 2, 3, 5, 8],
      smallint: [1, 3, 4],
      tinyint: [2, 4],
      timestamp: [1, 4, 7, 9],
      uuid: [1, 15, 17, 32],
      timeuuid: [1, 15, 17],
      inet: [1, 3, 5, 8, 15, 17],
      date: [1, 3, 5, 8],
      time: [1, 4, 7, 9],
      decimal: [1, 2, 3]
    }
    for (const [name, lengths] of Object.entries(sizes)) {
      assert.notInclude(lengths, 0)
      for (const length of lengths) fails(name as CqlType.ScalarName, "01".repeat(length))
    }
  })

  it("bytes that are no value are refused", () => {
    // Truncated in each of the three parts, more than 32 bits of months and days, mixed signs.
    for (
      const hex of ["00", "0000", "80", "00ff00", "f1000000000000", "00f10000000000", "020100", "020001"]
    ) {
      fails("duration", hex)
    }
    both("timestamp", new Date(8.64e15), "001eb208c2dc0000")
    both("timestamp", new Date(-8.64e15), "ffe14df73d240000")
    const bad = (type: CqlType.CqlType, hex: string): void =>
      assert.throws(() => Codec.decode(type, bytesOf(hex)), ProtocolError.DecodeError, undefined, hex)
    const int = CqlType.scalar("int")
    for (const type of [CqlType.list(int), CqlType.set(int)]) {
      bad(type, "00")
      bad(type, "00000001")
      bad(type, "ffffffff")
      bad(type, "7fffffff00000004")
      bad(type, "000000010000000400")
      bad(type, "0000000100000005000000000000")
      bad(type, "00000001000000030000000000")
      // Something behind the last element.
      bad(type, "000000010000000400000007ff")
    }
    bad(CqlType.map(int, int), "000000010000000400000007")
    bad(CqlType.map(int, int), "00000000ff")
    bad(CqlType.tuple(int), "000000")
    bad(CqlType.tuple(int), "00000004000000")
    bad(CqlType.tuple(int), "000000040000000700")
  })

  it("a timestamp past Date can be read as a bigint", () => {
    const type = CqlType.scalar("timestamp")
    assert.strictEqual(Codec.decode(type, bytesOf("7fffffffffffffff"), { timestamp: "bigint" }), 2n ** 63n - 1n)
    assert.strictEqual(hexOf(Codec.encode(type, 2n ** 63n - 1n)), "7fffffffffffffff")
  })

  it("a user-defined type that grew on either side", () => {
    const int = CqlType.scalar("int")
    const type = CqlType.udt("k", "u", [{ name: "a", type: int }, { name: "b", type: int }])
    assert.deepStrictEqual(Codec.decode(type, bytesOf("0000000400000001")), { a: 1, b: null })
    assert.deepStrictEqual(Codec.decode(type, bytesOf("0000000400000001ffffffff0000000400000003")), { a: 1, b: null })
  })

  it("uuid as text", () => {
    const text = "550e8400-e29b-41d4-a716-446655440000"
    const bytes = Codec.encode(CqlType.set(CqlType.scalar("uuid")), [text])
    assert.deepStrictEqual(
      Codec.decode(CqlType.set(CqlType.scalar("uuid")), bytes, { uuid: "string" }),
      new Set([text])
    )
  })
})
