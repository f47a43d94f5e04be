/**
 * Who opens the connections.
 *
 * The default is `@grpc/grpc-js`. A test, a tunnel or another gRPC implementation puts its own in its place; everything
 * above knows only the types of `Channel`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { Channel, ChannelOptions } from "./Channel.ts"
import { grpcTransport } from "./internal/grpcTransport.ts"

export type { Answer, Channel, ChannelOptions, StreamCall, StreamHandlers, TlsOptions } from "./Channel.ts"
export { MAX_MESSAGE_BYTES } from "./Channel.ts"

/**
 * Opens connections. `address` is `host:port`; must not throw.
 *
 * @category services
 * @since 0.1.0
 */
export interface Transport {
  readonly open: (address: string, options: ChannelOptions) => Channel
}

/**
 * The transport in force, `@grpc/grpc-js` unless replaced.
 *
 * @category services
 * @since 0.1.0
 */
export const Transport: Context.Reference<Transport> = Context.Reference<Transport>(
  "@effect-scylla/raft-client/Transport",
  { defaultValue: () => grpcTransport }
)
