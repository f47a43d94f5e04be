/** What clients of other ecosystems read of the system tables. */
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decode, errorOf, rowsOf } from "./rawClient.ts"
import { client, clientOf, ok, read } from "./statements.ts"

const CASSANDRA: SimulatedCluster.Options = {
  product: "cassandra",
  datacenters: [{ name: "datacenter1", nodes: 3 }]
}

describe("system tables", () => {
  it.effect("name the version of CQL of their product", () =>
    Effect.gen(function*() {
      const version = "SELECT cql_version FROM system.local"
      assert.deepStrictEqual(yield* read(yield* clientOf(CASSANDRA), version), ["3.4.7"])
      assert.deepStrictEqual(yield* read(yield* client(), version), ["3.3.1"])
    }))

  it.effect("have the replicas that their keyspace says", () =>
    Effect.gen(function*() {
      const c = yield* clientOf(CASSANDRA)
      yield* ok(c, "SELECT * FROM system_traces.sessions", { consistency: "QUORUM" })
      yield* ok(
        c,
        "SELECT * FROM system_traces.sessions WHERE session_id = c0ffee00-0000-4000-8000-000000000001",
        { consistency: "QUORUM" }
      )
      const answer = yield* c.query("SELECT * FROM system.local", { consistency: "TWO" })
      assert.strictEqual(errorOf(answer).code, 0x1000)
    }))

  it.effect("tell of roles and of their rights", () =>
    Effect.gen(function*() {
      const c = yield* clientOf(CASSANDRA)
      const keyspaces = yield* read(c, "SELECT keyspace_name FROM system_schema.keyspaces")
      assert.isTrue(keyspaces.includes("system_auth") && keyspaces.includes("system_distributed"))
      assert.deepStrictEqual(yield* read(c, "SELECT role, is_superuser FROM system_auth.roles"), ["cassandra true"])
      assert.deepStrictEqual(yield* read(c, "SELECT * FROM system_auth.role_permissions"), [])
      assert.deepStrictEqual(
        yield* read(
          c,
          "SELECT gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = 'system_auth' AND table_name = 'roles'"
        ),
        ["7776000"]
      )
    }))

  it.effect("show another chance of false positives where Cassandra compacts by levels", () =>
    Effect.gen(function*() {
      const c = yield* clientOf(
        CASSANDRA,
        "CREATE TABLE l (p int PRIMARY KEY) WITH compaction = {'class': 'LeveledCompactionStrategy'}",
        "CREATE TABLE s (p int PRIMARY KEY)"
      )
      assert.deepStrictEqual(
        yield* read(c, "SELECT bloom_filter_fp_chance FROM system_schema.tables WHERE keyspace_name = 'ks'"),
        ["0.1", "0.01"]
      )
    }))

  it.effect("tell the columns of the views behind ScyllaDB's indexes", () =>
    Effect.gen(function*() {
      const c = yield* client(
        "CREATE TABLE t (a int, b text, c int, m map<text, int>, PRIMARY KEY (a, c))",
        "CREATE INDEX g ON t (b)",
        "CREATE INDEX l ON t ((a), b)",
        "CREATE INDEX k ON t (keys(m))"
      )
      const columns = (view: string) =>
        read(
          c,
          "SELECT column_name, kind, position, type FROM system_schema.columns WHERE keyspace_name = 'ks' AND " +
            `table_name = '${view}_index'`
        )
      assert.deepStrictEqual(yield* columns("g"), [
        "a clustering 1 int",
        "b partition_key 0 text",
        "c clustering 2 int",
        "idx_token clustering 0 bigint"
      ])
      assert.deepStrictEqual(yield* columns("l"), [
        "a partition_key 0 int",
        "b clustering 0 text",
        "c clustering 1 int"
      ])
      assert.strictEqual((yield* columns("k")).at(-1), "m_key partition_key 0 text")
      const ids = rowsOf(yield* c.query("SELECT id, base_table_id FROM system_schema.views WHERE keyspace_name = 'ks'"))
      assert.strictEqual(new Set(ids.flatMap((row) => Object.values(row).map(String))).size, 4)
    }))

  it.effect("hold the routes that clients write, and tell of them whoever asked to be told", () =>
    Effect.gen(function*() {
      const c = yield* client()
      const [a, b] = ["c0ffee00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000002"]
      const insert = (link: string, host: string) =>
        `INSERT INTO system.client_routes (connection_id, host_id, address, port, tls_port) VALUES ('${link}', ${host}, 'x', 1, 2)`
      yield* ok(c, insert("vpce-0", a))
      assert.strictEqual((yield* c.request({ _tag: "Register", events: ["CLIENT_ROUTES_CHANGE"] }))._tag, "Ready")
      /** The event behind the answer. */
      const told = Effect.fnUntraced(function*(query: string) {
        yield* c.send(c.bytesOf({ _tag: "Query", query, options: { consistency: "ONE" } }, 1))
        assert.strictEqual(decode(yield* c.next)._tag, "Void", query)
        const event = decode(yield* c.next)
        return event._tag === "Event" && event.event._tag === "ClientRoutesChange"
          ? `${event.event.change} ${event.event.connectionIds.join()} ${event.event.hostIds.join()}`
          : event._tag
      })
      assert.strictEqual(yield* told(insert("vpce-1", a)), `UPDATE_NODES vpce-1 ${a}`)
      assert.strictEqual(
        yield* told(`BEGIN BATCH ${insert("vpce-1", b)}; ${insert("vpce-2", b)}; APPLY BATCH`),
        `UPDATE_NODES vpce-1,vpce-2 ${b},${b}`
      )
      assert.strictEqual(
        yield* told("DELETE FROM system.client_routes WHERE connection_id = 'vpce-1'"),
        `UPDATE_NODES vpce-1,vpce-1 ${a},${b}`
      )
      assert.deepStrictEqual(
        yield* read(c, "SELECT connection_id, host_id, address, tls_port FROM system.client_routes"),
        [
          `vpce-0 ${a} x 2`,
          `vpce-2 ${b} x 2`
        ]
      )
      const other = yield* clientOf(CASSANDRA)
      const refused = errorOf(yield* other.request({ _tag: "Register", events: ["CLIENT_ROUTES_CHANGE"] }))
      assert.deepStrictEqual([refused.code, refused.message], [
        10,
        "Invalid value 'CLIENT_ROUTES_CHANGE' for Type"
      ])
    }))
})
