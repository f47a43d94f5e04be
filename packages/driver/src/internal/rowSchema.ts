import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"
import { Empty, LocalTime } from "@effect-scylla/protocol/Value"
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

/**
 * What JavaScript has for a type: a value that is none of it, or `Empty`, is an odd one: empty, or out of the range of its type. `deep`
 * tells odd ones that are objects, too, and those within.
 */
interface Look {
  readonly type: "string" | "number" | "bigint" | "boolean" | "object"
  readonly deep: ((value: any) => boolean) | undefined
}

const STRING: Look = { type: "string", deep: undefined }
const NUMBER: Look = { type: "number", deep: undefined }
const BIGINT: Look = { type: "bigint", deep: undefined }
const OBJECT: Look = { type: "object", deep: undefined }

const SCALARS: Readonly<Partial<Record<CqlType.ScalarName, Look>>> = {
  text: STRING,
  ascii: STRING,
  int: NUMBER,
  smallint: NUMBER,
  tinyint: NUMBER,
  float: NUMBER,
  double: NUMBER,
  bigint: BIGINT,
  counter: BIGINT,
  varint: BIGINT,
  boolean: { type: "boolean", deep: undefined },
  uuid: OBJECT,
  timeuuid: OBJECT,
  blob: OBJECT,
  inet: OBJECT,
  duration: OBJECT,
  date: OBJECT,
  time: { type: "object", deep: (value) => value instanceof LocalTime },
  timestamp: { type: "object", deep: (value) => value instanceof Date },
  decimal: { type: "object", deep: BigDecimal.isBigDecimal }
}

const isUsual = ({ deep, type }: Look, value: unknown): boolean =>
  typeof value === type && value !== Empty && value !== null && (deep === undefined || deep(value))

/** Of these any bytes are a value. */
const isNeverOdd = (type: CqlType.CqlType): boolean =>
  type._tag === "Scalar" && (type.name === "text" || type.name === "ascii" || type.name === "blob")

const every = (element: CqlType.CqlType): Look | undefined => {
  const look = lookOf(element)
  if (look === undefined || isNeverOdd(element)) return look && OBJECT
  return {
    type: "object",
    deep: (values: Iterable<unknown>) => {
      for (const value of values) if (!isUsual(look, value)) return false
      return true
    }
  }
}

/** `undefined` of a type of which nothing is known. */
const lookOf = (type: CqlType.CqlType): Look | undefined => {
  switch (type._tag) {
    case "Scalar":
      return SCALARS[type.name]
    case "List":
    case "Set":
      return every(type.element)
    case "Vector":
      // All floats are some float.
      return type.element._tag === "Scalar" && type.element.name === "float" ? OBJECT : every(type.element)
    case "Map": {
      const keys = every(type.key)
      const values = every(type.value)
      if (keys === undefined || values === undefined) return undefined
      return {
        type: "object",
        deep: (map: ReadonlyMap<unknown, unknown>) =>
          (keys.deep === undefined || keys.deep(map.keys())) && (values.deep === undefined || values.deep(map.values()))
      }
    }
    case "Tuple": {
      const looks = type.elements.map(lookOf)
      return looks.includes(undefined) ? undefined : {
        type: "object",
        deep: (tuple: ReadonlyArray<unknown>) =>
          looks.every((look, i) => tuple[i] === null || isUsual(look!, tuple[i])) && tuple.length === looks.length
      }
    }
    default:
      return undefined
  }
}

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
  const guards: Array<Look & { readonly name: string; readonly isNullable: boolean }> = []
  for (const { name, type } of ast.propertySignatures) {
    const column = columns.find((column) => column.name === name)
    if (column === undefined || typeof name !== "string" || AST.isOptional(type) || isOwn(column)) return NEVER
    const { fits, isNullable = false, isTrusted } = judgeAst(type, column.type)
    if (!fits || !isTrusted) return NEVER
    if (type._tag === "Any" || type._tag === "Unknown") continue
    const look = lookOf(column.type)
    if (look === undefined) return NEVER
    guards.push({ name, isNullable, ...look })
  }
  if (new Set(columns.map(({ name }) => name)).size !== columns.length) return NEVER
  return (rows) => {
    for (const row of rows) {
      for (const { deep, isNullable, name, type } of guards) {
        const value = row[name]
        if (
          value === null
            ? !isNullable
            : typeof value !== type || value === Empty || (deep !== undefined && !deep(value))
        ) return false
      }
    }
    return true
  }
}
