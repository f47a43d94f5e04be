/** A short campaign on simulated nodes; `npm run chaos -- --client` is a longer one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { simulate } from "./simulated.ts"

const REQUESTS = 200
const SEEDS = 8

describe("chaos of the client on simulated nodes", () => {
  it.live(`seeds 1 to ${SEEDS}: what it says of its writes is so`, () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const end = yield* Effect.result(simulate(seed, REQUESTS))
        if (end._tag === "Success") continue
        assert.fail(`${end.failure.message}\nreplay: npm run chaos -- --client --seed ${seed} --requests ${REQUESTS}`)
      }
    }))

  it.live("a seed is the same run every time", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* simulate(7, REQUESTS), yield* simulate(7, REQUESTS))
    }))
})
