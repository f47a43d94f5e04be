import { Compression, Frame, ProtocolError, Reader, Response, RowDecoder } from "@effect-scylla/protocol"
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import { bytesOf, golden } from "../../../test/fixtures/vectors.ts"
import { sourceHashes } from "../../../test/support/wasm.ts"
import { type Blocks, blocks, javascript, webassembly } from "../src/internal/compressionWasm.ts"
import { lz4Oracle, snappyOracle } from "./support/blocks.ts"
import { Random } from "./support/random.ts"

const { DecodeError } = ProtocolError
const iterations = Number(process.env["PROTOCOL_FUZZ_ITERATIONS"] ?? 20_000)
const seed = Number(process.env["PROTOCOL_FUZZ_SEED"] ?? 1)

const compressors = [Compression.lz4, Compression.snappy]
const engines: Array<[string, Blocks]> = [["webassembly", webassembly()!], ["javascript", javascript]]

/** Random, repetitive and mixed bytes: runs of every short period, near and far matches. */
const sample = (random: Random, length: number): Uint8Array => {
  const out = new Uint8Array(length)
  const kind = random.below(4)
  let at = 0
  while (at < length) {
    const size = Math.min(length - at, 1 + random.below(kind === 3 ? 5000 : 80))
    if (kind === 0 || at === 0 || random.below(3) === 0) {
      for (let i = 0; i < size; i++) out[at + i] = random.below(kind === 1 ? 4 : 256)
    } else {
      const distance = 1 + random.below(Math.min(at, random.pick([3, 8, 17, 2100, 70_000])))
      for (let i = 0; i < size; i++) out[at + i] = out[at + i - distance]!
    }
    at += size
  }
  return out
}

const lengths = [
  ...Array.from({ length: 40 }, (_, i) => i),
  59,
  60,
  61,
  64,
  127,
  128,
  255,
  256,
  257,
  270,
  271,
  272,
  1000,
  4096,
  16_383,
  16_384,
  65_535,
  65_536,
  65_537,
  131_071,
  200 * 1024
]

const same = (actual: ArrayLike<number>, expected: Uint8Array, message: string): void => {
  assert.strictEqual(actual.length, expected.length, message)
  assert.isTrue(Buffer.from(actual as Uint8Array).equals(expected), message)
}

const attempt = (f: () => Uint8Array): Uint8Array | string => {
  try {
    return f()
  } catch (error) {
    assert.instanceOf(error, DecodeError)
    return error.message
  }
}

describe("Compression", () => {
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.resetModules()
  })

  it("was built from the source that is there", () => {
    const { built, source } = sourceHashes("protocol", "compression")
    assert.strictEqual(built, source, "run node scripts/build-wasm.mjs")
  })

  it("runs in WebAssembly here", () => {
    assert.isDefined(engines[0]![1])
    assert.notStrictEqual(blocks(), javascript)
    assert.strictEqual(blocks(), blocks())
  })

  it("does the same where there is no WebAssembly", async () => {
    vi.resetModules()
    vi.stubGlobal("WebAssembly", undefined)
    const bare = await import("../src/internal/compressionWasm.ts")
    assert.strictEqual(bare.blocks(), bare.javascript)
    const { lz4, lz4DecompressBlockInto, snappy } = await import("../src/Compression.ts")
    const bytes = sample(new Random(seed), 5000)
    for (const [i, compressor] of [lz4, snappy].entries()) {
      const compressed = compressor.compress(bytes, 0, bytes.length)
      same(compressed, compressors[i]!.compress(bytes, 0, bytes.length), compressor.name)
      same(compressor.decompress(compressed, 0, compressed.length, 5000), bytes, compressor.name)
      if (compressor === lz4) {
        lz4DecompressBlockInto(compressed, 4, compressed.length - 4, new Uint8Array(5000), 0, 5000)
      }
    }
  })

  it("both engines give the same blocks, which the oracle reads", () => {
    const random = new Random(seed)
    for (const length of lengths) {
      for (let times = length > 1000 ? 4 : 8; times > 0; times--) {
        const bytes = sample(random, length)
        const offset = random.below(3)
        const src = new Uint8Array(length + offset + 2)
        src.set(bytes, offset)
        const [lz4, snappy] = [false, true].map((snappy) => {
          const [a, b] = engines.map(([, blocks]) => blocks.compress(src, offset, length, 3, snappy).subarray(3))
          same(a!, b!, `${length} bytes, snappy ${snappy}`)
          for (const [name, blocks] of engines) {
            same(blocks.decompress(a!, 0, a!.length, length, snappy)!, bytes, `${name} ${length}`)
            const out = new Uint8Array(length + 4).fill(7)
            assert.isTrue(blocks.decompressInto(a!, 0, a!.length, out, 2, length, snappy))
            same(out.subarray(2, length + 2), bytes, `${name} ${length}`)
            assert.deepStrictEqual([out[0], out[1], out[length + 2], out[length + 3]], [7, 7, 7, 7])
            assert.isUndefined(blocks.decompress(a!, 0, a!.length, length + 1, snappy))
            if (length > 0) assert.isUndefined(blocks.decompress(a!, 0, a!.length, length - 1, snappy))
          }
          return a!
        })
        same(lz4Oracle(lz4!, true), bytes, `lz4 ${length}`)
        const whole = Compression.snappy.compress(src, offset, length)
        same(whole.subarray(whole.length - snappy!.length), snappy!, "snappy has its elements behind the length")
        same(snappyOracle(whole), bytes, `snappy ${length}`)
      }
    }
  })

  it("is the inverse of itself, and compresses what can be", () => {
    const random = new Random(seed + 1)
    for (const compressor of compressors) {
      for (let i = 0; i < 300; i++) {
        const bytes = sample(random, random.below(i % 10 === 0 ? 200 * 1024 : 3000))
        const compressed = compressor.compress(bytes, 0, bytes.length)
        const padded = Buffer.concat([Uint8Array.of(1, 2), compressed, Uint8Array.of(3)])
        same(compressor.decompress(padded, 2, compressed.length, bytes.length), bytes, compressor.name)
        if (bytes.length > 0) {
          assert.throws(() => compressor.decompress(compressed, 0, compressed.length, bytes.length - 1), DecodeError)
        }
      }
      assert.isBelow(compressor.compress(new Uint8Array(100_000), 0, 100_000).length, 5000)
    }
  })

  it("goes on in JavaScript past the memory of WebAssembly", () => {
    const random = new Random(seed + 2)
    const bytes = Buffer.concat(Array.from({ length: 12 }, () => Buffer.from(sample(random, 1 << 20))))
    for (const compressor of compressors) {
      const compressed = compressor.compress(bytes, 0, bytes.length)
      assert.isBelow(compressed.length, bytes.length)
      same(compressor.decompress(compressed, 0, compressed.length, bytes.length), bytes, compressor.name)
    }
  })

  it("results do not share bytes", () => {
    for (const { compress, decompress, name } of compressors) {
      const bytes = Uint8Array.from({ length: 100 }, (_, i) => i % 9)
      const first = compress(bytes, 0, 100)
      const before = Uint8Array.from(first)
      assert.isBelow(first.length, 100)
      const back = decompress(first, 0, first.length, 100)
      const other = compress(bytes.map((byte) => byte + 1), 0, 100)
      decompress(other, 0, other.length, 100)
      same(first, before, name)
      same(back, bytes, name)
    }
  })

  describe("recorded", () => {
    const readBody = (compressor: Compression.Compressor, hex: string) => {
      const frame = bytesOf(hex)
      assert.strictEqual(frame[1]! & Frame.Flags.COMPRESSION, 1)
      return compressor.decompress(frame, Frame.HEADER_SIZE, frame.length - Frame.HEADER_SIZE, 100_000)
    }
    const decoded = (opcode: number, body: Uint8Array): Response.Response => {
      const reader = Reader.Reader.from(body)
      const response = Response.decode(opcode, reader, new RowDecoder.RowDecoders())
      assert.strictEqual(reader.remaining, 0)
      return response
    }
    for (const file of ["cql-v4-scylla-6.0.4", "cql-v4-cassandra-5.0.5", "cql-v4-scylla-6.0.4-auth"]) {
      for (const { name, response } of golden(file)) {
        const compressor = compressors.find((compressor) => name.endsWith(`-${compressor.name}`))
        if (compressor === undefined) continue
        it(`${file} ${name}`, () => {
          const flags = Number.parseInt(response!.slice(2, 4), 16)
          const opcode = Number.parseInt(response!.slice(8, 10), 16)
          assert.strictEqual(flags, Frame.Flags.COMPRESSION)
          const body = readBody(compressor, response!)
          const message = decoded(opcode, body)
          const kind = name.slice(0, name.indexOf("-"))
          const tags: Record<string, string> = {
            ready: "Ready",
            rows: "Rows",
            supported: "Supported",
            error: "Error",
            authenticate: "Authenticate"
          }
          assert.strictEqual(message._tag, tags[kind])
          // The same body once more through our own compressor.
          const again = compressor.compress(body, 0, body.length)
          same(compressor.decompress(again, 0, again.length, body.length), body, name)
          const block = bytesOf(response!).subarray(Frame.HEADER_SIZE)
          same(compressor.name === "lz4" ? lz4Oracle(block.subarray(4)) : snappyOracle(block), body, name)
        })
      }
    }

    it("an empty body", () => {
      same(Compression.lz4.compress(new Uint8Array(0), 0, 0), bytesOf("0000000000"), "lz4")
      same(Compression.snappy.compress(new Uint8Array(0), 0, 0), bytesOf("00"), "snappy")
      for (const { compress, decompress } of compressors) {
        const empty = compress(new Uint8Array(0), 0, 0)
        assert.strictEqual(decompress(empty, 0, empty.length, 0).length, 0)
      }
    })
  })

  describe("what is hostile", () => {
    it("a declared length over the limit or beyond reason is refused before anything is allocated", () => {
      const huge = bytesOf("ffffffff1f00010000")
      assert.throws(() => Compression.lz4.decompress(huge, 0, huge.length, 2 ** 40), DecodeError, "corrupt")
      assert.throws(() => Compression.lz4.decompress(huge, 0, huge.length, 1000), DecodeError, "over the bound")
      const varint = bytesOf("ffffffff0f00010000")
      assert.throws(() => Compression.snappy.decompress(varint, 0, varint.length, 2 ** 40), DecodeError, "corrupt")
      assert.throws(() => Compression.snappy.decompress(varint, 0, varint.length, 1000), DecodeError, "over the bound")
      assert.throws(() => Compression.lz4DecompressBlock(huge, 0, huge.length, 2 ** 31), DecodeError)
    })

    it("no block reaches behind the place that it is written to", () => {
      // One literal, then a copy from two bytes back, of which there is one.
      const blocks = [[bytesOf("1061020000"), false], [bytesOf("00610102"), true]] as const
      for (const [name, engine] of engines) {
        for (const [block, isSnappy] of blocks) {
          const secret = new Uint8Array(64).fill(0x53)
          assert.isFalse(engine.decompressInto(block, 0, block.length, secret, 32, 5, isSnappy), name)
          assert.deepStrictEqual(secret.subarray(0, 32), new Uint8Array(32).fill(0x53))
          assert.deepStrictEqual(secret.subarray(37), new Uint8Array(27).fill(0x53))
          // With one byte back it is sound, so that it is the distance that is refused.
          const sound = Uint8Array.from(block, (byte, i) => i === (isSnappy ? 3 : 2) ? 1 : byte)
          assert.isTrue(engine.decompressInto(sound, 0, sound.length, secret, 32, 5, isSnappy), name)
          assert.strictEqual(Buffer.from(secret.subarray(32, 37)).toString(), "aaaaa")
        }
      }
    })

    it("the greatest ratios are allowed", () => {
      // 255 zero bytes in every byte of the length: one literal, a match at distance 1, five literals.
      const long = Buffer.concat([bytesOf("1f000100"), Buffer.alloc(10_000, 255), bytesOf("00500000000000")])
      const size = 1 + 4 + 15 + 255 * 10_000 + 5
      assert.strictEqual(Compression.lz4DecompressBlock(long, 0, long.length, size).length, size)
      const copies = Buffer.concat([
        bytesOf("c18f04"),
        bytesOf("0000"),
        ...Array.from({ length: 1055 }, () => bytesOf("fe0100"))
      ])
      const bytes = 1 + 64 * 1055
      const body = Buffer.from(copies)
      body[0] = (bytes & 0x7f) | 0x80
      body[1] = ((bytes >> 7) & 0x7f) | 0x80
      body[2] = bytes >> 14
      assert.strictEqual(Compression.snappy.decompress(body, 0, body.length, bytes).length, bytes)
    })

    it("no length, a length without end, ranges outside", () => {
      for (const hex of ["", "00", "000000"]) {
        const bytes = bytesOf(hex)
        assert.throws(() => Compression.lz4.decompress(bytes, 0, bytes.length, 100), DecodeError)
      }
      for (const hex of ["", "80", "ffffffffff", "ffffffffffff01"]) {
        const bytes = bytesOf(hex)
        assert.throws(() => Compression.snappy.decompress(bytes, 0, bytes.length, 100), DecodeError)
      }
      for (const { compress, decompress } of compressors) {
        assert.throws(() => compress(new Uint8Array(4), 2, 3), RangeError)
        assert.throws(() => compress(new Uint8Array(4), -1, 3), RangeError)
        assert.throws(() => decompress(new Uint8Array(4), 0, 5, 10), RangeError)
      }
      const block = Compression.lz4CompressBlock(new Uint8Array(10), 0, 10)
      for (const size of [-1, Number.NaN, 1.5]) {
        assert.throws(() => Compression.lz4DecompressBlock(block, 0, block.length, size), RangeError)
      }
      const body = Compression.lz4.compress(new Uint8Array(10), 0, 10)
      assert.throws(() => Compression.lz4.decompress(body, 0, body.length, Number.NaN), DecodeError)
      const out = new Uint8Array(12)
      assert.throws(() => Compression.lz4DecompressBlockInto(block, 0, block.length, out, 3, 10), RangeError)
    })

    it("mutated blocks end alike in both engines: in bytes of the size asked for, or in nothing", () => {
      const random = new Random(seed + 3)
      let sound = 0
      for (let i = 0; i < iterations; i++) {
        const snappy = random.below(2) === 0
        const bytes = sample(random, random.below(400))
        let block = javascript.compress(bytes, 0, bytes.length, 0, snappy)
        for (let times = 1 + random.below(3); times > 0; times--) {
          const at = random.below(block.length + 1)
          const kind = random.below(6)
          if (kind === 0) block = block.slice(0, at)
          else if (kind === 1) block = Uint8Array.from(Buffer.concat([block, random.bytes(random.below(9))]))
          else if (at < block.length) {
            block[at] = random.pick([random.below(256), 0, 255, block[at]! ^ (1 << random.below(8))])
          }
        }
        const size = Math.max(0, bytes.length + random.pick([0, 0, 0, 1, -1, random.below(300)]))
        const [a, b] = engines.map(([, blocks]) => blocks.decompress(block, 0, block.length, size, snappy))
        if (a === undefined || b === undefined) assert.strictEqual(a, b)
        else {
          sound++
          assert.strictEqual(a.length, size)
          same(a, b, "both engines")
        }
        const out = new Uint8Array(size + 40).fill(9)
        for (const [, blocks] of engines) {
          blocks.decompressInto(block, 0, block.length, out, 20, size, snappy)
          const beside = [...out.subarray(0, 20), ...out.subarray(size + 20)]
          assert.isTrue(beside.every((byte) => byte === 9))
        }
      }
      assert.isAbove(sound, 0)
    })

    it("mutated bodies end in a DecodeError or in bytes within the limit", () => {
      const random = new Random(seed + 4)
      let refused = 0
      for (let i = 0; i < iterations; i++) {
        const compressor = random.pick(compressors)
        const bytes = sample(random, random.below(300))
        const body = Uint8Array.from(compressor.compress(bytes, 0, bytes.length))
        for (let times = 1 + random.below(3); times > 0; times--) body[random.below(body.length)] = random.below(256)
        const limit = random.pick([100, 300, 65_536])
        const result = attempt(() => compressor.decompress(body, 0, body.length, limit))
        if (typeof result === "string") refused++
        else assert.isAtMost(result.length, limit)
      }
      assert.isAbove(refused, 0)
    })
  })
})
