import { Random } from "../../../../test/support/random.ts"

/** Small seeds that follow one another give sequences that have nothing in common. */
export class SeededRandom extends Random {
  constructor(seed: number) {
    super(Math.imul(seed, 0x9e3779b1))
  }
}
