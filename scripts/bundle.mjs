/**
 * `node scripts/bundle.mjs`, after tsc: writes the JavaScript of the packages of a CQL client anew, as few files.
 *
 * What Node spends on an import it spends on finding and linking files, about half a millisecond each, whatever is in them (`npm run bench -- start`).
 * So the modules that the client always needs are one file in each package, and those of them that need nothing of Effect another: whoever takes
 * a Murmur3 token out of `sharding` loads that one alone. Everything else stays a file of its own. Entries, declarations and
 * source maps are as tsc gives them; source maps lead to `src`.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { rolldown } from "rolldown"
import { Failure, root, runMain } from "./workspace.mjs"

const packages = ["protocol", "sharding", "pool", "driver"]
const sourceOf = (name) => join(root, "packages", name, "src")

/** What a module imports at once: values, not types, and nothing that it loads later. */
const importsOf = (path) =>
  [...readFileSync(path, "utf8").matchAll(/^(?:import|export)\s(?!type\s)[^"]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm)]
    .map(([, from, bare]) => from ?? bare)

/** The file behind an import; undefined for what is not ours. */
const resolved = (from, id) => {
  if (id.startsWith(".")) return resolve(dirname(from), id)
  const [, name, module = "index"] = /^@effect-scylla\/([^/]+)(?:\/(.+))?$/.exec(id) ?? []
  return packages.includes(name) ? join(sourceOf(name), `${module}.ts`) : undefined
}

/** All that `start` loads, and whether it needs Effect, directly or by what it imports. */
const reach = (start) => {
  const needs = new Map()
  const visit = (path) => {
    if (needs.has(path)) return needs.get(path)
    needs.set(path, false)
    let effect = false
    for (const id of importsOf(path)) {
      const file = resolved(path, id)
      if (file === undefined ? id.startsWith("effect") : visit(file)) effect = true
    }
    needs.set(path, effect)
    return effect
  }
  visit(start)
  return needs
}

const bundle = async (name, needed) => {
  const [source, dist] = [sourceOf(name), join(root, "packages", name, "dist")]
  const entries = readdirSync(source).filter((file) => file.endsWith(".ts") && file !== "index.ts")
  const build = await rolldown({
    input: Object.fromEntries(entries.map((file) => [file.slice(0, -3), join(source, file)])),
    platform: "neutral",
    treeshake: false,
    external: (id) => !id.startsWith(".") && !id.startsWith("/")
  })
  const { output } = await build.generate({
    format: "esm",
    sourcemap: true,
    comments: { legal: true, annotation: true, jsdoc: false },
    entryFileNames: "[name].js",
    chunkFileNames: "internal/[name].js",
    codeSplitting: {
      groups: [
        { name: "plain", test: (id) => needed.get(id) === false, priority: 2 },
        { name: "client", test: (id) => needed.get(id) === true, priority: 1 }
      ]
    }
  })
  await build.close()
  for (const file of readdirSync(dist, { recursive: true })) {
    if (/\.js(\.map)?$/.test(file)) rmSync(join(dist, file))
  }
  // Of the index a bundler makes namespaces that are not those of the modules by their names.
  const index = readFileSync(join(source, "index.ts"), "utf8")
  if (/^(?!export \* as |\/?\s?\*|$)/m.test(index)) throw new Failure(`${name}: the index has more than namespaces`)
  writeFileSync(join(dist, "index.js"), index.replaceAll('.ts"', '.js"'))
  for (const file of output) writeFileSync(join(dist, file.fileName), file.type === "chunk" ? file.code : file.source)
  console.log(`${name}: ${output.filter(({ type }) => type === "chunk").length} files`)
}

await runMain(async () => {
  const needed = reach(join(sourceOf("driver"), "promise.ts"))
  for (const name of packages) await bundle(name, needed)
  return 0
})
