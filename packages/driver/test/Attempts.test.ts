/** What is sent for one request, attempt by attempt, and what is left of it. */
import { Frame, type Request, ServerError, Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { passing, settle, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"

/** Every EXECUTE from now on; `answer` is asked what becomes of it. */
const executes = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number) => SimulatedCluster.Intercepted | undefined = () => undefined
) {
  const seen: Array<Request.Options> = []
  yield* cluster.intercept(({ request }) => {
    if (request._tag !== "Execute") return undefined
    seen.push(request.options)
    return answer(seen.length)
  })
  return seen
})

describe("attempts", () => {
  it.effect("of one request carry one timestamp", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      const error = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
      const seen = yield* executes(cluster, (count) => count < 3 ? { _tag: "Error", error } : undefined)
      yield* passing(cql.execute(insert, [Uuid.random(), 1], { idempotent: true }))
      yield* passing(cql.execute(insert, [Uuid.random(), 1], { idempotent: true }))
      // Nodes that had not prepared it are sent it once more.
      const stamps = seen.map(({ timestamp }) => timestamp)
      assert.isAtLeast(stamps.length, 4)
      assert.strictEqual(new Set(stamps).size, 2)
      assert.isTrue(stamps.slice(0, 3).every((timestamp) => timestamp === stamps[0]))
    }))

  const close = (count: number) => count === 1 ? { _tag: "Close" as const } : undefined

  it.effect("are made of a write that is idempotent by its text, with one timestamp, unless something else is said", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      yield* passing(Effect.forEach(Array.from({ length: 30 }), () => cql.execute(insert, [Uuid.random(), 1])))
      const seen = yield* executes(cluster, close)
      yield* passing(cql.execute(insert, [Uuid.random(), 1]))
      assert.strictEqual(seen.length, 2)
      assert.strictEqual(seen[0]!.timestamp, seen[1]!.timestamp)
      const again = yield* executes(cluster, close)
      const error = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 1], { idempotent: false })))
      assert.deepStrictEqual([error.outcome, error.isSafeToRetry, again.length], ["Ambiguous", false, 1])
    }))

  it.effect("are not made of such a write where the server stamps each of them anew", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { timestamps: "server" })
      const insert = yield* passing(cql.prepare(INSERT))
      yield* passing(Effect.forEach(Array.from({ length: 30 }), () => cql.execute(insert, [Uuid.random(), 1])))
      const seen = yield* executes(cluster, close)
      const error = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 1])))
      assert.deepStrictEqual([error.outcome, seen.length], ["Ambiguous", 1])
      const stamped = yield* executes(cluster, close)
      yield* passing(cql.execute(insert, [Uuid.random(), 1], { timestamp: 5n }))
      assert.strictEqual(stamped.length, 2)
    }))

  it.effect("are not made of a write that is left to the servers' clocks", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      yield* passing(Effect.forEach(Array.from({ length: 30 }), () => cql.execute(insert, [Uuid.random(), 1])))
      const seen = yield* executes(cluster, close)
      const error = yield* passing(
        Effect.flip(cql.execute(insert, [Uuid.random(), 1], { timestamp: "server" }))
      )
      assert.deepStrictEqual([error.outcome, seen.length], ["Ambiguous", 1])
    }))

  it.effect("have the gravest outcome of them all, not the last", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      const refused = new ServerError.InvalidRequest({ code: 0x2200, message: "not like this" })
      yield* executes(cluster, (count) => count === 1 ? { _tag: "Close" } : { _tag: "Error", error: refused })
      const error = yield* Effect.flip(passing(cql.execute(insert, [Uuid.random(), 1], { idempotent: true })))
      assert.deepStrictEqual(error.attempts!.map(({ reason }) => reason._tag), ["ConnectionLost", "InvalidRequest"])
      // The last one was certainly not applied; the first may have been.
      assert.strictEqual(error.outcome, "Ambiguous")
    }))

  it.effect("name a serial consistency only where there is a condition", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      const seen = yield* executes(cluster)
      yield* passing(cql.execute(INSERT, [Uuid.random(), 1]))
      yield* passing(cql.execute(`${INSERT} IF NOT EXISTS`, [Uuid.random(), 1]))
      assert.deepStrictEqual(seen.map(({ serialConsistency }) => serialConsistency), [undefined, "LOCAL_SERIAL"])
    }))

  it.effect("teach a node that forgets at once no more than twice", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      const insert = yield* passing(cql.prepare(INSERT))
      yield* cluster.resetStats
      const error = new ServerError.Unprepared({ code: 0x2500, message: "what?", id: insert.id })
      const seen = yield* executes(cluster, () => ({ _tag: "Error", error }))
      const failed = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 1])))
      assert.strictEqual(failed.reason._tag, "Unprepared")
      assert.strictEqual(failed.outcome, "Rejected")
      assert.strictEqual(seen.length, 3)
      assert.strictEqual((yield* cluster.stats).prepares, 2)
    }))

  it.effect("after nodes that have too few replicas alive: one more, and no third", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      const unavailable = {
        code: 0x1000,
        message: "too few",
        consistency: "LOCAL_QUORUM",
        required: 2,
        alive: 1
      } as const
      const seen = yield* executes(cluster, () => ({ _tag: "Error", error: new ServerError.Unavailable(unavailable) }))
      const failed = yield* passing(Effect.flip(cql.execute(select, [Uuid.random()])))
      assert.strictEqual(failed.reason._tag, "Unavailable")
      assert.deepStrictEqual(failed.attempts?.map(({ decision }) => decision), ["NextNode", "Fail"])
      assert.notStrictEqual(failed.attempts?.[0]?.node, failed.attempts?.[1]?.node)
      assert.strictEqual(seen.length, 2)
    }))

  it.effect("of a change of the schema have the time that such a change takes", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 }, { schemaTimeout: "30 seconds" })
      yield* cluster.intercept(({ request }) =>
        request._tag === "Query" && /^(TRUNCATE|SELECT)/.test(request.query) ? { _tag: "Ignore" } : undefined
      )
      const truncate = yield* Effect.forkChild(Effect.flip(cql.execute("TRUNCATE ks.t")), { startImmediately: true })
      const select = yield* Effect.forkChild(Effect.flip(cql.execute("SELECT * FROM ks.t")), { startImmediately: true })
      yield* TestClock.adjust("13 seconds")
      assert.isDefined(select.pollUnsafe())
      assert.isUndefined(truncate.pollUnsafe())
      // The node is not idle: its heartbeats are answered all the time.
      for (let i = 0; i < 18; i++) yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(truncate)
      assert.strictEqual(error.reason._tag, "RequestTimeout")
      assert.strictEqual(error.outcome, "Ambiguous")
    }))
})

describe("preparing", () => {
  it.effect("goes on at another node where one cannot do it now, and stops where none would", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { prepareEverywhere: false })
      const asked: Array<number> = []
      yield* cluster.intercept(({ node, opcode }) => {
        if (opcode !== Frame.Opcode.PREPARE) return undefined
        asked.push(node)
        const error = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
        return asked.length < 3 ? { _tag: "Error", error } : undefined
      })
      yield* passing(cql.prepare(SELECT))
      assert.deepStrictEqual([...asked].sort(), [0, 1, 2])
      asked.length = 3
      const error = yield* passing(Effect.flip(cql.prepare("SELECT nothing FROM ks.t")))
      assert.strictEqual(error.reason._tag, "InvalidRequest")
      assert.strictEqual(asked.length, 4)
    }))

  it.effect("is remembered of so many statements, those that were used last", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 }, { maxPrepared: 2 })
      const prepares = Effect.fnUntraced(function*(...texts: ReadonlyArray<string>) {
        yield* cluster.resetStats
        for (const text of texts) yield* passing(cql.prepare(`SELECT ${text} FROM ks.t`))
        return (yield* cluster.stats).prepares
      })
      assert.strictEqual(yield* prepares("id", "v", "id", "v"), 2)
      // `id` is used once more, so that it is `v` that goes.
      assert.strictEqual(yield* prepares("id", "id, v", "id"), 1)
      assert.strictEqual(yield* prepares("v"), 1)
    }))
})

describe("what is left of a request", () => {
  it.effect("that could not be encoded: nothing, and those beside it arrive whole", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1, shards: 1 })
      const insert = yield* passing(cql.prepare(INSERT))
      const seen = yield* executes(cluster)
      const ids = Array.from({ length: 6 }, () => Uuid.random())
      const exits = yield* passing(
        // The key is fine, so the frame is begun.
        Effect.forEach(ids, (id, i) => Effect.result(cql.execute(insert, [id, i % 2 === 0 ? i : "no number"])), {
          concurrency: "unbounded"
        })
      )
      assert.deepStrictEqual(exits.map(({ _tag }) => _tag), [
        "Success",
        "Failure",
        "Success",
        "Failure",
        "Success",
        "Failure"
      ])
      assert.strictEqual(seen.length, 3)
      for (const [i, id] of ids.entries()) {
        const { rows } = yield* passing(cql.execute(SELECT, [id]))
        assert.deepStrictEqual(rows, i % 2 === 0 ? [{ id, v: i }] : [])
      }
    }))

  it.effect("that was interrupted: an orphan, until the server answers", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1, shards: 1 })
      const insert = yield* passing(cql.prepare(INSERT))
      const slot = () => cql.shardAwareStats().nodes[0]!.slots[0]!
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.EXECUTE ? { _tag: "Delay", millis: 500 } : undefined
      )
      const request = yield* Effect.forkChild(cql.execute(insert, [Uuid.random(), 1]), { startImmediately: true })
      yield* settle
      assert.deepStrictEqual([slot().inFlight, slot().orphans], [1, 0])
      yield* Fiber.interrupt(request)
      assert.strictEqual(slot().orphans, 1)
      yield* TestClock.adjust("600 millis")
      assert.deepStrictEqual([slot().inFlight, slot().orphans], [0, 0])
    }))

  it.effect("that is read as a whole and has more rows than it may: an error that says what to do", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1 }, { maxRows: 20, pageSize: 5 })
      const fill = (count: number) =>
        passing(
          Effect.forEach(Array.from({ length: count }, (_, i) => i), (v) => cql.execute(INSERT, [Uuid.random(), v]))
        )
      yield* fill(20)
      assert.strictEqual((yield* passing(cql`SELECT * FROM ks.t`)).length, 20)
      yield* fill(10)
      const error = yield* passing(Effect.flip(cql`SELECT * FROM ks.t`))
      assert.strictEqual(error.reason._tag, "ResultTooLarge")
      assert.include(error.message, "more than 20 rows: use `stream`, or set `maxRows`")
    }))
})
