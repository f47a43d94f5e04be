/** CQL text to a statement: recursive descent. What is CQL but not simulated is refused with INVALID. */
import { invalid, syntax, unsupported } from "../failure.ts"
import type * as Ast from "./ast.ts"
import { parseSchemaStatement } from "./parserSchema.ts"
import { Cursor, type Product } from "./tokens.ts"

const COMPARISONS = new Set(["=", "<", "<=", ">", ">=", "!="])

const comparison = (c: Cursor): Ast.Comparison => {
  const token = c.token
  if (token.kind !== "op" || !COMPARISONS.has(token.text)) return c.fail()
  c.at++
  return token.text as Ast.Comparison
}

/** The column list of `token(…)` or of a relation over several columns. */
const columnList = (c: Cursor): ReadonlyArray<string> => {
  c.expectOp("(")
  const columns = c.list(() => c.name())
  c.expectOp(")")
  return columns
}

/** Behind `IN`: a list of terms, or one marker for the whole list. */
const inValues = (c: Cursor): ReadonlyArray<Ast.Term> | Ast.Term => {
  if (c.token.kind === "marker" || c.isOp(":")) return c.term()
  c.expectOp("(")
  if (c.acceptOp(")")) return []
  const terms = c.list(() => c.term())
  c.expectOp(")")
  return terms
}

const relation = (c: Cursor, isCondition: boolean): Ast.Relation => {
  if (c.isOp("(") && (c.isOp("(", 1) || !(c.isOp(",", 2) || c.isOp(")", 2)))) {
    c.at++
    const inner = c.nested(() => relation(c, isCondition))
    c.expectOp(")")
    return inner
  }
  if (c.isOp("(")) {
    const columns = columnList(c)
    if (c.accept("in")) return { _tag: "MultiIn", columns, terms: inValues(c) }
    const op = comparison(c)
    if (!c.isOp("(") && !c.isOp(":") && c.token.kind !== "marker") return c.fail()
    return { _tag: "Multi", columns, op, term: c.term() }
  }
  if (c.isKeyword("token") && c.isOp("(", 1)) {
    c.at++
    const columns = columnList(c)
    return { _tag: "Token", columns, op: comparison(c), term: c.term() }
  }
  const column = c.name()
  if (c.acceptOp("[")) {
    const key = c.term()
    c.expectOp("]")
    return c.accept("in")
      ? { _tag: "Element", column, key, op: "in", terms: inValues(c) }
      : { _tag: "Element", column, key, op: comparison(c), terms: c.term() }
  }
  if (c.isOp(".") && c.peek(1).kind !== "eof") {
    c.at++
    c.name()
    if (c.accept("in")) inValues(c)
    else {
      comparison(c)
      c.term()
    }
    return { _tag: "Other", what: "a condition on a field of a user-defined type" }
  }
  if (c.accept("in")) return { _tag: "In", column, terms: inValues(c) }
  // Each product has one of these two in conditions.
  if (isCondition && c.isKeyword(c.product === "scylla" ? "contains" : "like")) return c.fail()
  if (c.accept("contains")) {
    const isKey = c.accept("key")
    return { _tag: "Contains", column, isKey, term: c.term() }
  }
  if (c.accept("like")) return { _tag: "Like", column, term: c.term() }
  if (c.accept("is")) {
    c.expect("not", "null")
    return { _tag: "NotNull", column }
  }
  return { _tag: "Column", column, op: comparison(c), term: c.term() }
}

const relations = (c: Cursor, isCondition = false): ReadonlyArray<Ast.Relation> => {
  const out = [relation(c, isCondition)]
  while (c.accept("and")) out.push(relation(c, isCondition))
  return out
}

/** A whole number, or a variable for one. */
const wholeNumber = (c: Cursor): Ast.Term => {
  const isNegative = c.isOp("-")
  const { kind } = c.peek(isNegative ? 1 : 0)
  if (kind !== "int" && kind !== "marker" && !c.isOp(":")) return c.fail()
  return c.term()
}

const using = (c: Cursor, ...allowed: ReadonlyArray<keyof Ast.Using>): Ast.Using => {
  const out: { -readonly [K in keyof Ast.Using]: Ast.Using[K] } = {}
  if (!c.accept("using")) return out
  do {
    const token = c.token
    const option = allowed.find((name) => c.isKeyword(name))
    if (option === undefined) return c.fail(token)
    c.at++
    out[option] = option === "timeout" ? c.term() : wholeNumber(c)
  } while (c.accept("and"))
  return out
}

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
  const start = c.at
  let of: Ast.Expression = { _tag: "Column", name: c.name() }
  while (c.isOp(".") || c.isOp("[")) {
    ofCassandra(c, start + 1)
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
    const one = c.isOp("*") || (c.token.kind === "int" && c.token.text === "1")
    if (one && c.isOp(")", 1)) {
      c.at += 2
      return { _tag: "CountRows" }
    }
  }
  const args: Array<Ast.Expression> = []
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

const primary = (c: Cursor): Ast.Expression => {
  const cell = cellOf(c)
  if (cell !== undefined) return cell
  if (c.isKeyword("cast") && c.isOp("(", 1)) {
    c.at += 2
    const of = expression(c)
    c.expect("as")
    const type = c.type()
    c.expectOp(")")
    return { _tag: "Cast", of, type }
  }
  if (c.isKeyword("token") && c.isOp("(", 1)) {
    c.at++
    return functionCall(c, undefined, "token")
  }
  const isWord = isName(c) && !/^(?:true|false|null|nan|infinity)$/.test(c.token.kind === "ident" ? c.token.text : "")
  if (!isWord) return { _tag: "Term", term: c.term() }
  if (c.isOp(".", 1) && isName(c, 2) && c.isOp("(", 3)) {
    const keyspace = c.name()
    c.at++
    return functionCall(c, keyspace, c.name())
  }
  if (c.isOp("(", 1)) return functionCall(c, undefined, c.name())
  return { _tag: "Column", name: c.name() }
}

const expression = (c: Cursor): Ast.Expression =>
  c.nested(() => {
    const start = c.at
    let out = primary(c)
    while (c.isOp(".") || c.isOp("[")) {
      if (c.isOp("[")) ofCassandra(c, start)
      out = part(c, out)
    }
    if (["+", "-", "*", "/", "%"].some((op) => c.isOp(op))) {
      if (c.product === "scylla") return c.fail()
      throw unsupported("arithmetic in a selection")
    }
    return out
  })

const selector = (c: Cursor): Ast.Selector => {
  const start = c.at
  const found = expression(c)
  if (found._tag === "Term") ofCassandra(c, start)
  return { expression: found, alias: c.accept("as") ? c.name() : undefined }
}

const select = (c: Cursor): Ast.Select => {
  const isJson = c.isKeyword("json") && !c.isKeyword("from", 1) && !c.isOp(",", 1) && !c.isKeyword("as", 1) &&
    !c.isOp("(", 1) && c.accept("json")
  const distinct = c.isKeyword("distinct") && !c.isKeyword("from", 1) && !c.isOp(",", 1) && c.accept("distinct")
  const selectors = c.acceptOp("*") ? [] : c.list(() => selector(c))
  // A selector that is followed by something else is looked at again from its start.
  if (selectors.length > 0 && !c.isKeyword("from") && isName(c, -1)) {
    const before = c.tokens[c.at - 1]!
    if (c.product === "scylla" && isName(c)) return c.fail(before)
    if (c.product === "cassandra") return c.fail(c.token, before)
  }
  c.expect("from")
  const table = c.qualified()
  const where = c.accept("where") ? relations(c) : []
  const groupBy = c.clause("group", "by") ? c.list(() => c.name()) : []
  const orderBy = c.clause("order", "by")
    ? c.list(() => {
      const column = c.name()
      if (c.product === "cassandra" && c.clause("ann", "of")) {
        c.term()
        throw invalid("ANN ordering by vector requires the column to be indexed")
      }
      const descending = c.accept("desc")
      if (!descending) c.accept("asc")
      return { column, descending }
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
    where,
    orderBy,
    limit,
    perPartitionLimit,
    allowFiltering,
    using: using(c, "timeout")
  }
}

/** Behind INSERT: the only condition that it may have. */
const ifNotThere = (c: Cursor): Ast.Condition | undefined =>
  c.clause("if", "not", "exists") ? { _tag: "NotExists" } : undefined

const condition = (c: Cursor): Ast.Condition | undefined => {
  if (!c.accept("if")) return undefined
  if (c.accept("exists")) return { _tag: "Exists" }
  return { _tag: "Columns", relations: relations(c, true) }
}

const insert = (c: Cursor): Ast.Insert => {
  c.expect("into")
  const table = c.qualified()
  if (c.accept("json")) {
    const term = c.term()
    const defaultUnset = c.accept("default", "unset")
    if (!defaultUnset) c.accept("default", "null")
    const found = ifNotThere(c)
    return {
      _tag: "Insert",
      table,
      columns: [],
      values: [],
      json: { term, defaultUnset },
      condition: found,
      using: using(c, "timestamp", "ttl", "timeout")
    }
  }
  const columns = columnList(c)
  c.expect("values")
  c.expectOp("(")
  const values = c.list(() => c.term())
  c.expectOp(")")
  const found = ifNotThere(c)
  return {
    _tag: "Insert",
    table,
    columns,
    values,
    json: undefined,
    condition: found,
    using: using(c, "timestamp", "ttl", "timeout")
  }
}

const assignment = (c: Cursor): Ast.Assignment => {
  const column = c.name()
  if (c.acceptOp("[")) {
    const key = c.term()
    c.expectOp("]")
    c.expectOp("=")
    return { _tag: "Element", column, key, term: c.term() }
  }
  if (c.acceptOp(".")) {
    const field = c.name()
    c.expectOp("=")
    return { _tag: "Field", column, field, term: c.term() }
  }
  for (const sign of ["+", "-"]) {
    if (!c.isOp(sign) || c.product === "scylla") continue
    c.at++
    c.expectOp("=")
    return { _tag: "Add", column, term: c.term(), negative: sign === "-" }
  }
  if (!c.isOp("=")) return c.fail()
  c.at++
  const token = c.token
  const operand = (token.kind === "ident" || token.kind === "quoted") && (c.isOp("+", 1) || c.isOp("-", 1))
  if (operand) {
    c.at++
    const negative = c.next().text === "-"
    const term = c.term()
    if (token.text !== column) throw syntax("Only expressions of the form X = X +<value> are supported.")
    return { _tag: "Add", column, term, negative }
  }
  const term = c.term()
  if (c.acceptOp("+")) {
    if (c.name() !== column) throw syntax("Only expressions of the form X = <value> + X are supported.")
    return { _tag: "Prepend", column, term }
  }
  return { _tag: "Set", column, term }
}

const update = (c: Cursor): Ast.Update => {
  const table = c.qualified()
  const options = using(c, "timestamp", "ttl", "timeout")
  c.expect("set")
  const assignments = c.list(() => assignment(c))
  c.expect("where")
  const where = relations(c)
  return { _tag: "Update", table, assignments, where, condition: condition(c), using: options }
}

const deletion = (c: Cursor): Ast.Deletion => {
  const column = c.name()
  if (c.acceptOp("[")) {
    const key = c.term()
    c.expectOp("]")
    return { _tag: "Element", column, key }
  }
  return c.acceptOp(".") ? { _tag: "Field", column, field: c.name() } : { _tag: "Column", column }
}

const remove = (c: Cursor): Ast.Delete => {
  const deletions = c.isKeyword("from") ? [] : c.list(() => deletion(c))
  c.expect("from")
  const table = c.qualified()
  const options = using(c, "timestamp", "timeout")
  c.expect("where")
  const where = relations(c)
  return { _tag: "Delete", table, deletions, where, condition: condition(c), using: options }
}

const modification = (c: Cursor): Ast.Modification => {
  if (c.accept("insert")) return insert(c)
  if (c.accept("update")) return update(c)
  if (c.accept("delete")) return remove(c)
  return c.fail()
}

const batch = (c: Cursor): Ast.Batch => {
  const kind = c.accept("unlogged") ? "unlogged" : c.accept("counter") ? "counter" : "logged"
  c.expect("batch")
  const options = using(c, "timestamp", "ttl", "timeout")
  if (options.ttl !== undefined) throw invalid("Global TTL on the BATCH statement is not supported.")
  const statements: Array<Ast.Modification> = []
  while (c.isKeyword("insert") || c.isKeyword("update") || c.isKeyword("delete")) {
    statements.push(modification(c))
    c.acceptOp(";")
  }
  c.expect("apply", "batch")
  return { _tag: "Batch", kind, using: options, statements }
}

/** What is said of roles without a login depends on little of the statement: the rest of it is not looked at. */
const roles = (c: Cursor): Ast.Statement => {
  const what = c.token.raw.toUpperCase()
  const words = c.tokens.slice(c.at).map(({ text }) => text)
  while (c.token.kind !== "eof" && !c.isOp(";")) c.at++
  const isOfUser = what === "CREATE" || what === "ALTER"
  return {
    _tag: "Roles",
    what,
    hasPassword: isOfUser && words.includes("password"),
    isSuperuser: isOfUser && words.includes("superuser"),
    permissionsOf: what === "LIST" && words[2] === "permissions"
      ? (words.includes("of") ? words[words.indexOf("of") + 1] : "everyone")
      : undefined
  }
}

/** Statements that begin with these words are CQL, and none of them is simulated. */
const OTHER = new Set(["describe", "desc", "prune", "attach", "detach"])

const statement = (c: Cursor): Ast.Statement => {
  const first = c.token
  if (first.kind !== "ident") return c.fail()
  if (c.accept("select")) return select(c)
  if (first.text === "insert" || first.text === "update" || first.text === "delete") return modification(c)
  if (c.accept("begin")) return batch(c)
  if (c.accept("use")) return { _tag: "Use", keyspace: c.name() }
  if (c.accept("truncate")) {
    c.accept("table")
    const table = c.qualified()
    using(c, "timeout")
    return { _tag: "Truncate", table }
  }
  const isOfRoles = first.text === "grant" || first.text === "revoke" ||
    (first.text === "list" && !["superusers", "effective"].includes(c.peek(1).text) && c.peek(2).text !== "service") ||
    (["create", "alter", "drop"].includes(first.text) && (c.isKeyword("role", 1) || c.isKeyword("user", 1)))
  if (isOfRoles && c.peek(1).kind !== "eof") {
    return roles(c)
  }
  if (first.text === "create" || first.text === "alter" || first.text === "drop") return parseSchemaStatement(c)
  if (OTHER.has(first.text) && c.peek(1).kind !== "eof") throw unsupported(first.raw.toUpperCase())
  return c.fail()
}

const STATEMENTS = new Set(
  "select insert update delete begin use truncate create alter drop grant revoke list".split(" ")
)

/** Parses one statement; throws `CqlSyntaxError`, or `InvalidRequest` for what is not simulated. */
export const parse = (source: string, product: Product = "scylla"): Ast.Parsed => {
  const c = new Cursor(source, product)
  // ANTLR names the word in front of the end of the input, as the recorded `SELEC` shows.
  if (c.tokens.length === 2 && c.token.kind === "ident" && !STATEMENTS.has(c.token.text)) return c.fail()
  const parsed = statement(c)
  while (c.acceptOp(";")) continue
  c.expectEnd()
  return { statement: parsed, markers: c.markers }
}
