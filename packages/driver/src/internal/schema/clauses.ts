/** CQL that a schema holds as it is: conditions, initial states, languages. */
import { COMMENT, CONSTANT, QUOTED_NAME, STRING } from "../lexis.ts"

/** What such a part is made of, but for brackets. `.` is between names, and in numbers. */
const LEXEMES = new RegExp(
  String
    .raw`\s+|(?<comment>${COMMENT})|${STRING}|${QUOTED_NAME}|(?:${CONSTANT})|\w+|(?<open>[([{])|(?<close>[)\]}])|[-+*/=<>!,.:?%]`,
  "giuy"
)

const CLOSES: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" }

/** Whether it is a part of one statement, from which nothing leads out: no comments, no `;`, all that is opened is closed. */
const isPart = (text: string): boolean => {
  const open: Array<string> = []
  LEXEMES.lastIndex = 0
  while (LEXEMES.lastIndex < text.length) {
    const groups = LEXEMES.exec(text)?.groups
    if (groups === undefined || groups["comment"] !== undefined) return false
    if (groups["open"] !== undefined) open.push(CLOSES[groups["open"]]!)
    else if (groups["close"] !== undefined && open.pop() !== groups["close"]) return false
  }
  return open.length === 0
}

/** The text, or `RangeError`. */
export const part = (what: string, text: string): string => {
  if (isPart(text)) return text
  throw new RangeError(`${what} is no part of a statement: ${JSON.stringify(text.slice(0, 200))}`)
}

/** A word that cannot be quoted, or `RangeError`. */
export const word = (what: string, text: string): string => {
  if (/^\w+$/.test(text)) return text
  throw new RangeError(`${what} is no word: ${JSON.stringify(text.slice(0, 200))}`)
}

export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
