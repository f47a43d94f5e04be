/**
 * `node scripts/report.mjs --tests vitest.json --tests-exit N --machines FILE --machines-exit N --packages FILE --packages-exit N
 * --demo-exit N`: what .ci/run did, in words, and as its last line `N passed, N failed`. Exits with 1 unless something passed and nothing failed.
 *
 * Counts what the files say; a step that failed without a word in its file, or left no file, is one failure.
 */
import { readFileSync } from "node:fs"
import { relative } from "node:path"
import { parseArgs } from "node:util"
import { root } from "./workspace.mjs"

const option = { type: "string" }
const { values } = parseArgs({
  options: {
    tests: option,
    "tests-exit": option,
    machines: option,
    "machines-exit": option,
    packages: option,
    "packages-exit": option,
    "demo-exit": option
  }
})

let passed = 0
let failed = 0
const failures = []

const fail = (what, count = 1) => {
  failed += count
  failures.push(what)
}

/** Every failing step fails the run, whatever its file says. */
const settle = (what, exit, failedBefore) => {
  if (exit !== "0" && failed === failedBefore) fail(`${what} failed (exit code ${exit}) outside of what it counts`)
}

const readJson = (path) => {
  try {
    return JSON.parse(readFileSync(path, "utf8"))
  } catch {
    return undefined
  }
}

const table = (title, groups) => {
  if (groups.size === 0) return
  console.log(`\n${title}`)
  const width = Math.max(...[...groups.keys()].map((name) => name.length))
  for (const [name, counts] of groups) {
    console.log(`  ${name.padEnd(width)}  ${Object.entries(counts).map(([status, n]) => `${n} ${status}`).join(", ")}`)
  }
}

const countIn = (groups, name, status) => {
  const counts = groups.get(name) ?? {}
  groups.set(name, { ...counts, [status]: (counts[status] ?? 0) + 1 })
}

const countTests = () => {
  const before = failed
  const report = readJson(values.tests)
  const projects = new Map()
  const integration = new Map()
  for (const file of report?.testResults ?? []) {
    const path = relative(root, file.name)
    const project = path.split("/").slice(0, 2).join("/")
    let failing = 0
    for (const { status, ancestorTitles, title, fullName } of file.assertionResults) {
      countIn(projects, project, status)
      if (project === "test/integration") {
        countIn(integration, ancestorTitles.find((ancestor) => ancestor !== "") ?? title, status)
      }
      if (status === "passed") passed++
      if (status === "failed") {
        failing++
        fail(`${path}: ${fullName}`)
      }
    }
    if (file.status !== "passed" && failing === 0) fail(`${path}: ${file.message || "the file failed"}`)
  }
  table("Tests", projects)
  table("Integration suites by provider (the first title of each test)", integration)
  if (report !== undefined && passed === 0) fail("no test passed")
  settle("npm test", values["tests-exit"], before)
  if (report === undefined && failed === before) fail("npm test wrote no report")
}

/** What a script did one by one and left in a file of `results`. */
const countResults = (title, script, path, exit) => {
  const before = failed
  const report = readJson(path)
  console.log(`\n${title}`)
  for (const { name, ok, detail } of report?.results ?? []) {
    console.log(`  ${ok ? "ok  " : "FAIL"} ${name}: ${detail}`)
    if (ok) passed++
    else fail(`${name}: ${detail}`)
  }
  settle(script, exit, before)
  if (report === undefined && failed === before) fail(`${script} wrote no summary`)
}

countTests()
countResults(
  "Machines that lack something",
  "scripts/skips-check.mjs",
  values.machines,
  values["machines-exit"]
)
countResults("Packages", "scripts/pack-check.mjs", values.packages, values["packages-exit"])
if (values["demo-exit"] === "0") passed++
else fail(`npm run demo ended with exit code ${values["demo-exit"]}`)

if (failures.length > 0) console.log(`\nFailed\n${failures.map((failure) => `  ${failure}`).join("\n")}`)
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
