/**
 * What can go wrong, what it means for a write, and which nodes were asked.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * What is known of a write that failed.
 *
 * - `NotSent`: no byte of it was given to a connection.
 * - `Rejected`: the server refused it, it was certainly not applied.
 * - `Ambiguous`: it may have been applied.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "NotSent" | "Rejected" | "Ambiguous"

interface Common {
  readonly message: string
  readonly cause?: unknown
}

/** Fields of a configuration that cannot be used, all of them. @category errors @since 0.1.0 */
export class ConfigInvalid extends Data.TaggedError("ConfigInvalid")<
  Common & { readonly issues: ReadonlyArray<{ readonly field: string; readonly message: string }> }
> {}
/** A request that cannot be written as DynamoDB JSON. @category errors @since 0.1.0 */
export class RequestInvalid extends Data.TaggedError("RequestInvalid")<Common> {}
/** No server can tell who is in the routing scope, and there is no wider one to fall back to. @category errors @since 0.1.0 */
export class ScopeUnsupported extends Data.TaggedError("ScopeUnsupported")<Common> {}
/** The client is closed. @category errors @since 0.1.0 */
export class Closed extends Data.TaggedError("Closed")<Common> {}

/** No connection to the node: refused, unreachable, TLS, or not in time. @category errors @since 0.1.0 */
export class NodeUnreachable extends Data.TaggedError("NodeUnreachable")<Common & { readonly kind: string }> {}
/** The connection ended before the answer was complete. @category errors @since 0.1.0 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<Common> {}
/** The node did not answer in the time an attempt has. @category errors @since 0.1.0 */
export class AttemptTimeout extends Data.TaggedError("AttemptTimeout")<Common> {}
/** The time for the request and all its attempts is over. @category errors @since 0.1.0 */
export class DeadlineExceeded extends Data.TaggedError("DeadlineExceeded")<Common> {}
/** An answer that is not what the API promises, or too large. @category errors @since 0.1.0 */
export class MalformedResponse extends Data.TaggedError("MalformedResponse")<Common & { readonly status: number }> {}

/** A condition did not hold; `item` is what is stored, if it was asked for. @category errors @since 0.1.0 */
export class ConditionalCheckFailed extends Data.TaggedError("ConditionalCheckFailed")<
  Common & { readonly item?: Readonly<Record<string, unknown>> | undefined }
> {}
/** There is no such table, stream or backup. @category errors @since 0.1.0 */
export class ResourceNotFound extends Data.TaggedError("ResourceNotFound")<Common> {}
/** The table exists already, or is being created or deleted. @category errors @since 0.1.0 */
export class ResourceInUse extends Data.TaggedError("ResourceInUse")<Common> {}
/** The server does not take the request as it is. @category errors @since 0.1.0 */
export class ValidationFailed extends Data.TaggedError("ValidationFailed")<Common> {}
/** Credentials are missing, wrong, or not enough; `type` is the server's word for it. @category errors @since 0.1.0 */
export class AccessRefused extends Data.TaggedError("AccessRefused")<Common & { readonly type: string }> {}
/** The node has more to do than it takes, or the partition is over its limit. @category errors @since 0.1.0 */
export class RequestLimitExceeded extends Data.TaggedError("RequestLimitExceeded")<
  Common & { readonly shed: boolean }
> {}
/**
 * The storage did not do it; ScyllaDB puts every timeout, unavailability and failure into this one answer. `kind` is read
 * from its text.
 *
 * @category errors
 * @since 0.1.0
 */
export class InternalServerError extends Data.TaggedError("InternalServerError")<
  Common & { readonly kind: "timeout" | "unavailable" | "failure" | "overloaded" | "unknown"; readonly status: number }
> {}
/** Above the server's 16 MiB. @category errors @since 0.1.0 */
export class PayloadTooLarge extends Data.TaggedError("PayloadTooLarge")<Common> {}
/** The server has no such operation. @category errors @since 0.1.0 */
export class UnknownOperation extends Data.TaggedError("UnknownOperation")<Common> {}
/** Any other refusal; `type` is the server's word for it. @category errors @since 0.1.0 */
export class ServerRejected extends Data.TaggedError("ServerRejected")<
  Common & { readonly type: string; readonly status: number }
> {}
/** A batch was not done completely: what is left did not get through in time. @category errors @since 0.1.0 */
export class BatchIncomplete extends Data.TaggedError("BatchIncomplete")<
  Common & { readonly unprocessed: Readonly<Record<string, ReadonlyArray<unknown>>> }
> {}
/** What was waited for did not come in time. @category errors @since 0.1.0 */
export class WaitTimeout extends Data.TaggedError("WaitTimeout")<Common> {}

/**
 * The closed union of reasons.
 *
 * @category errors
 * @since 0.1.0
 */
export type AlternatorReason =
  | ConfigInvalid
  | RequestInvalid
  | ScopeUnsupported
  | Closed
  | NodeUnreachable
  | ConnectionLost
  | AttemptTimeout
  | DeadlineExceeded
  | MalformedResponse
  | ConditionalCheckFailed
  | ResourceNotFound
  | ResourceInUse
  | ValidationFailed
  | AccessRefused
  | RequestLimitExceeded
  | InternalServerError
  | PayloadTooLarge
  | UnknownOperation
  | ServerRejected
  | BatchIncomplete
  | WaitTimeout

/**
 * One try on one node that failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempt {
  /** `host:port` of the node. */
  readonly node: string
  readonly reason: AlternatorReason["_tag"]
  readonly message: string
  readonly outcome: Outcome
  /** From the start of this attempt to its end. */
  readonly millis: number
}

const retryable: ReadonlySet<AlternatorReason["_tag"]> = new Set([
  "NodeUnreachable",
  "ConnectionLost",
  "AttemptTimeout",
  "DeadlineExceeded",
  "RequestLimitExceeded",
  "InternalServerError",
  "BatchIncomplete"
])

/** Whether a request that failed so may be sent again. @internal */
export const isSafe = (tag: AlternatorReason["_tag"], outcome: Outcome, isIdempotent: boolean): boolean =>
  retryable.has(tag) && (outcome !== "Ambiguous" || isIdempotent)

/**
 * The error of this package. Ask `isSafeToRetry` first, or let `Retry` ask it.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlternatorError extends Data.TaggedError("AlternatorError")<{
  readonly reason: AlternatorReason
  /** The operation, `GetItem` for example; none where no request was made. */
  readonly operation?: string | undefined
  /** What became of it. Of a read it says only how far it got. */
  readonly outcome: Outcome
  /** The attempts that failed, in their order, at most 16 of them. */
  readonly attempts: ReadonlyArray<Attempt>
  /** Whether doing it twice comes to the same as doing it once, as the request shows or `RequestOptions.idempotent` says. */
  readonly isIdempotent?: boolean | undefined
}> {
  override get message(): string {
    return this.operation === undefined ? this.reason.message : `${this.operation}: ${this.reason.message}`
  }

  /**
   * Whether the same request may be sent again: it may succeed then, and can do no harm. True of what passes, if it was not
   * applied for certain (`NotSent`, `Rejected`), or may be applied twice: reads, and writes that are idempotent.
   */
  get isSafeToRetry(): boolean {
    return isSafe(this.reason._tag, this.outcome, this.isIdempotent === true)
  }

  /** Whether the same request may succeed later. It may also be applied twice by that: see {@link isSafeToRetry}. */
  get isRetryable(): boolean {
    return retryable.has(this.reason._tag)
  }
}

/**
 * An error of a reason that has nothing to do with a node.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (reason: AlternatorReason, operation?: string): AlternatorError =>
  new AlternatorError({ reason, operation, outcome: "NotSent", attempts: [] })

/**
 * One error that names all wrong fields of a configuration.
 *
 * @category constructors
 * @since 0.1.0
 */
export const configInvalid = (
  issues: ReadonlyArray<{ readonly field: string; readonly message: string }>
): AlternatorError =>
  of(
    new ConfigInvalid({
      issues,
      message: `the configuration cannot be used: ${
        issues.map(({ field, message }) => `${field}: ${message}`).join("; ")
      }`
    })
  )
