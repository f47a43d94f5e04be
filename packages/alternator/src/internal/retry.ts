/** Whether a request that failed is sent again, and when. For both clients. */
import type { AlternatorReason, Outcome } from "../AlternatorError.ts"
import type { Balancer } from "../QueryPlan.ts"

const BACKOFF_MILLIS = 25
const MAX_BACKOFF_MILLIS = 1000

/**
 * Whether a RequestLimitExceeded says that the node did not begin: it has too much under way. A limit of a partition may be
 * hit by replicas when the write is half done.
 */
export const isShed = (message: string): boolean => /in.?flight|shed|overload|max_concurrent/i.test(message)

export interface Failure {
  readonly tag: AlternatorReason["_tag"]
  readonly outcome: Outcome
  /** It was refused for its date, and the next one has another. */
  readonly isClockCorrected?: boolean | undefined
}

/** Whether another attempt can neither do harm nor is in vain. `mayRepeat`: doing it twice comes to the same. */
const isUseful = ({ isClockCorrected, outcome, tag }: Failure, mayRepeat: boolean): boolean => {
  if (isClockCorrected === true) return true
  switch (tag) {
    case "NodeUnreachable":
      return true
    case "RequestLimitExceeded":
    case "InternalServerError":
    case "ConnectionLost":
    case "AttemptTimeout":
    case "MalformedResponse":
      return outcome !== "Ambiguous" || mayRepeat
    default:
      return false
  }
}

/** Counts the attempts of one request. */
export class Retries {
  attempts = 0
  /** What was not sent costs nothing but the time for finding out. */
  private counted = 0
  private isAmbiguous = false
  private readonly balancer: Balancer
  private readonly maxAttempts: number
  private readonly mayRepeat: boolean
  private readonly expiresAt: number

  constructor(balancer: Balancer, maxAttempts: number, mayRepeat: boolean, expiresAt: number) {
    this.balancer = balancer
    this.maxAttempts = maxAttempts
    this.mayRepeat = mayRepeat
    this.expiresAt = expiresAt
  }

  /** Milliseconds until the next attempt; none when there is to be none. */
  next(failure: Failure): number | undefined {
    const { balancer, maxAttempts } = this
    this.attempts++
    if (failure.outcome !== "NotSent") this.counted++
    this.isAmbiguous ||= failure.outcome === "Ambiguous"
    const count = Math.max(1, balancer.source().nodes.length)
    if (!isUseful(failure, this.mayRepeat)) return undefined
    if (this.counted >= maxAttempts || this.attempts >= count * maxAttempts) return undefined
    // Another node need not be waited for: it has done nothing wrong.
    const isElsewhere = this.attempts % count !== 0
    const isFree = failure.tag === "NodeUnreachable" || failure.tag === "RequestLimitExceeded"
    const delay = failure.isClockCorrected === true || (isElsewhere && (isFree || this.counted <= 1))
      ? 0
      : balancer.draw() * Math.min(MAX_BACKOFF_MILLIS, BACKOFF_MILLIS * 2 ** Math.min(10, this.attempts))
    return balancer.now() + delay >= this.expiresAt ? undefined : delay
  }

  /** What became of the request: what any attempt may have applied, may be applied. */
  outcome(last: Outcome): Outcome {
    return this.isAmbiguous ? "Ambiguous" : last
  }
}
