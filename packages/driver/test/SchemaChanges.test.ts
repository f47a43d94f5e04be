/** Statements that were prepared before the schema changed: by this client, by another one, told or untold. */
import type { CqlClient } from "@effect-scylla/driver"
import { Frame, ServerError } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Buffer } from "node:buffer"
import { changing } from "./support/changing.ts"
import { cutting } from "./support/cutting.ts"
import { clientOf, type ClientOptions, passing, withoutEvents, world } from "./support/world.ts"

const ask = (cql: CqlClient.CqlClient, ...texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text) => passing(cql.execute(text)), { discard: true })

const rows = (cql: CqlClient.CqlClient, text: string) => Effect.map(passing(cql.execute(text)), ({ rows }) => rows)

/** Another client of the cluster. */
const another = (cluster: SimulatedCluster.SimulatedCluster, options: ClientOptions) =>
  Effect.tap(passing(clientOf(cluster, options)), (other) => passing(other.awaitConnected))

/** Makes every node know a statement by another client's hand. */
const prepareEverywhere = (other: CqlClient.CqlClient, text: string, values: ReadonlyArray<unknown>) =>
  Effect.forEach(Array.from({ length: 12 }), () => passing(other.execute(text, values)), { discard: true })

const versions: ReadonlyArray<readonly [string, SimulatedCluster.Options, ClientOptions]> = [
  ["ScyllaDB, v4", {}, {}],
  ["ScyllaDB, v3", {}, { protocolVersion: 3 }],
  ["Cassandra, v5", { product: "cassandra" }, {}]
]

/** A table or type as it was and as it is made again, and a value before and after. */
interface Case {
  readonly name: string
  readonly before: ReadonlyArray<string>
  readonly change: ReadonlyArray<string>
  readonly old: unknown
  readonly new: unknown
  readonly read?: unknown
}

const table = (type: string) => `CREATE TABLE ks.u (id int PRIMARY KEY, v ${type})`
const again = (before: string, after: string, old: unknown, now: unknown): Case => ({
  name: `${before} becomes ${after}`,
  before: [table(before)],
  change: ["DROP TABLE ks.u", table(after)],
  old,
  new: now
})
const person = (fields: string) => `CREATE TYPE ks.person (${fields})`

const cases: ReadonlyArray<Case> = [
  again("int", "text", 1, "one"),
  // The bytes of the old type are some of the new one, too: nobody would be told.
  again("int", "float", 5, 5),
  again("double", "bigint", 5, 5n),
  again("text", "blob", "a", new Uint8Array([1, 2])),
  again("list<int>", "list<float>", [5], [5]),
  again("map<text, frozen<list<int>>>", "map<text, frozen<list<float>>>", new Map([["a", [5]]]), new Map([["a", [5]]])),
  {
    name: "a type that gets a field",
    before: ["CREATE TYPE ks.addr (street text)", table("frozen<addr>")],
    change: ["ALTER TYPE ks.addr ADD zip int"],
    old: { street: "Main" },
    new: { street: "Main", zip: 12 }
  },
  {
    name: "a type in a list in a map that gets a field",
    before: ["CREATE TYPE ks.addr (street text)", table("map<text, frozen<list<frozen<addr>>>>")],
    change: ["ALTER TYPE ks.addr ADD zip int"],
    old: new Map([["a", [{ street: "Main" }]]]),
    new: new Map([["a", [{ street: "Main", zip: 12 }]]])
  },
  {
    name: "a type made again with its fields in another order",
    before: [person("first text, last text"), table("frozen<person>")],
    change: ["DROP TABLE ks.u", "DROP TYPE ks.person", person("last text, first text"), table("frozen<person>")],
    old: { first: "Ada", last: "Lovelace" },
    new: { first: "Ada", last: "Lovelace" },
    read: { last: "Lovelace", first: "Ada" }
  }
]

const INSERT = "INSERT INTO ks.u (id, v) VALUES (?, ?)"

for (const [version, options, clientOptions] of versions) {
  describe(`prepared before the schema changed, ${version}`, () => {
    for (const { before, change, name, new: now, old, read = now } of cases) {
      const check = (cql: CqlClient.CqlClient, id: number) =>
        Effect.map(
          rows(cql, `SELECT v FROM ks.u WHERE id = ${id}`),
          (rows) => assert.deepStrictEqual(rows, [{ v: read }])
        )

      it.effect(`${name}, by the same client`, () =>
        Effect.gen(function*() {
          const { cql } = yield* world(options, clientOptions)
          yield* ask(cql, ...before)
          const held = yield* passing(cql.prepare(INSERT))
          const named = yield* passing(cql.prepare("INSERT INTO ks.u (id, v) VALUES (:id, :v)"))
          for (let id = 0; id < 6; id++) yield* passing(cql.execute(held, [id, old]))
          yield* passing(cql.execute(named, { id: 6, v: old }))
          yield* ask(cql, ...change)
          yield* passing(cql.execute(INSERT, [11, now]))
          yield* passing(cql.execute(held, [12, now]))
          yield* passing(cql.execute(named, { id: 13, v: now }))
          yield* passing(cql`INSERT INTO ks.u (id, v) VALUES (${14}, ${now})`)
          const fresh = yield* passing(cql.prepare(INSERT))
          for (let id = 15; id < 22; id++) yield* passing(cql.execute(fresh, [id, now]))
          for (let id = 11; id < 22; id++) yield* check(cql, id)
        }))

      it.effect(`${name}, by another client that has prepared it on every node`, () =>
        Effect.gen(function*() {
          const { cluster, cql } = yield* world(options, clientOptions)
          yield* ask(cql, ...before)
          const held = yield* passing(cql.prepare(INSERT))
          for (let id = 0; id < 6; id++) yield* passing(cql.execute(held, [id, old]))
          const other = yield* another(cluster, clientOptions)
          yield* ask(other, ...change)
          yield* prepareEverywhere(other, INSERT, [10, now])
          for (let id = 11; id < 19; id++) yield* passing(cql.execute(held, [id, now]))
          yield* passing(cql.execute(INSERT, [19, now]))
          for (let id = 11; id < 20; id++) yield* check(cql, id)
        }))
    }

    it.effect("a value that does not fit is tried again where nobody told of the change, then for a second no more", () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world(options, clientOptions, withoutEvents)
        yield* ask(cql, table("int"))
        const held = yield* passing(cql.prepare(INSERT))
        yield* passing(cql.execute(held, [1, 1]))
        const other = yield* another(cluster, clientOptions)
        yield* ask(other, "DROP TABLE ks.u", table("text"))
        yield* TestClock.adjust("2 seconds")
        yield* passing(cql.execute(held, [2, "two"]))
        assert.deepStrictEqual(yield* rows(cql, "SELECT v FROM ks.u WHERE id = 2"), [{ v: "two" }])
        // Every node has said by now what it is.
        for (let id = 10; id < 30; id++) yield* passing(cql.execute(held, [id, "x"]))
        yield* TestClock.adjust("2 seconds")
        const { prepares } = yield* cluster.stats
        for (let i = 0; i < 10; i++) {
          const wrong = yield* Effect.flip(cql.execute(held, [3, 3]))
          assert.strictEqual(wrong.reason._tag, "EncodeError")
          assert.include(wrong.message, "v: expected text")
          assert.strictEqual(wrong.outcome, "NotSent")
        }
        assert.strictEqual((yield* cluster.stats).prepares, prepares + 1)
      }))
  })
}

describe("what a change asks for", () => {
  it.effect("changes of other tables, types and keyspaces prepare nothing again", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* ask(cql, "CREATE TYPE ks.addr (street text)", table("int"))
      const held = yield* passing(cql.prepare(INSERT))
      for (let id = 0; id < 9; id++) yield* passing(cql.execute(held, [id, 1]))
      const { prepares } = yield* cluster.stats
      yield* ask(
        cql,
        "CREATE TABLE ks.other (id int PRIMARY KEY)",
        "ALTER TYPE ks.addr ADD zip int",
        "DROP TABLE ks.other",
        "CREATE KEYSPACE k2 WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
      )
      for (let id = 0; id < 9; id++) yield* passing(cql.execute(held, [id, 2]))
      assert.strictEqual((yield* cluster.stats).prepares, prepares)
    }))

  it.effect("after a change each node is asked once", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* ask(cql, table("int"))
      const held = yield* passing(cql.prepare(INSERT))
      for (let id = 0; id < 9; id++) yield* passing(cql.execute(held, [id, 1]))
      const { prepares } = yield* cluster.stats
      yield* ask(cql, "ALTER TABLE ks.u ADD w int")
      for (let id = 0; id < 30; id++) yield* passing(cql.execute(held, [id, 2]))
      assert.strictEqual((yield* cluster.stats).prepares, prepares + 3)
    }))

  it.effect("a control connection that was lost meanwhile: what changed is asked for", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      yield* ask(other, table("int"))
      const line = cutting(cluster.transport)
      const cql = yield* passing(clientOf(cluster, {}, line.transport))
      yield* passing(cql.awaitConnected)
      const held = yield* passing(cql.prepare(INSERT))
      for (let id = 0; id < 9; id++) yield* passing(cql.execute(held, [id, 5]))
      line.cut()
      yield* TestClock.adjust("1 second")
      yield* ask(other, "DROP TABLE ks.u", table("float"))
      yield* prepareEverywhere(other, INSERT, [100, 5])
      line.mend()
      yield* TestClock.adjust("30 seconds")
      for (let id = 0; id < 9; id++) yield* passing(cql.execute(held, [id, 5]))
      for (let id = 0; id < 9; id++) {
        assert.deepStrictEqual(yield* rows(cql, `SELECT v FROM ks.u WHERE id = ${id}`), [{ v: 5 }])
      }
    }))

  it.effect("a change that is heard of while a node is asked is another question", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      yield* ask(cql, table("int"))
      const held = yield* passing(cql.prepare(INSERT))
      yield* passing(cql.execute(held, [1, 1]))
      const other = yield* another(cluster, {})
      yield* ask(other, "ALTER TABLE ks.u ADD w int")
      let asked = 0
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.PREPARE && asked++ === 0 ? { _tag: "Delay", millis: 1_000 } : undefined
      )
      const request = yield* Effect.forkChild(cql.execute(held, [2, 2]), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(asked, 1)
      yield* ask(other, "ALTER TABLE ks.u ADD x int")
      yield* passing(Fiber.join(request))
      assert.strictEqual(asked, 2)
    }))

  it.effect("a change of this client's counts again when the nodes agree: who was asked before may not have had it", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 2 })
      yield* ask(cql, table("int"))
      const held = yield* passing(cql.prepare(INSERT))
      const use = Effect.forEach(
        Array.from({ length: 12 }, (_, id) => id),
        (id) => passing(cql.execute(held, [id, id]))
      )
      yield* use
      // Nobody says which schema it has for as long as this holds.
      let isSilent = true
      yield* cluster.intercept(({ request }) =>
        isSilent && request._tag === "Query" && request.query.startsWith("SELECT schema_version FROM system.local")
          ? { _tag: "Error", error: new ServerError.Overloaded({ message: "not now", code: 0x1001 }) }
          : undefined
      )
      const change = yield* Effect.forkChild(cql.execute("ALTER TABLE ks.u ADD w int"), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      const before = (yield* cluster.stats).prepares
      yield* use
      const during = (yield* cluster.stats).prepares
      assert.isAtLeast(during - before, 2)
      assert.isUndefined(change.pollUnsafe())
      isSilent = false
      yield* passing(Fiber.join(change))
      yield* use
      assert.isAtLeast((yield* cluster.stats).prepares - during, 2)
    }))

  it.effect("the marker of IN is spelled in two ways: the same statement, and values by name under both", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* ask(cql, table("int"), "INSERT INTO ks.u (id, v) VALUES (1, 2)")
      const select = yield* passing(cql.prepare("SELECT v FROM ks.u WHERE id IN ?"))
      const before = select.variables[0]!.name
      for (const spelling of ["IN", "in", "IN"] as const) {
        yield* cluster.renameIn(spelling)
        for (let i = 0; i < 6; i++) {
          assert.deepStrictEqual((yield* passing(cql.execute(select, [[1]]))).rows, [{ v: 2 }])
        }
        for (const name of ["in(id)", "IN(id)"]) {
          assert.deepStrictEqual((yield* passing(cql.execute(select, { [name]: [1] }))).rows, [{ v: 2 }])
        }
      }
      assert.notStrictEqual(select.variables[0]!.name, before)
      const wrong = yield* Effect.flip(passing(cql.execute(select, { "out(id)": [1] })))
      assert.include(wrong.message, 'the statement has no variable "out(id)"')
    }))

  it.effect("what really is another statement is refused to whoever holds the old one", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world()
      yield* ask(other, table("int"))
      // No server does this for the same text: the variables are of another table.
      let isAnother = false
      const cql = yield* passing(clientOf(
        cluster,
        {},
        changing(cluster.transport, (bytes) => {
          const at = bytes.indexOf(Buffer.from([0, 2, 0x6b, 0x73, 0, 1, 0x75]))
          if (isAnother && bytes[4] === Frame.Opcode.RESULT && bytes.readInt32BE(9) === 4 && at > 0) {
            bytes[at + 6] = 0x77
          }
        })
      ))
      const held = yield* passing(cql.prepare(INSERT))
      yield* passing(cql.execute(held, [1, 1]))
      isAnother = true
      yield* ask(cql, "ALTER TABLE ks.u ADD w int")
      const { message, outcome, reason } = yield* Effect.flip(passing(cql.execute(held, [2, 2])))
      assert.strictEqual(reason._tag, "StatementChanged")
      assert.strictEqual(outcome, "NotSent")
      assert.include(message, "prepare it again")
    }))
})
