/**
 * Connections to a node, and supervised pools with one connection per shard.
 *
 * @since 0.1.0
 */
export * as Admission from "./Admission.ts"
export * as Authenticator from "./Authenticator.ts"
export * as Background from "./Background.ts"
export * as Connection from "./Connection.ts"
export * as ConnectLimiter from "./ConnectLimiter.ts"
export * as Handshake from "./Handshake.ts"
export * as Limits from "./Limits.ts"
export * as NodePool from "./NodePool.ts"
export * as PoolError from "./PoolError.ts"
export * as PoolMetrics from "./PoolMetrics.ts"
export * as ProtocolVersions from "./ProtocolVersions.ts"
export * as Socket from "./Socket.ts"
export * as Suspension from "./Suspension.ts"
export * as Ticker from "./Ticker.ts"
export * as Tls from "./Tls.ts"
export * as Transport from "./Transport.ts"
