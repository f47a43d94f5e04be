/** A minimal CQL server on a real socket: answers OPTIONS, STARTUP, and queries with VOID. */
import { FrameParser } from "@effect-scylla/protocol/Frame"
import * as Request from "@effect-scylla/protocol/Request"
import type * as Response from "@effect-scylla/protocol/Response"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { frame } from "./network.ts"

export interface Listening {
  readonly port: number
  /** Sockets that are open on the server's side. */
  readonly sockets: Set<Net.Socket>
}

/** Listens on a free port of the loopback until the scope ends. */
export const listen = (
  accept: (socket: Net.Socket) => void,
  tls?: Tls.TlsOptions
): Effect.Effect<Listening, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Listening & { readonly server: Net.Server }>((resume) => {
      const sockets = new Set<Net.Socket>()
      const onSocket = (socket: Net.Socket): void => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
        accept(socket)
      }
      const server = tls === undefined ? Net.createServer(onSocket) : Tls.createServer(tls, onSocket)
      server.on("tlsClientError", () => {})
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as Net.AddressInfo
        resume(Effect.succeed({ port, sockets, server }))
      })
    }),
    ({ server, sockets }) =>
      Effect.callback<void>((resume) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resume(Effect.void))
      })
  )

export const cql = (socket: Net.Socket): void => {
  const answer = (stream: number, response: Response.ServerResponse): void => void socket.write(frame(stream, response))
  const parser = new FrameParser({
    onFrame: (_version, flags, stream, opcode, body) => {
      const { request } = Request.decode(opcode, flags, body)
      if (request._tag === "Options") answer(stream, { _tag: "Supported", options: new Map() })
      else if (request._tag === "Startup") answer(stream, { _tag: "Ready" })
      else answer(stream, { _tag: "Void" })
    }
  })
  socket.on("data", (chunk: Buffer) => {
    const bytes = Buffer.from(Uint8Array.from(chunk).buffer)
    parser.push(bytes, new DataView(bytes.buffer), 0, bytes.length)
  })
}
