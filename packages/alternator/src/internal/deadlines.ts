/** Deadlines of requests under way, on one coarse tick that runs only while there are any. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as AlternatorError from "../AlternatorError.ts"
import type { AlternatorNodes } from "../AlternatorNodes.ts"

/** A request expires up to this many milliseconds late, and never early. */
export const TICK_MILLIS = 50

export interface Expiring {
  /** Milliseconds of the monotonic clock. */
  readonly expiresAt: number
  /** `isClosing`: it is not late, there will be nobody to look. */
  expire(isClosing: boolean): void
}

export class Deadlines {
  private readonly waiting = new Set<Expiring>()
  private isRunning = false
  isClosed = false
  private readonly start: () => void
  readonly now: () => number

  constructor(now: () => number, start: (deadlines: Deadlines) => void) {
    this.now = now
    this.start = () => start(this)
  }

  add(one: Expiring): void {
    this.waiting.add(one)
    if (!this.isRunning) {
      this.isRunning = true
      this.start()
    }
  }

  remove(one: Expiring): void {
    this.waiting.delete(one)
  }

  close(): void {
    this.isClosed = true
    for (const one of this.waiting) one.expire(true)
  }

  /** Expires what is due; answers whether anything still waits. */
  tick(): boolean {
    const now = this.now()
    for (const one of this.waiting) {
      if (one.expiresAt > now) continue
      this.waiting.delete(one)
      one.expire(false)
    }
    this.isRunning = this.waiting.size > 0
    return this.isRunning
  }
}

/** Waits for the nodes, for so many milliseconds. */
export const readyWithin = (
  nodes: AlternatorNodes,
  millis: number,
  operation: string
): Effect.Effect<void, AlternatorError.AlternatorError> =>
  Effect.flatMap(
    Effect.timeoutOption(nodes.awaitReady, Duration.millis(millis)),
    (ready) =>
      Option.isSome(ready) ? Effect.void : Effect.fail(AlternatorError.of(
        new AlternatorError.DeadlineExceeded({ message: `no node was found in ${millis} ms` }),
        operation
      ))
  )

export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const run = yield* FiberHandle.makeRuntime<never>()
  const loop = (deadlines: Deadlines): Effect.Effect<void> =>
    Effect.gen(function*() {
      do {
        const started = deadlines.now()
        yield* Effect.sleep(Duration.millis(TICK_MILLIS))
        // The event loop stalled. Timers come before sockets: what has arrived meanwhile is read first.
        if (deadlines.now() - started >= 2 * TICK_MILLIS) yield* Effect.yieldNow
      } while (deadlines.tick())
    })
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  return yield* Effect.acquireRelease(
    Effect.sync(() => new Deadlines(now, (deadlines) => run(loop(deadlines)))),
    (deadlines) => Effect.sync(() => deadlines.close())
  )
})
