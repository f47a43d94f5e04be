import type { Reader } from "@effect-scylla/protocol/Reader"
import type { PoolReason } from "../PoolError.ts"

/**
 * Who waits for an answer. Exactly one of the two is called, once; both run on the event loop's stack and must leave
 * their own state in order before they resume anybody.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResponseHandler {
  /** The answer; the bytes are valid only during the call. What it throws fails this one request. */
  onResponse(flags: number, opcode: number, body: Reader): void
  /**
   * No answer. `sent` tells whether the frame was ever given to the socket: only `false` is certain to have had no
   * effect.
   */
  onFailure(reason: PoolReason, sent: boolean): void
  /**
   * Its deadline has passed, or the peer was set aside: the tick until which it goes on waiting, or one that is not after `now`
   * where it gives up; `onFailure` follows then. Without this it gives up at its deadline.
   */
  onOverdue?(now: number): number
}
