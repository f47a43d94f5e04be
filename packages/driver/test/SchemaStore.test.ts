/** The schema as a client follows it: when it is read, what is read again, and that nothing is lost on the way. */
import type { CqlClient, Schema } from "@effect-scylla/driver"
import { type Response, ServerError } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Heard } from "../src/internal/schema/heard.ts"
import * as Store from "../src/internal/schema/store.ts"
import { cutting } from "./support/cutting.ts"
import { clientOf, type ClientOptions, passing, settle, withoutEvents, world } from "./support/world.ts"

const run = (cql: CqlClient.CqlClient, ...texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text) => passing(cql.execute(text)), { discard: true })

const held = (cql: CqlClient.CqlClient, name = "ks") => cql.schema.snapshot().keyspaces.get(name)!

const follow = (cql: CqlClient.CqlClient, name = "ks") =>
  Effect.map(passing(cql.schema.keyspace(name)), Option.getOrThrow)

const columnsOf = (table: Schema.Table | Schema.View | undefined) => table?.columns.map(({ name }) => name)

/** Reads of the schema, and on which connections; those of users' requests. */
const watch = (cluster: SimulatedCluster.SimulatedCluster) =>
  Effect.gen(function*() {
    const reads: Array<string> = []
    const readers = new Set<number>()
    const users = new Set<number>()
    yield* cluster.intercept(({ connection, request }) => {
      if (request._tag !== "Query") return undefined
      const query = request.query.replace(/ USING TIMEOUT \d+ms$/, "")
      // What the cluster itself reads names its columns.
      if (query.startsWith("SELECT * FROM system_schema.")) {
        reads.push(query.slice("SELECT * FROM system_schema.".length))
        readers.add(connection)
      } else if (!query.includes(" system")) users.add(connection)
      return undefined
    })
    return { reads, readers, users }
  })

const another = (cluster: SimulatedCluster.SimulatedCluster, options: ClientOptions = {}) =>
  Effect.tap(passing(clientOf(cluster, options)), (other) => passing(other.awaitConnected))

/** What is told until the clock is here. */
const collect = (cql: CqlClient.CqlClient) =>
  Effect.gen(function*() {
    const changes: Array<Schema.Change> = []
    yield* Effect.forkChild(
      Stream.runForEach(cql.schema.changes, (change) => Effect.sync(() => void changes.push(change))),
      { startImmediately: true }
    )
    yield* settle
    return changes
  })

const told = (changes: ReadonlyArray<Schema.Change>) =>
  changes.map(({ after, before, change, keyspace, name, target }) =>
    `${change} ${target} ${keyspace}.${name}${before === undefined ? "" : " before"}${
      after === undefined ? "" : " after"
    }`
  )

const KEYSPACE = (name: string) =>
  `CREATE KEYSPACE ${name} WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}`

describe("when the schema is read", () => {
  it.effect("lazily: nothing until somebody asks, then one keyspace, once for all who ask together", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* run(cql, KEYSPACE("other"), "CREATE TABLE other.t (k int PRIMARY KEY)")
      const { readers, reads, users } = yield* watch(cluster)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(reads, [])
      assert.deepStrictEqual(cql.schema.snapshot(), { version: "", keyspaces: new Map(), isComplete: false })
      const all = yield* passing(
        Effect.all(Array.from({ length: 10 }, () => cql.schema.keyspace("ks")), { concurrency: "unbounded" })
      )
      assert.strictEqual(new Set(all.map(Option.getOrThrow)).size, 1)
      assert.strictEqual(reads.filter((read) => read.startsWith("tables ")).length, 1)
      assert.isTrue(reads.every((read) => read.includes("keyspace_name = 'ks'")), reads.join("\n"))
      const count = reads.length
      assert.strictEqual(yield* follow(cql), held(cql))
      assert.deepStrictEqual(columnsOf(Option.getOrThrow(yield* passing(cql.schema.table("ks", "t")))), ["id", "v"])
      assert.isTrue(Option.isNone(yield* passing(cql.schema.table("ks", "nothing"))))
      assert.strictEqual(reads.length, count)
      assert.isTrue(Option.isNone(yield* passing(cql.schema.keyspace("KS"))))
      assert.deepStrictEqual([...cql.schema.snapshot().keyspaces.keys()], ["ks"])
      // Nobody's request goes where the schema is read.
      for (let i = 0; i < 30; i++) yield* passing(cql.execute("SELECT * FROM ks.t"))
      assert.strictEqual(readers.size, 1)
      assert.isTrue([...readers].every((connection) => !users.has(connection)))
      assert.isAbove(users.size, 1)
    }))

  it.effect("eagerly: all but the servers' own when the client is there, and what is new by itself", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      yield* run(other, KEYSPACE("second"))
      const cql = yield* another(cluster, { schema: "eager" })
      const { isComplete, keyspaces } = cql.schema.snapshot()
      assert.deepStrictEqual([[...keyspaces.keys()].sort(), isComplete], [["ks", "second"], true])
      const changes = yield* collect(cql)
      yield* run(other, KEYSPACE("third"), "CREATE TABLE third.t (k int PRIMARY KEY)", "DROP KEYSPACE second")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([...cql.schema.snapshot().keyspaces.keys()].sort(), ["ks", "third"])
      assert.deepStrictEqual(told(changes).sort(), [
        "CREATED KEYSPACE third.third after",
        "CREATED TABLE third.t after",
        "DROPPED KEYSPACE second.second before"
      ])
      // Only when it is asked for by name.
      assert.isTrue(Option.getOrThrow(yield* passing(cql.schema.keyspace("system"))).tables.has("local"))
    }))

  it.effect("eagerly, but a client is there without it: it is read when servers let it be", () =>
    Effect.gen(function*() {
      const { cluster } = yield* world()
      let fails = true
      const error = new ServerError.Overloaded({ message: "not now", code: 0x1001 })
      yield* cluster.intercept(({ request }) =>
        fails && request._tag === "Query" && request.query.includes("FROM system_schema.tables")
          ? { _tag: "Error", error }
          : undefined
      )
      const cql = yield* another(cluster, { schema: "eager" })
      assert.deepStrictEqual([cql.schema.snapshot().keyspaces.size, cql.schema.snapshot().isComplete], [0, false])
      yield* TestClock.adjust("10 seconds")
      fails = false
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual([cql.schema.snapshot().keyspaces.size, cql.schema.snapshot().isComplete], [1, true])
    }))

  it.effect("all of it by `all`, and from then on what is new, too", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* follow(cql)
      const before = held(cql)
      const all = yield* passing(cql.schema.all)
      assert.isTrue(all.isComplete)
      assert.strictEqual(all.keyspaces.get("ks"), before)
      const other = yield* another(cluster)
      yield* run(other, KEYSPACE("late"))
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(cql.schema.snapshot().keyspaces.has("late"))
      assert.strictEqual(yield* passing(cql.schema.all), cql.schema.snapshot())
    }))

  for (
    const [given, schemaKeyspaces] of [
      ["a list", ["ks", "kept"]],
      ["a function", (name: string) => name === "ks" || name === "kept"]
    ] as const
  ) {
    it.effect(`of the keyspaces that ${given} lets through, and no others`, () =>
      Effect.gen(function*() {
        const { cluster, cql: other } = yield* world()
        yield* run(other, KEYSPACE("hidden"), KEYSPACE("kept"))
        const { reads } = yield* watch(cluster)
        const cql = yield* another(cluster, { schema: "eager", schemaKeyspaces })
        const changes = yield* collect(cql)
        yield* run(other, "CREATE TABLE hidden.t (k int PRIMARY KEY)", "CREATE TABLE kept.t (k int PRIMARY KEY)")
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual([...cql.schema.snapshot().keyspaces.keys()].sort(), ["kept", "ks"])
        assert.isTrue(Option.isNone(yield* passing(cql.schema.keyspace("hidden"))))
        assert.isTrue(reads.every((read) => !read.includes("hidden")))
        assert.deepStrictEqual(told(changes), ["CREATED TABLE kept.t after"])
      }))
  }

  it.effect("without those of which a function cannot say: what it throws ends nothing", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      const cql = yield* another(cluster, {
        schemaKeyspaces: (name) => {
          if (name !== "ks") throw new Error("no idea")
          return true
        }
      })
      yield* follow(cql)
      yield* run(other, KEYSPACE("hidden"), "CREATE TABLE ks.u (k int PRIMARY KEY)")
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(held(cql).tables.has("u"))
      assert.isTrue(Option.isNone(yield* passing(cql.schema.keyspace("hidden"))))
      assert.deepStrictEqual([...(yield* passing(cql.schema.all)).keyspaces.keys()], ["ks"])
    }))

  it.effect("never with `schema: false`: who asks is told, and nothing is read", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      const cql = yield* another(cluster, { schema: false })
      const { reads } = yield* watch(cluster)
      for (const ask of [cql.schema.keyspace("ks"), cql.schema.table("ks", "t"), cql.schema.all, cql.schema.refresh]) {
        const error = yield* Effect.flip(ask as Effect.Effect<unknown, any>)
        assert.strictEqual(error.reason._tag, "InvalidConfiguration")
        assert.include(error.message, "schema: false")
      }
      yield* run(other, "CREATE TABLE ks.u (k int PRIMARY KEY)")
      yield* run(cql, "DROP TABLE ks.u")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(reads, [])
      assert.deepStrictEqual([...cql.schema.snapshot().keyspaces], [])
    }))
})

for (const product of ["scylla", "cassandra"] as const) {
  describe(`what changes, on ${product}`, () => {
    it.effect("by this client: known when the statement has ended", () =>
      Effect.gen(function*() {
        const { cql } = yield* world({ product })
        yield* follow(cql)
        const changes = yield* collect(cql)
        const kept = held(cql).tables.get("t")!
        yield* run(cql, "CREATE TYPE ks.addr (street text)", "CREATE TABLE ks.u (k int PRIMARY KEY, a frozen<addr>)")
        assert.deepStrictEqual(columnsOf(held(cql).tables.get("u")), ["k", "a"])
        yield* run(cql, "ALTER TYPE ks.addr ADD zip int")
        const type = held(cql).types.get("addr")!.type
        assert.deepStrictEqual(held(cql).tables.get("u")!.columns[1]!.type, type)
        assert.strictEqual(type._tag === "Udt" && type.fields.length, 2)
        yield* run(cql, "ALTER TABLE ks.u ADD v int", "CREATE INDEX uv ON ks.u (v)")
        assert.deepStrictEqual(held(cql).tables.get("u")!.indexes.get("uv")!.columns, ["v"])
        yield* run(
          cql,
          "CREATE MATERIALIZED VIEW ks.uu AS SELECT * FROM ks.u WHERE k IS NOT NULL AND v IS NOT NULL PRIMARY KEY (v, k)"
        )
        assert.deepStrictEqual(columnsOf(held(cql).views.get("uu")), ["v", "k", "a"])
        yield* run(cql, "ALTER TABLE ks.u ADD w text")
        assert.deepStrictEqual(columnsOf(held(cql).views.get("uu")), ["v", "k", "a", "w"])
        yield* run(cql, "DROP MATERIALIZED VIEW ks.uu", "DROP INDEX ks.uv", "DROP TABLE ks.u", "DROP TYPE ks.addr")
        assert.deepStrictEqual([...held(cql).tables.keys()], ["t"])
        assert.deepStrictEqual([held(cql).views.size, held(cql).types.size], [0, 0])
        yield* run(cql, "ALTER KEYSPACE ks WITH durable_writes = false")
        assert.isFalse(held(cql).durableWrites)
        // Of what nothing has changed it is the same object.
        assert.strictEqual(held(cql).tables.get("t"), kept)
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(told(changes), [
          "CREATED TYPE ks.addr after",
          "CREATED TABLE ks.u after",
          "UPDATED TYPE ks.addr before after",
          "UPDATED TABLE ks.u before after",
          "UPDATED TABLE ks.u before after",
          "UPDATED TABLE ks.u before after",
          "CREATED INDEX ks.uv after",
          "CREATED VIEW ks.uu after",
          "UPDATED TABLE ks.u before after",
          "UPDATED VIEW ks.uu before after",
          "DROPPED VIEW ks.uu before",
          "UPDATED TABLE ks.u before after",
          "DROPPED INDEX ks.uv before",
          "DROPPED TABLE ks.u before",
          "DROPPED TYPE ks.addr before",
          "UPDATED KEYSPACE ks.ks before after"
        ])
        yield* run(cql, "DROP KEYSPACE ks")
        assert.isFalse(cql.schema.snapshot().keyspaces.has("ks"))
        yield* run(cql, KEYSPACE("ks"), "CREATE TABLE ks.again (k int PRIMARY KEY)")
        assert.deepStrictEqual([...held(cql).tables.keys()], ["again"])
      }))

    it.effect("by others: after 0.5 to 1.5 seconds, with before and after, and only what was named is read", () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world({ product })
        const other = yield* another(cluster)
        yield* follow(cql)
        const { reads } = yield* watch(cluster)
        const changes = yield* collect(cql)
        const before = held(cql).tables.get("t")!
        // At once: agreement of the other client's takes no time here.
        yield* Effect.forkChild(other.execute("ALTER TABLE ks.t ADD w text"), { startImmediately: true })
        for (let i = 0; i < 50; i++) yield* settle
        yield* TestClock.adjust("400 millis")
        assert.strictEqual(held(cql).tables.get("t"), before)
        assert.deepStrictEqual(reads, [])
        yield* TestClock.adjust("1200 millis")
        const after = held(cql).tables.get("t")!
        assert.deepStrictEqual(columnsOf(after), ["id", "v", "w"])
        assert.isTrue(
          reads.filter((read) => read.startsWith("columns ")).every((read) => /table_name (=|IN)/.test(read))
        )
        assert.deepStrictEqual(changes, [
          { target: "TABLE", change: "UPDATED", keyspace: "ks", name: "t", before, after }
        ] as ReadonlyArray<Schema.Change>)
        yield* run(other, "DROP TABLE ks.t", "CREATE TABLE ks.t (k int PRIMARY KEY)")
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(columnsOf(held(cql).tables.get("t")), ["k"])
        assert.deepStrictEqual(told(changes.slice(1)), ["DROPPED TABLE ks.t before", "CREATED TABLE ks.t after"])
      }))
  })
}

describe("what is heard", () => {
  it.effect("is looked at tick by tick: what comes later does not put it off, and many are one look", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const other = yield* another(cluster)
      yield* follow(cql)
      const { reads } = yield* watch(cluster)
      // Every 100 ms a table: a look that each puts off would never come.
      for (let i = 0; i < 30; i++) {
        yield* Effect.forkChild(other.execute(`CREATE TABLE ks.many${i} (k int PRIMARY KEY)`), {
          startImmediately: true
        })
        yield* TestClock.adjust("100 millis")
      }
      assert.isAbove(held(cql).tables.size, 10)
      // 3 seconds are two to six ticks.
      assert.isAtMost(reads.filter((read) => read.startsWith("columns ")).length, 6)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(held(cql).tables.size, 31)
    }))

  it.effect("by many clients is looked at at different times", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      const clients = yield* Effect.forEach(Array.from({ length: 8 }), () => another(cluster))
      yield* Effect.forEach(clients, (cql) => follow(cql))
      const times = new Set<number>()
      yield* cluster.intercept(({ request }) => {
        if (request._tag === "Query" && request.query.startsWith("SELECT * FROM system_schema.columns ")) times.add(now)
        return undefined
      })
      let now = 0
      yield* Effect.forkChild(other.execute("CREATE TABLE ks.u (k int PRIMARY KEY)"), { startImmediately: true })
      for (; now < 2_000; now += 10) yield* TestClock.adjust("10 millis")
      assert.isTrue(clients.every((cql) => held(cql).tables.has("u")))
      assert.isAbove(times.size, 5)
      assert.isAtLeast(Math.min(...times), 450)
      assert.isAtMost(Math.max(...times), 1_800)
    }))

  it.effect("in a flood is bounded: much of a keyspace is read with all of it", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const other = yield* another(cluster)
      yield* follow(cql)
      const { reads } = yield* watch(cluster)
      yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 60 }, (_, i) => i), (i) =>
          other.execute(`CREATE TABLE ks.flood${i} (k int PRIMARY KEY)`), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(held(cql).tables.size, 61)
      const columns = reads.filter((read) =>
        read.startsWith("columns ")
      )
      assert.isAtMost(columns.length, 6)
      assert.isTrue(columns.every((read) => read.length < 700), columns.join("\n"))
    }))

  it.effect("while there was no control connection is read when there is one", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      const line = cutting(cluster.transport)
      const cql = yield* passing(clientOf(cluster, {}, line.transport))
      yield* follow(cql)
      const changes = yield* collect(cql)
      line.cut()
      yield* TestClock.adjust("1 second")
      yield* run(other, "CREATE TABLE ks.missed (k int PRIMARY KEY)", "ALTER TABLE ks.t ADD missed int")
      assert.isFalse(held(cql).tables.has("missed"))
      line.mend()
      yield* TestClock.adjust("40 seconds")
      assert.deepStrictEqual(columnsOf(held(cql).tables.get("t")), ["id", "missed", "v"])
      assert.deepStrictEqual(told(changes), ["CREATED TABLE ks.missed after", "UPDATED TABLE ks.t before after"])
    }))

  it.effect("is not lost with the connection that told it: what was not read yet is read by the next one", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      const line = cutting(cluster.transport)
      const cql = yield* passing(clientOf(cluster, {}, line.transport))
      yield* follow(cql)
      yield* Effect.forkChild(other.execute("CREATE TABLE ks.told (k int PRIMARY KEY)"), { startImmediately: true })
      for (let i = 0; i < 50; i++) yield* settle
      // Before its tick.
      line.cut()
      yield* TestClock.adjust("3 seconds")
      assert.isFalse(held(cql).tables.has("told"))
      line.mend()
      yield* TestClock.adjust("40 seconds")
      assert.isTrue(held(cql).tables.has("told"))
    }))

  it.effect("of nobody: who asks for a keyspace waits for a control connection", () =>
    Effect.gen(function*() {
      const { cluster } = yield* world()
      const line = cutting(cluster.transport)
      const cql = yield* passing(clientOf(cluster, {}, line.transport))
      line.cut()
      yield* TestClock.adjust("1 second")
      const asked = yield* Effect.forkChild(cql.schema.keyspace("ks"), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(asked.pollUnsafe())
      line.mend()
      assert.isTrue(Option.isSome(yield* passing(Fiber.join(asked))))
    }))

  it.effect("by nobody, because a server tells nothing: found when the cluster is looked at", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world({}, {}, withoutEvents)
      const cql = yield* another(cluster)
      yield* follow(cql)
      yield* run(other, "CREATE TABLE ks.untold (k int PRIMARY KEY)")
      yield* TestClock.adjust("5 seconds")
      assert.isFalse(held(cql).tables.has("untold"))
      // Anything that makes the client look.
      yield* passing(cql.schema.refresh)
      assert.isTrue(held(cql).tables.has("untold"))
    }))

  it.effect("ends with the client: nothing waits, and who listens is let go", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      const scope = yield* Scope.make()
      const cql = yield* passing(Scope.provide(clientOf(cluster), scope))
      yield* follow(cql)
      yield* run(other, "CREATE TABLE ks.u (k int PRIMARY KEY)")
      const reading = yield* Effect.forkChild(cql.schema.keyspace("nothing"), { startImmediately: true })
      const listening = yield* Effect.forkChild(Stream.runDrain(cql.schema.changes), { startImmediately: true })
      yield* passing(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("30 seconds")
      assert.isDefined(reading.pollUnsafe())
      assert.isDefined(listening.pollUnsafe())
    }))
})

describe("what is kept of what is heard", () => {
  const event = (keyspace: string, name: string): Response.SchemaChange => ({
    change: "UPDATED",
    target: "TABLE",
    keyspace,
    name
  })

  it("are some names, then a keyspace, then all that is known", () => {
    const heard = new Heard()
    for (let i = 0; i < 16; i++) heard.add(event("a", `t${i}`))
    assert.deepStrictEqual([heard.keyspaces.get("a")!.tables.size, heard.keyspaces.get("a")!.whole], [16, false])
    for (let i = 0; i < 10_000; i++) heard.add(event("a", `u${i}`))
    assert.isTrue(heard.keyspaces.get("a")!.whole)
    assert.isAtMost(heard.keyspaces.get("a")!.tables.size, 16)
    assert.isAtMost(heard.keyspaces.get("a")!.said.size, 17)
    for (let i = 0; i < 10_000; i++) heard.add(event(`k${i}`, "t"))
    assert.deepStrictEqual([heard.all, heard.keyspaces.size], [true, 0])
    const taken = heard.take()
    assert.isTrue(heard.isEmpty)
    heard.add(event("b", "t"))
    heard.addAll(taken)
    assert.deepStrictEqual([heard.all, heard.keyspaces.size], [true, 0])
  })

  it("and of what is put back what was said later", () => {
    const before = new Heard()
    before.add({ change: "CREATED", target: "TABLE", keyspace: "k", name: "t" })
    before.add({ change: "UPDATED", target: "TYPE", keyspace: "k", name: "y" })
    before.add({ change: "UPDATED", target: "NOVELTY", keyspace: "k2" })
    const heard = new Heard()
    heard.add({ change: "DROPPED", target: "TABLE", keyspace: "k", name: "t" })
    heard.addAll(before)
    const { said, tables, types, whole } = heard.keyspaces.get("k")!
    assert.deepStrictEqual([[...tables], [...said], types, whole], [["t"], [["t", false]], true, false])
    assert.isTrue(heard.keyspaces.get("k2")!.whole)
  })
})

/** Numbers from 0 to below `below`, the same for a seed. */
const random = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x297a2d39 | 0
    return (state >>> 8) % below
  }
}

/** A statement that may fit what is there, or not: those that do not are refused. */
const anything = (next: (below: number) => number): string => {
  const ks = ["ks", "k1", "k2"][next(3)]!
  const table = `${ks}.t${next(4)}`
  const texts = [
    `CREATE TABLE ${table} (k int PRIMARY KEY, v int, u frozen<y${next(2)}>)`,
    `CREATE TABLE ${table} (k int PRIMARY KEY, v int)`,
    `ALTER TABLE ${table} ADD c${next(5)} text`,
    `DROP TABLE ${table}`,
    `CREATE TYPE ${ks}.y${next(2)} (a int)`,
    `ALTER TYPE ${ks}.y${next(2)} ADD f${next(9)} int`,
    `DROP TYPE ${ks}.y${next(2)}`,
    `CREATE INDEX i${next(3)} ON ${table} (v)`,
    `DROP INDEX ${ks}.i${next(3)}`,
    `CREATE MATERIALIZED VIEW ${ks}.v${
      next(2)
    } AS SELECT * FROM ${table} WHERE k IS NOT NULL AND v IS NOT NULL PRIMARY KEY (v, k)`,
    `DROP MATERIALIZED VIEW ${ks}.v${next(2)}`,
    `ALTER KEYSPACE ${ks} WITH durable_writes = ${next(2) === 0}`,
    next(3) === 0 ? `DROP KEYSPACE ${ks}` : `ALTER TABLE ${table} WITH comment = 'no. ${next(100)}'`,
    `${KEYSPACE(ks)} AND tablets = {'enabled': false}`
  ]
  return texts[next(texts.length)]!
}

/** What somebody knows who had the first snapshot and heard every change since. */
const replayed = (before: Schema.Snapshot, changes: ReadonlyArray<Schema.Change>) => {
  const maps = ["types", "tables", "views"] as const
  const of = (keyspace: Schema.Keyspace) => {
    const parts = new Map<string, unknown>()
    for (const map of maps) for (const [name, part] of keyspace[map]) parts.set(`${map} ${name}`, part)
    return parts
  }
  const out = new Map(Array.from(before.keyspaces, ([name, keyspace]) => [name, of(keyspace)]))
  for (const { after, change, keyspace, name, target } of changes) {
    if (target === "KEYSPACE") {
      if (change === "CREATED") out.set(keyspace, new Map())
      else if (change === "DROPPED") out.delete(keyspace)
    } else if (target === "TABLE" || target === "VIEW" || target === "TYPE") {
      const key = `${target.toLowerCase()}s ${name}`
      if (after === undefined) out.get(keyspace)?.delete(key)
      else out.get(keyspace)!.set(key, after)
    }
  }
  return { out, now: (snapshot: Schema.Snapshot) => new Map(Array.from(snapshot.keyspaces, ([k, v]) => [k, of(v)])) }
}

describe("whatever happens", () => {
  for (
    const [seed, product] of [[1, "scylla"], [2, "cassandra"], [3, "scylla"], [4, "cassandra"], [5, "scylla"]] as const
  ) {
    it.effect(
      `in the end the client knows what a new one reads, and its changes lead there: ${product}, seed ${seed}`,
      () =>
        Effect.gen(function*() {
          const next = random(seed)
          const { cluster, cql: other } = yield* world({ product })
          yield* run(other, `${KEYSPACE("k1")}${product === "scylla" ? " AND tablets = {'enabled': false}" : ""}`)
          const line = cutting(cluster.transport)
          const cql = yield* passing(clientOf(cluster, { schema: "eager" }, line.transport))
          const before = cql.schema.snapshot()
          const changes = yield* collect(cql)
          for (let i = 0; i < 120; i++) {
            const text = anything(next).replace(product === "cassandra" ? / AND tablets.*/ : /(?!)/, "")
            // In the middle of looks, and of others' statements.
            const by = next(4) === 0 ? cql : other
            const statement = Effect.exit(by.execute(text, [], { timeout: "5 seconds" }))
            const fiber = yield* Effect.forkChild(statement, { startImmediately: true })
            for (let turn = next(30); turn > 0; turn--) yield* settle
            if (next(15) === 0) line.cut()
            if (next(4) === 0) line.mend()
            if (next(3) === 0) yield* TestClock.adjust(next(1_500))
            if (next(2) === 0) yield* passing(Fiber.join(fiber))
          }
          line.mend()
          yield* TestClock.adjust("90 seconds")
          assert.isAbove(changes.length, 5)
          const fresh = yield* another(cluster, { schema: "eager" })
          const { isComplete, keyspaces } = cql.schema.snapshot()
          assert.isTrue(isComplete)
          assert.deepStrictEqual(new Map([...keyspaces].sort()), new Map([...fresh.schema.snapshot().keyspaces].sort()))
          const { now, out } = replayed(before, changes)
          assert.deepStrictEqual(new Map([...out].sort()), new Map([...now(cql.schema.snapshot())].sort()))
        }),
      60_000
    )
  }
})

/** A store whose server is a cluster, by a client of its own, with something in between. */
const between = (change: (text: string, ask: Effect.Effect<any, any>) => Effect.Effect<any, any>) =>
  Effect.gen(function*() {
    const { cluster, cql } = yield* world({ nodes: 1 })
    const reader = yield* another(cluster, { codec: { uuid: "string" } })
    const store = yield* Store.make({
      allows: () => true,
      wants: () => true,
      timeoutMillis: 5_000,
      source: {
        isScylla: () => true,
        query: (text) => change(text, Effect.map(reader.execute(text), ({ rows }) => rows))
      }
    })
    yield* Effect.forkChild(store.run, { startImmediately: true })
    yield* passing(store.keyspace("ks"))
    const created = (name: string) => store.hear({ change: "CREATED", target: "TABLE", keyspace: "ks", name })
    return { cql, store, created, tables: () => [...store.snapshot.keyspaces.get("ks")!.tables.keys()] }
  })

describe("what would be wrong", () => {
  it.effect("a look that finds things as they were though a server says otherwise is repeated, and not for ever", () =>
    Effect.gen(function*() {
      let isOld = false
      let looks = 0
      const before = new Map<string, unknown>()
      const { cql, created, store, tables } = yield* between((text, ask) => {
        if (text.includes("system_schema.columns") && /'(u|never)'/.test(text)) looks++
        return isOld && before.has(text)
          ? Effect.succeed(before.get(text))
          : Effect.tap(ask, (rows) => Effect.sync(() => before.set(text, rows)))
      })
      // The answers as they are now, for the questions that will be asked.
      created("u")
      yield* TestClock.adjust("10 seconds")
      isOld = true
      looks = 0
      yield* run(cql, "CREATE TABLE ks.u (k int PRIMARY KEY)")
      created("u")
      while (looks === 0) yield* TestClock.adjust("50 millis")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([tables(), looks], [["t"], 1])
      isOld = false
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([tables(), looks], [["t", "u"], 2])
      // A server that says what is not so.
      const { version } = store.snapshot
      created("never")
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(store.snapshot.version, version)
      assert.strictEqual(looks, 2 + 3)
    }))

  it.effect("a read in the middle of a change is read again at once, not mixed", () =>
    Effect.gen(function*() {
      let inTheMiddle: Effect.Effect<unknown, any> | undefined
      let columns = 0
      const { cql, store } = yield* between((text, ask) => {
        if (text.includes("system_schema.columns WHERE keyspace_name = 'mid'")) columns++
        const now = text.includes("system_schema.columns WHERE keyspace_name = 'mid'") ? inTheMiddle : undefined
        if (now === undefined) return ask
        inTheMiddle = undefined
        // The tables were read before, the columns are after the change.
        return Effect.andThen(now, ask)
      })
      yield* run(cql, KEYSPACE("mid"), "CREATE TABLE mid.a (k int PRIMARY KEY, v int)")
      inTheMiddle = Effect.andThen(
        cql.execute("DROP TABLE mid.a"),
        cql.execute("CREATE TABLE mid.b (k text PRIMARY KEY)")
      )
      const read = Option.getOrThrow(yield* passing(store.keyspace("mid")))
      assert.strictEqual(columns, 2)
      assert.deepStrictEqual([...read.tables.keys()], ["b"])
      assert.deepStrictEqual(columnsOf(read.tables.get("b")), ["k"])
    }))

  it.effect("a schema that never stands still is read at the next tick again, and nobody waits for it", () =>
    Effect.gen(function*() {
      let storm = true
      let version = 0
      const { cql, created, tables } = yield* between((text, ask) =>
        storm && text.includes("system.local") ? Effect.sync(() => [{ schema_version: `v${version++}` }]) : ask
      )
      assert.isAtLeast(version, 6)
      yield* run(cql, "CREATE TABLE ks.u (k int PRIMARY KEY)")
      created("u")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(tables(), ["t", "u"])
      yield* run(cql, "CREATE TABLE ks.w (k int PRIMARY KEY)")
      // Nobody tells, but what was read in the storm is read again anyway.
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(tables(), ["t", "u", "w"])
      storm = false
      yield* TestClock.adjust("4 seconds")
      const quiet = version
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(version, quiet)
    }))

  it.effect("a change that is heard of while the one before is read is not taken as read", () =>
    Effect.gen(function*() {
      let during: Effect.Effect<unknown, any> | undefined
      const { cql, created, tables } = yield* between((text, ask) => {
        const now = text.includes("system_schema.indexes") ? during : undefined
        if (now === undefined) return ask
        during = undefined
        // Behind the tables, and of a version that the server tells only later.
        return Effect.tap(ask, () => now)
      })
      yield* run(cql, "CREATE TABLE ks.first (k int PRIMARY KEY)")
      during = Effect.andThen(
        cql.execute("CREATE TABLE ks.second (k int PRIMARY KEY)"),
        Effect.sync(() => created("second"))
      )
      created("first")
      yield* TestClock.adjust("6 seconds")
      assert.isUndefined(during)
      assert.deepStrictEqual(tables(), ["first", "second", "t"])
    }))

  for (const all of [false, true]) {
    it.effect(`a change that is heard of when ${all ? "all" : "a keyspace"} has just been read for the first time is not lost`, () =>
      Effect.gen(function*() {
        let versions = 0
        let late: Effect.Effect<unknown, any> | undefined
        const { cql, store } = yield* between((text, ask) => {
          if (late === undefined || !text.includes("system.local") || ++versions < 2) return ask
          const now = late
          late = undefined
          // Behind the last thing that is read, and in front of everything that is made of it.
          return Effect.tap(ask, () => now)
        })
        yield* run(cql, KEYSPACE("mid"), "CREATE TABLE mid.a (k int PRIMARY KEY)")
        late = Effect.andThen(
          cql.execute("CREATE TABLE mid.b (k int PRIMARY KEY)"),
          Effect.sync(() => store.hear({ change: "CREATED", target: "TABLE", keyspace: "mid", name: "b" }))
        )
        yield* passing(Effect.asVoid<unknown, any, never>(all ? store.all : store.keyspace("mid")))
        assert.isUndefined(late)
        yield* TestClock.adjust("4 seconds")
        assert.deepStrictEqual([...store.snapshot.keyspaces.get("mid")!.tables.keys()], ["a", "b"])
      }))
  }

  it.effect("a look that fails is repeated until it succeeds, with all that was heard", () =>
    Effect.gen(function*() {
      let fails = true
      const error = new ServerError.Overloaded({ message: "not now", code: 0x1001 })
      const { cql, created, store, tables } = yield* between((text, ask) =>
        fails && text.includes("'u'") ? Effect.fail({ reason: error, message: error.message }) : ask
      )
      yield* run(cql, "CREATE TABLE ks.u (k int PRIMARY KEY)", "ALTER KEYSPACE ks WITH durable_writes = false")
      created("u")
      store.hear({ change: "UPDATED", target: "KEYSPACE", keyspace: "ks" })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(tables(), ["t"])
      fails = false
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(tables(), ["t", "u"])
      assert.isFalse(store.snapshot.keyspaces.get("ks")!.durableWrites)
    }))

  it.effect("a node that is behind the others is waited for a little, before it tells how things were", () =>
    Effect.gen(function*() {
      let behind = 3
      let asked = 0
      const { cql, created, tables } = yield* between((text, ask) => {
        if (!text.includes("FROM system.peers")) return ask
        asked++
        return Effect.succeed(behind-- > 0 ? [{ schema_version: "another" }] : [])
      })
      yield* run(cql, "CREATE TABLE ks.u (k int PRIMARY KEY)")
      created("u")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual([tables(), asked >= 4], [["t", "u"], true])
    }))
})
