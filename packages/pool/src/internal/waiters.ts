import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** Fibers that wait for a condition on plain state; looked at again with every signal. */
export class Waiters {
  private readonly checks = new Set<() => boolean>()
  private signalled = false
  private readonly defer: (task: () => void) => void

  constructor(defer: (task: () => void) => void) {
    this.defer = defer
  }

  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const check = (): boolean => {
        if (!condition()) return false
        resume(Exit.void)
        return true
      }
      if (check()) return
      this.checks.add(check)
      return Effect.sync(() => {
        this.checks.delete(check)
      })
    })
  }

  signal(): void {
    for (const check of this.checks) {
      if (check()) this.checks.delete(check)
    }
  }

  /** Whoever waits is resumed on a stack of its own, not within a connection's. */
  signalLater(): void {
    if (this.signalled) return
    this.signalled = true
    this.defer(() => {
      this.signalled = false
      this.signal()
    })
  }
}
