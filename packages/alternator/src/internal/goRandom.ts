/**
 * Go's `math/rand` (the seeded generator of Go 1), as far as the order of nodes for a key needs it.
 *
 * The table that a seed fills is a linear congruential sequence, and the first 273 draws read two untouched words of it
 * each, so a draw costs six multiplications instead of 1,841. A later draw makes the whole table.
 */
import { cookedHigh, cookedLow } from "./goRandomState.ts"

const LENGTH = 607
const TAP = 273
const MULTIPLIER = 48271
const MODULUS = 0x7fffffff
/** What Go takes instead of a seed that is 0 modulo the modulus. */
const SEED_OF_ZERO = 89482311
/** Draws that read nothing which an earlier draw has written. */
const DIRECT = TAP

const reduce = (value: number): number => {
  const folded = value - Math.floor(value / 0x80000000) * MODULUS
  return folded >= MODULUS ? folded - MODULUS : folded
}

/** `a * b` modulo 2^31 - 1; both are less than that. */
const multiply = (a: number, b: number): number => reduce(reduce(a * (b >>> 16)) * 0x10000 + a * (b & 0xffff))

/** `48271^(21 + 3 i)`: what takes a reduced seed to the first of the three numbers that word `i` is made of. */
const powers = new Int32Array(LENGTH)
{
  let power = 1
  for (let i = 0; i < 21; i++) power = multiply(power, MULTIPLIER)
  for (let i = 0; i < LENGTH; i++) {
    powers[i] = power
    for (let step = 0; step < 3; step++) power = multiply(power, MULTIPLIER)
  }
}

/** An int64 seed, as two int32 words, as Go reduces it. */
export const reduceSeed = (hi: number, lo: number): number => {
  // 2^32 is 2 modulo 2^31 - 1.
  const sum = (hi * 2 + (lo >>> 0)) % MODULUS
  const seed = sum < 0 ? sum + MODULUS : sum
  return seed === 0 ? SEED_OF_ZERO : seed
}

// A word of the table, in two variables: a pair would be allocated.
let wordHigh = 0
let wordLow = 0

const word = (seed: number, i: number): void => {
  const first = multiply(seed, powers[i]!)
  const second = reduce(first * MULTIPLIER)
  const third = reduce(second * MULTIPLIER)
  wordHigh = (first << 8) ^ (second >>> 12) ^ cookedHigh[i]!
  wordLow = (second << 20) ^ third ^ cookedLow[i]!
}

/** Draw `n` (from 0, less than 273) of `Int31`. */
const direct = (seed: number, n: number): number => {
  word(seed, 333 - n)
  const high = wordHigh
  const low = wordLow >>> 0
  word(seed, 606 - n)
  const carry = low + (wordLow >>> 0) > 0xffffffff ? 1 : 0
  return (high + wordHigh + carry) & 0x7fffffff
}

/** A generator that was seeded with {@link reduceSeed}'s answer. */
export class GoRandom {
  private readonly seed: number
  private draws = 0
  private high: Int32Array | undefined
  private low: Int32Array | undefined

  constructor(seed: number) {
    this.seed = seed
  }

  private fill(): void {
    const high = this.high = new Int32Array(LENGTH)
    const low = this.low = new Int32Array(LENGTH)
    for (let i = 0; i < LENGTH; i++) {
      word(this.seed, i)
      high[i] = wordHigh
      low[i] = wordLow
    }
    for (let n = 0; n < this.draws; n++) this.step(n)
  }

  private step(n: number): number {
    const high = this.high!
    const low = this.low!
    const feed = (2 * LENGTH - TAP - 1 - (n % LENGTH)) % LENGTH
    const tap = LENGTH - 1 - (n % LENGTH)
    const sum = (low[feed]! >>> 0) + (low[tap]! >>> 0)
    high[feed] = high[feed]! + high[tap]! + (sum > 0xffffffff ? 1 : 0)
    low[feed] = sum | 0
    return high[feed]! & 0x7fffffff
  }

  private int31(): number {
    const n = this.draws
    if (n < DIRECT) {
      this.draws++
      return direct(this.seed, n)
    }
    if (this.high === undefined) this.fill()
    this.draws++
    return this.step(n)
  }

  /** A number in `0..bound - 1`, as `Intn`. */
  below(bound: number): number {
    return bounded(bound, () => this.int31())
  }
}

const bounded = (bound: number, int31: () => number): number => {
  if ((bound & (bound - 1)) === 0) return int31() & (bound - 1)
  const max = MODULUS - 0x80000000 % bound
  let value = int31()
  while (value > max) value = int31()
  return value % bound
}

/** The first number in `0..bound - 1` of a generator with `seed`; allocates nothing unless a draw is refused. */
export const firstBelow = (seed: number, bound: number): number => {
  const value = direct(seed, 0)
  if ((bound & (bound - 1)) === 0) return value & (bound - 1)
  return value > MODULUS - 0x80000000 % bound ? new GoRandom(seed).below(bound) : value % bound
}
