/**
 * What CQL texts are made of, as parts of regular expressions, by the servers' lexers (Cassandra `Lexer.g`, ScyllaDB `Cql.g`). No part of
 * them goes back by single characters, so that long texts neither take long nor fill the stack.
 */

export const STRING = String.raw`'[^']*(?:''[^']*)*'|\$\$[\s\S]*?\$\$`
export const QUOTED_NAME = String.raw`"[^"]*(?:""[^"]*)*"`
/** To the end of the line, which a carriage return is, too; one that is never closed is all the rest. */
export const COMMENT = String.raw`--[^\n\r]*|\/\/[^\n\r]*|\/\*(?:[\s\S]*?\*\/|[\s\S]*)`
/** Values without quotes: UUIDs, blobs, durations and numbers. */
export const CONSTANT =
  String.raw`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?!\w)|0x[0-9a-f]*(?!\w)` +
  String
    .raw`|\d+(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)|(?:\d+(?:y|mo|w|d|h|ms|us|ns|µs|m|s))+(?!\w)|P(?=[\dT])(?:\d+[YMWDTHS]|T)+(?!\w)`

const SHOWN = new RegExp(String.raw`(${QUOTED_NAME})|(${COMMENT})|${STRING}|\b(?:${CONSTANT})`, "gi")

/** The text with `?` for each value that is written into it, and without comments: what may be shown to others. */
export const withoutLiterals = (text: string): string =>
  text.replace(
    SHOWN,
    (_, name: string | undefined, comment: string | undefined) => name ?? (comment === undefined ? "?" : " ")
  )

const TEXTS = new RegExp(`(${QUOTED_NAME})|${STRING}|${COMMENT}`, "g")

/** The text without its strings and comments. */
export const withoutTexts = (text: string): string => text.replace(TEXTS, (_, name: string | undefined) => name ?? " ")

/** The same, and comments that are closed, or end with their line. */
const WHOLE = new RegExp(String.raw`${QUOTED_NAME}|${STRING}|--[^\n\r]*|\/\/[^\n\r]*|\/\*[\s\S]*?\*\/`, "g")

/** What is begun in the text and never ended: servers would take what comes behind for a part of it. */
export const unclosed = (text: string): "a quote" | "a comment" | undefined => {
  const [begun] = text.replace(WHOLE, " ").match(/'|"|\$\$|\/\*/) ?? []
  return begun === undefined ? undefined : begun === "/*" ? "a comment" : "a quote"
}
