/** Relations: what stands behind WHERE, and behind IF. */
import type * as Ast from "./ast.ts"
import type { Token } from "./lexer.ts"
import type { Cursor } from "./tokens.ts"

const COMPARISONS = new Set(["=", "<", "<=", ">", ">=", "!="])

/** What follows the beginning of a relation cannot: ScyllaDB names the beginning. */
const failRelation = (c: Cursor, start: Token | undefined): never =>
  start === undefined ? c.fail() : c.product === "scylla" ? c.fail(start) : c.fail(c.token, start)

const comparison = (c: Cursor, start?: Token): Ast.Comparison => {
  const token = c.token
  if (token.kind !== "op" || !COMPARISONS.has(token.text)) return failRelation(c, start)
  c.at++
  return token.text as Ast.Comparison
}

/** The column list of `token(…)` or of a relation over several columns. */
export const columnList = (c: Cursor): ReadonlyArray<string> => {
  c.expectOp("(")
  const columns = c.list(() => c.name())
  c.expectOp(")")
  return columns
}

/** Behind `IN`: a list of terms, or one marker for the whole list. */
const inValues = (c: Cursor, start: Token | undefined): ReadonlyArray<Ast.Term> | Ast.Term => {
  if (c.token.kind === "marker" || c.isOp(":")) return c.term()
  if (!c.acceptOp("(")) return failRelation(c, start)
  if (c.acceptOp(")")) return []
  const terms = c.list(() => c.term())
  c.expectOp(")")
  return terms
}

const relation = (c: Cursor, isCondition: boolean): Ast.Relation => {
  // A condition of Cassandra is about one column, or a part of it.
  if (isCondition && c.product === "cassandra" && (c.isOp("(") || c.isKeyword("token"))) return c.fail()
  if (c.isOp("(") && (c.isOp("(", 1) || !(c.isOp(",", 2) || c.isOp(")", 2)))) {
    c.at++
    const inner = c.nested(() => relation(c, isCondition))
    c.expectOp(")")
    return inner
  }
  if (c.isOp("(")) {
    const columns = columnList(c)
    const operator = c.token
    if (c.accept("in")) return { _tag: "MultiIn", columns, terms: inValues(c, operator) }
    const op = comparison(c)
    if (!c.isOp("(") && !c.isOp(":") && c.token.kind !== "marker") return failRelation(c, operator)
    return { _tag: "Multi", columns, op, term: c.term() }
  }
  if (c.isKeyword("token") && c.isOp("(", 1)) {
    c.at++
    const columns = columnList(c)
    return { _tag: "Token", columns, op: comparison(c), term: c.term() }
  }
  // Of a condition what is wrong is named itself.
  const start = isCondition ? undefined : c.token
  const column = c.name()
  if (c.acceptOp("[")) {
    const key = c.term()
    c.expectOp("]")
    return c.accept("in")
      ? { _tag: "Element", column, key, op: "in", terms: inValues(c, start) }
      : { _tag: "Element", column, key, op: comparison(c), terms: c.term() }
  }
  if (c.isOp(".") && c.peek(1).kind !== "eof") {
    if (!isCondition) return failRelation(c, start)
    if (c.product === "scylla") return c.fail()
    c.at++
    const field = c.name()
    return c.accept("in")
      ? { _tag: "Field", column, field, op: "in", terms: inValues(c, start) }
      : { _tag: "Field", column, field, op: comparison(c), terms: c.term() }
  }
  if (c.accept("in")) return { _tag: "In", column, terms: inValues(c, start) }
  // Each product has one of these two in conditions.
  if (isCondition && c.isKeyword(c.product === "scylla" ? "contains" : "like")) return c.fail()
  if (isCondition && c.product === "cassandra" && c.isKeyword("is")) return c.fail()
  if (c.accept("contains")) {
    const isKey = c.accept("key")
    return { _tag: "Contains", column, isKey, term: c.term() }
  }
  if (c.accept("like")) return { _tag: "Like", column, term: c.term() }
  if (c.accept("is")) {
    c.expect("not", "null")
    return { _tag: "NotNull", column }
  }
  return { _tag: "Column", column, op: comparison(c, start), term: c.term() }
}

export const relations = (c: Cursor, isCondition = false): ReadonlyArray<Ast.Relation> => {
  const out = [relation(c, isCondition)]
  while (c.accept("and")) out.push(relation(c, isCondition))
  c.ahead = c.at
  return out
}
