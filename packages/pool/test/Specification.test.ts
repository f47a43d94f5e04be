/**
 * What other drivers say of a pool, where no other test here says it. Names behind "Java" are those of the cases in
 * `ChannelPool*Test` of apache/cassandra-java-driver, those behind "Rust" are steps of the refiller in
 * `scylla/src/network/connection_pool.rs` of scylladb/scylla-rust-driver.
 */
import type * as NodePool from "@effect-scylla/pool/NodePool"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { error, HOST_ID, SHARD_AWARE_PORT } from "./support/node.ts"
import { assertFull, query, setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

const states = (pool: NodePool.NodePool): ReadonlyArray<NodePool.SlotState> =>
  pool.stats.slots.map(({ state }) => state)

describe("Java: init", () => {
  it.effect("when all connections fail the pool is down, says why, and goes on trying", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup(sharded)
      network.judge = () => "refuse"
      const pool = yield* start
      yield* pool.awaitFirst
      assert.isFalse(pool.isUp)
      assert.strictEqual(pool.lastReason?._tag, "DialFailed")
      network.judge = () => "accept"
      yield* TestClock.adjust("1 minute")
      assert.isTrue(pool.isFull)
    }))

  it.effect("when some fail, the others serve, and the rest comes later", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ shards: 4 })
      network.judge = (_, nth) => nth % 2 === 0 ? "accept" : "refuse"
      const pool = yield* start
      yield* until(() => pool.isUp && pool.stats.failures > 0)
      assert.isDefined(pool.pick(3))
      yield* TestClock.adjust("2 minutes")
      yield* turns()
      assertFull(pool, node)
    }))

  it.effect("when the keyspace is refused on all of them, nothing stays open and the reason is known", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup(sharded, {}, { keyspace: "missing" })
      const pool = yield* start
      yield* pool.awaitFirst
      assert.strictEqual(pool.lastReason?._tag, "HandshakeFailed")
      assert.match(pool.lastReason!.message, /missing/)
      yield* turns()
      assert.strictEqual(network.open.length, 0)
    }))

  it.effect("a node of another cluster is not used, however often it answers", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup({ ...sharded, clusterName: "other" }, {
        expect: { hostId: HOST_ID, clusterName: "ours" }
      })
      const pool = yield* start
      yield* TestClock.adjust("5 minutes")
      assert.isFalse(pool.isUp)
      assert.strictEqual(pool.lastReason?._tag, "WrongNode")
      assert.strictEqual(network.open.length, 0)
      assert.isBelow(network.dials.length, 100)
    }))
})

describe("Java: reconnect", () => {
  it.effect("a connection that begins to close by itself is replaced before it has closed", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup({}, { shutdownTimeout: "1 minute" }, {
        limits: { maxOrphans: 1, maxOldOrphans: 1 }
      })
      const pool = yield* start
      yield* pool.awaitFull
      node.intercept = (_socket, { request }) => request._tag === "Query"
      const old = pool.pick(0)!
      const pending = yield* Effect.forkChild(query(pool, 0), { startImmediately: true })
      yield* Fiber.interrupt(yield* Effect.forkChild(query(pool, 0), { startImmediately: true }))
      yield* until(() => pool.pick(0) !== old)
      assert.isUndefined(old.closeReason)
      assert.isUndefined(pending.pollUnsafe())
      yield* TestClock.adjust("1 minute")
      assert.isDefined(old.closeReason)
    }))

  it.effect("`nodeUp` while a dial is under way lets it end, and does not begin another one", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup()
      const held: Array<() => void> = []
      node.intercept = (socket, received) => held.push(() => node.answer(socket, received)) > 0
      const pool = yield* start
      yield* until(() => held.length === 1)
      for (let i = 0; i < 5; i++) pool.nodeUp()
      yield* turns()
      assert.strictEqual(network.dials.length, 1)
      node.intercept = () => false
      held[0]!()
      yield* pool.awaitFull
      assert.strictEqual(network.dials.length, 1)
    }))
})

describe("Java: resize", () => {
  it.effect("shrinks: the connections that are too many are drained, the others stay", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded, { connections: { perShard: 2 }, shutdownTimeout: 5_000 })
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(network.open.length, 16)
      node.intercept = (_socket, { request }) => request._tag === "Query"
      const busy = yield* Effect.forkChild(query(pool, 3), { startImmediately: true })
      pool.resize({ perShard: 1 })
      assert.isTrue(pool.isFull)
      for (let shard = 0; shard < 8; shard++) assert.strictEqual(pool.pick(shard)?.shard, shard)
      yield* turns()
      assert.isAtMost(network.open.length, 9)
      yield* TestClock.adjust("6 seconds")
      assertFull(pool, node)
      yield* Fiber.interrupt(busy)
      const dials = network.dials.length
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(network.dials.length, dials)
    }))

  it.effect("grows: what is missing is dialled, what is there stays", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ ...sharded, shards: 3 })
      const pool = yield* start
      yield* pool.awaitFull
      const before = network.open
      pool.resize({ perShard: 2 })
      assert.isFalse(pool.isFull)
      assert.isDefined(pool.pick(2))
      yield* pool.awaitFull
      assert.deepStrictEqual(node.counts, [2, 2, 2])
      assert.isTrue(before.every((socket) => !socket.isDestroyed))
      assert.strictEqual(network.dials.length, 6)
    }))

  it.effect("shrinks and grows while it is being filled, and while the node is down", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded, { connections: { perShard: 2 } })
      const pool = yield* start
      yield* until(() => network.dials.length > 3)
      pool.resize({ perShard: 1 })
      yield* pool.awaitFull
      yield* turns()
      assertFull(pool, node)
      network.judge = () => "refuse"
      for (const socket of node.open) socket.end()
      yield* until(() => !pool.isUp)
      pool.resize({ perShard: 2 })
      yield* TestClock.adjust("10 seconds")
      network.judge = () => "accept"
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(node.counts, Array(8).fill(2))
    }))

  it.effect("shrinks while all of them are to be replaced: no more stay in excess than may", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup(sharded, { connections: { perShard: 2 }, shutdownTimeout: 0 })
      const pool = yield* start
      yield* pool.awaitFull
      network.judge = () => "refuse"
      pool.moveTo("10.0.0.2")
      pool.resize({ perNode: 1 })
      yield* turns()
      assert.isTrue(pool.isUp)
      assert.isFalse(pool.isFull)
      assert.strictEqual(pool.stats.excess, 8)
      assert.strictEqual(network.open.length, 8)
      assert.isDefined(pool.pickAny())
      network.judge = () => "accept"
      yield* TestClock.adjust("1 minute")
      assert.isTrue(pool.isFull)
      assert.deepStrictEqual(network.open.map(({ endpoint }) => endpoint.address), ["10.0.0.2"])
    }))

  it.effect("from each shard to a few for the node, as when its datacenter becomes a remote one, and back", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      pool.resize({ perNode: 2 })
      yield* turns()
      assert.strictEqual(network.open.length, 2)
      assert.isTrue(pool.isFull)
      pool.resize({ perShard: 1 })
      yield* pool.awaitFull
      yield* turns()
      assertFull(pool, node)
    }))

  it.effect("the size that it has already changes nothing", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      const before = network.open
      pool.resize(undefined)
      pool.resize({ perShard: 1 })
      yield* turns()
      assert.deepStrictEqual(network.open, before)
      assert.strictEqual(network.dials.length, 8)
    }))
})

describe("Rust: refilling", () => {
  it.effect("a connection that missed its shard is kept where its own shard is missing", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup(sharded)
      // Each port leads one shard further: every dial misses, and all of them are of use.
      node.nat = (port) => port + 1
      const pool = yield* start
      yield* pool.awaitFull
      yield* turns()
      assertFull(pool, node)
      assert.strictEqual(pool.stats.failures, 0)
    }))

  it.effect("an overloaded handshake is tried again, later each time", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup()
      node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "Startup") return false
        socket.respond(stream, error("Overloaded", "too busy"))
        return true
      }
      const pool = yield* start
      yield* TestClock.adjust("5 minutes")
      assert.isBelow(network.dials.length, 120)
      assert.isAbove(network.dials.length, 25)
      assert.strictEqual(pool.lastReason?._tag, "HandshakeFailed")
      assert.strictEqual(network.open.length, 0)
    }))

  it.effect("the port that a node names may change with every connection", () =>
    Effect.gen(function*() {
      const supported: Record<string, ReadonlyArray<string>> = {}
      const { aware, network, node, start } = yield* setup({ ...sharded, supported })
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(aware(), 7)
      supported["SCYLLA_SHARD_AWARE_PORT"] = []
      for (let i = 0; i < 2; i++) {
        node.open.find(({ shard }) => shard === 3)!.end()
        yield* until(() => !pool.isFull)
        yield* TestClock.adjust("1 second")
        assert.isTrue(pool.isFull)
      }
      assert.strictEqual(pool.stats.shardAwarePort, "absent")
      assert.notStrictEqual(network.dials.at(-1)!.port, SHARD_AWARE_PORT)
      assert.deepStrictEqual(states(pool), Array(8).fill("Ready"))
    }))
})
