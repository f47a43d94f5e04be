import { assert, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

const root = join(import.meta.dirname, "../src")

it("no module imports itself by way of others, types included", () => {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
  assert.isAbove(files.length, 30)
  const imports = new Map(files.map((file) => {
    const text = readFileSync(join(root, file), "utf8")
    const found = Array.from(
      text.matchAll(/\b(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g),
      ([, to]) => resolve(root, file, "..", to!)
    )
    return [join(root, file), found]
  }))
  const done = new Set<string>()
  const cycles: Array<string> = []
  const visit = (file: string, path: ReadonlyArray<string>): void => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(" → ").replaceAll(`${root}/`, ""))
    }
    if (path.includes(file) || done.has(file)) return
    for (const next of imports.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  assert.deepStrictEqual(cycles, [])
})
