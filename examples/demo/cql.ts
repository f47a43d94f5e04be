/** The main job: rows to the cores that own them, through a node's death and return. */
import { CqlClient, type CqlError } from "@effect-scylla/driver"
import { Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { Console, Duration, Effect, Fiber, Ref } from "effect"
import { heading, percent, progress, table } from "./terminal.ts"

export interface Settings {
  readonly rows: number
  /** Requests under way at once. */
  readonly concurrency: number
  readonly idempotent: boolean
}

interface Item {
  readonly id: Uuid.Uuid
  readonly name: string
  readonly quantity: number
  readonly price: bigint
}

const KEYSPACE = "effect_scylla_demo"
const ITEMS = `${KEYSPACE}.items`

const itemOf = (i: number): Item => ({
  id: new Uuid.Uuid(0x1b2c3d4e, 0x5f604a7b, 0x8c9d0000, Math.imul(i + 1, 0x9e3779b1)),
  name: `item ${i}`,
  quantity: i % 1000,
  price: BigInt(i) * 100n + 99n
})

/** Creates keyspace and table; answers whether the share on the owning shard can be measured (not on tablets). */
const createSchema = Effect.fnUntraced(function*(client: CqlClient.CqlClient) {
  const replicas = Math.min(3, client.cluster().local.length)
  const replication = `{'class': 'NetworkTopologyStrategy', '${client.cluster().datacenter}': ${replicas}}`
  yield* client.execute(`DROP KEYSPACE IF EXISTS ${KEYSPACE}`)
  const create = `CREATE KEYSPACE ${KEYSPACE} WITH replication = ${replication}`
  const withoutTablets = yield* client.execute(`${create} AND tablets = {'enabled': false}`).pipe(
    Effect.as(true),
    // Cassandra, and ScyllaDB before tablets, do not know the option.
    Effect.catchTag("CqlError", () => Effect.as(client.execute(create), false))
  )
  yield* client.execute(`CREATE TABLE ${ITEMS} (id uuid PRIMARY KEY, name text, quantity int, price bigint)`)
  const hasTablets = client.cluster().keyspaces.get(KEYSPACE)?.hasTablets === true
  yield* Console.log(
    `  keyspace ${KEYSPACE}: ${replicas} replicas${withoutTablets ? ", tablets off" : hasTablets ? ", on tablets" : ""}`
  )
  return !hasTablets
})

/** Writes and reads back every row; fails when a row is not what was written. */
const writeAndRead = Effect.fnUntraced(function*(client: CqlClient.CqlClient, settings: Settings) {
  const items = Array.from({ length: settings.rows }, (_, i) => itemOf(i))
  const options = { idempotent: settings.idempotent }
  const { concurrency } = settings
  const writing = progress("writing", items.length)
  yield* Effect.forEach(
    items,
    ({ id, name, price, quantity }) =>
      Effect.tap(
        client`INSERT INTO effect_scylla_demo.items (id, name, quantity, price) VALUES (${id}, ${name}, ${quantity}, ${price})`
          .with(options),
        () => Effect.sync(writing.step)
      ),
    { concurrency, discard: true }
  )
  yield* writing.finish
  const reading = progress("reading back", items.length)
  let wrong = 0
  yield* Effect.forEach(
    items,
    (item) =>
      Effect.map(
        client<Item>`SELECT id, name, quantity, price FROM effect_scylla_demo.items WHERE id = ${item.id}`,
        ([row]) => {
          reading.step()
          const same = row !== undefined && row.id.equals(item.id) && row.name === item.name &&
            row.quantity === item.quantity && row.price === item.price
          if (!same) wrong++
        }
      ),
    { concurrency, discard: true }
  )
  yield* reading.finish
  if (wrong > 0) return yield* Effect.die(new Error(`${wrong} of ${items.length} rows are not what was written`))
  yield* Console.log(
    `  ${items.length.toLocaleString("en-US")} rows written and read back, every one as it was written`
  )
})

/** Requests per node and shard as the servers counted them. */
const simulatedShare = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster) {
  const stats = yield* cluster.stats
  const shards = Math.max(...stats.nodes.map((node) => node.shards.length))
  yield* table(
    ["node", ...Array.from({ length: shards }, (_, i) => `shard ${i}`), "requests", "on the owning shard"],
    stats.nodes.map((node) => [
      node.address,
      ...Array.from({ length: shards }, (_, i) => node.shards[i]?.requests ?? 0),
      node.requests,
      percent(node.owned, node.requests - node.unrouted)
    ])
  )
  yield* Console.log(
    `  ${percent(stats.owned, stats.owned + stats.misrouted)} of ${
      (stats.owned + stats.misrouted).toLocaleString("en-US")
    } requests landed on the core that owns their partition (counted by the servers)`
  )
})

/** Requests per node and shard as this client sent them: a real server does not tell. */
const clientShare = Effect.fnUntraced(function*(client: CqlClient.CqlClient, measured: boolean) {
  const { nodes, routing } = client.shardAwareStats()
  yield* table(
    ["node", "shards", "connections", "requests"],
    nodes.map((node) => [
      node.address,
      node.nrShards,
      node.slots.filter((slot) => slot.state === "Ready").length,
      node.slots.reduce((sum, slot) => sum + slot.requests, 0)
    ])
  )
  if (!measured) return yield* Console.log("  tablets: share not measured")
  const routed = routing.owned + routing.otherShard + routing.otherNode
  yield* Console.log(
    client.isShardAware()
      ? `  ${percent(routing.owned, routed)} of ${
        routed.toLocaleString("en-US")
      } requests left on the connection of the owning shard`
      : `  ${percent(routing.owned + routing.otherShard, routed)} of ${
        routed.toLocaleString("en-US")
      } requests went to a replica of their partition`
  )
})

const describe = (states: ReadonlyArray<string>): string =>
  states.map((state) => state === "Ready" ? "●" : state === "Dialing" || state === "Handshaking" ? "◐" : "○").join(" ")

/** A node dies under load and comes back. */
const killAndReturn = Effect.fnUntraced(function*(
  client: CqlClient.CqlClient,
  cluster: SimulatedCluster.SimulatedCluster,
  settings: Settings
) {
  const victim = cluster.nodes[1]!
  const running = yield* Ref.make(true)
  const outcomes = new Map<string, number>()
  let sent = 0
  let failed = 0
  const writer = Effect.gen(function*() {
    while (yield* Ref.get(running)) {
      const { id, name, price, quantity } = itemOf(sent++)
      yield* client`INSERT INTO effect_scylla_demo.items (id, name, quantity, price) VALUES (${id}, ${name}, ${quantity}, ${price})`
        .with({ idempotent: settings.idempotent }).pipe(
          Effect.catchTag("CqlError", (error: CqlError.CqlError) =>
            Effect.sync(() => {
              failed++
              const key = `${error.outcome ?? "read"} (${error.reason._tag})`
              outcomes.set(key, (outcomes.get(key) ?? 0) + 1)
            }))
        )
      if (sent % 64 === 0) yield* Effect.sleep(1)
    }
  })
  const writers = yield* Effect.forkChild(
    Effect.all(Array.from({ length: 64 }, () => writer), { concurrency: "unbounded" })
  )
  const slots = (): string => {
    const node = client.shardAwareStats().nodes.find((node) => node.address === victim.address)
    return describe(node?.slots.map((slot) => slot.state) ?? [])
  }
  const show = (what: string): Effect.Effect<void> =>
    Effect.suspend(() =>
      Console.log(
        `  ${what.padEnd(34)} ${victim.address} ${slots()}   ${sent.toLocaleString("en-US")} writes, ${failed} failed`
      )
    )
  yield* show("before")
  yield* Effect.sleep("300 millis")
  yield* cluster.stop(1)
  yield* Effect.sleep("50 millis")
  yield* show("killed")
  yield* Effect.sleep("700 millis")
  yield* show("dead for 0.7 s, writes go on")
  yield* cluster.start(1)
  const [back] = yield* Effect.timed(Effect.timeout(client.awaitConnected, "30 seconds"))
  yield* show(`all shards back after ${Duration.toMillis(back).toFixed(0)} ms`)
  yield* Effect.sleep("300 millis")
  yield* Ref.set(running, false)
  yield* Fiber.join(writers)
  yield* show("after")
  if (settings.idempotent) {
    if (failed > 0) return yield* Effect.die(new Error(`${failed} writes failed: ${JSON.stringify([...outcomes])}`))
    yield* Console.log(
      "  no request failed: the writes are marked idempotent, so those cut off were sent again to another replica"
    )
  } else {
    yield* Console.log("  writes not marked idempotent are never sent twice; those that were cut off are reported:")
    for (const [outcome, count] of outcomes) yield* Console.log(`    ${count} × ${outcome}`)
    if (failed === 0) yield* Console.log("    none was in flight at that moment")
  }
})

/** On a simulated cluster: all of it. */
export const onSimulated = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster, settings: Settings) {
  const client = yield* CqlClient.make({ contactPoints: cluster.contactPoints })
  const [filled] = yield* Effect.timed(client.awaitConnected)
  const { nodes } = client.shardAwareStats()
  yield* Console.log(
    `  ${nodes.length} nodes × ${nodes[0]?.nrShards} shards: one connection to every core (${
      Duration.toMillis(filled).toFixed(0)
    } ms)`
  )
  yield* createSchema(client)
  yield* cluster.resetStats
  yield* heading("Writing and reading")
  yield* writeAndRead(client, settings)
  yield* heading("Where requests landed")
  yield* simulatedShare(cluster)
  yield* heading("A node dies and comes back")
  yield* killAndReturn(client, cluster, settings)
})

/** On a real cluster: the same without the killing. */
export const onContactPoints = Effect.fnUntraced(function*(client: CqlClient.CqlClient, settings: Settings) {
  yield* Effect.timeoutOption(client.awaitConnected, "10 seconds")
  const { clusterName, datacenter, local } = client.cluster()
  yield* Console.log(
    `  cluster ${clusterName}, datacenter ${datacenter}: ${local.length} nodes, ${
      client.isShardAware() ? "shard-aware" : "no shards (token-aware)"
    }`
  )
  const drop = client.execute(`DROP KEYSPACE IF EXISTS ${KEYSPACE}`)
  yield* Effect.onError(
    Effect.gen(function*() {
      const measured = yield* createSchema(client)
      yield* heading("Writing and reading")
      yield* writeAndRead(client, settings)
      yield* heading("Where requests went")
      yield* clientShare(client, measured)
    }),
    // Also when it is stopped halfway.
    () => Effect.ignore(drop)
  )
  yield* drop
})
