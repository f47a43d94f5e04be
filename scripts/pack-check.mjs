/**
 * `node scripts/pack-check.mjs [--summary FILE]`: builds all packages, packs them as they would be published, and uses each
 * in an empty project of its own, with its siblings' tarballs. What `docs/first-ten-minutes.md` says is done as well. Those that shared API definitions need are bundled for browsers, too, and
 * the bundle is run where there is nothing but the web's globals.
 *
 * Where `BUN` or `DENO` name those, something real is done with every package on them (test/runtimes/smoke.mjs).
 *
 * Prints a line with PASS or FAIL for the build, for each package and for the bundle. FILE gets the same as JSON:
 * `{"passed", "failed", "results": [{"name", "ok", "detail"}]}`.
 */
import { spawnSync } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { firstTenMinutes } from "./first-ten-minutes.mjs"
import {
  ensureInstalled,
  environment,
  Failure,
  nodeBinary,
  packageDirectories,
  pnpm,
  root,
  run,
  runMain,
  seconds
} from "./workspace.mjs"

const { values: { summary } } = parseArgs({ options: { summary: { type: "string" } } })

const work = mkdtempSync(join(tmpdir(), "effect-scylla-pack-"))
const results = []

const report = (name, ok, detail) => {
  results.push({ name, ok, detail })
  console.log(`${ok ? "PASS" : "FAIL"} ${name}: ${detail}`)
}

const readJson = (...path) => JSON.parse(readFileSync(join(...path), "utf8"))

/** Runs a command; its output, or a failure that names the step and shows the output. */
const capture = (step, [command, ...args], cwd, env = {}) => {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { ...environment(), ...env },
    encoding: "utf8"
  })
  if (status === 0) return stdout
  const output = `${stdout ?? ""}\n${stderr ?? ""}`.trim().split("\n").slice(-20).join("\n    ")
  throw new Failure(`${step}: ${error?.message ?? `exit code ${status}`}\n    ${output}`)
}

const pack = (directory) => {
  const target = join(work, "tarballs", directory)
  mkdirSync(target, { recursive: true })
  capture("pack", [...pnpm, "pack", "--pack-destination", target], join(root, "packages", directory))
  const [file, ...others] = readdirSync(target)
  if (file === undefined || others.length > 0) throw new Failure(`pack: made ${others.length + 1} files in ${target}`)
  return join(target, file)
}

/** Run inside the project: what the package gives to somebody who imports it. Prints JSON. */
const importer = `
import { readdirSync } from "node:fs"
const [name] = process.argv.slice(1)
const list = (path) => {
  try { return readdirSync("node_modules/" + name + "/dist" + path, { recursive: path !== "" }) } catch { return [] }
}
const modules = (files) => files.filter((file) => file.endsWith(".js")).map((file) => file.slice(0, -3))
const problems = []
const index = await import(name)
const namespaces = Object.keys(index).filter((key) => index[key][Symbol.toStringTag] === "Module")
// What has another package's API has none of ours.
if (namespaces.length === 0 && index.Client === undefined) problems.push("exports no namespace")
const subpaths = modules(list("")).filter((module) => module !== "index")
if (subpaths.length === 0) problems.push("has no module of its own")
for (const module of subpaths) {
  const loaded = await import(name + "/" + module)
  if (module in index && index[module] !== loaded) problems.push(module + " is not the one of the index")
}
const hidden = ["nothing", ...modules(list("/internal"))]
for (const module of hidden) {
  const code = await import(name + "/internal/" + module).then(() => "it loads", (error) => error.code)
  if (code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") problems.push("internal/" + module + " is not refused: " + code)
}
console.log(JSON.stringify({ problems, namespaces: namespaces.length, subpaths, hidden: hidden.length }))
`

/** Of what stands in another package's place: by require, by import, and by the register entry one and the same. */
const overlaid = `
import { createRequire } from "node:module"
const require = createRequire(process.cwd() + "/x.js")
const [required, imported] = [require("@effect-scylla/compat"), await import("@effect-scylla/compat")]
const [theirs, named] = [require("cassandra-driver"), await import("cassandra-driver")]
const clients = [required, imported, imported.default, theirs, named, named.default].map(({ Client }) => Client)
if (new Set(clients).size !== 1) throw new Error("several clients")
if (required.types !== imported.types) throw new Error("several types")
`

/** A project that has the packages `names` and effect, and of the others what those need. */
const projectWith = (title, names, tarballs) => {
  const project = join(work, "projects", title)
  mkdirSync(project, { recursive: true })
  const file = (name) => [name, `file:${tarballs.get(name)}`]
  const manifest = {
    private: true,
    type: "module",
    dependencies: {
      ...Object.fromEntries(names.map(file)),
      effect: readJson(root, "node_modules/effect/package.json").version
    },
    overrides: Object.fromEntries([...tarballs.keys()].filter((name) => !names.includes(name)).map(file))
  }
  writeFileSync(join(project, "package.json"), JSON.stringify(manifest, null, 2))
  capture("install", ["npm", "install", "--no-audit", "--no-fund"], project)
  return project
}

/** Installs a package's tarball where nothing else is, and uses it. Gives a line of what was seen. */
const use = (directory, tarballs) => {
  const { name, peerDependenciesMeta = {} } = readJson(root, "packages", directory, "package.json")
  capture("publint", ["publint", "run", tarballs.get(name), "--strict"], work)
  // Siblings that only some entry needs: the package itself has to do without.
  const optional = Object.keys(peerDependenciesMeta).filter((peer) => tarballs.has(peer))
  if (optional.length > 0) {
    const bare = projectWith(`${directory}-bare`, [name], tarballs)
    capture("import without optional siblings", [nodeBinary(), "--eval", `import(${JSON.stringify(name)})`], bare)
    const present = optional.filter((peer) => existsSync(join(bare, "node_modules", peer)))
    if (present.length > 0) throw new Failure(`install: ${present.join(", ")} came along, though optional`)
  }
  const project = projectWith(directory, [name, ...optional], tarballs)
  const installed = readFileSync(join(project, "node_modules", name, "package.json"), "utf8")
  if (/"(?:workspace|catalog):/.test(installed)) throw new Failure("pack: package.json has workspace: or catalog: left")
  const { bin = {}, version } = JSON.parse(installed)
  for (const command of Object.keys(bin)) {
    const said = capture(command, [nodeBinary(), join(project, "node_modules", ".bin", command), "--version"], project)
    if (!said.includes(version)) throw new Failure(`${command}: --version says ${said.trim()}, not ${version}`)
  }
  const args = ["--input-type=module", "--eval", importer, name]
  const seen = JSON.parse(capture("import", [nodeBinary(), ...args], project))
  if (seen.problems.length > 0) throw new Failure(`import: ${seen.problems.join("; ")}`)
  if (directory === "compat") {
    const args = ["--import", `${name}/register`, "--input-type=module", "--eval", overlaid]
    capture("register", [nodeBinary(), ...args], project)
  }
  const imports = [name, ...seen.subpaths.map((module) => `${name}/${module}`)]
  const lines = imports.map((path, i) => `import * as M${i} from "${path}"\nexport const k${i} = Object.keys(M${i})`)
  writeFileSync(join(project, "index.ts"), lines.join("\n"))
  const strict = [
    "--noEmit",
    "--strict",
    "--target",
    "ES2023",
    "--module",
    "NodeNext",
    "--lib",
    "ES2024,ESNext.Disposable,DOM"
  ]
  const types = ["--typeRoots", join(root, "node_modules", "@types"), "--types", "node"]
  capture("types", ["tsc", ...strict, ...types, "index.ts"], project)
  return `packed, linted, installed, imported: ${seen.namespaces} namespaces, ${seen.subpaths.length} subpaths with types, ` +
    `${seen.hidden} internal paths refused`
}

/** The packages that are for browsers as well, and the program that says whether they are. */
const forBrowsers = ["protocol", "sharding"]
const browserSupport = join(root, "packages", "protocol", "test", "support")

/** Run by the installed Node, as it is TypeScript: bundles a program, runs it where code may be generated and where not. */
const browserRunner = `
import { bundleForBrowser, runInBrowser } from ${JSON.stringify(pathToFileURL(join(browserSupport, "browser.ts")).href)}
const [file] = process.argv.slice(1)
const code = await bundleForBrowser(file)
console.log(JSON.stringify({ size: code.length, problems: [...runInBrowser(code), ...runInBrowser(code, false)] }))
`

/** Bundles what was installed, and uses it as a browser does. Gives a line of what was seen. */
const useInBrowser = (tarballs) => {
  const names = forBrowsers.map((directory) => readJson(root, "packages", directory, "package.json").name)
  const project = projectWith("browser", names, tarballs)
  const program = join(project, "program.ts")
  copyFileSync(join(browserSupport, "browserProgram.ts"), program)
  const args = ["--input-type=module", "--eval", browserRunner, program]
  const { problems, size } = JSON.parse(capture("bundle", [nodeBinary(), ...args], project))
  if (problems.length > 0) throw new Failure(`browser: ${problems.join("; ")}`)
  return `${forBrowsers.join(" and ")} bundled whole (${
    Math.round(size / 1024)
  } KiB, not minified), run with web globals only`
}

/** Other runtimes than Node that are here. */
const runtimes = [["bun", process.env.BUN, ["run"]], ["deno", process.env.DENO, ["run", "--allow-all", "--no-check"]]]
  .filter(([, path]) => path !== undefined)

/** Does something real with every package, on another runtime. Gives a line of what was seen. */
const useOn = ([name, path, options], directories, project) => {
  for (const directory of directories) {
    const said = capture(`${directory} on ${name}`, [path, ...options, "smoke.mjs", directory], project)
    if (!said.includes(`ok ${directory}`)) throw new Failure(`${directory} on ${name}: it ended without a word`)
  }
  return `${directories.join(", ")}: something real with each`
}

await runMain(async () => {
  try {
    await ensureInstalled()
    const begun = performance.now()
    const code = await run("tsc", ["-b", "tsconfig.packages.json"]) || await run("node", ["scripts/bundle.mjs"])
    report("build", code === 0, `${code === 0 ? "all packages" : `exit code ${code}`} (${seconds(begun)})`)
    const directories = packageDirectories()
    const tarballs = new Map()
    const failed = new Set()
    const attempt = (directory, f, name = readJson(root, "packages", directory, "package.json").name) => {
      try {
        return f(name)
      } catch (error) {
        failed.add(directory)
        report(name, false, error instanceof Failure ? error.message : String(error))
      }
    }
    if (code === 0) {
      for (const directory of directories) attempt(directory, (name) => tarballs.set(name, pack(directory)))
      for (const directory of directories.filter((directory) => !failed.has(directory))) {
        const begun = performance.now()
        attempt(directory, (name) => report(name, true, `${use(directory, tarballs)} (${seconds(begun)})`))
      }
      if (!forBrowsers.some((directory) => failed.has(directory))) {
        const begun = performance.now()
        attempt(
          "browser",
          (name) => report(name, true, `${useInBrowser(tarballs)} (${seconds(begun)})`),
          "browser bundle"
        )
      }
      if (failed.size === 0) {
        const begun = performance.now()
        const seen = firstTenMinutes({ capture, install: (title, names) => projectWith(title, names, tarballs) })
        await seen.then(
          (line) => report("first ten minutes", true, `${line} (${seconds(begun)})`),
          (error) => report("first ten minutes", false, error instanceof Failure ? error.message : String(error))
        )
      }
      if (failed.size === 0 && runtimes.length > 0) {
        const project = projectWith("runtimes", [...tarballs.keys()], tarballs)
        copyFileSync(join(root, "test", "runtimes", "smoke.mjs"), join(project, "smoke.mjs"))
        for (const runtime of [["node", nodeBinary(), []], ...runtimes]) {
          const begun = performance.now()
          attempt(
            `runtime ${runtime[0]}`,
            (name) => report(name, true, `${useOn(runtime, directories, project)} (${seconds(begun)})`),
            `all packages on ${runtime[0]}`
          )
        }
      }
    } else {
      for (const directory of directories) attempt(directory, (name) => report(name, false, "not built, so not packed"))
    }
    const bad = results.filter(({ ok }) => !ok).length
    if (summary !== undefined) {
      writeFileSync(summary, JSON.stringify({ passed: results.length - bad, failed: bad, results }, null, 2))
    }
    return bad === 0 ? 0 : 1
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
})
