/** What every change of the schema has in common: what it is given, what comes of it, where it looks things up. */
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { invalid, unauthorized } from "../failure.ts"
import type { Product } from "../server/flavour.ts"
import { findKeyspace, type Keyspace, type Schema } from "./schema.ts"
import type { TypeScope } from "./types.ts"

export interface Change {
  /** What the statement answers; `undefined` when nothing changed. */
  readonly answer: SchemaChange | undefined
  /** What registered connections are told. */
  readonly events: ReadonlyArray<SchemaChange>
  readonly warnings: ReadonlyArray<string>
}

export const UNCHANGED: Change = { answer: undefined, events: [], warnings: [] }

export interface Environment {
  readonly schema: Schema
  readonly datacenters: ReadonlyArray<string>
  /** The datacenter of each node. */
  readonly nodes: ReadonlyArray<string>
  /** Whether there are tablets at all, and whether keyspaces have them that do not say. */
  readonly tablets: "none" | "on demand" | "by default"
  /** Whether Cassandra passes over that a keyspace is to have no tablets. */
  readonly passesNoTablets: boolean
  /** Whether tables with tablets do without counters and conditional statements. */
  readonly tabletLimits: boolean
  readonly product: Product
  /** Milliseconds since 1970. */
  readonly now: number
}

export const touch = (env: Environment): Uuid.Uuid => {
  env.schema.version = Uuid.fromTimestamp(env.now)
  return env.schema.version
}

/** What IF NOT EXISTS answers of what is there: ScyllaDB says that it was made, and tells nobody of it. */
export const existing = (
  { product }: Environment,
  answer: SchemaChange,
  warnings: ReadonlyArray<string> = []
): Change => product === "scylla" ? { answer, events: [], warnings } : UNCHANGED

export const changed = (answer: SchemaChange, warnings: ReadonlyArray<string> = []): Change => ({
  answer,
  events: [answer],
  warnings
})

export const userKeyspace = (schema: Schema, name: string): Keyspace => {
  const keyspace = findKeyspace(schema, name)
  if (keyspace.isSystem) throw unauthorized(`${name} keyspace is not user-modifiable.`)
  return keyspace
}

/** The types that a statement on a keyspace may name. */
export const lookup = (keyspace: Keyspace, { product }: Environment): TypeScope => ({
  product,
  find: (given, name) => {
    if (given !== undefined && given !== keyspace.name) {
      throw invalid(
        `Statement on keyspace ${keyspace.name} cannot refer to a user type in keyspace ${given}; user types can only be ` +
          "used in the keyspace they are defined in"
      )
    }
    const found = keyspace.types.get(name)
    if (found === undefined) throw invalid(`Unknown type ${keyspace.name}.${name}`)
    return found
  }
})

/** What each product says. */
export const sayOf = ({ product }: Environment) => (scylla: string, cassandra: string): string =>
  product === "scylla" ? scylla : cassandra
