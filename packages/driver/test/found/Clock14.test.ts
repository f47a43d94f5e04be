/** Found for issue 14: how long something took. */
import { RequestMetrics } from "@effect-scylla/driver"
import { Ticker } from "@effect-scylla/pool"
import { Uuid } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { TestClock } from "effect/testing"
import { tap } from "../support/tap.ts"
import { clientOf, passing, world } from "../support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"

describe("the time of a request", () => {
  // pool Ticker.ts:187-188, `beginRead`: where the end of the turn is scheduled already it answers before `moment++`, so that `core.micros` is
  // still that of the last turn. In a server that is the rule: a socket of HTTP is read, its handler asks something, and the socket of CQL
  // is read in the same turn.
  it.effect("is that until its answer was read, whatever was asked just before", () =>
    Effect.provideService(
      Effect.gen(function*() {
        const { cluster } = yield* world({ nodes: 1, shards: 1 })
        const tapped = tap(cluster.transport)
        const cql = yield* passing(clientOf(cluster, {}, tapped.transport))
        yield* passing(cql.awaitConnected)
        const select = yield* passing(cql.prepare(SELECT))
        yield* TestClock.adjust("1 second")
        tapped.hold(cluster.nodes[0]!.address)
        yield* Effect.forkChild(cql.execute(select, [Uuid.random()], { label: "late" }), { startImmediately: true })
        for (let i = 0; i < 4; i++) yield* TestClock.adjust("1 millis")
        yield* TestClock.adjust("150 millis")
        const other = yield* Effect.forkChild(
          Effect.andThen(cql.execute(select, [Uuid.random()]), Effect.void),
          { startImmediately: true }
        )
        tapped.release()
        yield* TestClock.adjust("10 millis")
        void other
        const all = yield* Metric.snapshot
        const found = all.find(({ attributes, id }) =>
          id === RequestMetrics.duration.id && attributes?.["label"] === "late"
        )
        assert.isAtLeast((found!.state as { readonly sum: number }).sum, 100)
      }),
      Metric.MetricRegistry,
      new Map()
    ))

  it.effect("is looked at anew with each read", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      yield* TestClock.adjust("1 second")
      const before = ticker.moment
      ticker.send({ send: () => {} })
      ticker.beginRead()
      assert.isAbove(ticker.moment, before)
    }))
})
