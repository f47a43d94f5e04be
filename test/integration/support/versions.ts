/** The same work in every version of the protocol with every compression: a part of the suite of the client. */
import { CqlClient } from "@effect-scylla/driver"
import { Value } from "@effect-scylla/protocol"
import { TestServer } from "@effect-scylla/testkit"
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { assertRow, collections, type Columns, definitions, scalars, valuesOf, vectors } from "./values.ts"

type Options = Parameters<typeof CqlClient.make>[0]

const combinations = [
  [3, "none"],
  [3, "lz4"],
  [3, "snappy"],
  [4, "none"],
  [4, "lz4"],
  [4, "snappy"],
  [5, "none"],
  [5, "lz4"]
] as const

/** A segment of v5 holds 128 KiB: this needs several, there and back. */
const LARGE = Array.from({ length: 30_000 }, (_, i) => `word ${i}`).join(" ")

export const versions = (
  it: Vitest.MethodsNonLive<TestServer.TestServer | CqlClient.CqlClient>,
  keyspace: string,
  optionsOf: (server: TestServer.TestServer) => Options
): void => {
  for (const [version, compression] of combinations) {
    it.effect(`protocol v${version} with ${compression}: schema, all types, large pages, a changed table`, () =>
      Effect.scoped(Effect.gen(function*() {
        const server = yield* TestServer.TestServer
        const options = { ...optionsOf(server), protocolVersion: version, compression }
        if (version === 5 && server.product === "scylla") {
          const error = yield* Effect.flip(CqlClient.make(options))
          assert.strictEqual(error.reason._tag, "NoContactPoint")
          assert.match(error.message, /speaks protocol v3, v4|protocol version/)
          return
        }
        const other = yield* CqlClient.CqlClient
        const cql = yield* CqlClient.make(options)
        const columns: Columns = server.product === "cassandra"
          ? { ...scalars, ...collections, ...vectors }
          : { ...scalars, ...collections }
        const names = Object.keys(columns)
        const table = `${keyspace}.v${version}_${compression}`
        yield* cql.execute(
          `CREATE TABLE ${table} (pk int, ck int, body text, ${definitions(columns)}, PRIMARY KEY (pk, ck))`
        )

        const insert = yield* cql.prepare(
          `INSERT INTO ${table} (pk, ck, body, ${names.join(", ")}) VALUES (?, ?, ?, ${
            names.map(() => "?").join(", ")
          })`
        )
        yield* cql.execute(insert, [1, 0, LARGE, ...valuesOf(columns)])
        const SELECT = `SELECT * FROM ${table} WHERE pk = ?`
        const all = yield* cql.prepare(SELECT)
        // Every node has it: the second time nobody says UNPREPARED.
        yield* Effect.forEach(Array.from({ length: 6 }), () => cql.execute(all, [1]))
        const [row] = (yield* cql.execute(all, [1])).rows
        assertRow(row, { ...columns, body: ["text", LARGE] })
        // On v4 it is an extension of newer ScyllaDB.
        if (version !== 4 || server.product === "cassandra") assert.strictEqual(all.known !== undefined, version === 5)

        // One page of many segments, then the same rows by small ones.
        const filler = "filler ".repeat(1_000)
        const absent = version === 3 ? null : Value.Unset
        yield* Effect.forEach(
          Array.from({ length: 60 }, (_, i) => i),
          (ck) => cql.execute(insert, [2, ck, `${ck} ${filler}`, ...names.map(() => absent)], { idempotent: true }),
          { concurrency: 16, discard: true }
        )
        const expected = Array.from({ length: 60 }, (_, ck) => [ck, `${ck} ${filler}`, null])
        const shape = (rows: ReadonlyArray<Record<string, unknown>>) =>
          rows.map((row) => [row["ck"], row["body"], row["a"]])
        const whole = yield* cql.execute(all, [2])
        assert.isNull(whole.pagingState)
        assert.deepStrictEqual(shape(whole.rows), expected)
        const paged = yield* Stream.runCollect(cql.stream(all, [2], { pageSize: 7 }))
        assert.deepStrictEqual(shape(paged), expected)

        // Another client changes the table and prepares the statement anew: whatever this one is told, the rows are right.
        yield* other.execute(`ALTER TABLE ${table} ADD added int`)
        yield* Effect.forEach(Array.from({ length: 6 }), () => other.execute(SELECT, [1]))
        yield* cql.execute(`UPDATE ${table} SET added = ? WHERE pk = ? AND ck = ?`, [17, 1, 0])
        for (let i = 0; i < 6; i++) {
          const [changed] = (yield* cql.execute(all, [1])).rows
          assertRow(changed, { ...columns, body: ["text", LARGE], added: ["int", 17] })
        }

        const conditional = yield* cql.prepare(`INSERT INTO ${table} (pk, ck, k) VALUES (?, ?, ?) IF NOT EXISTS`)
        assert.isTrue((yield* cql.execute(conditional, [3, 0, 5])).wasApplied)
        const refused = yield* cql.execute(conditional, [3, 0, 6])
        assert.isFalse(refused.wasApplied)
        assert.strictEqual(refused.rows[0]?.["k"], 5)
        assert.isTrue((yield* cql.execute(conditional, [3, 1, 7])).wasApplied)

        const refusal = yield* Effect.flip(cql.execute("SELEC"))
        assert.strictEqual(refusal.reason._tag, "CqlSyntaxError")
        if (version < 5) {
          const early = yield* Effect.flip(cql.execute("TRUNCATE nothing", [], { keyspace }))
          assert.strictEqual(early.reason._tag, "EncodeError")
          assert.strictEqual(early.outcome, "NotSent")
          return
        }
        const unqualified = `v${version}_${compression}`
        const elsewhere = yield* cql.execute(`SELECT k FROM ${unqualified} WHERE pk = 3`, [], { keyspace })
        assert.deepStrictEqual(elsewhere.rows, [{ k: 5 }, { k: 7 }])
        const brief = yield* cql.prepare(`INSERT INTO ${unqualified} (pk, ck, k) VALUES (?, ?, ?) USING TTL 1000`, {
          keyspace
        })
        yield* cql.execute(brief, [4, 0, 1])
        const now = Math.floor(Date.now() / 1000)
        const ttlAt = (nowInSeconds: number) =>
          Effect.map(
            cql.execute(`SELECT TTL(k) AS ttl FROM ${unqualified} WHERE pk = ?`, [4], { keyspace, nowInSeconds }),
            ({ rows }) => rows[0]?.["ttl"]
          )
        assert.isBelow((yield* ttlAt(now + 500)) as number, 520)
        assert.isUndefined(yield* ttlAt(now + 2_000))
      })))
  }

  it.effect("protocol v5 with snappy is an error of the configuration", () =>
    Effect.gen(function*() {
      const server = yield* TestServer.TestServer
      const error = yield* Effect.flip(
        Effect.scoped(CqlClient.make({ ...optionsOf(server), protocolVersion: 5, compression: "snappy" }))
      )
      assert.strictEqual(error.reason._tag, "InvalidConfiguration")
      assert.include(error.message, "compression: protocol v5 has no Snappy")
    }))
}
