/** One of three nodes fails under load: safe operations must not. `npm run bench -- alternator-failover` has the AWS SDK too. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cannedCluster, conditions, levels, ofLean, show } from "./support/load.ts"

describe("fail-over under load", () => {
  it.live.each(conditions)(
    "one of three nodes is %s: no safe operation fails",
    (condition) =>
      Effect.forEach(levels, ([concurrency, each]) =>
        Effect.gen(function*() {
          const cluster = yield* cannedCluster
          // A node that hangs is waited for; where a busy machine is no slower than that, not for the whole default.
          const attemptTimeout = condition === "hanging" && concurrency < 1000 ? "1500 millis" : undefined
          const seen = yield* ofLean(cluster, condition, concurrency, each, attemptTimeout)
          console.log(`${condition}, ${concurrency} at once, ${concurrency * each} reads: ${show(seen)}`)
          assert.strictEqual(seen.failures, 0)
        })),
    60_000
  )
})
