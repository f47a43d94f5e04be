import type { Resolved } from "../ExecuteOptions.ts"
import { Budget, type Share } from "./budget.ts"

/** What a client spends on sending requests again, and on asking two nodes at once. */
export class Retries {
  private readonly retries: Budget | undefined
  private readonly speculations: Budget
  private readonly random: () => number

  constructor(retries: Share | undefined, speculations: Share, random: () => number) {
    this.retries = retries === undefined ? undefined : new Budget(retries)
    this.speculations = new Budget(speculations)
    this.random = random
  }

  /** Whether there may be one more repetition. */
  mayRepeat(requests: number): boolean {
    return this.retries === undefined || this.retries.take(requests)
  }

  maySpeculate(requests: number): boolean {
    return this.speculations.take(requests)
  }

  /** Milliseconds before the repetition `n`, from 0, of those that are not for nothing: full jitter. */
  backoff({ retry }: Resolved, n: number): number {
    return this.random() * Math.min(retry.backoffCap, retry.backoffBase * 2 ** n)
  }
}
