import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

/** Options of which every field may be a `Config`. */
export type Leaves<A> = { readonly [K in keyof A]: Config.Config<A[K]> | A[K] }

/** What is wrong with the field at `path`. */
export interface Issue {
  readonly path: string
  readonly message: string
}

/** Runs every `Config` by itself, so that all that is wrong is added to `issues`: one `Config` of all stops at the first. */
export const readLeaves = <A extends object>(
  leaves: Leaves<A> | undefined,
  prefix: string,
  issues: Array<Issue>
): Effect.Effect<A | undefined> =>
  Effect.gen(function*() {
    if (leaves === undefined) return undefined
    const out: Record<string, unknown> = {}
    for (const [field, leaf] of Object.entries(leaves)) {
      if (!Config.isConfig(leaf)) {
        out[field] = leaf
        continue
      }
      const read = yield* Effect.result(leaf as Config.Config<unknown>)
      if (Result.isSuccess(read)) out[field] = read.success
      else issues.push({ path: `${prefix}${field}`, message: read.failure.message })
    }
    return out as A
  })
