import type * as Balancing from "@effect-scylla/driver/Balancing"
import type { Attempted, Policy as RetryPolicy, Verdict } from "@effect-scylla/driver/RetryPolicy"
import type * as Snapshot from "@effect-scylla/driver/Snapshot"
import * as Consistency from "@effect-scylla/protocol/Consistency"
import { attemptError, type Next } from "./errors.ts"
import { addressOf, type Host } from "./hosts.ts"
import { theirs } from "./theirs.ts"

const { loadBalancing, retry } = theirs.policies as any

const own = (instance: object, name: string): boolean => Object.hasOwn(instance, name)

/** What the engine does by itself for what `cassandra-driver` does by default: replicas of the local datacenter first. */
export const isDefaultBalancing = (policy: any): boolean => {
  switch (policy?.constructor) {
    case loadBalancing.DefaultLoadBalancingPolicy:
      // Checks that a user has put into it are for it to make.
      return !["_isHostNewlyUp", "_healthCheck", "_compare", "_getReplicas"].some((name) => own(policy, name)) &&
        policy._filter === policy._defaultFilter
    case loadBalancing.TokenAwarePolicy:
      return policy.childPolicy?.constructor === loadBalancing.DCAwareRoundRobinPolicy
    default:
      return false
  }
}

/** What nothing has to be asked for: the engine's own decisions, which are those of the default policy where that loses nothing. */
export const isDefaultRetry = (policy: any): boolean => policy?.constructor === retry.RetryPolicy

/** The nodes of a plan, one when it is asked for. */
export const balancingOf = (hosts: Iterator<Host> | Iterable<Host>): Balancing.Policy => () => ({
  [Symbol.iterator]: () => {
    const plan = Symbol.iterator in hosts ? hosts[Symbol.iterator]() : hosts
    return {
      next: () => {
        for (let item = plan.next(); item.done !== true; item = plan.next()) {
          if (item.value?.node !== undefined) return { done: false, value: item.value.node }
        }
        return { done: true, value: undefined }
      }
    }
  }
})

/** What a retry policy is asked with. */
export interface Asking {
  readonly policy: any
  /** For `OperationInfo`. */
  readonly query: unknown
  readonly executionOptions: any
  /** Whether what may be applied twice may be sent again. */
  readonly isUnsafe: boolean
  /** Told of another level of consistency, by its code. */
  readonly onLevel: (consistency: number) => void
  readonly onIgnore: (error: Error) => void
  /** The nodes that may be asked; `undefined` where a plan says which, and when there are no more. */
  readonly nodes: (() => ReadonlyArray<Snapshot.Node>) | undefined
  /** Told of the next node of the plan each time that the policy is asked. */
  readonly onNext: (next: Next) => void
}

const LOST: ReadonlySet<string> = new Set([
  "AttemptTimeout",
  "ConnectionClosed",
  "ConnectionLost",
  "HeartbeatTimeout",
  "IsBootstrapping",
  "Overloaded",
  "ProtocolViolation",
  "RequestTimeout",
  "TruncateError"
])

const asked = ({ executionOptions, policy, query }: Asking, attempted: Attempted, error: Error): any => {
  const { reason } = attempted
  const info = { query, executionOptions, nbRetry: attempted.attempts - 1 }
  const isIdempotent = executionOptions.isIdempotent()
  switch (reason._tag) {
    case "Unavailable":
      return policy.onUnavailable(info, Consistency.toCode(reason.consistency), reason.required, reason.alive)
    case "ReadTimeout":
      return policy.onReadTimeout(
        info,
        Consistency.toCode(reason.consistency),
        reason.received,
        reason.required,
        reason.dataPresent ? 1 : 0
      )
    case "WriteTimeout":
      return isIdempotent
        ? policy.onWriteTimeout(
          info,
          Consistency.toCode(reason.consistency),
          reason.received,
          reason.required,
          reason.writeType
        )
        : undefined
    default:
      return LOST.has(reason._tag) && isIdempotent
        ? policy.onRequestError(info, Consistency.toCode(attempted.consistency), error)
        : undefined
  }
}

/** A retry policy of `cassandra-driver`, or of a user, for one request. */
export const retryOf = (asking: Asking): RetryPolicy => {
  const tried = new Set<string>()
  /** A plan has each node once: the engine by itself would begin anew. */
  const isLast = ({ address, port }: { readonly address: string; readonly port: number }): boolean => {
    tried.add(addressOf({ address, port }))
    return asking.nodes?.().every((node) => tried.has(addressOf(node)) || node.pool?.isUp !== true) === true
  }
  return {
    decide: (attempted): Verdict => {
      const { node, reason, sent } = attempted
      asking.onNext("unwanted")
      // What was not sent is for nobody to decide: it goes on where there is somebody.
      if (!sent) return { decision: attempted.proposed }
      const error = attemptError(reason, undefined, sent)
      const { decision, consistency, useCurrentHost } = asked(asking, attempted, error) ?? { decision: 0 }
      if (decision === retry.RetryPolicy.retryDecision.ignore) {
        asking.onIgnore(error)
        return { decision: "Fail" }
      }
      if (decision !== retry.RetryPolicy.retryDecision.retry) return { decision: "Fail" }
      if (useCurrentHost === false) {
        const isDone = isLast(node)
        asking.onNext(isDone ? "nobody" : "wanted")
        if (isDone) return { decision: "Fail" }
      }
      if (typeof consistency === "number") asking.onLevel(consistency)
      return {
        decision: useCurrentHost === false ? "NextNode" : "SameNode",
        delay: 0,
        ...(typeof consistency === "number" ? { consistency: Consistency.fromCode(consistency) } : {}),
        ...(asking.isUnsafe ? { evenIfItIsAppliedTwice: true } : {})
      }
    }
  }
}
