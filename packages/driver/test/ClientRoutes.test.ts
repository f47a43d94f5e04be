/** Nodes that are reached by private links, and by nothing else. */
import { type ClientRoutes, CqlClient } from "@effect-scylla/driver"
import { type Connection, Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { RowDecoders } from "../../protocol/src/RowDecoder.ts"
import * as Routes from "../src/internal/routes.ts"
import { forwarding } from "./support/forwarding.ts"
import { clientOf, type ClientOptions, passing, withoutEvents } from "./support/world.ts"

const LINK = "10.9.9.9:5555"
const TABLE = "system.client_routes"

/** Node `i` is at `n<i>.link:700<i>` by the link `a`, and nowhere else; routes are those of `routed`. */
const setup = (routed: ReadonlyArray<number>, more: ClientOptions = {}) =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory" })
    const admin = yield* passing(clientOf(cluster))
    const route = (link: string, node: number, address: string, port: number | null, tlsPort: number | null = null) =>
      passing(admin.execute(
        `INSERT INTO ${TABLE} (connection_id, host_id, address, port, tls_port) VALUES (?, ?, ?, ?, ?)`,
        [link, cluster.nodes[node]!.hostId, address, port, tlsPort]
      ))
    for (const node of routed) yield* route("a", node, `n${node}.link`, 7_000 + node)
    /** Names as they lead somewhere now. */
    const names = new Map([[LINK, 0], ...routed.map((node) => [`n${node}.link:${7_000 + node}`, node] as const)])
    const dialled: Array<string> = []
    const transport = forwarding(cluster.transport, (to) => {
      dialled.push(to)
      const node = names.get(to)
      return node === undefined ? undefined : `${cluster.nodes[node]!.address}:${cluster.port}`
    })
    const connect = Effect.provideService(
      CqlClient.make({
        contactPoints: [LINK],
        shutdownTimeout: 0,
        refreshInterval: false,
        clientRoutes: { connectionIds: ["a"] },
        ...more
      }),
      Transport.Transport,
      transport
    )
    return { admin, cluster, connect, dialled, names, route }
  })

const places = (cql: CqlClient.CqlClient) =>
  cql.cluster().nodes.map(({ address, pool, port }) => pool === undefined ? "none" : `${address}:${port}`).sort()

describe("client routes", () => {
  it.effect("all nodes are reached by their links, whose names are dialled as they are, on no other port", () =>
    Effect.gen(function*() {
      const { cluster, connect, dialled } = yield* setup([0, 1, 2])
      const cql = yield* passing(connect)
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual(places(cql), ["n0.link:7000", "n1.link:7001", "n2.link:7002"])
      assert.isTrue(dialled.every((to) => to === LINK || /^n(\d)\.link:700\1$/.test(to)), dialled.join())
      assert.deepStrictEqual(
        (yield* passing(cql.execute(`SELECT port FROM ${TABLE} WHERE connection_id = 'a'`))).rows.length,
        3
      )
      // The control connection goes by them, too, when it is lost.
      dialled.length = 0
      yield* cluster.stop(0)
      yield* TestClock.adjust("2 seconds")
      for (let i = 0; i < 20; i++) yield* TestClock.adjust("100 millis")
      assert.isTrue(dialled.some((to) => to.startsWith("n1.") || to.startsWith("n2.")))
      yield* passing(
        cql.execute("CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
      )
    }))

  it.effect("a link that is made anew is found when the server tells of it; links of others are nobody's business", () =>
    Effect.gen(function*() {
      const { connect, names, route } = yield* setup([0, 1, 2])
      const cql = yield* passing(connect)
      yield* passing(cql.awaitConnected)
      names.set("new.link:7100", 1)
      const before = cql.cluster()
      yield* route("other", 1, "other.link", 7_300)
      yield* passing(Effect.sleep("5 seconds"))
      assert.strictEqual(cql.cluster(), before)
      yield* route("a", 1, "new.link", 7_100)
      yield* passing(Effect.sleep("5 seconds"))
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual(places(cql), ["n0.link:7000", "n2.link:7002", "new.link:7100"])
    }))

  it.effect("one of which nobody tells is found by the next look at the cluster", () =>
    Effect.gen(function*() {
      const { cluster, connect, names, route } = yield* setup([0, 1, 2], { refreshInterval: "1 minute" })
      yield* withoutEvents(cluster)
      const cql = yield* passing(connect)
      yield* passing(cql.awaitConnected)
      names.set("new.link:7100", 1)
      yield* route("a", 1, "new.link", 7_100)
      yield* passing(Effect.sleep("80 seconds"))
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual(places(cql), ["n0.link:7000", "n2.link:7002", "new.link:7100"])
    }))

  it.effect("a node without a route is not asked, and a warning says so; of two links the first counts", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const { connect, names, route } = yield* setup([0, 1], {
        clientRoutes: { connectionIds: ["b", "a"] }
      })
      names.set("b1.link:7201", 1)
      yield* route("b", 1, "b1.link", 7_201)
      const cql = yield* Effect.provide(passing(connect), Logger.layer([logger]))
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual(places(cql), ["b1.link:7201", "n0.link:7000", "none"])
      assert.isTrue(lines.some((line) => line.includes("127.0.0.3 has no client route")), lines.join("\n"))
    }))

  it.effect("of links that lead to no node nothing can be had, and the error says where to look", () =>
    Effect.gen(function*() {
      const { connect } = yield* setup([0, 1, 2], { clientRoutes: { connectionIds: ["other"] } })
      const error = yield* passing(Effect.flip(connect))
      assert.strictEqual(error.reason._tag, "NoNodeAvailable")
      assert.include(
        error.message,
        "no node of the datacenter datacenter1 has a route by other in system.client_routes"
      )
      // A server that has no such table, and another name for it.
      const table = "ks.routes"
      const { connect: without } = yield* setup([0], { clientRoutes: { connectionIds: ["a"], table } })
      assert.include((yield* passing(Effect.flip(without))).message, "ks.routes: check clientRoutes.connectionIds")
    }))

  it.effect("the port is that for TLS where there is TLS, and the name is what a certificate is for", () =>
    Effect.gen(function*() {
      const texts: Array<string> = []
      const connection = {
        features: { isScylla: false },
        request: ({ query }: { readonly query: string }) => {
          texts.push(query)
          return Effect.succeed({
            response: {
              _tag: "Rows",
              rows: [
                {
                  connection_id: "it's",
                  host_id: "h1",
                  address: "one.link",
                  port: 1,
                  tls_port: 2,
                  alternator_port: 8_000,
                  alternator_https_port: 8_043
                },
                { connection_id: "it's", host_id: "h2", address: "10.0.0.1", port: 3, tls_port: null },
                { connection_id: "it's", host_id: "h3", address: null, port: 4, tls_port: 5 }
              ]
            }
          })
        }
      } as unknown as Connection.Connection
      const routes: ClientRoutes.ClientRoutes = { connectionIds: ["it's"], isTransparent: true }
      const read = (isTls: boolean) =>
        Effect.map(Routes.read(connection, new RowDecoders(), routes, isTls), (found) => [...found])
      const one = { host: "one.link", port: 8_000, httpsPort: 8_043 }
      assert.deepStrictEqual(yield* read(true), [
        ["h1", { address: "one.link", port: 2, servername: "one.link", isIndirect: false, alternator: one }]
      ])
      assert.deepStrictEqual(yield* read(false), [
        ["h1", { address: "one.link", port: 1, servername: "one.link", isIndirect: false, alternator: one }],
        ["h2", {
          address: "10.0.0.1",
          port: 3,
          servername: undefined,
          isIndirect: false,
          alternator: { host: "10.0.0.1", port: undefined, httpsPort: undefined }
        }]
      ])
      assert.include(texts[0]!, "WHERE connection_id IN ('it''s')")
    }))

  it.effect("wrong options are refused together", () =>
    Effect.gen(function*() {
      const wrong = { connectionIds: [], table: "x; DROP" }
      const error = yield* Effect.flip(
        CqlClient.make({ contactPoints: ["127.0.0.1"], clientRoutes: wrong, addressTranslator: () => undefined })
      )
      assert.isTrue(error.reason._tag === "InvalidConfiguration")
      const paths = error.reason._tag === "InvalidConfiguration" ? error.reason.issues.map(({ path }) => path) : []
      assert.deepStrictEqual(paths, ["clientRoutes.connectionIds", "clientRoutes.table", "addressTranslator"])
    }))
})
