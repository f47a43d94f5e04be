/** A CQL client of nothing but frames: what a test sends is what it wrote. */
import { Transport } from "@effect-scylla/pool"
import { Dialect, Reader, Request, Response, RowDecoder, Writer } from "@effect-scylla/protocol"
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

export const decode = (frame: RawFrame, decoders = new RowDecoder.RowDecoders()): Response.Response => {
  const r = Reader.Reader.from(frame.body)
  Response.readPrefix(frame.flags, r)
  return Response.decode(frame.opcode, r, decoders, Dialect.make(4, { rateLimitCode: 0xf000 }))
}

export const warningsOf = (frame: RawFrame): ReadonlyArray<string> =>
  Response.readPrefix(frame.flags, Reader.Reader.from(frame.body)).warnings

const readFrame = (bytes: Buffer): RawFrame | undefined => {
  if (bytes.length < 9 || bytes.length < 9 + bytes.readUInt32BE(5)) return undefined
  const end = 9 + bytes.readUInt32BE(5)
  return {
    version: bytes[0]!,
    flags: bytes[1]!,
    stream: bytes.readInt16BE(2),
    opcode: bytes[4]!,
    body: Uint8Array.from(bytes.subarray(9, end)),
    hex: bytes.subarray(0, end).toString("hex")
  }
}

/** Encodes a request as a frame. */
export const frameOf = (request: Request.Request, stream = 1, dialect = Dialect.v4): Uint8Array => {
  const w = new Writer.Writer(256)
  Request.encode(w, stream, request, { dialect })
  return w.toUint8Array()
}

/** A connection in its scope: raw bytes out, frames in. */
export const connect = Effect.fnUntraced(
  function*(address: string, port: number, transport?: Transport.Transport, localPort?: number) {
    const { dial } = transport ?? (yield* Transport.Transport)
    const socket = yield* Effect.acquireRelease(
      dial({ address, port, localPort }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const frames = yield* Queue.unbounded<RawFrame>()
    const closed = Deferred.makeUnsafe<Error | undefined>()
    let pending = Buffer.alloc(0)
    socket.start({
      onData: (bytes, _view, length) => {
        pending = Buffer.concat([pending, bytes.subarray(0, length)])
        for (let frame = readFrame(pending); frame !== undefined; frame = readFrame(pending)) {
          pending = pending.subarray(9 + frame.body.length)
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
    const ask = (request: Request.Request, streamId = ++stream): Effect.Effect<RawFrame> =>
      Effect.andThen(send(frameOf(request, streamId)), next)
    const request = (message: Request.Request): Effect.Effect<Response.Response> =>
      Effect.map(ask(message), (frame) => decode(frame))
    const startup = (options: Record<string, string> = {}): Effect.Effect<Response.Response> =>
      request({ _tag: "Startup", options: { CQL_VERSION: "3.0.0", ...options } })
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
    return { socket, frames, closed: Deferred.await(closed), send, next, ask, request, startup, query }
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
