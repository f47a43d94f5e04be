/**
 * The one error of this package: why a request failed for good, what became of a write, and what was tried.
 *
 * @since 0.1.0
 */
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import type { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import type { ServerError } from "@effect-scylla/protocol/ServerError"
import * as Data from "effect/Data"

/** Wrong options; `issues` names every wrong field. @category errors @since 0.1.0 */
export class InvalidConfiguration extends Data.TaggedError("InvalidConfiguration")<{
  readonly message: string
  readonly issues: ReadonlyArray<{ readonly path: string; readonly message: string }>
}> {}
/** No contact point could be used; `reasons` has one for each. @category errors @since 0.1.0 */
export class NoContactPoint extends Data.TaggedError("NoContactPoint")<{
  readonly message: string
  readonly reasons: ReadonlyArray<{ readonly contactPoint: string; readonly reason: PoolReason | ServerError }>
}> {}
/** No node of the local datacenter has a connection that takes requests. @category errors @since 0.1.0 */
export class NoNodeAvailable extends Data.TaggedError("NoNodeAvailable")<{ readonly message: string }> {}
/**
 * An attempt was not answered in its own time, and the request went on with another node. The reason of an attempt; of a request
 * only where no other node was left.
 *
 * @category errors
 * @since 0.1.0
 */
export class AttemptTimeout extends Data.TaggedError("AttemptTimeout")<{ readonly message: string }> {}
/** The statement was prepared again and became another one, with other variables or of another table. @category errors @since 0.1.0 */
export class StatementChanged extends Data.TaggedError("StatementChanged")<{ readonly message: string }> {}
/** The statement cannot be sent this way. @category errors @since 0.1.0 */
export class InvalidStatement extends Data.TaggedError("InvalidStatement")<{ readonly message: string }> {}
/** A statement that is read as a whole has more rows than `maxRows`. @category errors @since 0.1.0 */
export class ResultTooLarge extends Data.TaggedError("ResultTooLarge")<{ readonly message: string }> {}
/** Exactly one row was asked for, and there is none, or more than one. @category errors @since 0.1.0 */
export class NotOneRow extends Data.TaggedError("NotOneRow")<{ readonly message: string }> {}
/** What a trace tells is not there, or not yet. @category errors @since 0.1.0 */
export class TraceMissing extends Data.TaggedError("TraceMissing")<{ readonly message: string }> {}
/** A paging token is none, or one of another statement, of other values or of another secret. @category errors @since 0.1.0 */
export class PagingTokenRefused extends Data.TaggedError("PagingTokenRefused")<{ readonly message: string }> {}
/**
 * The Schemas of a statement (`CqlSchema`) do not fit its columns or variables; `issues` names everything that does not.
 *
 * @category errors
 * @since 0.1.0
 */
export class SchemaMismatch extends Data.TaggedError("SchemaMismatch")<{
  readonly message: string
  readonly issues: ReadonlyArray<string>
}> {}
/** The client was closed. @category errors @since 0.1.0 */
export class ClientClosed extends Data.TaggedError("ClientClosed")<{ readonly message: string }> {}

/**
 * The closed union of reasons.
 *
 * @category errors
 * @since 0.1.0
 */
export type CqlReason =
  | ServerError
  | PoolReason
  | EncodeError
  | InvalidConfiguration
  | NoContactPoint
  | NoNodeAvailable
  | AttemptTimeout
  | StatementChanged
  | InvalidStatement
  | ResultTooLarge
  | NotOneRow
  | TraceMissing
  | PagingTokenRefused
  | SchemaMismatch
  | ClientClosed

/**
 * What became of a write that failed.
 *
 * - `NotSent`: it never left this process.
 * - `Rejected`: it was certainly not applied.
 * - `Ambiguous`: it may have been applied, wholly or in part, now or later.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "NotSent" | "Rejected" | "Ambiguous"

/**
 * One try of a request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempt {
  /** The node, `address:port`. */
  readonly node: string
  readonly shard: number
  readonly reason: CqlReason
  readonly sent: boolean
  /** Milliseconds, as coarse as the ticker (100 ms). */
  readonly durationMillis: number
  /** What was done about it. */
  readonly decision: "Fail" | "SameNode" | "NextNode" | "Prepare"
}

/**
 * How far the execution of many rows got.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** Rows that were taken, those that failed before anything was sent included. */
  readonly sent: number
  readonly succeeded: number
  readonly failed: number
}

const RETRYABLE: ReadonlySet<string> = new Set([
  "Unavailable",
  "Overloaded",
  "IsBootstrapping",
  "ReadTimeout",
  "WriteTimeout",
  "RateLimitReached",
  "ConnectionLost",
  "ConnectionClosed",
  "ConnectionBusy",
  "ClientOverloaded",
  "HeartbeatTimeout",
  "NodeSilent",
  "RequestTimeout",
  "AttemptTimeout",
  "NoNodeAvailable",
  "NoContactPoint",
  "DialFailed",
  "ConnectTimeout"
])

/**
 * A request that failed, after whatever was retried.
 *
 * `Effect.catchReason("CqlError", "Unavailable", …)` handles one reason; `attempts` tells every try, the last one last.
 *
 * @category errors
 * @since 0.1.0
 */
export class CqlError extends Data.TaggedError("CqlError")<{
  readonly reason: CqlReason
  /** What became of it, for everything but reads. */
  readonly outcome?: Outcome | undefined
  readonly attempts?: ReadonlyArray<Attempt> | undefined
  /** The statement's text. Values are never part of an error. */
  readonly statement?: string | undefined
  /** Whether it was said to be idempotent. */
  readonly idempotent?: boolean | undefined
  /**
   * Of many rows: how far it got when all that was sent had ended, the place, from 0, of the row that failed, and the failures that were
   * collected.
   */
  readonly progress?:
    | (Progress & {
      readonly index: number
      readonly failures?: ReadonlyArray<{ readonly index: number; readonly error: CqlError }> | undefined
    })
    | undefined
}> {
  /** What was wrong, what became of a write, where it was tried, and a part of the statement. */
  override get message(): string {
    const { attempts = [], outcome, reason, statement } = this
    const last = attempts.at(-1)
    const tried = last === undefined
      ? ""
      : attempts.length === 1
      ? ` on ${last.node}`
      : ` (after ${attempts.length} attempts, the last on ${last.node})`
    const what = statement === undefined || statement === "" ? "" : `: ${shortened(statement)}`
    const { progress } = this
    const row = progress === undefined
      ? ""
      : `row ${progress.index} of ${progress.sent} that were sent, of which ${progress.succeeded} succeeded: `
    return `${row}${reason.message}${outcome === undefined ? "" : ` [${outcome}]`}${tried}${what}`
  }
  /**
   * Whether the same request may be sent again and can do no harm: what went wrong may pass, and it was a read, was certainly not
   * applied, or is idempotent. `Retry.schedule` goes by it.
   */
  get isSafeToRetry(): boolean {
    if (!this.isRetryable) return false
    if (this.outcome === undefined || this.idempotent === true) return true
    // Of many rows, others may have been applied.
    return this.outcome !== "Ambiguous" && this.progress === undefined
  }
  /**
   * Whether what went wrong may pass, so that the same request may succeed later. It says nothing about whether sending it again
   * does harm, for example counts twice: that is {@link isSafeToRetry}.
   */
  get isRetryable(): boolean {
    return RETRYABLE.has(this.reason._tag)
  }
}

/** Characters of a statement that a message has. */
const SHORT = 120

/** A statement in a line of a message. @internal */
export const shortened = (statement: string): string => {
  const line = statement.replace(/\s+/g, " ").trim()
  return line.length > SHORT ? `${line.slice(0, SHORT)}…` : line
}
