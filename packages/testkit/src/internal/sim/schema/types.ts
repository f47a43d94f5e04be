/** Types as the schema knows them: with `frozen`, which decides how a value is stored, printed and written. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as Identifier from "@effect-scylla/protocol/Identifier"
import { invalid } from "../failure.ts"
import type { TypeNode } from "../parse/ast.ts"

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

const simple = (name: CqlType.ScalarName): SimType => ({
  cql: CqlType.scalar(name),
  text: name,
  multiCell: false,
  uses: []
})

const freeze = (type: SimType): SimType =>
  type.multiCell ? { ...type, text: `frozen<${type.text}>`, multiCell: false } : type

const isDuration = (type: CqlType.CqlType): boolean => type._tag === "Scalar" && type.name === "duration"

/** What a collection holds: frozen, and never a counter. `inside` says that the collection is frozen itself. */
const inner = (type: SimType, inside: boolean, owner: string): SimType => {
  if (type.text === "counter") throw invalid(`Counters are not allowed inside collections: ${owner}<counter>`)
  if (!type.multiCell) return type
  if (!inside) {
    throw invalid(`Non-frozen user types or collections are not allowed inside collections: ${owner}<${type.text}>`)
  }
  return freeze(type)
}

/** Resolves a type as it is written in DDL. `lookup` finds user-defined types of the keyspace. */
export const resolve = (
  node: TypeNode,
  lookup: (keyspace: string | undefined, name: string) => UserType | undefined,
  inside = false
): SimType => {
  if (node._tag === "Name") {
    if (!node.quoted) {
      const scalar = CqlType.parse(node.name)
      if (typeof scalar !== "string" && scalar._tag === "Scalar") return simple(scalar.name)
    }
    const udt = lookup(node.keyspace, node.name)
    if (udt === undefined) {
      throw invalid(`Unknown type ${node.keyspace === undefined ? "" : `${node.keyspace}.`}${node.name}`)
    }
    return { cql: udt.cql, text: Identifier.format(udt.name), multiCell: true, uses: [udt.name] }
  }
  if (node._tag === "Vector") {
    if (node.dimension < 1) throw invalid(`vectors may only have positive dimensions; given ${node.dimension}`)
    const element = resolve(node.element, lookup, true)
    return {
      cql: CqlType.vector(element.cql, node.dimension),
      text: `vector<${element.text}, ${node.dimension}>`,
      multiCell: false,
      uses: element.uses
    }
  }
  const expect = (count: number): void => {
    if (node.args.length !== count) throw invalid(`${node.name} takes ${count} type argument${count > 1 ? "s" : ""}`)
  }
  const arg = (index: number, frozen: boolean): SimType => resolve(node.args[index]!, lookup, frozen)
  switch (node.name) {
    case "frozen": {
      expect(1)
      const type = arg(0, true)
      if (!type.multiCell && type.cql._tag === "Scalar") {
        throw invalid(`frozen<> is only allowed on collections, tuples, and user-defined types (got ${type.text})`)
      }
      return freeze(type)
    }
    case "list":
    case "set": {
      expect(1)
      const element = inner(arg(0, inside), inside, node.name)
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
      expect(2)
      const key = inner(arg(0, inside), inside, node.name)
      const value = inner(arg(1, inside), inside, node.name)
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
      const elements = node.args.map((_, index) => inner(arg(index, true), true, node.name))
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
