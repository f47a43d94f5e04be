/**
 * CQL as a tagged template: a text with bound values that is an Effect of its rows.
 *
 * @since 0.1.0
 */
import * as Names from "@effect-scylla/protocol/Identifier"
import type { Column } from "@effect-scylla/protocol/Metadata"
import type { Row } from "@effect-scylla/protocol/RowDecoder"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Fiber from "effect/Fiber"
import { format } from "effect/Formatter"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CqlError, InvalidStatement, NotOneRow } from "./CqlError.ts"
import type { ExecuteOptions } from "./ExecuteOptions.ts"
import { over } from "./internal/defaults.ts"
import { unclosed } from "./internal/lexis.ts"
import type { ResultSet } from "./ResultSet.ts"

/**
 * What servers say of a statement.
 *
 * @category models
 * @since 0.1.0
 */
export interface Described {
  /** Of its result. */
  readonly columns: ReadonlyArray<Column>
  readonly variables: ReadonlyArray<Column>
  /** The client has options (`codec`) by which values appear otherwise than they do by default. */
  readonly hasOwnCodecs: boolean
  /** Whether they are of this column, or variable. */
  readonly isOwn: (column: Column) => boolean
}

/**
 * Where a statement's names without a keyspace are looked up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Home {
  /** Whose statement it is: the same for all that `with` has made of one client. */
  readonly client: object
  /** As the statement's options or the defaults of `with` say; `undefined`: the client's. */
  readonly said: string | undefined
  /** The client's own. */
  readonly usual: string | undefined
}

/**
 * How a statement reaches the cluster. Implemented by the client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runner {
  readonly page: (
    text: string,
    values: ReadonlyArray<unknown>,
    options?: ExecuteOptions
  ) => Effect.Effect<ResultSet, CqlError>
  readonly rows: (
    text: string,
    values: ReadonlyArray<unknown>,
    options?: ExecuteOptions
  ) => Effect.Effect<Array<Row>, CqlError>
  /** What servers say of the statement; `undefined` of a text that is not prepared: a change of the schema, for example. */
  readonly describe: (text: string, options?: ExecuteOptions) => Effect.Effect<Described | undefined, CqlError>
  /** The pages of a result, each with its columns, until there are as many rows as are wanted. */
  readonly pages: (
    text: string,
    values: ReadonlyArray<unknown>,
    options: ExecuteOptions | undefined,
    wanted: number
  ) => Effect.Effect<ReadonlyArray<ResultSet>, CqlError>
  /** Where names without a keyspace are looked up. */
  readonly home: (options?: ExecuteOptions) => Home
  /** A result's paging state for other people, and back: see `Paging`. */
  readonly toToken: (
    text: string,
    values: ReadonlyArray<unknown>,
    pagingState: Uint8Array,
    options?: ExecuteOptions
  ) => Effect.Effect<string, CqlError>
  readonly fromToken: (
    text: string,
    values: ReadonlyArray<unknown>,
    token: string,
    options?: ExecuteOptions
  ) => Effect.Effect<Uint8Array, CqlError>
}

/**
 * A statement. Evaluating it runs it and gives all its rows; use `stream` for results that need not be in memory as a
 * whole. It may be evaluated again and again.
 *
 * @category models
 * @since 0.1.0
 */
export class Statement<A = Row> extends Effectable.Class<Array<A>, CqlError> {
  /** The text that is sent, with a `?` for each value. */
  readonly text: string
  readonly values: ReadonlyArray<unknown>
  private readonly runner: Runner
  /** What `with` has set. */
  readonly options: ExecuteOptions | undefined
  /** Why it cannot be sent. @internal */
  readonly problem: string | undefined

  constructor(
    runner: Runner,
    text: string,
    values: ReadonlyArray<unknown>,
    options?: ExecuteOptions,
    problem?: string
  ) {
    super()
    this.problem = problem
    this.runner = runner
    this.text = text
    this.values = values
    this.options = options
  }

  asEffect(): Effect.Effect<Array<A>, CqlError> {
    return this.runner.rows(this.text, this.values, this.options) as Effect.Effect<Array<any>, CqlError>
  }

  /** The same statement with other options: `cql`…`.with({ idempotent: true })`. */
  with(options: ExecuteOptions): Statement<A> {
    const all = this.options === undefined ? options : over(this.options, options)
    return new Statement(this.runner, this.text, this.values, all, this.problem)
  }

  /** What servers say of it, without executing it; `undefined` of what is neither a read nor a write. */
  get prepared(): Effect.Effect<Described | undefined, CqlError> {
    return this.runner.describe(this.text, this.options)
  }

  /** @internal */
  get home(): Home {
    return this.runner.home(this.options)
  }

  /** Its pages, each with its columns, until there are as many rows as are wanted. @internal */
  pagesWith(wanted: number): Effect.Effect<ReadonlyArray<ResultSet<A>>, CqlError> {
    return this.runner.pages(this.text, this.values, this.options, wanted) as Effect.Effect<any, CqlError>
  }

  /** One page: the first, or the one behind a paging state. */
  page(pagingState?: Uint8Array | null): Effect.Effect<ResultSet<A>, CqlError> {
    const options = pagingState === undefined ? this.options : { ...this.options, pagingState }
    return this.runner.page(this.text, this.values, options) as Effect.Effect<ResultSet<any>, CqlError>
  }

  /**
   * A token for the page behind this result, to be given to other people, in a link for example: bound to this statement and these
   * values. `undefined` after the last page.
   */
  toToken({ pagingState }: ResultSet<any>): Effect.Effect<string | undefined, CqlError> {
    return pagingState === null
      ? Effect.undefined
      : this.runner.toToken(this.text, this.values, pagingState, this.options)
  }

  /**
   * The page that a token stands for, in this process or another one. Fails with `PagingTokenRefused` for one that is none of this
   * statement with these values.
   */
  pageOf(token: string): Effect.Effect<ResultSet<A>, CqlError> {
    return Effect.flatMap(
      this.runner.fromToken(this.text, this.values, token, this.options),
      (pagingState) => this.page(pagingState)
    )
  }

  /** The first row, if there is one. Reads pages only until then. */
  get first(): Effect.Effect<Option.Option<A>, CqlError> {
    return Stream.runHead(this.singly)
  }

  /** The one row that there is; fails with `NotOneRow` where there is none, or more than one. */
  get one(): Effect.Effect<A, CqlError> {
    return Effect.flatMap(
      Stream.runCollect(Stream.take(this.singly, 2)),
      (rows) =>
        rows.length === 1 ? Effect.succeed(rows[0]!) : Effect.fail(
          new CqlError({
            reason: new NotOneRow({
              message: `exactly one row was expected, there ${rows.length === 0 ? "is none" : "are more"}`
            }),
            attempts: [],
            statement: this.text
          })
        )
    )
  }

  /** Whether a conditional statement was applied; true for all others. */
  get applied(): Effect.Effect<boolean, CqlError> {
    return Effect.map(this.page(), ({ wasApplied }) => wasApplied)
  }

  /**
   * All rows, page by page. The next page is asked for when this one is handed out, one ahead and no more, unless the page was larger
   * than 1 MiB: then when it is used up.
   */
  get stream(): Stream.Stream<A, CqlError> {
    return pages((pagingState) => pagingState === null ? this.page() : this.page(pagingState))
  }

  /** The same without reading ahead. */
  private get singly(): Stream.Stream<A, CqlError> {
    return pages((pagingState) => pagingState === null ? this.page() : this.page(pagingState), 0)
  }
}

/** Bytes of a page up to which the next one is read ahead: so much more lies in memory, and as much on its way. */
const READ_AHEAD = 2 ** 20

interface Ahead<A, E> {
  readonly pagingState: Uint8Array | null
  /** Under way. */
  readonly page: Fiber.Fiber<ResultSet<A>, E> | undefined
}

/**
 * Rows of all pages; empty pages in between are normal and passed over. While a page is read the next one is asked for, if the page
 * has at most `readAhead` bytes. Who stops early gives up what is under way.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pages = <A, E>(
  page: (pagingState: Uint8Array | null) => Effect.Effect<ResultSet<A>, E>,
  readAhead = READ_AHEAD
): Stream.Stream<A, E> =>
  Stream.unwrap(
    Effect.map(Effect.scope, (scope) =>
      Stream.paginate<Ahead<A, E>, A, E, never>({ pagingState: null, page: undefined }, (state) =>
        Effect.flatMap(state.page === undefined ? page(state.pagingState) : Fiber.join(state.page), (result) => {
          const { bytes, pagingState, rows } = result
          if (pagingState === null) {
            return Effect.succeed([rows, Option.none()] as const)
          }
          const next = readAhead > 0 && bytes <= readAhead
            ? Effect.forkIn(page(pagingState), scope, { startImmediately: true })
            : Effect.succeed(undefined)
          return Effect.map(next, (page) =>
            [rows, Option.some({ pagingState, page })] as const)
        })))
  )

/**
 * A name in a template, quoted where it must be.
 *
 * @category models
 * @since 0.1.0
 */
export class Identifier {
  readonly text: string
  constructor(path: ReadonlyArray<string>) {
    this.text = path.map(Names.format).join(".")
  }
}

/**
 * The values of an `IN`, bound as one list: `WHERE id IN ${cql.in(ids)}`.
 *
 * @category models
 * @since 0.1.0
 */
export class InValues {
  readonly values: ReadonlyArray<unknown>
  constructor(values: ReadonlyArray<unknown>) {
    this.values = values
  }
}

/**
 * A part of a template: a text with its values, put together by `cql.and`, `cql.csv`, `cql.insert` and `cql.update`. A template within a
 * template is a part of it, too.
 *
 * @category models
 * @since 0.1.0
 */
export class Fragment {
  readonly text: string
  readonly values: ReadonlyArray<unknown>
  /** What is wrong with it, of which the statement fails that it is a part of. */
  readonly problem: string | undefined
  constructor(text: string, values: ReadonlyArray<unknown>, problem?: string) {
    this.text = text
    this.values = values
    this.problem = problem
  }
}

const wrong = (problem: string): Fragment => new Fragment("", [], problem)

/**
 * What may be a part of a template. A plain text is none: it would be written into the statement.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = Statement<any> | Fragment | Identifier

const partOf = (part: Part, what: string): Fragment => {
  if (part instanceof Fragment) return part
  if (part instanceof Statement) {
    if (part.options !== undefined) {
      return wrong(`${what}: a part of a statement has no options: give them to the whole`)
    }
    return COMMENT.test(part.text) ? commented(part, what) : new Fragment(part.text, part.values, part.problem)
  }
  if (part instanceof Identifier) return new Fragment(part.text, [])
  return wrong(`${what} takes templates and names, got ${format(part)}: write cql\`…\``)
}

const COMMENT = /--|\/[/*]/

/** What stands behind the part is none of its comments. */
const commented = ({ problem, text, values }: Statement<any>, what: string): Fragment =>
  unclosed(text) === "a comment"
    ? wrong(`${what}: a comment is never closed in ${format(text)}`)
    : new Fragment(`${text}\n`, values, problem)

const joined = (parts: ReadonlyArray<Part>, separator: string, what: string): Fragment => {
  if (!Array.isArray(parts) || parts.length === 0) {
    return wrong(`${what} takes a list of at least one part, got ${format(parts)}`)
  }
  const all = Array.from(parts, (part) => partOf(part as Part, what))
  const odd = all.find(({ problem }) => problem !== undefined)
  return odd ?? new Fragment(all.map(({ text }) => text).join(separator), all.flatMap(({ values }) => values))
}

/**
 * Conditions, all of which hold: `WHERE ${cql.and([cql`a = ${1}`, cql`b > ${2}`])}`. CQL has no OR.
 *
 * @category fragments
 * @since 0.1.0
 */
export const and = (parts: ReadonlyArray<Part>): Fragment => joined(parts, " AND ", "cql.and")

/**
 * Parts with commas between: `SELECT ${cql.csv([cql("a"), cql("b")])}`.
 *
 * @category fragments
 * @since 0.1.0
 */
export const csv = (parts: ReadonlyArray<Part>): Fragment => joined(parts, ", ", "cql.csv")

type Values = Readonly<Record<string, unknown>>

/** Columns with values, or what is wrong. */
const columnsOf = (
  row: Values,
  what: string,
  omit: ReadonlyArray<string> = []
): ReadonlyArray<readonly [string, unknown]> | string => {
  if (typeof row !== "object" || row === null || Array.isArray(row)) {
    return `${what} takes an object of values by column, got ${format(row)}`
  }
  const columns = Object.entries(row).filter(([name, value]) => value !== undefined && !omit.includes(name))
  return columns.length === 0 ? `${what} needs a value of at least one column` : columns
}

/**
 * The columns and values of an INSERT: `INSERT INTO users ${cql.insert({ id, name })}`. A column that is `undefined` is left out.
 *
 * @category fragments
 * @since 0.1.0
 */
export const insert = (row: Values): Fragment => {
  const columns = columnsOf(row, "cql.insert")
  if (typeof columns === "string") return wrong(columns)
  const names = columns.map(([name]) => Names.format(name)).join(", ")
  return new Fragment(`(${names}) VALUES (${columns.map(() => "?").join(", ")})`, columns.map(([, value]) => value))
}

/**
 * The assignments of an UPDATE: `UPDATE users SET ${cql.update({ name })} WHERE id = ${id}`. A column that is `undefined`, or among
 * those to `omit`, is left out.
 *
 * @category fragments
 * @since 0.1.0
 */
export const update = (row: Values, omit: ReadonlyArray<string> = []): Fragment => {
  const columns = columnsOf(row, "cql.update", omit)
  return typeof columns === "string" ? wrong(columns) : new Fragment(
    columns.map(([name]) => `${Names.format(name)} = ?`).join(", "),
    columns.map(([, value]) => value)
  )
}

/** Texts of templates without names in them, by the literal's identity: such a statement is put together once. */
const texts = new WeakMap<TemplateStringsArray, string>()

/** Whether it is written into the text, or changed before it is bound. */
const isSpecial = (arg: unknown): boolean =>
  typeof arg === "object" && (
    arg instanceof Identifier || arg instanceof InValues || arg instanceof Fragment || arg instanceof Statement
  )

/**
 * The statement of a template. Everything but names and parts ({@link Part}) is bound; no value is ever written into the text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = (
  runner: Runner,
  strings: TemplateStringsArray,
  args: ReadonlyArray<unknown>
): Statement<any> => {
  for (let i = 0; i < args.length; i++) if (isSpecial(args[i])) return compileSpecial(runner, strings, args)
  let text = texts.get(strings)
  if (text === undefined) texts.set(strings, text = strings.join("?"))
  return new Statement(runner, text, args)
}

const compileSpecial = (
  runner: Runner,
  strings: TemplateStringsArray,
  args: ReadonlyArray<unknown>
): Statement<any> => {
  let text = strings[0]!
  let problem: string | undefined
  const values: Array<unknown> = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]
    if (arg instanceof Identifier || arg instanceof Fragment || arg instanceof Statement) {
      const part = partOf(arg, "a template")
      problem ??= part.problem
      text += part.text
      for (const value of part.values) values.push(value)
    } else {
      text += "?"
      values.push(arg instanceof InValues ? arg.values : arg)
    }
    text += strings[i + 1]!
  }
  return problem === undefined
    ? new Statement(runner, text, values)
    : new Statement(failing(problem), text, values, undefined, problem)
}

/** Of a statement that cannot be sent. */
const failing = (problem: string): Runner => {
  const fail = (text: string): Effect.Effect<never, CqlError> =>
    Effect.fail(new CqlError({ reason: new InvalidStatement({ message: problem }), attempts: [], statement: text }))
  const home: Home = { client: fail, said: undefined, usual: undefined }
  return { page: fail, rows: fail, pages: fail, describe: fail, toToken: fail, fromToken: fail, home: () => home }
}
