/**
 * A growing buffer that requests are encoded straight into, in the notations of the native protocol (big endian,
 * native_protocol_v4.spec section 3).
 *
 * @since 0.1.0
 */
import type { Buffer } from "node:buffer"
import { allocate, asFast, copyBytes, type FastBuffer, utf8Length } from "./internal/fastBuffer.ts"
import { isMap } from "./internal/kinds.ts"
import { writeUtf8 } from "./internal/text.ts"
import { EncodeError } from "./ProtocolError.ts"

/**
 * Upper bound of one encoded frame, bytes. Servers refuse more than 256 MiB (Cassandra's `native_transport_max_frame_size`
 * default is smaller still).
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_FRAME = 256 * 1024 * 1024

/**
 * A mutable output buffer: `pos` is the end of what was written, `bytes` may be longer and is replaced when it grows.
 *
 * @category models
 * @since 0.1.0
 */
export class Writer {
  /** The storage. Valid up to `pos`; do not keep it over a write, growing replaces it. */
  bytes: Buffer
  /** A view of `bytes`, for numbers. */
  view: DataView
  /** How many bytes are written. */
  pos = 0
  /** Bytes that it grows to at most. */
  readonly limit: number

  constructor(capacity = 1024, limit = MAX_FRAME) {
    this.bytes = allocate(Math.min(capacity, limit))
    this.view = new DataView(this.bytes.buffer)
    this.limit = limit
  }

  /** A writer that starts in a given buffer; when that is full it goes on in storage of its own. */
  static over(bytes: Uint8Array): Writer {
    const w = new Writer(0)
    w.bytes = asFast(bytes)
    w.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    return w
  }

  /** Makes room for `size` more bytes; throws `EncodeError` past the limit. */
  ensure(size: number): void {
    if (this.pos + size > this.bytes.length) this.grow(size)
  }

  private grow(size: number): void {
    const needed = this.pos + size
    if (needed > this.limit) {
      throw new EncodeError({
        message: `the request is larger than ${this.limit} bytes: split it into smaller statements or values`,
        path: "",
        cqlType: ""
      })
    }
    const next = allocate(Math.min(Math.max(this.bytes.length * 2, needed), this.limit))
    next.set(this.bytes.subarray(0, this.pos))
    this.bytes = next
    this.view = new DataView(next.buffer)
  }

  /** Forgets what was written and keeps the storage. */
  reset(): void {
    this.pos = 0
  }

  /** What was written, as a copy of its own. */
  toUint8Array(): Uint8Array {
    return copyBytes(this.bytes, 0, this.pos)
  }

  /** `[byte]`; the lower eight bits count. */
  u8(value: number): void {
    this.ensure(1)
    this.bytes[this.pos++] = value
  }

  /** `[short]`; the lower sixteen bits count, see {@link Writer.count}. */
  u16(value: number): void {
    this.ensure(2)
    this.view.setUint16(this.pos, value)
    this.pos += 2
  }

  /** `[int]`. */
  i32(value: number): void {
    this.ensure(4)
    this.view.setInt32(this.pos, value)
    this.pos += 4
  }

  /** `[long]`; the lower 64 bits count. */
  i64(value: bigint): void {
    this.ensure(8)
    this.view.setBigInt64(this.pos, value)
    this.pos += 8
  }

  /** Bytes as they are, without a length. */
  raw(value: Uint8Array): void {
    this.ensure(value.length)
    this.bytes.set(value, this.pos)
    this.pos += value.length
  }

  /** UTF-8 text as it is, without a length; answers how many bytes it took. */
  utf8(value: string): number {
    const start = this.pos
    // Three bytes a character at most; where that is not there already, the text is measured before anything grows.
    if (start + value.length * 3 > this.bytes.length) this.ensure(utf8Length(value))
    const written = writeUtf8(this.bytes as FastBuffer, start, value)
    this.pos = start + written
    return written
  }

  /** `[string]`: a 2-byte length and UTF-8. */
  string(value: string): void {
    this.u16(0)
    const start = this.pos
    const written = this.utf8(value)
    if (written > 0xffff) {
      throw new EncodeError({ message: `a [string] takes at most 65535 bytes, got ${written}`, path: "", cqlType: "" })
    }
    this.view.setUint16(start - 2, written)
  }

  /** `[long string]`: a 4-byte length and UTF-8. */
  longString(value: string): void {
    this.ensure(4)
    const start = this.pos
    this.pos = start + 4
    const written = this.utf8(value)
    // Only now: growing replaces the view.
    this.view.setInt32(start, written)
  }

  /** A count of 16 bits; throws `EncodeError` for more of `what` than that. */
  count(count: number, what: string): void {
    if (count > 0xffff) {
      throw new EncodeError({ message: `a message takes at most 65535 ${what}, got ${count}`, path: "", cqlType: "" })
    }
    this.u16(count)
  }

  /** `[string list]`. */
  stringList(values: ReadonlyArray<string>): void {
    this.count(values.length, "texts of a list")
    for (const value of values) this.string(value)
  }

  /** `[string map]`. */
  stringMap(entries: Readonly<Record<string, string>> | ReadonlyMap<string, string>): void {
    const list = isMap(entries) ? [...entries] as Array<[string, string]> : Object.entries(entries)
    this.count(list.length, "options")
    for (const [key, value] of list) {
      this.string(key)
      this.string(value)
    }
  }

  /** `[string multimap]`. */
  stringMultimap(entries: ReadonlyMap<string, ReadonlyArray<string>>): void {
    this.count(entries.size, "options")
    for (const [key, values] of entries) {
      this.string(key)
      this.stringList(values)
    }
  }

  /** `[bytes]`: a 4-byte length and the bytes; `null` is the length -1. */
  bytesValue(value: Uint8Array | null): void {
    if (value === null) {
      this.i32(-1)
    } else {
      this.i32(value.length)
      this.raw(value)
    }
  }

  /** `[short bytes]`: a 2-byte length and the bytes. */
  shortBytes(value: Uint8Array): void {
    if (value.length > 0xffff) {
      throw new EncodeError({
        message: `[short bytes] takes at most 65535 bytes, got ${value.length}`,
        path: "",
        cqlType: ""
      })
    }
    this.u16(value.length)
    this.raw(value)
  }

  /** `[bytes map]`. */
  bytesMap(entries: ReadonlyMap<string, Uint8Array | null>): void {
    this.count(entries.size, "entries of a payload")
    for (const [key, value] of entries) {
      this.string(key)
      this.bytesValue(value)
    }
  }
}
