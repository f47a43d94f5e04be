import { ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import * as PoolMetrics from "@effect-scylla/pool/PoolMetrics"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { HOST_ID } from "./support/node.ts"
import { assertFull, query, setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

const OLD = "10.0.0.1"
const NEW = "10.0.0.9"

describe("NodePool: the node has another address", () => {
  it.effect("new dials go there, old connections serve until there is one in their place, counters go on", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      for (let shard = 0; shard < 8; shard++) yield* query(pool, shard)
      // One request is under way on each of the old connections.
      node.intercept = (_socket, { request }) => request._tag === "Query"
      const last: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let shard = 0; shard < 8; shard++) {
        last.push(yield* Effect.forkChild(query(pool, shard), { startImmediately: true }))
      }
      yield* turns()
      const changes = yield* Effect.forkChild(
        Stream.runHead(Stream.filter(pool.changes, ({ _tag }) => _tag === "Moved")),
        { startImmediately: true }
      )
      yield* turns()
      const before = network.dials.length
      pool.moveTo(NEW)
      const moved = yield* Fiber.join(changes)
      assert.deepStrictEqual(Option.getOrUndefined(moved), { _tag: "Moved", from: `${OLD}:9042`, to: `${NEW}:9042` })
      yield* until(() => {
        // At no time is there nobody to ask.
        assert.isTrue(pool.isUp)
        assert.isDefined(pool.pick(3))
        return pool.stats.slots.every(({ state }) => state === "Ready")
      })
      assert.isTrue(network.dials.slice(before).every(({ address }) => address === NEW))
      assert.strictEqual(network.dials.length - before, 8)
      assert.isTrue(
        Array.from({ length: 8 }, (_, shard) => pool.pick(shard)!).every((connection) =>
          connection.socket.remoteAddress === NEW
        )
      )
      // The old ones wait for their last answers.
      const old = network.open.filter(({ endpoint }) => endpoint.address === OLD)
      assert.strictEqual(old.length, 8)
      for (const socket of old) {
        const { stream } = socket.received.findLast(({ request }) => request._tag === "Query")!
        socket.respond(stream, { _tag: "Void" })
      }
      for (const fiber of last) yield* Fiber.join(fiber)
      yield* until(() => network.open.length === 8)
      node.intercept = () => false
      assertFull(pool, node)
      assert.strictEqual(pool.stats.address, NEW)
      assert.isTrue(pool.stats.slots.every(({ requests }) => requests === 2))
      // Once more is nothing new.
      pool.moveTo(NEW)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(network.dials.length, before + 8)
    }))

  it.effect("a NAT on the way to the old address says nothing about the way to the new one", () =>
    Effect.gen(function*() {
      const { aware, node, start } = yield* setup(sharded, { shutdownTimeout: 0 })
      node.nat = (port) => port + 1
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(pool.stats.shardAwarePort, "blocked")
      const tried = aware()
      node.nat = (port) => port
      pool.moveTo(NEW)
      assert.strictEqual(pool.stats.shardAwarePort, "trusted")
      yield* TestClock.adjust("1 minute")
      assertFull(pool, node)
      assert.isAbove(aware(), tried)
    }))

  it.effect("dials are as few at a time as always", () =>
    Effect.gen(function*() {
      const limiter = makeLimiter({ concurrencyPerNode: 2 })
      const { network, node, start } = yield* setup({ ...sharded, shards: 32 }, {}, {}, { limiter })
      const pool = yield* start
      yield* pool.awaitFull
      let most = 0
      pool.moveTo(NEW)
      yield* until(() => {
        most = Math.max(most, network.dialing)
        return pool.stats.slots.every(({ state }) => state === "Ready")
      })
      assert.strictEqual(most, 2)
      yield* until(() => network.open.length === 32)
      assertFull(pool, node)
    }))

  it.effect("a node that is dead at its old address is dialled at the new one at once", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded, { reconnect: { base: 600_000, cap: 600_000 } })
      network.judge = ({ address }) => address === OLD ? "refuse" : "accept"
      const pool = yield* start
      yield* pool.awaitFirst
      assert.isFalse(pool.isUp)
      pool.moveTo(NEW)
      yield* pool.awaitFull
      yield* until(() => pool.stats.excess === 0)
      assertFull(pool, node)
    }))

  it.effect("another node at the new address gets nothing, and the old connections serve on", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded, { expect: { hostId: HOST_ID } })
      const pool = yield* start
      yield* pool.awaitFull
      const other = "99999999-2222-3333-4444-555555555555"
      Object.assign(node.options, { hostId: other })
      pool.moveTo(NEW)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(pool.lastReason?._tag, "WrongNode")
      assert.strictEqual(pool.pick(3)?.socket.remoteAddress, OLD)
      assert.isTrue(network.open.every(({ endpoint }) => endpoint.address === OLD))
      // It was a mistake of the metadata, soon corrected.
      Object.assign(node.options, { hostId: HOST_ID })
      pool.moveTo(OLD)
      yield* TestClock.adjust("1 minute")
      assertFull(pool, node)
    }))

  it.effect("a dial that was under way serves until it is replaced, and says nothing about the new way", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded, {}, { connectTimeout: 1_000 })
      const pool = yield* start
      yield* pool.awaitFull
      // A dial to the shard-aware port of the old address hangs when the node moves.
      network.judge = ({ address }) => address === OLD ? "hang" : "accept"
      node.open.find(({ shard }) => shard === 5)!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(100)
      assert.strictEqual(network.dialing, 1)
      pool.moveTo(NEW)
      yield* TestClock.adjust("10 seconds")
      yield* until(() => network.open.length === 8)
      assertFull(pool, node)
      assert.strictEqual(pool.stats.shardAwarePort, "trusted")
      assert.isTrue(network.open.every(({ endpoint }) => endpoint.address === NEW))
    }))

  it.effect("metrics follow: under the old name nothing is left open", () =>
    Effect.gen(function*() {
      const { start } = yield* setup({ shards: 2 }, {}, {}, { limiter: makeLimiter() })
      const pool = yield* start
      yield* pool.awaitFull
      yield* TestClock.adjust("2 seconds")
      const connections = (node: string) =>
        Effect.map(
          Effect.all(
            [0, 1].map((shard) =>
              Metric.value(Metric.withAttributes(PoolMetrics.connections, { node, shard: String(shard) }))
            )
          ),
          (values) => values.map(({ value }) => value)
        )
      assert.deepStrictEqual(yield* connections(`${OLD}:9042`), [1, 1])
      pool.moveTo(NEW)
      yield* until(() => pool.stats.slots.every(({ state }) => state === "Ready"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* connections(`${OLD}:9042`), [0, 0])
      assert.deepStrictEqual(yield* connections(`${NEW}:9042`), [1, 1])
    }).pipe(
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(ConnectLimiter, makeLimiter())
    ))
})
