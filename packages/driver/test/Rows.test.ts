/** Rows in other forms than objects, and what objects cannot show. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Stream } from "effect"
import { inspect } from "node:util"
import { passing, world } from "./support/world.ts"

const logged = () => {
  const lines: Array<string> = []
  return { lines, layer: Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]) }
}

const TWICE = "SELECT id AS x, v AS x FROM ks.u WHERE id = ?"

const setup = Effect.gen(function*() {
  const { cluster, cql } = yield* world()
  yield* passing(cql.execute("CREATE TABLE ks.u (id int PRIMARY KEY, v int)"))
  yield* passing(cql.execute("INSERT INTO ks.u (id, v) VALUES (1, 2)"))
  return { cluster, cql }
})

describe("a result", () => {
  it.effect("is shown, and is JSON, without the client that it came from", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const result = yield* passing(cql.execute("SELECT id, v FROM ks.u WHERE id = 1"))
      const { address, datacenter, hostId, port, rack } = result.coordinator
      const expected = {
        rows: [{ id: 1, v: 2 }],
        hasMorePages: false,
        coordinator: { hostId, address, port, datacenter, rack }
      }
      assert.deepStrictEqual(JSON.parse(JSON.stringify(result)), expected)
      assert.strictEqual(inspect(result, { depth: 5 }), inspect(expected, { depth: 5 }))
    }))
})

describe("rows", () => {
  it.effect("as arrays: prepared, a text, a template, a stream", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const arrays = { rows: "arrays" } as const
      const prepared = yield* passing(cql.prepare("SELECT id, v FROM ks.u WHERE id = ?"))
      assert.deepStrictEqual((yield* passing(cql.execute(prepared, [1], arrays))).rows, [[1, 2]])
      assert.deepStrictEqual((yield* passing(cql.execute(prepared, [1]))).rows, [{ id: 1, v: 2 }])
      const text = "SELECT id, v FROM ks.u WHERE id = 1"
      assert.deepStrictEqual((yield* passing(cql.execute(text, [], arrays))).rows, [[1, 2]])
      const template = cql<ReadonlyArray<unknown>>`SELECT id, v FROM ks.u WHERE id = ${1}`.with(arrays)
      assert.deepStrictEqual(yield* passing(template), [[1, 2]])
      assert.deepStrictEqual(yield* passing(Stream.runCollect(cql.stream(prepared, [1], arrays))), [[1, 2]])
      const error = yield* Effect.flip(cql.execute(prepared, [1], { rows: "tuples" as never }))
      assert.include(error.message, 'rows: "objects", "arrays", "lazy" or "columns", got')
    }))

  it.effect("as arrays, a conditional statement still says whether it was applied", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const insert = "INSERT INTO ks.u (id, v) VALUES (?, ?) IF NOT EXISTS"
      const first = yield* passing(cql.execute(insert, [5, 1], { rows: "arrays" }))
      const second = yield* passing(cql.execute(insert, [5, 1], { rows: "arrays" }))
      assert.deepStrictEqual([first.wasApplied, second.wasApplied], [true, false])
    }))

  it.effect("two columns of one name: arrays have both, objects the last, and a warning says so once", () => {
    const { layer, lines } = logged()
    return Effect.gen(function*() {
      const { cql } = yield* setup
      assert.deepStrictEqual((yield* passing(cql.execute(TWICE, [1], { rows: "arrays" }))).rows, [[1, 2]])
      assert.deepStrictEqual(lines.filter((line) => line.includes("more than one column")), [])
      for (let i = 0; i < 5; i++) {
        assert.deepStrictEqual((yield* passing(cql.execute(TWICE, [1]))).rows, [{ x: 2 }])
      }
      const [warning, ...more] = lines.filter((line) => line.includes("more than one column"))
      assert.include(warning, "more than one column x")
      assert.include(warning, 'rows: "arrays"')
      assert.deepStrictEqual(more, [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("`one`: exactly one; `applied`: whether it was", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      yield* passing(cql.execute("INSERT INTO ks.u (id, v) VALUES (2, 3)"))
      assert.deepStrictEqual(yield* passing(cql`SELECT v FROM ks.u WHERE id = ${1}`.one), { v: 2 })
      const none = yield* Effect.flip(passing(cql`SELECT v FROM ks.u WHERE id = ${7}`.one))
      assert.deepStrictEqual([none.reason._tag, none.outcome], ["NotOneRow", undefined])
      const more = yield* Effect.flip(passing(cql`SELECT v FROM ks.u`.with({ pageSize: 1 }).one))
      assert.include(more.message, "there are more")
      const insert = cql`INSERT INTO ks.u (id, v) VALUES (${9}, ${1}) IF NOT EXISTS`
      assert.isTrue(yield* passing(insert.applied))
      assert.isFalse(yield* passing(insert.applied))
      assert.isTrue(yield* passing(cql`INSERT INTO ks.u (id, v) VALUES (${9}, ${1})`.applied))
    }))
})
