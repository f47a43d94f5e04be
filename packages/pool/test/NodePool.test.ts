import type * as NodePool from "@effect-scylla/pool/NodePool"
import * as Tls from "@effect-scylla/pool/Tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type FakeNode, PLAIN_PORT, SHARD_AWARE_PORT } from "./support/node.ts"
import { assertFull, setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

describe("NodePool: options", () => {
  it.effect("with which there would be no connection, or no bound, are refused by name before anybody is dialled", () =>
    Effect.gen(function*() {
      for (
        const [options, session, message] of [
          [{ connections: { perShard: 0 } }, {}, "perShard must be a whole number from 1, got 0"],
          [{ connections: { perNode: Number.NaN } }, {}, "perNode must be a whole number from 1, got NaN"],
          [{ maxWaiting: Number.NaN }, {}, "maxWaiting must be a number from 0, got NaN"],
          [{}, { limits: { maxInFlight: Number.NaN } }, "limits.maxInFlight must be more than 0, got NaN"],
          [{}, { limits: { heartbeatInterval: -1 } }, "limits.heartbeatInterval must be more than 0, got -1"]
        ] as const
      ) {
        const { network, start } = yield* setup(sharded, options, session)
        const exit = yield* Effect.exit(start)
        assert.isTrue(Exit.isFailure(exit))
        const defect = exit._tag === "Failure" ? exit.cause.reasons[0] : undefined
        assert.strictEqual(defect?._tag === "Die" ? String(defect.defect) : "", `RangeError: ${message}`)
        yield* turns()
        assert.strictEqual(network.dials.length, 0)
      }
      const { start } = yield* setup(sharded)
      const pool = yield* start
      assert.throws(() => pool.resize({ perShard: 1.5 }), RangeError, "got 1.5")
      yield* pool.awaitFull
    }))
})

describe("NodePool: filling", () => {
  it.effect("who waits for its connections does not wait for a pool that has ended", () =>
    Effect.gen(function*() {
      const { close, network, start } = yield* setup(sharded)
      network.judge = () => "hang"
      const pool = yield* start
      const waiting = yield* Effect.forkChild(Effect.all([pool.awaitFirst, pool.awaitFull]), { startImmediately: true })
      yield* turns()
      assert.isUndefined(waiting.pollUnsafe())
      yield* close
      yield* Fiber.join(waiting)
      yield* pool.awaitFull
    }))

  it.effect("one plain connection first, then the missing shards in parallel through the shard-aware port", () =>
    Effect.gen(function*() {
      const { aware, network, node, plain, start } = yield* setup(sharded)
      const pool = yield* start
      yield* until(() => network.dials.length === 1)
      yield* turns(2)
      assert.strictEqual(network.dials.length, 1)
      assert.strictEqual(network.dials[0]!.port, PLAIN_PORT)
      assert.isUndefined(network.dials[0]!.localPort)
      yield* pool.awaitFull
      assert.strictEqual(plain(), 1)
      assert.strictEqual(aware(), 7)
      assertFull(pool, node)
      for (const { localPort, port } of network.dials) {
        if (port === SHARD_AWARE_PORT) assert.isTrue(localPort! >= 49_152 && localPort! <= 65_535)
      }
      assert.isAbove(node.mostHandshakes, 1)
      assert.deepStrictEqual(pool.sharding?.nrShards, 8)
      assert.strictEqual(pool.stats.shardAwarePort, "trusted")
      assert.strictEqual(pool.stats.dials, 8)
      assert.strictEqual(pool.stats.failures, 0)
      assert.isUndefined(pool.stats.lastError)
      assert.deepStrictEqual(pool.stats.slots.map(({ state }) => state), Array(8).fill("Ready"))
      // Nothing more happens by itself.
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(network.dials.length, 8)
    }))

  it.effect("local ports differ from client to client", () =>
    Effect.gen(function*() {
      const ports = new Set<string>()
      for (const seed of ["a", "b", "c"]) {
        const { network, start } = yield* setup(sharded, {}, {}, { seed })
        yield* (yield* start).awaitFull
        ports.add(network.dials.map(({ localPort }) => localPort ?? 0).toSorted().join())
      }
      assert.strictEqual(ports.size, 3)
    }))

  it.effect("without a shard-aware port: through the plain port", () =>
    Effect.gen(function*() {
      const { aware, node, plain, start } = yield* setup({ shards: 8 })
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(aware(), 0)
      assert.isAtMost(plain(), 16)
      yield* turns()
      assertFull(pool, node)
      assert.strictEqual(pool.stats.shardAwarePort, "absent")
    }))

  it.effect("`shardAwarePort: false` does not use it", () =>
    Effect.gen(function*() {
      const { aware, start } = yield* setup(sharded, { shardAwarePort: false })
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(aware(), 0)
    }))

  it.effect("a TLS pool uses the TLS port only", () =>
    Effect.gen(function*() {
      const one = yield* setup(sharded, { tls: { servername: "x" } })
      const pool = yield* one.start
      yield* pool.awaitFull
      assert.strictEqual(one.aware(), 0)
      assert.isTrue(one.network.dials.every(({ tls }) => tls !== undefined && Tls.current(tls).servername === "x"))
      const two = yield* setup({
        ...sharded,
        shardAwarePort: 19_142,
        supported: { SCYLLA_SHARD_AWARE_PORT: [String(SHARD_AWARE_PORT)], SCYLLA_SHARD_AWARE_PORT_SSL: ["19142"] }
      }, { tls: {} })
      yield* (yield* two.start).awaitFull
      assert.strictEqual(two.network.dials.filter(({ port }) => port === 19_142).length, 7)
      assert.strictEqual(two.aware(), 0)
      assert.isTrue(two.network.dials.every(({ tls }) => tls !== undefined))
    }))

  it.effect("Cassandra: exactly one connection", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup()
      const pool = yield* start
      yield* pool.awaitFull
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(network.dials.length, 1)
      assertFull(pool, node)
      assert.isUndefined(pool.sharding)
      assert.strictEqual(pool.pick(17)?.shard, 0)
    }))

  it.effect("excess is kept while another client keeps one core emptier, and closed when the pool is full", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ shards: 4 })
      // The plain port gives core 2 until it has as many as the others.
      node.others = [3, 3, 0, 3]
      const pool = yield* start
      let most = 0
      yield* until(() => {
        most = Math.max(most, pool.stats.excess)
        return pool.isFull
      })
      assert.isAtLeast(most, 2)
      assert.isAtMost(most, 8)
      yield* turns()
      assertFull(pool, node)
      assert.strictEqual(network.open.length, 4)
    }))

  it.effect("excess serves while the right shard is missing, and never exceeds its bound", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ shards: 16 })
      // Never evened out: core 5 has always the fewest.
      node.others = Array.from({ length: 16 }, (_, shard) => shard === 5 ? -10_000 : 0)
      const pool = yield* start
      yield* until(() => pool.stats.excess === 16)
      yield* turns(200)
      assert.isAtMost(pool.stats.excess, 16)
      assert.isAtMost(network.open.length, 17 + 4)
      // It stops dialling.
      const dials = network.dials.length
      yield* turns(200)
      assert.strictEqual(network.dials.length, dials)
      assert.isTrue(pool.isUp)
      assert.isFalse(pool.isFull)
      assert.strictEqual(pool.pick(11)?.shard, 5)
      // Tries again at a falling rate, still bounded; the younger half stays each time.
      let most = 0
      for (let i = 0; i < 60; i++) {
        const before = new Set(network.open)
        yield* TestClock.adjust("1 second")
        most = Math.max(most, pool.stats.excess)
        if (i > 20) assert.isAtLeast(network.open.filter((socket) => before.has(socket)).length, 8)
      }
      assert.isAtMost(most, 16)
      assert.isAbove(network.dials.length, dials)
      assert.isBelow(network.dials.length, dials + 20 * 16)
      // The other client goes away.
      node.others = []
      yield* TestClock.adjust("1 minute")
      assert.isTrue(pool.isFull)
      yield* turns()
      assertFull(pool, node)
    }))
})

describe("NodePool: the shard-aware port", () => {
  it.effect("a NAT in between: left alone for five minutes, then tried again", () =>
    Effect.gen(function*() {
      const { aware, network, node, start } = yield* setup(sharded)
      node.nat = (port) => port + 1
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(pool.stats.shardAwarePort, "blocked")
      const tried = aware()
      assert.isAtLeast(tried, 1)
      assert.isAtMost(tried, 7)
      yield* turns()
      assertFull(pool, node)
      // Until then the plain port is used.
      yield* TestClock.adjust("299 seconds")
      node.open[3]!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(500)
      assert.isTrue(pool.isFull)
      assert.strictEqual(aware(), tried)
      node.nat = (port) => port
      yield* TestClock.adjust("2 seconds")
      node.open[3]!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(500)
      assert.isTrue(pool.isFull)
      assert.strictEqual(aware(), tried + 1)
      assert.strictEqual(pool.stats.shardAwarePort, "trusted")
      assert.strictEqual(network.open.length, 8)
    }))

  it.effect("a local port in use: the next one; after eight of them the plain port", () =>
    Effect.gen(function*() {
      const { aware, network, node, plain, start } = yield* setup({ shards: 2, shardAwarePort: SHARD_AWARE_PORT })
      let inUse = 3
      network.judge = ({ localPort }) => localPort !== undefined && inUse-- > 0 ? "in use" : "accept"
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(aware(), 4)
      assert.strictEqual(plain(), 1)
      const ports = network.dials.flatMap(({ localPort }) => localPort === undefined ? [] : [localPort])
      assert.strictEqual(new Set(ports).size, 4)
      assert.strictEqual(new Set(ports.map((port) => port % 2)).size, 1)
      assert.strictEqual(pool.stats.failures, 0)
      assertFull(pool, node)

      const two = yield* setup({ shards: 2, shardAwarePort: SHARD_AWARE_PORT })
      two.network.judge = ({ localPort }) => localPort !== undefined ? "in use" : "accept"
      const other = yield* two.start
      yield* other.awaitFull
      assert.strictEqual(two.aware(), 8)
      // It is said, as it may be a mistake; it is no failure.
      assert.match(other.lastReason!.message, /localPorts/)
      assert.strictEqual(other.stats.failures, 0)
      assert.isAtLeast(two.plain(), 2)
    }))

  it.effect("refused: the plain port, at once", () =>
    Effect.gen(function*() {
      const { aware, network, node, plain, start } = yield* setup(sharded)
      network.judge = ({ port }) => port === SHARD_AWARE_PORT ? "refuse" : "accept"
      const pool = yield* start
      yield* pool.awaitFull
      assert.isAtLeast(aware(), 1)
      assert.isAtLeast(plain(), 8)
      assert.strictEqual(pool.stats.failures, 0)
      yield* turns()
      assertFull(pool, node)
    }))

  it.effect("filtered, so that dials to it never end: given up after one timeout, not after one for each shard", () =>
    Effect.gen(function*() {
      const { aware, network, node, start } = yield* setup({ shards: 32, shardAwarePort: SHARD_AWARE_PORT })
      network.judge = ({ port }) => port === SHARD_AWARE_PORT ? "hang" : "accept"
      const pool = yield* start
      yield* TestClock.adjust("11 seconds")
      assert.isTrue(pool.isFull)
      assert.isAtMost(aware(), 8)
      assert.strictEqual(pool.stats.shardAwarePort, "blocked")
      yield* turns()
      assertFull(pool, node)
    }))

  for (
    const [what, change] of [
      ["other shards", (node: FakeNode) => (node.shards = 3)],
      ["another way to spread tokens", (node: FakeNode) => (node.ignoreMsb = 11)]
    ] as const
  ) {
    it.effect(`a node that has ${what} while a dial to the shard-aware port is under way is no NAT`, () =>
      Effect.gen(function*() {
        const { aware, node, start } = yield* setup(sharded, { shutdownTimeout: 0 })
        const pool = yield* start
        yield* pool.awaitFull
        const tried = aware()
        const old = node.open
        change(node)
        // Whichever shard the port means there, it was another one that was meant.
        let isFirst = true
        node.nat = (port) => {
          const by = isFirst ? 1 : 0
          isFirst = false
          return port + by
        }
        node.open.find(({ shard }) => shard === 5)!.end()
        yield* until(() => !pool.isFull)
        const changes: Array<NodePool.Change> = []
        yield* Effect.forkScoped(
          Stream.runForEach(pool.changes, (change) => Effect.sync(() => void changes.push(change))),
          { startImmediately: true }
        )
        yield* TestClock.adjust("1 second")
        yield* turns()
        assert.isAbove(aware(), tried)
        assertFull(pool, node)
        assert.isTrue(old.every(({ isDestroyed }) => isDestroyed))
        assert.strictEqual(changes.filter(({ _tag }) => _tag === "Resharded").length, 1)
        assert.isFalse(changes.some(({ _tag }) => _tag === "ShardAwarePort"))
        assert.strictEqual(pool.sharding?.ignoreMsb, node.ignoreMsb)
      }))
  }

  it.effect("silence of the whole node says nothing about the port", () =>
    Effect.gen(function*() {
      const { aware, network, node, start } = yield* setup({ shards: 2, shardAwarePort: SHARD_AWARE_PORT })
      const pool = yield* start
      yield* pool.awaitFull
      const tried = aware()
      network.judge = () => "hang"
      node.open.find(({ shard }) => shard === 1)!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(100)
      assert.strictEqual(aware(), tried + 1)
      node.open[0]!.end()
      yield* TestClock.adjust("6 seconds")
      assert.isFalse(pool.isUp)
      assert.strictEqual(pool.stats.shardAwarePort, "trusted")
      network.judge = () => "accept"
      yield* TestClock.adjust("1 minute")
      assertFull(pool, node)
      assert.isAbove(aware(), tried + 1)
    }))

  it.effect("a reshard is not taken for a NAT", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      node.shards = 3
      for (const socket of node.open) socket.end()
      yield* until(() => !pool.isUp)
      yield* TestClock.adjust("1 second")
      assert.isTrue(pool.isFull)
      assert.strictEqual(pool.nrShards, 3)
      assert.strictEqual(pool.stats.shardAwarePort, "trusted")
      assertFull(pool, node)
    }))
})
