/**
 * One statement with many rows of values.
 *
 * @since 0.1.0
 */
import type { CqlError, Progress } from "./CqlError.ts"
import type { ExecuteOptions } from "./ExecuteOptions.ts"
import type { ResultSet } from "./ResultSet.ts"

/**
 * What may be said of the execution of many rows, besides the options of each.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<ExecuteOptions, "pagingState"> {
  /** Rows under way at a time. Default 256, at most 16 384. */
  readonly concurrency?: number | undefined
  /**
   * `"stop"` (default): the first failure keeps what has not been sent from being sent, waits for what has, and fails with the error
   * of that row, whose `progress` says how far it got. `"collect"`: goes on, and gives the failures in the end.
   */
  readonly failures?: "stop" | "collect" | undefined
  /** Failures that are collected; past it, it stops as with `"stop"`. Default 1 000. */
  readonly maxFailures?: number | undefined
  /** Told how far it is, after each so many rows as are under way at a time, and in the end. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Told of the first page of each row's result, by the row's place from 0. Results are not kept. */
  readonly onResult?: ((result: ResultSet, index: number) => void) | undefined
}

/**
 * A row that failed: its place from 0, and why, with what became of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly index: number
  readonly error: CqlError
}

/**
 * What became of all rows.
 *
 * @category models
 * @since 0.1.0
 */
export interface Summary {
  readonly succeeded: number
  /** In the order in which they failed; empty with `failures: "stop"`. */
  readonly failures: ReadonlyArray<Failure>
}
