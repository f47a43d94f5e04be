import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { sourceHashes } from "../../../test/support/wasm.ts"
import * as js from "../src/internal/murmur3Js.ts"
import { base64 } from "../src/internal/murmur3Module.ts"
import * as wasm from "../src/internal/murmur3Wasm.ts"
import * as Murmur3 from "../src/Murmur3.ts"
import { toBigInt, TokenWords } from "../src/Token.ts"
import { Random } from "./support/random.ts"
import { hex, utf8, vectors } from "./support/vectors.ts"

const a = new TokenWords()
const b = new TokenWords()

const tokenOf = (hash: typeof Murmur3.hashInto, key: Uint8Array): bigint => {
  hash(key, 0, key.length, a)
  return toBigInt(a.hi, a.lo)
}

const cases = vectors<{ readonly key: string; readonly token: string }>("murmur3")

/** What a new process that runs `before` first says of itself, and of a known key. */
const inProcess = (before = ""): string => {
  const module = (name: string) => new URL(`../src/${name}.ts`, import.meta.url).href
  // Node needs WebAssembly itself to strip types, and has what it needs after the first module.
  const program = `
    await import("${module("Token")}")
    ${before}
    const Murmur3 = await import("${module("Murmur3")}")
    const key = Murmur3.keyBuffer(64)
    key.write("kremówki")
    console.log(Murmur3.implementation, Murmur3.token(key.subarray(0, 9)), key.length)`
  return execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: "" }
  }).trim()
}

describe("Murmur3 in WebAssembly", () => {
  it("is what hashes here", () => {
    assert.isTrue(wasm.isAvailable)
    assert.strictEqual(Murmur3.implementation, "wasm")
    assert.strictEqual(Murmur3.hashInto, wasm.hashInto)
  })

  it("was built from the source that is there", () => {
    const { built, source } = sourceHashes("sharding", "murmur3")
    assert.strictEqual(built, source, "run node scripts/build-wasm.mjs")
  })

  it("the embedded module imports nothing, and exports its memory and two functions", () => {
    const module = new WebAssembly.Module(Buffer.from(base64, "base64"))
    assert.deepStrictEqual(WebAssembly.Module.imports(module), [])
    assert.deepStrictEqual(
      WebAssembly.Module.exports(module).map(({ kind, name }) => `${kind} ${name}`).sort(),
      ["function hash", "function hashWords", "memory memory"]
    )
    const { hash, hashWords, memory } = new WebAssembly.Instance(module).exports as {
      readonly memory: WebAssembly.Memory
      readonly hash: (at: number, length: number) => number
      readonly hashWords: (length: number, ...words: Array<number>) => number
    }
    assert.strictEqual(memory.buffer.byteLength, 18 * 65536)
    assert.throws(() => memory.grow(1), RangeError)
    const low = new Int32Array(memory.buffer, 0, 1)
    for (const { key, token } of cases) {
      const bytes = hex(key)
      new Uint8Array(memory.buffer).fill(0xa5, 64).set(bytes, 1000)
      assert.strictEqual(toBigInt(hash(1000, bytes.length), low[0]!), BigInt(token))
      if (bytes.length < 1 || bytes.length > 16) continue
      const words = new Uint8Array(16).fill(0xc3)
      words.set(bytes)
      const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = new Int32Array(words.buffer)
      assert.strictEqual(toBigInt(hashWords(bytes.length, w0, w1, w2, w3), low[0]!), BigInt(token))
    }
  })

  it("all vectors, in JavaScript, copied and in place", () => {
    const buffer = Murmur3.keyBuffer(70_000)
    for (const { key, token } of cases) {
      const bytes = hex(key)
      assert.strictEqual(tokenOf(js.hashInto, bytes), BigInt(token))
      assert.strictEqual(tokenOf(wasm.hashInto, bytes), BigInt(token))
      buffer.set(bytes, 5)
      wasm.hashInto(buffer, 5, bytes.length, a)
      assert.strictEqual(toBigInt(a.hi, a.lo), BigInt(token))
    }
  })

  it("agrees with JavaScript for random keys of every length up to 200, copied and in place, at any offset", () => {
    const random = new Random(40)
    const buffer = Murmur3.keyBuffer(300)
    for (let length = 0; length <= 200; length++) {
      for (let i = 0; i < 60; i++) {
        // Bytes around the key are random, too: none of them may count.
        const bytes = random.bytes(buffer.length)
        if (i % 3 === 0) { for (let j = 0; j < bytes.length; j++) bytes[j] = bytes[j]! < 128 ? 0x7f : 0x80 }
        buffer.set(bytes)
        const offset = random.below(buffer.length - length + 1)
        js.hashInto(bytes, offset, length, a)
        wasm.hashInto(bytes, offset, length, b)
        if (a.hi !== b.hi || a.lo !== b.lo) {
          assert.fail(`copied: ${Buffer.from(bytes).toString("hex")} ${offset} ${length}`)
        }
        wasm.hashInto(buffer, offset, length, b)
        if (a.hi !== b.hi || a.lo !== b.lo) assert.fail(`in place: ${buffer.toString("hex")} ${offset} ${length}`)
      }
    }
  })

  it("agrees with JavaScript around every limit of the ways to hash", () => {
    const random = new Random(41)
    const bytes = random.bytes(66_000)
    const lengths = [127, 128, 129, 65_535, 65_536, 65_537, 65_999]
    for (const length of lengths) {
      for (const offset of [0, 1]) {
        js.hashInto(bytes, offset, length, a)
        wasm.hashInto(bytes, offset, length, b)
        assert.deepStrictEqual(b, a, `${length} at ${offset}`)
      }
    }
  })

  it("bytes past the end count as 0, in any array, and never trap", () => {
    const buffer = Murmur3.keyBuffer(40)
    for (const bytes of [new Uint8Array(40).fill(7), buffer.fill(7)]) {
      for (const [offset, length] of [[30, 11], [39, 200], [40, 4], [40, 16], [38, 8], [0, 70_000]] as const) {
        const padded = new Uint8Array(offset + length)
        padded.set(bytes)
        js.hashInto(padded, offset, length, a)
        wasm.hashInto(bytes, offset, length, b)
        assert.deepStrictEqual(b, a, `${length} at ${offset}`)
      }
      for (const [offset, length] of [[-5, 10], [0, -3], [Number.NaN, 8], [0, Number.NaN]] as const) {
        wasm.hashInto(bytes, offset, length, b)
      }
    }
  })
})

describe("Murmur3.keyBuffer", () => {
  it("gives zeroed buffers that do not overlap, until the memory is used up, and then ordinary ones", () => {
    const made: Array<Buffer> = []
    const shared = Murmur3.keyBuffer(1).buffer
    for (let i = 0; i < 40; i++) made.push(Murmur3.keyBuffer(60_000 + i))
    assert.isTrue(made.slice(0, 10).every((buffer) => buffer.buffer === shared))
    assert.isTrue(made.slice(20).every((buffer) => buffer.buffer !== shared))
    // A smaller one may still fit.
    made.forEach((buffer, i) => {
      assert.strictEqual(buffer.length, 60_000 + i)
      assert.isTrue(buffer.equals(Buffer.alloc(buffer.length)))
    })
    made.forEach((buffer, i) => buffer.fill(i + 1))
    made.forEach((buffer, i) => {
      assert.isTrue(buffer.equals(Buffer.alloc(buffer.length, i + 1)))
      assert.strictEqual(tokenOf(Murmur3.hashInto, buffer), tokenOf(js.hashInto, buffer))
    })
  })

  it("survives what is no size as Buffer.alloc does", () => {
    assert.strictEqual(Murmur3.keyBuffer(0).length, 0)
    assert.throws(() => Murmur3.keyBuffer(-1), RangeError)
    assert.throws(() => Murmur3.keyBuffer(Number.NaN), RangeError)
    assert.strictEqual(Murmur3.keyBuffer(5_000_000).length, 5_000_000)
  })

  it("a view of one is hashed like any array", () => {
    const buffer = Murmur3.keyBuffer(100)
    buffer.write("....test")
    assert.strictEqual(Murmur3.token(buffer.subarray(4, 8)), -6017608668500074083n)
    assert.strictEqual(Murmur3.token(utf8("test")), -6017608668500074083n)
  })
})

describe("Murmur3 without WebAssembly", () => {
  const expected = "javascript 4354931215268080151n 64"

  it("is in WebAssembly in an ordinary process", () => {
    assert.strictEqual(inProcess(), "wasm 4354931215268080151n 64")
  })

  it("falls back to JavaScript where WebAssembly is missing", () => {
    assert.strictEqual(inProcess("delete globalThis.WebAssembly"), expected)
  })

  it("falls back to JavaScript where WebAssembly is forbidden", () => {
    assert.strictEqual(inProcess("WebAssembly.Module = function() { throw new EvalError() }"), expected)
  })

  it("falls back to JavaScript where WebAssembly computes something else", () => {
    assert.strictEqual(
      inProcess(`WebAssembly.Instance = function() {
        return { exports: { memory: { buffer: new ArrayBuffer(200000) }, hash: () => 1, hashWords: () => 1 } }
      }`),
      expected
    )
  })
})
