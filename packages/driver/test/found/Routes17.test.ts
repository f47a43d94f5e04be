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

const setup = (more: ClientOptions = {}) =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 1, transport: "memory" })
    const admin = yield* passing(clientOf(cluster))
    const route = (link: string, node: number, address: string, port: number | null) =>
      passing(admin.execute(
        `INSERT INTO ${TABLE} (connection_id, host_id, address, port) VALUES (?, ?, ?, ?)`,
        [link, cluster.nodes[node]!.hostId, address, port]
      ))
    for (const node of [0, 1, 2]) yield* route("a", node, `n${node}.link`, 7_000 + node)
    const names = new Map([[LINK, 0], ...[0, 1, 2].map((node) => [`n${node}.link:${7_000 + node}`, node] as const)])
    const transport = forwarding(cluster.transport, (to) => {
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
    return { cql, names, route }
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
})
