/** Cells with timestamps: the last write wins, whatever the order in which writes arrive. One copy serves all replicas. */
import * as Murmur3 from "@effect-scylla/sharding/Murmur3"
import { TokenWords } from "@effect-scylla/sharding/Token"
import { Buffer } from "node:buffer"
import { unsupported } from "../failure.ts"
import type { Comparator } from "./compare.ts"

/** Before every timestamp a client may send. */
export const NEVER = -(2n ** 63n)

export interface Cell {
  /** `null` for a deleted one. */
  value: Uint8Array | null
  /** Microseconds. */
  timestamp: bigint
  /** Milliseconds since 1970 when it expires; 0 for never. */
  expires: number
  /** Seconds to live that it was written with. */
  ttl: number
  /**
   * Of a value that servers keep in many cells, a collection that is not frozen: what two of them are that were written with
   * one timestamp.
   */
  merge?: ((old: Uint8Array, next: Uint8Array) => Uint8Array) | undefined
}

/** A partition key: the values of its columns, and the bytes that are hashed. */
export interface Key {
  readonly components: ReadonlyArray<Uint8Array>
  readonly bytes: Uint8Array
}

export type Clustering = ReadonlyArray<Uint8Array>

const live = (cell: Cell, now: number): boolean => cell.value !== null && (cell.expires === 0 || now < cell.expires)

export class Row {
  readonly clustering: Clustering
  readonly cells: Array<Cell | undefined> = []
  /** Set by INSERT: the row exists although all its columns may be null. */
  marker: Cell | undefined = undefined
  deletedAt = NEVER

  constructor(clustering: Clustering) {
    this.clustering = clustering
  }

  /** The value of a column; `null` when there is none. */
  value(slot: number, now: number): Uint8Array | null {
    const cell = this.cells[slot]
    return cell !== undefined && live(cell, now) ? cell.value : null
  }

  isLive(now: number): boolean {
    if (this.marker !== undefined && live(this.marker, now)) return true
    const cells = this.cells
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i]
      if (cell !== undefined && live(cell, now)) return true
    }
    return false
  }

  /** Deletes what was written up to `timestamp`. */
  delete(timestamp: bigint): void {
    if (timestamp > this.deletedAt) this.deletedAt = timestamp
    if (this.marker !== undefined && this.marker.timestamp <= timestamp) this.marker = undefined
    for (let i = 0; i < this.cells.length; i++) {
      const cell = this.cells[i]
      if (cell !== undefined && cell.timestamp <= timestamp) this.cells[i] = undefined
    }
  }
}

/**
 * Of two writes with one timestamp the deletion wins, then what expires, the later the better, then the greater value: the
 * rule of all replicas.
 */
const wins = (next: Cell, old: Cell): boolean => {
  if (next.timestamp !== old.timestamp) return next.timestamp > old.timestamp
  if (next.value === null || old.value === null) return next.value === null
  if (next.expires !== old.expires) {
    return next.expires !== 0 && (old.expires === 0 || next.expires > old.expires)
  }
  return Buffer.compare(next.value, old.value) >= 0
}

/** What two writes of a cell leave. */
const reconcile = (next: Cell, old: Cell): Cell => {
  const { merge } = next
  if (merge === undefined || next.timestamp !== old.timestamp || next.value === null || old.value === null) {
    return wins(next, old) ? next : old
  }
  if (next.expires !== old.expires) {
    throw unsupported("two writes of a collection with one timestamp and different TTLs")
  }
  return { ...next, value: merge(old.value, next.value) }
}

/** A deletion of rows between two clustering prefixes. */
interface RangeTombstone {
  readonly bounds: Bounds
  readonly timestamp: bigint
}

/** A range of clustering keys: a prefix, and at most one bound on each side of the column behind it. */
export interface Bounds {
  readonly prefix: Clustering
  readonly lower?: { readonly value: Uint8Array; readonly inclusive: boolean } | undefined
  readonly upper?: { readonly value: Uint8Array; readonly inclusive: boolean } | undefined
}

const scratch = new TokenWords()

export class Partition {
  readonly table: TableData
  /** Values of the partition key's columns. */
  readonly components: ReadonlyArray<Uint8Array>
  readonly key: Uint8Array
  readonly hi: number
  readonly lo: number
  readonly rows: Array<Row> = []
  private deletedAt = NEVER
  private readonly ranges: Array<RangeTombstone> = []

  constructor(table: TableData, components: ReadonlyArray<Uint8Array>, key: Uint8Array, hi: number, lo: number) {
    this.table = table
    this.components = components
    this.key = key
    this.hi = hi
    this.lo = lo
  }

  /** Index of the first row that is not before `clustering`, a whole key or a prefix. */
  lowerBound(clustering: Clustering): number {
    let low = 0
    let high = this.rows.length
    // Keys that grow are the usual case.
    if (high > 0 && this.table.compare(this.rows[high - 1]!.clustering, clustering) < 0) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.table.compare(this.rows[middle]!.clustering, clustering) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  find(clustering: Clustering): Row | undefined {
    const row = this.rows[this.lowerBound(clustering)]
    return row !== undefined && this.table.compare(row.clustering, clustering) === 0 ? row : undefined
  }

  private obtain(clustering: Clustering): Row {
    const index = this.lowerBound(clustering)
    const found = this.rows[index]
    if (found !== undefined && this.table.compare(found.clustering, clustering) === 0) return found
    const row = new Row(clustering)
    this.rows.splice(index, 0, row)
    return row
  }

  /** Whether something that was written at `timestamp` is deleted already. */
  private isDeleted(row: Row, timestamp: bigint): boolean {
    if (timestamp <= row.deletedAt || timestamp <= this.deletedAt) return true
    for (let i = 0; i < this.ranges.length; i++) {
      const range = this.ranges[i]!
      if (timestamp <= range.timestamp && this.table.contains(range.bounds, row.clustering)) return true
    }
    return false
  }

  /** Writes cells of one row. `marker` is for INSERT. */
  write(
    clustering: Clustering,
    slots: ReadonlyArray<number>,
    cells: ReadonlyArray<Cell>,
    timestamp: bigint,
    marker?: Cell
  ): void {
    const row = this.obtain(clustering)
    if (this.isDeleted(row, timestamp)) return
    // All of it or nothing: what cannot be reconciled is refused.
    const left = cells.map((cell, i) => {
      const old = row.cells[slots[i]!]
      return old === undefined ? cell : reconcile(cell, old)
    })
    for (let i = 0; i < slots.length; i++) row.cells[slots[i]!] = left[i]
    if (marker !== undefined && (row.marker === undefined || wins(marker, row.marker))) row.marker = marker
  }

  /** Adds to counters. A deleted counter starts again from nothing. */
  add(clustering: Clustering, slots: ReadonlyArray<number>, deltas: ReadonlyArray<bigint>, timestamp: bigint): void {
    const row = this.obtain(clustering)
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!
      const old = row.cells[slot]?.value
      const value = new Uint8Array(8)
      const view = new DataView(value.buffer)
      const before = old === undefined || old === null ? 0n : new DataView(old.buffer, old.byteOffset).getBigInt64(0)
      view.setBigInt64(0, before + deltas[i]!)
      row.cells[slot] = { value, timestamp, expires: 0, ttl: 0 }
    }
  }

  deleteAll(timestamp: bigint): void {
    if (timestamp > this.deletedAt) this.deletedAt = timestamp
    for (const row of this.rows) row.delete(timestamp)
  }

  deleteRow(clustering: Clustering, timestamp: bigint): void {
    this.obtain(clustering).delete(timestamp)
  }

  deleteRange(bounds: Bounds, timestamp: bigint): void {
    this.ranges.push({ bounds, timestamp })
    for (const row of this.rows) {
      if (this.table.contains(bounds, row.clustering)) row.delete(timestamp)
    }
  }
}

const compareTokens = (a: Partition, b: Partition): number => {
  if (a.hi !== b.hi) return a.hi < b.hi ? -1 : 1
  const x = a.lo >>> 0
  const y = b.lo >>> 0
  return x !== y ? (x < y ? -1 : 1) : Buffer.compare(a.key, b.key)
}

/** The rows of one table. */
export class TableData {
  private readonly partitions = new Map<string, Partition>()
  /** The latest ballot of each partition that a conditional statement was run on. */
  private readonly ballots = new Map<string, bigint>()
  private sorted: ReadonlyArray<Partition> | undefined = []
  /** The order of each clustering column, its direction included. */
  readonly order: ReadonlyArray<Comparator>

  constructor(order: ReadonlyArray<Comparator>) {
    this.order = order
  }

  /** Compares keys, or a key with a prefix: what they do not both have does not count. */
  compare(a: Clustering, b: Clustering): number {
    const count = Math.min(a.length, b.length)
    for (let i = 0; i < count; i++) {
      const result = this.order[i]!(a[i]!, b[i]!)
      if (result !== 0) return result
    }
    return 0
  }

  /** Whether a clustering key lies in a range. Bounds are in clustering order: a descending column swaps its sides. */
  contains(bounds: Bounds, clustering: Clustering): boolean {
    if (this.compare(clustering, bounds.prefix) !== 0) return false
    const index = bounds.prefix.length
    if (bounds.lower !== undefined) {
      const side = this.order[index]!(clustering[index]!, bounds.lower.value)
      if (bounds.lower.inclusive ? side < 0 : side <= 0) return false
    }
    if (bounds.upper !== undefined) {
      const side = this.order[index]!(clustering[index]!, bounds.upper.value)
      if (bounds.upper.inclusive ? side > 0 : side >= 0) return false
    }
    return true
  }

  /**
   * The timestamp of a conditional statement: that of the coordinator's clock, but later than that of every conditional statement
   * on the partition before, whatever clock that came from.
   */
  ballot(key: Uint8Array, proposed: bigint): bigint {
    const id = name(key)
    const last = this.ballots.get(id)
    const ballot = last === undefined || proposed > last ? proposed : last + 1n
    this.ballots.set(id, ballot)
    return ballot
  }

  get(key: Uint8Array): Partition | undefined {
    return this.partitions.get(name(key))
  }

  obtain(key: Uint8Array, components: ReadonlyArray<Uint8Array>): Partition {
    const id = name(key)
    let partition = this.partitions.get(id)
    if (partition === undefined) {
      Murmur3.hashInto(key, 0, key.length, scratch)
      partition = new Partition(this, components, key, scratch.hi, scratch.lo)
      this.partitions.set(id, partition)
      this.sorted = undefined
    }
    return partition
  }

  /** All partitions in ring order, which is the order of a full scan. */
  scan(): ReadonlyArray<Partition> {
    this.sorted ??= [...this.partitions.values()].sort(compareTokens)
    return this.sorted
  }

  /** Changes every value of a regular column. */
  rewrite(slot: number, by: (value: Uint8Array) => Uint8Array): void {
    for (const { rows } of this.partitions.values()) {
      for (const row of rows) {
        const cell = row.cells[slot]
        if (cell !== undefined && cell.value !== null) row.cells[slot] = { ...cell, value: by(cell.value) }
      }
    }
  }

  clear(): void {
    this.partitions.clear()
    this.sorted = []
  }
}

/** A key as a string of one character per byte, which is what a `Map` finds fastest. */
const name = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1")
