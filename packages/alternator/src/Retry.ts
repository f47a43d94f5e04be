/**
 * Sending a request again that failed, where that can do no harm.
 *
 * A client repeats attempts by itself until its deadline; this is for what is still failing then: a cluster that restarts, a
 * batch that was left undone.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"

/**
 * Whether an error says, by its `isSafeToRetry`, that the same request may be sent again: an `AlternatorError`, or one of
 * the AWS SDK on the adapter.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSafe = (error: unknown): boolean =>
  typeof error === "object" && error !== null && (error as { readonly isSafeToRetry?: unknown }).isSafeToRetry === true

/**
 * Up to 5 times, each after a random part of a delay of 200 ms that doubles up to 5 seconds; ends with an error that is not
 * safe to retry. For `Effect.retry`, alone or with other schedules.
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
 * const item = Retry.whenSafe(client.getItem({ TableName: "users", Key: { id: 1 } }))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const whenSafe = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  by: Schedule.Schedule<unknown, E> = schedule
): Effect.Effect<A, E, R> => Effect.retry(self, { schedule: by, while: isSafe })
