import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Connection } from "../Connection.ts"
import type { PoolReason } from "../PoolError.ts"
import * as Backoff from "./backoff.ts"
import type { SlotDialer } from "./slotDialer.ts"
import type { SlotTable } from "./slotTable.ts"
import type { Waiters } from "./waiters.ts"

/** The pool whose slots are seen to. */
export interface Supervised {
  /** Closes connections that are in no slot any more, each when its last request is answered. */
  retire(connections: ReadonlyArray<Connection>): void
  onDialFailed(slot: number, reason: PoolReason): void
}

/**
 * Keeps the slots of a node filled: one fiber for each dials when its slot is empty, after the delay that its last end asks
 * for, and within the bound of connections that may be in excess.
 */
export class SlotSupervisor {
  private readonly pool: Supervised
  private readonly table: SlotTable
  private readonly dialer: SlotDialer
  private readonly waiters: Waiters
  private readonly reconnect: Backoff.Reconnect | undefined
  /** How often somebody said that the node is up: whoever waits out a delay goes on. */
  private hints = 0
  /** Slots whose dial is under way or waits for its turn. */
  private dialing = 0
  /** A slot waits to close excess at the bound; how often that was since the pool was full. */
  private trimming = false
  private trims = 0

  constructor(pool: Supervised, parts: {
    readonly table: SlotTable
    readonly dialer: SlotDialer
    readonly waiters: Waiters
    readonly reconnect: Backoff.Reconnect | undefined
  }) {
    this.pool = pool
    this.table = parts.table
    this.dialer = parts.dialer
    this.waiters = parts.waiters
    this.reconnect = parts.reconnect
  }

  /** Whoever waits out a delay dials now. */
  hint(): void {
    this.hints++
    this.waiters.signal()
  }

  /** Nothing is missing any more. */
  settled(): void {
    this.trims = 0
  }

  /** As much excess as there may be: no more dials until some of it is closed. */
  private get isAtBound(): boolean {
    return this.table.excess.length >= this.table.excessBound
  }

  /** Whether a slot may dial without exceeding the bound, or is the one to see to it that others may. */
  private get mayAct(): boolean {
    return this.isAtBound ? !this.trimming : this.table.excess.length + this.dialing < this.table.excessBound
  }

  /** One life of a slot after the other; `grown` is called where there may be more slots. Ends when the node has fewer. */
  readonly run = Effect.fnUntraced({ self: this }, function*(this: SlotSupervisor, slot: number, grown: () => void) {
    const { table, waiters } = this
    const delays = Backoff.make(this.reconnect)
    let { hints } = this
    /** Ends early when the node is said to be up, and only then where there is no end given. */
    const wait = Effect.fnUntraced({ self: this }, function*(this: SlotSupervisor, delay: number | undefined) {
      if (hints !== this.hints) return
      const hinted = waiters.until(() => hints !== this.hints)
      yield* delay === undefined ? hinted : Effect.timeoutOption(hinted, delay)
    })
    const backoff = Effect.fnUntraced({ self: this }, function*(this: SlotSupervisor, reason: PoolReason) {
      yield* wait(yield* delays.next(reason))
      // The node is said to be up: what failed before is the past.
      if (hints !== this.hints) delays.reset()
    })
    while (true) {
      yield* waiters.until(() => slot >= table.length || (table.needs(slot) && this.mayAct))
      if (slot >= table.length) return
      hints = this.hints
      if (table.stateOf(slot) === "Closed") {
        table.become(slot, "Idle")
        // A server that accepts and closes is no better than one that refuses.
        const { lived, reason } = table.endOf(slot)
        if (lived >= delays.goodLife) delays.reset()
        yield* backoff(reason)
        continue
      }
      if (this.isAtBound) {
        // Closing everything would only repeat itself: the plain port hands out the core with the fewest connections.
        this.trimming = true
        yield* Effect.ensuring(
          Effect.flatMap(Backoff.fullJitter(this.trims++), wait),
          Effect.sync(() => {
            this.trimming = false
          })
        )
        if (this.isAtBound) this.pool.retire(table.takeExcess("older half"))
        waiters.signalLater()
        continue
      }
      this.dialing++
      const { resharded } = table
      const dialed = yield* Effect.ensuring(
        Effect.result(this.dialer.dial(slot)),
        Effect.sync(() => {
          this.dialing--
          if (table.slots[slot] === undefined && table.stateOf(slot) !== "Closed") table.become(slot, "Idle")
          waiters.signalLater()
        })
      )
      if (Result.isSuccess(dialed)) {
        grown()
        // Behind some addresses nodes of different shards take turns: each dial would undo the one before.
        if (table.resharded !== undefined && table.resharded !== resharded) yield* backoff(table.resharded)
      } else {
        const { reason } = dialed.failure
        this.pool.onDialFailed(slot, reason)
        yield* backoff(reason)
      }
    }
  })
}
