/** The listeners of a node on real sockets. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Buffer } from "node:buffer"
import * as Net from "node:net"
import type { Port } from "./host.ts"
import type { Line } from "./line.ts"
import type { NodeHost } from "./node.ts"

/** A client that does not read what it asked for is not read from either, beyond so many bytes that wait for it. */
const MAX_UNSENT = 4 * 1024 * 1024

/** How long a connection that the server ended waits for the client to close, milliseconds. */
const LINGER = 1000

const serve = (host: NodeHost, port: Port, socket: Net.Socket): void => {
  socket.setNoDelay(true)
  let line: Line | undefined
  // A socket that is reset before it is accepted has no address any more.
  if (socket.remotePort === undefined) {
    socket.destroy()
    return
  }
  line = host.accept(port, {
    remoteAddress: socket.remoteAddress ?? "127.0.0.1",
    remotePort: socket.remotePort,
    send: (bytes) => {
      socket.write(Uint8Array.from(bytes))
      if (socket.writableLength > MAX_UNSENT && !socket.isPaused()) {
        socket.pause()
        socket.once("drain", () => socket.resume())
      }
    },
    end: () => {
      // What the client still sends is read and dropped: a socket that is closed over unread bytes is reset, and the reset
      // may eat the answer.
      socket.end()
      socket.setTimeout(LINGER, () => socket.destroy())
    },
    destroy: () => {
      if (!socket.destroyed) socket.resetAndDestroy()
    }
  })
  socket.on("data", (bytes: Buffer) => line.receive(bytes))
  // A reset by the client is followed by "close".
  socket.on("error", () => undefined)
  socket.on("end", () => line.ended(() => socket.end()))
  socket.on("close", () => line.closed())
}

export interface Listener {
  readonly close: Effect.Effect<void>
}

/** Listens on one port of a node. Fails with the error of the system. */
export const listen = (host: NodeHost, port: Port): Effect.Effect<Listener, NodeJS.ErrnoException> =>
  Effect.callback((resume) => {
    const sockets = new Set<Net.Socket>()
    const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
      serve(host, port, socket)
    })
    const close = Effect.callback<void>((done) => {
      server.close(() => done(Exit.void))
      for (const socket of sockets) socket.destroy()
    })
    server.once("error", (error: NodeJS.ErrnoException) => resume(Exit.fail(error)))
    server.listen({ host: host.node.address, port: port.number, exclusive: true }, () => {
      server.removeAllListeners("error")
      // An accept that fails (too many open files) concerns one client.
      server.on("error", () => undefined)
      resume(Exit.succeed({ close }))
    })
    return Effect.sync(() => {
      server.close()
    })
  })
