/** All parts in one layer, on simulated clusters in memory. */
import { AlternatorClient, AlternatorNodes } from "@effect-scylla/alternator"
import { CqlClient } from "@effect-scylla/driver"
import * as Driver from "@effect-scylla/driver/Driver"
import { ConnectLimiter, Transport as CqlTransport } from "@effect-scylla/pool"
import { DEngineAdapter, RaftClient, Transport } from "@effect-scylla/raft-client"
import { SimulatedCluster } from "@effect-scylla/testkit"
import * as AlternatorSimulation from "@effect-scylla/testkit/AlternatorSimulation"
import * as RaftSimulatedTransport from "@effect-scylla/testkit/RaftSimulatedTransport"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  Config,
  ConfigProvider,
  Context,
  Effect,
  Exit,
  Fiber,
  Layer,
  Metric,
  Option,
  Schema,
  Scope
} from "effect"
import { forwarding } from "./support/forwarding.ts"
import { clientOf, passing, settle } from "./support/world.ts"

const simulation = AlternatorSimulation.make({ nodes: [{ host: "10.9.0.1" }, { host: "10.9.0.2" }] })

/** The one line that puts the composition on simulated clusters. */
const simulated = Layer.mergeAll(
  SimulatedCluster.layerMemory({ nodes: 2, shards: 2 }),
  simulation.layer,
  Layer.effect(Transport.Transport, Effect.flatMap(RaftSimulator.make(), RaftSimulatedTransport.make))
)

const cql = { contactPoints: ["127.0.0.1"] }
const alternator = { seeds: ["10.9.0.1"] }
const raft = { endpoints: ["node1:9081", "node2:9082"], adapter: DEngineAdapter.make() }

const build = <R, E, RIn>(layer: Layer.Layer<R, E, RIn>) =>
  Effect.flatMap(Effect.scope, (scope) => Layer.buildWithScope(layer, scope))

const wrongOf = <A, R>(effect: Effect.Effect<A, unknown, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    if (!(error instanceof Driver.DriverError)) throw error
    return { message: error.message, parts: error.reasons.map(({ part }) => part) }
  })

const from = (env: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

describe("Driver", () => {
  it.effect("gives the services of all parts, over simulated clusters by one more line", () =>
    Effect.gen(function*() {
      const built = yield* passing(
        build(Layer.provideMerge(Driver.layer({ cql, alternator, raft, shutdownTimeout: 0 }), simulated))
      )
      const rows = yield* passing(Context.get(built, CqlClient.CqlClient).execute("SELECT host_id FROM system.local"))
      assert.strictEqual(rows.rows.length, 1)
      const dynamo = Context.get(built, AlternatorClient.AlternatorClient)
      yield* passing(dynamo.putItem({ TableName: "t", Item: { id: "a" } }))
      const leader = Context.get(built, RaftClient.RaftClient)
      yield* passing(leader.put("k", "v"))
      const value = yield* passing(leader.get("k"))
      assert.strictEqual(new TextDecoder().decode(Option.getOrThrow(value)), "v")
    }))

  it.effect("reaches Alternator by the client routes of CQL, as the same hosts", () =>
    Effect.gen(function*() {
      const links = AlternatorSimulation.make({ nodes: [{ host: "n0.link" }, { host: "n1.link" }] })
      // What they list is how the nodes call themselves.
      for (const node of links.nodes) {
        node.localNodes = { status: 200, body: JSON.stringify(["127.0.0.1", "127.0.0.2"]) }
      }
      const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 1, transport: "memory" })
      const admin = yield* passing(clientOf(cluster))
      for (const { hostId, index } of cluster.nodes) {
        yield* passing(admin.execute(
          `INSERT INTO system.client_routes (connection_id, host_id, address, port, alternator_port) VALUES (?, ?, ?, ?, ?)`,
          ["a", hostId, `n${index}.link`, 7_000, 8_100 + index]
        ))
      }
      const transport = forwarding(cluster.transport, (to) => {
        const name = /^n(\d)\.link:7000$/.exec(to)
        return name === null ? to : `${cluster.nodes[Number(name[1])]!.address}:${cluster.port}`
      })
      const layer = Driver.layer({
        cql: { contactPoints: cluster.contactPoints, clientRoutes: { connectionIds: ["a"] } },
        alternator: { seeds: ["n0.link:8100"] },
        shutdownTimeout: 0
      })
      const built = yield* passing(
        build(Layer.provide(layer, Layer.merge(links.layer, Layer.succeed(CqlTransport.Transport, transport))))
      )
      const nodes = Context.get(built, AlternatorNodes.AlternatorNodes)
      yield* passing(nodes.awaitReady)
      yield* passing(Effect.sleep("3 seconds"))
      assert.deepStrictEqual(nodes.current().nodes.map(({ url }) => url), [
        "http://n0.link:8100",
        "http://n1.link:8101"
      ])
      assert.deepStrictEqual(
        Context.get(built, CqlClient.CqlClient).cluster().nodes.map(({ address }) => address).sort(),
        ["n0.link", "n1.link"]
      )
      assert.deepStrictEqual(links.strangers, [])
    }))

  it.effect("builds what is configured and nothing else", () =>
    Effect.gen(function*() {
      const built = yield* passing(build(Layer.provide(Driver.layer({ alternator }), simulated)))
      const services: Layer.Layer<
        Driver.Services<{ readonly alternator: typeof alternator }>,
        Driver.DriverError
      > = Driver.layer({ alternator })
      assert.isDefined(services)
      assert.isTrue(
        Context.getOption(built as Context.Context<never>, AlternatorClient.AlternatorClient)._tag === "Some"
      )
      assert.isTrue(Context.getOption(built as Context.Context<never>, CqlClient.CqlClient)._tag === "None")
      assert.isTrue(Context.getOption(built as Context.Context<never>, RaftClient.RaftClient)._tag === "None")
    }))

  it.effect("dials of all parts go through one gate, the one in force or one of its own", () =>
    Effect.gen(function*() {
      const dialled: Array<string> = []
      const own = ConnectLimiter.make()
      const gate = Layer.succeed(ConnectLimiter.ConnectLimiter, {
        ...own,
        limit: (node, dial) => Effect.andThen(Effect.sync(() => dialled.push(node)), own.limit(node, dial))
      })
      const layer = (limiter?: ConnectLimiter.Options) =>
        Driver.layer({ cql, raft, ...(limiter === undefined ? {} : { limiter }) })
      yield* passing(build(Layer.provide(layer(), Layer.merge(simulated, gate))))
      assert.isTrue(dialled.some((node) => node.startsWith("127.0.0.")), dialled.join())
      assert.isTrue(dialled.some((node) => node.startsWith("node")), dialled.join())
      const before = dialled.length
      yield* passing(build(Layer.provide(layer({ concurrency: 4 }), Layer.merge(simulated, gate))))
      assert.strictEqual(dialled.length, before)
    }))

  it.live("Alternator's own connections are dialled through the gate", () =>
    Effect.gen(function*() {
      const dialled: Array<string> = []
      const gate = Layer.succeed(ConnectLimiter.ConnectLimiter, {
        ...ConnectLimiter.make(),
        limit: (node, dial) => Effect.andThen(Effect.sync(() => dialled.push(node)), dial)
      })
      // Nobody listens on the discard port of loopback.
      const built = yield* build(
        Layer.provide(
          Driver.layer({ alternator: { seeds: ["127.0.0.1:9"], discovery: "static", maxAttempts: 1 } }),
          gate
        )
      )
      const error = yield* Effect.flip(Context.get(built, AlternatorClient.AlternatorClient).listTables({}))
      assert.strictEqual(error.reason._tag, "NodeUnreachable")
      assert.include(dialled, "127.0.0.1:9")
    }))

  it.effect("labels are on every metric of every part", () =>
    Effect.gen(function*() {
      const built = yield* passing(
        build(Layer.provide(Driver.layer({ cql, alternator, raft, labels: { service: "orders" } }), simulated))
      )
      yield* passing(Context.get(built, CqlClient.CqlClient).execute("SELECT host_id FROM system.local"))
      yield* passing(Context.get(built, AlternatorClient.AlternatorClient).listTables({}))
      yield* passing(Context.get(built, RaftClient.RaftClient).put("k", "v"))
      const ours = (yield* Metric.snapshot).filter(({ id }) => /^(cql|alternator|raft)_/.test(id))
      for (const id of ["cql_pool_dials_total", "alternator_attempts_total", "raft_client_probes_total"]) {
        assert.isTrue(ours.some((metric) => metric.id === id), id)
      }
      const bare = ours.filter(({ attributes }) => attributes?.["service"] !== "orders").map(({ id }) => id)
      assert.deepStrictEqual(bare, [])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("what is wrong with the common options is told with the rest", () =>
    Effect.gen(function*() {
      const { message, parts } = yield* wrongOf(
        build(
          Driver.layer({
            cql: { contactPoints: [] },
            raft,
            limiter: { concurrency: 0, rate: 0.5, burst: 1.5 },
            shutdownTimeout: "soon" as "1 second",
            labels: { service: 1 as unknown as string }
          })
        )
      )
      assert.deepStrictEqual(parts, ["configuration", "cql"])
      for (
        const field of ["limiter.concurrency", "limiter.burst", "shutdownTimeout", "labels.service", "contactPoints"]
      ) {
        assert.include(message, field)
      }
      assert.notInclude(message, "limiter.rate")
    }))

  it.effect("all parts end at the same time, each after what is under way", () =>
    Effect.gen(function*() {
      const raftCluster = yield* RaftSimulator.make()
      const transport = yield* RaftSimulatedTransport.make(raftCluster)
      const cqlCluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      // Undefined is as good as nothing: the common time counts.
      const options = { cql: { ...cql, shutdownTimeout: undefined }, raft: { ...raft, shutdownTimeout: undefined } }
      const layer = Layer.provide(
        Driver.layer({ ...options, shutdownTimeout: "3 seconds" }),
        Layer.merge(
          Layer.succeed(CqlTransport.Transport, cqlCluster.transport),
          Layer.succeed(Transport.Transport, transport)
        )
      )
      const scope = yield* Scope.make()
      const built = yield* passing(Layer.buildWithScope(layer, scope))
      yield* cqlCluster.intercept(() => ({ _tag: "Ignore" }))
      for (const node of raftCluster.nodes) node.script("HandleClientWrite", "silence", 100)
      const start = { startImmediately: true } as const
      const query = yield* Effect.forkChild(
        Effect.flip(Context.get(built, CqlClient.CqlClient).execute("SELECT host_id FROM system.local")),
        start
      )
      const write = yield* Effect.forkChild(
        Effect.flip(Context.get(built, RaftClient.RaftClient).put("k", "v", { timeout: "1 minute" })),
        start
      )
      yield* settle
      const before = yield* Clock.currentTimeMillis
      yield* passing(Scope.close(scope, Exit.void))
      const took = (yield* Clock.currentTimeMillis) - before
      assert.isAtLeast(took, 2_900)
      // One after the other they would take six seconds.
      assert.isAtMost(took, 4_000)
      assert.strictEqual((yield* Fiber.join(write)).outcome, "Ambiguous")
      assert.isTrue((yield* Fiber.join(query))._tag === "CqlError")
    }))

  it.effect("wrong options of all parts are one error, and nobody is asked", () =>
    Effect.gen(function*() {
      const { message, parts } = yield* wrongOf(
        build(
          Driver.layer({
            cql: { contactPoints: [], pageSize: -1 },
            alternator: { seeds: ["ftp://10.9.0.1"] },
            raft: { endpoints: ["http://node1"], adapter: DEngineAdapter.make() }
          })
        )
      )
      assert.deepStrictEqual(parts, ["cql", "alternator", "raft"])
      for (const field of ["contactPoints", "pageSize", "seeds", "endpoints"]) assert.include(message, field)
    }))

  it.effect("a part that cannot be reached ends the others", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const limiter = { concurrency: 4 }
      const layer = Driver.layer({ cql: { contactPoints: ["10.77.0.1"] }, alternator, raft, limiter })
      const failed = yield* passing(wrongOf(Layer.buildWithScope(Layer.provide(layer, simulated), scope)))
      assert.deepStrictEqual(failed.parts, ["cql"])
      yield* passing(Scope.close(scope, Exit.void))
      assert.strictEqual(simulation.underWay(), 0)
    }))

  it.effect("when a part fails late, those that were built before are gone at once, not with the caller's scope", () =>
    Effect.gen(function*() {
      const inner = yield* Effect.flatMap(RaftSimulator.make(), RaftSimulatedTransport.make)
      let open = 0
      let opened = 0
      const counting: Transport.Transport = {
        open: (address, options) => {
          const channel = inner.open(address, options)
          open++
          opened++
          let closed = false
          const close = () => {
            if (!closed) open--
            closed = true
            channel.close()
          }
          return { ...channel, close }
        }
      }
      const layer = Layer.provide(
        Driver.layer({ cql: { contactPoints: ["10.77.0.1"] }, alternator, raft }),
        Layer.mergeAll(
          SimulatedCluster.layerMemory({ nodes: 1 }),
          simulation.layer,
          Layer.succeed(Transport.Transport, counting)
        )
      )
      const failed = yield* passing(wrongOf(build(layer)))
      assert.deepStrictEqual(failed.parts, ["cql"])
      assert.isAbove(opened, 0)
      assert.strictEqual(open, 0)
    }))

  it.effect("options come from the configuration; all that cannot be read is in one error", () =>
    Effect.gen(function*() {
      const options = {
        cql: { contactPoints: Config.Array(Schema.String, "CQL_NODES"), pageSize: Config.Int("CQL_PAGE") },
        alternator: { seeds: Config.Array(Schema.String, "ALTERNATOR_SEEDS") },
        shutdownTimeout: Config.Duration("SHUTDOWN")
      }
      const { message, parts } = yield* wrongOf(
        from({ CQL_PAGE: "many", SHUTDOWN: "soon" })(build(Driver.layerConfig(options)))
      )
      assert.deepStrictEqual(parts, ["configuration", "alternator"])
      for (const field of ["cql.contactPoints", "cql.pageSize", "alternator: ", "seeds", "shutdownTimeout"]) {
        assert.include(message, field)
      }
      const env = {
        CQL_NODES: "127.0.0.1",
        CQL_PAGE: "100",
        ALTERNATOR_SEEDS: "10.9.0.1,10.9.0.2",
        SHUTDOWN: "0 seconds"
      }
      const built = yield* passing(from(env)(build(Layer.provide(Driver.layerConfig(options), simulated))))
      assert.strictEqual(Context.get(built, AlternatorClient.AlternatorClient).nodes.current().nodes.length, 2)
    }))

  it.effect("from the environment by each part's own names, and everything that is wrong at once", () =>
    Effect.gen(function*() {
      const all = Driver.layerConfig({ cql: {}, alternator: {}, raft: {} })
      const { message, parts } = yield* wrongOf(
        from({ CQL_PORT: "x", ALTERNATOR_PORT: "y", RAFT_TIMEOUT: "z" })(build(all))
      )
      assert.deepStrictEqual(parts, ["configuration", "alternator", "raft"])
      for (
        const name of [
          "CQL_CONTACT_POINTS",
          "CQL_PORT",
          "ALTERNATOR_SEEDS",
          "ALTERNATOR_PORT",
          "RAFT_ENDPOINTS",
          "RAFT_TIMEOUT"
        ]
      ) {
        assert.include(message, name)
      }
    }))
})
