import type { Buffer } from "node:buffer"

/** Node's own UTF-8 primitives: public at run time and several times cheaper than `toString` and `write`, but untyped. */
export interface FastBuffer extends Buffer {
  utf8Slice(start: number, end: number): string
  utf8Write(text: string, offset: number): number
}

/** A copy that owns its storage and is a plain `Uint8Array` (`slice` of a `Buffer` would give a `Buffer`). */
export const copyBytes = (bytes: Buffer, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + end) as ArrayBuffer)
