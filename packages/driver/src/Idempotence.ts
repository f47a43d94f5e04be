/**
 * Whether doing a write twice is the same as doing it once, told from its text: what is certain for every schema, and nothing else.
 *
 * The shapes (cql-features.md, section 5, item 22): INSERT, UPDATE and DELETE without IF, without any function call, without
 * arithmetic (`x = x + …`, `x += …`), without access to an element (`x[0]`, which may be a list's); and batches of only these, but
 * for counters. A text that is not understood to its end is not idempotent.
 *
 * Nor is one that writes a whole list: servers delete what was there just before the statement's time and write each element under
 * a new time-UUID (Cassandra `Lists.Setter`, ScyllaDB `lists::setter`), so that the same write at the same time has all elements twice.
 *
 * @since 0.1.0
 */
import { COMMENT, QUOTED_NAME, STRING } from "./internal/lexis.ts"

const TOKEN = new RegExp(
  [
    String.raw`(?<space>\s+|${COMMENT})`,
    `(?<string>${STRING})`,
    `(?<name>${QUOTED_NAME})`,
    // Before numbers and words: 550e8400-e29b-… begins like either.
    String.raw`(?<constant>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?!\w)|0x[0-9a-f]*(?!\w)` +
    String.raw`|-?\d+(?:\.\d*)?(?:e[+-]?\d+)?(?!\w)|-?(?:\d+(?:y|mo|w|d|h|ms|us|µs|ns|m|s))+(?!\w))`,
    String.raw`(?<word>[a-z_]\w*)`,
    String.raw`(?<sign>[<>!]=|[=<>?:,;.(){}[\]])`
  ].join("|"),
  "giy"
)

/** Words that stand for a value. */
const VALUES = new Set(["TRUE", "FALSE", "NULL", "NAN", "INFINITY"])
/** An ISO duration without quotes. */
const ISO = /^P(?=.)(?:\d+[YMWDTHS]|T)*$/

interface Token {
  readonly kind: "string" | "name" | "constant" | "word" | "sign"
  readonly text: string
}

class NotUnderstood extends Error {}

/** `undefined` where a character is none of CQL's. */
const tokensOf = (text: string): ReadonlyArray<Token> | undefined => {
  const tokens: Array<Token> = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const groups = TOKEN.exec(text)?.groups
    if (groups === undefined) return undefined
    for (const kind of ["string", "name", "constant", "word", "sign"] as const) {
      const found = groups[kind]
      if (found !== undefined) tokens.push({ kind, text: kind === "word" ? found.toUpperCase() : found })
    }
  }
  return tokens
}

/** Reads statements; throws `NotUnderstood` at the first thing that is not of the shapes. */
class Shapes {
  private readonly tokens: ReadonlyArray<Token>
  private at = 0
  private depth = 0

  constructor(tokens: ReadonlyArray<Token>) {
    this.tokens = tokens
  }

  whole(): void {
    if (this.takes("BEGIN")) this.batch()
    else this.statement()
    this.takes(";")
    if (this.at < this.tokens.length) throw new NotUnderstood()
  }

  private batch(): void {
    if (!this.takes("UNLOGGED")) this.takes("LOGGED")
    this.word("BATCH")
    this.using()
    while (!this.takes("APPLY")) {
      this.statement()
      this.takes(";")
    }
    this.word("BATCH")
  }

  private statement(): void {
    if (this.takes("INSERT")) {
      this.word("INTO")
      this.table()
      // There may be a list in JSON.
      this.sign("(")
      this.list(() => this.name())
      this.sign(")")
      this.word("VALUES")
      this.sign("(")
      this.list(() => this.written())
      this.sign(")")
      this.using()
    } else if (this.takes("UPDATE")) {
      this.table()
      this.using()
      this.word("SET")
      this.list(() => {
        this.column()
        this.sign("=")
        this.written()
      })
      this.where()
    } else {
      this.word("DELETE")
      if (!this.takes("FROM")) {
        this.list(() => this.column())
        this.word("FROM")
      }
      this.table()
      this.using()
      this.where()
    }
  }

  private using(): void {
    if (!this.takes("USING")) return
    do {
      if (!this.takes("TTL") && !this.takes("TIMEOUT")) this.word("TIMESTAMP")
      this.term()
    } while (this.takes("AND"))
  }

  private where(): void {
    this.word("WHERE")
    do this.relation()
    while (this.takes("AND"))
  }

  private relation(): void {
    if (this.takes("(")) {
      this.list(() => this.name())
      this.sign(")")
    } else this.name()
    if (this.takes("IN")) return this.term()
    if (!["=", "<", ">", "<=", ">="].some((operator) => this.takes(operator))) throw new NotUnderstood()
    this.term()
  }

  /** A column, or a field of one. */
  private column(): void {
    this.name()
    if (this.takes(".")) this.name()
  }

  private table(): void {
    this.name()
    if (this.takes(".")) this.name()
  }

  /** A value that is written to a column. */
  private written(): void {
    if (this.tokens[this.at]?.text === "[") throw new NotUnderstood()
    this.term()
  }

  private term(): void {
    const next = this.tokens[this.at]
    if (next === undefined) throw new NotUnderstood()
    if (next.kind === "string" || next.kind === "constant" || this.isValue(next)) {
      this.at++
      return
    }
    if (this.takes("?")) return
    if (this.takes(":")) return this.name()
    for (const [open, close] of [["(", ")"], ["[", "]"], ["{", "}"]] as const) {
      if (!this.takes(open)) continue
      if (++this.depth > DEEPEST) throw new NotUnderstood()
      if (!this.takes(close)) {
        this.list(() => {
          // A field of a UDT has a name before its colon.
          if (open === "{" && this.isField()) this.at++
          else this.term()
          if (open === "{" && this.takes(":")) this.term()
        })
        this.sign(close)
      }
      this.depth--
      return
    }
    throw new NotUnderstood()
  }

  private isValue({ kind, text }: Token): boolean {
    if (kind !== "word" || this.tokens[this.at + 1]?.text === "(") return false
    return VALUES.has(text) || (ISO.test(text) && /\d/.test(text))
  }

  private isField(): boolean {
    const kind = this.tokens[this.at]?.kind
    return (kind === "name" || kind === "word") && this.tokens[this.at + 1]?.text === ":"
  }

  private list(item: () => void): void {
    do item()
    while (this.takes(","))
  }

  private name(): void {
    const next = this.tokens[this.at]
    if (next?.kind !== "name" && next?.kind !== "word") throw new NotUnderstood()
    this.at++
  }

  private takes(text: string): boolean {
    const next = this.tokens[this.at]
    if (next === undefined || next.text !== text || (next.kind !== "word" && next.kind !== "sign")) return false
    this.at++
    return true
  }

  private word(text: string): void {
    if (!this.takes(text)) throw new NotUnderstood()
  }

  private sign(text: string): void {
    if (!this.takes(text)) throw new NotUnderstood()
  }
}

/** Collections in collections. */
const DEEPEST = 64
/** Longer texts are not read: they are hardly written by hand, and reading them costs. */
const LONGEST = 65_536

/**
 * Whether a text is a write, or a batch of writes, that can certainly be done twice. Reads have no need of it and are `false`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isCertain = (text: string): boolean => {
  if (text.length > LONGEST) return false
  const tokens = tokensOf(text)
  if (tokens === undefined) return false
  try {
    new Shapes(tokens).whole()
    return true
  } catch (error) {
    if (error instanceof NotUnderstood) return false
    throw error
  }
}
