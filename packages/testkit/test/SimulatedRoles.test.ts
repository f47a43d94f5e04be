/** Roles and rights where clients log in, as Apache Cassandra 5.0.5 was asked with its PasswordAuthenticator and CassandraAuthorizer. */
import { CqlClient } from "@effect-scylla/driver"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Buffer } from "node:buffer"
import { connect, errorOf } from "./rawClient.ts"
import { answerOf } from "./wireAnswer.ts"

/**
 * Who asked, what, and what came: an error's code and text, rows with their cells, or what kind of answer. What Cassandra's caches of
 * rights and logins still let pass for seconds is left out: the simulator has none.
 */
const asked: ReadonlyArray<readonly [who: string, statement: string, answer: string | ReadonlyArray<string>]> = [
  ["cassandra", "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}", "schema"],
  ["cassandra", "CREATE TABLE ks.t (p int PRIMARY KEY, v int)", "schema"],
  ["cassandra", "CREATE TABLE ks.u (p int PRIMARY KEY, v int)", "schema"],
  ["cassandra", "CREATE ROLE app WITH PASSWORD = 'secret' AND LOGIN = true", "void"],
  ["cassandra", "CREATE ROLE app WITH PASSWORD = 'secret' AND LOGIN = true", "8704 app already exists"],
  ["cassandra", "CREATE ROLE IF NOT EXISTS app", "void"],
  ["cassandra", "CREATE ROLE readers", "void"],
  ["cassandra", "CREATE ROLE nologin WITH PASSWORD = 'secret'", "void"],
  ["nologin", "SELECT * FROM ks.t", "login: nologin is not permitted to log in"],
  ["nobody", "SELECT * FROM ks.t", "login: Provided username nobody and/or password are incorrect"],
  ["app", "SELECT * FROM ks.t", "8448 User app has no SELECT permission on <table ks.t> or any of its parents"],
  [
    "app",
    "INSERT INTO ks.t (p) VALUES (1)",
    "8448 User app has no MODIFY permission on <table ks.t> or any of its parents"
  ],
  [
    "app",
    "UPDATE ks.t SET v = 1 WHERE p = 1",
    "8448 User app has no MODIFY permission on <table ks.t> or any of its parents"
  ],
  [
    "app",
    "BEGIN BATCH INSERT INTO ks.t (p) VALUES (1); APPLY BATCH",
    "8448 User app has no MODIFY permission on <table ks.t> or any of its parents"
  ],
  [
    "app",
    "UPDATE ks.t SET v = 1 WHERE p = 1 IF v = 2",
    "8448 User app has no MODIFY permission on <table ks.t> or any of its parents"
  ],
  ["app", "TRUNCATE ks.t", "8448 User app has no MODIFY permission on <table ks.t> or any of its parents"],
  [
    "app",
    "CREATE TABLE ks.x (p int PRIMARY KEY)",
    "8448 User app has no CREATE permission on <all tables in ks> or any of its parents"
  ],
  [
    "app",
    "CREATE KEYSPACE k2 WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    "8448 User app has no CREATE permission on <all keyspaces> or any of its parents"
  ],
  ["app", "ALTER TABLE ks.t ADD w int", "8448 User app has no ALTER permission on <table ks.t> or any of its parents"],
  ["app", "DROP TABLE ks.t", "8448 User app has no DROP permission on <table ks.t> or any of its parents"],
  ["app", "CREATE INDEX ON ks.t (v)", "8448 User app has no ALTER permission on <table ks.t> or any of its parents"],
  ["app", "CREATE ROLE x", "8448 User app does not have sufficient privileges to perform the requested operation"],
  ["app", "ALTER ROLE app WITH PASSWORD = 'secret'", "void"],
  [
    "app",
    "ALTER ROLE readers WITH PASSWORD = 'secret'",
    "8448 User app does not have sufficient privileges to perform the requested operation"
  ],
  [
    "app",
    "ALTER ROLE app WITH SUPERUSER = true",
    "8448 You aren't allowed to alter your own superuser status or that of a role granted to you"
  ],
  ["app", "DROP ROLE readers", "8448 User app does not have sufficient privileges to perform the requested operation"],
  [
    "app",
    "GRANT SELECT ON ks.t TO app",
    "8448 User app has no AUTHORIZE permission on <table ks.t> or any of its parents"
  ],
  [
    "app",
    "GRANT readers TO app",
    "8448 User app does not have sufficient privileges to perform the requested operation"
  ],
  ["app", "LIST ROLES", ["app false true {} ALL"]],
  ["app", "LIST ROLES OF app", ["app false true {} ALL"]],
  ["app", "LIST ROLES OF readers", "8448 You are not authorized to view roles granted to readers "],
  ["app", "LIST ALL PERMISSIONS", "8448 You are not authorized to view everyone's permissions"],
  ["app", "LIST ALL PERMISSIONS OF app", "void"],
  ["app", "LIST ALL PERMISSIONS OF readers", "8448 You are not authorized to view readers's permissions"],
  ["app", "USE ks", "use"],
  ["cassandra", "GRANT SELECT ON ks.t TO readers", "void"],
  ["cassandra", "GRANT SELECT ON ks.t TO readers", "void: Role 'readers' was already granted SELECT on <table ks.t>"],
  ["cassandra", "GRANT readers TO app", "void"],
  ["cassandra", "GRANT readers TO app", "8704 app is a member of readers"],
  ["cassandra", "GRANT app TO readers", "8704 app is a member of readers"],
  ["cassandra", "GRANT MODIFY, ALTER ON KEYSPACE ks TO app", "void"],
  [
    "cassandra",
    "GRANT EXECUTE ON ks.t TO app",
    "8192 Resource type DataResource does not support any of the requested permissions"
  ],
  ["cassandra", "GRANT ALL ON ks.u TO app", "void"],
  ["cassandra", "GRANT SELECT ON ks.nope TO app", "8704 Resource <table ks.nope> doesn't exist"],
  ["cassandra", "GRANT SELECT ON ks.t TO nope", "8704 Role nope doesn't exist"],
  ["cassandra", "GRANT nope TO app", "8704 nope doesn't exist"],
  ["cassandra", "GRANT readers TO nope", "8704 nope doesn't exist"],
  ["cassandra", "REVOKE nope FROM app", "8704 nope doesn't exist"],
  ["cassandra", "REVOKE cassandra FROM app", "8704 app is not a member of cassandra"],
  ["cassandra", "REVOKE SELECT ON ks.u FROM readers", "void: Role 'readers' was not granted SELECT on <table ks.u>"],
  ["cassandra", "REVOKE SELECT ON ks.u FROM nope", "8704 Role nope doesn't exist"],
  ["app", "SELECT * FROM ks.t", []],
  ["app", "INSERT INTO ks.t (p) VALUES (1)", "void"],
  ["app", "UPDATE ks.t SET v = 1 WHERE p = 1 IF v = 2", ["false null"]],
  ["app", "ALTER TABLE ks.t ADD w int", "schema"],
  ["cassandra", "LIST ROLES", [
    "app false true {} ALL",
    "cassandra true true {} ALL",
    "nologin false false {} ALL",
    "readers false false {} ALL"
  ]],
  ["cassandra", "LIST ROLES OF app", ["app false true {} ALL", "readers false false {} ALL"]],
  ["cassandra", "LIST ROLES OF app NORECURSIVE", ["app false true {} ALL", "readers false false {} ALL"]],
  ["cassandra", "LIST ROLES OF nope", "8704 <role nope> doesn't exist"],
  ["cassandra", "LIST ALL PERMISSIONS OF app", [
    "app app <keyspace ks> ALTER",
    "app app <keyspace ks> MODIFY",
    "app app <table ks.u> ALTER",
    "app app <table ks.u> DROP",
    "app app <table ks.u> SELECT",
    "app app <table ks.u> MODIFY",
    "app app <table ks.u> AUTHORIZE",
    "app app <table ks.u> UNMASK",
    "app app <table ks.u> SELECT_MASKED",
    "readers readers <table ks.t> SELECT"
  ]],
  ["cassandra", "LIST ALL PERMISSIONS OF app NORECURSIVE", [
    "app app <keyspace ks> ALTER",
    "app app <keyspace ks> MODIFY",
    "app app <table ks.u> ALTER",
    "app app <table ks.u> DROP",
    "app app <table ks.u> SELECT",
    "app app <table ks.u> MODIFY",
    "app app <table ks.u> AUTHORIZE",
    "app app <table ks.u> UNMASK",
    "app app <table ks.u> SELECT_MASKED",
    "readers readers <table ks.t> SELECT"
  ]],
  ["cassandra", "LIST SELECT ON ks.t", [
    "cassandra cassandra <keyspace ks> SELECT",
    "cassandra cassandra <table ks.t> SELECT",
    "readers readers <table ks.t> SELECT"
  ]],
  ["cassandra", "LIST ALL PERMISSIONS OF nope", "8704 <role nope> doesn't exist"],
  ["cassandra", "LIST ALL PERMISSIONS ON ks.nope", "8704 <table ks.nope> doesn't exist"],
  ["cassandra", "LIST USERS", ["app false ALL", "cassandra true ALL"]],
  ["app", "LIST ALL PERMISSIONS OF app", [
    "app app <keyspace ks> ALTER",
    "app app <keyspace ks> MODIFY",
    "app app <table ks.u> ALTER",
    "app app <table ks.u> DROP",
    "app app <table ks.u> SELECT",
    "app app <table ks.u> MODIFY",
    "app app <table ks.u> AUTHORIZE",
    "app app <table ks.u> UNMASK",
    "app app <table ks.u> SELECT_MASKED",
    "readers readers <table ks.t> SELECT"
  ]],
  ["app", "LIST ROLES", ["app false true {} ALL", "readers false false {} ALL"]],
  ["app", "LIST ALL PERMISSIONS OF readers", ["readers readers <table ks.t> SELECT"]],
  ["cassandra", "REVOKE readers FROM app", "void"],
  ["cassandra", "REVOKE readers FROM app", "8704 app is not a member of readers"],
  ["cassandra", "ALTER ROLE nope WITH LOGIN = true", "8704 Role nope doesn't exist"],
  ["cassandra", "ALTER ROLE IF EXISTS nope WITH LOGIN = true", "void"],
  ["cassandra", "DROP ROLE nope", "8704 nope doesn't exist"],
  ["cassandra", "DROP ROLE IF EXISTS nope", "void"],
  ["cassandra", "DROP ROLE cassandra", "8704 Cannot DROP primary role for current login"],
  [
    "cassandra",
    "ALTER ROLE cassandra WITH SUPERUSER = false",
    "8448 You aren't allowed to alter your own superuser status or that of a role granted to you"
  ],
  ["cassandra", "ALTER ROLE app WITH PASSWORD = 'other'", "void"],
  ["cassandra", "CREATE USER bob WITH PASSWORD 'b' NOSUPERUSER", "void"],
  ["cassandra", "CREATE USER bob WITH PASSWORD 'b' NOSUPERUSER", "8704 bob already exists"],
  ["cassandra", "ALTER USER nope WITH PASSWORD 'b'", "8704 Role nope doesn't exist"],
  ["cassandra", "DROP USER nope", "8704 nope doesn't exist"],
  ["cassandra", "DROP TABLE ks.u", "schema"],
  ["cassandra", "ALTER ROLE cassandra WITH LOGIN = false", "void"],
  ["cassandra", "LIST ROLES", "login: cassandra is not permitted to log in"]
]

const credentials = { username: "cassandra", password: "cassandra" }

const shown = (hex: string | null): string => {
  if (hex === null) return "null"
  if (hex === "00" || hex === "01") return String(hex === "01")
  return hex === "00000000"
    ? "{}"
    : Buffer.from(hex, "hex").toString("latin1").replaceAll(/[^ -~]/g, (ch) => `\\${ch.charCodeAt(0)}`)
}

const logIn = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster, who: string, password?: string) {
  const client = yield* connect("127.0.0.1", 9042, cluster.transport)
  yield* client.startup()
  const token = Buffer.from(`\0${who}\0${password ?? (who === "cassandra" ? "cassandra" : "secret")}`)
  return { client, answer: yield* client.request({ _tag: "AuthResponse", token }) }
})

const ask = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster, who: string, query: string) {
  const { answer, client } = yield* logIn(cluster, who)
  if (answer._tag === "Error") return `login: ${answer.error.message}`
  const said = answerOf(client, yield* client.ask({ _tag: "Query", query, options: { consistency: "ONE" } }))
  if (said.kind === "error") return `${String(said["code"])} ${String(said["message"])}`
  if (said.kind === "rows") {
    return (said["rows"] as ReadonlyArray<ReadonlyArray<string | null>>).map((row) => row.map(shown).join(" "))
  }
  const [warning] = (said["warnings"] ?? []) as ReadonlyArray<string>
  return `${said.kind}${warning === undefined ? "" : `: ${warning}`}`
}, Effect.scoped)

describe("roles where clients log in", () => {
  it.effect("do and may do what those of Cassandra do", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory", product: "cassandra", credentials })
      const differing: Array<unknown> = []
      for (const [who, statement, answer] of asked) {
        const mine = yield* ask(cluster, who, statement)
        if (JSON.stringify(mine) !== JSON.stringify(answer)) differing.push([who, statement, { mine, answer }])
      }
      assert.deepStrictEqual(differing, [])
    }))

  it.effect("are ScyllaDB's too: rights of statements, prepared ones and batches as well", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory", credentials })
      const root = (query: string) => ask(cluster, "cassandra", query)
      yield* root("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
      yield* root("CREATE TABLE ks.t (p int PRIMARY KEY)")
      yield* root("CREATE ROLE app WITH PASSWORD = 'secret' AND LOGIN = true")
      const refused = "8448 User app has no MODIFY permission on <table ks.t> or any of its parents"
      assert.strictEqual(yield* ask(cluster, "app", "INSERT INTO ks.t (p) VALUES (1)"), refused)
      yield* Effect.scoped(Effect.gen(function*() {
        const { client } = yield* logIn(cluster, "app")
        const prepared = yield* client.request({ _tag: "Prepare", query: "INSERT INTO ks.t (p) VALUES (1)" })
        if (prepared._tag !== "Prepared") return assert.fail("not prepared")
        const options = { consistency: "ONE" } as const
        const entries = [{ _tag: "Prepared", id: prepared.id, values: [] }] as const
        assert.strictEqual(errorOf(yield* client.request({ _tag: "Execute", id: prepared.id, options })).code, 0x2100)
        assert.strictEqual(
          errorOf(yield* client.request({ _tag: "Batch", kind: "logged", entries, options })).code,
          0x2100
        )
      }))
      assert.strictEqual(yield* root("GRANT MODIFY ON KEYSPACE ks TO app"), "void")
      assert.strictEqual(yield* ask(cluster, "app", "INSERT INTO ks.t (p) VALUES (1)"), "void")
      // As ScyllaDB's source has it: columns, order, who may see what.
      yield* root("CREATE ROLE readers")
      yield* root("GRANT SELECT ON ks.t TO readers")
      yield* root("GRANT ALTER ON KEYSPACE ks TO app")
      yield* root("GRANT SELECT ON ALL KEYSPACES TO app")
      yield* root("GRANT DESCRIBE ON ALL ROLES TO readers")
      yield* root("CREATE KEYSPACE a WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
      yield* root("GRANT SELECT ON KEYSPACE a TO readers")
      const app = (query: string) => ask(cluster, "app", query)
      assert.deepStrictEqual(yield* root("LIST ROLES"), [
        "app false true {}",
        "cassandra true true {}",
        "readers false false {}"
      ])
      assert.deepStrictEqual(yield* root("LIST USERS"), ["app false", "cassandra true"])
      assert.deepStrictEqual(yield* app("LIST ROLES"), ["app false true {}"])
      assert.strictEqual(
        yield* app("LIST ROLES OF readers"),
        "8448 You are not authorized to view the roles granted to role 'readers'."
      )
      assert.strictEqual(yield* root("LIST ROLES OF nope"), "8704 Role nope doesn't exist.")
      yield* root("GRANT readers TO app")
      assert.deepStrictEqual(yield* app("LIST ROLES"), [
        "app false true {}",
        "cassandra true true {}",
        "readers false false {}"
      ])
      assert.deepStrictEqual(yield* root("LIST ROLES OF app"), ["app false true {}", "readers false false {}"])
      assert.deepStrictEqual(yield* app("LIST USERS"), ["app false"])
      const all = [
        "app app <all keyspaces> SELECT",
        "app app <keyspace ks> ALTER",
        "app app <keyspace ks> MODIFY",
        "readers readers <keyspace a> SELECT",
        "readers readers <table ks.t> SELECT",
        "readers readers <all roles> DESCRIBE"
      ]
      const listed = (yield* root("LIST ALL PERMISSIONS")) as ReadonlyArray<string>
      assert.deepStrictEqual(listed.filter((line) => !line.startsWith("cassandra ")), all)
      assert.deepStrictEqual(yield* app("LIST ALL PERMISSIONS OF app"), all)
      assert.deepStrictEqual(yield* app("LIST SELECT ON ks.t OF readers"), ["readers readers <table ks.t> SELECT"])
      assert.strictEqual(
        yield* app("LIST ALL PERMISSIONS"),
        "8448 You are not authorized to view everyone's permissions"
      )
      assert.strictEqual(
        yield* app("LIST ALL PERMISSIONS OF cassandra"),
        "8448 You are not authorized to view cassandra's permissions"
      )
    }))

  it.effect("are who a client of ours is", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.SimulatedCluster
      const root = yield* CqlClient.make({
        contactPoints: cluster.contactPoints,
        username: "cassandra",
        password: Redacted.make("cassandra")
      })
      yield* root.execute("CREATE ROLE app WITH PASSWORD = 'secret' AND LOGIN = true")
      const app = yield* CqlClient.make({
        contactPoints: cluster.contactPoints,
        username: "app",
        password: Redacted.make("secret")
      })
      const failure = yield* Effect.flip(app.execute("CREATE ROLE other"))
      assert.strictEqual(failure.reason._tag, "Unauthorized")
    }).pipe(Effect.scoped, Effect.provide(SimulatedCluster.layerMemory({ nodes: 1, credentials }))))
})
