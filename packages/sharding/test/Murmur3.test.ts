import { assert, describe, it } from "@effect/vitest"
import * as Murmur3 from "../src/Murmur3.ts"
import { toBigInt, TokenWords } from "../src/Token.ts"
import { Random } from "./support/random.ts"
import { hex, utf8, vectors } from "./support/vectors.ts"

/** MurmurHash3 x64-128 as its definition reads, over bigint, with Cassandra's tail. */
const oracle = (key: Uint8Array): bigint => {
  const u64 = (x: bigint) => BigInt.asUintN(64, x)
  const rotl = (x: bigint, r: bigint) => u64((x << r) | (x >> (64n - r)))
  const fmix = (k: bigint) => {
    k ^= k >> 33n
    k = u64(k * 0xff51afd7ed558ccdn)
    k ^= k >> 33n
    k = u64(k * 0xc4ceb9fe1a85ec53n)
    return k ^ (k >> 33n)
  }
  const c1 = 0x87c37b91114253d5n
  const c2 = 0x4cf5ad432745937fn
  const view = new DataView(key.buffer, key.byteOffset, key.length)
  const blocks = key.length >> 4
  let h1 = 0n
  let h2 = 0n
  for (let i = 0; i < blocks; i++) {
    h1 ^= u64(rotl(u64(view.getBigUint64(i * 16, true) * c1), 31n) * c2)
    h1 = u64((rotl(h1, 27n) + h2) * 5n + 0x52dce729n)
    h2 ^= u64(rotl(u64(view.getBigUint64(i * 16 + 8, true) * c2), 33n) * c1)
    h2 = u64((rotl(h2, 31n) + h1) * 5n + 0x38495ab5n)
  }
  let k1 = 0n
  let k2 = 0n
  for (let i = blocks * 16; i < key.length; i++) {
    const at = i & 15
    const byte = u64(BigInt.asIntN(8, BigInt(key[i]!)))
    if (at < 8) k1 ^= u64(byte << BigInt(at * 8))
    else k2 ^= u64(byte << BigInt((at - 8) * 8))
  }
  h1 ^= u64(rotl(u64(k1 * c1), 31n) * c2)
  h2 ^= u64(rotl(u64(k2 * c2), 33n) * c1)
  h1 ^= BigInt(key.length)
  h2 ^= BigInt(key.length)
  h1 = u64(h1 + h2)
  h2 = u64(h2 + h1)
  const token = BigInt.asIntN(64, fmix(h1) + fmix(h2))
  return token === -(2n ** 63n) ? 2n ** 63n - 1n : token
}

/** Inverse of an odd number modulo 2^64 (Newton). */
const inverse = (a: bigint): bigint => {
  let x = a
  for (let i = 0; i < 6; i++) x = BigInt.asUintN(64, x * (2n - a * x))
  return x
}

/** The 16-byte key that hashes to `token`: the hash of one block is a bijection, undone step by step. */
const keyOf = (token: bigint): Uint8Array => {
  const u64 = (x: bigint) => BigInt.asUintN(64, x)
  const rotr = (x: bigint, r: bigint) => u64((u64(x) >> r) | (u64(x) << (64n - r)))
  const unmix = (k: bigint) => {
    k ^= k >> 33n
    k = u64(k * inverse(0xc4ceb9fe1a85ec53n))
    k ^= k >> 33n
    k = u64(k * inverse(0xff51afd7ed558ccdn))
    return k ^ (k >> 33n)
  }
  const c1 = 0x87c37b91114253d5n
  const c2 = 0x4cf5ad432745937fn
  // Any second half will do: token = fmix(h1) + fmix(h2).
  const mixed2 = 0x0123456789abcdefn
  let h1 = unmix(u64(token - mixed2))
  let h2 = unmix(mixed2)
  h2 = u64(h2 - h1)
  h1 = u64(h1 - h2)
  h1 ^= 16n
  h2 ^= 16n
  const fifth = inverse(5n)
  const k2 = u64(rotr(u64(rotr(u64(u64(h2 - 0x38495ab5n) * fifth) - h1, 31n) * inverse(c1)), 33n) * inverse(c2))
  const k1 = u64(rotr(u64(rotr(u64(u64(h1 - 0x52dce729n) * fifth), 27n) * inverse(c2)), 31n) * inverse(c1))
  const key = new Uint8Array(16)
  const view = new DataView(key.buffer)
  view.setBigUint64(0, k1, true)
  view.setBigUint64(8, k2, true)
  return key
}

describe("Murmur3", () => {
  for (const { key, token } of vectors<{ readonly key: string; readonly token: string }>("murmur3")) {
    it(`vector ${key.length > 40 ? `${key.slice(0, 40)}… (${key.length / 2} bytes)` : key || "of the empty key"}`, () => {
      assert.strictEqual(Murmur3.token(hex(key)), BigInt(token))
    })
  }

  const known: ReadonlyArray<readonly [string, Uint8Array, bigint]> = [
    ["test", utf8("test"), -6017608668500074083n],
    ["xd", utf8("xd"), 4507812186440344727n],
    ["primary_key", utf8("primary_key"), -1632642444691073360n],
    ["kremówki", utf8("kremówki"), 4354931215268080151n],
    ["123", utf8("123"), -7468325962851647638n],
    ["fe × 8", new Uint8Array(8).fill(0xfe), -8927430733708461935n],
    ["10 × 8", new Uint8Array(8).fill(0x10), 1446172840243228796n],
    ["1..16", Uint8Array.from({ length: 16 }, (_, i) => i + 1), -5563837382979743776n],
    ["ff × 16", new Uint8Array(16).fill(0xff), -2824192546314762522n],
    ["fe × 17", new Uint8Array(17).fill(0xfe), -1672437813826982685n],
    ["00 × 7, 80", hex("0000000000000080"), 78142285821850151n],
    ["a high bit in the tail", hex("00104327529fb645dd00b883ec39ae448bb800000400066a6b00"), -9223371632693506265n],
    ["a", utf8("a"), -8839064797231613815n],
    ["b", utf8("b"), 8833996863197925870n],
    ["c", utf8("c"), -8198557465434950441n],
    ["e", utf8("e"), -4200008757497435756n],
    ["100000", utf8("100000"), 2739050094959918959n],
    ["the empty key (ScyllaDB's token)", new Uint8Array(0), 0n]
  ]
  for (const [name, key, token] of known) {
    it(`known answer: ${name}`, () => {
      assert.strictEqual(Murmur3.token(key), token)
    })
  }

  it("agrees with the definition for random keys of every length up to 100", () => {
    const random = new Random(3)
    for (let length = 0; length <= 100; length++) {
      for (let i = 0; i < 100; i++) {
        const key = random.bytes(length)
        assert.strictEqual(Murmur3.token(key), oracle(key), Buffer.from(key).toString("hex"))
      }
    }
  })

  it("agrees with the definition for keys of extreme bytes", () => {
    const random = new Random(4)
    const extremes = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff]
    for (let i = 0; i < 20_000; i++) {
      const key = Uint8Array.from({ length: random.below(33) }, () => extremes[random.below(6)]!)
      assert.strictEqual(Murmur3.token(key), oracle(key), Buffer.from(key).toString("hex"))
    }
  })

  it("agrees with the definition where products of 32-bit words end just below and above a multiple of 2^32", () => {
    // The upper half of a product is rounded from a double: these are the words where rounding would go wrong.
    const wordFor = (low: number, constant: bigint) =>
      Number(BigInt.asUintN(32, BigInt(low) * inverse(BigInt.asUintN(32, constant))))
    const key = new Uint8Array(16)
    const view = new DataView(key.buffer)
    for (const edge of [0, 0x80000000]) {
      for (let distance = -2500; distance <= 2500; distance++) {
        view.setUint32(0, wordFor(edge + distance, 0x114253d5n), true)
        view.setUint32(8, wordFor(edge + distance, 0x2745937fn), true)
        assert.strictEqual(Murmur3.token(key), oracle(key), Buffer.from(key).toString("hex"))
      }
    }
  })

  it("hashes a key inside a greater buffer, of either class", () => {
    const random = new Random(5)
    const out = new TokenWords()
    for (let i = 0; i < 2_000; i++) {
      const bytes = i % 2 === 0 ? random.bytes(80) : Buffer.from(random.bytes(80))
      const offset = random.below(30)
      const length = random.below(50)
      Murmur3.hashInto(bytes, offset, length, out)
      assert.strictEqual(toBigInt(out.hi, out.lo), oracle(Uint8Array.from(bytes.subarray(offset, offset + length))))
    }
  })

  it("gives any token to the key made for it, except the minimum, which becomes the maximum", () => {
    const random = new Random(6)
    for (let i = 0; i < 2_000; i++) {
      const wanted = random.token()
      const token = Murmur3.token(keyOf(wanted))
      assert.strictEqual(token, wanted === -(2n ** 63n) ? 2n ** 63n - 1n : wanted)
    }
    assert.strictEqual(Murmur3.token(keyOf(-(2n ** 63n))), 2n ** 63n - 1n)
    assert.strictEqual(Murmur3.token(keyOf(2n ** 63n - 1n)), 2n ** 63n - 1n)
    // Words that look like the minimum by halves stay as they are.
    assert.strictEqual(Murmur3.token(keyOf(-(2n ** 63n) + 1n)), -(2n ** 63n) + 1n)
    assert.strictEqual(Murmur3.token(keyOf(0n)), 0n)
  })

  it("writes int32 words", () => {
    const random = new Random(7)
    const out = new TokenWords()
    for (let i = 0; i < 1_000; i++) {
      Murmur3.hashInto(random.bytes(16), 0, 16, out)
      assert.isTrue(out.hi === (out.hi | 0) && out.lo === (out.lo | 0))
    }
  })
})
