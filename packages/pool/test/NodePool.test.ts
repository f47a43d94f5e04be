import { ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import type * as Handshake from "@effect-scylla/pool/Handshake"
import * as NodePool from "@effect-scylla/pool/NodePool"
import * as Ticker from "@effect-scylla/pool/Ticker"
import * as Transport from "@effect-scylla/pool/Transport"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Random, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Network from "./support/network.ts"
import { FakeNode, type Options as NodeOptions, PLAIN_PORT, SHARD_AWARE_PORT } from "./support/node.ts"
import { turns, until } from "./support/turns.ts"

const ADDRESS = "10.0.0.1"

const setup = Effect.fnUntraced(function*(
  nodeOptions: NodeOptions = {},
  options: Partial<NodePool.Options> = {},
  session: Partial<Handshake.Session> = {},
  around: { readonly seed?: string; readonly limiter?: ConnectLimiter } = {}
) {
  const network = yield* Network.make
  const node = new FakeNode(network, nodeOptions)
  const ticker = yield* Ticker.make
  const scope = yield* Scope.make()
  const start = NodePool.make({ address: ADDRESS, port: PLAIN_PORT, ...options, session: { ticker, ...session } }).pipe(
    Scope.provide(scope),
    Effect.provideService(Transport.Transport, network.transport),
    Random.withSeed(around.seed ?? "pool"),
    Effect.provideService(ConnectLimiter, around.limiter ?? makeLimiter())
  )
  const plain = () => network.dials.filter(({ port }) => port === PLAIN_PORT).length
  const aware = () => network.dials.filter(({ port }) => port === SHARD_AWARE_PORT).length
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  return { network, node, ticker, scope, start, plain, aware, close }
})

const sharded: NodeOptions = { shards: 8, shardAwarePort: SHARD_AWARE_PORT }

/** One connection in each slot, for the shard of the slot. */
const assertFull = (pool: NodePool.NodePool, node: FakeNode): void => {
  assert.isTrue(pool.isFull)
  assert.isTrue(pool.isUp)
  assert.strictEqual(pool.stats.excess, 0)
  for (let shard = 0; shard < pool.nrShards; shard++) assert.strictEqual(pool.pick(shard)?.shard, shard)
  assert.deepStrictEqual(node.counts, Array.from({ length: pool.nrShards }, () => 1))
}

const query = (pool: NodePool.NodePool, shard: number, timeoutMillis = 600_000) =>
  pool.pick(shard)!.request({ _tag: "Query", query: "SELECT", options: { consistency: "ONE" } }, {
    timeoutMillis,
    decoders: new RowDecoders()
  })

describe("NodePool: filling", () => {
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
      assert.isTrue(one.network.dials.every(({ tls }) => tls?.servername === "x"))
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
      // Tries again at a falling rate, still bounded.
      let most = 0
      for (let i = 0; i < 60; i++) {
        yield* TestClock.adjust("1 second")
        most = Math.max(most, pool.stats.excess)
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
      yield* (yield* two.start).awaitFull
      assert.strictEqual(two.aware(), 8)
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
      node.intercept = (socket, { request }) => request._tag === "Options" && socket.shard === 2
      const asked = node.open.map(({ received }) => received.length)
      pool.nodeDown()
      yield* until(() => node.open.every(({ received }, i) => received.length === asked[i]! + 1))
      const silent = pool.pick(2)!
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(silent.closeReason?._tag, "HeartbeatTimeout")
      assert.strictEqual(pool.stats.lastError?._tag, "HeartbeatTimeout")
      assert.isFalse(pool.isFull && pool.pick(2) === silent)
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

describe("NodePool: limiter", () => {
  it.effect("bounds handshakes with one node", () =>
    Effect.gen(function*() {
      const limiter = makeLimiter({ concurrencyPerNode: 3 })
      const { node, start } = yield* setup({ ...sharded, shards: 32 }, {}, {}, { limiter })
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(node.mostHandshakes, 3)
    }))

  it.effect("bounds handshakes in all, and one slow node does not hold up the others", () =>
    Effect.gen(function*() {
      const limiter = makeLimiter({ concurrency: 4, concurrencyPerNode: 2 })
      const counts = { now: 0, most: 0 }
      const named = (name: string): ConnectLimiter => ({
        limit: (_, dial) =>
          limiter.limit(
            name,
            Effect.suspend(() => {
              counts.most = Math.max(counts.most, ++counts.now)
              return Effect.ensuring(dial, Effect.sync(() => void counts.now--))
            })
          )
      })
      const slow = yield* setup(sharded, {}, {}, { limiter: named("slow") })
      slow.network.judge = () => "hang"
      yield* slow.start
      const pools: Array<NodePool.NodePool> = []
      for (const name of ["a", "b", "c"]) {
        pools.push(yield* (yield* setup(sharded, {}, {}, { limiter: named(name) })).start)
      }
      for (const pool of pools) yield* pool.awaitFull
      assert.isAtMost(counts.most, 4)
      assert.isAtLeast(counts.most, 3)
    }))

  it.effect("whoever is interrupted while it waits leaves no place taken", () =>
    Effect.gen(function*() {
      const limiter = makeLimiter({ concurrency: 1, concurrencyPerNode: 1 })
      const holder = yield* Effect.forkChild(limiter.limit("a", Effect.never), { startImmediately: true })
      const waiting = yield* Effect.forkChild(limiter.limit("b", Effect.never), { startImmediately: true })
      const behind = yield* Effect.forkChild(limiter.limit("b", Effect.never), { startImmediately: true })
      yield* turns(3)
      yield* Fiber.interruptAll([waiting, behind, holder])
      assert.strictEqual(yield* limiter.limit("b", Effect.succeed(1)), 1)
      assert.strictEqual(yield* Effect.flip(limiter.limit("a", Effect.fail("x"))), "x")
      assert.strictEqual(yield* limiter.limit("a", Effect.succeed(2)), 2)
    }))
})

describe("NodePool: the end", () => {
  /** What the test's clock still has to wake; a pool that has ended leaves nothing. */
  const assertSilent = Effect.fnUntraced(function*(network: Network.FakeNetwork) {
    assert.strictEqual(network.open.length, 0)
    assert.strictEqual(network.dialing, 0)
    const { length } = network.dials
    yield* TestClock.adjust("1 hour")
    assert.strictEqual(network.dials.length, length)
    assert.strictEqual(network.open.length, 0)
  })

  it.effect("the scope's end closes everything, at once when nothing is in flight", () =>
    Effect.gen(function*() {
      const { close, network, start } = yield* setup(sharded)
      const pool = yield* start
      yield* pool.awaitFull
      yield* close
      assert.isFalse(pool.isUp)
      assert.isUndefined(pool.pick(0))
      yield* assertSilent(network)
      pool.nodeUp()
      pool.nodeDown()
      yield* assertSilent(network)
    }))

  it.effect("requests in flight are drained, up to the deadline", () =>
    Effect.gen(function*() {
      const { close, network, node, start } = yield* setup(sharded, { shutdownTimeout: "3 seconds" })
      const pool = yield* start
      yield* pool.awaitFull
      const waiting: Array<readonly [Network.FakeSocket, Network.Received]> = []
      node.intercept = (socket, received) => waiting.push([socket, received]) > 0
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      for (const shard of [1, 2]) fibers.push(yield* Effect.forkChild(query(pool, shard), { startImmediately: true }))
      yield* until(() => waiting.length === 2)
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* turns()
      assert.strictEqual(network.open.length, 2)
      assert.isUndefined(pool.pick(1))
      waiting[0]![0].respond(waiting[0]![1].stream, { _tag: "Void" })
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fibers[0]!)))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(closing)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fibers[1]!)))
      yield* assertSilent(network)
    }))

  for (const verdict of ["hang", "refuse"] as const) {
    it.effect(`while dials ${verdict}`, () =>
      Effect.gen(function*() {
        const { close, network, start } = yield* setup(sharded)
        network.judge = ({ port }) => port === SHARD_AWARE_PORT ? verdict : "accept"
        yield* start
        yield* until(() => network.dials.length > 2)
        yield* close
        yield* turns()
        yield* assertSilent(network)
        const down = yield* setup(sharded)
        down.network.judge = () => verdict
        yield* down.start
        yield* TestClock.adjust("20 seconds")
        yield* down.close
        yield* turns()
        yield* assertSilent(down.network)
      }))
  }

  it.effect("after any number of turns of filling", () =>
    Effect.gen(function*() {
      for (let count = 0; count < 60; count += 3) {
        const { close, network, start } = yield* setup({ shards: count % 2 === 0 ? 8 : 0 })
        yield* start
        yield* turns(count)
        yield* close
        yield* turns()
        assert.strictEqual(network.open.length, 0, `after ${count} turns`)
        assert.strictEqual(network.dialing, 0, `after ${count} turns`)
      }
    }))

  it.effect("while excess and replaced connections are being drained", () =>
    Effect.gen(function*() {
      const { close, network, node, start } = yield* setup({ shards: 4 }, { shutdownTimeout: "1 minute" })
      node.others = [3, 3, 0, 3]
      const pool = yield* start
      node.intercept = (_socket, { request }) => request._tag === "Query"
      yield* until(() => pool.stats.excess >= 2)
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let i = 0; i < 16; i++) {
        fibers.push(
          yield* Effect.forkChild(
            Effect.suspend(() =>
              pool.pickAny()!.request({ _tag: "Query", query: "x", options: { consistency: "ONE" } }, {
                timeoutMillis: 600_000,
                decoders: new RowDecoders()
              })
            ),
            { startImmediately: true }
          )
        )
      }
      yield* pool.awaitFull
      assert.isAbove(network.open.length, 4)
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(closing)
      for (const fiber of fibers) assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      yield* assertSilent(network)
    }))

  it.effect("bad credentials are not repeated on the plain port", () =>
    Effect.gen(function*() {
      let attempts = 0
      const { node, start } = yield* setup(
        {
          ...sharded,
          authenticator: "org.apache.cassandra.auth.PasswordAuthenticator"
        },
        {},
        { credentials: { username: "user", password: Redacted.make("pencil") } }
      )
      const pool = yield* start
      yield* pool.awaitFull
      node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "AuthResponse") return false
        attempts++
        socket.respond(stream, {
          _tag: "Error",
          error: { _tag: "BadCredentials", code: 0x100, message: "changed" } as never
        })
        return true
      }
      node.open.find(({ shard }) => shard === 1)!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(50)
      assert.strictEqual(attempts, 1)
      assert.strictEqual(pool.lastReason?._tag, "AuthenticationFailed")
    }))
})
