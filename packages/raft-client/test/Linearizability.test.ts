/** Histories of clients on a simulated cluster under faults, and that the check would find a client that is wrong. */
import type { RaftClient } from "@effect-scylla/raft-client"
import * as RaftHistory from "@effect-scylla/testkit/RaftHistory"
import type { RaftSimulator } from "@effect-scylla/testkit/RaftSimulator"
import * as RaftWorkload from "@effect-scylla/testkit/RaftWorkload"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { Random } from "../../../test/support/random.ts"
import { drive, pass, simulate, text } from "./support/simulated.ts"

const registers = (client: RaftClient.RaftClient): RaftWorkload.Registers => ({
  get: (key) => Effect.map(client.get(key), (value) => text(Option.getOrUndefined(value))),
  put: (key, value) => client.put(key, value),
  compareAndSwap: (key, expected, value) =>
    Effect.map(client.compareAndSwap(key, expected, value), ({ succeeded }) => succeeded)
})

/** Kills, stops and cuts off, and makes good again; now and then the server says that it does not know. */
const suffer = Effect.fnUntraced(function*(cluster: RaftSimulator, source: Random, rounds: number) {
  for (let i = 0; i < rounds; i++) {
    const leader = cluster.leader?.id
    const id = leader !== undefined && source.below(3) > 0 ? leader : source.below(3) + 1
    const node = cluster.node(id)
    node.delay = [1, 4, 30][source.below(3)]!
    switch (source.below(5)) {
      case 0:
        cluster.kill(id)
        yield* pass(200 + source.below(900))
        cluster.start(id)
        break
      case 1:
        cluster.pause(id)
        yield* pass(200 + source.below(1_500))
        cluster.resume(id)
        break
      case 2:
        cluster.isolate(id)
        yield* pass(200 + source.below(1_500))
        cluster.heal(id)
        break
      case 3:
        node.script("HandleClientWrite", { code: 4, details: "RPC timeout exceeded" }, 3)
        break
      default:
        node.script("HandleClientWrite", (request) => {
          // Done, and denied.
          node.unscript()
          const answer = cluster.answer(node, "/d_engine.client.RaftClientService/HandleClientWrite", request)
          return answer === "silence" ? answer : { code: 4, details: "RPC channel closed" }
        })
    }
    yield* pass(300 + source.below(400))
    node.delay = 1
  }
})

const chaos = Effect.fnUntraced(function*(
  seed: number,
  wrong: (client: RaftClient.RaftClient) => Partial<RaftWorkload.Registers> = () => ({})
) {
  const source = new Random(seed)
  const { cluster, connect } = yield* simulate({ electionMillis: 300 })
  const client = yield* connect({ electionTimeout: 300, timeout: 1_000 })
  let over = false
  const workload = yield* Effect.forkChild(
    RaftWorkload.run({
      registers: { ...registers(client), ...wrong(client) },
      below: (bound) => source.below(bound),
      isOver: () => over,
      pause: Effect.sleep(10)
    }),
    { startImmediately: true }
  )
  yield* suffer(cluster, source, 8)
  over = true
  const { counts, history } = yield* drive(Fiber.join(workload))
  return { counts, violations: RaftHistory.check(history) }
})

describe("linearizability", () => {
  for (let seed = 1; seed <= 8; seed++) {
    it.effect(`holds under faults, seed ${seed}`, () =>
      Effect.gen(function*() {
        const { counts, violations } = yield* chaos(seed)
        assert.deepStrictEqual(violations.map(RaftHistory.render), [])
        assert.isAbove(counts.done, 200)
      }))
  }

  /** Each of these is a mistake that clients make; somewhere in the seeds it must be seen. */
  const mistakes: Record<string, (client: RaftClient.RaftClient) => Partial<RaftWorkload.Registers>> = {
    "takes eventual reads for linearizable": (client) => ({
      get: (key) =>
        Effect.map(client.get(key, { consistency: "eventual" }), (value) => text(Option.getOrUndefined(value)))
    }),
    "takes ambiguous for done": (client) => ({
      put: (key, value) =>
        Effect.catch(
          client.put(key, value),
          (error) => error.outcome === "Ambiguous" ? Effect.void : Effect.fail(error)
        )
    }),
    "takes ambiguous for not done": (client) => ({
      put: (key, value) => Effect.mapError(client.put(key, value), () => ({ outcome: "Rejected" as const }))
    }),
    "sends a swap again that may have been done": (client) => ({
      compareAndSwap: (key, expected, value) => {
        const swap = Effect.map(client.compareAndSwap(key, expected, value), ({ succeeded }) => succeeded)
        return Effect.catch(swap, (error) => error.outcome === "Ambiguous" ? swap : Effect.fail(error))
      }
    })
  }
  for (const [mistake, wrong] of Object.entries(mistakes)) {
    it.effect(`a client that ${mistake} is caught`, () =>
      Effect.gen(function*() {
        for (let seed = 1; seed <= 8; seed++) {
          const { violations } = yield* chaos(seed, wrong)
          if (violations.length > 0) return
        }
        assert.fail("none of 12 seeds shows it")
      }), 60_000)
  }
})
