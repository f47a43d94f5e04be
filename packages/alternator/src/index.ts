/**
 * The DynamoDB API of ScyllaDB (Alternator): live nodes, fail-over, balancing.
 *
 * @stability unstable
 * @since 0.1.0
 */
export * as Affinity from "./Affinity.ts"
export * as AlternatorError from "./AlternatorError.ts"
export * as NodeAddress from "./NodeAddress.ts"
