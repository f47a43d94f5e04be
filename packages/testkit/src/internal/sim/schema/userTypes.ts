/** CREATE, ALTER and DROP TYPE. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { Buffer } from "node:buffer"
import { internal, invalid } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { serves } from "../plan/terms.ts"
import { type Keyspace, keyspaceOf, retype } from "./schema.ts"
import {
  type Change,
  changed,
  type Environment,
  existing,
  lookup,
  touch,
  UNCHANGED,
  userKeyspace
} from "./schemaChange.ts"
import { isUserName, resolve, type SimType, type TypeScope, type UserType } from "./types.ts"

type Field = UserType["fields"][number]

type AlterType = Extract<Ast.SchemaStatement, { readonly _tag: "AlterType" }>

/** ScyllaDB shows the name as it has it, in bytes. */
const duplicate = (name: string, owner: string, product: Environment["product"]): Error =>
  invalid(
    product === "scylla"
      ? `Duplicate field name ${Buffer.from(name).toString("hex")} in type ${owner}`
      : `Duplicate field name '${name}' in type '${owner}'`
  )

/** A type of a field; `owner` is the type that has it. What it holds is frozen, whether that is said or not. */
const fieldOf = (
  { name, type: node }: Ast.ColumnDefinition,
  scope: TypeScope,
  seen: Set<string>,
  owner: string,
  isAdded = false
): Field => {
  const { product } = scope
  if (seen.has(name)) throw duplicate(name, owner, product)
  seen.add(name)
  const isBare = isUserName(node)
  // ScyllaDB looks up the type of a field that is added before it looks at how it is.
  if (isBare && !(product === "scylla" && isAdded)) throw notFrozen(product)
  const type = resolve(node, scope)
  if (type.text === "counter" && !(product === "scylla" && isAdded)) {
    throw invalid("A user type cannot contain counters")
  }
  if (isBare) throw notFrozen(product)
  return { name, type: { ...type, multiCell: false } }
}

const notFrozen = (product: Environment["product"]): Error =>
  invalid(`A user type cannot contain non-frozen ${product === "scylla" ? "user type fields" : "UDTs"}`)

/** The keyspace of a type that is made. */
const ownerOf = (env: Environment, name: string): Keyspace => {
  if (!env.schema.keyspaces.has(name)) {
    throw env.product === "scylla"
      ? internal(`Can't find a keyspace ${name}`)
      : invalid(`Keyspace '${name}' doesn't exist`)
  }
  return userKeyspace(env.schema, name)
}

const made = (keyspace: string, name: string, fields: ReadonlyArray<Field>): UserType => ({
  name,
  cql: CqlType.udt(keyspace, name, fields.map((field) => ({ name: field.name, type: field.type.cql }))) as UserType[
    "cql"
  ],
  fields,
  uses: fields.flatMap((field) => field.type.uses)
})

export const createType = (
  env: Environment,
  current: string,
  { fields, ifNotExists, type: { keyspace: given, name } }: Extract<
    Ast.SchemaStatement,
    { readonly _tag: "CreateType" }
  >
): Change => {
  const keyspace = ownerOf(env, keyspaceOf(given, current))
  if (keyspace.types.has(name)) {
    if (ifNotExists) return existing(env, { change: "CREATED", target: "TYPE", keyspace: keyspace.name, name })
    throw invalid(
      env.product === "scylla"
        ? `A user type of name ${keyspace.name}.${name} already exists`
        : `A user type with name '${name}' already exists`
    )
  }
  const seen = new Set<string>()
  const scope = lookup(keyspace, env)
  keyspace.types.set(name, made(keyspace.name, name, fields.map((field) => fieldOf(field, scope, seen, name))))
  touch(env)
  return changed({ change: "CREATED", target: "TYPE", keyspace: keyspace.name, name })
}

/** The type with another one in place of a user-defined type of that name; the same type if it is not in it. */
const replaced = (type: CqlType.CqlType, by: UserType["cql"]): CqlType.CqlType => {
  switch (type._tag) {
    case "List":
    case "Set": {
      const element = replaced(type.element, by)
      return element === type.element ? type : { ...type, element }
    }
    case "Map": {
      const key = replaced(type.key, by)
      const value = replaced(type.value, by)
      return key === type.key && value === type.value ? type : { ...type, key, value }
    }
    case "Tuple": {
      const elements = type.elements.map((element) => replaced(element, by))
      return elements.every((element, i) => element === type.elements[i]) ? type : { ...type, elements }
    }
    case "Udt": {
      if (type.name === by.name && type.keyspace === by.keyspace) return by
      const fields = type.fields.map((field) => ({ name: field.name, type: replaced(field.type, by) }))
      return fields.every((field, i) => field.type === type.fields[i]!.type) ? type : { ...type, fields }
    }
    default:
      return type
  }
}

/** A type with the keyspace of what is user-defined. */
const inKeyspace = (type: CqlType.CqlType): string =>
  type._tag === "Udt" ? `${type.keyspace}.${type.name}` : CqlType.format(type)

/** The type with another type for a field, which ScyllaDB takes where values stay what they are. */
const retyped = (
  { cql: { keyspace }, fields, name }: UserType,
  field: string,
  type: SimType,
  { product }: TypeScope
): ReadonlyArray<Field> => {
  if (product === "cassandra") throw invalid("Altering field types is no longer supported")
  const before = fields.find((each) => each.name === field)
  if (before === undefined) throw invalid(`Unknown field ${field} in type ${keyspace}.${name}`)
  if (serves(before.type.cql, type.cql) === "no") {
    throw invalid(
      `Type ${type.text} in incompatible with previous type ${before.type.text} of field ${field} in user type ${keyspace}.${name}`
    )
  }
  return fields.map((each) => each === before ? { name: field, type } : each)
}

const withFields = (
  type: UserType,
  { change, ifFields, type: { name } }: AlterType,
  scope: TypeScope
): ReadonlyArray<Field> => {
  const { product } = scope
  const isScylla = product === "scylla"
  const seen = new Set(type.fields.map((field) => field.name))
  if (change._tag === "Rename") {
    const renamed = new Map(change.fields)
    for (const from of renamed.keys()) {
      if (!seen.has(from)) {
        if (ifFields) continue
        throw invalid(
          isScylla
            ? `Unknown field ${from} in type ${type.cql.keyspace}.${name}`
            : `Unkown field ${from} in user type ${type.cql.keyspace}.${name}`
        )
      }
    }
    const fields = type.fields.map((field) => ({ name: renamed.get(field.name) ?? field.name, type: field.type }))
    const twice = fields.find((field, i) => fields.findIndex((other) => other.name === field.name) < i)
    if (twice !== undefined) {
      throw isScylla
        ? duplicate(twice.name, name, product)
        : invalid(`Duplicate field name ${twice.name} in type ${type.cql.keyspace}`)
    }
    return fields
  }
  if (change._tag === "Retype") return retyped(type, change.field, resolve(change.type, scope), scope)
  const added = change.fields.flatMap((field) => {
    if (seen.has(field.name)) {
      if (ifFields) return []
      throw invalid(
        isScylla
          ? `Cannot add new field ${field.name} to type ${type.cql.keyspace}.${name}: a field of the same name already exists`
          : `Cannot add field ${field.name} to type ${type.cql.keyspace}.${name}: a field with name ${field.name} already exists`
      )
    }
    const made = fieldOf(field, scope, seen, name, true)
    if (replaced(made.type.cql, { ...type.cql }) !== made.type.cql) {
      throw invalid(
        `Cannot add new field ${field.name} of type frozen<${inKeyspace(made.type.cql)}> to ${
          isScylla ? "" : "user "
        }type ${type.cql.keyspace}.${name} as ${isScylla ? "this" : "it"} would create a circular reference`
      )
    }
    return made
  })
  return [...type.fields, ...added]
}

/** Cassandra adds nothing to what partitions are found by. */
const checkNoKey = (
  keyspace: Keyspace,
  type: UserType,
  { fields: [field] }: Extract<AlterType["change"], { readonly _tag: "Add" }>,
  env: Environment
): void => {
  const tables = [...keyspace.tables.values()].filter((table) =>
    table.partitionKey.some((column) => replaced(column.type.cql, { ...type.cql }) !== column.type.cql)
  )
  if (tables.length === 0 || field === undefined) return
  throw invalid(
    `Cannot add new field ${field.name} of type ${
      resolve(field.type, lookup(keyspace, env)).text
    } to user type ${keyspace.name}.${type.name} as the type is being used in partition key by the following tables: ${
      tables.map(({ name }) => `${keyspace.name}.${name}`).join(", ")
    }`
  )
}

/** All that is made of the type changes with it, and is told of: types first, then tables. */
export const alterType = (env: Environment, current: string, statement: AlterType): Change => {
  const { keyspace: given, name } = statement.type
  const keyspace = userKeyspace(env.schema, keyspaceOf(given, current))
  const type = keyspace.types.get(name)
  if (type === undefined) {
    if (statement.ifExists) return UNCHANGED
    throw invalid(
      env.product === "scylla"
        ? `No user type named ${keyspace.name}.${name} exists.`
        : `Type ${keyspace.name}.${name} doesn't exist`
    )
  }
  const fields = withFields(type, statement, lookup(keyspace, env))
  if (env.product === "cassandra" && statement.change._tag === "Add") checkNoKey(keyspace, type, statement.change, env)
  if (statement.ifFields && fields.every((field, i) => field.name === type.fields[i]?.name)) return UNCHANGED
  const next = made(keyspace.name, name, fields)
  const retyped = (old: SimType): SimType => {
    const cql = replaced(old.cql, next.cql)
    return cql === old.cql ? old : { ...old, cql }
  }
  const events: Array<SchemaChange> = []
  const updated = (target: "TYPE" | "TABLE", name: string): SchemaChange => {
    const change: SchemaChange = { change: "UPDATED", target, keyspace: keyspace.name, name }
    events.push(change)
    return change
  }
  for (const other of [...keyspace.types.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (other !== type && replaced(other.cql, next.cql) === other.cql) continue
    const fields = other.fields.map((field) => ({ name: field.name, type: retyped(field.type) }))
    keyspace.types.set(other.name, other === type ? next : made(keyspace.name, other.name, fields))
    updated("TYPE", other.name)
  }
  for (const table of keyspace.tables.values()) {
    if (table.columns.every((column) => retyped(column.type) === column.type)) continue
    const version = Uuid.fromTimestamp(env.now)
    const after = retype(table, version, retyped)
    keyspace.tables.set(table.name, after)
    updated("TABLE", table.name)
  }
  touch(env)
  return { answer: { change: "UPDATED", target: "TYPE", keyspace: keyspace.name, name }, events, warnings: [] }
}

export const dropType = (
  env: Environment,
  current: string,
  { keyspace: given, name }: Ast.TableName,
  ifExists: boolean
): Change => {
  const keyspace = userKeyspace(env.schema, keyspaceOf(given, current))
  if (!keyspace.types.has(name)) {
    if (ifExists) return UNCHANGED
    throw invalid(
      env.product === "scylla"
        ? `No user type named ${keyspace.name}.${name} exists.`
        : `Type '${keyspace.name}.${name}' doesn't exist`
    )
  }
  const usedBy = (user: string) =>
    invalid(
      `Cannot drop user type ${
        env.product === "scylla" ? `${keyspace.name}.${name}` : `'${keyspace.name}.${name}'`
      } as it is still used by ${user}`
    )
  const types = [...keyspace.types.values()].filter((type) => type.uses.includes(name)).map((type) => type.name).sort()
  const tables = [...keyspace.tables.values()]
    .filter((table) => table.columns.some((column) => column.type.uses.includes(name))).map((table) => table.name)
    .sort()
  const isScylla = env.product === "scylla"
  if (types.length > 0) throw usedBy(isScylla ? `user type ${types[0]!}` : `user types ${types.join(", ")}`)
  if (tables.length > 0) throw usedBy(isScylla ? `table ${keyspace.name}.${tables[0]!}` : `tables ${tables.join(", ")}`)
  keyspace.types.delete(name)
  touch(env)
  return changed({ change: "DROPPED", target: "TYPE", keyspace: keyspace.name, name })
}
