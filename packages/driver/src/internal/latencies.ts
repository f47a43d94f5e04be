/** Buckets: four for each doubling of a microsecond, up to 2^30 of them (18 minutes). */
const PER_DOUBLING = 4
const BUCKETS = 30 * PER_DOUBLING
/** So many answers, and all counts are halved: what was long ago is forgotten. */
const FORGETS_AT = 4_096
/** Fewer answers say nothing about a percentile. */
export const LEAST = 50

const bucketOf = (micros: number): number =>
  micros <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log2(micros) * PER_DOUBLING))

/** How long answers took, as far as percentiles go: within 19 %, in 480 bytes whatever their number. */
export class Latencies {
  private readonly counts = new Uint32Array(BUCKETS)
  private total = 0

  observe(micros: number): void {
    this.counts[bucketOf(micros)]!++
    if (++this.total < FORGETS_AT) return
    this.total = 0
    for (let i = 0; i < BUCKETS; i++) this.total += this.counts[i]! >>>= 1
  }

  /** Microseconds within which the share `quantile` of all answers came; `undefined` while there were too few of them. */
  quantile(quantile: number): number | undefined {
    const { counts, total } = this
    if (total < LEAST) return undefined
    let left = total * quantile
    for (let i = 0; i < BUCKETS; i++) {
      left -= counts[i]!
      if (left <= 0) return 2 ** (i / PER_DOUBLING)
    }
    return 2 ** (BUCKETS / PER_DOUBLING)
  }
}
