import { TICK_MILLIS } from "@effect-scylla/pool/Ticker"
import type { Consistency } from "@effect-scylla/protocol/Consistency"
import * as Duration from "effect/Duration"
import type { Outcome } from "../CqlError.ts"
import type { Coordinator } from "../ResultSet.ts"
import { decide, type Decision, type Failure, govern, type Verdict } from "../RetryPolicy.ts"
import type { History } from "./history.ts"
import type { Routed } from "./ways.ts"

/** What is done about an attempt that failed. */
export interface Judgement {
  readonly decision: Decision
  /** Milliseconds before that, and whether a policy has asked for them. */
  readonly wait: number
  readonly isAsked: boolean
  /** Of the attempts from now on, where that is another one. */
  readonly consistency: Consistency | undefined
}

const millisOf = (duration: Duration.Input): number => {
  const known = Duration.fromInput(duration)
  return known._tag === "Some" ? Math.max(0, Duration.toMillis(known.value)) : 0
}

/** By the table, the policy and the budget. Throws what the policy throws. */
export const judge = (
  { core, options, subject }: Routed,
  history: History,
  failure: Failure,
  told: {
    readonly outcome: Outcome | undefined
    readonly begun: number
    readonly leftMillis: number
    readonly node: Coordinator
  }
): Judgement => {
  const { reason, sent } = failure
  const { begun, leftMillis, node, outcome } = told
  const proposed = decide(failure)
  const { policy } = options.retry
  let verdict: Verdict = { decision: proposed }
  if (policy !== undefined) {
    const { label, profile } = options
    verdict = govern(policy, {
      ...failure,
      outcome,
      proposed,
      attempts: history.attempts.length + 1,
      statement: subject.text,
      node,
      consistency: options.request.consistency,
      label,
      profile,
      elapsedMillis: (core.ticker.now - begun) * TICK_MILLIS,
      leftMillis
    })
  }
  const { consistency, decision } = verdict
  const isAsked = verdict.delay !== undefined
  const judged = (decision: Decision, wait = 0): Judgement => ({ decision, wait, isAsked, consistency })
  // In no time nothing is done, and what goes on without any would go on for ever.
  if (decision === "Fail" || leftMillis <= 0) return judged("Fail")
  const asked = verdict.delay === undefined ? undefined : millisOf(verdict.delay)
  // What was not sent was no load for anybody, and whoever was given up on was waited for long enough.
  if (!sent || reason._tag === "AttemptTimeout") {
    const wait = asked ?? 0
    return wait >= leftMillis ? judged("Fail") : judged(decision, wait)
  }
  const isFirst = (decision === "NextNode" ? history.nextNode : history.sameNode) === 0
  if (!isFirst && !core.retries.mayRepeat(core.requests)) {
    options.series.throttle()
    return judged("Fail")
  }
  const wait = asked ?? (isFirst ? 0 : core.retries.backoff(options, history.repeats++))
  return wait >= leftMillis ? judged("Fail") : judged(decision, wait)
}
