/** MurmurHash3 x64-128 with seed 0: the first of its two words, the tail unsigned (Cassandra's variant differs there). */

// k1 and k2 are multiplied by these; 64-bit words are held as two int32.
const C1H = 0x87c37b91 | 0
const C1L = 0x114253d5
const C2H = 0x4cf5ad43
const C2L = 0x2745937f

/** Result words of {@link hash}. */
export interface HashWords {
  hi: number
  lo: number
}

// Result of the last 64-bit multiplication or rotation: a pair would be allocated.
let rh = 0
let rl = 0

const upper = (a: number, b: number): number => {
  // Upper 32 bits of the product of two unsigned 32-bit numbers, by halves.
  const ah = a >>> 16
  const al = a & 0xffff
  const bh = b >>> 16
  const bl = b & 0xffff
  const mid = al * bh + ((al * bl) >>> 16)
  const mid2 = ah * bl + (mid & 0xffff)
  return (ah * bh + Math.floor(mid / 0x10000) + Math.floor(mid2 / 0x10000)) | 0
}

const multiply = (h: number, l: number, ch: number, cl: number): void => {
  rh = (Math.imul(l, ch) + Math.imul(h, cl) + upper(l, cl)) | 0
  rl = Math.imul(l, cl)
}

const rotate = (h: number, l: number, by: number): void => {
  if (by < 32) {
    rh = (h << by) | (l >>> (32 - by))
    rl = (l << by) | (h >>> (32 - by))
  } else {
    const rest = by - 32
    rh = rest === 0 ? l : (l << rest) | (h >>> (32 - rest))
    rl = rest === 0 ? h : (h << rest) | (l >>> (32 - rest))
  }
}

const add = (ah: number, al: number, bh: number, bl: number): void => {
  const low = (al >>> 0) + (bl >>> 0)
  rh = (ah + bh + (low > 0xffffffff ? 1 : 0)) | 0
  rl = low | 0
}

const mix = (h: number, l: number): void => {
  // x ^= x >>> 33 keeps the high word.
  l ^= h >>> 1
  multiply(h, l, 0xff51afd7 | 0, 0xed558ccd | 0)
  multiply(rh, rl ^ (rh >>> 1), 0xc4ceb9fe | 0, 0x1a85ec53)
  rl ^= rh >>> 1
}

const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)

const partial = (bytes: Uint8Array, at: number, end: number): number => {
  let value = 0
  for (let i = Math.min(at + 4, end) - 1; i >= at; i--) value = (value << 8) | bytes[i]!
  return value
}

/** Hashes the first `length` bytes. */
export const hash = (bytes: Uint8Array, length: number, out: HashWords): void => {
  let ah = 0
  let al = 0
  let bh = 0
  let bl = 0
  const body = length & ~15
  for (let at = 0; at < body; at += 16) {
    multiply(word(bytes, at + 4), word(bytes, at), C1H, C1L)
    rotate(rh, rl, 31)
    multiply(rh, rl, C2H, C2L)
    rotate(ah ^ rh, al ^ rl, 27)
    add(rh, rl, bh, bl)
    multiply(rh, rl, 0, 5)
    add(rh, rl, 0, 0x52dce729)
    ah = rh
    al = rl
    multiply(word(bytes, at + 12), word(bytes, at + 8), C2H, C2L)
    rotate(rh, rl, 33)
    multiply(rh, rl, C1H, C1L)
    rotate(bh ^ rh, bl ^ rl, 31)
    add(rh, rl, ah, al)
    multiply(rh, rl, 0, 5)
    add(rh, rl, 0, 0x38495ab5)
    bh = rh
    bl = rl
  }
  const tail = length - body
  if (tail > 8) {
    multiply(partial(bytes, body + 12, length), partial(bytes, body + 8, length), C2H, C2L)
    rotate(rh, rl, 33)
    multiply(rh, rl, C1H, C1L)
    bh ^= rh
    bl ^= rl
  }
  if (tail > 0) {
    multiply(partial(bytes, body + 4, length), partial(bytes, body, length), C1H, C1L)
    rotate(rh, rl, 31)
    multiply(rh, rl, C2H, C2L)
    ah ^= rh
    al ^= rl
  }
  al ^= length
  bl ^= length
  add(ah, al, bh, bl)
  ah = rh
  al = rl
  add(bh, bl, ah, al)
  bh = rh
  bl = rl
  mix(ah, al)
  ah = rh
  al = rl
  mix(bh, bl)
  add(ah, al, rh, rl)
  out.hi = rh
  out.lo = rl
}
