/**
 * What the Raft client costs beside bare grpc-js, and what it adds to an election. See README.md.
 */
import { DEngineAdapter, EtcdAdapter, RaftClient } from "@effect-scylla/raft-client"
import * as DEngineServer from "@effect-scylla/testkit/DEngineServer"
import * as EtcdServer from "@effect-scylla/testkit/EtcdServer"
import { Effect, Fiber } from "effect"
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { promisify } from "node:util"

interface Options {
  readonly json: boolean
  readonly rounds: number | undefined
  readonly inflight: ReadonlyArray<number> | undefined
  readonly only: ReadonlyArray<string> | undefined
}

interface Cost {
  readonly ours: number
  readonly bare: number
  readonly ratio: number
}

interface Failover {
  /** Milliseconds from the kill until the poller saw a new leader, by round. */
  readonly election: ReadonlyArray<number>
  /** Milliseconds from the kill until the first write was acknowledged among those started after it. */
  readonly acknowledged: ReadonlyArray<number>
  /** The difference of the two, by round, and its median. */
  readonly overhead: ReadonlyArray<number>
  readonly median: number
  /** What became of the writes that were in flight at the kill, all rounds together. */
  readonly inFlight: Record<string, number>
}

const here = (path: string): string => new URL(path, import.meta.url).pathname
const say = (text: string): void => void process.stderr.write(`${text}\n`)
const rounded = (value: number, digits = 1): number => Number(value.toFixed(digits))
const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const measureCost = async (rounds: number, levels: ReadonlyArray<number>): Promise<Record<string, Cost>> => {
  const server = spawn(process.execPath, [here("raft/server.ts")], { stdio: ["pipe", "pipe", "inherit"] })
  try {
    const [chunk] = await once(server.stdout, "data")
    const port = /^ready (\d+)/.exec(String(chunk))![1]!
    const run = async (who: string, operation: string, inflight: number): Promise<number> => {
      const requests = inflight === 1 ? 6_000 : 15_000
      const args = [here("raft/worker.ts"), who, operation, String(inflight), port, String(requests)]
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 })
      return (JSON.parse(stdout) as { cpuMicros: number }).cpuMicros
    }
    const out: Record<string, Cost> = {}
    for (const operation of ["get", "put"]) {
      for (const inflight of levels) {
        const ours: Array<number> = []
        const bare: Array<number> = []
        for (let round = 0; round < rounds; round++) {
          // In turn, because what slows the machine slows neighbouring runs.
          ours.push(await run("ours", operation, inflight))
          bare.push(await run("bare", operation, inflight))
        }
        out[`${operation} ${inflight}`] = {
          ours: rounded(median(ours)),
          bare: rounded(median(bare)),
          ratio: rounded(median(ours.map((cpu, i) => cpu / bare[i]!)), 3)
        }
        say(`${operation}, ${inflight} in flight: ${JSON.stringify(out[`${operation} ${inflight}`])}`)
      }
    }
    return out
  } finally {
    server.stdin.end()
  }
}

const epoch = (): number => performance.timeOrigin + performance.now()

const kinds = {
  etcd: { missing: EtcdServer.missing, make: EtcdServer.make(), adapter: EtcdAdapter.make() },
  "d-engine": { missing: DEngineServer.build, make: DEngineServer.make(), adapter: DEngineAdapter.make() }
}

const measureFailover = (kind: keyof typeof kinds, rounds: number): Effect.Effect<Failover, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const { adapter, make } = kinds[kind]
    const server = yield* make
    const client = yield* RaftClient.make({
      endpoints: server.endpoints,
      adapter,
      electionTimeout: kind === "etcd" ? "500 millis" : "300 millis",
      timeout: "10 seconds",
      readyTimeout: "20 seconds"
    })
    const election: Array<number> = []
    const acknowledged: Array<number> = []
    const inFlight: Record<string, number> = {}
    for (let round = 0; round < rounds; round++) {
      yield* server.awaitReady
      const named = yield* server.leader
      const leader = server.nodes.find(({ endpoint }) => endpoint === named)!
      const survivors = server.endpoints.filter((endpoint) => endpoint !== leader.endpoint)
      let killedAt = 0
      const load = yield* Effect.forkChild(Effect.forEach(
        Array.from({ length: 16 }, (_, i) => i),
        (i) =>
          Effect.gen(function*() {
            // Until one of them meets the kill.
            for (let n = 0;; n++) {
              const result = yield* Effect.result(client.put(`/load/${round}/${i}`, String(n)))
              if (killedAt > 0) {
                const outcome = result._tag === "Success" ? "acknowledged" : result.failure.outcome!
                inFlight[outcome] = (inFlight[outcome] ?? 0) + 1
                return
              }
            }
          }),
        { concurrency: "unbounded", discard: true }
      ))
      // Only the survivors are polled, so that the old leader is not taken for the new one.
      const poller = spawn(process.execPath, [here("raft/poller.ts"), kind, ...survivors], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      const lines = createInterface({ input: poller.stdout })[Symbol.asyncIterator]()
      yield* Effect.promise(() => lines.next())
      killedAt = epoch()
      const killing = yield* Effect.forkChild(leader.kill, { startImmediately: true })
      const first = yield* Effect.forkChild(
        Effect.map(Effect.retry(client.put(`/first/${round}`, "v"), { times: 20 }), epoch),
        { startImmediately: true }
      )
      const seen = yield* Effect.promise(() => lines.next())
      const electedAt = Number(seen.value)
      const firstAt = yield* Fiber.join(first)
      yield* Fiber.join(killing)
      yield* Fiber.join(load)
      election.push(rounded(electedAt - killedAt))
      acknowledged.push(rounded(firstAt - killedAt))
      say(
        `${kind}, round ${round + 1}: elected after ${election.at(-1)} ms, acknowledged after ${acknowledged.at(-1)} ms`
      )
      yield* leader.start
    }
    const overhead = acknowledged.map((at, i) => rounded(at - election[i]!))
    return { election, acknowledged, overhead, median: rounded(median(overhead)), inFlight }
  }))

export const run = async (options: Options): Promise<unknown> => {
  const only = options.only ?? ["cost", "etcd", "d-engine"]
  const cost = only.includes("cost")
    ? await measureCost(options.rounds ?? 5, options.inflight ?? [1, 32])
    : undefined
  const failover: Record<string, Failover> = {}
  for (const kind of ["etcd", "d-engine"] as const) {
    if (!only.includes(kind)) continue
    const missing = await Effect.runPromise(kinds[kind].missing)
    if (missing === undefined) failover[kind] = await Effect.runPromise(measureFailover(kind, options.rounds ?? 7))
    else say(`${kind} is left out: ${missing}`)
  }
  const result = { cost, failover, budget: { ratio: 1.25, overheadMillis: 150 } }
  if (options.json) console.log(JSON.stringify(result))
  else {
    for (const [name, { bare, ours, ratio }] of Object.entries(cost ?? {})) {
      console.log(`${name} in flight: ${ours} µs CPU a request, bare grpc-js ${bare}, ratio ${ratio} (budget 1.25)`)
    }
    for (const [kind, { acknowledged, election, inFlight, median: overhead }] of Object.entries(failover)) {
      console.log(
        `${kind}: leader killed; new one seen after ${
          median(election)
        } ms, a write that started after the kill acknowledged ` +
          `after ${median(acknowledged)} ms; overhead, median of the rounds, ${overhead} ms (budget 150). ` +
          `In flight at the kill: ${JSON.stringify(inFlight)}`
      )
    }
  }
  return result
}
