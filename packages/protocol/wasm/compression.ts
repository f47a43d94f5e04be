/*
 * The LZ4 and Snappy blocks of CQL in AssemblyScript: compiled by build.mjs to src/internal/compressionModule.ts.
 *
 * Formats: lz4_Block_format.md of lz4, format_description.txt of snappy. src/internal/compressionJs.ts is the same code
 * in JavaScript and gives the same bytes; change both.
 *
 * Copies go in steps of 8 and 16 bytes, so up to 32 bytes past the end of a source are read and past the end of a
 * destination written: the caller leaves 64 free behind each. Lengths and distances that the input asks for are checked
 * before anything is copied. Sources and destinations lie below 16 MiB, so no sum of theirs overflows.
 */

/** The hash table of the compressor lies at address 0: positions, counted on from call to call, so none needs clearing. */
const hashBits: u32 = 12
const tableSize: i32 = 4 << hashBits
let epoch: i32 = 1

function slot(word: u32): i32 {
  return ((word * 2654435761) >> (32 - hashBits)) << 2
}

/** Copies `length` bytes in steps of 16; `from` and `to` are at least that far apart, or `to` is below `from`. */
function copy16(to: i32, from: i32, length: i32): void {
  const end = to + length
  do {
    store<u64>(to, load<u64>(from))
    store<u64>(to, load<u64>(from, 8), 8)
    to += 16
    from += 16
  } while (to < end)
}

/** Repeats what lies `distance` bytes before `to`, as a match says. */
function repeat(to: i32, distance: i32, length: i32): void {
  if (distance >= 16) {
    copy16(to, to - distance, length)
    return
  }
  const end = to + length
  if (distance < 8) {
    // The first eight bytes one by one; then a multiple of the period, that is eight or more, serves as well.
    const from = to - distance
    for (let i = 0; i < 8; i++) store<u8>(to + i, load<u8>(from + i))
    to += 8
    distance *= (7 + distance) / distance
  }
  while (to < end) {
    store<u64>(to, load<u64>(to - distance))
    to += 8
  }
}

/** Decodes the block `[at, end)` to exactly `size` bytes at `to`; 0 when it is corrupt. */
export function lz4Decompress(at: i32, end: i32, to: i32, size: i32): i32 {
  const start = to
  const limit = to + size
  while (at < end) {
    const token = i32(load<u8>(at++))
    let literals = token >> 4
    if (literals == 15) {
      let more: i32
      do {
        if (at >= end) return 0
        more = i32(load<u8>(at++))
        literals += more
      } while (more == 255 && literals <= size)
    }
    if (literals > end - at || literals > limit - to) return 0
    if (literals > 0) {
      copy16(to, at, literals)
      at += literals
      to += literals
    }
    // The last sequence has no match.
    if (at == end) return i32(to == limit)
    if (end - at < 2) return 0
    const distance = i32(load<u16>(at))
    at += 2
    let length = token & 15
    if (length == 15) {
      let more: i32
      do {
        if (at >= end) return 0
        more = i32(load<u8>(at++))
        length += more
      } while (more == 255 && length <= size)
    }
    length += 4
    if (distance == 0 || distance > to - start || length > limit - to) return 0
    repeat(to, distance, length)
    to += length
  }
  return 0
}

/** Decodes the elements `[at, end)`, that follow the length, to exactly `size` bytes at `to`; 0 when they are corrupt. */
export function snappyDecompress(at: i32, end: i32, to: i32, size: i32): i32 {
  const start = to
  const limit = to + size
  while (at < end) {
    const tag = i32(load<u8>(at++))
    const kind = tag & 3
    if (kind == 0) {
      let length = tag >> 2
      if (length >= 60) {
        const bytes = length - 59
        if (end - at < bytes) return 0
        // Behind the source is room to read four bytes.
        length = load<i32>(at) & i32(<u32> -1 >> ((4 - bytes) << 3))
        at += bytes
        // Negative: 2 GiB and more.
        if (length < 0 || length >= size) return 0
      }
      length++
      if (length > end - at || length > limit - to) return 0
      copy16(to, at, length)
      at += length
      to += length
      continue
    }
    let length: i32
    let distance: i32
    if (kind == 1) {
      if (at >= end) return 0
      length = 4 + ((tag >> 2) & 7)
      distance = ((tag >> 5) << 8) | i32(load<u8>(at++))
    } else {
      const bytes = kind == 2 ? 2 : 4
      if (end - at < bytes) return 0
      length = 1 + (tag >> 2)
      distance = kind == 2 ? i32(load<u16>(at)) : load<i32>(at)
      at += bytes
    }
    if (distance <= 0 || distance > to - start || length > limit - to) return 0
    repeat(to, distance, length)
    to += length
  }
  return i32(to == limit)
}

/** LZ4's continuation of a length that is 15 or more. */
function lz4Rest(to: i32, rest: i32): i32 {
  while (rest >= 255) {
    store<u8>(to++, 255)
    rest -= 255
  }
  store<u8>(to++, rest)
  return to
}

/** Writes literals and, unless `length` is 0, a match. */
function lz4Sequence(to: i32, anchor: i32, literals: i32, distance: i32, length: i32): i32 {
  const token = to++
  let bits: i32
  if (literals < 15) bits = literals << 4
  else {
    bits = 0xf0
    to = lz4Rest(to, literals - 15)
  }
  if (literals > 0) {
    copy16(to, anchor, literals)
    to += literals
  }
  if (length > 0) {
    store<u16>(to, distance)
    to += 2
    length -= 4
    if (length < 15) bits |= length
    else {
      bits |= 15
      to = lz4Rest(to, length - 15)
    }
  }
  store<u8>(token, bits)
  return to
}

function snappySequence(to: i32, anchor: i32, literals: i32, distance: i32, length: i32): i32 {
  if (literals > 0) {
    const n = literals - 1
    if (n < 60) store<u8>(to++, n << 2)
    else {
      const bytes = n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x1000000 ? 3 : 4
      store<u8>(to++, (59 + bytes) << 2)
      store<i32>(to, n)
      to += bytes
    }
    copy16(to, anchor, literals)
    to += literals
  }
  // A copy is of 64 bytes at most; none of less than 4 is left over.
  while (length >= 68) {
    store<u8>(to, (63 << 2) | 2)
    store<u16>(to, distance, 1)
    to += 3
    length -= 64
  }
  if (length > 64) {
    store<u8>(to, (59 << 2) | 2)
    store<u16>(to, distance, 1)
    to += 3
    length -= 60
  }
  if (length > 0) {
    if (length < 12 && distance < 2048) {
      store<u8>(to, ((distance >> 8) << 5) | ((length - 4) << 2) | 1)
      store<u8>(to, distance, 1)
      to += 2
    } else {
      store<u8>(to, ((length - 1) << 2) | 2)
      store<u16>(to, distance, 1)
      to += 3
    }
  }
  return to
}

/** Compresses `length` bytes at `from`; answers where the output at `to` ends. */
export function compress(from: i32, length: i32, to: i32, snappy: bool): i32 {
  const end = from + length
  let anchor = from
  // The last match begins 12 bytes before the end at the latest, and the last 5 bytes are literals (LZ4's rules).
  const last = end - 12
  if (length > 12) {
    if (epoch > 0x7fffffff - length) {
      memory.fill(0, 0, tableSize)
      epoch = 1
    }
    const base = from - epoch
    let at = from
    store<i32>(slot(load<u32>(at)), at - base)
    at++
    // Grows while nothing is found: the longer, the larger the steps.
    let tries = 64
    while (at <= last) {
      const word = load<u32>(at)
      const entry = slot(word)
      let match = load<i32>(entry) + base
      store<i32>(entry, at - base)
      if (match < from || at - match > 65535 || load<u32>(match) != word) {
        at += tries++ >> 6
        continue
      }
      tries = 64
      while (at > anchor && match > from && load<u8>(at - 1) == load<u8>(match - 1)) {
        at--
        match--
      }
      const distance = at - match
      const literals = at - anchor
      const begin = at
      const bound = end - 5
      at += 4
      while (at < bound) {
        const difference = load<u64>(at) ^ load<u64>(at - distance)
        if (difference != 0) {
          at += i32(ctz(difference) >> 3)
          break
        }
        at += 8
      }
      if (at > bound) at = bound
      to = snappy
        ? snappySequence(to, anchor, literals, distance, at - begin)
        : lz4Sequence(to, anchor, literals, distance, at - begin)
      anchor = at
      if (at <= last) store<i32>(slot(load<u32>(at - 2)), at - 2 - base)
    }
    epoch += length
  }
  return snappy ? snappySequence(to, anchor, end - anchor, 0, 0) : lz4Sequence(to, anchor, end - anchor, 0, 0)
}
