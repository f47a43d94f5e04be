/** A CQL client of nothing but frames: what a test sends is what it wrote. */
import { Transport } from "@effect-scylla/pool"
import {
  Compression,
  Dialect,
  Features,
  Frame,
  Framing,
  Reader,
  Request,
  Response,
  RowDecoder,
  Writer
} from "@effect-scylla/protocol"
import { Deferred, Effect, Queue, Schedule } from "effect"
import { Buffer } from "node:buffer"

export interface RawFrame {
  readonly version: number
  readonly flags: number
  readonly stream: number
  readonly opcode: number
  readonly body: Uint8Array
  /** Header and body, as hex. */
  readonly hex: string
}

/** The frame with its body as it is without compression. */
export const plain = (frame: RawFrame, compressor: Compression.Compressor | undefined): RawFrame => {
  if (compressor === undefined || (frame.flags & Frame.Flags.COMPRESSION) === 0) return frame
  const body = Uint8Array.from(compressor.decompress(frame.body, 0, frame.body.length, 1_000_000))
  return { ...frame, flags: frame.flags & ~Frame.Flags.COMPRESSION, body }
}

export const decode = (
  frame: RawFrame,
  decoders = new RowDecoder.RowDecoders(),
  dialect = Dialect.make(4, { rateLimitCode: 0xf000 }),
  expected?: RowDecoder.RowDecoder
): Response.Response => {
  const r = Reader.Reader.from(frame.body)
  Response.readPrefix(frame.flags, r)
  return Response.decode(frame.opcode, r, decoders, dialect, expected)
}

export const warningsOf = (frame: RawFrame): ReadonlyArray<string> =>
  Response.readPrefix(frame.flags, Reader.Reader.from(frame.body)).warnings

export const parseFrame = (bytes: Buffer): RawFrame => ({
  version: bytes[0]!,
  flags: bytes[1]!,
  stream: bytes.readInt16BE(2),
  opcode: bytes[4]!,
  body: Uint8Array.from(bytes.subarray(9)),
  hex: bytes.toString("hex")
})

const readFrame = (bytes: Buffer): RawFrame | undefined => {
  if (bytes.length < 9 || bytes.length < 9 + bytes.readUInt32BE(5)) return undefined
  return parseFrame(bytes.subarray(0, 9 + bytes.readUInt32BE(5)))
}

export const payloadOf = (frame: RawFrame): ReadonlyMap<string, Uint8Array | null> | undefined =>
  Response.readPrefix(frame.flags, Reader.Reader.from(frame.body)).customPayload

/** Encodes a request as a frame. */
export const frameOf = (request: Request.Request, stream = 1, dialect = Dialect.v4): Uint8Array => {
  const w = new Writer.Writer(256)
  Request.encode(w, stream, request, { dialect })
  return w.toUint8Array()
}

/** What `startup` agrees on. */
export interface Agreed {
  dialect: Dialect.Dialect
  compressor: Compression.Compressor | undefined
  /** Of v5, once STARTUP was answered. */
  segments: Framing.Framing | undefined
}

/** A connection in its scope: raw bytes out, frames in, `startup` agrees on how. */
export const connect = Effect.fnUntraced(
  function*(
    address: string,
    port: number,
    transport?: Transport.Transport,
    localPort?: number,
    version: Dialect.Version = 4
  ) {
    const { dial } = transport ?? (yield* Transport.Transport)
    const socket = yield* Effect.acquireRelease(
      dial({ address, port, localPort }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const frames = yield* Queue.unbounded<RawFrame>()
    const closed = Deferred.makeUnsafe<Error | undefined>()
    const agreed: Agreed = {
      dialect: Dialect.make(version, { rateLimitCode: 0xf000 }),
      compressor: undefined,
      segments: undefined
    }
    const received: Array<Buffer> = []
    let pending = Buffer.alloc(0)
    socket.start({
      onData: (bytes, view, length) => {
        received.push(Buffer.from(bytes.subarray(0, length)))
        if (agreed.segments !== undefined) return agreed.segments.push(bytes, view, 0, length)
        pending = Buffer.concat([pending, bytes.subarray(0, length)])
        for (let frame = readFrame(pending); frame !== undefined; frame = readFrame(pending)) {
          pending = Buffer.from(pending.subarray(9 + frame.body.length))
          Queue.offerUnsafe(frames, frame)
        }
      },
      onClose: (error) => {
        Deferred.doneUnsafe(closed, Effect.succeed(error))
      }
    })
    let stream = 0
    const send = (bytes: Uint8Array): Effect.Effect<void> =>
      Effect.sync(() => {
        socket.write(bytes, () => undefined)
      })
    const next = Queue.take(frames)
    /** Answers carry a whole envelope each; whatever stands behind the header was sent without compression. */
    const toSegments = (): void => {
      const framing = new Framing.Framing({
        onFrame: (_version, flags, stream, opcode, body) => {
          const w = new Writer.Writer()
          const start = Frame.begin(w, 0x85, flags, stream, opcode)
          w.raw(body.bytes.subarray(body.pos, body.pos + body.remaining))
          Frame.end(w, start)
          Queue.offerUnsafe(frames, parseFrame(Buffer.from(w.toUint8Array())))
        }
      })
      framing.use(5, agreed.compressor)
      agreed.segments = framing
    }
    const wrap = (bytes: Uint8Array): Uint8Array => {
      if (agreed.segments === undefined) return bytes
      const w = new Writer.Writer()
      agreed.segments.write(w, bytes, 0, bytes.length)
      return w.toUint8Array()
    }
    const read = (frame: RawFrame, expected?: RowDecoder.RowDecoder): Response.Response =>
      decode(plain(frame, agreed.compressor), undefined, agreed.dialect, expected)
    /** What is sent for a request, as agreed. */
    const bytesOf = (request: Request.Request, streamId = ++stream): Uint8Array =>
      wrap(frameOf(request, streamId, agreed.dialect))
    const ask = (request: Request.Request, streamId?: number): Effect.Effect<RawFrame> =>
      Effect.andThen(Effect.suspend(() => send(bytesOf(request, streamId))), next)
    const request = (message: Request.Request): Effect.Effect<Response.Response> =>
      Effect.map(ask(message), (frame) => read(frame))
    const startup = Effect.fnUntraced(function*(options: Record<string, string> = {}) {
      const frame = yield* ask({ _tag: "Startup", options: { CQL_VERSION: "3.0.0", ...options } })
      if (frame.opcode === Frame.Opcode.ERROR) return read(frame)
      const name = options["COMPRESSION"]?.toLowerCase()
      agreed.compressor = name === undefined ? undefined : name === "lz4" ? Compression.lz4 : Compression.snappy
      agreed.dialect = Dialect.make(version, {
        rateLimitCode: 0xf000,
        metadataIds: options["SCYLLA_USE_METADATA_ID"] !== undefined,
        tabletVersions: (options[Features.TABLETS_V2] ?? options[Features.TABLETS_V2_EXPERIMENTAL]) !== undefined
      })
      if (version === 5) toSegments()
      return read(frame)
    })
    const query = (
      text: string,
      options: Partial<Request.Options> = {},
      values?: ReadonlyArray<Request.RawValue>
    ): Effect.Effect<Response.Response> =>
      request({
        _tag: "Query",
        query: text,
        options: { consistency: "ONE", ...options },
        values: values === undefined ? undefined : { values }
      })
    return {
      socket,
      frames,
      closed: Deferred.await(closed),
      /** All bytes that came, as they came. */
      received,
      agreed,
      send,
      bytesOf,
      next,
      ask,
      read,
      request,
      startup,
      query
    }
  }
)

export type RawClient = Effect.Success<ReturnType<typeof connect>>

/** The rows of an answer, or a failure that shows the answer. */
export const rowsOf = (response: Response.Response): ReadonlyArray<Record<string, unknown>> => {
  if (response._tag !== "Rows") throw new Error(`rows expected, got ${JSON.stringify(response)}`)
  return response.rows as ReadonlyArray<Record<string, unknown>>
}

export const errorOf = (response: Response.Response): { readonly code: number; readonly message: string } => {
  if (response._tag !== "Error") throw new Error(`an error expected, got ${JSON.stringify(response)}`)
  return response.error
}

/** Waits for something that real sockets bring about, for 10 seconds at most. Needs live services. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.sync(condition).pipe(
    Effect.repeat({ until: (holds) => holds, schedule: Schedule.spaced("2 millis") }),
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.die(new Error("the condition never held")) }),
    Effect.asVoid
  )
