/**
 * `node scripts/skips-check.mjs [--summary FILE] [etcd|java|mvn|protoc|cargo|all …]`: `npm test` on machines that lack what real servers need, each of it and all of it,
 * must be green and say what it skipped, and why.
 *
 * A machine is this one behind a `PATH` of links to all programs but some, with a cache of servers that has only what these leave. Tests are
 * not run but for a name that none has: every file is loaded, which is where a suite finds out that it cannot run. Where only one
 * program is missing, those of the tier `servers` are; where all are, it is the whole command, and the lint and type checks with it.
 * So this does not show that tests pass there that do run: they are those of other machines.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { parseArgs } from "node:util"
import { Failure, root, runMain, seconds } from "./workspace.mjs"

const JARS = "cassandra-5.0.5"
const cache = process.env.EFFECT_SCYLLA_CACHE ?? join(homedir(), ".cache", "effect-scylla")

/** Each with what `npm test` says of it; d-engine and the clients of others are never made here. */
const cases = [
  { name: "etcd", lacks: ["etcd"], says: [/raft on etcd: .*etcd/] },
  {
    name: "java",
    lacks: ["java"],
    says: [/everything on cassandra: .*Java/, /chaos of the client on cassandra: .*Java/, /CassandraServer: .*Java/]
  },
  {
    name: "mvn",
    lacks: ["mvn"],
    says: [/everything on cassandra: .*Maven/, /the Java driver on simulated clusters: there is no mvn/]
  },
  { name: "protoc", lacks: ["protoc"], says: [/raft on d-engine: /] },
  {
    name: "cargo",
    lacks: ["cargo"],
    says: [/raft on d-engine: /, /the Rust driver on simulated clusters: there is no cargo/]
  },
  {
    name: "all",
    lacks: ["etcd", "java", "javac", "mvn", "protoc", "cargo", "go", "python3"],
    says: [
      /raft on etcd: /,
      /raft on d-engine: /,
      /everything on cassandra: /,
      /cqlsh on simulated clusters: there is no python3/,
      /gocql on simulated clusters: there is no go /,
      /the Java driver of ScyllaDB on simulated clusters: there is no javac/,
      /express-cassandra on simulated clusters: it is not made/
    ],
    isWhole: true
  }
]

/** The environment of a machine without some programs, in a folder of its own. */
const machineWithout = (directory, lacks) => {
  const programs = join(directory, "bin")
  const servers = join(directory, "cache")
  mkdirSync(programs)
  mkdirSync(servers)
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (folder.includes("node_modules") || !existsSync(folder)) continue
    for (const name of readdirSync(folder)) {
      const link = join(programs, name)
      if (!lacks.includes(name) && !existsSync(link)) symlinkSync(join(folder, name), link)
    }
  }
  // With Maven the jars would be fetched anew, without it they must not be there.
  if (!lacks.includes("mvn")) symlinkSync(join(cache, JARS), join(servers, JARS))
  const env = { ...process.env, PATH: programs, EFFECT_SCYLLA_CACHE: servers }
  for (const name of Object.keys(env)) {
    if (/^(?:REQUIRE_|CQL_)/.test(name) || (lacks.includes("java") && name.startsWith("JAVA_HOME"))) delete env[name]
  }
  if (lacks.includes("java")) env.EFFECT_SCYLLA_JVMS = servers
  return env
}

/** What the command prints, and its exit code. */
const npmTest = (args, env) =>
  new Promise((resolve, reject) => {
    let output = ""
    const child = spawn("npm", ["test", "--", ...args], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] })
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => output += text)
    child.on("error", (error) => reject(new Failure(`cannot run npm: ${error.message}`)))
    child.on("close", (code) => resolve({ code, output }))
  })

const check = async ({ isWhole = false, lacks, says }) => {
  const begun = performance.now()
  const directory = mkdtempSync(join(tmpdir(), "effect-scylla-machine-"))
  try {
    const args = [...isWhole ? [] : ["--tier", "servers"], "-t", "no test has this name"]
    const { code, output } = await npmTest(args, machineWithout(directory, lacks))
    const skipped = output.slice(output.lastIndexOf("\nskipped\n"))
    const silent = says.filter((line) => !line.test(skipped))
    const ok = code === 0 && silent.length === 0
    if (!ok) console.log(output)
    const why = code !== 0
      ? `it ended with code ${code}`
      : silent.length > 0
      ? `it did not say ${silent.map(String).join(", ")}`
      : `green in ${seconds(begun)}, skipped suites named with their reasons`
    return { name: `npm test without ${lacks.join(", ")}`, ok, detail: why }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

await runMain(async () => {
  const { positionals, values } = parseArgs({ options: { summary: { type: "string" } }, allowPositionals: true })
  const results = []
  for (const each of cases.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
    const result = await check(each)
    results.push(result)
    console.log(`${result.ok ? "ok  " : "FAIL"} ${result.name}: ${result.detail}`)
  }
  if (values.summary !== undefined) writeFileSync(values.summary, JSON.stringify({ results }))
  return results.every(({ ok }) => ok) ? 0 : 1
})
