/** Found for issue 14: what is kept for too long. */
import { Uuid } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { passing, world } from "../support/world.ts"

setFlagsFromString("--expose_gc")
const collect = runInNewContext("gc") as () => void

const kept = Effect.fnUntraced(function*(delay: "1 hour" | undefined) {
  const { cql } = yield* world({ nodes: 3 })
  const select = yield* passing(cql.prepare("SELECT id, v FROM ks.t WHERE id = ?"))
  yield* TestClock.adjust("1 second")
  const options = delay === undefined ? {} : { speculation: { delay } }
  const values: Array<WeakRef<object>> = []
  const one = () => {
    const own = [Uuid.random()]
    values.push(new WeakRef(own))
    return cql.execute(select, own, options)
  }
  for (let i = 0; i < 50; i++) yield* passing(Effect.suspend(one))
  for (let i = 0; i < 5; i++) {
    yield* TestClock.adjust("100 millis")
    yield* Effect.promise(() => new Promise((done) => setImmediate(done)))
    collect()
  }
  return values.filter((ref) => ref.deref() !== undefined).length
})

describe("a request that was answered", () => {
  // speculator.ts, `add`: a request, its values, its statement and its connection lie in a bucket until their delay is over, answered or not:
  // so many requests a second times the delay, and a timer each 5 ms for as long. A delay beyond the request's own time is not even useful.
  it.effect("is not kept for a speculation that will not be", () =>
    Effect.gen(function*() {
      assert.isAtMost(yield* kept(undefined), 2)
      assert.isAtMost(yield* kept("1 hour"), 2)
    }), 20_000)
})
