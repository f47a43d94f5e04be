/** `isSafeToRetry` of executeMany's error speaks of one row; `Retry.whenSafe` then sends those that were applied again. */
import { Retry } from "@effect-scylla/driver"
import { ServerError } from "@effect-scylla/protocol"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { passing, world } from "./support/world.ts"

it.effect("Retry.whenSafe(executeMany) of a counter: nothing is counted twice", () =>
  Effect.gen(function*() {
    const { cluster, cql } = yield* world()
    yield* passing(cql.execute("CREATE TABLE ks.c (id int PRIMARY KEY, n counter)"))
    const count = yield* passing(cql.prepare("UPDATE ks.c SET n = n + ? WHERE id = ?"))
    let failing = 2
    yield* cluster.intercept(({ request }) => {
      if (request._tag !== "Execute" || failing === 0) return undefined
      const id = new DataView((request.values!.values![1] as Uint8Array).slice().buffer).getInt32(0)
      if (id !== 5) return undefined
      failing--
      // Certainly not applied: the row is safe to send again, the ones before it are not.
      return {
        _tag: "Error",
        error: new ServerError.Unavailable(
          { message: "no", code: 0x1000, consistency: "LOCAL_QUORUM", required: 2, alive: 1 } as any
        )
      }
    })
    const rows = Array.from({ length: 10 }, (_, i) => [1n, i])
    yield* passing(Effect.exit(Retry.whenSafe(cql.executeMany(count, rows, { concurrency: 1 }))))
    const counted = (yield* passing(cql.execute("SELECT id, n FROM ks.c"))).rows.filter((row) => Number(row["n"]) > 1)
    assert.deepStrictEqual(counted, [])
  }))
