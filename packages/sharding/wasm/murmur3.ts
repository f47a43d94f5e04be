/*
 * Murmur3 of Murmur3Partitioner in AssemblyScript: compiled by build.mjs to src/internal/murmur3Module.ts.
 *
 * Both functions return the high word of the token and store the low word at address 0.
 *
 * Keys are read in words of eight bytes, so up to 16 bytes past the end of a key are touched (and masked away): whoever
 * gives out memory leaves as many at its end.
 */
// oxlint-disable eslint/no-loss-of-precision -- these are 64-bit integers here

const c1: u64 = 0x87c37b91114253d5
const c2: u64 = 0x4cf5ad432745937f

function fmix(k: u64): u64 {
  k ^= k >> 33
  k *= 0xff51afd7ed558ccd
  k ^= k >> 33
  k *= 0xc4ceb9fe1a85ec53
  return k ^ (k >> 33)
}

/**
 * A word of the tail as Java puts it together, of bytes that are sign-extended: a negative byte flips all bits above it.
 *
 * The first product counts in each byte the negative ones below it; where the count is odd the byte is flipped.
 */
function signed(k: u64): u64 {
  const negative = (k >> 7) & 0x0101010101010101
  return k ^ (((negative * 0x0101010101010100) & 0x0101010101010101) * 0xff)
}

function finish(h1: u64, h2: u64, length: i32): i32 {
  h1 ^= u64(length)
  h2 ^= u64(length)
  h1 += h2
  h2 += h1
  let token = fmix(h1) + fmix(h2)
  // The minimum token is not a key's: it becomes the maximum.
  if (token == 0x8000000000000000) token = 0x7fffffffffffffff
  store<i32>(0, i32(token))
  return i32(token >> 32)
}

/** Mixes the last 1..15 bytes in: `k1` and `k2` hold them, and whatever follows them. */
function tail(h1: u64, h2: u64, k1: u64, k2: u64, rest: i32, length: i32): i32 {
  if (rest > 8) {
    k2 &= <u64> -1 >> u64((16 - rest) << 3)
    h2 ^= rotl<u64>(signed(k2) * c2, 33) * c1
  } else {
    k1 &= <u64> -1 >> u64((8 - rest) << 3)
  }
  h1 ^= rotl<u64>(signed(k1) * c1, 31) * c2
  return finish(h1, h2, length)
}

/** Hashes `length` bytes at address `at`. */
export function hash(at: i32, length: i32): i32 {
  let h1: u64 = 0
  let h2: u64 = 0
  const end = at + (length & ~15)
  for (; at < end; at += 16) {
    h1 ^= rotl<u64>(load<u64>(at) * c1, 31) * c2
    h1 = (rotl<u64>(h1, 27) + h2) * 5 + 0x52dce729
    h2 ^= rotl<u64>(load<u64>(at, 8) * c2, 33) * c1
    h2 = (rotl<u64>(h2, 31) + h1) * 5 + 0x38495ab5
  }
  const rest = length & 15
  return rest == 0 ? finish(h1, h2, length) : tail(h1, h2, load<u64>(at), load<u64>(at, 8), rest, length)
}

/** Hashes a key of 1..16 bytes that is given as little-endian words, without touching memory. */
export function hashWords(length: i32, a: i32, b: i32, c: i32, d: i32): i32 {
  const k1 = u64(u32(a)) | (u64(u32(b)) << 32)
  const k2 = u64(u32(c)) | (u64(u32(d)) << 32)
  if (length < 16) return tail(0, 0, k1, k2, length, length)
  const h1 = rotl<u64>(rotl<u64>(k1 * c1, 31) * c2, 27) * 5 + 0x52dce729
  const h2 = (rotl<u64>(rotl<u64>(k2 * c2, 33) * c1, 31) + h1) * 5 + 0x38495ab5
  return finish(h1, h2, 16)
}
