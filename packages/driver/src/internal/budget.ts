/** How much may be done more than was asked for: a part of all requests, and some at once. */
export interface Share {
  /** Of a request, for each request. */
  readonly share: number
  /** There from the beginning. */
  readonly first: number
  /** Never more than so many are saved up. */
  readonly most: number
}

/** A token bucket that requests fill: where there are none, or all of them fail, it runs dry. */
export class Budget {
  private readonly of: Share
  private left: number
  private seen = 0

  constructor(of: Share) {
    this.of = of
    this.left = of.first
  }

  /** Takes one, `requests` having been made by now; answers whether there was one. */
  take(requests: number): boolean {
    const { most, share } = this.of
    this.left = Math.min(most, this.left + (requests - this.seen) * share)
    this.seen = requests
    if (this.left < 1) return false
    this.left--
    return true
  }
}
