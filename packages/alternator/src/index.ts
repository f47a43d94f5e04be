/**
 * The DynamoDB API of ScyllaDB (Alternator): live nodes, fail-over, balancing.
 *
 * @stability unstable
 * @since 0.1.0
 */
export * as Affinity from "./Affinity.ts"
export * as AlternatorClient from "./AlternatorClient.ts"
export * as AlternatorError from "./AlternatorError.ts"
export * as AlternatorNodes from "./AlternatorNodes.ts"
export * as AlternatorTable from "./AlternatorTable.ts"
export * as AlternatorTransport from "./AlternatorTransport.ts"
export * as AttributeValue from "./AttributeValue.ts"
export * as Auth from "./Auth.ts"
export * as AwsSdk from "./AwsSdk.ts"
export * as Batches from "./Batches.ts"
export * as Exchange from "./Exchange.ts"
export * as NodeAddress from "./NodeAddress.ts"
export * as NodeHealth from "./NodeHealth.ts"
export * as Operations from "./Operations.ts"
export * as Paging from "./Paging.ts"
export * as QueryPlan from "./QueryPlan.ts"
export * as RequestKind from "./RequestKind.ts"
export * as RoutingScope from "./RoutingScope.ts"
export * as SigV4 from "./SigV4.ts"
export * as Waiters from "./Waiters.ts"
