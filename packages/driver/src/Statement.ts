/**
 * CQL as a tagged template: a text with bound values that is an Effect of its rows.
 *
 * @since 0.1.0
 */
import * as Names from "@effect-scylla/protocol/Identifier"
import type { Row } from "@effect-scylla/protocol/RowDecoder"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CqlError, NotOneRow } from "./CqlError.ts"
import type { ExecuteOptions } from "./ExecuteOptions.ts"
import type { ResultSet } from "./ResultSet.ts"

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

  /** One page: the first, or the one behind a paging state. */
  page(pagingState?: Uint8Array | null): Effect.Effect<ResultSet<A>, CqlError> {
    const options = pagingState === undefined ? this.options : { ...this.options, pagingState }
    return this.runner.page(this.text, this.values, options) as Effect.Effect<ResultSet<any>, CqlError>
  }

  /** The first row, if there is one. Reads pages only until then. */
  get first(): Effect.Effect<Option.Option<A>, CqlError> {
    return Stream.runHead(this.stream)
  }

  /** The one row that there is; fails with `NotOneRow` where there is none, or more than one. */
  get one(): Effect.Effect<A, CqlError> {
    return Effect.flatMap(
      Stream.runCollect(Stream.take(this.stream, 2)),
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

  /** All rows, page by page: the next page is asked for when this one is used up. */
  get stream(): Stream.Stream<A, CqlError> {
    return pages((pagingState) => this.page(pagingState))
  }
}

/**
 * Rows of all pages; empty pages in between are normal and passed over.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pages = <A, E>(
  page: (pagingState: Uint8Array | null) => Effect.Effect<ResultSet<A>, E>
): Stream.Stream<A, E> =>
  Stream.paginate<Uint8Array | null, A, E, never>(null, (state) =>
    Effect.map(page(state), (result) => [
      result.rows,
      result.pagingState === null ? Option.none() : Option.some(result.pagingState)
    ]))

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
