/**
 * The floor: the least that Node can do for a request. Frames are encoded once, a batch is appended into one buffer and
 * written once per read, of a response only the header is looked at. It routes nothing and decodes nothing.
 */
import {
  BindEncoder,
  Dialect,
  Features,
  Frame,
  Negotiation,
  Reader,
  Request,
  Response,
  RowDecoder,
  Uuid,
  Writer
} from "@effect-scylla/protocol"
import { once } from "node:events"
import { connect as connectSocket, type Socket } from "node:net"
import { INSERT, keys, name, type Operation, SELECT } from "../workload.ts"
import type { Client, Connect, Sampler } from "./client.ts"

/** Waits for the one frame that answers a handshake request. */
const ask = async (
  socket: Socket,
  request: Request.Request,
  dialect = Dialect.v4
): Promise<Response.Response> => {
  const w = new Writer.Writer()
  Request.encode(w, 0, request, { dialect })
  socket.write(w.toUint8Array())
  let received = Buffer.alloc(0)
  for (;;) {
    const [chunk] = await once(socket, "data") as [Buffer]
    received = Buffer.concat([received, chunk])
    if (received.length < Frame.HEADER_SIZE || received.length < Frame.HEADER_SIZE + received.readInt32BE(5)) continue
    const reader = Reader.Reader.from(received.subarray(Frame.HEADER_SIZE))
    const response = Response.decode(received[4]!, reader, new RowDecoder.RowDecoders(), dialect)
    if (response._tag === "Error") throw new Error(response.error.message)
    return response
  }
}

/** The EXECUTE frames, one for each key, with stream id 0. */
const frames = (prepared: Response.Prepared, dialect: Dialect.Dialect): ReadonlyArray<Uint8Array> => {
  const encoder = new BindEncoder.BindEncoder(prepared.variables.columns)
  const options: Request.Options = { consistency: "LOCAL_ONE", skipMetadata: dialect.metadataIds }
  const count = prepared.variables.columns.length
  const { id, resultMetadataId } = prepared
  const template = Request.executeTemplate(id, options, count, {
    tracing: false,
    stamped: false,
    dialect,
    resultMetadataId
  })
  return keys.map((key, i) => {
    const id = Uuid.parseUnsafe(key)
    const values = encoder.columns.length === 1 ? [id] : [id, name, i, BigInt(i)]
    const w = new Writer.Writer()
    Request.writeExecute(w, template, encoder, values, 0)
    return w.toUint8Array()
  })
}

const OUT_SIZE = 256 * 1024

class Connection {
  socket: Socket
  private readonly executes: ReadonlyArray<Uint8Array>
  private out = Buffer.allocUnsafeSlow(OUT_SIZE)
  private outEnd = 0
  private carry: Buffer | undefined
  private remaining = 0
  private unanswered = 0
  private sampler: Sampler | undefined
  /** By stream id: when a sampled request was sent, 0 for the others. */
  private readonly sentAt = new Float64Array(32768)
  private done: (() => void) | undefined
  private failed: ((error: Error) => void) | undefined

  constructor(socket: Socket, executes: ReadonlyArray<Uint8Array>) {
    this.socket = socket
    this.executes = executes
  }

  run(inflight: number, requests: number, sampler: Sampler): Promise<void> {
    return new Promise((resolve, reject) => {
      this.done = resolve
      this.failed = reject
      this.sampler = sampler
      this.remaining = requests
      this.unanswered = requests
      for (let stream = 0; stream < inflight && this.remaining > 0; stream++) this.send(stream)
      this.flush()
    })
  }

  fail(error: Error): void {
    this.failed?.(error)
  }

  private send(stream: number): void {
    const frame = this.executes[this.remaining-- & 255]!
    if (this.outEnd + frame.length > OUT_SIZE) this.flush()
    const { out, outEnd } = this
    out.set(frame, outEnd)
    out[outEnd + 2] = stream >> 8
    out[outEnd + 3] = stream
    this.outEnd = outEnd + frame.length
    this.sentAt[stream] = this.sampler!.due() ? performance.now() : 0
  }

  private flush(): void {
    if (this.outEnd === 0) return
    this.socket.write(this.out.subarray(0, this.outEnd))
    // The kernel did not take everything: the bytes still belong to the socket.
    if (this.socket.writableLength > 0) this.out = Buffer.allocUnsafeSlow(OUT_SIZE)
    this.outEnd = 0
  }

  onRead(bytes: Buffer, end: number): void {
    if (this.carry !== undefined) {
      bytes = Buffer.concat([this.carry, bytes.subarray(0, end)])
      end = bytes.length
      this.carry = undefined
    }
    let pos = 0
    while (end - pos >= 9) {
      const next = pos + 9 +
        ((bytes[pos + 5]! << 24) | (bytes[pos + 6]! << 16) | (bytes[pos + 7]! << 8) | bytes[pos + 8]!)
      if (next > end) break
      if (bytes[pos + 4] !== Frame.Opcode.RESULT) {
        return this.fail(new Error(`not a result: ${bytes.toString("latin1", pos + 9, next)}`))
      }
      const stream = (bytes[pos + 2]! << 8) | bytes[pos + 3]!
      const sentAt = this.sentAt[stream]!
      if (sentAt !== 0) this.sampler!.record(sentAt)
      this.unanswered--
      if (this.remaining > 0) this.send(stream)
      pos = next
    }
    // A copy: the static buffer is about to be read into again.
    if (pos < end) this.carry = Buffer.from(bytes.subarray(pos, end))
    this.flush()
    if (this.unanswered === 0) this.done!()
  }
}

/** As {@link connect} over several connections, each with its share of what is in flight. */
export const connectMany = async (port: number, operation: Operation, connections: number): Promise<Client> => {
  const options = { host: "127.0.0.1", port, noDelay: true }
  const handshake = async (socket: Socket) => {
    const supported = await ask(socket, { _tag: "Options" })
    if (supported._tag !== "Supported") throw new Error(`OPTIONS was answered with ${supported._tag}`)
    const { dialect, startup } = Negotiation.agree(Features.fromSupported(supported.options), { metadataIds: true })
    await ask(socket, { _tag: "Startup", options: startup }, dialect)
    const prepared = await ask(socket, { _tag: "Prepare", query: operation === "select" ? SELECT : INSERT }, dialect)
    if (prepared._tag !== "Prepared") throw new Error(`PREPARE was answered with ${prepared._tag}`)
    return { dialect, prepared, startup }
  }
  // A socket with `onread` emits no "data": the statement is prepared on a connection of its own.
  const preparing = connectSocket(options)
  const { dialect, prepared, startup } = await handshake(preparing)
  preparing.destroy()

  const open = async (): Promise<Connection> => {
    let ready = () => {}
    const started = new Promise<void>((resolve) => ready = resolve)
    const connection: { current: Connection | undefined } = { current: undefined }
    const socket = connectSocket({
      ...options,
      onread: {
        buffer: Buffer.allocUnsafeSlow(256 * 1024),
        callback: (size, buffer) => {
          if (connection.current !== undefined) connection.current.onRead(buffer as Buffer, size)
          else ready()
          return true
        }
      }
    })
    const w = new Writer.Writer()
    Request.encode(w, 0, { _tag: "Startup", options: startup }, { dialect })
    socket.write(w.toUint8Array())
    await started
    const connected = connection.current = new Connection(socket, frames(prepared, dialect))
    socket.on("error", (error) => connected.fail(error))
    socket.on("close", () => connected.fail(new Error("the server closed the connection")))
    return connected
  }
  const opened: Array<Connection> = []
  for (let i = 0; i < connections; i++) opened.push(await open())
  const share = (total: number) => Math.ceil(total / connections)
  return {
    run: async (inflight, requests, sampler) => {
      await Promise.all(opened.map((connection) => connection.run(share(inflight), share(requests), sampler)))
    },
    close: () => {
      for (const { socket } of opened) socket.destroy()
      return Promise.resolve()
    }
  }
}

export const connect: Connect = (port, operation) => connectMany(port, operation, 1)
