import { ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import * as NodePool from "@effect-scylla/pool/NodePool"
import * as Ticker from "@effect-scylla/pool/Ticker"
import * as Transport from "@effect-scylla/pool/Transport"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Metric, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Network from "./support/network.ts"
import { FakeNode, PLAIN_PORT, SHARD_AWARE_PORT } from "./support/node.ts"
import { cql, listen } from "./support/tcpNode.ts"
import { turns } from "./support/turns.ts"

const POOLS = 200
const SHARDS = 4

describe("storm", () => {
  it.effect(
    "200 pools whose nodes are all restarted: dials in a second and handshakes at once stay within the limits",
    () =>
      Effect.gen(function*() {
        const rate = 200
        const burst = 50
        const concurrency = 32
        const limiter = makeLimiter({ rate, burst, concurrency, concurrencyPerNode: 4, slowStartAfter: 32 })
        const ticker = yield* Ticker.make
        const clock = yield* Clock.Clock
        const at: Array<number> = []
        let handshakes = 0
        let most = 0
        let isDown = false
        const nodes: Array<FakeNode> = []
        const pools: Array<NodePool.NodePool> = []
        for (let i = 0; i < POOLS; i++) {
          const network = yield* Network.make
          const node = new FakeNode(network, { shards: SHARDS, shardAwarePort: SHARD_AWARE_PORT })
          nodes.push(node)
          network.judge = () => {
            at.push(clock.currentTimeMillisUnsafe())
            return isDown ? "refuse" : "accept"
          }
          // A handshake takes 50 ms.
          const late = (task: () => void) =>
            Effect.runForkWith(services)(Effect.andThen(Effect.sleep(50), Effect.sync(task)))
          node.intercept = (socket, received) => {
            // The heartbeat's comes later.
            if (received.request._tag === "Options" && received.stream === 0) most = Math.max(most, ++handshakes)
            if (received.request._tag !== "Startup") return false
            late(() => {
              handshakes--
              node.answer(socket, received)
            })
            return true
          }
          pools.push(
            yield* NodePool.make({ address: `10.0.0.${i}`, port: PLAIN_PORT, session: { ticker } }).pipe(
              Effect.provideService(Transport.Transport, network.transport),
              Effect.provideService(ConnectLimiter, limiter),
              Random.withSeed(String(i))
            )
          )
        }
        const services = yield* Effect.context<never>()
        /** The most dials that began within any second. */
        const busiest = (): number => {
          let from = 0
          let most = 0
          for (const [i, time] of at.entries()) {
            while (time - at[from]! >= 1_000) from++
            most = Math.max(most, i - from + 1)
          }
          return most
        }
        yield* TestClock.adjust("1 minute")
        assert.isTrue(pools.every((pool) => pool.isFull))
        assert.isAtMost(busiest(), rate + burst)
        assert.isAtMost(most, concurrency)
        // All at once, and away for a while.
        at.length = 0
        most = 0
        isDown = true
        for (const node of nodes) for (const socket of node.open) socket.end()
        yield* TestClock.adjust("3 seconds")
        const whileDown = at.length
        isDown = false
        const begun = clock.currentTimeMillisUnsafe()
        yield* TestClock.adjust("1 minute")
        assert.isTrue(pools.every((pool) => pool.isFull))
        assert.isAtMost(busiest(), rate + 1)
        assert.isAtMost(most, concurrency)
        // It began slowly, and was over in little more than the rate allows.
        assert.isBelow(at.filter((time) => time < begun - 2_000).length, rate / 4)
        assert.isBelow(whileDown, 3 * rate / 2)
        const last = at.at(-1)! - begun
        assert.isAtMost(last, 1_000 * (POOLS * SHARDS) / rate + 15_000)
      }),
    60_000
  )
})

describe("filling", () => {
  it.effect("from nothing to all shards of three nodes in the time of three handshakes", () =>
    Effect.gen(function*() {
      const limiter = makeLimiter()
      const ticker = yield* Ticker.make
      const services = yield* Effect.context<never>()
      const pools: Array<NodePool.NodePool> = []
      for (let i = 0; i < 3; i++) {
        const network = yield* Network.make
        const node = new FakeNode(network, { shards: 8, shardAwarePort: SHARD_AWARE_PORT })
        node.intercept = (socket, received) => {
          if (received.request._tag !== "Startup") return false
          Effect.runForkWith(services)(
            Effect.andThen(Effect.sleep(1_000), Effect.sync(() => node.answer(socket, received)))
          )
          return true
        }
        pools.push(
          yield* NodePool.make({ address: `10.0.0.${i}`, port: PLAIN_PORT, session: { ticker } }).pipe(
            Effect.provideService(Transport.Transport, network.transport),
            Effect.provideService(ConnectLimiter, limiter),
            Random.withSeed(String(i))
          )
        )
      }
      // One, which tells the shards; then four at a time, and three.
      const pass = Effect.andThen(TestClock.adjust(100), turns())
      yield* turns()
      for (let i = 0; i < 29; i++) yield* pass
      assert.isFalse(pools.some((pool) => pool.isFull))
      yield* pass
      assert.isTrue(pools.every((pool) => pool.isFull))
    }))
})

describe("leaks", () => {
  const gc = (): number => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    for (let i = 0; i < 3; i++) collect()
    return process.memoryUsage().heapUsed
  }
  const resources = (): number =>
    process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout|Immediate/.test(name)).length

  /** Of the process itself: those of sockets go with them. */
  const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name as string)])
  const fibers = {
    active: 0,
    started: 0,
    recordFiberStart(): void {
      this.active++
      this.started++
    },
    recordFiberEnd(): void {
      this.active--
    }
  }

  it.live(
    "open, use, break and close, a thousand times: no socket, timer, fiber or listener is left, and the heap is flat",
    () =>
      Effect.gen(function*() {
        const { port, sockets } = yield* listen(cql)
        const ask = { _tag: "Query", query: "SELECT", options: { consistency: "ONE" } } as const
        const cycle = (i: number) =>
          Effect.gen(function*() {
            const scope = yield* Scope.make()
            const pool = yield* Effect.flatMap(Ticker.make, (ticker) =>
              NodePool.make({
                address: "127.0.0.1",
                port,
                shutdownTimeout: 0,
                reconnect: { base: 1, cap: 1 },
                session: { ticker }
              })).pipe(
                Scope.provide(scope),
                Effect.provideService(ConnectLimiter, makeLimiter({ rate: 1e6, burst: 1e6 }))
              )
            yield* pool.awaitFull
            const request = Effect.suspend(() =>
              pool.pickAny()?.request(ask, { timeoutMillis: 5_000, decoders: new RowDecoders() }) ?? Effect.void
            )
            yield* request
            // Each way to break: lost, interrupted, closed while requests are in flight.
            if (i % 4 === 0) {
              for (const socket of sockets) socket.destroy()
              yield* Effect.exit(request)
            } else if (i % 4 === 1) {
              yield* Fiber.interrupt(yield* Effect.forkChild(request, { startImmediately: true }))
            } else if (i % 4 === 2) {
              yield* Effect.forkChild(Effect.exit(request), { startImmediately: true })
            }
            yield* Scope.close(scope, Exit.void)
          })
        for (let i = 0; i < 200; i++) yield* cycle(i)
        const look = () => ({ heap: gc(), resources: resources(), listeners: listeners(), fibers: fibers.active })
        const before = look()
        const { started } = fibers
        for (let i = 0; i < 800; i++) yield* cycle(i)
        for (let i = 0; i < 500 && (sockets.size > 0 || fibers.active > before.fibers); i++) yield* Effect.sleep(10)
        assert.strictEqual(sockets.size, 0)
        const after = look()
        assert.isAtMost(after.resources, before.resources)
        assert.deepStrictEqual(after.listeners, before.listeners)
        assert.isAbove(fibers.started, started + 800, "they are counted")
        assert.isAtMost(after.fibers, before.fibers)
        // 800 pools of one connection: a leak of one would be a megabyte at least.
        assert.isBelow(after.heap - before.heap, 1024 * 1024)
      }).pipe(Effect.provideService(Metric.FiberRuntimeMetrics, fibers)),
    60_000
  )
})
