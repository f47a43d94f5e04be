import * as ConnectLimiter from "@effect-scylla/pool/ConnectLimiter"
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

/** Starts `count` dials that take no time; notes when each began, in milliseconds from now. */
const begin = Effect.fnUntraced(function*(limiter: ConnectLimiter.ConnectLimiter, count: number) {
  const clock = yield* Clock.Clock
  const from = clock.currentTimeMillisUnsafe()
  const at: Array<number> = []
  const fibers = yield* Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    (i) =>
      Effect.forkChild(
        limiter.limit(`node ${i}`, Effect.sync(() => void at.push(clock.currentTimeMillisUnsafe() - from))),
        { startImmediately: true }
      )
  )
  return { at, fibers }
})

describe("ConnectLimiter", () => {
  it("options with which no dial would ever begin are refused by name", () => {
    assert.throws(() => ConnectLimiter.make({ concurrency: 0 }), RangeError, "concurrency must be a whole number")
    assert.throws(() => ConnectLimiter.make({ burst: 1.5 }), RangeError, "burst")
    assert.throws(() => ConnectLimiter.make({ rate: Number.NaN }), RangeError, "rate must be more than 0")
    assert.isDefined(ConnectLimiter.make({ rate: 0.5, concurrency: undefined }))
  })

  it.effect("dials begin at the rate, a burst of them at once", () =>
    Effect.gen(function*() {
      const limiter = ConnectLimiter.make({ rate: 10, burst: 3 })
      const { at } = yield* begin(limiter, 6)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(at, [0, 0, 0, 100, 200, 300])
      // A time without dials makes up for a burst, not for more.
      const later = yield* begin(limiter, 5)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(later.at, [0, 0, 0, 100, 200])
    }))

  it.effect("whoever waits for its node holds no place that dials to others could have", () =>
    Effect.gen(function*() {
      const limiter = ConnectLimiter.make({ concurrency: 2, concurrencyPerNode: 1 })
      const begun: Array<string> = []
      const dial = (node: string) =>
        Effect.forkChild(
          limiter.limit(node, Effect.andThen(Effect.sync(() => void begun.push(node)), Effect.sleep("5 seconds"))),
          { startImmediately: true }
        )
      for (const node of ["slow", "slow", "slow", "other"]) yield* dial(node)
      yield* turns()
      assert.deepStrictEqual(begun, ["slow", "other"])
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(begun, ["slow", "other", "slow", "slow"])
    }))

  it.effect("no turn is given to who has no place: a dial that hangs is followed by others at the rate", () =>
    Effect.gen(function*() {
      const limiter = ConnectLimiter.make({ rate: 10, burst: 1, concurrency: 1 })
      const clock = yield* Clock.Clock
      yield* Effect.forkChild(limiter.limit("hangs", Effect.sleep("10 seconds")), { startImmediately: true })
      const from = clock.currentTimeMillisUnsafe()
      const { at } = yield* begin(limiter, 5)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(at, [10_000, 10_100, 10_200, 10_300, 10_400])
      assert.strictEqual(from, 0)
    }))

  it.effect("the time of one clock means nothing to another", () =>
    Effect.gen(function*() {
      const limiter = ConnectLimiter.make({ rate: 1, burst: 2 })
      const clock = yield* Clock.Clock
      const far: Clock.Clock = {
        ...clock,
        monotonicTimeNanosUnsafe: () => 10n ** 18n,
        sleep: () => Effect.die("nobody has to wait")
      }
      for (let i = 0; i < 2; i++) {
        yield* Effect.provideService(limiter.limit("a", Effect.void), Clock.Clock, far)
      }
      const { at } = yield* begin(limiter, 2)
      yield* turns()
      assert.deepStrictEqual(at, [0, 0])
    }))

  it.effect("after many losses at once dials begin slowly, twice as fast with every second", () =>
    Effect.gen(function*() {
      const limiter = ConnectLimiter.make({ rate: 160, burst: 100, concurrency: 1000, slowStartAfter: 10 })
      const clock = yield* Clock.Clock
      for (let i = 0; i < 9; i++) limiter.lost(clock)
      const before = yield* begin(limiter, 50)
      yield* turns()
      assert.strictEqual(before.at.length, 50, "a few losses change nothing")
      limiter.lost(clock)
      const { at } = yield* begin(limiter, 1000)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(at.length, 1000)
      const during = [0, 1, 2, 3, 4, 5].map((s) => at.filter((ms) => ms >= s * 1000 && ms < (s + 1) * 1000).length)
      // 10 a second, doubling: the integral of 10 * 2^t over a second is 14.4, 28.9, 57.7, 115; then the rate.
      for (const [i, expected] of [14.4, 28.9, 57.7, 115.4, 160, 160].entries()) {
        assert.approximately(during[i]!, expected, 0.06 * expected + 1.5, `second ${i}`)
      }
    }))

  it.effect("losses that are far apart are no mass reconnect", () =>
    Effect.gen(function*() {
      const limiter = ConnectLimiter.make({ slowStartAfter: 4, burst: 64 })
      const clock = yield* Clock.Clock
      for (let i = 0; i < 50; i++) {
        limiter.lost(clock)
        yield* TestClock.adjust("2 seconds")
      }
      const { at } = yield* begin(limiter, 30)
      yield* turns()
      assert.deepStrictEqual(at, Array(30).fill(0))
    }))

  it.effect("whoever is interrupted while it waits for its turn leaves no place taken", () =>
    Effect.gen(function*() {
      const limiter = ConnectLimiter.make({ rate: 1, burst: 1, concurrency: 2 })
      const { fibers } = yield* begin(limiter, 3)
      yield* turns()
      yield* Fiber.interruptAll(fibers)
      const { at } = yield* begin(limiter, 2)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(at.length, 2)
    }))

  it.effect("one for the process, unless a layer gives another", () =>
    Effect.gen(function*() {
      const process = yield* ConnectLimiter.ConnectLimiter
      assert.strictEqual(yield* ConnectLimiter.ConnectLimiter, process)
      const layer = ConnectLimiter.layer({ concurrencyPerNode: 1 })
      const own = yield* Effect.provide(ConnectLimiter.ConnectLimiter, layer)
      assert.notStrictEqual(own, process)
    }))

  it.effect("a pool tells it of connections that were lost, not of those that it closed itself", () =>
    Effect.gen(function*() {
      let lost = 0
      const inner = ConnectLimiter.make()
      const limiter: ConnectLimiter.ConnectLimiter = { ...inner, lost: () => void lost++ }
      const { close, node, start } = yield* setup(sharded, {}, {}, { limiter })
      const pool = yield* start
      yield* pool.awaitFull
      for (const socket of node.open.slice(0, 5)) socket.end()
      yield* until(() => !pool.isFull)
      assert.strictEqual(lost, 5)
      yield* TestClock.adjust("1 minute")
      assert.isTrue(pool.isFull)
      // A server that sheds accepts and closes.
      node.intercept = (socket) => {
        socket.end()
        return true
      }
      node.open[0]!.end()
      yield* TestClock.adjust("1 second")
      assert.isAtLeast(lost, 7)
      // A peer that is silent was lost, too.
      node.intercept = () => false
      yield* TestClock.adjust("1 minute")
      assert.isTrue(pool.isFull)
      const before = lost
      for (const socket of node.open.slice(0, 3)) socket.deaf = true
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual(lost, before + 3)
      const shed = lost
      yield* close
      assert.strictEqual(lost, shed)
    }))
})

describe("reconnect by a schedule of the user's", () => {
  it.effect("its delays are taken as they are; where it ends the pool waits to be told that the node is up", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const reconnect = Schedule.spaced("3 seconds").pipe(
        Schedule.setInputType<PoolReason>(),
        Schedule.while(({ attempt, input }) => Effect.sync(() => seen.push(input._tag) > 0 && attempt <= 2))
      )
      const { network, start } = yield* setup({}, { reconnect })
      network.judge = () => "refuse"
      const pool = yield* start
      yield* pool.awaitFirst
      yield* TestClock.adjust(2_900)
      assert.strictEqual(network.dials.length, 1)
      yield* TestClock.adjust(200)
      assert.strictEqual(network.dials.length, 2)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(network.dials.length, 3)
      assert.deepStrictEqual(seen, ["DialFailed", "DialFailed", "DialFailed"])
      // Anew from its beginning.
      pool.nodeUp()
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(network.dials.length, 6)
      network.judge = () => "accept"
      pool.nodeUp()
      yield* until(() => pool.isFull)
    }))
})
