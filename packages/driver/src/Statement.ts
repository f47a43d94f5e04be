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
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CqlError, NotOneRow } from "./CqlError.ts"
import type { ExecuteOptions } from "./ExecuteOptions.ts"
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
  /** What servers say of the statement; `undefined` of a text that is not prepared, because it has no variables. */
  readonly describe: (text: string, options?: ExecuteOptions) => Effect.Effect<Described | undefined, CqlError>
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

  constructor(runner: Runner, text: string, values: ReadonlyArray<unknown>, options?: ExecuteOptions) {
    super()
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
    const all = this.options === undefined ? options : { ...this.options, ...options }
    return new Statement(this.runner, this.text, this.values, all)
  }

  /** What servers say of it, without executing it; `undefined` of a text without variables. */
  get prepared(): Effect.Effect<Described | undefined, CqlError> {
    return this.runner.describe(this.text, this.options)
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

/** Texts of templates without names in them, by the literal's identity: such a statement is put together once. */
const texts = new WeakMap<TemplateStringsArray, string>()

/** Whether it is written into the text, or changed before it is bound. */
const isSpecial = (arg: unknown): boolean =>
  typeof arg === "object" && (arg instanceof Identifier || arg instanceof InValues)

/**
 * The statement of a template. Everything but an {@link Identifier} is bound; nothing is ever written into the text.
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
  const values: Array<unknown> = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]
    if (arg instanceof Identifier) {
      text += arg.text
    } else {
      text += "?"
      values.push(arg instanceof InValues ? arg.values : arg)
    }
    text += strings[i + 1]!
  }
  return new Statement(runner, text, values)
}
