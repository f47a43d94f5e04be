/** What may be sent again. */
import { CqlError, Retry } from "@effect-scylla/driver"
import { PoolError } from "@effect-scylla/pool"
import { ServerError } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { passing, world } from "./support/world.ts"

const lost = new PoolError.ConnectionLost({ message: "lost" })
const syntax = new ServerError.CqlSyntaxError({ message: "no", code: 0x2000 })

describe("isSafeToRetry", () => {
  const cases: ReadonlyArray<readonly [string, ConstructorParameters<typeof CqlError.CqlError>[0], boolean, boolean]> =
    [
      ["a read whose connection was lost", { reason: lost }, true, true],
      ["a write that was not sent", { reason: lost, outcome: "NotSent" }, true, true],
      [
        "a write that was rejected",
        { reason: new ServerError.IsBootstrapping({ message: "", code: 0x1002 }), outcome: "Rejected" },
        true,
        true
      ],
      ["a write that may have been applied", { reason: lost, outcome: "Ambiguous" }, true, false],
      ["the same, idempotent", { reason: lost, outcome: "Ambiguous", idempotent: true }, true, true],
      ["a statement that is wrong", { reason: syntax, outcome: "Rejected" }, false, false],
      ["a read that is wrong", { reason: syntax }, false, false]
    ]
  for (const [name, fields, isRetryable, isSafe] of cases) {
    it(`${name}: ${isSafe}`, () => {
      const error = new CqlError.CqlError(fields)
      assert.deepStrictEqual([error.isRetryable, error.isSafeToRetry], [isRetryable, isSafe])
      assert.strictEqual(Retry.isSafe(error), isSafe)
    })
  }

  it.effect("a counter whose write timed out is not sent again by the schedule, a read is", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      let sent = 0
      yield* cluster.intercept(({ request }) => {
        if (request._tag !== "Query" || !/UPDATE|SELECT/.test(request.query)) return undefined
        if (request.query.includes("system")) return undefined
        sent++
        return {
          _tag: "Error",
          error: request.query.startsWith("UPDATE")
            ? new ServerError.WriteTimeout({
              message: "",
              code: 0x1100,
              consistency: "QUORUM",
              received: 1,
              required: 2,
              writeType: "COUNTER"
            } as never)
            : new ServerError.Overloaded({ message: "", code: 0x1001 })
        }
      })
      const error = yield* Effect.flip(passing(Retry.whenSafe(cql.execute("UPDATE ks.c SET n = n + 1 WHERE id = 1"))))
      assert.deepStrictEqual([sent, error.outcome, error.isRetryable, error.isSafeToRetry], [
        1,
        "Ambiguous",
        true,
        false
      ])
      sent = 0
      yield* Effect.flip(passing(Retry.whenSafe(cql.execute("SELECT * FROM ks.t"))))
      // Each of six times on all three nodes.
      assert.strictEqual(sent, 18)
    }))

  it.effect("the message says what, what became of it, where, and of which statement", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* cluster.intercept(({ request }) =>
        request._tag === "Query" && request.query.startsWith("INSERT") ? { _tag: "Close" } : undefined
      )
      const error = yield* Effect.flip(
        passing(
          cql.execute(`INSERT INTO ks.t (id, v) VALUES (01020304-0506-4708-8910-111200000000, ${"1".repeat(200)})`)
        )
      )
      assert.include(error.message, "was lost")
      assert.include(error.message, "[Ambiguous]")
      assert.match(error.message, /on 127\.0\.0\.\d:9042/)
      assert.include(error.message, "INSERT INTO ks.t (id, v)")
      assert.isBelow(error.message.length, 400)
    }))

  it.effect("a read that cannot be prepared has no outcome", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const read = yield* Effect.flip(passing(cql.execute("SELECT * FROM ks.nothing WHERE id = ?", [1])))
      assert.isUndefined(read.outcome)
      const write = yield* Effect.flip(passing(cql.execute("INSERT INTO ks.nothing (id) VALUES (?)", [1])))
      assert.strictEqual(write.outcome, "NotSent")
    }))
})
