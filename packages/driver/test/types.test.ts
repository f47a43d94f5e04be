/** What the compiler says of programs, and of the mistakes in them. Nothing here is run: it is compiled. */
import {
  type Balancing,
  CqlClient,
  type CqlError,
  CqlMigrator,
  CqlResolver,
  CqlSchema,
  CqlTypes,
  type Grouped,
  type Many,
  type Prepared,
  type ResultSet,
  type Schema as CqlSchemas,
  type Trace
} from "@effect-scylla/driver"
import type { LazyRow } from "@effect-scylla/protocol/RowShape"
import type { Uuid } from "@effect-scylla/protocol/Uuid"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { type Array as Arr, type Cause, type DateTime, Effect, type Layer, type Option, Schema, Stream } from "effect"
import * as SqlSchema from "effect/sql/SqlSchema"

declare const cql: CqlClient.CqlClient
type Item = { readonly id: number; readonly name: string }
const Item = Schema.Struct({ id: CqlTypes.Int, name: CqlTypes.Text })

/** Compiled, never called. */
const compiled = (program: () => unknown) => assert.isFunction(program)

describe("types", () => {
  it("of templates are what their caller says of the rows", () =>
    compiled(() => {
      expectTypeOf(cql<Item>`SELECT id, name FROM t`).toExtend<Effect.Effect<ReadonlyArray<Item>, CqlError.CqlError>>()
      expectTypeOf(cql<Item>`SELECT id FROM t`.first).toEqualTypeOf<
        Effect.Effect<Option.Option<Item>, CqlError.CqlError>
      >()
      expectTypeOf(cql<Item>`SELECT id FROM t`.one).toEqualTypeOf<Effect.Effect<Item, CqlError.CqlError>>()
      expectTypeOf(cql<Item>`SELECT id FROM t`.stream).toEqualTypeOf<Stream.Stream<Item, CqlError.CqlError>>()
      expectTypeOf(cql<Item>`x`.with({ idempotent: true })).toEqualTypeOf(cql<Item>`x`)
      // @ts-expect-error no such option
      cql`SELECT 1`.with({ idempotence: true })
      // @ts-expect-error no such level
      cql`SELECT 1`.with({ consistency: "TWICE" })
      // @ts-expect-error a client is no statement
      expectTypeOf(cql.first)
      expectTypeOf(cql.with({ consistency: "ONE" })).toEqualTypeOf<CqlClient.CqlClient>()
    }))

  it("of results follow the form of the rows", () =>
    compiled(() => {
      type Answer<A> = Effect.Effect<ResultSet.ResultSet<A>, CqlError.CqlError>
      expectTypeOf(cql.execute("x", [], { rows: "arrays" })).toEqualTypeOf<Answer<ReadonlyArray<unknown>>>()
      expectTypeOf(cql.execute("x", [], { rows: "lazy" })).toEqualTypeOf<Answer<LazyRow>>()
      expectTypeOf(cql.execute("x")).toEqualTypeOf<Answer<Record<string, unknown>>>()
      expectTypeOf(cql.stream("x")).toEqualTypeOf<Stream.Stream<Record<string, unknown>, CqlError.CqlError>>()
      // @ts-expect-error no such form
      cql.execute("x", [], { rows: "objects and arrays" })
      // @ts-expect-error values are a list or an object
      cql.execute("x", 1)
      expectTypeOf(cql.prepare("x")).toEqualTypeOf<Effect.Effect<Prepared.Prepared, CqlError.CqlError>>()
      // @ts-expect-error the second is no list of values
      cql.prepare("x", [1])
    }))

  it("of many writes are theirs", () =>
    compiled(() => {
      expectTypeOf(cql.batch([["x", [1]], "y", cql`z`])).toEqualTypeOf<
        Effect.Effect<ResultSet.ResultSet, CqlError.CqlError>
      >()
      // @ts-expect-error a number is no statement
      cql.batch([1])
      expectTypeOf(cql.grouped([])).toEqualTypeOf<Effect.Effect<ReadonlyArray<Grouped.Outcome>, CqlError.CqlError>>()
      expectTypeOf(cql.executeMany("x", [[1]])).toEqualTypeOf<Effect.Effect<Many.Summary, CqlError.CqlError>>()
      const rows = Stream.fail("no rows" as const)
      expectTypeOf(cql.executeMany("x", rows)).toEqualTypeOf<
        Effect.Effect<Many.Summary, CqlError.CqlError | "no rows">
      >()
      // @ts-expect-error rows are lists or objects of values
      cql.executeMany("x", [1, 2])
      expectTypeOf(cql.trace).returns.toEqualTypeOf<Effect.Effect<Trace.Trace, CqlError.CqlError>>()
      // @ts-expect-error a trace is found by a result or its id
      cql.trace("id")
    }))

  it("of typed queries are those of effect/sql", () =>
    compiled(() => {
      const options = {
        Request: CqlTypes.Int,
        Result: Item,
        execute: (id: number) => cql`SELECT * FROM t WHERE id = ${id}`
      }
      type Failure = CqlError.CqlError | Schema.SchemaError
      type Of<F> = F extends (request: number) => Effect.Effect<infer A, infer E, infer R> ? { A: A; E: E; R: R }
        : never
      expectTypeOf<Of<ReturnType<typeof findAll>>>().toEqualTypeOf<{ A: Array<Item>; E: Failure; R: never }>()
      const findAll = () => CqlSchema.findAll(options)
      const findNonEmpty = () => CqlSchema.findNonEmpty(options)
      expectTypeOf<Of<ReturnType<typeof findNonEmpty>>["A"]>().toEqualTypeOf<Arr.NonEmptyArray<Item>>()
      expectTypeOf<Of<ReturnType<typeof findNonEmpty>>["E"]>().toEqualTypeOf<Failure | Cause.NoSuchElementError>()
      const findOne = () => CqlSchema.findOne(options)
      expectTypeOf<Of<ReturnType<typeof findOne>>["A"]>().toEqualTypeOf<Item>()
      const findOneOption = () => CqlSchema.findOneOption(options)
      expectTypeOf<Of<ReturnType<typeof findOneOption>>["A"]>().toEqualTypeOf<Option.Option<Item>>()
      const single = () => CqlSchema.single(options)
      expectTypeOf<Of<ReturnType<typeof single>>["A"]>().toEqualTypeOf<Item>()
      // The same of Effect's own.
      const theirs = () => SqlSchema.findOneOption(options)
      expectTypeOf<Of<ReturnType<typeof theirs>>["A"]>().toEqualTypeOf<Option.Option<Item>>()
      // @ts-expect-error the request is a number
      CqlSchema.findAll(options)("1")
      // @ts-expect-error what is executed takes what the Schema of the request encodes to
      CqlSchema.findAll({ ...options, execute: (id: string) => cql`SELECT ${id}` })
      // @ts-expect-error a Result is needed
      CqlSchema.findAll({ Request: CqlTypes.Int, execute: options.execute })
      expectTypeOf(CqlSchema.void({ Request: CqlTypes.Int, execute: options.execute })(1)).toExtend<
        Effect.Effect<void, Failure>
      >()
    }))

  it("of Schemas are those of the values that rows have", () =>
    compiled(() => {
      expectTypeOf<typeof CqlTypes.Bigint.Type>().toEqualTypeOf<bigint>()
      expectTypeOf<typeof CqlTypes.Timestamp.Type>().toEqualTypeOf<Date>()
      expectTypeOf<typeof CqlTypes.TimestampUtc.Type>().toEqualTypeOf<DateTime.Utc>()
      expectTypeOf<typeof CqlTypes.TimestampUtc.Encoded>().toEqualTypeOf<Date>()
      expectTypeOf<typeof CqlTypes.TimeUuid.Type>().toEqualTypeOf<Uuid>()
      const tags = CqlTypes.Set(CqlTypes.Text)
      expectTypeOf<typeof tags.Type>().toEqualTypeOf<ReadonlySet<string>>()
      const prices = CqlTypes.Map(CqlTypes.Text, CqlTypes.Bigint)
      expectTypeOf<typeof prices.Type>().toEqualTypeOf<ReadonlyMap<string, bigint>>()
      const pair = CqlTypes.Tuple(CqlTypes.Int, CqlTypes.Text)
      expectTypeOf<typeof pair.Type>().toEqualTypeOf<readonly [number | null, string | null]>()
      const address = CqlTypes.Udt({ street: CqlTypes.Text })
      expectTypeOf<typeof address.Type>().toEqualTypeOf<{ readonly street: string | null }>()
      const absent = CqlTypes.Absent(CqlTypes.Int)
      expectTypeOf<typeof absent.Type>().toEqualTypeOf<number | undefined>()
      // @ts-expect-error a vector has a dimension
      CqlTypes.Vector(CqlTypes.Float)
      // @ts-expect-error elements are Schemas
      CqlTypes.List("text")
    }))

  it("of reads by key are those of their Schemas", () =>
    compiled(() => {
      const options = {
        Id: CqlTypes.Int,
        Result: Item,
        ResultId: (row: Item) => row.id,
        execute: (id: number) => cql`SELECT ${id}`
      }
      const byId = CqlResolver.findById(options as never)
      expectTypeOf(byId).toBeObject()
      expectTypeOf(CqlResolver.request).toBeFunction()
      // @ts-expect-error a resolver is made of options
      CqlResolver.findById()
    }))

  it("of migrations are Effects with what the steps need", () =>
    compiled(() => {
      const loader = CqlMigrator.fromRecord({ "0001_one": "CREATE TABLE a (k int PRIMARY KEY)" })
      expectTypeOf(CqlMigrator.run({ keyspace: "ks", loader })).toExtend<
        Effect.Effect<unknown, CqlMigrator.MigrationError | CqlError.CqlError, CqlClient.CqlClient>
      >()
      expectTypeOf(CqlMigrator.layer({ keyspace: "ks", loader })).toExtend<
        Layer.Layer<never, CqlMigrator.MigrationError | CqlError.CqlError, CqlClient.CqlClient>
      >()
      // @ts-expect-error a step is a text, or an Effect
      CqlMigrator.fromRecord({ "0001_one": 1 })
      // @ts-expect-error a loader is needed
      CqlMigrator.run({ keyspace: "ks" })
    }))

  it("of options and policies are theirs", () =>
    compiled(() => {
      expectTypeOf(CqlClient.layer({ contactPoints: ["a"] })).toEqualTypeOf<
        Layer.Layer<CqlClient.CqlClient, CqlError.CqlError>
      >()
      // @ts-expect-error contact points are a list
      CqlClient.layer({ contactPoints: "a" })
      // @ts-expect-error contact points are needed
      CqlClient.layer({})
      // @ts-expect-error no such option
      CqlClient.layer({ contactPoints: ["a"], localDatacentre: "dc1" })
      // @ts-expect-error a number of milliseconds, a text or a Duration
      CqlClient.layer({ contactPoints: ["a"], requestTimeout: new Date() })
      // @ts-expect-error ids of links are a list
      CqlClient.layer({ contactPoints: ["a"], clientRoutes: { connectionIds: "vpce" } })
      expectTypeOf<Balancing.Policy>().toBeFunction()
      expectTypeOf(cql.schema.keyspace("ks")).toExtend<
        Effect.Effect<Option.Option<CqlSchemas.Keyspace>, CqlError.CqlError>
      >()
      expectTypeOf(cql.schemaAgreement()).toEqualTypeOf<Effect.Effect<ResultSet.SchemaAgreement>>()
      expectTypeOf(Effect.provide(cql`x`, CqlClient.layer({ contactPoints: ["a"] }))).toExtend<
        Effect.Effect<unknown, unknown>
      >()
    }))
})
