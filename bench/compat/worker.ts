/**
 * One run in a process of its own: `node worker.ts <compat|cassandra-driver> <operation> <form> <inflight> <port> <count>`. The same
 * code on both, which is the point. Prints one line of JSON, {@link Measured}.
 */
import { INSERT, keyCount, keys, name, PAGE_ROWS, PAGES, row, SELECT, SELECT_PAGES } from "../cql/workload.ts"

export type Library = "compat" | "cassandra-driver"
export type Operation = "select" | "insert" | "eachRow"
export type Form = "promise" | "callback"

/** Of the whole process, user and system, with garbage collection: a request, or a row of `eachRow`. */
export interface Measured {
  readonly cpuMicros: number
}

const [library, operation, form, ...numbers] = process.argv.slice(2) as [Library, Operation, Form, ...Array<string>]
const [inflight, port, count] = numbers.map(Number) as [number, number, number]

const { Client, types } = library === "compat"
  ? (await import("@effect-scylla/compat"))
  : (await import("cassandra-driver")).default as any

const client = new Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: "datacenter1" })
await client.connect()
const ids = keys.map((key) => types.Uuid.fromString(key))
const scores = keys.map((_, i) => types.Long.fromNumber(i))
const options = { prepare: true }
const query = operation === "select" ? SELECT : INSERT
const valuesOf = operation === "select"
  ? (n: number) => [ids[n % keyCount]]
  : (n: number) => [ids[n % keyCount], name, n, scores[n % keyCount]]

const check = (result: any): void => {
  if (operation === "select" && result.rows[0].age !== row.age) throw new Error("not the row")
}

const byPromise = async (inflight: number, requests: number): Promise<void> => {
  let remaining = requests
  const worker = async () => {
    while (remaining > 0) {
      const n = --remaining
      check(await client.execute(query, valuesOf(n), options))
    }
  }
  await Promise.all(Array.from({ length: inflight }, worker))
}

const byCallback = (inflight: number, requests: number): Promise<void> =>
  new Promise((resolve, reject) => {
    let remaining = requests
    let left = requests
    const next = () => {
      if (remaining <= 0) return
      const n = --remaining
      client.execute(query, valuesOf(n), options, (error: Error | null, result: any) => {
        if (error) return reject(error)
        check(result)
        if (--left === 0) resolve()
        else next()
      })
    }
    for (let i = 0; i < inflight; i++) next()
  })

/** All rows of all pages, so often. */
const byRow = async (times: number): Promise<void> => {
  for (let i = 0; i < times; i++) {
    let rows = 0
    await new Promise<void>((resolve, reject) => {
      client.eachRow(SELECT_PAGES, [], { autoPage: true, fetchSize: PAGE_ROWS }, (_: number, each: any) => {
        if (each.age === row.age) rows++
      }, (error: Error | null) => error ? reject(error) : resolve())
    })
    if (rows !== PAGES * PAGE_ROWS) throw new Error(`${rows} rows`)
  }
}

const run = (inflight: number, count: number): Promise<void> =>
  operation === "eachRow" ? byRow(count) : form === "promise" ? byPromise(inflight, count) : byCallback(inflight, count)

/** The engine compiles in the background: enough requests and enough time. */
if (operation === "eachRow") await run(1, 2)
else for (const start = performance.now(); performance.now() - start < 500;) await run(Math.max(inflight, 32), 10_000)

const cpu = process.cpuUsage()
await run(inflight, count)
const { system, user } = process.cpuUsage(cpu)
const measured: Measured = {
  cpuMicros: (user + system) / (operation === "eachRow" ? count * PAGES * PAGE_ROWS : count)
}
console.log(JSON.stringify(measured))
await client.shutdown()
