/**
 * A cursor over the bytes of one frame body, in the notations of the native protocol (native_protocol_v4.spec section 3).
 *
 * Every read is checked against the end of the body and throws {@link DecodeError} past it, so a lying length never
 * reaches the bytes of a neighbouring frame.
 *
 * @since 0.1.0
 */
import type { Buffer } from "node:buffer"
import { formatAddress } from "./internal/address.ts"
import { bufferOver, copyBytes, type FastBuffer } from "./internal/fastBuffer.ts"
import { DecodeError } from "./ProtocolError.ts"

export { formatAddress, parseAddress } from "./internal/address.ts"

/**
 * A mutable cursor. The bytes belong to whoever owns the buffer (a socket's static read buffer): what is read as a view
 * is valid only until the callback that handed out the reader returns. Methods that return bytes copy them.
 *
 * @category models
 * @since 0.1.0
 */
export class Reader {
  /** What it reads from; bytes of others lie on both sides. */
  bytes: Buffer
  /** A view of `bytes`, for numbers. */
  view: DataView
  /** Where the next read begins. */
  pos: number
  /** Where the body ends. */
  end: number

  constructor(bytes: Buffer, view: DataView, pos: number, end: number) {
    this.bytes = bytes
    this.view = view
    this.pos = pos
    this.end = end
  }

  /** A reader over a whole array. */
  static from(bytes: Uint8Array): Reader {
    const buffer = bufferOver(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return new Reader(buffer, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length)
  }

  /** Moves the cursor to another buffer, so that one reader serves all frames of a connection. */
  reset(bytes: Buffer, view: DataView, pos: number, end: number): void {
    this.bytes = bytes
    this.view = view
    this.pos = pos
    this.end = end
  }

  /** Bytes left. */
  get remaining(): number {
    return this.end - this.pos
  }

  /** Takes `size` bytes; answers where they start. */
  take(size: number): number {
    const pos = this.pos
    if (size > this.end - pos) {
      throw new DecodeError({ message: `truncated body: ${size} bytes expected, ${this.end - pos} left` })
    }
    this.pos = pos + size
    return pos
  }

  /** `[byte]`. */
  u8(): number {
    return this.bytes[this.take(1)]!
  }

  /** `[short]`. */
  u16(): number {
    return this.view.getUint16(this.take(2))
  }

  /** `[int]`. */
  i32(): number {
    return this.view.getInt32(this.take(4))
  }

  /** An `[int]` taken as unsigned. */
  u32(): number {
    return this.view.getUint32(this.take(4))
  }

  /** `[long]`. */
  i64(): bigint {
    return this.view.getBigInt64(this.take(8))
  }

  /** `size` bytes as a copy. */
  copy(size: number): Uint8Array {
    const pos = this.take(size)
    return copyBytes(this.bytes, pos, pos + size)
  }

  private text(size: number): string {
    const pos = this.take(size)
    return size === 0 ? "" : (this.bytes as FastBuffer).utf8Slice(pos, pos + size)
  }

  /** `[string]`. */
  string(): string {
    return this.text(this.u16())
  }

  /** `[long string]`. */
  longString(): string {
    return this.text(this.length())
  }

  /** A 4-byte length that must not be negative. */
  private length(): number {
    const length = this.i32()
    if (length < 0) throw new DecodeError({ message: `negative length ${length}` })
    return length
  }

  /** A count of things that take at least `least` bytes each: a count that cannot fit is refused before it is allocated. */
  count(count: number, least: number): number {
    if (count < 0 || count * least > this.remaining) {
      throw new DecodeError({ message: `a count of ${count} does not fit in the ${this.remaining} bytes left` })
    }
    return count
  }

  /** `[string list]`. */
  stringList(): Array<string> {
    const count = this.count(this.u16(), 2)
    const out: Array<string> = []
    for (let i = 0; i < count; i++) out.push(this.string())
    return out
  }

  /** `[string map]`. */
  stringMap(): Map<string, string> {
    const count = this.count(this.u16(), 4)
    const out = new Map<string, string>()
    for (let i = 0; i < count; i++) out.set(this.string(), this.string())
    return out
  }

  /** `[string multimap]`. */
  stringMultimap(): Map<string, Array<string>> {
    const count = this.count(this.u16(), 4)
    const out = new Map<string, Array<string>>()
    for (let i = 0; i < count; i++) out.set(this.string(), this.stringList())
    return out
  }

  /** `[bytes]`: `null` for a negative length. */
  bytesValue(): Uint8Array | null {
    const length = this.i32()
    return length < 0 ? null : this.copy(length)
  }

  /** `[short bytes]`. */
  shortBytes(): Uint8Array {
    return this.copy(this.u16())
  }

  /** `[bytes map]`. */
  bytesMap(): Map<string, Uint8Array | null> {
    const count = this.count(this.u16(), 6)
    const out = new Map<string, Uint8Array | null>()
    for (let i = 0; i < count; i++) out.set(this.string(), this.bytesValue())
    return out
  }

  /** `[inetaddr]`: one byte of size, 4 or 16 bytes of address. */
  inetAddress(): string {
    const size = this.u8()
    const pos = this.take(size)
    return formatAddress(this.bytes, pos, size)
  }

  /** `[inet]`: an address and a port. */
  inet(): { readonly address: string; readonly port: number } {
    const address = this.inetAddress()
    return { address, port: this.i32() }
  }

  /** `[uuid]`: 16 bytes, as a copy. */
  uuidBytes(): Uint8Array {
    return this.copy(16)
  }
}
