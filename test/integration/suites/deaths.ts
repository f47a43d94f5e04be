/**
 * Nodes that are stopped, killed and started under load. It comes last on a cluster that others use, too: a Cassandra node that
 * came back may answer every later change of the schema with an error of its own ("Unknown CF", seen twice), so what is needed
 * is made before, and nothing is tidied up.
 */
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { FaultyCluster } from "../support/faultyClusters.ts"
import { client, Faulty, fill, load, makePools } from "../support/load.ts"

const KS = "effect_scylla_deaths"

export const deaths = (it: Vitest.MethodsNonLive<FaultyCluster>, name: string): void => {
  describe(`deaths on ${name}`, () => {
    it.layer(Faulty)("", (it) => {
      it.effect("rows are there", () =>
        Effect.gen(function*() {
          const cql = yield* client
          yield* fill(cql, KS)
          yield* cql.execute(`CREATE TABLE ${KS}.written (id int PRIMARY KEY, v text)`)
        }))

      it.effect("a node dies under load and comes back: no request of the client fails", () =>
        Effect.gen(function*() {
          const cql = yield* client
          const node = (yield* FaultyCluster).nodes[1]!
          const select = yield* cql.prepare(`SELECT id, v FROM ${KS}.written WHERE id = ?`)
          const insert = yield* cql.prepare(`INSERT INTO ${KS}.written (id, v) VALUES (?, ?)`)
          for (let i = 0; i < 30; i++) yield* cql.execute(insert, [i, `value ${i}`])
          let running = true
          let done = 0
          let pause = 10
          const worker = (seed: number) =>
            Effect.gen(function*() {
              for (let i = seed; running; i = (i + 7) % 1000) {
                yield* cql.execute(insert, [i, `value ${i}`], { idempotent: true, consistency: "QUORUM" })
                const { rows } = yield* cql.execute(select, [i], { consistency: "QUORUM" })
                assert.deepStrictEqual(rows, [{ id: i, v: `value ${i}` }])
                done++
                yield* Effect.sleep(pause)
              }
            })
          const writers = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: 8 }, (_, i) => i), worker, { concurrency: "unbounded", discard: true })
          )
          // Progress is what is waited for, never time.
          const progress = Effect.gen(function*() {
            const target = done + 100
            while (done < target) {
              if (writers.pollUnsafe() !== undefined) return yield* writers.pollUnsafe()!
              yield* Effect.sleep("20 millis")
            }
          })
          yield* progress
          yield* node.kill
          yield* progress
          // Leaves the server that starts the two cores that CI has.
          pause = 200
          yield* node.start
          pause = 10
          yield* progress
          yield* Effect.timeout(cql.awaitConnected, "60 seconds")
          yield* progress
          running = false
          yield* Effect.timeout(Fiber.join(writers), "30 seconds")
          // The node that came back has forgotten nothing that matters: statements are taught to it on the way.
          for (let i = 0; i < 30; i++) {
            const { rows } = yield* cql.execute(select, [i])
            assert.deepStrictEqual(rows, [{ id: i, v: `value ${i}` }])
          }
        }), 180_000)

      it.effect("pools bear what happens to their nodes", () =>
        Effect.gen(function*() {
          const { nodes } = yield* FaultyCluster
          const pools = yield* makePools
          const work = yield* load(pools, KS)
          yield* work.well
          const [last] = nodes.slice(-1)
          const pool = pools.at(-1)!
          if (last!.stopped !== undefined) {
            // For less than it takes to give the connection up: the late answers find orphans, or their request.
            const timeouts = work.reasons.at(-1)!["RequestTimeout"] ?? 0
            const [connection] = [pool.pick(0)!]
            yield* last!.stopped.pause
            yield* work.until("requests expire", () =>
              (work.reasons.at(-1)!["RequestTimeout"] ?? 0) > timeouts || !connection.isOpen)
            yield* last!.stopped.resume
            yield* work.well
            // For longer.
            yield* last!.stopped.pause
            yield* work.until("the silence is noticed", () =>
              !pool.isUp)
            yield* last!.stopped.resume
            yield* work.well
          }
          yield* last!.kill
          yield* work.until("the end is noticed", () => !pool.isUp)
          const others = work.answered.slice(0, -1)
          yield* work.until("the others go on", () => others.every((count, at) => work.answered[at]! > count + 10))
          yield* work.slowly(last!.start)
          yield* work.well
          yield* work.stop
          const known = new Set([
            "RequestTimeout",
            "HeartbeatTimeout",
            "NodeSilent",
            "ConnectionLost",
            "ConnectionClosed"
          ])
          for (const reason of work.reasons.flatMap((counts) => Object.keys(counts))) {
            assert.isTrue(known.has(reason) || reason.startsWith("server: "), reason)
          }
        }), 90_000)
    })
  })
}
