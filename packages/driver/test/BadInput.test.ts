/** What callers get wrong: one typed error that says so, nothing sent, and within the time that was given. */
import { CqlClient, CqlError } from "@effect-scylla/driver"
import { Frame, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, settle, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"

/** The error of a call that types forbid, as JavaScript makes it. */
const refused = (call: () => unknown) =>
  Effect.flip(Effect.suspend(call as () => Effect.Effect<unknown, CqlError.CqlError>))

/** Requests of data that reached a server while `effect` ran. */
const sentBy = <A, E>(cluster: SimulatedCluster.SimulatedCluster, effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    yield* cluster.resetStats
    const result = yield* passing(effect)
    return { result, sent: (yield* cluster.stats).requests }
  })

describe("bad input", () => {
  it.effect("a statement with variables and no values is not sent: the variables are named", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      const cases: ReadonlyArray<readonly [string, CqlClient.Values | undefined, string]> = [
        [SELECT, undefined, "the statement takes 1 values (id uuid), got 0"],
        [SELECT, [], "the statement takes 1 values (id uuid), got 0"],
        ["SELECT v FROM ks.t WHERE id = :key", {}, "key: no value for this variable of type uuid"],
        [`-- no ' string\n${INSERT}`, [], "the statement takes 2 values (id uuid, v int), got 0"],
        [`BEGIN BATCH ${INSERT}; APPLY BATCH`, [], "the statement takes 2 values (id uuid, v int), got 0"]
      ]
      for (const [text, values, message] of cases) {
        const { result, sent } = yield* sentBy(cluster, Effect.flip(cql.execute(text, values)))
        assert.strictEqual(result.reason._tag, "EncodeError", text)
        assert.include(result.message, message)
        assert.strictEqual(sent, 0, text)
      }
    }))

  it.effect("what only looks like a variable is sent as it is", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      yield* passing(cql.execute("CREATE TABLE ks.m (id int PRIMARY KEY, a text, m map<text, boolean>)"))
      yield* cluster.resetStats
      yield* passing(cql.execute("INSERT INTO ks.m (id, a, m) VALUES (1, 'a ? :b', {'x': true, 'y':false})"))
      yield* passing(cql.execute("SELECT a FROM ks.m WHERE id = 1 /* ? */ -- :id\n"))
      assert.strictEqual((yield* cluster.stats).prepares, 0)
    }))

  it.effect("what cannot be written as JSON is named in the error, too", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      const circle: Record<string, unknown> = {}
      circle["self"] = circle
      const calls: ReadonlyArray<readonly [() => unknown, string]> = [
        [() => cql.execute(SELECT, [1], { timeout: 0n }), "got 0n"],
        [() => cql.execute(SELECT, 5n as never), "got 5n"],
        [() => cql.execute(circle as never), "Circular"],
        [() => cql.prepare(circle as never), "Circular"]
      ]
      for (const [call, message] of calls) {
        const error = yield* passing(refused(call))
        assert.strictEqual(error.reason._tag, "InvalidStatement")
        assert.include(error.message, message)
      }
      for (const options of [{ requestTimeout: 0n }, { connections: circle as never }, { tls: 1n as never }]) {
        const error = yield* refused(() => Effect.scoped(clientOf(cluster, options)))
        assert.strictEqual(error.reason._tag, "InvalidConfiguration")
      }
    }))

  it.effect("USE is refused, whatever stands in front of it, and is not prepared either", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1 })
      for (const text of ["USE ks", ' use"ks"', "-- first\nUSE ks", "/* a */ // b\n USE ks"]) {
        for (const call of [() => cql.execute(text), () => cql.prepare(text)]) {
          const error = yield* passing(refused(call))
          assert.strictEqual(error.reason._tag, "InvalidStatement", text)
          assert.include(error.message, "set `keyspace` of the client")
        }
      }
    }))

  it.effect("what types forbid is a typed error, too", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      const id = Uuid.random()
      const prepared = yield* passing(cql.prepare(INSERT))
      const any = cql as any
      const cases: ReadonlyArray<readonly [() => unknown, string]> = [
        [() => any.execute(undefined), "a text or a prepared statement, got undefined"],
        [() => any.execute({ text: SELECT }), "a text or a prepared statement"],
        [() => any.prepare(7), "a text, got 7"],
        [() => any.execute(SELECT, null), "a list, or an object with a value for each name, got null"],
        [() => any.execute(SELECT, 5), "a list, or an object with a value for each name, got 5"],
        [() => any.execute(prepared, "ab"), 'a list, or an object with a value for each name, got "ab"'],
        [() => cql.execute(SELECT, [id], { timeout: "soon" as never }), "timeout: a duration above 0"],
        [() => cql.execute(SELECT, [id], { timeout: 0 }), "timeout: a duration above 0"],
        [() => cql.execute("SELECT * FROM ks.t", [], { pageSize: -4 }), "pageSize: a whole number from 1"],
        [() => cql.execute(prepared, [id, 1], { pageSize: 0 }), "pageSize: a whole number from 1"],
        [() => cql`SELECT v FROM ks.t WHERE id = ${id}`.with({ pageSize: 1.5 }), "pageSize: a whole number from 1"]
      ]
      for (const [call, message] of cases) {
        const { result, sent } = yield* sentBy(cluster, refused(call))
        assert.instanceOf(result, CqlError.CqlError)
        assert.strictEqual(result.reason._tag, "InvalidStatement", message)
        assert.include(result.message, message)
        assert.strictEqual(sent, 0)
      }
    }))

  it.effect("the time of a request is that of preparing its statement, too", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.PREPARE ? { _tag: "Ignore" } : undefined)
      const request = yield* Effect.forkChild(
        Effect.flip(cql.execute(SELECT, [Uuid.random()], { timeout: "1 second" })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1200 millis")
      const exit = request.pollUnsafe()
      assert.isDefined(exit, "the request is over")
      const error = yield* Fiber.join(request)
      assert.strictEqual(error.reason._tag, "RequestTimeout")
      assert.isUndefined(error.outcome, "it was a read")
    }))

  it.effect("what preparing took is not given to the request again", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.PREPARE
          ? { _tag: "Delay", millis: 700 }
          : opcode === Frame.Opcode.EXECUTE
          ? { _tag: "Ignore" }
          : undefined
      )
      const request = yield* Effect.forkChild(
        Effect.flip(cql.execute(SELECT, [Uuid.random()], { timeout: "1 second" })),
        { startImmediately: true }
      )
      for (let i = 0; i < 13; i++) yield* TestClock.adjust("100 millis")
      assert.isDefined(request.pollUnsafe(), "the request is over")
      assert.strictEqual((yield* Fiber.join(request)).reason._tag, "RequestTimeout")
    }))

  it.effect("a statement is taught again only for as long as the request may take", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 }, { prepareEverywhere: false })
      const select = yield* passing(cql.prepare(SELECT))
      // The version of the schema is read again after the changes above: else the loss of the connection leaves it in doubt.
      yield* passing(Effect.sleep("5 seconds"))
      yield* cluster.stop(0)
      yield* settle
      yield* cluster.start(0)
      yield* passing(cql.awaitConnected)
      // The control connection is back, too, and knows that the schema is the same.
      yield* passing(Effect.sleep("5 seconds"))
      yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.PREPARE ? { _tag: "Ignore" } : undefined)
      const request = yield* Effect.forkChild(
        Effect.flip(cql.execute(select, [Uuid.random()], { timeout: "1 second" })),
        { startImmediately: true }
      )
      for (let i = 0; i < 13; i++) yield* TestClock.adjust("100 millis")
      assert.isDefined(request.pollUnsafe(), "the request is over")
      const error = yield* Fiber.join(request)
      assert.strictEqual(error.reason._tag, "RequestTimeout")
      assert.deepStrictEqual(error.attempts?.map(({ reason }) => reason._tag), ["Unprepared", "RequestTimeout"])
    }))

  it.effect("a password that is not redacted, and times of nothing", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const issues = (options: object) =>
        Effect.map(Effect.flip(clientOf(cluster, options)), ({ reason }) =>
          reason._tag === "InvalidConfiguration" ? reason.issues.map(({ path }) => path) : reason._tag)
      assert.deepStrictEqual(yield* issues({ username: "u", password: "hunter2" }), ["password"])
      // As another driver calls them, and misspelled; what is undefined is no option.
      const wrong = yield* Effect.flip(CqlClient.make({
        contactPoints: [""],
        localDataCenter: "dc1",
        requestTimout: 5,
        toString: undefined
      } as never))
      assert.deepStrictEqual(
        wrong.reason._tag === "InvalidConfiguration" &&
          wrong.reason.issues.slice(0, 2).map(({ message, path }) => [path, message]),
        [
          ["localDataCenter", "there is no option of this name: localDatacenter is meant, perhaps"],
          ["requestTimout", "there is no option of this name"]
        ]
      )
      assert.notInclude(
        (yield* Effect.flip(clientOf(cluster, { username: "u", password: "hunter2" as never }))).message,
        "hunter2"
      )
      assert.deepStrictEqual(
        yield* issues({
          requestTimeout: -5,
          schemaTimeout: 0,
          connectTimeout: "0 seconds",
          handshakeTimeout: -1,
          heartbeatInterval: 0
        }),
        ["connectTimeout", "handshakeTimeout", "heartbeatInterval", "requestTimeout", "schemaTimeout"]
      )
      // Nothing is waited for, which is what tests want.
      yield* passing(
        clientOf(cluster, { shutdownTimeout: 0, reconnect: { base: 0 }, username: "u", password: Redacted.make("p") })
      )
    }))

  it.live("contact points that are names have datacenters, too", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        shards: 1,
        datacenters: [{ name: "east", nodes: 1 }, { name: "west", nodes: 1 }]
      })
      const [east, west] = cluster.contactPoints
      const byName = east!.replace("127.0.0.1", "localhost")
      const error = yield* Effect.flip(Effect.scoped(clientOf(cluster, { contactPoints: [byName, west!] })))
      assert.include(error.message, "the contact points are in different datacenters (east, west)")
      const one = yield* clientOf(cluster, { contactPoints: [byName] })
      assert.strictEqual(one.cluster().datacenter, "east")
    }))

  it.effect("no options at all, which only TypeScript forbids", () =>
    Effect.gen(function*() {
      for (const nothing of [undefined, null, "127.0.0.1", 9042]) {
        const error = yield* Effect.flip(Effect.scoped(CqlClient.make(nothing as any)))
        assert.include(error.message, "contactPoints: at least one address of a node")
      }
    }))
})
