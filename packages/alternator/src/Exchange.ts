/**
 * One HTTP request to one node, and its answer: all that a transport deals with.
 *
 * @stability unstable
 * @since 0.1.0
 */
import type { AlternatorNode } from "./NodeAddress.ts"

/**
 * A request as it is sent: signed, packed, made out for a node.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExchangeRequest {
  readonly node: AlternatorNode
  readonly method: "GET" | "POST"
  /** With its query. */
  readonly path: string
  /** Name, value, name, value, …; `host` among them. */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array | string | undefined
  /** Requests of discovery and probes have connections of their own, one for each node. */
  readonly lane: "data" | "control"
  /** Bytes of the body, as it arrives, from which on the answer is refused. */
  readonly maxBody: number
}

/**
 * Headers of an answer, by their names in lower case.
 *
 * @category models
 * @since 0.1.0
 */
export type ResponseHeaders = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/**
 * Why there is no answer.
 *
 * - `unreachable`: no connection.
 * - `lost`: the connection ended.
 * - `oversized`: the body is larger than `maxBody`.
 * - `closed`: the transport is.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExchangeFailure {
  readonly kind: "unreachable" | "lost" | "oversized" | "closed"
  /** Whether any byte may have been given to a connection. */
  readonly sent: boolean
  readonly message: string
  readonly cause: unknown
}

/**
 * Exactly one of the two is called, once, and neither after an abort. Must not throw.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExchangeHandler {
  onAnswer(status: number, headers: ResponseHeaders, body: Uint8Array): void
  onFailure(failure: ExchangeFailure): void
}

/**
 * A request under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exchange {
  /** Whether any byte may have been given to a connection. */
  readonly sent: boolean
  /** Idempotent. The connection is closed when the request was sent: nothing else can be told to HTTP/1.1. */
  readonly abort: () => void
}

/** Joins the chunks of a body. @category decoding @since 0.1.0 */
export const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array =>
  chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
