import * as Suspension from "@effect-scylla/pool/Suspension"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scheduler } from "effect"

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
      // What a seeded scheduler does at random, this one does when it is told to.
      const live = yield* Scheduler.Scheduler
      let yields = false
      const scheduler: Scheduler.Scheduler = {
        executionMode: live.executionMode,
        makeDispatcher: () => live.makeDispatcher(),
        shouldYield: () => yields && !(yields = false)
      }
      const { log, request, started } = make()
      const fiber = yield* Effect.forkChild(Effect.provideService(request, Scheduler.Scheduler, scheduler), {
        startImmediately: true
      })
      yields = true
      started[0]!.succeed(1)
      assert.isFalse(yields, "the fiber has yielded")
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      assert.strictEqual(started.length, 1)
      assert.strictEqual(yield* Fiber.join(fiber), 1)
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
