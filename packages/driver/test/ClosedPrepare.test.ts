/** After the client's end `prepare` and whatever prepares never end. */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing } from "./support/world.ts"

describe("a closed client", () => {
  const id = "01020304-0506-4708-8910-111200000000"
  for (const what of ["prepare", "execute", "batch", "executeMany"] as const) {
    it.effect(`${what} with a text that is not prepared fails with ClientClosed, at once`, () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory" })
        const scope = yield* Scope.make()
        const cql = yield* passing(Scope.provide(clientOf(cluster), scope))
        yield* passing(Scope.close(scope, Exit.void))
        const TEXT = "INSERT INTO ks.t (id) VALUES (?)"
        const request: Effect.Effect<unknown, any> = what === "prepare"
          ? cql.prepare(TEXT)
          : what === "execute"
          ? cql.execute(TEXT, [id])
          : what === "batch"
          ? cql.batch([[TEXT, [id]]])
          : cql.executeMany(TEXT, [[id]])
        const fiber = yield* Effect.forkChild(Effect.flip(request), { startImmediately: true })
        for (let i = 0; i < 200 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust(100)
        const ended = fiber.pollUnsafe()
        yield* Fiber.interrupt(fiber)
        assert.isDefined(ended, "it hangs")
        assert.strictEqual((ended as any).value.reason._tag, "ClientClosed")
      }))
  }
})
