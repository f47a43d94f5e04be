import type * as Admission from "@effect-scylla/pool/Admission"
import type { Connection } from "@effect-scylla/pool/Connection"
import * as ConnectLimiter from "@effect-scylla/pool/ConnectLimiter"
import type * as NodePool from "@effect-scylla/pool/NodePool"
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Options as NodeOptions } from "./support/node.ts"
import { Asker, PacedNode, pass } from "./support/paced.ts"
import { assertFull, query, setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

/** A full pool of a node that can be stopped, with what happens to it. */
const paced = Effect.fnUntraced(function*(
  nodeOptions: NodeOptions = sharded,
  options: Partial<NodePool.Options> = {},
  around: Parameters<typeof setup>[3] = {}
) {
  const world = yield* setup(nodeOptions, { shutdownTimeout: 0, ...options }, {}, around)
  const server = new PacedNode(world.node)
  const pool = yield* world.start
  yield* pool.awaitFull
  yield* turns()
  const moods: Array<string> = []
  yield* Effect.forkScoped(
    Stream.runForEach(pool.changes, ({ _tag }) =>
      Effect.sync(() => {
        if (_tag === "Up" || _tag === "Down") moods.push(_tag)
      })),
    { startImmediately: true }
  )
  const connections = Array.from({ length: pool.nrShards }, (_, shard) => pool.pick(shard)!)
  const asker = (shard?: number, millis?: number): Asker => new Asker(pool, world.ticker, shard, millis)
  return { ...world, server, pool, moods, connections, asker, dials: () => world.network.dials.length }
})

const isSame = (pool: NodePool.NodePool, connections: ReadonlyArray<Connection>): boolean =>
  connections.every((connection, shard) => pool.pick(shard) === connection)

describe("NodePool: one connection is silent", () => {
  it.effect("half open: requests go elsewhere within 600 ms, it is replaced at once and counted as lost", () =>
    Effect.gen(function*() {
      let lost = 0
      const inner = ConnectLimiter.make()
      const limiter: ConnectLimiter.ConnectLimiter = { ...inner, lost: () => void lost++ }
      const { asker, connections, dials, moods, node, pool, server } = yield* paced(sharded, {}, { limiter })
      const before = dials()
      const own = asker(2)
      node.open.find(({ shard }) => shard === 2)!.deaf = true
      own.ask()
      yield* pass(150, [server])
      assert.strictEqual(pool.pick(2), connections[2])
      yield* pass(550, [server])
      assert.deepStrictEqual(own.failures, ["NodeSilent"])
      assert.isAbove(own.answers, 0)
      assert.deepStrictEqual(moods, [], "the node is up all the time")
      yield* pass(300, [server])
      assert.notStrictEqual(pool.pick(2), connections[2])
      assert.strictEqual(dials(), before + 1)
      assert.strictEqual(lost, 1)
      assert.isDefined(connections[2]!.closeReason)
      assertFull(pool, node)
    }))

  it.effect("what may not be repeated waits on it, and is answered when it is not broken after all", () =>
    Effect.gen(function*() {
      const { asker, connections, node, pool, server } = yield* paced(sharded, { shutdownTimeout: "1 minute" })
      const write = yield* Effect.forkChild(query(pool, 2, 60_000), { startImmediately: true })
      server.isHeld = (socket) => socket.client === connections[2]
      asker(2).ask()
      yield* turns()
      yield* pass(2_000, [server])
      // Replaced, and not closed.
      assert.isFalse(connections[2]!.isOpen)
      assert.isUndefined(connections[2]!.closeReason)
      assert.strictEqual(node.counts[2], 2)
      server.isHeld = () => false
      yield* pass(100, [server])
      assert.isDefined(connections[2]!.closeReason, "nobody waits any more")
      assert.isDefined(write.pollUnsafe())
      assertFull(pool, node)
    }))

  it.effect("the only connection of a node: after a second another one is dialled", () =>
    Effect.gen(function*() {
      const { asker, connections, dials, moods, node, pool, server } = yield* paced({})
      const own = asker()
      node.open[0]!.deaf = true
      const before = dials()
      own.ask()
      yield* pass(1_000, [server])
      assert.isFalse(pool.isUp)
      assert.isTrue(pool.isOpen)
      assert.strictEqual(dials(), before)
      yield* pass(1_000, [server])
      assert.strictEqual(dials(), before + 1)
      assert.isTrue(pool.isUp)
      assert.deepStrictEqual(moods, ["Down", "Up"])
      assert.isDefined(connections[0]!.closeReason)
      yield* turns()
      assert.strictEqual(node.open.length, 1)
    }))

  it.effect("dials for it land elsewhere: what they brought is let go when it is heard again", () =>
    Effect.gen(function*() {
      const { asker, connections, node, pool, server } = yield* paced({ shards: 4 })
      node.others = [0, 1_000, 0, 0]
      server.isHeld = (socket) => socket.client === connections[1]
      asker(1).ask()
      yield* pass(3_000, [server])
      assert.isAbove(pool.stats.excess, 0)
      assert.isTrue(connections[1]!.isSilent)
      server.isHeld = () => false
      yield* pass(100, [server])
      yield* turns()
      assert.isTrue(isSame(pool, connections))
      assertFull(pool, node)
    }))

  it.effect("in excess, it is closed, and takes no slot that becomes free", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ shards: 4 }, { shutdownTimeout: 0 })
      node.others = [0, 0, 1_000, 0]
      const pool = yield* start
      yield* until(() => pool.stats.excess >= 5)
      const excess = node.open.filter(({ client }) => ![0, 1, 2, 3].some((shard) => pool.pick(shard) === client))
      const silent = excess.find(({ shard }) => shard === 1)!
      silent.deaf = true
      silent.client!.probe()
      yield* TestClock.adjust(700)
      assert.isTrue(silent.isDestroyed)
      assert.isAbove(network.sockets.length, 5)
      node.others = []
      yield* TestClock.adjust("1 minute")
      yield* turns()
      assertFull(pool, node)
    }))

  it.effect(
    "one shard of 64 hangs: its requests go to the others, it is back without a storm of dials",
    () =>
      Effect.gen(function*() {
        const { asker, connections, dials, moods, pool, server } = yield* paced({ shards: 64, shardAwarePort: 19_042 })
        const before = dials()
        const askers = Array.from({ length: 64 }, (_, shard) => asker(shard))
        const each = (): void => {
          for (const asker of askers) asker.ask()
        }
        server.latency = 10
        yield* pass(200, [server], { each })
        server.isHeld = (socket) => socket.shard === 7
        yield* pass(1_000, [server], { each })
        const answered = askers.map(({ answers }) => answers)
        yield* pass(15_000, [server], { each, step: 50 })
        assert.isTrue(askers.every(({ answers }, i) => answers > answered[i]!))
        assert.deepStrictEqual([...new Set(askers.flatMap(({ failures }) => failures))], ["NodeSilent"])
        assert.isAtMost(dials() - before, 8)
        assert.deepStrictEqual(moods, [])
        // The port is not to blame.
        assert.strictEqual(pool.stats.shardAwarePort, "trusted")
        assert.strictEqual(pool.stats.slots.filter(({ isSilent }) => isSilent).length, 1)
        server.isHeld = () => false
        yield* pass(200, [server], { each })
        assert.isFalse(connections[7]!.isSilent)
        assert.isTrue(connections[7]!.isOpen)
        yield* pass(20_000, [server], { each, step: 50 })
        assert.isTrue(pool.isFull)
        assert.strictEqual(pool.stats.excess, 0)
        for (let shard = 0; shard < 64; shard++) assert.isTrue(pool.stats.slots[shard]!.state === "Ready")
      }),
    60_000
  )
})

describe("NodePool: the whole node is silent", () => {
  it.effect(
    "a pause of 700 ms with hundreds in flight: aside and back, nothing is closed and nothing is dialled",
    () =>
      Effect.gen(function*() {
        const { asker, connections, dials, moods, pool, server } = yield* paced()
        const before = dials()
        const askers = Array.from({ length: 3_000 }, (_, i) => asker(i % 8))
        server.isStopped = true
        for (const asker of askers) asker.ask()
        yield* pass(700, [server])
        assert.isFalse(pool.isUp)
        assert.isUndefined(pool.pick(3))
        assert.isTrue(connections.every(({ isSilent }) => isSilent))
        assert.isTrue(connections.some(({ orphans }) => orphans > 256), "as many as usually make it worth replacing")
        assert.deepStrictEqual([...new Set(askers.flatMap(({ failures }) => failures))], ["NodeSilent"])
        server.isStopped = false
        yield* pass(20, [server])
        assert.isTrue(isSame(pool, connections))
        assert.deepStrictEqual(moods, ["Down", "Up"])
        for (const asker of askers) asker.ask()
        yield* pass(3_000, [server], { step: 50 })
        assert.isTrue(isSame(pool, connections))
        assert.strictEqual(dials(), before)
      }),
    60_000
  )

  it.effect(
    "stopped for 15 seconds: one dial at a time, and back at once on the connections that were there",
    () =>
      Effect.gen(function*() {
        const { asker, connections, dials, moods, network, node, pool, server } = yield* paced()
        const before = dials()
        const askers = Array.from({ length: 16 }, (_, i) => asker(i % 8))
        for (const asker of askers) asker.ask()
        server.isStopped = true
        yield* pass(600, [server])
        assert.isFalse(pool.isUp)
        let most = 0
        yield* pass(14_400, [server], {
          step: 50,
          each: () => {
            most = Math.max(most, node.open.length - 8, network.dialing)
          }
        })
        assert.strictEqual(most, 1)
        assert.isAtMost(dials() - before, 6)
        assert.isTrue(connections.every(({ isOpen }) => isOpen))
        assert.strictEqual(pool.stats.shardAwarePort, "trusted")
        server.isStopped = false
        yield* pass(10, [server])
        assert.isTrue(isSame(pool, connections))
        assert.deepStrictEqual(moods, ["Down", "Up"])
        yield* pass(20_000, [server], { step: 50 })
        // Those of the dial that was under way are not kept.
        assertFull(pool, node)
        assert.isTrue(isSame(pool, connections))
      }),
    60_000
  )

  it.effect(
    "for good: one dial at a time, all is closed in the end, and it comes back by itself",
    () =>
      Effect.gen(function*() {
        const { asker, connections, dials, node, pool, server } = yield* paced()
        const before = dials()
        asker(1).ask()
        server.isStopped = true
        yield* pass(60_000, [server], { step: 100 })
        assert.isTrue(connections.every(({ closeReason }) => closeReason?._tag === "HeartbeatTimeout"))
        assert.isFalse(pool.isOpen)
        assert.isAtMost(dials() - before, 20)
        server.isStopped = false
        yield* pass(20_000, [server], { step: 100 })
        assertFull(pool, node)
      }),
    60_000
  )

  it.effect("`awaitFull` does not wait for it, `isFull` says that connections are there, `isUp` that they are heard", () =>
    Effect.gen(function*() {
      const { asker, pool, server } = yield* paced()
      server.isStopped = true
      asker(1).ask()
      yield* pass(1_200, [server])
      yield* pool.awaitFull
      assert.deepStrictEqual([pool.isFull, pool.isOpen, pool.isUp], [true, true, false])
      assert.isTrue(pool.stats.slots.every(({ isSilent, state }) => isSilent && state === "Ready"))
    }))

  it.effect("`pickSilent` gives the least busy of its connections, and none that is full", () =>
    Effect.gen(function*() {
      const { connections, pool, server } = yield* paced({ shards: 2 })
      assert.isUndefined(pool.pickSilent(), "it is heard")
      server.isStopped = true
      for (let i = 0; i < 3; i++) yield* Effect.forkChild(query(pool, 0), { startImmediately: true })
      yield* pass(1_200, [server])
      assert.strictEqual(pool.pickSilent(), connections[1])
      connections[1]!.limitTo(1)
      assert.strictEqual(pool.pickSilent(), connections[0])
      connections[0]!.limitTo(1)
      assert.isUndefined(pool.pickSilent())
    }))

  it.effect("metrics: how many connections are silent, and how often one became so", () =>
    Effect.gen(function*() {
      const { asker, pool, server } = yield* paced({ shards: 2 })
      const value = (id: string) =>
        Effect.map(Metric.snapshot, (all) => {
          const metric = all.find((metric) => metric.id === id)
          return (metric?.state as { value?: number; count?: number } | undefined)?.value ??
            (metric?.state as { count?: number } | undefined)?.count
        })
      server.isStopped = true
      asker(1).ask()
      yield* pass(2_000, [server])
      assert.isFalse(pool.isUp)
      assert.strictEqual(yield* value("cql_pool_silent"), 2)
      assert.strictEqual(yield* value("cql_pool_silences_total"), 2)
      server.isStopped = false
      yield* pass(3_000, [server])
      assert.strictEqual(yield* value("cql_pool_silent"), 0)
      assert.strictEqual(yield* value("cql_pool_silences_total"), 2)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("flapping: each time it is up at once, and no connection is lost", () =>
    Effect.gen(function*() {
      const { asker, connections, moods, pool, server } = yield* paced()
      const askers = Array.from({ length: 32 }, (_, i) => asker(i % 8))
      const each = (): void => {
        for (const asker of askers) asker.ask()
      }
      server.latency = 10
      for (let i = 0; i < 5; i++) {
        server.isStopped = false
        yield* pass(2_000, [server], { each })
        assert.isTrue(pool.isUp)
        server.isStopped = true
        yield* pass(900, [server], { each })
      }
      server.isStopped = false
      yield* pass(100, [server], { each })
      assert.isTrue(isSame(pool, connections))
      assert.isAtMost(moods.length, 10)
      assert.isAtLeast(moods.length, 2)
    }), 60_000)
})

describe("NodePool: a node that answers heartbeats only", () => {
  it.effect(
    "three lost requests and a question: all its connections are aside, and back with the first answer",
    () =>
      Effect.gen(function*() {
        const { asker, connections, dials, moods, pool, server } = yield* paced()
        const before = dials()
        server.isHeld = (_, { request }) => request._tag === "Query"
        const askers = [asker(1, 500), asker(1, 500), asker(1, 500)]
        for (const asker of askers) asker.ask()
        yield* pass(800, [server])
        assert.isTrue(pool.isUp, "they may have been slow")
        yield* pass(1_000, [server])
        assert.isFalse(pool.isUp)
        assert.isTrue(connections.every(({ isDeaf, isSilent }) => isDeaf && isSilent))
        yield* pass(40_000, [server], { step: 100 })
        assert.deepStrictEqual(moods, ["Down"], "heartbeats do not bring it back")
        assert.strictEqual(dials(), before, "another connection would be no better")
        server.isHeld = () => false
        yield* pass(200, [server])
        assert.isTrue(isSame(pool, connections))
        assert.deepStrictEqual(moods, ["Down", "Up"])
      }),
    60_000
  )

  it.effect("one connection only: the others answer the question, and stay", () =>
    Effect.gen(function*() {
      const { asker, connections, pool, server } = yield* paced()
      server.isHeld = (socket, { request }) => socket.client === connections[1] && request._tag === "Query"
      for (let i = 0; i < 3; i++) asker(1, 500).ask()
      yield* pass(2_000, [server])
      assert.deepStrictEqual(connections.map(({ isSilent }) => isSilent), connections.map((_, shard) => shard === 1))
      assert.isTrue(pool.isUp)
      // After a minute another one is tried: the connection itself may be what is broken.
      yield* pass(61_000, [server], { step: 100 })
      assert.notStrictEqual(pool.pick(1), connections[1])
      assert.strictEqual(pool.pick(1)?.shard, 1)
    }), 60_000)

  it.effect("a close does not wait for the question", () =>
    Effect.gen(function*() {
      const { asker, close, network, pool, server } = yield* paced({}, { shutdownTimeout: "1 hour" })
      server.isHeld = (_, { request }) => request._tag === "Query"
      for (let i = 0; i < 3; i++) {
        asker(0, 500).ask()
      }
      yield* pass(2_000, [server])
      assert.isFalse(pool.isUp)
      yield* close
      assert.strictEqual(network.open.length, 0)
    }))
})

describe("NodePool: a node that is slow", () => {
  for (const latency of [5, 100, 400]) {
    for (const concurrency of [1, 40]) {
      it.effect(
        `all answers three times as late as the usual ${latency} ms, ${concurrency} at a time: never set aside`,
        () =>
          Effect.gen(function*() {
            const { asker, connections, moods, pool, server } = yield* paced({ shards: 2, shardAwarePort: 19_042 })
            server.latency = latency
            const askers = Array.from({ length: concurrency }, (_, i) => asker(i % 2))
            const each = (): void => {
              for (const asker of askers) asker.ask()
            }
            yield* pass(4_000, [server], { step: 5, each })
            const answers = askers.map(({ answers }) => answers)
            server.latency = 3 * latency
            yield* pass(6_000, [server], { step: 5, each })
            assert.isTrue(askers.every((asker, i) => asker.answers > answers[i]! && asker.failures.length === 0))
            assert.deepStrictEqual(moods, [])
            assert.isTrue(isSame(pool, connections))
          }),
        60_000
      )
    }
  }

  it.effect(
    "a whole datacenter that is slow at once leaves something to ask at all times",
    () =>
      Effect.gen(function*() {
        const worlds = yield* Effect.forEach([1, 2, 3], () => paced({ shards: 2 }))
        const servers = worlds.map(({ server }) => server)
        const askers = worlds.flatMap(({ asker }) => [asker(0), asker(1)])
        const each = (): void => {
          for (const asker of askers) asker.ask()
          const some = worlds.map(({ pool }) => pool.pickAny() ?? pool.pickSilent())
          assert.isTrue(some.every((connection) => connection?.begin() !== undefined))
        }
        for (const server of servers) server.latency = 10
        yield* pass(500, servers, { each })
        for (const server of servers) server.latency = 1_500
        yield* pass(6_000, servers, { each })
        // They answer, however late.
        assert.isTrue(worlds.every(({ connections, pool }) => isSame(pool, connections) || !pool.isUp))
        for (const server of servers) server.latency = 10
        yield* pass(3_000, servers, { each })
        assert.isTrue(worlds.every(({ pool }) => pool.isUp))
      }),
    60_000
  )
})

describe("NodePool: silence and other changes", () => {
  it.effect(
    "the node moves while it is silent: what is heard again from the old address is replaced all the same",
    () =>
      Effect.gen(function*() {
        const { asker, connections, node, pool, server } = yield* paced()
        asker(1).ask()
        server.isStopped = true
        yield* pass(6_500, [server], { step: 50 })
        // All of them are to be replaced for their silence.
        assert.isTrue(pool.stats.slots.every(({ state }) => state === "Draining" || state === "Handshaking"))
        pool.moveTo("10.0.0.9")
        yield* pass(100, [server])
        server.isStopped = false
        yield* pass(5_000, [server], { step: 50 })
        assert.isTrue(connections.every(({ isOpen }) => !isOpen))
        assert.isTrue(node.open.every(({ endpoint }) => endpoint.address === "10.0.0.9"))
        assertFull(pool, node)
      }),
    60_000
  )

  it.effect("the node is restarted with other shards while its connections are silent", () =>
    Effect.gen(function*() {
      const { asker, connections, node, pool } = yield* paced()
      for (const socket of node.open) socket.deaf = true
      asker(1).ask()
      yield* TestClock.adjust(1_200)
      assert.isFalse(pool.isUp)
      node.shards = 3
      yield* TestClock.adjust("20 seconds")
      yield* turns()
      assert.strictEqual(pool.nrShards, 3)
      assert.isTrue(connections.every(({ closeReason }) => closeReason !== undefined))
      assertFull(pool, node)
    }))

  it.effect("one that is heard again after it was replaced goes on draining", () =>
    Effect.gen(function*() {
      const { asker, connections, node, pool, server } = yield* paced(sharded, { shutdownTimeout: "1 minute" })
      const write = yield* Effect.forkChild(query(pool, 2, 60_000), { startImmediately: true })
      server.isHeld = (socket, { request }) => socket.client === connections[2] && request._tag === "Query"
      const beats: Array<() => void> = []
      const { intercept } = node
      node.intercept = (socket, received) => {
        if (socket.client !== connections[2] || received.request._tag !== "Options") return intercept(socket, received)
        beats.push(() => node.answer(socket, received))
        return true
      }
      asker(2).ask()
      yield* pass(1_000, [server])
      const successor = pool.pick(2)!
      assert.notStrictEqual(successor, connections[2])
      for (const beat of beats) beat()
      yield* pass(100, [server])
      assert.isFalse(connections[2]!.isSilent)
      assert.isFalse(connections[2]!.isOpen)
      assert.strictEqual(pool.pick(2), successor)
      server.isHeld = () => false
      yield* pass(100, [server])
      assert.isDefined(write.pollUnsafe())
      assertFull(pool, node)
    }))

  /** Waits again as often as it is refused because nothing is heard. */
  class Patient implements Admission.Waiter {
    readonly log: Array<string> = []
    private readonly pool: NodePool.NodePool
    private readonly deadline: number
    constructor(pool: NodePool.NodePool, deadline: number) {
      this.pool = pool
      this.deadline = deadline
      this.wait()
    }
    private wait(): void {
      const place = this.pool.wait(this, this.deadline)
      if ("_tag" in place) this.log.push(place._tag)
    }
    onAdmitted(): void {
      this.log.push("admitted")
    }
    onRefused(reason: PoolReason): void {
      this.log.push(`refused: ${reason._tag}`)
      if (reason._tag === "NodeSilent") this.wait()
    }
  }

  it.effect("who waits for room is refused once, may wait again, and is let in when it is heard", () =>
    Effect.gen(function*() {
      const world = yield* setup({ shards: 2 }, { shutdownTimeout: 0 }, { limits: { maxInFlight: 2 } })
      const server = new PacedNode(world.node)
      const pool = yield* world.start
      yield* pool.awaitFull
      server.isStopped = true
      for (let i = 0; i < 4; i++) yield* Effect.forkChild(query(pool, i % 2), { startImmediately: true })
      assert.isUndefined(pool.pick(0))
      const waiters = [1, 2, 3].map(() => new Patient(pool, world.ticker.deadline(60_000)))
      yield* pass(2_000, [server])
      assert.isFalse(pool.isUp)
      assert.deepStrictEqual(waiters.map(({ log }) => log), waiters.map(() => ["refused: NodeSilent"]))
      assert.strictEqual(pool.stats.waiting, 3)
      server.isStopped = false
      yield* pass(100, [server])
      assert.deepStrictEqual(waiters.map(({ log }) => log.at(-1)), waiters.map(() => "admitted"))
    }))

  it.effect("who waits although nothing is heard is refused when the connections are gone", () =>
    Effect.gen(function*() {
      const { asker, node, pool, server, ticker } = yield* paced({ shards: 2 })
      server.isStopped = true
      asker(0).ask()
      yield* pass(1_200, [server])
      assert.isUndefined(pool.pick(0))
      const waiter = new Patient(pool, ticker.deadline(60_000))
      assert.deepStrictEqual(waiter.log, [])
      for (const socket of node.open) socket.end(new Error("read ECONNRESET"))
      yield* turns()
      assert.deepStrictEqual(waiter.log, ["refused: ConnectionLost"])
      assert.strictEqual(pool.stats.waiting, 0)
    }))
})
