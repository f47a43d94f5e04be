/** A transport between a client and its servers that changes what is answered. */
import type { Socket, Transport } from "@effect-scylla/pool"
import { Effect } from "effect"
import { Buffer } from "node:buffer"

/** `change` may write into a copy of the bytes as they arrive from an address; in memory these are whole frames. */
export const changing = (
  inner: Transport.Transport,
  change: (bytes: Buffer, address: string) => void
): Transport.Transport => ({
  dial: (endpoint) =>
    Effect.map(inner.dial(endpoint), (socket): Socket.Socket => ({
      localPort: socket.localPort,
      remoteAddress: socket.remoteAddress,
      get pendingBytes() {
        return socket.pendingBytes
      },
      destroy: () => socket.destroy(),
      write: (bytes, done) => socket.write(bytes, done),
      start: (handlers) =>
        socket.start({
          onClose: (error) => handlers.onClose(error),
          onData: (bytes, _view, length) => {
            const copy = Buffer.from(bytes.subarray(0, length))
            change(copy, endpoint.address)
            handlers.onData(copy, new DataView(copy.buffer, copy.byteOffset, length), length)
          }
        })
    }))
})
