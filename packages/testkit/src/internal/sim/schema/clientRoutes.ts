/** `system.client_routes` of ScyllaDB: where nodes are reached over private links. Clients write it, and are told of what changes. */
import { decode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Uuid } from "@effect-scylla/protocol/Uuid"
import { Buffer } from "node:buffer"
import type { Observer, Partition } from "../storage/storage.ts"
import { type ChangedRoutes, type Definition, none } from "./systemDefinitions.ts"

export const CLIENT_ROUTES: Definition = {
  keyspace: "system",
  name: "client_routes",
  columns:
    "connection_id text | host_id uuid | address text, alternator_https_port int, alternator_port int, port int, " +
    "tls_port int",
  rows: none,
  isStored: true
}

const uuid = CqlType.scalar("uuid")

/** Tells of the rows that a statement was about. */
export const observerOf = (tell: (changed: ChangedRoutes) => void): Observer => {
  const changed = new Map<string, readonly [string, string]>()
  const note = (partition: Partition, host: Uint8Array): void => {
    const pair = [Buffer.from(partition.key).toString("utf8"), (decode(uuid, host) as Uuid).toString()] as const
    changed.set(pair.join("/"), pair)
  }
  const noteAll = (partition: Partition): void => {
    for (const { clustering } of partition.rows) note(partition, clustering[0]!)
  }
  return {
    wrote: (partition, clustering) => {
      if (clustering !== undefined) note(partition, clustering[0]!)
    },
    deletedPartition: noteAll,
    deletedRow: (partition, clustering) => note(partition, clustering[0]!),
    deletedRange: noteAll,
    flush: () => {
      if (changed.size === 0) return
      tell([...changed.values()])
      changed.clear()
    }
  }
}
