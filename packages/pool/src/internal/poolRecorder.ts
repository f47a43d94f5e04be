import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Connection } from "../Connection.ts"
import type { PoolReason } from "../PoolError.ts"
import * as PoolMetrics from "../PoolMetrics.ts"
import type { Belief } from "./portBelief.ts"
import type { SlotState } from "./slotTable.ts"

const PORT: Readonly<Record<"absent" | Belief, number>> = { absent: 0, trusted: 1, blocked: 2, probing: 3 }

/** Gauges of one shard. */
interface Shard {
  readonly connections: Metric.Gauge<number>
  readonly inFlight: Metric.Gauge<number>
  readonly orphans: Metric.Gauge<number>
}

/** The metrics of a node. */
const seriesOf = (node: string) => {
  const own = { node }
  return {
    dials: Metric.withAttributes(PoolMetrics.dials, own),
    handshakeTime: Metric.withAttributes(PoolMetrics.handshakeTime, own),
    queueTime: Metric.withAttributes(PoolMetrics.queueTime, own),
    waiting: Metric.withAttributes(PoolMetrics.waiting, own),
    excess: Metric.withAttributes(PoolMetrics.excess, own),
    silent: Metric.withAttributes(PoolMetrics.silent, own),
    silences: Metric.withAttributes(PoolMetrics.silences, own),
    port: Metric.withAttributes(PoolMetrics.shardAwarePort, own)
  }
}

type Series = ReturnType<typeof seriesOf>

/** Writes the metrics of one pool. */
export class PoolRecorder {
  private node: string
  private readonly context: Context.Context<never>
  private series: Series
  private shards: Array<Shard> = []
  /** By shard and state. */
  private slots = new Map<string, { readonly gauge: Metric.Gauge<number>; count: number }>()

  constructor(node: string, context: Context.Context<never>) {
    this.node = node
    this.context = context
    this.series = seriesOf(node)
  }

  /** The node has another name; under the old one nothing is left. */
  rename(node: string): void {
    this.sample({ connections: [], nrShards: 0, waiting: 0, excess: 0, shardAwarePort: "absent" })
    this.stand([])
    this.node = node
    this.series = seriesOf(node)
    this.shards = []
    this.slots = new Map()
  }

  /** Where the slots stand now. */
  stand(slots: ReadonlyArray<{ readonly shard: number | undefined; readonly state: SlotState }>): void {
    const counts = new Map<string, number>()
    for (const { shard = "any", state } of slots) {
      const key = `${shard} ${state}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      if (this.slots.has(key)) continue
      const gauge = Metric.withAttributes(PoolMetrics.slots, { node: this.node, shard: String(shard), state })
      this.slots.set(key, { gauge, count: 0 })
    }
    for (const [key, known] of this.slots) {
      const count = counts.get(key) ?? 0
      if (count === known.count) continue
      known.count = count
      known.gauge.updateUnsafe(count, this.context)
    }
  }

  dialed(): void {
    this.series.dials.updateUnsafe(1, this.context)
  }

  failed(reason: PoolReason): void {
    Metric.withAttributes(PoolMetrics.dialFailures, { node: this.node, reason: reason._tag })
      .updateUnsafe(1, this.context)
  }

  lost(reason: PoolReason): void {
    Metric.withAttributes(PoolMetrics.losses, { node: this.node, reason: reason._tag }).updateUnsafe(1, this.context)
  }

  silent(): void {
    this.series.silences.updateUnsafe(1, this.context)
  }

  shook(millis: number): void {
    this.series.handshakeTime.updateUnsafe(millis, this.context)
  }

  queued(millis: number): void {
    this.series.queueTime.updateUnsafe(millis, this.context)
  }

  private shard(shard: number): Shard {
    const own = { node: this.node, shard: String(shard) }
    return this.shards[shard] ??= {
      connections: Metric.withAttributes(PoolMetrics.connections, own),
      inFlight: Metric.withAttributes(PoolMetrics.inFlight, own),
      orphans: Metric.withAttributes(PoolMetrics.orphans, own)
    }
  }

  /** Sets all gauges. */
  sample(state: {
    readonly connections: ReadonlyArray<Connection>
    readonly nrShards: number
    readonly waiting: number
    readonly excess: number
    readonly shardAwarePort: "absent" | Belief
  }): void {
    const { context } = this
    const count = Math.max(state.nrShards, this.shards.length)
    const totals = Array.from({ length: count }, () => ({ connections: 0, inFlight: 0, orphans: 0 }))
    let silent = 0
    for (const { inFlight, isSilent, orphans, shard } of state.connections) {
      if (isSilent) silent++
      const total = totals[shard]
      if (total === undefined) continue
      total.connections++
      total.inFlight += inFlight
      total.orphans += orphans
    }
    for (const [shard, total] of totals.entries()) {
      const gauges = this.shard(shard)
      gauges.connections.updateUnsafe(total.connections, context)
      gauges.inFlight.updateUnsafe(total.inFlight, context)
      gauges.orphans.updateUnsafe(total.orphans, context)
    }
    this.series.waiting.updateUnsafe(state.waiting, context)
    this.series.excess.updateUnsafe(state.excess, context)
    this.series.silent.updateUnsafe(silent, context)
    this.series.port.updateUnsafe(PORT[state.shardAwarePort], context)
  }
}
