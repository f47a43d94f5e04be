/**
 * A lock that one holder has at a time, in the order in which they came, on servers with leases and transactions (etcd).
 *
 * **Gotchas**
 *
 * No lock of a distributed store keeps a holder from believing in it too long: a process that stood still wakes up and goes on.
 * Give `token` to what the lock protects, and let that refuse a lower one than it has seen; or let writes to the same store depend
 * on `isHeld`. Tokens are revisions: a store that was restored from a backup counts from lower ones.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Line from "./internal/line.ts"
import type * as Prefix from "./Prefix.ts"
import type { RaftClient } from "./RaftClient.ts"
import type { RaftError } from "./RaftError.ts"
import * as Transaction from "./Transaction.ts"

/**
 * A lock that is held.
 *
 * @category models
 * @since 0.1.0
 */
export interface Held {
  /** Higher than that of every holder before: the revision at which the holder came into the line. */
  readonly token: bigint
  /** The key that stands for the holder. */
  readonly key: Uint8Array
  /** Holds in a transaction as long as the lock is held: a write under it is not done by a holder that has lost it. */
  readonly isHeld: Transaction.Condition
  /** Waits until the lock is lost, and answers with why: the reason is `LeaseLost`. Never ends otherwise. */
  readonly lost: Effect.Effect<RaftError>
}

/**
 * Options of a lock.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface LockOptions {
  /** How long it lasts when its holder is gone without a word; whole seconds. Default: 10 seconds. */
  readonly ttl?: Duration.Input | undefined
  /** The value of the holder's key, for whoever wants to see who it is. Default: empty. */
  readonly value?: Uint8Array | string | undefined
}

/**
 * Waits for the lock, as long as it takes, and gives it back when the scope closes. `name` is a prefix that nothing else uses, as in
 * `/locks/report/`. Who is interrupted while it waits leaves the line.
 *
 * @category combinators
 * @since 0.1.0
 */
export const acquire = (
  name: Prefix.Prefix | string,
  options: LockOptions = {}
): Effect.Effect<Held, RaftError, RaftClient | Scope.Scope> =>
  Effect.map(
    Line.stand("lock", name, options.value ?? "", options.ttl ?? Line.TTL),
    ({ key, lost, token }): Held => ({ key, token, lost, isHeld: Transaction.wasCreatedAt(key, token) })
  )

/**
 * Runs `use` with the lock. When the lock is lost meanwhile `use` is interrupted, and the error has the reason `LeaseLost`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLock = <A, E, R>(
  name: Prefix.Prefix | string,
  use: (held: Held) => Effect.Effect<A, E, R>,
  options: LockOptions = {}
): Effect.Effect<A, E | RaftError, Exclude<R, Scope.Scope> | RaftClient> =>
  Effect.scoped(
    Effect.flatMap(
      acquire(name, options),
      (held) => Effect.raceFirst(use(held), Effect.flatMap(held.lost, Effect.fail))
    )
  )
