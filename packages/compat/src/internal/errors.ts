import type { Attempt, CqlError, CqlReason } from "@effect-scylla/driver/CqlError"
import * as Consistency from "@effect-scylla/protocol/Consistency"
import { theirs } from "./theirs.ts"

const { ArgumentError, AuthenticationError, BusyConnectionError, DriverError, DriverInternalError } = theirs
  .errors as any
const { NoHostAvailableError, OperationTimedOutError, ResponseError } = theirs.errors as any

/** Whether a retry policy wants the next node of the plan, and whether there is one. */
export type Next = "unwanted" | "wanted" | "nobody"

/** What a request's error is told of besides the reason. */
export interface Context {
  /** The text of a single statement. */
  readonly query?: string | undefined
  /** What a policy has said of the next node. */
  readonly next?: Next | undefined
}

/** The reason why, without being shown among the properties: that is how `new Error(message, { cause })` has it. */
export const because = <E extends Error>(error: E, cause: unknown): E => {
  Object.defineProperty(error, "cause", { value: cause, configurable: true, enumerable: false, writable: true })
  return error
}

/** Nothing came back, or the wire is gone: what `cassandra-driver` calls a socket error. */
const LOST: ReadonlySet<string> = new Set([
  "ConnectionLost",
  "ConnectionClosed",
  "HeartbeatTimeout",
  "NodeSilent",
  "ProtocolViolation"
])

/** `ECONNREFUSED` and the like, where the system has said so. */
const systemCode = (reason: CqlReason): object => {
  for (let cause: any = reason; cause instanceof Error || cause === reason; cause = cause.cause) {
    if (typeof cause?.code === "string") return { code: cause.code }
    if (cause?.cause === undefined) break
  }
  return {}
}

/** A connection that ends is told by the driver, one that is not made by the system: with its code. */
const socketError = (reason: CqlReason, sent: boolean): Error => {
  const error = LOST.has(reason._tag)
    ? new DriverError(reason.message)
    : Object.assign(new Error(reason.message), systemCode(reason))
  return Object.assign(error, { isSocketError: true, ...(sent ? {} : { requestNotWritten: true }) })
}

/** What a server answered, with the numbers that came with it under the names that programs look for. */
const responseError = (reason: CqlReason & { readonly code: number }): Error => {
  const error = new ResponseError(reason.code, reason.message)
  const levelOf = (level: Consistency.Consistency) => Consistency.toCode(level)
  switch (reason._tag) {
    case "Unavailable":
      return Object.assign(error, {
        consistencies: levelOf(reason.consistency),
        required: reason.required,
        alive: reason.alive
      })
    case "ReadTimeout":
      return Object.assign(error, {
        consistencies: levelOf(reason.consistency),
        received: reason.received,
        blockFor: reason.required,
        isDataPresent: reason.dataPresent ? 1 : 0
      })
    case "ReadFailure":
      return Object.assign(error, {
        consistencies: levelOf(reason.consistency),
        received: reason.received,
        blockFor: reason.required,
        failures: reason.failures,
        isDataPresent: reason.dataPresent ? 1 : 0
      })
    case "WriteTimeout":
      return Object.assign(error, {
        consistencies: levelOf(reason.consistency),
        received: reason.received,
        blockFor: reason.required,
        writeType: reason.writeType
      })
    case "WriteFailure":
      return Object.assign(error, {
        consistencies: levelOf(reason.consistency),
        received: reason.received,
        blockFor: reason.required,
        failures: reason.failures,
        writeType: reason.writeType
      })
    case "FunctionFailure":
      return Object.assign(error, {
        keyspace: reason.keyspace,
        functionName: reason.function,
        argTypes: [...reason.argTypes]
      })
    case "AlreadyExists":
      return Object.assign(error, {
        keyspace: reason.keyspace,
        ...(reason.table === "" ? {} : { table: reason.table })
      })
    case "Unprepared":
      return Object.assign(error, { queryId: Buffer.from(reason.id) })
    default:
      return error
  }
}

const isOfServer = (reason: CqlReason): reason is CqlReason & { readonly code: number } =>
  "code" in reason && typeof reason.code === "number"

/** One attempt's failure, as policies and `innerErrors` have it. */
export const attemptError = (reason: CqlReason, node: string | undefined, sent: boolean): Error => {
  const error = errorOf(reason, node, sent)
  return node === undefined ? error : Object.assign(error, { coordinator: node })
}

const errorOf = (reason: CqlReason, node: string | undefined, sent: boolean): Error => {
  if (reason._tag === "BadCredentials") {
    return because(
      Object.assign(new AuthenticationError(reason.message), { additionalInfo: responseError(reason) }),
      reason
    )
  }
  if (isOfServer(reason)) return because(responseError(reason), reason)
  switch (reason._tag) {
    case "RequestTimeout":
    case "AttemptTimeout":
      return because(new OperationTimedOutError(reason.message, node), reason)
    case "AuthenticationFailed":
      return because(new AuthenticationError(reason.message), reason)
    case "ConnectionBusy":
    case "ClientOverloaded":
      return because(Object.assign(new BusyConnectionError(node, 0, 1), { message: reason.message }), reason)
    case "HandshakeFailed":
      return reason.error === undefined
        ? because(socketError(reason, false), reason)
        : errorOf(reason.error, node, sent)
    case "EncodeError": {
      // What the encoder of cassandra-driver has thrown is what its users get.
      const { cause } = reason as { readonly cause?: unknown }
      return cause instanceof Error ? cause : because(new TypeError(reason.message), reason)
    }
    case "InvalidStatement":
    case "InvalidConfiguration":
      return because(new ArgumentError(reason.message), reason)
    case "NoNodeAvailable":
    case "ClientClosed":
    case "NoContactPoint":
      return because(new NoHostAvailableError({}, reason.message), reason)
    case "MalformedResponse": {
      // A value that a class of cassandra-driver cannot hold.
      const { cause } = (reason.cause ?? {}) as { readonly cause?: unknown }
      return cause instanceof Error ? cause : because(new DriverInternalError(reason.message), reason)
    }
    default:
      return LOST.has(reason._tag) || reason._tag === "DialFailed" || reason._tag === "ConnectTimeout"
        ? because(socketError(reason, sent), reason)
        : because(new DriverInternalError(reason.message), reason)
  }
}

/** The failures of attempts by the nodes that they were on. */
export const byNode = (attempts: ReadonlyArray<Attempt>): Record<string, Error> => {
  const found: Record<string, Error> = {}
  for (const { node, reason, sent } of attempts) found[node] = attemptError(reason, node, sent)
  return found
}

/** What another node might have answered otherwise. */
const PASSING: ReadonlySet<string> = new Set([
  ...LOST,
  "AttemptTimeout",
  "IsBootstrapping",
  "Overloaded",
  "TruncateError",
  "Unavailable"
])

/** Nobody was there to be asked, or nobody was left to whom it could have gone on. */
const isNobody = ({ attempts = [], reason: { _tag } }: CqlError): boolean =>
  _tag === "NoNodeAvailable" || _tag === "ConnectionBusy" || _tag === "ClientOverloaded" ||
  (PASSING.has(_tag) && attempts.at(-1)?.decision === "NextNode")

/** The error of `cassandra-driver` that says the same, with ours as its `cause`. */
export const fromCqlError = (error: CqlError, { next, query }: Context = {}): Error => {
  const { attempts = [], reason } = error
  if (reason._tag === "NoContactPoint") {
    const inner: Record<string, Error> = {}
    for (const { contactPoint, reason: why } of reason.reasons) {
      inner[contactPoint] = attemptError(why, undefined, false)
    }
    return because(new NoHostAvailableError(inner), error)
  }
  const isGoingOn = next === "nobody" || (next === "wanted" && attempts.at(-1)?.decision === "NextNode")
  if (isNobody(error) || isGoingOn) {
    return because(new NoHostAvailableError(byNode(attempts)), error)
  }
  const last = attempts.at(-1)
  const made = attemptError(reason, last?.node, last?.sent ?? false)
  // What a caller's value made an encoder throw is the caller's error: it stays as it is.
  if (reason._tag === "EncodeError" && made === (reason as { readonly cause?: unknown }).cause) {
    return query === undefined ? made : Object.assign(made, { query })
  }
  if (query !== undefined && last !== undefined) Object.assign(made, { query })
  return because(made, error)
}
