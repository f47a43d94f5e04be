/**
 * What became of a request that failed, and whether it is sent again: two total functions, and the only place where that
 * is decided.
 *
 * @since 0.1.0
 */
import type { CqlReason, Outcome } from "./CqlError.ts"
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
  if (!sent) return reason._tag === "EncodeError" || reason._tag === "RequestTimeout" ? "Fail" : "NextNode"
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
