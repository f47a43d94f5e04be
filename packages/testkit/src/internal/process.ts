/**
 * Child processes of the launchers: spawned with their last output lines kept, stopped by pid, never left behind.
 */
import * as Effect from "effect/Effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** What a finished command left. `code` is -1 when it could not be started at all. */
export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end; SIGKILL after `timeoutMillis` or on interruption. Never fails: look at `code`. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly timeoutMillis: number }
): Effect.Effect<Finished> =>
  Effect.callback<Finished>((resume) => {
    const child = execFile(command, args, {
      cwd: options.cwd,
      timeout: options.timeoutMillis,
      killSignal: "SIGKILL",
      maxBuffer: 16 * 1024 * 1024
    }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1
      const ended = error !== null && error.killed === true ? `\nkilled after ${options.timeoutMillis} ms` : ""
      const why = code === -1 && error !== null && stderr === "" ? error.message : stderr
      resume(Effect.succeed({ code, stdout, stderr: why + ended }))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** A running (or ended) child. */
export interface Running {
  readonly pid: number
  /** False as soon as the process has ended. */
  readonly isAlive: () => boolean
  readonly signal: (signal: NodeJS.Signals) => void
  /** Completes when the process has ended; how it ended, in words. */
  readonly ended: Effect.Effect<string>
}

/** Splits a byte stream into lines. */
const lines = (onLine: (line: string) => void): (chunk: string) => void => {
  let rest = ""
  return (chunk) => {
    const parts = (rest + chunk).split("\n")
    rest = parts.pop() ?? ""
    for (const line of parts) onLine(line)
  }
}

const children = new Set<ChildProcess>()
let hooked = false

/** Spawns a process whose stdout and stderr go to `onLine`. Throws what `spawn` throws synchronously. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly onLine: (line: string) => void; readonly onEnd: () => void }
): Running => {
  if (!hooked) {
    hooked = true
    process.on("exit", () => {
      for (const child of children) child.kill("SIGKILL")
    })
  }
  const child = spawn(command, args, { cwd: options.cwd, stdio: ["ignore", "pipe", "pipe"] })
  const waiting: Array<(how: string) => void> = []
  let how: string | undefined
  const finish = (text: string): void => {
    if (how !== undefined) return
    how = text
    children.delete(child)
    options.onEnd()
    for (const resume of waiting.splice(0)) resume(text)
  }
  children.add(child)
  child.once("error", (error) => child.pid === undefined && finish(error.message))
  // "close", not "exit": by then every line it printed has been read
  child.once("close", (code, signal) => finish(signal === null ? `exit code ${code}` : signal))
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", lines(options.onLine))
  return {
    pid: child.pid ?? -1,
    isAlive: () => how === undefined,
    signal: (signal) => void child.kill(signal),
    ended: Effect.callback<string>((resume) => {
      const done = (text: string): void => resume(Effect.succeed(text))
      if (how !== undefined) return done(how)
      waiting.push(done)
      return Effect.sync(() => {
        const at = waiting.indexOf(done)
        if (at >= 0) waiting.splice(at, 1)
      })
    })
  }
}

// Reads lines, each the full list of pids that live at the moment. Its input ends when the process that started it is gone,
// however that came about (SIGKILL runs no exit handler): what still lives is killed and the directory removed.
const reaperScript = 'while read -r line; do live=$line; done; [ -z "$live" ] || kill -9 $live; rm -rf -- "$1"'

/** A temporary directory with the processes that work in it. */
export interface Workspace {
  readonly directory: string
  /** Tells the reaper which processes to kill if this process dies without closing the scope. */
  readonly guard: (pids: ReadonlyArray<number>) => void
}

/** Makes a temporary directory that is removed when the scope closes, or when this process dies in whatever way. */
export const workspace = (prefix: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(join(tmpdir(), prefix))
      try {
        // a session of its own, so that Ctrl-C in a terminal does not end it before its parent
        const reaper = spawn("/bin/sh", ["-c", reaperScript, "reaper", directory], {
          cwd: "/",
          detached: true,
          stdio: ["pipe", "ignore", "ignore"]
        })
        const ended = new Promise<void>((resolve) => void reaper.once("close", () => resolve()))
        reaper.on("error", () => {})
        reaper.stdin.on("error", () => {})
        reaper.unref()
        return { directory, reaper, ended }
      } catch (error) {
        rmSync(directory, { recursive: true, force: true })
        throw error
      }
    }),
    ({ directory, ended, reaper }) =>
      Effect.promise(async () => {
        await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
        reaper.ref()
        reaper.stdin.end("\n")
        await ended
      })
  ).pipe(Effect.map(({ directory, reaper }): Workspace => ({
    directory,
    guard: (pids) => void reaper.stdin.write(`${pids.join(" ")}\n`)
  })))
