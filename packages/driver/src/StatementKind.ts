/**
 * What a statement does, as far as its text tells: enough to know whether it may be repeated, never more than is certain.
 *
 * @since 0.1.0
 */

import { COMMENT, QUOTED_NAME, STRING, withoutTexts } from "./internal/lexis.ts"

/**
 * What is known of a statement from its text and its PREPARED: what decides about retries, timeouts and outcomes.
 *
 * @category models
 * @since 0.1.0
 */
export interface StatementKind {
  readonly type: "read" | "write" | "batch" | "schema" | "use" | "other"
  /** Has an IF of its own (a lightweight transaction), or may have: `IF` as a word outside of strings and comments. */
  readonly isConditional: boolean
  /** Writes one partition for certain: an INSERT, or an UPDATE or DELETE without IN. */
  readonly isSinglePartition: boolean
  /**
   * Counts: a counter batch, or an UPDATE that adds to a column what is for certain no collection. Of a prepared statement also
   * one with a variable of type `counter`. Such a write takes no timestamp of a client.
   */
  readonly isCounter?: boolean | undefined
  /** Only of a batch. */
  readonly batch?: "logged" | "unlogged" | "counter" | undefined
}

/**
 * A read: what may be asked again and of anybody.
 *
 * @category constants
 * @since 0.1.0
 */
export const read: StatementKind = { type: "read", isConditional: false, isSinglePartition: false }

/** What says nothing about a statement. */
const SKIPPED = `${STRING}|${QUOTED_NAME}|${COMMENT}`
const TOKEN = new RegExp(String.raw`${SKIPPED}|[A-Za-z_]\w*`, "g")
/** `?` and `:name`. After the colon of a map or of a field there may be a constant or a call, too. */
const VARIABLE = new RegExp(
  String.raw`(\?|:\s*(?:"|(?!(?:true|false|null|nan|infinity)\b)[a-z_]\w*\b(?!\s*[(.])))|${SKIPPED}`,
  "gi"
)

const NAME = new RegExp(String.raw`(${QUOTED_NAME})|\b[a-z_]\w*`, "gi")
/** Where the assignments of an UPDATE begin and end. */
const BOUNDS = new Set(["SET", "WHERE", "APPLY", "UPDATE", "INSERT", "DELETE"])
const ASSIGNMENTS = /\bSET\b([^A-Z]*)/g
/** `c = c + 1`, `c += 1`, of names that are numbers here: with a number only a counter can be meant. */
const COUNTS = /("\d+")\s*=\s*\1\s*[+-]\s*-?\d|"\s*[+-]=\s*-?\d/

/** Longer texts are not looked at for counters: what a counter is stamped with does no harm. */
const LONGEST = 16_384

const counts = (text: string): boolean => {
  if (text.length > LONGEST || !/[+-]/.test(text)) return false
  // Each name is a number, the same for those that are the same for the server.
  const names = new Map<string, number>()
  const bare = withoutTexts(text).replace(NAME, (name, quoted: string | undefined) => {
    const word = name.toUpperCase()
    if (quoted === undefined && BOUNDS.has(word)) return word
    const spelled = quoted === undefined ? name.toLowerCase() : quoted.slice(1, -1)
    let number = names.get(spelled)
    if (number === undefined) names.set(spelled, number = names.size)
    return `"${number}"`
  })
  for (const [, assignments] of bare.matchAll(ASSIGNMENTS)) if (COUNTS.test(assignments!)) return true
  return false
}

const SCHEMA = new Set(["CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE"])

/**
 * Reads the words of a statement. A text that it does not understand is `other`, which is never repeated unasked.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (text: string): StatementKind => {
  const words: Array<string> = []
  for (const [token] of text.matchAll(TOKEN)) {
    const first = token.charCodeAt(0)
    if ((first >= 65 && first <= 90) || (first >= 97 && first <= 122) || first === 95) words.push(token.toUpperCase())
  }
  const [verb = "", second = ""] = words
  const isConditional = verb !== "SELECT" && !SCHEMA.has(verb) && words.includes("IF")
  switch (verb) {
    case "SELECT":
    case "DESCRIBE":
    case "DESC":
    case "LIST":
      return read
    case "INSERT":
      return { type: "write", isConditional, isSinglePartition: true }
    case "UPDATE":
    case "DELETE": {
      const isCounter = verb === "UPDATE" && !isConditional && counts(text)
      return { type: "write", isConditional, isSinglePartition: !words.includes("IN"), isCounter }
    }
    case "BEGIN":
      return {
        type: "batch",
        isConditional,
        isSinglePartition: false,
        isCounter: second === "COUNTER" || counts(text),
        batch: second === "UNLOGGED" ? "unlogged" : second === "COUNTER" ? "counter" : "logged"
      }
    case "USE":
      return { type: "use", isConditional: false, isSinglePartition: false }
    default:
      return { type: SCHEMA.has(verb) ? "schema" : "other", isConditional, isSinglePartition: false }
  }
}

/**
 * Whether this client stamps what such a statement writes: unconditional writes and batches. Servers give Paxos and counters
 * times of their own.
 *
 * @category predicates
 * @since 0.1.0
 */
export const takesTimestamp = (kind: StatementKind): boolean =>
  (kind.type === "write" || kind.type === "batch") && !kind.isConditional && kind.isCounter !== true

/**
 * Whether a text reads or writes data and has bind variables, `?` or `:name`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const hasVariables = (text: string): boolean => {
  if (!text.includes("?") && !text.includes(":")) return false
  const { type } = of(text)
  if (type !== "read" && type !== "write" && type !== "batch") return false
  for (const [, variable] of text.matchAll(VARIABLE)) if (variable !== undefined) return true
  return false
}
