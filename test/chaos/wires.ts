/** The connections of a client in memory, and what may happen to them: they are cut, lose what is answered, or carry lies. */
import type { Socket, Transport } from "@effect-scylla/pool"
import { Dialect, Frame, Response, ServerError, Writer } from "@effect-scylla/protocol"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import type { Random } from "../support/random.ts"

/** What timed out of a batch, as servers name it. */
const BATCH_TYPES = ["BATCH", "UNLOGGED_BATCH", "COUNTER", "CAS", "BATCH_LOG"]

const isRequestOfData = (opcode: number | undefined): boolean =>
  opcode === Frame.Opcode.QUERY || opcode === Frame.Opcode.EXECUTE || opcode === Frame.Opcode.BATCH

/** One connection. */
class Wire {
  /** The next bytes that arrive are lost, and the connection with them. */
  isLosing = false
  private handlers: Socket.Handlers | undefined
  private isClosed = false
  /** Of the protocol, by the first byte that is sent. */
  private version = 0
  /** What is under way, by stream. */
  private readonly opcodes = new Map<number, number>()
  readonly socket: Socket.Socket
  private readonly inner: Socket.Socket
  private readonly lies: () => boolean
  private readonly random: Random
  private readonly released: () => void

  constructor(inner: Socket.Socket, lies: () => boolean, random: Random, released: () => void) {
    this.inner = inner
    this.lies = lies
    this.random = random
    this.released = released
    this.socket = {
      localPort: inner.localPort,
      remoteAddress: inner.remoteAddress,
      get pendingBytes() {
        return inner.pendingBytes
      },
      destroy: () => inner.destroy(),
      write: (bytes, done) => {
        this.sent(bytes)
        return inner.write(bytes, done)
      },
      start: (handlers) => {
        this.handlers = handlers
        inner.start({
          onData: (bytes, view, length) => this.arrived(bytes, view, length),
          onClose: (error) => this.close(error)
        })
      }
    }
  }

  cut(): void {
    this.close(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
    this.inner.destroy()
  }

  private close(error: Error | undefined): void {
    if (this.isClosed) return
    this.isClosed = true
    this.released()
    this.handlers?.onClose(error)
  }

  private sent(bytes: Uint8Array): void {
    if (this.version === 0) this.version = bytes[0]!
    if (this.version > 4) return
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at + Frame.HEADER_SIZE <= bytes.length; at += Frame.HEADER_SIZE + view.getUint32(at + 5)) {
      this.opcodes.set(view.getInt16(at + 2), bytes[at + 4]!)
    }
  }

  private arrived(bytes: Buffer, view: DataView, length: number): void {
    if (this.isClosed) return
    if (this.isLosing) return this.cut()
    if (this.version > 4) {
      // Its segments are not taken apart: what is answered is lost, and that is all.
      if (this.lies() && this.random.below(4) === 0) this.cut()
      else this.handlers!.onData(bytes, view, length)
      return
    }
    const out = new Writer.Writer(length + 256)
    for (let at = 0; at < length;) {
      const end = at + Frame.HEADER_SIZE + view.getUint32(at + 5)
      const stream = view.getInt16(at + 2)
      const error = this.lieAbout(bytes.subarray(at, end), stream)
      if (error === undefined) out.raw(bytes.subarray(at, end))
      else Response.encode(out, stream, { _tag: "Error", error }, {}, Dialect.make(this.version === 3 ? 3 : 4))
      at = end
    }
    const changed = Buffer.from(out.bytes.subarray(0, out.pos))
    this.handlers!.onData(changed, new DataView(changed.buffer, changed.byteOffset, changed.length), changed.length)
  }

  /** The error that is told instead of a result, although all was done. */
  private lieAbout(frame: Uint8Array, stream: number): ServerError.ServerError | undefined {
    const opcode = this.opcodes.get(stream)
    this.opcodes.delete(stream)
    if (frame[4] !== Frame.Opcode.RESULT || !isRequestOfData(opcode) || !this.lies()) return undefined
    const { random } = this
    const message = "a lie: it was done"
    // What a compressed body is, or one with a prefix, is not looked at.
    const kind = frame[1] === 0 ? frame[12] : undefined
    if (kind === Response.ResultKind.SET_KEYSPACE || kind === Response.ResultKind.SCHEMA_CHANGE) return undefined
    const isBatch = opcode === Frame.Opcode.BATCH
    if ((isBatch || kind === Response.ResultKind.VOID) && random.below(4) > 0) {
      const writeType = isBatch ? BATCH_TYPES[random.below(BATCH_TYPES.length)]! : "SIMPLE"
      return new ServerError.WriteTimeout({
        code: 0x1100,
        message,
        consistency: "LOCAL_QUORUM",
        received: random.below(2),
        required: 2,
        writeType
      })
    }
    return random.below(2) === 0
      ? new ServerError.Overloaded({ code: 0x1001, message })
      : new ServerError.InternalServerError({ code: 0, message })
  }
}

export class Wires {
  readonly transport: Transport.Transport
  private readonly open = new Map<string, Set<Wire>>()
  /** By address: one answer of so many is a lie. */
  private readonly lying = new Map<string, number>()

  constructor(inner: Transport.Transport, random: Random) {
    this.transport = {
      dial: (endpoint) =>
        Effect.map(inner.dial(endpoint), (socket) => {
          const { address } = endpoint
          const wires = this.to(address)
          const wire: Wire = new Wire(
            socket,
            () => {
              const oneOf = this.lying.get(address)
              return oneOf !== undefined && random.below(oneOf) === 0
            },
            random,
            () => wires.delete(wire)
          )
          wires.add(wire)
          return wire.socket
        })
    }
  }

  private to(address: string): Set<Wire> {
    let wires = this.open.get(address)
    if (wires === undefined) this.open.set(address, wires = new Set())
    return wires
  }

  /** Ends the connections to a node; `loses`: each with the next bytes that arrive on it. */
  cut(address: string, loses: boolean): void {
    for (const wire of this.to(address)) {
      if (loses) wire.isLosing = true
      else wire.cut()
    }
  }

  /** From now on one answer of so many is a lie; 0 for none. */
  lie(address: string, oneOf: number): void {
    if (oneOf === 0) this.lying.delete(address)
    else this.lying.set(address, oneOf)
  }
}
