/**
 * A partition key that is said, for statements of which it cannot be told: texts, and statements whose key is not all bound.
 *
 * @since 0.1.0
 */
import { composeResult } from "@effect-scylla/sharding/RoutingKey"
import { format } from "effect/Formatter"
import { isBytes } from "./internal/bytes.ts"

/**
 * The key, and whose it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface RoutingKey {
  /** The key's columns as they are on the wire: one, or a list of them in the key's order. */
  readonly key: Uint8Array | ReadonlyArray<Uint8Array>
  /** Default: the statement's, else the client's. */
  readonly keyspace?: string | undefined
  /** Needed for tables with tablets. Default: the statement's. */
  readonly table?: string | undefined
}

/** The bytes of which the token is made, or what is wrong with it. @internal */
export const bytesOf = (given: RoutingKey): Uint8Array | string => {
  const { key } = (given ?? {}) as RoutingKey
  if (isBytes(key)) return key
  if (!Array.isArray(key) || key.length === 0 || key.some((part) => !isBytes(part))) {
    return `routingKey.key: bytes, or a list of them for a key of several columns, got ${format(key)}`
  }
  if (key.length === 1) return key[0] as Uint8Array
  const composed = composeResult(key)
  return composed._tag === "Success" ? composed.success : `routingKey.key: ${composed.failure.message}`
}
