/** What users do with the client. */
import { CqlClient, type CqlError } from "@effect-scylla/driver"
import { Value } from "@effect-scylla/protocol"
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect, Layer, Option, Result, Stream } from "effect"
import { createKeyspace } from "../support/keyspaces.ts"
import { optionsOf } from "../support/options.ts"
import { assertRow, definitions, scalars, valuesOf } from "../support/values.ts"
import { versions } from "../support/versions.ts"

const Client = Layer.unwrap(Effect.map(TestServer.TestServer, (server) => CqlClient.layer(optionsOf(server))))

const KS = "effect_scylla_it"

export const client = (it: Vitest.MethodsNonLive<TestServer.TestServer>, provider: TestServer.Provider): void => {
  describe(`client on ${provider}`, () => {
    it.layer(Client)("", (it) => {
      it.effect("schema changes are there for everybody when they return", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* createKeyspace(cql, KS)
          for (let i = 0; i < 3; i++) {
            yield* cql.execute(`CREATE TABLE ${KS}.fresh${i} (id int PRIMARY KEY, v text)`)
            // On every node at once: a node that did not know the table would refuse.
            yield* Effect.forEach(
              Array.from({ length: 12 }, (_, id) => id),
              (id) => cql.execute(`INSERT INTO ${KS}.fresh${i} (id, v) VALUES (?, ?)`, [id, "x"]),
              { concurrency: "unbounded", discard: true }
            )
          }
          assert.isTrue(cql.cluster().keyspaces.has(KS))
        }))

      it.effect("every scalar type goes there and comes back", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          const names = Object.keys(scalars)
          yield* cql.execute(`CREATE TABLE ${KS}.scalars (pk int PRIMARY KEY, ${definitions(scalars)})`)
          yield* cql.execute(
            `INSERT INTO ${KS}.scalars (pk, ${names.join(", ")}) VALUES (?, ${names.map(() => "?").join(", ")})`,
            [1, ...valuesOf(scalars)]
          )
          const [row] = (yield* cql.execute(`SELECT * FROM ${KS}.scalars WHERE pk = ?`, [1])).rows
          assertRow(row, scalars)
        }))

      it.effect("collections, tuples and user-defined types go there and come back", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* cql.execute(`CREATE TYPE ${KS}.address (street text, zip int, tags frozen<set<text>>)`)
          yield* cql.execute(
            `CREATE TABLE ${KS}.nested (pk int PRIMARY KEY, l list<int>, s set<text>, m map<text, bigint>, ` +
              `t tuple<int, text>, u frozen<address>, n map<int, frozen<list<frozen<tuple<int, text>>>>>)`
          )
          const values = {
            pk: 1,
            l: [3, 1, 2],
            s: new Set(["a", "b"]),
            m: new Map([["x", 1n], ["y", -2n]]),
            t: [7, null],
            u: { street: "Main", zip: 123, tags: new Set(["q"]) },
            n: new Map([[1, [[1, "a"], [2, "b"]]]])
          }
          const insert = yield* cql.prepare(
            `INSERT INTO ${KS}.nested (pk, l, s, m, t, u, n) VALUES (:pk, :l, :s, :m, :t, :u, :n)`
          )
          yield* cql.execute(insert, values)
          const [row] = (yield* cql.execute(`SELECT pk, l, s, m, t, u, n FROM ${KS}.nested WHERE pk = ?`, [1])).rows
          assert.deepStrictEqual(row, values)
        }))

      if (provider !== "simulated") {
        it.effect("a trace is there in the end", () =>
          Effect.gen(function*() {
            const cql = yield* CqlClient.CqlClient
            const result = yield* cql.execute("SELECT * FROM system.local", [], { tracing: true })
            const trace = yield* cql.trace(result)
            assert.isAbove(trace.durationMicros, 0)
            assert.isAbove(trace.events.length, 0)
            assert.isTrue(trace.events.every(({ activity, source }) => activity !== "" && source !== ""))
            const without = yield* cql.execute("SELECT * FROM system.local")
            assert.strictEqual((yield* Effect.flip(cql.trace(without))).reason._tag, "TraceMissing")
          }))
      }

      it.effect("null deletes, Unset leaves alone", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* cql.execute(`CREATE TABLE ${KS}.nulls (pk int PRIMARY KEY, a int, b int)`)
          const insert = yield* cql.prepare(`INSERT INTO ${KS}.nulls (pk, a, b) VALUES (?, ?, ?)`)
          yield* cql.execute(insert, [1, 10, 20])
          yield* cql.execute(insert, [1, null, Value.Unset])
          const rows = yield* cql`SELECT a, b FROM effect_scylla_it.nulls WHERE pk = ${1}`
          assert.deepStrictEqual(rows, [{ a: null, b: 20 }])
        }))

      it.effect("a result is read page by page, or as a whole", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* cql.execute(`CREATE TABLE ${KS}.pages (pk int, ck int, v text, PRIMARY KEY (pk, ck))`)
          yield* Effect.forEach(
            Array.from({ length: 105 }, (_, ck) => ck),
            (ck) => cql`INSERT INTO effect_scylla_it.pages (pk, ck, v) VALUES (${1}, ${ck}, ${`v${ck}`})`,
            { concurrency: 32, discard: true }
          )
          const statement = cql<{ ck: number }>`SELECT ck FROM effect_scylla_it.pages WHERE pk = ${1}`.with({
            pageSize: 10
          })
          const streamed = yield* Stream.runCollect(statement.stream)
          assert.deepStrictEqual(streamed.map((row) => row.ck), Array.from({ length: 105 }, (_, i) => i))
          assert.deepStrictEqual(yield* statement, streamed)
          const page = yield* statement.page()
          assert.strictEqual(page.rows.length, 10)
          assert.isNotNull(page.pagingState)
          const next = yield* statement.page(page.pagingState)
          assert.deepStrictEqual(next.rows.map((row) => row.ck), Array.from({ length: 10 }, (_, i) => 10 + i))
          assert.deepStrictEqual(yield* statement.first, Option.some({ ck: 0 }))
          assert.deepStrictEqual(
            yield* cql`SELECT ck FROM effect_scylla_it.pages WHERE pk = ${404}`.first,
            Option.none()
          )
          const scan = yield* Stream.runCollect(cql.stream(`SELECT pk, ck FROM ${KS}.pages`, [], { pageSize: 7 }))
          assert.strictEqual(scan.length, 105)
        }))

      it.effect("conditional statements say whether they were applied", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* cql.execute(`CREATE TABLE ${KS}.lwt (pk int PRIMARY KEY, v text)`)
          const insert = yield* cql.prepare(`INSERT INTO ${KS}.lwt (pk, v) VALUES (?, ?) IF NOT EXISTS`)
          assert.isTrue(insert.kind.isConditional)
          assert.isTrue((yield* cql.execute(insert, [1, "first"])).wasApplied)
          const again = yield* cql.execute(insert, [1, "second"])
          assert.isFalse(again.wasApplied)
          assert.strictEqual(again.rows[0]!["v"], "first")
          const update = yield* cql.prepare(`UPDATE ${KS}.lwt SET v = ? WHERE pk = ? IF v = ?`)
          assert.isFalse((yield* cql.execute(update, ["x", 1, "wrong"])).wasApplied)
          assert.isTrue((yield* cql.execute(update, ["third", 1, "first"])).wasApplied)
          // Metadata with and without the old row in turn: each answer is read with its own.
          assert.isTrue((yield* cql.execute(insert, [2, "first"])).wasApplied)
          assert.isFalse((yield* cql.execute(insert, [2, "second"])).wasApplied)
        }))

      it.effect("names and lists in a template", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* cql.execute(`CREATE TABLE ${KS}."Mixed" (id int PRIMARY KEY, "Value" text)`)
          const table = cql(KS, "Mixed")
          for (const id of [1, 2, 3]) {
            yield* cql`INSERT INTO ${table} (id, ${cql("Value")}) VALUES (${id}, ${`v${id}`})`
          }
          const rows = yield* cql<{ id: number; Value: string }>`SELECT id, ${cql("Value")} FROM ${table} WHERE id IN ${
            cql.in([1, 3])
          }`
          assert.deepStrictEqual(rows.map((row) => row.Value).sort(), ["v1", "v3"])
          // A value is never part of the text, whatever it looks like.
          yield* cql`INSERT INTO ${table} (id, ${cql("Value")}) VALUES (${4}, ${"'); DROP TABLE x; --"})`
          const [row] = yield* cql`SELECT * FROM ${table} WHERE id = ${4}`
          assert.strictEqual(row!["Value"], "'); DROP TABLE x; --")
        }))

      it.effect("a table that changed is read as it is now", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* cql.execute(`CREATE TABLE ${KS}.altered (pk int PRIMARY KEY, a int)`)
          yield* cql`INSERT INTO effect_scylla_it.altered (pk, a) VALUES (${1}, ${2})`
          const all = yield* cql.prepare(`SELECT * FROM ${KS}.altered WHERE pk = ?`)
          assert.deepStrictEqual((yield* cql.execute(all, [1])).rows, [{ pk: 1, a: 2 }])
          yield* cql.execute(`ALTER TABLE ${KS}.altered ADD aa text`)
          for (let i = 0; i < 6; i++) {
            assert.deepStrictEqual((yield* cql.execute(all, [1])).rows, [{ pk: 1, a: 2, aa: null }])
          }
        }))

      it.effect("errors of a statement are typed, carry their outcome and are not repeated", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          const failing = (text: string, values: ReadonlyArray<unknown> = []) =>
            Effect.map(Effect.flip(cql.execute(text, values)), (error) => error as CqlError.CqlError)
          const reason = (error: CqlError.CqlError) => error.reason._tag
          assert.strictEqual(reason(yield* failing("SELEC nothing")), "CqlSyntaxError")
          assert.strictEqual(reason(yield* failing(`SELECT * FROM ${KS}.nothing`)), "InvalidRequest")
          const exists = yield* failing(`CREATE TABLE ${KS}.lwt (pk int PRIMARY KEY)`)
          assert.strictEqual(reason(exists), "AlreadyExists")
          assert.strictEqual(exists.outcome, "Rejected")
          assert.strictEqual(exists.attempts?.length, 1)
          const type = yield* failing(`INSERT INTO ${KS}.lwt (pk, v) VALUES (?, ?)`, ["one", "x"])
          assert.strictEqual(reason(type), "EncodeError")
          assert.strictEqual(type.outcome, "NotSent")
          assert.include(type.message, 'pk: expected int, got string "one"')
          const count = yield* failing(`INSERT INTO ${KS}.lwt (pk, v) VALUES (?, ?)`, [1])
          assert.include(count.message, "the statement takes 2 values (pk int, v text), got 1")
          assert.strictEqual(reason(yield* failing("USE system")), "InvalidStatement")
          const recovered = yield* cql.execute("SELEC").pipe(
            Effect.map(() => "no error"),
            Effect.catchReason("CqlError", "CqlSyntaxError", (reason) => Effect.succeed(reason._tag))
          )
          assert.strictEqual(recovered, "CqlSyntaxError")
        }))

      it.effect("10,000 requests at once get their own rows", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* cql.execute(`CREATE TABLE ${KS}.many (id int PRIMARY KEY, v text)`)
          const ids = Array.from({ length: 1000 }, (_, id) => id)
          yield* Effect.forEach(
            ids,
            (id) => cql`INSERT INTO effect_scylla_it.many (id, v) VALUES (${id}, ${`value ${id}`})`,
            { concurrency: 128, discard: true }
          )
          yield* Effect.forEach(
            Array.from({ length: 10_000 }, (_, i) => i % 1000),
            (id) =>
              Effect.map(
                cql<{ id: number; v: string }>`SELECT id, v FROM effect_scylla_it.many WHERE id = ${id}`,
                (rows) => assert.deepStrictEqual(rows, [{ id, v: `value ${id}` }])
              ),
            { concurrency: 512, discard: true }
          )
        }))

      it.effect("requests leave on the connection of the owning shard", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          const test = yield* TestServer.TestServer
          yield* cql.awaitConnected
          const before = cql.shardAwareStats().routing
          const ids = Array.from({ length: 500 }, (_, id) => id)
          yield* Effect.forEach(
            ids,
            (id) => cql`SELECT id FROM effect_scylla_it.many WHERE id = ${id}`,
            { concurrency: 64, discard: true }
          )
          const { isShardAware, nodes, routing } = cql.shardAwareStats()
          assert.strictEqual(routing.owned - before.owned, 500)
          assert.strictEqual(routing.otherNode - before.otherNode, 0)
          if (test.shardAware) assert.isTrue(isShardAware)
          if (test.product === "cassandra") {
            assert.isFalse(isShardAware)
            assert.deepStrictEqual(nodes.map((node) => node.slots.length), nodes.map(() => 1))
          }
        }))

      it.effect("interrupted requests disturb nobody", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          const select = yield* cql.prepare(`SELECT id, v FROM ${KS}.many WHERE id = ?`)
          yield* Effect.forEach(
            Array.from({ length: 400 }, (_, i) => i),
            (i) =>
              i % 2 === 0
                ? Effect.timeoutOption(cql.execute(select, [i]), 0)
                : Effect.map(
                  cql.execute(select, [i]),
                  ({ rows }) => assert.deepStrictEqual(rows, [{ id: i, v: `value ${i}` }])
                ),
            { concurrency: 100, discard: true }
          )
        }))

      versions(it, KS, optionsOf)

      it.effect("tables with tablets, where there are any: once servers have told them every request is owned", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          const { datacenter, local } = cql.cluster()
          const keyspace = `${KS}_tablets`
          const created = yield* Effect.result(cql.execute(
            `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', '${datacenter}': ` +
              `${Math.min(2, local.length)}} AND tablets = {'enabled': true, 'initial': 8}`
          ))
          if (Result.isFailure(created)) {
            // Cassandra, and ScyllaDB before 6.0.
            return assert.include(["CqlSyntaxError", "ConfigError", "InvalidRequest"], created.failure.reason._tag)
          }
          assert.isTrue(cql.cluster().keyspaces.get(keyspace)?.hasTablets)
          yield* cql.execute(`CREATE TABLE ${keyspace}.t (id int PRIMARY KEY, v text)`)
          const insert = yield* cql.prepare(`INSERT INTO ${keyspace}.t (id, v) VALUES (?, ?)`)
          const select = yield* cql.prepare(`SELECT v FROM ${keyspace}.t WHERE id = ?`)
          const ids = Array.from({ length: 64 }, (_, i) => i)
          let owned = 0
          for (let round = 0; round < 50 && owned < 2 * ids.length; round++) {
            const before = cql.shardAwareStats().routing.owned
            for (const id of ids) {
              yield* cql.execute(insert, [id, `value ${id}`])
              assert.deepStrictEqual((yield* cql.execute(select, [id])).rows, [{ v: `value ${id}` }])
            }
            owned = cql.shardAwareStats().routing.owned - before
          }
          assert.strictEqual(owned, 2 * ids.length)
          yield* cql.execute(`DROP KEYSPACE ${keyspace}`)
          assert.strictEqual(cql.shardAwareStats().tablets.known, 0)
        }))

      it.effect("wrong options end in one error that says what to do", () =>
        Effect.gen(function*() {
          const server = yield* TestServer.TestServer
          const failing = (options: Parameters<typeof CqlClient.make>[0]) =>
            Effect.flip(Effect.scoped(CqlClient.make(options)))
          const datacenter = yield* failing({ ...optionsOf(server), localDatacenter: "nowhere" })
          assert.strictEqual(datacenter.reason._tag, "InvalidConfiguration")
          assert.include(datacenter.message, 'no datacenter "nowhere"')
          const keyspace = yield* failing({ ...optionsOf(server), keyspace: "nothing" })
          assert.strictEqual(keyspace.reason._tag, "InvalidConfiguration")
          assert.include(keyspace.message, '"nothing" does not exist')
          const nobody = yield* failing({ contactPoints: ["127.0.0.1:1"] })
          assert.strictEqual(nobody.reason._tag, "NoContactPoint")
        }))

      it.effect("a keyspace of the client is that of its statements", () =>
        Effect.gen(function*() {
          const server = yield* TestServer.TestServer
          yield* Effect.scoped(Effect.gen(function*() {
            const cql = yield* CqlClient.make({ ...optionsOf(server), keyspace: KS, codec: { uuid: "string" } })
            const rows = yield* cql`SELECT v FROM many WHERE id = ${7}`
            assert.deepStrictEqual(rows, [{ v: "value 7" }])
          }))
        }))

      it.effect("tidies up", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* cql.execute(`DROP KEYSPACE ${KS}`)
          assert.isFalse(cql.cluster().keyspaces.has(KS))
        }))
    })
  })
}
