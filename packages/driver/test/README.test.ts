import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { runReadme } from "../../../test/support/readme.ts"

describe("README", () => {
  it.live("its example runs, and prints what it says", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2 })
      const { printed, promised } = yield* Effect.promise(() =>
        runReadme(import.meta.url, { CONTACT_POINT: cluster.contactPoints[0]! })
      )
      assert.isAbove(promised.length, 0)
      assert.deepStrictEqual(printed, promised)
    }))

  it.live("the programs that it leaves to the reader load", () =>
    Effect.promise(async () => {
      const { promised } = await runReadme(import.meta.url, {}, 1)
      assert.strictEqual(promised.length, 0)
    }))
})
