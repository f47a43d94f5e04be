/**
 * Compiles compression.ts with AssemblyScript and writes ../src/internal/compressionModule.ts, which embeds the result.
 *
 * `node packages/protocol/wasm/build.mjs`: writes the module. With `--check` it only says whether it would change.
 * Fetches the compiler with npx; nothing of it is needed at run time. The same source gives the same bytes.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const compiler = "assemblyscript@0.28.20"
/** 64 KiB pages: 8 MiB for tables, a source and a destination. See compressionWasm.ts. */
const pages = "128"

const here = fileURLToPath(new URL(".", import.meta.url))
const target = fileURLToPath(new URL("../src/internal/compressionModule.ts", import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), "compression-"))
try {
  const output = join(scratch, "compression.wasm")
  const options = ["-O3", "--converge", "--runtime", "stub", "--noAssert", "--initialMemory", pages]
  const args = ["compression.ts", ...options, "--maximumMemory", pages, "--outFile", output]
  execFileSync("npx", ["-y", "-p", compiler, "asc", ...args], { cwd: here, stdio: ["ignore", "inherit", "inherit"] })
  const base64 = readFileSync(output).toString("base64")
  const lines = (base64.match(/.{1,100}/g) ?? []).map((line) => `  "${line}"`)
  const text = `// Made by wasm/build.mjs from wasm/compression.ts with ${compiler}. Do not edit.

/** WebAssembly module of ${readFileSync(output).length} bytes, as base64. */
export const base64 = [
${lines.join(",\n")}
].join("")
`
  const current = (() => {
    try {
      return readFileSync(target, "utf8")
    } catch {
      return ""
    }
  })()
  if (!process.argv.includes("--check")) writeFileSync(target, text)
  else if (text !== current) process.exitCode = 1
  process.stdout.write(text === current ? "unchanged\n" : "changed\n")
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
