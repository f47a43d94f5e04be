/** The change log of ScyllaDB: what is written to a table is written down in a table beside it. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Buffer } from "node:buffer"
import type { CdcOptions } from "../schema/cdcOptions.ts"
import type { Column, Table } from "../schema/schema.ts"
import { type Cell, NEVER } from "../storage/cells.ts"
import { type Clustering, type Row, whole, type Write } from "../storage/row.ts"
import type { Bounds, Observer, Partition } from "../storage/storage.ts"
import { collection, int32, int64, normalize, record } from "../storage/values.ts"
import { makeKey } from "./keys.ts"
import { GREGORIAN, timeuuidOf } from "./timeuuid.ts"

/** What `cdc$operation` says. */
const Operation = {
  preimage: 0,
  update: 1,
  insert: 2,
  deleteRow: 3,
  deletePartition: 4,
  startInclusive: 5,
  startExclusive: 6,
  endInclusive: 7,
  endExclusive: 8,
  postimage: 9
} as const

/** A line of the log without what all lines of a statement share. */
interface Line {
  readonly operation: number
  readonly partition: Partition
  readonly clustering: Clustering
  /** By the names of the log's columns. */
  readonly values: ReadonlyMap<string, Uint8Array>
  readonly ttl: number
  readonly timestamp: bigint
}

const TRUE = Uint8Array.of(1)

/** How the log holds a column: a value of many cells is frozen, a list as a map of its places. */
export const loggedType = ({ layout, type }: Column): CqlType.CqlType =>
  layout?.type._tag === "List" ? CqlType.map(CqlType.scalar("timeuuid"), layout.type.element) : type.cql

/** How it holds the elements that were deleted; `undefined` for a column that has none. */
export const deletedType = ({ layout }: Column): CqlType.CqlType | undefined => {
  switch (layout?.type._tag) {
    case "List":
      return CqlType.set(CqlType.scalar("timeuuid"))
    case "Set":
      return CqlType.set(layout.type.element)
    case "Map":
      return CqlType.set(layout.type.key)
    case "Udt":
      return CqlType.set(CqlType.scalar("smallint"))
    default:
      return undefined
  }
}

/** The place of an element of a list as a timeuuid. */
const placeOf = (path: Uint8Array): Uint8Array =>
  timeuuidOf(
    GREGORIAN + (new DataView(path.buffer, path.byteOffset).getBigInt64(0) & 0x3ff_ffff_ffffn),
    [0x80, 0, 0, 0, 0, 0, 0, 0]
  )

/** Elements with their paths as the value that the log shows. */
const joined = (
  column: Column,
  elements: ReadonlyArray<readonly [path: Uint8Array, value: Uint8Array]>
): Uint8Array => {
  const { layout } = column
  const type = loggedType(column)
  if (layout!.type._tag === "List") {
    return normalize(type, collection(elements.length, elements.flatMap(([path, value]) => [placeOf(path), value])))
  }
  if (layout!.type._tag === "Udt") {
    const fields: Array<Uint8Array | null> = layout!.type.fields.map(() => null)
    for (const [path, value] of elements) fields[(path[0]! << 8) | path[1]!] = value
    return record(fields)
  }
  return normalize(type, layout!.join(elements) ?? collection(0, []))
}

export class ChangeLog implements Observer {
  options: CdcOptions
  private readonly tableOf: () => { readonly base: Table; readonly log: Table } | undefined
  private readonly unique: () => number
  private lines: Array<Line> = []
  private images: Array<Line> = []
  /** Rows that were changed, whose state afterwards is asked for. */
  private readonly changed = new Map<
    string,
    { readonly partition: Partition; readonly clustering: Clustering | undefined }
  >()

  constructor(
    options: CdcOptions,
    tableOf: () => { readonly base: Table; readonly log: Table } | undefined,
    unique: () => number
  ) {
    this.options = options
    this.tableOf = tableOf
    this.unique = unique
  }

  private columns(of: "static" | "regular"): ReadonlyArray<Column> {
    return this.tableOf()?.base.regular.filter(({ kind }) => kind === of) ?? []
  }

  private add(
    operation: number,
    partition: Partition,
    clustering: Clustering,
    timestamp: bigint,
    values: ReadonlyMap<string, Uint8Array> = new Map(),
    ttl = 0
  ): void {
    this.lines.push({ operation, partition, clustering, values, ttl, timestamp })
  }

  /** What a statement does to columns, as the log shows it. */
  private changes(columns: ReadonlyArray<Column>, writes: ReadonlyArray<Write>): ReadonlyMap<string, Uint8Array> {
    const out = new Map<string, Uint8Array>()
    for (const write of writes) {
      const column = columns.find(({ position }) => position === write.slot)
      if (column === undefined) continue
      if ("cell" in write) {
        if (write.cell.value === null) out.set(`cdc$deleted_${column.name}`, TRUE)
        else out.set(column.name, write.cell.value)
        continue
      }
      if (write.deleted !== undefined) out.set(`cdc$deleted_${column.name}`, TRUE)
      const live = write.elements.flatMap(([path, { value }]) => value === null ? [] : [[path, value] as const])
      const gone = write.elements.filter(([, { value }]) => value === null).map(([path]) => path)
      if (live.length > 0) out.set(column.name, joined(column, live))
      const type = deletedType(column)
      if (gone.length > 0 && type !== undefined) {
        const paths = write.layout.type._tag === "List" ? gone.map(placeOf) : gone
        out.set(`cdc$deleted_elements_${column.name}`, normalize(type, collection(paths.length, paths)))
      }
    }
    return out
  }

  /** A row as it is. */
  private image(
    operation: number,
    partition: Partition,
    clustering: Clustering | undefined,
    columns: ReadonlyArray<Column>,
    now: number
  ): Line | undefined {
    const row: Row | undefined = clustering === undefined ? partition.statics : partition.find(clustering)
    if (row === undefined || !row.isLive(now)) return undefined
    const values = new Map<string, Uint8Array>()
    for (const column of columns) {
      const complex = row.complex(column)
      if (complex === undefined) {
        const value = row.value(column, now)
        if (value !== null) values.set(column.name, value)
        continue
      }
      const living = complex.living(now).map(({ path, value }) => [path, value] as const)
      if (living.length > 0) values.set(column.name, joined(column, living))
    }
    return { operation, partition, clustering: clustering ?? [], values, ttl: 0, timestamp: NEVER }
  }

  private before(
    partition: Partition,
    clustering: Clustering | undefined,
    changed: (column: Column) => boolean
  ): void {
    const id = `${Buffer.from(partition.key).toString("hex")}/${
      clustering?.map((part) => Buffer.from(part).toString("hex")).join() ?? "static"
    }`
    if (this.changed.has(id)) return
    this.changed.set(id, { partition, clustering })
    if (this.options.preimage === "off") return
    const all = this.columns(clustering === undefined ? "static" : "regular")
    const shown = this.options.preimage === "full" ? all : all.filter(changed)
    const found = this.image(Operation.preimage, partition, clustering, shown, 0)
    if (found !== undefined) this.images.push(found)
  }

  wrote(
    partition: Partition,
    clustering: Clustering | undefined,
    writes: ReadonlyArray<Write>,
    timestamp: bigint,
    marker: Cell | undefined
  ): void {
    if (!this.options.enabled || (writes.length === 0 && marker === undefined)) return
    const columns = this.columns(clustering === undefined ? "static" : "regular")
    this.before(partition, clustering, ({ position }) => writes.some(({ slot }) => slot === position))
    const first = writes[0]
    const cell = marker ?? (first === undefined ? undefined : "cell" in first ? first.cell : first.elements[0]?.[1])
    this.add(
      marker === undefined ? Operation.update : Operation.insert,
      partition,
      clustering ?? [],
      timestamp,
      this.options.delta === "full" ? this.changes(columns, writes) : new Map(),
      cell?.ttl ?? 0
    )
  }

  deletedPartition(partition: Partition, timestamp: bigint): void {
    if (this.options.enabled) this.add(Operation.deletePartition, partition, [], timestamp)
  }

  deletedRow(partition: Partition, clustering: Clustering, timestamp: bigint): void {
    if (!this.options.enabled) return
    this.before(partition, clustering, () => true)
    this.add(Operation.deleteRow, partition, clustering, timestamp)
  }

  deletedRange(partition: Partition, { lower, prefix, upper }: Bounds, timestamp: bigint): void {
    if (!this.options.enabled) return
    const bound = (side: Bounds["lower"]): Clustering => side === undefined ? prefix : [...prefix, side.value]
    this.add(
      lower?.inclusive === false ? Operation.startExclusive : Operation.startInclusive,
      partition,
      bound(lower),
      timestamp
    )
    this.add(
      upper?.inclusive === false ? Operation.endExclusive : Operation.endInclusive,
      partition,
      bound(upper),
      timestamp
    )
  }

  flush(now: number): void {
    const lines = this.lines
    const changed = [...this.changed.values()]
    const images = this.images
    this.lines = []
    this.images = []
    this.changed.clear()
    const tables = this.tableOf()
    if (lines.length === 0 || tables === undefined) return
    const after = this.options.postimage
      ? changed.flatMap(({ clustering, partition }) =>
        this.image(
          Operation.postimage,
          partition,
          clustering,
          this.columns(clustering === undefined ? "static" : "regular"),
          now
        ) ?? []
      )
      : []
    const { timestamp } = lines[0]!
    const byPartition = new Map<Partition, Array<Line>>()
    for (const line of [...images, ...lines, ...after]) {
      const known = byPartition.get(line.partition)
      if (known === undefined) byPartition.set(line.partition, [line])
      else known.push(line)
    }
    for (const [partition, all] of byPartition) this.store(tables, partition, all, timestamp, now)
  }

  /** Writes the lines of one partition down. */
  private store(
    { base, log }: { readonly base: Table; readonly log: Table },
    partition: Partition,
    lines: ReadonlyArray<Line>,
    timestamp: bigint,
    now: number
  ): void {
    // Streams are parts of the ring: their ids begin with a token.
    const stream = new Uint8Array(16)
    const view = new DataView(stream.buffer)
    view.setInt32(0, partition.hi)
    view.setInt32(4, partition.lo)
    view.setUint8(15, 1)
    const key = makeKey([stream])
    const id = this.unique()
    const time = timeuuidOf(timestamp * 10n + GREGORIAN, [0x80, 0, ...int32(id), 0, 0])
    const { ttl } = this.options
    const stamp = { timestamp, ttl, expires: ttl === 0 ? 0 : (Math.floor(now / 1000) + ttl) * 1000 }
    lines.forEach((line, i) => {
      const writes: Array<Write> = []
      const put = (name: string, value: Uint8Array): void => {
        const column = log.byName.get(name)
        if (column !== undefined) writes.push(whole(column, value, stamp, () => log.data.nextPlace()))
      }
      base.partitionKey.forEach((column, at) => put(column.name, partition.components[at]!))
      line.clustering.forEach((value, at) => put(base.clustering[at]!.name, value))
      for (const [name, value] of line.values) put(name, value)
      put("cdc$operation", Uint8Array.of(line.operation))
      if (line.ttl > 0) put("cdc$ttl", int64(BigInt(line.ttl)))
      if (i === lines.length - 1) put("cdc$end_of_batch", TRUE)
      log.data.obtain(key.bytes, [stream]).write([time, int32(i)], writes, timestamp, {
        value: new Uint8Array(0),
        ...stamp
      })
    })
  }
}
