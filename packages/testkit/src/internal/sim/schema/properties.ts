/** Values of properties that every kind of thing has. */
import { syntax } from "../failure.ts"
import type { Property } from "../parse/ast.ts"

/** A boolean in any of its spellings. */
export const booleanOf = (key: string, value: Property): boolean => {
  const text = String(value).toLowerCase()
  if (text === "true" || text === "1" || text === "yes") return true
  if (text === "false" || text === "0" || text === "no") return false
  throw syntax(
    `Invalid boolean value ${String(value)} for '${key}'. Positive values can be '1', 'true' or 'yes'. ` +
      "Negative values can be '0', 'false' or 'no'."
  )
}
