/** Cells with timestamps: the last write wins, whatever the order in which writes arrive. One copy serves all replicas. */
import * as Murmur3 from "@effect-scylla/sharding/Murmur3"
import { TokenWords } from "@effect-scylla/sharding/Token"
import { Buffer } from "node:buffer"
import type { Comparator } from "./compare.ts"
import { type Element, type Layout, listPath } from "./layout.ts"
import { kept } from "./pool.ts"

/** Before every timestamp a client may send. */
export const NEVER = -(2n ** 63n)

export interface Cell {
  /** `null` for a deleted one. */
  readonly value: Uint8Array | null
  /** Microseconds. */
  readonly timestamp: bigint
  /** Milliseconds since 1970 when it expires; 0 for never. */
  readonly expires: number
  /** Seconds to live that it was written with. */
  readonly ttl: number
}

/** A column whose value lies in many cells. */
export class Complex {
  deletedAt = NEVER
  /** In the order of the paths. */
  readonly paths: Array<Uint8Array> = []
  readonly cells: Array<Cell> = []

  /** Where a path is, or belongs (as `-1 - index`). */
  find(layout: Layout, path: Uint8Array): number {
    let low = 0
    let high = this.paths.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const side = layout.comparePaths(this.paths[middle]!, path)
      if (side === 0) return middle
      if (side < 0) low = middle + 1
      else high = middle
    }
    return -1 - low
  }

  put(layout: Layout, path: Uint8Array, cell: Cell): void {
    if (cell.timestamp <= this.deletedAt) return
    const at = this.find(layout, path)
    if (at >= 0) {
      if (wins(cell, this.cells[at]!)) this.cells[at] = cell
      return
    }
    this.paths.splice(-1 - at, 0, path)
    this.cells.splice(-1 - at, 0, cell)
  }

  delete(timestamp: bigint): void {
    if (timestamp <= this.deletedAt) return
    this.deletedAt = timestamp
    for (let i = this.cells.length - 1; i >= 0; i--) {
      if (this.cells[i]!.timestamp > timestamp) continue
      this.cells.splice(i, 1)
      this.paths.splice(i, 1)
    }
  }

  /** The elements that live, and their cells. */
  living(now: number): ReadonlyArray<{ readonly path: Uint8Array; readonly cell: Cell; readonly value: Uint8Array }> {
    const out = []
    for (let i = 0; i < this.cells.length; i++) {
      const cell = this.cells[i]!
      if (live(cell, now)) out.push({ path: this.paths[i]!, cell, value: cell.value! })
    }
    return out
  }
}

/** One thing that a statement does to one column of a row. */
export type Write =
  | { readonly slot: number; readonly cell: Cell }
  | {
    readonly slot: number
    readonly layout: Layout
    /** Deletes what was written up to then. */
    readonly deleted?: bigint | undefined
    readonly elements: ReadonlyArray<readonly [path: Uint8Array, cell: Cell]>
  }

/** A partition key: the values of its columns, and the bytes that are hashed. */
export interface Key {
  readonly components: ReadonlyArray<Uint8Array>
  readonly bytes: Uint8Array
}

export type Clustering = ReadonlyArray<Uint8Array>

export const live = (cell: Cell, now: number): boolean =>
  cell.value !== null && (cell.expires === 0 || now < cell.expires)

/** The write of a whole value. What a column of many cells held before is deleted only by a caller who says so. */
export const whole = (
  column: Place,
  value: Uint8Array,
  { expires, timestamp, ttl }: Omit<Cell, "value">,
  place: () => bigint,
  deleted?: bigint
): Write => {
  const { layout, position: slot } = column
  if (layout === undefined) return { slot, cell: { value: kept(value), timestamp, expires, ttl } }
  const elements = layout.split(value, () => listPath(place()))
  return {
    slot,
    layout,
    deleted,
    elements: elements.map(([path, each]) => [path, { value: each, timestamp, expires, ttl }] as const)
  }
}

/** What a row knows of a column. */
export interface Place {
  readonly position: number
  readonly layout: Layout | undefined
}

/** Who is told of all that is written to a table, before it is. */
export interface Observer {
  readonly wrote: (
    partition: Partition,
    /** Absent for the static columns. */
    clustering: Clustering | undefined,
    writes: ReadonlyArray<Write>,
    timestamp: bigint,
    marker: Cell | undefined
  ) => void
  readonly deletedPartition: (partition: Partition, timestamp: bigint) => void
  readonly deletedRow: (partition: Partition, clustering: Clustering, timestamp: bigint) => void
  readonly deletedRange: (partition: Partition, bounds: Bounds, timestamp: bigint) => void
  /** A statement is done. */
  readonly flush: (now: number) => void
}

/** Never written to: a row that is makes room first. */
const NO_CELLS: Array<Cell | Complex | undefined> = []

export class Row {
  readonly clustering: Clustering
  /** By the places of columns, no longer than it has to be. */
  cells: Array<Cell | Complex | undefined> = NO_CELLS
  /** Set by INSERT: the row exists although all its columns may be null. */
  marker: Cell | undefined = undefined
  deletedAt = NEVER

  constructor(clustering: Clustering) {
    this.clustering = clustering
  }

  /** Makes room for a place. An array that grows by itself takes room for many more. */
  reserve(slot: number): void {
    const { cells } = this
    if (slot < cells.length) return
    this.cells = Array.from({ length: slot + 1 }, (_, i) => cells[i])
  }

  /** The value of a column; `null` when there is none. */
  value(column: Place, now: number): Uint8Array | null {
    const cell = this.cells[column.position]
    if (cell === undefined) return null
    if (!(cell instanceof Complex)) return live(cell, now) ? cell.value : null
    return column.layout!.join(cell.living(now).map(({ path, value }): Element => [path, value]))
  }

  /** The cell of a column that is one, if it lives. */
  cell(column: Place, now: number): Cell | undefined {
    const cell = this.cells[column.position]
    return cell === undefined || cell instanceof Complex || !live(cell, now) ? undefined : cell
  }

  /** The cells of a column that is made of many. */
  complex(column: Place): Complex | undefined {
    const cell = this.cells[column.position]
    return cell instanceof Complex ? cell : undefined
  }

  isLive(now: number): boolean {
    if (this.marker !== undefined && live(this.marker, now)) return true
    const cells = this.cells
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i]
      if (cell === undefined) continue
      if (cell instanceof Complex ? cell.cells.some((each) => live(each, now)) : live(cell, now)) return true
    }
    return false
  }

  /** The same of some columns, whatever the others are. */
  hasLive(columns: ReadonlyArray<Place>, now: number): boolean {
    if (this.marker !== undefined && live(this.marker, now)) return true
    return columns.some(({ position }) => {
      const cell = this.cells[position]
      if (cell === undefined) return false
      return cell instanceof Complex ? cell.cells.some((each) => live(each, now)) : live(cell, now)
    })
  }

  write(write: Write): void {
    this.reserve(write.slot)
    const old = this.cells[write.slot]
    if ("cell" in write) {
      if (old === undefined || old instanceof Complex || wins(write.cell, old)) this.cells[write.slot] = write.cell
      return
    }
    const complex = old instanceof Complex ? old : new Complex()
    this.cells[write.slot] = complex
    if (write.deleted !== undefined) complex.delete(write.deleted)
    for (const [path, cell] of write.elements) complex.put(write.layout, path, cell)
  }

  /** Whether nothing is left of it but a deletion up to `timestamp`. */
  isGone(timestamp: bigint): boolean {
    return this.marker === undefined && this.deletedAt <= timestamp && this.cells.every((cell) => cell === undefined)
  }

  /** Deletes what was written up to `timestamp`. */
  delete(timestamp: bigint): void {
    if (timestamp > this.deletedAt) this.deletedAt = timestamp
    if (this.marker !== undefined && this.marker.timestamp <= timestamp) this.marker = undefined
    for (let i = 0; i < this.cells.length; i++) {
      const cell = this.cells[i]
      if (cell instanceof Complex) cell.delete(timestamp)
      else if (cell !== undefined && cell.timestamp <= timestamp) this.cells[i] = undefined
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
  /** What else the whole key must be: a relation over several columns, which need not be one range. */
  readonly test?: ((clustering: Clustering) => boolean) | undefined
}

const scratch = new TokenWords()

const NO_CLUSTERING: Clustering = []
const NO_ROWS: Array<Row> = []
const NO_RANGES: ReadonlyArray<RangeTombstone> = []
const NO_STATICS = new Row([])

export class Partition {
  readonly table: TableData
  /** Values of the partition key's columns. */
  readonly components: ReadonlyArray<Uint8Array>
  readonly key: Uint8Array
  readonly hi: number
  readonly lo: number
  /** Replaced by the first row, and then changed in place. */
  rows: Array<Row> = NO_ROWS
  private ownStatics: Row | undefined = undefined
  private deletedAt = NEVER
  private ranges: ReadonlyArray<RangeTombstone> = NO_RANGES

  constructor(table: TableData, components: ReadonlyArray<Uint8Array>, key: Uint8Array, hi: number, lo: number) {
    this.table = table
    this.components = components
    this.key = key
    this.hi = hi
    this.lo = lo
  }

  /** The row of the static columns, to read. */
  get statics(): Row {
    return this.ownStatics ?? NO_STATICS
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
    const row = new Row(clustering.length === 0 ? NO_CLUSTERING : clustering.map(kept))
    // An array that grows from nothing takes room for many.
    if (this.rows.length === 0) this.rows = [row]
    else this.rows.splice(index, 0, row)
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

  /** Writes columns of one row. `marker` is for INSERT. */
  write(clustering: Clustering, writes: ReadonlyArray<Write>, timestamp: bigint, marker?: Cell): void {
    this.table.version++
    this.table.observer?.wrote(this, clustering, writes, timestamp, marker)
    const row = this.obtain(clustering)
    if (this.isDeleted(row, timestamp)) return
    row.reserve(writes.reduce((most, { slot }) => Math.max(most, slot), -1))
    for (let i = 0; i < writes.length; i++) row.write(writes[i]!)
    if (marker !== undefined && (row.marker === undefined || wins(marker, row.marker))) row.marker = marker
  }

  /** Writes static columns. */
  writeStatic(writes: ReadonlyArray<Write>, timestamp: bigint): void {
    this.table.version++
    this.table.observer?.wrote(this, undefined, writes, timestamp, undefined)
    if (timestamp <= this.deletedAt) return
    const statics = this.ownStatics ??= new Row([])
    for (const write of writes) statics.write(write)
  }

  /** Adds to counters, static ones without a clustering key. A deleted counter starts again from nothing. */
  add(
    clustering: Clustering | undefined,
    slots: ReadonlyArray<number>,
    deltas: ReadonlyArray<bigint>,
    timestamp: bigint
  ): void {
    this.table.version++
    const row = clustering === undefined ? this.ownStatics ??= new Row([]) : this.obtain(clustering)
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!
      row.reserve(slot)
      const cell = row.cells[slot]
      const old = cell instanceof Complex ? undefined : cell?.value
      const value = new Uint8Array(8)
      const view = new DataView(value.buffer)
      const before = old === undefined || old === null ? 0n : new DataView(old.buffer, old.byteOffset).getBigInt64(0)
      view.setBigInt64(0, before + deltas[i]!)
      row.cells[slot] = { value, timestamp, expires: 0, ttl: 0 }
    }
  }

  deleteAll(timestamp: bigint): void {
    this.table.version++
    this.table.observer?.deletedPartition(this, timestamp)
    if (timestamp > this.deletedAt) this.deletedAt = timestamp
    this.ownStatics?.delete(timestamp)
    for (const row of this.rows) row.delete(timestamp)
    this.sweep(timestamp)
  }

  /** Forgets rows of which a wider deletion has left nothing. */
  private sweep(timestamp: bigint): void {
    if (this.rows.some((row) => row.isGone(timestamp))) this.rows = this.rows.filter((row) => !row.isGone(timestamp))
  }

  deleteRow(clustering: Clustering, timestamp: bigint): void {
    this.table.version++
    this.table.observer?.deletedRow(this, clustering, timestamp)
    this.obtain(clustering).delete(timestamp)
  }

  deleteRange(bounds: Bounds, timestamp: bigint): void {
    this.table.version++
    this.table.observer?.deletedRange(this, bounds, timestamp)
    this.ranges = [...this.ranges, { bounds, timestamp }]
    for (const row of this.rows) {
      if (this.table.contains(bounds, row.clustering)) row.delete(timestamp)
    }
    this.rows = this.rows.filter((row) => !row.isGone(timestamp) || !this.table.contains(bounds, row.clustering))
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
  /** Another one after each write: who made something of the rows knows by it whether it still holds. */
  version = 0
  observer: Observer | undefined = undefined
  /** The latest ballot of each partition that a conditional statement was run on. */
  private readonly ballots = new Map<string, bigint>()
  private readonly copies = new Map<number, TableData>()
  private sorted: ReadonlyArray<Partition> | undefined = []
  private places = 0n
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
    return bounds.test === undefined || bounds.test(clustering)
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

  /** What a node has of it, where each keeps its own. */
  copyOf(node: number): TableData {
    let copy = this.copies.get(node)
    if (copy === undefined) this.copies.set(node, copy = new TableData(this.order))
    return copy
  }

  get(key: Uint8Array): Partition | undefined {
    return this.partitions.get(name(key))
  }

  obtain(key: Uint8Array, components: ReadonlyArray<Uint8Array>): Partition {
    const id = name(key)
    let partition = this.partitions.get(id)
    if (partition === undefined) {
      Murmur3.hashInto(key, 0, key.length, scratch)
      const own = kept(key)
      const parts = components.length === 1 && Buffer.compare(components[0]!, key) === 0 ? [own] : components.map(kept)
      partition = new Partition(this, parts, own, scratch.hi, scratch.lo)
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

  /** The next place at the end of a list, or in front of one: later than all that were given. */
  nextPlace(): bigint {
    return ++this.places
  }

  /** Deletes what was written to a column up to a time. */
  forget(slot: number, timestamp: bigint): void {
    this.version++
    for (const copy of this.copies.values()) copy.forget(slot, timestamp)
    for (const partition of this.partitions.values()) {
      for (const row of [partition.statics, ...partition.rows]) {
        const cell = row.cells[slot]
        if (cell instanceof Complex) cell.delete(timestamp)
        else if (cell !== undefined && cell.timestamp <= timestamp) row.cells[slot] = undefined
      }
    }
  }

  clear(): void {
    this.version++
    this.partitions.clear()
    this.copies.clear()
    this.sorted = []
  }
}

/** A key as a string of one character per byte, which is what a `Map` finds fastest. */
const name = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1")
