/**
 * Which shard of a ScyllaDB node owns a token.
 *
 * A ScyllaDB node is a set of shards, one per CPU core, that share nothing: each owns a part of the node's data, and a
 * connection lives on one of them. A request sent over a connection of the owning shard is served where it arrives;
 * any other makes the node pass it from core to core.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * A node announced a sharding that cannot be: see `reason`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ShardInfoError extends Data.TaggedError("ShardInfoError")<{
  /** Which of the two numbers is wrong. */
  readonly reason: "NrShards" | "IgnoreMsb"
  /** The value that was refused. */
  readonly value: number
}> {
  override get message(): string {
    return this.reason === "NrShards"
      ? `ShardInfo: nrShards must be an integer from 1 to 65535, got ${this.value}; ` +
        "pass SCYLLA_NR_SHARDS of the node's SUPPORTED message, or treat the node as one without shards"
      : `ShardInfo: ignoreMsb must be an integer from 0 to 63, got ${this.value}; ` +
        "pass SCYLLA_SHARDING_IGNORE_MSB of the node's SUPPORTED message (ScyllaDB's default is 12)"
  }
}

/**
 * How one node divides tokens among its shards.
 *
 * **Details**
 *
 * Nodes of one cluster may differ, and a node may come back from a restart with other numbers, so this belongs to a
 * node and is read anew from the SUPPORTED message of each connection. Instances are immutable and have passed
 * validation: {@link ShardInfo.make} is the only way to get one.
 *
 * @category models
 * @since 0.1.0
 */
export class ShardInfo {
  /** Number of shards of the node, 1..65535 (`SCYLLA_NR_SHARDS`). */
  readonly nrShards: number
  /** How many of the token's most significant bits do not count, 0..63 (`SCYLLA_SHARDING_IGNORE_MSB`). */
  readonly ignoreMsb: number

  private constructor(nrShards: number, ignoreMsb: number) {
    this.nrShards = nrShards
    this.ignoreMsb = ignoreMsb
  }

  /** Validates what a node announced; fails with {@link ShardInfoError}. */
  static make(nrShards: number, ignoreMsb: number): Result.Result<ShardInfo, ShardInfoError> {
    if (!Number.isInteger(nrShards) || nrShards < 1 || nrShards > 65535) {
      return Result.fail(new ShardInfoError({ reason: "NrShards", value: nrShards }))
    }
    if (!Number.isInteger(ignoreMsb) || ignoreMsb < 0 || ignoreMsb > 63) {
      return Result.fail(new ShardInfoError({ reason: "IgnoreMsb", value: ignoreMsb }))
    }
    return Result.succeed(new ShardInfo(nrShards, ignoreMsb))
  }
}

/**
 * Shard, `0..nrShards - 1`, that owns the token given as two int32 words.
 *
 * **Details**
 *
 * The token is biased by 2^63 to an unsigned number, shifted left by `ignoreMsb` bits (those fall off), and scaled
 * from 0..2^64 to 0..nrShards: `((((token + 2^63) << ignoreMsb) mod 2^64) * nrShards) >> 64`, as `dht::shard_of` of
 * ScyllaDB (`dht/token.cc`). All terms stay below 2^49, so doubles are exact. A few nanoseconds, no allocation.
 *
 * The arguments are not checked here: take `nrShards` and `ignoreMsb` from a {@link ShardInfo}. This holds for tables
 * with vnodes; a table with tablets says its shards itself.
 *
 * @category routing
 * @since 0.1.0
 */
export const shardOf = (hi: number, lo: number, nrShards: number, ignoreMsb: number): number => {
  let high = hi ^ 0x80000000
  let low = lo
  if (ignoreMsb >= 32) {
    high = low << (ignoreMsb - 32)
    low = 0
  } else if (ignoreMsb > 0) {
    // Not for 0: JavaScript takes a shift by 32 as a shift by 0.
    high = (high << ignoreMsb) | (low >>> (32 - ignoreMsb))
    low = low << ignoreMsb
  }
  const carry = ((low >>> 0) * nrShards * 2.3283064365386963e-10) >>> 0
  return (((high >>> 0) * nrShards + carry) * 2.3283064365386963e-10) | 0
}

/**
 * Shard that owns `token` on the node that `info` describes.
 *
 * The comfortable form of {@link shardOf}, for a token as `bigint`.
 *
 * @category routing
 * @since 0.1.0
 */
export const shardOfToken = (info: ShardInfo, token: bigint): number =>
  shardOf(
    Number(BigInt.asIntN(32, token >> 32n)),
    Number(BigInt.asIntN(32, token)),
    info.nrShards,
    info.ignoreMsb
  )
