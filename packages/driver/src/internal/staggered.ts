import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/** What to do with attempts of which one has to succeed. */
export interface Options<A, E> {
  /** Milliseconds before the next attempt joins those that have no answer yet. */
  readonly after: number
  /** Another one was quicker. */
  readonly discard: (late: A) => Effect.Effect<void>
  /** No other attempt is worth it. */
  readonly isFinal: (error: E) => boolean
}

/**
 * The first of several attempts that succeeds: they begin one after the other, the next at once when one has failed, and soon when one is
 * slow, as with "happy eyeballs" (RFC 8305, section 5). Fails with all errors, or with the one that is final.
 */
export const staggered = <A, E>(
  attempts: ReadonlyArray<Effect.Effect<A, E>>,
  { after, discard, isFinal }: Options<A, E>
): Effect.Effect<A, ReadonlyArray<E>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const running: Array<Fiber.Fiber<unknown>> = []
      /** What has ended and was not looked at; nothing in here is lost when all of this is interrupted. */
      const ended: Array<Exit.Exit<A, E>> = []
      let news = Deferred.makeUnsafe<void>()
      const begin = (attempt: Effect.Effect<A, E>) => {
        const told = Effect.uninterruptibleMask((restore) =>
          Effect.map(Effect.exit(restore(attempt)), (exit) => {
            ended.push(exit)
            Deferred.doneUnsafe(news, Exit.void)
          })
        )
        return Effect.map(Effect.forkChild(told, { startImmediately: true }), (fiber) => running.push(fiber))
      }
      const run = Effect.gen(function*() {
        const errors: Array<E> = []
        for (let next = 0, left = attempts.length; left > 0;) {
          if (next < attempts.length) yield* begin(attempts[next++]!)
          if (ended.length === 0) {
            const wait = Deferred.await(news)
            yield* next < attempts.length ? Effect.timeoutOption(wait, after) : wait
            news = Deferred.makeUnsafe<void>()
          }
          for (let exit = ended[0]; exit !== undefined; exit = ended[0]) {
            if (Exit.isSuccess(exit)) return exit.value
            ended.shift()
            left--
            const error = Exit.findErrorOption(exit)
            if (error._tag === "None") return yield* exit as Exit.Exit<never, never>
            if (isFinal(error.value)) return yield* Effect.fail([error.value])
            errors.push(error.value)
          }
        }
        return yield* Effect.fail(errors)
      })
      const exit = yield* Effect.exit(restore(run))
      yield* Fiber.interruptAll(running)
      for (const late of ended) {
        if (Exit.isSuccess(late) && !(Exit.isSuccess(exit) && exit.value === late.value)) yield* discard(late.value)
      }
      return yield* exit
    })
  )
