/**
 * `node packages/raft-client/proto/generate.mjs`: makes src/generated from the .proto files here, with what npm has
 * (buf brings its own compiler, about 90 MB, which is why neither tool is a dependency).
 */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const here = dirname(fileURLToPath(import.meta.url))
const out = join(here, "../src/generated")
const template = join(here, "buf.gen.json")
writeFileSync(
  template,
  JSON.stringify({
    version: "v2",
    inputs: [{ directory: "." }],
    plugins: [{ local: "protoc-gen-es", out: "../src/generated", opt: ["target=ts", "import_extension=ts"] }],
    clean: true
  })
)
const tools = ["-p", "@bufbuild/buf@1.75.0", "-p", "@bufbuild/protoc-gen-es@2.17.0"]
const made = spawnSync("npx", ["-y", ...tools, "buf", "generate", "--template", template], {
  cwd: here,
  stdio: "inherit"
})
rmSync(template)
if (made.status !== 0) process.exit(made.status ?? 1)

/** An enum as an object: the sources must run with their types erased. */
const erasable = (source) =>
  source.replace(/^export enum (\w+) \{\n([\s\S]*?)^\}/gm, (_, name, body) => {
    const members = body.replace(/^( *\w+) = (-?\d+),$/gm, "$1: $2,")
    return `export const ${name} = {\n${members}} as const\nexport type ${name} = (typeof ${name})[keyof typeof ${name}]`
  })

for (const file of readdirSync(out, { recursive: true }).filter((name) => name.endsWith(".ts"))) {
  const path = join(out, file)
  writeFileSync(path, `// dprint-ignore-file\n${erasable(readFileSync(path, "utf8"))}`)
}
