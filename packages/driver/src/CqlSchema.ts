/**
 * Statements with Schemas for what they are given and what they give: the functions of Effect's `SqlSchema`, which look at what the
 * server says of the statement before anything is sent.
 *
 * ```ts
 * const byCustomer = CqlSchema.findAll({
 *   Request: CqlTypes.Int,
 *   Result: Schema.Struct({ number: CqlTypes.Int, total: Schema.NullOr(CqlTypes.Bigint) }),
 *   execute: (customer) => cql`SELECT number, total FROM shop.orders WHERE customer = ${customer}`
 * })
 * ```
 *
 * When such a function runs a statement for the first time, the Schemas are compared with its columns and variables: what cannot be is
 * one error (`SchemaMismatch`) that names all of it. Values whose type the server promises with the rows are not decoded one by one.
 *
 * @since 0.1.0
 */
import type { Column } from "@effect-scylla/protocol/Metadata"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { CqlError, SchemaMismatch } from "./CqlError.ts"
import { compare, type Reading, readingOf } from "./internal/rowSchema.ts"
import type { ResultSet } from "./ResultSet.ts"
import { Statement } from "./Statement.ts"

type Row = Readonly<Record<string, unknown>>

/** What a query is made of. `execute` gives a template, or any other effect of rows. */
interface Query<Req extends Schema.Constraint, Res extends Schema.Constraint, E, R> {
  readonly Request: Req
  readonly Result: Res
  readonly execute: (request: Req["Encoded"]) => Effect.Effect<ReadonlyArray<unknown>, E, R>
}

/** A function of a request, which can be asked whether it fits without being run. */
export interface Find<Req, A, E, R> {
  (request: Req): Effect.Effect<A, E, R>
  /**
   * Compares the Schemas with the statement of such a request, which is prepared and not executed: for layers that are to fail when
   * they are built.
   */
  readonly verify: (request: Req) => Effect.Effect<void, E, R>
}

type Fails<E> = E | CqlError | Schema.SchemaError
type Needs<Req extends Schema.Constraint, Res extends Schema.Constraint, R> =
  | R
  | Req["EncodingServices"]
  | Res["DecodingServices"]

/** Distinct texts of one query, by client, of which it is remembered that they fit. */
const KEPT = 64

/** What is known of a statement that was compared. */
interface Looked {
  readonly isOwn: (column: Column) => boolean
  /** How its rows are read, by the columns that come with them: tables change, and a text may be another statement then. */
  readonly readings: WeakMap<ReadonlyArray<Column>, Reading>
}

const queryOf = <Req extends Schema.Constraint, Res extends Schema.Constraint, E, R, A>(
  { Request, Result, execute }: Query<Req, Res, E, R>,
  finish: (rows: Array<Res["Type"]>) => Effect.Effect<A, any>,
  /** Rows that have to be read, and those of them that are looked at. */
  { read: wanted, taken }: { readonly read: number; readonly taken: number } = ALL
): Find<Req["Type"], A, any, Needs<Req, Res, R>> => {
  const encode = Schema.encodeEffect(Request)
  const decodeAll = Schema.decodeUnknownEffect(Schema.mutable(Schema.Array(Result)))
  const known = new WeakMap<object, Map<string, Looked>>()
  const textsOf = (client: object): Map<string, Looked> => {
    let texts = known.get(client)
    if (texts === undefined) known.set(client, texts = new Map())
    return texts
  }
  /** What is known of a statement, or what is wrong with it. */
  const look = (statement: Statement<any>): Effect.Effect<Looked, CqlError> =>
    Effect.flatMap(statement.prepared, (described) => {
      // Of a text that is not prepared nothing is promised.
      if (described === undefined) return Effect.succeed({ isOwn: () => true, readings: new WeakMap() })
      const issues = compare(Request, Result, described)
      return issues.length > 0
        ? Effect.fail(mismatch(statement.text, issues))
        : Effect.succeed({ isOwn: described.isOwn, readings: new WeakMap() })
    })
  const looked = (statement: Statement<any>): Effect.Effect<Looked, CqlError> => {
    const { client, said } = statement.home
    const texts = textsOf(client)
    const key = said === undefined ? statement.text : `${said}\0${statement.text}`
    const before = texts.get(key)
    return before !== undefined ? Effect.succeed(before) : Effect.map(look(statement), (now) => {
      if (texts.size >= KEPT) texts.delete(texts.keys().next().value!)
      texts.set(key, now)
      return now
    })
  }
  const readingOfPage = ({ isOwn, readings }: Looked, columns: ReadonlyArray<Column>): Reading => {
    let reading = readings.get(columns)
    if (reading === undefined) readings.set(columns, reading = readingOf(Result, columns, isOwn))
    return reading
  }
  const read = (pages: ReadonlyArray<ResultSet<any>>, looked: Looked) => {
    const [first] = pages
    // A page's rows are nobody else's.
    const rows: Array<Row> = first!.rows
    let isTrusted = isAsPromised(first!, looked)
    for (let i = 1; i < pages.length; i++) {
      isTrusted = isTrusted && isAsPromised(pages[i]!, looked)
      for (const row of pages[i]!.rows) rows.push(row)
    }
    if (rows.length > taken) rows.length = taken
    return isTrusted ? Effect.succeed(rows as Array<Res["Type"]>) : decodeAll(rows)
  }
  const isAsPromised = ({ columns, rows }: ResultSet<any>, looked: Looked): boolean =>
    readingOfPage(looked, columns)(rows.length > taken ? rows.slice(0, taken) : rows)
  const find = (request: Req["Type"]): Effect.Effect<A, any, any> =>
    Effect.flatMap(encode(request), (encoded) => {
      const executed = execute(encoded)
      if (!(executed instanceof Statement)) {
        return Effect.flatMap(
          Effect.flatMap(executed, (rows) => decodeAll(rows.length > taken ? rows.slice(0, taken) : rows)),
          finish
        )
      }
      return Effect.flatMap(looked(executed), (looked) =>
        Effect.flatMap(Effect.flatMap(executed.pagesWith(wanted), (pages) => read(pages, looked)), finish))
    })
  return Object.assign(find, {
    verify: (request: Req["Type"]) =>
      Effect.flatMap(encode(request), (encoded) => {
        const executed = execute(encoded)
        return executed instanceof Statement ? Effect.asVoid(look(executed)) : Effect.void
      })
  }) as Find<Req["Type"], A, any, any>
}

const ALL = { read: Infinity, taken: Infinity }
const FIRST = { read: 1, taken: 1 }
/** As many as are needed to know that there is another one. */
const TWO = { read: 2, taken: Infinity }

const mismatch = (statement: string, issues: ReadonlyArray<string>): CqlError =>
  new CqlError({
    reason: new SchemaMismatch({ message: `the Schemas do not fit the statement: ${issues.join("; ")}`, issues }),
    attempts: [],
    statement
  })

/**
 * All rows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const findAll = <Req extends Schema.Constraint, Res extends Schema.Constraint, E, R>(
  options: Query<Req, Res, E, R>
): Find<Req["Type"], Array<Res["Type"]>, Fails<E>, Needs<Req, Res, R>> => queryOf(options, Effect.succeed)

/**
 * All rows, at least one: fails with `NoSuchElementError` where there is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const findNonEmpty = <Req extends Schema.Constraint, Res extends Schema.Constraint, E, R>(
  options: Query<Req, Res, E, R>
): Find<Req["Type"], Arr.NonEmptyArray<Res["Type"]>, Fails<E> | Cause.NoSuchElementError, Needs<Req, Res, R>> =>
  queryOf(
    options,
    (rows) => Arr.isArrayNonEmpty(rows) ? Effect.succeed(rows) : Effect.fail(new Cause.NoSuchElementError())
  )

/**
 * The first row: fails with `NoSuchElementError` where there is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const findOne = <Req extends Schema.Constraint, Res extends Schema.Constraint, E, R>(
  options: Query<Req, Res, E, R>
): Find<Req["Type"], Res["Type"], Fails<E> | Cause.NoSuchElementError, Needs<Req, Res, R>> =>
  queryOf(
    options,
    (rows) => rows.length > 0 ? Effect.succeed(rows[0]!) : Effect.fail(new Cause.NoSuchElementError()),
    FIRST
  )

/**
 * The first row, if there is one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const findOneOption = <Req extends Schema.Constraint, Res extends Schema.Constraint, E, R>(
  options: Query<Req, Res, E, R>
): Find<Req["Type"], Option.Option<Res["Type"]>, Fails<E>, Needs<Req, Res, R>> =>
  queryOf(options, (rows) => Effect.succeed(Arr.head(rows)), FIRST)

/**
 * The one row that there is: fails with `NoSuchElementError` where there is none, or more than one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const single = <Req extends Schema.Constraint, Res extends Schema.Constraint, E, R>(
  options: Query<Req, Res, E, R>
): Find<Req["Type"], Res["Type"], Fails<E> | Cause.NoSuchElementError, Needs<Req, Res, R>> =>
  queryOf(
    options,
    (rows) => rows.length === 1 ? Effect.succeed(rows[0]!) : Effect.fail(new Cause.NoSuchElementError()),
    TWO
  )

const void_ = <Req extends Schema.Constraint, E, R>(
  options: {
    readonly Request: Req
    readonly execute: (request: Req["Encoded"]) => Effect.Effect<ReadonlyArray<unknown>, E, R>
  }
): Find<Req["Type"], void, Fails<E>, R | Req["EncodingServices"]> =>
  queryOf({ ...options, Result: Schema.Unknown }, () => Effect.void)

export {
  /**
   * Runs a statement and looks at no rows.
   *
   * @category constructors
   * @since 0.1.0
   */
  void_ as void
}

/**
 * Compares several queries with the cluster, each with a request as it may come, and executes none. One error names everything that does
 * not fit.
 *
 * @category verification
 * @since 0.1.0
 */
export const verify = <E, R>(
  ...checks: ReadonlyArray<Effect.Effect<void, E, R>>
): Effect.Effect<void, E | CqlError, R> =>
  Effect.flatMap(Effect.forEach(checks, Effect.result), (results): Effect.Effect<void, E | CqlError> => {
    const errors = results.flatMap((result) => result._tag === "Failure" ? [result.failure] : [])
    const [first] = errors
    if (first === undefined) return Effect.void
    const issues = errors.flatMap((error) =>
      error instanceof CqlError && error.reason._tag === "SchemaMismatch"
        ? error.reason.issues.map((issue) => `${issue} (${error.statement ?? ""})`)
        : []
    )
    // Another error than this is why the rest was not compared.
    const other = errors.find((error) => !(error instanceof CqlError && error.reason._tag === "SchemaMismatch"))
    return Effect.fail(other ?? mismatch("", issues))
  })
