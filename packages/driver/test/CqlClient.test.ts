/** The client on a simulated cluster in memory, under the test clock. */
import { CqlClient, type CqlError } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { passing, settle, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const isData = (opcode: number): boolean => opcode === Frame.Opcode.EXECUTE
const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })

describe("requests", () => {
  it.effect("land on the owning shard", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      const ids = Array.from({ length: 200 }, (_, i) => new Uuid.Uuid(i, i, i, i))
      yield* passing(Effect.forEach(ids, (id) => cql.execute(insert, [id, 1]), { concurrency: 16 }))
      const stats = yield* cluster.stats
      assert.strictEqual(stats.misrouted, 0)
      assert.strictEqual(stats.owned, 200)
      assert.isTrue(cql.isShardAware())
      assert.strictEqual(cql.shardAwareStats().routing.otherShard, 0)
    }))

  it.effect("a value is a description: evaluated twice it is two requests", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      const id = Uuid.random()
      yield* passing(cql.execute(INSERT, [id, 7]))
      yield* cluster.resetStats
      const request = cql.execute(select, [id])
      yield* passing(Effect.all([request, request], { concurrency: 2 }))
      const again = yield* passing(request)
      assert.deepStrictEqual(again.rows, [{ id, v: 7 }])
      assert.strictEqual((yield* cluster.stats).requests, 3)
    }))

  it.effect("a text with values is prepared once, however many ask at once", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      yield* cluster.resetStats
      yield* passing(
        Effect.forEach(
          Array.from({ length: 50 }, (_, i) => i),
          (v) => cql`INSERT INTO ks.t (id, v) VALUES (${Uuid.random()}, ${v})`,
          { concurrency: "unbounded" }
        )
      )
      const stats = yield* cluster.stats
      assert.strictEqual(stats.prepares, 1)
      assert.strictEqual(stats.owned, 50)
    }))

  it.effect("a node that has forgotten a statement is taught it again, once", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 }, { prepareEverywhere: false })
      const select = yield* passing(cql.prepare(SELECT))
      yield* passing(cql.execute(select, [Uuid.random()]))
      yield* cluster.stop(0)
      // The client hears of it before the node is back.
      yield* settle
      yield* cluster.start(0)
      yield* passing(cql.awaitConnected)
      yield* cluster.resetStats
      yield* passing(
        Effect.forEach(Array.from({ length: 20 }), () => cql.execute(select, [Uuid.random()]), { concurrency: 20 })
      )
      const stats = yield* cluster.stats
      assert.strictEqual(stats.prepares, 1)
      assert.strictEqual(stats.misrouted, 0)
    }))

  it.effect("a node that cannot be taught a statement is passed over", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      // Known to one node of three.
      const select = yield* passing(cql.prepare(SELECT))
      const insert = yield* passing(cql.prepare(INSERT))
      yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.PREPARE ? { _tag: "Close" } : undefined)
      for (let i = 0; i < 6; i++) {
        yield* passing(cql.execute(select, [Uuid.random()]))
        // Nothing was written by the node that did not know it: not even a write without idempotence is in doubt.
        yield* passing(cql.execute(insert, [Uuid.random(), i]))
      }
    }))

  it.effect("an interrupted prepare goes on for the others who wait for it", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.PREPARE ? { _tag: "Delay", millis: 1000 } : undefined
      )
      const first = yield* Effect.forkChild(cql.prepare(SELECT), { startImmediately: true })
      const second = yield* Effect.forkChild(cql.prepare(SELECT), { startImmediately: true })
      yield* settle
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("2 seconds")
      const prepared = yield* Fiber.join(second)
      assert.strictEqual(prepared.text, SELECT)
      assert.deepStrictEqual(prepared.partitionKey, [0])
    }))

  it.effect("a server that never answers: the deadline holds for the whole request, the outcome is Ambiguous", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      yield* cluster.intercept(({ opcode }) => isData(opcode) ? { _tag: "Ignore" } : undefined)
      const fiber = yield* Effect.forkChild(Effect.flip(cql.execute(insert, [Uuid.random(), 1])), {
        startImmediately: true
      })
      yield* TestClock.adjust("11900 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("400 millis")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "RequestTimeout")
      assert.strictEqual(error.outcome, "Ambiguous")
    }))

  it.effect("Overloaded: an idempotent write goes to the next node with the same timestamp, another one fails", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      // Every node knows the statement, so that nothing but the data request is seen below.
      yield* passing(Effect.forEach(Array.from({ length: 30 }), () => cql.execute(insert, [Uuid.random(), 1])))
      const timestamps: Array<unknown> = []
      const nodes: Array<number> = []
      yield* cluster.intercept(({ node, opcode, request }) => {
        if (!isData(opcode) || request._tag !== "Execute") return undefined
        timestamps.push(request.options.timestamp)
        nodes.push(node)
        return nodes.length === 1 ? { _tag: "Error", error: overloaded } : undefined
      })
      yield* passing(cql.execute(insert, [Uuid.random(), 1], { idempotent: true }))
      assert.strictEqual(nodes.length, 2)
      assert.notStrictEqual(nodes[0], nodes[1])
      assert.isDefined(timestamps[0])
      assert.strictEqual(timestamps[0], timestamps[1])
      nodes.length = 0
      const not = { idempotent: false }
      const error = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 1], not)))
      assert.strictEqual(error.outcome, "Ambiguous")
      assert.strictEqual(error.reason._tag, "Overloaded")
      assert.strictEqual(nodes.length, 1)
    }))

  it.effect("the history of a request that failed everywhere names every attempt", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      yield* passing(Effect.forEach(Array.from({ length: 30 }), () => cql.execute(select, [Uuid.random()])))
      yield* cluster.intercept(({ opcode }) => isData(opcode) ? { _tag: "Error", error: overloaded } : undefined)
      const error = yield* passing(Effect.flip(cql.execute(select, [Uuid.random()])))
      assert.strictEqual(error.attempts?.length, 3)
      assert.strictEqual(new Set(error.attempts?.map((attempt) => attempt.node)).size, 3)
      assert.isTrue(error.attempts?.every((attempt) => attempt.sent && attempt.reason._tag === "Overloaded"))
      assert.isUndefined(error.outcome)
      assert.isTrue(error.isRetryable)
      assert.include(error.message, "after 3 attempts")
    }))

  it.effect("a connection that dies: reads go on elsewhere, a write is Ambiguous", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      const insert = yield* passing(cql.prepare(INSERT))
      yield* passing(Effect.forEach(Array.from({ length: 30 }), () => cql.execute(select, [Uuid.random()])))
      let closed = 0
      yield* cluster.intercept(({ opcode }) => isData(opcode) && closed++ === 0 ? { _tag: "Close" } : undefined)
      assert.deepStrictEqual((yield* passing(cql.execute(select, [Uuid.random()]))).rows, [])
      closed = 0
      const not = { idempotent: false }
      const error = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 1], not)))
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      assert.strictEqual(error.outcome, "Ambiguous")
      yield* passing(cql.awaitConnected)
    }))

  it.effect("conditional statements start at the primary replica and are not repeated", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const lwt = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?) IF NOT EXISTS"))
      yield* passing(Effect.forEach(Array.from({ length: 30 }), () => cql.execute(lwt, [Uuid.random(), 1])))
      const nodes: Array<number> = []
      yield* cluster.intercept(({ node, opcode }) => {
        if (isData(opcode)) nodes.push(node)
        return undefined
      })
      const id = Uuid.random()
      for (let i = 0; i < 5; i++) yield* passing(cql.execute(lwt, [id, i]))
      assert.strictEqual(new Set(nodes).size, 1)
      yield* cluster.intercept(({ opcode }) => isData(opcode) ? { _tag: "Error", error: overloaded } : undefined)
      const error = yield* passing(Effect.flip(cql.execute(lwt, [id, 9], { idempotent: true })))
      assert.strictEqual(error.attempts?.length, 1)
      assert.strictEqual(error.outcome, "Ambiguous")
    }))

  it.effect("wrong values fail before anything is sent, naming column and type", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare(INSERT))
      yield* cluster.resetStats
      const failing = (values: ReadonlyArray<unknown> | Record<string, unknown>) =>
        Effect.map(Effect.flip(cql.execute(insert, values)), (error: CqlError.CqlError) => error.message)
      assert.include(yield* failing(["nonsense", 1]), 'id: expected uuid, got string "nonsense"')
      assert.include(yield* failing([Uuid.random(), 2 ** 31]), "v: expected int")
      assert.include(yield* failing([Uuid.random(), undefined]), "v: expected int, got undefined")
      assert.include(yield* failing([1]), "the statement takes 2 values (id uuid, v int), got 1")
      assert.include(yield* failing({ id: Uuid.random() }), "v: no value for this variable of type int")
      assert.include(yield* failing({ id: Uuid.random(), v: 1, w: 2 }), 'the statement has no variable "w"')
      assert.strictEqual((yield* cluster.stats).requests, 0)
    }))

  it.effect("a bound value whose getter runs a query does not break the frame it is written into", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TYPE ks.pair (a int, b int)"))
      yield* passing(cql.execute("CREATE TABLE ks.pairs (id int PRIMARY KEY, p frozen<pair>)"))
      const insert = yield* passing(cql.prepare("INSERT INTO ks.pairs (id, p) VALUES (?, ?)"))
      const select = yield* passing(cql.prepare("SELECT p FROM ks.pairs WHERE id = ?"))
      const inner: Array<Fiber.Fiber<unknown, CqlError.CqlError>> = []
      const pair = {
        a: 1,
        get b() {
          inner.push(
            Effect.runFork(cql.execute(select, [1])),
            // On all connections, of which one is being written to.
            ...Array.from(
              { length: 30 },
              (_, i) => Effect.runFork(cql.prepare(`SELECT id FROM ks.pairs WHERE id = ? LIMIT ${i + 1}`))
            ),
            Effect.runFork(cql.execute("SELECT id, p FROM ks.pairs WHERE id = ?", [1]))
          )
          return 2
        }
      }
      yield* passing(cql.execute(insert, [1, pair]))
      for (const fiber of inner) yield* Fiber.join(fiber)
      assert.isAtLeast(inner.length, 3)
      assert.deepStrictEqual((yield* passing(cql.execute(select, [1]))).rows, [{ p: { a: 1, b: 2 } }])
    }))

  it.effect("a tracer gets a span for each request, nobody else pays for one", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span(options) {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      yield* passing(Effect.withTracer(cql.execute(select, [Uuid.random()]), tracer))
      assert.deepStrictEqual(spans.map((span) => span.name), ["SELECT ks.t"])
      assert.strictEqual(spans[0]!.attributes.get("db.query.text"), SELECT)
      assert.isDefined(spans[0]!.attributes.get("server.address"))
      // That of a request that failed has the node that was asked last, too.
      yield* Effect.flip(passing(Effect.withTracer(cql.execute("SELECT nothing FROM ks.t"), tracer)))
      assert.match(String(spans.at(-1)!.attributes.get("server.address")), /^127\.0\.0\.\d$/)
      assert.strictEqual(spans.at(-1)!.status._tag, "Ended")
    }))
})

describe("the cluster", () => {
  it.effect("a node dies and comes back: no read fails, its shards are dialled again", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      yield* cluster.stop(1)
      yield* passing(
        Effect.forEach(Array.from({ length: 100 }), () => cql.execute(select, [Uuid.random()]), { concurrency: 10 })
      )
      yield* cluster.start(1)
      yield* passing(cql.awaitConnected)
      yield* cluster.resetStats
      yield* passing(
        Effect.forEach(Array.from({ length: 90 }), () => cql.execute(select, [Uuid.random()]), { concurrency: 10 })
      )
      const stats = yield* cluster.stats
      assert.isAbove(stats.nodes[1]!.requests, 10)
      assert.strictEqual(stats.misrouted, 0)
    }))

  it.effect("a node comes back with other shards: requests follow", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      yield* cluster.reshard(1, 5)
      yield* passing(cql.awaitConnected)
      yield* passing(Effect.forEach(Array.from({ length: 50 }), () => cql.execute(select, [Uuid.random()])))
      yield* passing(cql.awaitConnected)
      yield* cluster.resetStats
      yield* passing(
        Effect.forEach(Array.from({ length: 200 }), () => cql.execute(select, [Uuid.random()]), { concurrency: 10 })
      )
      assert.strictEqual((yield* cluster.stats).misrouted, 0)
      const node = cql.shardAwareStats().nodes.find((node) => node.address === cluster.nodes[1]!.address)
      assert.strictEqual(node?.nrShards, 5)
    }))

  it.effect("the control connection moves to another node when its own dies", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* cluster.stop(0)
      yield* TestClock.adjust("15 seconds")
      // A schema change is answered only when somebody read the metadata again.
      yield* passing(
        cql.execute(
          "CREATE KEYSPACE later WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1} AND tablets = {'enabled': false}"
        )
      )
      assert.isTrue(cql.cluster().keyspaces.has("later"))
    }))

  it.effect("only nodes of the local datacenter are asked", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        transport: "memory",
        datacenters: [{ name: "east", nodes: 2 }, { name: "west", nodes: 2 }]
      })
      const make = (options: Partial<Parameters<typeof CqlClient.make>[0]>) =>
        Effect.provideService(
          CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 0, ...options }),
          Transport.Transport,
          cluster.transport
        )
      const different = yield* passing(Effect.flip(Effect.scoped(make({}))))
      assert.include(different.message, "the contact points are in different datacenters (east, west)")
      const unknown = yield* passing(Effect.flip(Effect.scoped(make({ localDatacenter: "north" }))))
      assert.include(unknown.message, 'no datacenter "north": it has east, west')
      const cql = yield* passing(make({ localDatacenter: "west" }))
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual(cql.shardAwareStats().nodes.map((node) => node.datacenter), ["west", "west"])
      assert.strictEqual(cluster.nodes[0]!.connections.length + cluster.nodes[1]!.connections.length <= 1, true)
      const common = yield* passing(make({ contactPoints: cluster.contactPoints.slice(2) }))
      assert.strictEqual(common.cluster().datacenter, "west")
    }))

  it.effect("wrong credentials end in one error that names the cause, nothing stays open", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        nodes: 2,
        transport: "memory",
        credentials: { username: "u", password: "p" }
      })
      const make = (options: Partial<Parameters<typeof CqlClient.make>[0]>) =>
        Effect.provideService(
          CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 0, ...options }),
          Transport.Transport,
          cluster.transport
        )
      const wrong = yield* passing(Effect.flip(Effect.scoped(make({ username: "u", password: Redacted.make("x") }))))
      assert.strictEqual(wrong.reason._tag, "AuthenticationFailed")
      assert.include(wrong.message, "Check the user name and the password")
      const none = yield* passing(Effect.flip(Effect.scoped(make({}))))
      assert.strictEqual(none.reason._tag, "AuthenticationFailed")
      yield* settle
      assert.deepStrictEqual(cluster.nodes.map((node) => node.connections.length), [0, 0])
      const cql = yield* passing(make({ username: "u", password: Redacted.make("p") }))
      assert.isAbove(cql.cluster().local.length, 0)
    }))

  it.effect("closing the scope closes every connection; requests afterwards say so", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 3, transport: "memory" })
      const cql = yield* Effect.scoped(Effect.gen(function*() {
        const cql = yield* passing(
          Effect.provideService(
            CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 0 }),
            Transport.Transport,
            cluster.transport
          )
        )
        yield* passing(cql.awaitConnected)
        assert.strictEqual(cluster.nodes.reduce((sum, node) => sum + node.connections.length, 0), 2 * 3 + 1)
        return cql
      }))
      yield* settle
      assert.deepStrictEqual(cluster.nodes.map((node) => node.connections.length), [0, 0])
      const error = yield* Effect.flip(cql.execute("SELECT key FROM system.local"))
      assert.strictEqual(error.reason._tag, "ClientClosed")
    }))

  it.effect("requests in flight are drained when the scope closes", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory" })
      const answer = yield* Effect.scoped(Effect.gen(function*() {
        const cql = yield* passing(
          Effect.provideService(
            CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: "5 seconds" }),
            Transport.Transport,
            cluster.transport
          )
        )
        yield* cluster.intercept(({ opcode }) =>
          opcode === Frame.Opcode.QUERY ? { _tag: "Delay", millis: 2000 } : undefined
        )
        const fiber = yield* Effect.forkDetach(cql.execute("SELECT key FROM system.local"), { startImmediately: true })
        yield* settle
        yield* Effect.forkDetach(TestClock.adjust("3 seconds"))
        return fiber
      }))
      const exit = yield* Fiber.await(answer)
      assert.isTrue(Exit.isSuccess(exit))
    }))
})
