import type { Buffer } from "node:buffer"
import { NativeBuffer } from "./platform.ts"

/** Node's own primitives: public at run time and several times cheaper than `toString` and `write`, but untyped. */
export interface FastBuffer extends Buffer {
  utf8Slice(start: number, end: number): string
  utf8Write(text: string, offset: number): number
  hexSlice(start: number, end: number): string
  hexWrite(text: string, offset: number): number
  latin1Slice(start: number, end: number): string
}

const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true })
const utf8Encoder = new TextEncoder()
const HEX: ReadonlyArray<string> = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))

/** `String.fromCharCode` takes its characters as arguments, of which there may not be any number. */
const CHUNK = 4096

/** The same over a plain array, for where there is no `Buffer`. Exported for tests, which run where there is one. */
export class WebBuffer extends Uint8Array {
  utf8Slice(start: number, end: number): string {
    return utf8Decoder.decode(this.subarray(start, end))
  }
  utf8Write(text: string, offset: number): number {
    return utf8Encoder.encodeInto(text, this.subarray(offset)).written
  }
  hexSlice(start: number, end: number): string {
    let out = ""
    for (let i = start; i < end; i++) out += HEX[this[i]!]!
    return out
  }
  hexWrite(text: string, offset: number): number {
    const size = text.length >>> 1
    for (let i = 0; i < size; i++) this[offset + i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
    return size
  }
  latin1Slice(start: number, end: number): string {
    let out = ""
    for (let i = start; i < end; i += CHUNK) {
      out += String.fromCharCode(...this.subarray(i, Math.min(end, i + CHUNK)))
    }
    return out
  }
}

/** Storage of its own, what is in it undefined: its `ArrayBuffer` has nothing else. */
export const allocate: (size: number) => FastBuffer = NativeBuffer === undefined
  ? (size) => new WebBuffer(new ArrayBuffer(size)) as unknown as FastBuffer
  : (size) => NativeBuffer!.allocUnsafeSlow(size) as FastBuffer

/** The bytes of an `ArrayBuffer`, not a copy. */
export const bufferOver: (storage: ArrayBufferLike, offset: number, length: number) => FastBuffer =
  NativeBuffer === undefined
    ? (storage, offset, length) => new WebBuffer(storage as ArrayBuffer, offset, length) as unknown as FastBuffer
    : (storage, offset, length) => NativeBuffer!.from(storage as ArrayBuffer, offset, length) as FastBuffer

/** The array itself where it can be, else the same bytes. */
export const asFast = (bytes: Uint8Array): FastBuffer =>
  "utf8Write" in bytes ? bytes as FastBuffer : bufferOver(bytes.buffer, bytes.byteOffset, bytes.length)

/** How many bytes a text takes in UTF-8, a lone surrogate three. Exported for tests, as {@link WebBuffer} is. */
export const measureUtf8 = (text: string): number => {
  let size = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x80) size += 1
    else if (code < 0x800) size += 2
    else {
      size += 3
      const next = (code & 0xfc00) === 0xd800 ? text.charCodeAt(i + 1) : 0
      if ((next & 0xfc00) === 0xdc00) {
        size++
        i++
      }
    }
  }
  return size
}

/** How many bytes a text takes in UTF-8. */
export const utf8Length: (text: string) => number = NativeBuffer === undefined
  ? measureUtf8
  : (text) => NativeBuffer!.byteLength(text)

/** A copy that owns its storage and is a plain `Uint8Array` (`slice` of a `Buffer` would give a `Buffer`). */
export const copyBytes = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + end) as ArrayBuffer)

const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/** From as many floats on, it pays to copy them whole and to swap their bytes (measured: binding 768 takes 0.44 µs for 1.1). */
export const SWAP_FROM = isLittleEndian ? 48 : Infinity

/** {@link swap32} in JavaScript. */
export const swap32Slowly = (bytes: Uint8Array, start: number, end: number): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let i = start; i < end; i += 4) view.setUint32(i, view.getUint32(i, true))
}

/** Turns the four bytes of each 32-bit number round, in place. */
export const swap32: (bytes: Uint8Array, start: number, end: number) => void = NativeBuffer === undefined
  ? swap32Slowly
  : (bytes, start, end) => {
    NativeBuffer!.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, end - start).swap32()
  }
