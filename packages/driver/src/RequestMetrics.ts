/**
 * What requests measure, from the first one on, those that fail included. Attributes: `profile` (`default` where none is named) and
 * `label` (that of the request, empty without one), never a statement's text.
 *
 * They are counted in plain fields and read when somebody looks, so that a request pays a few nanoseconds. What each means, and when to
 * be alarmed, is in `docs/metrics.md`.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/** Requests that were answered. @category metrics @since 0.1.0 */
export const answered = Metric.counter("cql_requests_total", {
  description: "Requests that were answered",
  incremental: true
})
/** Requests that failed for good, by `reason`, and `outcome` of a write. @category metrics @since 0.1.0 */
export const failed = Metric.counter("cql_request_errors_total", {
  description: "Requests that failed, by reason",
  incremental: true
})
/** Milliseconds from the end of the turn in which it was asked to the answer, all attempts included. @category metrics @since 0.1.0 */
export const duration = Metric.histogram("cql_request_duration_milliseconds", {
  description: "Time of requests that were answered",
  boundaries: Array.from({ length: 18 }, (_, i) => 0.128 * 2 ** i)
})
/** Attempts after the first one, by `decision`: NextNode, SameNode. @category metrics @since 0.1.0 */
export const retries = Metric.counter("cql_request_retries_total", {
  description: "Requests that were sent again",
  incremental: true
})
/** Nodes that were asked before another one had answered. @category metrics @since 0.1.0 */
export const speculations = Metric.counter("cql_request_speculations_total", {
  description: "Requests that were sent to a second node before the first answered",
  incremental: true
})
/** Repetitions that the budget did not allow. @category metrics @since 0.1.0 */
export const throttled = Metric.counter("cql_request_throttled_total", {
  description: "Repetitions and speculations beyond the budget",
  incremental: true
})
/** Pages that were not the last one of their result. @category metrics @since 0.1.0 */
export const pages = Metric.counter("cql_request_pages_total", {
  description: "Pages after which there is another one",
  incremental: true
})
/** Statements that are prepared, of a client. @category metrics @since 0.1.0 */
export const prepared = Metric.gauge("cql_prepared_statements", { description: "Prepared statements" })
/** Prepared statements that were forgotten for the bounds. @category metrics @since 0.1.0 */
export const preparedEvictions = Metric.counter("cql_prepared_evictions_total", {
  description: "Prepared statements that were forgotten",
  incremental: true
})
/** Lookups of tablets, by `result`: hit, miss. @category metrics @since 0.1.0 */
export const tablets = Metric.counter("cql_tablet_lookups_total", {
  description: "Lookups of tablets, hit or miss",
  incremental: true
})
/** Requests by the connection they left on, by `route`: owned, otherShard, otherNode, unknownTablet, unrouted. @category metrics @since 0.1.0 */
export const routes = Metric.counter("cql_request_routes_total", {
  description: "How requests found their way",
  incremental: true
})
