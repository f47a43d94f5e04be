/**
 * What is known of a node from the requests that were made: whether it takes them, and how fast.
 *
 * A node that cannot be reached is ejected at once; one that does not answer, loses connections or fails requests, after
 * some in a row. An ejected node is asked for nothing while others are there, until a probe succeeds; then its share grows
 * over a while. When all are ejected, all are used.
 *
 * @stability unstable
 * @since 0.1.0
 */
import type { AlternatorNode, Scheme } from "./NodeAddress.ts"

/**
 * Options of ejection. Durations are milliseconds here; the services take durations.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthSettings {
  readonly enabled: boolean
  /** Timeouts and lost connections in a row that eject a node. */
  readonly maxLosses: number
  /** Server errors in a row that eject a node. */
  readonly maxServerErrors: number
  /** Time until the first probe of an ejected node; doubles with each ejection and failed probe. */
  readonly minEjection: number
  readonly maxEjection: number
  /** Time in which the share of a node grows that was ejected or is new. */
  readonly warmUp: number
}

/**
 * What became of a request, as far as it says something of the node. `limited`: it has more to do than it takes.
 *
 * @category models
 * @since 0.1.0
 */
export type Observation = "answered" | "unreachable" | "lost" | "timeout" | "limited" | "server-error" | "given-up"

/** Latencies fade with this time constant, in milliseconds; below the other, that is not worth computing. */
const DECAY = 10_000
const FRESH = 1000

/** What a refusal for overload and a server error count as: twice the latency so far, within these milliseconds. */
const MIN_PENALTY = 2
const MAX_PENALTY = 1000

/**
 * A node of the cluster, with what is known of it. The same object for as long as the node is in the cluster.
 *
 * @category models
 * @since 0.1.0
 */
export class TrackedNode implements AlternatorNode {
  readonly scheme: Scheme
  readonly host: string
  readonly port: number
  readonly urlHost: string
  readonly url: string
  readonly hostHeader: string
  readonly servername: string | undefined
  /** As far as the routing scope names it. */
  datacenter: string | undefined
  rack: string | undefined
  /** It is in the cluster no more. */
  removed = false
  /** Requests under way. */
  outstanding = 0
  /** Milliseconds, fading; 0 before the first answer. */
  latency = 0
  private latencyAt = 0
  private losses = 0
  private serverErrors = 0
  private ejections = 0
  /** When it may be probed, on the monotonic clock; -1 when it is not ejected. */
  probeAt = -1
  /** Why it is ejected, for people; empty when it is not, or waits for its first probe. */
  why = ""
  /** Since when it takes requests, when that was not always so. */
  private readyAt = -1

  constructor(address: AlternatorNode) {
    this.scheme = address.scheme
    this.host = address.host
    this.port = address.port
    this.urlHost = address.urlHost
    this.url = address.url
    this.hostHeader = address.hostHeader
    this.servername = address.servername
  }

  get isEjected(): boolean {
    return this.probeAt >= 0
  }

  /**
   * Whether a request is let through: always, but for a node that is warming up, where a draw decides, and the longer it
   * has been back, the more often.
   */
  admits(now: () => number, warmUp: number, chance: { draw(): number }): boolean {
    if (this.readyAt < 0) return true
    const age = now() - this.readyAt
    if (age >= warmUp) {
      this.readyAt = -1
      return true
    }
    // Never nothing, else there is no latency to learn.
    return chance.draw() < Math.max(age / warmUp, 0.05)
  }

  get isWarming(): boolean {
    return this.readyAt >= 0
  }

  /**
   * Counts the end of a request that took from `start` to `now`; `detail` says more of it to people. Answers whether this
   * ejected the node.
   */
  observe(observation: Observation, start: number, now: number, settings: HealthSettings, detail?: string): boolean {
    if (observation === "answered") {
      this.losses = 0
      this.serverErrors = 0
      if (this.probeAt < 0 && this.readyAt < 0) this.ejections = 0
      this.learn(now - start, now)
      return false
    }
    if (observation === "limited") {
      this.losses = 0
      this.penalize(now - start, now)
      return false
    }
    if (observation === "given-up") {
      // Slower than whoever gave up wanted to wait.
      if (now - start > this.latency) this.learn(now - start, now)
      return false
    }
    if (observation === "server-error") this.penalize(now - start, now)
    if (!settings.enabled || this.probeAt >= 0) return false
    let what = "it cannot be reached"
    if (observation === "server-error") {
      if (++this.serverErrors < settings.maxServerErrors) return false
      what = `${this.serverErrors} server errors in a row, the last`
    } else if (observation !== "unreachable") {
      if (++this.losses < settings.maxLosses) return false
      what = `${this.losses} requests in a row were lost or not answered in time, the last`
    }
    this.eject(now, settings, `${what}: ${detail ?? observation}`)
    return true
  }

  /**
   * What is known of its latency fades: a node that was slow once is asked for nothing while others are quicker, and would
   * never have the chance to show that it is quick again.
   */
  fadedLatency(now: number): number {
    const age = now - this.latencyAt
    return age < FRESH ? this.latency : this.latency * Math.exp(-age / DECAY)
  }

  /** To say no takes no time: who does it must not look quick. */
  private penalize(latency: number, now: number): void {
    this.learn(Math.max(latency, Math.min(MAX_PENALTY, Math.max(MIN_PENALTY, 2 * this.latency))), now)
  }

  private learn(latency: number, now: number): void {
    // A peak counts at once, an improvement by and by.
    const weight = this.latency === 0 || latency > this.fadedLatency(now)
      ? 1
      : 1 - Math.exp(-(now - this.latencyAt) / DECAY) + 0.05
    this.latency += (latency - this.latency) * Math.min(1, weight)
    this.latencyAt = now
  }

  /** Takes it out until a probe succeeds, the first after a while that grows. */
  eject(now: number, settings: HealthSettings, why: string): void {
    this.why = why
    this.probeAt = now + Math.min(settings.maxEjection, settings.minEjection * 2 ** Math.min(this.ejections, 20))
    this.ejections++
    this.losses = 0
    this.serverErrors = 0
  }

  /** It is new, and takes requests only when it has answered a probe, or when nobody else does. */
  await(now: number): void {
    this.probeAt = now
  }

  /** A probe succeeded. */
  restore(now: number): void {
    this.why = ""
    this.probeAt = -1
    this.readyAt = now
    this.latency = 0
  }
}
