/**
 * `@effect-scylla/compat` beside `cassandra-driver`, the same program on both, against one canned server: client CPU per request by
 * promise and by callback, and per row of `eachRow`. `node bench/main.ts compat [--json] [--rounds N] [--inflight 1,32]`
 */
import { execFile, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { Form, Library, Measured, Operation } from "./compat/worker.ts"

const libraries: ReadonlyArray<Library> = ["cassandra-driver", "compat"]

/** Goals for the ratio of CPU, by requests in flight. */
const GOALS: Readonly<Record<number, number>> = { 1: 0.6, 32: 0.3, 256: 0.25 }
const ROWS_GOAL = 0.5

export interface Options {
  readonly json: boolean
  readonly rounds?: number | undefined
  readonly inflight?: ReadonlyArray<number> | undefined
}

/** CPU microseconds of each, the median of paired ratios, and the goal. */
export interface Figures {
  readonly operation: Operation
  readonly form: Form
  readonly inflight: number
  readonly cpuMicros: Readonly<Record<Library, number>>
  readonly ratio: number
  readonly goal: number | undefined
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** A prefix that pins a process to one CPU, where that can be done. */
const pinning = (): (cpu: number) => ReadonlyArray<string> => {
  const works = [0, 1].every((cpu) => spawnSync("taskset", ["-c", `${cpu}`, "true"]).status === 0)
  return (cpu) => works ? ["taskset", "-c", `${cpu}`] : []
}

const startServer = async (prefix: ReadonlyArray<string>) => {
  const [command, ...args] = [...prefix, process.execPath, here("canned/server.ts")]
  const child = spawn(command!, args, { stdio: ["pipe", "pipe", "inherit"] })
  const [chunk] = await once(child.stdout!, "data")
  return {
    port: Number(/^ready (\d+)/.exec(String(chunk))?.[1]),
    stop: async () => {
      const exited = once(child, "exit")
      child.stdin!.end()
      await exited
    }
  }
}

/** Enough for some tenths of a second. */
const countOf = (library: Library, operation: Operation, inflight: number): number =>
  operation === "eachRow" ? 5 : inflight === 1 ? 10_000 : library === "compat" ? 150_000 : 50_000

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const title = ({ form, inflight, operation }: Pick<Figures, "form" | "inflight" | "operation">): string =>
  operation === "eachRow" ? "eachRow, 100 000 rows" : `${operation.toUpperCase()} by ${form}, ${inflight} in flight`

export const run = async (options: Options): Promise<ReadonlyArray<Figures>> => {
  const rounds = options.rounds ?? 5
  const levels = options.inflight ?? [1, 32, 256]
  const pin = pinning()
  const server = await startServer(pin(1))
  const found: Array<Figures> = []
  try {
    const runs = [
      ...(["select", "insert"] as const).flatMap((operation) =>
        (["promise", "callback"] as const).flatMap((form) => levels.map((inflight) => ({ operation, form, inflight })))
      ),
      { operation: "eachRow", form: "callback", inflight: 1 } as const
    ]
    for (const { form, inflight, operation } of runs) {
      const micros: Record<Library, Array<number>> = { "cassandra-driver": [], compat: [] }
      for (let round = 0; round < rounds; round++) {
        for (const library of libraries) {
          const args = [library, operation, form, inflight, server.port, countOf(library, operation, inflight)].map(
            String
          )
          const [command, ...rest] = [...pin(0), process.execPath, here("compat/worker.ts"), ...args]
          const { stdout } = await promisify(execFile)(command!, rest, { timeout: 60_000 })
          micros[library].push((JSON.parse(stdout.trim().split("\n").at(-1)!) as Measured).cpuMicros)
        }
      }
      const ratio = median(micros.compat.map((own, i) => own / micros["cassandra-driver"][i]!))
      const figures: Figures = {
        operation,
        form,
        inflight,
        cpuMicros: { "cassandra-driver": median(micros["cassandra-driver"]), compat: median(micros.compat) },
        ratio,
        goal: operation === "eachRow" ? ROWS_GOAL : GOALS[inflight]
      }
      found.push(figures)
      if (!options.json) {
        const { goal } = figures
        const judged = goal === undefined ? "" : ` (goal ${goal}: ${ratio <= goal ? "met" : "missed"})`
        console.log(
          `${title(figures).padEnd(38)}cassandra-driver ${figures.cpuMicros["cassandra-driver"].toFixed(2)} µs   ` +
            `compat ${figures.cpuMicros.compat.toFixed(2)} µs   ratio ${ratio.toFixed(3)}${judged}`
        )
      }
    }
  } finally {
    await server.stop()
  }
  if (options.json) console.log(JSON.stringify(found))
  return found
}
