/** Seeded pseudo-random numbers (xorshift32), so that a failing case is the same in every run. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed | 1
  }

  /** An unsigned 32-bit number. */
  u32(): number {
    let x = this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x
    return x >>> 0
  }

  /** An integer in `0..bound - 1`. */
  below(bound: number): number {
    return this.u32() % bound
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.u32() >>> 24)
  }
}
