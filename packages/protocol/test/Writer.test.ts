import { Reader, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"

describe("Writer.over", () => {
  it("writes into the given buffer, and goes on elsewhere when that is full", () => {
    const storage = Buffer.alloc(64)
    // Not at the start of its memory, as key buffers are.
    const given = storage.subarray(16, 32)
    const w = Writer.Writer.over(given)
    w.i32(7)
    w.string("inside")
    assert.strictEqual(w.bytes, given)
    assert.strictEqual(given.readInt32BE(0), 7)
    assert.strictEqual(storage.readInt32BE(12), 0)
    w.string("now it is full and has to grow")
    assert.notStrictEqual(w.bytes, given)
    const r = Reader.Reader.from(w.toUint8Array())
    assert.deepStrictEqual([r.i32(), r.string(), r.string()], [7, "inside", "now it is full and has to grow"])
    assert.strictEqual(storage.subarray(32).every((byte) => byte === 0), true)
  })
})
