/** Found for issue 15: resolvers, and statements with Schemas. */
import { CqlResolver, CqlSchema, CqlTypes } from "@effect-scylla/driver"
import { Frame, Uuid } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Schema } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, world } from "../support/world.ts"

const id = (n: number) => new Uuid.Uuid(n, n, n, n)

class Tenant extends Context.Service<Tenant, string>()("Tenant") {}

describe("a resolver", () => {
  // CqlResolver.ts, `resolverOf`: requests are grouped by their key alone, and the context of the first one serves all: what `execute` takes from
  // the context (R of its type) is another request's. Effect's SqlResolver has a batch for each connection of its context.
  it.effect("gives nobody the row that the context of somebody else leads to", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.a (id int PRIMARY KEY, v text)"))
      yield* passing(cql.execute("CREATE TABLE ks.b (id int PRIMARY KEY, v text)"))
      yield* passing(cql.execute("INSERT INTO ks.a (id, v) VALUES (1, 'of a')"))
      yield* passing(cql.execute("INSERT INTO ks.b (id, v) VALUES (1, 'of b')"))
      const notes = CqlResolver.findById({
        Id: CqlTypes.Int,
        Result: Schema.Struct({ v: Schema.NullOr(CqlTypes.Text) }),
        execute: (id) =>
          Effect.flatMap(Tenant, (tenant) => cql`SELECT v FROM ${cql("ks", tenant)} WHERE id = ${id}`.asEffect())
      })
      const of = (tenant: string) => Effect.provideService(CqlResolver.request(1, notes), Tenant, tenant)
      const rows = yield* passing(Effect.all([of("a"), of("b")], { concurrency: "unbounded" }))
      assert.deepStrictEqual(rows, [{ v: "of a" }, { v: "of b" }])
    }))

  // CqlResolver.ts, `resolverOf`: one exit for all who asked for a key: the same array, whose type says that it may be changed.
  it.effect("gives each who asks for a partition rows of their own", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.o (k int, c int, PRIMARY KEY (k, c))"))
      yield* passing(cql.executeMany("INSERT INTO ks.o (k, c) VALUES (?, ?)", [[1, 1], [1, 2]]))
      const orders = CqlResolver.grouped({
        Id: CqlTypes.Int,
        Result: Schema.Struct({ c: CqlTypes.Int }),
        execute: (k) => cql`SELECT c FROM ks.o WHERE k = ${k}`
      })
      const newest = Effect.map(CqlResolver.request(1, orders), (rows) => rows.pop())
      const [, all] = yield* passing(
        Effect.all([newest, CqlResolver.request(1, orders)], { concurrency: "unbounded" })
      )
      assert.deepStrictEqual(all, [{ c: 1 }, { c: 2 }])
    }))
})

describe("a statement with Schemas", () => {
  // CqlSchema.ts, `readings`: by text, for ever: the columns of the first time. The guard knows `object` only, so that what the server says now is
  // another type is not seen: a Uint8Array where the type of the row says Uuid. README: a statement follows the schema.
  it.effect("gives nothing that is not what its Schema says after a table was made again", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.x (id int PRIMARY KEY, v uuid)"))
      yield* passing(cql`INSERT INTO ks.x (id, v) VALUES (${1}, ${id(5)})`)
      const find = CqlSchema.findOne({
        Request: CqlTypes.Int,
        Result: Schema.Struct({ v: CqlTypes.Uuid }),
        execute: (id) => cql`SELECT v FROM ks.x WHERE id = ${id}`
      })
      assert.deepStrictEqual(yield* passing(find(1)), { v: id(5) })
      yield* passing(cql.execute("DROP TABLE ks.x"))
      yield* passing(cql.execute("CREATE TABLE ks.x (id int PRIMARY KEY, v blob)"))
      yield* passing(cql.execute("INSERT INTO ks.x (id, v) VALUES (1, 0xcafe)"))
      yield* TestClock.adjust("5 seconds")
      const exit = yield* passing(Effect.exit(find(1)))
      assert.isTrue(Exit.isFailure(exit), `got ${Exit.isSuccess(exit) ? exit.value.v : ""}`)
    }))

  // CqlSchema.ts, `readings`: the same text is another statement in another keyspace, and of another client.
  it.effect("of one text in two keyspaces is looked at in both", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ product: "cassandra", version: "5.0" } as never)
      yield* passing(cql.execute("CREATE TABLE ks.x (id int PRIMARY KEY, v uuid)"))
      yield* passing(cql.execute(
        "CREATE KEYSPACE other WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
      ))
      yield* passing(cql.execute("CREATE TABLE other.x (id int PRIMARY KEY, v blob)"))
      yield* passing(cql`INSERT INTO ks.x (id, v) VALUES (${1}, ${id(5)})`)
      yield* passing(cql.execute("INSERT INTO other.x (id, v) VALUES (1, 0xcafe)"))
      const find = CqlSchema.findOne({
        Request: Schema.Struct({ keyspace: Schema.String, id: CqlTypes.Int }),
        Result: Schema.Struct({ v: CqlTypes.Uuid }),
        execute: ({ id, keyspace }) => cql`SELECT v FROM x WHERE id = ${id}`.with({ keyspace })
      })
      assert.deepStrictEqual(yield* passing(find({ keyspace: "ks", id: 1 })), { v: id(5) })
      const exit = yield* passing(Effect.exit(find({ keyspace: "other", id: 1 })))
      assert.isTrue(Exit.isFailure(exit), `got ${Exit.isSuccess(exit) ? exit.value.v : ""}`)
    }))

  // CqlSchema.ts, `findOne`: `asEffect` reads every page before the first row is taken; `Statement.first` stops after the first page.
  it.effect("that wants one row reads one page", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.o (k int, c int, PRIMARY KEY (k, c))"))
      yield* passing(
        cql.executeMany("INSERT INTO ks.o (k, c) VALUES (?, ?)", Array.from({ length: 100 }, (_, c) => [1, c]))
      )
      const find = CqlSchema.findOneOption({
        Request: CqlTypes.Int,
        Result: Schema.Struct({ c: CqlTypes.Int }),
        execute: (k) => cql`SELECT c FROM ks.o WHERE k = ${k}`.with({ pageSize: 5 })
      })
      yield* passing(find(1))
      let asked = 0
      yield* cluster.intercept(({ opcode }) => {
        if (opcode === Frame.Opcode.EXECUTE) asked++
        return undefined
      })
      yield* passing(find(1))
      assert.isAtMost(asked, 2)
    }))

  // rowSchema.ts, `isPlainObject`: all that is no scalar is trusted, with what is in it, though a timestamp by itself is looked at each time. What
  // no `Date` can hold comes as `OutOfRangeTimestamp` where the type of the row says Date; the same of `Empty`, `Unreadable` and `OutOfRangeTime`.
  it.effect("looks at odd values in collections as it does at those in columns", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.x (id int PRIMARY KEY, t timestamp, l list<timestamp>)"))
      const far = 9_000_000_000_000_000_000n
      yield* passing(cql`INSERT INTO ks.x (id, t, l) VALUES (${1}, ${far}, ${[far]})`)
      const byColumn = CqlSchema.findOne({
        Request: CqlTypes.Int,
        Result: Schema.Struct({ t: CqlTypes.Timestamp }),
        execute: (id) => cql`SELECT t FROM ks.x WHERE id = ${id}`
      })
      assert.isTrue(Exit.isFailure(yield* passing(Effect.exit(byColumn(1)))))
      const byList = CqlSchema.findOne({
        Request: CqlTypes.Int,
        Result: Schema.Struct({ l: CqlTypes.List(CqlTypes.Timestamp) }),
        execute: (id) => cql`SELECT l FROM ks.x WHERE id = ${id}`
      })
      const exit = yield* passing(Effect.exit(byList(1)))
      assert.isTrue(Exit.isFailure(exit) || exit.value.l.every((at) => at instanceof Date), String(exit))
    }))

  // CqlSchema.ts, `readings`: the same: rows of `SELECT *` are given out as they are, with a column that came later and that no Schema knows.
  it.effect("gives no column that its Schema does not have after one was added", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.x (id int PRIMARY KEY, name text)"))
      yield* passing(cql.execute("INSERT INTO ks.x (id, name) VALUES (1, 'Ada')"))
      const find = CqlSchema.findOne({
        Request: CqlTypes.Int,
        Result: Schema.Struct({ id: CqlTypes.Int, name: CqlTypes.Text }),
        execute: (id) => cql`SELECT * FROM ks.x WHERE id = ${id}`
      })
      assert.deepStrictEqual(yield* passing(find(1)), { id: 1, name: "Ada" })
      yield* passing(cql.execute("ALTER TABLE ks.x ADD secret text"))
      yield* passing(cql.execute("UPDATE ks.x SET secret = 'hash' WHERE id = 1"))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* passing(find(1)), { id: 1, name: "Ada" })
    }))

  // CqlSchema.ts, `looked`: `hasOwnCodecs` is of the client, so that one codec for one column of one table turns the comparison of all types off.
  it.effect("is compared in all columns that have no codec of the user", () =>
    Effect.gen(function*() {
      const { cluster } = yield* world()
      const cql = yield* passing(clientOf(cluster, {
        codec: {
          types: { "shop.items.price": { decode: (value: unknown) => value, encode: (value: unknown) => value } }
        }
      }))
      const find = CqlSchema.findOne({
        Request: CqlTypes.Uuid,
        Result: Schema.Struct({ v: CqlTypes.Text }),
        execute: (id) => cql`SELECT v FROM ks.t WHERE id = ${id}`
      })
      assert.isTrue(Exit.isFailure(yield* passing(Effect.exit(find.verify(id(1))))))
    }))
})
