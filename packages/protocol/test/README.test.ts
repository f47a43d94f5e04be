import { assert, describe, it } from "@effect/vitest"
import { runReadme } from "../../../test/support/readme.ts"

describe("README", () => {
  for (const block of [0, 1, 2]) {
    it(`its example ${block + 1} runs, and prints what it says`, async () => {
      const { printed, promised } = await runReadme(import.meta.url, {}, block)
      assert.isAbove(promised.length, 0)
      assert.deepStrictEqual(printed, promised)
    })
  }
})
