import { RoutingScope } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Metric, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { key, open, put, three, within } from "./support/simulated.ts"

/** What becomes of a node, and what the log says of it. */
const deaths = [
  ["refusing", "it cannot be reached: ECONNREFUSED"],
  ["resetting", "3 requests in a row were lost or not answered in time, the last: ECONNRESET"],
  ["silent", "3 requests in a row were lost or not answered in time, the last: did not answer in 3000 ms"],
  ["failing", "5 server errors in a row, the last: status 500"]
] as const

const isReturn = (line: string) =>
  /^Info alternator: http:\/\/10\.0\.0\.2:8000 is sent requests again: it answered a probe, \d+ ms/.test(line)

/** A tracer, and the spans that it made. */
const recording = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span(options) {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

describe("observability", () => {
  it.effect("a span for the request and one for each attempt, with the node; metrics by node", () =>
    Effect.gen(function*() {
      const { spans, tracer } = recording()
      const simulation = three()
      const client = yield* open(simulation, { health: false })
      simulation.node("10.0.0.1").condition = "refusing"
      simulation.node("10.0.0.2").condition = "refusing"
      yield* client.putItem(put).pipe(Effect.withTracer(tracer))
      assert.strictEqual(spans[0]!.name, "alternator.PutItem")
      assert.strictEqual(spans[0]!.attributes.get("db.collection.name"), "t")
      const attempts = spans.filter(({ name }) => name === "alternator.attempt")
      assert.strictEqual(attempts.at(-1)!.attributes.get("server.address"), "10.0.0.3")
      assert.strictEqual(attempts.length, spans.length - 1)
      const metrics = (yield* Metric.snapshot).filter(({ id }) => id === "alternator_attempts_total")
      assert.isTrue(
        metrics.some(({ attributes }) =>
          attributes?.["node"] === "http://10.0.0.3:8000" && attributes["result"] === "ok"
        )
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})

describe("what a person reads", () => {
  it.effect("a node that dies and one that returns are logged once each, with why", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel} ${String(message)}`)
      })
      const simulation = three()
      yield* Effect.gen(function*() {
        const client = yield* open(simulation, { balancing: "round-robin" })
        const requests = (seconds: number) =>
          within(
            Effect.forEach(Array.from({ length: 30 }), () => client.getItem(key), { concurrency: 3, discard: true }),
            seconds
          )
        for (const [condition, why] of deaths) {
          lines.length = 0
          simulation.node("10.0.0.2").condition = condition
          yield* requests(30)
          yield* requests(60)
          const death = `Warn alternator: http://10.0.0.2:8000 is sent no requests until it answers a probe: ${why}`
          if (condition === "failing") {
            // Its probes work, so it returns and dies again.
            assert.isAtLeast(lines.length, 2)
            for (const [i, line] of lines.entries()) assert.isTrue(i % 2 === 0 ? line === death : isReturn(line), line)
          } else {
            assert.deepStrictEqual(lines, [death])
            simulation.node("10.0.0.2").condition = "up"
            yield* TestClock.adjust("60 seconds")
            assert.strictEqual(lines.length, 2)
            assert.isTrue(isReturn(lines[1]!), lines[1])
          }
        }
      }).pipe(Effect.provide(Logger.layer([logger])))
    }))

  it.effect("who joins and who leaves is named; a new node that does not answer is said to be", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel} ${String(message)}`)
      })
      const simulation = three()
      yield* Effect.gen(function*() {
        const client = yield* open(simulation)
        yield* client.getItem(key)
        lines.length = 0
        simulation.node("10.0.0.3").isListed = false
        simulation.add({ host: "10.0.0.4" }).condition = "refusing"
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(lines, [
          "Info alternator: 3 nodes in cluster; new: http://10.0.0.4:8000; gone: http://10.0.0.3:8000",
          "Warn alternator: http://10.0.0.4:8000 is sent no requests until it answers a probe: it is new and does not answer yet"
        ])
      }).pipe(Effect.provide(Logger.layer([logger])))
    }))

  it.effect("the span of a failed request says where it failed, and as what", () =>
    Effect.gen(function*() {
      const { spans, tracer } = recording()
      const simulation = three()
      const client = yield* open(simulation, { seeds: "10.0.0.1:8123" })
      for (const node of simulation.nodes) node.condition = "refusing"
      yield* within(Effect.flip(client.putItem(put).pipe(Effect.withTracer(tracer))), 13)
      const [request] = spans
      assert.strictEqual(request!.name, "alternator.PutItem")
      const last = spans.findLast(({ name }) => name === "alternator.attempt")!
      for (const name of ["server.address", "server.port"]) {
        assert.isDefined(last.attributes.get(name))
        assert.strictEqual(request!.attributes.get(name), last.attributes.get(name))
      }
      assert.strictEqual(request!.attributes.get("error.type"), "NodeUnreachable")
    }))
})

describe("observability of racks", () => {
  it.effect("spans and metrics of attempts say node, datacenter and rack", () =>
    Effect.gen(function*() {
      const { spans, tracer } = recording()
      const simulation = three()
      const client = yield* open(simulation, { scope: RoutingScope.rack("dc1", "r1"), seeds: "10.0.0.1:8123" })
      simulation.node("10.0.0.1").condition = "failing"
      simulation.node("10.0.0.2").condition = "failing"
      yield* within(client.putItem(put).pipe(Effect.withTracer(tracer)), 1)
      const attempts = spans.filter(({ name }) => name === "alternator.attempt")
      assert.isAbove(attempts.length, 0)
      for (const { attributes } of attempts) {
        assert.match(String(attributes.get("server.address")), /^10\.0\.0\.[123]$/)
        assert.strictEqual(attributes.get("server.port"), 8123)
        assert.strictEqual(attributes.get("scylla.datacenter"), "dc1")
        assert.strictEqual(attributes.get("scylla.rack"), "r1")
      }
      const measured = (yield* Metric.snapshot).filter(({ attributes }) => attributes?.["node"]?.endsWith(":8123"))
      assert.deepStrictEqual(
        new Set(measured.map(({ id }) => id)),
        new Set(["alternator_attempts_total", "alternator_attempt_ms"])
      )
      for (const { attributes } of measured) {
        assert.deepStrictEqual([attributes?.["datacenter"], attributes?.["rack"]], ["dc1", "r1"])
      }
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})
