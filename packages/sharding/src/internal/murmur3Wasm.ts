/**
 * Murmur3 in WebAssembly. See ../Murmur3.ts for what it computes and ../../wasm/murmur3.ts for its source.
 *
 * The memory never grows, so its buffer is never detached:
 *
 *        0 .. 3        low word of the last token
 *       64 .. 65599    keys that are copied in
 *   131072 .. end      key buffers, in pieces of 64 bytes; the last 64 bytes stay free, since the module reads past keys
 */
import { TokenWords } from "../Token.ts"
import { hashInto as hashInJs } from "./murmur3Js.ts"
import { base64 } from "./murmur3Module.ts"

interface Exports {
  readonly memory: WebAssembly.Memory
  /** Returns the high word, leaves the low word at address 0. */
  readonly hash: (at: number, length: number) => number
  readonly hashWords: (length: number, a: number, b: number, c: number, d: number) => number
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

const copyAt = 64
/** The greatest key that is copied; any other is hashed in JavaScript. Servers refuse keys beyond 65535 bytes. */
const copyLimit = 65536
/** From here on one `set` beats copying word by word, though it needs a view of the key. */
const setFrom = 128
const pieceBits = 6
const pieceSize = 1 << pieceBits

// Constants of the module, not of a closure: the engine folds them into the code of hashInto.
const exports = instantiate()
const buffer = exports?.memory.buffer ?? new ArrayBuffer(0)
const memory8 = new Uint8Array(buffer)
const memory32 = new Int32Array(buffer)
const hash = exports?.hash ?? (() => 0)
const hashWords = exports?.hashWords ?? (() => 0)

/**
 * The key buffer that starts at piece `i` of the memory.
 *
 * `owners[bytes.byteOffset >>> pieceBits] === bytes` tells a key buffer from any other array in 3 ns, where asking for
 * `bytes.buffer` takes 20 (a call into the engine, which has to make one for small arrays).
 */
const owners: Array<Uint8Array | undefined> = Array.from({ length: buffer.byteLength >>> pieceBits }, () => undefined)
let free = 2 * 65536

/** The class of key buffers: a plain array outside Node and its like. */
const NodeBuffer = (globalThis as { readonly Buffer?: BufferConstructor }).Buffer

/** A zeroed buffer of its own. */
export const plainBuffer = (size: number): Buffer =>
  NodeBuffer === undefined ? new Uint8Array(size) as Buffer : NodeBuffer.alloc(size)

/** A buffer in the module's memory, `undefined` when there is none (left). */
export const keyBuffer = (size: number): Buffer | undefined => {
  if (!(Number.isInteger(size) && size > 0 && size <= buffer.byteLength - pieceSize - free)) return undefined
  const made = NodeBuffer === undefined
    ? new Uint8Array(buffer, free, size) as Buffer
    : NodeBuffer.from(buffer, free, size)
  owners[free >>> pieceBits] = made
  free = (free + size + pieceSize - 1) & -pieceSize
  return made
}

/*
 * One function per way to hash a key that lies elsewhere, and no helper inside: each is compiled as a whole, whatever
 * else a program hashes. (As one function it ran out of what the engine will inline, and took twice as long.)
 */

const hash16 = (bytes: Uint8Array, at: number): number =>
  hashWords(
    16,
    bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
    bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24),
    bytes[at + 8]! | (bytes[at + 9]! << 8) | (bytes[at + 10]! << 16) | (bytes[at + 11]! << 24),
    bytes[at + 12]! | (bytes[at + 13]! << 8) | (bytes[at + 14]! << 16) | (bytes[at + 15]! << 24)
  )

const hash8 = (bytes: Uint8Array, at: number): number =>
  hashWords(
    8,
    bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
    bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24),
    0,
    0
  )

const hash4 = (bytes: Uint8Array, at: number): number =>
  hashWords(4, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24), 0, 0, 0)

const hashCopy = (bytes: Uint8Array, offset: number, length: number): number => {
  let from = offset
  let to = copyAt >>> 2
  const words = to + (length >>> 2)
  while (to < words) {
    memory32[to++] = bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24)
    from += 4
  }
  to <<= 2
  for (const end = offset + length; from < end; from++) memory8[to++] = bytes[from]!
  return hash(copyAt, length)
}

const hashLong = (bytes: Uint8Array, offset: number, length: number): number => {
  memory8.set(bytes.subarray(offset, offset + length), copyAt)
  return hash(copyAt, length)
}

/** As `hashInto` of murmur3Js.ts; only where {@link isAvailable}. */
export const hashInto = (bytes: Uint8Array, offset: number, length: number, out: TokenWords): void => {
  const start = bytes.byteOffset
  if (owners[start >>> pieceBits] === bytes && (offset | length) >= 0 && offset + length <= bytes.length) {
    out.hi = hash(start + offset, length)
  } else if (length === 16) {
    // Keys of one uuid, bigint or int go in as arguments.
    out.hi = hash16(bytes, offset)
  } else if (length === 8) {
    out.hi = hash8(bytes, offset)
  } else if (length === 4) {
    out.hi = hash4(bytes, offset)
  } else if (length >>> 0 < setFrom) {
    out.hi = hashCopy(bytes, offset, length)
  } else if (length <= copyLimit && offset >= 0 && offset + length <= bytes.length) {
    out.hi = hashLong(bytes, offset, length)
  } else {
    hashInJs(bytes, offset, length, out)
    return
  }
  out.lo = memory32[0]!
}

/** Every way through {@link hashInto} once, compared with JavaScript: a machine of the other byte order is found here. */
const check = (): boolean => {
  if (exports === undefined) return false
  try {
    const bytes = Uint8Array.from({ length: 200 }, (_, i) => i * 37 + 11)
    const key = keyBuffer(bytes.length)!
    key.set(bytes)
    const expected = new TokenWords()
    const actual = new TokenWords()
    for (const length of [0, 1, 4, 7, 8, 11, 16, 29, 150]) {
      hashInJs(bytes, 3, length, expected)
      for (const source of [bytes, key]) {
        hashInto(source, 3, length, actual)
        if (actual.hi !== expected.hi || actual.lo !== expected.lo) return false
      }
    }
    return true
  } catch {
    return false
  }
}

export const isAvailable: boolean = check()
