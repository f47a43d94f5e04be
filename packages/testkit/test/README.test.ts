import { assert, describe, it } from "@effect/vitest"
import { runReadme } from "../../../test/support/readme.ts"

describe("README", () => {
  it("its example runs, and prints what it says", async () => {
    const { printed, promised } = await runReadme(import.meta.url)
    assert.isAbove(promised.length, 0)
    assert.deepStrictEqual(printed, promised)
  })
})
