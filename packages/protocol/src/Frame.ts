/**
 * The frame of protocol v3 and v4, which v5 calls an envelope: a 9-byte header and a body (native_protocol_v4.spec section
 * 2), and an incremental parser that finds frames in a stream of bytes without copying those that arrive whole.
 *
 * @since 0.1.0
 */
import type { Buffer } from "node:buffer"
import * as Carries from "./internal/carries.ts"
import { DecodeError } from "./ProtocolError.ts"
import { Reader } from "./Reader.ts"
import { MAX_FRAME, type Writer } from "./Writer.ts"

/**
 * Bytes of a frame header.
 *
 * @category constants
 * @since 0.1.0
 */
export const HEADER_SIZE = 9

/**
 * The bit of the version byte that marks a response.
 *
 * @category constants
 * @since 0.1.0
 */
export const RESPONSE_BIT = 0x80

/**
 * Header flags (native_protocol_v4.spec section 2.2).
 *
 * @category constants
 * @since 0.1.0
 */
export const Flags = { COMPRESSION: 0x01, TRACING: 0x02, CUSTOM_PAYLOAD: 0x04, WARNING: 0x08, USE_BETA: 0x10 } as const

/**
 * Message codes (native_protocol_v4.spec section 2.4).
 *
 * @category constants
 * @since 0.1.0
 */
export const Opcode = {
  ERROR: 0x00,
  STARTUP: 0x01,
  READY: 0x02,
  AUTHENTICATE: 0x03,
  OPTIONS: 0x05,
  SUPPORTED: 0x06,
  QUERY: 0x07,
  RESULT: 0x08,
  PREPARE: 0x09,
  EXECUTE: 0x0a,
  REGISTER: 0x0b,
  EVENT: 0x0c,
  BATCH: 0x0d,
  AUTH_CHALLENGE: 0x0e,
  AUTH_RESPONSE: 0x0f,
  AUTH_SUCCESS: 0x10
} as const

/**
 * The version this package speaks by default.
 *
 * @category constants
 * @since 0.1.0
 */
export const VERSION = 4

/**
 * Writes a header with an open length; {@link end} closes it. Answers where the frame starts.
 *
 * @category encoding
 * @since 0.1.0
 */
export const begin = (w: Writer, version: number, flags: number, stream: number, opcode: number): number => {
  w.ensure(HEADER_SIZE)
  const start = w.pos
  const bytes = w.bytes
  bytes[start] = version
  bytes[start + 1] = flags
  bytes[start + 2] = stream >> 8
  bytes[start + 3] = stream
  bytes[start + 4] = opcode
  w.pos = start + HEADER_SIZE
  return start
}

/**
 * Closes the frame that starts at `start`: its length is what was written since.
 *
 * @category encoding
 * @since 0.1.0
 */
export const end = (w: Writer, start: number): void => {
  w.view.setInt32(start + 5, w.pos - start - HEADER_SIZE)
}

/**
 * Bytes of the frame at `at`, its header included. Throws a `RangeError` if it does not lie whole before `end`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const sizeOf = (bytes: Uint8Array, at: number, end: number): number => {
  const size = end - at < HEADER_SIZE ? Infinity : HEADER_SIZE +
    (((bytes[at + 5]! << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!) >>> 0)
  if (size > end - at) throw new RangeError("the bytes end within a frame")
  return size
}

/**
 * What a parser does with a frame. The reader stands at the body; its bytes are valid only until the call returns.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameHandler {
  /** Called for each frame: the version byte with its bit of responses, flags, stream, opcode, and the body. */
  onFrame(version: number, flags: number, stream: number, opcode: number, body: Reader): void
}

/**
 * Finds frames in chunks of bytes. A frame that lies whole in a chunk is handed out as it lies there; only a frame that
 * spans chunks is collected in a carry buffer, which grows with what has really arrived, so a header that promises
 * 256 MiB costs nothing until they come.
 *
 * `push` may be called again only after it has returned. A handler that closes its connection calls `stop`: no further
 * frame of the chunk is handed out.
 *
 * @category models
 * @since 0.1.0
 */
export class FrameParser {
  private handler: FrameHandler
  private readonly maxBody: number
  private readonly reader: Reader
  private carry: Buffer | undefined
  private carryView: DataView | undefined
  private carried = 0
  private stopped = false

  constructor(handler: FrameHandler, maxBody: number = MAX_FRAME) {
    this.handler = handler
    this.maxBody = maxBody
    this.reader = Reader.from(new Uint8Array(0))
  }

  /** Hands out no more frames and lets go of what was carried. */
  stop(): void {
    this.stopped = true
    this.carry = undefined
    this.carryView = undefined
    this.carried = 0
  }

  /** Another handler from the next frame on. */
  handOverTo(handler: FrameHandler): void {
    this.handler = handler
  }

  /** Bytes of a frame that has not arrived whole. */
  get pending(): number {
    return this.carried
  }

  private bodyLength(view: DataView, pos: number): number {
    const version = view.getUint8(pos) & 0x7f
    if (version < 1 || version > 0x42) {
      throw new DecodeError({
        message: `not the native protocol: a frame starts with byte 0x${
          view.getUint8(pos).toString(16).padStart(2, "0")
        }`
      })
    }
    const length = view.getInt32(pos + 5)
    if (length < 0 || length > this.maxBody) {
      throw new DecodeError({ message: `a frame of ${length >>> 0} bytes is over the bound of ${this.maxBody} bytes` })
    }
    return length
  }

  private emit(bytes: Buffer, view: DataView, pos: number, length: number): void {
    const reader = this.reader
    reader.reset(bytes, view, pos + HEADER_SIZE, pos + HEADER_SIZE + length)
    this.handler.onFrame(bytes[pos]!, bytes[pos + 1]!, view.getInt16(pos + 2), bytes[pos + 4]!, reader)
  }

  /**
   * Takes `[start, end)` of a buffer; answers how far it took it, which is the end unless it was stopped. Throws
   * {@link DecodeError} for what cannot be a frame, and what a handler throws: the stream is lost then, and the parser
   * stopped.
   */
  push(bytes: Buffer, view: DataView, start: number, end: number): number {
    try {
      let pos = start
      if (this.carried > 0) pos = this.fill(bytes, pos, end)
      while (!this.stopped && end - pos >= HEADER_SIZE) {
        const length = this.bodyLength(view, pos)
        if (end - pos < HEADER_SIZE + length) break
        this.emit(bytes, view, pos, length)
        pos += HEADER_SIZE + length
      }
      if (!this.stopped && pos < end) {
        const frame = end - pos >= HEADER_SIZE ? HEADER_SIZE + view.getInt32(pos + 5) : HEADER_SIZE
        this.keep(bytes, pos, end, frame)
        return end
      }
      return pos
    } catch (error) {
      this.stop()
      throw error
    }
  }

  /** Completes the carried frame from the chunk; answers how far the chunk is used up. */
  private fill(bytes: Buffer, start: number, end: number): number {
    let pos = start
    if (this.carried < HEADER_SIZE) {
      const take = Math.min(HEADER_SIZE - this.carried, end - pos)
      this.keep(bytes, pos, pos + take, HEADER_SIZE)
      pos += take
      if (this.carried < HEADER_SIZE) return pos
    }
    const length = this.bodyLength(this.carryView!, 0)
    const take = Math.min(HEADER_SIZE + length - this.carried, end - pos)
    if (take > 0) this.keep(bytes, pos, pos + take, HEADER_SIZE + length)
    pos += take
    if (this.carried === HEADER_SIZE + length) {
      const carry = this.carry!
      const view = this.carryView!
      this.carried = 0
      // A large carry is let go of: the next split frame is most likely small.
      if (carry.length > Carries.LEAST) {
        this.carry = undefined
        this.carryView = undefined
      }
      this.emit(carry, view, 0, length)
      if (this.carry === undefined) Carries.give(carry)
    }
    return pos
  }

  /** Adds to the carry, which grows to twice what has arrived, and never past the `frame` that it is for. */
  private keep(bytes: Buffer, start: number, end: number, frame: number): void {
    const needed = this.carried + end - start
    if (this.carry === undefined || this.carry.length < needed) {
      const next = Carries.take(needed, frame)
      if (this.carried > 0) next.set(this.carry!.subarray(0, this.carried))
      if (this.carry !== undefined) Carries.give(this.carry)
      this.carry = next
      this.carryView = new DataView(next.buffer)
    }
    this.carry.set(bytes.subarray(start, end), this.carried)
    this.carried = needed
  }
}
