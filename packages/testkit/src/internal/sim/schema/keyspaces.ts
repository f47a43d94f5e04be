/** CREATE, ALTER and DROP KEYSPACE. */
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import * as Replication from "@effect-scylla/sharding/Replication"
import { config, invalid, syntax, unauthorized, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { checkKeyspaceProperties, replicationOf, tabletsOf, warningsOf } from "./replication.ts"
import {
  type Change,
  changed,
  type Environment,
  existing,
  sayOf,
  touch,
  UNCHANGED,
  userKeyspace
} from "./schemaChange.ts"

/** What is no word for it is none to ScyllaDB, which Cassandra has refused before. */
const durableOf = (properties: ReadonlyMap<string, Ast.Property>): boolean => {
  const given = properties.get("durable_writes")
  return given === undefined || /^(?:true|1|yes)$/i.test(String(given))
}

export const createKeyspace = (
  env: Environment,
  { ifNotExists, name, properties }: Extract<Ast.SchemaStatement, { readonly _tag: "CreateKeyspace" }>
): Change => {
  if (name.length > 48 && env.product === "scylla") {
    throw invalid(`Keyspace names shouldn't be more than 48 characters long (got "${name}")`)
  }
  if (!/^\w{1,48}$/.test(name)) {
    throw invalid(
      sayOf(env)(
        `"${name}" is not a valid keyspace name`,
        "Keyspace name must not be empty, more than 48 characters long, or contain non-alphanumeric-underscore characters " +
          `(got '${name}')`
      )
    )
  }
  checkKeyspaceProperties(properties, env)
  if (env.schema.keyspaces.get(name)?.isSystem === true) {
    throw invalid(
      env.product === "scylla"
        ? `${name} keyspace is not user-modifiable`
        : `System keyspace '${name}' is not user-modifiable`
    )
  }
  const property = properties.get("replication")
  if (typeof property === "string" && env.product === "cassandra") {
    throw syntax("Invalid value for property 'replication'. It should be a map.")
  }
  if (property === undefined && env.product === "cassandra") throw invalid("Missing mandatory option 'replication'")
  const known = env.schema.keyspaces.get(name)
  // Cassandra looks at replication only where there is something to replicate.
  const replication = known !== undefined && env.product === "cassandra"
    ? known.replication
    : replicationOf(property, env, name)
  if (known !== undefined) {
    if (ifNotExists) {
      return existing(
        env,
        { change: "CREATED", target: "KEYSPACE", keyspace: name },
        warningsOf(env, name, property!, known.tablets !== undefined, replication)
      )
    }
    throw new ServerError.AlreadyExists({
      code: 0x2400,
      message: `Cannot add existing keyspace "${name}"`,
      keyspace: name,
      table: ""
    })
  }
  const strategy = Replication.parse(replication)
  env.schema.keyspaces.set(name, {
    name,
    isSystem: false,
    isVirtual: false,
    tables: new Map(),
    types: new Map(),
    replication,
    strategy,
    tablets: tabletsOf(env, properties.get("tablets"), strategy),
    durableWrites: durableOf(properties),
    replicas: undefined
  })
  touch(env)
  return changed(
    { change: "CREATED", target: "KEYSPACE", keyspace: name },
    warningsOf(env, name, property!, env.schema.keyspaces.get(name)?.tablets !== undefined, replication)
  )
}

export const alterKeyspace = (
  env: Environment,
  { ifExists, name, properties }: Extract<Ast.SchemaStatement, { readonly _tag: "AlterKeyspace" }>
): Change => {
  if (!env.schema.keyspaces.has(name)) {
    if (ifExists) return UNCHANGED
    throw invalid(sayOf(env)(`Can't find a keyspace ${name}`, `Keyspace '${name}' doesn't exist`))
  }
  const keyspace = userKeyspace(env.schema, name)
  checkKeyspaceProperties(properties, env)
  const property = properties.get("replication")
  const hadTablets = keyspace.tablets !== undefined
  const tablets = properties.get("tablets")
  const wantsTablets = tablets === undefined
    ? hadTablets
    : typeof tablets !== "string" && tablets.get("enabled") !== "false"
  const isVnodes = property !== undefined && typeof property !== "string" &&
    property.get("class")?.endsWith("NetworkTopologyStrategy") !== true
  if (wantsTablets !== hadTablets || (hadTablets && isVnodes)) {
    throw invalid("Cannot alter replication strategy vnode/tablets flavor")
  }
  if (hadTablets && property !== undefined) throw unsupported("another replication for a keyspace with tablets")
  const before = keyspace.replication
  const shown = (): string => JSON.stringify([keyspace.replication, keyspace.durableWrites])
  const old = shown()
  if (property !== undefined) {
    keyspace.replication = replicationOf(property, env, name)
    keyspace.strategy = Replication.parse(keyspace.replication)
    keyspace.replicas = undefined
  }
  const durable = properties.get("durable_writes")
  // ScyllaDB takes what is not said for the default.
  if (durable !== undefined || env.product === "scylla") keyspace.durableWrites = durableOf(properties)
  // What changes nothing is told nobody.
  if (env.product === "cassandra" && shown() === old) {
    const warnings = property === undefined ? [] : warningsOf(env, name, property, false, keyspace.replication, before)
    return { ...UNCHANGED, warnings }
  }
  touch(env)
  return changed(
    { change: "UPDATED", target: "KEYSPACE", keyspace: name },
    property === undefined ? [] : warningsOf(env, name, property, false, keyspace.replication, before)
  )
}

export const dropKeyspace = (env: Environment, name: string, ifExists: boolean): Change => {
  const keyspace = env.schema.keyspaces.get(name)
  if (keyspace === undefined) {
    if (ifExists) return UNCHANGED
    if (env.product === "cassandra") throw invalid(`Keyspace '${name}' doesn't exist`)
    throw config(`Cannot drop non existing keyspace '${name}'.`)
  }
  if (keyspace.isSystem) throw unauthorized(`${name} keyspace is not user-modifiable.`)
  const events: Array<SchemaChange> = []
  for (const table of keyspace.tables.values()) {
    table.isRetired = true
    events.push({ change: "DROPPED", target: "TABLE", keyspace: name, name: table.name })
  }
  for (const type of keyspace.types.keys()) {
    events.push({ change: "DROPPED", target: "TYPE", keyspace: name, name: type })
  }
  env.schema.keyspaces.delete(name)
  touch(env)
  const answer: SchemaChange = { change: "DROPPED", target: "KEYSPACE", keyspace: name }
  return { answer, events: [...events, answer], warnings: [] }
}
