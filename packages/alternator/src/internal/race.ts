/** Asks one after the other, the next when the one before fails or is slow, until somebody is satisfied. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"

export interface Race<C, A> {
  /** The next to ask; none when there are no more. Asked for when it is needed, so it may know what was answered. */
  readonly next: () => C | undefined
  readonly ask: (candidate: C) => Effect.Effect<A>
  /** Takes an answer; true when no more are needed. */
  readonly take: (answer: A, candidate: C) => Effect.Effect<boolean>
  /** Whether those that are slow need not be waited for, when nobody is left to ask. */
  readonly isEnough: () => boolean
  /** How long one is waited for before the next is asked too. */
  readonly delay: Duration.Duration
  readonly timeout: Duration.Duration
}

/** True when it ended by itself, false when its time was over. Whoever is still being asked is interrupted. */
export const race = <C, A>(options: Race<C, A>): Effect.Effect<boolean> =>
  Effect.scoped(Effect.gen(function*() {
    const answers = yield* Queue.unbounded<readonly [C, Exit.Exit<A>]>()
    let pending = 0
    while (true) {
      const candidate = options.next()
      if (candidate !== undefined) {
        pending++
        yield* Effect.forkScoped(
          Effect.flatMap(
            Effect.exit(options.ask(candidate)),
            (exit) => Queue.offer(answers, [candidate, exit] as const)
          ),
          { startImmediately: true }
        )
      } else if (pending === 0) return
      const answer = yield* Effect.timeoutOption(Queue.take(answers), options.delay)
      if (Option.isSome(answer)) {
        pending--
        const [asked, exit] = answer.value
        if (yield* options.take(yield* exit, asked)) return
      } else if (candidate === undefined && options.isEnough()) return
    }
  })).pipe(Effect.timeoutOption(options.timeout), Effect.map(Option.isSome))
