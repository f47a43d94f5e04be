/** Runs the example of a package's README, so that it says what is true. */
import { execFile } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export interface Example {
  /** Lines that the example promises: `console.log(x) // => line`. */
  readonly promised: ReadonlyArray<string>
  /** Lines that it printed, those of the logger left out. */
  readonly printed: ReadonlyArray<string>
}

const blocksOf = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/^```ts\n([\s\S]*?)^```$/gm), ([, code]) => code!)

/**
 * Runs a `ts` block of `../README.md`, the first unless it is told another, seen from the test at `testUrl`, in a process of
 * its own: the package is imported by its name. Rejects when there is no such block, or when the program fails.
 */
export const runReadme = (testUrl: string, env: Record<string, string> = {}, block = 0): Promise<Example> => {
  const example = blocksOf(readFileSync(new URL("../README.md", testUrl), "utf8"))[block]
  if (example === undefined) return Promise.reject(new Error(`README.md has no ts block ${block}`))
  return runExample(testUrl, `readme-${block}`, example, env)
}

/** The same of a page whose `ts` blocks, one behind the other, are one program. */
export const runPage = (testUrl: string, page: URL, env: Record<string, string> = {}): Promise<Example> => {
  const name = page.pathname.split("/").at(-1)!
  const blocks = blocksOf(readFileSync(page, "utf8"))
  if (blocks.length === 0) return Promise.reject(new Error(`${name} has no ts block`))
  return runExample(testUrl, name.replace(/\.md$/, ""), blocks.join("\n"), env)
}

const runExample = (
  testUrl: string,
  name: string,
  example: string,
  env: Record<string, string>
): Promise<Example> => {
  // Inside the package, where its own name resolves through `exports`.
  const file = fileURLToPath(new URL(`./.${name}-${process.pid}.ts`, testUrl))
  writeFileSync(file, example)
  return new Promise((resolve, reject) => {
    const options = { encoding: "utf8" as const, env: { ...process.env, NODE_OPTIONS: "", ...env } }
    execFile(process.execPath, [file], options, (error, stdout) => {
      rmSync(file, { force: true })
      if (error !== null) return reject(error)
      const lines = stdout.trimEnd().split("\n")
      resolve({
        promised: Array.from(example.matchAll(/\/\/ => (.*)$/gm), ([, line]) => line!),
        printed: lines.filter((line) => !/^\[\d\d:/.test(line))
      })
    })
  })
}
