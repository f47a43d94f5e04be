/** Functions and aggregates of users: all of the grammar is read, for the statement to be refused by what it asks for. */
import type * as Ast from "./ast.ts"
import type { Cursor } from "./tokens.ts"

const LANGUAGE = ["called", "returns"] as const

const typesIn = (c: Cursor, type: () => Ast.TypeNode): ReadonlyArray<Ast.TypeNode> => {
  c.expectOp("(")
  const types = c.isOp(")") ? [] : c.list(type)
  c.expectOp(")")
  return types
}

const functionBody = (c: Cursor): void => {
  const word = LANGUAGE.find((each) => c.accept(each))
  if (word === undefined) c.fail()
  if (word === "returns") c.expect("null")
  c.expect("on", "null", "input")
  c.expect("returns")
  c.type()
  c.expect("language")
  c.name()
  c.expect("as")
  c.bareTerm()
}

const aggregateBody = (c: Cursor): Pick<Ast.UserFunction, "stateFunction" | "stateType"> => {
  c.expect("sfunc")
  const stateFunction = c.name()
  c.expect("stype")
  const stateType = c.type()
  if (c.product === "scylla" && c.accept("reducefunc")) c.name()
  if (c.accept("finalfunc")) c.name()
  if (c.accept("initcond")) c.bareTerm()
  return { stateFunction, stateType }
}

const kindOf = (c: Cursor): Ast.UserFunction["kind"] | undefined =>
  c.accept("function") ? "function" : c.accept("aggregate") ? "aggregate" : undefined

/** What stands behind CREATE; `undefined` when it is about something else. */
export const createFunction = (c: Cursor): Ast.UserFunction | undefined => {
  c.clause("or", "replace")
  const kind = kindOf(c)
  if (kind === undefined) return undefined
  c.clause("if", "not", "exists")
  const name = c.qualified()
  const args = typesIn(c, () => {
    if (kind === "function") c.name()
    return c.type()
  })
  const rest = kind === "aggregate" ? aggregateBody(c) : functionBody(c)
  return { _tag: "UserFunction", verb: "CREATE", kind, name, ifExists: false, args, ...rest }
}

/** What stands behind DROP; `undefined` when it is about something else. */
export const dropFunction = (c: Cursor): Ast.UserFunction | undefined => {
  const kind = kindOf(c)
  if (kind === undefined) return undefined
  const ifExists = c.clause("if", "exists")
  const name = c.qualified()
  return {
    _tag: "UserFunction",
    verb: "DROP",
    kind,
    name,
    ifExists,
    args: c.isOp("(") ? typesIn(c, () => c.type()) : undefined
  }
}
