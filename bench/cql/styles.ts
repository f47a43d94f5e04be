/**
 * One SELECT of one row, written in the ways that programs write it, by our client: one run in a process of its own.
 * `node --expose-gc styles.ts <style> <inflight> <port> <requests>` prints one line of JSON, {@link Measured}.
 *
 * The prepared statement with the client's own options is what the `cql` benchmark times; the others show what is paid for saying it
 * another way.
 */
import { CqlClient } from "@effect-scylla/driver"
import { type Client, connect } from "@effect-scylla/driver/promise"
import { Uuid } from "@effect-scylla/protocol"
import { Effect, Exit, Scope } from "effect"
import { keyCount, keys, row, SELECT, SELECT_TEXT } from "./workload.ts"

export const styles = [
  "prepared",
  "template",
  "templateWith",
  "options",
  "byName",
  "text",
  "promise",
  "promiseTemplate"
] as const
export type Style = typeof styles[number]

export interface Measured {
  readonly cpuMicros: number
  /** Bytes of heap allocated for a request. */
  readonly heapBytes: number
}

interface Row {
  readonly age: number
}

type Answer = ReadonlyArray<Row> | { readonly rows: ReadonlyArray<Row> }
type Request = (n: number) => Effect.Effect<Answer, unknown>

type EffectStyle = Exclude<Style, "promise" | "promiseTemplate">

const requestOf = (cql: CqlClient.CqlClient, style: EffectStyle): Effect.Effect<Request, unknown> =>
  Effect.gen(function*(): Effect.fn.Return<Request, unknown> {
    const ids = keys.map((key) => Uuid.parseUnsafe(key))
    const prepared = yield* cql.prepare(SELECT)
    switch (style) {
      case "prepared":
        return (n) => cql.execute(prepared, [ids[n % keyCount]]) as Effect.Effect<any, unknown>
      case "template":
        return (n) => cql<Row>`SELECT id, name, age, score FROM ks.t WHERE id = ${ids[n % keyCount]}`
      case "templateWith":
        return (n) =>
          cql<Row>`SELECT id, name, age, score FROM ks.t WHERE id = ${ids[n % keyCount]}`.with({ idempotent: true })
      case "options":
        return (n) =>
          cql.execute(prepared, [ids[n % keyCount]], { consistency: "ONE", pageSize: 100 }) as Effect.Effect<
            any,
            unknown
          >
      case "byName":
        return (n) => cql.execute(prepared, { id: ids[n % keyCount] }) as Effect.Effect<any, unknown>
      case "text":
        return () => cql.execute(SELECT_TEXT) as Effect.Effect<any, unknown>
    }
  })

/** So many requests, by so many workers; and the end. */
interface Running {
  readonly run: (count: number) => Promise<void>
  readonly close: () => Promise<void>
}

const byPromise = async (style: "promise" | "promiseTemplate", inflight: number, port: number): Promise<Running> => {
  const db: Client = await connect({ contactPoints: [`127.0.0.1:${port}`], localDatacenter: "datacenter1" })
  const ids = keys.map((key) => Uuid.parseUnsafe(key))
  const prepared = await db.prepare(SELECT)
  let remaining = 0
  const worker = async (): Promise<void> => {
    while (remaining > 0) {
      const id = ids[--remaining % keyCount]
      const rows = style === "promise"
        ? (await db.execute<Row>(prepared, [id])).rows
        : await db<Row>`SELECT id, name, age, score FROM ks.t WHERE id = ${id}`
      if (rows[0]!.age !== row.age) throw new Error("not the row")
    }
  }
  return {
    run: async (count) => {
      remaining = count
      await Promise.all(Array.from({ length: inflight }, worker))
    },
    close: () => db.close()
  }
}

const byEffect = async (style: EffectStyle, inflight: number, port: number): Promise<Running> => {
  const scope = Effect.runSync(Scope.make())
  const request = await Effect.runPromise(
    Effect.gen(function*() {
      const cql = yield* CqlClient.make({ contactPoints: [`127.0.0.1:${port}`], localDatacenter: "datacenter1" })
      return yield* requestOf(cql, style)
    }).pipe(Effect.provideService(Scope.Scope, scope))
  )
  let remaining = 0
  // A template gives rows, `execute` a page.
  const first: (answer: any) => Row = style.startsWith("template")
    ? (answer: ReadonlyArray<Row>) => answer[0]!
    : (answer: { readonly rows: ReadonlyArray<Row> }) => answer.rows[0]!
  const worker = Effect.gen(function*() {
    while (remaining > 0) {
      const answer = yield* request(--remaining)
      if (first(answer).age !== row.age) throw new Error("not the row")
    }
  })
  return {
    run: (count) => {
      remaining = count
      return Effect.runPromise(
        Effect.all(Array.from({ length: inflight }, () => worker), { concurrency: "unbounded", discard: true })
      )
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const main = async (style: Style, inflight: number, port: number, requests: number): Promise<Measured> => {
  const { close, run } = await (style === "promise" || style === "promiseTemplate"
    ? byPromise(style, inflight, port)
    : byEffect(style, inflight, port))
  for (const start = performance.now(); performance.now() - start < 700;) await run(20_000)
  const cpu = process.cpuUsage()
  await run(requests)
  const { system, user } = process.cpuUsage(cpu)
  const heap: Array<number> = []
  for (let i = 0; i < 15; i++) {
    gc!()
    const before = process.memoryUsage().heapUsed
    await run(HEAP_REQUESTS)
    heap.push((process.memoryUsage().heapUsed - before) / HEAP_REQUESTS)
  }
  await close()
  // A collection in between leaves less than was allocated.
  return { cpuMicros: (user + system) / requests, heapBytes: heap.sort((a, b) => a - b)[heap.length >> 1]! }
}

const HEAP_REQUESTS = 4_000

if (process.argv[1] === import.meta.filename) {
  const [style, ...numbers] = process.argv.slice(2) as [Style, ...ReadonlyArray<string>]
  const [inflight, port, requests] = numbers.map(Number) as [number, number, number]
  console.log(JSON.stringify(await main(style, inflight, port, requests)))
}
