/** Nodes that run and do not do what they should, in memory and over TCP. */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { connect, errorOf, rowsOf } from "./rawClient.ts"

const HOUR = 3_600_000
const SELECT = {
  _tag: "Query",
  query: "SELECT key FROM system.local",
  options: { consistency: "ONE" }
} as const

/** Two nodes; node 0 is the one that faults are for. */
const world = Effect.fnUntraced(function*(transport: "memory" | "tcp") {
  const cluster = yield* SimulatedCluster.make({ nodes: 2, transport })
  const open = (node: number) => connect(cluster.nodes[node]!.address, cluster.port, cluster.transport)
  const ready = (node: number) => Effect.tap(open(node), (client) => client.startup())
  const other = yield* ready(1)
  return {
    cluster,
    open,
    ready,
    client: yield* ready(0),
    /** Whatever node 0 has to say has been said when node 1 has answered several times. */
    settled: Effect.gen(function*() {
      for (let i = 0; i < 5; i++) {
        yield* other.request({ _tag: "Options" })
        if (transport === "tcp") yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
    })
  }
})

type World = Effect.Success<ReturnType<typeof world>>

const cases: ReadonlyArray<readonly [string, (world: World) => Effect.Effect<void, unknown, Scope.Scope>]> = [
  [
    "stopped: takes connections and requests, and answers them when it goes on",
    Effect.fnUntraced(function*({ client, cluster, open, settled }) {
      yield* cluster.setFault(0, { _tag: "Stopped" })
      yield* client.send(client.bytesOf(SELECT, 7))
      const late = yield* open(0)
      yield* late.send(late.bytesOf({ _tag: "Options" }, 8))
      yield* settled
      assert.deepStrictEqual([yield* Queue.size(client.frames), yield* Queue.size(late.frames)], [0, 0])
      // What it is told of meanwhile waits as well.
      yield* cluster.announce({ type: "STATUS_CHANGE", change: "DOWN", address: "127.0.0.2" })
      yield* cluster.setFault(0, undefined)
      assert.deepStrictEqual([(yield* client.next).stream, (yield* late.next).stream], [7, 8])
      assert.strictEqual(rowsOf(yield* client.request(SELECT)).length, 1)
    })
  ],
  [
    "stopped: holds no more than it should",
    Effect.fnUntraced(function*({ client, cluster }) {
      yield* cluster.setFault(0, { _tag: "Stopped" })
      yield* client.send(new Uint8Array(17 * 1024 * 1024))
      assert.match((yield* client.closed)?.message ?? "", /ECONNRESET|EPIPE/)
    })
  ],
  [
    "half-open: loses all bytes, tells nobody, and resets what lost some once it is over",
    Effect.fnUntraced(function*({ client, cluster, open, ready, settled }) {
      const idle = yield* ready(0)
      yield* cluster.setFault(0, { _tag: "HalfOpen" })
      yield* client.send(client.bytesOf(SELECT, 7))
      const fresh = yield* open(0)
      yield* fresh.send(fresh.bytesOf({ _tag: "Options" }))
      yield* settled
      assert.deepStrictEqual([yield* Queue.size(client.frames), yield* Queue.size(fresh.frames)], [0, 0])
      yield* cluster.setFault(0, undefined)
      yield* settled
      assert.deepStrictEqual([yield* Queue.size(client.frames), yield* Queue.size(fresh.frames)], [0, 0])
      for (const each of [client, fresh]) {
        yield* each.send(each.bytesOf({ _tag: "Options" }))
        assert.match((yield* each.closed)?.message ?? "", /ECONNRESET/)
      }
      // One that lost nothing goes on.
      assert.strictEqual((yield* idle.request({ _tag: "Options" }))._tag, "Supported")
    })
  ],
  [
    "half-open: does not learn that clients are gone until it is over",
    Effect.fnUntraced(function*({ client, cluster, settled }) {
      yield* cluster.setFault(0, { _tag: "HalfOpen" })
      client.socket.destroy()
      yield* settled
      assert.strictEqual(cluster.nodes[0]!.connections.length, 1)
      yield* cluster.setFault(0, undefined)
      for (let i = 0; i < 1000 && cluster.nodes[0]!.connections.length > 0; i++) yield* settled
      assert.strictEqual(cluster.nodes[0]!.connections.length, 0)
    })
  ],
  [
    "heartbeats only: answers OPTIONS and handshakes, and no statement, never",
    Effect.fnUntraced(function*({ client, cluster, ready, settled }) {
      yield* cluster.setFault(0, { _tag: "HeartbeatsOnly" })
      yield* client.send(client.bytesOf(SELECT, 7))
      yield* client.send(client.bytesOf({ _tag: "Prepare", query: SELECT.query }, 8))
      yield* client.send(client.bytesOf({ _tag: "Options" }, 9))
      assert.strictEqual((yield* client.next).stream, 9)
      const fresh = yield* ready(0)
      yield* fresh.request({ _tag: "Register", events: ["STATUS_CHANGE"] })
      yield* cluster.setFault(0, undefined)
      yield* settled
      assert.strictEqual(yield* Queue.size(client.frames), 0)
      assert.strictEqual(rowsOf(yield* client.request(SELECT)).length, 1)
    })
  ],
  [
    "slow: says nothing before its time, and then all in order",
    Effect.fnUntraced(function*({ client, cluster, settled }) {
      yield* cluster.setFault(0, { _tag: "Slow", millis: HOUR })
      yield* client.send(client.bytesOf(SELECT, 7))
      yield* settled
      assert.strictEqual(yield* Queue.size(client.frames), 0)
      const wrong = yield* Effect.flip(cluster.setFault(0, { _tag: "Slow", millis: -1 }))
      assert.deepStrictEqual((wrong as SimulatedCluster.SimulatedClusterError).reason, "BadOptions")
    })
  ]
]

describe("a node in memory that is", () => {
  for (const [name, check] of cases) it.effect(name, () => Effect.flatMap(world("memory"), check))

  it.effect("slow answers when its time has come, and lets nothing overtake it when it is no longer slow", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* world("memory")
      yield* cluster.setFault(0, { _tag: "Slow", millis: 500 })
      yield* client.send(client.bytesOf(SELECT, 7))
      yield* TestClock.adjust("200 millis")
      yield* cluster.setFault(0, { _tag: "Slow", millis: 10 })
      yield* client.send(client.bytesOf({ _tag: "Options" }, 8))
      yield* TestClock.adjust("200 millis")
      yield* cluster.setFault(0, undefined)
      yield* client.send(client.bytesOf({ _tag: "Options" }, 9))
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(Option.isNone(yield* Queue.poll(client.frames)), true)
      yield* TestClock.adjust("1 millis")
      const streams = yield* Effect.replicateEffect(client.next, 3)
      assert.deepStrictEqual(streams.map((frame) => frame.stream), [7, 8, 9])
      yield* client.send(client.bytesOf({ _tag: "Options" }, 10))
      assert.strictEqual((yield* client.next).stream, 10)
    }))

  it.effect("not there has no faults", () =>
    Effect.gen(function*() {
      const { cluster } = yield* world("memory")
      const error = yield* Effect.flip(cluster.setFault(5, { _tag: "Stopped" }))
      assert.strictEqual(error.reason, "NoSuchNode")
    }))

  it.effect("stopped and then killed forgets what waited for it", () =>
    Effect.gen(function*() {
      const { client, cluster, ready } = yield* world("memory")
      yield* cluster.setFault(0, { _tag: "Stopped" })
      yield* client.send(client.bytesOf(SELECT))
      yield* cluster.stop(0)
      assert.match((yield* client.closed)?.message ?? "", /ECONNRESET/)
      yield* cluster.setFault(0, undefined)
      yield* cluster.start(0)
      const fresh = yield* ready(0)
      assert.strictEqual(errorOf(yield* fresh.query("SELECT nope FROM system.local")).code, 0x2200)
    }))
})

describe("a node over TCP that is", () => {
  for (const [name, check] of cases) it.live(name, () => Effect.flatMap(world("tcp"), check))

  it.live("slow answers when its time has come", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* world("tcp")
      yield* cluster.setFault(0, { _tag: "Slow", millis: 20 })
      assert.strictEqual(rowsOf(yield* client.request(SELECT)).length, 1)
    }))
})
