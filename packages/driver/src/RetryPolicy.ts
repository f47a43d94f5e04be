/**
 * What became of a request that failed, and whether it is sent again: total functions, and the only place where that is decided. A
 * policy of the user's is asked here, and held to what must not be repeated.
 *
 * @since 0.1.0
 */
import type { Consistency } from "@effect-scylla/protocol/Consistency"
import type * as Duration from "effect/Duration"
import { format } from "effect/Formatter"
import type { CqlReason, Outcome } from "./CqlError.ts"
import type { Coordinator } from "./ResultSet.ts"
import type { StatementKind } from "./StatementKind.ts"

/**
 * What counts of a failed attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly reason: CqlReason
  /** Whether the frame was ever given to a socket. */
  readonly sent: boolean
  readonly kind: StatementKind
  /** The statement says that doing it twice is the same as doing it once. */
  readonly isIdempotent: boolean
  /** The consistency is SERIAL or LOCAL_SERIAL. */
  readonly isSerial: boolean
  /** Earlier attempts of this request that were decided `SameNode`, and those decided `NextNode` because of `Unavailable`. */
  readonly sameNode: number
  readonly unavailable: number
}

/**
 * `undefined` for a read: it changes nothing.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const outcomeOf = (failure: Pick<Failure, "reason" | "sent" | "kind">): Outcome | undefined => {
  const { kind, reason, sent } = failure
  if (kind.type === "read") return undefined
  if (!sent) return "NotSent"
  switch (reason._tag) {
    case "ProtocolError":
    case "BadCredentials":
    case "IsBootstrapping":
    case "CqlSyntaxError":
    case "Unauthorized":
    case "InvalidRequest":
    case "ConfigError":
    case "AlreadyExists":
    case "Unprepared":
      return "Rejected"
    case "RateLimitReached":
      return reason.rejectedByCoordinator ? "Rejected" : "Ambiguous"
    case "Unavailable":
      // A Paxos commit chooses replicas again after the proposal was accepted, and an unlogged batch may have sent
      // earlier mutations: only these two were certainly not begun.
      return (kind.type === "write" && kind.isSinglePartition && !kind.isConditional) ||
          (kind.batch === "logged" && !kind.isConditional)
        ? "Rejected"
        : "Ambiguous"
    default:
      return "Ambiguous"
  }
}

/**
 * `SameNode` and `NextNode` send the request again; `Fail` ends it.
 *
 * @category outcomes
 * @since 0.1.0
 */
export type Decision = "Fail" | "SameNode" | "NextNode"

/**
 * Whether and where a request is sent again.
 *
 * Errors of the statement itself fail at once, however safe a repetition would be: they would fail again. A conditional
 * statement or serial read is repeated only when it certainly did nothing.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const decide = (failure: Failure): Decision => {
  const { isIdempotent, isSerial, kind, reason, sent } = failure
  const outcome = outcomeOf(failure)
  if (!sent) {
    if (reason._tag === "EncodeError" || reason._tag === "RequestTimeout") return "Fail"
    // Two coordinators of one row make Paxos contend: its own node first, as gocql's policy for such statements.
    return (kind.isConditional || isSerial) && failure.sameNode === 0 ? "SameNode" : "NextNode"
  }
  if (kind.isConditional || isSerial) return reason._tag === "IsBootstrapping" ? "NextNode" : "Fail"
  const repeatable = kind.type === "read" || isIdempotent
  switch (reason._tag) {
    case "IsBootstrapping":
      return "NextNode"
    case "Unavailable":
      return failure.unavailable === 0 && (repeatable || outcome === "Rejected") ? "NextNode" : "Fail"
    case "ReadTimeout":
      return failure.sameNode === 0 && repeatable && reason.received >= reason.required && !reason.dataPresent
        ? "SameNode"
        : "Fail"
    case "WriteTimeout":
      return failure.sameNode === 0 && isIdempotent && reason.writeType === "BATCH_LOG" ? "SameNode" : "Fail"
    case "AttemptTimeout":
    case "ConnectionLost":
    case "ConnectionClosed":
    case "HeartbeatTimeout":
    case "ProtocolViolation":
    case "Overloaded":
    case "InternalServerError":
    case "TruncateError":
      return repeatable ? "NextNode" : "Fail"
    default:
      return "Fail"
  }
}

/**
 * Whether a request may be sent a second time while the first is under way: by an attempt whose time is over, or a speculation. Reads
 * and what is said to be idempotent; never a conditional statement or a serial read, which contend with themselves, and never a
 * counter, whatever is said of it.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const mayBeSentTwice = (
  { isIdempotent, isSerial, kind }: Pick<Failure, "isIdempotent" | "isSerial" | "kind">
): boolean =>
  kind.type === "read" ? !isSerial : isIdempotent && !isSerial && !kind.isConditional && kind.isCounter !== true

/**
 * What a policy is told of an attempt that failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempted extends Failure {
  /** What became of it; `undefined` for a read. */
  readonly outcome: Outcome | undefined
  /** What happens without a policy. */
  readonly proposed: Decision
  /** Attempts of this request so far, this one included. */
  readonly attempts: number
  /** The statement's text. */
  readonly statement: string
  /** Who was asked. */
  readonly node: Coordinator
  readonly consistency: Consistency
  readonly label: string | undefined
  readonly profile: string | undefined
  /** Milliseconds that the request has taken, and those that it has left; as coarse as the ticker (100 ms). */
  readonly elapsedMillis: number
  readonly leftMillis: number
}

/**
 * What a policy wants: a decision, or one with more to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verdict {
  readonly decision: Decision
  /** To be waited before that. Default: nothing before the first repetition, then a random part of a delay that doubles. */
  readonly delay?: Duration.Input | undefined
  /** Of the attempts from now on. */
  readonly consistency?: Consistency | undefined
  /**
   * The statement may have been applied, and applying it once more is not the same as applying it once: it is sent again all the same.
   * Without this, such a statement fails whatever is decided.
   */
  readonly evenIfItIsAppliedTwice?: true | undefined
}

/**
 * What is done about attempts that fail, of a client, a profile or a request. Everything is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /**
   * Asked after each attempt that failed, and before one is given up because its time is over: with `Fail` it goes on instead, for all the
   * time of the request. What it throws is a defect of the request, and so is any other answer. Default: {@link decide}.
   */
  readonly decide?: ((attempted: Attempted) => Decision | Verdict) | undefined
  /** The time of one attempt, as `attemptTimeout` of the options, which wins over it. */
  readonly attemptTimeout?: Duration.Input | false | undefined
  /**
   * Before each repetition but the first `NextNode` and the first `SameNode`: a random part of `base` (default 20 ms), which doubles
   * with each up to `cap` (1 s). `false`: none.
   */
  readonly backoff?:
    | { readonly base?: Duration.Input | undefined; readonly cap?: Duration.Input | undefined }
    | false
    | undefined
  /** Attempts of one request, the first included. Default: as many as its time and the client's budget allow. */
  readonly maxAttempts?: number | undefined
}

/**
 * How many repetitions a client makes at most, the first of each request aside: a part of its requests, so that a cluster that is
 * overloaded is not asked several times for everything.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryBudget {
  /** Repetitions for each request. Default 0.2. */
  readonly share?: number | undefined
  /** So many may be saved up. Default 100. */
  readonly burst?: number | undefined
}

const DECISIONS: ReadonlySet<unknown> = new Set(["Fail", "SameNode", "NextNode"])

/**
 * What a policy's decision comes to: as it wants it, but what may have been applied and is not idempotent is not repeated unless the
 * policy says {@link Verdict.evenIfItIsAppliedTwice}. Throws a `TypeError` for an answer that is none of the decisions.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const govern = (policy: Policy | undefined, attempted: Attempted): Verdict => {
  const { attempts, isIdempotent, kind, outcome, proposed } = attempted
  const given = policy?.decide?.(attempted) ?? proposed
  const verdict: Verdict = typeof given === "string" ? { decision: given } : given
  // A misspelt word or a promise must not be taken for a repetition.
  if (typeof verdict !== "object" || verdict === null || !DECISIONS.has(verdict.decision)) {
    throw new TypeError(`a retry policy decides "Fail", "SameNode" or "NextNode", got ${format(given)}`)
  }
  if (verdict.decision === "Fail") return verdict
  if (policy?.maxAttempts !== undefined && attempts >= policy.maxAttempts) return { decision: "Fail" }
  const isDangerous = outcome === "Ambiguous" && (!isIdempotent || kind.isConditional || kind.isCounter === true)
  // What happens without a policy is right by `decide`.
  if (!isDangerous || verdict.evenIfItIsAppliedTwice === true || verdict.decision === proposed) return verdict
  return { decision: "Fail" }
}

/**
 * No attempt but the first.
 *
 * @category policies
 * @since 0.1.0
 */
export const never: Policy = { decide: () => "Fail", maxAttempts: 1 }
