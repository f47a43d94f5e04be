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
/** Skipped tests without a reason that are named of a project. */
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

const row = (suite, tests, millis, servers, modules = []) => {
  const count = (state) => tests.filter((test) => test.result().state === state).length
  const skipped = count("skipped")
  // Files that could not be loaded, and hooks that failed.
  const broken = modules.filter((module) => module.errors().length > 0).length
  return {
    suite,
    tests: [
      [count("passed"), ""],
      [count("failed"), " failed"],
      [broken, " files failed"],
      [skipped, " skipped"]
    ].filter(([number], i) => number > 0 || (i === 0 && tests.length > 0)).map(([number, what]) => `${number}${what}`)
      .join(", "),
    millis,
    servers: skipped === tests.length ? "" : servers
  }
}

const serversIn = (title) =>
  /\bsimulated\b/.test(title)
    ? "simulated"
    : Object.entries(SERVERS).filter(([name]) => title.toLowerCase().includes(name)).map(([, name]) => name).join(", ")

const moduleTime = (module) => {
  const { collectDuration, duration, prepareDuration, setupDuration } = module.diagnostic()
  return collectDuration + duration + prepareDuration + setupDuration
}

/** A row for a project without real servers. */
const ofProject = (name, modules) => {
  const tests = modules.flatMap((module) => [...module.children.allTests()])
  return [row(name, tests, sum(modules, moduleTime), tiers.always[name] ?? "", modules)]
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
  return [...rows, row(`${name}: starts of servers, loading`, [], Math.max(0, rest), "", modules)]
}

const skippedOf = (name, modules, isFiltered) => {
  // Where tests are chosen by their names, all others are skipped, and a colon in a title means nothing.
  if (isFiltered && !(name in tiers.servers)) return []
  const reasons = new Set()
  const others = new Set()
  for (const task of modules.flatMap((module) => topOf(module.children))) {
    const { reason, tests, title } = apart(task)
    if (reason !== undefined) reasons.add(`${title}: ${reason}`)
    else if (!isFiltered) {
      for (const test of tests.filter(isSkipped)) {
        const { note } = test.result()
        if (note === undefined) others.add(`${name}: ${test.fullName}`)
        else reasons.add(`${name}: ${test.fullName}: ${note}`)
      }
    }
  }
  const rest = others.size - MAX_NAMED
  return [...reasons, ...[...others].slice(0, MAX_NAMED), ...rest > 0 ? [`${name}: ${rest} more`] : []]
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
  const cells = rows.map((each) => [each.suite, each.tests, seconds(each.millis), each.servers])
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
