/**
 * The LZ4 and Snappy blocks of CQL in plain JavaScript, for where there is no WebAssembly and for what its memory does not
 * hold. The same steps as ../../wasm/compression.ts, which see for the formats, and the same bytes.
 */

const hashBits = 12
const table = new Int32Array(1 << hashBits)
/** Positions are counted on from call to call, so the table needs no clearing. */
let epoch = 1

const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)

/** Copies forward byte by byte, as an overlapping match demands. */
const copyWithin = (bytes: Uint8Array, to: number, from: number, length: number): void => {
  if (to - from >= length && length > 32) {
    bytes.copyWithin(to, from, from + length)
    return
  }
  for (const end = to + length; to < end;) bytes[to++] = bytes[from++]!
}

const copy = (to: Uint8Array, at: number, from: Uint8Array, start: number, length: number): void => {
  if (length > 32) to.set(from.subarray(start, start + length), at)
  else for (let i = 0; i < length; i++) to[at + i] = from[start + i]!
}

/** Decodes the block `[at, end)` of `src` to exactly `size` bytes at `to` of `out`; `false` when it is corrupt. */
export const lz4Decompress = (
  src: Uint8Array,
  at: number,
  end: number,
  out: Uint8Array,
  to: number,
  size: number
): boolean => {
  const start = to
  const limit = to + size
  while (at < end) {
    const token = src[at++]!
    let literals = token >> 4
    if (literals === 15) {
      let more: number
      do {
        if (at >= end) return false
        more = src[at++]!
        literals += more
      } while (more === 255 && literals <= size)
    }
    if (literals > end - at || literals > limit - to) return false
    copy(out, to, src, at, literals)
    at += literals
    to += literals
    if (at === end) return to === limit
    if (end - at < 2) return false
    const distance = src[at]! | (src[at + 1]! << 8)
    at += 2
    let length = token & 15
    if (length === 15) {
      let more: number
      do {
        if (at >= end) return false
        more = src[at++]!
        length += more
      } while (more === 255 && length <= size)
    }
    length += 4
    if (distance === 0 || distance > to - start || length > limit - to) return false
    copyWithin(out, to, to - distance, length)
    to += length
  }
  return false
}

/** Decodes the elements `[at, end)` of `src` to exactly `size` bytes at `to` of `out`; `false` when they are corrupt. */
export const snappyDecompress = (
  src: Uint8Array,
  at: number,
  end: number,
  out: Uint8Array,
  to: number,
  size: number
): boolean => {
  const start = to
  const limit = to + size
  while (at < end) {
    const tag = src[at++]!
    const kind = tag & 3
    if (kind === 0) {
      let length = tag >> 2
      if (length >= 60) {
        const bytes = length - 59
        if (end - at < bytes) return false
        length = 0
        for (let i = bytes - 1; i >= 0; i--) length = length * 256 + src[at + i]!
        at += bytes
      }
      length++
      if (length > end - at || length > limit - to) return false
      copy(out, to, src, at, length)
      at += length
      to += length
      continue
    }
    let length: number
    let distance: number
    if (kind === 1) {
      if (at >= end) return false
      length = 4 + ((tag >> 2) & 7)
      distance = ((tag >> 5) << 8) | src[at++]!
    } else {
      const bytes = kind === 2 ? 2 : 4
      if (end - at < bytes) return false
      length = 1 + (tag >> 2)
      distance = kind === 2 ? src[at]! | (src[at + 1]! << 8) : word(src, at)
      at += bytes
    }
    if (distance <= 0 || distance > to - start || length > limit - to) return false
    copyWithin(out, to, to - distance, length)
    to += length
  }
  return to === limit
}

const lz4Rest = (out: Uint8Array, to: number, rest: number): number => {
  for (; rest >= 255; rest -= 255) out[to++] = 255
  out[to++] = rest
  return to
}

type Sequence = (
  src: Uint8Array,
  anchor: number,
  literals: number,
  out: Uint8Array,
  to: number,
  distance: number,
  length: number
) => number

/** Writes literals and, unless `length` is 0, a match. */
const lz4Sequence: Sequence = (src, anchor, literals, out, to, distance, length) => {
  const token = to++
  let bits = literals << 4
  if (literals >= 15) {
    bits = 0xf0
    to = lz4Rest(out, to, literals - 15)
  }
  copy(out, to, src, anchor, literals)
  to += literals
  if (length > 0) {
    out[to++] = distance
    out[to++] = distance >> 8
    if (length < 19) bits |= length - 4
    else {
      bits |= 15
      to = lz4Rest(out, to, length - 19)
    }
  }
  out[token] = bits
  return to
}

const snappySequence: Sequence = (src, anchor, literals, out, to, distance, length) => {
  if (literals > 0) {
    const n = literals - 1
    if (n < 60) out[to++] = n << 2
    else {
      const bytes = n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x1000000 ? 3 : 4
      out[to++] = (59 + bytes) << 2
      for (let i = 0; i < bytes; i++) out[to++] = n >>> (8 * i)
    }
    copy(out, to, src, anchor, literals)
    to += literals
  }
  while (length > 64) {
    const part = length >= 68 ? 64 : 60
    out[to++] = ((part - 1) << 2) | 2
    out[to++] = distance
    out[to++] = distance >> 8
    length -= part
  }
  if (length > 0) {
    if (length < 12 && distance < 2048) {
      out[to++] = ((distance >> 8) << 5) | ((length - 4) << 2) | 1
      out[to++] = distance
    } else {
      out[to++] = ((length - 1) << 2) | 2
      out[to++] = distance
      out[to++] = distance >> 8
    }
  }
  return to
}

/** Compresses `length` bytes at `from` of `src`, which has room for the worst case; answers where the output ends. */
export const compress = (
  src: Uint8Array,
  from: number,
  length: number,
  out: Uint8Array,
  to: number,
  snappy: boolean
): number => {
  const sequence = snappy ? snappySequence : lz4Sequence
  const end = from + length
  let anchor = from
  if (length > 12) {
    const last = end - 12
    const bound = end - 5
    if (epoch > 0x7fffffff - length) {
      table.fill(0)
      epoch = 1
    }
    const base = from - epoch
    let at = from
    table[Math.imul(word(src, at), 0x9e3779b1) >>> (32 - hashBits)] = at - base
    at++
    let tries = 64
    while (at <= last) {
      const here = word(src, at)
      const slot = Math.imul(here, 0x9e3779b1) >>> (32 - hashBits)
      let match = table[slot]! + base
      table[slot] = at - base
      if (match < from || at - match > 65535 || word(src, match) !== here) {
        at += tries++ >> 6
        continue
      }
      tries = 64
      while (at > anchor && match > from && src[at - 1] === src[match - 1]) {
        at--
        match--
      }
      const distance = at - match
      const begin = at
      at += 4
      while (at < bound && src[at] === src[at - distance]) at++
      to = sequence(src, anchor, begin - anchor, out, to, distance, at - begin)
      anchor = at
      if (at <= last) table[Math.imul(word(src, at - 2), 0x9e3779b1) >>> (32 - hashBits)] = at - 2 - base
    }
    epoch += length
  }
  return sequence(src, anchor, end - anchor, out, to, 0, 0)
}
