import { type CqlType, format, parse, udt } from "../CqlType.ts"
import * as Identifier from "../Identifier.ts"
import type { Column } from "../Metadata.ts"
import { Empty, OutOfRangeTime, OutOfRangeTimestamp, Unreadable } from "../Value.ts"
import type { BytesCodec, CodecOptions, UserCodec, UserCodecs } from "./codecOptions.ts"

/**
 * What is wrong with an option.
 *
 * @category models
 * @since 0.1.0
 */
export interface Problem {
  /** Where it stands among the codec options: `types.date`, `types["shop.items.price"]`. */
  readonly path: string
  /** What is wrong, and what would be right. */
  readonly message: string
}

/** A codec, whatever its values. */
export type AnyCodec = UserCodec<any, any>

/** The codecs by what is looked up: see {@link typeKey} and {@link columnKey}. */
type Codecs = ReadonlyMap<string, AnyCodec>

const isFunction = (value: unknown): boolean => typeof value === "function"

export const isBytesCodec = (codec: AnyCodec): codec is BytesCodec<any> =>
  isFunction((codec as BytesCodec<any>).fromBytes)

/** The text of what a codec threw, which may be anything. */
export const messageOf = (cause: unknown): string => {
  try {
    const message: unknown = (cause as { readonly message?: unknown } | null | undefined)?.message
    const text = typeof message === "string" ? message : String(cause)
    return text.length > 200 ? `${text.slice(0, 200)}…` : text
  } catch {
    return "something without a text"
  }
}

const isEmpty = (value: unknown): boolean => value === Empty

/** Of a type, the values that no codec sees: they stand for what JavaScript cannot hold, and are written as they were read. */
export const passesBy = (type: CqlType): (value: unknown) => boolean => {
  switch (type._tag === "Scalar" ? type.name : "") {
    case "timestamp":
      return (value) => value === Empty || value instanceof OutOfRangeTimestamp
    case "time":
      return (value) => value === Empty || value instanceof OutOfRangeTime
    case "varint":
    case "decimal":
      return (value) => value === Empty || value instanceof Unreadable
    default:
      return isEmpty
  }
}

/** What a type is looked up by: unlike `format` it has the keyspaces of user-defined types. */
const typeKey = (type: CqlType): string => {
  switch (type._tag) {
    case "List":
    case "Set":
      return `${type._tag} ${typeKey(type.element)}`
    case "Map":
      return `Map ${typeKey(type.key)} ${typeKey(type.value)}`
    case "Tuple":
      return `Tuple ${type.elements.length} ${type.elements.map(typeKey).join(" ")}`
    case "Vector":
      return `Vector ${type.dimension} ${typeKey(type.element)}`
    case "Udt":
      return `Udt ${Identifier.quote(type.keyspace)}.${Identifier.quote(type.name)}`
    default:
      return format(type)
  }
}

/** Apart from the key of any type by what it begins with. */
const columnKey = (keyspace: string, table: string, column: string): string =>
  `Column ${[keyspace, table, column].map(Identifier.quote).join(".")}`

/** Texts in single quotes, and names with dots between them, each of which may be quoted. */
const DOTTED = /'(?:[^']|'')*'|(?:"(?:[^"]|"")*"|[^\s<>,.'"]+)?(?:\s*\.\s*(?:"(?:[^"]|"")*"|[^\s<>,.'"]+)?)+/g

const NAME = /"(?:[^"]|"")*"|[^\s."]+/g

class Malformed {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** The names between the dots, as servers have them. */
const namesOf = (dotted: string): ReadonlyArray<string> => {
  if (/^\s*\.|\.\s*(?:\.|$)/.test(dotted)) throw new Malformed(`a name is missing in ${dotted}`)
  return (dotted.match(NAME) ?? []).map((name) => {
    if (name.startsWith('"')) {
      if (name === '""') throw new Malformed(`a name is missing in ${dotted}`)
      return name.slice(1, -1).replaceAll('""', '"')
    }
    if (!/^\w+$/.test(name)) throw new Malformed(`${name} is no name of CQL: put it in double quotes`)
    if (name !== name.toLowerCase()) {
      throw new Malformed(
        `CQL reads ${name} as ${name.toLowerCase()}: write "${name}" in double quotes, or all in lower case`
      )
    }
    return name
  })
}

/** What a key of the option stands for. Throws {@link Malformed}. */
const keyOf = (key: string): string => {
  const whole = key.trim()
  const dotted = whole.match(DOTTED)
  if (dotted?.[0] === whole && !whole.startsWith("'")) {
    const names = namesOf(whole)
    if (names.length === 3) return columnKey(names[0]!, names[1]!, names[2]!)
    if (names.length > 3) {
      throw new Malformed(
        `${names.length} names: a column is keyspace.table.column, a user-defined type keyspace.type, a custom class stands in single quotes`
      )
    }
  }
  const found: Array<CqlType> = []
  const text = whole.replace(DOTTED, (part) => {
    if (part.startsWith("'")) return part
    const names = namesOf(part)
    if (names.length !== 2) throw new Malformed(`${part}: a user-defined type is written keyspace.type`)
    found.push(udt(names[0]!, names[1]!, []))
    // No name that anybody gives: it is looked up below.
    return `"\u0000${found.length - 1}"`
  })
  let bare: string | undefined
  const type = parse(text, (name) => {
    const known = name.startsWith("\u0000") ? found[Number(name.slice(1))] : undefined
    if (known === undefined) bare = name
    return known
  })
  if (typeof type !== "string") return typeKey(type)
  if (bare === undefined) {
    const why = type.slice(0, type.lastIndexOf(" in the type "))
    throw new Malformed(`no type of CQL: ${why.replace(/"\0(\d+)"/, (_, i) => format(found[Number(i)]!))}`)
  }
  throw new Malformed(
    `no type of CQL has the name ${bare.slice(0, 200)}: a user-defined type is written with its keyspace, as shop.${
      Identifier.format(bare.slice(0, 200))
    }, a column as shop.items.price`
  )
}

/** What is wrong with a codec itself. */
const flawOf = (codec: unknown): string | undefined => {
  // A class with static methods is one, too.
  if ((typeof codec !== "object" && !isFunction(codec)) || codec === null) {
    return "expected an object with decode and encode, or with fromBytes and toBytes"
  }
  const { decode, encode, fromBytes, toBytes } = codec as Record<string, unknown>
  const ofValues = isFunction(decode) && isFunction(encode)
  const ofBytes = isFunction(fromBytes) && isFunction(toBytes)
  if (ofValues && fromBytes === undefined && toBytes === undefined) return undefined
  if (ofBytes && decode === undefined && encode === undefined) return undefined
  if (ofValues || ofBytes) return "decode and encode, or fromBytes and toBytes, but not both"
  return "decode and encode, or fromBytes and toBytes, are functions, and both are needed"
}

interface Read {
  readonly codecs: Codecs
  readonly problems: ReadonlyArray<Problem>
}

const read = (types: UserCodecs): Read => {
  const codecs = new Map<string, AnyCodec>()
  const problems: Array<Problem> = []
  const spelled = new Map<string, string>()
  for (const [key, codec] of Object.entries(types)) {
    if (codec === undefined) continue
    const path = /^[a-z]+$/.test(key) ? `types.${key}` : `types[${JSON.stringify(key)}]`
    try {
      const meant = keyOf(key)
      const other = spelled.get(meant)
      if (other !== undefined) problems.push({ path, message: `means the same as ${JSON.stringify(other)}` })
      spelled.set(meant, key)
      const flaw = flawOf(codec)
      if (flaw === undefined) codecs.set(meant, codec)
      else problems.push({ path, message: flaw })
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      problems.push({ path, message: error.message })
    }
  }
  return { codecs, problems }
}

const known = new WeakMap<object, Read>()

/** Read once for each object: decoders are compiled from it again and again. */
const readOnce = (types: UserCodecs): Read => {
  const before = known.get(types)
  if (before !== undefined) return before
  const now = read(types)
  known.set(types, now)
  return now
}

/** What is wrong with the codecs among the options. */
export const problemsOf = (options: CodecOptions): ReadonlyArray<Problem> => {
  const { types } = options
  if (types === undefined) return []
  if (typeof types !== "object" || types === null || Array.isArray(types)) {
    return [{ path: "types", message: "expected an object of codecs by type or column" }]
  }
  return readOnce(types).problems
}

const codecsOf = (options: CodecOptions): Codecs | undefined => {
  if (options.types === undefined) return undefined
  demand(options)
  return readOnce(options.types).codecs
}

/** Throws `TypeError` for options that {@link problemsOf} finds something wrong with. */
export const demand = (options: CodecOptions): void => {
  const problems = problemsOf(options)
  if (problems.length === 0) return
  throw new TypeError(`codec options: ${problems.map(({ message, path }) => `${path}: ${message}`).join("; ")}`)
}

/** The user's codec of a type, if there is one. */
export const codecOfType = (type: CqlType, options: CodecOptions): AnyCodec | undefined =>
  codecsOf(options)?.get(typeKey(type))

/** The user's codec of a column, under this of its names. Those of its type are not looked at. */
export const codecOfColumn = (column: Column, name: string, options: CodecOptions): AnyCodec | undefined =>
  codecsOf(options)?.get(columnKey(column.keyspace, column.table, name))
