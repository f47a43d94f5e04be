/**
 * What pools measure. Each metric has the attribute `node` (`address:port`), those of connections and slots also `shard`
 * (`any` for slots for which any shard will do).
 *
 * Counters and histograms are updated as things happen, and so are slots. Other gauges are set once a second, as nothing is
 * counted for each request; a pool without connections is quiet.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/** Open connections, those in excess included. @category metrics @since 0.1.0 */
export const connections = Metric.gauge("cql_pool_connections", { description: "Open connections" })
/** Open connections on which nothing is heard: none of them is picked. @category metrics @since 0.1.0 */
export const silent = Metric.gauge("cql_pool_silent", { description: "Connections on which nothing is heard" })
/** How often a connection was set aside because nothing was heard on it. @category metrics @since 0.1.0 */
export const silences = Metric.counter("cql_pool_silences_total", {
  description: "Connections that were set aside",
  incremental: true
})
/** Slots by `state`: where each connection that there should be stands. @category metrics @since 0.1.0 */
export const slots = Metric.gauge("cql_pool_slots", { description: "Slots by state" })
/** Requests that somebody waits for. @category metrics @since 0.1.0 */
export const inFlight = Metric.gauge("cql_pool_in_flight", { description: "Requests in flight" })
/** Requests that were given up and not answered yet. @category metrics @since 0.1.0 */
export const orphans = Metric.gauge("cql_pool_orphans", { description: "Abandoned requests without an answer" })
/** Requests that wait for room. @category metrics @since 0.1.0 */
export const waiting = Metric.gauge("cql_pool_waiting", { description: "Requests that wait for room" })
/** Connections beyond those that there should be. @category metrics @since 0.1.0 */
export const excess = Metric.gauge("cql_pool_excess", { description: "Excess connections" })
/** Of the shard-aware port: 0 not advertised, 1 trusted, 2 left alone, 3 tried again. @category metrics @since 0.1.0 */
export const shardAwarePort = Metric.gauge("cql_pool_shard_aware_port", {
  description: "0 absent, 1 trusted, 2 blocked, 3 probing"
})
/** Dials that were begun. @category metrics @since 0.1.0 */
export const dials = Metric.counter("cql_pool_dials_total", { description: "Dials", incremental: true })
/** Dials that failed, by `reason`. @category metrics @since 0.1.0 */
export const dialFailures = Metric.counter("cql_pool_dial_failures_total", {
  description: "Dials that failed",
  incremental: true
})
/** Connections that were lost, by `reason`; those that this side closed are not counted. @category metrics @since 0.1.0 */
export const losses = Metric.counter("cql_pool_connections_lost_total", {
  description: "Connections that were lost",
  incremental: true
})
/** Milliseconds from the first packet to the end of the handshake. @category metrics @since 0.1.0 */
export const handshakeTime = Metric.histogram("cql_pool_handshake_milliseconds", {
  description: "Time of dial and handshake",
  boundaries: Metric.exponentialBoundaries({ start: 1, factor: 2, count: 14 })
})
/** Milliseconds that a request waited for room, as coarse as the ticker (100 ms). @category metrics @since 0.1.0 */
export const queueTime = Metric.histogram("cql_pool_queue_milliseconds", {
  description: "Time in the waiting list",
  boundaries: Metric.exponentialBoundaries({ start: 100, factor: 2, count: 10 })
})
