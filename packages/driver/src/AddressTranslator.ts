/**
 * Where nodes are reached that are not reached at the address that they tell: behind mapped ports of containers, a port-forward, an
 * SSH tunnel, an address translation of the network.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"

/**
 * A node as the cluster tells of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Told {
  readonly hostId: string
  /** Where it says that clients reach it (`rpc_address` of the system tables). */
  readonly address: string
  readonly port: number
  readonly datacenter: string
  readonly rack: string
}

/**
 * Where a node is to be dialled: `host`, `host:port` or `[IPv6]:port`, or both by themselves. A name is resolved, and a certificate
 * has to be for it.
 *
 * @category models
 * @since 0.1.0
 */
export type Place = string | { readonly address: string; readonly port?: number | undefined }

/**
 * Answers where a node is to be dialled, or `undefined` for where it says. At once, by a promise or by an effect. The answer is kept as
 * long as the node tells the same and is reached; else it is asked again with the next look at the cluster. Where it fails, a warning says so, and the node is dialled where it says.
 *
 * @category models
 * @since 0.1.0
 */
export type AddressTranslator = (
  node: Told
) => Place | undefined | PromiseLike<Place | undefined> | Effect.Effect<Place | undefined, unknown>
