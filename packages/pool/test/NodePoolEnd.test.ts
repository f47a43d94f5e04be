import { type ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import type * as NodePool from "@effect-scylla/pool/NodePool"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import type * as Network from "./support/network.ts"
import { SHARD_AWARE_PORT } from "./support/node.ts"
import { query, setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

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
        ...limiter,
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

  for (
    const [what, change] of [
      ["wanted", (pool: NodePool.NodePool) => pool.resize({ perNode: 1 })],
      ["where the node is", (pool: NodePool.NodePool) => pool.moveTo("10.0.0.2")]
    ] as const
  ) {
    it.effect(`who has waited for its turn looks whether it is still ${what}`, () =>
      Effect.gen(function*() {
        const limiter = makeLimiter({ concurrencyPerNode: 1 })
        const { network, node, start } = yield* setup({ shards: 8 }, { shutdownTimeout: 0 }, {}, { limiter })
        const held: Array<() => void> = []
        node.intercept = (socket, received) =>
          network.sockets.length > 1 && held.push(() => node.answer(socket, received)) > 0
        const pool = yield* start
        yield* until(() => held.length === 1)
        assert.strictEqual(network.dials.length, 2)
        change(pool)
        node.intercept = () => false
        held[0]!()
        yield* turns()
        yield* TestClock.adjust("1 minute")
        yield* turns()
        assert.isTrue(pool.isFull)
        const old = network.dials.filter(({ address }) => address === "10.0.0.1")
        assert.strictEqual(old.length, 2)
        assert.isTrue(network.open.every(({ endpoint }) => endpoint.address === pool.address))
      }))
  }

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

  it.effect("not before the last of those that were being drained already", () =>
    Effect.gen(function*() {
      const { close, network, node, start } = yield* setup(sharded, {
        connections: { perShard: 2 },
        shutdownTimeout: "10 seconds"
      })
      const pool = yield* start
      yield* pool.awaitFull
      node.intercept = (_socket, { request }) => request._tag === "Query"
      const connections = Array.from({ length: 2 }, () => pool.pick(3)!)
      for (let i = 0; i < 2; i++) yield* Effect.forkChild(query(pool, 3), { startImmediately: true })
      pool.resize({ perNode: 1 })
      yield* turns()
      assert.isAtLeast(network.open.length, 2)
      assert.isTrue(connections.some(({ isOpen }) => !isOpen))
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
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
