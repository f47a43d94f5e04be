/** What stands in for Node's own primitives where there is no Node, beside them. */
import { Reader } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { isIPv4, isIPv6 } from "node:net"
import * as fast from "../src/internal/fastBuffer.ts"
import { NativeBuffer, nativeCrc32 } from "../src/internal/platform.ts"
import { Random } from "./support/random.ts"

describe("without Node", () => {
  it("Node is used here", () => {
    assert.strictEqual(NativeBuffer, Buffer)
    assert.isFunction(nativeCrc32)
    assert.isTrue(Buffer.isBuffer(fast.allocate(3)))
    assert.isTrue(Buffer.isBuffer(fast.bufferOver(new ArrayBuffer(4), 1, 2)))
  })

  it("text is read and written alike", () => {
    const random = new Random(20_261_130)
    const texts = [
      "",
      "\ufeff",
      "\ufeffa",
      "\ud800",
      "a\udc00b",
      "\udc00\ud800",
      "🐎",
      "\u0000\u007f\u0080\u07ff\u0800\uffff"
    ]
    for (let i = 0; i < 300; i++) texts.push(random.text())
    for (const text of texts) {
      const size = Buffer.byteLength(text)
      assert.strictEqual(fast.measureUtf8(text), size, JSON.stringify(text))
      const bytes = new fast.WebBuffer(size + 7)
      assert.strictEqual(bytes.utf8Write(text, 3), size)
      const native = Buffer.alloc(size + 7)
      native.write(text, 3)
      assert.deepStrictEqual([...bytes], [...native])
      assert.strictEqual(bytes.utf8Slice(3, 3 + size), native.toString("utf8", 3, 3 + size))
    }
  })

  it("bytes that are no text are read alike", () => {
    const random = new Random(7)
    for (let i = 0; i < 2000; i++) {
      const bytes = fast.WebBuffer.from(random.bytes(random.below(24)).map((byte) => i % 2 === 0 ? byte : byte | 0x80))
      const native = Buffer.from(bytes)
      assert.strictEqual(
        (bytes as fast.WebBuffer).utf8Slice(0, bytes.length),
        native.toString("utf8"),
        native.toString("hex")
      )
    }
  })

  it("hexadecimal digits, Latin 1 and the order of bytes", () => {
    const random = new Random(8)
    for (const length of [0, 1, 8, 100, 5000, 20_000]) {
      const native = Buffer.from(random.bytes(length))
      const bytes = new fast.WebBuffer(native)
      assert.strictEqual(bytes.hexSlice(0, length), native.toString("hex"))
      assert.strictEqual(bytes.latin1Slice(0, length), native.toString("latin1"))
      assert.strictEqual(bytes.latin1Slice(1, length), native.subarray(1).toString("latin1"))
      const written = new fast.WebBuffer(length + 2)
      assert.strictEqual(written.hexWrite(native.toString("hex"), 1), length)
      assert.deepStrictEqual(Buffer.from(written.subarray(1, length + 1)), native)
      const end = length & ~3
      fast.swap32Slowly(bytes, 0, end)
      native.subarray(0, end).swap32()
      assert.isTrue(native.equals(bytes))
    }
  })

  it("a plain array gets the primitives without a copy", () => {
    const bytes = Uint8Array.of(1, 2, 3, 4).subarray(1, 3)
    const over = fast.asFast(bytes)
    assert.strictEqual(over.hexSlice(0, 2), "0203")
    over[0] = 9
    assert.strictEqual(bytes[0], 9)
    const buffer = Buffer.from([1])
    assert.strictEqual<Buffer>(fast.asFast(buffer), buffer)
  })

  it("addresses are those that node:net takes", () => {
    const random = new Random(9)
    const parts = [
      "0",
      "1",
      "255",
      "256",
      "01",
      "ffff",
      "10000",
      "g",
      "",
      ":",
      "::",
      ".",
      "1.2.3.4",
      "a",
      "F",
      "%eth0",
      " ",
      "-1"
    ]
    const texts = [
      "::",
      ":::",
      "::1",
      "1::",
      "1:2:3:4:5:6:7:8",
      "1:2:3:4:5:6:7::",
      "::2:3:4:5:6:7:8",
      "1::2::3",
      "::ffff:1.2.3.4"
    ]
    texts.push(
      "1:2:3:4:5:6:1.2.3.4",
      "1:2:3:4:5:6:7:1.2.3.4",
      "1.2.3.4::",
      "::1.2.3.4:5",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.04",
      ""
    )
    for (let i = 0; i < 20_000; i++) {
      const separator = random.pick([":", ":", "."])
      texts.push(Array.from({ length: 1 + random.below(9) }, () => random.pick(parts)).join(separator))
    }
    let valid = 0
    for (const text of texts) {
      const expected = isIPv4(text) ? 4 : isIPv6(text) && !text.includes("%") ? 16 : undefined
      const bytes = Reader.parseAddress(text)
      assert.strictEqual(bytes?.length, expected, text)
      if (bytes === undefined) continue
      valid++
      const canonical = Reader.formatAddress(bytes, 0, bytes.length)
      assert.deepStrictEqual(Reader.parseAddress(canonical), bytes, text)
      // The platform's own idea of the canonical form, but for the addresses that it does not show as IPv4.
      if (bytes.length === 16 && !canonical.includes(".")) {
        assert.strictEqual(new URL(`http://[${text}]/`).hostname, `[${canonical}]`)
      }
    }
    assert.isAbove(valid, 300)
  })
})
