import { AttributeValue } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { runInNewContext } from "node:vm"
import { vectors } from "../../../test/fixtures/vectors.ts"
import { Random } from "../../../test/support/random.ts"

const { NumberValue } = AttributeValue

const roundTrip = (value: AttributeValue.Value): unknown =>
  AttributeValue.decode(JSON.parse(AttributeValue.encode(value)))

describe("AttributeValue", () => {
  it.each(
    [
      ["a", '{"S":"a"}'],
      ["", '{"S":""}'],
      ['é"\\\n\u2028\ud83d\ude00', JSON.stringify({ S: 'é"\\\n\u2028\ud83d\ude00' })],
      [0, '{"N":"0"}'],
      [-0.5, '{"N":"-0.5"}'],
      [1e300, '{"N":"1e+300"}'],
      [2n ** 70n, '{"N":"1180591620717411303424"}'],
      [true, '{"BOOL":true}'],
      [null, '{"NULL":true}'],
      [Uint8Array.of(0, 1, 255), '{"B":"AAH/"}'],
      [[1, "a", null], '{"L":[{"N":"1"},{"S":"a"},{"NULL":true}]}'],
      [{ a: { b: [] } }, '{"M":{"a":{"M":{"b":{"L":[]}}}}}'],
      [new Map([["k", 1]]), '{"M":{"k":{"N":"1"}}}'],
      [new Set(["x", "y"]), '{"SS":["x","y"]}'],
      [new Set([1, 2n]), '{"NS":["1","2"]}'],
      [new Set([Uint8Array.of(1)]), '{"BS":["AQ=="]}'],
      [Float32Array.of(0.1, -0, 1e-45, 3), '{"FLOAT32VECTOR":[0.10000000149011612,-0.0,1.401298464324817e-45,3]}'],
      [{ a: undefined, b: 1 }, '{"M":{"b":{"N":"1"}}}']
    ] as const
  )("writes %o", (value, json) => {
    assert.strictEqual(AttributeValue.encode(value as AttributeValue.Value), json)
  })

  it("numbers are exact, whatever type that takes", () => {
    const cases: ReadonlyArray<readonly [string, unknown]> = [
      ["0", 0],
      ["0.1", 0.1],
      ["1E2", 100],
      ["9007199254740991", 9007199254740991],
      ["9007199254740993", 9007199254740993n],
      ["-12345678901234567890123456789012345678", -12345678901234567890123456789012345678n],
      ["3.14159265358979323846264338327950288", new NumberValue("3.14159265358979323846264338327950288")],
      ["0.30000000000000004", 0.30000000000000004],
      ["0.300000000000000040", 0.30000000000000004],
      ["1e125", 1e125],
      ["1.0000000000000000000", 1],
      ["1E-130", 1e-130]
    ]
    for (const [text, value] of cases) assert.deepStrictEqual(AttributeValue.decodeNumber(text), value as never, text)
  })

  it("random numbers come back with the decimal value that was sent", () => {
    const random = new Random(3)
    const view = new DataView(new ArrayBuffer(8))
    for (let i = 0; i < 20_000; i++) {
      view.setUint32(0, random.u32())
      view.setUint32(4, random.u32())
      const value = view.getFloat64(0)
      if (Number.isFinite(value)) {
        const isLargeWhole = !Number.isSafeInteger(value) && /^-?\d+$/.test(String(value))
        assert.strictEqual(roundTrip(value), isLargeWhole ? BigInt(String(value)) : value === 0 ? 0 : value)
      }
      const digits = `${1 + random.below(9)}${
        Array.from({ length: random.below(37) }, () => random.below(10)).join("")
      }`
      assert.strictEqual(BigInt(String(roundTrip(BigInt(digits)))), BigInt(digits))
    }
  })

  it("what goes in comes out", () => {
    const item = {
      s: "text",
      big: 2n ** 100n,
      list: [1, [2, { deep: new Uint8Array([1, 2]) }]],
      map: { a: null, b: false },
      strings: new Set(["a"]),
      numbers: new Set([1, 2.5]),
      bytes: new Set([Uint8Array.of(9)]),
      vector: Float32Array.of(0.1, -0, 3.4e38, 1e-45)
    }
    assert.deepStrictEqual(AttributeValue.decodeItem(JSON.parse(AttributeValue.encodeItem(item))), item)
  })

  it("reads what ScyllaDB 6.0.4 sent", () => {
    const { exchanges } = vectors("golden/alternator-scylla-6.0.4.json")
    const { Item } = JSON.parse(exchanges.find(({ name }: { name: string }) => name === "get").response.body)
    assert.deepStrictEqual(AttributeValue.decodeItem(Item), {
      pk: "a",
      sk: 1,
      b: Uint8Array.of(0, 1, 255),
      bs: new Set([Uint8Array.of(1), Uint8Array.of(2)]),
      l: ["é", null, false],
      m: { k: -0.5 },
      n: new NumberValue("3.14159265358979323846264338327950288"),
      ns: new Set([1, 2.5]),
      ss: new Set(["x", "y"])
    })
  })

  it("an attribute named __proto__ is an attribute", () => {
    const item = AttributeValue.decodeItem(JSON.parse('{"__proto__":{"M":{"polluted":{"BOOL":true}}}}'))
    assert.isTrue(Object.hasOwn(item, "__proto__"))
    assert.isUndefined(({} as { polluted?: boolean }).polluted)
    assert.strictEqual(AttributeValue.encodeItem(item), '{"__proto__":{"M":{"polluted":{"BOOL":true}}}}')
  })

  it.each([
    ["a.b[1]", { a: { b: [1, undefined] } }],
    ["when", { when: new Date(0) }],
    ["f", { f: () => 1 }],
    ["n", { n: Number.NaN }],
    ["n", { n: Infinity }],
    ["s", { s: new Set() }],
    ["s", { s: new Set(["a", 1]) }],
    ["s", { s: new Set([true]) }],
    ["m", { m: new Map([[1, 1]]) }],
    ["v", { v: Float32Array.of(Number.NaN) }],
    ["v", { v: Float64Array.of(1) }]
  ])("says where a value is that cannot be stored: %s", (path, item) => {
    assert.throws(() => AttributeValue.encodeItem(item as never), new RegExp(`^${path.replace(/[[\].]/g, "\\$&")} is `))
  })

  it("refuses what is nested too deep, or turns in a circle", () => {
    const circle: { [name: string]: AttributeValue.Value } = {}
    circle["self"] = circle
    assert.throws(() => AttributeValue.encodeItem(circle), /nested more than 32/)
  })

  it("a vector as ScyllaDB's documentation writes it", () => {
    const item = AttributeValue.decodeItem(JSON.parse('{"id":{"S":"a"},"embedding":{"FLOAT32VECTOR":[0.1,-0.3,0.7]}}'))
    assert.deepStrictEqual(item, { id: "a", embedding: Float32Array.of(0.1, -0.3, 0.7) })
  })

  it("an attribute of a type that is not known is kept as it came, the rest of the item is read", () => {
    const wire = '{"a":{"S":"x"},"new":{"DECIMAL128":{"hi":[1,2.5],"lo":null}},"l":{"L":[{"BOOL":true},{"X":"y"}]},' +
      '"odd":{"FLOAT32VECTOR":["1"]}}'
    let told = 0
    const item = AttributeValue.decodeItem(JSON.parse(wire), () => told++)
    assert.strictEqual(item["a"], "x")
    assert.deepStrictEqual(item["new"], new AttributeValue.UnknownValue("DECIMAL128", { hi: [1, 2.5], lo: null }))
    assert.isTrue(AttributeValue.isUnknownValue(item["l"][1]))
    assert.strictEqual(told, 3)
    assert.strictEqual(AttributeValue.encodeItem(item), wire)
  })

  it("refuses what is no decimal number, and an attribute without a type", () => {
    for (const text of ["", "x", "0x1", "1e", "Infinity", "1 "]) assert.throws(() => new NumberValue(text))
    for (const wire of ['{"a":{}}', '{"a":"x"}', '{"a":["x"]}', '{"a":1}', '{"a":null}']) {
      assert.throws(() => AttributeValue.decodeItem(JSON.parse(wire)), /without a type/, wire)
    }
  })

  describe("values of another realm", () => {
    it.each([
      ["({ a: { b: [1, [null]] } })", '{"M":{"a":{"M":{"b":{"L":[{"N":"1"},{"L":[{"NULL":true}]}]}}}}}'],
      ["Object.create(null, { a: { value: 1, enumerable: true } })", '{"M":{"a":{"N":"1"}}}'],
      ["new Map([['k', new Map()]])", '{"M":{"k":{"M":{}}}}'],
      ["new Set(['x'])", '{"SS":["x"]}'],
      ["new Set([1, 2n])", '{"NS":["1","2"]}'],
      ["new Set([Uint8Array.of(1)])", '{"BS":["AQ=="]}'],
      ["Uint8Array.of(0, 1, 255).subarray(1)", '{"B":"Af8="}'],
      ["Float32Array.of(0.5)", '{"FLOAT32VECTOR":[0.5]}']
    ])("%s", (code, json) => {
      const value = runInNewContext(code)
      assert.isFalse(value instanceof Object)
      assert.strictEqual(AttributeValue.encode(value), json)
      if (!code.startsWith("Object")) assert.strictEqual(AttributeValue.encode(structuredClone(value)), json)
    })

    it("bytes are keys; a Buffer of a worker is bytes; dates and classes are still refused", () => {
      assert.strictEqual(AttributeValue.keyOf(runInNewContext("Uint8Array.of(1)"))?.type, "B")
      assert.strictEqual(AttributeValue.encode(structuredClone(Buffer.from("a"))), '{"B":"YQ=="}')
      for (const [code, name] of [["new Date(0)", "Date"], ["new (class Dog {})()", "Dog"], ["/x/", "RegExp"]]) {
        assert.throws(() => AttributeValue.encode(runInNewContext(code!)), new RegExp(`is a ${name}`))
      }
    })

    it("numbers and unknown values of another copy of this module", async () => {
      const path = "../src/AttributeValue.ts?copy"
      const copy: typeof AttributeValue = await import(/* @vite-ignore */ path)
      assert.notStrictEqual(copy.NumberValue, NumberValue)
      assert.strictEqual(AttributeValue.encode(new copy.NumberValue("1.50")), '{"N":"1.50"}')
      assert.strictEqual(AttributeValue.encode(new copy.UnknownValue("X", 1)), '{"X":1}')
    })
  })
})
