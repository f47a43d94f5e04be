import type { Operation } from "../workload.ts"

/** One connected client that has prepared its statement. */
export interface Client {
  /** Sends `requests` requests, keeping `inflight` of them in flight; rejects when one is answered with anything unexpected. */
  run(inflight: number, requests: number, sampler: Sampler): Promise<void>
  close(): Promise<void>
}

export type Connect = (port: number, operation: Operation) => Promise<Client>

/**
 * Latencies of some requests: reading the clock for each of them would cost as much as the request. Prime strides, so
 * that over time each place in a batch is sampled.
 */
export class Sampler {
  private readonly every: number
  private until: number
  private readonly samples: Float64Array
  private count = 0

  constructor(inflight: number, requests: number) {
    this.every = inflight === 1 ? 5 : 31
    this.until = this.every
    this.samples = new Float64Array(Math.floor(requests / this.every) + 1)
  }

  /** Whether the request about to be sent is one to time. */
  due(): boolean {
    if (--this.until > 0) return false
    this.until = this.every
    return true
  }

  /** `start` is what `performance.now()` said before the request. */
  record(start: number): void {
    this.samples[this.count++] = performance.now() - start
  }

  /** Microseconds. */
  quantile(q: number): number {
    const sorted = this.samples.subarray(0, this.count).sort()
    return sorted[Math.min(Math.floor(sorted.length * q), sorted.length - 1)]! * 1000
  }
}
