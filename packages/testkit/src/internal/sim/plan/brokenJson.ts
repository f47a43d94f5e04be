/** What Cassandra's reader of JSON says of a text that is none, or that is no object. */

const VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
const PARSE = "com.fasterxml.jackson.core.JsonParseException: "
const END = "com.fasterxml.jackson.core.io.JsonEOFException: Unexpected end-of-input"
const MISMATCH = "com.fasterxml.jackson.databind.exc.MismatchedInputException: "

/** So much of a text is shown. */
const MOST_SHOWN = 500

/** The end of a message: where it is, `column` characters behind what is at `at`. */
const source = (text: string, at: number, column: number): string => {
  const shown = text.length > MOST_SHOWN
    ? `"${text.slice(0, MOST_SHOWN)}"[truncated ${text.length - MOST_SHOWN} chars]`
    : `"${text}"`
  const before = text.slice(0, at).split("\n")
  return `[Source: (String)${shown}; line: ${before.length}, column: ${before[before.length - 1]!.length + column}]`
}

class Broken extends Error {}

/** A reader that says where it cannot go on. */
class Reader {
  private at = 0
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  private stop(what: string, at = this.at, column = 2): never {
    throw new Broken(`${what}\n at ${source(this.text, at, column)}`)
  }

  private unexpected(why: string, column = 2): never {
    const char = this.text[this.at]!
    this.stop(`${PARSE}Unexpected character ('${char}' (code ${char.charCodeAt(0)}))${why}`, this.at, column)
  }

  private space(): string | undefined {
    while (this.at < this.text.length && " \t\n\r".includes(this.text[this.at]!)) this.at++
    return this.text[this.at]
  }

  private string(end: string): void {
    this.at++
    for (; this.at < this.text.length; this.at++) {
      if (this.text[this.at] === "\\") this.at++
      else if (this.text[this.at] === '"') return void this.at++
    }
    this.at = this.text.length
    this.stop(`${END}${end}`, this.at, 1)
  }

  private number(): void {
    const { text } = this
    if (text[this.at] === "-") {
      this.at++
      if (this.at >= text.length) this.stop(`${END} in a value`, this.at, 1)
      if (!/\d/.test(text[this.at]!)) {
        this.unexpected(" in numeric value: expected digit (0-9) to follow minus sign, for valid numeric value")
      }
    }
    if (/^0\d/.test(text.slice(this.at, this.at + 2))) {
      this.stop(`${PARSE}Invalid numeric value: Leading zeroes not allowed`, this.at + 1, 1)
    }
    while (/\d/.test(text[this.at] ?? "")) this.at++
    if (text[this.at] === ".") {
      this.at++
      if (this.at < text.length && !/\d/.test(text[this.at]!)) {
        this.unexpected(" in numeric value: Decimal point not followed by a digit", 1)
      }
      while (/\d/.test(text[this.at] ?? "")) this.at++
    }
    this.at += /^(?:e[+-]?\d+)?/i.exec(text.slice(this.at))![0].length
  }

  private list(kind: "Object" | "Array", close: string, item: () => void): void {
    const opened = this.at
    const marker = source(this.text, opened, 1)
    const ended = (): never =>
      this.stop(`${END}: expected close marker for ${kind} (start marker at ${marker})`, this.text.length, 1)
    this.at++
    if (this.space() === undefined) ended()
    if (this.text[this.at] === close) return void this.at++
    for (;;) {
      item()
      const next = this.space()
      if (next === undefined) ended()
      if (next === close) return void this.at++
      if (next === "}" || next === "]") {
        this.stop(`${PARSE}Unexpected close marker '${next}': expected '${close}' (for ${kind} starting at ${marker})`)
      }
      if (next !== ",") this.unexpected(`: was expecting comma to separate ${kind} entries`)
      this.at++
      if (this.space() === undefined) this.stop(`${END} within/between ${kind} entries`, this.text.length, 1)
    }
  }

  value(): void {
    const first = this.space()
    if (first === '"') this.string(": was expecting closing quote for a string value")
    else if (first === "[") this.list("Array", "]", () => this.value())
    else if (first === "{") {
      this.list("Object", "}", () => {
        if (this.space() !== '"') this.unexpected(": was expecting double-quote to start field name")
        this.string(" in field name")
        const between = (): never => this.stop(`${END} within/between Object entries`, this.text.length, 1)
        const colon = this.space()
        if (colon === undefined) between()
        if (colon !== ":") this.unexpected(": was expecting a colon to separate field name and value")
        this.at++
        if (this.space() === undefined) between()
        this.value()
      })
    } else if (/[-\d]/.test(first ?? "")) this.number()
    else {
      const word = /^[\p{L}\p{Nd}_$]*/u.exec(this.text.slice(this.at))![0]
      if (!/^[\p{L}_$]/u.test(word)) this.unexpected(`: expected a valid value ${VALUES}`)
      this.at += word.length
      if (/^(?:true|false|null)$/.test(word)) return
      this.stop(`${PARSE}Unrecognized token '${word}': was expecting ${VALUES}`, this.at, 1)
    }
  }
}

/** What is wrong with a text; `undefined` where nothing is known to be. */
export const brokenJson = (text: string): string | undefined => {
  if (text.trim() === "") return `${MISMATCH}No content to map due to end-of-input\n at ${source(text, 0, 0)}`
  try {
    new Reader(text).value()
    return undefined
  } catch (thrown) {
    if (thrown instanceof Broken) return thrown.message
    throw thrown
  }
}

/** What is said of a value that is no object. */
export const noObject = (text: string): string | undefined => {
  const start = text.search(/\S/)
  const rest = text.slice(start)
  const from = (what: string, token: string): string =>
    `Cannot deserialize value of type \`java.util.LinkedHashMap<java.lang.Object,java.lang.Object>\` from ${what} (token \`JsonToken.${token}\`)`
  const said = rest.startsWith("[")
    ? from("Array value", "START_ARRAY")
    : rest.startsWith("true")
    ? from("Boolean value", "VALUE_TRUE")
    : rest.startsWith("false")
    ? from("Boolean value", "VALUE_FALSE")
    : /^-?\d+(?![.\deE])/.test(rest)
    ? from("Integer value", "VALUE_NUMBER_INT")
    : /^-?\d/.test(rest)
    ? from("Floating-point value", "VALUE_NUMBER_FLOAT")
    : /^"(?:[^"\\])*"/.test(rest)
    ? "Cannot construct instance of `java.util.LinkedHashMap` (although at least one Creator exists): no String-argument " +
      `constructor/factory method to deserialize from String value ('${/^"([^"]*)"/.exec(rest)![1]!}')`
    : undefined
  return said === undefined ? undefined : `${MISMATCH}${said}\n at ${source(text, start, 1)}`
}
