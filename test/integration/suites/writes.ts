/** What becomes of writes: the last one that was acknowledged is read, and values are encoded with the types that servers have now. */
import { CqlClient } from "@effect-scylla/driver"
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { lastWriteIsRead } from "../../support/lastWrite.ts"
import { createKeyspace } from "../support/keyspaces.ts"
import { optionsOf } from "../support/options.ts"

const KS = "effect_scylla_it_writes"
const INSERT = `INSERT INTO ${KS}.u (id, v) VALUES (?, ?)`

const table = (type: string) => `CREATE TABLE ${KS}.u (id int PRIMARY KEY, v ${type})`

const ddl = (cql: CqlClient.CqlClient, ...texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text) => cql.execute(text, [], { timeout: "60 seconds" }), { discard: true })

export const writes = (it: Vitest.MethodsNonLive<TestServer.TestServer>, provider: TestServer.Provider): void => {
  const Client = Layer.unwrap(Effect.map(TestServer.TestServer, (server) => CqlClient.layer(optionsOf(server))))
  describe(`writes on ${provider}`, () => {
    it.layer(Client)("", (it) => {
      it.effect("the last acknowledged write is read, however it was written", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* createKeyspace(cql, KS)
          yield* lastWriteIsRead(cql, KS, { seed: 20261130, rounds: 300 })
        }))

      for (const version of ["auto", 3, 4] as const) {
        it.effect(
          `values go out with the types that servers have now, asked for version ${version}`,
          () =>
            Effect.gen(function*() {
              const cql = yield* CqlClient.CqlClient
              yield* createKeyspace(cql, KS)
              const server = yield* TestServer.TestServer
              const make = CqlClient.make({ ...optionsOf(server), protocolVersion: version })
              const mine = yield* make
              const other = yield* make
              yield* ddl(
                cql,
                `DROP TABLE IF EXISTS ${KS}.u`,
                `DROP TYPE IF EXISTS ${KS}.person`,
                `CREATE TYPE ${KS}.person (first text, last text)`,
                table("frozen<person>")
              )
              const held = yield* mine.prepare(INSERT)
              const ada = { first: "Ada", last: "Lovelace" }
              for (let id = 0; id < 6; id++) yield* mine.execute(held, [id, ada])
              // Another client makes the type again, with its fields swapped, and prepares the same text on every node.
              yield* ddl(
                other,
                `DROP TABLE ${KS}.u`,
                `DROP TYPE ${KS}.person`,
                `CREATE TYPE ${KS}.person (last text, first text)`,
                table("frozen<person>")
              )
              for (let id = 0; id < 12; id++) yield* other.execute(INSERT, [id, ada])
              for (let id = 0; id < 12; id++) yield* mine.execute(held, [id, ada])
              for (let id = 0; id < 12; id++) {
                const { rows } = yield* mine.execute(`SELECT v FROM ${KS}.u WHERE id = ${id}`, [], {
                  consistency: "ALL"
                })
                assert.deepStrictEqual(rows, [{ v: { last: "Lovelace", first: "Ada" } }])
              }
              // The same client changes the type of a column, through a table made again.
              yield* ddl(mine, `DROP TABLE ${KS}.u`, table("double"))
              yield* mine.execute(INSERT, [1, 5])
              yield* ddl(mine, `DROP TABLE ${KS}.u`, table("bigint"))
              for (let id = 0; id < 12; id++) {
                yield* mine.execute(INSERT, [id, 5n])
                yield* mine.execute(held, [id + 12, 6n])
              }
              const { rows } = yield* mine.execute(`SELECT id, v FROM ${KS}.u`)
              assert.deepStrictEqual(
                new Map(rows.map((row) => [row["id"], row["v"]])),
                new Map(Array.from({ length: 24 }, (_, id) => [id, id < 12 ? 5n : 6n]))
              )
            }),
          60_000
        )
      }
    })
  })
}
