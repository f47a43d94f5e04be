import { RoutingScope } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric, Tracer } from "effect"
import { open, put, three, within } from "./support/simulated.ts"

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
