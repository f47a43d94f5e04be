/** Metrics of attempts, by node. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { TrackedNode } from "../NodeHealth.ts"

const attempts = Metric.counter("alternator_attempts_total", {
  description: "Attempts by node and result",
  incremental: true
})
const latency = Metric.histogram("alternator_attempt_ms", {
  description: "Time to the answer of an attempt, in milliseconds",
  boundaries: Metric.exponentialBoundaries({ start: 0.25, factor: 2, count: 16 })
})

interface OfNode {
  readonly latency: ReturnType<typeof histogram>
  readonly results: Map<string, ReturnType<typeof counter>>
  readonly attributes: Record<string, string>
}

const counter = (attributes: Record<string, string>) => Metric.withAttributes(attempts, attributes)
const histogram = (attributes: Record<string, string>) => Metric.withAttributes(latency, attributes)

export class Telemetry {
  private readonly nodes = new WeakMap<TrackedNode, OfNode>()
  private readonly services: Context.Context<never>

  constructor(services: Context.Context<never>) {
    this.services = services
  }

  private of(node: TrackedNode): OfNode {
    let known = this.nodes.get(node)
    // Its datacenter and rack may be told only later.
    if (
      known === undefined || known.attributes["datacenter"] !== node.datacenter ||
      known.attributes["rack"] !== node.rack
    ) {
      const attributes: Record<string, string> = { node: node.url }
      if (node.datacenter !== undefined) attributes["datacenter"] = node.datacenter
      if (node.rack !== undefined) attributes["rack"] = node.rack
      known = { latency: histogram(attributes), results: new Map(), attributes }
      this.nodes.set(node, known)
    }
    return known
  }

  /** Result: `ok`, or the reason's tag. */
  attempt(node: TrackedNode, result: string, millis: number): void {
    const known = this.of(node)
    let metric = known.results.get(result)
    if (metric === undefined) known.results.set(result, metric = counter({ ...known.attributes, result }))
    metric.updateUnsafe(1, this.services)
    known.latency.updateUnsafe(millis, this.services)
  }
}
