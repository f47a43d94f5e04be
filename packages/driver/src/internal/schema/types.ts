/** Types as the schema's texts have them. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { quote } from "@effect-scylla/protocol/Identifier"
import type { TypeOf } from "./model.ts"

const TOKEN = /\s*(?:("(?:[^"]|"")+")|('(?:[^']|'')*')|(\w+)|([<>,]))/y

/** As deep as types go. */
const MAX_DEPTH = 32

/** The text in one form, tokens between which nothing but types can be; `undefined` for one that is no type. */
const formatted = (text: string): string | undefined => {
  let at = 0
  let depth = 0
  const next = (): RegExpExecArray | null => {
    TOKEN.lastIndex = at
    const found = TOKEN.exec(text)
    if (found !== null) at = TOKEN.lastIndex
    return found
  }
  const isNext = (sign: string): boolean => {
    const before = at
    if (next()?.[4] === sign) return true
    at = before
    return false
  }
  const type = (): string | undefined => {
    const [, quoted, className, word] = next() ?? []
    if (className !== undefined) return className
    if (quoted !== undefined) return quote(quoted.slice(1, -1).replaceAll('""', '"'))
    if (word === undefined || ++depth > MAX_DEPTH) return undefined
    if (!isNext("<")) {
      depth--
      return word
    }
    const inner: Array<string> = []
    do {
      const one = type()
      if (one === undefined) return undefined
      inner.push(one)
    } while (isNext(","))
    depth--
    return isNext(">") ? `${word}<${inner.join(", ")}>` : undefined
  }
  const found = type()
  return found !== undefined && text.slice(at).trim() === "" ? found : undefined
}

/** As it stands in a statement. What is no type is the name of a class, in quotes. */
export const toText = (text: string): string => formatted(text) ?? `'${text.replaceAll("'", "''")}'`

/** Without a `frozen` around all of it, which arguments and results of functions do not have in statements. */
export const thawed = (text: string): string => /^\s*frozen\s*<([^]*)>\s*$/i.exec(text)?.[1] ?? text

/** Types that have been read, by their texts: the same few stand in thousands of columns. */
export class Types {
  private readonly known = new Map<string, TypeOf>()
  private readonly resolve: (name: string) => CqlType.CqlType | undefined

  constructor(resolve: (name: string) => CqlType.CqlType | undefined) {
    this.resolve = resolve
  }

  of(text: string): TypeOf {
    const known = this.known.get(text)
    if (known !== undefined) return known
    const parsed = CqlType.parse(text, this.resolve)
    const type: CqlType.CqlType = typeof parsed === "string" ? { _tag: "Custom", className: text } : parsed
    const made = { type, text }
    this.known.set(text, made)
    return made
  }
}
