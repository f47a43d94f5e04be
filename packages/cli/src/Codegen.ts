/**
 * TypeScript from the schema of a keyspace: an Effect Schema and a row type for each table, view and user-defined type.
 *
 * What is generated has the values that the driver decodes with its default codec options, and is the same text for the same
 * schema: nothing in it says when or by what version it was made.
 *
 * @since 0.1.0
 */
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import { cqlTypesText } from "./internal/cqlTypesText.ts"
import { inComment, Names, pascal, property } from "./internal/names.ts"
import type { Column, KeyspaceSchema, Table, UserType } from "./KeyspaceSchema.ts"

/**
 * How code is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * How the generated modules import each other: `"js"` (default), which TypeScript and bundlers take everywhere, `"ts"` for
   * programs that Node runs as they are, `"none"` for `moduleResolution: "bundler"` without extensions.
   */
  readonly importExtension?: "js" | "ts" | "none" | undefined
  /**
   * The package that the classes `Uuid` and `Value` are imported from. Default `@effect-scylla/driver`; `@effect-scylla/protocol` for
   * modules that browsers have, too.
   */
  readonly valuesFrom?: string | undefined
}

/**
 * A generated file.
 *
 * @category models
 * @since 0.1.0
 */
export interface File {
  /** Its name, without a folder. */
  readonly name: string
  /** What is in it, lines ending in LF. */
  readonly text: string
}

const HEADER = "Do not edit: run it again.\n/* eslint-disable */\n"

/** Vectors of what has no schema of its own are bytes as a whole. */
const isBytes = (type: CqlType): boolean => type._tag === "Custom" || (type._tag === "Vector" && isBytes(type.element))

const capital = (name: string): string => name.slice(0, 1).toUpperCase() + name.slice(1)

/** The source of a type's schema. */
const schemaOf = (type: CqlType, userTypes: ReadonlyMap<string, string>): string => {
  const of = (inner: CqlType): string => schemaOf(inner, userTypes)
  switch (type._tag) {
    case "Scalar":
      return `CqlTypes.${type.name === "timeuuid" ? "TimeUuid" : capital(type.name)}`
    case "Custom":
      return "CqlTypes.Blob"
    case "List":
    case "Set":
      return `CqlTypes.${type._tag}(${of(type.element)})`
    case "Map":
      return `CqlTypes.Map(${of(type.key)}, ${of(type.value)})`
    case "Tuple":
      return `CqlTypes.Tuple(${type.elements.map(of).join(", ")})`
    case "Vector":
      if (isBytes(type)) return "CqlTypes.Blob"
      return type.element._tag === "Scalar" && type.element.name === "float"
        ? `CqlTypes.FloatVector(${type.dimension})`
        : `CqlTypes.Vector(${of(type.element)}, ${type.dimension})`
    case "Udt":
      return userTypes.get(type.name)!
  }
}

const nullable = (schema: string): string => `Schema.NullOr(${schema})`

const struct = (
  name: string,
  comment: string,
  fields: ReadonlyArray<{ readonly name: string; readonly comment: string; readonly schema: string }>
): string =>
  `\n/** ${inComment(comment)} */\nexport const ${name} = Schema.Struct({\n${
    fields.map((field) => `  /** ${inComment(field.comment)} */\n  ${property(field.name)}: ${field.schema}`).join(
      ",\n"
    )
  }\n})\nexport type ${name} = typeof ${name}.Type\n`

const ROLES: Readonly<Record<Column["kind"], string>> = {
  partition_key: ", partition key",
  clustering: ", clustering key",
  static: ", static",
  regular: ""
}

/**
 * Only primary keys always have a value; and in the row of a partition that has nothing but static columns, not even the clustering key.
 */
const isNullable = (column: Column, table: Table): boolean =>
  column.kind === "partition_key"
    ? false
    : column.kind === "clustering"
    ? table.columns.some((each) => each.kind === "static")
    : true

const tableText = (
  name: string,
  what: string,
  table: Table,
  userTypes: ReadonlyMap<string, string>
): string =>
  struct(
    name,
    table.comment.trim() === "" ? what : `${what}: ${table.comment}`,
    table.columns.map((column) => {
      const schema = schemaOf(column.type, userTypes)
      return {
        name: column.name,
        comment: `${column.text}${ROLES[column.kind]}${column.descending ? ", descending" : ""}`,
        schema: isNullable(column, table) ? nullable(schema) : schema
      }
    })
  )

const userTypeText = (keyspace: string, name: string, type: UserType, userTypes: ReadonlyMap<string, string>): string =>
  struct(
    name,
    `type ${keyspace}.${type.name}`,
    type.fields.map((field) => ({
      name: field.name,
      comment: field.text,
      schema: nullable(schemaOf(field.type, userTypes))
    }))
  )

/** Names as CQL has them without quotes come first, so that one which merely looks alike does not take theirs. */
const plainFirst = <A extends { readonly name: string }>(all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const isPlain = ({ name }: A): boolean => /^[a-z][a-z0-9_]*$/.test(name)
  return [...all.filter(isPlain), ...all.filter((each) => !isPlain(each))]
}

const keyspaceText = (schema: KeyspaceSchema, extension: string): string => {
  const names = new Names()
  const tables = new Map(
    plainFirst([...schema.tables, ...schema.views]).map((each) => [each, names.give(pascal(each.name))])
  )
  const userTypes = new Map(plainFirst(schema.types).map((each) => [each.name, names.give(`${pascal(each.name)}Type`)]))
  return `// Generated by effect-scylla codegen from the keyspace ${schema.name}. ${HEADER}` +
    `import * as Schema from "effect/Schema"\n` +
    `import * as CqlTypes from "./cql-types${extension}"\n` +
    schema.types.map((type) => userTypeText(schema.name, userTypes.get(type.name)!, type, userTypes)).join("") +
    schema.tables.map((table) => tableText(tables.get(table)!, `table ${schema.name}.${table.name}`, table, userTypes))
      .join("") +
    schema.views.map((view) =>
      tableText(tables.get(view)!, `view ${schema.name}.${view.name} of ${view.base}`, view, userTypes)
    ).join("")
}

const EXTENSIONS = { js: ".js", ts: ".ts", none: "" } as const

/**
 * The files of some keyspaces: `<keyspace>.ts` for each, and `cql-types.ts`, which they share and which needs `effect` and the driver
 * alone.
 *
 * A table `order_items` is the Schema `OrderItems` and the type of its rows of the same name, so is a view; a user-defined type
 * `address` is `AddressType`. Where two names would be the same, an underscore stands behind the later.
 *
 * @category generating
 * @since 0.1.0
 */
export const generate = (schemas: ReadonlyArray<KeyspaceSchema>, options: Options = {}): ReadonlyArray<File> => [
  {
    name: "cql-types.ts",
    text: `// Generated by effect-scylla codegen: Schemas of the types of CQL. ${HEADER}${
      cqlTypesText(options.valuesFrom ?? "@effect-scylla/driver")
    }`
  },
  ...schemas.map((schema) => ({
    name: `${schema.name}.ts`,
    text: keyspaceText(schema, EXTENSIONS[options.importExtension ?? "js"])
  }))
]
