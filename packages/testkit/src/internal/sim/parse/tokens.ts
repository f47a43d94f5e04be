/** A cursor over tokens, with the steps that every grammar rule is made of. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { syntax } from "../failure.ts"
import type { Arithmetic, ArithmeticOperator, ColumnOrder, Property, Term, TypeNode } from "./ast.ts"
import { position, type Token, tokenize } from "./lexer.ts"
import type { Product } from "./product.ts"

/** Nesting past this is not a statement but an attack on the stack. */
const MAX_DEPTH = 64

/** Reserved words of CQL. */
const RESERVED = new Set(
  ("add allow alter and apply asc authorize batch begin by columnfamily create delete desc describe drop entries execute " +
    "from full grant if in index infinity insert into is keyspace limit materialized modify nan norecursive not null of on " +
    "or order primary rename replace revoke schema select set table to token truncate unlogged update use using view where " +
    "with").split(" ")
)

export const isReserved = (word: string): boolean => RESERVED.has(word)

/** `P1Y2M3DT4H5M6S` and `P4W`. */
const ISO_DURATION = /^P(?=[\dT])(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+S)?)?$/i

/** Words that may stand behind a value. */
const FOLLOWS = new Set(
  ("allow and apply as default delete from group if in insert limit order per primary update where").split(
    " "
  )
)

/** Names that no user-defined type may have. */
const RESERVED_TYPES = new Set(["bitstring", "byte", "complex", "enum", "interval", "macaddr"])

/** How many types stand in the brackets of a type. */
const ARGUMENTS: Record<string, number | "any"> = { frozen: 1, list: 1, set: 1, map: 2, tuple: "any" }

/** Words that are not reserved, and stand behind a value without being one. */
const FOLLOWS_VALUE = new Set(["group", "per"])

/** Reserved words that are values, or functions. */
const CONSTANTS = new Set(["null", "nan", "infinity", "token"])

const isScalar = (name: string): boolean => {
  const type = CqlType.parse(name)
  return typeof type !== "string" && type._tag === "Scalar"
}

/** A token as errors show it: texts without their quotes. */
const shown = ({ kind, raw, text }: Token): string => kind === "string" || kind === "quoted" ? text : raw

const BRACKETS = new Set(["')'", "']'", "'>'", "'}'", "K_KEY"])
/** The last of what is between two tokens: a comment, or space. */
const LAST_GAP = /(?:\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/|[ \t\r\n]+)$/

/** What stands in front of a name. */
const BEFORE_NAMES = new Set(["K_FROM", "K_INTO", "K_WHERE", "K_SET", "K_BY"])

/** Whether a token may stand behind the one that is missing, so that only that one is. */
const mayFollow = (expected: string, token: Token): boolean => {
  const isName = token.kind === "quoted" || (token.kind === "ident" && !RESERVED.has(token.text))
  const isOp = (op: string): boolean => token.kind === "op" && token.text === op
  if (BRACKETS.has(expected)) return true
  if (BEFORE_NAMES.has(expected)) return isName
  switch (expected) {
    case "K_NOT":
      return token.kind === "ident" && (token.text === "exists" || token.text === "null")
    case "K_EXISTS":
      return token.kind === "eof" || isName
    case "K_FILTERING":
      return token.kind === "eof"
    case "K_VALUES":
      return isOp("(")
    case "'('":
      return isName || (token.kind !== "op" && token.kind !== "ident" && token.kind !== "eof")
    default:
      return false
  }
}

/** Where a token is. The end of the text is nowhere, or at the beginning of its last line. */
const where = (source: string, token: Token, product: Product): string =>
  `line ${
    token.kind !== "eof"
      ? position(source, token.at)
      : product === "cassandra"
      ? "0:-1"
      : `${source.split("\n").length}:0`
  }`

export class Cursor {
  readonly source: string
  /** Whose grammar it is. */
  readonly product: Product
  readonly tokens: ReadonlyArray<Token>
  at = 0
  readonly markers: Array<string> = []
  /** Where the rule ended that looks a token further than it goes. */
  ahead = -1
  private depth = 0
  /** The last word of the table that was named last. */
  private named: Token | undefined
  /** Whether it was named with its keyspace. */
  private isNamedInFull = false

  constructor(source: string, product: Product) {
    this.source = source
    this.product = product
    this.tokens = tokenize(source, product)
  }

  get token(): Token {
    return this.tokens[this.at]!
  }

  peek(ahead: number): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)]!
  }

  next(): Token {
    const token = this.token
    if (token.kind !== "eof") this.at++
    return token
  }

  /** Nothing of the grammar begins so; `bracketed` is the token that Cassandra looked from. */
  fail(token: Token = this.token, bracketed = token): never {
    throw syntax(
      `${where(this.source, token, this.product)} no viable alternative at input '${shown(token)}'${
        this.snippet(token, bracketed)
      }`
    )
  }

  /** Something else stands where only one thing may; `expected` is what the grammars call it. */
  failExpecting(expected: string, matches: (token: Token) => boolean): never {
    const { token } = this
    const at = where(this.source, token, this.product)
    if (this.product === "cassandra") {
      const before = this.tokens[this.at - 1]
      // Behind the name of a table it looks for all that may follow.
      if (
        before !== undefined && before === this.named && token.kind !== "eof" && !(this.isNamedInFull && this.isOp("."))
      ) {
        throw syntax(`${at} no viable alternative at input '${shown(token)}'${this.snippet(token, before)}`)
      }
      // At the very end nothing is shown of what stands close behind something.
      const isClose = before !== undefined && before.at + before.raw.length === token.at && !expected.startsWith("K_")
      const text = isClose && this.peek(1).kind === "eof"
        ? ""
        : expected !== "EOF"
        ? this.snippet(token, token, 1)
        : this.ahead === this.at
        ? this.snippet(token, token, 1, true)
        : this.snippet(token)
      throw syntax(`${at} mismatched input '${shown(token)}' expecting ${expected}${text}`)
    }
    // ScyllaDB tries without this token, and with the one that it misses.
    if (token.kind !== "eof" && matches(this.peek(1))) throw syntax(`${at} : Unexpected '${shown(token)}'`)
    throw syntax(`${at} : ${mayFollow(expected, token) ? `Missing ${expected}` : "Syntax error"}`)
  }

  /** The end of the text, and nothing else. */
  expectEnd(): void {
    if (this.token.kind !== "eof") this.failExpecting("EOF", ({ kind }) => kind === "eof")
  }

  /**
   * What Cassandra shows of the text: a token in brackets, which may be the one before the wrong one, ten in front of it, and
   * what little follows.
   */
  private snippet(wrong: Token, bracketed = wrong, following = 0, showsNext = false): string {
    if (this.product === "scylla" || wrong.kind === "eof") return ""
    let from = this.tokens.indexOf(bracketed)
    let start = bracketed.at
    for (let left = 10; left > 0 && start > 0; left--) {
      const before = this.tokens[from - 1]
      const end = before === undefined ? 0 : before.at + before.raw.length
      // What is between tokens counts too: each comment, and what is between comments.
      if (end < start) start = end + Math.max(0, this.source.slice(end, start).search(LAST_GAP))
      else {
        start = before!.at
        from--
      }
    }
    // Quotes are not counted in the length of a token.
    const stop = bracketed.at + shown(bracketed).length
    const behind = this.tokens.length - 2 - this.tokens.indexOf(wrong)
    const isWhole = behind <= following && wrong.kind !== "string"
    const next = showsNext ? this.tokens[this.tokens.indexOf(wrong) + 1] : undefined
    const last = bracketed === wrong ? next : wrong
    const end = isWhole ? this.source.trimEnd().length : last === undefined ? stop : last.at + shown(last).length
    // Ends of lines are left out.
    const text = (from: number, to: number): string => this.source.slice(from, to).replaceAll(/[\r\n]/g, "")
    return ` (${start > 0 ? "..." : ""}${text(start, bracketed.at)}[${text(bracketed.at, stop)}]${text(stop, end)}${
      isWhole ? "" : "..."
    })`
  }

  isKeyword(word: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === "ident" && token.text === word
  }

  isOp(op: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === "op" && token.text === op
  }

  /** Takes the words if they all come next. */
  accept(...words: ReadonlyArray<string>): boolean {
    for (let i = 0; i < words.length; i++) {
      if (!this.isKeyword(words[i]!, i)) return false
    }
    this.at += words.length
    return true
  }

  /** Takes a word, and then wants the others behind it. */
  clause(first: string, ...rest: ReadonlyArray<string>): boolean {
    if (!this.accept(first)) return false
    this.expect(...rest)
    return true
  }

  expect(...words: ReadonlyArray<string>): void {
    for (const word of words) {
      if (!this.accept(word)) {
        this.failExpecting(`K_${word.toUpperCase()}`, ({ kind, text }) => kind === "ident" && text === word)
      }
    }
  }

  /** A text in quotes. */
  string(): string {
    if (this.token.kind !== "string") this.fail()
    return this.next().text
  }

  acceptOp(op: string): boolean {
    if (!this.isOp(op)) return false
    this.at++
    return true
  }

  expectOp(op: string): void {
    if (!this.acceptOp(op)) this.failExpecting(`'${op}'`, ({ kind, text }) => kind === "op" && text === op)
  }

  /** An identifier, quoted or not. Reserved words are none without quotes. */
  name(isType = false): string {
    const token = this.token
    if (token.kind === "quoted" && token.text === "") {
      // A name of nothing is none.
      if (this.product === "cassandra") this.fail({ ...token, text: token.raw })
      throw syntax(`line ${position(this.source, token.at + 1)} : Syntax error`)
    }
    if (token.kind !== "quoted" && (token.kind !== "ident" || (!isType && RESERVED.has(token.text)))) this.fail()
    this.at++
    return token.text
  }

  /** `name` or `keyspace.name`. */
  qualified(): { readonly keyspace: string | undefined; readonly name: string } {
    if (this.token.kind === "marker") throw syntax("Bind variables cannot be used for table names")
    const first = this.name()
    const found = this.acceptOp(".") ? { keyspace: first, name: this.name() } : { keyspace: undefined, name: first }
    this.isNamedInFull = found.keyspace !== undefined
    this.named = this.tokens[this.at - 1]
    return found
  }

  /** Words that ScyllaDB does not take for names of columns beside the reserved ones. */
  isReservedColumn(word: string): boolean {
    return this.product === "scylla" && (word === "default" || word === "cast" || word === "unset" || word === "mbean")
  }

  /** One or more things with commas between them. */
  list<A>(item: () => A): Array<A> {
    const out = [item()]
    while (this.acceptOp(",")) out.push(item())
    return out
  }

  /** `a DESC`. */
  columnOrder(column = this.name()): ColumnOrder {
    const descending = this.accept("desc")
    if (!descending) this.accept("asc")
    return { column, descending }
  }

  /** Runs a rule that may contain itself. */
  nested<A>(rule: () => A): A {
    if (++this.depth > MAX_DEPTH) {
      throw syntax(`line ${position(this.source, this.token.at)} nested more than ${MAX_DEPTH} deep`)
    }
    const result = rule()
    this.depth--
    return result
  }

  marker(name: string): Term {
    // One name is one variable of ScyllaDB; of Cassandra each is another.
    const known = name === "" || this.product === "cassandra" ? -1 : this.markers.indexOf(name)
    if (known >= 0) return { _tag: "Marker", index: known }
    this.markers.push(name)
    return { _tag: "Marker", index: this.markers.length - 1 }
  }

  /** A value, behind which there is something that may follow one. */
  term(): Term {
    const start = this.token
    const term = this.arithmetic(this.bareTerm(), () => this.bareTerm())
    this.endTerm(start)
    return term
  }

  /** What follows a first operand: Cassandra computes, products before sums. */
  arithmetic<A>(first: A, operand: () => A): A | Arithmetic<A> {
    if (this.product === "scylla") return first
    type Operand = A | Arithmetic<A>
    const chain = (ops: ReadonlyArray<ArithmeticOperator>, left: Operand, next: () => Operand): Operand => {
      const op = ops.find((each) => this.acceptOp(each))
      return op === undefined
        ? left
        : chain(ops, { _tag: "Arithmetic", op, left, right: next() } as Arithmetic<A>, next)
    }
    const product = (left: Operand): Operand => chain(["*", "/", "%"], left, operand)
    return chain(["+", "-"], product(first), () => product(operand()))
  }

  /** A value, whatever follows. */
  bareTerm(): Term {
    return this.nested(() => this.termInner())
  }

  /** Cassandra looks behind a value for what may follow any; both do so behind a variable. */
  endTerm(start: Token): void {
    const { kind, text } = this.token
    if (kind === "eof" || (kind === "op" && text !== ".") || (kind === "ident" && FOLLOWS.has(text))) return
    if (this.product === "scylla" && kind === "ident" && (text === "using" || text === "bypass")) return
    const isMarker = start.kind === "marker" && start === this.tokens[this.at - 1]
    if (this.product === "scylla") {
      if (isMarker) this.fail(start)
      return
    }
    if (kind === "op" && this.isOp(".", 1)) return
    this.fail(this.token, isMarker ? start : this.token)
  }

  private termInner(): Term {
    const token = this.next()
    switch (token.kind) {
      case "marker":
        return this.marker("")
      case "string":
        return { _tag: "Constant", kind: "STRING", text: token.text }
      case "int":
        return { _tag: "Constant", kind: "INTEGER", text: token.text }
      case "float":
        if (/^-(?:nan|infinity)$/i.test(token.text)) {
          return { _tag: "Constant", kind: "FLOAT", text: /nan/i.test(token.text) ? "NaN" : "-Infinity" }
        }
        // Cassandra makes doubles of them as soon as it reads them.
        if (this.product === "cassandra" && !Number.isFinite(Number(token.text))) {
          throw syntax(
            `Failed parsing statement: [${this.source}] reason: NumberFormatException Character I is neither a decimal digit ` +
              'number, decimal point, nor "e" notation exponential mark.'
          )
        }
        return { _tag: "Constant", kind: "FLOAT", text: token.text }
      case "uuid":
        return { _tag: "Constant", kind: "UUID", text: token.text }
      case "blob":
        return { _tag: "Constant", kind: "HEX", text: token.text }
      case "duration":
        return { _tag: "Constant", kind: "DURATION", text: token.text }
      case "ident":
        return this.word(token)
      case "quoted":
        return this.isOp("(") ? this.call(undefined, token.text) : this.failBehind(token)
      case "op":
        break
      default:
        return this.fail(token)
    }
    switch (token.text) {
      case "-": {
        // To ScyllaDB a sign is a part of the number.
        if (this.product === "scylla" && this.token.at !== token.at + 1) {
          throw syntax(`${where(this.source, this.token, this.product)} : Unexpected '${shown(this.token)}'`)
        }
        const value = this.term()
        const numeric = value._tag === "Constant" &&
          (value.kind === "INTEGER" || value.kind === "FLOAT" || value.kind === "DURATION") &&
          !value.text.startsWith("-")
        return numeric ? { ...value, text: `-${value.text}` } : this.fail(token)
      }
      case "[": {
        const items = this.isOp("]") ? [] : this.list(() => this.term())
        this.expectOp("]")
        return { _tag: "List", items }
      }
      case "(": {
        if (this.isTypeHint()) {
          const type = this.type()
          this.expectOp(")")
          return { _tag: "Hint", type, term: this.product === "cassandra" ? this.bareTerm() : this.term() }
        }
        if (this.isOp(")")) return this.product === "scylla" ? this.fail(token) : this.fail(this.token, token)
        const items = this.list(() => this.term())
        this.expectOp(")")
        return { _tag: "Tuple", items }
      }
      case "{":
        return this.braces()
      case ":":
        return this.marker(this.name())
      default:
        return this.fail(token)
    }
  }

  /** `(int) 5`, `(frozen<set<int>>) ?`: a type in brackets, and a value behind them. */
  isTypeHint(from = 0): boolean {
    const first = this.peek(from)
    if (first.kind !== "ident" && first.kind !== "quoted") return false
    let ahead = from
    let depth = 0
    for (; !this.isOp(")", ahead); ahead++) {
      const { kind, text } = this.peek(ahead)
      if (kind === "op" && !["<", ">", ",", "."].includes(text)) return false
      if (kind !== "op" && kind !== "ident" && kind !== "quoted") return false
      if (text === "<") depth++
      if (text === ">") depth--
      if (text === "," && depth === 0) return false
    }
    const { kind, text } = this.peek(ahead + 1)
    return kind !== "eof" && (kind !== "op" || ["(", "[", "{", "-", ":"].includes(text)) &&
      !(kind === "ident" && (RESERVED.has(text) || FOLLOWS_VALUE.has(text)))
  }

  private word(token: Token): Term {
    const { text } = token
    if (RESERVED.has(text) && !CONSTANTS.has(text)) return this.fail(token)
    if (text === "null") return { _tag: "Null" }
    if (text === "true" || text === "false") return { _tag: "Constant", kind: "BOOLEAN", text }
    if (text === "nan" || text === "infinity") return { _tag: "Constant", kind: "FLOAT", text: token.raw }
    if (this.isOp("(")) return this.call(undefined, text)
    if (this.isOp(".") && this.isOp("(", 2)) {
      this.at++
      return this.call(text, this.name())
    }
    if (ISO_DURATION.test(token.raw)) return { _tag: "Constant", kind: "DURATION", text: token.raw }
    return this.failBehind(token)
  }

  /** A name is no value: what is wrong is that no brackets follow. */
  private failBehind(token: Token): never {
    return this.product === "scylla" ? this.fail() : this.fail(this.token, token)
  }

  /** A function call in place of a value. */
  private call(keyspace: string | undefined, name: string): Term {
    this.expectOp("(")
    const args = this.isOp(")") ? [] : this.list(() => this.term())
    this.expectOp(")")
    return { _tag: "Call", keyspace, name, args }
  }

  /** `{}`, a set, a map, or a user-defined type. */
  private braces(): Term {
    if (this.acceptOp("}")) return { _tag: "Set", items: [] }
    const isField = (this.token.kind === "ident" || this.token.kind === "quoted") && this.isOp(":", 1) &&
      !/^(?:true|false|nan|infinity|null)$/.test(this.token.text)
    if (isField) {
      const fields = this.list((): readonly [string, Term] => {
        const field = this.name()
        this.expectOp(":")
        return [field, this.term()]
      })
      this.expectOp("}")
      return { _tag: "Udt", fields }
    }
    const first = this.term()
    if (!this.acceptOp(":")) {
      const items = this.acceptOp(",") ? [first, ...this.list(() => this.term())] : [first]
      this.expectOp("}")
      return { _tag: "Set", items }
    }
    const entries: Array<readonly [Term, Term]> = [[first, this.term()]]
    while (this.acceptOp(",")) {
      const key = this.term()
      this.expectOp(":")
      entries.push([key, this.term()])
    }
    this.expectOp("}")
    return { _tag: "Map", entries }
  }

  type(): TypeNode {
    return this.nested(() => {
      const token = this.token
      if (token.kind === "string" && this.product === "cassandra") {
        this.at++
        return { _tag: "Custom", className: token.text }
      }
      const quoted = token.kind === "quoted"
      const name = this.name(true)
      if (!quoted && name === "vector" && this.isOp("<")) {
        // ScyllaDB has no such type: to it this is a name.
        if (this.product === "scylla") return { _tag: "Name", keyspace: undefined, name, quoted }
        this.at++
        const element = this.type()
        this.expectOp(",")
        const isNegative = this.acceptOp("-")
        if (this.token.kind !== "int") this.fail()
        const dimension = Number(this.next().text)
        this.expectOp(">")
        return { _tag: "Vector", element, dimension: isNegative ? -dimension : dimension }
      }
      const count = quoted || !this.isOp("<") ? undefined : ARGUMENTS[name]
      if (count !== undefined) {
        this.at++
        const args = [this.type()]
        while (count === "any" ? this.acceptOp(",") : args.length < count) {
          if (count !== "any") this.expectOp(",")
          args.push(this.type())
        }
        this.expectOp(">")
        return { _tag: "Generic", name, args }
      }
      if (this.acceptOp(".")) return { _tag: "Name", keyspace: name, name: this.userTypeName(), quoted: true }
      if (!quoted) this.checkTypeName(name)
      return { _tag: "Name", keyspace: undefined, name, quoted }
    })
  }

  /** The name of a user-defined type, which is none of CQL's own. */
  private userTypeName(): string {
    const isQuoted = this.token.kind === "quoted"
    const name = this.name()
    if (!isQuoted) this.checkTypeName(name)
    return name
  }

  /** What a statement about user-defined types is about. */
  qualifiedType(): { readonly keyspace: string | undefined; readonly name: string } {
    const { kind, text } = this.token
    const isNative = kind === "ident" && (isScalar(text) || (text === "empty" && this.product === "scylla"))
    if (this.isOp(".", 1) || isNative) {
      const keyspace = this.name(true)
      this.expectOp(".")
      return { keyspace, name: this.userTypeName() }
    }
    return { keyspace: undefined, name: kind === "quoted" ? this.name() : this.userTypeName() }
  }

  /** Whether a duration stands here that looks like a name. */
  isNamedDuration(): boolean {
    return this.product === "cassandra" && this.token.kind === "ident" && ISO_DURATION.test(this.token.raw) &&
      this.token.raw === this.token.raw.toUpperCase()
  }

  /** Whether a scalar type stands here. */
  isNativeType(): boolean {
    return this.token.kind === "ident" && isScalar(this.token.text)
  }

  private checkTypeName(name: string): void {
    if (RESERVED_TYPES.has(name) || (name === "empty" && this.product === "scylla")) {
      throw syntax(`Invalid (reserved) user type name ${name}`)
    }
  }

  /** A constant of a property, as text. */
  private propertyText(start = this.token): string {
    const value = this.token
    const term = value.kind === "ident" && !this.isOp("(", 1) ? undefined : this.bareTerm()
    if (term === undefined) return this.name()
    if (term._tag !== "Constant") return this.product === "scylla" ? this.fail(start) : this.fail(value, start)
    return term.text
  }

  /** `start` is the name of the property. */
  property(start?: Token): Property {
    if (!this.acceptOp("{")) return this.propertyText(start)
    const out = new Map<string, string>()
    if (this.acceptOp("}")) return out
    this.list(() => {
      const key = this.propertyText()
      this.expectOp(":")
      out.set(key, this.propertyText())
    })
    this.expectOp("}")
    return out
  }

  /** `a = 1 AND b = {…}`; `other` may take an option that has another form. */
  properties(other: () => boolean = () => false): Map<string, Property> {
    const out = new Map<string, Property>()
    do {
      if (other()) continue
      const start = this.token
      const key = this.name()
      if (!this.acceptOp("=")) {
        if (this.product === "scylla") this.fail(start)
        this.fail(this.token, start)
      }
      if (out.has(key)) {
        throw syntax(`Multiple definition${this.product === "cassandra" ? "s" : ""} for property '${key}'`)
      }
      out.set(key, this.property(start))
    } while (this.accept("and"))
    return out
  }
}
