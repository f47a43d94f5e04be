/**
 * What a large cluster costs: a look at it in which nothing has changed, one in which every token is another one, ten thousand events at once, and
 * connecting to all of it; beside `cassandra-driver` where that can be had.
 *
 * `node bench/cluster.ts [--json]`
 *
 * The servers are simulated, in another process and over TCP. CPU is this process's alone.
 */
import * as Promises from "@effect-scylla/driver/promise"
import { Codec, CqlType } from "@effect-scylla/protocol"
import cassandra from "cassandra-driver"
import { Effect } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { paced } from "../packages/driver/src/internal/paced.ts"
import { TopologyReader } from "../packages/driver/src/internal/systemTables.ts"
import { RawTokens } from "../packages/driver/src/internal/tokens.ts"
import * as Snapshot from "../packages/driver/src/Snapshot.ts"
import { Child } from "./faults/child.ts"
import { head, row } from "./support/table.ts"

/** Milliseconds. */
const budget = { unchanged: 1, longest: 5 } as const

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

/** CPU milliseconds of this process while `run` goes on, and the longest that its loop was held up. */
const during = async (run: () => Promise<unknown>): Promise<During> => {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const before = process.cpuUsage()
  await run()
  const { system, user } = process.cpuUsage(before)
  delay.disable()
  // What the monitor shows of a loop that is idle is its own resolution.
  return { cpu: (system + user) / 1_000, longest: Math.max(0, delay.max / 1e6 - 2) }
}

interface During {
  readonly cpu: number
  readonly longest: number
}

const median = (of: ReadonlyArray<number>): number => of.toSorted((a, b) => a - b)[of.length >> 1]!

interface Client {
  readonly name: string
  /** Connects to `everything`, or to each node once. */
  readonly connect: (
    points: ReadonlyArray<string>,
    everything: boolean
  ) => Promise<{ readonly connections: () => number; readonly close: () => Promise<unknown> }>
}

const clients: ReadonlyArray<Client> = [
  {
    name: "effect-scylla",
    connect: async (points, everything) => {
      const db = await Promises.connect({
        contactPoints: points.slice(0, 3),
        refreshInterval: false,
        ...everything ? {} : { connections: { perNode: 1 } }
      })
      await db.connected()
      return {
        connections: () =>
          db.stats().nodes.reduce((sum, { slots }) => sum + slots.filter(({ state }) => state === "Ready").length, 0),
        close: () => db.close()
      }
    }
  },
  {
    name: "cassandra-driver",
    connect: async (points) => {
      const client = new cassandra.Client({
        contactPoints: points.slice(0, 3),
        localDataCenter: "datacenter1",
        pooling: { warmup: true }
      })
      await client.connect()
      return {
        connections: () =>
          client.getState().getConnectedHosts().reduce(
            (sum, host) => sum + client.getState().getOpenConnections(host),
            0
          ),
        close: () => client.shutdown()
      }
    }
  }
]

const server = async <A>(
  args: ReadonlyArray<number>,
  use: (child: Child, points: ReadonlyArray<string>) => Promise<A>
): Promise<A> => {
  const child = new Child("../cluster/server.ts", ...args.map(String))
  try {
    return await use(child, await child.ask<ReadonlyArray<string>>({ do: "start" }, 300))
  } finally {
    await child.end()
  }
}

/** Longer than any client waits before it looks, and looks. */
const LOOKED = 4_000
/** Looks that are measured together, and the milliseconds for each. */
const ROUNDS = 15
const EVERY = 2_000

/** One look, and ten thousand events in about a second. */
const looks = (client: Client) =>
  server([100, 1, 256, 50], async (child, points) => {
    const connected = await client.connect(points, false)
    const tell = (events: number, millis = LOOKED) => async () => {
      await child.ask({ do: "announce", events }, 60)
      await sleep(millis)
    }
    const count = () => child.ask<number>({ do: "count" }, 60)
    await tell(1)()
    const before = await count()
    const idle: Array<number> = []
    const cpu: Array<number> = []
    const longest: Array<number> = []
    for (let i = 0; i < ROUNDS; i++) {
      idle.push((await during(() => sleep(EVERY))).cpu)
      const busy = await during(tell(1, EVERY))
      cpu.push(busy.cpu)
      longest.push(busy.longest)
    }
    const looks = await count() - before
    const flood = await during(tell(10_000))
    await connected.close()
    return {
      look: { cpu: (median(cpu) - median(idle)) * ROUNDS / looks, longest: median(longest), looks },
      flood: { cpu: flood.cpu - median(idle) * LOOKED / EVERY, longest: flood.longest }
    }
  })

/** 100 nodes of 16 shards, until every connection is there. */
const connecting = (client: Client) =>
  server([100, 16, 16, 1], async (_, points) => {
    collect()
    const heap = process.memoryUsage().heapUsed
    const begun = performance.now()
    let connected: Awaited<ReturnType<Client["connect"]>> | undefined
    const { cpu, longest } = await during(async () => {
      connected = await client.connect(points, true)
    })
    const millis = performance.now() - begun
    await sleep(500)
    collect()
    const grown = process.memoryUsage().heapUsed - heap
    const connections = connected!.connections()
    await connected!.close()
    return { millis, cpu, longest, connections, heapMib: grown / 2 ** 20, kibOfOne: grown / 1024 / connections }
  })

/** Bytes that a client takes which has connected to each node once, those of buffers included. */
const heapOf = (nodes: number, vnodes: number, keyspaces: number): Promise<number> =>
  server([nodes, 1, vnodes, keyspaces], async (_, points) => {
    const sizes: Array<number> = []
    const used = async (): Promise<number> => {
      await sleep(1_000)
      collect()
      const { external, heapUsed } = process.memoryUsage()
      return heapUsed + external
    }
    // What a first client makes for all that come after it is not counted.
    await (await clients[0]!.connect(points, false)).close()
    for (let i = 0; i < 3; i++) {
      const before = await used()
      const connected = await clients[0]!.connect(points, false)
      sizes.push(await used() - before)
      await connected.close()
    }
    return median(sizes)
  })

/** Bytes of a keyspace in a snapshot, as it was read. */
const ofKeyspaces = (count: number): number => {
  const used = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const make = () => Snapshot.make("c", "dc1", [], rowsOf(count))
  make()
  const before = used()
  const snapshot = make()
  return (used() - before) / snapshot.keyspaces.size
}

const rowsOf = (count: number): ReadonlyArray<Snapshot.KeyspaceRow> =>
  Array.from({ length: count }, (_, i) => ({
    name: `ks${i}`,
    replication: { class: "NetworkTopologyStrategy", dc1: String(i % 5 + 1) },
    hasTablets: false
  }))

/** Bytes that one more of something takes: a node of 16 tokens with its pool of one connection, a token, a keyspace. */
const memory = async () => {
  const least = await heapOf(40, 16, 1)
  return {
    node: (await heapOf(140, 16, 1) - least) / 100,
    token: (await heapOf(40, 256, 1) - least) / (40 * 240),
    keyspace: ofKeyspaces(10_000)
  }
}

const texts = CqlType.set(CqlType.scalar("text"))

/** Every token of 300 nodes is another one: read, put in order, published. */
const changed = async (nodes: number, vnodes: number, keyspaces: number) => {
  let seed = 1n
  const token = (): bigint => {
    seed = (seed * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) & (2n ** 64n - 1n)
    return BigInt.asIntN(64, seed)
  }
  const peer = (i: number) => ({
    host_id: `host ${i}`,
    peer: `10.0.${i >> 8}.${i & 255}`,
    rpc_address: `10.0.${i >> 8}.${i & 255}`,
    data_center: "dc1",
    rack: `r${i % 3}`,
    cluster_name: "c",
    tokens: new RawTokens(Codec.encode(texts, new Set(Array.from({ length: vnodes }, () => String(token()))))!)
  })
  const rows = rowsOf(keyspaces)
  const reader = new TopologyReader()
  let placement: Snapshot.Snapshot["placement"] | undefined
  const figures: Array<During> = []
  for (let round = 0; round < 7; round++) {
    const all = Array.from({ length: nodes }, (_, i) => peer(i))
    const answers = [all.slice(0, 1), all.slice(1)]
    const connection = {
      features: { isScylla: true },
      request: () => Effect.succeed({ response: { _tag: "Rows", rows: answers.shift() } })
    } as unknown as Parameters<TopologyReader["read"]>[0]
    await sleep(50)
    figures.push(
      await during(() =>
        Effect.runPromise(Effect.gen(function*() {
          const topology = yield* reader.read(connection, "10.0.0.0")
          const known = topology.nodes.map((
            { address, datacenter, hostId, peer, rack, releaseVersion, tokens }
          ): Snapshot.Node => ({
            address,
            datacenter,
            hostId,
            isLocal: true,
            peer,
            pool: undefined,
            port: 9042,
            rack,
            releaseVersion,
            rpcAddress: address,
            tokens: tokens.tokens
          }))
          placement = yield* paced(Snapshot.place(known, "Murmur3Partitioner", placement))
          const snapshot = Snapshot.make("c", "dc1", known, rows, { placement })
          snapshot.keyspaces.get("ks2")!.replicas!.of(0)
        }))
      )
    )
  }
  // The first rounds let the engine compile.
  const warm = figures.slice(2)
  return {
    cpu: warm.toSorted((a, b) => a.cpu - b.cpu)[2]!.cpu,
    longest: warm.toSorted((a, b) => a.longest - b.longest)[2]!.longest
  }
}

export const run = async (options: { readonly json: boolean }): Promise<void> => {
  const all = await changed(300, 256, 50)
  const { keyspace, node, token } = await memory()
  const figures: Record<string, unknown> = { budget, changed: all, memory: { keyspace, node, token } }
  if (!options.json) {
    head("ms", "ours", "goal")
    row("all tokens new, 300 x 256 x 50: CPU", all.cpu)
    row("  longest stall", all.longest, budget.longest)
    head("heap, bytes", "ours", "goal")
    row("one more node, with its pool of one connection", node)
    row("one more token", token)
    row("one more keyspace", keyspace)
  }
  for (const client of clients) {
    const { flood, look } = await looks(client)
    const connect = await connecting(client)
    figures[client.name] = { look, flood, connect }
    if (options.json) continue
    const isOurs = client === clients[0]
    head(client.name, "", "goal")
    row("nothing new, 100 x 256 x 50: CPU of a look", look.cpu, isOurs ? budget.unchanged : undefined)
    row("  longest stall", look.longest, isOurs ? budget.longest : undefined)
    row("10,000 events: CPU", flood.cpu)
    row("  longest stall", flood.longest)
    row(`connect to 100 x 16 shards: ms`, connect.millis)
    row(`  CPU`, connect.cpu)
    row(`  longest stall`, connect.longest)
    row(`  connections`, connect.connections)
    row(`  heap, MiB`, connect.heapMib)
    row(`  heap of one connection, KiB`, connect.kibOfOne)
  }
  if (options.json) console.log(JSON.stringify(figures, null, 2))
}

if (process.argv[1] === import.meta.filename) await run({ json: process.argv.includes("--json") })
