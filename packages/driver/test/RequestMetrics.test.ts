/** What one sees of requests: metrics, spans, the log of slow ones. */
import { RequestMetrics } from "@effect-scylla/driver"
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Metric, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, world } from "./support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })

/** The state of the series of a metric whose attributes have these. */
const series = Effect.fnUntraced(
  function*(metric: { readonly id: string }, attributes: Readonly<Record<string, string>>) {
    const all = yield* Metric.snapshot
    return all.filter(({ attributes: own = {}, id }) =>
      id === metric.id && Object.entries(attributes).every(([name, value]) => own[name] === value)
    ).map(({ state }) => state as any)
  }
)
const isolated = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

describe("metrics", () => {
  it.effect("count every request from the first one on, by profile and label, never by text", () =>
    isolated(Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { profiles: { reports: { consistency: "ONE" } } })
      const select = yield* passing(cql.prepare(SELECT))
      const own = { label: "by id", profile: "reports" }
      for (let i = 0; i < 5; i++) yield* passing(cql.execute(select, [Uuid.random()], own))
      yield* passing(Effect.flip(cql.execute("SELECT nothing FROM ks.t", [], { label: "wrong" })))
      assert.deepStrictEqual(yield* series(RequestMetrics.answered, own), [{ count: 5, incremental: true }])
      const [histogram] = yield* series(RequestMetrics.duration, own)
      assert.strictEqual(histogram.count, 5)
      assert.strictEqual(histogram.buckets.at(-1)[1], 5)
      const failed = { label: "wrong", reason: "InvalidRequest" }
      assert.deepStrictEqual(yield* series(RequestMetrics.failed, failed), [{ count: 1, incremental: true }])
      const all = yield* Metric.snapshot
      assert.isFalse(
        JSON.stringify(all, (_, value) => typeof value === "bigint" ? String(value) : value).includes("SELECT")
      )
      // Failures of writes say what became of them; retries and pages are counted.
      let closed = 0
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.EXECUTE && closed++ === 0 ? { _tag: "Close" } : undefined
      )
      yield* passing(Effect.flip(cql.execute(INSERT, [Uuid.random(), 1], { idempotent: false, label: "put" })))
      const ambiguous = { label: "put", reason: "ConnectionLost", outcome: "Ambiguous" }
      assert.deepStrictEqual(yield* series(RequestMetrics.failed, ambiguous), [{ count: 1, incremental: true }])
      yield* passing(cql.awaitConnected)
      closed = 0
      yield* passing(cql.execute(select, [Uuid.random()], { label: "again" }))
      assert.deepStrictEqual(
        yield* series(RequestMetrics.retries, { label: "again", decision: "NextNode" }),
        [{ count: 1, incremental: true }]
      )
    })))

  it.effect("have the time that a request took, in milliseconds", () =>
    isolated(Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.EXECUTE ? { _tag: "Delay", millis: 300 } : undefined
      )
      yield* passing(cql.execute(select, [Uuid.random()], { label: "late" }))
      const [{ buckets, max, min, sum }] = yield* series(RequestMetrics.duration, { label: "late" })
      assert.strictEqual(sum, 300)
      assert.deepStrictEqual([min, max], [300, 300])
      const bucket = buckets.find(([, count]: [number, number]) => count === 1)[0]
      assert.isTrue(bucket > 300 && bucket < 600)
    })))

  it.effect("of clients of one process add up, and what a closed one has counted stays counted", () =>
    isolated(Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const before = (yield* series(RequestMetrics.prepared, {}))[0].value
      yield* passing(cql.prepare(SELECT))
      let other = 0
      yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* passing(clientOf(cluster))
        yield* passing(client.execute(SELECT, [Uuid.random()], { label: "both" }))
        other = Object.values(client.shardAwareStats().routing).reduce((sum, count) => sum + count, 0)
        assert.strictEqual((yield* series(RequestMetrics.prepared, {}))[0].value, before + 2)
      }))
      yield* passing(cql.execute(SELECT, [Uuid.random()], { label: "both" }))
      assert.strictEqual((yield* series(RequestMetrics.prepared, {}))[0].value, before + 1)
      assert.strictEqual((yield* series(RequestMetrics.answered, { label: "both" }))[0].count, 2)
      const ways = yield* series(RequestMetrics.routes, {})
      assert.isAtLeast(ways.reduce((sum, { count }) => sum + count, 0), 2 + other)
    })))

  it.effect("have a bound for labels: past it they are counted together", () =>
    isolated(Effect.gen(function*() {
      const { cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      yield* passing(
        Effect.forEach(Array.from({ length: 600 }, (_, i) => i), (i) =>
          cql.execute(select, [Uuid.random()], { label: `user ${i}` }), {
          concurrency: 50
        })
      )
      const all = (yield* Metric.snapshot).filter(({ id }) =>
        id === RequestMetrics.answered.id
      )
      assert.isAtMost(all.length, 501)
      assert.isAbove((yield* series(RequestMetrics.answered, { label: "other" }))[0].count, 90)
    })))

  it.effect("count lookups of tablets, throttled repetitions and speculations", () =>
    isolated(Effect.gen(function*() {
      const { cluster, cql } = yield* world({ tablets: true }, {
        retryBudget: { share: 0, burst: 0 },
        speculation: { delay: "10 millis" }
      })
      yield* passing(cql.execute(
        "CREATE KEYSPACE tab WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 2} AND tablets = {'initial': 8}"
      ))
      yield* passing(cql.execute("CREATE TABLE tab.t (id uuid PRIMARY KEY, v int)"))
      const select = yield* passing(cql.prepare("SELECT v FROM tab.t WHERE id = ?"))
      for (let i = 0; i < 60; i++) yield* passing(cql.execute(select, [Uuid.random()]))
      const [{ count: hits }] = yield* series(RequestMetrics.tablets, { result: "hit" })
      const [{ count: misses }] = yield* series(RequestMetrics.tablets, { result: "miss" })
      const { tablets } = cql.shardAwareStats()
      assert.deepStrictEqual([tablets.hits, tablets.misses], [hits, misses])
      assert.isAbove(hits, 0)
      assert.isAbove(misses, 0)
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.EXECUTE ? { _tag: "Error", error: overloaded } : undefined
      )
      yield* passing(Effect.flip(cql.execute(select, [Uuid.random()], { label: "busy" })))
      assert.deepStrictEqual(yield* series(RequestMetrics.throttled, { label: "busy" }), [{
        count: 1,
        incremental: true
      }])
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.EXECUTE ? { _tag: "Delay", millis: 50 } : undefined
      )
      yield* passing(cql.execute(select, [Uuid.random()], { label: "hedged" }))
      assert.deepStrictEqual(yield* series(RequestMetrics.speculations, { label: "hedged" }), [{
        count: 1,
        incremental: true
      }])
      assert.deepStrictEqual(yield* series(RequestMetrics.answered, { label: "hedged" }), [{
        count: 1,
        incremental: true
      }])
    })))
})

describe("spans", () => {
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
    return { exit, span: spans[0]!, spans }
  })

  it.effect("are named and described by OpenTelemetry's conventions, without values", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      const id = Uuid.random()
      yield* passing(cql.execute(INSERT, [id, 4711]))
      const { span } = yield* traced(cql.execute(select, [id], { label: "by id" }))
      const attributes = Object.fromEntries(span.attributes)
      assert.strictEqual(span.name, "by id")
      const { "cassandra.coordinator.id": coordinator, "cql.shard": shard, "server.address": address, ...rest } =
        attributes
      assert.match(String(coordinator), /^[\da-f-]{36}$/)
      assert.match(String(address), /^127\.0\.0\.\d$/)
      assert.include([0, 1], shard)
      assert.deepStrictEqual(rest, {
        "cassandra.consistency.level": "local_quorum",
        "cassandra.coordinator.dc": "datacenter1",
        "cassandra.page.size": 5000,
        "cassandra.query.idempotent": true,
        "cassandra.speculative_execution.count": 0,
        "cql.label": "by id",
        "db.collection.name": "t",
        "db.namespace": "ks",
        "db.operation.name": "SELECT",
        "db.query.text": SELECT,
        "db.response.returned_rows": 1,
        "db.system.name": "cassandra",
        "server.port": 9042
      })
      const batch = yield* traced(cql.batch([[INSERT, [id, 4711]], [INSERT, [id, 1]]]))
      assert.strictEqual(batch.span.name, "BATCH ks.t")
      assert.strictEqual(batch.span.attributes.get("db.operation.batch.size"), 2)
      assert.isFalse(JSON.stringify([...batch.span.attributes]).includes("4711"))
    }))

  it.effect("have every attempt that came to nothing, and of a failure its reason and the node that was asked last", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.EXECUTE ? { _tag: "Error", error: overloaded } : undefined
      )
      const { exit, span } = yield* traced(cql.execute(select, [Uuid.random()]))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(span.attributes.get("error.type"), "Overloaded")
      assert.strictEqual(span.attributes.get("db.response.status_code"), "4097")
      assert.match(String(span.attributes.get("server.address")), /^127\.0\.0\.\d$/)
      assert.strictEqual(span.events.length, 3)
      assert.deepStrictEqual(span.events.map(([name, , attributes]) => [name, attributes?.["cql.decision"]]), [
        ["cql.attempt", "NextNode"],
        ["cql.attempt", "NextNode"],
        ["cql.attempt", "NextNode"]
      ])
      yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.EXECUTE ? { _tag: "Close" } : undefined)
      const write = yield* traced(cql.execute(INSERT, [Uuid.random(), 1], { idempotent: false }))
      assert.strictEqual(write.span.attributes.get("cql.outcome"), "Ambiguous")
    }))
})

describe("the log of slow requests", () => {
  const logged = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => {
      lines.push(String(message))
    })
    const value = yield* Effect.provide(effect, Logger.layer([logger]))
    return { lines: lines.filter((line) => line.startsWith("slow request")), value }
  })

  it.effect("names node, shard, attempts and times, and no value; so many lines a second", () =>
    Effect.gen(function*() {
      const { lines } = yield* logged(Effect.gen(function*() {
        const { cluster, cql } = yield* world({}, { slowRequests: { threshold: "200 millis", perSecond: 2 } })
        const insert = yield* passing(cql.prepare(INSERT))
        yield* TestClock.adjust("1 second")
        yield* passing(cql.execute(insert, [Uuid.random(), 4711], { label: "quick" }))
        let count = 0
        yield* cluster.intercept(({ opcode }) =>
          opcode !== Frame.Opcode.EXECUTE
            ? undefined
            : count++ === 0
            ? { _tag: "Error", error: overloaded }
            : { _tag: "Delay", millis: 250 }
        )
        yield* passing(cql.execute(insert, [Uuid.random(), 4711], { label: "put" }))
        yield* passing(
          Effect.forEach(Array.from({ length: 10 }), () => cql.execute(insert, [Uuid.random(), 4711]), {
            concurrency: 10
          })
        )
        yield* TestClock.adjust("2 seconds")
        yield* passing(cql.execute(insert, [Uuid.random(), 4711]))
      }))
      assert.match(
        lines[0]!,
        /^slow request \[put\]: [23]\d\d\.\d ms, answered by 127\.0\.0\.\d:9042 shard [01] \(before that: 127\.0\.0\.\d:9042 Overloaded after \d+ ms, NextNode\): INSERT INTO ks\.t/
      )
      assert.isTrue(lines.every((line) => !line.includes("4711") && !line.includes("quick")))
      assert.isAtMost(lines.length, 5)
      assert.match(lines.at(-1)!, /\(and \d+ more that were not logged\)$/)
    }))

  it.effect("has those that failed in the end, too", () =>
    Effect.gen(function*() {
      const { lines } = yield* logged(Effect.gen(function*() {
        const { cluster, cql } = yield* world({}, { slowRequests: { threshold: "200 millis" } })
        const insert = yield* passing(cql.prepare(INSERT))
        yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.EXECUTE ? { _tag: "Ignore" } : undefined)
        yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 1], { idempotent: false, timeout: "1 second" })))
      }))
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /failed with RequestTimeout, asked last by 127/)
    }))
})
