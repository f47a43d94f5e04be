/**
 * What the client of promises costs over the Effect one, on a transport that answers in memory:
 * `NODE_ENV=production node packages/alternator/bench/promise.ts`. Nanoseconds of CPU for one of 256 calls at once: the median of many turns, and
 * what it is more than the first of its kind, the median of the differences within a turn. A failure is waited for in an `async`
 * function, as its caller would.
 */
import { AlternatorClient } from "@effect-scylla/alternator"
import type { AlternatorTransport } from "@effect-scylla/alternator/AlternatorTransport"
import { connect } from "@effect-scylla/alternator/promise"
import { Context, Effect, Layer, Scope } from "effect"
import { AlternatorTransport as Transport } from "../src/AlternatorTransport.ts"

const IN_FLIGHT = 256
const ROUNDS = 10
const TURNS = 60

const found = Buffer.from(JSON.stringify({ Item: { pk: { S: "a" } } }))
const missing = Buffer.from(JSON.stringify({ __type: "x#ResourceNotFoundException", message: "no such table" }))

const waiting: Array<() => void> = []
/** Answers all requests of a turn of the event loop at once, as sockets do. */
const transport: AlternatorTransport = {
  dispatch: (request, handler) => {
    const isMissing = String(request.body).includes("missing")
    if (waiting.length === 0) setImmediate(() => waiting.splice(0).forEach((answer) => answer()))
    waiting.push(() => handler.onAnswer(isMissing ? 400 : 200, {}, isMissing ? missing : found))
    return { sent: true, abort: () => {} }
  },
  retire: () => {},
  connections: () => new Map()
}

const options = { seeds: "10.0.0.1", discovery: "static", transport, unref: true } as const
const db = await connect(options)
const bare = await connect({ ...options, stacks: false })
const services = await Effect.runPromise(Layer.buildWithScope(
  AlternatorClient.layer({ seeds: "10.0.0.1", discovery: "static" }),
  Scope.makeUnsafe()
))
const own = await Effect.runPromise(Effect.provideContext(
  Layer.buildWithScope(
    AlternatorClient.layerClient(),
    Scope.makeUnsafe()
  ),
  Context.add(services, Transport, transport)
))
const client = Context.get(own, AlternatorClient.AlternatorClient)

const ok = { TableName: "t", Key: { pk: "a" } }
const no = { TableName: "missing", Key: { pk: "a" } }
const { signal } = new AbortController()

const caller = async (call: () => Promise<unknown>) => {
  try {
    await call()
  } catch {
    // What it costs is what is asked here.
  }
}

const cases: Readonly<Record<string, () => Promise<unknown>>> = {
  "getItem, Effect.runPromise": () => Effect.runPromise(client.getItem(ok)),
  "getItem, promise": () => db.getItem(ok),
  "getItem, promise and signal": () => db.getItem(ok, { signal }),
  "failure, Effect.runPromise": () => caller(() => Effect.runPromise(client.getItem(no))),
  "failure, promise": () => caller(() => db.getItem(no)),
  "failure, promise, no stacks": () => caller(() => bare.getItem(no))
}

const measure = async (call: () => Promise<unknown>): Promise<number> => {
  const begun = process.cpuUsage()
  for (let round = 0; round < ROUNDS; round++) await Promise.all(Array.from({ length: IN_FLIGHT }, call))
  const { system, user } = process.cpuUsage(begun)
  return (system + user) * 1000 / (ROUNDS * IN_FLIGHT)
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const figures = new Map<string, Array<number>>()
for (let turn = -10; turn < TURNS; turn++) {
  for (const [name, call] of Object.entries(cases)) {
    const nanos = await measure(call)
    if (turn >= 0) figures.set(name, [...(figures.get(name) ?? []), nanos])
  }
}
let base: ReadonlyArray<number> = []
for (const [name, nanos] of figures) {
  if (name.endsWith("Effect.runPromise")) base = nanos
  const more = median(nanos.map((value, turn) => value - base[turn]!))
  console.log(`${name.padEnd(30)}${median(nanos).toFixed(0).padStart(7)} ns${more.toFixed(0).padStart(8)} more`)
}
await Promise.all([db.close(), bare.close()])
