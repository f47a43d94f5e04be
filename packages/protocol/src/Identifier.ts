/**
 * Names of keyspaces, tables, columns and types, as statements have them.
 *
 * @since 0.1.0
 */

/**
 * The words that are no names unless they are quoted (Cassandra, `ReservedKeywords`; ScyllaDB's are among them). A word too
 * many does no harm: quoted, a name in lower case is the same name.
 */
const RESERVED: ReadonlySet<string> = new Set(
  ("add allow alter and apply asc authorize batch begin by columnfamily create default delete desc describe drop entries " +
    "execute from full grant if in index infinity insert into is keyspace limit materialized mbean mbeans modify nan " +
    "norecursive not null of on or order primary rename replace revoke schema scylla_timeuuid_list_index select set table " +
    "to token truncate unlogged unset update use using view where with").split(" ")
)

/**
 * A name as it stands in a statement: in double quotes where it would be another one, or none, without.
 *
 * ```ts
 * Identifier.format("orders") // orders
 * Identifier.format("Orders") // "Orders"
 * Identifier.format("order") // "order", as ORDER is a word of CQL
 * ```
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (name: string): string =>
  /^[a-z][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : quote(name)

/**
 * A name in double quotes, whatever it is; those in it are doubled.
 *
 * @category encoding
 * @since 0.1.0
 */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
