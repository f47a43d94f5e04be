/** Programs in processes of their own that close nothing: on this Node, and on Bun and Deno where they are. */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile, spawnSync } from "node:child_process"

const found = (name: string): string | undefined => {
  const path = process.env[name.toUpperCase()] ?? name
  return spawnSync(path, ["--version"]).status === 0 ? path : undefined
}

const runtimes: ReadonlyArray<readonly [name: string, path: string | undefined, options: ReadonlyArray<string>]> = [
  ["node", process.execPath, []],
  ["bun", found("bun"), ["run"]],
  ["deno", found("deno"), ["run", "--allow-all", "--no-check"]]
]

/** The last line of its output; it has to end by itself, and well. */
const run = (path: string, args: ReadonlyArray<string>): Effect.Effect<string, Error> =>
  Effect.callback((resume) => {
    const child = execFile(
      path,
      [...args],
      { cwd: import.meta.dirname, timeout: 30_000, killSignal: "SIGKILL" },
      (error, stdout, stderr) => {
        const why = child.signalCode === "SIGKILL" ? `has not ended, after it said ${JSON.stringify(stdout)}` : stderr
        resume(
          error === null
            ? Effect.succeed(stdout.trim().split("\n").at(-1)!)
            : Effect.fail(new Error(`${args.join(" ")}: ${why}`))
        )
      }
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

for (const [name, path, options] of runtimes) {
  describe.skipIf(path === undefined)(`a client that nobody closes, on ${name}`, () => {
    const program = (what: string, contactPoint: string) =>
      run(path!, [...options, "programs/forgotten.ts", what, contactPoint])

    it.live("keeps no process alive, idle or closed", () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 2 })
        for (const what of ["idle", "closed"]) {
          assert.strictEqual(yield* program(what, cluster.contactPoints[0]!), "done")
        }
      }), 60_000)

    it.live("keeps none alive while one of its nodes is dead", () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 1 })
        yield* cluster.stop(1)
        assert.strictEqual(yield* program("idle", cluster.contactPoints[0]!), "done")
      }), 60_000)

    it.live("a request that is waited for does", () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1 })
        yield* cluster.intercept(({ request }) =>
          request._tag === "Query" && request.query === "SELECT key FROM system.local"
            ? { _tag: "Delay", millis: 1_500 }
            : undefined
        )
        assert.strictEqual(yield* program("waiting", cluster.contactPoints[0]!), "late")
      }), 60_000)
  })
}
