/**
 * What a cluster's keyspaces hold: tables, views, indexes, types and functions as data, kept up to date, and the DDL that makes them
 * again.
 *
 * @since 0.1.0
 */
import type { Part } from "./internal/schema/model.ts"
import * as internal from "./internal/schema/toCql.ts"

export {
  type Aggregate,
  type Change,
  type Column,
  type ColumnKind,
  type Index,
  isOfServer,
  type Keyspace,
  type Mask,
  type Options,
  type OptionValue,
  type Part,
  type Schemas,
  signature,
  type Snapshot,
  type Table,
  type TypeOf,
  type UserFunction,
  type UserType,
  type View
} from "./internal/schema/model.ts"

/**
 * The statements that make it again, one by one and in an order in which they can be executed, each without `;`. Those of a keyspace make
 * all that is in it, those of a table its indexes, too. Names and strings are quoted, whatever they are.
 *
 * Throws `RangeError` where a part that is CQL itself (a condition of a view, an initial state) is more than that, or no CQL.
 *
 * **Details**
 *
 * What servers do not tell is not in it: Cassandra does not say that a table has `cdc = true` where the node itself has CDC turned off.
 *
 * @category encoding
 * @since 0.1.0
 */
export const statements: (part: Part) => ReadonlyArray<string> = internal.statements

/**
 * The same as a script: `;` behind each statement, and an empty line between two.
 *
 * ```ts
 * const shop = yield* cql.schema.keyspace("shop")
 * if (Option.isSome(shop)) yield* fs.writeFileString("shop.cql", Schema.toCql(shop.value))
 * ```
 *
 * @category encoding
 * @since 0.1.0
 */
export const toCql = (part: Part): string => statements(part).map((statement) => `${statement};\n`).join("\n")
