/**
 * What a client of others is made of, and whether it is made: installed or built once on a machine, in `$EFFECT_SCYLLA_CACHE/ecosystems`, else below
 * `~/.cache/effect-scylla`, and again when its sources change.
 */
import { Effect } from "effect"
import { execFile, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** A command of a preparation; it runs among the sources. */
export interface Step {
  readonly command: string
  readonly args: ReadonlyArray<string>
}

export interface Preparation {
  readonly name: string
  /** Files and folders below `programs` whose change makes it be made anew. */
  readonly sources: ReadonlyArray<string>
  /** Whether what is there is of use to the next time. Default: it begins with nothing. */
  readonly grows?: boolean
  /** The programs that make it, each looked for when it is not made yet. */
  readonly tools: ReadonlyArray<Tool>
  /** How it is made in a directory. */
  readonly steps: (directory: string) => ReadonlyArray<Step>
}

/** A program on the `PATH`. */
export interface Tool {
  /** Why it cannot be used, if so. */
  readonly missing: () => string | undefined
}

/** The folder of the clients' programs. */
export const programs = fileURLToPath(new URL("programs", import.meta.url))

/** How a person makes them all. */
export const COMMAND = "npm run ecosystems"

/** Milliseconds that a step may take. */
const PATIENCE = 1_200_000

const cache = (): string => process.env["EFFECT_SCYLLA_CACHE"] ?? join(homedir(), ".cache", "effect-scylla")

/** Where it is, made or not. */
export const directoryOf = ({ name }: Preparation): string => join(cache(), "ecosystems", name)

const stampOf = (preparation: Preparation): string => join(directoryOf(preparation), "made-from")

const filesOf = (path: string): ReadonlyArray<string> =>
  statSync(path).isDirectory() ? readdirSync(path).sort().flatMap((name) => filesOf(join(path, name))) : [path]

/** Changes with the sources, and with the commands. */
const keyOf = (preparation: Preparation): string => {
  const hash = createHash("sha256").update(JSON.stringify(preparation.steps("")))
  for (const source of preparation.sources) {
    for (const file of filesOf(join(programs, source))) {
      hash.update(file.slice(programs.length)).update(readFileSync(file))
    }
  }
  return hash.digest("hex")
}

const isMade = (preparation: Preparation): boolean => {
  const stamp = stampOf(preparation)
  return existsSync(stamp) && readFileSync(stamp, "utf8") === keyOf(preparation)
}

const whyNot = ({ tools }: Preparation): string | undefined => {
  for (const tool of tools) {
    const why = tool.missing()
    if (why !== undefined) return why
  }
  return undefined
}

/** What a program prints of its version; undefined where there is no such program. */
const output = (command: string, args: ReadonlyArray<string>): string | undefined => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { encoding: "utf8", timeout: 30_000 })
  return error === undefined && status === 0 ? `${stdout}${stderr}` : undefined
}

const atLeast = (version: string, oldest: string): boolean => {
  const [have, want] = [version, oldest].map((text) => text.split(".").map(Number))
  const [major = 0, minor = 0] = have!
  return major > want![0]! || (major === want![0] && minor >= want![1]!)
}

/** A program that says its version, and must not be older. */
export const tool = (
  name: string,
  args: ReadonlyArray<string>,
  version: RegExp,
  oldest: string,
  whence: string
): Tool => ({
  missing: () => {
    const said = output(name, args)
    if (said === undefined) return `there is no ${name} (${whence})`
    const found = version.exec(said)?.[1] ?? "0.0"
    return atLeast(found, oldest) ? undefined : `${name} is ${found}, and must not be older than ${oldest} (${whence})`
  }
})

/** Undefined when it is made, else why it is not and what to do. Makes nothing. */
export const missing = (preparation: Preparation): string | undefined =>
  isMade(preparation)
    ? undefined
    : whyNot(preparation) ?? `it is not made, or its source has changed: ${COMMAND} does that, once, in some minutes`

const run = ({ args, command }: Step): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    const child = execFile("nice", ["-n", "10", command, ...args], {
      cwd: programs,
      timeout: PATIENCE,
      killSignal: "SIGKILL",
      maxBuffer: 64 * 1024 * 1024
    }, (error, stdout, stderr) => {
      const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "").slice(-12).join("\n")
      resume(Effect.succeed(error === null ? undefined : `${command} ${args.join(" ")} failed:\n${lines}`))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** Makes it if it is not made. Undefined when it is there, else why not. */
export const prepare = Effect.fnUntraced(function*(preparation: Preparation) {
  if (isMade(preparation)) return undefined
  const why = whyNot(preparation)
  if (why !== undefined) return why
  const directory = directoryOf(preparation)
  rmSync(preparation.grows === true ? stampOf(preparation) : directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  for (const step of preparation.steps(directory)) {
    const failure = yield* run(step)
    if (failure !== undefined) return failure
  }
  writeFileSync(stampOf(preparation), keyOf(preparation))
  return undefined
})
