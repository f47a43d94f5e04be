/**
 * CQL types as data: what metadata on the wire and the texts of schema tables are turned into.
 *
 * @since 0.1.0
 */
import type { Version } from "./Dialect.ts"
import * as Identifier from "./Identifier.ts"
import { areDistinct, classNameOf, MAX_DEPTH, MAX_DIMENSION, parseClassName } from "./internal/className.ts"
import {
  type CqlType,
  SCALAR_CODES,
  type ScalarName,
  scalarsByCode,
  scalarsByName,
  type UdtField
} from "./internal/types.ts"
import { DecodeError } from "./ProtocolError.ts"
import type { Reader } from "./Reader.ts"
import type { Writer } from "./Writer.ts"

export { type CqlType, scalar, SCALAR_CODES, type ScalarName, type UdtField } from "./internal/types.ts"

/**
 * `list<element>`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const list = (element: CqlType): CqlType => ({ _tag: "List", element })

/**
 * `set<element>`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const set = (element: CqlType): CqlType => ({ _tag: "Set", element })

/**
 * `map<key, value>`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const map = (key: CqlType, value: CqlType): CqlType => ({ _tag: "Map", key, value })

/**
 * `tuple<…>` of the given types.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tuple = (...elements: ReadonlyArray<CqlType>): CqlType => ({ _tag: "Tuple", elements })

/**
 * A user-defined type, with its fields in the order of its definition.
 *
 * @category constructors
 * @since 0.1.0
 */
export const udt = (keyspace: string, name: string, fields: ReadonlyArray<UdtField>): CqlType => ({
  _tag: "Udt",
  keyspace,
  name,
  fields
})

/**
 * `vector<element, dimension>`. Throws `RangeError` for a dimension that is no integer from 1 to 2^31-1.
 *
 * @category constructors
 * @since 0.1.0
 */
export const vector = (element: CqlType, dimension: number): CqlType => {
  if (!isDimension(dimension)) {
    throw new RangeError(`the dimension of a vector is an integer from 1 to ${MAX_DIMENSION}, got ${dimension}`)
  }
  return { _tag: "Vector", element, dimension }
}

const isDimension = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= MAX_DIMENSION

/** Types that take types, and how many; a tuple takes any number from one. */
const ARITY: ReadonlyMap<string, number> = new Map([["list", 1], ["set", 1], ["map", 2], ["tuple", 0], ["frozen", 1]])

const isBuiltIn = (name: string): boolean =>
  scalarsByName.has(name) || ARITY.has(name) || name === "vector" || name === "empty"

/**
 * The type as it is written in CQL, `map<text, frozen<list<int>>>` without the `frozen`. The name of a user-defined type
 * is quoted where CQL needs it, the keyspace is left out.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (type: CqlType): string => {
  switch (type._tag) {
    case "Scalar":
      return type.name
    case "List":
      return `list<${format(type.element)}>`
    case "Set":
      return `set<${format(type.element)}>`
    case "Map":
      return `map<${format(type.key)}, ${format(type.value)}>`
    case "Tuple":
      return `tuple<${type.elements.map(format).join(", ")}>`
    case "Udt":
      // The name of a built-in type is that type unless it is quoted.
      return isBuiltIn(type.name) ? Identifier.quote(type.name) : Identifier.format(type.name)
    case "Vector":
      return `vector<${format(type.element)}, ${type.dimension}>`
    case "Custom":
      return `'${type.className.replaceAll("'", "''")}'`
  }
}

/**
 * Whether two types are the same through and through: what is encoded or decoded by the one can be by the other, and means
 * the same. Of user-defined types the keyspace, the name and all fields count, with their names, order and types; of vectors
 * the dimension, of custom types the class name as it was announced. {@link format} is no such comparison: it names a
 * user-defined type without what is in it, which `ALTER TYPE` changes.
 *
 * Whether a type is frozen does not count, as neither codes nor {@link CqlType} say it; in the name of a custom class it is
 * a part of the name.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSame = (a: CqlType, b: CqlType): boolean => {
  if (a === b) return true
  switch (a._tag) {
    case "Scalar":
      return b._tag === "Scalar" && a.name === b.name
    case "List":
      return b._tag === "List" && isSame(a.element, b.element)
    case "Set":
      return b._tag === "Set" && isSame(a.element, b.element)
    case "Map":
      return b._tag === "Map" && isSame(a.key, b.key) && isSame(a.value, b.value)
    case "Tuple":
      return b._tag === "Tuple" && a.elements.length === b.elements.length &&
        a.elements.every((element, i) => isSame(element, b.elements[i]!))
    case "Udt":
      return b._tag === "Udt" && a.keyspace === b.keyspace && a.name === b.name &&
        a.fields.length === b.fields.length &&
        a.fields.every((field, i) => field.name === b.fields[i]!.name && isSame(field.type, b.fields[i]!.type))
    case "Vector":
      return b._tag === "Vector" && a.dimension === b.dimension && isSame(a.element, b.element)
    case "Custom":
      return b._tag === "Custom" && a.className === b.className
  }
}

/** What schema tables call the type of compact tables without a value column; its values are bytes, none of them. */
const EMPTY: CqlType = { _tag: "Custom", className: "org.apache.cassandra.db.marshal.EmptyType" }

/** Any other character is a token of its own, which no type has. */
const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")+"|[\w.]+|[^\s]/g

/**
 * The type that a class name stands for, as servers announce types that have no code of their own:
 * `org.apache.cassandra.db.marshal.VectorType(org.apache.cassandra.db.marshal.FloatType , 3)`. `FrozenType` and
 * `ReversedType` are seen through, the names of user-defined types and of their fields are hexadecimal. Classes without a
 * type in CQL (`CompositeType`, `DynamicCompositeType`, a class of one's own) and texts that are no class names are a custom
 * type of that name, whose values are bytes.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromClassName = (className: string): CqlType => parseClassName(className) ?? { _tag: "Custom", className }

/**
 * The class name of a type, which {@link fromClassName} reads back.
 *
 * @category encoding
 * @since 0.1.0
 */
export const className: (type: CqlType) => string = classNameOf

/** By version, the scalar types that it has no code for (native_protocol_v3.spec and v4 section 4.2.5.2). */
const WITHOUT_CODE: Record<Version, ReadonlySet<ScalarName>> = {
  3: new Set<ScalarName>(["date", "time", "smallint", "tinyint", "duration"]),
  4: new Set<ScalarName>(["duration"]),
  5: new Set<ScalarName>()
}

/**
 * The type as Apache Cassandra announces it on a version: by class name where the version has no code for it, inside other
 * types, too. ScyllaDB writes the codes on every version, and so does {@link write}.
 *
 * @category encoding
 * @since 0.1.0
 */
export const announced = (type: CqlType, version: Version): CqlType => {
  const inner = (each: CqlType): CqlType => announced(each, version)
  switch (type._tag) {
    case "Scalar":
      return WITHOUT_CODE[version].has(type.name) ? { _tag: "Custom", className: classNameOf(type) } : type
    case "List":
      return list(inner(type.element))
    case "Set":
      return set(inner(type.element))
    case "Map":
      return map(inner(type.key), inner(type.value))
    case "Tuple":
      return tuple(...type.elements.map(inner))
    case "Udt":
      return udt(type.keyspace, type.name, type.fields.map((field) => ({ name: field.name, type: inner(field.type) })))
    case "Vector":
    case "Custom":
      // By class name anyway.
      return type
  }
}

/**
 * Reads a type as schema tables and DDL write it: `frozen<map<text, int>>`, `'org.apache…'`, or the name of a
 * user-defined type, which `resolve` looks up. Answers a message for a text that is no type.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (
  text: string,
  resolve: (name: string) => CqlType | undefined = () => undefined
): CqlType | string => {
  const tokens = text.match(TOKEN) ?? []
  let at = 0
  let depth = 0
  const fail = (why: string): never => {
    throw new DecodeError({ message: `${why} in the type ${JSON.stringify(text.slice(0, 200))}` })
  }
  const argumentsOf = (name: string): ReadonlyArray<CqlType> => {
    if (tokens[at++] !== "<") fail(`"<" expected after ${name}`)
    if (++depth > MAX_DEPTH) fail(`more than ${MAX_DEPTH} levels`)
    const out = [type()]
    while (tokens[at] === ",") {
      at++
      out.push(type())
    }
    if (tokens[at++] !== ">") fail(`">" expected`)
    depth--
    return out
  }
  const vectorArguments = (): CqlType => {
    if (tokens[at++] !== "<") fail(`"<" expected after vector`)
    if (++depth > MAX_DEPTH) fail(`more than ${MAX_DEPTH} levels`)
    const element = type()
    if (tokens[at++] !== ",") fail(`"," expected in front of the dimension`)
    const dimension = /^\d+$/.test(tokens[at] ?? "") ? Number(tokens[at]) : 0
    at++
    if (!isDimension(dimension)) fail(`a dimension from 1 to ${MAX_DIMENSION} expected`)
    if (tokens[at++] !== ">") fail(`">" expected`)
    depth--
    return vector(element, dimension)
  }
  const type = (): CqlType => {
    const token = tokens[at++]
    if (token === undefined || !/^["'\w]/.test(token)) return fail("a type name expected")
    if (token.startsWith("'")) return fromClassName(token.slice(1, -1).replaceAll("''", "'"))
    const quoted = token.startsWith('"')
    const name = quoted ? token.slice(1, -1).replaceAll('""', '"') : token.toLowerCase()
    if (!quoted) {
      const known = scalarsByName.get(name)
      if (known !== undefined) return known
      if (name === "vector") return vectorArguments()
      if (name === "empty") return resolve(name) ?? EMPTY
      const arity = ARITY.get(name)
      if (arity !== undefined) {
        const inner = argumentsOf(name)
        if (arity > 0 && inner.length !== arity) fail(`${name} takes ${arity} type argument${arity > 1 ? "s" : ""}`)
        switch (name) {
          case "frozen":
            return inner[0]!
          case "list":
            return list(inner[0]!)
          case "set":
            return set(inner[0]!)
          case "map":
            return map(inner[0]!, inner[1]!)
          default:
            return tuple(...inner)
        }
      }
    }
    return resolve(name) ?? fail(`unknown type ${name.slice(0, 200)}`)
  }
  try {
    const parsed = type()
    return at === tokens.length ? parsed : fail(`unexpected ${tokens[at]}`)
  } catch (error) {
    if (error instanceof DecodeError) return error.message
    throw error
  }
}

/**
 * Reads an `[option]`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const read = (r: Reader, depth = 0): CqlType => {
  if (depth > MAX_DEPTH) throw new DecodeError({ message: `types are nested more than ${MAX_DEPTH} deep` })
  const code = r.u16()
  const known = scalarsByCode.get(code)
  if (known !== undefined) return known
  switch (code) {
    case 0x00:
      return fromClassName(r.string())
    case 0x20:
      return list(read(r, depth + 1))
    case 0x21:
      return map(read(r, depth + 1), read(r, depth + 1))
    case 0x22:
      return set(read(r, depth + 1))
    case 0x30: {
      const keyspace = r.string()
      const name = r.string()
      const count = r.count(r.u16(), 4)
      const fields: Array<UdtField> = []
      for (let i = 0; i < count; i++) fields.push({ name: r.string(), type: read(r, depth + 1) })
      if (!areDistinct(fields)) throw new DecodeError({ message: `a type ${name} with two fields of one name` })
      return udt(keyspace, name, fields)
    }
    case 0x31: {
      const count = r.count(r.u16(), 2)
      const elements: Array<CqlType> = []
      for (let i = 0; i < count; i++) elements.push(read(r, depth + 1))
      return { _tag: "Tuple", elements }
    }
    default:
      throw new DecodeError({ message: `unknown type code 0x${code.toString(16).padStart(4, "0")}` })
  }
}

/**
 * Writes an `[option]`, each type by its code where there is one; see {@link announced} for versions that lack some.
 *
 * @category encoding
 * @since 0.1.0
 */
export const write = (w: Writer, type: CqlType): void => {
  switch (type._tag) {
    case "Scalar":
      w.u16(SCALAR_CODES[type.name])
      return
    case "Vector":
    case "Custom":
      w.u16(0x00)
      w.string(classNameOf(type))
      return
    case "List":
      w.u16(0x20)
      write(w, type.element)
      return
    case "Map":
      w.u16(0x21)
      write(w, type.key)
      write(w, type.value)
      return
    case "Set":
      w.u16(0x22)
      write(w, type.element)
      return
    case "Udt":
      w.u16(0x30)
      w.string(type.keyspace)
      w.string(type.name)
      w.u16(type.fields.length)
      for (const field of type.fields) {
        w.string(field.name)
        write(w, field.type)
      }
      return
    case "Tuple":
      w.u16(0x31)
      w.u16(type.elements.length)
      for (const element of type.elements) write(w, element)
      return
  }
}
