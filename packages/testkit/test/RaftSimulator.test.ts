import { DEngineAdapter } from "@effect-scylla/raft-client"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"

const adapter = DEngineAdapter.make()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const key = bytes("/k")

/** What the adapter makes of a node's answer. */
const judge = <A>(
  cluster: RaftSimulator.RaftSimulator,
  id: number,
  call: { readonly path: string; readonly body: Uint8Array; readonly judge: (answer: never) => A }
): A | "silence" => {
  const reply = cluster.answer(cluster.node(id), call.path, call.body)
  if (reply === "silence") return reply
  const answer = "body" in reply ? { ...reply, details: "" } : { ...reply, body: undefined }
  return call.judge({ ...answer, origin: "Server", header: () => undefined } as never)
}

const leaderOf = (cluster: RaftSimulator.RaftSimulator): number | undefined => cluster.leader?.id

const tagOf = (verdict: { readonly _tag: string } | "silence"): string => verdict === "silence" ? verdict : verdict._tag

describe("RaftSimulator", () => {
  it.effect("only the leader with a majority takes writes, and all that it reaches have them", () =>
    Effect.gen(function*() {
      const cluster = yield* RaftSimulator.make({ electionMillis: 0 })
      const put = adapter.put(key, bytes("v"))
      assert.strictEqual(tagOf(judge(cluster, 2, put)), "NotLeader")
      cluster.isolate(3)
      assert.strictEqual(tagOf(judge(cluster, 1, put)), "Done")
      assert.deepStrictEqual(cluster.nodes.map(({ data }) => data.size), [1, 1, 0])
      cluster.heal(3)
      assert.strictEqual(cluster.node(3).data.size, 1)
      cluster.pause(2)
      cluster.pause(3)
      assert.strictEqual(judge(cluster, 1, put), "silence")
      assert.strictEqual(judge(cluster, 2, put), "silence")
    }))

  it.effect("somebody is elected an election timeout after the leader was lost, and serves reads a moment later", () =>
    Effect.gen(function*() {
      const cluster = yield* RaftSimulator.make({ electionMillis: 300 })
      cluster.kill(1)
      yield* TestClock.adjust(299)
      assert.strictEqual(leaderOf(cluster), undefined)
      assert.strictEqual(cluster.node(2).names, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(leaderOf(cluster), 2)
      assert.strictEqual(cluster.node(2).term, 3)
      assert.strictEqual(tagOf(judge(cluster, 2, adapter.get([key], "linearizable"))), "NotReady")
      assert.strictEqual(tagOf(judge(cluster, 2, adapter.put(key, key))), "Done")
      yield* TestClock.adjust(15)
      assert.strictEqual(tagOf(judge(cluster, 2, adapter.get([key], "linearizable"))), "Done")
    }))

  it.effect("a leader that was stopped goes on as one until it hears of the next", () =>
    Effect.gen(function*() {
      const cluster = yield* RaftSimulator.make({ electionMillis: 300 })
      cluster.pause(1)
      yield* TestClock.adjust(400)
      cluster.resume(1)
      assert.strictEqual(tagOf(judge(cluster, 1, adapter.scan(bytes("/")))), "Done")
      yield* TestClock.adjust(20)
      assert.strictEqual(tagOf(judge(cluster, 1, adapter.scan(bytes("/")))), "NotLeader")
    }))

  it.effect("compares and swaps, absent and empty apart", () =>
    Effect.gen(function*() {
      const cluster = yield* RaftSimulator.make()
      const swap = (expected: string | undefined, value: string): boolean => {
        const call = adapter.compareAndSwap(key, expected === undefined ? undefined : bytes(expected), bytes(value))
        const verdict = judge(cluster, 1, call)
        return verdict !== "silence" && verdict._tag === "Done" && verdict.value.succeeded
      }
      const results = [swap("", "x"), swap(undefined, ""), swap(undefined, "x"), swap("", "1"), swap("1", "2")]
      assert.deepStrictEqual(results, [false, true, false, true, true])
    }))

  it.effect('says "not leader" as each version does', () =>
    Effect.gen(function*() {
      const cluster = yield* RaftSimulator.make()
      for (const dialect of ["0.2.2", "0.2.4", "head", "0.2.5"] as const) {
        cluster.node(2).dialect = dialect
        const verdicts = [
          judge(cluster, 2, adapter.put(key, key)),
          judge(cluster, 2, adapter.get([key], "lease")),
          judge(cluster, 2, adapter.get([key], "linearizable"))
        ]
        for (const verdict of verdicts) {
          assert.strictEqual(tagOf(verdict), "NotLeader", dialect)
          const hinted = verdict !== "silence" && verdict._tag === "NotLeader" && verdict.hint !== undefined
          assert.strictEqual(hinted, dialect === "0.2.2" || dialect === "0.2.5", dialect)
        }
      }
    }))

  it.effect("scripts answer as often as they are told, or let pass", () =>
    Effect.gen(function*() {
      const cluster = yield* RaftSimulator.make()
      const put = adapter.put(key, bytes("v"))
      cluster.node(1).script("HandleClientWrite", { code: 8, details: "Too many pending write requests" }, 2)
      const tags = [1, 2, 3].map(() => tagOf(judge(cluster, 1, put)))
      assert.deepStrictEqual(tags, ["Busy", "Busy", "Done"])
      cluster.node(1).script("HandleClientWrite", () => undefined)
      assert.strictEqual(tagOf(judge(cluster, 1, put)), "Done")
      assert.strictEqual(cluster.node(1).count("HandleClientWrite"), 4)
    }))
})
