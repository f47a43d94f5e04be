/** Nodes that are not reached where they say they are. */
import { type AddressTranslator, CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { forwarding } from "./support/forwarding.ts"
import { type ClientOptions, passing } from "./support/world.ts"

const TUNNEL = "10.9.9.9:5555"

/** A cluster, of which each node is reached at one address only. */
const setup = (
  options: SimulatedCluster.Options,
  routes: (cluster: SimulatedCluster.SimulatedCluster) => (to: string) => string | undefined,
  clientOptions: (cluster: SimulatedCluster.SimulatedCluster) => ClientOptions
) =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ shards: 2, transport: "memory", ...options })
    const dialled: Array<string> = []
    const route = routes(cluster)
    const transport = forwarding(cluster.transport, (to) => {
      dialled.push(to)
      return route(to)
    })
    const connect = Effect.provideService(
      CqlClient.make({ contactPoints: [TUNNEL], shutdownTimeout: 0, ...clientOptions(cluster) }),
      Transport.Transport,
      transport
    )
    return { cluster, dialled, connect }
  })

const at = (cluster: SimulatedCluster.SimulatedCluster, index: number) =>
  `${cluster.nodes[index]!.address}:${cluster.port}`

/** Where the client has connections. */
const up = (cql: CqlClient.CqlClient) =>
  cql.cluster().local.flatMap(({ address, pool, port }) => pool?.isUp ? [`${address}:${port}`] : []).sort()

describe("a node that is reached elsewhere", () => {
  it.effect("one node behind a forwarded port: it is dialled where the contact point led", () =>
    Effect.gen(function*() {
      const { cluster, connect, dialled } = yield* setup(
        { nodes: 1 },
        (cluster) => (to) => to === TUNNEL ? at(cluster, 0) : undefined,
        () => ({})
      )
      const cql = yield* passing(connect)
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual(up(cql), [TUNNEL])
      assert.strictEqual(cql.cluster().local[0]!.rpcAddress, cluster.nodes[0]!.address)
      yield* passing(cql.execute(
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"
      ))
      yield* passing(cql.execute("CREATE TABLE ks.t (id int PRIMARY KEY)"))
      yield* passing(cql.execute("INSERT INTO ks.t (id) VALUES (?)", [1]))
      // Its own address and its shard-aware port are behind the same door, and nobody knocks there.
      assert.deepStrictEqual([...new Set(dialled)], [TUNNEL])
      // And again when it comes back.
      yield* cluster.stop(0)
      yield* TestClock.adjust("1 second")
      yield* cluster.start(0)
      yield* TestClock.adjust("30 seconds")
      yield* passing(cql.execute("INSERT INTO ks.t (id) VALUES (?)", [2]))
      assert.deepStrictEqual([...new Set(dialled)], [TUNNEL])
    }))

  it.effect("the others are dialled where they say, at the usual port", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* setup(
        { nodes: 3 },
        (cluster) => (to) => to === TUNNEL ? at(cluster, 0) : to === at(cluster, 1) ? to : undefined,
        (cluster) => ({ port: cluster.port })
      )
      const cql = yield* passing(connect)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(up(cql), [TUNNEL, at(cluster, 1)].sort())
      // The control connection goes to the other one, and the first is still where it was reached.
      yield* cluster.stop(0)
      yield* TestClock.adjust("5 seconds")
      yield* cluster.start(0)
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(up(cql), [TUNNEL, at(cluster, 1)].sort())
    }))

  /** Port 5555 leads to node 0, 5556 to node 1, 5557 to node 2. */
  const mapped = (cluster: SimulatedCluster.SimulatedCluster) => (to: string) => {
    const port = Number(/^10\.9\.9\.9:(\d+)$/.exec(to)?.[1])
    return port >= 5555 && port < 5558 ? at(cluster, port - 5555) : undefined
  }

  const translators: Readonly<
    Record<string, (cluster: SimulatedCluster.SimulatedCluster) => AddressTranslator.AddressTranslator>
  > = {
    "by the address": (cluster) => ({ address }) => ({
      address: "10.9.9.9",
      port: 5555 + cluster.nodes.findIndex((node) => node.address === address)
    }),
    "by the host id": (cluster) => ({ hostId }) =>
      `10.9.9.9:${5555 + cluster.nodes.findIndex((node) => node.hostId.toString() === hostId)}`,
    "with a promise": (cluster) => async ({ address }) =>
      `10.9.9.9:${5555 + cluster.nodes.findIndex((node) => node.address === address)}`,
    "with an effect": (cluster) => ({ address }) =>
      Effect.succeed(`10.9.9.9:${5555 + cluster.nodes.findIndex((node) => node.address === address)}`)
  }
  for (const [name, translator] of Object.entries(translators)) {
    it.effect(`a translator says where, ${name}`, () =>
      Effect.gen(function*() {
        const { connect, dialled } = yield* setup({ nodes: 3 }, mapped, (cluster) => ({
          addressTranslator: translator(cluster)
        }))
        const cql = yield* passing(Effect.tap(connect, (cql) => cql.awaitConnected))
        assert.deepStrictEqual(up(cql), ["10.9.9.9:5555", "10.9.9.9:5556", "10.9.9.9:5557"])
        assert.isTrue(dialled.every((to) => to.startsWith("10.9.9.9:")))
      }))
  }

  it.effect("a translator is not asked again of a node that is reached and tells the same", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const { cluster, connect } = yield* setup(
        { nodes: 2 },
        () => (to) => to.startsWith("10.9.9.9") ? "127.0.0.1:9042" : to,
        () => ({
          port: 9042,
          refreshInterval: "3 seconds",
          addressTranslator: ({ address }) => {
            asked.push(address)
            return undefined
          }
        })
      )
      const cql = yield* passing(Effect.tap(connect, (cql) => cql.awaitConnected))
      const before = asked.length
      yield* passing(Effect.sleep("20 seconds"))
      assert.strictEqual(asked.length, before)
      yield* cluster.stop(1)
      yield* passing(Effect.sleep("20 seconds"))
      assert.isAbove(asked.length, before)
      assert.deepStrictEqual(new Set(asked.slice(before)), new Set(["127.0.0.2"]))
      yield* cluster.start(1)
      yield* passing(cql.awaitConnected)
    }))

  it.effect("a translator that fails, or answers nonsense: a warning, and the node is dialled where it says", () =>
    Effect.gen(function*() {
      const answers: ReadonlyArray<AddressTranslator.AddressTranslator> = [
        () => Effect.fail("no such node"),
        async () => {
          throw new Error("no such node")
        },
        () => {
          throw new Error("no such node")
        },
        () => "a:b:c",
        () => ({ address: "10.0.0.1", port: 70_000 }),
        () => 42 as never
      ]
      for (const addressTranslator of answers) {
        const lines: Array<string> = []
        const log = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
        const { cluster, connect } = yield* setup(
          { nodes: 1 },
          (cluster) => (to) => to === TUNNEL ? at(cluster, 0) : to,
          (cluster) => ({ addressTranslator, port: cluster.port })
        )
        const cql = yield* passing(Effect.provide(connect, log))
        // The contact point led there: that is known without anybody's help.
        assert.deepStrictEqual(up(cql), [TUNNEL])
        const warnings = lines.filter((line) => line.includes("addressTranslator of"))
        assert.strictEqual(warnings.length, 1, lines.join("\n"))
        assert.include(warnings[0], `${cluster.nodes[0]!.address}:`)
      }
    }))

  it.effect("nobody can be reached: both addresses and the option are named", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* setup(
        { datacenters: [{ name: "here", nodes: 1 }, { name: "there", nodes: 1 }] },
        (cluster) => (to) => to === TUNNEL ? at(cluster, 0) : undefined,
        () => ({ localDatacenter: "there" })
      )
      const { message, reason } = yield* Effect.flip(passing(connect))
      assert.strictEqual(reason._tag, "NoNodeAvailable")
      for (const part of [TUNNEL, cluster.nodes[1]!.address, "addressTranslator"]) assert.include(message, part)
    }))

  it.effect("a node that moves is dialled where it says it is now", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* setup(
        { nodes: 2 },
        (cluster) => (to) => to === TUNNEL ? at(cluster, 0) : to,
        (cluster) => ({ port: cluster.port })
      )
      const cql = yield* passing(Effect.tap(connect, (cql) => cql.awaitConnected))
      assert.include(up(cql), TUNNEL)
      yield* cluster.relocate(0, "127.0.0.77")
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(up(cql), [at(cluster, 0), at(cluster, 1)].sort())
    }))

  it.effect("an address that leads to the nodes in turn: each is dialled where it says", () =>
    Effect.gen(function*() {
      let turn = 0
      const { cluster, connect } = yield* setup(
        { nodes: 2 },
        (cluster) => (to) => to === TUNNEL ? at(cluster, turn++ % 2) : to,
        (cluster) => ({ port: cluster.port })
      )
      const cql = yield* passing(connect)
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(up(cql), [at(cluster, 0), at(cluster, 1)].sort())
    }))
})
