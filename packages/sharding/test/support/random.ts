import { Random as Base } from "../../../../test/support/random.ts"

/** Seeded numbers and tokens. */
export class Random extends Base {
  /** A signed 64-bit token; every eighth lies near an edge of the 32- and 64-bit words. */
  token(): bigint {
    if (this.below(8) !== 0) return BigInt.asIntN(64, (BigInt(this.u32()) << 32n) | BigInt(this.u32()))
    const edges = [0n, 1n << 31n, 1n << 32n, -(1n << 31n), -(1n << 32n), 1n << 62n, (1n << 63n) - 1n, -(1n << 63n)]
    return BigInt.asIntN(64, edges[this.below(edges.length)]! + BigInt(this.below(5) - 2))
  }
}
