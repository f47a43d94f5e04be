import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Net from "node:net"
import * as Ports from "../src/Ports.ts"

const listen = (address: string, port: number) =>
  Effect.acquireRelease(
    Effect.callback<Net.Server, Error>((resume) => {
      const server = Net.createServer()
      server.once("error", (error) => resume(Effect.fail(error)))
      server.listen(port, address, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
      })
  )

describe("Ports", () => {
  it.live("ports are distinct, in range and can be listened on", () =>
    Effect.gen(function*() {
      const ports = yield* Ports.freePorts({ count: 3 })
      assert.strictEqual(new Set(ports).size, 3)
      for (const port of ports) {
        assert.isTrue(port >= 20_000 && port < 30_000)
        yield* listen("127.0.0.1", port)
      }
    }))

  it.live("a port taken on any of the addresses is passed over", () =>
    Effect.gen(function*() {
      if (!(yield* Ports.canUseLoopback("127.0.0.2"))) return
      const [port = 0] = yield* Ports.freePorts({ addresses: ["127.0.0.1", "127.0.0.2"] })
      yield* listen("127.0.0.2", port)
      const range = { from: port, to: port + 1 }
      assert.deepStrictEqual(yield* Ports.freePorts({ ...range, addresses: ["127.0.0.1"] }), [port])
      const error = yield* Effect.flip(Ports.freePorts({ ...range, addresses: ["127.0.0.1", "127.0.0.2"] }))
      assert.strictEqual(error.reason, "NoneFree")
    }))

  it.live("a reserved port is not given to anybody else, and still lets its server listen", () =>
    Effect.gen(function*() {
      const port = yield* Effect.scoped(Effect.gen(function*() {
        const [port = 0] = yield* Ports.reservePorts()
        const again = yield* Effect.flip(Ports.freePorts({ from: port, to: port + 1 }))
        assert.strictEqual(again.reason, "NoneFree")
        yield* listen("127.0.0.1", port)
        return port
      }))
      assert.deepStrictEqual(yield* Ports.freePorts({ from: port, to: port + 1 }), [port])
    }))

  it.live("an address that is not this host's is refused with what to do", () =>
    Effect.gen(function*() {
      // TEST-NET-1: never a local address
      assert.isFalse(yield* Ports.canUseLoopback("192.0.2.1"))
      const error = yield* Effect.flip(Ports.freePorts({ addresses: ["192.0.2.1"] }))
      assert.strictEqual(error.reason, "AddressUnusable")
      assert.include(error.message, "192.0.2.1")
    }))
})
