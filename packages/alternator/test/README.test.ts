import { assert, describe, it } from "@effect/vitest"
import { runReadme } from "../../../test/support/readme.ts"

describe("README", () => {
  it.each([
    ["the lean client", 0],
    ["the AWS SDK", 1],
    ["sharing", 2]
  ])("the example of %s runs, and prints what it says", async (_, block) => {
    const { printed, promised } = await runReadme(import.meta.url, {}, block)
    assert.isAbove(promised.length, 0)
    assert.deepStrictEqual(printed, promised)
  })
})
