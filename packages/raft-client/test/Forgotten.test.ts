/** A client that was opened and forgotten, in a process of its own. */
import * as RaftSimulatedServer from "@effect-scylla/testkit/RaftSimulatedServer"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("./fixtures/forgotten.ts", import.meta.url))

/** What the process printed; a failure when it had to be killed. */
const run = (endpoints: ReadonlyArray<string>) =>
  Effect.callback<string, Error>((resume) => {
    const child = execFile(process.execPath, [script, endpoints.join()], { timeout: 15_000 }, (error, stdout) => {
      resume(error === null ? Effect.succeed(stdout.trim()) : Effect.fail(error))
    })
    return Effect.sync(() => void child.kill())
  })

describe("a forgotten client", () => {
  it.live("lets its process end when its work is done", () =>
    Effect.gen(function*() {
      const cluster = yield* RaftSimulator.make({})
      yield* RaftSimulatedServer.listenAll(cluster)
      assert.strictEqual(yield* run(cluster.endpoints), "Success")
    }))

  it.live("does not go on looking for a leader that nobody waits for", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* run(["127.0.0.1:9"]), "Failure")
    }))
})
