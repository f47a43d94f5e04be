/** Partitions and their rows, in the order of the ring. One copy serves all replicas. */
import * as Murmur3 from "@effect-scylla/sharding/Murmur3"
import { TokenWords } from "@effect-scylla/sharding/Token"
import { Buffer } from "node:buffer"
import { type Cell, NEVER } from "./cells.ts"
import type { Comparator } from "./compare.ts"
import { type Clustering, Row, type Write } from "./row.ts"

/** A partition key: the values of its columns, and the bytes that are hashed. */
export interface Key {
  readonly components: ReadonlyArray<Uint8Array>
  readonly bytes: Uint8Array
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
const NO_ROWS: ReadonlyArray<Row> = []
const NO_RANGES: ReadonlyArray<RangeTombstone> = []
const NO_STATICS = new Row([])

/** What few partitions have. */
interface Rare {
  statics: Row | undefined
  deletedAt: bigint
  ranges: ReadonlyArray<RangeTombstone>
}

export class Partition {
  readonly table: TableData
  /** The bytes that are hashed, one character each. */
  readonly id: string
  readonly hi: number
  readonly lo: number
  /** One row without an array around it: of most tables that is all that a partition has. */
  private content: Row | Array<Row> | undefined = undefined
  private rare: Rare | undefined = undefined

  constructor(table: TableData, id: string, hi: number, lo: number) {
    this.table = table
    this.id = id
    this.hi = hi
    this.lo = lo
  }

  /** The bytes that are hashed. */
  get key(): Uint8Array {
    const bytes = Buffer.from(this.id, "latin1")
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** Values of the partition key's columns. */
  get components(): ReadonlyArray<Uint8Array> {
    return this.table.componentsOf(this)
  }

  /** To read; ask once for a walk. */
  get rows(): ReadonlyArray<Row> {
    const { content } = this
    return content === undefined ? NO_ROWS : content instanceof Row ? [content] : content
  }

  /** The row of the static columns, to read. */
  get statics(): Row {
    return this.rare?.statics ?? NO_STATICS
  }

  /** Ranges of rows that were deleted. */
  get deletedRanges(): ReadonlyArray<Bounds> {
    return this.rare?.ranges.map(({ bounds }) => bounds) ?? []
  }

  private obtainRare(): Rare {
    return this.rare ??= { statics: undefined, deletedAt: NEVER, ranges: NO_RANGES }
  }

  private obtainStatics(): Row {
    return this.obtainRare().statics ??= new Row(NO_CLUSTERING)
  }

  /** Index of the first row that is not before `clustering`, a whole key or a prefix. */
  lowerBound(clustering: Clustering): number {
    const { rows } = this
    let low = 0
    let high = rows.length
    // Keys that grow are the usual case.
    if (high > 0 && this.table.compare(rows[high - 1]!.clustering, clustering) < 0) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.table.compare(rows[middle]!.clustering, clustering) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  find(clustering: Clustering): Row | undefined {
    if (this.content instanceof Row && clustering.length === 0) return this.content
    const row = this.rows[this.lowerBound(clustering)]
    return row !== undefined && this.table.compare(row.clustering, clustering) === 0 ? row : undefined
  }

  private obtain(clustering: Clustering): Row {
    const { content } = this
    if (content === undefined) return this.content = new Row(clustering)
    const index = this.lowerBound(clustering)
    const found = this.rows[index]
    if (found !== undefined && this.table.compare(found.clustering, clustering) === 0) return found
    const row = new Row(clustering)
    if (content instanceof Row) this.content = index === 0 ? [row, content] : [content, row]
    else content.splice(index, 0, row)
    return row
  }

  /** Whether something that was written at `timestamp` is deleted already. */
  private isDeleted(row: Row, timestamp: bigint): boolean {
    if (timestamp <= row.deletedAt) return true
    if (this.rare === undefined) return false
    const { deletedAt, ranges } = this.rare
    if (timestamp <= deletedAt) return true
    for (let i = 0; i < ranges.length; i++) {
      const range = ranges[i]!
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
    row.write(writes, marker)
  }

  /** Writes static columns. */
  writeStatic(writes: ReadonlyArray<Write>, timestamp: bigint): void {
    this.table.version++
    this.table.observer?.wrote(this, undefined, writes, timestamp, undefined)
    if (this.rare !== undefined && timestamp <= this.rare.deletedAt) return
    this.obtainStatics().write(writes)
  }

  /** Adds to counters, static ones without a clustering key. A deleted counter starts again from nothing. */
  add(
    clustering: Clustering | undefined,
    slots: ReadonlyArray<number>,
    deltas: ReadonlyArray<bigint>,
    timestamp: bigint
  ): void {
    this.table.version++
    const row = clustering === undefined ? this.obtainStatics() : this.obtain(clustering)
    for (let i = 0; i < slots.length; i++) row.add(slots[i]!, deltas[i]!, timestamp)
  }

  deleteAll(timestamp: bigint): void {
    this.table.version++
    this.table.observer?.deletedPartition(this, timestamp)
    const rare = this.obtainRare()
    if (timestamp > rare.deletedAt) rare.deletedAt = timestamp
    rare.statics?.delete(timestamp)
    for (const row of this.rows) row.delete(timestamp)
  }

  deleteRow(clustering: Clustering, timestamp: bigint): void {
    this.table.version++
    this.table.observer?.deletedRow(this, clustering, timestamp)
    this.obtain(clustering).delete(timestamp)
  }

  deleteRange(bounds: Bounds, timestamp: bigint): void {
    this.table.version++
    this.table.observer?.deletedRange(this, bounds, timestamp)
    const rare = this.obtainRare()
    rare.ranges = [...rare.ranges, { bounds, timestamp }]
    for (const row of this.rows) if (this.table.contains(bounds, row.clustering)) row.delete(timestamp)
  }
}

const compareTokens = (a: Partition, b: Partition): number => {
  if (a.hi !== b.hi) return a.hi < b.hi ? -1 : 1
  const x = a.lo >>> 0
  const y = b.lo >>> 0
  return x !== y ? (x < y ? -1 : 1) : a.id < b.id ? -1 : a.id > b.id ? 1 : 0
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
  /** Columns of the partition key. */
  private parts = 1
  /** Rows of one partition come one behind the other, and each shows its key. */
  private lastSplit: { readonly of: Partition; readonly components: ReadonlyArray<Uint8Array> } | undefined
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
      this.parts = components.length
      partition = new Partition(this, id, scratch.hi, scratch.lo)
      this.partitions.set(id, partition)
      this.sorted = undefined
    }
    return partition
  }

  componentsOf(partition: Partition): ReadonlyArray<Uint8Array> {
    const known = this.lastSplit
    if (known?.of === partition) return known.components
    const components = split(partition.key, this.parts)
    this.lastSplit = { of: partition, components }
    return components
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
      for (const row of [partition.statics, ...partition.rows]) row.forget(slot, timestamp)
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

/** The parts of a key, each with its length before it and a byte behind it where there are several. */
const split = (key: Uint8Array, parts: number): ReadonlyArray<Uint8Array> => {
  if (parts === 1) return [key]
  const out: Array<Uint8Array> = []
  for (let at = 0; out.length < parts;) {
    const length = (key[at]! << 8) | key[at + 1]!
    out.push(key.subarray(at + 2, at + 2 + length))
    at += length + 3
  }
  return out
}
