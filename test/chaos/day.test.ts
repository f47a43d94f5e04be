/** A day in a cluster that changes; `npm run chaos -- --day --seeds N` has more of them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Addresses } from "../../packages/driver/src/internal/addresses.ts"
import { TopologyReader } from "../../packages/driver/src/internal/systemTables.ts"
import { day, type Options } from "./day.ts"

describe("a day of a client in a cluster that changes", () => {
  it.live(
    "24 hours of joins, leaves, moves, deaths, storms and lost events: what it knows is so, and in the end nothing is left",
    () =>
      Effect.gen(function*() {
        const end = yield* Effect.result(day(1, 24))
        if (end._tag === "Failure") {
          return assert.fail(`${end.failure.message}\nreplay: npm run chaos -- --day --seed 1`)
        }
        const { events, requests, snapshots } = end.success
        assert.isAbove(Object.keys(events).length, 11)
        assert.isAbove(requests, 200)
        assert.isAbove(snapshots, 30)
      }),
    300_000
  )

  /** Whether clients of which `mutate` has broken something are found out. Puts back what it gives back. */
  const isCaught = (mutate: () => () => void, options: Options = {}) =>
    Effect.acquireUseRelease(
      Effect.sync(mutate),
      () =>
        Effect.gen(function*() {
          for (let seed = 1; seed <= 3; seed++) {
            const end = yield* Effect.result(day(seed, 6, options))
            if (end._tag === "Failure") return end.failure.what
          }
          return undefined
        }),
      (restore) => Effect.sync(restore)
    )

  it.live("catches a client that takes no look unless it is told", () =>
    Effect.gen(function*() {
      const said = yield* isCaught(() => () => undefined, { refreshInterval: false })
      assert.include(said, "and the client knows")
    }), 300_000)

  it.live("catches one whose look has the old rows", () =>
    Effect.gen(function*() {
      const { read } = TopologyReader.prototype
      const said = yield* isCaught(() => {
        const seen = new WeakMap<TopologyReader, unknown>()
        TopologyReader.prototype.read = function(connection, dialled) {
          return Effect.map(read.call(this, connection, dialled), (topology) => {
            const before = seen.get(this) ?? topology
            seen.set(this, topology)
            return before as typeof topology
          })
        }
        return () => void (TopologyReader.prototype.read = read)
      })
      assert.include(said, "and the client knows")
    }), 300_000)

  it.live("catches one that keeps the address of a node that has moved", () =>
    Effect.gen(function*() {
      const { of } = Addresses.prototype
      const said = yield* isCaught(() => {
        const kept = new Map<string, unknown>()
        Addresses.prototype.of = function(rows, portOf, routes, isReached) {
          return Effect.map(of.call(this, rows, portOf, routes, isReached), (places) =>
            places.map((place, i) => {
              const { hostId } = rows[i]!
              if (!kept.has(hostId)) kept.set(hostId, place)
              return kept.get(hostId) as typeof place
            }))
        }
        return () => void (Addresses.prototype.of = of)
      })
      assert.include(said, "and the client knows")
    }), 300_000)
})
