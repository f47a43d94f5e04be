/**
 * Local ports that lead to a given shard.
 *
 * On its shard-aware port (19042, with TLS 19142) ScyllaDB hands a connection to shard `source port % nrShards`
 * (Seastar's `load_balancing_algorithm::port`), so a client chooses the shard by binding a suitable local port before
 * it connects. This module lists the suitable ones; binding and judging errors is the caller's.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * First port of the default range, 49152: start of IANA's dynamic ports (RFC 6335, section 6), which servers leave
 * free.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultFrom = 49152

/**
 * Last port of the default range, 65535: end of IANA's dynamic ports (RFC 6335, section 6).
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultTo = 65535

/**
 * What ports to list: those `p` with `from <= p <= to` and `p % nrShards === shard`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SourcePortOptions {
  /** Number of shards of the node, 1..65535. */
  readonly nrShards: number
  /** Wanted shard, `0..nrShards - 1`. */
  readonly shard: number
  /** First port that may be used, 1..65535, 49152 by default. Give each worker or process a range of its own. */
  readonly from?: number | undefined
  /** Last port that may be used, `from..65535`, 65535 by default. */
  readonly to?: number | undefined
  /** Where to start, in [0, 1): pass a random number, so that processes of one host do not try the same ports in turn. */
  readonly pivot: number
  /** Ports that were closed a short while ago, which come last; see {@link RecentPorts}. None by default. */
  readonly recent?: RecentPorts | undefined
  /** The time by the clock of `recent`, in milliseconds; 0 by default. */
  readonly now?: number | undefined
}

/**
 * A range of ports, both ends included.
 *
 * @category models
 * @since 0.1.0
 */
export interface PortRange {
  /** The first port, 1..65535. */
  readonly from: number
  /** The last port, `from..65535`. */
  readonly to: number
}

/**
 * The share of worker `index` (from 0) of `count` in a range of ports, by default 49152..65535: the shares are disjoint,
 * cover the range, and differ by one port at most.
 *
 * Workers and processes of one host that draw from the same ports collide, and notice it only when they connect. A share
 * should hold several times as many ports as a node has shards. `undefined` when `index` is not one of `count`, the range
 * is none, or it has fewer than `count` ports.
 *
 * **Example** (The second of four workers)
 *
 * ```ts
 * SourcePort.share(1, 4) // { from: 53248, to: 57343 }
 * ```
 *
 * @category ranges
 * @since 0.1.0
 */
export const share = (
  index: number,
  count: number,
  range: PortRange = { from: defaultFrom, to: defaultTo }
): PortRange | undefined => {
  const { from, to } = range
  const size = to - from + 1
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 1 || to > 65535) return undefined
  if (!Number.isInteger(index) || !Number.isInteger(count) || index < 0 || index >= count || size < count) {
    return undefined
  }
  return { from: from + Math.floor(index * size / count), to: from + Math.floor((index + 1) * size / count) - 1 }
}

/**
 * For how long a closed port comes last, unless {@link RecentPorts} is told otherwise: 60 seconds, Linux's TIME_WAIT.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultHoldMillis = 60_000

/**
 * The local ports of connections that were closed a short while ago.
 *
 * The side of a connection that closes it first keeps its port in TIME_WAIT for a minute, during which it cannot connect
 * to the same address and port again. So keep one of these per destination, and pass it to {@link PortCursor.make}:
 * these ports are then tried last, the one closed first before the others.
 *
 * It knows no clock: pass the same clock's milliseconds everywhere. It holds each port once, hence 65535 at most.
 *
 * @category models
 * @since 0.1.0
 */
export class RecentPorts {
  /** For how many milliseconds a port counts as recently closed. */
  readonly holdMillis: number
  /** When a port was closed; the least recent first. */
  private readonly closedAt = new Map<number, number>()

  constructor(holdMillis: number = defaultHoldMillis) {
    this.holdMillis = holdMillis
  }

  /** How many ports are held; those whose time is over go with the next {@link RecentPorts.close}. */
  get size(): number {
    return this.closedAt.size
  }

  /** Notes that a connection from `port` was closed. What is no port is ignored. */
  close(port: number, now: number): void {
    if (!Number.isInteger(port) || port < 1 || port > 65535) return
    this.closedAt.delete(port)
    for (const [other, at] of this.closedAt) {
      if (now - at < this.holdMillis) break
      this.closedAt.delete(other)
    }
    this.closedAt.set(port, now)
  }

  /** When `port` was closed, -1 when it was not, or too long ago to matter. */
  since(port: number, now: number): number {
    const at = this.closedAt.get(port)
    return at === undefined || now - at >= this.holdMillis ? -1 : at
  }
}

/**
 * The options describe no range of ports: see `reason`.
 *
 * @category errors
 * @since 0.1.0
 */
export class SourcePortError extends Data.TaggedError("SourcePortError")<{
  /** Which of the options is wrong. */
  readonly reason: "NrShards" | "Shard" | "Range" | "Pivot"
  /** The options as they were given, defaults filled in. */
  readonly options: SourcePortOptions
}> {
  override get message(): string {
    const { from, nrShards, pivot, shard, to } = this.options
    switch (this.reason) {
      case "NrShards":
        return `SourcePort: nrShards must be an integer from 1 to 65535, got ${nrShards}; ` +
          "pass SCYLLA_NR_SHARDS of the node"
      case "Shard":
        return `SourcePort: shard must be an integer from 0 to ${nrShards - 1}, got ${shard}; ` +
          "the node has fewer shards than the caller believes, read its SUPPORTED message again"
      case "Range":
        return `SourcePort: ${from}..${to} is not a range of ports; give integers with 1 <= from <= to <= 65535`
      case "Pivot":
        return `SourcePort: pivot must be in [0, 1), got ${pivot}; pass a random number`
    }
  }
}

/**
 * Walks over the ports of one shard, each exactly once: from the pivot up to the end of the range, then from its
 * start up to the pivot. Ports that were recently closed when the cursor was made come after all others, the one closed
 * first before the others.
 *
 * A cursor holds a few integers whatever the size of the range, and the recently closed ports that it has met. It is used
 * up by walking; make a new one (with a new pivot) for the next walk.
 *
 * @category models
 * @since 0.1.0
 */
export class PortCursor {
  /** Number of suitable ports in the range; 0 when the range is shorter than `nrShards` and misses the residue. */
  readonly size: number
  private readonly first: number
  private readonly step: number
  private index: number
  private left: number
  private readonly recent: RecentPorts | undefined
  private readonly now: number
  private sorted = false
  private deferred: Array<{ readonly port: number; readonly since: number }> | undefined

  private constructor(
    first: number,
    step: number,
    size: number,
    start: number,
    recent: RecentPorts | undefined,
    now: number
  ) {
    this.first = first
    this.step = step
    this.size = size
    this.index = start
    this.left = size
    this.recent = recent
    this.now = now
  }

  /** Validates the options; fails with {@link SourcePortError}. A range without a suitable port is valid and empty. */
  static make(options: SourcePortOptions): Result.Result<PortCursor, SourcePortError> {
    const { from = defaultFrom, now = 0, nrShards, pivot, recent, shard, to = defaultTo } = options
    const fail = (reason: SourcePortError["reason"]) =>
      Result.fail(new SourcePortError({ reason, options: { ...options, from, to } }))
    if (!Number.isInteger(nrShards) || nrShards < 1 || nrShards > 65535) return fail("NrShards")
    if (!Number.isInteger(shard) || shard < 0 || shard >= nrShards) return fail("Shard")
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < 1 || to > 65535 || from > to) return fail("Range")
    if (!(pivot >= 0 && pivot < 1)) return fail("Pivot")
    const first = from + (nrShards - (from % nrShards) + shard) % nrShards
    const size = first > to ? 0 : Math.floor((to - first) / nrShards) + 1
    return Result.succeed(new PortCursor(first, nrShards, size, Math.floor(pivot * size), recent, now))
  }

  /** The next port, or -1 when every suitable port has been given. */
  next(): number {
    while (this.left > 0) {
      this.left--
      const port = this.first + this.index * this.step
      this.index = this.index + 1 === this.size ? 0 : this.index + 1
      const since = this.recent === undefined ? -1 : this.recent.since(port, this.now)
      if (since === -1) return port
      this.deferred ??= []
      this.deferred.push({ port, since })
    }
    if (this.deferred === undefined) return -1
    if (!this.sorted) this.deferred.sort((a, b) => b.since - a.since)
    this.sorted = true
    return this.deferred.pop()?.port ?? -1
  }
}

/**
 * The ports of one shard as an iterable, in the order of {@link PortCursor}, each exactly once per iteration.
 *
 * Fails with {@link SourcePortError} when the options describe no range.
 *
 * **Example** (Ports of shard 3 of 8)
 *
 * ```ts
 * const ports = SourcePort.iterate({ nrShards: 8, shard: 3, from: 50000, to: 50020, pivot: 0.5 })
 * Result.map(ports, (ports) => Array.from(ports)) // 50011, 50019, 50003
 * ```
 *
 * @category iterating
 * @since 0.1.0
 */
export const iterate = (options: SourcePortOptions): Result.Result<Iterable<number>, SourcePortError> => {
  const checked = PortCursor.make(options)
  if (Result.isFailure(checked)) return Result.fail(checked.failure)
  return Result.succeed({
    *[Symbol.iterator]() {
      const cursor = Result.getOrThrow(PortCursor.make(options))
      for (let port = cursor.next(); port !== -1; port = cursor.next()) yield port
    }
  })
}
