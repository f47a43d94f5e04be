import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { PLAIN_PORT } from "./support/node.ts"
import { assertFull, query, setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

describe("NodePool: losses", () => {
  it.effect("a lost connection comes back, after a random part of the delay", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      yield* TestClock.adjust("1 minute")
      const lost = pool.pick(3)!
      node.open.find(({ shard }) => shard === 3)!.end()
      yield* until(() => !lost.isOpen)
      // Another connection of the node takes over meanwhile.
      const other = pool.pick(3)
      assert.isDefined(other)
      assert.notStrictEqual(other, lost)
      assert.isTrue(pool.isUp)
      assert.isFalse(pool.isFull)
      assert.strictEqual(pool.stats.slots[3]!.state, "Closed")
      assert.strictEqual(pool.stats.lastError?._tag, "ConnectionLost")
      const dials = network.dials.length
      yield* turns()
      assert.strictEqual(network.dials.length, dials, "not at once")
      yield* TestClock.adjust(50)
      assert.isTrue(pool.isFull)
      assert.strictEqual(network.dials.length, dials + 1)
      assertFull(pool, node)
    }))

  it.effect("a server that accepts and closes does not get a storm of dials", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({}, { reconnect: { base: 50, cap: 10_000 } })
      const pool = yield* start
      yield* pool.awaitFull
      for (let i = 0; i < 600; i++) {
        for (const socket of node.open) socket.end()
        yield* TestClock.adjust(100)
      }
      assert.isBelow(network.dials.length, 60)
      assert.isAbove(network.dials.length, 8)
      // Once connections live long, the delay is short again.
      yield* TestClock.adjust("1 minute")
      assert.isTrue(pool.isFull)
      node.open[0]!.end()
      yield* until(() => !pool.isUp)
      yield* TestClock.adjust(50)
      assert.isTrue(pool.isUp)
    }))

  it.effect("the node is down: one slot probes, at a falling rate", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      network.judge = () => "refuse"
      for (const socket of node.open) socket.end()
      yield* until(() => !pool.isUp)
      assert.isUndefined(pool.pick(0))
      const before = network.dials.length
      yield* TestClock.adjust("10 minutes")
      const probes = network.dials.slice(before)
      // 50 ms doubled up to 10 s, half of it on average: about 9 and then one every 5 s.
      assert.isAbove(probes.length, 60)
      assert.isBelow(probes.length, 220)
      assert.isTrue(probes.every(({ port }) => port === PLAIN_PORT))
      assert.isAtMost(network.dialing, 1)
      assert.strictEqual(pool.stats.failures, probes.length)
      assert.strictEqual(pool.lastReason?._tag, "DialFailed")
      assert.deepStrictEqual(pool.stats.slots.map(({ state }) => state).slice(1), Array(7).fill("Closed"))
      // And comes back by itself.
      network.judge = () => "accept"
      yield* TestClock.adjust("11 seconds")
      assert.isTrue(pool.isFull)
      assertFull(pool, node)
    }))

  it.effect("delays have full jitter and follow the seed", () =>
    Effect.gen(function*() {
      const times = Effect.fnUntraced(function*(seed: string) {
        const { close, network, start } = yield* setup({}, { shutdownTimeout: 0 }, {}, { seed })
        const at: Array<number> = []
        const begun = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        network.judge = () => "refuse"
        yield* start
        let seen = 0
        for (let i = 0; i < 3_000; i++) {
          yield* TestClock.adjust(10)
          const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          for (; seen < network.dials.length; seen++) at.push(now - begun)
        }
        yield* close
        return at
      })
      const a = yield* times("a")
      const again = yield* times("a")
      assert.deepStrictEqual(a, again)
      const gaps = a.slice(1).map((time, i) => time - a[i]!)
      for (const [i, gap] of gaps.entries()) assert.isAtMost(gap, Math.min(10_000, 50 * 2 ** i) + 20)
      assert.isTrue(gaps.some((gap, i) => gap < Math.min(10_000, 50 * 2 ** i) / 2))
    }))

  it.effect("`nodeUp` dials at once, also when a dial was under way that failed", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup()
      network.judge = () => "refuse"
      const pool = yield* start
      yield* pool.awaitFirst
      assert.isFalse(pool.isUp)
      yield* TestClock.adjust("1 minute")
      const dials = network.dials.length
      yield* turns()
      assert.strictEqual(network.dials.length, dials)
      // Told while a dial is under way that fails.
      pool.nodeUp()
      assert.strictEqual(network.dialing, 1)
      pool.nodeUp()
      yield* until(() => network.dials.length === dials + 2)
      network.judge = () => "accept"
      yield* turns()
      pool.nodeUp()
      yield* until(() => pool.isUp)
      assert.strictEqual(network.dials.length, dials + 3)
      // Nothing to do.
      pool.nodeUp()
      yield* turns()
      assert.strictEqual(network.dials.length, dials + 3)
    }))

  it.effect("`nodeDown` asks all connections whether they live", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      const silent = pool.pick(2)!
      node.intercept = (socket, { request }) => request._tag === "Options" && socket.client === silent
      const asked = node.open.map(({ received }) => received.length)
      pool.nodeDown()
      yield* until(() => node.open.every(({ received }, i) => received.length === asked[i]! + 1))
      yield* TestClock.adjust(200)
      assert.isFalse(silent.isSilent)
      // It alone says nothing: it is set aside, and replaced.
      yield* TestClock.adjust(400)
      assert.isTrue(silent.isSilent)
      assert.strictEqual(pool.stats.lastError?._tag, "NodeSilent")
      assert.isFalse(silent.isOpen)
      assertFull(pool, node)
    }))

  it.effect("a late close of a connection that was replaced does not evict its successor", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup(sharded, { shutdownTimeout: "1 minute" }, {
        limits: { maxOrphans: 2, maxOldOrphans: 2 }
      })
      const pool = yield* start
      yield* pool.awaitFull
      node.intercept = (_socket, { request }) => request._tag === "Query"
      const old = pool.pick(5)!
      const pending = yield* Effect.forkChild(query(pool, 5), { startImmediately: true })
      for (let i = 0; i < 2; i++) {
        const fiber = yield* Effect.forkChild(query(pool, 5), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
      }
      // Replaced first, then drained: it is there until its successor is.
      assert.strictEqual(pool.pick(5), old)
      assert.isTrue(old.isOpen)
      assert.strictEqual(pool.stats.slots[5]!.state, "Draining")
      yield* until(() => pool.pick(5) !== old)
      const successor = pool.pick(5)!
      assert.strictEqual(successor.shard, 5)
      assert.isTrue(pool.isFull)
      assert.isUndefined(old.closeReason)
      assert.isFalse(old.isOpen)
      assert.strictEqual(node.counts[5], 2)
      // It ends by itself when its last request has.
      node.open.find(({ shard }) => shard === 5)!.end()
      yield* until(() => old.closeReason !== undefined)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(pending)))
      yield* turns()
      assert.strictEqual(pool.pick(5), successor)
      assert.isTrue(pool.isFull)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(pool.pick(5), successor)
      assertFull(pool, node)
    }))

  it.effect("a replacement that cannot be dialled leaves the exhausted connection in service", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({}, {}, { limits: { maxOrphans: 1, maxOldOrphans: 1 } })
      const pool = yield* start
      yield* pool.awaitFull
      network.judge = () => "refuse"
      node.intercept = (_socket, { request }) => request._tag === "Query"
      const old = pool.pick(0)!
      const fiber = yield* Effect.forkChild(query(pool, 0), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(pool.pick(0), old)
      assert.isTrue(pool.isUp)
      network.judge = () => "accept"
      yield* TestClock.adjust("15 seconds")
      assert.notStrictEqual(pool.pick(0), old)
      assert.isFalse(old.isOpen)
    }))

  it.effect("a replacement that lands elsewhere is no storm of dials: it is kept as excess, up to the bound", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ shards: 4 }, { shutdownTimeout: 0 }, {
        limits: { maxOrphans: 1, maxOldOrphans: 1 }
      })
      const pool = yield* start
      yield* pool.awaitFull
      yield* turns()
      // From now on core 2 is the emptiest, whatever comes.
      node.others = [1_000, 1_000, 0, 1_000]
      node.intercept = (_socket, { request }) => request._tag === "Query"
      const old = pool.pick(0)!
      const fiber = yield* Effect.forkChild(query(pool, 0), { startImmediately: true })
      const before = network.dials.length
      yield* Fiber.interrupt(fiber)
      yield* turns(400)
      assert.isAtMost(network.dials.length - before, 8)
      assert.isAtMost(pool.stats.excess, 8)
      assert.strictEqual(pool.pick(0), old)
      yield* TestClock.adjust("1 minute")
      assert.isAtMost(network.dials.length - before, 150)
      node.others = []
      yield* TestClock.adjust("1 minute")
      assert.notStrictEqual(pool.pick(0), old)
      assert.isFalse(old.isOpen)
      yield* turns()
      assertFull(pool, node)
    }))

  it.effect("a connection in excess takes the place of one of its shard that is lost", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ shards: 4 })
      node.others = [0, 0, 1_000, 0]
      const pool = yield* start
      yield* until(() => pool.stats.excess >= 5)
      const spare = pool.stats.excess
      const dials = network.dials.length
      const lost = pool.pick(1)!
      node.open.find((socket) => socket === lost.socket as never)!.end()
      yield* until(() => !lost.isOpen)
      const next = pool.pick(1)!
      assert.strictEqual(next.shard, 1)
      assert.strictEqual(pool.stats.slots[1]!.state, "Ready")
      assert.isBelow(pool.stats.excess, spare + 1)
      assert.isAtMost(network.dials.length - dials, 4)
      node.others = []
      yield* TestClock.adjust("1 minute")
      yield* turns()
      assertFull(pool, node)
    }))

  it.effect("a node that comes back with other shards: resized, what is left of its old life drained", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      const old = pool.pick(7)!
      const pending = yield* Effect.forkChild(query(pool, 7), { startImmediately: true })
      node.intercept = (_socket, { request }) => request._tag === "Query"
      // Half of the connections survive, as a half-open socket does.
      node.shards = 12
      for (const socket of node.open.filter(({ shard }) => shard < 4)) socket.end()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(pool.nrShards, 12)
      assert.isTrue(pool.isFull)
      assert.strictEqual(pool.sharding?.nrShards, 12)
      for (let shard = 0; shard < 12; shard++) assert.strictEqual(pool.pick(shard)?.shard, shard)
      assert.isFalse(old.isOpen)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.await(pending)
      assert.isDefined(old.closeReason)
      assert.strictEqual(node.open.length, 12)
      // And fewer again.
      node.shards = 2
      node.open[0]!.end()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(pool.nrShards, 2)
      assertFull(pool, node)
    }))

  it.effect("an address behind which nodes of different shards take turns: no storm of dials, and requests are served", () =>
    Effect.gen(function*() {
      for (const options of [sharded, { shards: 8 }]) {
        const { network, node, start } = yield* setup(options, { shutdownTimeout: 0 })
        let dials = 0
        node.intercept = (_socket, { request }) => {
          if (request._tag === "Options") node.shards = dials++ % 2 === 0 ? 8 : 5
          return false
        }
        const pool = yield* start
        yield* TestClock.adjust("1 minute")
        const { length } = network.dials
        for (let i = 0; i < 60; i++) {
          yield* TestClock.adjust("1 second")
          yield* turns()
          assert.isTrue(pool.isUp)
        }
        assert.isBelow(network.dials.length - length, 200)
        // One of them goes away.
        node.intercept = () => false
        node.shards = 5
        yield* TestClock.adjust("2 minutes")
        yield* turns()
        assertFull(pool, node)
      }
    }))

  it.effect("the transport breaks with a defect: the slot goes on", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup()
      network.judge = (_, nth) => nth < 3 ? "break" : "accept"
      const pool = yield* start
      yield* pool.awaitFirst
      assert.strictEqual(pool.lastReason?._tag, "DialFailed")
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(pool.isFull)
    }))

  it.effect("counters of requests never fall", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      for (let i = 0; i < 5; i++) yield* query(pool, 1)
      assert.strictEqual(pool.stats.slots[1]!.requests, 5)
      node.open.find(({ shard }) => shard === 1)!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(100)
      yield* query(pool, 1)
      assert.strictEqual(pool.stats.slots[1]!.requests, 6)
    }))
})
