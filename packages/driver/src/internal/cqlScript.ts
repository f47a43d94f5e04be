import { COMMENT, QUOTED_NAME, STRING, unclosed } from "./lexis.ts"

/** Strings, quoted names, comments, and the end of a statement. */
const PART = new RegExp(String.raw`${STRING}|${QUOTED_NAME}|${COMMENT}|;|[^'"$\-/;]+|[$\-/]`, "g")

/** As it was for checksums that were recorded before: a comment ended at a line feed only. */
const PART_BEFORE =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\$[\s\S]*?\$\$|--[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/|;|[^'"$\-/;]+|[$\-/]/g

type Script = string | ReadonlyArray<string>

const isComment = (part: string): boolean => part.startsWith("--") || part.startsWith("//") || part.startsWith("/*")

const asItIs = (statement: string, part: string): string => statement + part

/** White space is one space, but in texts, where lines end alike. */
const evened = (statement: string, part: string): string => {
  if (/^['"]|^\$\$/.test(part)) return statement + part.replaceAll("\r\n", "\n")
  const even = part.replace(/\s+/g, " ")
  return statement + (statement.endsWith(" ") ? even.trimStart() : even)
}

const split = (script: Script, form: RegExp, append: typeof asItIs): ReadonlyArray<string> => {
  if (typeof script !== "string") return script.flatMap((part) => split(part, form, append))
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
  for (const [part] of script.matchAll(form)) {
    if (part === ";") end()
    else statement = append(statement, isComment(part) ? " " : part)
  }
  if (statement.trim() !== "") found.push(statement.trim())
  return found
}

/** The statements of a script, without comments; a batch is one of them. */
export const statementsOf = (script: Script): ReadonlyArray<string> => split(script, PART, asItIs)

/** What is begun in the script and never ended: it cannot be told what its statements are. */
export const unclosedIn = (script: Script): "a quote" | "a comment" | undefined => {
  for (const part of typeof script === "string" ? [script] : script) {
    const begun = unclosed(part)
    if (begun !== undefined) return begun
  }
  return undefined
}

/** What its checksum is of: its statements, whatever stands in comments, and however lines end and are indented. */
export const normalized = (script: Script): string => split(script, PART, evened).join(";\n")

/** The text that checksums were made of before. */
export const normalizedBefore = (script: Script): string => split(script, PART_BEFORE, asItIs).join(";\n")
