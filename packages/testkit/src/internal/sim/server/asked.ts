/** Statements that reach a node, as those who listen are told of them, and what they may answer in its place. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import type { Options, RawValue } from "@effect-scylla/protocol/Request"
import type { ServerResponse } from "@effect-scylla/protocol/Response"
import type { ServerError } from "@effect-scylla/protocol/ServerError"
import { invalid } from "../failure.ts"
import type { Plan } from "../plan/plan.ts"

export interface AskedStatement {
  /** As the client wrote it. */
  readonly text: string
  /** The first word of it, in capitals; `BATCH` of a batch that is one text. */
  readonly operation: string
  /** `keyspace.table`; undefined for a statement about none. */
  readonly table: string | undefined
  /** What is bound, as the driver gives values of these types; undefined for what is not set. */
  readonly values: ReadonlyArray<unknown>
}

export interface Asked extends AskedStatement {
  readonly node: number
  readonly shard: number
  readonly consistency: Options["consistency"]
  readonly serialConsistency: Options["serialConsistency"]
  readonly isPrepared: boolean
  readonly pageSize: number | undefined
  /** Of a request for a page that is not the first. */
  readonly pagingState: Uint8Array | null
  /** Those of a BATCH message; else the one. */
  readonly statements: ReadonlyArray<AskedStatement>
}

export type Reaction =
  | { readonly _tag: "Error"; readonly error: ServerError }
  | { readonly _tag: "Delay"; readonly millis: number }
  | { readonly _tag: "Close" }
  | { readonly _tag: "Ignore" }
  | {
    readonly _tag: "Rows"
    readonly rows: ReadonlyArray<Readonly<Record<string, unknown>>>
    readonly pagingState: Uint8Array | null
  }

export type Listener = (asked: Asked) => Reaction | undefined

/** A statement that is about to run. */
export interface Part {
  readonly plan: Plan
  readonly values: ReadonlyArray<RawValue>
}

const operationOf = (text: string): string => {
  const word = /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? ""
  return word === "BEGIN" ? "BATCH" : word
}

export const statementOf = ({ plan, values }: Part): AskedStatement => {
  const text = plan.text ?? ""
  const [table] = plan.tables
  return {
    text,
    operation: operationOf(text),
    table: table === undefined ? undefined : `${table.keyspace.name}.${table.name}`,
    values: values.map((value, i) => {
      const variable = plan.variables[i]
      if (variable === undefined || !(value === null || value instanceof Uint8Array)) return undefined
      return decode(variable.type, value)
    })
  }
}

/** Whether a statement is about nothing but tables of the system, which drivers read for themselves. */
export const isOfSystem = ({ plan: { tables } }: Part): boolean =>
  tables.length > 0 && tables.every(({ keyspace }) => keyspace.isSystem)

/** Rows in place of those that there are: columns that a row leaves out are null. */
export const rowsOf = (
  plan: Plan,
  { pagingState, rows }: Extract<Reaction, { readonly _tag: "Rows" }>
): ServerResponse => {
  const columns = plan.result
  for (const row of rows) {
    const unknown = Object.keys(row).find((name) => !columns.some((column) => column.name === name))
    if (unknown !== undefined) {
      throw invalid(`the primed row has a column ${unknown}, which the statement does not answer`)
    }
  }
  return {
    _tag: "Rows",
    columns,
    rows: rows.map((row) => columns.map(({ name, type }) => encode(type, row[name] ?? null))),
    pagingState,
    globalSpec: false
  }
}
