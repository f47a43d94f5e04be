/** One statement with many rows of values. */
import type { CqlClient, CqlError, Many } from "@effect-scylla/driver"
import { ServerError } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { passing, settle, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.u (id, v) VALUES (?, ?)"

const setup = Effect.gen(function*() {
  const { cluster, cql } = yield* world()
  yield* passing(cql.execute("CREATE TABLE ks.u (id int PRIMARY KEY, v int)"))
  return { cluster, cql, insert: yield* passing(cql.prepare(INSERT)) }
})

const count = (cql: CqlClient.CqlClient) =>
  Effect.map(passing(cql.execute("SELECT id FROM ks.u", [], { pageSize: 100_000 })), ({ rows }) => rows.length)

const pairs = (length: number) => Array.from({ length }, (_, i) => [i, i * 2] as const)

describe("executeMany", () => {
  it.effect("an array, values by name, a generator, an async generator, a stream; a text and a prepared statement", () =>
    Effect.gen(function*() {
      const { cql, insert } = yield* setup
      const generated = function*() {
        for (let i = 200; i < 300; i++) yield [i, i]
      }
      const awaited = async function*() {
        for (let i = 300; i < 400; i++) yield [i, i]
      }
      const sources: ReadonlyArray<Iterable<CqlClient.Values> | AsyncIterable<CqlClient.Values>> = [
        pairs(100),
        Array.from({ length: 100 }, (_, i) => ({ id: 100 + i, v: i })),
        generated(),
        awaited()
      ]
      for (const [i, rows] of sources.entries()) {
        const summary = yield* passing(cql.executeMany(i % 2 === 0 ? INSERT : insert, rows, { concurrency: 16 }))
        assert.deepStrictEqual(summary, { succeeded: 100, failures: [] })
      }
      const stream = Stream.fromIterable(Array.from({ length: 100 }, (_, i) => [400 + i, i]))
      const summary = yield* passing(cql.executeMany(insert, stream, { concurrency: 16 }))
      assert.strictEqual(summary.succeeded, 100)
      assert.strictEqual(yield* count(cql), 500)
    }))

  it.effect("no rows at all", () =>
    Effect.gen(function*() {
      const { cql, insert } = yield* setup
      assert.deepStrictEqual(yield* passing(cql.executeMany(insert, [])), { succeeded: 0, failures: [] })
      assert.deepStrictEqual(yield* passing(cql.executeMany(insert, Stream.empty)), { succeeded: 0, failures: [] })
    }))

  it.effect("never more under way than is said, of endless rows either, and progress is told", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup
      let taken = 0
      let held = true
      yield* cluster.intercept(({ request }) =>
        request._tag === "Execute" && held ? { _tag: "Delay", millis: 60_000 } : undefined
      )
      const endless = function*() {
        for (;;) yield [taken++ % 1000, 1]
      }
      const told: Array<CqlError.Progress> = []
      const fiber = yield* Effect.forkChild(
        cql.executeMany(insert, endless(), {
          concurrency: 20,
          attemptTimeout: false,
          timeout: "10 minutes",
          onProgress: (progress) => told.push(progress)
        }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(taken, 20)
      held = false
      for (let i = 0; i < 620; i++) yield* TestClock.adjust("100 millis")
      assert.isAbove(taken, 200)
      assert.isAbove(told.length, 5)
      for (const { sent, succeeded } of told) assert.isAtMost(sent - succeeded, 20)
      yield* Fiber.interrupt(fiber)
      const before = taken
      yield* TestClock.adjust("1 second")
      assert.strictEqual(taken, before, "nobody asks for rows any more")
    }))

  it.effect("the first failure stops what was not sent, waits for what was, and says how far it got", () =>
    Effect.gen(function*() {
      const { cql, insert } = yield* setup
      const rows: Array<ReadonlyArray<unknown>> = pairs(1_000).slice()
      rows[500] = [500, "no number"]
      let returned = false
      const given = function*() {
        try {
          yield* rows
        } finally {
          returned = true
        }
      }
      const error = yield* Effect.flip(passing(cql.executeMany(insert, given(), { concurrency: 8 })))
      assert.strictEqual(error.reason._tag, "EncodeError")
      assert.strictEqual(error.outcome, "NotSent")
      const { failed, index, sent, succeeded } = error.progress!
      assert.deepStrictEqual([index, failed], [500, 1])
      assert.isAtMost(sent, 512)
      assert.strictEqual(succeeded, sent - 1)
      assert.strictEqual(yield* count(cql), succeeded)
      assert.isTrue(returned, "the generator was told to end")
      assert.include(error.message, `row 500 of ${sent} that were sent, of which ${succeeded} succeeded`)
    }))

  it.effect("collects failures, each with its row and outcome, up to a bound", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup
      yield* cluster.intercept(({ request }) => {
        if (request._tag !== "Execute") return undefined
        const id = new DataView((request.values!.values![0] as Uint8Array).slice().buffer).getInt32(0)
        return id % 100 === 7
          ? { _tag: "Error", error: new ServerError.Overloaded({ message: "too much", code: 0x1001 }) }
          : undefined
      })
      const rows: Array<unknown> = pairs(1_000).slice()
      rows[33] = [1]
      rows[44] = 5
      const { failures, succeeded } = yield* passing(
        cql.executeMany(insert, rows as Array<Array<unknown>>, { failures: "collect", concurrency: 32 })
      )
      const byRow = new Map(failures.map(({ error, index }) => [index, `${error.reason._tag} ${error.outcome}`]))
      assert.strictEqual(succeeded, 988)
      assert.strictEqual(byRow.size, 12)
      assert.strictEqual(byRow.get(33), "EncodeError NotSent")
      assert.strictEqual(byRow.get(44), "InvalidStatement NotSent")
      assert.strictEqual(byRow.get(107), "Overloaded Ambiguous")
      const bounded = yield* Effect.flip(
        passing(cql.executeMany(insert, pairs(1_000), {
          failures: "collect",
          maxFailures: 3,
          concurrency: 4,
          idempotent: false
        }))
      )
      assert.strictEqual(bounded.reason._tag, "Overloaded")
      assert.isBelow(bounded.progress!.sent, 300)
    }))

  it.effect("reads give each result to whoever wants it; retries are those of single requests", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup
      yield* passing(cql.executeMany(insert, pairs(200)))
      let closed = 0
      yield* cluster.intercept(({ request }) =>
        request._tag === "Execute" && closed++ === 50 ? { _tag: "Close" } : undefined
      )
      const seen = new Map<number, unknown>()
      const summary = yield* passing(
        cql.executeMany("SELECT v FROM ks.u WHERE id = ?", pairs(200).map(([id]) => [id]), {
          concurrency: 10,
          onResult: ({ rows }, index) => seen.set(index, rows[0]!["v"])
        })
      )
      assert.strictEqual(summary.succeeded, 200)
      assert.deepStrictEqual([...seen].sort(([a], [b]) => a - b), pairs(200).map(([id, v]) => [id, v]))
    }))

  it.effect("what fails in the rows themselves is the caller's", () =>
    Effect.gen(function*() {
      const { cql, insert } = yield* setup
      const stream = Stream.concat(Stream.make([1, 1]), Stream.fail("out of rows" as const))
      assert.strictEqual(yield* Effect.flip(passing(cql.executeMany(insert, stream))), "out of rows")
      const throwing = function*() {
        yield [1, 1]
        throw new Error("broken")
      }
      const exit = yield* Effect.exit(passing(cql.executeMany(insert, throwing())))
      assert.include(String(exit), "broken")
    }))

  it.effect("an observer that throws ends it", () =>
    Effect.gen(function*() {
      const { cql, insert } = yield* setup
      const exit = yield* Effect.exit(passing(cql.executeMany(insert, pairs(100), {
        concurrency: 4,
        onResult: () => {
          throw new Error("observer")
        }
      })))
      assert.include(String(exit), "observer")
      assert.isAtMost(yield* count(cql), 10)
    }))

  const wrong: ReadonlyArray<readonly [unknown, Many.Options, string]> = [
    [[[1, 1]], { concurrency: 0 }, "concurrency: a whole number from 1 to 16384"],
    [[[1, 1]], { failures: "ignore" as never }, 'failures: "stop" or "collect"'],
    [[[1, 1]], { maxFailures: 0 }, "maxFailures"],
    [[[1, 1]], { pageSize: -1 }, "pageSize"],
    [5, {}, "rows are an array, an iterable or a stream, got 5"]
  ]
  for (const [rows, options, message] of wrong) {
    it.effect(`refuses ${JSON.stringify(options)}, ${JSON.stringify(rows)}`, () =>
      Effect.gen(function*() {
        const { cql, insert } = yield* setup
        const error = yield* Effect.flip(cql.executeMany(insert, rows as never, options))
        assert.include((error as CqlError.CqlError).message, message)
      }))
  }

  it.effect("evaluated twice it runs twice", () =>
    Effect.gen(function*() {
      const { cql, insert } = yield* setup
      const twice = cql.executeMany(insert, pairs(10))
      assert.strictEqual((yield* passing(twice)).succeeded, 10)
      assert.strictEqual((yield* passing(twice)).succeeded, 10)
      yield* settle
    }))
})
