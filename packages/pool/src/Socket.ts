/**
 * What a transport dials, and what it gives: an open byte stream.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { Buffer } from "node:buffer"
import type * as Tls from "./Tls.ts"

/**
 * Where to dial.
 *
 * @category models
 * @since 0.1.0
 */
export interface Endpoint {
  /** An IP address, or a name that the transport resolves. */
  readonly address: string
  readonly port: number
  /** The local port to bind, for ScyllaDB's shard-aware port. Absent: any. */
  readonly localPort?: number | undefined
  /** TLS of this dial. Absent: plain TCP. Nothing ever falls back from one to the other. */
  readonly tls?: Tls.Input | undefined
  /**
   * The name by which the node was reached: it is sent (SNI), and the certificate is verified by it instead of the address, where the
   * options of `tls` have neither `servername` nor `checkServerIdentity`. An address is no name.
   */
  readonly servername?: string | undefined
  /** Told of TLS sessions that later dials to the node may resume, as `session` of their `tls`. */
  readonly onSession?: ((session: Buffer) => void) | undefined
}

/**
 * A dial that failed.
 *
 * `kind`: `LocalPortInUse` means that another local port may work (the address is taken, EADDRINUSE or EADDRNOTAVAIL);
 * everything else is `Unreachable`, or `Tls` for a failed handshake or certificate.
 *
 * @category errors
 * @since 0.1.0
 */
export class DialError extends Data.TaggedError("DialError")<{
  readonly kind: "Unreachable" | "LocalPortInUse" | "Tls"
  readonly endpoint: Endpoint
  readonly message: string
  readonly cause: unknown
}> {}

/**
 * What a socket reports. All calls come from the event loop, never from within `write`, `destroy` or `start`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handlers {
  /** Bytes `[0, length)` of a buffer that is used again as soon as the call returns. */
  onData(bytes: Buffer, view: DataView, length: number): void
  /** Called once, last. `error` is absent for an orderly end by the peer. */
  onClose(error: Error | undefined): void
}

/**
 * An open byte stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface Socket {
  readonly localPort: number | undefined
  readonly remoteAddress: string
  /** Starts delivery; called once. What arrived before is delivered first. */
  start(handlers: Handlers): void
  /**
   * Gives bytes to the socket. Answers true when they are taken and the storage may be used again at once; else `done`
   * is called when it may. After that answer they may have reached the peer, whatever happens next.
   */
  write(bytes: Uint8Array, done: () => void): boolean
  /** Bytes given to the socket that the system has not taken yet. */
  readonly pendingBytes: number
  /** Closes at once. `onClose` still follows. Idempotent. */
  destroy(): void
}
