/** One client under load, in a process of its own: `worker.ts <client>`. It is asked by messages, {@link WorkerQuestion}. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { answer } from "./child.ts"
import { type Client, type ClientName, connect } from "./clients.ts"
import { type Figures, figuresOf, type Moments, Recorded } from "./figures.ts"
import { NODE, now, PARTITIONS, WORKERS } from "./plan.ts"
import type { Place } from "./server.ts"

export type WorkerQuestion =
  /** Connects and begins; `run` chooses the partitions, so that runs on one cluster do not meet. */
  | { readonly do: "start"; readonly place: Place; readonly proxied: boolean; readonly run: number }
  /** Takes the load away, and answers when the last request has ended. */
  | { readonly do: "stop" }
  | { readonly do: "result"; readonly moments: Moments }

export interface Result extends Figures {
  readonly reasons: Readonly<Record<string, number>>
  /** Writes that were acknowledged, those of them that are missing at the end, and those that a read missed before. */
  readonly acknowledged: number
  readonly missing: number
  readonly unseen: number
  /** Partitions that lacked something at the end, and what became of it when they were read again. */
  readonly gaps: ReadonlyArray<string>
  /** The longest that this process itself was held up, in milliseconds. */
  readonly pause: number
  /** What the client said of its nodes, with milliseconds from the beginning of the fault. */
  readonly notices: ReadonlyArray<string>
}

const NOTICES = 200
const RECENT = 1_000
/** Of a partition at the end, until all is there. */
const READS = 5
const GAPS = 20

const record = new Recorded()
const reasons: { [reason: string]: number } = {}
const notices: Array<{ readonly at: number; readonly what: string }> = []
const gaps: Array<string> = []
/** Of each worker, the turns whose writes were acknowledged. */
const acknowledged: Array<Array<number>> = Array.from({ length: WORKERS }, () => [])
const pauses = monitorEventLoopDelay({ resolution: 5 })
let client: Client
let base = 0
let isRunning = true
let unseen = 0
let workers: Promise<unknown> = Promise.resolve()

const idOf = (worker: number, turn: number): number => base + worker * PARTITIONS + turn % PARTITIONS
const seqOf = (turn: number): number => Math.floor(turn / PARTITIONS)
const indexOf = (address: string): number => Number(address.split(".")[3]) - 1

/** A fixed order of numbers below a bound, another one for each seed. */
const draws = (seed: number) => {
  let state = seed
  return (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * bound)
  }
}

/** A write, then a read of something that was written before, and again. */
const work = async (worker: number): Promise<void> => {
  const mine = acknowledged[worker]!
  const draw = draws(worker)
  for (let turn = 0; isRunning; turn++) {
    for (const isRead of [false, true]) {
      const of = isRead ? mine[Math.max(0, mine.length - RECENT) + draw(Math.min(RECENT, mine.length))] : turn
      if (of === undefined) continue
      const start = now()
      try {
        const { from, value } = await client[isRead ? "read" : "write"](idOf(worker, of), seqOf(of))
        record.add(start, now(), isRead, indexOf(from))
        if (!isRead) mine.push(of)
        else if (value === false) unseen++
      } catch (error) {
        record.add(start, now(), isRead, -1)
        const why = client.why(error)
        reasons[why] = (reasons[why] ?? 0) + 1
        // One that fails at once shall not fill the record.
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
  }
}

/** Reads all partitions, those that lack something again: what is missing never came, what is unseen came later. */
const missing = async (): Promise<number> => {
  let never = 0
  const check = async (worker: number, partition: number): Promise<void> => {
    const lacking = new Set(acknowledged[worker]!.filter((turn) => turn % PARTITIONS === partition).map(seqOf))
    const id = idOf(worker, partition)
    const counts: Array<string> = []
    for (let reads = 0; reads < READS; reads++) {
      const rows = await client.rows(id)
      for (const seq of rows) lacking.delete(seq)
      if (lacking.size === 0 && reads === 0) return
      if (reads === 0) unseen += lacking.size
      counts.push(`${rows.length} rows, ${lacking.size} lacking`)
      if (lacking.size === 0) break
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
    never += lacking.size
    unseen -= lacking.size
    if (gaps.length < GAPS) gaps.push(`partition ${id}: ${counts.join("; ")}: ${[...lacking].join(" ")}`)
  }
  const all = async (worker: number): Promise<void> => {
    for (let partition = 0; partition < PARTITIONS; partition++) await check(worker, partition)
  }
  await Promise.all(acknowledged.map((_, worker) => all(worker)))
  return never
}

await answer(async (question: WorkerQuestion) => {
  switch (question.do) {
    case "start": {
      const { place, proxied, run } = question
      base = run * WORKERS * PARTITIONS
      client = await connect(process.argv[2] as ClientName, {
        place,
        proxied,
        notice: (what) => void (notices.length < NOTICES && notices.push({ at: now(), what }))
      })
      pauses.enable()
      workers = Promise.all(acknowledged.map((_, worker) => work(worker)))
      return
    }
    case "stop":
      isRunning = false
      await workers
      pauses.disable()
      return
    case "result": {
      const { moments } = question
      const lost = await missing()
      return {
        ...figuresOf(record, moments, NODE),
        reasons,
        acknowledged: acknowledged.reduce((sum, { length }) => sum + length, 0),
        missing: lost,
        unseen,
        gaps,
        pause: pauses.max / 1e6,
        notices: notices.map(({ at, what }) => `${Math.round(at - moments.began)} ${what}`)
      } satisfies Result
    }
  }
})
process.exit(0)
