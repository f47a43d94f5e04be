/** Found for issue 14: what a profile says. */
import { Frame, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { clientOf, passing } from "../support/world.ts"

const INSERT = "INSERT INTO t (id, v) VALUES (?, ?)"

const setup = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory", product: "cassandra" })
  const admin = yield* passing(clientOf(cluster))
  for (const name of ["one", "two"]) {
    yield* passing(admin.execute(
      `CREATE KEYSPACE ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`
    ))
    yield* passing(admin.execute(`CREATE TABLE ${name}.t (id uuid PRIMARY KEY, v int)`))
  }
  const cql = yield* passing(clientOf(cluster, { keyspace: "one", profiles: { second: { keyspace: "two" } } }))
  const count = (name: string) =>
    Effect.map(passing(admin.execute(`SELECT * FROM ${name}.t`)), ({ rows }) => rows.length)
  return { cluster, cql, count }
})

describe("the keyspace of a profile", () => {
  // CqlClient.ts, `run`: `const keyspace = options?.keyspace` is that of the request alone; what is prepared is looked for without the
  // profile's, and found where somebody has used the same text without the profile.
  it.effect("is where a text is executed, though it was executed elsewhere before", () =>
    Effect.gen(function*() {
      const { count, cql } = yield* setup
      yield* passing(cql.execute(INSERT, [Uuid.random(), 1]))
      yield* passing(cql.execute(INSERT, [Uuid.random(), 2], { profile: "second" }))
      assert.deepStrictEqual([yield* count("one"), yield* count("two")], [1, 1])
    }))

  it.effect("is where many rows go", () =>
    Effect.gen(function*() {
      const { count, cql } = yield* setup
      yield* passing(cql.executeMany(INSERT, [[Uuid.random(), 2]], { profile: "second" }))
      assert.deepStrictEqual([yield* count("one"), yield* count("two")], [0, 1])
    }))

  it.effect("is where all statements of a batch go, those with values, too", () =>
    Effect.gen(function*() {
      const { count, cql } = yield* setup
      yield* passing(cql.batch([[INSERT, [Uuid.random(), 2]]], { profile: "second" }))
      assert.deepStrictEqual([yield* count("one"), yield* count("two")], [0, 1])
    }))

  it.effect("is where grouped statements go", () =>
    Effect.gen(function*() {
      const { count, cql } = yield* setup
      yield* passing(cql.grouped([[INSERT, [Uuid.random(), 2]]], { profile: "second" }))
      assert.deepStrictEqual([yield* count("one"), yield* count("two")], [0, 1])
    }))

  // As `misplaced` refuses it where the request says so itself.
  it.effect("is none where a statement can go that was prepared for another one", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const insert = yield* passing(cql.prepare(INSERT))
      const said = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 2], { keyspace: "two" })))
      assert.include(said.message, "cannot be executed in two")
      const error = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 2], { profile: "second" })))
      assert.include(error.message, "cannot be executed in two")
    }))

  // The same: what is prepared is never found, and each execution takes the slow way with a look at all that has to be prepared.
  it.effect("is prepared once", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup
      let prepares = 0
      yield* cluster.intercept(({ opcode }) => {
        if (opcode === Frame.Opcode.PREPARE) prepares++
        return undefined
      })
      for (let i = 0; i < 5; i++) yield* passing(cql.execute(INSERT, [Uuid.random(), 2], { profile: "second" }))
      assert.strictEqual(prepares, 1)
    }))

  // CqlClient.ts, `boundTo`: the same with paging tokens, which of two profiles with two keyspaces are interchangeable.
  it.effect("is what a paging token is bound to", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      for (let i = 0; i < 5; i++) {
        yield* passing(cql.execute(`INSERT INTO one.t (id, v) VALUES (${Uuid.random()}, ${i})`))
        yield* passing(cql.execute(`INSERT INTO two.t (id, v) VALUES (${Uuid.random()}, ${i})`))
      }
      const one = cql`SELECT v FROM t`.with({ pageSize: 2 })
      const two = one.with({ profile: "second" })
      const token = yield* passing(one.toToken(yield* passing(one.page())))
      const error = yield* passing(Effect.flip(two.pageOf(token!)))
      assert.strictEqual(error.reason._tag, "PagingTokenRefused")
    }))
})

describe("a client with another keyspace", () => {
  it.effect("binds tokens to it, and prepares in it", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      const [one, two] = [cql.with({ keyspace: "one" }), cql.with({ keyspace: "two" })]
      for (let i = 0; i < 5; i++) yield* passing(two.execute(INSERT, [Uuid.random(), i]))
      for (let i = 0; i < 5; i++) yield* passing(one.execute(INSERT, [Uuid.random(), i]))
      const page = yield* passing(two.execute("SELECT v FROM t", [], { pageSize: 2 }))
      const token = yield* passing(two.toToken("SELECT v FROM t", [], page))
      assert.strictEqual(
        (yield* passing(Effect.flip(one.fromToken("SELECT v FROM t", [], token!)))).reason._tag,
        "PagingTokenRefused"
      )
      assert.deepStrictEqual(yield* passing(two.fromToken("SELECT v FROM t", [], token!)), page.pagingState)
      const prepared = yield* passing(two.prepare(INSERT, {}))
      assert.strictEqual(prepared.keyspace, "two")
    }))
})

describe("a profile", () => {
  it.effect("has its say in streams and templates", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup
      yield* passing(cql.execute("INSERT INTO two.t (id, v) VALUES (?, ?)", [Uuid.random(), 1]))
      const rows = yield* passing(Stream.runCollect(cql.stream("SELECT v FROM t", [], { profile: "second" })))
      assert.strictEqual(rows.length, 1)
      assert.strictEqual((yield* passing(cql`SELECT v FROM t`.with({ profile: "second" }))).length, 1)
    }))
})
