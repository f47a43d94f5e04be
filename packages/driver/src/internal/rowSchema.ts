import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"
import { Uuid } from "@effect-scylla/protocol/Uuid"
import * as Value from "@effect-scylla/protocol/Value"
import * as BigDecimal from "effect/BigDecimal"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { judgeAst } from "./cqlForm.ts"

/** What is known of a statement. */
interface Described {
  readonly columns: ReadonlyArray<Column>
  readonly variables: ReadonlyArray<Column>
  /** Values of a column are not those that Schemas of CQL's types speak of. */
  readonly isOwn: (column: Column) => boolean
}

/** A Schema as it is spoken of in a message. */
const nameOf = (ast: AST.AST): string => {
  const own = AST.resolveAt<string>("identifier")(ast) ?? AST.resolveAt<string>("expected")(ast)
  if (own !== undefined) return own
  return ast._tag === "Union" ? ast.types.map(nameOf).join(" | ") : ast._tag
}

/** The fields of a struct, as it is encoded. */
const fieldsOf = (schema: Schema.Constraint): ReadonlyArray<AST.PropertySignature> | undefined => {
  const encoded = AST.toEncoded(schema.ast)
  return encoded._tag === "Objects" && encoded.indexSignatures.length === 0 ? encoded.propertySignatures : undefined
}

/** Everything that cannot be: a sentence each. */
export const compare = (
  request: Schema.Constraint,
  result: Schema.Constraint,
  { columns, isOwn, variables }: Described
): ReadonlyArray<string> => {
  const issues: Array<string> = []
  for (const { name, type } of fieldsOf(result) ?? []) {
    const column = columns.find((column) => column.name === name)
    if (column === undefined) {
      // What conditional statements give is known when they do.
      if (columns.length > 0 && !AST.isOptional(type)) {
        issues.push(
          `the result has no column ${String(name)}, which the Schema of the result wants: it has ${
            columns.map(({ name }) => name).join(", ")
          }`
        )
      }
      continue
    }
    if (!isOwn(column) && !judgeAst(type, column.type).fits) {
      issues.push(`column ${column.name} is ${CqlType.format(column.type)}, and its Schema is of ${nameOf(type)}`)
    }
  }
  // Which value goes where only the template knows; those of the same name are meant.
  for (const { name, type } of fieldsOf(request) ?? []) {
    for (const variable of variables) {
      if (variable.name !== name || isOwn(variable) || judgeAst(type, variable.type).fits) continue
      issues.push(
        `the value for ${variable.name} is ${CqlType.format(variable.type)}, and its Schema in the request is of ${
          nameOf(type)
        }`
      )
      break
    }
  }
  const fields = fieldsOf(request)
  const [only] = variables
  if (
    fields === undefined && variables.length === 1 && !isOwn(only!) &&
    !judgeAst(AST.toEncoded(request.ast), only!.type).fits
  ) {
    issues.push(
      `the value for ${only!.name} is ${CqlType.format(only!.type)}, and the Schema of the request is of ${
        nameOf(request.ast)
      }`
    )
  }
  return issues
}

/** Whether rows are what the Schema wants as they are; else they are decoded by it. */
export type Reading = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>) => boolean

const NEVER: Reading = () => false

type Guard = (value: unknown) => boolean

const instanceOf = (only: { readonly prototype: unknown; [Symbol.hasInstance]: Guard }): Guard => (value) =>
  value instanceof only

const isString: Guard = (value) => typeof value === "string"
const isNumber: Guard = (value) => typeof value === "number"
const isBigint: Guard = (value) => typeof value === "bigint"
const isBoolean: Guard = (value) => typeof value === "boolean"
const isUuid = instanceOf(Uuid)

/** What values of a type are, but for odd ones: empty, or out of the range of what JavaScript has for the type. */
const SCALARS: Readonly<Partial<Record<CqlType.ScalarName, Guard>>> = {
  text: isString,
  ascii: isString,
  int: isNumber,
  smallint: isNumber,
  tinyint: isNumber,
  float: isNumber,
  double: isNumber,
  bigint: isBigint,
  counter: isBigint,
  varint: isBigint,
  boolean: isBoolean,
  uuid: isUuid,
  timeuuid: isUuid,
  blob: instanceOf(Uint8Array),
  inet: instanceOf(Value.Inet),
  duration: instanceOf(Value.CqlDuration),
  date: instanceOf(Value.LocalDate),
  time: instanceOf(Value.LocalTime),
  timestamp: instanceOf(Date),
  decimal: BigDecimal.isBigDecimal
}

const every = (values: Iterable<unknown>, guard: Guard): boolean => {
  for (const value of values) if (!guard(value)) return false
  return true
}

/** Whether a value is what the type has at the most: with all that is in it. `undefined` where that is not known. */
const guardOf = (type: CqlType.CqlType): Guard | undefined => {
  switch (type._tag) {
    case "Scalar":
      return SCALARS[type.name]
    case "List":
    case "Vector": {
      const element = guardOf(type.element)
      if (type._tag === "Vector" && element === isNumber && isFloat(type.element)) return instanceOf(Float32Array)
      return element === undefined ? undefined : (value) => Array.isArray(value) && every(value, element)
    }
    case "Set": {
      const element = guardOf(type.element)
      return element === undefined ? undefined : (value) => value instanceof Set && every(value, element)
    }
    case "Map": {
      const key = guardOf(type.key)
      const own = guardOf(type.value)
      return key === undefined || own === undefined ? undefined : (value) => {
        if (!(value instanceof Map)) return false
        for (const [k, v] of value) if (!key(k) || !own(v)) return false
        return true
      }
    }
    case "Tuple": {
      const elements = type.elements.map(guardOf)
      return elements.includes(undefined) ?
        undefined :
        (value) =>
          Array.isArray(value) && value.length === elements.length &&
          elements.every((guard, i) => value[i] === null || guard!(value[i]))
    }
    default:
      return undefined
  }
}

const isFloat = (type: CqlType.CqlType): boolean => type._tag === "Scalar" && type.name === "float"

/** How rows with these columns are read: without looking at each value where the server has promised its type. */
export const readingOf = (
  result: Schema.Constraint,
  columns: ReadonlyArray<Column>,
  isOwn: (column: Column) => boolean
): Reading => {
  const { ast } = result
  if (ast._tag !== "Objects" || ast.encoding !== undefined || ast.checks !== undefined) return NEVER
  const fields = fieldsOf(result)
  if (fields === undefined || ast.indexSignatures.length > 0 || fields.length !== columns.length) return NEVER
  const guards: Array<{ readonly name: string; readonly guard: Guard; readonly isNullable: boolean }> = []
  for (const { name, type } of ast.propertySignatures) {
    const column = columns.find((column) => column.name === name)
    if (column === undefined || typeof name !== "string" || AST.isOptional(type) || isOwn(column)) return NEVER
    const { fits, isNullable = false, isTrusted } = judgeAst(type, column.type)
    if (!fits || !isTrusted) return NEVER
    if (type._tag === "Any" || type._tag === "Unknown") continue
    const guard = guardOf(column.type)
    if (guard === undefined) return NEVER
    guards.push({ name, guard, isNullable })
  }
  if (new Set(columns.map(({ name }) => name)).size !== columns.length) return NEVER
  return (rows) => {
    for (const row of rows) {
      for (const { guard, isNullable, name } of guards) {
        const value = row[name]
        if (value === null ? !isNullable : !guard(value)) return false
      }
    }
    return true
  }
}
