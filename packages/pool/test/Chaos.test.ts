import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { mutants } from "./chaos/mutants.ts"
import { simulate } from "./chaos/simulate.ts"

const TIMEOUT = 120_000
const REQUESTS = 200

/** The first of the seeds that breaks an invariant, and how. */
const firstFailure = Effect.fnUntraced(function*(from: number, count: number) {
  for (let seed = from; seed < from + count; seed++) {
    const exit = yield* Effect.exit(simulate(seed, REQUESTS))
    if (Exit.isFailure(exit)) return Cause.pretty(exit.cause)
  }
  return undefined
})

describe("chaos", () => {
  for (let from = 1; from <= 50; from += 10) {
    it.live(`seeds ${from} to ${from + 9} break no invariant`, () =>
      Effect.gen(function*() {
        const failure = yield* firstFailure(from, 10)
        if (failure !== undefined) assert.fail(`${failure}\nreplay: npm run chaos -- --seed N --requests ${REQUESTS}`)
      }), TIMEOUT)
  }

  it.live("a seed is the same run every time", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* simulate(7, REQUESTS), yield* simulate(7, REQUESTS))
    }), TIMEOUT)
})

describe("chaos notices what is broken on purpose", () => {
  for (const { apply, name } of mutants) {
    it.live(name, () =>
      Effect.gen(function*() {
        const failure = yield* Effect.acquireUseRelease(
          Effect.sync(apply),
          () => firstFailure(1, 40),
          (mend) => Effect.sync(mend)
        )
        assert.isDefined(failure, "nobody noticed")
      }), TIMEOUT)
  }
})
