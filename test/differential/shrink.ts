/** A case that fails becomes one that still fails and is small. */
import { Effect } from "effect"
import { smaller } from "./parts.ts"
import type { Statement } from "./statements.ts"

/** A statement without the parts that it fails without, too. */
export const shrinkOne = Effect.fnUntraced(function*<E, R>(
  statement: Statement,
  fails: (statement: Statement) => Effect.Effect<boolean, E, R>
) {
  let best = statement
  for (let again = true; again;) {
    again = false
    for (const part of smaller(best.part)) {
      const candidate = { ...best, part }
      if (!(yield* fails(candidate))) continue
      best = candidate
      again = true
      break
    }
  }
  return best
})

/**
 * Leaves out statements, then parts of those that stay, as long as the last one fails. `fails` is asked `tries` times at most.
 */
export const shrink = Effect.fnUntraced(function*<E, R>(
  statements: ReadonlyArray<Statement>,
  fails: (statements: ReadonlyArray<Statement>) => Effect.Effect<boolean, E, R>,
  tries: number
) {
  let best = statements
  let left = Math.max(0, tries)
  const holds = Effect.fnUntraced(function*(candidate: ReadonlyArray<Statement>) {
    if (left-- <= 0 || !(yield* fails(candidate))) return false
    best = candidate
    return true
  })
  // Most need nothing before them.
  yield* holds(best.slice(-1))
  // Half of what stands before the last, then a quarter, and so on to single ones.
  for (
    let size = Math.ceil((best.length - 1) / 2);
    size >= 1 && left > 0;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let at = 0; at < best.length - 1 && left > 0;) {
      const end = Math.min(at + size, best.length - 1)
      if (!(yield* holds(best.toSpliced(at, end - at)))) at = end
    }
  }
  for (let at = best.length - 1; at >= 0 && left > 0; at--) {
    yield* shrinkOne(best[at]!, (statement) => left <= 0 ? Effect.succeed(false) : holds(best.with(at, statement)))
  }
  return best
})
