/**
 * `node scripts/run.mjs <job> [args…]`: installs what is missing, then runs the job on the workspace's Node. Needs Node 20 and npm, nothing else.
 */
import { projectsOf, tiers } from "./tiers.mjs"
import { ensureInstalled, Failure, nodeBinary, run, runMain, seconds } from "./workspace.mjs"

const script = (path) => (args) => run(nodeBinary(), [path, ...args])

const checks = [
  ["lint", "oxlint"],
  ["format", "dprint", "check"],
  ["docs", "node", "scripts/docs.mjs"],
  ["types", "tsc", "-b", "tsconfig.json"],
  ["effect", "effect-tsgo", "diagnostics", "--project", "tsconfig.packages.json", "--format", "text", "--strict"]
]

/** Takes an option and its value out of the arguments. */
const take = (args, name) => {
  const at = args.findIndex((arg) => arg === name || arg.startsWith(`${name}=`))
  if (at < 0) return undefined
  const [found] = args.splice(at, 1)
  return found === name ? args.splice(at, 1)[0] : found.slice(name.length + 1)
}

/** The steps of a run: `--tier always`, `--tier servers`, or both. The rest of the arguments is for vitest. */
const stepsOf = (given) => {
  const args = [...given]
  const tier = take(args, "--tier")
  const json = take(args, "--json")
  if (tier !== undefined && !Object.hasOwn(tiers, tier)) {
    throw new Failure(
      `there is no tier ${tier}: choose ${Object.keys(tiers).join(" or ")}, or run bash .ci/run for all there is`,
      2
    )
  }
  const chosen = args.some((arg) => arg === "--project" || arg.startsWith("--project="))
  const projects = tier === undefined || chosen ? [] : projectsOf([tier]).map((name) => `--project=${name}`)
  const reporters = ["--reporter=default", "--reporter=./scripts/suites.mjs"]
  if (json !== undefined) reporters.push("--reporter=json", `--outputFile.json=${json}`)
  const tests = ["tests", "vitest", "run", ...projects, ...reporters, ...args]
  return tier === "servers" ? [tests] : [...checks, tests]
}

/** Stops at the first step that fails. */
const test = async (args) => {
  const steps = stepsOf(args)
  const started = performance.now()
  const done = []
  for (const [name, command, ...own] of steps) {
    const begun = performance.now()
    console.log(`\n── ${name}: ${[command, ...own].join(" ")}`)
    const code = await run(command, own)
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
  differential: script("test/differential/main.ts"),
  chaos: (args) =>
    script(
      args.includes("--client")
        ? "test/chaos/main.ts"
        : args.includes("--day")
        ? "test/chaos/dayMain.ts"
        : "packages/pool/test/chaos/main.ts"
    )(args),
  ecosystems: script("test/ecosystems/main.ts"),
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
