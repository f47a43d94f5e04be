/** Programs by async/await in processes of their own: they end, and say what they have forgotten. */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"

interface End {
  readonly stdout: string
  readonly stderr: string
  readonly isKilled: boolean
}

const program = (what: string, contactPoint: string, env: Record<string, string> = {}, timeout = 30_000) =>
  Effect.callback<End>((resume) => {
    const child = execFile(
      process.execPath,
      ["programs/promise.ts", what, contactPoint],
      {
        cwd: import.meta.dirname,
        timeout,
        killSignal: "SIGKILL",
        env: { ...process.env, NODE_ENV: "development", ...env }
      },
      (_, stdout, stderr) => resume(Effect.succeed({ stdout, stderr, isKilled: child.signalCode === "SIGKILL" }))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

describe("a program by async/await", () => {
  it.live(
    "ends when its client is closed, and when that is forgotten, which it then says",
    () =>
      Effect.gen(function*() {
        const { contactPoints: [contactPoint] } = yield* SimulatedCluster.make({ nodes: 2, shards: 2 })
        const closed = yield* program("closed", contactPoint!)
        assert.isFalse(closed.isKilled)
        assert.include(closed.stdout, "local")
        assert.notInclude(closed.stderr, "not closed")
        const forgotten = yield* program("forgotten", contactPoint!)
        assert.isFalse(forgotten.isKilled)
        assert.match(
          forgotten.stderr,
          /@effect-scylla\/driver: 1 client was not closed.*\n {2}opened .*programs\/promise\.ts:5/
        )
        const production = yield* program("forgotten", contactPoint!, { NODE_ENV: "production" })
        assert.deepStrictEqual([production.isKilled, production.stderr.includes("not closed")], [false, false])
      }),
    60_000
  )

  it.live("stays where it is told to, until the client is closed", () =>
    Effect.gen(function*() {
      const { contactPoints: [contactPoint] } = yield* SimulatedCluster.make({ nodes: 1, shards: 1 })
      const held = yield* program("held", contactPoint!, {}, 4_000)
      assert.isTrue(held.isKilled)
      assert.include(held.stdout, "local")
    }), 60_000)
})
