/**
 * Sending a request again that failed, where that can do no harm.
 *
 * The client repeats attempts by itself, once on each of the other nodes; this is for what still fails then: a cluster
 * that restarts, a datacenter that is overloaded.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { CqlError } from "./CqlError.ts"

/**
 * Whether an error says, by its `isSafeToRetry`, that the same request may be sent again: a read, a write that was certainly not
 * applied, or an idempotent one, for a reason that may pass. Never a counter, a list that something was added to, or any other write
 * that may have been applied.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSafe = (error: unknown): boolean => error instanceof CqlError && error.isSafeToRetry

/**
 * Up to 5 times, each after a random part of a delay of 200 ms that doubles up to 5 seconds; ends with an error that is not safe to
 * retry. For `Effect.retry`, alone or with other schedules.
 *
 * @category schedules
 * @since 0.1.0
 */
export const schedule: Schedule.Schedule<unknown, unknown> = Schedule.min([
  Schedule.exponential("200 millis"),
  Schedule.spaced("5 seconds")
]).pipe(
  Schedule.modifyDelay(({ duration }) =>
    Effect.map(Random.next, (part) => Duration.millis(Duration.toMillis(duration) * part))
  ),
  Schedule.upTo({ times: 5 }),
  Schedule.while(({ input }) => isSafe(input))
)

/**
 * Retries by {@link schedule}, or by another one as long as that is safe.
 *
 * ```ts
 * const user = Retry.whenSafe(cql`SELECT * FROM users WHERE id = ${1}`)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const whenSafe = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  by: Schedule.Schedule<unknown, E> = schedule
): Effect.Effect<A, E, R> => Effect.retry(self, { schedule: by, while: isSafe })
