/** Random statements, the same to the simulated cluster and to a real Cassandra: the same answers, or a refusal. */
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../../differential/campaign.ts"

const STATEMENTS = 2000

export const randomStatements = (it: Vitest.MethodsNonLive<TestServer.TestServer>): void => {
  describe("the simulator beside a Cassandra", () => {
    it.effect(`answers ${STATEMENTS} random statements as it does, or refuses them`, () =>
      Effect.gen(function*() {
        const [contactPoint] = (yield* TestServer.TestServer).contactPoints
        const { counts, differences } = yield* run({
          contactPoint: contactPoint!,
          seed: 1,
          schemas: 10,
          statements: STATEMENTS,
          tries: 40
        })
        assert.deepStrictEqual(differences, [])
        assert.strictEqual(Object.values(counts).reduce((sum, count) => sum + count, 0), STATEMENTS)
        assert.isBelow(counts.refused, STATEMENTS * 0.03)
        assert.isBelow(counts.crashed, STATEMENTS / 50)
      }), 120_000)
  })
}
