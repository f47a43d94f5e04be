/** Found for issue 17: client routes. */
import { CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { forwarding } from "../support/forwarding.ts"
import { clientOf, type ClientOptions, passing } from "../support/world.ts"

const LINK = "10.9.9.9:5555"
const TABLE = "system.client_routes"

const setup = (routed: ReadonlyArray<number> = [0, 1, 2], more: ClientOptions = {}) =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 1, transport: "memory" })
    const admin = yield* passing(clientOf(cluster))
    const route = (link: string, node: number, address: string, port: number | null) =>
      passing(admin.execute(
        `INSERT INTO ${TABLE} (connection_id, host_id, address, port) VALUES (?, ?, ?, ?)`,
        [link, cluster.nodes[node]!.hostId, address, port]
      ))
    for (const node of routed) yield* route("a", node, `n${node}.link`, 7_000 + node)
    const names = new Map([[LINK, 0], ...[0, 1, 2].map((node) => [`n${node}.link:${7_000 + node}`, node] as const)])
    const dialled: Array<string> = []
    const transport = forwarding(cluster.transport, (to) => {
      dialled.push(to)
      const node = names.get(to)
      return node === undefined ? undefined : `${cluster.nodes[node]!.address}:${cluster.port}`
    })
    const cql = yield* passing(Effect.provideService(
      CqlClient.make({
        contactPoints: [LINK],
        shutdownTimeout: 0,
        refreshInterval: false,
        clientRoutes: { connectionIds: ["a"] },
        ...more
      }),
      Transport.Transport,
      transport
    ))
    yield* passing(cql.awaitConnected)
    return { cluster, cql, dialled, names, route }
  })

describe("client routes", () => {
  // cluster.ts, `apply`: another `servername` is not `same`, so that the pool of a node that is the same one is closed and another one made,
  // all of them at once where a link is made anew; README: "A node is its host id: at another address it keeps its pool".
  it.effect("that get other names at once: nodes keep their pools", () =>
    Effect.gen(function*() {
      const { cql, names, route } = yield* setup()
      const pools = new Map(cql.cluster().nodes.map(({ hostId, pool }) => [hostId, pool]))
      for (const node of [0, 1, 2]) names.set(`m${node}.link:${7_000 + node}`, node)
      for (const node of [0, 1, 2]) yield* route("a", node, `m${node}.link`, 7_000 + node)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(cql.cluster().nodes.map(({ address }) => address).sort(), [
        "m0.link",
        "m1.link",
        "m2.link"
      ])
      for (const { hostId, pool } of cql.cluster().nodes) assert.strictEqual(pool, pools.get(hostId))
    }))

  // cluster.ts, `open`: all members are tried for a control connection, also those that have no route, at the address that they tell and the
  // default port. ClientRoutes.ts: "All nodes are reached by their routes, or none: one without a route on these links is not asked".
  it.effect("are the only way of the control connection, too", () =>
    Effect.gen(function*() {
      const { cluster, dialled } = yield* setup([0, 1])
      dialled.length = 0
      yield* cluster.stop(0)
      yield* cluster.stop(1)
      yield* TestClock.adjust("10 seconds")
      assert.isAbove(dialled.length, 0)
      assert.deepStrictEqual([...new Set(dialled)].filter((to) => !/link:/.test(to) && to !== LINK), [])
    }))
})
