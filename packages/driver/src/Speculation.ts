/**
 * Asking a second node before the first one has answered, for what may be done twice: reads, and writes that are idempotent. Never a
 * counter, a conditional statement or a serial read.
 *
 * Whoever answers first is taken, the others are given up; all of them carry the same timestamp. It makes the slowest answers quicker
 * and costs the cluster more requests, so it is off by default and limited: `share` of all requests.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { format } from "effect/Formatter"

/**
 * When another node is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /**
   * A duration, or a percentile of what the statement took lately (its last few thousand answers; nothing is done before 50 of them):
   * `{ percentile: 99 }`. As coarse as 5 ms. Or a function of how many were asked so far, from 1, whose milliseconds are counted from
   * the last of them; nobody more is asked where it answers `undefined` or less than 0. What it throws is a defect of the request.
   */
  readonly delay: Duration.Input | { readonly percentile: number } | ((asked: number) => number | undefined)
  /** How many more nodes are asked for one request, each `delay` after the one before. Default 1, of a function 8; at most 8. */
  readonly max?: number | undefined
}

/**
 * How much may be speculated: of a client, whatever its policies.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limit {
  /** Speculations for each request. Default 0.1; 1 allows one for each. */
  readonly share?: number | undefined
  /** So many may be saved up and sent at once, when a node hangs for example. Default 100. */
  readonly burst?: number | undefined
}

/** @internal */
export interface Resolved {
  /** Milliseconds; 0 where a percentile is asked for. */
  readonly millis: number
  /** From 0 to 1; 0 where a duration is given. */
  readonly quantile: number
  /** In place of both. */
  readonly next?: ((asked: number) => number | undefined) | undefined
  readonly max: number
}

/** More nodes that are asked for one request at most. */
const MOST = 8

/** Answers what is wrong with it, as a text, or what it means. @internal */
export const resolve = (policy: Policy): Resolved | string => {
  if (typeof policy !== "object" || policy === null) {
    return `speculation: { delay: "20 millis" }, { delay: { percentile: 99 } } or false, got ${format(policy)}`
  }
  const { delay, max = typeof policy.delay === "function" ? MOST : 1 } = policy
  if (!(Number.isInteger(max) && max >= 1 && max <= MOST)) {
    return `speculation.max: a whole number from 1 to ${MOST}, got ${format(max)}`
  }
  if (typeof delay === "function") return { millis: 0, quantile: 0, next: delay, max }
  if (typeof delay === "object" && delay !== null && "percentile" in delay) {
    const { percentile } = delay
    return typeof percentile === "number" && percentile >= 50 && percentile < 100
      ? { millis: 0, quantile: percentile / 100, max }
      : `speculation.delay.percentile: a number from 50 to below 100, got ${format(percentile)}`
  }
  const duration = Duration.fromInput(delay as Duration.Input)
  return duration._tag === "Some" && Duration.toMillis(duration.value) > 0
    ? { millis: Duration.toMillis(duration.value), quantile: 0, max }
    : `speculation.delay: a duration above 0 or { percentile }, got ${format(delay)}`
}
