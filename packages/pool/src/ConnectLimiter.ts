/**
 * Keeps the restart of a cluster from becoming a storm of handshakes: a process-wide bound on dials under way, and one for
 * each node.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/**
 * Bounds of a limiter.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Dials and handshakes under way in the process. Default 32. */
  readonly concurrency?: number | undefined
  /** The same for one node. Default 4: authentication is the costly part of a handshake, and it runs on the node's cores. */
  readonly concurrencyPerNode?: number | undefined
}

/**
 * The service.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectLimiter {
  /** Runs a dial, from the first packet to the end of the handshake, when there is room for it. */
  readonly limit: <A, E, R>(node: string, dial: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * A limiter of its own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): ConnectLimiter => {
  const all = Semaphore.makeUnsafe(options?.concurrency ?? 32)
  const perNode = options?.concurrencyPerNode ?? 4
  // Entries live while somebody dials the node, so the map is as small as what is under way.
  const nodes = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()
  return {
    limit: (node, dial) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          const entry = nodes.get(node) ?? { semaphore: Semaphore.makeUnsafe(perNode), users: 0 }
          nodes.set(node, entry)
          entry.users++
          return entry
        }),
        // The node first: whoever waits for its node must not hold a place that others could use.
        (entry) => entry.semaphore.withPermit(all.withPermit(dial)),
        (entry) =>
          Effect.sync(() => {
            if (--entry.users === 0) nodes.delete(node)
          })
      )
  }
}

/**
 * The limiter in force; one for the whole process unless another is provided.
 *
 * @category references
 * @since 0.1.0
 */
export const ConnectLimiter: Context.Reference<ConnectLimiter> = Context.Reference<ConnectLimiter>(
  "@effect-scylla/pool/ConnectLimiter",
  { defaultValue: () => make() }
)
