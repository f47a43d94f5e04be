import * as Ticker from "@effect-scylla/pool/Ticker"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Scheduler } from "effect"
import { Loop } from "./support/loop.ts"
import { StalledClock } from "./support/stalledClock.ts"

/** A ticker on a loop and a clock that the test moves. */
const make = Effect.gen(function*() {
  const loop = new Loop()
  const clock = new StalledClock()
  const ticker = yield* Ticker.make.pipe(
    Effect.provideService(Scheduler.Scheduler, loop.scheduler),
    Effect.provideService(Clock.Clock, clock)
  )
  const log: Array<string> = []
  const noted = (what: string, then: () => void = () => {}) => () => {
    log.push(what)
    then()
  }
  const ask = {
    resume: (name: string, then?: () => void) => ticker.resume({ resume: noted(`resume ${name}`, then) }),
    send: (name: string, then?: () => void) => ticker.send({ send: noted(`send ${name}`, then) }),
    flush: (name: string, then?: () => void) => ticker.flush({ flush: noted(`flush ${name}`, then) })
  }
  /** Ticks, so that deadlines look at the clock. */
  const tick = () => ticker.arm({ onTick: () => true })
  return { ask, clock, log, loop, tick, ticker }
})

/** A connection: dirty with the first request of a turn, and again with the first after it was written. */
class Output implements Ticker.Flushable {
  private readonly ticker: Ticker.Ticker
  private readonly log: Array<string>
  private readonly name: string
  private held: Array<string> = []
  constructor(ticker: Ticker.Ticker, log: Array<string>, name: string) {
    this.ticker = ticker
    this.log = log
    this.name = name
  }
  add(request: string): void {
    if (this.held.push(request) === 1) this.ticker.flush(this)
  }
  flush(): void {
    if (this.held.length > 0) this.log.push(`${this.name}: ${this.held.splice(0).join(" ")}`)
  }
  flushEarly(): void {
    this.log.push("early")
    this.flush()
  }
}

type Stage = "resume" | "send" | "flush"
const stages: ReadonlyArray<Stage> = ["resume", "send", "flush"]
const range = (from: number, to: number): ReadonlyArray<number> => Array.from({ length: to - from }, (_, i) => from + i)

describe("Ticker: stages of a turn", () => {
  for (
    const order of [
      ["resume", "send", "flush"],
      ["resume", "flush", "send"],
      ["send", "resume", "flush"],
      ["send", "flush", "resume"],
      ["flush", "resume", "send"],
      ["flush", "send", "resume"]
    ] as const
  ) {
    it.effect(`resume, send, flush, when asked to ${order.join(", ")}`, () =>
      Effect.gen(function*() {
        const { ask, log, loop, ticker } = yield* make
        for (const name of ["a", "b"]) for (const stage of order) ask[stage](name)
        assert.deepStrictEqual(log, [])
        loop.turn()
        assert.deepStrictEqual(log, ["resume a", "resume b", "send a", "send b", "flush a", "flush b"])
        assert.isTrue(loop.isIdle)
        assert.strictEqual(ticker.turn, 1)
      }))
  }

  it.effect("what is asked for a later stage is done in the same turn, behind what is there", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      ask.resume("a", () => {
        ask.flush("of a resumed")
        ask.send("of a resumed", () => ask.flush("of a sent"))
      })
      ask.flush("before")
      ask.send("before")
      loop.turn()
      assert.deepStrictEqual(log, [
        "resume a",
        "send before",
        "send of a resumed",
        "flush before",
        "flush of a resumed",
        "flush of a sent"
      ])
      assert.isTrue(loop.isIdle)
      assert.strictEqual(ticker.turn, 1)
    }))

  for (const [from, to] of stages.flatMap((from, i) => stages.slice(0, i + 1).map((to) => [from, to] as const))) {
    it.effect(`what a ${from} asks to ${to} comes in the next turn, once`, () =>
      Effect.gen(function*() {
        const { ask, log, loop, ticker } = yield* make
        ask[from]("first", () => ask[to]("added"))
        loop.turn()
        assert.deepStrictEqual(log, [`${from} first`])
        assert.isFalse(loop.isIdle)
        loop.turn()
        assert.deepStrictEqual(log, [`${from} first`, `${to} added`])
        assert.isTrue(loop.isIdle)
        assert.strictEqual(ticker.turn, 2)
      }))
  }

  for (const stage of stages) {
    it.effect(`who asks to ${stage} for ever leaves the event loop to others`, () =>
      Effect.gen(function*() {
        const { ask, log, loop, ticker } = yield* make
        const again = (): void => ask[stage]("again", again)
        again()
        for (let i = 1; i <= 50; i++) {
          let isOthersTurn = false
          loop.scheduler.makeDispatcher().scheduleTask(() => {
            isOthersTurn = true
          }, 0)
          loop.turn()
          assert.isTrue(isOthersTurn)
          assert.strictEqual(log.length, i)
        }
        assert.strictEqual(ticker.turn, 50)
      }))
  }

  it.effect("who is dirty again for ever while flushed early leaves the turn to the other half", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      let early = 0
      const target: Ticker.Flushable = {
        flush: () => void log.push("flush"),
        flushEarly: () => {
          if (++early > 100) throw new Error("for ever")
          ticker.flush(target)
        }
      }
      ticker.flush(target)
      for (const i of range(0, 16)) ask.resume(`${i}`)
      loop.turn()
      assert.strictEqual(early, 1)
      assert.deepStrictEqual(log.slice(-3), ["resume 15", "flush", "flush"])
      assert.isTrue(loop.isIdle)
    }))
})

describe("Ticker: half of a large turn", () => {
  /** `count` are resumed, each of whom asks for a request to one of two connections. */
  const sent = Effect.fnUntraced(function*(count: number) {
    const { ask, log, loop, ticker } = yield* make
    const outputs = [new Output(ticker, log, "x"), new Output(ticker, log, "y")]
    for (const i of range(0, count)) {
      ask.resume(`${i}`, () => ask.send(`${i}`, () => outputs[i % 2]!.add(`${i}`)))
    }
    loop.turn()
    assert.isTrue(loop.isIdle)
    assert.strictEqual(ticker.turn, 1)
    return log
  })
  const resumed = (from: number, to: number) => range(from, to).map((i) => `resume ${i}`)
  const sends = (from: number, to: number) => range(from, to).map((i) => `send ${i}`)
  const written = (from: number, to: number) =>
    ["x", "y"].map((name, parity) => `${name}: ${range(from, to).filter((i) => i % 2 === parity).join(" ")}`)
  const early = ([x, y]: ReadonlyArray<string>) => ["early", x!, "early", y!]

  it.effect("15 are not split", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* sent(15), [...resumed(0, 15), ...sends(0, 15), ...written(0, 15)])
    }))

  for (const [count, half] of [[16, 8], [17, 8], [33, 16], [256, 128]] as const) {
    it.effect(`of ${count} the first ${half} are sent and written before the others are resumed`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* sent(count), [
          ...resumed(0, half),
          ...sends(0, half),
          ...early(written(0, half)),
          ...resumed(half, count),
          ...sends(half, count),
          ...written(half, count)
        ])
      }))
  }

  it.effect("what stood in line before goes with the first half; who has no early flush is flushed at the end", () =>
    Effect.gen(function*() {
      const { ask, log, loop } = yield* make
      ask.flush("a")
      ask.send("b")
      for (const i of range(0, 16)) ask.resume(`${i}`)
      loop.turn()
      assert.deepStrictEqual(log, [...resumed(0, 8), "send b", ...resumed(8, 16), "flush a"])
      assert.isTrue(loop.isIdle)
    }))

  it.effect("who is resumed by the first half is not the second's", () =>
    Effect.gen(function*() {
      const { ask, log, loop } = yield* make
      for (const i of range(0, 16)) ask.resume(`${i}`, () => ask.resume(`again ${i}`))
      loop.turn()
      assert.deepStrictEqual(log, resumed(0, 16))
      loop.turn()
      assert.deepStrictEqual(log.slice(16), range(0, 16).map((i) => `resume again ${i}`))
      assert.isTrue(loop.isIdle)
    }))
})

describe("Ticker: somebody throws", () => {
  for (const stage of stages) {
    it.effect(`while it is to ${stage}: nobody else is harmed, and each error comes up by itself`, () =>
      Effect.gen(function*() {
        const { ask, log, loop } = yield* make
        const errors = range(0, 3).map((i) => new Error(`thrown ${i}`))
        for (const [i, error] of errors.entries()) {
          ask[stage](`thrower ${i}`, () => {
            throw error
          })
          ask[stage](`other ${i}`)
        }
        for (const other of stages) ask[other]("last")
        const expected = stages.flatMap((other) => [
          ...(other === stage ? range(0, 3).flatMap((i) => [`${stage} thrower ${i}`, `${stage} other ${i}`]) : []),
          `${other} last`
        ])
        loop.turn()
        assert.deepStrictEqual(log, expected)
        assert.deepStrictEqual(loop.thrown, [])
        loop.run()
        assert.deepStrictEqual(loop.thrown, errors)
        ask[stage]("later")
        loop.run()
        assert.strictEqual(log.at(-1), `${stage} later`)
        assert.strictEqual(loop.thrown.length, 3)
      }))

    it.effect(`while it is to ${stage}: what came too late for its stage still comes`, () =>
      Effect.gen(function*() {
        const { ask, log, loop } = yield* make
        ask[stage]("thrower", () => {
          ask[stage]("too late")
          throw new Error("thrown")
        })
        loop.run()
        assert.deepStrictEqual(log, [`${stage} thrower`, `${stage} too late`])
        assert.strictEqual(loop.thrown.length, 1)
      }))
  }

  it.effect("while it is flushed early: the others are, and it is flushed at the end", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      const target = (name: string): Ticker.Flushable => ({
        flush: () => void log.push(`flush ${name}`),
        flushEarly: () => {
          log.push(`early ${name}`)
          if (name === "a") throw new Error("thrown")
        }
      })
      ticker.flush(target("a"))
      ticker.flush(target("b"))
      for (const i of range(0, 16)) ask.resume(`${i}`)
      loop.run()
      assert.deepStrictEqual(log.filter((line) => !line.startsWith("resume")), [
        "early a",
        "early b",
        "flush a",
        "flush b"
      ])
      assert.strictEqual(log.length, 20)
      assert.strictEqual(loop.thrown.length, 1)
    }))

  it.effect("in a turn that ends with a read: the socket does not see it", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      ticker.beginRead()
      ask.resume("thrower", () => {
        throw new Error("thrown")
      })
      ask.resume("other")
      ticker.endRead()
      assert.deepStrictEqual(log, ["resume thrower", "resume other"])
      loop.run()
      assert.strictEqual(loop.thrown.length, 1)
    }))

  it.effect("what was deferred: the end of the turn comes nevertheless, and what else was deferred", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      const fails = () =>
        ticker.defer(() => {
          throw new Error("thrown")
        })
      fails()
      fails()
      ask.send("a")
      ticker.defer(() => void log.push("deferred"))
      loop.run()
      assert.deepStrictEqual(log, ["send a", "deferred"])
      assert.strictEqual(loop.thrown.length, 2)
    }))

  it.effect("in a tick: the wheel goes on, for the others and for the one that threw", () =>
    Effect.gen(function*() {
      const { clock, log, loop, ticker } = yield* make
      let ticks = 0
      ticker.arm({
        onTick: (now) => {
          log.push(`thrower ${now}`)
          if (++ticks === 1) throw new Error("thrown")
          return ticks < 3
        }
      })
      ticker.arm({
        onTick: (now) => {
          log.push(`other ${now}`)
          return now < 2
        }
      })
      for (let i = 0; i < 5; i++) {
        clock.millis += Ticker.TICK_MILLIS
        clock.wake()
        loop.run()
      }
      assert.deepStrictEqual(log, ["thrower 1", "other 1", "thrower 2", "other 2", "thrower 3"])
      assert.strictEqual(loop.thrown.length, 1)
    }))
})

describe("Ticker: a turn that ends with a read", () => {
  it.effect("nothing in flight after it: the turn ends within `endRead`, and nothing is scheduled", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      ticker.inFlight = 1
      ticker.beginRead()
      ticker.inFlight = 0
      ask.flush("c")
      ask.send("b", () => ask.flush("of b"))
      ask.resume("a", () => ask.send("of a"))
      assert.deepStrictEqual(log, [])
      assert.isTrue(loop.isIdle)
      ticker.endRead()
      assert.deepStrictEqual(log, ["resume a", "send b", "send of a", "flush c", "flush of b"])
      assert.isTrue(loop.isIdle)
      assert.strictEqual(ticker.turn, 1)
    }))

  it.effect("something in flight after it: the turn ends when the loop says so", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      ticker.inFlight = 1
      ticker.beginRead()
      ask.flush("c")
      ask.resume("a", () => ask.send("b"))
      ticker.endRead()
      assert.deepStrictEqual(log, [])
      // A second read of the turn takes the last out of flight: the end is due already.
      ticker.beginRead()
      ticker.inFlight = 0
      ask.resume("d")
      ticker.endRead()
      assert.deepStrictEqual(log, [])
      loop.turn()
      assert.deepStrictEqual(log, ["resume a", "resume d", "send b", "flush c"])
      assert.isTrue(loop.isIdle)
      assert.strictEqual(ticker.turn, 1)
    }))

  for (const stage of stages) {
    it.effect(`something in flight, and only somebody to ${stage}: the end is due`, () =>
      Effect.gen(function*() {
        const { ask, log, loop, ticker } = yield* make
        ticker.inFlight = 1
        ticker.beginRead()
        ask[stage]("a")
        ticker.endRead()
        assert.deepStrictEqual(log, [])
        loop.turn()
        assert.deepStrictEqual(log, [`${stage} a`])
      }))
  }

  for (const inFlight of [0, 1]) {
    it.effect(`a read after which nobody asks schedules nothing, ${inFlight} in flight`, () =>
      Effect.gen(function*() {
        const { ask, clock, log, loop, tick, ticker } = yield* make
        tick()
        clock.millis = 50
        ticker.inFlight = inFlight
        for (let i = 0; i < 3; i++) {
          ticker.beginRead()
          ticker.deadline(1_000)
          ticker.endRead()
          assert.isTrue(loop.isIdle)
        }
        assert.strictEqual(ticker.turn, inFlight === 0 ? 3 : 0)
        // And the next one is as the first.
        ask.send("a")
        assert.isFalse(loop.isIdle)
        loop.turn()
        assert.deepStrictEqual(log, ["send a"])
      }))
  }

  it.effect("what a turn that ended with a read adds to it comes in the next, which the loop brings", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      ticker.beginRead()
      ask.flush("a", () => ask.resume("b"))
      ticker.endRead()
      assert.deepStrictEqual(log, ["flush a"])
      assert.isFalse(loop.isIdle)
      loop.turn()
      assert.deepStrictEqual(log, ["flush a", "resume b"])
      assert.isTrue(loop.isIdle)
    }))

  it.effect("within a turn whose end is due or under way it runs nothing early", () =>
    Effect.gen(function*() {
      const { ask, log, loop, ticker } = yield* make
      const read = (name: string): void => {
        ticker.beginRead()
        ask.resume(name)
        ticker.endRead()
      }
      ask.send("a", () => read("within"))
      read("before")
      assert.deepStrictEqual(log, [])
      loop.turn()
      assert.deepStrictEqual(log, ["resume before", "send a"])
      loop.turn()
      assert.deepStrictEqual(log, ["resume before", "send a", "resume within"])
      assert.isTrue(loop.isIdle)
      assert.strictEqual(ticker.turn, 2)
    }))
})

describe("Ticker: deadlines within a turn", () => {
  it.effect("look at the clock once, and in the next turn again", () =>
    Effect.gen(function*() {
      const { ask, clock, loop, tick, ticker } = yield* make
      tick()
      const { looks } = clock
      const first = ticker.deadline(1_000)
      clock.millis = 500
      for (let i = 0; i < 10; i++) assert.strictEqual(ticker.deadline(1_000), first)
      assert.strictEqual(clock.looks, looks + 1)
      // A look makes a turn of its own: it must not last.
      assert.isFalse(loop.isIdle)
      loop.turn()
      assert.strictEqual(ticker.deadline(1_000), first + 5)
      assert.strictEqual(clock.looks, looks + 2)
      loop.turn()
      // At the end of a turn it is the time of that.
      ask.send("a", () => {
        assert.strictEqual(ticker.deadline(1_000), first + 9)
        clock.millis = 5_000
        assert.strictEqual(ticker.deadline(1_000), first + 9)
      })
      ticker.deadline(1_000)
      clock.millis = 900
      loop.turn()
      assert.strictEqual(clock.looks, looks + 4)
      // What was seen at its end is not the next one's.
      assert.strictEqual(ticker.deadline(1_000), first + 50)
    }))

  for (const inFlight of [0, 1]) {
    it.effect(`in turns that end with a read, ${inFlight} in flight`, () =>
      Effect.gen(function*() {
        const { ask, clock, loop, tick, ticker } = yield* make
        tick()
        ticker.inFlight = inFlight
        const base = ticker.deadline(1_000)
        loop.turn()
        for (let i = 1; i <= 3; i++) {
          const { looks } = clock
          clock.millis = i * 100
          ticker.beginRead()
          assert.strictEqual(ticker.deadline(1_000), base + i)
          assert.strictEqual(ticker.deadline(1_000), base + i)
          let sent = 0
          ask.send("a", () => {
            sent = ticker.deadline(1_000)
            ticker.deadline(1_000)
          })
          ticker.endRead()
          loop.turn()
          assert.strictEqual(sent, base + i)
          assert.strictEqual(clock.looks, looks + 2)
          assert.isTrue(loop.isIdle)
        }
        // A read that asks nothing leaves nothing stale.
        clock.millis = 1_000
        ticker.beginRead()
        ticker.deadline(1_000)
        ticker.endRead()
        clock.millis = 2_000
        assert.strictEqual(ticker.deadline(1_000), base + 20)
      }))
  }
})
