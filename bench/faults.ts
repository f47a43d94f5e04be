/**
 * One of three nodes is killed, stopped, cut off, slow, resharded or late under the load of 32 workers: our client beside
 * `cassandra-driver`. Servers, and each run of a client, are processes of their own. See README.md.
 */
import { Child } from "./faults/child.ts"
import type { ClientName } from "./faults/clients.ts"
import {
  AFTER_SECONDS,
  AFTER_SECONDS_CASSANDRA,
  BEFORE_SECONDS,
  type Fault,
  type FaultName,
  faults,
  now,
  type On,
  WARM_UP_SECONDS
} from "./faults/plan.ts"
import type { Place, ServerQuestion } from "./faults/server.ts"
import type { Result, WorkerQuestion } from "./faults/worker.ts"

export interface Options {
  readonly json: boolean
  readonly on?: string | undefined
  /** How long faults last. */
  readonly seconds?: number | undefined
  /** Faults and clients by name. */
  readonly only?: ReadonlyArray<string> | undefined
}

export interface Run extends Result {
  readonly on: On
  readonly fault: FaultName
  readonly seconds: number
  readonly client: ClientName
  /** The longest that the simulated cluster's process was held up, in milliseconds. */
  readonly serverPause: number
}

const clients: ReadonlyArray<ClientName> = ["ours", "cassandra-driver"]
const platforms: ReadonlyArray<string> = ["simulated", "cassandra"] satisfies ReadonlyArray<On>

const sleep = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

const measure = async (
  server: Child,
  place: Place,
  { name, seconds }: Fault,
  client: ClientName,
  on: On,
  run: number
): Promise<Run> => {
  const ask = <A>(question: ServerQuestion, within: number): Promise<A> => server.ask(question, within)
  const worker = new Child("./worker.ts", client)
  const load = <A>(question: WorkerQuestion, within: number): Promise<A> => worker.ask(question, within)
  try {
    const proxied = on === "cassandra" && (name === "cut" || name === "slow")
    await load({ do: "start", place, proxied, run }, 60)
    await sleep(WARM_UP_SECONDS + BEFORE_SECONDS)
    const began = await ask<number>({ do: "begin", fault: name }, 30)
    await sleep(name === "resharded" ? 0 : seconds)
    const over = await ask<number>({ do: "end", fault: name }, 180)
    const ended = name === "resharded" ? began : over
    const rest = name === "resharded" ? seconds : 0
    await sleep(rest + (on === "cassandra" ? AFTER_SECONDS_CASSANDRA : AFTER_SECONDS))
    const stopped = now()
    await load({ do: "stop" }, 60)
    // What is missing is missing of the whole cluster, not of one that is still being mended.
    const serverPause = await ask<number>({ do: "heal" }, 180)
    const moments = { began, ended, millis: seconds * 1000, stopped }
    return { on, fault: name, seconds, client, serverPause, ...await load<Result>({ do: "result", moments }, 60) }
  } finally {
    await worker.end()
    await ask({ do: "end", fault: name }, 180)
    await ask({ do: "heal" }, 180)
  }
}

const columns = [
  "fault",
  "client",
  "req/s before, during, after",
  "failed reads, writes",
  "p50, p99, max during (ms)",
  "half after (ms)",
  "again after (ms)",
  "reach"
]

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`
const millis = (value: number | null): string => value === null ? "never" : Math.round(value).toLocaleString("en")
const whole = (value: number): string => Math.round(value).toLocaleString("en")

const cellsOf = (run: Run): ReadonlyArray<string> => {
  const { again, beyond, client, during, failed, fault, half, missing, perSecond, seconds, unseen } = run
  const lost = missing + unseen === 0 ? [] : [`${missing} writes lost, ${unseen} not seen`]
  const not = [...beyond, ...lost]
  return [
    `${fault}, ${seconds} s`,
    client,
    [perSecond.before, perSecond.during, perSecond.after].map(whole).join(", "),
    `${failed.reads}, ${failed.writes}`,
    [during.p50.toFixed(1), whole(during.p99), whole(during.max)].join(", "),
    millis(half),
    millis(again),
    not.length === 0 ? "yes" : `not: ${not.join(", ")}`
  ]
}

export const run = async (options: Options): Promise<ReadonlyArray<Run>> => {
  const { json, only, seconds } = options
  const on = (options.on ?? "simulated") as On
  if (!platforms.includes(on)) throw new Error(`--on takes ${platforms.join(" or ")}, got ${on}`)
  const named = (name: string, among: ReadonlyArray<string>): boolean =>
    only === undefined || only.includes(name) || !only.some((one) => among.includes(one))
  const unknown = only?.filter((name) =>
    ![...faults.map((fault) => fault.name), ...clients].some((one) => one === name)
  )
  if (unknown !== undefined && unknown.length > 0) throw new Error(`--only: there is no ${unknown.join(", ")}`)
  const say = (text: string): void => json ? console.error(text) : console.log(text)

  const runs: Array<Run> = []
  say(`on ${on}, ${new Date().toISOString().slice(0, 10)}\n\n${line(columns)}\n${line(columns.map(() => "---"))}`)
  let server: Child | undefined
  let place: Place | undefined
  try {
    for (const [turn, fault] of faults.entries()) {
      if (!named(fault.name, faults.map(({ name }) => name))) continue
      const missing = fault.missing[on]
      if (missing !== undefined) {
        console.error(`${fault.name}: left out, because ${missing}`)
        continue
      }
      for (const [at, client] of clients.entries()) {
        if (!named(client, clients)) continue
        // A simulated cluster is made anew for each run; a real one takes its time.
        if (server === undefined || on === "simulated") {
          await server?.end()
          server = new Child("./server.ts", on)
          place = await server.ask<Place>({ do: "start" }, 300)
        }
        const chosen = { ...fault, seconds: seconds ?? fault.seconds }
        const run = await measure(server, place!, chosen, client, on, turn * clients.length + at)
        runs.push(run)
        say(line(cellsOf(run)))
        const { acknowledged, pause, reasons, serverPause, share } = run
        console.error(
          `  ${acknowledged} writes acknowledged, its part at the end ${(share * 100).toFixed(0)} %, ` +
            `longest pause ${Math.round(pause)} ms (the servers' process: ${Math.round(serverPause)} ms), failures ${
              JSON.stringify(reasons)
            }`
        )
        for (const gap of run.gaps) console.error(`  ${gap}`)
      }
    }
  } finally {
    await server?.end()
  }
  if (json) console.log(JSON.stringify(runs))
  return runs
}
