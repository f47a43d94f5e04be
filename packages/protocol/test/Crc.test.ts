import { Crc } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { bytesOf, vectors } from "../../../test/fixtures/vectors.ts"
import { Random } from "./support/random.ts"

const { crc24, crc32 } = vectors("crc.json") as Record<"crc24" | "crc32", Array<[string, number]>>

/** Bit by bit, as in a textbook. */
const naive32 = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of [0xfa, 0x2d, 0x55, 0xca, ...bytes]) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0xedb88320)
  }
  return ~crc >>> 0
}

describe("Crc", () => {
  it("crc24 of the vectors", () => {
    for (const [hex, expected] of crc24) assert.strictEqual(Crc.crc24(bytesOf(hex), 0, hex.length / 2), expected, hex)
    // github.com/scylladb/gocql internal/crc/crc_test.go
    assert.strictEqual(Crc.crc24(new Uint8Array(3), 0, 3), 8_251_255)
    assert.strictEqual(Crc.crc24(Uint8Array.of(64, -30, 1, 0, 0), 0, 5), 8_775_784)
  })

  it("crc32 of the vectors", () => {
    for (const [hex, expected] of crc32) assert.strictEqual(Crc.crc32(bytesOf(hex), 0, hex.length / 2), expected, hex)
    assert.strictEqual(Crc.crc32(Uint8Array.of(1, 2, 3, 4, 5, 6), 0, 6), 3_536_190_002)
  })

  it("crc32 of every length, by tables and by zlib", () => {
    const bytes = new Random(1).bytes(700)
    for (let length = 0; length <= 600; length++) {
      const offset = length % 9
      assert.strictEqual(
        Crc.crc32(bytes, offset, length),
        naive32(bytes.subarray(offset, offset + length)),
        `${length} bytes`
      )
    }
  })

  it("crc24 of a part", () => {
    for (const [hex, expected] of crc24) {
      const bytes = bytesOf(`ff${hex}ff`)
      assert.strictEqual(Crc.crc24(bytes, 1, bytes.length - 2), expected)
    }
  })
})
