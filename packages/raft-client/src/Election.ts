/**
 * Elections among programs (not among the servers): one of those who stand holds the office, the next in line when it goes; on
 * servers with leases and transactions (etcd).
 *
 * **Gotchas**
 *
 * As with a lock, an office may be lost before its holder hears of it: give `token` along with what is done in it, or let writes to the
 * same store depend on `isHeld`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Bytes, compareBytes, toBytes } from "./internal/bytes.ts"
import * as Line from "./internal/line.ts"
import type { Held, LockOptions } from "./Lock.ts"
import type * as Prefix from "./Prefix.ts"
import { RaftClient } from "./RaftClient.ts"
import * as RaftError from "./RaftError.ts"
import * as Transaction from "./Transaction.ts"

/**
 * The office, held.
 *
 * @category models
 * @since 0.1.0
 */
export interface Leadership extends Held {
  /** Changes what the others see of the leader. Fails with `LeaseLost` when the office is lost. */
  readonly proclaim: (value: Bytes) => Effect.Effect<void, RaftError.RaftError>
}

/**
 * Who holds the office.
 *
 * @category models
 * @since 0.1.0
 */
export interface Leader {
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Its fencing token: higher than that of every leader before. */
  readonly token: bigint
}

/**
 * Stands for the office, waits for it as long as it takes, and lays it down when the scope closes. `name` is a prefix that nothing
 * else uses, as in `/elections/scheduler/`; `value` is what the others see. Who is interrupted while it waits stands no longer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const campaign = (
  name: Prefix.Prefix | string,
  value: Bytes,
  options: Pick<LockOptions, "ttl"> = {}
): Effect.Effect<Leadership, RaftError.RaftError, RaftClient | Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* RaftClient
    const { key, lease, lost, token } = yield* Line.stand("campaign", name, value, options.ttl ?? Line.TTL)
    const isHeld = Transaction.wasCreatedAt(key, token)
    const proclaim = (value: Bytes): Effect.Effect<void, RaftError.RaftError> =>
      Effect.flatMap(
        client.transact({ compare: [isHeld], success: [Transaction.put(key, toBytes(value), lease.id)] }),
        ({ succeeded }) => {
          if (succeeded) return Effect.void
          const message = "the office was lost before this was proclaimed"
          return Effect.fail(RaftError.make("proclaim", new RaftError.LeaseLost({ message }), "Rejected"))
        }
      )
    return { key, token, isHeld, lost, proclaim }
  })

/**
 * Who holds the office now.
 *
 * @category combinators
 * @since 0.1.0
 */
export const leader = (
  name: Prefix.Prefix | string
): Effect.Effect<Option.Option<Leader>, RaftError.RaftError, RaftClient> =>
  Effect.map(Effect.flatMap(Line.prefixOf("leader", name), Line.queue), ([first]) =>
    first === undefined
      ? Option.none()
      : Option.some({ key: first.key, value: first.value, token: first.created ?? 0n }))

const same = (a: Option.Option<Leader>, b: Option.Option<Leader>): boolean =>
  Option.isNone(a) || Option.isNone(b)
    ? Option.isNone(a) && Option.isNone(b)
    : a.value.token === b.value.token && compareBytes(a.value.value, b.value.value) === 0

/**
 * Who holds the office: now, and whenever that or what it proclaims changes. What lasts shorter than a look is not told.
 *
 * @category combinators
 * @since 0.1.0
 */
export const observe = (
  name: Prefix.Prefix | string
): Stream.Stream<Option.Option<Leader>, RaftError.RaftError, RaftClient> =>
  Stream.unwrap(Effect.gen(function*() {
    const client = yield* RaftClient
    const prefix = yield* Line.prefixOf("observe", name)
    return client.watchPrefix(prefix, { initial: false }).pipe(
      Stream.mapEffect(() => leader(prefix)),
      Stream.changesWith(same)
    )
  }))
