import * as Suspension from "@effect-scylla/pool/Suspension"
import * as Ticker from "@effect-scylla/pool/Ticker"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scheduler } from "effect"
import { Loop } from "./support/loop.ts"

type Log = Array<string>

/** Settled by the test; every copy notes itself in `started`. */
class Pending extends Suspension.Suspension<number, string> {
  readonly started: Array<Pending>
  readonly log: Log
  readonly onStart: (self: Pending) => void

  constructor(started: Array<Pending>, log: Log, onStart: (self: Pending) => void) {
    super()
    this.started = started
    this.log = log
    this.onStart = onStart
  }
  protected start(): void {
    this.started.push(this)
    this.onStart(this)
  }
  protected abandon(): void {
    this.log.push("abandoned")
  }
  protected renew(): Pending {
    return new Pending(this.started, this.log, this.onStart)
  }
}

const make = (onStart: (self: Pending) => void = () => {}) => {
  const started: Array<Pending> = []
  const log: Log = []
  return { started, log, request: new Pending(started, log, onStart) }
}

/** What a seeded scheduler does at random, this one does when it is told to: the next fiber that may yield does. */
const yieldingOnce = Effect.map(Effect.service(Scheduler.Scheduler), (live) => {
  const state = { yields: false }
  const scheduler: Scheduler.Scheduler = {
    executionMode: live.executionMode,
    makeDispatcher: () => live.makeDispatcher(),
    shouldYield: () => state.yields && !(state.yields = false)
  }
  return { scheduler, state }
})

/** Each case over both ways. */
const cases = (name: string, body: Effect.Effect<void, unknown>) => {
  for (const native of [true, false]) {
    it.live(`${name} (${native ? "native" : "fallback"})`, () =>
      Effect.suspend(() => {
        const before = Suspension.setNativeUnsafe(native)
        return Effect.ensuring(body, Effect.sync(() => Suspension.setNativeUnsafe(before)))
      }))
  }
}

describe("Suspension", () => {
  it("the fast way is the one in force on this version of effect", () => {
    const before = Suspension.setNativeUnsafe(true)
    assert.isTrue(before)
  })

  cases(
    "who waits after another has gone on is told of its own interruption, the other never",
    Effect.gen(function*() {
      const first = make()
      const goneOn = yield* Effect.forkChild(Effect.andThen(first.request, Effect.never), { startImmediately: true })
      first.request.succeed(1)
      const second = make()
      const third = make()
      const [interrupted, settled] = yield* Effect.all([
        Effect.forkChild(second.request, { startImmediately: true }),
        Effect.forkChild(third.request, { startImmediately: true })
      ])
      yield* Fiber.interrupt(interrupted)
      yield* Fiber.interrupt(goneOn)
      third.request.succeed(3)
      assert.deepStrictEqual([first.log, second.log, third.log], [[], ["abandoned"], []])
      assert.strictEqual(yield* Fiber.join(settled), 3)
    })
  )

  cases(
    "a value that comes later",
    Effect.gen(function*() {
      const { log, request, started } = make()
      const fiber = yield* Effect.forkChild(Effect.map(request, (n) => n + 1), { startImmediately: true })
      assert.strictEqual(started.length, 1)
      assert.isFalse(request.isSettled)
      request.succeed(41)
      assert.isTrue(request.isSettled)
      assert.strictEqual(yield* Fiber.join(fiber), 42)
      assert.deepStrictEqual(log, [])
    })
  )

  cases(
    "a failure that comes later",
    Effect.gen(function*() {
      const { log, request } = make()
      const fiber = yield* Effect.forkChild(Effect.flip(request), { startImmediately: true })
      request.settle(Exit.fail("no"))
      assert.strictEqual(yield* Fiber.join(fiber), "no")
      assert.deepStrictEqual(log, [])
    })
  )

  cases(
    "an effect that finishes the work",
    Effect.gen(function*() {
      const { request } = make()
      const fiber = yield* Effect.forkChild(request, { startImmediately: true })
      request.settle(Effect.andThen(Effect.yieldNow, Effect.succeed(7)))
      assert.strictEqual(yield* Fiber.join(fiber), 7)
    })
  )

  cases(
    "a falsy value is a value",
    Effect.gen(function*() {
      const { request } = make()
      const fiber = yield* Effect.forkChild(request, { startImmediately: true })
      request.succeed(0)
      assert.strictEqual(yield* Fiber.join(fiber), 0)
    })
  )

  cases(
    "settles at once, while it starts",
    Effect.gen(function*() {
      const byValue = make((self) => self.succeed(1))
      assert.strictEqual(yield* byValue.request, 1)
      const byExit = make((self) => self.settle(Exit.fail("at once")))
      assert.strictEqual(yield* Effect.flip(byExit.request), "at once")
      // Only the first outcome counts, here too.
      const twice = make((self) => {
        self.succeed(1)
        self.succeed(2)
      })
      assert.strictEqual(yield* twice.request, 1)
    })
  )

  cases(
    "only the first outcome counts",
    Effect.gen(function*() {
      const { request } = make()
      const fiber = yield* Effect.forkChild(request, { startImmediately: true })
      request.succeed(1)
      request.succeed(2)
      request.settle(Exit.fail("late"))
      assert.strictEqual(yield* Fiber.join(fiber), 1)
    })
  )

  cases(
    "an interruption abandons the work once, and what is settled afterwards is ignored",
    Effect.gen(function*() {
      const { log, request } = make()
      const fiber = yield* Effect.forkChild(request, { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(log, ["abandoned"])
      assert.isTrue(request.isSettled)
      request.succeed(1)
      request.settle(Exit.fail("late"))
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.deepStrictEqual(log, ["abandoned"])
    })
  )

  cases(
    "an interruption that comes while it starts abandons the work",
    Effect.gen(function*() {
      let fiber: Fiber.Fiber<number, string> | undefined
      const { log, request, started } = make(() => fiber!.interruptUnsafe())
      fiber = yield* Effect.forkChild(request)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.strictEqual(started.length, 1)
      assert.deepStrictEqual(log, ["abandoned"])
    })
  )

  cases(
    "in an uninterruptible region it waits for the outcome",
    Effect.gen(function*() {
      const { log, request } = make()
      const seen: Array<number> = []
      const fiber = yield* Effect.forkChild(
        Effect.uninterruptible(Effect.map(request, (n) => void seen.push(n))),
        { startImmediately: true }
      )
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* Effect.yieldNow
      assert.deepStrictEqual(log, [])
      request.succeed(5)
      yield* Fiber.await(interrupting)
      assert.deepStrictEqual(seen, [5])
      assert.deepStrictEqual(log, [])
    })
  )

  cases(
    "the same value twice, one after the other, is two pieces of work",
    Effect.gen(function*() {
      const { request, started } = make()
      const fiber = yield* Effect.forkChild(Effect.all([request, request]), { startImmediately: true })
      started[0]!.succeed(1)
      assert.strictEqual(started.length, 2)
      assert.notStrictEqual(started[0], started[1])
      started[1]!.succeed(2)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [1, 2])
    })
  )

  cases(
    "the same value twice at once is two pieces of work",
    Effect.gen(function*() {
      const { request, started } = make()
      const fiber = yield* Effect.forkChild(Effect.all([request, request], { concurrency: 2 }), {
        startImmediately: true
      })
      yield* Effect.yieldNow
      assert.strictEqual(started.length, 2)
      started[1]!.succeed(2)
      started[0]!.succeed(1)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [1, 2])
    })
  )

  cases(
    "a value that failed may be evaluated again",
    Effect.gen(function*() {
      let attempts = 0
      const { request, started } = make((self) => ++attempts < 3 ? self.settle(Exit.fail("not yet")) : self.succeed(3))
      assert.strictEqual(yield* Effect.retry(request, { times: 5 }), 3)
      assert.strictEqual(started.length, 3)
    })
  )

  cases(
    "a value that was interrupted may be evaluated again",
    Effect.gen(function*() {
      const { request, started } = make()
      const first = yield* Effect.forkChild(request, { startImmediately: true })
      yield* Fiber.interrupt(first)
      const second = yield* Effect.forkChild(request, { startImmediately: true })
      started[1]!.succeed(9)
      assert.strictEqual(yield* Fiber.join(second), 9)
    })
  )

  cases(
    "`around` is asked before each evaluation and replaces it",
    Effect.gen(function*() {
      let asked = 0
      class Wrapped extends Suspension.Suspension<string, never> {
        readonly inner: boolean
        constructor(inner: boolean) {
          super()
          this.inner = inner
        }
        protected override around(): Effect.Effect<string> | undefined {
          asked++
          return this.inner ? undefined : Effect.map(new Wrapped(true), (text) => `<${text}>`)
        }
        protected start(): void {
          this.succeed("work")
        }
        protected abandon(): void {}
        protected renew(): Wrapped {
          return new Wrapped(this.inner)
        }
      }
      const request = new Wrapped(false)
      assert.strictEqual(yield* request, "<work>")
      assert.strictEqual(yield* request, "<work>")
      assert.strictEqual(asked, 4)
    })
  )

  cases(
    "a fiber that has to yield before it takes its value starts nothing anew",
    Effect.gen(function*() {
      const { log, request, started } = make()
      const { scheduler, state } = yield* yieldingOnce
      const fiber = yield* Effect.forkChild(Effect.provideService(request, Scheduler.Scheduler, scheduler), {
        startImmediately: true
      })
      state.yields = true
      started[0]!.succeed(1)
      assert.isFalse(state.yields, "the fiber has yielded")
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      assert.strictEqual(started.length, 1)
      assert.strictEqual(yield* Fiber.join(fiber), 1)
      assert.deepStrictEqual(log, [])
    })
  )

  cases(
    "a value that waits for a fiber that has to yield is not taken by another",
    Effect.gen(function*() {
      const { log, request, started } = make()
      const { scheduler, state } = yield* yieldingOnce
      const first = yield* Effect.forkChild(Effect.provideService(request, Scheduler.Scheduler, scheduler), {
        startImmediately: true
      })
      state.yields = true
      request.succeed(1)
      assert.isUndefined(first.pollUnsafe())
      const second = yield* Effect.forkChild(request, { startImmediately: true })
      assert.strictEqual(started.length, 2)
      assert.strictEqual(yield* Fiber.join(first), 1)
      started[1]!.succeed(2)
      assert.strictEqual(yield* Fiber.join(second), 2)
      assert.deepStrictEqual(log, [])
    })
  )

  cases(
    "the continuation may settle others and start new work on the same stack",
    Effect.gen(function*() {
      const { request, started } = make()
      const fiber = yield* Effect.forkChild(
        Effect.gen(function*() {
          let sum = 0
          for (let i = 0; i < 1_000; i++) sum += yield* request
          return sum
        }),
        { startImmediately: true }
      )
      for (let i = 0; i < 1_000; i++) {
        yield* Effect.suspend(() => {
          const next = started.shift()
          return next === undefined ? Effect.die("nothing was started") : Effect.sync(() => next.succeed(1))
        })
      }
      assert.strictEqual(yield* Fiber.join(fiber), 1_000)
    })
  )
})

/** A ticker on a loop that the test turns. */
const looped = Effect.gen(function*() {
  const loop = new Loop()
  const ticker = yield* Effect.provideService(Ticker.make, Scheduler.Scheduler, loop.scheduler)
  return { loop, ticker }
})

describe("Suspension: a value that is taken at the end of the turn", () => {
  cases(
    "is not there before",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const { log, request } = make()
      const seen: Array<number> = []
      const fiber = yield* Effect.forkChild(Effect.map(request, (n) => seen.push(n)), { startImmediately: true })
      assert.isFalse(request.isSettled)
      request.succeedLater(ticker, 7)
      assert.isTrue(request.isSettled)
      assert.deepStrictEqual(seen, [])
      assert.isUndefined(fiber.pollUnsafe())
      loop.turn()
      assert.deepStrictEqual(seen, [7])
      assert.isTrue(loop.isIdle)
      assert.isTrue(request.isSettled)
      assert.strictEqual(yield* Fiber.join(fiber), 1)
      assert.deepStrictEqual(log, [])
    }))
  )

  cases(
    "all of a turn go on in the order of their answers, and what they ask is sent in the same turn",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const order: Array<string> = []
      const all = ["a", "b", "c"].map((name) => ({ name, request: make().request }))
      for (const { name, request } of all) {
        const asks = Effect.sync(() => ticker.send({ send: () => void order.push(`send ${name}`) }))
        yield* Effect.forkChild(
          Effect.andThen(Effect.map(request, (n) => order.push(`${name} ${n}`)), asks),
          { startImmediately: true }
        )
      }
      for (const [i, { request }] of all.toReversed().entries()) request.succeedLater(ticker, i)
      loop.turn()
      assert.deepStrictEqual(order, ["c 0", "b 1", "a 2", "send c", "send b", "send a"])
      assert.isTrue(loop.isIdle)
    }))
  )

  for (const value of [0, undefined]) {
    cases(
      `may be ${value}`,
      Effect.scoped(Effect.gen(function*() {
        const { loop, ticker } = yield* looped
        const { request, started } = make()
        const fiber = yield* Effect.forkChild(request, { startImmediately: true })
        request.succeedLater(ticker, value as number)
        loop.turn()
        assert.strictEqual(yield* Fiber.join(fiber), value)
        assert.strictEqual(started.length, 1)
      }))
    )
  }

  cases(
    "only the first outcome counts, whatever comes after it",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const late: ReadonlyArray<(request: Pending) => void> = [
        (request) => request.succeedLater(ticker, 2),
        (request) => request.succeed(2),
        (request) => request.settle(Exit.fail("late"))
      ]
      const outcomes: Array<string> = []
      for (const settle of late) {
        const { log, request } = make()
        const fiber = yield* Effect.forkChild(request, { startImmediately: true })
        fiber.addObserver((exit) => outcomes.push(String(exit)))
        request.succeedLater(ticker, 1)
        settle(request)
        assert.isUndefined(fiber.pollUnsafe())
        loop.run()
        assert.strictEqual(yield* Fiber.join(fiber), 1)
        settle(request)
        loop.run()
        assert.deepStrictEqual(log, [])
      }
      // And the other way round: what was settled before is not answered again.
      for (
        const settle of [
          (request: Pending) => request.succeed(1),
          (request: Pending) => request.settle(Exit.succeed(1))
        ]
      ) {
        const { request } = make()
        const fiber = yield* Effect.forkChild(request, { startImmediately: true })
        fiber.addObserver((exit) => outcomes.push(String(exit)))
        settle(request)
        request.succeedLater(ticker, 2)
        assert.isTrue(loop.isIdle)
        assert.strictEqual(yield* Fiber.join(fiber), 1)
      }
      assert.strictEqual(outcomes.length, 5)
    }))
  )

  cases(
    "interrupted before it: nothing is abandoned, and neither the fiber nor its next wait takes the value",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const { log, request, started } = make()
      const next = make()
      const seen: Array<string> = []
      const fiber = yield* Effect.forkChild(
        Effect.ensuring(
          Effect.map(request, (n) => seen.push(`value ${n}`)),
          Effect.ignore(Effect.map(next.request, (n) => seen.push(`finalizer ${n}`)))
        ),
        { startImmediately: true }
      )
      request.succeedLater(ticker, 1)
      fiber.interruptUnsafe()
      // Its finalizer waits for another answer, which is not this one.
      assert.strictEqual(next.started.length, 1)
      assert.isTrue(request.isSettled)
      loop.run()
      assert.isFalse(next.request.isSettled)
      assert.isUndefined(fiber.pollUnsafe())
      assert.deepStrictEqual(seen, [])
      request.succeed(2)
      request.settle(Exit.fail("late"))
      request.succeedLater(ticker, 3)
      loop.run()
      assert.isUndefined(fiber.pollUnsafe())
      next.request.succeedLater(ticker, 4)
      loop.run()
      assert.deepStrictEqual(seen, ["finalizer 4"])
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.deepStrictEqual([log, next.log], [[], []])
      assert.strictEqual(started.length, 1)
    }))
  )

  cases(
    "interrupted before it: the value is let go of, even where the request is kept",
    Effect.scoped(Effect.gen(function*() {
      const { ticker } = yield* looped
      const { request } = make()
      const fiber = yield* Effect.forkChild(request, { startImmediately: true })
      request.succeedLater(ticker, 1)
      yield* Fiber.interrupt(fiber)
      assert.isUndefined((request as unknown as { readonly outcome: unknown }).outcome)
    }))
  )

  cases(
    "interrupted by who is resumed before it in the same turn",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const first = make()
      const second = make()
      const seen: Array<string> = []
      const loser = yield* Effect.forkChild(Effect.map(second.request, (n) => seen.push(`second ${n}`)), {
        startImmediately: true
      })
      yield* Effect.forkChild(
        Effect.map(first.request, (n) => {
          seen.push(`first ${n}`)
          loser.interruptUnsafe()
        }),
        { startImmediately: true }
      )
      first.request.succeedLater(ticker, 1)
      second.request.succeedLater(ticker, 2)
      loop.run()
      assert.deepStrictEqual(seen, ["first 1"])
      const exit = yield* Fiber.await(loser)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.deepStrictEqual(second.log, [])
    }))
  )

  cases(
    "in an uninterruptible region it is taken, interrupted or not",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const { log, request } = make()
      const seen: Array<number> = []
      const fiber = yield* Effect.forkChild(
        Effect.uninterruptible(Effect.map(request, (n) => void seen.push(n))),
        { startImmediately: true }
      )
      request.succeedLater(ticker, 5)
      fiber.interruptUnsafe()
      assert.isUndefined(fiber.pollUnsafe())
      loop.run()
      assert.deepStrictEqual(seen, [5])
      assert.deepStrictEqual(log, [])
    }))
  )

  cases(
    "settled in `start` it is there at once: there is nobody to resume",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const { log, request, started } = make((self) => {
        self.succeedLater(ticker, 3)
        self.succeedLater(ticker, 4)
      })
      assert.strictEqual(yield* request, 3)
      assert.isTrue(loop.isIdle)
      assert.strictEqual(started.length, 1)
      assert.deepStrictEqual(log, [])
    }))
  )

  cases(
    "the same value evaluated twice at once: each evaluation takes its own",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const { log, request, started } = make()
      const fiber = yield* Effect.forkChild(Effect.all([request, request], { concurrency: 2 }), {
        startImmediately: true
      })
      while (started.length < 2) yield* Effect.yieldNow
      started[1]!.succeedLater(ticker, 2)
      started[0]!.succeedLater(ticker, 1)
      assert.deepStrictEqual(started.map(({ isSettled }) => isSettled), [true, true])
      loop.turn()
      assert.deepStrictEqual(yield* Fiber.join(fiber), [1, 2])
      assert.deepStrictEqual(log, [])
    }))
  )

  cases(
    "the same value evaluated again after it was interrupted with an answer on its way",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      const { log, request, started } = make()
      const first = yield* Effect.forkChild(request, { startImmediately: true })
      request.succeedLater(ticker, 1)
      first.interruptUnsafe()
      const second = yield* Effect.forkChild(request, { startImmediately: true })
      loop.turn()
      assert.strictEqual(started.length, 2)
      assert.isUndefined(second.pollUnsafe())
      started[1]!.succeedLater(ticker, 2)
      loop.turn()
      assert.strictEqual(yield* Fiber.join(second), 2)
      assert.deepStrictEqual(log, [])
    }))
  )

  cases(
    "a fiber that has to yield before it takes it starts nothing anew, and may be interrupted meanwhile",
    Effect.scoped(Effect.gen(function*() {
      const { loop, ticker } = yield* looped
      for (const isInterrupted of [false, true]) {
        const { scheduler, state } = yield* yieldingOnce
        const { log, request, started } = make()
        const fiber = yield* Effect.forkChild(Effect.provideService(request, Scheduler.Scheduler, scheduler), {
          startImmediately: true
        })
        request.succeedLater(ticker, 1)
        state.yields = true
        loop.turn()
        assert.isFalse(state.yields, "the fiber has yielded")
        assert.isUndefined(fiber.pollUnsafe())
        if (isInterrupted) fiber.interruptUnsafe()
        const exit = yield* Fiber.await(fiber)
        assert.strictEqual(Exit.isSuccess(exit), !isInterrupted)
        assert.strictEqual(started.length, 1)
        assert.deepStrictEqual(log, [])
      }
    }))
  )

  const race = (other: Effect.Effect<number, string>) => (rest: Effect.Effect<number, string>) =>
    Effect.raceAll([rest, other])

  cases(
    "a wait that is handed over goes on in something else, and whoever is first is taken",
    Effect.gen(function*() {
      const { log, request, started } = make()
      const won = yield* Effect.forkChild(request, { startImmediately: true })
      assert.isTrue(request.handOver(race(Effect.never)))
      assert.isFalse(request.isSettled)
      request.succeed(1)
      assert.strictEqual(yield* Fiber.join(won), 1)
      assert.isFalse(request.handOver(race(Effect.never)), "nobody waits any more")

      const lost = yield* Effect.forkChild(request, { startImmediately: true })
      assert.isTrue(started[1]!.handOver(race(Effect.succeed(2))))
      assert.strictEqual(yield* Fiber.join(lost), 2)
      assert.isTrue(started[1]!.isSettled)

      const failed = yield* Effect.forkChild(request, { startImmediately: true })
      assert.isTrue(started[2]!.handOver(race(Effect.fail("first"))))
      assert.isUndefined(failed.pollUnsafe())
      started[2]!.settle(Exit.succeed(3))
      assert.strictEqual(yield* Fiber.join(failed), 3)

      const interrupted = yield* Effect.forkChild(request, { startImmediately: true })
      assert.isTrue(started[3]!.handOver(race(Effect.never)))
      yield* Fiber.interrupt(interrupted)
      assert.isTrue(started[3]!.isSettled)
      assert.deepStrictEqual(log, ["abandoned", "abandoned"])
    })
  )

  cases(
    "a wait that ends before what it was handed over to waits for it is not lost",
    Effect.gen(function*() {
      const { log, request } = make()
      const fiber = yield* Effect.forkChild(request, { startImmediately: true })
      request.handOver((rest) => Effect.andThen(Effect.sync(() => request.succeed(7)), rest))
      assert.strictEqual(yield* Fiber.join(fiber), 7)
      assert.deepStrictEqual(log, [])
    })
  )
})
