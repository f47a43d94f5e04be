/**
 * What reached a simulated cluster: statements with their values, consistency and node, for tests that ask what an application sent.
 *
 * **Example**
 *
 * ```ts
 * import { Recorder, SimulatedCluster } from "@effect-scylla/testkit"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const cluster = yield* SimulatedCluster.SimulatedCluster
 *   const recorder = yield* Recorder.make(cluster)
 *   // … the code under test …
 *   const writes = yield* recorder.of({ table: "app.session", operation: "INSERT" })
 *   console.log(writes.map(({ values, consistency }) => [values, consistency]))
 * })
 * ```
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Priming from "./Priming.ts"
import type { Asked, SimulatedCluster } from "./SimulatedCluster.ts"

/**
 * What was recorded, in the order in which it came. Those that rules of `Priming` answered are among it, and attempts of a retry are each
 * by itself; statements about tables of the system are not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorder {
  readonly all: Effect.Effect<ReadonlyArray<Asked>>
  /** Those for which a condition holds. */
  readonly of: (condition: Priming.Condition) => Effect.Effect<ReadonlyArray<Asked>>
  /** Forgets them. */
  readonly clear: Effect.Effect<void>
}

/**
 * Records from now on, as long as the scope lives. After `limit` statements (100000 by default) the oldest are forgotten.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(
    cluster: Pick<SimulatedCluster, "listen">,
    { limit = 100_000 }: { readonly limit?: number } = {}
  ): Effect.fn.Return<Recorder, never, Scope.Scope> {
    let recorded: Array<Asked> = []
    yield* cluster.listen((asked) => {
      recorded.push(asked)
      // Half of it at once: to forget one by one would cost more than to record.
      if (recorded.length > limit * 1.5) recorded = recorded.slice(-limit)
      return undefined
    })
    const last = (): ReadonlyArray<Asked> => recorded.slice(-limit)
    return {
      all: Effect.sync(last),
      of: (condition) => Effect.sync(() => last().filter((asked) => Priming.matches(condition, asked))),
      clear: Effect.sync(() => {
        recorded = []
      })
    }
  }
)
