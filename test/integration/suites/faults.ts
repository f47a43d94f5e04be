/**
 * Pools and the client through a proxy that does to connections what networks do: every request is settled once, in time and
 * typed, nobody gets another one's row, what was acknowledged is there, and the pools are full again afterwards.
 */
import type { CqlError } from "@effect-scylla/driver"
import { type PoolError, Transport } from "@effect-scylla/pool"
import { FaultProxy } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { FaultyCluster } from "../support/faultyClusters.ts"
import { client, Faulty, fill, load, makePools, until, WORKERS } from "../support/load.ts"

const KS = "effect_scylla_faults"

/** Faults of the network: how each begins, what is seen of it, how it ends. */
const ofTheNetwork: ReadonlyArray<{
  readonly name: string
  readonly begin: (proxy: FaultProxy.FaultProxy, address: string) => Effect.Effect<unknown>
  /** Why requests may fail because of it. */
  readonly reasons: ReadonlyArray<PoolError.PoolReason["_tag"]>
  /** Whether connections are lost by it. */
  readonly loses: boolean
}> = [
  { name: "cut", begin: (proxy, node) => proxy.strike(node, "Cut"), reasons: ["ConnectionLost"], loses: true },
  { name: "reset", begin: (proxy, node) => proxy.strike(node, "Reset"), reasons: ["ConnectionLost"], loses: true },
  { name: "torn frames", begin: (proxy, node) => proxy.strike(node, "Tear"), reasons: ["ConnectionLost"], loses: true },
  {
    name: "truncated frames",
    begin: (proxy, node) => proxy.strike(node, "Truncate"),
    reasons: ["ConnectionLost"],
    loses: true
  },
  {
    name: "refused while all are reset",
    begin: (proxy, node) => Effect.andThen(proxy.set(node, { _tag: "Refuse" }), proxy.strike(node, "Reset")),
    reasons: ["ConnectionLost"],
    loses: true
  },
  {
    name: "half-open",
    begin: (proxy, node) => proxy.strike(node, "HalfOpen"),
    reasons: ["RequestTimeout", "HeartbeatTimeout", "NodeSilent", "ConnectionClosed"],
    loses: true
  },
  {
    name: "a partition",
    begin: (proxy, node) => proxy.set(node, { _tag: "Hold" }),
    reasons: ["RequestTimeout", "HeartbeatTimeout", "NodeSilent", "ConnectionClosed", "ConnectionLost"],
    loses: true
  },
  {
    name: "late answers",
    begin: (proxy, node) => proxy.set(node, { _tag: "Delay", minMillis: 1, maxMillis: 60 }),
    reasons: ["RequestTimeout", "NodeSilent"],
    loses: false
  },
  {
    name: "answers drop by drop",
    begin: (proxy, node) => proxy.set(node, { _tag: "Drip", bytes: 100, everyMillis: 2 }),
    reasons: ["RequestTimeout", "NodeSilent"],
    loses: false
  }
]

export const faults = (it: Vitest.MethodsNonLive<FaultyCluster>, name: string): void => {
  describe(`faults on ${name}`, () => {
    it.layer(Faulty)("", (it) => {
      it.effect("rows are there", () => Effect.flatMap(client, (cql) => fill(cql, KS)))

      it.effect("pools bear what the network does to their connections", () =>
        Effect.gen(function*() {
          const { isShardAware, nodes } = yield* FaultyCluster
          const proxy = yield* FaultProxy.FaultProxy
          const pools = yield* makePools
          const work = yield* load(pools, KS)
          yield* work.well
          if (isShardAware) {
            assert.deepStrictEqual(pools.map(({ stats }) => stats.shardAwarePort), ["trusted", "trusted", "trusted"])
          }
          for (const [turn, fault] of ofTheNetwork.entries()) {
            const at = turn % nodes.length
            const [pool, { address }] = [pools[at]!, nodes[at]!]
            const before = Array.from({ length: pool.nrShards }, (_, shard) => pool.pick(shard, true)!)
            const known = work.reasons.map((counts) => ({ ...counts }))
            const answers = work.answered[at]!
            yield* fault.begin(proxy, address)
            if (fault.loses) {
              yield* work.until(`${fault.name}: it is noticed`, () => before.every(({ isOpen }) => !isOpen))
            } else {
              yield* work.until(`${fault.name}: it goes on`, () => work.answered[at]! >= answers + 20)
              assert.isTrue(before.every(({ isOpen }) => isOpen), fault.name)
            }
            yield* proxy.set(address, { _tag: "Pass" })
            yield* work.well
            for (const [other, counts] of work.reasons.entries()) {
              for (const [reason, count] of Object.entries(counts)) {
                if (count === (known[other]![reason] ?? 0) || reason.startsWith("server: ")) continue
                const allowed = other === at ? fault.reasons : ["RequestTimeout", "NodeSilent"]
                assert.include(allowed, reason, `${fault.name}: on node ${other}, and it was done to node ${at}`)
              }
            }
          }
          yield* work.stop
        }), 60_000)

      it.effect("what the client says of its writes is so", () =>
        Effect.gen(function*() {
          const { nodes } = yield* FaultyCluster
          const proxy = yield* FaultProxy.FaultProxy
          const cql = yield* Effect.provideService(client, Transport.Transport, proxy.transport)
          yield* cql.awaitConnected
          yield* cql.execute(`CREATE TABLE ${KS}.writes (id int PRIMARY KEY, v text)`)
          const insert = yield* cql.prepare(`INSERT INTO ${KS}.writes (id, v) VALUES (?, ?)`)
          const select = yield* cql.prepare(`SELECT id, v FROM ${KS}.writes WHERE id = ?`)
          const outcomes: Array<CqlError.Outcome | "Applied" | undefined> = []
          let running = true
          const worker = Effect.gen(function*() {
            while (running) {
              const id = outcomes.push(undefined) - 1
              const end = yield* Effect.result(cql.execute(insert, [id, `value ${id}`], { consistency: "QUORUM" }))
              outcomes[id] = end._tag === "Success" ? "Applied" : end.failure.outcome
              // Reads go to another replica: nobody sees that one was cut off.
              const { rows } = yield* cql.execute(select, [id], { consistency: "QUORUM" })
              if (outcomes[id] === "Applied" || rows.length > 0) {
                assert.deepStrictEqual(rows, [{ id, v: `value ${id}` }])
              }
              yield* Effect.sleep(3)
            }
          })
          const fiber = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: WORKERS }, (_, i) => i), () => worker, {
              concurrency: "unbounded",
              discard: true
            })
          )
          const progress = Effect.gen(function*() {
            const target = outcomes.length + 60
            yield* Effect.raceFirst(
              until("writes go on", () => outcomes.length >= target),
              Effect.andThen(Fiber.join(fiber), Effect.never)
            )
          })
          for (const [turn, blow] of (["Cut", "Reset", "Tear", "Truncate", "Reset", "Tear"] as const).entries()) {
            yield* progress
            // One at a time: a read that is cut off finds the others there.
            yield* Effect.timeout(cql.awaitConnected, "30 seconds")
            yield* proxy.strike(nodes[turn % nodes.length]!.address, blow)
          }
          yield* progress
          running = false
          yield* Fiber.join(fiber)
          yield* Effect.timeout(cql.awaitConnected, "30 seconds")
          yield* Effect.forEach(outcomes.entries(), ([id, outcome]) =>
            Effect.gen(function*() {
              const { rows } = yield* cql.execute(select, [id], { consistency: "QUORUM" })
              assert.isDefined(outcome, `write ${id} was never settled`)
              if (rows.length > 0) assert.deepStrictEqual(rows, [{ id, v: `value ${id}` }])
              if (outcome === "Applied") assert.strictEqual(rows.length, 1, `write ${id} was acknowledged and is lost`)
              if (outcome === "NotSent" || outcome === "Rejected") {
                assert.strictEqual(rows.length, 0, `write ${id} was ${outcome} and is there`)
              }
            }), { concurrency: 32, discard: true })
          const counts = outcomes.filter((outcome) => outcome === "Applied").length
          assert.isAbove(counts, 300)
        }), 60_000)

      it.effect("tidies up", () =>
        Effect.gen(function*() {
          const cql = yield* client
          yield* cql.execute(`DROP KEYSPACE ${KS}`)
        }))
    })
  })
}
