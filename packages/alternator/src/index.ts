/**
 * The DynamoDB API of ScyllaDB (Alternator): live nodes, fail-over, balancing.
 *
 * @stability unstable
 * @since 0.1.0
 */

/**
 * Which node coordinates the writes of a key, the same for all clients of a family.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Affinity from "./Affinity.ts"

/**
 * The lean client: operations, retries, deadlines.
 *
 * @category modules
 * @since 0.1.0
 */
export * as AlternatorClient from "./AlternatorClient.ts"

/**
 * What can go wrong, and what became of a write.
 *
 * @category modules
 * @since 0.1.0
 */
export * as AlternatorError from "./AlternatorError.ts"

/**
 * The live nodes, discovered and watched.
 *
 * @category modules
 * @since 0.1.0
 */
export * as AlternatorNodes from "./AlternatorNodes.ts"

/**
 * Tables typed by a Schema.
 *
 * @category modules
 * @since 0.1.0
 */
export * as AlternatorTable from "./AlternatorTable.ts"

/**
 * How requests reach nodes.
 *
 * @category modules
 * @since 0.1.0
 */
export * as AlternatorTransport from "./AlternatorTransport.ts"

/**
 * Items as plain values and as DynamoDB JSON.
 *
 * @category modules
 * @since 0.1.0
 */
export * as AttributeValue from "./AttributeValue.ts"

/**
 * How a client shows who it is.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Auth from "./Auth.ts"

/**
 * The adapter for the AWS SDK for JavaScript v3.
 *
 * @category modules
 * @since 0.1.0
 */
export * as AwsSdk from "./AwsSdk.ts"

/**
 * Batches of any size, done completely.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Batches from "./Batches.ts"

/**
 * One HTTP request to one node, and its answer.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Exchange from "./Exchange.ts"

/**
 * Addresses of nodes: how they are given, listed and written.
 *
 * @category modules
 * @since 0.1.0
 */
export * as NodeAddress from "./NodeAddress.ts"

/**
 * What requests have shown of a node.
 *
 * @category modules
 * @since 0.1.0
 */
export * as NodeHealth from "./NodeHealth.ts"

/**
 * Inputs and outputs of all operations.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Operations from "./Operations.ts"

/**
 * All pages of queries, scans and lists, as streams.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Paging from "./Paging.ts"

/**
 * Which node each attempt of a request goes to.
 *
 * @category modules
 * @since 0.1.0
 */
export * as QueryPlan from "./QueryPlan.ts"

/**
 * What a request does, as far as retries and affinity need to know.
 *
 * @category modules
 * @since 0.1.0
 */
export * as RequestKind from "./RequestKind.ts"

/**
 * Sending again what failed, where that can do no harm.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Retry from "./Retry.ts"

/**
 * Which nodes requests go to, and what to fall back to.
 *
 * @category modules
 * @since 0.1.0
 */
export * as RoutingScope from "./RoutingScope.ts"

/**
 * Signatures of exactly what is sent.
 *
 * @category modules
 * @since 0.1.0
 */
export * as SigV4 from "./SigV4.ts"

/**
 * Waiting for tables to be what they were asked to become.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Waiters from "./Waiters.ts"
