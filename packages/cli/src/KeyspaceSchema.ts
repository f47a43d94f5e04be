/**
 * A keyspace as code is generated from it.
 *
 * @since 0.1.0
 */
import type { CqlClient } from "@effect-scylla/driver/CqlClient"
import type { CqlError } from "@effect-scylla/driver/CqlError"
import type * as Schema from "@effect-scylla/driver/Schema"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CodegenError, KeyspaceNotFound, UnreadableType } from "./CodegenError.ts"

/**
 * What a column is for its table.
 *
 * @category models
 * @since 0.1.0
 */
export type ColumnKind = "partition_key" | "clustering" | "static" | "regular"

/**
 * A column of a table or view.
 *
 * @category models
 * @since 0.1.0
 */
export interface Column {
  /** As it was defined: case counts. */
  readonly name: string
  /** What it is for its table. */
  readonly kind: ColumnKind
  /** Whether a clustering column is ordered from the greatest on. */
  readonly descending: boolean
  /** What its values are. */
  readonly type: CqlType.CqlType
  /** Its type as the server writes it, `frozen<…>` included. */
  readonly text: string
}

/**
 * A table.
 *
 * @category models
 * @since 0.1.0
 */
export interface Table {
  /** As it was defined: case counts. */
  readonly name: string
  /** Its option `comment`, mostly empty. */
  readonly comment: string
  /** In the order of `SELECT *`: partition key, clustering columns, static columns, the others; the latter two by name. */
  readonly columns: ReadonlyArray<Column>
}

/**
 * A materialized view.
 *
 * @category models
 * @since 0.1.0
 */
export interface View extends Table {
  /** The table that it is a view of. */
  readonly base: string
}

/**
 * A field of a user-defined type.
 *
 * @category models
 * @since 0.1.0
 */
export interface Field {
  /** As it was defined: case counts. */
  readonly name: string
  /** What its values are. */
  readonly type: CqlType.CqlType
  /** Its type as the server writes it. */
  readonly text: string
}

/**
 * A user-defined type.
 *
 * @category models
 * @since 0.1.0
 */
export interface UserType {
  /** As it was defined: case counts. */
  readonly name: string
  /** In the order of the definition. */
  readonly fields: ReadonlyArray<Field>
}

/**
 * A keyspace.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyspaceSchema {
  /** As it was defined: case counts. */
  readonly name: string
  /** By name; each stands behind those that it has fields of. */
  readonly types: ReadonlyArray<UserType>
  /** By name. */
  readonly tables: ReadonlyArray<Table>
  /** By name; without those that ScyllaDB keeps for secondary indexes. */
  readonly views: ReadonlyArray<View>
}

/** By code units, so that the order is the same wherever it is made. */
const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

const KINDS: ReadonlySet<string> = new Set<ColumnKind>(["partition_key", "clustering", "static", "regular"])

const fail = (place: string, problem: string): Effect.Effect<never, CodegenError> =>
  Effect.fail(new CodegenError({ reason: new UnreadableType({ place, problem }) }))

type Types = ReadonlyMap<string, Schema.UserType>

/** The type, where the driver could read it: what it does not know is a custom type to it. */
const readable = (
  place: string,
  { text, type }: Schema.TypeOf,
  types: Types
): Effect.Effect<CqlType.CqlType, CodegenError> => {
  if (type._tag !== "Custom") return Effect.succeed(type)
  const parsed = CqlType.parse(text, (name) => types.get(name)?.type)
  return typeof parsed === "string" ? fail(place, parsed) : Effect.succeed(type)
}

/** The user-defined types of the keyspace that a type is made of. */
const usedBy = (type: CqlType.CqlType): ReadonlyArray<string> => {
  switch (type._tag) {
    case "List":
    case "Set":
    case "Vector":
      return usedBy(type.element)
    case "Map":
      return [...usedBy(type.key), ...usedBy(type.value)]
    case "Tuple":
      return type.elements.flatMap(usedBy)
    case "Udt":
      return [type.name]
    default:
      return []
  }
}

/** Each behind those that it is made of, by name where that leaves a choice. */
const inOrder = (types: Types): ReadonlyArray<Schema.UserType> => {
  const done = new Set<string>()
  const out: Array<Schema.UserType> = []
  let waiting = [...types.values()].sort((a, b) => compare(a.name, b.name)).map((type) => ({
    type,
    uses: type.fields.flatMap((field) => usedBy(field.type))
  }))
  while (waiting.length > 0) {
    const next = waiting.find(({ uses }) => uses.every((name) => done.has(name))) ?? waiting[0]!
    done.add(next.type.name)
    out.push(next.type)
    waiting = waiting.filter((each) => each !== next)
  }
  return out
}

/**
 * Reads a keyspace by the client's schema. Fails with `KeyspaceNotFound` where there is none of the name, whose case counts.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (cql: CqlClient, keyspace: string): Effect.Effect<KeyspaceSchema, CodegenError | CqlError> =>
  Effect.gen(function*() {
    const found = yield* cql.schema.keyspace(keyspace)
    if (Option.isNone(found)) {
      const { keyspaces } = yield* cql.schema.all
      const known = [...keyspaces.keys()].sort(compare)
      return yield* new CodegenError({ reason: new KeyspaceNotFound({ keyspace, known }) })
    }
    const { tables, types, views } = found.value
    const typed = (place: string, each: Schema.TypeOf & { readonly name: string }) =>
      Effect.map(
        readable(`${place}.${each.name}`, each, types),
        (type): Field => ({ name: each.name, type, text: each.text })
      )
    const userTypes = yield* Effect.forEach(inOrder(types), ({ fields, name }) =>
      Effect.map(
        Effect.forEach(fields, (field) => typed(`${keyspace}.${name}`, field)),
        (fields): UserType => ({ name, fields })
      ))
    const column = (place: string, each: Schema.Column): Effect.Effect<Column, CodegenError> =>
      KINDS.has(each.kind)
        ? Effect.map(typed(place, each), (field) => ({ ...field, kind: each.kind, descending: each.order === "DESC" }))
        : fail(`${place}.${each.name}`, `a column of the kind ${each.kind}`)
    const tableOf = ({ columns, name, options }: Schema.Table | Schema.View): Effect.Effect<Table, CodegenError> =>
      Effect.map(Effect.forEach(columns, (each) => column(`${keyspace}.${name}`, each)), (columns) => ({
        name,
        comment: String(options["comment"] ?? ""),
        columns
      }))
    const byName = (a: Table, b: Table): number => compare(a.name, b.name)
    return {
      name: keyspace,
      types: userTypes,
      tables: (yield* Effect.forEach(tables.values(), tableOf)).toSorted(byName),
      views: (yield* Effect.forEach(views.values(), (view) =>
        Effect.map(tableOf(view), (table): View => ({ ...table, base: view.base })))).toSorted(byName)
    }
  })
