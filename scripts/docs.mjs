/**
 * `node scripts/docs.mjs`: fails, naming each, where a module of a package's public `src` or one of its exports has no API
 * docs: prose, not tags alone. What is re-exported is documented where it is declared, and of several declarations of one name one is enough.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { packageDirectories, root } from "./workspace.mjs"

const DECLARATION =
  /^export (?:declare |default |abstract |async )*(?:const|let|function\*?|class|interface|type|enum|namespace) (\w+)/

/** The comment above a line, without its marks; `undefined` if there is none. Directives to linters may stand between. */
const commentAbove = (lines, line) => {
  let end = line - 1
  while (end >= 0 && lines[end].startsWith("//")) end--
  let at = end
  if (at < 0 || !lines[at].trimEnd().endsWith("*/")) return undefined
  while (at >= 0 && !lines[at].trimStart().startsWith("/**")) at--
  if (at < 0) return undefined
  return lines.slice(at, end + 1).map((text) => text.replace(/^\s*\/?\*+\/?|\*\/\s*$/g, "").trim())
    .filter((text) => text !== "")
}

const undocumented = (path) => {
  const lines = readFileSync(path, "utf8").split("\n")
  const exports = new Map()
  for (const [i, line] of lines.entries()) {
    const name = DECLARATION.exec(line)?.[1]
    if (name === undefined) continue
    const comment = commentAbove(lines, i)
    if (comment?.includes("@internal")) continue
    const documented = comment?.some((text) => !text.startsWith("@")) ?? false
    exports.set(name, {
      line: exports.get(name)?.line ?? i + 1,
      documented: exports.get(name)?.documented || documented
    })
  }
  const found = [...exports].filter(([, { documented }]) => !documented).map(([name, { line }]) => `${line}: ${name}`)
  return lines[0].startsWith("/**") ? found : ["1: the module itself", ...found]
}

const missing = []
let modules = 0
for (const name of packageDirectories()) {
  const directory = join("packages", name, "src")
  for (const file of readdirSync(join(root, directory)).filter((each) => each.endsWith(".ts")).sort()) {
    modules++
    for (const found of undocumented(join(root, directory, file))) {
      missing.push(`${join(directory, file)}:${found}`)
    }
  }
}

if (missing.length > 0) {
  console.error(`without API docs (a /** … */ in front of it):\n  ${missing.join("\n  ")}`)
  process.exitCode = 1
} else {
  console.log(`every export of ${modules} modules has API docs`)
}
