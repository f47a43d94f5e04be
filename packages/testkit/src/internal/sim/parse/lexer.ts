/** CQL text to tokens. */
import { syntax } from "../failure.ts"

export type TokenKind =
  | "ident"
  | "quoted"
  | "string"
  | "int"
  | "float"
  | "uuid"
  | "blob"
  | "duration"
  | "op"
  | "marker"
  | "eof"

export interface Token {
  readonly kind: TokenKind
  /** The meaning: lower-cased identifiers, unescaped strings. */
  readonly text: string
  /** As it was written. */
  readonly raw: string
  readonly at: number
}

const SKIP = /(?:\s+|--[^\n]*|\/\/[^\n]*|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)+/y
const UNIT = "(?:mo|ms|us|µs|ns|[ywdhms])"
// The order matters: a uuid may start like a number, a duration too.
const RULES: ReadonlyArray<readonly [TokenKind, RegExp]> = [
  ["uuid", /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\w-])/iy],
  ["blob", /0x[0-9a-f]*(?!\w)/iy],
  ["duration", new RegExp(`\\d+${UNIT}(?:\\d+${UNIT})*(?!\\w)`, "iy")],
  ["float", /\d+(?:\.(?!\.)\d*(?:e[+-]?\d+)?|e[+-]?\d+)(?!\w)/iy],
  ["int", /\d+(?!\w|\.(?!\.))/y],
  ["ident", /[a-z]\w*/iy],
  ["quoted", /"[^"]*(?:""[^"]*)*"/y],
  ["string", /'[^']*(?:''[^']*)*'/y],
  ["string", /\$\$[^$]*(?:\$[^$]+)*\$\$/y],
  ["marker", /\?/y],
  ["op", /<=|>=|!=|[()[\]{},;.=<>+\-*:/%]/y]
]

/** `line:column` of an offset, as ANTLR counts them: lines from 1, columns from 0. */
export const position = (source: string, at: number): string => {
  let line = 1
  let start = 0
  for (let next = source.indexOf("\n"); next >= 0 && next < at; next = source.indexOf("\n", next + 1)) {
    line++
    start = next + 1
  }
  return `${line}:${at - start}`
}

const meaning = (kind: TokenKind, raw: string): string => {
  switch (kind) {
    case "ident":
    case "uuid":
      return raw.toLowerCase()
    case "quoted":
      return raw.slice(1, -1).replaceAll('""', '"')
    case "string":
      return raw.startsWith("$$") ? raw.slice(2, -2) : raw.slice(1, -1).replaceAll("''", "'")
    default:
      return raw
  }
}

/** Longest text that is looked at, bytes; a real server has a bound of the same order. */
const MAX_TEXT = 16 * 1024 * 1024

export const tokenize = (source: string): ReadonlyArray<Token> => {
  if (source.length > MAX_TEXT) throw syntax(`line 1:0 a statement of ${source.length} characters is too long`)
  const out: Array<Token> = []
  let at = 0
  outer: while (true) {
    SKIP.lastIndex = at
    if (SKIP.test(source)) at = SKIP.lastIndex
    if (at >= source.length) break
    for (const [kind, rule] of RULES) {
      rule.lastIndex = at
      if (!rule.test(source)) continue
      const raw = source.slice(at, rule.lastIndex)
      out.push({ kind, text: meaning(kind, raw), raw, at })
      at = rule.lastIndex
      continue outer
    }
    throw syntax(`line ${position(source, at)} no viable alternative at character '${source[at]!}'`)
  }
  out.push({ kind: "eof", text: "<EOF>", raw: "<EOF>", at: source.length })
  return out
}
