/**
 * Our CQL client beside `cassandra-driver`, the Rust driver and a hand-written header-only client, all against one canned
 * server: client CPU per request, on plain v4 and where the server has metadata ids. `node bench/main.ts cql [--json] [--rounds N] [--inflight 1,32] [--only ours,raw]`
 *
 * What it compares, and what it does not, is in README.md.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { type Measured as MeasuredStyle, type Style, styles } from "./cql/styles.ts"
import type { Measured } from "./cql/worker.ts"
import { type Bulk, bulks, type Operation, type Single, singles } from "./cql/workload.ts"

export const clients = ["ours", "cassandraDriver", "rust", "raw"] as const
export type ClientName = typeof clients[number]

/** Plain v4, where every result carries its metadata; beside it the same where the server has ids for metadata. */
const modes = ["plain", "withMetadataIds"] as const
type Mode = typeof modes[number]

interface Goal {
  readonly cassandraDriver: number
  readonly rust?: number
}

const goals = (
  [one, some, many, most]: readonly [number, number, number, number]
): Readonly<Record<number, Goal>> => ({
  1: { cassandraDriver: one },
  32: { cassandraDriver: some, rust: 0.6 },
  256: { cassandraDriver: many, rust: 0.4 },
  1024: { cassandraDriver: most, rust: 0.4 }
})

/** Goals for the ratio of CPU per request, by requests in flight. */
const budget: Readonly<Record<Mode, Readonly<Record<Single, Readonly<Record<number, Goal>>>>>> = {
  plain: { select: goals([0.5, 0.16, 0.095, 0.09]), insert: goals([0.55, 0.18, 0.105, 0.1]) },
  withMetadataIds: { select: goals([0.5, 0.15, 0.085, 0.08]), insert: goals([0.55, 0.18, 0.105, 0.1]) }
}

/** The same for work in bulk: a batch at 32 and more in flight, many rows at 256 and more. */
const bulkGoal = (operation: Bulk, inflight: number): number | undefined =>
  operation === "batch" ? 0.15 : inflight >= 256 ? 0.03 : undefined

const isSingle = (operation: Operation): operation is Single => operation === "select" || operation === "insert"

export interface Options {
  readonly json: boolean
  readonly rounds?: number | undefined
  readonly inflight?: ReadonlyArray<number> | undefined
  readonly only?: ReadonlyArray<string> | undefined
}

/** CPU microseconds per request; `ratio` and `ratioRust` are ours to theirs; `p99` in microseconds. */
export type Figures =
  & { -readonly [K in ClientName]?: number }
  & {
    ratio?: number
    ratioRust?: number
    p99: { -readonly [K in ClientName]?: number }
    /** Absent where nothing of the budget was measured. */
    withinBudget?: boolean
  }

/** By requests in flight. */
export type Operations = { readonly [K in Single]: Record<string, Figures> }

/** What a request costs over the prepared statement with the client's own options, by how it is written. */
export interface StyleFigures {
  readonly cpuMicros: number
  /** Paired, as ratios are. */
  readonly overPrepared: number
  readonly heapBytes: number
  readonly heapOverPrepared: number
}

/** By requests in flight. */
export type Styles = Record<string, Record<Style, StyleFigures>>

/** Plain v4 first. */
export type Result = Operations & {
  readonly withMetadataIds: Operations
  readonly styles: Styles
  /** On plain v4, beside cassandra-driver; of many rows, each row is a request. */
  readonly bulk: { readonly [K in Bulk]: Record<string, Figures> }
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const say = (line: string) => process.stderr.write(`${line}\n`)

/** A prefix that pins a process to one CPU, where that can be done. */
const pinning = (): (cpu: number) => ReadonlyArray<string> => {
  const works = [0, 1].every((cpu) => spawnSync("taskset", ["-c", `${cpu}`, "true"]).status === 0)
  if (works) return (cpu) => ["taskset", "-c", `${cpu}`]
  say("client and server are not pinned to CPUs 0 and 1: there is no taskset, or are no two CPUs")
  return () => []
}

const rustDirectory = here("cql/clients/rust")

/** Builds the Rust client outside the work tree. Answers its binary, or says why there is none. */
const buildRust = (): string | undefined => {
  const leftOut = (why: string) => {
    say(`the Rust driver is left out: ${why}`)
    return undefined
  }
  if (spawnSync("cargo", ["--version"]).status !== 0) return leftOut("there is no cargo")
  const target = join(
    process.env["EFFECT_SCYLLA_CACHE"] ?? join(homedir(), ".cache", "effect-scylla"),
    "rust-bench-target"
  )
  const binary = join(target, "release", "effect-scylla-rust-bench")
  if (!existsSync(binary)) say("building the Rust client: a minute or more, once")
  const build = spawnSync("cargo", ["build", "--release", "--locked", "--quiet"], {
    cwd: rustDirectory,
    env: { ...process.env, CARGO_TARGET_DIR: target },
    encoding: "utf8",
    timeout: 900_000
  })
  if (build.status !== 0) {
    const error = (build.stderr ?? "").split("\n").find((line) => line.startsWith("error"))
    return leftOut(`cargo build failed: ${error ?? build.error?.message ?? `it ended with ${build.status}`}`)
  }
  return binary
}

interface Server {
  readonly port: number
  readonly stop: () => Promise<void>
}

const startServer = async (prefix: ReadonlyArray<string>, mode: Mode): Promise<Server> => {
  const flags = mode === "plain" ? [] : ["--metadata-ids"]
  const [command, ...args] = [...prefix, process.execPath, here("canned/server.ts"), ...flags]
  const child: ChildProcess = spawn(command!, args, { stdio: ["pipe", "pipe", "inherit"] })
  const exited = once(child, "exit")
  const port = await Promise.race([
    once(child.stdout!, "data").then(([chunk]) => Number(/^ready (\d+)/.exec(String(chunk))?.[1])),
    exited.then(() => NaN)
  ])
  if (Number.isNaN(port)) throw new Error("the canned server did not start")
  return {
    port,
    stop: async () => {
      child.stdin!.end()
      await exited
    }
  }
}

/** Sized for half a second to a second of work, so that one run is long enough to measure and 240 of them are bearable. */
const requestsOf = (client: ClientName, operation: Operation, inflight: number): number => {
  if (operation === "batch") return client === "cassandraDriver" ? 10_000 : 60_000
  if (operation !== "select" && operation !== "insert") return client === "cassandraDriver" ? 60_000 : 400_000
  if (inflight === 1) return client === "cassandraDriver" ? 10_000 : 20_000
  const base = inflight < 256 ? 100_000 : inflight < 1024 ? 200_000 : 300_000
  return client === "cassandraDriver" ? base / 2 : client === "rust" ? base : base * 4
}

/** What a worker prints in the end, behind what its client logs. */
const lastLine = (stdout: string): unknown => {
  const lines = stdout.trim().split("\n")
  if (lines.length > 1) say(lines.slice(0, -1).join("\n"))
  return JSON.parse(lines.at(-1)!)
}

const runClient = async (
  prefix: ReadonlyArray<string>,
  rust: string | undefined,
  client: ClientName,
  operation: Operation,
  inflight: number,
  port: number
): Promise<Measured> => {
  const requests = requestsOf(client, operation, inflight)
  const run = [operation, inflight, port, requests].map(String)
  const program = client === "rust" ? [rust!, ...run] : [process.execPath, here("cql/worker.ts"), client, ...run]
  const [command, ...args] = [...prefix, ...program]
  try {
    const { stdout } = await promisify(execFile)(command!, args, { timeout: 60_000 })
    return lastLine(stdout) as Measured
  } catch (cause) {
    const { killed, stderr } = cause as { readonly killed?: boolean; readonly stderr?: string }
    const why = killed === true ? "it did not end within 60 s" : stderr?.trim() ?? String(cause)
    throw new Error(`${client}, ${operation}, ${inflight} in flight: ${why}`, { cause })
  }
}

const runStyle = async (prefix: ReadonlyArray<string>, style: Style, inflight: number, port: number) => {
  const program = [
    "--expose-gc",
    // Nothing is collected while allocations are counted.
    "--max-semi-space-size=64",
    here("cql/styles.ts"),
    style,
    inflight,
    port,
    400_000
  ].map(String)
  const [command, ...args] = [...prefix, process.execPath, ...program]
  const { stdout } = await promisify(execFile)(command!, args, { timeout: 60_000 })
  return lastLine(stdout) as MeasuredStyle
}

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

const figuresOf = (
  mode: Mode,
  operation: Operation,
  inflight: number,
  runs: ReadonlyMap<ClientName, ReadonlyArray<Measured>>
): Figures => {
  const p99: Figures["p99"] = {}
  const figures: Omit<Figures, "p99"> = {}
  for (const [client, measured] of runs) {
    figures[client] = rounded(median(measured.map(({ cpuMicros }) => cpuMicros)), 3)
    // `executeMany` has no latencies of single rows.
    if (measured.every(({ p99 }) => p99 !== null)) p99[client] = rounded(median(measured.map(({ p99 }) => p99!)), 1)
  }
  /** Paired: what slows the machine down for a while slows both runs of a round. */
  const ratioTo = (other: ClientName): number | undefined => {
    const [ours, theirs] = [runs.get("ours"), runs.get(other)]
    if (ours === undefined || theirs === undefined) return undefined
    return rounded(median(ours.map(({ cpuMicros }, round) => cpuMicros / theirs[round]!.cpuMicros)), 3)
  }
  const bulk = isSingle(operation) ? undefined : bulkGoal(operation, inflight)
  const limits: Partial<Goal> | undefined = isSingle(operation)
    ? budget[mode][operation][inflight]
    : bulk === undefined
    ? undefined
    : { cassandraDriver: bulk }
  for (
    const [key, other, limit] of [
      ["ratio", "cassandraDriver", limits?.cassandraDriver],
      ["ratioRust", "rust", limits?.rust]
    ] as const
  ) {
    const ratio = ratioTo(other)
    if (ratio === undefined) continue
    figures[key] = ratio
    if (limit !== undefined) figures.withinBudget = figures.withinBudget !== false && ratio <= limit
  }
  return { ...figures, p99 }
}

const bulkTitles: Readonly<Record<Bulk, string>> = {
  batch: "batch of ten INSERTs of one partition, unlogged, a batch",
  manySelect: "executeMany of the SELECT beside executeConcurrent, a row",
  manyInsert: "executeMany of the INSERT beside executeConcurrent, a row"
}

const printBulk = (bulk: Result["bulk"], ran: ReadonlyArray<ClientName>): void => {
  for (const operation of bulks) {
    const levels = Object.entries(bulk[operation])
    if (levels.length === 0) continue
    console.log(`\n${bulkTitles[operation]}: client CPU µs`)
    for (const [inflight, figures] of levels) {
      const cells = ran.map((client) => `${titles[client]} ${figures[client]?.toFixed(2) ?? "-"}`)
      const ratio = figures.ratio === undefined
        ? ""
        : `   ratio ${figures.ratio.toFixed(3)} (goal ${bulkGoal(operation, Number(inflight)) ?? "none"})`
      console.log(`  ${inflight.padStart(5)} in flight   ${cells.join("   ")}${ratio}`)
    }
  }
}

/** Levels for the styles of writing, and what each may cost over the prepared statement. */
const styleLevels = [32, 256]
const styleBudget = { micros: 0.25, bytes: 150 }
/** `async`/`await` makes promises, which are no garbage of ours. */
const promiseBudget = 0.4
const isPromise = (style: Style): boolean => style === "promise" || style === "promiseTemplate"

const styleFigures = (runs: ReadonlyMap<Style, ReadonlyArray<MeasuredStyle>>): Record<Style, StyleFigures> => {
  const prepared = runs.get("prepared")!
  const of = (measured: ReadonlyArray<MeasuredStyle>): StyleFigures => ({
    cpuMicros: rounded(median(measured.map(({ cpuMicros }) => cpuMicros)), 3),
    overPrepared: rounded(median(measured.map(({ cpuMicros }, i) => cpuMicros - prepared[i]!.cpuMicros)), 3),
    heapBytes: Math.round(median(measured.map(({ heapBytes }) => heapBytes))),
    heapOverPrepared: Math.round(median(measured.map(({ heapBytes }, i) => heapBytes - prepared[i]!.heapBytes)))
  })
  return Object.fromEntries([...runs].map(([style, measured]) => [style, of(measured)])) as Record<Style, StyleFigures>
}

const styleTitles: Readonly<Record<Style, string>> = {
  prepared: "prepared",
  template: "template",
  templateWith: "template with .with({ idempotent: true })",
  options: "prepared with consistency and page size",
  byName: "values by name",
  text: "a statement without values",
  promise: "prepared, by async/await",
  promiseTemplate: "template, by async/await"
}

const printStyles = (byInflight: Styles): void => {
  for (const [inflight, figures] of Object.entries(byInflight)) {
    console.log(
      `\nSELECT of one row by how it is written, ${inflight} in flight: client CPU µs and heap bytes per request`
    )
    for (const style of styles) {
      const { cpuMicros, heapBytes, heapOverPrepared, overPrepared } = figures[style]
      const over = style === "prepared" ? "" : `${overPrepared >= 0 ? "+" : ""}${overPrepared.toFixed(2)} µs, ` +
        `${heapOverPrepared >= 0 ? "+" : ""}${heapOverPrepared} B`
      console.log(
        `  ${styleTitles[style].padEnd(44)}${cpuMicros.toFixed(2).padStart(6)}${
          String(heapBytes).padStart(7)
        }   ${over}`
      )
    }
  }
  const within = Object.values(byInflight).every((figures) =>
    styles.every((style) => {
      const { heapOverPrepared, overPrepared } = figures[style]
      return isPromise(style)
        ? overPrepared <= promiseBudget
        : overPrepared <= styleBudget.micros && heapOverPrepared <= styleBudget.bytes
    })
  )
  console.log(
    `\nbudget over prepared: ${styleBudget.micros} µs and ${styleBudget.bytes} B, by async/await ${promiseBudget} µs; within budget: ${
      within ? "yes" : "no"
    }`
  )
}

const titles: Readonly<Record<ClientName, string>> = {
  ours: "ours",
  cassandraDriver: "cassandra-driver",
  rust: "Rust driver",
  raw: "raw"
}

const print = (result: Result, ran: ReadonlyArray<ClientName>, rounds: number): void => {
  const number = (value: number | undefined, digits: number) => value === undefined ? "-" : value.toFixed(digits)
  const line = (cells: ReadonlyArray<string>) =>
    console.log(cells.map((cell, i) => cell.padStart(i === 0 ? 9 : 17)).join(""))
  const compared = (["cassandraDriver", "rust"] as const).filter((other) => ran.includes("ours") && ran.includes(other))
  const tables = modes.flatMap((mode) =>
    singles.map((operation) => ({
      mode,
      operation,
      what: (operation === "select" ? "SELECT of one row" : "INSERT of four values") +
        (mode === "plain" ? "" : ", the server has metadata ids"),
      byInflight: (mode === "plain" ? result : result.withMetadataIds)[operation]
    }))
  )
  for (const { byInflight, what } of tables) {
    console.log(`\n${what}: client CPU µs per request, then p99 in µs; median of ${rounds} rounds`)
    line(["in flight", ...ran.map((client) => titles[client]), ...compared.map((other) => `ours to ${other}`)])
    for (const [inflight, figures] of Object.entries(byInflight)) {
      line([
        inflight,
        ...ran.map((client) => number(figures[client], 2)),
        ...compared.map((other) => number(other === "rust" ? figures.ratioRust : figures.ratio, 3))
      ])
      line(["p99", ...ran.map((client) => number(figures.p99[client], 0))])
    }
  }
  for (const mode of modes) {
    for (const operation of singles) {
      const own = tables.filter((table) => table.mode === mode && table.operation === operation)
      const judged = own.flatMap(({ byInflight }) => Object.entries(byInflight))
        .filter(([, { withinBudget }]) => withinBudget !== undefined)
      const over = judged.filter(([, { withinBudget }]) => withinBudget === false).map(([inflight]) => inflight)
      const goal = Object.entries(budget[mode][operation])
      console.log(
        `\n${operation}, ${mode === "plain" ? "plain v4" : "with metadata ids"}: at most ${
          goal.map(([, { cassandraDriver }]) => cassandraDriver).join(" / ")
        } of cassandra-driver and ${goal.map(([, { rust }]) => rust ?? "-").join(" / ")} of Rust at ${
          goal.map(([inflight]) => inflight).join(" / ")
        } in flight: ${
          judged.length === 0 ? "not measured" : over.length === 0 ? "met" : `over it at ${over.join(", ")}`
        }`
      )
    }
  }
}

const chosen = (only: ReadonlyArray<string> | undefined): Array<ClientName> => {
  const unknown = only?.find((name) => !clients.some((client) => client === name))
  if (unknown !== undefined) throw new Error(`there is no client ${unknown}, there are ${clients.join(", ")}`)
  return clients.filter((client) => only === undefined || only.includes(client))
}

export const run = async (options: Options): Promise<Result> => {
  const rounds = options.rounds ?? 5
  const levels = options.inflight ?? [1, 32, 256, 1024]
  let ran = chosen(options.only)
  const rust = ran.includes("rust") ? buildRust() : undefined
  if (rust === undefined) ran = ran.filter((client) => client !== "rust")

  const pin = pinning()
  const servers: Partial<Record<Mode, Server>> = {}
  const measured = new Map<string, Array<Measured>>()
  const keyOf = (mode: Mode, operation: Operation, inflight: number, client: ClientName) =>
    `${mode} ${operation} ${inflight} ${client}`
  const runs = modes.flatMap((mode) =>
    singles.flatMap((operation: Operation) =>
      levels.flatMap((inflight) => ran.map((client) => ({ mode, operation, inflight, client })))
    )
  )
  const inBulk = ran.filter((client) => client === "ours" || client === "cassandraDriver")
  const levelsOfBulk = levels.filter((level) => level > 1)
  runs.push(
    ...bulks.flatMap((operation) =>
      levelsOfBulk.flatMap((inflight) =>
        inBulk.map((client) => ({ mode: "plain" as const, operation, inflight, client }))
      )
    )
  )
  const styled = new Map<string, Map<Style, Array<MeasuredStyle>>>()
  const levelsOfStyles = ran.includes("ours") ? styleLevels.filter((level) => levels.includes(level)) : []
  try {
    for (const mode of modes) servers[mode] = await startServer(pin(1), mode)
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`)
      for (const { client, inflight, mode, operation } of runs) {
        const key = keyOf(mode, operation, inflight, client)
        const before = measured.get(key) ?? []
        measured.set(key, before)
        before.push(await runClient(pin(0), rust, client, operation, inflight, servers[mode]!.port))
      }
      for (const level of levelsOfStyles) {
        const runs = styled.get(`${level}`) ?? new Map<Style, Array<MeasuredStyle>>(styles.map((style) => [style, []]))
        styled.set(`${level}`, runs)
        for (const style of styles) runs.get(style)!.push(await runStyle(pin(0), style, level, servers.plain!.port))
      }
    }
  } finally {
    for (const server of Object.values(servers)) await server.stop()
  }

  const figuresFor = (mode: Mode, operation: Operation, of = ran, at = levels) =>
    Object.fromEntries(
      at.map((inflight) => [
        inflight,
        figuresOf(
          mode,
          operation,
          inflight,
          new Map(of.map((client) => [client, measured.get(keyOf(mode, operation, inflight, client))!]))
        )
      ])
    )
  const operationsOf = (mode: Mode): Operations => ({
    select: figuresFor(mode, "select"),
    insert: figuresFor(mode, "insert")
  })
  const result: Result = {
    ...operationsOf("plain"),
    withMetadataIds: operationsOf("withMetadataIds"),
    bulk: Object.fromEntries(
      bulks.map((operation) => [operation, figuresFor("plain", operation, inBulk, levelsOfBulk)])
    ) as Result["bulk"],
    styles: Object.fromEntries([...styled].map(([level, runs]) => [level, styleFigures(runs)]))
  }
  if (options.json) console.log(JSON.stringify(result))
  else {
    print(result, ran, rounds)
    printBulk(result.bulk, inBulk)
    if (styled.size > 0) printStyles(result.styles)
  }
  return result
}
