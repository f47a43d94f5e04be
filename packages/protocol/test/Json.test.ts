import { Codec, CqlType, Json, Metadata, Reader, RowDecoder, Uuid, Value, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import * as BigDecimal from "effect/BigDecimal"
import { runInNewContext } from "node:vm"
import { Random } from "./support/random.ts"
import { column, randomType, scalarNames, scalarValue, valueOf } from "./support/types.ts"

const id = Uuid.parseUnsafe("550e8400-e29b-41d4-a716-446655440000")

describe("Json", () => {
  it("writes each kind of value as it says", () => {
    const cases: ReadonlyArray<[value: unknown, json: unknown]> = [
      ["x", "x"],
      [true, true],
      [null, null],
      [1.5, 1.5],
      [NaN, "NaN"],
      [-Infinity, "-Infinity"],
      [2n ** 63n, "9223372036854775808"],
      [BigDecimal.make(12345n, 2), "123.45"],
      [BigDecimal.make(1n, 2 ** 31 - 1), "1e-2147483647"],
      [BigDecimal.make(1n, -(2 ** 31)), "1e2147483648"],
      [Uint8Array.of(0, 255), "0x00ff"],
      [Buffer.from([1]), "0x01"],
      [new Date(0), "1970-01-01T00:00:00.000Z"],
      [new Date(NaN), null],
      [runInNewContext("new Date(0)"), "1970-01-01T00:00:00.000Z"],
      [id, String(id)],
      [new Value.LocalDate(0), "1970-01-01"],
      [new Value.LocalTime(1n), "00:00:00.000000001"],
      [new Value.CqlDuration(1, 0, 0n), "1mo"],
      [Value.Inet.parse("::1"), "::1"],
      [new Value.OutOfRangeTimestamp(2n ** 62n), "4611686018427387904"],
      [new Value.OutOfRangeTime(-1n), "blobAsTime(0xffffffffffffffff)"],
      [new Value.Unreadable("decimal", Uint8Array.of(0, 0, 0, 1), ""), "blobAsDecimal(0x00000001)"],
      [Value.Empty, ""],
      [Value.Unset, null],
      [undefined, null],
      [[1n, null, [id]], ["1", null, [String(id)]]],
      [new Set([1n, "a"]), ["1", "a"]],
      [Float32Array.of(1, 0.5), [1, 0.5]],
      [BigInt64Array.of(5n), ["5"]],
      [new Map<unknown, unknown>([["a", 1n], [7, 2], [id, 3], [[1n, "x"], 4]]), [
        ["a", "1"],
        [7, 2],
        [String(id), 3],
        [["1", "x"], 4]
      ]],
      [runInNewContext("new Map([['a', new Set([1n])]])"), [["a", ["1"]]]],
      [-0, "-0"],
      [BigDecimal.make(190n, 2), "1.90"],
      [{ a: 1n, toJSON: "a column", b: { c: null } }, { a: "1", toJSON: "a column", b: { c: null } }]
    ]
    for (const [value, json] of cases) {
      assert.deepStrictEqual<unknown>(Json.toJson(value), json)
      assert.deepStrictEqual(JSON.parse(Json.stringify(value)), json)
    }
    assert.strictEqual(Json.stringify({ a: [1n] }, 1), '{\n "a": [\n  "1"\n ]\n}')
  })

  it("keeps a column of any name", () => {
    const row = JSON.parse('{"__proto__":1,"constructor":2}') as Record<string, unknown>
    assert.strictEqual(Json.stringify(row), '{"__proto__":1,"constructor":2}')
    assert.strictEqual(Json.stringify(new Map([["__proto__", 1]])), '[["__proto__",1]]')
  })

  it("throws for no value that is read from rows", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed * 7919)
      const type = seed <= scalarNames.length ? CqlType.scalar(scalarNames[seed - 1]!) : randomType(random, 3)
      const value = type._tag === "Scalar" ? scalarValue(type.name, random) : valueOf(type, random)
      const columns = [column("c", type), column("empty", CqlType.scalar("int"))]
      const w = new Writer.Writer()
      Metadata.writeResult(w, columns)
      w.i32(1)
      w.bytesValue(Codec.encode(type, value))
      w.bytesValue(new Uint8Array(0))
      const open = () => {
        const r = Reader.Reader.from(w.toUint8Array())
        return { r, decoder: new RowDecoder.RowDecoders().open(r, undefined, RowDecoder.emptyPage()) }
      }
      const [objects, arrays, lazy] = [open(), open(), open()]
      const rows = objects.decoder.read(objects.r)
      const text = Json.stringify(rows)
      assert.strictEqual(JSON.stringify(JSON.parse(text)), text)
      assert.strictEqual(
        Json.stringify(arrays.decoder.readArrays(arrays.r)[0]),
        Json.stringify(Object.values(rows[0]!))
      )
      assert.strictEqual(Json.stringify(lazy.decoder.readLazy(lazy.r)), text)
    }
  })
})
