/** What the servers tell of themselves: DESCRIBE and the system tables. */
import { Frame, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, rowsOf } from "./rawClient.ts"
import { clientOf, ok, read, refusal } from "./statements.ts"

for (const product of ["scylla", "cassandra"] as const) {
  describe(`of ${product}`, () => {
    it.effect("what is described can be made again of the description", () =>
      Effect.gen(function*() {
        const c = yield* clientOf(
          { product },
          "CREATE TYPE ad (street text, zip int)",
          'CREATE TABLE t (k int, "C" text, s int static, v frozen<ad>, l list<int>, PRIMARY KEY (k, "C")) ' +
            "WITH CLUSTERING ORDER BY (\"C\" DESC) AND comment = 'it''s' AND gc_grace_seconds = 7",
          "CREATE INDEX by_v ON t (v)",
          'CREATE MATERIALIZED VIEW seen AS SELECT k, "C", v FROM t WHERE k IS NOT NULL AND "C" IS NOT NULL ' +
            'PRIMARY KEY ("C", k)'
        )
        const described = Effect.map(
          c.query("DESCRIBE KEYSPACE ks"),
          (answer) => rowsOf(answer).map((row) => String(row["create_statement"]))
        )
        const before = yield* described
        assert.deepStrictEqual(before.map((text) => /^CREATE (\w+)/.exec(text)?.[1]), [
          "KEYSPACE",
          "TYPE",
          "TABLE",
          "INDEX",
          "MATERIALIZED"
        ])
        assert.match(before[2]!, /comment = 'it''s'/)
        yield* ok(c, "DROP KEYSPACE ks")
        for (const statement of before) yield* ok(c, statement)
        assert.deepStrictEqual(yield* described, before)
      }))

    it.effect("what is not there is not described", () =>
      Effect.gen(function*() {
        const c = yield* clientOf({ product }, "CREATE TABLE t (k int PRIMARY KEY)")
        for (const what of ["KEYSPACE nope", "TABLE nope", "TYPE nope", "INDEX nope", "nope", "FUNCTION nope"]) {
          assert.match(yield* refusal(c, `DESCRIBE ${what}`), /nope/, what)
        }
        const names = rowsOf(yield* c.query("DESC TABLES")).map((row) => row["name"])
        assert.deepStrictEqual(names, ["t"])
      }))

    it.effect("requests that are traced are found under the id that their answers have", () =>
      Effect.gen(function*() {
        const c = yield* clientOf({ product }, "CREATE TABLE t (k int PRIMARY KEY)")
        const traced = Effect.fnUntraced(function*(query: string) {
          const bytes = c.bytesOf({ _tag: "Query", query, options: { consistency: "ONE" } })
          bytes[1] = bytes[1]! | Frame.Flags.TRACING
          yield* c.send(bytes)
          const frame = yield* c.next
          assert.strictEqual(frame.flags & Frame.Flags.TRACING, Frame.Flags.TRACING, query)
          return Uuid.fromBytes(frame.body, 0).toString()
        })
        const [good, wrong] = [yield* traced("SELECT k FROM t"), yield* traced("SELECT nope FROM t")]
        assert.notStrictEqual(good, wrong)
        const session = Effect.fnUntraced(function*(id: string) {
          const [row] = rowsOf(yield* c.query(`SELECT * FROM system_traces.sessions WHERE session_id = ${id}`))
          const { duration, parameters, request } = row!
          return `${String(request)}: ${(parameters as Map<string, string>).get("query")}, ${String(duration)}`
        })
        assert.deepStrictEqual(yield* session(good), "Execute CQL3 query: SELECT k FROM t, 4")
        assert.deepStrictEqual(yield* session(wrong), "Execute CQL3 query: SELECT nope FROM t, 4")
        const events = yield* read(c, `SELECT activity FROM system_traces.events WHERE session_id = ${good}`)
        assert.strictEqual(events[0], "Parsing a statement")
        const untraced = yield* c.ask({ _tag: "Query", query: "SELECT k FROM t", options: { consistency: "ONE" } })
        assert.strictEqual(untraced.flags & Frame.Flags.TRACING, 0)
      }))

    it.effect("what clients write to system tables is seen by who asks the same node", () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ transport: "memory", product, nodes: 2 })
        const open = Effect.fnUntraced(function*(index: number) {
          const made = yield* connect(cluster.nodes[index]!.address, 9042, cluster.transport)
          yield* made.startup()
          return made
        })
        const [one, two] = [yield* open(0), yield* open(1)]
        yield* ok(one, "UPDATE system.local SET cluster_name = 'mine' WHERE key = 'local'")
        assert.deepStrictEqual(yield* read(one, "SELECT cluster_name FROM system.local"), ["mine"])
        assert.deepStrictEqual(yield* read(two, "SELECT cluster_name FROM system.local"), ["effect-scylla simulated"])
        const peer = (yield* read(one, "SELECT peer FROM system.peers"))[0]!
        yield* ok(one, `DELETE FROM system.peers WHERE peer = '${peer}'`)
        assert.deepStrictEqual(yield* read(one, "SELECT peer FROM system.peers"), [])
        assert.strictEqual((yield* read(two, "SELECT peer FROM system.peers")).length, 1)
        yield* ok(one, "TRUNCATE system.peers")
        assert.deepStrictEqual(yield* read(one, "SELECT peer FROM system.peers"), [])
      }))
  })
}

describe("system tables of Cassandra", () => {
  it.effect("are its own", () =>
    Effect.gen(function*() {
      const c = yield* clientOf({ product: "cassandra" }, "CREATE TABLE t (k int PRIMARY KEY, v int)")
      assert.deepStrictEqual(yield* read(c, "SELECT release_version, rpc_port FROM system.local"), ["5.0.5 9042"])
      for (const name of ["system_schema.scylla_tables", "system.clients", "system.versions"]) {
        assert.match(yield* refusal(c, `SELECT * FROM ${name}`), /does not exist$/)
      }
      assert.deepStrictEqual(
        yield* read(c, "SELECT read_repair, cdc FROM system_schema.tables WHERE keyspace_name = 'ks'"),
        ["BLOCKING null"]
      )
      yield* ok(c, "ALTER TABLE t DROP v")
      assert.deepStrictEqual(
        yield* read(c, "SELECT column_name, kind FROM system_schema.dropped_columns WHERE keyspace_name = 'ks'"),
        ["v regular"]
      )
      assert.includeMembers(yield* read(c, "SELECT keyspace_name FROM system_virtual_schema.keyspaces"), [
        "system_views"
      ])
      assert.notInclude(yield* read(c, "SELECT keyspace_name FROM system_schema.keyspaces"), "system_views")
      assert.match(yield* refusal(c, "TRUNCATE system_views.clients"), /virtual/)
      assert.match(
        yield* refusal(c, "INSERT INTO system_views.clients (address, port) VALUES ('127.0.0.1', 1)"),
        /^Modification is not supported/
      )
    }))
})

describe("what Cassandra describes", () => {
  it.effect("types and tables whatever their case", () =>
    Effect.gen(function*() {
      const c = yield* clientOf({ product: "cassandra" }, 'CREATE TYPE "Ty pe" (a int)', "CREATE TYPE plain (a int)")
      assert.deepStrictEqual(yield* read(c, "DESCRIBE TYPES"), ["ks type plain", 'ks type "Ty pe"'])
    }))

  it.effect("ids and columns that were dropped, where they are asked for", () =>
    Effect.gen(function*() {
      const c = yield* clientOf(
        { product: "cassandra" },
        "CREATE TABLE t (a int PRIMARY KEY, b text, c int) WITH compaction = {'class': 'UnifiedCompactionStrategy'}",
        "ALTER TABLE t DROP b",
        "ALTER TABLE t DROP c",
        "ALTER TABLE t ADD c int"
      )
      const [row] = rowsOf(yield* c.query("DESCRIBE TABLE t WITH INTERNALS"))
      const text = String(row!["create_statement"])
      const [table] = rowsOf(yield* c.query("SELECT id FROM system_schema.tables WHERE keyspace_name = 'ks'"))
      assert.isTrue(
        text.startsWith(
          "CREATE TABLE ks.t (\n    a int PRIMARY KEY,\n    c int,\n    b text\n) WITH ID = " +
            `${String(table!["id"])}\n    AND additional_write_policy`
        ),
        text
      )
      assert.match(
        text,
        /;\nALTER TABLE ks\.t DROP b USING TIMESTAMP \d+;\nALTER TABLE ks\.t DROP c USING TIMESTAMP \d+;\nALTER TABLE ks\.t ADD c int;$/
      )
      // No thresholds of how many tables are compacted at once.
      assert.notMatch(text, /max_threshold/)
    }))
})
