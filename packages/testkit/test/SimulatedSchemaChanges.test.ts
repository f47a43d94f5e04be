/** What becomes of prepared statements when the schema changes under them, and what clients are told. As Cassandra 5.0.5 does it. */
import { Codec, CqlType, type Request, type Response } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { Buffer } from "node:buffer"
import { connect, errorOf, type RawClient, rowsOf } from "./rawClient.ts"
import { clientOf, int, ok, read, refusal, text } from "./statements.ts"

const record = (...fields: ReadonlyArray<Uint8Array>): Uint8Array =>
  Uint8Array.from(Buffer.concat(fields.flatMap((field) => [int(field.length), field])))

const prepare = Effect.fnUntraced(function*(of: RawClient, query: string) {
  const answer = yield* of.request({ _tag: "Prepare", query })
  if (answer._tag !== "Prepared") return assert.fail(JSON.stringify(answer))
  return answer
})

const execute = (of: RawClient, id: Uint8Array, ...values: ReadonlyArray<Request.RawValue>) =>
  of.request({ _tag: "Execute", id, values: { values }, options: { consistency: "ONE" } })

const UNPREPARED = 0x2500

const isUnprepared = (answer: Response.Response) => assert.strictEqual(errorOf(answer).code, UNPREPARED)

/** Two clients of one node. */
const pair = Effect.fnUntraced(function*(options: SimulatedCluster.Options, ...statements: ReadonlyArray<string>) {
  const cluster = yield* SimulatedCluster.make({ transport: "memory", nodes: 1, ...options })
  const open = Effect.gen(function*() {
    const made = yield* connect("127.0.0.1", 9042, cluster.transport)
    yield* made.startup()
    return made
  })
  const one = yield* open
  const other = yield* open
  yield* ok(one, "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
  for (const statement of statements) yield* ok(one, statement)
  return { cluster, one, other }
})

for (const product of ["scylla", "cassandra"] as const) {
  describe(`a statement that was prepared on ${product}`, () => {
    it.effect("before its table was dropped and made anew takes the old bytes for the new type, once anybody prepares it", () =>
      Effect.gen(function*() {
        const { one, other } = yield* pair({ product }, "CREATE TABLE ks.t (pk int PRIMARY KEY, v int)")
        const insert = "INSERT INTO ks.t (pk, v) VALUES (?, ?)"
        const { id } = yield* prepare(one, insert)
        yield* execute(one, id, int(1), int(2))
        yield* ok(one, "DROP TABLE ks.t")
        isUnprepared(yield* execute(one, id, int(1), int(2)))
        yield* ok(one, "CREATE TABLE ks.t (pk int PRIMARY KEY, v float)")
        isUnprepared(yield* execute(one, id, int(1), int(2)))
        const again = yield* prepare(other, insert)
        assert.deepStrictEqual(again.id, id)
        assert.strictEqual(CqlType.format(again.variables.columns[1]!.type), "float")
        assert.strictEqual((yield* execute(one, id, int(1), int(2)))._tag, "Void")
        // Four bytes that were meant for an integer are a float now.
        assert.deepStrictEqual(yield* read(one, "SELECT v FROM ks.t"), [
          String(Codec.decode(CqlType.scalar("float"), int(2)))
        ])
        const short = errorOf(yield* execute(one, id, int(1), text("abc")))
        assert.strictEqual(short.code, 0x2200)
      }))

    it.effect("before its type was dropped and made anew with its fields in another order exchanges them", () =>
      Effect.gen(function*() {
        const table = "CREATE TABLE ks.t (pk int PRIMARY KEY, v frozen<u>)"
        const { one, other } = yield* pair({ product }, "CREATE TYPE ks.u (a int, b text)", table)
        const insert = "INSERT INTO ks.t (pk, v) VALUES (?, ?)"
        const { id } = yield* prepare(one, insert)
        assert.match(yield* refusal(one, "DROP TYPE ks.u"), /still used by/)
        yield* ok(one, "DROP TABLE ks.t")
        yield* ok(one, "DROP TYPE ks.u")
        yield* ok(one, "CREATE TYPE ks.u (b text, a int)")
        yield* ok(one, table)
        isUnprepared(yield* execute(one, id, int(1), record(int(7), text("four"))))
        yield* prepare(other, insert)
        yield* execute(one, id, int(1), record(int(7), text("four")))
        const [row] = rowsOf(yield* one.query("SELECT v FROM ks.t")) as unknown as [{ v: { a: number; b: string } }]
        assert.deepStrictEqual([row.v.a, row.v.b], [Buffer.from("four").readInt32BE(), "\0\0\0\u0007"])
        // Lengths of what has one are all that is looked at.
        assert.strictEqual(errorOf(yield* execute(one, id, int(1), record(int(7), text("seven")))).code, 0x2200)
      }))

    it.effect("before a field was added to its type is not known, and its bytes are then taken without the field", () =>
      Effect.gen(function*() {
        const { one, other } = yield* pair(
          { product },
          "CREATE TYPE ks.u (a int, b text)",
          "CREATE TYPE ks.o (x frozen<u>)",
          "CREATE TABLE ks.t (pk int PRIMARY KEY, v frozen<list<frozen<o>>>, w u)",
          "CREATE TABLE ks.free (pk int PRIMARY KEY)",
          "INSERT INTO ks.t (pk, v, w) VALUES (1, [{x: {a: 1}}], {a: 1})"
        )
        const insert = "INSERT INTO ks.t (pk, w) VALUES (?, ?)"
        const { id } = yield* prepare(one, insert)
        const free = yield* prepare(one, "INSERT INTO ks.free (pk) VALUES (?)")
        yield* ok(other, "ALTER TYPE ks.u ADD c int")
        assert.strictEqual((yield* execute(one, free.id, int(1)))._tag, "Void")
        isUnprepared(yield* execute(one, id, int(2), record(int(2), text("two"))))
        const again = yield* prepare(other, insert)
        assert.deepStrictEqual(again.id, id)
        assert.deepStrictEqual(again.variables.columns[1]!.type, {
          _tag: "Udt",
          keyspace: "ks",
          name: "u",
          fields: [["a", "int"], ["b", "text"], ["c", "int"]].map(([name, type]) => ({
            name: name!,
            type: CqlType.scalar(type as "int" | "text")
          }))
        })
        yield* execute(one, id, int(2), record(int(2), text("two")))
        // Of a type that is not frozen all fields are told, whenever they were written.
        const frame = yield* one.ask({ _tag: "Query", query: "SELECT w FROM ks.t", options: { consistency: "ONE" } })
        const hex = Buffer.from(frame.body).toString("hex")
        const none = "ffffffff"
        assert.include(hex, `0000001000000004${"00000001"}${none}${none}`)
        assert.include(hex, `0000001300000004${"00000002"}00000003${Buffer.from("two").toString("hex")}${none}`)
        const [first] = rowsOf(yield* one.query("SELECT v FROM ks.t WHERE pk = 1"))
        assert.strictEqual(JSON.stringify(first), '{"v":[{"x":{"a":1,"b":null,"c":null}}]}')
        yield* ok(other, "ALTER TYPE ks.u RENAME a TO aa AND c TO cc")
        isUnprepared(yield* execute(one, id, int(2), record(int(2))))
        assert.deepStrictEqual(
          yield* read(
            one,
            "SELECT field_names FROM system_schema.types WHERE keyspace_name = 'ks' AND type_name = 'u'"
          ),
          ["aa,b,cc"]
        )
      }))

    it.effect("before an option of its table changed is known to Cassandra and not to ScyllaDB", () =>
      Effect.gen(function*() {
        const { one } = yield* pair({ product }, "CREATE TABLE ks.t (pk int PRIMARY KEY, v int)")
        const { id } = yield* prepare(one, "INSERT INTO ks.t (pk, v) VALUES (?, ?)")
        yield* ok(one, "ALTER TABLE ks.t WITH comment = 'other'")
        const answer = yield* execute(one, id, int(1), int(1))
        if (product === "cassandra") assert.strictEqual(answer._tag, "Void")
        else isUnprepared(answer)
        assert.deepStrictEqual(
          yield* read(one, "SELECT comment FROM system_schema.tables WHERE keyspace_name = 'ks' AND table_name = 't'"),
          ["other"]
        )
        yield* prepare(one, "INSERT INTO ks.t (pk, v) VALUES (?, ?)")
        yield* ok(one, "ALTER TABLE ks.t ADD w int")
        isUnprepared(yield* execute(one, id, int(1), int(1)))
      }))
  })

  describe(`clients of ${product} that registered`, () => {
    it.effect("are told of all that an ALTER TYPE changes, types first, and of each part of a keyspace that is dropped", () =>
      Effect.gen(function*() {
        const { one, other } = yield* pair({ product })
        yield* other.request({ _tag: "Register", events: ["SCHEMA_CHANGE"] })
        const told = Effect.fnUntraced(function*(statement: string, count: number) {
          const answer = yield* ok(one, statement)
          const out: Array<string> = []
          for (let i = 0; i < count; i++) {
            const event = other.read(yield* other.next)
            if (event._tag !== "Event" || event.event._tag !== "SchemaChange") return assert.fail(JSON.stringify(event))
            const { schema } = event.event
            out.push(`${schema.change} ${schema.target} ${"name" in schema ? schema.name : schema.keyspace}`)
          }
          assert.strictEqual(yield* Queue.size(other.frames), 0)
          return [answer._tag, ...out]
        })
        const changed = "SchemaChanged"
        assert.deepStrictEqual(yield* told("CREATE TYPE ks.u (a int)", 1), [changed, "CREATED TYPE u"])
        assert.deepStrictEqual(yield* told("CREATE TYPE ks.o (x frozen<u>)", 1), [changed, "CREATED TYPE o"])
        assert.deepStrictEqual(yield* told("CREATE TABLE ks.t (pk int PRIMARY KEY, v frozen<o>)", 1), [
          changed,
          "CREATED TABLE t"
        ])
        assert.deepStrictEqual(yield* told("CREATE TABLE ks.free (pk int PRIMARY KEY)", 1), [
          changed,
          "CREATED TABLE free"
        ])
        assert.deepStrictEqual(yield* told("ALTER TYPE ks.u ADD b int", 3), [
          changed,
          "UPDATED TYPE o",
          "UPDATED TYPE u",
          "UPDATED TABLE t"
        ])
        assert.deepStrictEqual(yield* told("ALTER TABLE ks.t WITH comment = 'x'", 1), [changed, "UPDATED TABLE t"])
        assert.deepStrictEqual(yield* told("ALTER KEYSPACE ks WITH durable_writes = false", 1), [
          changed,
          "UPDATED KEYSPACE ks"
        ])
        assert.deepStrictEqual(yield* told("DROP TABLE ks.free", 1), [changed, "DROPPED TABLE free"])
        assert.deepStrictEqual(yield* told("DROP KEYSPACE ks", 4), [
          changed,
          "DROPPED TABLE t",
          "DROPPED TYPE u",
          "DROPPED TYPE o",
          "DROPPED KEYSPACE ks"
        ])
      }))
  })
}

describe("what changes nothing", () => {
  for (const product of ["scylla", "cassandra"] as const) {
    it.effect(`is told to nobody, ${product}`, () =>
      Effect.gen(function*() {
        const { one, other } = yield* pair(
          { product },
          "CREATE TABLE ks.t (pk int PRIMARY KEY)",
          "CREATE TYPE ks.u (a int)"
        )
        yield* other.request({ _tag: "Register", events: ["SCHEMA_CHANGE"] })
        const creates = [
          "CREATE KEYSPACE IF NOT EXISTS ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
          "CREATE TABLE IF NOT EXISTS ks.t (pk int PRIMARY KEY)",
          "CREATE TYPE IF NOT EXISTS ks.u (a int)"
        ]
        for (const statement of creates) {
          // ScyllaDB answers as if it had made it.
          const answer = yield* ok(one, statement)
          assert.strictEqual(answer._tag, product === "scylla" ? "SchemaChanged" : "Void", statement)
        }
        const drops = [
          "TABLE IF EXISTS ks.nope",
          "TYPE IF EXISTS ks.nope",
          "KEYSPACE IF EXISTS nope",
          "INDEX IF EXISTS ks.nope"
        ]
        for (const what of drops) assert.strictEqual((yield* ok(one, `DROP ${what}`))._tag, "Void", what)
        assert.strictEqual(yield* Queue.size(other.frames), 0)
      }))
  }
})

describe("ALTER TYPE", () => {
  it.effect("refuses what would not make a type", () =>
    Effect.gen(function*() {
      const c = yield* clientOf({}, "CREATE TYPE u (a int, b text)")
      const cases: ReadonlyArray<readonly [string, RegExp]> = [
        ["ALTER TYPE u ADD a int", /^Cannot add new field a to type ks\.u: a field of the same name already exists$/],
        ["ALTER TYPE u ADD self frozen<u>", /would create a circular reference$/],
        ["ALTER TYPE u RENAME x TO y", /^Unknown field x in type ks\.u$/],
        ["ALTER TYPE u RENAME a TO b", /^Duplicate field name 62 in type u$/],
        [
          "ALTER TYPE u ALTER a TYPE bigint",
          /^Type bigint in incompatible with previous type int of field a in user type ks\.u$/
        ],
        ["ALTER TYPE nope ADD a int", /^No user type named ks\.nope exists\.$/]
      ]
      for (const [statement, expected] of cases) assert.match(yield* refusal(c, statement), expected, statement)
    }))
})

describe("the name of the marker of IN", () => {
  it.effect("may change while the cluster runs: nodes forget, the id stays, and values are taken under both names", () =>
    Effect.gen(function*() {
      const { cluster, one } = yield* pair(
        {},
        "CREATE TABLE ks.t (pk int PRIMARY KEY)",
        "INSERT INTO ks.t (pk) VALUES (1)"
      )
      const select = "SELECT pk FROM ks.t WHERE pk IN ?"
      const list = Codec.encode(CqlType.list(CqlType.scalar("int")), [1])
      const named = (id: Uint8Array, name: string) =>
        Effect.map(
          one.request({
            _tag: "Execute",
            id,
            values: { values: [list], names: [name] },
            options: { consistency: "ONE" }
          }),
          (answer) => rowsOf(answer).length
        )
      const before = yield* prepare(one, select)
      assert.strictEqual(before.variables.columns[0]!.name, "in(pk)")
      yield* cluster.renameIn("IN")
      isUnprepared(yield* execute(one, before.id, list))
      const after = yield* prepare(one, select)
      assert.deepStrictEqual([after.id, after.variables.columns[0]!.name], [before.id, "IN(pk)"])
      for (const name of ["in(pk)", "IN(pk)"]) assert.strictEqual(yield* named(after.id, name), 1)
      yield* cluster.renameIn("in")
      const last = yield* prepare(one, select)
      for (const name of ["in(pk)", "IN(pk)"]) assert.strictEqual(yield* named(last.id, name), 1)
    }))

  it.effect("is an option, and on Cassandra the only one that is taken", () =>
    Effect.gen(function*() {
      const upper = yield* clientOf({ inName: "IN" }, "CREATE TABLE t (pk int PRIMARY KEY)")
      const select = "SELECT pk FROM t WHERE pk IN ?"
      assert.strictEqual((yield* prepare(upper, select)).variables.columns[0]!.name, "IN(pk)")
      const cassandra = yield* clientOf({ product: "cassandra" }, "CREATE TABLE t (pk int PRIMARY KEY)")
      const { id } = yield* prepare(cassandra, select)
      const values = { values: [Codec.encode(CqlType.list(CqlType.scalar("int")), [1])], names: ["IN(pk)"] }
      const answer = yield* cassandra.request({ _tag: "Execute", id, values, options: { consistency: "ONE" } })
      assert.strictEqual(errorOf(answer).code, 0x2200)
    }))
})
