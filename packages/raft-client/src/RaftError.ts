/**
 * What can go wrong, and above all what is known of a write then.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

interface Common {
  readonly message: string
}

/** No leader was found in time; `evidence` has the last answer of each node. @category errors @since 0.1.0 */
export class NoLeader extends Data.TaggedError("NoLeader")<Common & { readonly evidence: ReadonlyArray<Evidence> }> {}
/** The deadline passed. @category errors @since 0.1.0 */
export class RequestTimeout extends Data.TaggedError("RequestTimeout")<Common> {}
/** There was no connection, or it broke. @category errors @since 0.1.0 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<Common> {}
/** The nodes that could serve this answered that they do not serve at present. @category errors @since 0.1.0 */
export class NotServing extends Data.TaggedError("NotServing")<Common> {}
/** The servers, or the queue of callers in this client, had no room until the deadline. @category errors @since 0.1.0 */
export class Overloaded extends Data.TaggedError("Overloaded")<Common> {}
/** The server says that it failed, not what became of the request. @category errors @since 0.1.0 */
export class ServerFailure extends Data.TaggedError("ServerFailure")<Common> {}
/** The request is wrong; here or there it was seen. @category errors @since 0.1.0 */
export class InvalidRequest extends Data.TaggedError("InvalidRequest")<Common> {}
/** A request or an answer is longer than allowed. @category errors @since 0.1.0 */
export class MessageTooLarge extends Data.TaggedError("MessageTooLarge")<Common> {}
/** This kind of server, or this build of it, cannot do that. @category errors @since 0.1.0 */
export class Unsupported extends Data.TaggedError("Unsupported")<Common & { readonly capability: string }> {}
/** The credentials were missing or not enough. @category errors @since 0.1.0 */
export class PermissionDenied extends Data.TaggedError("PermissionDenied")<Common> {}
/** The answer cannot be read. @category errors @since 0.1.0 */
export class MalformedResponse extends Data.TaggedError("MalformedResponse")<Common> {}
/** Another cluster answers at an address. @category errors @since 0.1.0 */
export class OtherCluster extends Data.TaggedError("OtherCluster")<Common> {}
/** What was to be read at one revision is not there any longer: start again. @category errors @since 0.1.0 */
export class Compacted extends Data.TaggedError("Compacted")<Common> {}
/** The lease is gone, or nobody could renew it in time; and with it the lock or the office that rested on it. @category errors @since 0.1.0 */
export class LeaseLost extends Data.TaggedError("LeaseLost")<Common> {}
/** The client was closed. @category errors @since 0.1.0 */
export class ClientClosed extends Data.TaggedError("ClientClosed")<Common> {}

/**
 * The closed union of reasons.
 *
 * @category errors
 * @since 0.1.0
 */
export type RaftReason =
  | NoLeader
  | RequestTimeout
  | ConnectionLost
  | NotServing
  | Overloaded
  | ServerFailure
  | InvalidRequest
  | MessageTooLarge
  | Unsupported
  | PermissionDenied
  | MalformedResponse
  | OtherCluster
  | Compacted
  | LeaseLost
  | ClientClosed

/**
 * What is known of a write that did not succeed.
 *
 * **Details**
 *
 * `NotSent`: no server has seen it. `Rejected`: it was certainly not applied and will not be. `Ambiguous`: it may have been
 * applied, or may yet be; the client has not repeated it.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "NotSent" | "Rejected" | "Ambiguous"

/**
 * The last thing that was heard of a node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Evidence {
  readonly address: string
  readonly answer: string
}

/**
 * One try of a request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempt {
  readonly address: string
  /** What came of it, in words. */
  readonly result: string
  /** Milliseconds from the start of the request to this result. */
  readonly atMillis: number
}

/**
 * The error of this package.
 *
 * @category errors
 * @since 0.1.0
 */
export class RaftError extends Data.TaggedError("RaftError")<{
  readonly reason: RaftReason
  /** The operation that failed, as the method is called. */
  readonly operation: string
  /** Set for writes only: reads change nothing. */
  readonly outcome: Outcome | undefined
  /** The tries before, oldest first; the last 16 of them. */
  readonly attempts: ReadonlyArray<Attempt>
  /** The caller has said that doing it again does no harm (`idempotent: true`). */
  readonly idempotent: boolean
}> {
  override get message(): string {
    const known = this.outcome === undefined ? "" : ` (the write is ${said[this.outcome]})`
    return `${this.operation}: ${this.reason.message}${known}`
  }
  /**
   * The same request may be sent again without harm, and may succeed then: it is a read, or a write that was certainly not applied,
   * or one whose caller has said `idempotent`; and the reason is one that passes. `retry` goes by this.
   */
  get isSafeToRetry(): boolean {
    return transient.has(this.reason._tag) && (this.outcome !== "Ambiguous" || this.idempotent)
  }
  /** The same, whatever the caller has said of the request: an ambiguous write never is. */
  get isRetryable(): boolean {
    return this.outcome !== "Ambiguous" && transient.has(this.reason._tag)
  }
}

const said: Record<Outcome, string> = {
  NotSent: "not sent",
  Rejected: "not applied",
  Ambiguous: "ambiguous: it may have been applied; read before you repeat it, or see RaftClient.resolve"
}

const transient = new Set<RaftReason["_tag"]>([
  "NoLeader",
  "RequestTimeout",
  "ConnectionLost",
  "NotServing",
  "Overloaded",
  "ServerFailure",
  "Compacted"
])

/**
 * An error of an operation.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  operation: string,
  reason: RaftReason,
  outcome?: Outcome,
  attempts: ReadonlyArray<Attempt> = []
): RaftError => new RaftError({ operation, reason, outcome, attempts, idempotent: false })

/**
 * The same error of a request whose caller has said that doing it again does no harm.
 *
 * @category combinators
 * @since 0.1.0
 */
export const asIdempotent = ({ attempts, operation, outcome, reason }: RaftError): RaftError =>
  new RaftError({ operation, reason, outcome, attempts, idempotent: true })

/**
 * Pauses that double from 50 milliseconds up to 2 seconds, drawn between 80 and 120 percent of that; 8 of them, about 7 seconds in
 * all. An operation has a deadline of its own, within which the client tries again by itself: this is for what outlasts it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const retrySchedule: Schedule.Schedule<unknown> = Schedule.min([
  Schedule.exponential("50 millis"),
  Schedule.spaced("2 seconds")
]).pipe(Schedule.jittered, Schedule.upTo({ times: 8 }))

/**
 * Tries again what may be tried again (`isSafeToRetry`), by `retrySchedule` or another. Everything else fails at once: an
 * ambiguous write most of all.
 *
 * @category combinators
 * @since 0.1.0
 */
export const retry =
  (schedule: Schedule.Schedule<unknown> = retrySchedule) =>
  <A, R>(effect: Effect.Effect<A, RaftError, R>): Effect.Effect<A, RaftError, R> =>
    Effect.retry(effect, { schedule, while: (error) => error.isSafeToRetry })
