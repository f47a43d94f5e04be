/**
 * Requests through a pool of 16 connections, each an Effect of its own: a prepared SELECT of one row, encoded and decoded, with
 * 256 in flight, against the canned server in a process of its own.
 */
import type { Connection, ResponseHandler } from "@effect-scylla/pool/Connection"
import { ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import * as NodePool from "@effect-scylla/pool/NodePool"
import { ConnectionBusy, PoolError, type PoolReason } from "@effect-scylla/pool/PoolError"
import { Suspension } from "@effect-scylla/pool/Suspension"
import * as Ticker from "@effect-scylla/pool/Ticker"
import { BindEncoder, Dialect, type Reader, Request, Response, RowDecoder, Uuid } from "@effect-scylla/protocol"
import { Effect, Exit } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { Sampler } from "../cql/clients/client.ts"
import { connectMany } from "../cql/clients/raw.ts"
import { keyCount, keys, row, SELECT } from "../cql/workload.ts"

const CONNECTIONS = 16
const IN_FLIGHT = 256
const REQUESTS = 400_000
const ROUNDS = 5
/** Few enough that no collection of garbage falls among them most of the time; it would count as nothing. */
const HEAP_REQUESTS = 4_096
const HEAP_ROUNDS = 25
const TIMEOUT = 12_000

const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const file = fileURLToPath(new URL("../canned/server.ts", import.meta.url))
    const child = spawn(process.execPath, [file], { stdio: ["pipe", "pipe", "inherit"] })
    const [chunk] = await once(child.stdout, "data") as [Buffer]
    return { child, port: Number(/^ready (\d+)/.exec(String(chunk))?.[1]) }
  }),
  ({ child }) =>
    Effect.promise(async () => {
      const exited = once(child, "exit")
      child.stdin.end()
      await exited
    })
)

/** What all requests of a run have in common. */
interface Work {
  readonly pool: NodePool.NodePool
  readonly ticker: Ticker.Ticker
  readonly template: Request.ExecuteTemplate
  readonly encoder: BindEncoder.BindEncoder
  readonly decoders: RowDecoder.RowDecoders
  readonly page: RowDecoder.Page
}

class Select extends Suspension<ReadonlyArray<RowDecoder.Row>, PoolError> implements ResponseHandler, Ticker.Sendable {
  private readonly work: Work
  private readonly values: ReadonlyArray<unknown>
  private connection: Connection | undefined = undefined
  private stream = -1

  constructor(work: Work, values: ReadonlyArray<unknown>) {
    super()
    this.work = work
    this.values = values
  }

  protected renew(): Select {
    return new Select(this.work, this.values)
  }

  protected start(): void {
    this.work.ticker.send(this)
  }

  send(): void {
    if (this.isSettled) return
    const { encoder, pool, template, ticker } = this.work
    // In turn, as the keys of 16 shards would have it: the server has none.
    const connection = pool.pickAny()
    const out = connection?.begin()
    if (connection === undefined || out === undefined) {
      return this.settle(Exit.fail(new PoolError({ reason: new ConnectionBusy({ message: "no connection" }) })))
    }
    const start = out.pos
    Request.writeExecute(out, template, encoder, this.values, 0)
    this.connection = connection
    this.stream = connection.commit(start, this, ticker.deadline(TIMEOUT))
  }

  protected abandon(): void {
    this.connection?.abandon(this.stream, this)
  }

  onResponse(flags: number, opcode: number, body: Reader.Reader): void {
    Response.readPrefix(flags, body)
    if (body.i32() !== Response.ResultKind.ROWS) throw new Error(`no rows: opcode ${opcode}`)
    const { decoders, page, ticker } = this.work
    this.succeedLater(ticker, decoders.read(body, page.decoder, page))
  }

  onFailure(reason: PoolReason): void {
    this.settle(Exit.fail(new PoolError({ reason })))
  }
}

export interface Figures {
  /** What bytes alone cost: the same over as many connections by a client that encodes, decodes and resumes nothing. */
  readonly floorMicros: number
  /** Client CPU per request, microseconds: user and system, collection of garbage and reading of sockets included. */
  readonly cpuMicros: number
  /** Of it in the kernel, by the medians of both: with few answers in a read, reading and writing are most of it. */
  readonly kernelMicros: number
  /** Bytes of heap allocated for a request. */
  readonly heapBytes: number
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

export const requests: Effect.Effect<Figures> = Effect.scoped(Effect.gen(function*() {
  const { port } = yield* server
  const ticker = yield* Ticker.make
  const connections = { perNode: CONNECTIONS }
  const pool = yield* Effect.provideService(
    NodePool.make({ address: "127.0.0.1", port, connections, session: { ticker } }),
    ConnectLimiter,
    makeLimiter()
  )
  yield* pool.awaitFull
  const decoders = new RowDecoder.RowDecoders()
  const options = { timeoutMillis: TIMEOUT, decoders }
  const { response } = yield* Effect.orDie(pool.pick(0)!.request({ _tag: "Prepare", query: SELECT }, options))
  if (response._tag !== "Prepared") return yield* Effect.die(new Error(`PREPARE was answered with ${response._tag}`))
  const execute = { consistency: "LOCAL_ONE", skipMetadata: false } as const
  const work: Work = {
    pool,
    ticker,
    encoder: new BindEncoder.BindEncoder(response.variables.columns),
    template: Request.executeTemplate(response.id, execute, response.variables.columns.length, {
      tracing: false,
      stamped: false,
      dialect: Dialect.v4,
      resultMetadataId: response.resultMetadataId
    }),
    decoders,
    page: RowDecoder.emptyPage()
  }
  const ids = keys.map((key) => [Uuid.parseUnsafe(key)])
  let remaining = 0
  const worker = Effect.gen(function*() {
    while (remaining > 0) {
      const rows = yield* new Select(work, ids[--remaining % keyCount]!)
      if (rows[0]!["age"] !== row.age) throw new Error("not the row")
    }
  })
  const workers = Effect.all(Array.from({ length: IN_FLIGHT }, () => worker), {
    concurrency: "unbounded",
    discard: true
  })
  const run = (count: number) =>
    Effect.suspend(() => {
      remaining = count
      return Effect.orDie(workers)
    })
  const raw = yield* Effect.acquireRelease(
    Effect.promise(() => connectMany(port, "select", CONNECTIONS)),
    (client) => Effect.promise(() => client.close())
  )
  const runRaw = (count: number) => Effect.promise(() => raw.run(IN_FLIGHT, count, new Sampler(IN_FLIGHT, count)))
  // The engine compiles in the background.
  for (let i = 0; i < 10; i++) {
    yield* run(20_000)
    yield* runRaw(20_000)
  }
  const cpu: Array<number> = []
  const kernel: Array<number> = []
  const floor: Array<number> = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.cpuUsage()
    yield* run(REQUESTS)
    const { system, user } = process.cpuUsage(start)
    cpu.push((system + user) / REQUESTS)
    kernel.push(system / REQUESTS)
    const before = process.cpuUsage()
    yield* runRaw(REQUESTS)
    const used = process.cpuUsage(before)
    floor.push((used.system + used.user) / REQUESTS)
  }
  const heap: Array<number> = []
  for (let round = 0; round < HEAP_ROUNDS; round++) {
    const before = process.memoryUsage().heapUsed
    yield* run(HEAP_REQUESTS)
    const bytes = (process.memoryUsage().heapUsed - before) / HEAP_REQUESTS
    if (bytes > 0) heap.push(bytes)
  }
  return {
    cpuMicros: median(cpu),
    kernelMicros: median(kernel),
    floorMicros: median(floor),
    heapBytes: median(heap)
  }
}))
