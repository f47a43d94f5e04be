/** To count is never idempotent, whatever is said of it. */
import { Frame } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { passing, world } from "./support/world.ts"

describe("a counter", () => {
  it.effect("is not sent again after its connection was lost, not even where it is said to be idempotent", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.n (id int PRIMARY KEY, n counter)"))
      const count = yield* passing(cql.prepare("UPDATE ks.n SET n = n + ? WHERE id = ?"))
      yield* passing(Effect.sleep("1 second"))
      for (
        const request of [
          cql.execute(count, [1n, 1], { idempotent: true }),
          cql.batch([[count, [1n, 1]]], { type: "counter", idempotent: true })
        ]
      ) {
        let sent = 0
        yield* cluster.intercept(({ opcode }) =>
          (opcode === Frame.Opcode.EXECUTE || opcode === Frame.Opcode.BATCH) && ++sent > 0
            ? { _tag: "Close" }
            : undefined
        )
        const error = yield* passing(Effect.flip(request))
        assert.deepStrictEqual([sent, error.outcome, error.isSafeToRetry], [1, "Ambiguous", false])
        yield* passing(cql.awaitConnected)
      }
    }))
})
