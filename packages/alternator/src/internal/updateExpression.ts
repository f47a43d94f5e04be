/**
 * Whether an UpdateExpression does the same when it is applied twice.
 *
 * It does when every assigned value is a placeholder (or `if_not_exists` of the assigned path itself and a placeholder), and
 * only whole attributes or members are set and removed: an index into a list counts from what the first application left.
 * `ADD` counts up; `DELETE` takes elements out of a set, which may be done twice.
 */

type Token = string

const tokens = (text: string): Array<Token> | undefined => {
  const found: Array<Token> = []
  const pattern = /\s*([:#]?[A-Za-z0-9_]+|[=+\-,.()[\]])/y
  let at = 0
  while (at < text.length) {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) return text.slice(at).trim() === "" ? found : undefined
    found.push(match[1]!)
    at = pattern.lastIndex
  }
  return found
}

const sections = new Set(["SET", "REMOVE", "ADD", "DELETE"])

/** The parts between commas that are in no parentheses. */
const split = (list: ReadonlyArray<Token>): Array<Array<Token>> => {
  const parts: Array<Array<Token>> = [[]]
  let depth = 0
  for (const token of list) {
    if (token === "(") depth++
    if (token === ")") depth--
    if (token === "," && depth === 0) parts.push([])
    else parts.at(-1)!.push(token)
  }
  return parts
}

const isPlainPath = (path: ReadonlyArray<Token>): boolean => path.length > 0 && !path.includes("[")

const isIdempotentSet = (action: ReadonlyArray<Token>): boolean => {
  const equals = action.indexOf("=")
  const path = action.slice(0, equals)
  const value = action.slice(equals + 1)
  if (equals < 1 || !isPlainPath(path)) return false
  if (value.length === 1 && value[0]!.startsWith(":")) return true
  // if_not_exists ( path , :value )
  return value[0] === "if_not_exists" && value[1] === "(" && value.at(-1) === ")" && value.at(-3) === "," &&
    value.at(-2)!.startsWith(":") && value.slice(2, -3).join(" ") === path.join(" ")
}

export const isIdempotent = (expression: string): boolean => {
  const list = tokens(expression)
  if (list === undefined || list.length === 0) return false
  let section: string | undefined
  let actions: Array<Token> = []
  const done = (): boolean => {
    if (section === undefined) return actions.length === 0
    const parts = split(actions)
    return section === "SET"
      ? parts.every(isIdempotentSet)
      : section === "REMOVE"
      ? parts.every(isPlainPath)
      : section === "DELETE"
  }
  for (const token of list) {
    if (sections.has(token.toUpperCase())) {
      if (!done()) return false
      section = token.toUpperCase()
      actions = []
    } else actions.push(token)
  }
  return done()
}
