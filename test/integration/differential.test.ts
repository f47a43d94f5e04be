/** Random statements, the same to the simulated cluster and to one node of Cassandra, whose schema no other node has to learn first. */
import { CassandraServer } from "@effect-scylla/testkit"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../differential/campaign.ts"
import { instead } from "./support/instead.ts"
import { providerOf } from "./support/providers.ts"

const STATEMENTS = 2000
const { isRequired, missing } = providerOf("cassandra")

if (missing !== undefined) instead("the simulator beside a cassandra", missing, isRequired)
else {
  layer(CassandraServer.layer({ nodes: 1 }), { excludeTestServices: true, timeout: "120 seconds" })(
    "the simulator beside a cassandra",
    (it) => {
      it.effect(`answers ${STATEMENTS} random statements as it does, or refuses them`, () =>
        Effect.gen(function*() {
          const [contactPoint] = (yield* CassandraServer.CassandraServer).contactPoints
          const { counts, differences } = yield* run({
            contactPoint: contactPoint!,
            seed: 11,
            schemas: 10,
            statements: STATEMENTS,
            tries: 40
          })
          assert.deepStrictEqual(differences, [])
          assert.strictEqual(Object.values(counts).reduce((sum, count) => sum + count, 0), STATEMENTS)
          assert.isBelow(counts.refused, STATEMENTS * 0.03)
          assert.isBelow(counts.crashed, STATEMENTS / 50)
        }), 120_000)
    }
  )
}
