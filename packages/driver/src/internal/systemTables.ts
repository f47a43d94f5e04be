import type { Connection } from "@effect-scylla/pool/Connection"
import type { PoolError } from "@effect-scylla/pool/PoolError"
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import { type Row, RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import type { ServerError } from "@effect-scylla/protocol/ServerError"
import * as Partitioner from "@effect-scylla/sharding/Partitioner"
import type { TabletInfo } from "@effect-scylla/sharding/TabletMap"
import { minimum } from "@effect-scylla/sharding/Token"
import * as Effect from "effect/Effect"
import type { KeyspaceRow } from "../Snapshot.ts"
import { paced } from "./paced.ts"
import { SamePages } from "./samePages.ts"
import * as Tokens from "./tokens.ts"

/** Milliseconds for a read of metadata: 5 s on the server where it lets itself be told, a second more here. */
export const SERVER_TIMEOUT = 5_000
export const CLIENT_TIMEOUT = 6_000

/** A node as the system tables know it. */
export interface NodeRow {
  readonly hostId: string
  /** Where clients reach it. */
  readonly address: string
  /** `undefined`: the server does not tell. */
  readonly port: number | undefined
  /** Where its peers reach it, which is what ScyllaDB's events say. */
  readonly peer: string
  readonly datacenter: string
  readonly rack: string
  readonly tokens: Tokens.Tokens
  readonly releaseVersion: string
  readonly schemaVersion: string
}

export interface Topology {
  readonly clusterName: string
  /** A class name, empty where it is not told. */
  readonly partitioner: string
  readonly local: NodeRow
  readonly nodes: ReadonlyArray<NodeRow>
  /** Rows that had to be left out, a sentence each. */
  readonly skipped: ReadonlyArray<string>
}

/** Why something could not be read. */
export type Problem = PoolError | ServerError

interface Page {
  readonly rows: ReadonlyArray<Row>
  readonly pagingState: Uint8Array | null
}

/** Reads a system table on the control connection: a page where there is a size for it, else all of it. */
const read = (
  connection: Connection,
  decoders: RowDecoders,
  text: string,
  timeoutMillis: number,
  paging: { readonly pageSize?: number; readonly pagingState?: Uint8Array } = {}
): Effect.Effect<Page, Problem> => {
  const bounded = connection.features.isScylla ? `${text} USING TIMEOUT ${SERVER_TIMEOUT}ms` : text
  return Effect.flatMap(
    connection.request({ _tag: "Query", query: bounded, options: { consistency: "ONE", ...paging } }, {
      timeoutMillis,
      decoders,
      isRepeatable: true
    }),
    ({ response }): Effect.Effect<Page, Problem> =>
      response._tag === "Rows"
        ? Effect.succeed(response)
        : response._tag === "Error"
        ? Effect.fail(response.error)
        : Effect.succeed({ rows: [], pagingState: null })
  )
}

/** Reads a system table on the control connection. */
export const query = (
  connection: Connection,
  decoders: RowDecoders,
  text: string,
  timeoutMillis = CLIENT_TIMEOUT
): Effect.Effect<ReadonlyArray<Row>, Problem> =>
  Effect.map(read(connection, decoders, text, timeoutMillis), ({ rows }) => rows)

/** Rows of a page of what may be much, so that reading it takes many short turns. */
const PAGE = 1_000

/** The same of what may be much. */
export const queryPages = (
  connection: Connection,
  decoders: RowDecoders,
  text: string
): Effect.Effect<ReadonlyArray<Row>, Problem> =>
  Effect.gen(function*() {
    let page = yield* read(connection, decoders, text, CLIENT_TIMEOUT, { pageSize: PAGE })
    if (page.pagingState === null) return page.rows
    const rows = [...page.rows]
    while (page.pagingState !== null) {
      const { pagingState } = page
      page = yield* read(connection, decoders, text, CLIENT_TIMEOUT, { pageSize: PAGE, pagingState })
      for (const row of page.rows) rows.push(row)
    }
    return rows
  })

export const text = (value: unknown): string => value === null || value === undefined ? "" : String(value)
const isWildcard = (address: string): boolean => address === "" || address === "0.0.0.0" || address === "::"

/** A port, where it is one. */
export const portOf = (value: unknown): number | undefined =>
  typeof value === "number" && value > 0 && value <= 65_535 ? value : undefined

const isText = (type: CqlType): boolean => type._tag === "Scalar" && type.name === "text"

/** Tokens are read where they are others than before. */
const topologyPages = (): SamePages =>
  new SamePages({
    uuid: "string",
    codecOf: (type) => type._tag === "Set" && isText(type.element) ? Tokens.codec : undefined
  })

/**
 * Reads who is in the cluster, again and again. Where all that was read is the same as the last time, so is the topology, which costs
 * little in a large cluster; one that is all new holds nobody up.
 */
export class TopologyReader {
  private readonly local = topologyPages()
  private readonly others = topologyPages()
  private known: ReadonlyMap<string, Tokens.Tokens> = new Map()
  private last:
    | {
      readonly own: Row | undefined
      readonly peers: ReadonlyArray<Row>
      readonly dialled: string
      readonly topology: Topology
    }
    | undefined

  /** `dialled` is the address of the control connection. */
  read(connection: Connection, dialled: string): Effect.Effect<Topology, Problem> {
    return Effect.gen({ self: this }, function*() {
      const local = query(connection, this.local, "SELECT * FROM system.local WHERE key = 'local'")
      const [[own], peers] = yield* Effect.all([local, this.peers(connection)], { concurrency: "unbounded" })
      const { last } = this
      if (last !== undefined && last.own === own && last.peers === peers && last.dialled === dialled) {
        return last.topology
      }
      const topology = yield* paced(this.topologyOf(own, peers, dialled))
      this.last = { own, peers, dialled, topology }
      return topology
    })
  }

  /** With a port for each node where the server (Cassandra 4 and later) tells it. */
  private peers(connection: Connection): Effect.Effect<ReadonlyArray<Row>, Problem> {
    const plain = () => query(connection, this.others, "SELECT * FROM system.peers")
    if (connection.features.isScylla) return plain()
    return Effect.catchTag(
      query(connection, this.others, "SELECT * FROM system.peers_v2"),
      "InvalidRequest",
      plain
    )
  }

  private *topologyOf(own: Row | undefined, peers: ReadonlyArray<Row>, dialled: string): Generator<void, Topology> {
    const partitioner = text(own?.["partitioner"])
    const { kind } = Partitioner.resolve(partitioner === "" ? "Murmur3Partitioner" : partitioner, "cassandra")
    const isInt64 = kind === "murmur3" || kind === "unknown"
    const tokens = new Map<string, Tokens.Tokens>()
    /** One row of local or peers. `undefined` for a row that is not whole: a node that is joining has one. */
    const nodeOf = (row: Row, address: string, port: number | undefined, peer: string): NodeRow | undefined => {
      const hostId = text(row["host_id"])
      const datacenter = text(row["data_center"])
      if (hostId === "" || address === "" || datacenter === "") return undefined
      const raw = row["tokens"]
      const read = raw instanceof Tokens.RawTokens ? raw.read(isInt64, this.known.get(hostId)) : Tokens.NO_TOKENS
      tokens.set(hostId, read)
      return {
        hostId,
        address,
        port,
        peer,
        datacenter,
        rack: text(row["rack"]),
        tokens: read,
        releaseVersion: text(row["release_version"]),
        schemaVersion: text(row["schema_version"])
      }
    }
    const skipped: Array<string> = []
    const rpc = text(own?.["rpc_address"])
    const local = own === undefined
      ? undefined
      : nodeOf(
        own,
        isWildcard(rpc) ? dialled : rpc,
        portOf(own["rpc_port"]),
        text(own["broadcast_address"]) || dialled
      )
    if (local === undefined) {
      // Nothing can be routed without it, but the node itself can still be used.
      skipped.push(`system.local of ${dialled} has no host id or datacenter`)
    }
    const nodes = new Map<string, NodeRow>()
    if (local !== undefined) nodes.set(local.hostId, local)
    for (const row of peers) {
      const peer = text(row["peer"])
      const rpc = text(row["native_address"] ?? row["rpc_address"])
      const node = nodeOf(row, isWildcard(rpc) ? peer : rpc, portOf(row["native_port"]), peer)
      if (node === undefined) skipped.push(`the row of ${peer} in system.peers is not whole`)
      else if (nodes.has(node.hostId)) skipped.push(`the row of ${peer} in system.peers is the asked node itself`)
      else nodes.set(node.hostId, node)
      yield
    }
    const unknown: NodeRow = {
      hostId: dialled,
      address: dialled,
      port: undefined,
      peer: dialled,
      datacenter: text(own?.["data_center"]),
      rack: "",
      tokens: Tokens.NO_TOKENS,
      releaseVersion: "",
      schemaVersion: ""
    }
    if (local === undefined) nodes.set(unknown.hostId, unknown)
    this.known = tokens
    return {
      clusterName: text(own?.["cluster_name"]),
      partitioner,
      local: local ?? unknown,
      nodes: [...nodes.values()],
      skipped
    }
  }
}

/** Reads how keyspaces are replicated, again and again: what is the same as the last time is the same array. */
export class KeyspacesReader {
  private readonly all = new SamePages()
  private readonly scylla = new SamePages()
  private last:
    | {
      readonly rows: ReadonlyArray<Row>
      readonly scylla: ReadonlyArray<Row>
      readonly keyspaces: ReadonlyArray<KeyspaceRow>
    }
    | undefined

  read(connection: Connection): Effect.Effect<ReadonlyArray<KeyspaceRow>, Problem> {
    const all = query(connection, this.all, "SELECT keyspace_name, replication FROM system_schema.keyspaces")
    return Effect.map(
      Effect.all([all, this.extensions(connection)], { concurrency: "unbounded" }),
      ([rows, scylla]) => {
        const { last } = this
        if (last !== undefined && last.rows === rows && last.scylla === scylla) return last.keyspaces
        const keyspaces = keyspacesOf(rows, scylla)
        this.last = { rows, scylla, keyspaces }
        return keyspaces
      }
    )
  }

  /** Only ScyllaDB has this table, and only since tablets; elsewhere there are none. Who has leaders says so in a column. */
  private extensions(connection: Connection): Effect.Effect<ReadonlyArray<Row>, Problem> {
    if (!connection.features.isScylla) return Effect.succeed(NONE)
    const read = (columns: string) =>
      query(connection, this.scylla, `SELECT keyspace_name, ${columns} FROM system_schema.scylla_keyspaces`)
    const plain = Effect.catchTag(read("initial_tablets"), "InvalidRequest", () => Effect.succeed(NONE))
    return connection.dialect.tabletVersions
      ? Effect.catchTag(read("initial_tablets, consistency"), "InvalidRequest", () => plain)
      : plain
  }
}

const NONE: ReadonlyArray<Row> = []

const keyspacesOf = (rows: ReadonlyArray<Row>, scylla: ReadonlyArray<Row>): ReadonlyArray<KeyspaceRow> => {
  const globals = new Set(
    scylla.filter((row) => row["consistency"] === "global").map((row) => text(row["keyspace_name"]))
  )
  const tablets = new Set(
    scylla.filter((row) => row["initial_tablets"] !== null && row["initial_tablets"] !== undefined)
      .map((row) => text(row["keyspace_name"]))
  )
  return rows.map((row) => {
    const name = text(row["keyspace_name"])
    const replication = row["replication"]
    return {
      name,
      replication: replication instanceof Map ? Object.fromEntries(replication) as Record<string, string> : {},
      hasTablets: tablets.has(name),
      isGlobal: globals.has(name)
    }
  })
}

const ownVersion = (
  connection: Connection,
  decoders: RowDecoders,
  timeoutMillis?: number
): Effect.Effect<string, Problem> =>
  Effect.map(
    query(connection, decoders, "SELECT schema_version FROM system.local WHERE key = 'local'", timeoutMillis),
    ([row]) => text(row?.["schema_version"])
  )

/** Milliseconds between rounds of gossip: no answer after that, and the peers may have heard more. */
const GOSSIP = 1_000

/** Who has which version of the schema; of nodes that are left out, nothing is told. */
export interface SchemaVersions {
  /** That of the node that was asked. */
  readonly own: string
  /** Host ids of those that have another one. */
  readonly others: ReadonlyArray<string>
}

/**
 * The schema versions that the asked node and its live peers have. What a node knows of its peers is a round of gossip old, a
 * second or so: one that seems to have another version is asked itself (as the Rust driver asks all), where `connectionTo` has
 * a connection for it.
 */
export const schemaVersions = (
  connection: Connection,
  decoders: RowDecoders,
  isUp: (hostId: string) => boolean,
  connectionTo: (hostId: string) => Connection | undefined
): Effect.Effect<SchemaVersions, Problem> =>
  Effect.gen(function*() {
    const own = yield* ownVersion(connection, decoders)
    const peers = yield* query(
      connection,
      decoders,
      "SELECT peer, rpc_address, schema_version, host_id FROM system.peers"
    )
    const others = yield* Effect.forEach(peers, (row) => {
      const hostId = text(row["host_id"])
      const heard = text(row["schema_version"])
      if (heard === "" || heard === own || !isUp(hostId)) return Effect.succeed([])
      const direct = connectionTo(hostId)
      const version = direct === undefined
        ? Effect.succeed(heard)
        : Effect.orElseSucceed(ownVersion(direct, decoders, GOSSIP), () => heard)
      return Effect.map(version, (version) => version === own ? [] : [hostId])
    }, { concurrency: "unbounded" })
    return { own, others: others.flat() }
  })

/** Tablets as `system.tablets` has them, whole. Servers may have another table there: what is not understood is left out. */
export const tablets = (
  connection: Connection,
  decoders: RowDecoders
): Effect.Effect<ReadonlyArray<{ readonly table: string; readonly tablet: TabletInfo }>, Problem> =>
  Effect.map(
    query(
      connection,
      decoders,
      "SELECT table_id, last_token, keyspace_name, table_name, replicas FROM system.tablets"
    ),
    (rows) => {
      const found: Array<{ readonly table: string; readonly tablet: TabletInfo }> = []
      const lasts = new Map<string, bigint>()
      // In the order of the token within each table.
      for (const row of rows) {
        const { keyspace_name, last_token, replicas, table_id, table_name } = row
        if (typeof last_token !== "bigint" || !Array.isArray(replicas)) continue
        const id = text(table_id)
        const first = lasts.get(id) ?? minimum
        lasts.set(id, last_token)
        found.push({
          table: `${text(keyspace_name)}.${text(table_name)}`,
          tablet: {
            first,
            last: last_token,
            replicas: replicas.flatMap((replica) => {
              const [host, shard] = Array.isArray(replica) ? replica : Object.values(replica ?? {})
              return typeof shard === "number" ? [{ host: text(host), shard }] : []
            })
          }
        })
      }
      return found
    }
  )

/** The columns of a table's partition key, in their order: for v3, whose PREPARED does not tell. */
export const partitionKey = (
  connection: Connection,
  decoders: RowDecoders,
  keyspace: string,
  table: string
): Effect.Effect<ReadonlyArray<string>, Problem> => {
  const quoted = (name: string): string => `'${name.replaceAll("'", "''")}'`
  const where = `WHERE keyspace_name = ${quoted(keyspace)}`
  const named = (rows: ReadonlyArray<Row>): ReadonlyArray<string> =>
    rows.filter((row) => row["kind"] === "partition_key" || row["type"] === "partition_key")
      .toSorted((a, b) => Number(a["position"] ?? a["component_index"]) - Number(b["position"] ?? b["component_index"]))
      .map((row) => text(row["column_name"]))
  const since3 = query(
    connection,
    decoders,
    `SELECT column_name, kind, position FROM system_schema.columns ${where} AND table_name = ${quoted(table)}`
  )
  // Cassandra 2 has it elsewhere.
  const before = query(
    connection,
    decoders,
    `SELECT column_name, type, component_index FROM system.schema_columns ${where} AND columnfamily_name = ${
      quoted(table)
    }`
  )
  return Effect.map(Effect.catchTag(since3, "InvalidRequest", () => before), named)
}
