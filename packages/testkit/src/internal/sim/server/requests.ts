/** The bytes of one client as whole requests: versions, envelopes, compressed bodies, segments. */
import * as Compression from "@effect-scylla/protocol/Compression"
import * as Dialect from "@effect-scylla/protocol/Dialect"
import * as Frame from "@effect-scylla/protocol/Frame"
import { Framing } from "@effect-scylla/protocol/Framing"
import type { Reader } from "@effect-scylla/protocol/Reader"
import type { Writer } from "@effect-scylla/protocol/Writer"
import { Buffer } from "node:buffer"
import { internal, invalid, protocol } from "../failure.ts"
import { type Algorithm, type Flavour, mixed, type Refusal, unsupported } from "./flavour.ts"

/** First frames are bounded: nobody who has not logged in makes the server collect megabytes. */
const MAX_FIRST_BODY = 100_000
/** A tenth of a shard's memory of 1 GiB, the bound of a request's estimated cost. */
const MAX_ESTIMATE = 107_374_182
const MAX_BODY = (MAX_ESTIMATE - 8000) / 2

const COMPRESSORS = { lz4: Compression.lz4, snappy: Compression.snappy }

export interface RequestHandler {
  /** A whole request, in the version that {@link Requests.dialect} says. The body is valid until this returns. */
  onRequest(flags: number, stream: number, opcode: number, body: Buffer): void
  onRefused(refusal: Refusal): void
}

export class Requests {
  /** Of the connection, once STARTUP was answered; until then of the message at hand. */
  dialect: Dialect.Dialect = Dialect.v4
  private readonly flavour: Flavour
  private readonly handler: RequestHandler
  /** Makes answers what is sent; takes segments, too. */
  private readonly framing: Framing
  /** The version that all messages must have from now on. */
  private version: Dialect.Version | undefined
  private compressor: Compression.Compressor | undefined
  private inSegments = false
  private chunks: Array<Buffer> = []
  private collected = 0
  private needed = 0
  private first = true
  private isStopped = false

  constructor(flavour: Flavour, handler: RequestHandler) {
    this.flavour = flavour
    this.handler = handler
    this.framing = new Framing({
      onFrame: (version, flags, stream, opcode, body) => this.onEnvelope(version, flags, stream, opcode, body)
    }, { compress: "always", maxBody: MAX_BODY })
  }

  /** Whether answers are sent as they are encoded. */
  get isPlain(): boolean {
    return this.framing.isPlain
  }

  /** Appends what is sent for whole answers to `w`. */
  write(w: Writer, bytes: Uint8Array, end: number): void {
    const { compressor } = this
    if (compressor === undefined || this.inSegments || this.flavour.product === "scylla") {
      return this.framing.write(w, bytes, 0, end)
    }
    // Cassandra compresses events, too.
    for (let at = 0; at < end;) {
      const size = Frame.sizeOf(bytes, at, end)
      const start = w.pos
      w.raw(bytes.subarray(at, at + Frame.HEADER_SIZE))
      w.bytes[start + 1] = w.bytes[start + 1]! | Frame.Flags.COMPRESSION
      w.raw(compressor.compress(bytes, at + Frame.HEADER_SIZE, size - Frame.HEADER_SIZE))
      Frame.end(w, start)
      at += size
    }
  }

  /** STARTUP was accepted: from here on, all is in this dialect and compressed so. */
  begin(dialect: Dialect.Dialect, algorithm: Algorithm | undefined): void {
    this.dialect = dialect
    this.version = dialect.version
    this.compressor = algorithm === undefined ? undefined : COMPRESSORS[algorithm]
    this.framing.use(dialect.version, this.compressor)
    this.inSegments = dialect.version >= 5
  }

  /** Takes no more. */
  stop(): void {
    this.isStopped = true
    this.chunks = []
    this.framing.stop()
  }

  /** Takes bytes as they arrive; the buffer may be used again afterwards. */
  receive(bytes: Buffer): void {
    if (this.isStopped) return
    if (this.inSegments) return this.segments(bytes)
    if (this.collected === 0) return this.envelopes(bytes)
    this.chunks.push(Buffer.from(bytes))
    this.collected += bytes.length
    if (this.collected < this.needed) return
    const all = Buffer.concat(this.chunks)
    this.chunks = []
    this.collected = 0
    this.envelopes(all)
  }

  private keep(bytes: Buffer, needed: number): void {
    // A copy: the socket fills its buffer anew.
    this.chunks = [Buffer.from(bytes)]
    this.collected = bytes.length
    this.needed = needed
  }

  private refuse(refusal: Refusal): void {
    if (refusal.close) this.stop()
    this.handler.onRefused(refusal)
  }

  /** Whether a message may have this version; else it is refused, and the rest of the chunk is dropped with it. */
  private checkVersion(version: number, stream: number): boolean {
    const { flavour } = this
    const known = flavour.versions.find((each) => each === version)
    if (known === undefined) this.refuse(unsupported(flavour, version))
    else if (this.version !== undefined && known !== this.version) {
      this.refuse(mixed(flavour, version, this.version, stream))
    } else {
      if (this.version === undefined && this.dialect.version !== known) this.dialect = Dialect.make(known)
      // ScyllaDB holds a connection to the version of its first byte, Cassandra to that of STARTUP.
      if (flavour.product === "scylla") this.version = known
      return true
    }
    return false
  }

  private envelopes(bytes: Buffer): void {
    let pos = 0
    while (!this.isStopped && pos < bytes.length) {
      if (this.inSegments) return this.segments(bytes.subarray(pos))
      const stream = bytes.length - pos < 4 ? 0 : bytes.readInt16BE(pos + 2)
      if (!this.checkVersion(bytes[pos]!, stream)) return
      if (bytes.length - pos < Frame.HEADER_SIZE) return this.keep(bytes.subarray(pos), Frame.HEADER_SIZE)
      const flags = bytes[pos + 1]!
      const opcode = bytes[pos + 4]!
      const length = bytes.readUInt32BE(pos + 5)
      if (this.first && length > MAX_FIRST_BODY) {
        const error = protocol(`Initial message size too large (${length}), rejecting as invalid`)
        return this.refuse({ error, stream: 0, close: true })
      }
      const estimate = length * 2 + 8000
      if (estimate > MAX_ESTIMATE) {
        const text = `request size too large (frame size ${length}; estimate ${estimate}; allowed ${MAX_ESTIMATE})`
        return this.refuse({ error: invalid(text), stream, close: true })
      }
      const end = pos + Frame.HEADER_SIZE + length
      if (end > bytes.length) return this.keep(bytes.subarray(pos), end - pos)
      this.first = false
      const body = this.plain(flags, bytes.subarray(pos + Frame.HEADER_SIZE, end))
      if (body !== undefined) this.handler.onRequest(flags & ~Frame.Flags.COMPRESSION, stream, opcode, body)
      pos = end
    }
  }

  /** The body without compression, or `undefined` if that was refused. */
  private plain(flags: number, body: Buffer): Buffer | undefined {
    if ((flags & Frame.Flags.COMPRESSION) === 0) return body
    const { compressor } = this
    const isScylla = this.flavour.product === "scylla"
    if (compressor === undefined) {
      // Cassandra does not even look at the flag.
      if (!isScylla) return body
      this.refuse({ error: protocol("Unknown compression algorithm"), stream: 0, close: true })
      return undefined
    }
    try {
      const plain = compressor.decompress(body, 0, body.length, MAX_BODY)
      return Buffer.from(plain.buffer, plain.byteOffset, plain.length)
    } catch (thrown) {
      this.refuse({ error: internal((thrown as Error).message), stream: 0, close: isScylla })
      return undefined
    }
  }

  private segments(bytes: Buffer): void {
    try {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      this.framing.push(bytes, view, 0, bytes.length)
    } catch (thrown) {
      // A checksum that does not match, or what is no segment: nothing that follows can be understood.
      this.isStopped = true
      this.handler.onRefused({ error: protocol((thrown as Error).message), stream: 0, close: true })
    }
  }

  private onEnvelope(version: number, flags: number, stream: number, opcode: number, reader: Reader): void {
    if (this.isStopped || !this.checkVersion(version, stream)) return
    const { bytes, pos } = reader
    const body = Buffer.from(bytes.buffer, bytes.byteOffset + pos, reader.remaining)
    this.handler.onRequest(flags & ~Frame.Flags.COMPRESSION, stream, opcode, body)
  }
}
