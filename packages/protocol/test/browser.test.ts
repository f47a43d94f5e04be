import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundleForBrowser, runInBrowser } from "./support/browser.ts"

describe("in a browser", () => {
  it("both packages are bundled whole, without anything of Node, and do what they do there", async () => {
    const code = await bundleForBrowser(fileURLToPath(new URL("./support/browserProgram.ts", import.meta.url)))
    assert.deepStrictEqual([...runInBrowser(code)], [])
    assert.deepStrictEqual([...runInBrowser(code, false)], [], "without new Function")
  }, 60_000)

  it("a bundle that needs Node is refused, and one that finds something says so", async () => {
    const directory = mkdtempSync(join(tmpdir(), "effect-scylla-browser-"))
    try {
      const bundle = (source: string): Promise<string> => {
        const file = join(directory, "program.js")
        writeFileSync(file, source)
        return bundleForBrowser(file)
      }
      const failure = await bundle("import { readFileSync } from 'node:fs'\nexport const run = () => [readFileSync]")
        .then(() => undefined, (error: unknown) => error)
      assert.match(String(failure), /node:fs/)
      const code = await bundle(
        "export const run = () => ['process', 'Buffer', 'require'].map((name) => typeof globalThis[name])"
      )
      assert.deepStrictEqual([...runInBrowser(code)], ["undefined", "undefined", "undefined"])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }, 60_000)
})
