/** The modules of this package import one another in one direction, types included. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const source = fileURLToPath(new URL("../src", import.meta.url))

/** What a module imports or exports again of this package, be it types only. */
const importsOf = (file: string, text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)].map(([, path]) => resolve(dirname(file), path!))

/** A way from a module back to itself, if there is one. */
const cycleIn = (graph: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<string> | undefined => {
  const done = new Set<string>()
  const path: Array<string> = []
  const visit = (file: string): ReadonlyArray<string> | undefined => {
    const at = path.indexOf(file)
    if (at >= 0) return [...path.slice(at), file]
    if (done.has(file)) return undefined
    path.push(file)
    for (const next of graph.get(file) ?? []) {
      const found = visit(next)
      if (found !== undefined) return found
    }
    path.pop()
    done.add(file)
    return undefined
  }
  for (const file of graph.keys()) {
    const found = visit(file)
    if (found !== undefined) return found
  }
  return undefined
}

describe("imports", () => {
  it("have no circle", () => {
    const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))
      .map((name) => join(source, name))
    const graph = new Map(files.map((file) => [file, importsOf(file, readFileSync(file, "utf8"))]))
    assert.isAbove([...graph.values()].flat().length, 100)
    assert.deepStrictEqual(cycleIn(graph)?.map((file) => relative(source, file)), undefined)
  })

  it("or it would be seen", () => {
    const types = importsOf("/a.ts", 'import type { B } from "./b.ts"\nimport {\n  type C\n} from "./c.ts"')
    assert.deepStrictEqual(types, ["/b.ts", "/c.ts"])
    assert.deepStrictEqual(cycleIn(new Map([["/a", ["/b"]], ["/b", ["/c"]], ["/c", ["/b"]]])), ["/b", "/c", "/b"])
  })
})
