/**
 * `node scripts/run.mjs <job> [args…]`: installs what is missing, then runs the job on the workspace's Node. Needs Node 20 and npm, nothing else.
 */
import { ensureInstalled, Failure, nodeBinary, run, runMain, seconds } from "./workspace.mjs"

const script = (path) => (args) => run(nodeBinary(), [path, ...args])

const steps = [
  ["lint", "oxlint"],
  ["format", "dprint", "check"],
  ["docs", "node", "scripts/docs.mjs"],
  ["types", "tsc", "-b", "tsconfig.json"],
  ["effect", "effect-tsgo", "diagnostics", "--project", "tsconfig.packages.json", "--format", "text", "--strict"],
  ["tests", "vitest", "run"]
]

/** Stops at the first step that fails. What follows `--` goes to vitest. */
const test = async (args) => {
  const started = performance.now()
  const done = []
  for (const [name, command, ...own] of steps) {
    const begun = performance.now()
    const all = name === "tests" ? [...own, ...args] : own
    console.log(`\n── ${name}: ${[command, ...all].join(" ")}`)
    const code = await run(command, all)
    done.push(`${name} ${seconds(begun)}`)
    console.log(`── ${name}: ${code === 0 ? "ok" : `failed with code ${code}`} after ${seconds(begun)}`)
    if (code !== 0) {
      console.log(`\nfailed at ${name} after ${seconds(started)} (${done.join(", ")})`)
      return code
    }
  }
  console.log(`\nall passed in ${seconds(started)} (${done.join(", ")})`)
  return 0
}

const jobs = {
  demo: script("examples/demo/main.ts"),
  sim: (args) => run(nodeBinary(), ["examples/sim/main.ts", ...args], { tether: true }),
  together: script("examples/together/main.ts"),
  bench: script("bench/main.ts"),
  fuzz: script("test/fuzz/main.ts"),
  chaos: script("packages/pool/test/chaos/main.ts"),
  vitest: (args) => run("vitest", ["run", ...args]),
  test
}

await runMain(async () => {
  const [name, ...args] = process.argv.slice(2)
  const job = Object.hasOwn(jobs, name ?? "") ? jobs[name] : undefined
  if (job === undefined) throw new Failure(`say what to run: ${Object.keys(jobs).join(", ")}`, 2)
  await ensureInstalled()
  return job(args)
})
