/**
 * Many writes as few requests: unlogged batches of those that lie on the same replicas and the same core.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import type { CqlError } from "./CqlError.ts"
import type { ExecuteOptions } from "./ExecuteOptions.ts"
import type { Coordinator } from "./ResultSet.ts"

/**
 * What may be said of grouped writes, besides the options of each request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<ExecuteOptions, "pageSize" | "pagingState" | "rows" | "routingKey" | "target"> {
  /**
   * Bytes of a batch, about; a statement that is larger goes alone. Default 4 KiB, or 64 KiB where all nodes have shards: the servers'
   * thresholds for warnings are 5 KiB (Cassandra's `batch_size_warn_threshold`) and 128 KiB (ScyllaDB's
   * `batch_size_warn_threshold_in_kb`).
   */
  readonly maxBytes?: number | undefined
  /** Statements of a batch. Default 100. */
  readonly maxStatements?: number | undefined
  /** Partitions of a batch. Default 10, above which Cassandra warns (`unlogged_batch_across_partitions_warn_threshold`). */
  readonly maxPartitions?: number | undefined
  /** Batches under way at a time. Default 64, at most 4,096. */
  readonly concurrency?: number | undefined
}

/**
 * What became of one statement: who wrote it, or why not, with the outcome. Those of one batch share their error.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = Result.Result<Coordinator, CqlError>
