/** Our client and another driver on the same servers: what one wrote the other reads. */
import { CqlClient } from "@effect-scylla/driver"
import { Uuid } from "@effect-scylla/protocol"
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import cassandra from "cassandra-driver"
import { Effect } from "effect"
import { createKeyspace } from "../support/keyspaces.ts"

const KS = "effect_scylla_interop"

export const interop = (it: Vitest.MethodsNonLive<TestServer.TestServer>, provider: TestServer.Provider): void => {
  describe(`cassandra-driver on ${provider}`, () => {
    it.effect("reads the schema and the rows that our client wrote, and the other way round", () =>
      Effect.gen(function*() {
        const test = yield* TestServer.TestServer
        const cql = yield* CqlClient.make({ contactPoints: test.contactPoints, localDatacenter: test.datacenter })
        yield* createKeyspace(cql, KS)
        yield* cql.execute(`CREATE TABLE ${KS}.people (id uuid PRIMARY KEY, name text, age int, score bigint)`)
        const ids = Array.from({ length: 50 }, () => Uuid.random())
        yield* Effect.forEach(
          ids,
          (id, i) =>
            cql`INSERT INTO effect_scylla_interop.people (id, name, age, score) VALUES (${id}, ${`person ${i}`}, ${i}, ${
              BigInt(i) << 40n
            })`,
          { concurrency: 16, discard: true }
        )
        const [host, port] = test.contactPoints[0]!.split(":")
        const other = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const client = new cassandra.Client({
              contactPoints: [host!],
              protocolOptions: { port: Number(port) },
              localDataCenter: test.datacenter ?? "datacenter1",
              keyspace: KS
            })
            await client.connect()
            return client
          }),
          (client) => Effect.promise(() => client.shutdown())
        )
        const table = yield* Effect.promise(() => other.metadata.getTable(KS, "people"))
        assert.deepStrictEqual(table.columns.map((column) => column.name).sort(), ["age", "id", "name", "score"])
        for (const [i, id] of ids.entries()) {
          const { rows } = yield* Effect.promise(() =>
            other.execute("SELECT * FROM people WHERE id = ?", [String(id)], { prepare: true })
          )
          assert.strictEqual(rows[0]?.["name"], `person ${i}`)
          assert.strictEqual(String(rows[0]?.["score"]), String(BigInt(i) << 40n))
        }
        const theirs = cassandra.types.Uuid.random()
        yield* Effect.promise(() =>
          other.execute("INSERT INTO people (id, name, age) VALUES (?, ?, ?)", [theirs, "theirs", 7], {
            prepare: true
          })
        )
        const rows =
          yield* cql`SELECT name, age, score FROM effect_scylla_interop.people WHERE id = ${theirs.toString()}`
        assert.deepStrictEqual(rows, [{ name: "theirs", age: 7, score: null }])
      }))
  })
}
