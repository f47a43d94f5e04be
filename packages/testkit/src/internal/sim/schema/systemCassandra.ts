/** Where the system tables of Cassandra 5.0.5 differ from those of ScyllaDB. */
import type { Product } from "../server/flavour.ts"
import { CLIENT_ROUTES } from "./clientRoutes.ts"
import type { Table } from "./schema.ts"
import { AUTH, DISTRIBUTED } from "./systemAuth.ts"
import {
  clientRow,
  columnRow,
  common,
  type Definition,
  DEFINITIONS,
  none,
  type SystemInput,
  TABLE_OPTIONS,
  TABLE_REST
} from "./systemDefinitions.ts"
import { definitionsOfTraces } from "./systemTraces.ts"

/** The port that nodes of Cassandra reach each other at, as they say. */
const STORAGE_PORT = 7000

/** Of Cassandra since 4.0, which tells ports. */
const PEERS_V2: Definition = {
  keyspace: "system",
  name: "peers_v2",
  columns: "peer inet | peer_port int | data_center text, host_id uuid, native_address inet, native_port int, " +
    "preferred_ip inet, preferred_port int, rack text, release_version text, schema_version uuid, tokens set<text>",
  rows: (input, node) =>
    input.topology.nodes.filter((other) => other !== node).map((other) => {
      const { address, port } = input.advertised(other)
      return Object.assign({
        peer: other.address,
        peer_port: STORAGE_PORT,
        native_address: address,
        native_port: port
      }, common(input, other))
    })
}

/** `system.local` with Cassandra's ports. */
const withPorts = (local: Definition): Definition => ({
  ...local,
  // When it was truncated is remembered there itself.
  remains: [{ key: "local" }],
  rows: (input, node) =>
    local.rows(input, node).map((row) =>
      Object.assign({
        broadcast_port: STORAGE_PORT,
        listen_port: STORAGE_PORT,
        rpc_port: input.advertised(node).port
      }, row)
    )
})

const virtualTables = ({ schema }: SystemInput): ReadonlyArray<Table> =>
  [...schema.keyspaces.values()].filter(({ isVirtual }) => isVirtual)
    .flatMap((keyspace) => Array.from(keyspace.tables.values()))

/** Tables that are nowhere stored, in keyspaces that hold no others. */
const VIRTUAL: ReadonlyArray<Definition> = [
  {
    keyspace: "system_views",
    name: "clients",
    comment: "currently connected clients",
    columns: "address inet | port int | authentication_metadata frozen<map<text, text>>, authentication_mode text, " +
      "client_options frozen<map<text, text>>, connection_stage text, driver_name text, driver_version text, " +
      "hostname text, keyspace_name text, protocol_version int, request_count bigint, ssl_cipher_suite text, " +
      "ssl_enabled boolean, ssl_protocol text, username text",
    rows: (input, node) => input.clients(node).map(clientRow)
  },
  {
    keyspace: "system_virtual_schema",
    name: "keyspaces",
    comment: "virtual keyspace definitions",
    columns: "keyspace_name text ||",
    rows: ({ schema }) =>
      [...schema.keyspaces.values()].filter(({ isVirtual }) => isVirtual).map(({ name }) => ({ keyspace_name: name }))
  },
  {
    keyspace: "system_virtual_schema",
    name: "tables",
    comment: "virtual table definitions",
    columns: "keyspace_name text | table_name text | comment text",
    rows: (input) =>
      virtualTables(input).map((table) => ({
        keyspace_name: table.keyspace.name,
        table_name: table.name,
        comment: table.options.get("comment")
      }))
  },
  {
    keyspace: "system_virtual_schema",
    name: "columns",
    comment: "virtual column definitions",
    columns:
      "keyspace_name text | table_name text, column_name text | clustering_order text, column_name_bytes blob, " +
      "kind text, position int, type text",
    rows: (input) =>
      virtualTables(input).flatMap((table) => table.columns.map((column) => columnRow(table, column, "cassandra")))
  }
]

/** New in Cassandra 5. */
const COLUMN_MASKS: Definition = {
  keyspace: "system_schema",
  name: "column_masks",
  columns: "keyspace_name text | table_name text, column_name text | function_argument_nulls frozen<list<boolean>>, " +
    "function_argument_types frozen<list<text>>, function_argument_values frozen<list<text>>, function_keyspace text, " +
    "function_name text",
  rows: none
}

/** Only ScyllaDB has these. */
const FOREIGN = new Set([
  "versions",
  "tablets",
  "clients",
  "roles",
  "scylla_tables",
  "scylla_keyspaces",
  "scylla_aggregates",
  "view_virtual_columns",
  "computed_columns"
])

const OPTIONS =
  `additional_write_policy text, allow_auto_snapshot boolean, cdc boolean, incremental_backups boolean, ` +
  `memtable text, read_repair text, ${TABLE_OPTIONS}`

/** Columns of the tables whose columns differ. */
const COLUMNS: Readonly<Record<string, string>> = {
  local: "key text || bootstrapped text, broadcast_address inet, broadcast_port int, cluster_name text, " +
    "cql_version text, data_center text, gossip_generation int, host_id uuid, listen_address inet, listen_port int, " +
    "native_protocol_version text, partitioner text, rack text, release_version text, rpc_address inet, rpc_port int, " +
    "schema_version uuid, tokens set<text>, truncated_at map<uuid, blob>",
  peers: "peer inet || data_center text, host_id uuid, preferred_ip inet, rack text, release_version text, " +
    "rpc_address inet, schema_version uuid, tokens set<text>",
  tables: `keyspace_name text | table_name text | ${OPTIONS}, flags frozen<set<text>>, ${TABLE_REST}`,
  views: "keyspace_name text | view_name text | base_table_id uuid, base_table_name text, " +
    `${OPTIONS}, include_all_columns boolean, where_clause text, ${TABLE_REST}`,
  dropped_columns:
    "keyspace_name text | table_name text, column_name text | dropped_time timestamp, kind text, type text"
}

const COMMENTS: Readonly<Record<string, string>> = {
  aggregates: "user defined aggregate definitions",
  column_masks: "column dynamic data masks",
  columns: "column definitions",
  dropped_columns: "dropped column registry",
  events: "tracing events",
  functions: "user defined function definitions",
  indexes: "secondary index definitions",
  keyspaces: "keyspace definitions",
  local: "information about the local node",
  peers: "information about known peers in the cluster",
  peers_v2: "information about known peers in the cluster",
  sessions: "tracing sessions",
  tables: "table definitions",
  triggers: "trigger definitions",
  types: "user defined type definitions",
  views: "view definitions"
}

const GRACE: Readonly<Record<string, string>> = { system: "0", system_schema: "604800", system_traces: "0" }

/** Options of the tables of Cassandra's own keyspaces. */
const withOptions = (definition: Definition): Definition => {
  const grace = GRACE[definition.keyspace]
  const comment = COMMENTS[definition.name]
  if (grace === undefined || comment === undefined) return definition
  return {
    ...definition,
    comment,
    options: {
      gc_grace_seconds: grace,
      ...(definition.keyspace === "system_traces" ? {} : { memtable_flush_period_in_ms: "3600000" })
    }
  }
}

const withOwnColumns = (definition: Definition): Definition => {
  const columns = COLUMNS[definition.name]
  return columns === undefined ? definition : { ...definition, columns }
}

const CASSANDRA: ReadonlyArray<Definition> = ([
  ...DEFINITIONS.filter(({ name }) => !FOREIGN.has(name)).map(withOwnColumns)
    .map((each) => each.name === "local" ? withPorts(each) : each),
  PEERS_V2,
  COLUMN_MASKS,
  ...VIRTUAL,
  ...definitionsOfTraces("cassandra"),
  ...AUTH,
  ...DISTRIBUTED
] as ReadonlyArray<Definition>).map(withOptions)

const SCYLLA: ReadonlyArray<Definition> = [
  ...DEFINITIONS,
  CLIENT_ROUTES,
  ...definitionsOfTraces("scylla")
]

/** Keyspaces of the product's own, and whether what is in them is stored nowhere. */
export const keyspacesOf = (product: Product): ReadonlyArray<readonly [name: string, isVirtual: boolean]> => {
  const all = new Set(definitionsOf(product).map(({ keyspace }) => keyspace))
  return [...all].map((name) => [name, VIRTUAL.some(({ keyspace }) => keyspace === name)])
}

/** The tables of a product. */
export const definitionsOf = (product: Product): ReadonlyArray<Definition> => product === "scylla" ? SCYLLA : CASSANDRA
