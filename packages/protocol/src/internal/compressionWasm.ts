/**
 * The LZ4 and Snappy blocks of CQL in WebAssembly. See ../../wasm/compression.ts for the source.
 *
 * The memory never grows, so its buffer is never detached; what is not touched costs no memory of the machine:
 *
 *       0 .. 16 KiB   the hash table of the compressor
 *   64 KiB .. end     a source, behind it its destination, 64 free bytes behind each
 *
 * What does not fit goes the way of plain JavaScript.
 */
import type { Buffer } from "node:buffer"
import * as js from "./compressionJs.ts"
import { base64 } from "./compressionModule.ts"
import { allocate } from "./fastBuffer.ts"

interface Exports {
  readonly memory: WebAssembly.Memory
  readonly lz4Decompress: (at: number, end: number, to: number, size: number) => number
  readonly snappyDecompress: (at: number, end: number, to: number, size: number) => number
  readonly compress: (from: number, length: number, to: number, snappy: number) => number
}

const instantiate = (): Exports | undefined => {
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
    return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as Exports
  } catch {
    // No WebAssembly (it is off with --jitless), forbidden by a policy, or no address space for its memory.
    return undefined
  }
}

/** Bytes that a block of `length` bytes has at most: the worse of both formats' bounds, and a few more. */
export const worst = (length: number): number => 32 + length + Math.floor(length / 6)

/** How blocks are made and read: in WebAssembly or in JavaScript, with the same results. */
export interface Blocks {
  /** A block of `length` bytes at `offset`, behind `head` bytes that the caller fills. */
  compress(src: Uint8Array, offset: number, length: number, head: number, snappy: boolean): Uint8Array
  /** Exactly `size` bytes of the block `[at, end)`; `undefined` when it is corrupt. */
  decompress(src: Uint8Array, at: number, end: number, size: number, snappy: boolean): Uint8Array | undefined
  /** The same, to `to` of `out`. Answers whether it is sound; when not, what lies there is undefined. */
  decompressInto(
    src: Uint8Array,
    at: number,
    end: number,
    out: Uint8Array,
    to: number,
    size: number,
    snappy: boolean
  ): boolean
}

/** Made once: what is compressed at a time is short, and pages of the same size come again and again. */
let scratch = new Uint8Array(0)
const keptScratch = 1 << 20

export const javascript: Blocks = {
  compress(src, offset, length, head, snappy) {
    const needed = head + worst(length)
    let out = scratch
    if (out.length < needed) {
      out = new Uint8Array(needed)
      if (needed <= keptScratch) scratch = out
    }
    return out.slice(0, js.compress(src, offset, length, out, head, snappy))
  },
  decompress(src, at, end, size, snappy) {
    const out = new Uint8Array(size)
    return javascript.decompressInto(src, at, end, out, 0, size, snappy) ? out : undefined
  },
  decompressInto(src, at, end, out, to, size, snappy) {
    return snappy ? js.snappyDecompress(src, at, end, out, to, size) : js.lz4Decompress(src, at, end, out, to, size)
  }
}

const sourceAt = 65_536
const slack = 64

/** Short results share storage, as those of `Buffer.allocUnsafe` do: to allocate one costs more than to decode 4 KiB. */
const slabSize = 65_536
const largestPiece = 8192

const wasm = (exports: Exports): Blocks => {
  const memory = new Uint8Array(exports.memory.buffer)
  const room = memory.length - sourceAt - 3 * slack
  const { compress, lz4Decompress, snappyDecompress } = exports

  let slab = allocate(slabSize)
  let used = 0

  /** A copy of `[start, end)` of the memory: several times as fast as `slice`, which zeroes what it fills. */
  const take = (start: number, end: number): Uint8Array => {
    const size = end - start
    let out: Buffer
    if (size > largestPiece) out = allocate(size)
    else {
      if (used + size > slabSize) {
        slab = allocate(slabSize)
        used = 0
      }
      out = slab.subarray(used, used + size)
      // The next one begins at a multiple of eight.
      used = (used + size + 7) & -8
    }
    out.set(memory.subarray(start, end))
    return out
  }

  /** Copies a source in and answers where its destination begins. */
  const load = (src: Uint8Array, at: number, length: number): number => {
    memory.set(at === 0 && length === src.length ? src : src.subarray(at, at + length), sourceAt)
    return (sourceAt + length + 2 * slack - 1) & -slack
  }

  return {
    compress(src, offset, length, head, snappy) {
      if (length + head + worst(length) > room) return javascript.compress(src, offset, length, head, snappy)
      const to = load(src, offset, length)
      return take(to, compress(sourceAt, length, to + head, snappy ? 1 : 0))
    },
    decompress(src, at, end, size, snappy) {
      const length = end - at
      if (length + size > room) return javascript.decompress(src, at, end, size, snappy)
      const to = load(src, at, length)
      const sound = (snappy ? snappyDecompress : lz4Decompress)(sourceAt, sourceAt + length, to, size)
      return sound === 1 ? take(to, to + size) : undefined
    },
    decompressInto(src, at, end, out, to, size, snappy) {
      const length = end - at
      if (length + size > room) return javascript.decompressInto(src, at, end, out, to, size, snappy)
      const from = load(src, at, length)
      const sound = (snappy ? snappyDecompress : lz4Decompress)(sourceAt, sourceAt + length, from, size)
      if (sound === 1) out.set(memory.subarray(from, from + size), to)
      return sound === 1
    }
  }
}

/** In WebAssembly; `undefined` where there is none. Made anew by each call, memory and all. */
export const webassembly = (): Blocks | undefined => {
  const exports = instantiate()
  return exports === undefined ? undefined : wasm(exports)
}

let chosen: Blocks | undefined

/** The one to use: chosen by the first call, since a process that does not compress need not have it. */
export const blocks = (): Blocks => (chosen ??= webassembly() ?? javascript)
