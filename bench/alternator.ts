/**
 * What a DynamoDB request costs: CPU microseconds of the lean client, of the AWS SDK, and of the SDK with our adapter.
 *
 * `node bench/alternator.ts [--json]`; what is compared and what is not, see README.md.
 */
import { Affinity, NodeAddress, NodeHealth, QueryPlan } from "@effect-scylla/alternator"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { pathToFileURL } from "node:url"
import { allocated, measure } from "./support/measure.ts"

/** Goals: our CPU time over that of the AWS SDK; microseconds. */
const budget = { getItem: 0.12, putItem: 0.12, query: 0.3, adapter: 1.05, affinityMicros: 1 } as const

const clients = ["lean", "sdk", "adapter", "documents"] as const
type Client = typeof clients[number]
const operations = ["GetItem", "PutItem", "Query"] as const
type Operation = typeof operations[number]

const MEASURED_MILLIS = 4000
const CONCURRENCY = 32

const file = (name: string) => new URL(`./alternator/${name}`, import.meta.url).pathname

const startServer = async (): Promise<{ readonly child: ChildProcess; readonly port: string }> => {
  const child = spawn(process.execPath, [file("server.ts")], { stdio: ["pipe", "pipe", "inherit"] })
  const [line] = await once(child.stdout!, "data") as [Buffer]
  return { child, port: line.toString().trim() }
}

interface Run {
  readonly cpu: number
  readonly perSecond: number
}

const work = (client: Client, operation: Operation, port: string): Promise<Run> =>
  new Promise((resolve, reject) => {
    const args = [file("worker.ts"), client, operation, port, String(MEASURED_MILLIS), String(CONCURRENCY)]
    execFile(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: "" } }, (error, stdout, stderr) => {
      if (error !== null) return reject(new Error(`${client} ${operation}: ${stderr || error.message}`))
      resolve(JSON.parse(stdout))
    })
  })

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

/** Hash of a key and the first of twelve nodes. */
const affinityMicros = (): number => {
  const nodes = Array.from({ length: 12 }, (_, i) => NodeAddress.make("http", `10.0.0.${i + 1}`, 8000))
  const sorted = Affinity.sorted("go", nodes)
  const keys = Array.from({ length: 256 }, (_, i) => `customer#${i * 7919}`)
  const hash = new Affinity.KeyHash()
  const nanos = measure(1_000_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      Affinity.hashInto("S", keys[i & 255]!, hash)
      sum += Affinity.first("go", hash, sorted.length)
    }
    return sum
  })
  return nanos / 1000
}

/** A request's plan and its first node, by power of two; and the next node of a plan that is there. Of twelve nodes. */
const plans = () => {
  const health = {
    enabled: true,
    maxLosses: 3,
    maxServerErrors: 5,
    minEjection: 1000,
    maxEjection: 30_000,
    warmUp: 1000
  }
  const nodes = Array.from({ length: 12 }, (_, i) => {
    const node = new NodeHealth.TrackedNode(NodeAddress.make("http", `10.0.0.${i + 1}`, 8000))
    // What is known of them is a while old.
    node.observe("answered", 0, 1.5 + i, health)
    return node
  })
  const source = { nodes, affinityNodes: nodes }
  const balancer = new QueryPlan.Balancer({
    balancing: "power-of-two",
    order: "go",
    warmUp: 1000,
    source: () => source,
    now: () => 2000,
    seed: 12345
  })
  const making = (iterations: number): number => {
    let sum = 0
    for (let i = 0; i < iterations; i++) sum += new QueryPlan.QueryPlan(balancer).next()!.port
    return sum
  }
  const plan = new QueryPlan.QueryPlan(balancer)
  const picking = (iterations: number): number => {
    let sum = 0
    for (let i = 0; i < iterations; i++) sum += plan.next()!.port
    return sum
  }
  return {
    planNanos: round(measure(1_000_000, making)),
    pickNanos: round(measure(1_000_000, picking)),
    pickBytes: round(allocated(20_000, picking))
  }
}

export interface AlternatorFigures {
  /** CPU microseconds per request, median over the rounds. */
  readonly cpuMicros: Record<Operation, Record<Client, number>>
  /** Of the AWS SDK's, paired by round: the median of the rounds' ratios. */
  readonly ratio: Record<
    Operation,
    { readonly lean: number; readonly adapter: number; readonly leanToDocuments: number }
  >
  readonly affinityMicros: number
  /** Nanoseconds of a plan with its first node, of the next node; bytes that are allocated for the next node. */
  readonly plans: { readonly planNanos: number; readonly pickNanos: number; readonly pickBytes: number }
  readonly rounds: number
  readonly budget: typeof budget
  readonly withinBudget: boolean
}

export const run = async (
  options: { readonly json: boolean; readonly rounds?: number | undefined }
): Promise<AlternatorFigures> => {
  const rounds = options.rounds ?? 3
  const { child, port } = await startServer()
  const results = new Map<string, Array<number>>()
  const of = (operation: Operation, client: Client) => results.get(`${operation} ${client}`)!
  try {
    for (let i = 0; i < rounds; i++) {
      for (const operation of operations) {
        // In turns, so that a slow minute of the machine is everybody's.
        for (const client of clients) {
          const { cpu, perSecond } = await work(client, operation, port)
          const key = `${operation} ${client}`
          results.set(key, [...(results.get(key) ?? []), cpu])
          console.error(`round ${i + 1} ${operation.padEnd(8)}${client.padEnd(10)}${cpu.toFixed(1)} us, ${perSecond}/s`)
        }
      }
    }
  } finally {
    child.stdin!.end()
  }
  const ratio = (operation: Operation, client: Client, base: Client) =>
    round(median(of(operation, client).map((cpu, i) => cpu / of(operation, base)[i]!)), 3)
  const each = <A>(f: (operation: Operation) => A) =>
    Object.fromEntries(operations.map((operation) => [operation, f(operation)])) as Record<Operation, A>
  const ratios = each((operation) => ({
    lean: ratio(operation, "lean", "sdk"),
    adapter: ratio(operation, "adapter", "sdk"),
    leanToDocuments: ratio(operation, "lean", "documents")
  }))
  const affinity = round(affinityMicros(), 3)
  const figures: AlternatorFigures = {
    cpuMicros: each((operation) =>
      Object.fromEntries(clients.map((client) => [client, round(median(of(operation, client)))])) as Record<
        Client,
        number
      >
    ),
    ratio: ratios,
    affinityMicros: affinity,
    plans: plans(),
    rounds,
    budget,
    withinBudget: ratios.GetItem.lean <= budget.getItem && ratios.PutItem.lean <= budget.putItem &&
      ratios.Query.lean <= budget.query && affinity <= budget.affinityMicros &&
      operations.every((operation) => ratios[operation].adapter <= budget.adapter)
  }
  if (options.json) console.log(JSON.stringify(figures))
  else {
    const cells = (values: ReadonlyArray<number | string>) => values.map((value) => String(value).padStart(11)).join("")
    console.log(`CPU us/request ${cells([...clients, "lean/sdk", "adapt/sdk"])}`)
    for (const operation of operations) {
      const { adapter, lean } = figures.ratio[operation]
      const values = clients.map((client) => figures.cpuMicros[operation][client])
      console.log(`${operation.padEnd(15)}${cells([...values, lean, adapter])}`)
    }
    console.log(
      `affinity pick of 12 nodes: ${affinity} us; ${figures.withinBudget ? "within" : "NOT within"} the budget`
    )
  }
  return figures
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await run({ json: process.argv.includes("--json"), rounds: Number(process.env["ROUNDS"] ?? 3) })
}
