/** Terms of statements, compiled once into functions of the bound values. */
import { type CqlType, format } from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"
import type { RawValue } from "@effect-scylla/protocol/Request"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid, unsupported } from "../failure.ts"
import type { Term } from "../parse/ast.ts"
import { checkOf, collection, normalize, record } from "../storage/values.ts"
import { encodeConstant } from "./literals.ts"

export type Bound = ReadonlyArray<RawValue>

export type Compiled = (values: Bound) => RawValue

/** How the marker of `c IN ?` is called: `in(c)` or `IN(c)`. */
export type InName = "in" | "IN"

/** Bind variables of a statement, as the parser and the server call them. */
export interface Markers {
  /** Empty for `?`. */
  readonly names: ReadonlyArray<string>
  readonly inName: InName
}

/** Collects what is learnt about the bind variables of a statement. */
export class Variables {
  readonly columns: Array<Column | undefined>
  readonly names: ReadonlyArray<string>
  readonly inName: InName
  private keyspace: string
  private table: string

  constructor({ inName, names }: Markers, keyspace: string, table: string) {
    this.names = names
    this.inName = inName
    this.columns = names.map(() => undefined)
    this.keyspace = keyspace
    this.table = table
  }

  /** What is added next belongs to another table, as in a batch. */
  of(keyspace: string, table: string): void {
    this.keyspace = keyspace
    this.table = table
  }

  /** Notes the type of a variable. A name used twice is one variable (ScyllaDB), and must be of one type. */
  add(index: number, name: string, type: CqlType): void {
    const known = this.columns[index]
    if (known !== undefined && format(known.type) !== format(type)) {
      throw invalid(
        `variable ${known.name} is used as ${format(known.type)} and as ${format(type)}: use two variables`
      )
    }
    this.columns[index] ??= {
      keyspace: this.keyspace,
      table: this.table,
      name: this.names[index] === "" ? name : this.names[index]!,
      type
    }
  }

  /** All of them; every marker was visited while the statement was compiled. */
  get all(): ReadonlyArray<Column> {
    return this.columns.map((column) => {
      if (column === undefined) throw unsupported("a bind variable in this place")
      return column
    })
  }
}

const constant = (value: RawValue): Compiled => () => value

const hasMarker = (term: Term): boolean => {
  switch (term._tag) {
    case "Marker":
      return true
    case "List":
    case "Set":
    case "Tuple":
      return term.items.some(hasMarker)
    case "Map":
      return term.entries.some(([key, value]) => hasMarker(key) || hasMarker(value))
    case "Udt":
      return term.fields.some(([, value]) => hasMarker(value))
    default:
      return false
  }
}

const wrongKind = (kind: string, name: string, type: CqlType): never => {
  throw invalid(`Invalid ${kind} literal for ${name} of type ${format(type)}`)
}

/** An element of a collection: neither null nor unset. */
const element = (term: Term, type: CqlType, name: string, variables: Variables): (values: Bound) => Uint8Array => {
  const compiled = compile(term, type, name, variables)
  return (values) => {
    const bytes = compiled(values)
    if (bytes === null) throw invalid("null is not supported inside collections")
    if (!(bytes instanceof Uint8Array)) throw invalid(`unset value is not supported inside collections`)
    return bytes
  }
}

const parts = (
  terms: ReadonlyArray<Term | undefined>,
  types: ReadonlyArray<CqlType>,
  name: string,
  variables: Variables
): Compiled => {
  const compiled = terms.map((term, i) => term === undefined ? undefined : compile(term, types[i]!, name, variables))
  return (values) => {
    const out: Array<Uint8Array | null> = compiled.map((part) => {
      const bytes = part === undefined ? null : part(values)
      if (bytes === Unset) throw invalid(`Invalid unset value for tuple field of ${name}`)
      return bytes as Uint8Array | null
    })
    return record(out)
  }
}

const compileDynamic = (term: Term, type: CqlType, name: string, variables: Variables): Compiled => {
  switch (term._tag) {
    case "Null":
      return constant(null)
    case "Constant": {
      const bytes = encodeConstant(type, term, name)
      return constant(bytes)
    }
    case "Call":
      throw unsupported(`the function ${term.name}()`)
    case "Marker": {
      const { index } = term
      variables.add(index, name, type)
      const check = checkOf(type, name)
      return (values) => {
        const bytes = values[index]!
        return bytes instanceof Uint8Array ? check(bytes) : bytes
      }
    }
    case "List": {
      if (type._tag !== "List") return wrongKind("list", name, type)
      const items = term.items.map((item) => element(item, type.element, `value(${name})`, variables))
      return (values) => collection(items.length, items.map((item) => item(values)))
    }
    case "Set": {
      // `{}` is the empty map as well.
      if (type._tag === "Map" && term.items.length === 0) return constant(collection(0, []))
      if (type._tag !== "Set") return wrongKind("set", name, type)
      const items = term.items.map((item) => element(item, type.element, `value(${name})`, variables))
      return (values) => normalize(type, collection(items.length, items.map((item) => item(values))))
    }
    case "Map": {
      if (type._tag !== "Map") return wrongKind("map", name, type)
      const items = term.entries.flatMap(([key, value]) => [
        element(key, type.key, `key(${name})`, variables),
        element(value, type.value, `value(${name})`, variables)
      ])
      return (values) => normalize(type, collection(items.length / 2, items.map((item) => item(values))))
    }
    case "Tuple": {
      // `(1)` in brackets is the term itself.
      if (type._tag !== "Tuple") {
        return term.items.length === 1 ? compile(term.items[0]!, type, name, variables) : wrongKind("tuple", name, type)
      }
      if (term.items.length > type.elements.length) {
        throw invalid(
          `Invalid tuple literal for ${name}: too many elements. Type ${
            format(type)
          } expects ${type.elements.length} ` +
            `but got ${term.items.length}`
        )
      }
      // Those at the end that are left out are left out of the bytes, too.
      return parts(term.items, type.elements, name, variables)
    }
    case "Udt": {
      if (type._tag !== "Udt") return wrongKind("user type", name, type)
      const given = new Map(term.fields)
      for (const field of given.keys()) {
        if (!type.fields.some((known) => known.name === field)) {
          throw invalid(`Unknown field '${field}' in value of user defined type ${type.name}`)
        }
      }
      return parts(
        type.fields.map((field) => given.get(field.name)),
        type.fields.map((field) => field.type),
        name,
        variables
      )
    }
  }
}

/** Compiles a term as a value of `type`, for the column called `name`. What has no variables is computed here and now. */
export const compile = (term: Term, type: CqlType, name: string, variables: Variables): Compiled => {
  const compiled = compileDynamic(term, type, name, variables)
  return hasMarker(term) ? compiled : constant(compiled([]))
}
