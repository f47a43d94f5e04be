import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import * as RequestMetrics from "../RequestMetrics.ts"

/** Microseconds of the first bucket are 2^7; each further one is twice as long. */
const FIRST = 7
const BUCKETS = 18
/** Distinct labels that are told apart. */
const LABELS = 500
/** That of all labels past the bound. */
const OTHER = "other"

type Attributes = Readonly<Record<string, string>>

/** What requests of one profile and label have come to. */
export class Series {
  answered = 0
  pages = 0
  speculations = 0
  throttled = 0
  private readonly buckets = new Uint32Array(BUCKETS + 1)
  private readonly micros = new Float64Array([0, Infinity, 0])
  private readonly failures = new Map<string, number>()
  private readonly retried = new Map<string, number>()
  private readonly attributes: Attributes
  private readonly context: Context.Context<never>

  constructor(context: Context.Context<never>, attributes: Attributes) {
    this.context = context
    this.attributes = attributes
    this.counter(RequestMetrics.answered, {}, () => this.answered)
    const boundaries = Array.from({ length: BUCKETS }, (_, i) => 0.128 * 2 ** i)
    const get = (): Metric.HistogramState => {
      let sum = 0
      const [total, least, most] = this.micros as unknown as [number, number, number]
      return {
        buckets: boundaries.map((boundary, i) => [boundary, sum += this.buckets[i]!]),
        count: this.answered,
        min: this.answered === 0 ? Number.MAX_VALUE : least / 1_000,
        max: this.answered === 0 ? -Number.MAX_VALUE : most / 1_000,
        sum: total / 1_000
      }
    }
    register(RequestMetrics.duration, context, attributes, get)
  }

  /** A request was answered after so many microseconds. */
  answer(micros: number): void {
    const { buckets, micros: state } = this
    this.answered++
    const at = micros <= 128 ? 0 : 32 - FIRST - Math.clz32(micros - 1)
    buckets[at > BUCKETS ? BUCKETS : at]!++
    state[0]! += micros
    if (micros < state[1]!) state[1] = micros
    if (micros > state[2]!) state[2] = micros
  }

  fail(reason: string, outcome: string | undefined): void {
    this.count(this.failures, RequestMetrics.failed, { reason, ...(outcome === undefined ? {} : { outcome }) })
  }

  retry(decision: string): void {
    this.count(this.retried, RequestMetrics.retries, { decision })
  }

  /** Those that most clients never have are there from their first time on. */
  speculate(): void {
    if (this.speculations++ === 0) this.counter(RequestMetrics.speculations, {}, () => this.speculations)
  }

  throttle(): void {
    if (this.throttled++ === 0) this.counter(RequestMetrics.throttled, {}, () => this.throttled)
  }

  page(): void {
    if (this.pages++ === 0) this.counter(RequestMetrics.pages, {}, () => this.pages)
  }

  private count(counts: Map<string, number>, metric: Metric.Counter<number>, own: Attributes): void {
    const key = Object.values(own).join(" ")
    const before = counts.get(key)
    counts.set(key, (before ?? 0) + 1)
    if (before === undefined) this.counter(metric, own, () => counts.get(key)!)
  }

  private counter(metric: Metric.Counter<number>, own: Attributes, get: () => number): void {
    register(metric, this.context, { ...this.attributes, ...own }, () => ({ count: get(), incremental: true }))
  }
}

const register = <State>(
  metric: Metric.Metric<number, State>,
  context: Context.Context<never>,
  attributes: Attributes,
  get: () => State
): Metric.Registration =>
  Metric.registerUnsafe(Metric.withAttributes(metric, attributes), context, {
    get,
    update: () => {},
    modify: () => {}
  })

/** By registry and by what the context's metrics have in common: clients of one process add up. */
const known = new WeakMap<object, Map<string, Series>>()

/** The series of a client's requests. */
export class AllSeries {
  private readonly context: Context.Context<never>
  private readonly own = new Map<string, Series>()
  /** Those of labels; what has none is one of the bound. */
  private labels = 0
  /** Of nobody in particular. */
  readonly default: Series

  constructor(context: Context.Context<never>) {
    this.context = context
    this.default = this.of(undefined, undefined)
  }

  of(profile: string | undefined, label: string | undefined): Series {
    const key = JSON.stringify([profile ?? "default", label ?? ""])
    const found = this.own.get(key)
    if (found !== undefined) return found
    if (label !== undefined && label !== OTHER && ++this.labels >= LABELS) return this.of(profile, OTHER)
    const series = this.shared(key, { profile: profile ?? "default", label: label ?? "" })
    this.own.set(key, series)
    return series
  }

  private shared(key: string, attributes: Attributes): Series {
    const { context } = this
    const registry = Context.get(context, Metric.MetricRegistry)
    const common = JSON.stringify(Context.get(context, Metric.CurrentMetricAttributes))
    let all = known.get(registry)
    if (all === undefined) known.set(registry, all = new Map())
    const full = `${common} ${key}`
    let series = all.get(full)
    if (series === undefined) all.set(full, series = new Series(context, attributes))
    return series
  }
}
