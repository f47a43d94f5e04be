/**
 * Several writes in one request.
 *
 * @since 0.1.0
 */
import type { Encoded } from "@effect-scylla/protocol/Encoded"
import type { BatchKind } from "@effect-scylla/protocol/Request"
import type { ExecuteOptions } from "./ExecuteOptions.ts"
import type { Prepared } from "./Prepared.ts"
import type { Statement } from "./Statement.ts"

/**
 * Values of a statement: in its order, by the variables' names, or as bytes that are sent as they are. A text with `Encoded` values is not
 * prepared: the server takes their types from the text.
 *
 * @category models
 * @since 0.1.0
 */
export type Values = ReadonlyArray<unknown> | Readonly<Record<string, unknown>> | Encoded

/**
 * A statement of a batch: a template, a text without values, or a prepared statement or a text with its values.
 *
 * @category models
 * @since 0.1.0
 */
export type Item =
  | Statement<any>
  | Prepared
  | string
  | readonly [statement: Prepared | string, values: Values]

/**
 * What may be said of a batch as a whole; what a template says by `with` of a single one of its statements is refused, but for
 * `idempotent`. So is a template of a client with another `keyspace` than the batch has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<ExecuteOptions, "pageSize" | "pagingState" | "rows"> {
  /**
   * - `logged` (default): all of it is applied, or nothing; costs the cluster a batch log where more than one partition is written.
   * - `unlogged`: each statement for itself. Right for one partition, which is written atomically anyway.
   * - `counter`: updates of counters, and nothing else.
   */
  readonly type?: BatchKind | undefined
  /** Doing it twice is the same as doing it once. Default: whether all its statements say so, or certainly are by their texts. */
  readonly idempotent?: boolean | undefined
}

/**
 * Statements that one batch can have: their count has 16 bits on the wire.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_STATEMENTS = 65_535
