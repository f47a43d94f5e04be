/** Found for issue 14: a request that is evaluated with and without a tracer. */
import { Frame, Uuid } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "../support/world.ts"

const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })

describe("a request that was evaluated before", () => {
  // executeRequest.ts:171 (`around`): the copy that is traced gets `this.deadline`, which an evaluation without a tracer has set: that of the
  // request before, long past. `renew` passes 0.
  it.effect("has its whole time when it is evaluated again with a tracer", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare("SELECT id, v FROM ks.t WHERE id = ?"))
      const read = cql.execute(select, [Uuid.random()])
      yield* passing(read)
      yield* TestClock.adjust("60 seconds")
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.EXECUTE ? { _tag: "Delay", millis: 400 } : undefined
      )
      yield* passing(read)
      yield* passing(Effect.withTracer(Effect.withSpan(read, "all of it"), tracer))
    }))

  // Template statements make a request for each evaluation, `execute` gives the request itself: as a value of a module, say.
  it.effect("is another one each time, where nobody traces", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const select = yield* passing(cql.prepare("SELECT id, v FROM ks.t WHERE id = ?"))
      const read = cql.execute(select, [Uuid.random()])
      for (let i = 0; i < 3; i++) {
        yield* passing(read)
        yield* TestClock.adjust("60 seconds")
      }
      assert.isDefined(read)
    }))
})
