/**
 * A lease: keys that were put with it disappear when it ends, on servers that have leases (etcd).
 *
 * `RaftClient.grantLease` grants one, keeps it alive, and revokes it when the scope closes.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { RaftError } from "./RaftError.ts"

/**
 * A lease that is kept alive.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease {
  readonly id: bigint
  /** How long it lives without being renewed; servers may grant more than was asked for. */
  readonly seconds: number
  /**
   * False from the moment on at which the server may have ended it: counted from when the last renewal that was answered was
   * sent, so the client gives it up before the server does.
   */
  readonly isAlive: Effect.Effect<boolean>
  /** Waits until it is lost, and answers with why: the reason is `LeaseLost`. Never ends otherwise. */
  readonly lost: Effect.Effect<RaftError>
}
