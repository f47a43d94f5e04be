/**
 * The DynamoDB API of ScyllaDB (Alternator): live nodes, fail-over, balancing.
 *
 * @stability unstable
 * @since 0.1.0
 */
export * as Affinity from "./Affinity.ts"
export * as AlternatorError from "./AlternatorError.ts"
export * as AlternatorNodes from "./AlternatorNodes.ts"
export * as AlternatorTransport from "./AlternatorTransport.ts"
export * as AttributeValue from "./AttributeValue.ts"
export * as Auth from "./Auth.ts"
export * as Exchange from "./Exchange.ts"
export * as NodeAddress from "./NodeAddress.ts"
export * as NodeHealth from "./NodeHealth.ts"
export * as QueryPlan from "./QueryPlan.ts"
export * as RoutingScope from "./RoutingScope.ts"
export * as SigV4 from "./SigV4.ts"
