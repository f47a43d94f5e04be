/** The schema as data. */
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { CqlError } from "../../CqlError.ts"

/**
 * A type as the schema has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypeOf {
  /** What its values are, user-defined types with their fields. A type that this client does not know is a custom one of that name. */
  readonly type: CqlType
  /** As the server writes it, `frozen<…>` included. */
  readonly text: string
}

/**
 * What a column is for its table.
 *
 * @category models
 * @since 0.1.0
 */
export type ColumnKind = "partition_key" | "clustering" | "static" | "regular"

/**
 * What is shown instead of a column's values to those who may not see them: a function and the arguments after the value (Cassandra 5).
 *
 * @category models
 * @since 0.1.0
 */
export interface Mask {
  readonly keyspace: string
  readonly name: string
  /** `value` as the server writes it, `null` for null. */
  readonly arguments: ReadonlyArray<{ readonly type: string; readonly value: string | null }>
}

/**
 * A column of a table or view.
 *
 * @category models
 * @since 0.1.0
 */
export interface Column extends TypeOf {
  /** As it was defined: case counts. */
  readonly name: string
  readonly kind: ColumnKind
  /** Its place in the partition key or among the clustering columns, from 0; -1 for others. */
  readonly position: number
  /** Of a clustering column; `undefined` for others. */
  readonly order: "ASC" | "DESC" | undefined
  readonly mask: Mask | undefined
}

/**
 * The value of an option of a table.
 *
 * @category models
 * @since 0.1.0
 */
export type OptionValue = string | number | boolean | Readonly<Record<string, string>>

/**
 * Options of a table or view by their names in CQL, as far as the server has them. ScyllaDB's extensions are among them: `cdc`,
 * `tombstone_gc`, `per_partition_rate_limit`, `in_memory`, `tablets`, `paxos_grace_seconds`, `synchronous_updates`.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Readonly<Record<string, OptionValue>>

/** What tables and views have in common. */
interface Relation {
  readonly keyspace: string
  readonly name: string
  /** A UUID, another one where it is made again. */
  readonly id: string
  /** In the order of `SELECT *`: partition key, clustering columns, static columns, the others; the latter two by name. */
  readonly columns: ReadonlyArray<Column>
  readonly options: Options
  /** By their names, as they are stored. What of them is an option is among the options as well. */
  readonly extensions: ReadonlyMap<string, Uint8Array>
  /** The row of `system_schema.scylla_tables`, but for its key; `undefined` where there is none. */
  readonly scylla: Readonly<Record<string, unknown>> | undefined
}

/**
 * A table.
 *
 * @category models
 * @since 0.1.0
 */
export interface Table extends Relation {
  readonly _tag: "Table"
  /** `compound`, `counter`, `dense`, `super`. */
  readonly flags: ReadonlyArray<string>
  /** Made with COMPACT STORAGE. Its columns are those that statements see. */
  readonly isCompact: boolean
  readonly indexes: ReadonlyMap<string, Index>
}

/**
 * A materialized view.
 *
 * @category models
 * @since 0.1.0
 */
export interface View extends Relation {
  readonly _tag: "View"
  /** The table that it is a view of, of the same keyspace. */
  readonly base: string
  readonly baseId: string
  /** The condition, as CQL. */
  readonly where: string
  /** `SELECT *`: columns that the table gets are the view's, too. */
  readonly includesAll: boolean
}

/**
 * A secondary index.
 *
 * @category models
 * @since 0.1.0
 */
export interface Index {
  readonly _tag: "Index"
  readonly keyspace: string
  readonly table: string
  readonly name: string
  /** `COMPOSITES`, `KEYS` or `CUSTOM`. */
  readonly kind: string
  /** What is indexed, as the server writes it. */
  readonly target: string
  /** The columns that the target names. */
  readonly columns: ReadonlyArray<string>
  /** Which part of a collection; `undefined` where the target says none. */
  readonly part: "keys" | "values" | "entries" | "full" | undefined
  /** Of an index that is local to each partition (ScyllaDB) the partition key. */
  readonly localTo: ReadonlyArray<string> | undefined
  /** Of a custom index, as it was given. */
  readonly className: string | undefined
  readonly options: Readonly<Record<string, string>>
}

/**
 * A user-defined type.
 *
 * @category models
 * @since 0.1.0
 */
export interface UserType {
  readonly _tag: "UserType"
  readonly keyspace: string
  readonly name: string
  /** In the order of the definition. */
  readonly fields: ReadonlyArray<TypeOf & { readonly name: string }>
  readonly type: CqlType
}

/**
 * A function that users have defined.
 *
 * @category models
 * @since 0.1.0
 */
export interface UserFunction {
  readonly _tag: "Function"
  readonly keyspace: string
  readonly name: string
  readonly arguments: ReadonlyArray<TypeOf & { readonly name: string }>
  readonly returns: TypeOf
  readonly language: string
  readonly body: string
  /** Called where an argument is null, instead of giving null. */
  readonly isCalledOnNull: boolean
}

/**
 * An aggregate that users have defined.
 *
 * @category models
 * @since 0.1.0
 */
export interface Aggregate {
  readonly _tag: "Aggregate"
  readonly keyspace: string
  readonly name: string
  readonly arguments: ReadonlyArray<TypeOf>
  readonly returns: TypeOf
  readonly state: TypeOf
  readonly stateFunction: string
  readonly finalFunction: string | undefined
  /** Joins states of different nodes (ScyllaDB). */
  readonly reduceFunction: string | undefined
  /** As CQL; `undefined` is null. */
  readonly initialCondition: string | undefined
}

/**
 * A keyspace.
 *
 * @category models
 * @since 0.1.0
 */
export interface Keyspace {
  readonly _tag: "Keyspace"
  readonly name: string
  /** `class`, and the other options of the strategy. A list is one of racks (ScyllaDB). */
  readonly replication: Readonly<Record<string, string | ReadonlyArray<string>>>
  readonly durableWrites: boolean
  /** `undefined` where the server has no such thing. `initial` is 0 where nobody gave a number. */
  readonly tablets: { readonly enabled: boolean; readonly initial: number } | undefined
  /** Of ScyllaDB's strongly consistent tables: `global` or `local`. */
  readonly consistency: string | undefined
  /** Where not on the nodes' disks (ScyllaDB). */
  readonly storage: Readonly<Record<string, string>> | undefined
  /** By name; each stands behind those that it has fields of. */
  readonly types: ReadonlyMap<string, UserType>
  /** By name. Tables of changes that ScyllaDB writes (CDC) are among them. */
  readonly tables: ReadonlyMap<string, Table>
  /** By name; without those that ScyllaDB keeps for secondary indexes. */
  readonly views: ReadonlyMap<string, View>
  /** By {@link signature}. */
  readonly functions: ReadonlyMap<string, UserFunction>
  /** By {@link signature}. */
  readonly aggregates: ReadonlyMap<string, Aggregate>
}

/**
 * What there is DDL for.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = Keyspace | Table | View | Index | UserType | UserFunction | Aggregate

/**
 * The schema as it is known at one moment. Never changed: when something happens, another one takes its place, and what has not changed
 * is the same object in both.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  /** That of the node which was asked, when it was asked last; empty before that. */
  readonly version: string
  /** What has been read, by name. */
  readonly keyspaces: ReadonlyMap<string, Keyspace>
  /** Whether these are all keyspaces that the option `schemaKeyspaces` lets through. */
  readonly isComplete: boolean
}

/** One change. */
interface ChangeOf<Target extends string, A> {
  readonly target: Target
  readonly change: "CREATED" | "UPDATED" | "DROPPED"
  readonly keyspace: string
  /** Of a function or aggregate its {@link signature}. */
  readonly name: string
  /** As it was known. `undefined` where it was not there, or its keyspace has not been read. */
  readonly before: A | undefined
  /** As it is now. `undefined` where it is there no more, or its keyspace has not been read. */
  readonly after: A | undefined
}

/**
 * What has changed. UPDATED of a keyspace is about its own options, not about what is in it. A table that was dropped and made again in
 * between is both.
 *
 * @category models
 * @since 0.1.0
 */
export type Change =
  | ChangeOf<"KEYSPACE", Keyspace>
  | ChangeOf<"TABLE", Table>
  | ChangeOf<"VIEW", View>
  | ChangeOf<"INDEX", Index>
  | ChangeOf<"TYPE", UserType>
  | ChangeOf<"FUNCTION", UserFunction>
  | ChangeOf<"AGGREGATE", Aggregate>

/**
 * The schema of a client: `cql.schema`.
 *
 * A keyspace is read when it is asked for, with the option `schema: "eager"` when the client connects, and kept up to date from then
 * on. What this client itself changes is in it when the statement has ended; what others change 0.5 to 1.5 seconds after the server
 * tells of it, so that many clients do not ask at once. ScyllaDB tells nobody of functions and aggregates of others: those are found
 * when the client's view of the cluster is read again.
 *
 * Fails with `InvalidConfiguration` where the client was made with `schema: false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Schemas {
  /** A keyspace, case-sensitive. None where there is none of the name, or `schemaKeyspaces` leaves it out. */
  readonly keyspace: (name: string) => Effect.Effect<Option.Option<Keyspace>, CqlError>
  /** A table of it. */
  readonly table: (keyspace: string, name: string) => Effect.Effect<Option.Option<Table>, CqlError>
  /** All keyspaces but the servers' own, or those that `schemaKeyspaces` lets through. */
  readonly all: Effect.Effect<Snapshot, CqlError>
  /** What is known now; asks nobody. */
  readonly snapshot: () => Snapshot
  /** Reads again all that is known. */
  readonly refresh: Effect.Effect<void, CqlError>
  /**
   * What changes from now on. Of what has not been read there is the server's word alone, without `before` and `after`. A subscriber that
   * is slow misses the oldest of what it has not read; the snapshot is always whole.
   */
  readonly changes: Stream.Stream<Change>
}

/**
 * The name of a function or aggregate with the types of its arguments, which tell overloads apart: `sum(int, text)`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const signature = (name: string, types: ReadonlyArray<string>): string => `${name}(${types.join(", ")})`

/**
 * Whether a keyspace is the servers' own: `system`, and names that begin with `system_`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isOfServer = (name: string): boolean => name === "system" || name.startsWith("system_")
