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

  /** A signed 64-bit token; every eighth lies near an edge of the 32- and 64-bit words. */
  token(): bigint {
    if (this.below(8) !== 0) return BigInt.asIntN(64, (BigInt(this.u32()) << 32n) | BigInt(this.u32()))
    const edges = [0n, 1n << 31n, 1n << 32n, -(1n << 31n), -(1n << 32n), 1n << 62n, (1n << 63n) - 1n, -(1n << 63n)]
    return BigInt.asIntN(64, edges[this.below(edges.length)]! + BigInt(this.below(5) - 2))
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.u32() >>> 24)
  }
}
