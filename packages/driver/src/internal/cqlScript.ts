/** Strings, quoted names, comments, and the end of a statement. */
const PART = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\$[\s\S]*?\$\$|--[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/|;|[^'"$\-/;]+|[$\-/]/g

/** The statements of a script, without comments; a batch is one of them. */
export const statementsOf = (script: string | ReadonlyArray<string>): ReadonlyArray<string> => {
  if (typeof script !== "string") return script.flatMap((part) => statementsOf(part))
  const found: Array<string> = []
  let statement = ""
  const end = (): void => {
    // A batch has semicolons of its own.
    if (/^\s*BEGIN\b/i.test(statement) && !/\bAPPLY\s+BATCH\s*$/i.test(statement)) {
      statement += ";"
      return
    }
    if (statement.trim() !== "") found.push(statement.trim())
    statement = ""
  }
  for (const [part] of script.matchAll(PART)) {
    if (part === ";") end()
    else if (part.startsWith("--") || part.startsWith("//") || part.startsWith("/*")) statement += " "
    else statement += part
  }
  if (statement.trim() !== "") found.push(statement.trim())
  return found
}
