import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const packages = resolve(dirname(fileURLToPath(import.meta.url)), "../..")

/** Modules by path, and what each imports or re-exports, types included: a cycle of types is one, too. */
const graphOf = (name: string): ReadonlyMap<string, ReadonlyArray<string>> => {
  const directory = join(packages, name, "src")
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
  return new Map(files.map((file) => {
    const path = join(directory, file)
    const specifiers = readFileSync(path, "utf8").matchAll(/^(?:import|export)\b[^"']*?\bfrom "(\.[^"]+)"/gms)
    return [file, [...specifiers].map(([, found]) => relative(directory, resolve(dirname(path), found!)))]
  }))
}

/** One way round for each module that a search meets again on its own path. */
const cyclesOf = (graph: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<string> => {
  const found: Array<string> = []
  const done = new Set<string>()
  const visit = (module: string, path: ReadonlyArray<string>): void => {
    const at = path.indexOf(module)
    if (at >= 0) {
      found.push([...path.slice(at), module].join(" -> "))
      return
    }
    if (done.has(module)) return
    for (const next of graph.get(module) ?? []) visit(next, [...path, module])
    done.add(module)
  }
  for (const module of graph.keys()) visit(module, [])
  return found
}

describe("imports", () => {
  it("cycles are found, long ones and those of a module with itself", () => {
    const graph = new Map([["a", ["b"]], ["b", ["c", "d"]], ["c", ["a"]], ["d", ["d"]], ["e", ["a"]]])
    assert.deepStrictEqual(cyclesOf(graph), ["a -> b -> c -> a", "d -> d"])
  })

  for (const name of ["protocol", "sharding"]) {
    it(`of ${name} have no cycle, not even of types`, () => {
      const graph = graphOf(name)
      const edges = [...graph.values()].flat()
      assert.isAbove(edges.length, 10)
      assert.deepStrictEqual(edges.filter((edge) => !graph.has(edge)), [])
      assert.deepStrictEqual(cyclesOf(graph), [])
    })
  }
})
