/**
 * A reporter of vitest: at the end, a table of suites with their tests, time and servers, and which were skipped, with the reasons.
 *
 * A suite that cannot run here is skipped under the title `<what> on <server>: <reason>`; `ctx.skip(reason)` is read, too.
 */
import { projectsOf, tiers } from "./tiers.mjs"

/** By what stands for them in titles. */
const SERVERS = {
  cassandra: "Cassandra",
  etcd: "etcd",
  raftserver: "etcd",
  "d-engine": "d-engine",
  container: "ScyllaDB",
  external: "yours"
}
/** Skipped tests of a project that are named one by one. */
const MAX_NAMED = 5

const sum = (list, of) => list.reduce((total, each) => total + of(each), 0)

const seconds = (millis) => `${(millis / 1000).toFixed(1)} s`

/** Suites and tests at the top of a file; what layers wrap around them has no name. */
const topOf = (collection) =>
  [...collection].flatMap((child) => child.type === "suite" && child.name === "" ? topOf(child.children) : [child])

const testsOf = (task) => task.type === "test" ? [task] : [...task.children.allTests()]

const timeOf = (tests) => sum(tests, (test) => test.diagnostic()?.duration ?? 0)

const isSkipped = (test) => test.result().state === "skipped"

/** `title: reason` of a suite that is skipped as a whole. */
const apart = (task) => {
  const tests = testsOf(task)
  const [, title, reason] = /^(.+?): (.+)$/s.exec(task.name) ?? []
  if (reason !== undefined && tests.length > 0 && tests.every(isSkipped)) return { title, reason, tests }
  const note = tests.length > 0 && tests.every(isSkipped)
    ? tests.map((test) => test.result().note).find(Boolean)
    : undefined
  return { title: task.name, reason: note, tests }
}

const row = (suite, tests, millis, servers) => {
  const count = (state) => tests.filter((test) => test.result().state === state).length
  return { suite, passed: count("passed"), failed: count("failed"), skipped: count("skipped"), millis, servers }
}

const serversIn = (title) =>
  Object.entries(SERVERS).filter(([name]) => title.toLowerCase().includes(name)).map(([, name]) => name).join(", ")

const moduleTime = (module) => {
  const { collectDuration, duration, prepareDuration, setupDuration } = module.diagnostic()
  return collectDuration + duration + prepareDuration + setupDuration
}

/** A row for a project without real servers. */
const ofProject = (name, modules) => {
  const tests = modules.flatMap((module) => [...module.children.allTests()])
  return [row(name, tests, sum(modules, moduleTime), tiers.always[name] ?? "")]
}

/** A row for each suite of a project with them, and one for what is theirs together. */
const ofServers = (name, modules) => {
  const suites = new Map()
  for (const task of modules.flatMap((module) => topOf(module.children))) {
    const { tests, title } = apart(task)
    const known = suites.get(title) ?? []
    suites.set(title, [...known, ...tests])
  }
  const rows = [...suites].map(([title, tests]) => row(title, tests, timeOf(tests), serversIn(title)))
  const rest = sum(modules, moduleTime) - sum(rows, ({ millis }) => millis)
  return [...rows, row(`${name}: starts of servers`, [], Math.max(0, rest), "")]
}

const skippedOf = (name, modules, isFiltered) => {
  // Where tests are chosen by their names, all others are skipped, and a colon in a title means nothing.
  if (isFiltered && !(name in tiers.servers)) return []
  const out = []
  for (const task of modules.flatMap((module) => topOf(module.children))) {
    const { reason, tests, title } = apart(task)
    if (reason !== undefined) out.push(`${title}: ${reason}`)
    else if (!isFiltered) {
      for (const test of tests.filter(isSkipped)) {
        const { note } = test.result()
        out.push(`${name}: ${test.fullName}${note === undefined ? "" : `: ${note}`}`)
      }
    }
  }
  const unique = [...new Set(out)]
  return unique.length <= MAX_NAMED
    ? unique
    : [...unique.slice(0, MAX_NAMED), `${name}: ${unique.length - MAX_NAMED} more`]
}

const aligned = (cells) => {
  const widths = cells[0].map((_, i) => Math.max(...cells.map((line) => line[i].length)))
  return cells.map((line) =>
    line.map((cell, i) => i === 1 || i === 2 ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join("  ").trimEnd()
  )
}

/** What is printed about the files that ran. */
export const report = (modules, isFiltered = false) => {
  const projects = new Map()
  for (const module of modules) {
    const { name } = module.project
    projects.set(name, [...projects.get(name) ?? [], module])
  }
  const order = projectsOf()
  const sorted = [...projects].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
  const rows = sorted.flatMap(([name, own]) => name in tiers.servers ? ofServers(name, own) : ofProject(name, own))
  const skipped = sorted.flatMap(([name, own]) => skippedOf(name, own, isFiltered))
  const tests = ({ failed, passed, skipped }) =>
    [`${passed}`, ...failed > 0 ? [`${failed} failed`] : [], ...skipped > 0 ? [`${skipped} skipped`] : []].join(", ")
  const cells = rows.map((each) => [each.suite, tests(each), seconds(each.millis), each.servers])
  return [
    ...aligned([["suite", "tests", "time, added up", "servers"], ...cells]),
    ...skipped.length === 0 ? [] : ["", "skipped", ...skipped.map((line) => `  ${line}`)]
  ].join("\n")
}

export default class Suites {
  onInit(vitest) {
    this.isFiltered = vitest.config.testNamePattern !== undefined
  }

  onTestRunEnd(modules) {
    if (modules.length > 0) console.log(`\n${report(modules, this.isFiltered)}\n`)
  }
}
