/** What random statements once found: the simulator answers as Cassandra 5.0.5 did. */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { speak } from "./beside.ts"
import { play, read } from "./cases.ts"

const cases = read(new URL("cases.json", import.meta.url))

describe("what random statements found", () => {
  it.live(`is answered as by a Cassandra: ${cases.length} cases`, () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, product: "cassandra" })
      const client = yield* speak(cluster.contactPoints[0]!)
      for (const each of cases) {
        const answer = yield* play(client, each)
        const told = [...each.setUp, ...each.steps.map(([query]) => query)].join(";\n")
        // Of errors the code counts: Cassandra puts parts of its texts in no order.
        const code = (text: string) => /^{"kind":"error","code":\d+/.exec(text)?.[0] ?? text
        assert.strictEqual(code(answer), code(each.cassandra), told)
      }
    }))
})
