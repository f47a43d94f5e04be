import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Murmur3 from "../src/Murmur3.ts"
import * as RoutingKey from "../src/RoutingKey.ts"
import { Random } from "./support/random.ts"
import { hex, utf8, vectors } from "./support/vectors.ts"

describe("RoutingKey", () => {
  it("all vectors", () => {
    const cases = vectors<{ readonly parts: ReadonlyArray<string>; readonly key: string; readonly token: string }>(
      "routing-key"
    )
    assert.isAbove(cases.length, 5)
    for (const { key, parts, token } of cases) {
      const composed = RoutingKey.compose(parts.map(hex))
      assert.strictEqual(Buffer.from(composed).toString("hex"), key)
      assert.strictEqual(Murmur3.token(composed), BigInt(token))
    }
  })

  it("one component is the key itself", () => {
    const component = utf8("alone")
    assert.strictEqual(RoutingKey.compose([component]), component)
    const long = new Uint8Array(70_000)
    assert.strictEqual(RoutingKey.compose([long]), long)
  })

  it("several components have a length before and a zero after them", () => {
    const key = RoutingKey.compose([utf8("ab"), new Uint8Array(0), new Uint8Array(300).fill(7)])
    assert.strictEqual(
      Buffer.from(key).toString("hex"),
      `0002616200000000012c${"07".repeat(300)}00`
    )
  })

  it("the longest component fits, one byte more does not", () => {
    const longest = new Uint8Array(65535).fill(1)
    const key = RoutingKey.compose([utf8("a"), longest])
    assert.strictEqual(key.length, 1 + 3 + 65535 + 3)
    assert.deepStrictEqual(Array.from(key.subarray(4, 6)), [0xff, 0xff])

    const failed = RoutingKey.composeResult([utf8("a"), new Uint8Array(65536)])
    if (Result.isSuccess(failed)) assert.fail("accepted 65536 bytes")
    assert.strictEqual(failed.failure._tag, "RoutingKeyError")
    assert.deepInclude(failed.failure, { reason: "ComponentTooLong", index: 1, length: 65536 })
    assert.include(failed.failure.message, "component 1 has 65536 bytes")
  })

  it("no component is no key", () => {
    const failed = RoutingKey.composeResult([])
    if (Result.isSuccess(failed)) assert.fail("accepted no component")
    assert.strictEqual(failed.failure.reason, "NoComponents")
    assert.include(failed.failure.message, "at least one component")
  })

  it("compose throws what composeResult returns", () => {
    assert.throws(() => RoutingKey.compose([]), /at least one component/)
    assert.deepStrictEqual(
      RoutingKey.composeResult([utf8("a"), utf8("b")]),
      Result.succeed(RoutingKey.compose([utf8("a"), utf8("b")]))
    )
  })

  it("composeInto writes what compose returns, where it fits", () => {
    const random = new Random(72)
    const out = Murmur3.keyBuffer(100)
    for (let i = 0; i < 500; i++) {
      const components = Array.from({ length: 1 + random.below(4) }, () => random.bytes(random.below(40)))
      const expected = RoutingKey.compose(components)
      const offset = random.below(20)
      out.fill(0xff)
      const length = RoutingKey.composeInto(components, out, offset)
      if (offset + expected.length > out.length) {
        assert.strictEqual(length, -1)
        assert.isTrue(out.every((byte) => byte === 0xff))
      } else {
        assert.strictEqual(length, expected.length)
        assert.isTrue(out.subarray(offset, offset + length).equals(expected))
        assert.isTrue(out.subarray(offset + length).every((byte) => byte === 0xff))
      }
    }
    assert.throws(() => RoutingKey.composeInto([], out, 0), /at least one component/)
  })

  describe("markers", () => {
    it("are found by name, in the order of the partition key", () => {
      assert.deepStrictEqual(RoutingKey.markersOf(["tenant", "id"], ["value", "id", "tenant"]), [2, 1])
      assert.deepStrictEqual(RoutingKey.markersOf(["id"], ["id", "id"]), [0])
      assert.isUndefined(RoutingKey.markersOf(["tenant", "id"], ["id", "value"]))
      assert.isUndefined(RoutingKey.markersOf(["ID"], ["id"]))
      assert.isUndefined(RoutingKey.markersOf([], ["id"]))
    })

    it("give the key of their values", () => {
      const values = [utf8("v"), hex("0000002a"), null, utf8("acme")]
      const key = RoutingKey.compose([utf8("acme"), hex("0000002a")])
      assert.deepStrictEqual(RoutingKey.fromMarkers(values, [3, 1]), Result.succeed(key))
      for (const markers of [[3, 2], [3, 9]]) {
        const failed = RoutingKey.fromMarkers(values, markers)
        if (Result.isSuccess(failed)) assert.fail("accepted no value")
        assert.deepInclude(failed.failure, { reason: "MissingComponent", index: 1 })
        assert.include(failed.failure.message, "component 1 has no value")
      }
    })

    it("named values give the key of theirs", () => {
      const values = { id: hex("0000002a"), constructor: utf8("acme"), nothing: null }
      const key = RoutingKey.compose([utf8("acme"), hex("0000002a")])
      assert.deepStrictEqual(RoutingKey.fromNamed(values, ["constructor", "id"]), Result.succeed(key))
      assert.deepStrictEqual(RoutingKey.fromNamed(values, ["id"]), Result.succeed(values.id))
      for (const name of ["nothing", "toString", "absent"]) {
        assert.isTrue(Result.isFailure(RoutingKey.fromNamed(values, ["id", name])), name)
      }
      assert.isTrue(Result.isFailure(RoutingKey.fromNamed(values, [])))
    })
  })
})
