/**
 * What CQL texts are made of, as parts of regular expressions, by the servers' lexers (Cassandra `Lexer.g`, ScyllaDB `Cql.g`). No part of
 * them goes back by single characters, so that long texts neither take long nor fill the stack.
 */

export const STRING = String.raw`'[^']*(?:''[^']*)*'|\$\$[\s\S]*?\$\$`
export const QUOTED_NAME = String.raw`"[^"]*(?:""[^"]*)*"`
/** To the end of the line, which a carriage return is, too; one that is never closed is all the rest. */
export const COMMENT = String.raw`--[^\n\r]*|\/\/[^\n\r]*|\/\*(?:[\s\S]*?\*\/|[\s\S]*)`
const NUMBERS = String
  .raw`\b0x[0-9a-f]+\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b`

/** Values that are written into a text. */
const LITERAL = new RegExp(`${STRING}|${NUMBERS}`, "gi")

/** The text with `?` for each value that is written into it: what may be shown to others. */
export const withoutLiterals = (text: string): string => text.replace(LITERAL, "?")

const TEXTS = new RegExp(`${STRING}|${COMMENT}`, "g")

/** The text without its strings and comments. */
export const withoutTexts = (text: string): string => text.replace(TEXTS, " ")
