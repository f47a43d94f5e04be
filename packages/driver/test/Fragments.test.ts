/** Templates of parts, and clients with other defaults. */
import { Uuid } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { clientOf, passing, world } from "./support/world.ts"

const setup = Effect.gen(function*() {
  const { cluster, cql } = yield* world()
  yield* passing(cql.execute('CREATE TABLE ks.u (k int, c int, "Name" text, n int, PRIMARY KEY (k, c))'))
  return { cluster, cql }
})

describe("parts of templates", () => {
  it.effect("are templates, conditions, lists, rows to insert and to update; values are bound", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      yield* passing(
        cql`INSERT INTO ks.u ${cql.insert({ k: 1, c: 2, Name: "o'clock", n: undefined })} USING TTL ${600}`
      )
      yield* passing(
        cql`UPDATE ks.u SET ${
          cql.update({ k: 1, c: 2, n: 5, Name: "x' OR 1" }, ["k", "c"])
        } WHERE k = ${1} AND c = ${2}`
      )
      const conditions = [cql`k = ${1}`, cql`c >= ${0}`, cql`c IN ${cql.in([2, 3])}`].slice(0, 2)
      const select = cql`SELECT ${cql.csv([cql("Name"), cql`n`])} FROM ${cql("ks", "u")} WHERE ${cql.and(conditions)}`
      assert.strictEqual(select.text, 'SELECT "Name", n FROM ks.u WHERE k = ? AND c >= ?')
      assert.deepStrictEqual(select.values, [1, 0])
      assert.deepStrictEqual(yield* passing(select), [{ Name: "x' OR 1", n: 5 }])
      const nested = cql`SELECT n FROM ks.u ${cql`WHERE ${cql`k = ${1}`} AND ${cql`c = ${2}`}`}`
      assert.deepStrictEqual(yield* passing(nested), [{ n: 5 }])
    }))

  it.effect("that are none fail when the statement is run, and nothing is sent", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const wrong = [
        [cql`SELECT * FROM ks.u WHERE ${cql.and([])}`, "cql.and takes a list of at least one part"],
        [
          cql`SELECT * FROM ks.u WHERE ${cql.and(["k = 1" as never])}`,
          'cql.and takes templates and names, got "k = 1"'
        ],
        [cql`INSERT INTO ks.u ${cql.insert({ k: undefined })}`, "cql.insert needs a value of at least one column"],
        [cql`INSERT INTO ks.u ${cql.insert([{ k: 1 }] as never)}`, "cql.insert takes an object"],
        [cql`UPDATE ks.u SET ${cql.update({ k: 1 }, ["k"])} WHERE k = 1`, "cql.update needs a value"],
        [cql`SELECT * FROM ks.u WHERE ${cql.and([cql`k = ${1} /* of`, cql`c = 2`])}`, "a comment is never closed"],
        [cql`SELECT * FROM ks.u WHERE ${cql`k = ${1}`.with({ timeout: 5 })}`, "a part of a statement has no options"]
      ] as const
      for (const [statement, message] of wrong) {
        const errors = [
          yield* Effect.flip(statement.asEffect()),
          yield* Effect.flip(statement.with({ timeout: "1 second" }).page()),
          yield* Effect.flip(Stream.runDrain(statement.stream)),
          yield* Effect.flip(cql.batch([statement]))
        ]
        for (const error of errors) {
          assert.strictEqual(error.reason._tag, "InvalidStatement")
          assert.include(error.message, message)
        }
      }
    }))
})

describe("a client with other defaults", () => {
  it.effect("and one of another keyspace do not write each other's templates", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup
      const there = yield* passing(clientOf(cluster, { keyspace: "ks" }))
      const error = yield* passing(Effect.flip(cql.batch([there`INSERT INTO u (k, c) VALUES (${1}, ${1})`])))
      assert.include(error.message, "of a client with the keyspace ks")
      yield* passing(there.batch([cql`INSERT INTO u (k, c) VALUES (${1}, ${1})`]))
      const again = yield* passing(
        Effect.flip(there.with({ keyspace: "other" }).batch([there.with({ keyspace: "ks" })`x`]))
      )
      assert.include(again.message, "and the batch is sent in other")
    }))

  it.effect("has them in every call that says nothing else, and nothing changes for the first one", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup
      const mine = cql.with({ consistency: "ONE", pageSize: 7, label: "mine" })
      const id = Uuid.random()
      const levels: Array<unknown> = []
      yield* cluster.intercept(({ request }) => {
        if (request._tag === "Execute" || request._tag === "Batch") levels.push(request.options.consistency)
        return undefined
      })
      const insert = yield* passing(mine.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      yield* passing(Effect.sleep("1 second"))
      yield* passing(mine.execute(insert, [id, 1]))
      yield* passing(mine`SELECT v FROM ks.t WHERE id = ${id}`)
      yield* passing(mine`SELECT v FROM ks.t WHERE id = ${id}`.with({ consistency: "ALL" }))
      yield* passing(mine.batch([mine`UPDATE ks.t SET v = ${2} WHERE id = ${id}`, [insert, [id, 3]]]))
      yield* passing(mine.executeMany(insert, [[id, 4]]))
      yield* passing(Stream.runDrain(mine.with({ consistency: "TWO" }).stream("SELECT v FROM ks.t WHERE id = ?", [id])))
      yield* passing(cql`SELECT v FROM ks.t WHERE id = ${id}`)
      const seen = levels.filter((level, i) => i === 0 || level !== levels[i - 1])
      assert.deepStrictEqual(seen, ["ONE", "ALL", "ONE", "TWO", "LOCAL_QUORUM"])
      assert.deepStrictEqual(yield* passing(mine`SELECT v FROM ks.t WHERE ${mine`id = ${id}`}`), [{ v: 4 }])
    }))
})
