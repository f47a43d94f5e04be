/** Values that were made where `Date`, `Map`, `Array` and the like are other classes than here. */
import { BindEncoder, Codec, CqlType, ProtocolError, Request, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { runInNewContext } from "node:vm"

const parse = (text: string): CqlType.CqlType => {
  const type = CqlType.parse(
    text,
    (name) =>
      name === "address"
        ? CqlType.udt("ks", "address", [{ name: "street", type: CqlType.scalar("text") }, {
          name: "zip",
          type: CqlType.scalar("int")
        }])
        : undefined
  )
  if (typeof type === "string") throw new Error(type)
  return type
}

const encode = (type: string, value: unknown): string | undefined => {
  const bytes = Codec.encode(parse(type), value)
  return bytes === null ? undefined : Buffer.from(bytes).toString("hex")
}

/** What makes each value, there and here. */
const values: ReadonlyArray<[type: string, source: string]> = [
  ["timestamp", "new Date(1790000000123)"],
  ["blob", "Uint8Array.of(1, 2, 3)"],
  ["blob", "new Uint8Array(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2)"],
  ["list<int>", "[1, 2, 3]"],
  ["list<int>", "new Set([1, 2, 3])"],
  ["set<text>", "new Set(['a', 'b'])"],
  ["set<text>", "['a', 'b']"],
  ["map<text, int>", "new Map([['a', 1], ['b', 2]])"],
  ["map<text, int>", "({ a: 1, b: 2 })"],
  ["map<text, int>", "({})"],
  ["map<text, int>", "Object.assign(Object.create(null), { a: 1 })"],
  ["map<text, int>", "({ isPrototypeOf: 1, constructor: 2 })"],
  ["map<int, timestamp>", "new Map([[1, new Date(5)]])"],
  ["tuple<int, text, blob>", "[1, 'x', Uint8Array.of(9)]"],
  ["address", "({ street: 'x', zip: 1 })"],
  ["address", "({})"],
  ["address", "Object.assign(Object.create(null), { zip: 1 })"],
  ["address", "new (class Address { street = 'y' })()"],
  ["vector<float, 3>", "[1, 2, 3]"],
  ["vector<float, 3>", "Float32Array.of(1, 2, 3)"],
  ["vector<float, 3>", "Float64Array.of(1, 2, 3)"],
  ["vector<float, 64>", "Float32Array.from({ length: 64 }, (_, i) => i / 3)"],
  ["vector<double, 2>", "Float64Array.of(1, 2)"],
  ["vector<int, 2>", "Int32Array.of(1, 2)"],
  ["vector<bigint, 2>", "BigInt64Array.of(1n, 2n)"],
  [
    "list<frozen<map<text, frozen<set<timestamp>>>>>",
    "[new Map([['k', new Set([new Date(1)])]]), { l: [new Date(2)] }]"
  ]
]

/** What nothing is written for, wherever it comes from. */
const refused: ReadonlyArray<[type: string, source: string]> = [
  ["timestamp", "new Date(NaN)"],
  ["timestamp", "({ getTime: () => 5 })"],
  ["timestamp", "Object.create(Date.prototype)"],
  ["timestamp", "({ [Symbol.toStringTag]: 'Date' })"],
  ["blob", "new ArrayBuffer(2)"],
  ["blob", "new Uint16Array(2)"],
  ["blob", "new Uint8ClampedArray(2)"],
  ["blob", "new DataView(new ArrayBuffer(2))"],
  ["blob", "({ [Symbol.toStringTag]: 'Uint8Array', length: 0 })"],
  ["list<int>", "({ length: 0 })"],
  ["list<int>", "new Map()"],
  ["set<int>", "new Map()"],
  ["set<int>", "new WeakSet()"],
  ["map<text, int>", "new Set()"],
  ["map<text, int>", "[]"],
  ["map<text, int>", "new Date()"],
  ["map<text, int>", "new (class Opaque {})()"],
  ["map<text, int>", "new WeakMap()"],
  ["map<int, int>", "({ 1: 2 })"],
  ["address", "[]"],
  ["address", "new Map()"],
  ["address", "new Date()"],
  ["address", "new Uint8Array(0)"],
  ["vector<float, 1>", "new Uint8Array(1)"]
]

describe("values of another realm", () => {
  it("are others indeed", () => {
    const there = runInNewContext("[new Date(), new Map(), new Set(), [], new Uint8Array(1), {}]") as Array<object>
    for (const [i, type] of [Date, Map, Set, Array, Uint8Array, Object].entries()) assert.notInstanceOf(there[i], type)
  })

  for (const [type, source] of values) {
    it(`${type} of ${source}`, () => {
      const expected = encode(type, runHere(source))
      assert.isString(expected)
      assert.strictEqual(encode(type, runInNewContext(source)), expected)
    })
  }

  for (const [type, source] of refused) {
    it(`not ${type} of ${source}`, () => {
      for (const value of [runHere(source), runInNewContext(source)]) {
        assert.throws(() => Codec.encode(parse(type), value), ProtocolError.EncodeError, "expected")
      }
    })
  }

  it("of structuredClone, and a Buffer of this one", () => {
    for (const [type, source] of values.filter(([, source]) => !source.includes("class"))) {
      const value = runHere(source)
      assert.strictEqual(encode(type, structuredClone(value)), encode(type, value), source)
    }
    assert.strictEqual(encode("blob", Buffer.from([1, 2])), "0102")
  })

  it("take the compiled way of a statement, too", () => {
    const columns = values.map(([type], i) => ({ keyspace: "ks", table: "t", name: `c${i}`, type: parse(type) }))
    const bytes = [true, false].flatMap((generated) => {
      const encoder = new BindEncoder.BindEncoder(columns, { generated })
      return [runHere, runInNewContext].map((run) => {
        const w = new Writer.Writer()
        encoder.write(w, values.map(([, source]) => run(source)))
        return Buffer.from(w.toUint8Array()).toString("hex")
      })
    })
    assert.strictEqual(new Set(bytes).size, 1)
  })

  it("as options of STARTUP", () => {
    const startup = (options: unknown): string => {
      const w = new Writer.Writer()
      Request.encode(w, 0, { _tag: "Startup", options: options as Record<string, string> })
      return Buffer.from(w.toUint8Array()).toString("hex")
    }
    assert.strictEqual(
      startup(runInNewContext("new Map([['CQL_VERSION', '3.0.0']])")),
      startup({ CQL_VERSION: "3.0.0" })
    )
  })
})

function runHere(source: string): unknown {
  return new Function(`return ${source}`)() as unknown
}
