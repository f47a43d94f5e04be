/**
 * One connection as the client sees it: bytes to a gRPC method, and what came of it.
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"

/**
 * The end of a call.
 *
 * **Details**
 *
 * `origin` is `Server` when an answer of a gRPC server was seen, be it an error; everything that this side made up itself
 * (no connection, reset, deadline, an answer by something that is not gRPC) is `Client`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  /** The gRPC status; 0 is OK, which says nothing yet about the operation. */
  readonly code: number
  readonly details: string
  /** The message, when `code` is 0. */
  readonly body: Uint8Array | undefined
  readonly origin: "Server" | "Client"
  /** A header or trailer of the answer. */
  readonly header: (name: string) => string | undefined
}

/**
 * What happens on a stream. `onEnd` comes last and once.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamHandlers {
  /** The server has answered with its headers. */
  readonly onOpen: () => void
  readonly onMessage: (body: Uint8Array) => void
  readonly onEnd: (answer: Answer) => void
}

/**
 * A stream under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamCall {
  /** Another message of ours; only on a stream that was opened with `both`. */
  readonly write: (body: Uint8Array) => void
  /** Stops reading, until `resume`: the server is held back by flow control. */
  readonly pause: () => void
  readonly resume: () => void
  readonly cancel: () => void
}

/**
 * One connection, made by `connect` and again by `connect` when it is lost, never by itself: dials are somebody's to count.
 *
 * @category models
 * @since 0.1.0
 */
export interface Channel {
  /** True when a call goes out on a connection that stands. */
  readonly isReady: () => boolean
  /** Connects if need be. Settles with undefined, or with why it is not connected after `timeoutMillis`. Answers a cancel. */
  readonly connect: (timeoutMillis: number, settle: (error: string | undefined) => void) => () => void
  /**
   * One message there, one back. `settle` is called once, also after the cancel that this answers; at once when there is no
   * connection.
   */
  readonly unary: (
    path: string,
    body: Uint8Array,
    timeoutMillis: number,
    settle: (answer: Answer) => void
  ) => () => void
  /** One message there (or more, with `both`), many back. */
  readonly stream: (path: string, body: Uint8Array, both: boolean, handlers: StreamHandlers) => StreamCall
  /** Takes no more calls and ends the connection when those under way have ended; streams end at once. */
  readonly close: () => void
}

/**
 * Certificates, as PEM. Servers are always verified; `ca` replaces the system's roots.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface TlsOptions {
  readonly ca?: string | Uint8Array | undefined
  readonly cert?: string | Uint8Array | undefined
  readonly key?: Redacted.Redacted<string> | undefined
  /** The name to expect in the certificate, where it is not the host of the address. */
  readonly serverName?: string | undefined
}

/**
 * How a connection is made and kept, the same for every member.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface ChannelOptions {
  /** Default: plaintext. With it every member is spoken to by TLS, those too whose addresses the cluster tells. */
  readonly tls?: TlsOptions | undefined
  /** Sent with every call. */
  readonly metadata?: Readonly<Record<string, string | Redacted.Redacted<string>>> | undefined
  /** Asked before each call for what to send with it besides `metadata`: a token that changes. */
  readonly callMetadata?:
    | ((path: string) => Readonly<Record<string, Redacted.Redacted<string>>> | undefined)
    | undefined
  /** The `:authority` of every call. Default: the address. */
  readonly authority?: string | undefined
  /** gzip for what is sent, and accepted for what comes. Default: false. */
  readonly gzip?: boolean | undefined
  /** Longest message to accept, in bytes. Default: 4 MiB. */
  readonly maxReceiveBytes?: number | undefined
  /** Longest message to send, in bytes. Default: 4 MiB, which is what both servers take. */
  readonly maxSendBytes?: number | undefined
  /** A ping after so long without a sign of life while calls are open. Default: 10000; etcd takes no less than 5000. */
  readonly keepaliveMillis?: number | undefined
  /** How long a ping may stay unanswered. Default: 3000. */
  readonly keepaliveTimeoutMillis?: number | undefined
  /** Longest pause after a dial that failed, in milliseconds; until it is over the same failure is the answer. Default: 500. */
  readonly maxReconnectMillis?: number | undefined
}

/**
 * Default limits of messages, in bytes: tonic, which d-engine is built on, takes 4 MiB by default; etcd takes requests of 1.5 MiB.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024
