/** CQL text to a statement: recursive descent. What is CQL but not simulated is refused with INVALID. */
import { invalid, syntax, unsupported } from "../failure.ts"
import type * as Ast from "./ast.ts"
import { parseDescribe } from "./parserDescribe.ts"
import { columnList, relations } from "./parserRelations.ts"
import { parseRoles } from "./parserRoles.ts"
import { parseSchemaStatement } from "./parserSchema.ts"
import { select } from "./parserSelect.ts"
import { using } from "./parserUsing.ts"
import type { Product } from "./product.ts"
import { Cursor } from "./tokens.ts"

/** What may stand behind USING: timeouts are ScyllaDB's. */
const WRITTEN = { scylla: ["timestamp", "ttl", "timeout"], cassandra: ["timestamp", "ttl"] } as const
const DELETED = { scylla: ["timestamp", "timeout"], cassandra: ["timestamp"] } as const

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
    const isText = c.token.kind === "string" || c.token.kind === "marker" || c.isOp(":")
    if (c.product === "cassandra" && !isText) return c.fail()
    const term = c.product === "cassandra" ? c.bareTerm() : c.term()
    const defaultUnset = c.accept("default", "unset")
    if (!defaultUnset && !c.accept("default", "null") && c.product === "cassandra" && c.accept("default")) {
      return c.fail()
    }
    const found = ifNotThere(c)
    return {
      _tag: "Insert",
      table,
      columns: [],
      values: [],
      json: { term, defaultUnset },
      condition: found,
      using: using(c, ...WRITTEN[c.product])
    }
  }
  if (c.product === "scylla" && !c.isOp("(")) return c.fail()
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
    using: using(c, ...WRITTEN[c.product])
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
    if (c.acceptOp(`${sign}=`)) return { _tag: "Add", column, term: c.term(), negative: sign === "-" }
  }
  if (!c.isOp("=")) return c.fail()
  c.at++
  const token = c.token
  const isName = (token.kind === "ident" && !/^(?:null|true|false|nan|infinity)$/.test(token.text)) ||
    token.kind === "quoted"
  // A name that nothing is added to is named by ScyllaDB itself.
  const goesOn = ["(", "+", "-", "."].some((op) => c.isOp(op, 1))
  if (isName && c.product === "scylla" && !goesOn && !/^p[\dt]/i.test(token.raw)) return c.fail(token)
  // `n = n -1`: to Cassandra the sign is a part of the number.
  if (isName && c.product === "cassandra" && c.peek(1).kind === "int" && c.peek(1).text.startsWith("-")) {
    c.at++
    const term = c.bareTerm()
    if (token.text !== column) throw syntax("Only expressions of the form X = X +<value> are supported.")
    return { _tag: "Add", column, term, negative: false }
  }
  const operand = isName && (c.isOp("+", 1) || c.isOp("-", 1))
  if (operand) {
    c.at++
    const negative = c.next().text === "-"
    const term = c.term()
    if (token.text !== column) throw syntax("Only expressions of the form X = X +<value> are supported.")
    return { _tag: "Add", column, term, negative }
  }
  const first = c.token
  const start = c.bareTerm()
  const added = c.peek(1)
  const isAdded = added.kind === "quoted" || (added.kind === "ident" && !["(", "."].some((op) => c.isOp(op, 2)))
  if (c.isOp("+") && isAdded) {
    c.at++
    if (c.name() !== column) throw syntax("Only expressions of the form X = <value> + X are supported.")
    return { _tag: "Prepend", column, term: start }
  }
  const term = c.arithmetic(start, () => c.bareTerm())
  c.endTerm(first)
  return { _tag: "Set", column, term }
}

const update = (c: Cursor): Ast.Update => {
  const table = c.qualified()
  const options = using(c, ...WRITTEN[c.product])
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
  const isBare = c.isKeyword("from") || (c.token.kind === "op" && !c.isOp("("))
  const deletions = isBare ? [] : c.list(() => deletion(c))
  const last = c.tokens[c.at - 1]!
  if (deletions.length > 0 && !c.isKeyword("from") && (last.kind === "ident" || last.kind === "quoted")) {
    return c.product === "scylla" ? c.fail(last) : c.fail(c.token, last)
  }
  c.expect("from")
  const table = c.qualified()
  const options = using(c, ...DELETED[c.product])
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
  const options = using(c, ...WRITTEN[c.product])
  if (options.ttl !== undefined) throw invalid("Global TTL on the BATCH statement is not supported.")
  const statements: Array<Ast.Modification> = []
  while (c.isKeyword("insert") || c.isKeyword("update") || c.isKeyword("delete")) {
    statements.push(modification(c))
    c.acceptOp(";")
  }
  c.expect("apply", "batch")
  return { _tag: "Batch", kind, using: options, statements }
}

/** Statements that begin with these words are ScyllaDB's CQL, and none of them is simulated. */
const OTHER = new Set(["prune"])

const statement = (c: Cursor): Ast.Statement => {
  const first = c.token
  if (first.kind !== "ident") return c.fail()
  if (c.accept("select")) return select(c)
  if (first.text === "insert" || first.text === "update" || first.text === "delete") return modification(c)
  if (c.accept("begin")) return batch(c)
  if (c.accept("use")) return { _tag: "Use", keyspace: c.name() }
  if (c.accept("describe") || c.accept("desc")) return parseDescribe(c)
  if (c.accept("truncate")) {
    if (!c.accept("table")) c.accept("columnfamily")
    const table = c.qualified()
    if (c.product === "scylla") using(c, "timeout")
    return { _tag: "Truncate", table }
  }
  const roles = parseRoles(c)
  if (roles !== undefined) return roles
  if (first.text === "create" || first.text === "alter" || first.text === "drop") return parseSchemaStatement(c)
  if (OTHER.has(first.text) && c.product === "scylla" && c.peek(1).kind !== "eof") {
    throw unsupported(first.raw.toUpperCase())
  }
  return c.fail()
}

const STATEMENTS = new Set(
  "select insert update delete begin use truncate create alter drop grant revoke list describe desc".split(" ")
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
