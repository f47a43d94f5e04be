/**
 * How much a connection may hold, and how long it waits for its peer.
 *
 * @since 0.1.0
 */

/**
 * Limits and timers of a connection; durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /**
   * Requests in flight, orphans included, past which no further one is taken; at most 32766, one id being the heartbeat's.
   * Default 1024: more of them wait in a shard's queue, where nobody can take them back.
   */
  readonly maxInFlight: number
  /** Bytes that wait to be sent; past it no further request is taken until some have left. Default 64 MiB. */
  readonly maxOutput: number
  /** Bytes of a response. Default 256 MiB. */
  readonly maxFrame: number
  /** Silence after which the peer is asked whether it lives. Default 30 000. */
  readonly heartbeatInterval: number
  /**
   * How long the answer to that may take, before another connection is wanted in place of this one. Where none can be made, it is
   * closed after six times as long, unless somebody still waits for an answer on it. Default 5 000.
   */
  readonly heartbeatTimeout: number
  /**
   * The same silence while the peer owes answers. Default 200; doubled, up to 2 seconds, with each time that it was asked about the
   * same requests.
   */
  readonly silence: number
  /**
   * How long anything may take to come after that, before requests go elsewhere until something does. Default 300, or three times as
   * long as answers usually take, at most 2 seconds.
   */
  readonly silenceGrace: number
  /** How long the socket may hold on to bytes without getting rid of any: the peer does not read. Default 15 000. */
  readonly writeTimeout: number
  /** Abandoned requests whose answer is still out that make the connection ask for its replacement. Default 256. */
  readonly maxOrphans: number
  /** The same for those that are older than a second. Default 64. */
  readonly maxOldOrphans: number
}

/**
 * The limits of a connection whose owner sets none.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: Limits = {
  maxInFlight: 1024,
  maxOutput: 64 * 1024 * 1024,
  maxFrame: 256 * 1024 * 1024,
  heartbeatInterval: 30_000,
  heartbeatTimeout: 5_000,
  silence: 200,
  silenceGrace: 300,
  writeTimeout: 15_000,
  maxOrphans: 256,
  maxOldOrphans: 64
}

/**
 * Throws a `RangeError` that names the first limit with which nothing would ever be sent, or nothing bounded.
 *
 * @internal
 */
export const check = (limits: Partial<Limits> = {}): void => {
  for (const [name, value] of Object.entries(limits)) {
    if (value === undefined || value > 0) continue
    throw new RangeError(`limits.${name} must be more than 0, got ${value}`)
  }
}
