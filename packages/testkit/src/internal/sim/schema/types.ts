/** Types as the schema knows them: with `frozen`, which decides how a value is stored, printed and written. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as Identifier from "@effect-scylla/protocol/Identifier"
import { invalid, syntax } from "../failure.ts"
import type { TypeNode } from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"

export interface SimType {
  readonly cql: CqlType.CqlType
  /** As schema tables print it. */
  readonly text: string
  /** A collection or user-defined type that is not frozen. */
  readonly multiCell: boolean
  /** The names of user-defined types in it. */
  readonly uses: ReadonlyArray<string>
}

/** A user-defined type of a keyspace. */
export interface UserType {
  readonly name: string
  readonly cql: Extract<CqlType.CqlType, { readonly _tag: "Udt" }>
  readonly fields: ReadonlyArray<{ readonly name: string; readonly type: SimType }>
  /** User-defined types that this one is made of. */
  readonly uses: ReadonlyArray<string>
}

/** Where a type is looked up. */
export interface TypeScope {
  readonly product: Product
  /** The user-defined type of a name; what there is none of is an error of its own, or unknown. */
  readonly find: (keyspace: string | undefined, name: string) => UserType | undefined
}

const simple = (name: CqlType.ScalarName): SimType => ({
  cql: CqlType.scalar(name),
  text: name,
  multiCell: false,
  uses: []
})

const freeze = (type: SimType): SimType =>
  type.multiCell ? { ...type, text: `frozen<${type.text}>`, multiCell: false } : type

const isDuration = (type: CqlType.CqlType): boolean => type._tag === "Scalar" && type.name === "duration"

/** A type as messages of ScyllaDB have it: user-defined ones with their keyspaces. */
const shown = ({ cql, text }: SimType, product: Product): string =>
  product === "scylla" && cql._tag === "Udt" ? `${cql.keyspace}.${text}` : text

/** A type that is no type of CQL's own, and whose name says nothing of what it is. */
export const isUserName = (node: TypeNode): node is Extract<TypeNode, { readonly _tag: "Name" }> =>
  node._tag === "Name" && (node.quoted || scalarOf(node.name) === undefined)

const scalarOf = (name: string): CqlType.ScalarName | undefined => {
  const parsed = CqlType.parse(name)
  return typeof parsed !== "string" && parsed._tag === "Scalar" ? parsed.name : undefined
}

/** A type as it was written. */
export const nodeText = (node: TypeNode): string =>
  node._tag === "Name"
    ? node.name
    : node._tag === "Vector"
    ? `vector<${nodeText(node.element)}, ${node.dimension}>`
    : node._tag === "Custom"
    ? node.className
    : `${node.name}<${node.args.map(nodeText).join(", ")}>`

/** What collections hold: frozen, and never a counter. `inside` says that the collection is frozen itself. */
const held = (node: Extract<TypeNode, { readonly _tag: "Generic" }>, scope: TypeScope, inside: boolean) => {
  const { product } = scope
  const wrong = (what: string, text: string): Error => invalid(`${what} are not allowed inside collections: ${text}`)
  // Cassandra does not look up what it does not take anyway.
  const bare = product === "cassandra" && !inside && node.args.some(isUserName)
  if (bare) throw wrong("Non-frozen UDTs", nodeText(node))
  const types = node.args.map((arg) => resolve(arg, scope, inside))
  const text = `${node.name}<${types.map((type) => shown(type, product)).join(", ")}>`
  types.forEach((type, i) => {
    // ScyllaDB lets a counter be a key.
    const isKey = node.name === "map" && i === 0
    if (type.text === "counter" && node.name === "tuple" && product === "cassandra") {
      throw invalid("Counters are not allowed inside tuples")
    }
    if (type.text === "counter" && !(isKey && product === "scylla")) throw wrong("Counters", text)
    if (type.multiCell && !inside) {
      throw wrong(product === "scylla" ? "Non-frozen user types or collections" : "Non-frozen collections", text)
    }
  })
  return types.map(freeze)
}

/** A type by the name of its class, which Cassandra takes. */
const customOf = (className: string): SimType => {
  const full = className.includes(".") ? className : PACKAGE + className
  const cql = CqlType.fromClassName(full)
  if (cql._tag === "Custom") {
    throw syntax(`Error setting type ${className}: Unable to find abstract-type class '${full}'`)
  }
  return cql._tag === "Scalar"
    ? simple(cql.name)
    : { cql, text: `frozen<${CqlType.format(cql)}>`, multiCell: false, uses: [] }
}

const PACKAGE = "org.apache.cassandra.db.marshal."

/** Resolves a type as it is written. */
export const resolve = (node: TypeNode, scope: TypeScope, inside = false): SimType => {
  if (node._tag === "Name") {
    const scalar = node.quoted ? undefined : scalarOf(node.name)
    if (scalar !== undefined) return simple(scalar)
    const udt = scope.find(node.keyspace, node.name)
    if (udt === undefined) {
      throw invalid(`Unknown type ${node.keyspace === undefined ? "" : `${node.keyspace}.`}${node.name}`)
    }
    return { cql: udt.cql, text: Identifier.format(udt.name), multiCell: true, uses: [udt.name] }
  }
  if (node._tag === "Custom") return customOf(node.className)
  if (node._tag === "Vector") {
    if (node.dimension < 1) throw invalid(`vectors may only have positive dimensions; given ${node.dimension}`)
    const element = resolve(node.element, scope, true)
    return {
      cql: CqlType.vector(element.cql, node.dimension),
      text: `vector<${element.text}, ${node.dimension}>`,
      multiCell: false,
      uses: element.uses
    }
  }
  switch (node.name) {
    case "frozen": {
      const type = resolve(node.args[0]!, scope, true)
      if (!type.multiCell && type.cql._tag === "Scalar") {
        throw syntax(`frozen<> is only allowed on collections, tuples, and user-defined types (got ${type.text})`)
      }
      return freeze(type)
    }
    case "list":
    case "set": {
      const [element] = held(node, scope, inside) as [SimType]
      if (node.name === "set" && isDuration(element.cql)) {
        throw invalid("Durations are not allowed inside sets: set<duration>")
      }
      return {
        cql: node.name === "list" ? CqlType.list(element.cql) : CqlType.set(element.cql),
        text: `${node.name}<${element.text}>`,
        multiCell: true,
        uses: element.uses
      }
    }
    case "map": {
      const [key, value] = held(node, scope, inside) as [SimType, SimType]
      if (isDuration(key.cql)) throw invalid(`Durations are not allowed as map keys: map<${key.text}, ${value.text}>`)
      return {
        cql: CqlType.map(key.cql, value.cql),
        text: `map<${key.text}, ${value.text}>`,
        multiCell: true,
        uses: [...key.uses, ...value.uses]
      }
    }
    case "tuple": {
      // A tuple is always frozen, and so is what it holds.
      const elements = held(node, scope, true)
      return {
        cql: CqlType.tuple(...elements.map((element) => element.cql)),
        text: `frozen<tuple<${elements.map((element) => element.text).join(", ")}>>`,
        multiCell: false,
        uses: elements.flatMap((element) => element.uses)
      }
    }
    default:
      throw invalid(`Unknown type ${node.name}`)
  }
}

/** A type of a system table, by its CQL text. */
export const ofText = (text: string): SimType => {
  const cql = CqlType.parse(text)
  if (typeof cql === "string") throw new TypeError(cql)
  return { cql, text, multiCell: cql._tag !== "Scalar" && !text.startsWith("frozen<"), uses: [] }
}
