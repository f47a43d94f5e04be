import * as RaftSimulatedServer from "@effect-scylla/testkit/RaftSimulatedServer"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { runReadme } from "../../../test/support/readme.ts"

describe("README", () => {
  it.live.each<readonly [string, number]>([
    ["Effect", 0],
    ["async/await", 1]
  ])("its example of %s runs, and prints what it says", ([, block]) =>
    Effect.gen(function*() {
      const cluster = yield* RaftSimulator.make()
      yield* RaftSimulatedServer.listenAll(cluster)
      const { printed, promised } = yield* Effect.promise(() =>
        runReadme(import.meta.url, { RAFT_ENDPOINTS: cluster.endpoints.join() }, block)
      )
      assert.isAbove(promised.length, 0)
      assert.deepStrictEqual(printed, promised)
    }))
})
