/**
 * A CQL driver for ScyllaDB and Apache Cassandra: token-aware, shard-aware, on Effect.
 *
 * @since 0.1.0
 */
export * as AddressTranslator from "./AddressTranslator.ts"
export * as Balancing from "./Balancing.ts"
export * as Batch from "./Batch.ts"
export * as ClientRoutes from "./ClientRoutes.ts"
export * as CqlClient from "./CqlClient.ts"
export * as CqlError from "./CqlError.ts"
export * as CqlMigrator from "./CqlMigrator.ts"
export * as CqlResolver from "./CqlResolver.ts"
export * as CqlSchema from "./CqlSchema.ts"
export * as CqlTypes from "./CqlTypes.ts"
export * as ExecuteOptions from "./ExecuteOptions.ts"
export * as Grouped from "./Grouped.ts"
export * as Idempotence from "./Idempotence.ts"
export * as Many from "./Many.ts"
export * as Options from "./Options.ts"
export * as Paging from "./Paging.ts"
export * as Prepared from "./Prepared.ts"
export * as RequestMetrics from "./RequestMetrics.ts"
export * as ResultSet from "./ResultSet.ts"
export * as Retry from "./Retry.ts"
export * as RetryPolicy from "./RetryPolicy.ts"
export * as RoutingKey from "./RoutingKey.ts"
export * as Schema from "./Schema.ts"
export * as Snapshot from "./Snapshot.ts"
export * as Speculation from "./Speculation.ts"
export * as Statement from "./Statement.ts"
export * as StatementKind from "./StatementKind.ts"
export * as Trace from "./Trace.ts"

/** What programs need of the protocol: values that JavaScript has no type for, their JSON, and the servers' errors. */
export * as Json from "@effect-scylla/protocol/Json"
export * as ServerError from "@effect-scylla/protocol/ServerError"
export * as Uuid from "@effect-scylla/protocol/Uuid"
export * as Value from "@effect-scylla/protocol/Value"
