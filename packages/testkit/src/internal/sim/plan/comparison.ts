/** What operators mean once two values are at hand. */
import type { Comparison } from "../parse/ast.ts"

/** Whether a value that is there stands so to another. */
export const compares = (op: Comparison, side: number): boolean => {
  switch (op) {
    case "=":
      return side === 0
    case "!=":
      return side !== 0
    case "<":
      return side < 0
    case "<=":
      return side <= 0
    case ">":
      return side > 0
    case ">=":
      return side >= 0
  }
}

/** A pattern with `%` for anything; a backslash takes the meaning from what follows. */
export const likePattern = (pattern: string): RegExp => {
  let out = "^"
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!
    if (char === "%") out += "[^]*"
    else if (char === "_") out += "[^]"
    else {
      const literal = char === "\\" && i + 1 < pattern.length ? pattern[++i]! : char
      out += literal.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&")
    }
  }
  return new RegExp(`${out}$`, "u")
}
