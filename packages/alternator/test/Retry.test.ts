import { AlternatorError, Retry } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { counter, key, open, put, serverError, three, total, within } from "./support/simulated.ts"

describe("what is safe to send again", () => {
  it.effect("what was not sent, or shed before it began, whatever it is", () =>
    Effect.gen(function*() {
      const simulation = three(() => serverError("RequestLimitExceeded", "too many in-flight requests: 10"))
      const client = yield* open(simulation)
      const shed = yield* within(Effect.flip(client.updateItem(counter)), 13)
      assert.deepStrictEqual([shed.outcome, shed.isRetryable, shed.isSafeToRetry], ["Rejected", true, true])
      for (const node of simulation.nodes) node.condition = "refusing"
      const unsent = yield* within(Effect.flip(client.updateItem(counter)), 13)
      assert.deepStrictEqual([unsent.outcome, unsent.isRetryable, unsent.isSafeToRetry], ["NotSent", true, true])
    }))

  it.effect.each(["resetting", "failing", "silent"] as const)(
    "what may have been applied (%s) only when it may be applied twice",
    (condition) =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation)
        for (const node of simulation.nodes) node.condition = condition
        const safety = (request: Effect.Effect<unknown, AlternatorError.AlternatorError>) =>
          Effect.map(within(Effect.flip(request), 13), ({ isSafeToRetry, outcome }) => [outcome, isSafeToRetry])
        assert.deepStrictEqual(yield* safety(client.getItem(key)), ["Ambiguous", true])
        assert.deepStrictEqual(yield* safety(client.putItem(put)), ["Ambiguous", true])
        assert.deepStrictEqual(yield* safety(client.updateItem(counter)), ["Ambiguous", false])
        assert.deepStrictEqual(yield* safety(client.updateItem(counter, { idempotent: true })), ["Ambiguous", true])
        assert.deepStrictEqual(yield* safety(client.putItem(put, { idempotent: false })), ["Ambiguous", false])
      })
  )

  it.effect("nothing that will be refused again", () =>
    Effect.gen(function*() {
      for (const type of ["ValidationException", "ConditionalCheckFailedException", "AccessDeniedException"]) {
        const client = yield* open(three(() => serverError(type)))
        assert.isFalse((yield* Effect.flip(client.getItem(key))).isSafeToRetry)
      }
    }))

  it.effect("whenSafe retries until it works, and at once gives up what is not safe", () =>
    Effect.gen(function*() {
      const simulation = three()
      const client = yield* open(simulation, { maxAttempts: 1, health: false })
      for (const node of simulation.nodes) node.condition = "failing"
      const unsafe = yield* within(Effect.flip(Retry.whenSafe(client.updateItem(counter))), 60)
      assert.strictEqual(unsafe.outcome, "Ambiguous")
      assert.strictEqual(total(simulation), 1)
      yield* within(Effect.flip(Retry.whenSafe(client.getItem(key))), 60)
      assert.strictEqual(total(simulation), 1 + 6)
      yield* within(Effect.flip(Effect.retry(client.getItem(key), Retry.schedule)), 60)
      assert.strictEqual(total(simulation), 1 + 12)
      yield* within(Effect.flip(Retry.whenSafe(client.getItem(key), Schedule.recurs(2))), 60)
      assert.strictEqual(total(simulation), 1 + 15)
    }))

  it("errors that do not say so are not safe", () => {
    for (const error of [new Error("no"), null, undefined, "no"]) assert.isFalse(Retry.isSafe(error))
    assert.isTrue(Retry.isSafe(Object.assign(new Error("of the SDK"), { isSafeToRetry: true })))
    assert.isTrue(
      Retry.isSafe(AlternatorError.of(new AlternatorError.NodeUnreachable({ message: "no", kind: "ECONNREFUSED" })))
    )
  })
})
