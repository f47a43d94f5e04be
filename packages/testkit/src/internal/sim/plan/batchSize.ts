/** How large Cassandra takes a batch for, and what it says of that. */
import { Buffer } from "node:buffer"
import { invalid } from "../failure.ts"
import type { Table } from "../schema/schema.ts"
import { type Cell, Complex } from "../storage/cells.ts"
import type { Row } from "../storage/row.ts"
import { type Bounds, type Key, type Partition, TableData } from "../storage/storage.ts"
import type { Mutation, Staged } from "./modify.ts"

/** `batch_size_warn_threshold` and `batch_size_fail_threshold`, bytes. */
const WARNS = 5120
const FAILS = 51_200

/** Bytes of a time, of seconds to live, of when something expires; of a deletion, and of that of a row. */
const TIME = 8
const TTL = 4
const EXPIRY = 8
const DELETION = 12
const ROW_DELETION = 13

const lengthOf = (parts: ReadonlyArray<Uint8Array>): number => parts.reduce((sum, part) => sum + part.length, 0)

const cellSize = ({ value }: Cell, path = 0): number => TIME + TTL + EXPIRY + (value?.length ?? 0) + path

/** To Cassandra a place in a list is a time with a node. */
const PLACE = 16

const columnSize = (cell: Cell | Complex | undefined, isList: boolean): number => {
  if (cell === undefined) return 0
  if (!(cell instanceof Complex)) return cellSize(cell)
  return cell.cells.reduce(
    (sum, each, i) => sum + cellSize(each, isList ? PLACE : cell.paths[i]!.length),
    DELETION
  )
}

const rowSize = ({ cells, clustering, marker }: Row, lists: ReadonlySet<number>): number =>
  lengthOf(clustering) + TIME + (marker === undefined || marker.ttl === 0 ? 0 : TTL + EXPIRY) + ROW_DELETION +
  cells.reduce((sum, cell, slot) => sum + columnSize(cell, lists.has(slot)), 0)

const rangeSize = ({ lower, prefix, upper }: Bounds): number =>
  2 * lengthOf(prefix) + (lower?.value.length ?? 0) + (upper?.value.length ?? 0) + DELETION

const sizeOfRanges = ({ deletedRanges }: Partition): number =>
  deletedRanges.length === 0 ? 0 : deletedRanges.reduce((sum, range) => sum + rangeSize(range), 4)

/** What is written to a table by a batch. */
interface Written {
  readonly rows: TableData
  /** Ranges and partitions that are deleted, which takes nothing from the rows before they are stored. */
  readonly deleted: TableData
}

const written = (staged: ReadonlyArray<readonly [Mutation, Staged]>): ReadonlyMap<Table, Written> => {
  const out = new Map<Table, Written>()
  for (const [{ deletesRange, table }, each] of staged) {
    const { order } = table.data
    let into = out.get(table)
    if (into === undefined) out.set(table, into = { rows: new TableData(order), deleted: new TableData(order) })
    for (const key of each.keys) {
      // Each partition has an update of its own, be it of a deletion alone.
      into.rows.obtain(key.bytes, key.components)
      each.apply(key, deletesRange ? into.deleted : into.rows)
    }
  }
  return out
}

/** A static row is counted whether there is one or not. */
const sizeOf = (table: Table, { deleted, rows }: Written): number => {
  const lists = new Set(table.regular.filter(({ type }) => type.cql._tag === "List").map(({ position }) => position))
  let size = 0
  for (const partition of rows.scan()) {
    size += TIME + rowSize(partition.statics, lists)
    for (const row of partition.rows) size += rowSize(row, lists)
  }
  for (const partition of deleted.scan()) size += sizeOfRanges(partition)
  return size
}

/** The place of a text in a hash table of Java's, of 16 buckets. */
const bucketOf = (text: string): number => {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(31, hash) + text.charCodeAt(i)) | 0
  return (hash ^ (hash >>> 16)) & 15
}

/**
 * Throws for a batch that is too large, and returns what is warned of. A batch of one partition may have any size. Counters are not
 * measured: what they take is the server's to say.
 */
export const checkBatchSize = (staged: ReadonlyArray<readonly [Mutation, Staged]>): string | undefined => {
  const partitions = new Set(
    staged.flatMap(([{ table }, { keys }]) => keys.map((key) => `${table.keyspace.name}/${idOf(key)}`))
  )
  if (partitions.size < 2 || staged.some(([{ isCounter }]) => isCounter)) return undefined
  const tables = written(staged)
  let size = 0
  for (const [table, of] of tables) size += sizeOf(table, of)
  if (size <= WARNS) return undefined
  if (size > FAILS) throw invalid("Batch too large")
  const names = Array.from(tables.keys(), ({ keyspace, name }) => `${keyspace.name}.${name}`)
    .sort((a, b) => bucketOf(a) - bucketOf(b))
  return `Batch for [${names.join(", ")}] is of size ${size}, exceeding specified threshold of ${WARNS} by ${
    size - WARNS
  }.`
}

const idOf = ({ bytes }: Key): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
