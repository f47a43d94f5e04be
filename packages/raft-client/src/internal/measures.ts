/** What the metrics of this package say, for programs without Effect. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/**
 * One metric with one set of labels.
 *
 * @category models
 * @since 0.1.0
 */
export interface Measure {
  readonly name: string
  readonly description: string | undefined
  readonly labels: Readonly<Record<string, string>>
  /** Of a counter or a gauge its value, of a histogram how many values it has counted. */
  readonly value: number
  /** Of a histogram: sum and extremes of what it has counted, and how much of it was at most so large. */
  readonly histogram?: {
    readonly sum: number
    readonly min: number
    readonly max: number
    readonly buckets: ReadonlyArray<readonly [upTo: number, count: number]>
  }
}

/** Those whose names begin so, as they are now. */
export const measures = (services: Context.Context<never>, prefix: string): ReadonlyArray<Measure> => {
  const found: Array<Measure> = []
  for (const { attributes, description, id: name, state } of Metric.snapshotUnsafe(services)) {
    if (!name.startsWith(prefix)) continue
    const labels = { ...attributes }
    if ("buckets" in state) {
      const { buckets, count, max, min, sum } = state
      found.push({ name, description, labels, value: count, histogram: { sum, min, max, buckets } })
    } else if ("count" in state) found.push({ name, description, labels, value: Number(state.count) })
    else if ("value" in state) found.push({ name, description, labels, value: Number(state.value) })
  }
  return found
}
