/**
 * The system tables of the canned server: one plain Cassandra-like node with one keyspace and one table. They hold what
 * cassandra-driver, the Rust driver and our client ask for at connect, and little more.
 */
import { Codec, CqlType, type Metadata } from "@effect-scylla/protocol"

export interface Table {
  readonly columns: ReadonlyArray<Metadata.Column>
  /** Values as `Codec.encode` takes them; an absent one is null. */
  readonly rows: ReadonlyArray<Readonly<Record<string, unknown>>>
}

const HOST_ID = "11111111-2222-4333-8444-555555555555"
const SCHEMA_VERSION = "66666666-7777-4888-9999-aaaaaaaaaaaa"
const RELEASE = "4.0.0"

/** Columns as `name type, …`. */
const table = (
  keyspace: string,
  name: string,
  columns: string,
  rows: Table["rows"] = []
): readonly [string, Table] => [
  `${keyspace}.${name}`,
  {
    columns: columns.split(/, (?=\w+ )/).map((column) => {
      const space = column.indexOf(" ")
      const type = CqlType.parse(column.slice(space + 1))
      if (typeof type === "string") throw new Error(type)
      return { keyspace, table: name, name: column.slice(0, space), type }
    }),
    rows
  }
]

const keyspaces = (schema: string, rows: Table["rows"]) =>
  table(
    schema,
    "keyspaces",
    schema === "system_schema"
      ? "keyspace_name text, durable_writes boolean, replication map<text, text>"
      : "keyspace_name text",
    rows
  )

const tables = (schema: string, rows: Table["rows"]) =>
  table(
    schema,
    "tables",
    schema === "system_schema"
      ? "keyspace_name text, table_name text, bloom_filter_fp_chance double, caching map<text, text>, comment text, " +
        "compaction map<text, text>, compression map<text, text>, crc_check_chance double, " +
        "default_time_to_live int, extensions map<text, blob>, flags set<text>, gc_grace_seconds int, id uuid, " +
        "max_index_interval int, memtable_flush_period_in_ms int, min_index_interval int, " +
        "read_repair text, speculative_retry text"
      : "keyspace_name text, table_name text, comment text",
    rows
  )

const columns = (schema: string, rows: Table["rows"]) =>
  table(
    schema,
    "columns",
    "keyspace_name text, table_name text, column_name text, clustering_order text, column_name_bytes blob, kind text, " +
      "position int, type text",
    rows
  )

const column = (name: string, kind: string, position: number, type: string) => ({
  keyspace_name: "ks",
  table_name: "t",
  column_name: name,
  clustering_order: "none",
  column_name_bytes: Buffer.from(name),
  kind,
  position,
  type
})

export const systemTables: ReadonlyMap<string, Table> = new Map([
  table(
    "system",
    "local",
    "key text, bootstrapped text, broadcast_address inet, broadcast_port int, cluster_name text, cql_version text, " +
      "data_center text, gossip_generation int, host_id uuid, listen_address inet, listen_port int, " +
      "native_protocol_version text, partitioner text, rack text, release_version text, rpc_address inet, " +
      "rpc_port int, schema_version uuid, tokens set<text>",
    [{
      key: "local",
      bootstrapped: "COMPLETED",
      broadcast_address: "127.0.0.1",
      broadcast_port: 7000,
      cluster_name: "canned",
      cql_version: "3.4.7",
      data_center: "datacenter1",
      gossip_generation: 1,
      host_id: HOST_ID,
      listen_address: "127.0.0.1",
      listen_port: 7000,
      native_protocol_version: "4",
      partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
      rack: "rack1",
      release_version: RELEASE,
      rpc_address: "127.0.0.1",
      schema_version: SCHEMA_VERSION,
      tokens: ["-6148914691236517206", "0", "6148914691236517206"]
    }]
  ),
  table(
    "system",
    "peers",
    "peer inet, data_center text, host_id uuid, preferred_ip inet, rack text, release_version text, rpc_address inet, " +
      "schema_version uuid, tokens set<text>"
  ),
  keyspaces("system_schema", [{
    keyspace_name: "ks",
    durable_writes: true,
    replication: { class: "org.apache.cassandra.locator.SimpleStrategy", replication_factor: "1" }
  }]),
  tables("system_schema", [{
    keyspace_name: "ks",
    table_name: "t",
    bloom_filter_fp_chance: 0.01,
    caching: { keys: "ALL", rows_per_partition: "NONE" },
    comment: "",
    compaction: { class: "org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy" },
    compression: {},
    crc_check_chance: 1,
    default_time_to_live: 0,
    extensions: {},
    flags: ["compound"],
    gc_grace_seconds: 864000,
    id: "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff",
    max_index_interval: 2048,
    memtable_flush_period_in_ms: 0,
    min_index_interval: 128,
    read_repair: "BLOCKING",
    speculative_retry: "99p"
  }]),
  columns("system_schema", [
    column("age", "regular", -1, "int"),
    column("id", "partition_key", 0, "uuid"),
    column("name", "regular", -1, "text"),
    column("score", "regular", -1, "bigint")
  ]),
  table(
    "system_schema",
    "types",
    "keyspace_name text, type_name text, field_names list<text>, field_types list<text>"
  ),
  table(
    "system_schema",
    "functions",
    "keyspace_name text, function_name text, argument_types list<text>, argument_names list<text>, body text, " +
      "called_on_null_input boolean, language text, return_type text"
  ),
  table(
    "system_schema",
    "aggregates",
    "keyspace_name text, aggregate_name text, argument_types list<text>, final_func text, initcond text, " +
      "return_type text, state_func text, state_type text"
  ),
  table(
    "system_schema",
    "views",
    "keyspace_name text, view_name text, base_table_id uuid, base_table_name text, include_all_columns boolean, " +
      "where_clause text"
  ),
  table(
    "system_schema",
    "indexes",
    "keyspace_name text, table_name text, index_name text, kind text, options map<text, text>"
  ),
  table("system_schema", "triggers", "keyspace_name text, table_name text, trigger_name text, options map<text, text>"),
  keyspaces("system_virtual_schema", []),
  tables("system_virtual_schema", []),
  columns("system_virtual_schema", [])
])

type Cells = ReadonlyArray<Uint8Array | null>

/** A SELECT of a system table: what it binds, what it answers. */
export interface Query {
  readonly variables: ReadonlyArray<Metadata.Column>
  readonly result: ReadonlyArray<Metadata.Column>
  /** The rows for the bound values. */
  readonly rows: (values: Cells) => ReadonlyArray<Cells>
}

const equal = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a !== null && b !== null && Buffer.compare(a, b) === 0

/**
 * Understands `SELECT * | columns FROM keyspace.table [WHERE column = 'text' | ? [AND …]]`; answers a message for
 * anything else.
 */
export const parseQuery = (text: string): Query | string => {
  // Clients bound their reads of metadata so where they take the server for ScyllaDB.
  const bounded = text.replace(/\s+USING TIMEOUT \w+\s*;?\s*$/i, "")
  const match = /^\s*SELECT\s+(.+?)\s+FROM\s+(\w+\.\w+)(?:\s+WHERE\s+(.+?))?\s*;?\s*$/is.exec(bounded)
  if (match === null) return `the canned server does not understand: ${text}`
  const [, selected, name, where] = match
  const table = systemTables.get(name!.toLowerCase())
  if (table === undefined) return `unconfigured table ${name}`
  const find = (name: string) => table.columns.find((column) => column.name === name)
  const result: Array<Metadata.Column> = []
  for (const name of selected!.trim() === "*" ? [] : selected!.split(",")) {
    const column = find(name.trim().toLowerCase())
    if (column === undefined) return `Undefined column name ${name.trim()} in table ${match[2]}`
    result.push(column)
  }
  if (result.length === 0) result.push(...table.columns)

  const variables: Array<Metadata.Column> = []
  const conditions: Array<{ readonly column: Metadata.Column; readonly of: (values: Cells) => Uint8Array | null }> = []
  for (const condition of where?.split(/\s+AND\s+/i) ?? []) {
    const parts = /^(\w+)\s*=\s*(?:'([^']*)'|(\?))$/.exec(condition.trim())
    const column = parts === null ? undefined : find(parts[1]!.toLowerCase())
    if (parts === null || column === undefined) return `the canned server does not understand: WHERE ${condition}`
    if (parts[3] === undefined) {
      const literal = Codec.encode(column.type, parts[2])
      conditions.push({ column, of: () => literal })
    } else {
      const index = variables.push(column) - 1
      conditions.push({ column, of: (values) => values[index] ?? null })
    }
  }
  const cell = (row: Table["rows"][number], column: Metadata.Column) =>
    Codec.encode(column.type, row[column.name] ?? null)
  return {
    variables,
    result,
    rows: (values) =>
      table.rows
        .filter((row) => conditions.every(({ column, of }) => equal(cell(row, column), of(values))))
        .map((row) => result.map((column) => cell(row, column)))
  }
}
