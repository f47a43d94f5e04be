/** CQL text to a statement: recursive descent. What is CQL but not simulated is refused with INVALID. */
import { syntax, unsupported } from "../failure.ts"
import type * as Ast from "./ast.ts"
import { position } from "./lexer.ts"
import { parseSchemaStatement } from "./parserSchema.ts"
import { Cursor } from "./tokens.ts"

const COMPARISONS = new Set(["=", "<", "<=", ">", ">=", "!="])

const comparison = (c: Cursor): Exclude<Ast.Operator, "in"> => {
  const token = c.token
  if (token.kind !== "op" || !COMPARISONS.has(token.text)) return c.fail()
  c.at++
  return token.text as Exclude<Ast.Operator, "in">
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

const relation = (c: Cursor): Ast.Relation => {
  if (c.isOp("(")) {
    columnList(c)
    if (c.accept("in")) inValues(c)
    else {
      comparison(c)
      c.term()
    }
    return { _tag: "Other", what: "a relation over several columns" }
  }
  if (c.isKeyword("token") && c.isOp("(", 1)) {
    c.at++
    const columns = columnList(c)
    return { _tag: "Token", columns, op: comparison(c), term: c.term() }
  }
  const column = c.name()
  if (c.acceptOp("[")) {
    c.term()
    c.expectOp("]")
    comparison(c)
    c.term()
    return { _tag: "Other", what: "a relation on an element of a collection" }
  }
  if (c.accept("in")) return { _tag: "In", column, terms: inValues(c) }
  if (c.accept("contains")) {
    c.accept("key")
    c.term()
    return { _tag: "Other", what: "CONTAINS" }
  }
  if (c.accept("like")) {
    c.term()
    return { _tag: "Other", what: "LIKE" }
  }
  if (c.accept("is")) {
    c.expect("not", "null")
    return { _tag: "Other", what: "IS NOT NULL" }
  }
  return { _tag: "Column", column, op: comparison(c), term: c.term() }
}

const relations = (c: Cursor): ReadonlyArray<Ast.Relation> => {
  const out = [relation(c)]
  while (c.accept("and")) out.push(relation(c))
  return out
}

const using = (c: Cursor, ...allowed: ReadonlyArray<keyof Ast.Using>): Ast.Using => {
  const out: { -readonly [K in keyof Ast.Using]: Ast.Using[K] } = {}
  if (!c.accept("using")) return out
  do {
    const token = c.token
    const option = allowed.find((name) => c.isKeyword(name))
    if (option === undefined || out[option] !== undefined) return c.fail(token)
    c.at++
    out[option] = c.term()
  } while (c.accept("and"))
  return out
}

const selector = (c: Cursor): Ast.Selector => {
  const alias = (): string | undefined => c.accept("as") ? c.name() : undefined
  if (c.isKeyword("count") && c.isOp("(", 1)) {
    c.at += 2
    if (c.acceptOp("*") || (c.token.kind === "int" && c.next().text === "1")) {
      c.expectOp(")")
      return { _tag: "Count", alias: alias() }
    }
    c.name()
    c.expectOp(")")
    alias()
    return { _tag: "Other", what: "count of a column" }
  }
  if (c.token.kind !== "ident" && c.token.kind !== "quoted") {
    c.term()
    alias()
    return { _tag: "Other", what: "selecting a constant" }
  }
  const name = c.isKeyword("token") && c.isOp("(", 1) ? c.next().text : c.name()
  if (c.isOp("(") || c.isOp(".") || c.isOp("[")) {
    skipSelector(c)
    alias()
    return { _tag: "Other", what: `selecting ${name}(…), a field or an element` }
  }
  return { _tag: "Column", name, alias: alias() }
}

/** The rest of a selector that is refused anyway: balanced brackets and what is between them. */
const skipSelector = (c: Cursor): void => {
  let depth = 0
  while (c.token.kind !== "eof") {
    if (c.isOp("(") || c.isOp("[")) depth++
    else if (c.isOp(")") || c.isOp("]")) {
      if (--depth < 0) c.fail()
    } else if (depth === 0 && (c.isOp(",") || c.isKeyword("from") || c.isKeyword("as"))) return
    c.at++
  }
  c.fail()
}

const select = (c: Cursor): Ast.Select => {
  if (c.isKeyword("json") && !c.isKeyword("from", 1) && !c.isOp(",", 1) && !c.isKeyword("as", 1)) {
    throw unsupported("SELECT JSON")
  }
  const distinct = c.isKeyword("distinct") && !c.isKeyword("from", 1) && !c.isOp(",", 1) && c.accept("distinct")
  const selectors = c.acceptOp("*") ? [] : c.list(() => selector(c))
  c.expect("from")
  const table = c.qualified()
  const where = c.accept("where") ? relations(c) : []
  if (c.accept("group", "by")) throw unsupported("GROUP BY")
  const orderBy = c.accept("order", "by")
    ? c.list(() => {
      const column = c.name()
      const descending = c.accept("desc")
      if (!descending) c.accept("asc")
      return { column, descending }
    })
    : []
  const perPartitionLimit = c.accept("per", "partition", "limit") ? c.term() : undefined
  const limit = c.accept("limit") ? c.term() : undefined
  const allowFiltering = c.accept("allow", "filtering")
  c.accept("bypass", "cache")
  return {
    _tag: "Select",
    table,
    selectors,
    distinct,
    where,
    orderBy,
    limit,
    perPartitionLimit,
    allowFiltering,
    using: using(c, "timeout")
  }
}

const condition = (c: Cursor): Ast.Condition | undefined => {
  if (!c.accept("if")) return undefined
  if (c.accept("not", "exists")) return { _tag: "NotExists" }
  if (c.accept("exists")) return { _tag: "Exists" }
  return { _tag: "Columns", relations: relations(c) }
}

const insert = (c: Cursor): Ast.Insert => {
  c.expect("into")
  const table = c.qualified()
  if (c.accept("json")) throw unsupported("INSERT JSON")
  const columns = columnList(c)
  c.expect("values")
  c.expectOp("(")
  const values = c.list(() => c.term())
  c.expectOp(")")
  const found = condition(c)
  if (found !== undefined && found._tag !== "NotExists") return c.fail()
  return {
    _tag: "Insert",
    table,
    columns,
    values,
    condition: found,
    using: using(c, "timestamp", "ttl", "timeout")
  }
}

const assignment = (c: Cursor): Ast.Assignment => {
  const column = c.name()
  if (c.acceptOp("[")) {
    c.term()
    c.expectOp("]")
    c.expectOp("=")
    c.term()
    return { _tag: "Other", what: "writing an element of a collection" }
  }
  if (c.acceptOp(".")) {
    c.name()
    c.expectOp("=")
    c.term()
    return { _tag: "Other", what: "writing a field of a user-defined type" }
  }
  if (c.acceptOp("+")) {
    c.expectOp("=")
    return { _tag: "Add", column, term: c.term(), negative: false }
  }
  if (c.acceptOp("-")) {
    c.expectOp("=")
    return { _tag: "Add", column, term: c.term(), negative: true }
  }
  c.expectOp("=")
  const token = c.token
  const operand = (token.kind === "ident" || token.kind === "quoted") && (c.isOp("+", 1) || c.isOp("-", 1))
  if (operand) {
    c.at++
    const negative = c.next().text === "-"
    const term = c.term()
    return token.text === column
      ? { _tag: "Add", column, term, negative }
      : { _tag: "Other", what: `${column} = ${token.raw} ± …` }
  }
  const term = c.term()
  if (c.isOp("+") || c.isOp("-")) {
    c.at++
    c.name()
    return { _tag: "Other", what: "putting something in front of a list" }
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

const remove = (c: Cursor): Ast.Delete => {
  const columns = c.isKeyword("from")
    ? []
    : c.list(() => {
      const name = c.name()
      if (c.isOp("[") || c.isOp(".")) throw unsupported("deleting a part of a column")
      return name
    })
  c.expect("from")
  const table = c.qualified()
  const options = using(c, "timestamp", "timeout")
  c.expect("where")
  const where = relations(c)
  return { _tag: "Delete", table, columns, where, condition: condition(c), using: options }
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
  const options = using(c, "timestamp", "timeout")
  const statements: Array<Ast.Modification> = []
  while (!c.accept("apply")) {
    statements.push(modification(c))
    while (c.acceptOp(";")) continue
  }
  c.expect("batch")
  return { _tag: "Batch", kind, using: options, statements }
}

/** Statements that begin with these words are CQL, and none of them is simulated. */
const OTHER = new Set(["grant", "revoke", "list", "describe", "desc", "prune", "attach", "detach"])

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
  if (first.text === "create" || first.text === "alter" || first.text === "drop") return parseSchemaStatement(c)
  if (OTHER.has(first.text) && c.peek(1).kind !== "eof") throw unsupported(first.raw.toUpperCase())
  return c.fail()
}

/** Parses one statement; throws `CqlSyntaxError`, or `InvalidRequest` for what is not simulated. */
export const parse = (source: string): Ast.Parsed => {
  const c = new Cursor(source)
  // ANTLR names the word in front of the end of the input, as the recorded `SELEC` shows.
  if (c.tokens.length === 2 && c.token.kind === "ident") return c.fail()
  const parsed = statement(c)
  while (c.acceptOp(";")) continue
  if (c.token.kind !== "eof") {
    throw syntax(`line ${position(source, c.token.at)} missing EOF at '${c.token.raw}'`)
  }
  return { statement: parsed, markers: c.markers }
}
