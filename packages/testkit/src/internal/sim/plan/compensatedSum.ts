/** Sums and averages of doubles as Cassandra counts them: compensated, and with the NaNs that processors of Intel make. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"

/** A number, and of NaN whether its sign is set, which JavaScript does not tell. */
export interface Double {
  readonly value: number
  readonly isNegative: boolean
}

const of = (value: number): Double => ({ value, isNegative: true })

const ZERO = of(0)

/** A NaN stays what it is, the first of two; one that comes of infinities is negative. */
const combine = (a: Double, b: Double, value: number): Double =>
  Number.isNaN(a.value) ? a : Number.isNaN(b.value) ? b : of(value)

const plus = (a: Double, b: Double): Double => combine(a, b, a.value + b.value)
const minus = (a: Double, b: Double): Double => combine(a, b, a.value - b.value)

/** The number in the bytes of a float or a double. */
export const doubleOf = (type: CqlType.CqlType, bytes: Uint8Array): Double => ({
  value: decode(type, bytes) as number,
  isNegative: bytes[0]! >= 0x80
})

const float = CqlType.scalar("float")
const double = CqlType.scalar("double")

export const bytesOfDouble = ({ isNegative, value }: Double, isFloat: boolean): Uint8Array => {
  if (!Number.isNaN(value)) return encode(isFloat ? float : double, value)!
  const sign = isNegative ? 0xff : 0x7f
  return isFloat ? Uint8Array.of(sign, 0xc0, 0, 0) : Uint8Array.of(sign, 0xf8, 0, 0, 0, 0, 0, 0)
}

export class CompensatedSum {
  private readonly isAverage: boolean
  private sum = ZERO
  private compensation = ZERO
  private simple = ZERO
  private count = 0
  /** Of an average, all numbers since the sum became too great for a double. */
  private overflown: Array<number> | undefined

  constructor(isAverage: boolean) {
    this.isAverage = isAverage
  }

  add(next: Double): void {
    this.count++
    if (this.overflown !== undefined) {
      this.overflown.push(next.value)
      return
    }
    this.simple = plus(this.simple, next)
    const before = this.sum
    const corrected = minus(next, this.compensation)
    const rounded = plus(this.sum, corrected)
    this.compensation = minus(minus(rounded, this.sum), corrected)
    this.sum = rounded
    if (this.isAverage && Math.abs(rounded.value) === Infinity && Math.abs(next.value) !== Infinity) {
      this.overflown = [before.value, next.value]
    }
  }

  result(): Double {
    if (this.isAverage && this.count === 0) return ZERO
    // Where the sum is infinite the average need not be.
    if (this.overflown !== undefined) {
      return of(this.overflown.reduce((mean, each) => mean + each / this.count, 0))
    }
    const total = plus(this.sum, this.compensation)
    const sum = Number.isNaN(total.value) && Math.abs(this.simple.value) === Infinity ? this.simple : total
    return this.isAverage ? combine(sum, sum, sum.value / this.count) : sum
  }
}
