/** The last round trips to a node. Adding one is a store; the figures are worked out now and then, when somebody asks. */
const SIZE = 128
/** The order is kept for so many more samples: asking after each answer must not sort after each answer. */
const KEPT = 128

export class Latency {
  private readonly samples = new Float64Array(SIZE)
  private count = 0
  private sorted: Float64Array | undefined

  add(millis: number): void {
    this.samples[this.count++ % SIZE] = millis
    if (this.count <= 32 || this.count % KEPT === 0) this.sorted = undefined
  }

  /** The 99th percentile of the last 128; 0 before the first. */
  get p99(): number {
    const { length } = this.order
    return length === 0 ? 0 : this.order[Math.min(length - 1, Math.floor(length * 0.99))]!
  }

  /** The shortest of the last 128; 0 before the first. */
  get shortest(): number {
    return this.order[0] ?? 0
  }

  private get order(): Float64Array {
    return this.sorted ??= this.samples.slice(0, Math.min(this.count, SIZE)).sort()
  }
}
