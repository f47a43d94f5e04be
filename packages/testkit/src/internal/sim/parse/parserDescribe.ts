/** DESCRIBE. */
import { unsupported } from "../failure.ts"
import type * as Ast from "./ast.ts"
import type { Cursor } from "./tokens.ts"

type Describe = Extract<Ast.Statement, { readonly _tag: "Describe" }>

const LISTS = ["keyspaces", "tables", "types", "functions", "aggregates", "cluster"] as const

/** What stands in front of a name. */
const NAMED: ReadonlyArray<readonly [words: ReadonlyArray<string>, what: Describe["what"]]> = [
  [["table"], "table"],
  [["columnfamily"], "table"],
  [["index"], "index"],
  [["materialized", "view"], "view"],
  [["type"], "type"],
  [["function"], "function"],
  [["aggregate"], "aggregate"]
]

const described = (c: Cursor): Describe => {
  const of = (what: Describe["what"], name?: Ast.TableName, isOnly = false): Describe => ({
    _tag: "Describe",
    what,
    name,
    isOnly,
    hasInternals: false
  })
  const list = LISTS.find((each) => c.accept(each))
  if (list !== undefined) return of(list)
  if (c.accept("full", "schema")) return of("schema", undefined, true)
  if (c.accept("schema")) return of("schema")
  const isOnly = c.isKeyword("keyspace", 1) && c.accept("only")
  if (c.accept("keyspace")) {
    const isNamed = c.token.kind === "quoted" || (c.token.kind === "ident" && c.token.text !== "with")
    return of("keyspace", isNamed ? { keyspace: undefined, name: c.name() } : undefined, isOnly)
  }
  const named = NAMED.find(([words]) => c.accept(...words))
  return of(named?.[1] ?? "any", c.qualified())
}

export const parseDescribe = (c: Cursor): Describe => {
  const out = described(c)
  if (!c.clause("with", "internals")) return out
  if (c.product === "scylla") throw unsupported("DESCRIBE … WITH INTERNALS")
  return { ...out, hasInternals: true }
}
