/**
 * Connections to a node, and supervised pools with one connection per shard.
 *
 * @since 0.1.0
 */
export * as Socket from "./Socket.ts"
export * as Ticker from "./Ticker.ts"
export * as Transport from "./Transport.ts"
