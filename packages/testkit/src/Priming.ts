/**
 * What a simulated cluster answers to certain statements in place of what it would: rules of a condition and a reaction, for tests of
 * what an application does when its database fails, is slow, or has surprising rows.
 *
 * **Example**
 *
 * ```ts
 * import { Priming, SimulatedCluster } from "@effect-scylla/testkit"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const cluster = yield* SimulatedCluster.SimulatedCluster
 *   yield* Priming.prime(cluster, [
 *     { when: { table: "app.session", operation: "SELECT" }, answer: Priming.readTimeout(), times: 2 },
 *     { when: { statement: /FROM app\.report/ }, answer: Priming.rows([{ id: 1, total: 3n }]) }
 *   ])
 * })
 * ```
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as ServerError from "@effect-scylla/protocol/ServerError"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { Asked, AskedStatement, Reaction, SimulatedCluster } from "./SimulatedCluster.ts"

/**
 * Which statements are meant: all that is said has to hold. Of a batch it is enough that one of its statements is meant.
 *
 * - `statement`: its text, apart from white space around it and a semicolon behind; or what it is matched by.
 * - `table`: `keyspace.table`.
 * - `operation`: its first word, in capitals: `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `BATCH`, `CREATE`, ….
 * - `values`: decides by what is bound, decoded as the driver decodes values of these types.
 * - `node`: the index of the node that it was sent to.
 * - `asked`: decides by all there is to know.
 *
 * @category models
 * @since 0.1.0
 */
export interface Condition {
  readonly statement?: string | RegExp
  readonly table?: string
  readonly operation?: string
  readonly values?: (values: ReadonlyArray<unknown>) => boolean
  readonly node?: number
  readonly asked?: (asked: Asked) => boolean
}

const bare = (text: string): string => text.trim().replace(/\s*;$/, "")

const means = (condition: Condition, { operation, table, text, values }: AskedStatement): boolean => {
  const { statement } = condition
  if (statement !== undefined) {
    // One with the flag g would go on behind its last match.
    const isMeant = typeof statement === "string" ? bare(text) === bare(statement) : text.search(statement) >= 0
    if (!isMeant) return false
  }
  if (condition.table !== undefined && condition.table !== table) return false
  if (condition.operation !== undefined && condition.operation !== operation) return false
  return condition.values === undefined || condition.values(values)
}

/**
 * Whether a condition holds for a statement.
 *
 * @category guards
 * @since 0.1.0
 */
export const matches = (condition: Condition, asked: Asked): boolean =>
  (condition.node === undefined || condition.node === asked.node) &&
  (condition.asked === undefined || condition.asked(asked)) &&
  (means(condition, asked) || asked.statements.some((statement) => means(condition, statement)))

/**
 * What happens instead: an error, the node's own answer after a delay, no answer at all, the end of the connection, or rows in one or
 * several pages. What is not `Delay` is not executed.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer =
  | Exclude<Reaction, { readonly _tag: "Rows" }>
  | { readonly _tag: "Pages"; readonly pages: ReadonlyArray<ReadonlyArray<Readonly<Record<string, unknown>>>> }

/**
 * A rule. The first of those whose condition holds, that are not used up and that are in luck decides.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rule {
  readonly when: Condition
  readonly answer: Answer
  /** How often it is used. Default: always. */
  readonly times?: number
  /** How likely it is used where it could be, 0 to 1, drawn from the seed of the rules. Default: 1. */
  readonly probability?: number
}

/**
 * An error of the server.
 *
 * @category reactions
 * @since 0.1.0
 */
export const error = (error: ServerError.ServerError): Answer => ({ _tag: "Error", error })

/**
 * The node's own answer, later.
 *
 * @category reactions
 * @since 0.1.0
 */
export const delay = (millis: number): Answer => ({ _tag: "Delay", millis })

/**
 * The end of the connection, without an answer.
 *
 * @category reactions
 * @since 0.1.0
 */
export const close: Answer = { _tag: "Close" }

/**
 * No answer, ever.
 *
 * @category reactions
 * @since 0.1.0
 */
export const ignore: Answer = { _tag: "Ignore" }

/**
 * These rows, by the names of the columns that the statement answers; those that a row leaves out are null.
 *
 * @category reactions
 * @since 0.1.0
 */
export const rows = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>): Answer => ({
  _tag: "Pages",
  pages: [rows]
})

/**
 * These rows in these pages, of which some may be empty, whatever size of page is asked for.
 *
 * @category reactions
 * @since 0.1.0
 */
export const pages = (pages: ReadonlyArray<ReadonlyArray<Readonly<Record<string, unknown>>>>): Answer => ({
  _tag: "Pages",
  pages
})

/**
 * Too few replicas are alive.
 *
 * @category reactions
 * @since 0.1.0
 */
export const unavailable = (
  { alive = 1, required = 2 }: { readonly alive?: number; readonly required?: number } = {}
): Answer =>
  error(
    new ServerError.Unavailable({
      code: 0x1000,
      message: "Cannot achieve consistency level QUORUM",
      consistency: "QUORUM",
      required,
      alive
    })
  )

/**
 * A write that too few replicas confirmed in time: it may have been done.
 *
 * @category reactions
 * @since 0.1.0
 */
export const writeTimeout = (
  { received = 1, required = 2, writeType = "SIMPLE" }: {
    readonly received?: number
    readonly required?: number
    readonly writeType?: string
  } = {}
): Answer =>
  error(
    new ServerError.WriteTimeout({
      code: 0x1100,
      message: `Operation timed out - received only ${received} responses.`,
      consistency: "QUORUM",
      received,
      required,
      writeType
    })
  )

/**
 * A read that too few replicas answered in time.
 *
 * @category reactions
 * @since 0.1.0
 */
export const readTimeout = (
  { dataPresent = false, received = 1, required = 2 }: {
    readonly dataPresent?: boolean
    readonly received?: number
    readonly required?: number
  } = {}
): Answer =>
  error(
    new ServerError.ReadTimeout({
      code: 0x1200,
      message: `Operation timed out - received only ${received} responses.`,
      consistency: "QUORUM",
      received,
      required,
      dataPresent
    })
  )

/**
 * Rules in force.
 *
 * @category models
 * @since 0.1.0
 */
export interface Primed {
  /** How often each rule was used, in their order. */
  readonly used: Effect.Effect<ReadonlyArray<number>>
}

/** A paging state of ours: "primed", the place of the rules among all, of the rule among them, and the page. */
const MAGIC = "primed:"

/** How many sets of rules there were. */
let made = 0

/**
 * Rules for a cluster, as long as the scope lives. Where the rules of several calls hold, those that came first decide.
 *
 * **Details**
 *
 * Which uses a `probability` grants follows from `Random` (`Random.withSeed` around the call makes them the same in each run). Pages of
 * rows go on with the pages of the rule that began them; only first pages count.
 *
 * @category constructors
 * @since 0.1.0
 */
export const prime = Effect.fnUntraced(
  function*(
    cluster: Pick<SimulatedCluster, "listen">,
    rules: ReadonlyArray<Rule>
  ): Effect.fn.Return<Primed, never, Scope.Scope> {
    const random = yield* Random.Random
    const used = rules.map(() => 0)
    const magic = `${MAGIC}${++made}:`
    const page = (rule: number, at: number): Reaction | undefined => {
      const answer = rules[rule]?.answer
      if (answer?._tag !== "Pages") return undefined
      const pagingState = at + 1 < answer.pages.length ? new TextEncoder().encode(`${magic}${rule}:${at + 1}`) : null
      return { _tag: "Rows", rows: answer.pages[at] ?? [], pagingState }
    }
    yield* cluster.listen((asked) => {
      if (asked.pagingState !== null) {
        const state = new TextDecoder().decode(asked.pagingState)
        if (state.startsWith(magic)) {
          const [rule = "", at = ""] = state.slice(magic.length).split(":")
          return page(Number(rule), Number(at))
        }
        if (state.startsWith(MAGIC)) return undefined
      }
      for (const [i, { probability = 1, answer, times = Infinity, when }] of rules.entries()) {
        if (used[i]! >= times || !matches(when, asked)) continue
        if (probability < 1 && random.nextDoubleUnsafe() >= probability) continue
        used[i]!++
        return answer._tag === "Pages" ? page(i, 0) : answer
      }
      return undefined
    })
    return { used: Effect.sync(() => [...used]) }
  }
)
