/** What a person sees whose machine has none of the Raft servers: suites that are skipped and say why, and a green run. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const vitest = join(root, "node_modules/vitest/vitest.mjs")

interface Report {
  readonly success: boolean
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly assertionResults: ReadonlyArray<{ readonly fullName: string; readonly status: string }>
  }>
}

/** A run of the suites on a machine where nothing is installed. */
const run = (environment: Record<string, string>) =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-scylla-bare-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
    )
    const { REQUIRE_REAL_SERVERS: _, ...inherited } = process.env
    const env = { ...inherited, PATH: directory, EFFECT_SCYLLA_CACHE: directory, ...environment }
    const output = join(directory, "report.json")
    const files = ["raft.test.ts", "raftDialects.test.ts", "raftEtcd.test.ts"]
    const args = [vitest, "run", "--project", "integration", "--reporter", "json", "--outputFile", output, ...files]
    return yield* Effect.callback<{ readonly code: unknown; readonly report: Report; readonly stderr: string }>(
      (resume) => {
        const child = execFile(process.execPath, args, { cwd: root, env, timeout: 60_000 }, (error, _, stderr) => {
          resume(
            Effect.succeed({
              code: error?.code ?? 0,
              report: JSON.parse(readFileSync(output, "utf8")) as Report,
              stderr
            })
          )
        })
        return Effect.sync(() => void child.kill())
      }
    )
  }))

describe("raft without servers", () => {
  it.live("is skipped by name, and green", () =>
    Effect.gen(function*() {
      const { code, report, stderr } = yield* run({})
      assert.strictEqual(code, 0)
      assert.lengthOf(report.testResults, 3)
      const results = report.testResults.flatMap(({ assertionResults }) => assertionResults)
      assert.deepStrictEqual(results.filter(({ status }) => status !== "skipped"), [])
      const names = results.map(({ fullName }) => fullName).join("\n")
      for (const title of ["raft on etcd", "answers of etcd", "etcd alone"]) {
        assert.include(names, `${title}: there is no etcd on the PATH`)
      }
      for (const title of ["raft on d-engine", "answers of d-engine"]) {
        assert.include(names, `${title}: d-engine is not built`)
      }
      assert.include(stderr, "raft on etcd: skipped, there is no etcd on the PATH")
    }), 60_000)

  it.live("and fails where they are required", () =>
    Effect.gen(function*() {
      const { code, report } = yield* run({ REQUIRE_REAL_SERVERS: "1" })
      assert.strictEqual(code, 1)
      const results = report.testResults.flatMap(({ assertionResults }) => assertionResults)
      assert.deepStrictEqual(results.map(({ status }) => status), ["failed", "failed", "failed", "failed", "failed"])
    }), 60_000)
})
