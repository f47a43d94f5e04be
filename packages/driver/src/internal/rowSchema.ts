import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { judgeAst } from "./cqlForm.ts"

/** What is known of a statement. */
interface Described {
  readonly columns: ReadonlyArray<Column>
  readonly variables: ReadonlyArray<Column>
  /** Values are not those that Schemas of CQL's types speak of. */
  readonly hasOwnCodecs: boolean
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
  { columns, hasOwnCodecs, variables }: Described
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
    if (!hasOwnCodecs && !judgeAst(type, column.type).fits) {
      issues.push(`column ${column.name} is ${CqlType.format(column.type)}, and its Schema is of ${nameOf(type)}`)
    }
  }
  if (hasOwnCodecs) return issues
  // Which value goes where only the template knows; those of the same name are meant.
  for (const { name, type } of fieldsOf(request) ?? []) {
    for (const variable of variables) {
      if (variable.name !== name || judgeAst(type, variable.type).fits) continue
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
  if (fields === undefined && variables.length === 1 && !judgeAst(AST.toEncoded(request.ast), only!.type).fits) {
    issues.push(
      `the value for ${only!.name} is ${CqlType.format(only!.type)}, and the Schema of the request is of ${
        nameOf(request.ast)
      }`
    )
  }
  return issues
}

/** Rows as they are, where all of them are what the Schema wants; `undefined` where that has to be looked at. */
export type Reading = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>) => ReadonlyArray<unknown> | undefined

const ALWAYS: Reading = () => undefined

/** What JavaScript has for a type, at the least: a value that is none of it may be empty, or out of the range of its type. */
const guardOf = ({ _tag, ...rest }: CqlType.CqlType): string => {
  if (_tag !== "Scalar") return "object"
  switch ((rest as { readonly name: string }).name) {
    case "text":
    case "ascii":
      return "string"
    case "int":
    case "smallint":
    case "tinyint":
    case "float":
    case "double":
      return "number"
    case "bigint":
    case "counter":
    case "varint":
      return "bigint"
    case "boolean":
      return "boolean"
    default:
      return "object"
  }
}

/** Types whose odd values are objects, too: those are looked at. */
const isPlainObject = (type: CqlType.CqlType): boolean =>
  type._tag !== "Scalar" || ["uuid", "timeuuid", "blob", "inet", "duration"].includes(type.name)

/** How rows with these columns are read: without looking at each value where the server has promised its type. */
export const readingOf = (result: Schema.Constraint, columns: ReadonlyArray<Column>): Reading => {
  const { ast } = result
  if (ast._tag !== "Objects" || ast.encoding !== undefined || ast.checks !== undefined) return ALWAYS
  const fields = fieldsOf(result)
  if (fields === undefined || ast.indexSignatures.length > 0 || fields.length !== columns.length) return ALWAYS
  const guards: Array<{ readonly name: string; readonly guard: string; readonly isNullable: boolean }> = []
  for (const { name, type } of ast.propertySignatures) {
    const column = columns.find((column) => column.name === name)
    if (column === undefined || typeof name !== "string" || AST.isOptional(type)) return ALWAYS
    const { fits, isNullable = false, isTrusted } = judgeAst(type, column.type)
    if (!fits || !isTrusted) return ALWAYS
    if (type._tag === "Any" || type._tag === "Unknown") continue
    const guard = guardOf(column.type)
    if (guard === "object" && !isPlainObject(column.type)) return ALWAYS
    guards.push({ name, guard, isNullable })
  }
  if (new Set(columns.map(({ name }) => name)).size !== columns.length) return ALWAYS
  return (rows) => {
    for (const row of rows) {
      for (const { guard, isNullable, name } of guards) {
        const value = row[name]
        if (value === null ? !isNullable : typeof value !== guard) return undefined
      }
    }
    return rows
  }
}
