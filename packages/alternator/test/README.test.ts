import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { runReadme } from "../../../test/support/readme.ts"

describe("README", () => {
  it.live.each<readonly [string, number]>([
    ["the lean client", 0],
    ["async/await", 1],
    ["the AWS SDK", 2],
    ["sharing", 3]
  ])("the example of %s runs, and prints what it says", ([, block]) =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const { printed, promised } = yield* Effect.promise(() =>
        runReadme(import.meta.url, { ALTERNATOR_SEEDS: cluster.seeds.join() }, block)
      )
      assert.isAbove(promised.length, 0)
      assert.deepStrictEqual(printed, promised)
    }))
})
