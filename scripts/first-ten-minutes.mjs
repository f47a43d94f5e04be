/** What `docs/first-ten-minutes.md` says, done with packed packages in an empty folder, beside a cluster. */
import { spawn } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Failure, nodeBinary, root } from "./workspace.mjs"

const page = readFileSync(join(root, "docs", "first-ten-minutes.md"), "utf8")
const blocks = (language) =>
  Array.from(page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm")), ([, text]) => text)

/** Node 24 runs TypeScript as it is; so it does from 22.18 on. */
const programs = ["main", "effect"]

/**
 * `install` makes a project with the packages of that name and others from the registry, and gives its folder; `capture` runs a command.
 * Gives a line of what was seen.
 */
export const firstTenMinutes = async ({ capture, install }) => {
  const cluster = spawn(nodeBinary(), [join(root, "test", "first-ten-minutes", "cluster.ts")], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  try {
    const contactPoint = await new Promise((resolve, reject) => {
      let said = ""
      cluster.stdout.on("data", (chunk) => {
        said += chunk
        const found = /^ready (\S+)$/m.exec(said)
        if (found !== null) resolve(found[1])
      })
      cluster.once("exit", () => reject(new Failure(`the cluster did not start: ${said}`)))
    })
    const project = install("first-ten-minutes", ["@effect-scylla/driver", "@effect-scylla/cli"])
    mkdirSync(join(project, "src"), { recursive: true })
    const [commands, run] = blocks("sh")
    const codegen = commands.split("\n").find((text) => text.startsWith("npx effect-scylla")).replace(
      "$CONTACT_POINT",
      contactPoint
    )
    const words = codegen.split(" ").slice(2)
    capture("codegen", [nodeBinary(), join(project, "node_modules", ".bin", "effect-scylla"), ...words], project)
    const sources = blocks("ts")
    for (const [i, name] of programs.entries()) writeFileSync(join(project, "src", `${name}.ts`), sources[i])
    const tsc = run.split("\n").find((text) => text.startsWith("npx tsc")).split(" ").slice(2)
    capture("tsc", ["tsc", ...tsc, "--typeRoots", join(root, "node_modules", "@types")], project)
    for (const [i, name] of programs.entries()) {
      const said = capture(name, [nodeBinary(), join("src", `${name}.ts`)], project, { CONTACT_POINT: contactPoint })
      const promised = Array.from(sources[i].matchAll(/\/\/ => (.*)$/gm), ([, text]) => text).join("\n")
      // But for lines of the log.
      const printed = said.trim().split("\n").filter((text) => !/^\[\d\d:/.test(text)).join("\n")
      if (printed !== promised) throw new Failure(`${name} printed\n${printed}\ninstead of\n${promised}`)
    }
    return "docs/first-ten-minutes.md: installed, generated, compiled strictly, run both ways; it prints what it says"
  } finally {
    cluster.stdin.end()
  }
}
