/** Murmur3 in plain JavaScript, for where there is no WebAssembly and for keys beyond its memory. See ../Murmur3.ts. */
import type { TokenWords } from "../Token.ts"

/*
 * 64-bit words are held as two int32 variables, `h` and `l`. The names below follow MurmurHash3: h1, h2 are the state,
 * k1, k2 the words of a block, c1 and c2 its multipliers, m1 and m2 those of the final mix.
 *
 * A product modulo 2^64 is
 *   low  = imul(l, cL)
 *   high = imul(l, cH) + imul(h, cL) + (the upper 32 bits of l * cL)
 * and only the last term is awkward. See `upper`.
 */
const c1H = 0x87c37b91 | 0
const c1L = 0x114253d5
const c2H = 0x4cf5ad43
const c2L = 0x2745937f
const m1H = 0xff51afd7 | 0
const m1L = 0xed558ccd | 0
const m2H = 0xc4ceb9fe | 0
const m2L = 0x1a85ec53

// Low words of the multipliers, read as unsigned and divided by 2^32: exact, since that only moves the exponent.
const c1U = (c1L >>> 0) / 0x100000000
const c2U = (c2L >>> 0) / 0x100000000
const m1U = (m1L >>> 0) / 0x100000000
const m2U = (m2L >>> 0) / 0x100000000

/**
 * Upper 32 bits of the 64-bit product of two unsigned words: `word`, and a constant given as `unit` = constant / 2^32.
 *
 * `word * unit` is the product over 2^32, rounded to 53 bits, so it is off by less than 2^-20. `low`, the exact lower
 * half, tells what the fraction really is: after taking it away the value is within 2^-20 of a whole number, and half
 * more makes truncation a rounding. `low ^ 0x80000000` is `low - 2^31`, that half already in it. Twice as fast as
 * multiplying 16-bit limbs (measured: 39 against 62 ns for a 16-byte key).
 */
const upper = (word: number, unit: number, low: number): number =>
  ((word >>> 0) * unit - (low ^ 0x80000000) * 2.3283064365386963e-10) | 0

/** A byte sign-extended to int32, as Java's `byte` is: the quirk of Cassandra's tail. */
const signed = (byte: number): number => (byte << 24) >> 24

/** A little-endian int32 of four bytes. */
const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)

/** Hashes `length` bytes at `offset` of `bytes` and writes the token to `out`: no allocation, no `bigint`. */
export const hashInto = (bytes: Uint8Array, offset: number, length: number, out: TokenWords): void => {
  let h1H = 0
  let h1L = 0
  let h2H = 0
  let h2L = 0
  // Intermediate words: t is always the new low word of what is being computed.
  let t = 0
  let u = 0
  let v = 0

  const tail = offset + (length & ~15)
  let at = offset
  for (; at < tail; at += 16) {
    let k1L = word(bytes, at)
    let k1H = word(bytes, at + 4)
    let k2L = word(bytes, at + 8)
    let k2H = word(bytes, at + 12)

    // k1 *= c1; k1 = rotl(k1, 31); k1 *= c2; h1 ^= k1
    t = Math.imul(k1L, c1L)
    k1H = (Math.imul(k1L, c1H) + Math.imul(k1H, c1L) + upper(k1L, c1U, t)) | 0
    k1L = t
    t = (k1L << 31) | (k1H >>> 1)
    k1H = (k1H << 31) | (k1L >>> 1)
    k1L = t
    t = Math.imul(k1L, c2L)
    h1H ^= Math.imul(k1L, c2H) + Math.imul(k1H, c2L) + upper(k1L, c2U, t)
    h1L ^= t

    // h1 = rotl(h1, 27) + h2
    t = (h1L << 27) | (h1H >>> 5)
    h1H = (h1H << 27) | (h1L >>> 5)
    h1L = (t + h2L) | 0
    h1H = (h1H + h2H + (h1L >>> 0 < t >>> 0 ? 1 : 0)) | 0

    // h1 = h1 * 5 + 0x52dce729, where h1 * 5 is (h1 << 2) + h1
    t = h1L << 2
    u = (t + h1L) | 0
    v = (u + 0x52dce729) | 0
    h1H = (((h1H << 2) | (h1L >>> 30)) + h1H + (u >>> 0 < t >>> 0 ? 1 : 0) + (v >>> 0 < u >>> 0 ? 1 : 0)) | 0
    h1L = v

    // k2 *= c2; k2 = rotl(k2, 33); k2 *= c1; h2 ^= k2
    t = Math.imul(k2L, c2L)
    k2H = (Math.imul(k2L, c2H) + Math.imul(k2H, c2L) + upper(k2L, c2U, t)) | 0
    k2L = t
    t = (k2H << 1) | (k2L >>> 31)
    k2H = (k2L << 1) | (k2H >>> 31)
    k2L = t
    t = Math.imul(k2L, c1L)
    h2H ^= Math.imul(k2L, c1H) + Math.imul(k2H, c1L) + upper(k2L, c1U, t)
    h2L ^= t

    // h2 = rotl(h2, 31) + h1
    t = (h2L << 31) | (h2H >>> 1)
    h2H = (h2H << 31) | (h2L >>> 1)
    h2L = (t + h1L) | 0
    h2H = (h2H + h1H + (h2L >>> 0 < t >>> 0 ? 1 : 0)) | 0

    // h2 = h2 * 5 + 0x38495ab5
    t = h2L << 2
    u = (t + h2L) | 0
    v = (u + 0x38495ab5) | 0
    h2H = (((h2H << 2) | (h2L >>> 30)) + h2H + (u >>> 0 < t >>> 0 ? 1 : 0) + (v >>> 0 < u >>> 0 ? 1 : 0)) | 0
    h2L = v
  }

  const rest = length & 15
  if (rest > 8) {
    let k2L = 0
    let k2H = 0
    // A negative byte of the low word also flips all bits above it: >> 31 is its sign, spread over the high word.
    for (let i = rest - 1; i >= 12; i--) k2H ^= signed(bytes[at + i]!) << ((i - 12) << 3)
    for (let i = rest > 12 ? 11 : rest - 1; i >= 8; i--) {
      u = signed(bytes[at + i]!)
      k2L ^= u << ((i - 8) << 3)
      k2H ^= u >> 31
    }
    t = Math.imul(k2L, c2L)
    k2H = (Math.imul(k2L, c2H) + Math.imul(k2H, c2L) + upper(k2L, c2U, t)) | 0
    k2L = t
    t = (k2H << 1) | (k2L >>> 31)
    k2H = (k2L << 1) | (k2H >>> 31)
    k2L = t
    t = Math.imul(k2L, c1L)
    h2H ^= Math.imul(k2L, c1H) + Math.imul(k2H, c1L) + upper(k2L, c1U, t)
    h2L ^= t
  }
  if (rest > 0) {
    let k1L = 0
    let k1H = 0
    if (rest >= 8) {
      // Unrolled: a bigint, timestamp or counter key is exactly these eight bytes.
      const b0 = signed(bytes[at]!)
      const b1 = signed(bytes[at + 1]!)
      const b2 = signed(bytes[at + 2]!)
      const b3 = signed(bytes[at + 3]!)
      k1L = b0 ^ (b1 << 8) ^ (b2 << 16) ^ (b3 << 24)
      k1H = ((b0 ^ b1 ^ b2 ^ b3) >> 31) ^ signed(bytes[at + 4]!) ^ (signed(bytes[at + 5]!) << 8) ^
        (signed(bytes[at + 6]!) << 16) ^ (bytes[at + 7]! << 24)
    } else {
      for (let i = rest - 1; i >= 4; i--) k1H ^= signed(bytes[at + i]!) << ((i - 4) << 3)
      for (let i = rest > 4 ? 3 : rest - 1; i >= 0; i--) {
        u = signed(bytes[at + i]!)
        k1L ^= u << (i << 3)
        k1H ^= u >> 31
      }
    }
    t = Math.imul(k1L, c1L)
    k1H = (Math.imul(k1L, c1H) + Math.imul(k1H, c1L) + upper(k1L, c1U, t)) | 0
    k1L = t
    t = (k1L << 31) | (k1H >>> 1)
    k1H = (k1H << 31) | (k1L >>> 1)
    k1L = t
    t = Math.imul(k1L, c2L)
    h1H ^= Math.imul(k1L, c2H) + Math.imul(k1H, c2L) + upper(k1L, c2U, t)
    h1L ^= t
  }

  // h1 ^= length; h2 ^= length; h1 += h2; h2 += h1
  h1L ^= length
  h2L ^= length
  t = (h1L + h2L) | 0
  h1H = (h1H + h2H + (t >>> 0 < h1L >>> 0 ? 1 : 0)) | 0
  h1L = t
  t = (h2L + h1L) | 0
  h2H = (h2H + h1H + (t >>> 0 < h2L >>> 0 ? 1 : 0)) | 0
  h2L = t

  // h1 = fmix(h1): three times h ^= h >>> 33, a product after the first two
  h1L ^= h1H >>> 1
  t = Math.imul(h1L, m1L)
  h1H = (Math.imul(h1L, m1H) + Math.imul(h1H, m1L) + upper(h1L, m1U, t)) | 0
  h1L = t ^ (h1H >>> 1)
  t = Math.imul(h1L, m2L)
  h1H = (Math.imul(h1L, m2H) + Math.imul(h1H, m2L) + upper(h1L, m2U, t)) | 0
  h1L = t ^ (h1H >>> 1)

  // h2 = fmix(h2)
  h2L ^= h2H >>> 1
  t = Math.imul(h2L, m1L)
  h2H = (Math.imul(h2L, m1H) + Math.imul(h2H, m1L) + upper(h2L, m1U, t)) | 0
  h2L = t ^ (h2H >>> 1)
  t = Math.imul(h2L, m2L)
  h2H = (Math.imul(h2L, m2H) + Math.imul(h2H, m2L) + upper(h2L, m2U, t)) | 0
  h2L = t ^ (h2H >>> 1)

  // token = h1 + h2
  t = (h1L + h2L) | 0
  h1H = (h1H + h2H + (t >>> 0 < h1L >>> 0 ? 1 : 0)) | 0

  // -2^63 is the minimum token, which no key may have: it becomes 2^63 - 1.
  if (h1H === -0x80000000 && t === 0) {
    out.hi = 0x7fffffff
    out.lo = -1
  } else {
    out.hi = h1H
    out.lo = t
  }
}
