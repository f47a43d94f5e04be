/** A transport between a client and its servers that looks at what is sent, and can hold back what is answered. */
import type { Socket, Transport } from "@effect-scylla/pool"
import { Frame } from "@effect-scylla/protocol"
import { Effect } from "effect"
import { Buffer } from "node:buffer"

export interface Tap {
  readonly transport: Transport.Transport
  /** Dials so far. */
  readonly dials: () => number
  /** The version of the STARTUP of every connection, by the address that was dialled. */
  readonly startups: ReadonlyArray<{ readonly address: string; readonly version: number }>
  /** Answers of this address wait from now on. */
  readonly hold: (address: string) => void
  /** The next answer of this address waits; those behind it do not. */
  readonly holdNext: (address: string) => void
  /** Everything that waits is delivered. */
  readonly release: () => void
}

export const tap = (inner: Transport.Transport): Tap => {
  const startups: Array<{ readonly address: string; readonly version: number }> = []
  let dials = 0
  let held: string | undefined
  let next: string | undefined
  let waiting: Array<() => void> = []

  const wrap = (socket: Socket.Socket, address: string): Socket.Socket => ({
    localPort: socket.localPort,
    remoteAddress: socket.remoteAddress,
    get pendingBytes() {
      return socket.pendingBytes
    },
    destroy: () => socket.destroy(),
    write: (bytes, done) => {
      if (bytes[4] === Frame.Opcode.STARTUP && startups.length < dials) startups.push({ address, version: bytes[0]! })
      return socket.write(bytes, done)
    },
    start: (handlers) =>
      socket.start({
        onClose: (error) => handlers.onClose(error),
        onData: (bytes, view, length) => {
          if (held !== address && next !== address) return handlers.onData(bytes, view, length)
          next = undefined
          const copy = Uint8Array.from(bytes.subarray(0, length))
          waiting.push(() => handlers.onData(Buffer.from(copy.buffer), new DataView(copy.buffer), length))
        }
      })
  })

  return {
    transport: {
      dial: (endpoint) =>
        Effect.map(
          Effect.suspend(() => {
            dials++
            return inner.dial(endpoint)
          }),
          (socket) => wrap(socket, endpoint.address)
        )
    },
    dials: () => dials,
    startups,
    hold: (address) => {
      held = address
    },
    holdNext: (address) => {
      next = address
    },
    release: () => {
      held = undefined
      next = undefined
      const all = waiting
      waiting = []
      for (const deliver of all) deliver()
    }
  }
}
