/**
 * The outer framing of protocol v5 (native_protocol_v5.spec section 2): once STARTUP is answered, frames ("envelopes") travel
 * in segments of up to 128 KiB, each with a CRC24 of its header and a CRC32 of its payload.
 *
 * Sizes are 17 bits, all numbers little endian. The header is 3 bytes (payload length, self-contained flag) or, where LZ4 was
 * agreed on, 5 bytes (compressed length, uncompressed length, flag); an uncompressed length of 0 says that the payload is
 * stored as it is, which servers do when it does not get smaller.
 *
 * A self-contained segment holds one or more whole envelopes, any other a piece of one that is too large for a segment.
 *
 * @since 0.1.0
 */
import type { Buffer } from "node:buffer"
import { lz4CompressBlock, lz4DecompressBlockInto } from "./Compression.ts"
import { crc24, crc32 } from "./Crc.ts"
import { sizeOf } from "./Frame.ts"
import { allocate } from "./internal/fastBuffer.ts"
import { DecodeError } from "./ProtocolError.ts"
import type { Writer } from "./Writer.ts"

/**
 * Bytes that the payload of a segment has at most: 2^17 - 1.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PAYLOAD = 131_071

/** Bytes of the CRC24 behind a header, and of the CRC32 behind a payload. */
const HEADER_CRC = 3
const PAYLOAD_CRC = 4

/**
 * Bytes in front of a payload: the header and its CRC.
 *
 * @category constants
 * @since 0.1.0
 */
export const headerSize = (lz4: boolean): number => (lz4 ? 5 : 3) + HEADER_CRC

/** Writes one segment of `[start, end)`, which is no longer than {@link MAX_PAYLOAD}. */
const writeOne = (
  w: Writer,
  bytes: Uint8Array,
  start: number,
  end: number,
  selfContained: boolean,
  lz4: boolean
): void => {
  let from = bytes
  let at = start
  let length = end - start
  let uncompressed = 0
  if (lz4) {
    const compressed = lz4CompressBlock(bytes, start, length)
    if (compressed.length < length) {
      uncompressed = length
      from = compressed
      at = 0
      length = compressed.length
    }
  }
  const header = lz4 ? 5 : 3
  w.ensure(header + HEADER_CRC + length + PAYLOAD_CRC)
  const out = w.bytes
  let pos = w.pos
  out[pos] = length
  out[pos + 1] = length >>> 8
  if (lz4) {
    out[pos + 2] = (length >>> 16) | (uncompressed << 1)
    out[pos + 3] = uncompressed >>> 7
    out[pos + 4] = (uncompressed >>> 15) | (selfContained ? 4 : 0)
  } else {
    out[pos + 2] = (length >>> 16) | (selfContained ? 2 : 0)
  }
  const headerCrc = crc24(out, pos, header)
  pos += header
  out[pos] = headerCrc
  out[pos + 1] = headerCrc >>> 8
  out[pos + 2] = headerCrc >>> 16
  pos += HEADER_CRC
  out.set(at === 0 && length === from.length ? from : from.subarray(at, at + length), pos)
  const payloadCrc = crc32(out, pos, length)
  pos += length
  w.view.setInt32(pos, payloadCrc, true)
  w.pos = pos + PAYLOAD_CRC
}

/**
 * Writes the envelopes that lie one behind the other in `[start, end)`: as many as fit share a self-contained segment; one
 * that is too large for that is cut into pieces.
 *
 * With `lz4`, payloads that get smaller are compressed. `bytes` are not the writer's own. Throws a `RangeError` if the bytes are not whole envelopes, and
 * `EncodeError` past the limit of the writer.
 *
 * @category encoding
 * @since 0.1.0
 */
export const write = (w: Writer, bytes: Uint8Array, start: number, end: number, lz4 = false): void => {
  if (!(start >= 0 && start <= end && end <= bytes.length)) {
    throw new RangeError(`no bytes ${start} to ${end} of ${bytes.length}`)
  }
  // [from, at) is the envelopes that are not written yet; they fit one segment.
  let from = start
  let at = start
  while (at < end) {
    const next = at + sizeOf(bytes, at, end)
    if (next - from > MAX_PAYLOAD) {
      if (at > from) writeOne(w, bytes, from, at, true, lz4)
      from = at
      if (next - at > MAX_PAYLOAD) {
        for (; from < next; from += MAX_PAYLOAD) {
          writeOne(w, bytes, from, Math.min(from + MAX_PAYLOAD, next), false, lz4)
        }
        from = next
      }
    }
    at = next
  }
  if (at > from) writeOne(w, bytes, from, at, true, lz4)
}

/**
 * What a parser does with a payload: `[start, end)` of a buffer, valid only until the call returns. It is what
 * `Frame.FrameParser.push` takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface SegmentHandler {
  /** Called for each segment; `selfContained` says that it holds whole envelopes, and not a piece of one. */
  onPayload(bytes: Buffer, view: DataView, start: number, end: number, selfContained: boolean): void
}

/**
 * Finds segments in chunks of bytes, checks both CRCs and hands out payloads, decompressed if need be. A payload that lies
 * whole in a chunk is handed out as it lies there; what spans chunks is collected, and a compressed one decompressed, in
 * buffers of the parser, which hold no more than one segment each.
 *
 * `push` may be called again only after it has returned. A handler that closes its connection calls `stop`: no further
 * payload is handed out.
 *
 * @category models
 * @since 0.1.0
 */
export class SegmentParser {
  private readonly handler: SegmentHandler
  private readonly lz4: boolean
  private readonly header: number
  private carry: Buffer | undefined
  private carryView: DataView | undefined
  private carried = 0
  private out: Buffer | undefined
  private outView: DataView | undefined
  private stopped = false
  // Of the header that was read last.
  private length = 0
  private uncompressed = 0
  private selfContained = false

  constructor(handler: SegmentHandler, lz4 = false) {
    this.handler = handler
    this.lz4 = lz4
    this.header = headerSize(lz4)
  }

  /** Hands out no more payloads and lets go of its buffers. */
  stop(): void {
    this.stopped = true
    this.carry = undefined
    this.carryView = undefined
    this.carried = 0
    this.out = undefined
    this.outView = undefined
  }

  /** Bytes of a segment that has not arrived whole. */
  get pending(): number {
    return this.carried
  }

  /**
   * Takes `[start, end)` of a buffer. Throws `DecodeError` for what cannot be a segment, and what a handler throws: the stream
   * is lost then, and the parser stopped.
   */
  push(bytes: Buffer, view: DataView, start: number, end: number): void {
    try {
      let pos = start
      if (this.carried > 0) pos = this.fill(bytes, pos, end)
      while (!this.stopped && end - pos >= this.header) {
        const whole = this.readHeader(bytes, pos)
        if (end - pos < whole) break
        this.emit(bytes, view, pos)
        pos += whole
      }
      if (!this.stopped && pos < end) {
        this.keep(bytes, pos, end, end - pos >= this.header ? this.header + this.length + PAYLOAD_CRC : this.header)
      }
    } catch (error) {
      this.stop()
      throw error
    }
  }

  /** Reads and checks the header at `pos`; answers the size of the segment. */
  private readHeader(bytes: Uint8Array, pos: number): number {
    const size = this.header - HEADER_CRC
    const at = pos + size
    const crc = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
    if (crc24(bytes, pos, size) !== crc) {
      throw new DecodeError({ message: "the header of a segment does not match its checksum" })
    }
    const low = bytes[pos]! | (bytes[pos + 1]! << 8) | (bytes[pos + 2]! << 16)
    this.length = low & MAX_PAYLOAD
    if (this.lz4) {
      const high = bytes[pos + 4]!
      this.uncompressed = ((low >>> 17) | (bytes[pos + 3]! << 7) | (high << 15)) & MAX_PAYLOAD
      this.selfContained = (high & 4) !== 0
    } else {
      this.selfContained = (low & 0x20000) !== 0
    }
    return this.header + this.length + PAYLOAD_CRC
  }

  /** Hands out the payload of the whole segment at `pos`, whose header was read. */
  private emit(bytes: Buffer, view: DataView, pos: number): void {
    const { length, selfContained, uncompressed } = this
    const start = pos + this.header
    const end = start + length
    if (crc32(bytes, start, length) !== view.getUint32(end, true)) {
      throw new DecodeError({ message: "the payload of a segment does not match its checksum" })
    }
    if (uncompressed === 0) {
      this.handler.onPayload(bytes, view, start, end, selfContained)
      return
    }
    let out = this.out
    if (out === undefined || out.length < uncompressed) {
      out = allocate(Math.min(MAX_PAYLOAD, Math.max(4096, 2 * uncompressed)))
      this.out = out
      this.outView = new DataView(out.buffer)
    }
    lz4DecompressBlockInto(bytes, start, length, out, 0, uncompressed)
    this.handler.onPayload(out, this.outView!, 0, uncompressed, selfContained)
  }

  /** Completes the carried segment from the chunk; answers how far the chunk is used up. */
  private fill(bytes: Buffer, start: number, end: number): number {
    let pos = start
    if (this.carried < this.header) {
      const take = Math.min(this.header - this.carried, end - pos)
      this.keep(bytes, pos, pos + take, this.header)
      pos += take
      if (this.carried < this.header) return pos
    }
    const whole = this.readHeader(this.carry!, 0)
    const take = Math.min(whole - this.carried, end - pos)
    this.keep(bytes, pos, pos + take, whole)
    pos += take
    if (this.carried === whole) {
      this.carried = 0
      this.emit(this.carry!, this.carryView!, 0)
    }
    return pos
  }

  /** Adds to the carry, which grows to twice what has arrived, and never past the `segment` that it is for. */
  private keep(bytes: Buffer, start: number, end: number, segment: number): void {
    const needed = this.carried + end - start
    if (this.carry === undefined || this.carry.length < needed) {
      const next = allocate(Math.max(1024, Math.min(needed * 2, segment)))
      if (this.carried > 0) next.set(this.carry!.subarray(0, this.carried))
      this.carry = next
      this.carryView = new DataView(next.buffer)
    }
    this.carry.set(bytes.subarray(start, end), this.carried)
    this.carried = needed
  }
}
