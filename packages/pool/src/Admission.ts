/**
 * The waiting list of a node: the only place where requests wait for room. In order of arrival, bounded, and whoever is
 * overdue leaves it unsent.
 *
 * @since 0.1.0
 */
import type { Connection } from "./Connection.ts"
import type { PoolReason } from "./PoolError.ts"
import { RequestTimeout } from "./PoolError.ts"
import { TICK_MILLIS, type Tickable, type Ticker } from "./Ticker.ts"

/**
 * Who waits for room. Exactly one of the two is called, once, unless it leaves; both run on the event loop's stack.
 *
 * @category models
 * @since 0.1.0
 */
export interface Waiter {
  /** `connection` takes a request now: the next call of its `begin` answers a buffer. */
  onAdmitted(connection: Connection): void
  /** Nothing was sent: the deadline has passed, or the node has no connection any more. */
  onRefused(reason: PoolReason): void
}

/**
 * A place in the list, to leave it by.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  /** Whether the waiter still waits. */
  readonly isWaiting: boolean
}

const overdue = (): PoolReason =>
  new RequestTimeout({ message: "the request waited for room on a connection until its deadline: it was not sent" })

class Entry implements Place {
  readonly waiter: Waiter
  readonly deadline: number
  readonly since: number
  isWaiting = true
  previous: Entry | undefined = undefined
  next: Entry | undefined = undefined
  constructor(waiter: Waiter, deadline: number, since: number) {
    this.waiter = waiter
    this.deadline = deadline
    this.since = since
  }
}

/**
 * A list. Its owner calls `admit` whenever there may be room, and `refuse` when there will not be any.
 *
 * @category models
 * @since 0.1.0
 */
export class Admission implements Tickable {
  /** Those who wait. */
  size = 0
  private readonly ticker: Ticker
  private readonly max: number
  private readonly room: () => Connection | undefined
  private readonly waited: (millis: number) => void
  private first: Entry | undefined = undefined
  private last: Entry | undefined = undefined

  /** `room` answers a connection that takes a request now; `waited` is told how long those waited who were let in. */
  constructor(
    ticker: Ticker,
    max: number,
    room: () => Connection | undefined,
    waited: (millis: number) => void = () => {}
  ) {
    this.waited = waited
    this.ticker = ticker
    this.max = max
    this.room = room
  }

  /** Waits at the end of the list until tick `deadline`; `undefined` when the list is full. */
  join(waiter: Waiter, deadline: number): Place | undefined {
    if (this.size >= this.max) return undefined
    const entry = new Entry(waiter, deadline, this.ticker.now)
    entry.previous = this.last
    if (this.last === undefined) this.first = entry
    else this.last.next = entry
    this.last = entry
    if (++this.size === 1) this.ticker.arm(this)
    return entry
  }

  /** Waits no more; nothing is called. */
  leave(place: Place): void {
    if (place.isWaiting) this.remove(place as Entry)
  }

  private remove(entry: Entry): void {
    const { next, previous } = entry
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.last = previous
    else next.previous = previous
    entry.isWaiting = false
    this.size--
  }

  /** Lets in as many as there is room for, those first who came first. */
  admit(): void {
    while (this.first !== undefined) {
      const connection = this.room()
      if (connection === undefined) return
      const entry = this.first
      this.remove(entry)
      this.waited((this.ticker.now - entry.since) * TICK_MILLIS)
      this.tell(() => entry.waiter.onAdmitted(connection))
    }
  }

  /** Sends everybody away who waits now. */
  refuse(reason: PoolReason): void {
    this.dismiss(() => true, () => reason)
  }

  /** Called by the ticker. */
  onTick(now: number): boolean {
    this.dismiss((entry) => entry.deadline <= now, overdue)
    return this.size > 0
  }

  private dismiss(condition: (entry: Entry) => boolean, reason: () => PoolReason): void {
    // Listed first: whoever is told may join, leave, or make others leave.
    const told: Array<Entry> = []
    for (let entry = this.first; entry !== undefined; entry = entry.next) if (condition(entry)) told.push(entry)
    if (told.length === 0) return
    // One for all of them.
    const why = reason()
    for (const entry of told) {
      if (!entry.isWaiting) continue
      this.remove(entry)
      this.tell(() => entry.waiter.onRefused(why))
    }
  }

  /** What an observer of a waiter's fiber throws is not the others' loss. */
  private tell(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.ticker.raise(error)
    }
  }
}
