/** What keeps a process, and what it says at its end: programs with clients of promises, in processes of their own. */
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const program = join(import.meta.dirname, "programs/promises.ts")

/** Runs the program to its end; a process that does not end by itself is killed, and has no code. */
const run = (how: string, env: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const cluster = yield* AlternatorCluster.make()
    return yield* Effect.callback<Ended>((resume) => {
      const options = { env: { ...process.env, NODE_ENV: "", ...env }, timeout: 15_000, killSignal: "SIGKILL" } as const
      const child = execFile(process.execPath, [program, how, cluster.seeds[0]!], options, (_, stdout, stderr) =>
        resume(Effect.succeed({ code: child.exitCode, stdout: stdout.trim(), stderr: stderr.trim() })))
      return Effect.sync(() =>
        child.kill("SIGKILL")
      )
    })
  })

describe("a process", () => {
  it.live("ends when its client is closed, and has nothing to say", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run("closed"), { code: 0, stdout: "done", stderr: "" })
    }))

  it.live("ends although a client is open, and says where it was opened", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run("one")
      assert.deepStrictEqual([code, stdout], [0, "done"])
      const lines = stderr.split("\n")
      assert.lengthOf(lines, 2, stderr)
      assert.match(lines[0]!, /^@effect-scylla\/alternator: 1 client was not closed: .*await using/)
      assert.match(lines[1]!, /opened at opens \(.*promises\.ts:7:\d+\)$/)
    }))

  it.live("says so once for all of them", () =>
    Effect.gen(function*() {
      const { stderr } = yield* run("two")
      assert.lengthOf(stderr.split("\n"), 3, stderr)
      assert.include(stderr, "2 clients were not closed")
    }))

  it.live("says nothing in production, nor when it has failed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run("one", { NODE_ENV: "production" }), { code: 0, stdout: "done", stderr: "" })
      assert.deepStrictEqual(yield* run("failed"), { code: 1, stdout: "done", stderr: "" })
    }))

  it.live("stays for a client that is to keep it", () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* run("kept")
      assert.deepStrictEqual([code, stdout], [0, "done\nstill here"])
    }))
})
