/**
 * How messages travel on one connection: as they are; with bodies compressed (v3 and v4); in segments, compressed or not
 * (v5).
 *
 * A message is always encoded as an envelope (what v3 and v4 call a frame, see `Frame`). This turns envelopes into the bytes
 * of the connection and back, and knows when to begin: behind the answer to STARTUP, which itself is the last message of the
 * old way. Both ends use it, a client and a simulated server:
 *
 * - **out**: encode envelopes one behind the other into a `Writer`; when they are to be sent, and unless `isPlain`, give the
 *   range to `write`, which appends the bytes to send to another `Writer`. Where `isPlain`, the envelopes are those bytes.
 * - **in**: give what arrives to `push`; whole envelopes go to the handler, whose bytes are valid only until it returns.
 * - **the switch**, a client: call `startup` before STARTUP is sent; READY or AUTHENTICATE then switches, before the handler
 *   sees it, and an ERROR does not. A server calls `use`: on v5 when its READY or AUTHENTICATE was given to the socket, on v3
 *   and v4 before that, as its answer is compressed already.
 *
 * Plain v3 and v4, the usual case, pass through the `FrameParser` and nothing else.
 *
 * @since 0.1.0
 */
import type { Buffer } from "node:buffer"
import type { Compressor } from "./Compression.ts"
import type { Version } from "./Dialect.ts"
import { Flags, type FrameHandler, FrameParser, HEADER_SIZE, Opcode, sizeOf } from "./Frame.ts"
import { allocate } from "./internal/fastBuffer.ts"
import { DecodeError, EncodeError } from "./ProtocolError.ts"
import { Reader } from "./Reader.ts"
import * as Segment from "./Segment.ts"
import { MAX_FRAME, type Writer } from "./Writer.ts"

/**
 * What is done with incoming envelopes.
 *
 * @category models
 * @since 0.1.0
 */
export interface EnvelopeHandler extends FrameHandler {
  /**
   * A compressed body that cannot be decompressed, or makes more than the bound. The stream is sound and goes on: only whoever
   * waits on `stream` has to be told. Without this method `push` throws the error, and the stream is lost.
   */
  onBroken?(version: number, flags: number, stream: number, opcode: number, error: DecodeError): void
}

/**
 * Bounds and habits.
 *
 * @category models
 * @since 0.1.0
 */
export interface FramingOptions {
  /** Bytes of an incoming body, as it comes and decompressed. Default 256 MiB. */
  readonly maxBody?: number | undefined
  /**
   * Which bodies are compressed on v3 and v4: those from {@link COMPRESS_FROM} bytes on that get smaller (default), or
   * `"always"`, all but those of events, as ScyllaDB does however short they are.
   */
  readonly compress?: "worthwhile" | "always" | undefined
}

/**
 * Bodies of fewer bytes are sent as they are: they hardly ever get smaller, and a call of the compressor costs more than
 * they do.
 *
 * @category constants
 * @since 0.1.0
 */
export const COMPRESS_FROM = 128

/** A larger buffer for decompressed bodies is not kept. */
const KEEP = 262_144

/**
 * The framing of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export class Framing implements FrameHandler, Segment.SegmentHandler {
  private readonly handler: EnvelopeHandler
  private readonly maxBody: number
  private readonly compressAll: boolean
  /** Of the bytes of the connection, or of the payloads of segments. */
  private frames: FrameParser
  private segments: Segment.SegmentParser | undefined
  /** Of bodies, outgoing. */
  private compressor: Compressor | undefined
  /** Of bodies, incoming: known before STARTUP is answered, as the answer may be compressed. */
  private decompressor: Compressor | undefined
  private lz4 = false
  /** What the answer to STARTUP switches to. */
  private next: { readonly version: Version; readonly compressor: Compressor | undefined } | undefined
  /** Over the buffer for decompressed bodies. */
  private reader: Reader | undefined
  private stopped = false

  constructor(handler: EnvelopeHandler, options: FramingOptions = {}) {
    this.handler = handler
    this.maxBody = options.maxBody ?? MAX_FRAME
    this.compressAll = options.compress === "always"
    this.frames = new FrameParser(handler, this.maxBody)
  }

  /** Whether envelopes are sent as they are: `write` would only copy them. */
  get isPlain(): boolean {
    return this.compressor === undefined && this.segments === undefined
  }

  /** Bytes of an envelope or a segment that has not arrived whole. */
  get pending(): number {
    return this.frames.pending + (this.segments?.pending ?? 0)
  }

  /**
   * STARTUP is about to be sent: its answer switches to `version` and the compression that it asks for. Throws
   * `EncodeError` for what there is not, see {@link use}.
   */
  startup(version: Version, compressor?: Compressor): void {
    check(version, compressor)
    if (this.segments !== undefined) throw tooLate()
    this.next = { version, compressor }
    this.decompressor = version < 5 ? compressor : undefined
    this.frames.handOverTo(this)
  }

  /**
   * Switches now, incoming in the midst of a chunk if need be. Throws `EncodeError` for Snappy on v5, which has none
   * (native_protocol_v5.spec section 5), and once segments have begun.
   */
  use(version: Version, compressor?: Compressor): void {
    check(version, compressor)
    if (this.stopped) return
    if (this.segments !== undefined) throw tooLate()
    this.next = undefined
    if (version < 5) {
      this.compressor = compressor
      this.decompressor = compressor
      this.frames.handOverTo(compressor === undefined ? this.handler : this)
      return
    }
    this.lz4 = compressor !== undefined
    this.compressor = undefined
    // What is left of the chunk is the segments'.
    this.frames.stop()
    this.frames = new FrameParser(this.handler, this.maxBody)
    this.segments = new Segment.SegmentParser(this, this.lz4)
  }

  /** Hands out nothing more and lets go of what it holds. */
  stop(): void {
    this.stopped = true
    this.frames.stop()
    this.segments?.stop()
    this.reader = undefined
  }

  /**
   * Takes `[start, end)` of a buffer. Throws `DecodeError` for what breaks the stream (what is no envelope or segment, a
   * checksum that does not match, a length over the bound), and what the handler throws; it is stopped then.
   */
  push(bytes: Buffer, view: DataView, start: number, end: number): void {
    if (this.segments !== undefined) return this.pushSegments(bytes, view, start, end)
    const taken = this.frames.push(bytes, view, start, end)
    // STARTUP was answered, or the whole stopped, within the chunk.
    if (taken < end && !this.stopped) this.pushSegments(bytes, view, taken, end)
  }

  private pushSegments(bytes: Buffer, view: DataView, start: number, end: number): void {
    try {
      this.segments?.push(bytes, view, start, end)
    } catch (error) {
      this.stop()
      throw error
    }
  }

  /** Called by the parser of segments. */
  onPayload(bytes: Buffer, view: DataView, start: number, end: number, selfContained: boolean): void {
    const { frames } = this
    const before = frames.pending
    if (selfContained && before > 0) {
      throw new DecodeError({ message: "a self-contained segment between the pieces of an envelope" })
    }
    frames.push(bytes, view, start, end)
    const after = frames.pending
    if (after > 0 && (selfContained || after !== before + end - start)) {
      throw new DecodeError({ message: "a segment ends within an envelope that it is not a piece of" })
    }
  }

  /** Called by the parser of frames while STARTUP is not answered, and where bodies may be compressed. */
  onFrame(version: number, flags: number, stream: number, opcode: number, body: Reader): void {
    if (this.next !== undefined && (opcode === Opcode.READY || opcode === Opcode.AUTHENTICATE)) {
      this.use(this.next.version, this.next.compressor)
    }
    const { decompressor, handler } = this
    if (decompressor === undefined || (flags & Flags.COMPRESSION) === 0) {
      return handler.onFrame(version, flags, stream, opcode, body)
    }
    let plain: Reader
    try {
      plain = this.decompress(decompressor, body)
    } catch (error) {
      if (handler.onBroken === undefined || !(error instanceof DecodeError)) throw error
      return handler.onBroken(version, flags, stream, opcode, error)
    }
    handler.onFrame(version, flags & ~Flags.COMPRESSION, stream, opcode, plain)
  }

  private decompress(decompressor: Compressor, body: Reader): Reader {
    const { bytes, pos } = body
    const length = body.remaining
    const size = decompressor.decompressedLength(bytes, pos, length, this.maxBody)
    const known = this.reader
    if (known !== undefined && known.bytes.length >= size) {
      decompressor.decompressInto(bytes, pos, length, known.bytes, size)
      known.pos = 0
      known.end = size
      return known
    }
    const out = allocate(size > KEEP ? size : Math.min(KEEP, Math.max(4096, 2 * size)))
    const reader = new Reader(out, new DataView(out.buffer), 0, size)
    decompressor.decompressInto(bytes, pos, length, out, size)
    if (out.length <= KEEP) this.reader = reader
    return reader
  }

  /**
   * Appends to `w` what is sent for the whole envelopes that lie one behind the other in `[start, end)` of `bytes`, which are
   * not the writer's own. Throws a `RangeError` if the bytes are not whole envelopes, and `EncodeError` past the limit of the
   * writer.
   */
  write(w: Writer, bytes: Uint8Array, start: number, end: number): void {
    if (this.segments !== undefined) return Segment.write(w, bytes, start, end, this.lz4)
    const { compressor } = this
    if (compressor === undefined) return w.raw(bytes.subarray(start, end))
    for (let at = start; at < end;) {
      const size = sizeOf(bytes, at, end)
      this.writeCompressed(w, compressor, bytes, at, size - HEADER_SIZE)
      at += size
    }
  }

  private writeCompressed(w: Writer, compressor: Compressor, bytes: Uint8Array, at: number, length: number): void {
    const body = at + HEADER_SIZE
    const tries = this.compressAll ? bytes[at + 4] !== Opcode.EVENT : length >= COMPRESS_FROM
    const compressed = tries ? compressor.compress(bytes, body, length) : undefined
    if (compressed === undefined || (!this.compressAll && compressed.length >= length)) {
      return w.raw(bytes.subarray(at, body + length))
    }
    const start = w.pos
    w.raw(bytes.subarray(at, body))
    w.bytes[start + 1] = w.bytes[start + 1]! | Flags.COMPRESSION
    w.view.setInt32(start + 5, compressed.length)
    w.raw(compressed)
  }
}

const tooLate = (): EncodeError =>
  new EncodeError({ message: "STARTUP was answered on this connection: its segments stay", path: "", cqlType: "" })

const check = (version: Version, compressor: Compressor | undefined): void => {
  if (version >= 5 && compressor?.name === "snappy") {
    throw new EncodeError({
      message: "protocol v5 has no Snappy: take lz4, or none, or protocol v4",
      path: "compression",
      cqlType: ""
    })
  }
}
