import { TICK_MILLIS } from "@effect-scylla/pool/Ticker"
import type { Latencies } from "./latencies.ts"

/** Milliseconds for an attempt of a statement of which nothing is known yet. */
const UNKNOWN = 2_000
/** Bounds, in milliseconds: pauses of a garbage collector are shorter, and what is slower than a few seconds is no hitch. */
const LEAST = 500
const MOST = 5_000
/** So many times what it usually takes: three times slower is slow, not gone. */
const FACTOR = 4

/**
 * How long a statement usually takes, in ticks, and so how long an attempt may take before another node is asked. Slower answers
 * count at once by half, quicker ones by a sixteenth: a statement that became slow is not asked for twice for long.
 */
export class Usual {
  /** -1 as long as nothing is known; 0 for what takes less than a tick, which is nearly everything. */
  ticks = -1
  attemptMillis = UNKNOWN
  /** What it takes where it is quick, in ticks: the quicker of several nodes, not their mean. */
  least = 0
  /** Only where somebody asks for percentiles. */
  latencies: Latencies | undefined = undefined

  observe(took: number): void {
    const { ticks } = this
    const { least } = this
    this.least = took < least ? (took + least) / 2 : least + (took - least) / 16
    if (this.least < 0.05) this.least = 0
    const next = ticks < 0 ? took : took > ticks ? ticks + (took - ticks) / 2 : ticks - (ticks - took) / 16
    this.ticks = next < 0.05 ? 0 : next
    const millis = this.ticks * TICK_MILLIS
    // Never below what it takes, whatever the bound: it would be asked for again each time.
    this.attemptMillis = Math.max(LEAST, Math.min(FACTOR * millis, MOST), 1.5 * millis)
  }
}
