/** SELECT: expressions, and the clauses behind them. */
import { invalid, syntax, unsupported } from "../failure.ts"
import type * as Ast from "./ast.ts"
import { relations } from "./parserRelations.ts"
import { using, wholeNumber } from "./parserUsing.ts"
import type { Cursor } from "./tokens.ts"

/** What ScyllaDB does not have: it has only names, and functions of them, in a selection. */
const ofCassandra = (c: Cursor, at: number): void => {
  if (c.product === "scylla") c.fail(c.tokens[at])
}

const isName = (c: Cursor, ahead = 0): boolean => {
  const { kind } = c.peek(ahead)
  return kind === "ident" || kind === "quoted"
}

const CELL_FUNCTIONS = ["writetime", "ttl", "maxwritetime"] as const

/** `writetime(…)` and its like, which take a column or a part of one. */
const cellOf = (c: Cursor): Ast.Expression | undefined => {
  const what = CELL_FUNCTIONS.find((name) => c.isKeyword(name) && c.isOp("(", 1))
  if (what === undefined || (what === "maxwritetime" && c.product === "scylla")) return undefined
  c.at += 2
  let of: Ast.Expression = { _tag: "Column", name: c.name() }
  while (c.isOp(".") || c.isOp("[")) {
    if (c.product === "scylla") break
    of = part(c, of)
  }
  c.expectOp(")")
  return { _tag: "CellOf", what, of }
}

const part = (c: Cursor, of: Ast.Expression): Ast.Expression => {
  if (c.acceptOp(".")) return { _tag: "Field", of, name: c.name() }
  c.expectOp("[")
  const from = c.isOp(".") ? undefined : c.term()
  if (c.acceptOp("]")) return { _tag: "Element", of, key: from! }
  c.expectOp(".")
  c.expectOp(".")
  const to = c.isOp("]") ? undefined : c.term()
  c.expectOp("]")
  return { _tag: "Slice", of, from, to }
}

const functionCall = (c: Cursor, keyspace: string | undefined, name: string): Ast.Expression => {
  const open = c.at
  c.expectOp("(")
  if (name === "count" && keyspace === undefined) {
    const isOne = c.token.kind === "int" && c.token.text === "1" && c.isOp(")", 1)
    if (isOne || c.isOp("*")) {
      c.at++
      c.expectOp(")")
      return { _tag: "CountRows" }
    }
  }
  const args: Array<Ast.Expression> = []
  // Nothing else can be asked of all columns.
  if (c.product === "cassandra" && c.isOp("*")) c.expectOp(")")
  if (c.product === "scylla" && c.isKeyword("from")) return c.fail(c.tokens[open - 1])
  if (!c.isOp(")")) {
    args.push(...c.list(() => {
      const at = c.at
      const arg = expression(c)
      // A single value is reported where the brackets open, one behind others where it stands.
      if (arg._tag === "Term") ofCassandra(c, args.length === 0 && c.isOp(")") && at === open + 1 ? open : at)
      return arg
    }))
  }
  c.expectOp(")")
  return { _tag: "Call", keyspace, name, args }
}

const CONSTANTS = /^(?:true|false|null|nan|infinity)$/

/** Whether there is a column between the brackets that open here, or behind a type in them. */
const hasColumns = (c: Cursor, from = 0): boolean => {
  const isHint = c.isOp("(", from) && c.isTypeHint(from + 1)
  let depth = 0
  for (let ahead = from;; ahead++) {
    const { kind, text } = c.peek(ahead)
    if (kind === "eof") return false
    if (kind === "op") {
      if (text === "(" || text === "[" || text === "{") depth++
      else if (text === ")" || text === "]" || text === "}") depth--
      if (depth > 0) continue
      if (!isHint) return false
      if (["(", "[", "{"].some((open) => c.isOp(open, ahead + 1))) return hasColumns(c, ahead + 1)
      return isName(c, ahead + 1) && !c.isOp("(", ahead + 2) && !CONSTANTS.test(c.peek(ahead + 1).text)
    }
    if (!isHint && (kind === "quoted" || (kind === "ident" && !CONSTANTS.test(text))) && !c.isOp("(", ahead + 1)) {
      // In front of a colon it may be a field.
      if (!c.isOp(":", ahead + 1)) return true
    }
  }
}

/** A literal of expressions, or a type in front of one. */
const composed = (c: Cursor): Ast.Expression => {
  if (c.isOp("(") && c.isTypeHint(1)) {
    c.at++
    const type = c.type()
    c.expectOp(")")
    const of = primary(c)
    return of._tag === "Term"
      ? { _tag: "Term", term: { _tag: "Hint", type, term: of.term } }
      : { _tag: "Typed", type, of }
  }
  if (c.acceptOp("(")) {
    const items = c.list(() => expression(c))
    c.expectOp(")")
    return literal("Tuple", items)
  }
  if (c.acceptOp("[")) {
    const items = c.isOp("]") ? [] : c.list(() => expression(c))
    c.expectOp("]")
    return literal("List", items)
  }
  c.expectOp("{")
  const first = expression(c)
  if (!c.acceptOp(":")) {
    const items = c.acceptOp(",") ? [first, ...c.list(() => expression(c))] : [first]
    c.expectOp("}")
    return literal("Set", items)
  }
  const items = [first, expression(c)]
  while (c.acceptOp(",")) {
    items.push(expression(c))
    c.expectOp(":")
    items.push(expression(c))
  }
  c.expectOp("}")
  const names = items.flatMap((each, i) => i % 2 > 0 ? [] : [each._tag === "Column" ? each.name : undefined])
  return { ...literal("Map", items), names } as Ast.Expression
}

const literal = (of: "List" | "Set" | "Map" | "Tuple", items: ReadonlyArray<Ast.Expression>): Ast.Expression => {
  const terms = items.flatMap((each) => each._tag === "Term" ? [each.term] : [])
  return terms.length === items.length && of !== "Map"
    ? { _tag: "Term", term: { _tag: of, items: terms } }
    : { _tag: "Literal", of, items }
}

const primary = (c: Cursor): Ast.Expression => {
  const cell = cellOf(c)
  if (cell !== undefined) return cell
  if (c.isKeyword("cast") && c.isOp("(", 1)) {
    c.at += 2
    const of = expression(c)
    c.expect("as")
    if (c.product === "cassandra" && (c.token.kind !== "ident" || !c.isNativeType())) return c.fail()
    const type = c.type()
    c.expectOp(")")
    return { _tag: "Cast", of, type }
  }
  if (c.accept("token")) {
    if (c.product === "scylla" && !c.isOp("(")) return c.fail()
    return functionCall(c, undefined, "token")
  }
  const isWord = isName(c) && !c.isNamedDuration() &&
    !/^(?:true|false|null|nan|infinity)$/.test(c.token.kind === "ident" ? c.token.text : "")
  if (c.token.kind === "marker" && c.product === "scylla") {
    throw syntax("Bind variables cannot be used for keyspace names")
  }
  if (c.isOp("(") && c.product === "scylla") return c.fail()
  if (c.product === "cassandra" && ["(", "[", "{"].some((open) => c.isOp(open)) && hasColumns(c)) return composed(c)
  if (c.isOp("-") && c.product === "cassandra" && (isName(c, 1) || c.isOp("(", 1))) {
    c.at++
    return { _tag: "Negation", of: primary(c) }
  }
  if (!isWord) return { _tag: "Term", term: c.bareTerm() }
  if (c.isOp(".", 1) && isName(c, 2) && c.isOp("(", 3)) {
    const keyspace = c.name()
    c.at++
    return functionCall(c, keyspace, c.name())
  }
  if (c.isOp("(", 1)) return functionCall(c, undefined, c.name())
  return { _tag: "Column", name: c.name() }
}

const expression = (c: Cursor): Ast.Expression => c.arithmetic(operand(c), () => operand(c))

const operand = (c: Cursor): Ast.Expression =>
  c.nested(() => {
    const start = c.at
    let out = primary(c)
    while (c.isOp(".") || c.isOp("[")) {
      if (c.isOp("[")) ofCassandra(c, start)
      out = part(c, out)
    }
    if (c.product === "scylla" && ["+", "-", "*", "/", "%"].some((op) => c.isOp(op))) return c.fail()
    return out
  })

const selector = (c: Cursor): Ast.Selector => {
  const start = c.at
  const found = expression(c)
  if (found._tag === "Term") ofCassandra(c, start)
  return { expression: found, alias: c.accept("as") ? c.name() : undefined }
}

/** What is selected, from where, and which of it. */
export const selectFrom = (c: Cursor): Pick<Ast.Select, "selectors" | "table" | "where"> => {
  const selectors = c.acceptOp("*") ? [] : c.list(() => selector(c))
  // A selector that is followed by something else is looked at again from its start.
  if (selectors.length > 0 && !c.isKeyword("from") && isName(c, -1)) {
    const before = c.tokens[c.at - 1]!
    if (c.product === "scylla" && isName(c)) return c.fail(before)
    if (c.product === "cassandra") return c.fail(c.token, before)
  }
  c.expect("from")
  const table = c.qualified()
  return { selectors, table, where: c.accept("where") ? relations(c) : [] }
}

/** A column that rows are grouped by. */
const groupColumn = (c: Cursor): string => {
  if (c.product === "scylla" || !c.isOp("(", 1)) return c.name()
  const found = functionCall(c, undefined, c.name(true))
  const column = found._tag === "Call" ? found.args.find(({ _tag }) => _tag === "Column") : undefined
  throw column?._tag === "Column"
    ? invalid(`Group by functions are only supported on clustering columns, got ${column.name}`)
    : unsupported("GROUP BY a function")
}

export const select = (c: Cursor): Ast.Select => {
  const isJson = c.isKeyword("json") && !c.isKeyword("from", 1) && !c.isOp(",", 1) && !c.isKeyword("as", 1) &&
    !c.isOp("(", 1) && c.accept("json")
  const distinct = c.isKeyword("distinct") && !c.isKeyword("from", 1) && !c.isOp(",", 1) && c.accept("distinct")
  if (distinct && c.isKeyword("json") && c.product === "cassandra" && isName(c, 1) && !c.isKeyword("from", 1)) {
    return c.fail(c.token, c.tokens[c.at - 1])
  }
  const { selectors, table, where } = selectFrom(c)
  const groupBy = c.clause("group", "by") ? c.list(() => groupColumn(c)) : []
  let ann: Ast.Select["ann"]
  const orderBy = c.clause("order", "by")
    ? c.list(() => {
      const column = c.name()
      if (c.product === "cassandra" && c.clause("ann", "of")) ann = { column, term: c.term() }
      return c.columnOrder(column)
    })
    : []
  const perPartitionLimit = c.clause("per", "partition", "limit") ? wholeNumber(c) : undefined
  const limit = c.accept("limit") ? wholeNumber(c) : undefined
  const allowFiltering = c.clause("allow", "filtering")
  c.accept("bypass", "cache")
  return {
    _tag: "Select",
    table,
    selectors,
    distinct,
    isJson,
    groupBy,
    ann,
    where,
    orderBy: ann === undefined ? orderBy : orderBy.slice(1),
    limit,
    perPartitionLimit,
    allowFiltering,
    using: c.product === "scylla" ? using(c, "timeout") : {}
  }
}
