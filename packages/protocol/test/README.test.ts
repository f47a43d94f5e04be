import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

describe("README", () => {
  it("its example runs, and prints what it says", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
    const example = /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1]
    if (example === undefined) assert.fail("README.md has no ts block")
    // Inside the package, where its own name resolves through `exports`.
    const file = fileURLToPath(new URL(`./.readme-${process.pid}.ts`, import.meta.url))
    writeFileSync(file, example)
    try {
      const output = execFileSync(process.execPath, [file], {
        encoding: "utf8",
        env: { ...process.env, NODE_OPTIONS: "" }
      })
      const promised = Array.from(example.matchAll(/\/\/ => (.*)$/gm), ([, line]) => line)
      assert.isAbove(promised.length, 0)
      assert.deepStrictEqual(output.trimEnd().split("\n"), promised)
    } finally {
      rmSync(file, { force: true })
    }
  })
})
