/**
 * Tokens, shards, source ports, routing keys, rings and replicas of ScyllaDB and Apache Cassandra.
 *
 * @stability unstable
 * @since 0.1.0
 */

/**
 * Tokens as `bigint` and as two int32 words.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Token from "./Token.ts"

/**
 * The hash that turns a partition key into a token.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Murmur3 from "./Murmur3.ts"

/**
 * Which shard of a node owns a token.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Sharding from "./Sharding.ts"

/**
 * Local ports that lead to a given shard.
 *
 * @category modules
 * @since 0.1.0
 */
export * as SourcePort from "./SourcePort.ts"

/**
 * The bytes of a partition key as the partitioner hashes them.
 *
 * @category modules
 * @since 0.1.0
 */
export * as RoutingKey from "./RoutingKey.ts"

/**
 * Which node owns which range of tokens.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TokenRing from "./TokenRing.ts"

/**
 * Which nodes hold the replicas of each segment of a ring.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Replication from "./Replication.ts"

/**
 * What servers have told of the tablets of tables.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TabletMap from "./TabletMap.ts"

/**
 * Which partitioner a table has, and its rule for the empty key.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Partitioner from "./Partitioner.ts"

/**
 * The partitioner of ScyllaDB's CDC log tables.
 *
 * @category modules
 * @since 0.1.0
 */
export * as CdcPartitioner from "./CdcPartitioner.ts"

/**
 * Tokens of Cassandra's RandomPartitioner.
 *
 * @category modules
 * @since 0.1.0
 */
export * as RandomPartitioner from "./RandomPartitioner.ts"

/**
 * Tokens of Cassandra's ByteOrderedPartitioner.
 *
 * @category modules
 * @since 0.1.0
 */
export * as ByteOrderedPartitioner from "./ByteOrderedPartitioner.ts"
