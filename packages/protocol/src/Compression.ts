/**
 * Compression of bodies with LZ4 and Snappy (native_protocol_v4.spec section 5), and the bare LZ4 blocks of v5 segments.
 *
 * The codecs are a WebAssembly module of 2 KiB, made from `wasm/compression.ts` by `scripts/build-wasm.mjs`, and the same in plain
 * JavaScript where there is none, and for what its 8 MiB of memory do not hold. What was never used of them costs nothing.
 *
 * A frame says by `Frame.Flags.COMPRESSION` whether its body is compressed; it is obeyed frame by frame, since servers
 * never compress some of them (events, errors of the connection) and compress others however short they are.
 *
 * Whatever the bytes, decompression ends in a value or in a `DecodeError`. Nothing is allocated before the declared length
 * has passed the limit and is one that so many compressed bytes can make.
 *
 * @since 0.1.0
 */
import { blocks } from "./internal/compressionWasm.ts"
import { DecodeError } from "./ProtocolError.ts"

/**
 * Compresses and decompresses bodies of frames. `name` is the value of `COMPRESSION` in STARTUP.
 *
 * The arrays that are answered are the caller's own. Both throw a `RangeError` where `[offset, offset + length)` is not a
 * part of `src`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Compressor {
  /** The value of `COMPRESSION` in STARTUP. */
  readonly name: "lz4" | "snappy"
  /** The compressed form of `length` bytes at `offset`. */
  compress(src: Uint8Array, offset: number, length: number): Uint8Array
  /** What `length` compressed bytes at `offset` stand for; a `DecodeError` if they are corrupt or make over `limit` bytes. */
  decompress(src: Uint8Array, offset: number, length: number, limit: number): Uint8Array
  /** How many bytes that are said to be; a `DecodeError` if so few cannot make them, or if they are over `limit`. */
  decompressedLength(src: Uint8Array, offset: number, length: number, limit: number): number
  /**
   * As `decompress`, to the begin of `out`, whose first `size` bytes are what `decompressedLength` answered. What they hold
   * after a `DecodeError` is not defined; behind them nothing is written.
   */
  decompressInto(src: Uint8Array, offset: number, length: number, out: Uint8Array, size: number): void
}

/**
 * Compressed bytes times this are the most that an LZ4 block makes: a byte that lengthens a run stands for 255
 * (lz4_Block_format.md).
 */
const LZ4_RATIO = 255

/** The same of Snappy: a copy of three bytes makes 64 (format_description.txt). */
const SNAPPY_RATIO = 64 / 3

const checkRange = (src: Uint8Array, offset: number, length: number): void => {
  if (
    !(Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0) ||
    offset + length > src.length
  ) {
    throw new RangeError(`no ${length} bytes at ${offset} of ${src.length}`)
  }
}

const corrupt = (name: string, length: number, size: number): DecodeError =>
  new DecodeError({ message: `a corrupt ${name} block: ${length} bytes that are said to make ${size}` })

/** Refuses a declared size over the limit, and one that so few bytes cannot make. */
const checkSize = (name: string, length: number, size: number, limit: number, ratio: number): void => {
  // So that a limit that is no number limits, too.
  if (!(size <= limit)) {
    throw new DecodeError({ message: `${size} bytes, ${name}-compressed, are over the bound of ${limit} bytes` })
  }
  if (size > length * ratio) throw corrupt(name, length, size)
}

/**
 * A bare LZ4 block, as in v5 segments.
 *
 * @category LZ4
 * @since 0.1.0
 */
export const lz4CompressBlock = (src: Uint8Array, offset: number, length: number): Uint8Array => {
  checkRange(src, offset, length)
  return blocks().compress(src, offset, length, 0, false)
}

/**
 * The bytes of a bare LZ4 block, whose number is known from elsewhere. Throws `DecodeError` if it makes any other number.
 *
 * The length is believed as far as the block can make it: whoever takes it from a peer bounds it first.
 *
 * @category LZ4
 * @since 0.1.0
 */
export const lz4DecompressBlock = (
  src: Uint8Array,
  offset: number,
  length: number,
  uncompressedLength: number
): Uint8Array => {
  checkRange(src, offset, length)
  if (!(Number.isInteger(uncompressedLength) && uncompressedLength >= 0)) {
    throw new RangeError(`not a length: ${uncompressedLength}`)
  }
  checkSize("lz4", length, uncompressedLength, 0x7fffffff, LZ4_RATIO)
  const out = blocks().decompress(src, offset, offset + length, uncompressedLength, false)
  if (out === undefined) throw corrupt("lz4", length, uncompressedLength)
  return out
}

/**
 * As {@link lz4DecompressBlock}, to `to` of `out`, which has room for `uncompressedLength` bytes there. What `out` holds
 * there after a `DecodeError` is not defined; outside of it nothing is written.
 *
 * @category LZ4
 * @since 0.1.0
 */
export const lz4DecompressBlockInto = (
  src: Uint8Array,
  offset: number,
  length: number,
  out: Uint8Array,
  to: number,
  uncompressedLength: number
): void => {
  checkRange(src, offset, length)
  checkRange(out, to, uncompressedLength)
  checkSize("lz4", length, uncompressedLength, 0x7fffffff, LZ4_RATIO)
  if (!blocks().decompressInto(src, offset, offset + length, out, to, uncompressedLength, false)) {
    throw corrupt("lz4", length, uncompressedLength)
  }
}

/** The uncompressed length in front of a v4 body: four bytes, big endian. */
const LZ4_HEAD = 4

/**
 * LZ4 as bodies of v4 have it: the length of the uncompressed bytes in four bytes, big endian, and a block.
 *
 * @category compressors
 * @since 0.1.0
 */
export const lz4: Compressor = {
  name: "lz4",
  compress(src, offset, length) {
    checkRange(src, offset, length)
    const out = blocks().compress(src, offset, length, LZ4_HEAD, false)
    out[0] = length >>> 24
    out[1] = length >>> 16
    out[2] = length >>> 8
    out[3] = length
    return out
  },
  decompress(src, offset, length, limit) {
    const size = lz4.decompressedLength(src, offset, length, limit)
    const out = blocks().decompress(src, offset + LZ4_HEAD, offset + length, size, false)
    if (out === undefined) throw corrupt("lz4", length - LZ4_HEAD, size)
    return out
  },
  decompressedLength(src, offset, length, limit) {
    checkRange(src, offset, length)
    if (length < LZ4_HEAD) throw new DecodeError({ message: `an lz4 body of ${length} bytes has no length` })
    const size = ((src[offset]! << 24) | (src[offset + 1]! << 16) | (src[offset + 2]! << 8) | src[offset + 3]!) >>> 0
    checkSize("lz4", length - LZ4_HEAD, size, limit, LZ4_RATIO)
    return size
  },
  decompressInto(src, offset, length, out, size) {
    lz4DecompressBlockInto(src, offset + LZ4_HEAD, length - LZ4_HEAD, out, 0, size)
  }
}

/** Bytes of the length in front of a snappy body: seven bits each, the last one's high bit is off. */
const snappyHead = (src: Uint8Array, offset: number, length: number): number => {
  const end = offset + length
  let at = offset
  do {
    // Five bytes at most, since lengths are below 2^32.
    if (at === end || at === offset + 5) throw new DecodeError({ message: "a snappy body has no sound length" })
  } while (src[at++]! >= 0x80)
  return at - offset
}

/**
 * Snappy's raw format, as bodies of v4 have it: the length of the uncompressed bytes as a varint, and elements.
 *
 * @category compressors
 * @since 0.1.0
 */
export const snappy: Compressor = {
  name: "snappy",
  compress(src, offset, length) {
    checkRange(src, offset, length)
    // Seven bits a byte, the low ones first; a byte that is not the last has its high bit set.
    let head = 1
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) head++
    const out = blocks().compress(src, offset, length, head, true)
    let rest = length
    for (let i = 0; i < head; i++, rest >>>= 7) out[i] = (rest & 0x7f) | (i < head - 1 ? 0x80 : 0)
    return out
  },
  decompress(src, offset, length, limit) {
    const size = snappy.decompressedLength(src, offset, length, limit)
    const head = snappyHead(src, offset, length)
    const out = blocks().decompress(src, offset + head, offset + length, size, true)
    if (out === undefined) throw corrupt("snappy", length - head, size)
    return out
  },
  decompressedLength(src, offset, length, limit) {
    checkRange(src, offset, length)
    const head = snappyHead(src, offset, length)
    let size = 0
    for (let i = head - 1; i >= 0; i--) size = size * 128 + (src[offset + i]! & 0x7f)
    checkSize("snappy", length - head, size, limit, SNAPPY_RATIO)
    return size
  },
  decompressInto(src, offset, length, out, size) {
    checkRange(src, offset, length)
    checkRange(out, 0, size)
    const head = snappyHead(src, offset, length)
    if (!blocks().decompressInto(src, offset + head, offset + length, out, 0, size, true)) {
      throw corrupt("snappy", length - head, size)
    }
  }
}
