/**
 * How values appear in JavaScript.
 *
 * @category models
 * @since 0.1.0
 */
export interface CodecOptions {
  /** `uuid` and `timeuuid` as the `Uuid` class (default, an order of magnitude cheaper) or as canonical strings. */
  readonly uuid?: "class" | "string" | undefined
  /**
   * `timestamp` as `Date` (default) or as milliseconds since 1970 in a `bigint`. `Date` ends in the year 275760: what lies
   * past it, such as the largest 64-bit number that some write for "forever", is a `Value.OutOfRangeTimestamp` in its place.
   */
  readonly timestamp?: "date" | "bigint" | undefined
  /**
   * `bigint`, `counter` and `varint` as `bigint` (default), as decimal text, or as `number` where that is exact: one past
   * 2^53-1 in magnitude stays a `bigint`, as nothing is ever rounded.
   */
  readonly bigint?: "bigint" | "number" | "string" | undefined
}
