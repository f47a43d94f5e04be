/**
 * What the scripts share: where the workspace is, its install, and the Node that runs it.
 *
 * Runs on the system's Node (20 or newer) before anything is installed, so it imports nothing but Node's own modules.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { constants } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = join(dirname(fileURLToPath(import.meta.url)), "..")

/** npx and its arguments up to pnpm's own. */
export const pnpm = ["npx", "-y", "pnpm@12.21.0"]

const bin = join(root, "node_modules", ".bin")

/** `[major, minor]` of the oldest Node that runs TypeScript without a build. */
const oldest = [22, 19]

/** An error whose message says all there is to say: no stack is printed, and the process ends with `code`. */
export class Failure extends Error {
  constructor(message, code = 1) {
    super(message)
    this.code = code
  }
}

/** Runs `main`; prints what it fails with, and sets the exit code. */
export const runMain = async (main) => {
  try {
    process.exitCode = await main()
  } catch (error) {
    console.error(error instanceof Failure ? `error: ${error.message}` : error)
    process.exitCode = error instanceof Failure ? error.code : 1
  }
}

export const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`

/** The folders in packages/ that are packages. */
export const packageDirectories = () =>
  readdirSync(join(root, "packages"))
    .filter((name) => existsSync(join(root, "packages", name, "package.json")))
    .sort()

/** The installed Node, else the running one if it is new enough. */
export const nodeBinary = () => {
  const installed = join(bin, "node")
  if (existsSync(installed)) return installed
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return process.execPath
  throw new Failure(
    `no Node comes from the npm registry for ${process.platform}-${process.arch}, and this one is ${process.version}: ` +
      `install Node ${oldest.join(".")} or newer and run this again`
  )
}

/**
 * The workspace's tools and its Node come first: what vitest starts takes `node` from PATH. Programs that tests start find their modules
 * compiled, which halves the time until they do something.
 */
export const environment = () => ({
  NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "node-compile"),
  ...process.env,
  PATH: [bin, dirname(nodeBinary()), process.env.PATH].filter(Boolean).join(delimiter)
})

/** The parent of a process, and its name; nothing of them where there is no /proc. */
const processOf = (pid) => {
  try {
    const [, name, parent] = /^\d+ \((.*)\) \S+ (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))
    return { name, parent }
  } catch {
    return { name: "", parent: "" }
  }
}

/**
 * Calls `gone` once npm is gone that started us. It does so by way of a shell that passes no signal on: the shell dies of the one that
 * npm had, or outlives an npm that was killed.
 */
const watchNpm = (gone) => {
  if (process.env.npm_lifecycle_event === undefined) return () => {}
  const ancestors = () => {
    const parent = processOf(process.ppid)
    return `${process.ppid} ${parent.name.endsWith("sh") ? parent.parent : ""}`
  }
  const first = ancestors()
  const timer = setInterval(() => {
    if (ancestors() === first) return
    clearInterval(timer)
    gone()
  }, 250)
  return () => clearInterval(timer)
}

/**
 * Runs a command in the workspace with our own input and output, forwards signals to it, ends it when npm is gone that started us, and
 * gives its exit code (128 + the signal's number if one ended it). With a `tether` it has a channel to us, and learns by its end that we
 * are gone, however that came about.
 */
export const run = (command, args, { env = environment(), tether = false } = {}) =>
  new Promise((resolve, reject) => {
    const stdio = tether ? ["inherit", "inherit", "inherit", "ipc"] : "inherit"
    const child = spawn(command, args, { cwd: root, env, stdio })
    // Ctrl-C in a terminal reaches the whole process group without us: forwarded too, it would count as the second one
    const signals = process.stdin.isTTY ? ["SIGTERM", "SIGHUP"] : ["SIGINT", "SIGTERM", "SIGHUP"]
    const forward = (signal) => child.kill(signal)
    const ignore = () => {}
    for (const signal of signals) process.on(signal, forward)
    if (process.stdin.isTTY) process.on("SIGINT", ignore)
    const unwatch = watchNpm(() => forward("SIGTERM"))
    const release = () => {
      unwatch()
      for (const signal of signals) process.off(signal, forward)
      process.off("SIGINT", ignore)
    }
    child.on("error", (error) => {
      release()
      const why = command === "npx" && error.code === "ENOENT" ? "it comes with npm, which is not here" : error.message
      reject(new Failure(`cannot run ${command}: ${why}`, 127))
    })
    child.on("exit", (code, signal) => {
      release()
      resolve(signal === null ? code : 128 + constants.signals[signal])
    })
  })

/** Changes whenever an install would do something: the lockfile, what the packages depend on, the platform. */
const installKey = () => {
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}`)
  for (const name of ["pnpm-lock.yaml", "pnpm-workspace.yaml"]) hash.update(readFileSync(join(root, name)))
  for (const directory of ["", ...packageDirectories().map((name) => join("packages", name))]) {
    const { name, dependencies, devDependencies, optionalDependencies, peerDependencies } = JSON.parse(
      readFileSync(join(root, directory, "package.json"), "utf8")
    )
    hash.update(JSON.stringify([name, dependencies, devDependencies, optionalDependencies, peerDependencies]))
  }
  return hash.digest("hex")
}

/** The stamp is written last, so an install that was broken off is done again. */
export const ensureInstalled = async () => {
  const stamp = join(root, "node_modules", ".effect-scylla-install")
  const key = installKey()
  const complete = existsSync(join(root, "node_modules", ".modules.yaml")) && existsSync(stamp) &&
    readFileSync(stamp, "utf8") === key
  if (complete) return
  const started = performance.now()
  console.error("installing dependencies (pnpm through npx) …")
  const [command, ...args] = [...pnpm, "install", "--frozen-lockfile"]
  if (!process.stderr.isTTY) args.push("--reporter=append-only")
  // npm would be silent for more than a minute before it says that nobody answers
  const patience = { npm_config_fetch_retry_mintimeout: "1000", npm_config_fetch_retry_maxtimeout: "4000" }
  const code = await run(command, args, { env: { ...patience, ...process.env } })
  if (code > 128) throw new Failure("the install was stopped", code)
  if (code !== 0) {
    throw new Failure(
      `the install failed with code ${code}; is the npm registry reachable from here (npm view effect version), ` +
        "and does pnpm-lock.yaml match the package.json files?",
      code
    )
  }
  writeFileSync(stamp, key)
  console.error(`installed in ${seconds(started)}`)
}
