import { type Socket, Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random, type Scope } from "effect"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { type Blow, FaultProxy, layer } from "../src/FaultProxy.ts"
import { connect, rowsOf } from "./rawClient.ts"

const ADDRESS = "127.0.0.1"

/** Answers what it gets; knows the ports that it was reached from. */
const echo = Effect.acquireRelease(
  Effect.callback<{ readonly server: Net.Server; readonly from: Array<number>; readonly sockets: Set<Net.Socket> }>(
    (resume) => {
      const from: Array<number> = []
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((socket) => {
        from.push(socket.remotePort ?? 0)
        sockets.add(socket)
        socket.on("error", () => undefined)
        socket.on("close", () => sockets.delete(socket))
        socket.on("data", (bytes) => socket.write(bytes))
      })
      server.listen(0, ADDRESS, () => resume(Effect.succeed({ server, from, sockets })))
    }
  ),
  ({ server, sockets }) =>
    Effect.callback<void>((resume) => {
      for (const socket of sockets) socket.destroy()
      server.close(() => resume(Effect.void))
    })
)

/** What became of a socket. */
class Client implements Socket.Handlers {
  readonly socket: Socket.Socket
  received = ""
  closed: Error | "in order" | undefined = undefined
  constructor(socket: Socket.Socket) {
    this.socket = socket
    socket.start(this)
  }
  onData(bytes: Buffer, _view: DataView, length: number): void {
    this.received += bytes.toString("latin1", 0, length)
  }
  onClose(error: Error | undefined): void {
    this.closed = error ?? "in order"
  }
  send(text: string): void {
    this.socket.write(Buffer.from(text), () => {})
  }
}

/** Looks every few milliseconds, for 10 seconds. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let i = 0; i < 2_000; i++) {
      if (condition()) return
      yield* Effect.sleep(5)
    }
    assert.fail(`never came true: ${String(condition)}`)
  })

const world = Effect.gen(function*() {
  const { from, server, sockets } = yield* echo
  const transport = Transport.Transport.defaultValue()
  const proxy = yield* FaultProxy
  const { port } = server.address() as Net.AddressInfo
  const dial = (localPort?: number) =>
    Effect.map(
      Effect.acquireRelease(
        proxy.transport.dial({ address: ADDRESS, port, localPort }),
        (socket) => Effect.sync(() => socket.destroy())
      ),
      (socket) => new Client(socket)
    )
  const direct = () => transport.dial({ address: ADDRESS, port })
  return { dial, direct, from, proxy, sockets }
})

const LONG = "0123456789".repeat(50)
const seeded = (seed: string) => (effect: typeof striking) =>
  Effect.scoped(effect).pipe(Effect.provide(layer), Random.withSeed(seed))

/** What a client sees of a long answer that is torn. */
const striking = Effect.gen(function*() {
  const { dial, proxy } = yield* world
  const client = yield* dial()
  client.send("a")
  yield* until(() => client.received === "a")
  assert.strictEqual(yield* proxy.strike(ADDRESS, "Tear"), 1)
  client.send(LONG)
  yield* until(() => client.closed !== undefined)
  return client.received.slice(1)
})

const run = <A, E>(test: Effect.Effect<A, E, FaultProxy | Scope.Scope>) =>
  Effect.scoped(test).pipe(Effect.provide(layer))

describe("FaultProxy", () => {
  it.live("what is sent arrives, both ways; an end is an end", () =>
    run(Effect.gen(function*() {
      const { dial, proxy, sockets } = yield* world
      const client = yield* dial()
      client.send(LONG)
      yield* until(() => client.received === LONG)
      assert.strictEqual(proxy.connections(ADDRESS), 1)
      for (const socket of sockets) socket.end()
      yield* until(() => client.closed === "in order")
      yield* until(() => proxy.connections(ADDRESS) === 0)
    })))

  it.live("goes on from the local port that was asked for", () =>
    run(Effect.gen(function*() {
      if (process.platform !== "linux") return
      const { dial, from } = yield* world
      const free = yield* Effect.scoped(Effect.map(echo, ({ server }) => (server.address() as Net.AddressInfo).port))
      const client = yield* dial(free)
      client.send("a")
      yield* until(() => client.received === "a")
      assert.deepStrictEqual(from, [free])
    })))

  for (
    const [blow, isInOrder] of [["Cut", true], ["Reset", false], ["Tear", false], ["Truncate", true]] as ReadonlyArray<
      readonly [Blow, boolean]
    >
  ) {
    it.live(`${blow}: the connection ends ${isInOrder ? "in order" : "with a reset"}, for both; the next one is well`, () =>
      run(Effect.gen(function*() {
        const { dial, proxy, sockets } = yield* world
        const client = yield* dial()
        client.send("a")
        yield* until(() => client.received === "a")
        assert.strictEqual(yield* proxy.strike(ADDRESS, blow), 1)
        if (blow === "Tear" || blow === "Truncate") client.send(LONG)
        yield* until(() => client.closed !== undefined)
        assert.strictEqual(client.closed === "in order", isInOrder)
        yield* until(() => sockets.size === 0)
        const rest = client.received.slice(1)
        assert.isTrue(LONG.startsWith(rest))
        assert.strictEqual(rest.length > 0 && rest.length < LONG.length, blow === "Tear" || blow === "Truncate")
        const next = yield* dial()
        next.send("b")
        yield* until(() => next.received === "b")
      })))
  }

  it.live("HalfOpen: the server's end is gone, and the client is not told", () =>
    run(Effect.gen(function*() {
      const { dial, proxy, sockets } = yield* world
      const client = yield* dial()
      client.send("a")
      yield* until(() => client.received === "a")
      yield* proxy.strike(ADDRESS, "HalfOpen")
      yield* until(() => sockets.size === 0)
      client.send("b")
      const next = yield* dial()
      next.send("c")
      yield* until(() => next.received === "c")
      assert.strictEqual(client.received, "a")
      assert.isUndefined(client.closed)
    })))

  it.live("Refuse: no new connections, until it passes again; open ones go on", () =>
    run(Effect.gen(function*() {
      const { dial, proxy } = yield* world
      const client = yield* dial()
      yield* proxy.set(ADDRESS, { _tag: "Refuse" })
      const error = yield* Effect.flip(dial())
      assert.strictEqual(error.kind, "Unreachable")
      client.send("a")
      yield* until(() => client.received === "a")
      yield* proxy.set(ADDRESS, { _tag: "Pass" })
      const next = yield* dial()
      next.send("b")
      yield* until(() => next.received === "b")
    })))

  it.live("Hold: nothing passes, nothing is lost", () =>
    run(Effect.gen(function*() {
      const { dial, direct, proxy } = yield* world
      const client = yield* dial()
      client.send("a")
      yield* until(() => client.received === "a")
      yield* proxy.set(ADDRESS, { _tag: "Hold" })
      client.send("b")
      const held = yield* dial()
      held.send("x")
      // Past the proxy dozens of answers come meanwhile.
      const past = new Client(
        yield* Effect.acquireRelease(direct(), (socket) => Effect.sync(() => socket.destroy()))
      )
      for (let i = 1; i <= 50; i++) {
        past.send("p")
        yield* until(() => past.received.length === i)
      }
      assert.deepStrictEqual([client.received, held.received], ["a", ""])
      yield* proxy.set(ADDRESS, { _tag: "Pass" })
      yield* until(() => client.received === "ab" && held.received === "x")
    })))

  for (
    const weather of [
      { _tag: "Delay", minMillis: 1, maxMillis: 20 },
      { _tag: "Drip", bytes: 40, everyMillis: 1 }
    ] as const
  ) {
    it.live(`${weather._tag}: everything arrives, in order`, () =>
      run(Effect.gen(function*() {
        const { dial, proxy } = yield* world
        const client = yield* dial()
        yield* proxy.set(ADDRESS, weather)
        for (let i = 0; i < 10; i++) client.send(LONG)
        yield* until(() => client.received.length === 10 * LONG.length)
        assert.strictEqual(client.received, LONG.repeat(10))
      })))
  }

  it.live("a seed tears at the same byte every time", () =>
    Effect.gen(function*() {
      const [first, again, other] = [
        yield* seeded("a")(striking),
        yield* seeded("a")(striking),
        yield* seeded("b")(striking)
      ]
      assert.strictEqual(again, first)
      assert.notStrictEqual(other, first)
    }))

  it.live("with its scope all connections end", () =>
    Effect.gen(function*() {
      const { server, sockets } = yield* echo
      const { port } = server.address() as Net.AddressInfo
      const { client, proxy } = yield* run(Effect.gen(function*() {
        const proxy = yield* FaultProxy
        const client = new Client(yield* proxy.transport.dial({ address: ADDRESS, port }))
        client.send("a")
        yield* until(() => client.received === "a")
        return { client, proxy }
      }))
      yield* until(() => client.closed !== undefined && sockets.size === 0)
      assert.strictEqual(proxy.connections(ADDRESS), 0)
    }))

  it.live("forwards those who dial an address of its own, by the weather of the node", () =>
    run(Effect.gen(function*() {
      const { server } = yield* echo
      const { port } = server.address() as Net.AddressInfo
      const proxy = yield* FaultProxy
      const { dial } = Transport.Transport.defaultValue()
      const own = yield* proxy.forward({ address: "127.0.0.9" }, { address: ADDRESS, port })
      const open = Effect.map(
        Effect.acquireRelease(
          dial({ address: "127.0.0.9", port: own }),
          (socket) => Effect.sync(() => socket.destroy())
        ),
        (socket) => new Client(socket)
      )
      const client = yield* open
      client.send("a")
      yield* until(() => client.received === "a")
      yield* proxy.set(ADDRESS, { _tag: "Hold" })
      client.send("b")
      yield* proxy.set(ADDRESS, { _tag: "Pass" })
      yield* until(() => client.received === "ab")
      assert.strictEqual(yield* proxy.strike(ADDRESS, "Reset"), 1)
      yield* until(() => client.closed instanceof Error)
      yield* proxy.set(ADDRESS, { _tag: "Refuse" })
      // A reset may come before the dial is over, or behind it.
      const refused = yield* Effect.result(open)
      yield* until(() => refused._tag === "Failure" || refused.success.closed instanceof Error)
      const taken = yield* Effect.flip(
        Effect.scoped(proxy.forward({ address: "127.0.0.9", port: own }, { address: ADDRESS, port }))
      )
      assert.include(taken.message, `cannot listen on 127.0.0.9:${own}`)
    })))

  it.live("leads to a cluster that says it is somewhere else", () =>
    run(Effect.gen(function*() {
      const proxy = yield* FaultProxy
      const told: Array<{ readonly address: string; readonly port: number }> = []
      const cluster = yield* SimulatedCluster.make({ nodes: 2, product: "cassandra", advertise: (node) => told[node] })
      for (const [i, { address }] of cluster.nodes.entries()) {
        const place = { address: `127.0.0.${9 + i}` }
        told.push({ ...place, port: yield* proxy.forward(place, { address, port: cluster.port }) })
      }
      const client = yield* connect(told[0]!.address, told[0]!.port)
      yield* client.startup()
      const [peer] = rowsOf(yield* client.query("SELECT * FROM system.peers_v2"))
      assert.deepStrictEqual(
        [String(peer!["peer"]), String(peer!["native_address"]), peer!["native_port"]],
        ["127.0.0.2", "127.0.0.10", told[1]!.port]
      )
      const other = yield* connect(String(peer!["native_address"]), Number(peer!["native_port"]))
      yield* other.startup()
      const [local] = rowsOf(yield* other.query("SELECT * FROM system.local"))
      assert.deepStrictEqual([String(local!["rpc_address"]), local!["rpc_port"]], ["127.0.0.10", told[1]!.port])
    })))
})
