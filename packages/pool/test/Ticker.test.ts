import * as Ticker from "@effect-scylla/pool/Ticker"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { SeededRandom } from "./support/random.ts"
import { StalledClock } from "./support/stalledClock.ts"
import { turns } from "./support/turns.ts"

/** Waits for its deadline, as a connection does for a request's. */
class Waiter implements Ticker.Tickable {
  readonly deadline: number
  firedAt: number | undefined
  readonly clock: Clock.Clock
  constructor(ticker: Ticker.Ticker, clock: Clock.Clock, millis: number) {
    this.clock = clock
    this.deadline = ticker.deadline(millis)
    ticker.arm(this)
  }
  onTick(now: number): boolean {
    if (now < this.deadline) return true
    this.firedAt ??= this.clock.currentTimeMillisUnsafe()
    return false
  }
}

describe("Ticker", () => {
  for (const seed of [1, 2, 3]) {
    it.effect(`deadlines are never early and at most two ticks late, seed ${seed}`, () =>
      Effect.gen(function*() {
        const random = new SeededRandom(seed)
        const ticker = yield* Ticker.make
        const clock = yield* Clock.Clock
        const waiters: Array<{ readonly waiter: Waiter; readonly due: number }> = []
        for (let i = 0; i < 200; i++) {
          const millis = random.below(3_000)
          waiters.push({
            due: clock.currentTimeMillisUnsafe() + millis,
            waiter: new Waiter(ticker, clock, millis)
          })
          yield* TestClock.adjust(random.below(230))
        }
        yield* TestClock.adjust(4_000)
        for (const { due, waiter } of waiters) {
          assert.isAtLeast(waiter.firedAt!, due)
          assert.isAtMost(waiter.firedAt!, due + 2 * Ticker.TICK_MILLIS)
        }
      }))
  }

  it.effect("ticks only while something waits, and goes on counting when something waits again", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const clock = yield* Clock.Clock
      yield* TestClock.adjust(10_000)
      assert.strictEqual(ticker.now, 0)
      const first = new Waiter(ticker, clock, 300)
      yield* TestClock.adjust(500)
      assert.isDefined(first.firedAt)
      const stopped = ticker.now
      yield* TestClock.adjust(60_000)
      assert.strictEqual(ticker.now, stopped)
      const second = new Waiter(ticker, clock, 300)
      yield* TestClock.adjust(299)
      assert.isUndefined(second.firedAt)
      yield* TestClock.adjust(201)
      assert.isDefined(second.firedAt)
    }))

  it.effect("arming twice ticks once; whoever is armed within a tick waits for the next", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const log: Array<string> = []
      const late: Ticker.Tickable = {
        onTick: (now) => {
          log.push(`late ${now}`)
          return false
        }
      }
      let rounds = 0
      const early: Ticker.Tickable = {
        onTick: (now) => {
          log.push(`early ${now}`)
          if (now === 2) ticker.arm(late)
          return ++rounds < 2
        }
      }
      ticker.arm(early)
      ticker.arm(early)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(log.filter((line) => line.startsWith("early")), ["early 1", "early 2"])
      assert.strictEqual(log.filter((line) => line.startsWith("late")).length, 1)
    }))

  it.effect("something that arms itself within its last tick is not forgotten", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      let count = 0
      const other: Ticker.Tickable = { onTick: () => ++count < 3 }
      const first: Ticker.Tickable = {
        onTick: () => {
          ticker.arm(other)
          return false
        }
      }
      ticker.arm(first)
      yield* TestClock.adjust(2_000)
      assert.strictEqual(count, 3)
    }))

  it.effect("flushes each target once, all of them at the end of the same turn", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const flushed: Array<number> = []
      for (let i = 0; i < 50; i++) ticker.flush({ flush: () => void flushed.push(i) })
      assert.deepStrictEqual(flushed, [])
      yield* Effect.yieldNow
      assert.deepStrictEqual(flushed, Array.from({ length: 50 }, (_, i) => i))
      yield* turns(5)
      assert.strictEqual(flushed.length, 50)
    }))

  it.effect("a flush that makes others dirty has them flushed next, and nobody twice", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const flushed: Array<string> = []
      const target = (name: string, next?: Ticker.Flushable): Ticker.Flushable => ({
        flush: () => {
          flushed.push(name)
          if (next !== undefined) ticker.flush(next)
        }
      })
      const c = target("c")
      ticker.flush(target("a", target("b", c)))
      ticker.flush(target("d", c))
      yield* turns(5)
      assert.deepStrictEqual(flushed.toSorted(), ["a", "b", "c", "c", "d"])
      assert.strictEqual(flushed[0], "a")
      ticker.flush(c)
      yield* turns(5)
      assert.strictEqual(flushed.length, 6)
    }))

  it.live("catches up after a stalled event loop: what was due in between is overdue at the next tick", () =>
    Effect.gen(function*() {
      const clock = new StalledClock()
      const ticker = yield* Effect.provideService(Ticker.make, Clock.Clock, clock)
      const due = new Waiter(ticker, clock, 500)
      const notYet = new Waiter(ticker, clock, 60_000)
      clock.millis = 20_000
      clock.wake()
      yield* turns(5)
      assert.isDefined(due.firedAt)
      assert.isUndefined(notYet.firedAt)
      assert.strictEqual(ticker.now, 200)
    }).pipe(Effect.scoped))

  it.live("what arrived while the event loop stalled is read before anything is overdue", () =>
    Effect.gen(function*() {
      const clock = new StalledClock()
      const ticker = yield* Effect.provideService(Ticker.make, Clock.Clock, clock)
      const waiter = new Waiter(ticker, clock, 500)
      clock.millis = 20_000
      clock.wake()
      // Timers run before sockets are read: the stack of the timer must not expire anything.
      assert.isUndefined(waiter.firedAt)
      yield* turns(5)
      assert.isDefined(waiter.firedAt)
    }).pipe(Effect.scoped))

  it.live("a deadline that is set after a stall, before the ticker knows of it, is not early", () =>
    Effect.gen(function*() {
      const clock = new StalledClock()
      const ticker = yield* Effect.provideService(Ticker.make, Clock.Clock, clock)
      const before = new Waiter(ticker, clock, 100_000)
      yield* turns(1)
      clock.millis = 20_000
      const waiter = new Waiter(ticker, clock, 12_000)
      clock.wake()
      yield* turns(5)
      assert.isUndefined(waiter.firedAt)
      for (let i = 0; i < 121; i++) {
        clock.millis += 100
        clock.wake()
        yield* turns(3)
      }
      assert.isDefined(waiter.firedAt)
      assert.isAtLeast(waiter.firedAt!, 32_000)
      assert.isUndefined(before.firedAt)
    }).pipe(Effect.scoped))

  it.live("a timer that is early or late by a little never makes a deadline early", () =>
    Effect.gen(function*() {
      const clock = new StalledClock()
      const ticker = yield* Effect.provideService(Ticker.make, Clock.Clock, clock)
      const random = new SeededRandom(7)
      const waiters: Array<{ readonly waiter: Waiter; readonly due: number }> = []
      for (let i = 0; i < 500; i++) {
        waiters.push({ due: clock.millis + 250, waiter: new Waiter(ticker, clock, 250) })
        yield* turns(1)
        // Wakes up to 1 ms early, as node's timers may, or up to 60 ms late.
        clock.millis += 49.5 + random.below(60)
        clock.wake()
        yield* turns(2)
      }
      const fired = waiters.filter(({ waiter }) => waiter.firedAt !== undefined)
      assert.isAbove(fired.length, 400)
      for (const { due, waiter } of fired) assert.isAtLeast(waiter.firedAt!, due)
    }).pipe(Effect.scoped))

  it.effect("stops with its scope", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const ticker = yield* Scope.provide(Ticker.make, scope)
      let count = 0
      ticker.arm({ onTick: () => ++count > 0 })
      yield* TestClock.adjust(300)
      assert.strictEqual(count, 3)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1_000)
      assert.strictEqual(count, 3)
    }))

  it.effect("`defer` runs at the end of the turn, and the test's clock waits for it", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const log: Array<string> = []
      const fiber = yield* Effect.forkChild(Effect.andThen(
        Effect.sleep("1 second"),
        Effect.sync(() => ticker.defer(() => ticker.defer(() => void log.push("deferred"))))
      ))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log, ["deferred"])
      yield* Fiber.join(fiber)
    }))
})
