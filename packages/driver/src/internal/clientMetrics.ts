import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"

/** What one metric is made of: clients that live, and what those that are closed have counted. */
interface Sum {
  readonly sources: Set<() => number>
  rest: number
}

const sums = new WeakMap<object, Map<string, Sum>>()

/** Lets a metric be read from `read` for as long as the scope lives; clients of one process with the same attributes add up. */
export const expose = (
  metric: Metric.Counter<number> | Metric.Gauge<number>,
  attributes: Readonly<Record<string, string>>,
  read: () => number
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    const registry = Context.get(context, Metric.MetricRegistry)
    const common = Context.get(context, Metric.CurrentMetricAttributes)
    const key = JSON.stringify([metric.id, attributes, common])
    let all = sums.get(registry)
    if (all === undefined) sums.set(registry, all = new Map())
    let sum = all.get(key)
    if (sum === undefined) {
      all.set(key, sum = { sources: new Set(), rest: 0 })
      const { sources } = sum
      const total = (): number => [...sources].reduce((total, source) => total + source(), sum!.rest)
      const get = (): any => metric.type === "Counter" ? { count: total(), incremental: true } : { value: total() }
      Metric.registerUnsafe(Metric.withAttributes(metric as Metric.Metric<number, any>, attributes), context, {
        get,
        update: () => {},
        modify: () => {}
      })
    }
    const { sources } = sum
    sources.add(read)
    return Effect.addFinalizer(() =>
      Effect.sync(() => {
        sources.delete(read)
        // What was counted stays counted; what is there is there no more.
        if (metric.type === "Counter") sum!.rest += read()
      })
    )
  })
