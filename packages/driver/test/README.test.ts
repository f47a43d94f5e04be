import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { runReadme } from "../../../test/support/readme.ts"

/** Those that run; the others are left to the reader. */
const RUN = 2

describe("README", () => {
  for (let block = 0; block < RUN; block++) {
    it.live(`its example ${block + 1} runs, and prints what it says`, () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2 })
        const { printed, promised } = yield* Effect.promise(() =>
          runReadme(import.meta.url, { CONTACT_POINT: cluster.contactPoints[0]! }, block)
        )
        assert.isAbove(promised.length, 0)
        assert.deepStrictEqual(printed, promised)
      }))
  }

  const text = readFileSync(new URL("../README.md", import.meta.url), "utf8")
  const blocks = text.match(/^```ts$/gm)!.length
  for (let block = RUN; block < blocks; block++) {
    it.live(`its program ${block + 1}, which it leaves to the reader, loads`, () =>
      Effect.promise(async () => {
        const { promised } = await runReadme(import.meta.url, {}, block)
        assert.strictEqual(promised.length, 0)
      }))
  }
})
