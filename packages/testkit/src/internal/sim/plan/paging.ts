/** The paging state: where a page ended. Opaque to clients; it begins as ScyllaDB's does, with an int32 of zero. */
import { Reader } from "@effect-scylla/protocol/Reader"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { Writer } from "@effect-scylla/protocol/Writer"
import { protocol } from "../failure.ts"
import type { Table } from "../schema/schema.ts"
import type { Clustering } from "../storage/row.ts"

export interface Position {
  /** Partition of the last row. */
  readonly key: Uint8Array
  readonly hi: number
  readonly lo: number
  /** The last row. */
  readonly clustering: Clustering
  /** Rows that LIMIT still allows; -1 without LIMIT. */
  readonly remaining: number
  /** Rows that were shown of that partition. */
  readonly inPartition: number
}

export const write = (table: Table, position: Position): Uint8Array => {
  const w = new Writer(128)
  w.i32(0)
  w.raw(table.id.toBytes())
  w.i32(position.remaining)
  w.i32(position.inPartition)
  w.i32(position.hi)
  w.i32(position.lo)
  w.bytesValue(position.key)
  w.u16(position.clustering.length)
  for (const value of position.clustering) w.bytesValue(value)
  return w.toUint8Array()
}

export const read = (table: Table, bytes: Uint8Array): Position => {
  try {
    const r = Reader.from(bytes)
    if (r.i32() !== 0 || !Uuid.fromBytes(r.uuidBytes()).equals(table.id)) throw new Error("of another table")
    const remaining = r.i32()
    const inPartition = r.i32()
    const hi = r.i32()
    const lo = r.i32()
    const key = r.bytesValue()
    const clustering = Array.from({ length: r.u16() }, () => r.bytesValue())
    if (key === null || clustering.some((value) => value === null) || r.remaining !== 0) {
      throw new Error("not a position")
    }
    if (clustering.length !== 0 && clustering.length !== table.clustering.length) throw new Error("not a position")
    return { key, hi, lo, clustering: clustering as Array<Uint8Array>, remaining, inPartition }
  } catch {
    throw protocol("Invalid value for the paging state")
  }
}
