/** What is in the tables of `system` and `system_schema`. Columns as ScyllaDB 6.0.4 has them. */
import * as Identifier from "@effect-scylla/protocol/Identifier"
import type { SimNode } from "../cluster/simNode.ts"
import type { Topology } from "../cluster/topology.ts"
import { whereText } from "../plan/relationText.ts"
import type { Product } from "../server/flavour.ts"
import type { Role } from "./access.ts"
import { cdcOptionsOf, cdcText } from "./cdcOptions.ts"
import { type ViewColumn, viewColumnsOf, viewIdOf, viewNameOf } from "./indexViews.ts"
import { mapOf, numberOf, textOf } from "./optionValues.ts"
import type { Column, Index, Keyspace, Schema, Table, View } from "./schema.ts"
import type { Traces } from "./traces.ts"

/** What is said of a connection in `system.clients`. */
export interface ClientRow {
  readonly address: string
  readonly port: number
  readonly shard: number
  readonly stage: string
  readonly driverName: string | undefined
  readonly driverVersion: string | undefined
  readonly username: string | undefined
  readonly protocolVersion: number
}

/** Pairs of a private link and a node that is on it. */
export type ChangedRoutes = ReadonlyArray<readonly [connectionId: string, hostId: string]>

export interface SystemInput {
  readonly product: Product
  /** What a node says of where clients reach it. */
  readonly advertised: (node: SimNode) => { readonly address: string; readonly port: number }
  /** The highest version of the protocol. */
  readonly nativeProtocol: string
  readonly schema: Schema
  readonly topology: Topology
  readonly clusterName: string
  /** Seconds since 1970 when the node last started. */
  readonly generation: (node: SimNode) => number
  readonly clients: (node: SimNode) => ReadonlyArray<ClientRow>
  readonly traces: Traces
  /** Those that are strongly consistent. */
  readonly globalKeyspaces: ReadonlyArray<string>
  /** Rows of `system.client_routes` were written or deleted. */
  readonly onRoutes: (changed: ChangedRoutes) => void
  /** Names of the roles; none when nobody has to log in. */
  readonly roles: () => ReadonlyMap<string, Role>
}

/** A row by the names of its columns; what is absent is null. */
export type Values = Readonly<Record<string, unknown>>

/** Features that nodes of a cluster tell each other: those of which the simulator has the behaviour. */
const FEATURES = "COUNTERS,LWT,NONFROZEN_UDTS,SCHEMA_TABLES_V3"
/** What `version.hh` of ScyllaDB gives out for drivers of Cassandra. */
const RELEASE = "3.0.8"
const CASSANDRA_RELEASE = "5.0.5"

/** What servers say of their language. */
export const CQL_VERSIONS: Readonly<Record<Product, string>> = { cassandra: "3.4.7", scylla: "3.3.1" }

export interface Definition {
  readonly keyspace: string
  readonly name: string
  /** `name type`, the partition key first, then `|`, clustering columns, `|`, the others. */
  readonly columns: string
  readonly comment?: string
  readonly rows: (input: SystemInput, node: SimNode) => ReadonlyArray<Values>
  /** Whether its rows are what clients wrote, the same to all nodes. Default: they are made when they are read. */
  readonly isStored?: boolean
  /** What differs from the defaults of tables. */
  readonly options?: Readonly<Record<string, string>>
  /** What TRUNCATE leaves. Default: nothing. */
  readonly remains?: ReadonlyArray<Values>
}

/** What `system_schema` tells of: all but virtual keyspaces. */
const keyspacesOf = (input: SystemInput): ReadonlyArray<Keyspace> =>
  [...input.schema.keyspaces.values()].filter(({ isVirtual }) => !isVirtual)

const userAndSystemTables = (input: SystemInput): ReadonlyArray<Table> =>
  keyspacesOf(input).flatMap((keyspace) => Array.from(keyspace.tables.values()))

/** What a node tells of itself and of others. */
export const common = (input: SystemInput, node: SimNode): Values => ({
  data_center: node.datacenter,
  host_id: node.hostId,
  rack: node.rack,
  release_version: input.product === "cassandra" ? CASSANDRA_RELEASE : RELEASE,
  rpc_address: input.advertised(node).address,
  schema_version: input.schema.version,
  supported_features: FEATURES,
  tokens: node.tokens.map(String).sort()
})

export const clientRow = (client: ClientRow): Values => ({
  address: client.address,
  port: client.port,
  connection_stage: client.stage,
  driver_name: client.driverName,
  driver_version: client.driverVersion,
  hostname: client.address,
  protocol_version: client.protocolVersion,
  ssl_enabled: false,
  username: client.username
})

/** What only Cassandra has; some of it is null unless it was given. */
const policiesOf = (table: Table): Values => ({
  additional_write_policy: textOf(table, "additional_write_policy", "cassandra"),
  allow_auto_snapshot: table.options.get("allow_auto_snapshot") === "false" ? false : undefined,
  incremental_backups: table.options.get("incremental_backups") === "false" ? false : undefined,
  read_repair: textOf(table, "read_repair", "cassandra")
})

/** Short class names are stored as they were written. */
const tableRow = (table: Table, product: Product): Values => ({
  ...(product === "cassandra" ? policiesOf(table) : {}),
  keyspace_name: table.keyspace.name,
  table_name: table.name,
  bloom_filter_fp_chance: numberOf(table, "bloom_filter_fp_chance", product),
  caching: mapOf(table, "caching", product),
  comment: textOf(table, "comment", product),
  compaction: mapOf(table, "compaction", product),
  compression: mapOf(table, "compression", product),
  crc_check_chance: numberOf(table, "crc_check_chance", product),
  dclocal_read_repair_chance: Number(table.options.get("dclocal_read_repair_chance") ?? 0),
  default_time_to_live: numberOf(table, "default_time_to_live", product),
  extensions: new Map(),
  flags: table.isCounter ? ["compound", "counter"] : ["compound"],
  gc_grace_seconds: numberOf(table, "gc_grace_seconds", product),
  id: table.id,
  max_index_interval: numberOf(table, "max_index_interval", product),
  memtable_flush_period_in_ms: numberOf(table, "memtable_flush_period_in_ms", product),
  min_index_interval: numberOf(table, "min_index_interval", product),
  read_repair_chance: Number(table.options.get("read_repair_chance") ?? 0),
  speculative_retry: textOf(table, "speculative_retry", product)
})

/** Absent where nothing was said of it. */
const cdcMap = (table: Table): ReadonlyMap<string, string> | undefined => {
  const given = table.options.get("cdc")
  return given === undefined ? undefined : cdcText(cdcOptionsOf(given))
}

const viewRow = (table: Table, view: View, product: Product): Values => ({
  ...tableRow(table, product),
  view_name: table.name,
  base_table_id: table.keyspace.tables.get(view.base)!.id,
  base_table_name: view.base,
  include_all_columns: view.includesAll,
  where_clause: whereText(view.where, product)
})

/** Indexes of ScyllaDB are views. Those of collections have no condition that could be said. */
const indexViewRow = (table: Table, index: Index): Values => ({
  ...tableRow(table, "scylla"),
  id: viewIdOf(table, index),
  view_name: viewNameOf(index),
  base_table_id: table.id,
  base_table_name: table.name,
  include_all_columns: false,
  where_clause: index.column.layout === undefined ? `${Identifier.format(index.column.name)} IS NOT NULL` : ""
})

/** ScyllaDB writes that of views in capitals. */
const orderText = (table: Table, column: Column, product: Product): string => {
  const text = column.kind === "clustering" ? (column.descending ? "desc" : "asc") : "none"
  return table.view !== undefined && product === "scylla" ? text.toUpperCase() : text
}

export const columnRow = (table: Table, column: Column, product: Product): Values => ({
  keyspace_name: table.keyspace.name,
  table_name: table.name,
  column_name: column.name,
  clustering_order: orderText(table, column, product),
  column_name_bytes: new TextEncoder().encode(column.name),
  kind: column.kind,
  position: column.kind === "regular" || column.kind === "static" ? -1 : column.position,
  type: column.type.text
})

const indexColumnRow = (table: Table, index: Index, column: ViewColumn): Values => ({
  keyspace_name: table.keyspace.name,
  table_name: viewNameOf(index),
  column_name: column.name,
  clustering_order: column.kind === "clustering" ? (column.descending ? "DESC" : "ASC") : "NONE",
  column_name_bytes: new TextEncoder().encode(column.name),
  kind: column.kind,
  position: column.position,
  type: column.type
})

export const TABLE_OPTIONS = "bloom_filter_fp_chance double, caching frozen<map<text, text>>, comment text, " +
  "compaction frozen<map<text, text>>, compression frozen<map<text, text>>, crc_check_chance double, " +
  "dclocal_read_repair_chance double, default_time_to_live int, extensions frozen<map<text, blob>>"
export const TABLE_REST = "gc_grace_seconds int, id uuid, max_index_interval int, memtable_flush_period_in_ms int, " +
  "min_index_interval int, read_repair_chance double, speculative_retry text"

export const none = (): ReadonlyArray<Values> => []

/** Of ScyllaDB; most are Cassandra's, too. */
export const DEFINITIONS: ReadonlyArray<Definition> = [
  {
    keyspace: "system",
    name: "local",
    columns:
      "key text || bootstrapped text, broadcast_address inet, cluster_name text, cql_version text, data_center text, " +
      "gossip_generation int, host_id uuid, listen_address inet, native_protocol_version text, partitioner text, " +
      "rack text, release_version text, rpc_address inet, schema_version uuid, supported_features text, " +
      "thrift_version text, tokens set<text>, truncated_at map<uuid, blob>",
    rows: (input, node) => [{
      ...common(input, node),
      key: "local",
      bootstrapped: "COMPLETED",
      broadcast_address: node.address,
      cluster_name: input.clusterName,
      cql_version: CQL_VERSIONS[input.product],
      gossip_generation: input.generation(node),
      listen_address: node.address,
      native_protocol_version: input.nativeProtocol,
      partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
      thrift_version: "20.1.0"
    }]
  },
  {
    keyspace: "system",
    name: "peers",
    columns: "peer inet || data_center text, host_id uuid, preferred_ip inet, rack text, release_version text, " +
      "rpc_address inet, schema_version uuid, supported_features text, tokens set<text>",
    rows: (input, node) =>
      input.topology.nodes.filter((other) => other !== node).map((other) =>
        Object.assign({ peer: other.address }, common(input, other))
      )
  },
  {
    keyspace: "system",
    name: "versions",
    columns: "key text || build_id text, build_mode text, version text",
    rows: () => [{ key: "local", build_id: "simulated", build_mode: "simulated", version: "6.0.4-simulated" }]
  },
  {
    keyspace: "system",
    name: "tablets",
    columns:
      "table_id uuid | last_token bigint | keyspace_name text, replicas frozen<list<frozen<tuple<uuid, int>>>>, " +
      "stage text, table_name text, tablet_count int",
    rows: (input) =>
      userAndSystemTables(input).flatMap((table) => {
        const layout = input.topology.tablets(table)
        return (layout?.tablets ?? []).map(({ last, replicas }) => ({
          table_id: table.id,
          last_token: last,
          keyspace_name: table.keyspace.name,
          replicas: replicas.map(({ node, shard }) => [node.hostId, shard]),
          table_name: table.name,
          tablet_count: layout!.tablets.length
        }))
      })
  },
  {
    keyspace: "system",
    name: "clients",
    columns:
      "address inet | port int, client_type text | connection_stage text, driver_name text, driver_version text, " +
      "hostname text, protocol_version int, shard_id int, ssl_cipher_suite text, ssl_enabled boolean, ssl_protocol text, " +
      "username text",
    rows: (input, node) =>
      input.clients(node).map((client) =>
        Object.assign({ client_type: "cql", shard_id: client.shard }, clientRow(client))
      )
  },
  {
    keyspace: "system",
    name: "roles",
    columns: "role text || can_login boolean, is_superuser boolean, member_of set<text>, salted_hash text",
    rows: (input) =>
      [...input.roles()].map(([role, { canLogin, isSuperuser, memberOf }]) => ({
        role,
        can_login: canLogin,
        is_superuser: isSuperuser,
        member_of: memberOf.size === 0 ? null : [...memberOf]
      }))
  },
  {
    keyspace: "system_schema",
    name: "keyspaces",
    columns: "keyspace_name text || durable_writes boolean, replication frozen<map<text, text>>",
    rows: (input) =>
      keyspacesOf(input).map((keyspace) => ({
        keyspace_name: keyspace.name,
        durable_writes: keyspace.durableWrites,
        replication: new Map(Object.entries(keyspace.replication).sort(([a], [b]) => (a < b ? -1 : 1)))
      }))
  },
  {
    keyspace: "system_schema",
    name: "tables",
    columns: `keyspace_name text | table_name text | ${TABLE_OPTIONS}, flags frozen<set<text>>, ${TABLE_REST}`,
    rows: (input) =>
      userAndSystemTables(input).filter(({ view }) => view === undefined)
        .map((table) => tableRow(table, input.product))
  },
  {
    keyspace: "system_schema",
    name: "columns",
    columns:
      "keyspace_name text | table_name text, column_name text | clustering_order text, column_name_bytes blob, " +
      "kind text, position int, type text",
    rows: (input) =>
      userAndSystemTables(input).flatMap((table) =>
        table.columns.map((column) => columnRow(table, column, input.product)).concat(
          (input.product === "scylla" ? table.indexes : []).flatMap((index) =>
            viewColumnsOf(table, index).map((column) => indexColumnRow(table, index, column))
          )
        )
      )
  },
  {
    keyspace: "system_schema",
    name: "types",
    columns: "keyspace_name text | type_name text | field_names frozen<list<text>>, field_types frozen<list<text>>",
    rows: (input) =>
      keyspacesOf(input).flatMap((keyspace) =>
        [...keyspace.types.values()].map((type) => ({
          keyspace_name: keyspace.name,
          type_name: type.name,
          field_names: type.fields.map((field) => field.name),
          field_types: type.fields.map((field) => field.type.text)
        }))
      )
  },
  {
    keyspace: "system_schema",
    name: "dropped_columns",
    columns: "keyspace_name text | table_name text, column_name text | dropped_time timestamp, type text",
    rows: (input) =>
      userAndSystemTables(input).flatMap((table) =>
        table.dropped.map((column) => ({
          keyspace_name: table.keyspace.name,
          table_name: table.name,
          column_name: column.name,
          dropped_time: column.time,
          kind: column.kind,
          type: column.type
        }))
      )
  },
  {
    keyspace: "system_schema",
    name: "scylla_tables",
    columns: "keyspace_name text | table_name text | cdc frozen<map<text, text>>, committed_by_group0 boolean, " +
      "partitioner text, version uuid",
    rows: (input) =>
      userAndSystemTables(input).map((table) => ({
        keyspace_name: table.keyspace.name,
        table_name: table.name,
        cdc: cdcMap(table),
        committed_by_group0: true,
        version: table.version
      }))
  },
  {
    keyspace: "system_schema",
    name: "scylla_keyspaces",
    columns: "keyspace_name text || consistency text, initial_tablets int, storage_options frozen<map<text, text>>, " +
      "storage_type text",
    // Only keyspaces with tablets or with storage of their own have rows here.
    rows: (input) =>
      keyspacesOf(input).flatMap((keyspace) =>
        keyspace.tablets === undefined ? [] : {
          keyspace_name: keyspace.name,
          consistency: input.globalKeyspaces.includes(keyspace.name) ? "global" : undefined,
          initial_tablets: keyspace.tablets
        }
      )
  },
  {
    keyspace: "system_schema",
    name: "functions",
    columns: "keyspace_name text | function_name text, argument_types frozen<list<text>> | " +
      "argument_names frozen<list<text>>, body text, called_on_null_input boolean, language text, return_type text",
    rows: none
  },
  {
    keyspace: "system_schema",
    name: "aggregates",
    columns:
      "keyspace_name text | aggregate_name text, argument_types frozen<list<text>> | final_func text, initcond text, " +
      "return_type text, state_func text, state_type text",
    rows: none
  },
  {
    keyspace: "system_schema",
    name: "scylla_aggregates",
    columns:
      "keyspace_name text | aggregate_name text, argument_types frozen<list<text>> | reduce_func text, state_type text",
    rows: none
  },
  {
    keyspace: "system_schema",
    name: "views",
    columns: "keyspace_name text | view_name text | base_table_id uuid, base_table_name text, " +
      `${TABLE_OPTIONS}, include_all_columns boolean, where_clause text, ${TABLE_REST}`,
    rows: (input) =>
      userAndSystemTables(input).flatMap((table): Values | ReadonlyArray<Values> =>
        table.view !== undefined
          ? viewRow(table, table.view, input.product)
          : input.product === "scylla"
          ? table.indexes.map((index) => indexViewRow(table, index))
          : []
      )
  },
  {
    keyspace: "system_schema",
    name: "indexes",
    columns: "keyspace_name text | table_name text, index_name text | kind text, options frozen<map<text, text>>",
    rows: (input) =>
      userAndSystemTables(input).flatMap((table) =>
        table.indexes.map((index) => ({
          keyspace_name: table.keyspace.name,
          table_name: table.name,
          index_name: index.name,
          kind: index.kind,
          options: new Map([...index.options, ["target", index.target]])
        }))
      )
  },
  {
    keyspace: "system_schema",
    name: "triggers",
    columns: "keyspace_name text | table_name text, trigger_name text | options frozen<map<text, text>>",
    rows: none
  },
  {
    keyspace: "system_schema",
    name: "view_virtual_columns",
    columns: "keyspace_name text | view_name text, column_name text | clustering_order text, column_name_bytes blob, " +
      "kind text, position int, type text",
    rows: none
  },
  {
    keyspace: "system_schema",
    name: "computed_columns",
    columns: "keyspace_name text | table_name text, column_name text | computation blob",
    rows: none
  }
]
