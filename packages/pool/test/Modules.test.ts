import { assert, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const src = new URL("../src", import.meta.url).pathname

/** By module, what it imports of this package, for types too. */
const imports = new Map(
  readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts")).map((name) => {
    const text = readFileSync(join(src, name), "utf8")
    const from = [...text.matchAll(/from\s+"(\.[^"]+)"/g)].map(([, path]) =>
      relative(src, join(src, dirname(name), path!))
    )
    return [name, from] as const
  })
)

it("modules do not import each other in a circle, not even for types", () => {
  const circles: Array<string> = []
  const done = new Set<string>()
  const visit = (name: string, path: ReadonlyArray<string>): void => {
    if (path.includes(name)) circles.push([...path.slice(path.indexOf(name)), name].join(" → "))
    else if (!done.has(name)) {
      for (const next of imports.get(name) ?? assert.fail(`${path.at(-1)} imports ${name}, which is not there`)) {
        visit(next, [...path, name])
      }
      done.add(name)
    }
  }
  for (const name of imports.keys()) visit(name, [])
  assert.deepStrictEqual(circles, [])
})
