import * as Effect from "effect/Effect"
import type { CqlError } from "../CqlError.ts"
import type { Resolved } from "../ExecuteOptions.ts"
import type { Core } from "./core.ts"
import * as Spans from "./spans.ts"

/** A request that fails before it is one, because a statement of it could not be prepared: it is counted and has a span all the same. */
export const told = <A>(
  core: Core,
  options: Resolved,
  text: string,
  preparing: Effect.Effect<A, CqlError>
): Effect.Effect<A, CqlError> =>
  Effect.catch(preparing, (error) =>
    Effect.withFiber((fiber) => {
      options.series.fail(error.reason._tag, error.outcome)
      const failed = Effect.fail(error)
      if (!Spans.isTraced(fiber)) return failed
      return Spans.around(Spans.describe(core.texts.of(text), options, core.keyspace, false), () => failed)
    }))
