/**
 * How connections are dialled. The default dials TCP and TLS; tests inject an in-memory one, and users may inject a
 * proxy, a tunnel or a unix socket.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as NodeTransport from "./internal/nodeTransport.ts"
import type { DialError, Endpoint, Socket } from "./Socket.ts"

/**
 * The service.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transport {
  /** Dials; interruption abandons the dial and leaves nothing open. The caller owns the socket and destroys it. */
  readonly dial: (endpoint: Endpoint) => Effect.Effect<Socket, DialError>
}

/**
 * The transport in force: node's TCP and TLS unless another one is provided.
 *
 * @category references
 * @since 0.1.0
 */
export const Transport: Context.Reference<Transport> = Context.Reference<Transport>("@effect-scylla/pool/Transport", {
  defaultValue: () => ({ dial: NodeTransport.dial })
})
