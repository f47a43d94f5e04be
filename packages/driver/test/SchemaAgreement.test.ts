/** The wait for schema agreement knows neither the request's time nor the end of the client. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, world } from "./support/world.ts"

describe("while nobody tells its schema version", () => {
  const setup = Effect.gen(function*() {
    const { cluster } = yield* world()
    const scope = yield* Scope.make()
    const cql = yield* passing(Scope.provide(clientOf(cluster), scope))
    yield* cluster.intercept(({ request }) =>
      request._tag === "Query" && request.query.includes("schema_version") ? { _tag: "Ignore" } : undefined
    )
    return { cql, scope }
  })
  it.effect("a schema change of 2 seconds ends in 2 seconds", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const begun = yield* Clock.currentTimeMillis
      yield* passing(Effect.exit(cql.execute("CREATE TABLE ks.a (id int PRIMARY KEY)", [], { timeout: "2 seconds" })))
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 3_000)
    }))
  it.effect("a client that is closed leaves no wait and no timer behind", () =>
    Effect.gen(function*() {
      const { cql, scope } = yield* setup
      const fiber = yield* Effect.forkChild(Effect.exit(cql.execute("CREATE TABLE ks.b (id int PRIMARY KEY)")), {
        startImmediately: true
      })
      yield* TestClock.adjust(500)
      yield* passing(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      const ended = fiber.pollUnsafe()
      yield* Fiber.interrupt(fiber)
      assert.isDefined(ended)
    }))
})
