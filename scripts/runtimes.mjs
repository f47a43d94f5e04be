/**
 * `node scripts/runtimes.mjs`: Bun and Deno from the npm registry, into a cache outside the work tree. Prints what a shell evaluates, so
 * that tests find them (`BUN`, `DENO`), and on stderr what there is, or why not.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"

/** Packages that hold the program itself: those of other names download it when they are installed. */
const programs = {
  linux: {
    BUN: { package: "@oven/bun-linux-x64", version: "1.4.5", file: "bin/bun" },
    DENO: { package: "@deno/linux-x64-glibc", version: "2.9.6", file: "deno" }
  }
}

const cache = join(process.env.EFFECT_SCYLLA_CACHE ?? join(homedir(), ".cache", "effect-scylla"), "runtimes")
const wanted = process.arch === "x64" ? programs[process.platform] ?? {} : {}

for (const [name, program] of Object.entries(wanted)) {
  const given = process.env[name]
  if (given !== undefined) {
    console.error(`${name}: ${given}, as it was given`)
    continue
  }
  const directory = join(cache, `${name.toLowerCase()}-${program.version}`)
  const path = join(directory, "node_modules", program.package, program.file)
  if (!existsSync(path)) {
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, "package.json"), JSON.stringify({ private: true }))
    const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", `${program.package}@${program.version}`]
    const { status, stderr } = spawnSync("npm", args, { cwd: directory, encoding: "utf8" })
    if (status !== 0) {
      console.error(`${name}: npm has no ${program.package}@${program.version}: ${stderr.trim().split("\n").at(-1)}`)
      continue
    }
  }
  const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" })
  if (status !== 0) {
    console.error(`${name}: ${path} does not start`)
    continue
  }
  console.error(`${name}: ${stdout.split("\n")[0]}`)
  console.log(`export ${name}='${path}'`)
}
if (Object.keys(wanted).length === 0) console.error(`no Bun or Deno for ${process.platform} ${process.arch} here`)
