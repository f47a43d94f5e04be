import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

describe("README", () => {
  it.live("its example runs, and prints what it says", () =>
    Effect.gen(function*() {
      const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
      const example = /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1]
      if (example === undefined) return assert.fail("README.md has no ts block")
      const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2 })
      // Inside the package, where its own name resolves through `exports`.
      const file = fileURLToPath(new URL(`./.readme-${process.pid}.ts`, import.meta.url))
      writeFileSync(file, example)
      const output = yield* Effect.callback<string, Error>((resume) => {
        const env = { ...process.env, NODE_OPTIONS: "", CONTACT_POINT: cluster.contactPoints[0] }
        execFile(process.execPath, [file], { encoding: "utf8", env }, (error, stdout) => {
          rmSync(file, { force: true })
          resume(error === null ? Effect.succeed(stdout) : Effect.fail(error))
        })
      })
      const promised = Array.from(example.matchAll(/\/\/ => (.*)$/gm), ([, line]) => line)
      assert.isAbove(promised.length, 0)
      // Log lines start with a time.
      assert.deepStrictEqual(output.trimEnd().split("\n").filter((line) => !/^\[\d/.test(line)), promised)
    }))
})
