/**
 * What can go wrong between a request and the bytes of its answer.
 *
 * A connection that dies fails all its requests with one shared reason; what a request makes of it (may it be repeated?)
 * is decided by the driver, which is told the reason and whether the frame was given to the socket.
 *
 * @since 0.1.0
 */
import type { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import type { ServerError } from "@effect-scylla/protocol/ServerError"
import * as Data from "effect/Data"

interface Common {
  readonly message: string
  readonly cause?: unknown
}

/** The node could not be reached. @category errors @since 0.1.0 */
export class DialFailed extends Data.TaggedError("DialFailed")<Common & { readonly kind: string }> {}
/** Nothing came of the dial or the handshake in time. @category errors @since 0.1.0 */
export class ConnectTimeout extends Data.TaggedError("ConnectTimeout")<Common> {}
/** The server refused to start a session or the keyspace; `error` is its answer if it gave one. @category errors @since 0.1.0 */
export class HandshakeFailed extends Data.TaggedError("HandshakeFailed")<
  Common & { readonly error?: ServerError | undefined }
> {}
/** The server asked for credentials that were not given, or did not take them. @category errors @since 0.1.0 */
export class AuthenticationFailed extends Data.TaggedError("AuthenticationFailed")<Common> {}
/** The node at the address is another one, or of another cluster, than was expected. @category errors @since 0.1.0 */
export class WrongNode extends Data.TaggedError("WrongNode")<Common> {}
/** The peer ended the connection or the network did. @category errors @since 0.1.0 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<Common> {}
/** This side closed the connection. @category errors @since 0.1.0 */
export class ConnectionClosed extends Data.TaggedError("ConnectionClosed")<Common> {}
/**
 * Nothing is heard of the node on its open connections, and requests go elsewhere until it says something.
 *
 * @category errors
 * @since 0.1.0
 */
export class NodeSilent extends Data.TaggedError("NodeSilent")<Common> {}
/** An idle connection did not answer the heartbeat. @category errors @since 0.1.0 */
export class HeartbeatTimeout extends Data.TaggedError("HeartbeatTimeout")<Common> {}
/** The peer broke the protocol: nothing on the connection can be trusted any more. @category errors @since 0.1.0 */
export class ProtocolViolation extends Data.TaggedError("ProtocolViolation")<Common> {}
/** The answer to this one request cannot be read. @category errors @since 0.1.0 */
export class MalformedResponse extends Data.TaggedError("MalformedResponse")<Common> {}
/** No answer came within the request's deadline. @category errors @since 0.1.0 */
export class RequestTimeout extends Data.TaggedError("RequestTimeout")<Common> {}
/** The connection has as many requests in flight as it may. @category errors @since 0.1.0 */
export class ConnectionBusy extends Data.TaggedError("ConnectionBusy")<Common> {}
/**
 * As many requests wait for room on the node as may: this process sends more than the cluster answers. Send fewer at once.
 *
 * @category errors
 * @since 0.1.0
 */
export class ClientOverloaded extends Data.TaggedError("ClientOverloaded")<Common> {}

/**
 * The closed union of reasons. `EncodeError`: the request cannot be written, and nothing of it was sent.
 *
 * @category errors
 * @since 0.1.0
 */
export type PoolReason =
  | DialFailed
  | ConnectTimeout
  | HandshakeFailed
  | AuthenticationFailed
  | WrongNode
  | ConnectionLost
  | ConnectionClosed
  | HeartbeatTimeout
  | NodeSilent
  | ProtocolViolation
  | MalformedResponse
  | RequestTimeout
  | ConnectionBusy
  | ClientOverloaded
  | EncodeError

/**
 * The error of this package.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolError extends Data.TaggedError("PoolError")<{ readonly reason: PoolReason }> {
  override get message(): string {
    return this.reason.message
  }
}
