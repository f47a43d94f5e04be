/**
 * Keeps the restart of a cluster from becoming a storm of handshakes: process-wide bounds on dials under way and on dials
 * begun in a second, and one for each node.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as Background from "./Background.ts"

/**
 * Bounds of a limiter.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Dials and handshakes under way in the process. Default 32. */
  readonly concurrency?: number | undefined
  /** The same for one node. Default 4: authentication is the costly part of a handshake, and it runs on the node's cores. */
  readonly concurrencyPerNode?: number | undefined
  /** Dials begun in a second, over time. Default 200. */
  readonly rate?: number | undefined
  /** Dials that may begin at once after a time without any. Default 128. */
  readonly burst?: number | undefined
  /**
   * So many connections lost within five seconds are a mass reconnect: dials then begin at a sixteenth of `rate`, which
   * doubles with every second until it is `rate` again. Default 32.
   */
  readonly slowStartAfter?: number | undefined
}

/**
 * The service.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectLimiter {
  /** Runs a dial, from the first packet to the end of the handshake, when there is room for it. */
  readonly limit: <A, E, R>(node: string, dial: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** A connection was lost that nobody here has closed: many of them at once make what follows start slowly. */
  readonly lost: (clock: Clock.Clock) => void
}

/** Milliseconds in which losses are counted together. */
const LOSS_WINDOW = 5_000
/** Part of the rate with which a slow start begins. */
const SLOW_START = 1 / 16

/** A token bucket, as the moment from which the next dial may begin. It is one clock's: times of two mean nothing together. */
class Bucket {
  private readonly rate: number
  private readonly credit: number
  private readonly massLoss: number
  /** May lie in the past, by `credit` at most: so many dials may begin at once. */
  private next = -Infinity
  private slowSince = -Infinity
  private lossesSince = -Infinity
  private losses = 0

  constructor(rate: number, burst: number, massLoss: number) {
    this.rate = rate
    this.credit = (Math.max(1, burst) - 1) * 1000 / rate
    this.massLoss = massLoss
  }

  /** Milliseconds until the dial that asks may begin. */
  reserve(now: number): number {
    const at = Math.max(this.next, now - this.credit)
    const rate = this.rate * Math.min(1, SLOW_START * 2 ** ((at - this.slowSince) / 1000))
    this.next = at + 1000 / rate
    return Math.max(0, at - now)
  }

  lost(now: number): void {
    if (now - this.lossesSince >= LOSS_WINDOW) {
      this.lossesSince = now
      this.losses = 0
    }
    if (++this.losses < this.massLoss) return
    this.losses = 0
    this.slowSince = now
    this.next = Math.max(this.next, now)
  }
}

const millis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

const check = (options: Options): void => {
  for (const [name, value] of Object.entries(options)) {
    const isRate = name === "rate"
    if (value === undefined || (isRate ? value > 0 : Number.isInteger(value) && value >= 1)) continue
    throw new RangeError(`${name} must be ${isRate ? "more than 0" : "a whole number from 1"}, got ${value}`)
  }
}

/**
 * A limiter of its own. Throws a `RangeError` for options with which no dial would ever begin.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): ConnectLimiter => {
  check(options)
  const all = Semaphore.makeUnsafe(options.concurrency ?? 32)
  const perNode = options.concurrencyPerNode ?? 4
  const { burst = 128, rate = 200, slowStartAfter = 32 } = options
  // Entries live while somebody dials the node, so the map is as small as what is under way.
  const nodes = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()
  const buckets = new WeakMap<Clock.Clock, Bucket>()
  const bucketOf = (given: Clock.Clock): Bucket => {
    const clock = Background.baseOf(given)
    let bucket = buckets.get(clock)
    if (bucket === undefined) buckets.set(clock, bucket = new Bucket(rate, burst, slowStartAfter))
    return bucket
  }
  const token = Effect.flatMap(Clock.Clock, (clock) => {
    const wait = bucketOf(clock).reserve(millis(clock))
    return wait > 0 ? Effect.sleep(Math.ceil(wait)) : Effect.void
  })
  return {
    limit: (node, dial) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          const entry = nodes.get(node) ?? { semaphore: Semaphore.makeUnsafe(perNode), users: 0 }
          nodes.set(node, entry)
          entry.users++
          return entry
        }),
        // The node first: whoever waits for its node must not hold a place that others could use. The token last: no more
        // of them are promised than dials may be under way.
        (entry) => entry.semaphore.withPermit(all.withPermit(Effect.andThen(token, dial))),
        (entry) =>
          Effect.sync(() => {
            if (--entry.users === 0) nodes.delete(node)
          })
      ),
    lost: (clock) => bucketOf(clock).lost(millis(clock))
  }
}

/**
 * The limiter in force; one for the whole process unless another is provided.
 *
 * @category references
 * @since 0.1.0
 */
export const ConnectLimiter: Context.Reference<ConnectLimiter> = Context.Reference<ConnectLimiter>(
  "@effect-scylla/pool/ConnectLimiter",
  { defaultValue: () => make() }
)

/**
 * A limiter of its own for everything that is built over the layer, instead of the process's.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never> =>
  Layer.effectContext(Effect.sync(() => Context.make(ConnectLimiter, make(options))))
