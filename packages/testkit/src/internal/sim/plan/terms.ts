/** Terms of statements, compiled once into functions of the bound values. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import { type CqlType, format, isSame, scalar, type ScalarName, tuple } from "@effect-scylla/protocol/CqlType"
import type { RawValue } from "@effect-scylla/protocol/Request"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid } from "../failure.ts"
import type { Term, TypeNode } from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"
import { checkOf, collection, int64, normalize, record } from "../storage/values.ts"
import { type Operand, type Resolved as Operation, resolveOperation } from "./arithmetic.ts"
import { type Argument, type Resolved, resolveFunction } from "./functions.ts"
import { encodeConstant, fitsConstant, preferredType } from "./literals.ts"
import { readJson } from "./readJson.ts"
import type { Bound, Compiled, Fit, Variables, View } from "./variables.ts"

const constant = (value: RawValue): Compiled => () => value

/** Whether a term is the same in every run. */
const isConstant = (term: Term): boolean => {
  switch (term._tag) {
    case "Marker":
    case "Call":
    case "Arithmetic":
      return false
    case "List":
    case "Set":
    case "Tuple":
      return term.items.every(isConstant)
    case "Map":
      return term.entries.every(([key, value]) => isConstant(key) && isConstant(value))
    case "Udt":
      return term.fields.every(([, value]) => isConstant(value))
    case "Hint":
      return isConstant(term.term)
    default:
      return true
  }
}

/** A term as messages show it. */
export const textOf = (term: Term, product: Product): string => {
  const list = (terms: ReadonlyArray<Term>): string => terms.map((each) => textOf(each, product)).join(", ")
  const colon = product === "scylla" ? ":" : ": "
  switch (term._tag) {
    case "Null":
      return product === "scylla" ? "null" : "NULL"
    case "Constant":
      return term.kind === "STRING" ? `'${term.text}'` : term.text
    case "Marker":
      return "?"
    case "List":
      return `[${list(term.items)}]`
    case "Set":
      return `{${list(term.items)}}`
    case "Tuple":
      return `(${list(term.items)})`
    case "Map":
      return `{${term.entries.map((entry) => entry.map((each) => textOf(each, product)).join(colon)).join(", ")}}`
    case "Udt":
      return `{${term.fields.map(([name, value]) => `${name}${colon}${textOf(value, product)}`).join(", ")}}`
    case "Hint":
      return `(${nameOf(term.type)})${product === "scylla" ? " " : ""}${textOf(term.term, product)}`
    case "Arithmetic":
      return `${textOf(term.left, product)} ${term.op} ${textOf(term.right, product)}`
    case "Call":
      return `${term.keyspace === undefined ? "" : `${term.keyspace}.`}${term.name}(${list(term.args)})`
  }
}

/** A type as it is written. */
export const nameOf = (node: TypeNode): string =>
  node._tag === "Name"
    ? node.name
    : node._tag === "Vector"
    ? `vector<${nameOf(node.element)}, ${node.dimension}>`
    : node._tag === "Custom"
    ? `'${node.className}'`
    : `${node.name}<${node.args.map(nameOf).join(", ")}>`

/** How well a value of one type serves where another is wanted: values of both are written the same way, or it is the type. */
export const serves = (type: CqlType, wanted: CqlType, product: Product = "scylla"): Fit => {
  if (isSame(type, wanted)) return "exact"
  if (wanted._tag !== "Scalar") return "no"
  if (wanted.name === "blob") return "weak"
  if (type._tag !== "Scalar") return "no"
  return (SERVES[wanted.name] ?? []).includes(type.name) ||
      product === "cassandra" && type.name === OF_CASSANDRA[wanted.name] ?
    "weak" :
    "no"
}

const SERVES: Partial<Record<ScalarName, ReadonlyArray<ScalarName>>> = {
  text: ["ascii"],
  bigint: ["timestamp"],
  timestamp: ["bigint"],
  varint: ["int", "bigint", "timestamp"],
  uuid: ["timeuuid"]
}

/** What only Cassandra takes for a value of another type. */
const OF_CASSANDRA: Partial<Record<ScalarName, ScalarName>> = { date: "int", time: "bigint" }

/** Whether a term may be a value of a type, as far as its form shows. */
export const fits = (term: Term, type: CqlType, variables: Variables): Fit => {
  const all = (terms: ReadonlyArray<Term>, of: CqlType): Fit => {
    let out: Fit = "exact"
    for (const each of terms) {
      const fit = fits(each, of, variables)
      if (fit === "no") return "no"
      if (fit === "weak") out = "weak"
    }
    return out
  }
  switch (term._tag) {
    case "Null":
    case "Marker":
      return "weak"
    case "Constant":
      return type._tag === "Scalar"
        ? fitsConstant(type.name, term, variables.product)
        : type._tag === "Tuple"
        ? "weak"
        : "no"
    case "Hint":
      return serves(variables.type(term.type), type, variables.product)
    case "Call": {
      if (isFromJson(term, variables)) return "weak"
      const found = resolveCall(term, variables, type)
      return serves(found.type, type, variables.product)
    }
    case "Arithmetic":
      try {
        return serves(operationOf(term, variables, type).type, type, variables.product)
      } catch (thrown) {
        // What is wrong with it is said where it is computed.
        if (thrown instanceof ServerError.InvalidRequest) return "weak"
        throw thrown
      }
    case "List":
      if (type._tag === "Vector") {
        return term.items.length === type.dimension && all(term.items, type.element) !== "no" ? "weak" : "no"
      }
      return type._tag === "List" ? all(term.items, type.element) : "no"
    case "Set":
      if (type._tag === "Map" && term.items.length === 0) return "weak"
      return type._tag === "Set" ? all(term.items, type.element) : "no"
    case "Map": {
      if (type._tag !== "Map") return "no"
      const keys = all(term.entries.map(([key]) => key), type.key)
      return keys === "no" ? "no" : all(term.entries.map(([, value]) => value), type.value)
    }
    case "Tuple":
      if (type._tag === "Udt" && variables.product === "cassandra") return fits(term, asTuple(type), variables)
      if (type._tag !== "Tuple") return term.items.length === 1 ? fits(term.items[0]!, type, variables) : "no"
      return term.items.length <= type.elements.length &&
          term.items.every((each, i) => fits(each, type.elements[i]!, variables) !== "no") ?
        "weak" :
        "no"
    case "Udt": {
      if (type._tag !== "Udt") return "no"
      return term.fields.every(([name, value]) => {
          const field = type.fields.find((each) => each.name === name)
          return field !== undefined && fits(value, field.type, variables) !== "no"
        }) ?
        "weak" :
        "no"
    }
  }
}

const operandOf = (term: Term, variables: Variables): Operand => ({
  text: textOf(term, variables.product),
  fits: (type) => fits(term, type, variables)
})

/** The operation of two terms, whose result may have to be of a type. */
const operationOf = (
  { left, op, right }: Extract<Term, { readonly _tag: "Arithmetic" }>,
  variables: Variables,
  wanted?: CqlType
): Operation =>
  resolveOperation(
    op,
    operandOf(left, variables),
    operandOf(right, variables),
    wanted === undefined ? undefined : {
      type: wanted,
      takes: (returned) => serves(returned, wanted, variables.product) !== "no",
      hasMarkers: left._tag === "Marker" || right._tag === "Marker"
    }
  )

/** What Cassandra calls its functions. */
const FUNCTIONS = { "+": "_add", "-": "_substract", "*": "_multiply", "/": "_divide", "%": "_modulo" }

/** What two terms come to. */
const compileArithmetic = (
  term: Extract<Term, { readonly _tag: "Arithmetic" }>,
  wanted: CqlType,
  name: string,
  variables: Variables
): Compiled => {
  const { left: leftType, right: rightType, run } = operationOf(term, variables, wanted)
  const nameOf = (side: number): string => name === "[selection]" ? name : `arg${side}(system.${FUNCTIONS[term.op]})`
  const left = compile(term.left, leftType, nameOf(0), variables)
  const right = compile(term.right, rightType, nameOf(1), variables)
  return (values, view) => {
    const x = left(values, view)
    const y = right(values, view)
    return x instanceof Uint8Array && y instanceof Uint8Array ? run(x, y) : null
  }
}

/** `fromJson(…)`, whose type is what is wanted. */
const isFromJson = (
  { args, keyspace, name }: Extract<Term, { readonly _tag: "Call" }>,
  { product }: Variables
): boolean =>
  (keyspace === undefined || keyspace === "system") && args.length === 1 &&
  (name === "fromjson" || (product === "cassandra" && name === "from_json"))

const compileFromJson = (
  term: Extract<Term, { readonly _tag: "Call" }>,
  type: CqlType,
  name: string,
  variables: Variables
): Compiled => {
  const [given] = term.args
  if (variables.product === "cassandra" && given!._tag === "Constant" && given!.kind !== "STRING") {
    throw invalid(
      `Function system.from_json requires an argument of type text, but found argument ${
        textOf(given!, "cassandra")
      } of type ${preferredType(given!, "cassandra")}`
    )
  }
  const text = compile(term.args[0]!, scalar("text"), `arg0(system.${term.name})`, variables)
  return (values, view) => {
    const bytes = text(values, view)
    return bytes instanceof Uint8Array ? readJson(type, bytes, name, variables.product) : bytes
  }
}

/** A call of a function with terms, as a value. */
const resolveCall = (
  term: Extract<Term, { readonly _tag: "Call" }>,
  variables: Variables,
  wanted?: CqlType
): Resolved => {
  if (variables.product === "cassandra" && AGGREGATES.test(term.name)) {
    throw invalid("Aggregation function are not supported in the where clause")
  }
  return resolveFunction(
    term,
    term.args.map((arg): Argument => ({
      text: textOf(arg, variables.product),
      fits: (type) => fits(arg, type, variables),
      type: arg._tag === "Hint"
        ? variables.type(arg.type)
        : arg._tag === "Call"
        ? resolveCall(arg, variables).type
        : undefined,
      compile: (type, name) => compile(arg, type, name, variables)
    })),
    variables,
    variables.product === "cassandra" && wanted !== undefined
      ? (returned) => serves(returned, wanted, "cassandra") !== "no"
      : undefined
  )
}

const AGGREGATES = /^(?:min|max|sum|avg)$/

const asTuple = (type: Extract<CqlType, { readonly _tag: "Udt" }>): CqlType =>
  tuple(...type.fields.map((field) => field.type))

/** A type inside of one that is frozen. */
const shownInside = (type: CqlType): string => {
  switch (type._tag) {
    case "List":
    case "Set":
      return `frozen<${type._tag.toLowerCase()}<${shownInside(type.element)}>>`
    case "Map":
      return `frozen<map<${shownInside(type.key)}, ${shownInside(type.value)}>>`
    case "Tuple":
      return `frozen<tuple<${type.elements.map(shownInside).join(", ")}>>`
    case "Udt":
      return `frozen<${format(type)}>`
    default:
      return format(type)
  }
}

/** A type in a message: what is always frozen is said to be. */
const shownType = (type: CqlType): string => type._tag === "Tuple" ? shownInside(type) : format(type)

/** A column may say more of its type than the type itself. */
const shownFor = (name: string, type: CqlType, variables: Variables): string => {
  const column = variables.table?.byName.get(name)
  return column?.type.cql === type ? column.type.text : shownType(type)
}

const wrongKind = (kind: string, name: string, type: CqlType, variables: Variables): never => {
  throw invalid(`Invalid ${kind} literal for ${name} of type ${shownFor(name, type, variables)}`)
}

/** What ScyllaDB says of a variable without a value, where one is needed. */
export const unexpectedUnset = (term: Term): string =>
  `Unexpected unset value for bind variable ${term._tag === "Marker" ? term.index : 0}`

/** An element of a collection: never unset, and null only in lists of ScyllaDB. */
const element = (
  term: Term,
  type: CqlType,
  name: string,
  variables: Variables,
  isNullable = false
): (values: Bound, view?: View) => Uint8Array | null => {
  const compiled = compile(term, type, name, variables)
  return (values, view) => {
    const bytes = compiled(values, view)
    if (bytes === null) {
      if (isNullable) return null
      throw invalid("null is not supported inside collections")
    }
    if (!(bytes instanceof Uint8Array)) {
      throw invalid(variables.say(unexpectedUnset(term), "unset value is not supported inside collections"))
    }
    return bytes
  }
}

/** Says which of the parts of a literal is of another type. */
const checkParts = (
  kind: string,
  what: string,
  terms: ReadonlyArray<Term>,
  type: CqlType,
  name: string,
  variables: Variables
): void => {
  for (const term of terms) {
    if (fits(term, type, variables) === "no") {
      const shown = variables.product === "scylla" ? `frozen<${format(type)}>` : `frozen<${format(type)}>`
      throw invalid(
        `Invalid ${kind} literal for ${name}: ${what} ${textOf(term, variables.product)} is not of type ${
          type._tag === "Scalar" ? format(type) : shown
        }`
      )
    }
  }
}

const parts = (
  terms: ReadonlyArray<Term | undefined>,
  types: ReadonlyArray<CqlType>,
  name: string,
  variables: Variables,
  nameOf: (index: number) => string,
  what: (index: number) => string
): Compiled => {
  const compiled = terms.map((term, i) =>
    term === undefined ? undefined : compile(term, types[i]!, term._tag === "Marker" ? nameOf(i) : name, variables)
  )
  return (values, view) => {
    const out: Array<Uint8Array | null> = compiled.map((part, i) => {
      const bytes = part === undefined ? null : part(values, view)
      if (bytes === Unset) {
        throw invalid(variables.say(unexpectedUnset(terms[i]!), `Invalid unset value for ${what(i)}`))
      }
      return bytes as Uint8Array | null
    })
    return record(out)
  }
}

/** A vector from a literal of as many elements as it has. */
const vectorOf = (
  items: ReadonlyArray<Term>,
  type: Extract<CqlType, { readonly _tag: "Vector" }>,
  name: string,
  variables: Variables
): Compiled => {
  if (items.length !== type.dimension) {
    throw invalid(
      `Invalid vector literal for ${name} of type ${
        format(type)
      }; expected ${type.dimension} elements, but given ${items.length}`
    )
  }
  checkParts("vector", "value", items, type.element, name, variables)
  const compiled = items.map((item) => compile(item, type.element, `value(${name})`, variables))
  return (values, view) =>
    encode(
      type,
      compiled.map((item) => {
        const bytes = item(values, view)
        if (bytes === null) throw invalid("null is not supported inside vectors")
        if (bytes === Unset) throw invalid("unset is not supported inside vectors")
        return decode(type.element, bytes as Uint8Array)
      })
    )
}

/** Cassandra takes no variables inside of literals. */
const checkMarkers = (kind: string, terms: ReadonlyArray<Term>, name: string, variables: Variables): void => {
  if (variables.product === "cassandra" && terms.some((term) => term._tag === "Marker")) {
    throw invalid(`Invalid ${kind} literal for ${name}: bind variables are not supported inside collection literals`)
  }
}

/** The time of the run. */
const isNow = (term: Term, type: CqlType): boolean =>
  term._tag === "Constant" && term.kind === "STRING" && type._tag === "Scalar" && type.name === "timestamp" &&
  term.text.toLowerCase() === "now"

const compileDynamic = (term: Term, type: CqlType, name: string, variables: Variables): Compiled => {
  switch (term._tag) {
    case "Null":
      return constant(null)
    case "Constant": {
      if (variables.product === "cassandra" && ["List", "Set", "Map", "Udt"].includes(type._tag)) {
        throw invalid(
          `Invalid ${term.kind} constant (${term.text}) for "${name}" of type ${shownFor(name, type, variables)}`
        )
      }
      if (isNow(term, type)) return () => int64(BigInt(Math.floor(variables.now())))
      const bytes = encodeConstant(type, term, name, variables.product)
      return constant(bytes)
    }
    case "Hint": {
      const given = variables.type(term.type)
      if (serves(given, type, variables.product) === "no") {
        const shown = variables.product === "cassandra" ? shownFor(name, type, variables) : format(type)
        throw invalid(`Cannot assign value ${textOf(term, variables.product)} to ${name} of type ${shown}`)
      }
      const isMarker = term.term._tag === "Marker" && variables.product === "scylla"
      // What a constant is called makes no value of it that is none of what is wanted, to Cassandra.
      const wanted = variables.product === "cassandra" && term.term._tag === "Constant" ? type : given
      return compile(term.term, wanted, isMarker ? textOf(term, "cassandra") : name, variables)
    }
    case "Arithmetic":
      return compileArithmetic(term, type, name, variables)
    case "Call": {
      if (isFromJson(term, variables)) return compileFromJson(term, type, name, variables)
      const found = resolveCall(term, variables, type)
      if (serves(found.type, type, variables.product) === "no") {
        throw invalid(
          `Type error: cannot assign result of function ${found.name} (type ${format(found.type)}) to ${name} (type ${
            format(type)
          })`
        )
      }
      return found.value
    }
    case "Marker": {
      const { index } = term
      variables.add(index, name, type)
      const check = checkOf(type, name, variables.product)
      return (values) => {
        const bytes = values[index]!
        return bytes instanceof Uint8Array ? check(bytes) : bytes
      }
    }
    case "List": {
      if (type._tag === "Vector") return vectorOf(term.items, type, name, variables)
      if (type._tag !== "List") {
        if (variables.product === "scylla") return wrongKind("list", name, type, variables)
        throw invalid(
          `Unexpected receiver type '${shownFor(name, type, variables)}'; only list and vector are expected`
        )
      }
      checkMarkers("list", term.items, name, variables)
      checkParts("list", "value", term.items, type.element, name, variables)
      const isNullable = variables.product === "scylla"
      const items = term.items.map((item) => element(item, type.element, `value(${name})`, variables, isNullable))
      return (values, view) => collection(items.length, items.map((item) => item(values, view)))
    }
    case "Set": {
      // `{}` is the empty map as well.
      if (type._tag === "Map" && term.items.length === 0) return constant(collection(0, []))
      if (type._tag !== "Set") return wrongKind("set", name, type, variables)
      checkMarkers("set", term.items, name, variables)
      checkParts("set", "value", term.items, type.element, name, variables)
      const items = term.items.map((item) => element(item, type.element, `value(${name})`, variables))
      return (values, view) => normalize(type, collection(items.length, items.map((item) => item(values, view))))
    }
    case "Map": {
      if (type._tag !== "Map") return wrongKind("map", name, type, variables)
      checkMarkers("map", term.entries.flat(), name, variables)
      checkParts("map", "key", term.entries.map(([key]) => key), type.key, name, variables)
      checkParts("map", "value", term.entries.map(([, value]) => value), type.value, name, variables)
      const items = term.entries.flatMap(([key, value]) => [
        element(key, type.key, `key(${name})`, variables),
        element(value, type.value, `value(${name})`, variables)
      ])
      const keep = variables.product === "scylla" ? "first" : "none"
      return (values, view) =>
        normalize(type, collection(items.length / 2, items.map((item) => item(values, view))), keep)
    }
    case "Tuple": {
      // To Cassandra a user-defined type is a tuple with names.
      if (type._tag === "Udt" && variables.product === "cassandra") {
        if (term.items.length > type.fields.length) {
          throw invalid(
            `Invalid tuple literal for ${name}: too many elements. Type ${
              shownInside(type)
            } expects ${type.fields.length} but got ${term.items.length}`
          )
        }
        return compileDynamic(term, asTuple(type), name, variables)
      }
      // `(1)` in brackets is the term itself.
      if (type._tag !== "Tuple") {
        const isNested = term.items[0]!._tag === "Tuple" && variables.product === "scylla"
        return term.items.length === 1 && !isNested
          ? compile(term.items[0]!, type, name, variables)
          : wrongKind("tuple type", name, type, variables)
      }
      if (term.items.length > type.elements.length) {
        throw invalid(
          `Invalid tuple literal for ${name}: too many elements. Type ${
            shownType(type)
          } expects ${type.elements.length} ` +
            `but got ${term.items.length}`
        )
      }
      term.items.forEach((item, i) => {
        if (fits(item, type.elements[i]!, variables) === "no") {
          throw invalid(
            `Invalid tuple literal for ${name}: component ${i} is not of type ${shownType(type.elements[i]!)}`
          )
        }
      })
      // Those at the end that are left out are left out of the bytes, too.
      return parts(term.items, type.elements, name, variables, (i) => `${name}[${i}]`, (i) => `tuple field number ${i}`)
    }
    case "Udt": {
      if (type._tag !== "Udt") return wrongKind("user type", name, type, variables)
      const given = new Map(term.fields)
      for (const field of type.fields) {
        const value = given.get(field.name)
        if (value !== undefined && fits(value, field.type, variables) === "no") {
          throw invalid(
            `Invalid user type literal for ${name}: field ${field.name} is not of type ${shownInside(field.type)}`
          )
        }
      }
      for (const field of given.keys()) {
        if (!type.fields.some((known) => known.name === field)) {
          throw invalid(`Unknown field '${field}' in value of user defined type ${type.name}`)
        }
      }
      return parts(
        type.fields.map((field) => given.get(field.name)),
        type.fields.map((field) => field.type),
        name,
        variables,
        (i) => `${name}.${type.fields[i]!.name}`,
        (i) => `field '${type.fields[i]!.name}' of user defined type ${type.name}`
      )
    }
  }
}

/** Compiles a term as a value of `type`, for the column called `name`. What has no variables is computed here and now. */
export const compile = (term: Term, type: CqlType, name: string, variables: Variables): Compiled => {
  const compiled = compileDynamic(term, type, name, variables)
  return isConstant(term) && !isNow(term, type) ? constant(compiled([])) : compiled
}
