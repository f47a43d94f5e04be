/** CQL text to tokens. */
import { syntax } from "../failure.ts"
import type { Product } from "./product.ts"

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

const SKIP = /(?:[ \t\n\r]+|(?:--|\/\/)[^\n\r]*[\n\r]|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)+/y
const UNIT = "(?:mo|ms|us|µs|ns|[ywdhms])"
/** `P0001-02-03T04:05:06`, which is no name. */
const DATED = "P\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}"
// The order matters: a uuid may start like a number, a duration too.
const RULES: ReadonlyArray<readonly [TokenKind, RegExp]> = [
  ["uuid", /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\w-])/iy],
  ["blob", /0x[0-9a-f]*/iy],
  ["duration", new RegExp(`(?:\\d+${UNIT}(?:\\d+${UNIT})*|${DATED})(?!\\w)`, "iy")],
  ["float", /\d+(?:\.(?!\.)\d*(?:e[+-]?\d+)?|e[+-]?\d+)(?!\w)/iy],
  ["int", /\d+(?![\da-f]|\.(?!\.))/iy],
  ["ident", /[a-z]\w*/iy],
  ["quoted", /"[^"]*(?:""[^"]*)*"/y],
  ["string", /'[^']*(?:''[^']*)*'/y],
  ["string", /\$\$[^$]*(?:\$[^$]+)*\$\$/y],
  ["marker", /\?/y],
  ["op", /<=|>=|!=|\+=|-=|[()[\]{},;.=<>+\-*:/%]/y]
]

/** To Cassandra a sign in front of a number is a part of it, and a letter behind one the beginning of `-NaN` or `-Infinity`. */
const OF_CASSANDRA: typeof RULES = [
  ["duration", new RegExp(`-(?:\\d+${UNIT}(?:\\d+${UNIT})*|${DATED})(?!\\w)`, "iy")],
  ["float", /-\d+(?:\.(?!\.)\d*(?:e[+-]?\d+)?|e[+-]?\d+)(?!\w)/iy],
  ["float", /-(?:nan|infinity)(?!\w)/iy],
  ["int", /-\d+(?![\da-f]|\.(?!\.))/iy],
  ...RULES
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

/** A comment that does not end: what ends was skipped. */
const UNFINISHED = /^(?:--|\/\/|\/\*)/

/** Longest text that is looked at, bytes; a real server has a bound of the same order. */
const MAX_TEXT = 16 * 1024 * 1024

/** Where a rule that has begun cannot go on: `expected` is the only character that could follow, `set` one of many. */
const broken = (source: string, at: number, expected: string, product: Product): Error => {
  const place = `line ${position(source, at)}`
  if (product === "scylla") return syntax(`${place} : ${expected === "set" ? "Unexpected ''" : "Syntax error"}`)
  const found = at < source.length ? source[at]! : "<EOF>"
  return syntax(
    `${place} mismatched character '${found}' expecting ${expected === "set" ? "set null" : `'${expected}'`}`
  )
}

/** No rule begins so, or goes on so. */
const unknown = (source: string, at: number, product: Product): Error => {
  const found = at < source.length ? source[at]! : "<EOF>"
  return syntax(
    `line ${position(source, at)} no viable alternative at ${
      product === "scylla" ? "input ''" : `character '${found}'`
    }`
  )
}

/** What is wrong where no token begins. */
const wrongAt = (source: string, at: number, product: Product): Error => {
  const rest = source.slice(at, at + 2)
  const end = source.length
  if (rest === "--" || rest === "//") return broken(source, end, "set", product)
  if (rest === "/*") return broken(source, end, "*", product)
  if (rest === "$$") return broken(source, end, "$", product)
  switch (rest[0]) {
    case "'":
      return broken(source, end, "'", product)
    case '"':
      return product === "scylla" ? broken(source, end, '"', product) : unknown(source, end, product)
    case "!":
      return broken(source, at + 1, "=", product)
    default:
  }
  // A number that goes on with a letter of hexadecimal ones is the beginning of a UUID, but for that of an exponent.
  if (/^-[ni]/i.test(rest)) return broken(source, at + 2, "set", product)
  const hex = /^\d+[a-f][0-9a-f]*/i.exec(source.slice(at, at + 64))?.[0]
  if (hex === undefined) return unknown(source, at, product)
  return /^\d+e$/i.test(hex)
    ? unknown(source, at + hex.length, product)
    : broken(source, at + hex.length, "set", product)
}

export const tokenize = (source: string, product: Product): ReadonlyArray<Token> => {
  if (source.length > MAX_TEXT) throw syntax(`line 1:0 a statement of ${source.length} characters is too long`)
  const out: Array<Token> = []
  // ScyllaDB passes over the mark of a text's byte order.
  let at = product === "scylla" && source.startsWith("\ufeff") ? 1 : 0
  outer: while (true) {
    SKIP.lastIndex = at
    if (SKIP.test(source)) at = SKIP.lastIndex
    if (at >= source.length) break
    if (UNFINISHED.test(source.slice(at, at + 2))) throw wrongAt(source, at, product)
    const isSigned = product === "cassandra" && source[at] === "-"
    if (isSigned && /^-[ni](?!nfinity|an)/i.test(source.slice(at, at + 9))) throw wrongAt(source, at, product)
    for (const [kind, rule] of isSigned ? OF_CASSANDRA : RULES) {
      rule.lastIndex = at
      if (!rule.test(source)) continue
      // ScyllaDB has no letter for what is no ASCII.
      const foreign = product === "scylla" && kind === "duration" ? source.slice(at, rule.lastIndex).indexOf("µ") : -1
      if (foreign >= 0) throw unknown(source, at + foreign, product)
      // `+=` and `-=` are Cassandra's.
      if (product === "scylla" && /^[+-]=/.test(source.slice(at, at + 2))) rule.lastIndex = at + 1
      const raw = source.slice(at, rule.lastIndex)
      out.push({ kind, text: meaning(kind, raw), raw, at })
      at = rule.lastIndex
      continue outer
    }
    throw wrongAt(source, at, product)
  }
  out.push({ kind: "eof", text: "<EOF>", raw: "<EOF>", at: source.length })
  return out
}
