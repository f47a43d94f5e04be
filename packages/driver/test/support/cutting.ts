/** A transport between a client and its servers that can be cut: what is open ends, and no dial gets through. */
import { Socket, type Transport } from "@effect-scylla/pool"
import { Effect } from "effect"

export interface Cutting {
  readonly transport: Transport.Transport
  readonly cut: () => void
  readonly mend: () => void
}

export const cutting = (inner: Transport.Transport): Cutting => {
  const open = new Map<Socket.Socket, () => void>()
  let isCut = false
  return {
    transport: {
      dial: (endpoint) =>
        Effect.suspend(() =>
          isCut
            ? Effect.fail(new Socket.DialError({ kind: "Unreachable", endpoint, message: "cut", cause: undefined }))
            : Effect.map(inner.dial(endpoint), (socket): Socket.Socket => ({
              localPort: socket.localPort,
              remoteAddress: socket.remoteAddress,
              get pendingBytes() {
                return socket.pendingBytes
              },
              destroy: () => {
                open.delete(socket)
                socket.destroy()
              },
              write: (bytes, done) => socket.write(bytes, done),
              start: (handlers) => {
                open.set(socket, () => handlers.onClose(new Error("cut")))
                socket.start(handlers)
              }
            }))
        )
    },
    cut: () => {
      isCut = true
      for (const [socket, end] of open) {
        end()
        socket.destroy()
      }
    },
    mend: () => {
      isCut = false
    }
  }
}
