/** What is drawn from a seed. */
import { Random } from "../support/random.ts"

export class Draw {
  private readonly random: Random

  constructor(seed: number) {
    // Seeds next to each other begin alike otherwise.
    this.random = new Random(Math.imul(seed, 0x9e37_79b1))
    for (let i = 0; i < 8; i++) this.random.u32()
  }

  below(bound: number): number {
    return this.random.below(bound)
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  pick<A>(of: ReadonlyArray<A>): A {
    return of[this.below(of.length)]!
  }

  /** `least` to `most` of them, in their order. */
  some<A>(of: ReadonlyArray<A>, least: number, most = of.length): ReadonlyArray<A> {
    const wanted = Math.min(of.length, least + this.below(Math.max(1, most - least + 1)))
    const left = of.map((_, i) => i)
    while (left.length > wanted) left.splice(this.below(left.length), 1)
    return left.map((i) => of[i]!)
  }

  /** One of them, by weight. */
  weighted<A>(...of: ReadonlyArray<readonly [number, () => A]>): A {
    let at = this.below(of.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, make] of of) {
      if (at < weight) return make()
      at -= weight
    }
    return of[0]![1]()
  }
}
