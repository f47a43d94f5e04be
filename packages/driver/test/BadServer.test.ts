/** Servers that are none, or not whole: one typed error that says what to do, in time, and nothing stays open. */
import { CqlClient } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Net from "node:net"

/** A server on loopback; `open` counts its connections. */
const server = (serve: (socket: Net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly open: Set<Net.Socket>; readonly server: Net.Server }>(
      (resume) => {
        const open = new Set<Net.Socket>()
        const server = Net.createServer((socket) => {
          open.add(socket)
          socket.on("close", () => open.delete(socket))
          socket.on("error", () => {})
          // Only who reads learns that the other side has closed.
          socket.resume()
          serve(socket)
        })
        server.listen(0, "127.0.0.1", () => {
          resume(Effect.succeed({ port: (server.address() as Net.AddressInfo).port, open, server }))
        })
      }
    ),
    ({ open, server }) =>
      Effect.callback<void>((resume) => {
        for (const socket of open) socket.destroy()
        server.close(() => resume(Effect.void))
      })
  )

/** Polls until a condition holds. */
const eventually = (what: string, condition: () => boolean) =>
  Effect.gen(function*() {
    const deadline = performance.now() + 5_000
    while (!condition()) {
      if (performance.now() > deadline) return assert.fail(`${what} did not happen in 5 seconds`)
      yield* Effect.sleep("5 millis")
    }
  })

const failing = (serve: (socket: Net.Socket) => void) =>
  Effect.gen(function*() {
    const { open, port } = yield* server(serve)
    const [took, error] = yield* Effect.timed(Effect.flip(Effect.scoped(CqlClient.make({
      contactPoints: [`127.0.0.1:${port}`],
      connectTimeout: "2 seconds",
      handshakeTimeout: "500 millis"
    }))))
    yield* eventually("every connection is closed", () => open.size === 0)
    return { error, took, contactPoint: `127.0.0.1:${port}` }
  })

describe("a server that", () => {
  it.live("closes during the handshake", () =>
    Effect.gen(function*() {
      const { contactPoint, error } = yield* failing((socket) => {
        socket.once("data", () => socket.destroy())
      })
      assert.strictEqual(error.reason._tag, "NoContactPoint")
      assert.include(error.message, contactPoint)
      if (error.reason._tag === "NoContactPoint") {
        assert.strictEqual(error.reason.reasons[0]?.reason._tag, "ConnectionLost")
      }
    }))

  it.live("sends garbage", () =>
    Effect.gen(function*() {
      const { error } = yield* failing((socket) => {
        socket.write("HTTP/1.1 400 Bad Request\r\n\r\nthis is not CQL")
      })
      assert.strictEqual(error.reason._tag, "NoContactPoint")
      if (error.reason._tag === "NoContactPoint") {
        assert.strictEqual(error.reason.reasons[0]?.reason._tag, "ProtocolViolation")
      }
    }))

  it.live("never answers", () =>
    Effect.gen(function*() {
      const { error } = yield* failing(() => {})
      assert.strictEqual(error.reason._tag, "NoContactPoint")
      if (error.reason._tag === "NoContactPoint") {
        assert.strictEqual(error.reason.reasons[0]?.reason._tag, "ConnectTimeout")
      }
      assert.include(error.message, "did not answer the handshake within 500 ms")
    }))

  it.live("is not there", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Effect.scoped(CqlClient.make({ contactPoints: ["127.0.0.1:1", "host.invalid"] }))
      )
      assert.strictEqual(error.reason._tag, "NoContactPoint")
      assert.include(error.message, "127.0.0.1:1: cannot connect")
      assert.include(error.message, "host.invalid: host.invalid cannot be resolved")
      assert.include(error.message, "Check addresses, port and TLS")
    }))
})
