import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Murmur3 from "../src/Murmur3.ts"
import * as RoutingKey from "../src/RoutingKey.ts"
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
})
