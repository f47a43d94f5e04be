/** A short campaign on real nodes; `npm run chaos -- --client --on cassandra` is a longer one. */
import { CassandraServer } from "@effect-scylla/testkit"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { instead } from "../integration/support/instead.ts"
import { providerOf } from "../integration/support/providers.ts"
import { torment } from "./cassandra.ts"

const SECONDS = 20
const TITLE = "chaos of the client on cassandra"

const { isRequired, missing } = providerOf("cassandra")
if (missing !== undefined) instead(TITLE, missing, isRequired)
else {
  layer(CassandraServer.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "120 seconds" })(TITLE, (it) => {
    it.effect("what it says of its writes is so", () =>
      Effect.gen(function*() {
        const end = yield* Effect.result(torment(1, SECONDS))
        if (end._tag === "Failure") assert.fail(end.failure.message)
        assert.isAbove(end.success.ends["answered"] ?? 0, 100)
        assert.isAbove(end.success.faults["Kill"] ?? 0, 0)
      }), 180_000)
  })
}
