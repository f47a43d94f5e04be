/**
 * The simulator against what ScyllaDB 6.2.3 and Apache Cassandra 5.0.5 answered to about 4000 statements: it gives the same
 * answer, or refuses as not simulated, or is wrong. What was reached by area is held.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { areas, count, floor, playArea } from "./recorded.ts"

describe("recorded answers", () => {
  for (const area of areas) {
    for (const product of ["scylla", "cassandra"] as const) {
      it.live(`of ${area}, ${product}`, () =>
        Effect.gen(function*() {
          const verdicts = yield* playArea(area, product)
          const { agrees, differs, refused, worded } = count(verdicts)
          const wrong = differs + worded
          const all = verdicts.length
          const share = (part: number) => `${(100 * part / all).toFixed(1)} %`
          console.log(
            `${area.padEnd(20)}${product.padEnd(10)} of ${all}: agree ${share(agrees)}, not simulated ${
              share(refused)
            }, ` +
              `differ ${share(wrong)} (${worded} of ${wrong} in their words)`
          )
          assert.isAtLeast(agrees, floor[area]![product].agrees, "answers that agree")
          assert.isAtMost(wrong, floor[area]![product].differs, "answers that differ")
        }))
    }
  }
})
