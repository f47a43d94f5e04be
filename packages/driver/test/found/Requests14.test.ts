/** Found for issue 14: speculation, metrics, spans, prepared statements, options, groups. */
import { type Batch, RequestMetrics } from "@effect-scylla/driver"
import * as ExecuteOptions from "@effect-scylla/driver/ExecuteOptions"
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, Metric, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "../support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })

const executes = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number, node: number) => SimulatedCluster.Intercepted | undefined = () => undefined
) {
  const seen: Array<{ readonly node: number; readonly opcode: number }> = []
  yield* cluster.intercept(({ node, opcode }) => {
    if (opcode !== Frame.Opcode.EXECUTE && opcode !== Frame.Opcode.BATCH) return undefined
    seen.push({ node, opcode })
    return answer(seen.length, node)
  })
  return seen
})

const isolated = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

const traced = Effect.fnUntraced(function*<A, E>(effect: Effect.Effect<A, E>) {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span(options) {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const exit = yield* passing(Effect.exit(Effect.withTracer(effect, tracer)))
  return { exit, spans }
})

const logged = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => {
    lines.push(String(message))
  })
  yield* Effect.provide(effect, Logger.layer([logger]))
  return lines.filter((line) => line.startsWith("slow request"))
})

describe("speculation", () => {
  // executeRequest.ts, `onResponse`: of a result of several pages the first page settles the request with `allRows`, which goes on within
  // the race: the other one is not given up, and reads all pages, too.
  it.effect("of a whole result ends with the first answer", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { speculation: { delay: "20 millis" } })
      yield* passing(cql.execute("CREATE TABLE ks.many (id int, c int, PRIMARY KEY (id, c))"))
      for (let c = 0; c < 20; c++) yield* passing(cql.execute("INSERT INTO ks.many (id, c) VALUES (?, ?)", [1, c]))
      const all = cql`SELECT c FROM ks.many WHERE id = ${1}`.with({ pageSize: 1 })
      assert.strictEqual((yield* passing(all)).length, 20)
      yield* TestClock.adjust("1 second")
      // Each page takes 10 ms, the first one of the first node 40.
      const seen = yield* executes(cluster, (count) => ({ _tag: "Delay", millis: count === 1 ? 45 : 10 }))
      const fiber = yield* Effect.forkChild(all, { startImmediately: true })
      for (let i = 0; i < 400 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust("5 millis")
      yield* Fiber.join(fiber)
      assert.isAtMost(seen.length, 26)
    }))

  // executeRequest.ts, `onImpatient`: `tried` is a copy that only the others share; the first one goes on to where they are already.
  it.effect("asks no node twice when the first attempt is given up", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 4 }, { speculation: { delay: "20 millis" } })
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 10; i++) {
        const seen = yield* executes(cluster, () => ({ _tag: "Ignore" }))
        const request = cql.execute(select, [Uuid.random()], { attemptTimeout: "300 millis", timeout: "600 millis" })
        yield* passing(Effect.exit(request))
        const nodes = seen.map(({ node }) => node)
        assert.isAtMost(nodes.length, 4)
        assert.strictEqual(new Set(nodes).size, nodes.length, nodes.join())
        yield* cluster.intercept(undefined)
        yield* TestClock.adjust("5 seconds")
      }
    }))

  // executeRequest.ts, `start` and `onImpatient`: the speculator tells a request once, counted from when it was asked; one that waits for
  // room at that moment is never told again.
  it.effect("is made of a request that had to wait for room, too", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 2, shards: 1 }, { maxInFlight: 2 })
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      const seen = yield* executes(cluster, (count) =>
        count <= 4 ? { _tag: "Delay", millis: 100 } : { _tag: "Delay", millis: 1_000 })
      yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4], () =>
          cql.execute(select, [Uuid.random()]), { concurrency: 4 }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(seen.length, 4)
      const fiber = yield* Effect.forkChild(
        cql.execute(select, [Uuid.random()], { speculation: { delay: "20 millis" }, attemptTimeout: false }),
        { startImmediately: true }
      )
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("10 millis")
      yield* passing(Fiber.join(fiber))
      assert.strictEqual(seen.length, 6)
    }))

  // executeRequest.ts, `failure` (returns before the log where there is a race) and `allFailed` (which only counts).
  it.effect("that came to nothing is in the log of slow requests", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { cluster, cql } = yield* world({}, {
          slowRequests: { threshold: "200 millis" },
          speculation: { delay: "20 millis" }
        })
        const select = yield* passing(cql.prepare(SELECT))
        yield* executes(cluster, () => ({ _tag: "Ignore" }))
        yield* passing(Effect.flip(cql.execute(select, [Uuid.random()], { timeout: "1 second" })))
      }))
      assert.strictEqual(lines.length, 1)
    }))
})

describe("a span", () => {
  // executeRequest.ts, `around`: `request.node` is that of the object that was evaluated, not of what went on for it (a speculation, or
  // `continued` after a pause or a PREPARE).
  it.effect("names the node that answered, if that was a speculation", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { speculation: { delay: "20 millis" } })
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      yield* executes(cluster, (count) => count === 1 ? { _tag: "Ignore" } : undefined)
      const { exit, spans } = yield* traced(cql.execute(select, [Uuid.random()]))
      assert.isTrue(Exit.isSuccess(exit))
      if (Exit.isSuccess(exit)) {
        assert.strictEqual(spans[0]!.attributes.get("server.address"), exit.value.coordinator.address)
      }
    }))

  it.effect("names the node that answered, if that was after a pause", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      yield* executes(cluster, (count) => count <= 2 ? { _tag: "Error", error: overloaded } : undefined)
      const { exit, spans } = yield* traced(cql.execute(select, [Uuid.random()]))
      assert.isTrue(Exit.isSuccess(exit))
      if (Exit.isSuccess(exit)) {
        assert.strictEqual(spans[0]!.attributes.get("server.address"), exit.value.coordinator.address)
      }
    }))

  // spans.ts:101: `rows` of a result by columns has one element.
  it.effect("has the number of rows whatever their form", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      for (let v = 0; v < 5; v++) yield* passing(cql.execute(INSERT, [Uuid.random(), v]))
      const { spans } = yield* traced(cql.execute("SELECT id, v FROM ks.t", [], { rows: "columns" }))
      assert.strictEqual(spans[0]!.attributes.get("db.response.returned_rows"), 5)
    }))
})

describe("a request that fails while its statement is prepared", () => {
  // CqlClient.ts `prepareAndRun` (and batching.ts `prepared`, executeMany.ts): fails with the error of PREPARE, past everything that counts,
  // logs and traces. What is wrong with a text, and nodes that do not answer a PREPARE, is most of what fails.
  it.effect("is counted", () =>
    isolated(Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(
        Effect.flip(cql.execute("SELECT nothing FROM ks.t WHERE id = ?", [Uuid.random()], { label: "wrong" }))
      )
      const all = yield* Metric.snapshot
      const failed = all.filter(({ attributes, id }) =>
        id === RequestMetrics.failed.id && attributes?.["label"] === "wrong"
      )
      assert.strictEqual(failed.length, 1)
    })))

  it.effect("has a span", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const { spans } = yield* traced(cql.execute("SELECT nothing FROM ks.t WHERE id = ?", [Uuid.random()]))
      assert.strictEqual(spans.length, 1)
    }))
})

describe("the log of slow requests", () => {
  // slowLog.ts:36 and spans.ts: the text as it is. README: "None of them has a value of a statement".
  it.effect("has no password", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { cluster, cql } = yield* world({}, { slowRequests: { threshold: "200 millis" } })
        yield* cluster.intercept(({ request }) =>
          request._tag === "Query" && request.query.includes("ROLE") ? { _tag: "Delay", millis: 300 } : undefined
        )
        yield* passing(Effect.exit(cql.execute("ALTER ROLE bob WITH PASSWORD = 'hunter2'")))
        yield* TestClock.adjust("1 second")
        yield* cluster.intercept(({ request }) =>
          request._tag === "Query" && request.query.includes("ks.t") ? { _tag: "Delay", millis: 300 } : undefined
        )
        yield* passing(cql.execute("UPDATE ks.t SET v = 4711 WHERE id = 550e8400-e29b-41d4-a716-446655440000"))
      }))
      assert.isAtLeast(lines.length, 1)
      for (const line of lines) assert.notMatch(line, /hunter2|4711/)
    }))
})

describe("labels", () => {
  // series.ts:121: the bound counts profiles, too.
  it.effect("are told apart however many profiles there are", () =>
    isolated(Effect.gen(function*() {
      const profiles = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`p${i}`, {}]))
      const { cql } = yield* world({}, { profiles })
      yield* passing(cql.execute("SELECT * FROM ks.t", [], { label: "mine" }))
      const all = yield* Metric.snapshot
      assert.isTrue(
        all.some(({ attributes, id }) => id === RequestMetrics.answered.id && attributes?.["label"] === "mine")
      )
    })), 20_000)
})

describe("maxRows", () => {
  // executeRequest.ts, `allRows`: `all.length` counts pages where rows come by columns.
  it.effect("counts rows whatever their form", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({}, { maxRows: 5 })
      for (let v = 0; v < 30; v++) yield* passing(cql.execute(INSERT, [Uuid.random(), v]))
      const all = cql`SELECT id, v FROM ks.t`.with({ pageSize: 10 })
      assert.strictEqual((yield* passing(Effect.flip(all))).reason._tag, "ResultTooLarge")
      assert.strictEqual((yield* passing(Effect.flip(all.with({ rows: "columns" })))).reason._tag, "ResultTooLarge")
    }))
})

describe("prepared statements", () => {
  const prepares = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster, text: string) {
    const seen: Array<number> = []
    yield* cluster.intercept(({ node, request }) => {
      if (request._tag === "Prepare" && request.query === text) seen.push(node)
      return undefined
    })
    return seen
  })

  // preparedCache.ts, `touch`: only `prepare` notes a use; templates and texts take what they find by `get`. What is used all the time is
  // forgotten as soon as `maxPrepared` others have come, and is prepared again with the next use: first in, first out.
  it.effect("that are in use all the time are not forgotten for others", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { maxPrepared: 10, prepareEverywhere: false })
      const seen = yield* prepares(cluster, SELECT)
      for (let i = 0; i < 100; i++) {
        yield* passing(cql.execute(SELECT, [Uuid.random()]))
        yield* passing(cql.execute(`SELECT v FROM ks.t WHERE id = ? LIMIT ${i + 1}`, [Uuid.random()]))
      }
      // Once by the client, and once by each node that did not know it.
      assert.isAtMost(seen.length, 3)
    }))

  // preparedCache.ts, `touch` and `drop`: `weight` is asked for when a statement comes and again when it goes, and its columns are others
  // by then (answers of conditional statements have others than their PREPARED): the sum drifts away from what is there.
  it.effect("weigh as much when they are forgotten as when they came", () =>
    isolated(Effect.gen(function*() {
      const { cql } = yield* world({ product: "cassandra" }, { maxPreparedBytes: 60_000, prepareEverywhere: false })
      const size = Effect.map(Metric.snapshot, (all) =>
        (all.find(({ id }) => id === RequestMetrics.prepared.id)!.state as { readonly value: number }).value)
      for (let i = 0; i < 30; i++) {
        yield* passing(cql.prepare(`SELECT v FROM ks.t WHERE id = ? LIMIT ${i + 1}`))
      }
      const before = yield* size
      for (let i = 0; i < 200; i++) {
        yield* passing(cql.execute(`INSERT INTO ks.t (id, v) VALUES (?, ${i}) IF NOT EXISTS`, [Uuid.random()]))
      }
      for (let i = 0; i < 30; i++) {
        yield* passing(cql.prepare(`SELECT v FROM ks.t WHERE id = ? LIMIT ${i + 100}`))
      }
      assert.strictEqual(yield* size, before)
    })), 20_000)
})

describe("options", () => {
  const resolver = new ExecuteOptions.Resolver(
    { request: { consistency: "ONE" }, retry: ExecuteOptions.retrying(undefined) } as never,
    () => undefined as never
  )

  // ExecuteOptions.ts, `isAlike`: policies are compared by identity. A literal at a call is another object each time: each request resolves
  // its options anew, pushes one that is worth keeping out of `known`, and has no template of its frame.
  it("with a literal for a policy are resolved once", () => {
    const given = () => ({ speculation: { delay: "20 millis" }, retry: { maxAttempts: 3 } } as const)
    assert.strictEqual(resolver.resolve(given()), resolver.resolve(given()))
  })

  // ExecuteOptions.ts, `resolve`: `known.pop()` forgets whatever lies last, also what is used by every second request.
  it("that are in use are not forgotten for a label of each user", () => {
    const usual = { consistency: "QUORUM", timeout: 500 } as const
    const first = resolver.resolve(usual)
    for (let i = 0; i < 100; i++) {
      resolver.resolve({ label: `user ${i}` })
      assert.strictEqual(resolver.resolve(usual), first)
    }
  })
})

describe("a batch in a keyspace", () => {
  // batching.ts, `prepared`: takes what is prepared without the look at its keyspace that `entryOf` has.
  it.effect("refuses what was prepared for another one, though something has to be prepared first", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ product: "cassandra" })
      for (const name of ["one", "two"]) {
        yield* passing(cql.execute(
          `CREATE KEYSPACE ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`
        ))
        yield* passing(cql.execute(`CREATE TABLE ${name}.t (id int PRIMARY KEY, v int)`))
      }
      const one = yield* passing(cql.prepare("INSERT INTO t (id, v) VALUES (?, ?)", { keyspace: "one" }))
      const items: ReadonlyArray<Batch.Item> = [["UPDATE t SET v = ? WHERE id = ?", [1, 1]], [one, [2, 2]]]
      const error = yield* passing(Effect.flip(cql.batch(items, { keyspace: "two" })))
      assert.include(error.message, "prepared for another keyspace")
    }))
})

describe("grouped", () => {
  // batching.ts, `prepared`: `entry` orders values by name there, and what a getter throws is no InvalidStatement: `refused` throws it on.
  it.effect("says of one statement what its getter has thrown, and writes the others", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (:id, :v)"))
      const bad = {
        id: Uuid.random(),
        get v(): number {
          throw new Error("no v")
        }
      }
      const exit = yield* passing(Effect.exit(cql.grouped([[insert, { id: Uuid.random(), v: 1 }], [insert, bad]])))
      assert.isFalse(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    }))
})

describe("not broken", () => {
  it.effect("many rows with speculation, some of whose nodes hang, and an interruption", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { speculation: { delay: "20 millis" }, speculationLimit: { share: 1 } })
      const insert = yield* passing(cql.prepare(INSERT))
      yield* TestClock.adjust("1 second")
      // Every fifth request hangs, but no row on all three nodes: each of them is asked once.
      const hung = new Map<string, number>()
      let count = 0
      yield* cluster.intercept(({ request }) => {
        if (request._tag !== "Execute" || ++count % 5 !== 0) return undefined
        const key = JSON.stringify(request.values)
        const before = hung.get(key) ?? 0
        if (before === 2) return undefined
        hung.set(key, before + 1)
        return { _tag: "Ignore" }
      })
      const rows = Array.from({ length: 200 }, (_, i) => [new Uuid.Uuid(i, i, i, i), i])
      const { succeeded } = yield* passing(cql.executeMany(insert, rows, { concurrency: 16 }))
      assert.strictEqual(succeeded, 200)
      yield* executes(cluster, () => ({ _tag: "Ignore" }))
      const fiber = yield* Effect.forkChild(cql.executeMany(insert, rows, { concurrency: 16 }), {
        startImmediately: true
      })
      yield* TestClock.adjust("50 millis")
      yield* Fiber.interrupt(fiber)
      const slots = cql.shardAwareStats().nodes.flatMap(({ slots }) => slots)
      assert.strictEqual(slots.reduce((sum, { inFlight }) => sum + inFlight, 0), 0)
    }))

  it.effect("a payload on v3 is a typed error", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({}, { protocolVersion: 3 })
      const error = yield* passing(
        Effect.flip(cql.execute("SELECT * FROM ks.t", [], { customPayload: { a: new Uint8Array(1) } }))
      )
      assert.strictEqual(error.reason._tag, "EncodeError")
    }))
})
