/**
 * Compiles the AssemblyScript of packages and writes the TypeScript modules that embed the results.
 *
 * `node scripts/build-wasm.mjs`: writes them. With `--check` it only says which would change.
 * Fetches the compiler with npx; nothing of it is needed at run time. The same source gives the same bytes.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const compiler = "assemblyscript@0.28.20"

/** `pages` of 64 KiB each; what they are for is said where the module is used. */
const modules = [
  { package: "sharding", name: "murmur3", pages: 18 },
  { package: "protocol", name: "compression", pages: 128 }
]

const build = ({ name, package: owner, pages }) => {
  const here = fileURLToPath(new URL(`../packages/${owner}/wasm/`, import.meta.url))
  const target = fileURLToPath(new URL(`../packages/${owner}/src/internal/${name}Module.ts`, import.meta.url))
  const scratch = mkdtempSync(join(tmpdir(), `${name}-`))
  try {
    const output = join(scratch, `${name}.wasm`)
    const memory = ["--initialMemory", String(pages), "--maximumMemory", String(pages)]
    const args = [`${name}.ts`, "-O3", "--converge", "--runtime", "stub", "--noAssert", ...memory, "--outFile", output]
    execFileSync("npx", ["-y", "-p", compiler, "asc", ...args], { cwd: here, stdio: ["ignore", "inherit", "inherit"] })
    const wasm = readFileSync(output)
    const lines = (wasm.toString("base64").match(/.{1,100}/g) ?? []).map((line) => `  "${line}"`)
    // The tests of the packages compare the hash: a source that changed was then not forgotten to be built.
    const hash = createHash("sha256").update(readFileSync(join(here, `${name}.ts`))).digest("hex")
    const text = `// Made by scripts/build-wasm.mjs from wasm/${name}.ts with ${compiler}. Do not edit.
// sha256 of the source: ${hash}

/** WebAssembly module of ${wasm.length} bytes, as base64. */
export const base64 = [
${lines.join(",\n")}
].join("")
`
    const isSame = text === readFileSync(target, "utf8")
    if (!process.argv.includes("--check")) writeFileSync(target, text)
    else if (!isSame) process.exitCode = 1
    process.stdout.write(`${name}: ${isSame ? "unchanged" : "changed"}\n`)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

for (const module of modules) build(module)
