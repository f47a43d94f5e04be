/**
 * What servers noted of a request that asked for a trace.
 *
 * @since 0.1.0
 */
import type { Uuid } from "@effect-scylla/protocol/Uuid"

/**
 * A step of a trace.
 *
 * @category models
 * @since 0.1.0
 */
export interface TraceEvent {
  readonly activity: string
  /** The node that noted it. */
  readonly source: string
  /** Since that node began, in microseconds. */
  readonly elapsedMicros: number | undefined
  readonly thread: string
}

/**
 * A trace: rows of `system_traces.sessions` and `system_traces.events`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Trace {
  readonly id: Uuid
  /** What was done: `Execute CQL3 prepared query` and the like. */
  readonly request: string
  readonly coordinator: string
  readonly durationMicros: number
  readonly startedAt: Date | undefined
  /** Consistency, query and others, as the server has them. */
  readonly parameters: ReadonlyMap<string, string>
  /** In the order in which they were noted. */
  readonly events: ReadonlyArray<TraceEvent>
}
