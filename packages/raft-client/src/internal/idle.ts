/** Waiting that nobody waits for: a client that was forgotten does not keep the process alive by it. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

const system = Context.get(Context.empty() as Context.Context<never>, Clock.Clock)

/** A sleep on the clock of the fiber; on the system's, one that lets the process end. */
export const idleSleep = (millis: number): Effect.Effect<void> =>
  Effect.flatMap(Clock.Clock, (clock) =>
    clock !== system ? Effect.sleep(millis) : Effect.callback((resume) => {
      const timer = setTimeout(() => resume(Effect.void), millis)
      timer.unref()
      return Effect.sync(() => clearTimeout(timer))
    }))
