/** Sums and averages of doubles as Cassandra counts them: what one addition loses is made up for in the next. */
export class CompensatedSum {
  private readonly isAverage: boolean
  private sum = 0
  private compensation = 0
  private simple = 0
  private count = 0
  /** Of an average, all numbers since the sum became too great for a double. */
  private overflown: Array<number> | undefined

  constructor(isAverage: boolean) {
    this.isAverage = isAverage
  }

  add(next: number): void {
    this.count++
    if (this.overflown !== undefined) {
      this.overflown.push(next)
      return
    }
    this.simple += next
    const before = this.sum
    const corrected = next - this.compensation
    this.sum += corrected
    this.compensation = this.sum - before - corrected
    if (this.isAverage && Math.abs(this.sum) === Infinity && Math.abs(next) !== Infinity) {
      this.overflown = [before, next]
    }
  }

  result(): number {
    if (this.isAverage && this.count === 0) return 0
    // Where the sum is infinite the average need not be.
    if (this.overflown !== undefined) return this.overflown.reduce((mean, each) => mean + each / this.count, 0)
    const total = this.sum + this.compensation
    const sum = Number.isNaN(total) && Math.abs(this.simple) === Infinity ? this.simple : total
    return this.isAverage ? sum / this.count : sum
  }
}
