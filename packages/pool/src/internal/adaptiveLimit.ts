import type { Connection } from "../Connection.ts"

/** How the limit of a shard follows what its server bears. */
export interface Adaptive {
  /** Requests in flight that a shard is always given. Default 4. */
  readonly min?: number | undefined
  /** So many times the lowest latency is too long. Default 2. */
  readonly tolerance?: number | undefined
}

const MIN = 4
const TOLERANCE = 2
/** Where a shard begins: doubled with every look until the first sign of congestion, as TCP begins (RFC 5681, slow start). */
const INITIAL = 16
/** Added with every look at a shard that makes use of what it has. */
const INCREASE = 4
/** Left after the server has said that it is too much. */
const AFTER_REFUSAL = 0.5
/** Left after answers have become slow: they may be so for other reasons. */
const AFTER_DELAY = 0.8
/** A limit of which less than this is used says nothing about what the server could bear. */
const USED = 0.8
/** A look covers as many answers, or as many ticks, whichever comes first. */
const ANSWERS = 32
const TICKS = 5
/** Slow looks in a row that count: a collection of garbage is over by then. */
const SLOW = 2
/** Looks after which the lowest latency is measured anew: by then the server's data and the network may be others. */
const WINDOW = 100
/** Left for so long as that takes: with what is always in flight, latency would be that of the queue (as BBR does it). */
const WHILE_PROBING = 0.25
/** One for the queue to go, one to measure. */
const PROBE_LOOKS = 2

/** One shard. */
class Shard {
  limit: number
  private readonly min: number
  private readonly max: number
  private readonly tolerance: number
  private isStarting = true
  /** In a row. */
  private slowLooks = 0
  /** Ticks that a request took, the lowest of the window, and looks since it was seen. */
  private lowest = Infinity
  private age = 0
  /** What the limit will be again, and looks until then, while the lowest latency is measured. */
  private probe: { readonly limit: number; looks: number } | undefined = undefined
  // Since the last look.
  private ticks = 0
  private refusals = 0
  private answered = 0
  /** Sum of what was in flight at each tick. */
  private inFlight = 0
  private wasUsed = false

  constructor(min: number, max: number, tolerance: number) {
    this.min = Math.min(min, max)
    this.max = max
    this.tolerance = tolerance
    this.limit = Math.min(INITIAL, max)
  }

  /** At once, and once for a look: until the next tick the server might refuse many more. */
  refused(): void {
    if (this.refusals++ > 0) return
    this.probe = undefined
    this.limit = this.less(AFTER_REFUSAL)
  }

  onTick(answers: number, load: number): void {
    this.ticks++
    this.answered += answers
    this.inFlight += load
    this.wasUsed ||= load >= this.limit * USED
    if (this.refusals === 0 && this.answered < ANSWERS && this.ticks < TICKS) return
    this.limit = this.next()
    this.ticks = 0
    this.refusals = 0
    this.answered = 0
    this.inFlight = 0
    this.wasUsed = false
  }

  private next(): number {
    const { limit, max } = this
    if (this.refusals > 0 || this.inFlight === 0) return limit
    // Little's law: what is in flight is how fast it is answered times how long that takes.
    const latency = this.answered === 0 ? Infinity : this.inFlight / this.answered
    if (this.probe !== undefined) return this.probed(latency)
    if (latency < this.lowest) this.measured(latency)
    else if (++this.age >= WINDOW) {
      if (!this.wasUsed) this.measured(latency)
      else {
        this.probe = { limit, looks: PROBE_LOOKS }
        return this.less(WHILE_PROBING)
      }
    }
    this.slowLooks = latency > this.lowest * this.tolerance ? this.slowLooks + 1 : 0
    if (this.slowLooks >= SLOW) return this.less(AFTER_DELAY)
    if (!this.wasUsed || this.slowLooks > 0) return limit
    return Math.min(max, this.isStarting ? limit * 2 : limit + INCREASE)
  }

  private measured(latency: number): void {
    if (latency === Infinity) return
    this.lowest = latency
    this.age = 0
  }

  private probed(latency: number): number {
    const probe = this.probe!
    if (--probe.looks > 0) return this.limit
    this.probe = undefined
    this.measured(latency)
    return probe.limit
  }

  private less(part: number): number {
    this.isStarting = false
    this.slowLooks = 0
    return Math.max(this.min, Math.floor(this.limit * part))
  }
}

/**
 * Limits on what is in flight to each shard of a node, found by adding a little while all is well and taking away a part when
 * the server refuses (OVERLOADED, its rate limit) or becomes slow. Latency is read off the counters that connections have
 * anyway, once a tick, so nothing is measured for a request.
 */
export class AdaptiveLimits {
  private readonly shards: Array<Shard | undefined> = []
  /** Connections of each shard, as of the last tick. */
  private counts: Array<number> = []
  /** Requests of each connection that were answered or given up, as of the last tick. */
  private readonly done = new WeakMap<Connection, number>()
  private readonly options: Adaptive
  private readonly max: number

  /** `max`: what a connection may have in flight at most. */
  constructor(options: Adaptive, max: number) {
    this.options = options
    this.max = max
  }

  private shard(shard: number): Shard {
    const { min = MIN, tolerance = TOLERANCE } = this.options
    return this.shards[shard] ??= new Shard(Math.max(1, min), this.max, tolerance)
  }

  /** A connection came. */
  adopt(connection: Connection): void {
    connection.onCongestion = this.refused
    this.apply(connection)
  }

  private readonly refused = (connection: Connection): void => {
    this.shard(connection.shard).refused()
    this.apply(connection)
  }

  /** All connections of a shard share its limit; one that comes or goes changes every part. */
  private apply(connection: Connection): void {
    const { shard } = connection
    connection.limitTo(Math.max(1, Math.ceil(this.shard(shard).limit / (this.counts[shard] ?? 1))))
  }

  /** Called with each tick. */
  onTick(connections: ReadonlyArray<Connection>): void {
    const answers: Array<number> = []
    const loads: Array<number> = []
    const counts: Array<number> = []
    for (const connection of connections) {
      const { load, shard } = connection
      const done = connection.requests - load
      answers[shard] = (answers[shard] ?? 0) + Math.max(0, done - (this.done.get(connection) ?? done))
      loads[shard] = (loads[shard] ?? 0) + load
      counts[shard] = (counts[shard] ?? 0) + 1
      this.done.set(connection, done)
    }
    for (const shard of counts.keys()) {
      if (counts[shard] !== undefined) this.shard(shard).onTick(answers[shard]!, loads[shard]!)
    }
    this.counts = counts
    for (const connection of connections) this.apply(connection)
  }
}
