import { assert, describe, it } from "@effect/vitest"

/** Instead of a suite that cannot run here: skipped under a title that ends with the reason, or failed where it must run. */
export const instead = (title: string, why: string, isRequired: boolean): void => {
  describe.skipIf(!isRequired)(`${title}: ${why}`, () => {
    it("runs here", () => assert.fail(why))
  })
}
