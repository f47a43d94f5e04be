/**
 * Names of partition keys, which affinity needs and requests do not say. Learned by DescribeTable, once for all who ask, in
 * the background: the request that asked goes its way without.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { AlternatorError } from "../AlternatorError.ts"
import type { TableDescription } from "../Operations.ts"

/** How long a table is not asked for again that does not exist, or may not be described. */
export const COOL_DOWN_MILLIS = 5 * 60_000
/** Tables that are remembered. */
const MAX_TABLES = 10_000

type State =
  | { readonly _tag: "Known"; readonly name: string }
  | { readonly _tag: "Asking" }
  | { readonly _tag: "Failed"; readonly until: number }

export class PartitionKeys {
  private readonly tables = new Map<string, State>()
  private readonly describe: (table: string) => Effect.Effect<{ readonly Table: TableDescription }, AlternatorError>
  private readonly fork: (effect: Effect.Effect<void>) => void
  private readonly now: () => number

  constructor(options: {
    readonly known: Readonly<Record<string, string>>
    readonly describe: (table: string) => Effect.Effect<{ readonly Table: TableDescription }, AlternatorError>
    readonly fork: (effect: Effect.Effect<void>) => void
    readonly now: () => number
  }) {
    for (const [table, name] of Object.entries(options.known)) this.tables.set(table, { _tag: "Known", name })
    this.describe = options.describe
    this.fork = options.fork
    this.now = options.now
  }

  /** The name, if it is known by now. */
  get(table: string): string | undefined {
    const state = this.tables.get(table)
    if (state?._tag === "Known") return state.name
    if (state?._tag === "Asking" || (state?._tag === "Failed" && this.now() < state.until)) return undefined
    if (this.tables.size >= MAX_TABLES) return undefined
    this.tables.set(table, { _tag: "Asking" })
    this.fork(this.learn(table))
    return undefined
  }

  /** The table is another one now, or none. */
  forget(table: string): void {
    this.tables.delete(table)
  }

  private learn(table: string): Effect.Effect<void> {
    const ask = (retries: number): Effect.Effect<State> =>
      this.describe(table).pipe(
        Effect.map(({ Table }): State => {
          const name = Table.KeySchema?.find(({ KeyType }) => KeyType === "HASH")?.AttributeName
          return name === undefined ? this.failed() : { _tag: "Known", name }
        }),
        Effect.catch((error): Effect.Effect<State> =>
          // 100, 200, 400 ms.
          error.isRetryable && retries < 3
            ? Effect.delay(ask(retries + 1), Duration.millis(100 * 2 ** retries))
            : Effect.succeed(this.failed())
        )
      )
    return Effect.map(ask(0), (state) => {
      // Unless it was forgotten meanwhile.
      if (this.tables.get(table)?._tag === "Asking") this.tables.set(table, state)
    })
  }

  private failed(): State {
    return { _tag: "Failed", until: this.now() + COOL_DOWN_MILLIS }
  }
}
