/** USING, and the numbers that stand in statements. */
import type * as Ast from "./ast.ts"
import type { Cursor } from "./tokens.ts"

/** A whole number, or a variable for one. */
export const wholeNumber = (c: Cursor): Ast.Term => {
  const isNegative = c.isOp("-")
  const { kind } = c.peek(isNegative ? 1 : 0)
  if (kind !== "int" && kind !== "marker" && !c.isOp(":")) return c.fail()
  return c.bareTerm()
}

export const using = (c: Cursor, ...allowed: ReadonlyArray<keyof Ast.Using>): Ast.Using => {
  const out: { -readonly [K in keyof Ast.Using]: Ast.Using[K] } = {}
  if (!c.accept("using")) return out
  do {
    const token = c.token
    const option = allowed.find((name) => c.isKeyword(name))
    // Of a deletion Cassandra takes nothing else.
    if (option === undefined && c.product === "cassandra" && !allowed.includes("ttl")) c.expect("timestamp")
    if (option === undefined) return c.fail(token)
    c.at++
    out[option] = option === "timeout" ? c.bareTerm() : wholeNumber(c)
  } while (c.accept("and"))
  return out
}
