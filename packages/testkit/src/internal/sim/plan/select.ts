/** SELECT, over tables of users and of the system alike. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Column as WireColumn } from "@effect-scylla/protocol/Metadata"
import * as Murmur3 from "@effect-scylla/sharding/Murmur3"
import { toBigInt, TokenWords } from "@effect-scylla/sharding/Token"
import { Buffer } from "node:buffer"
import { checkLevel } from "../cluster/topology.ts"
import { invalid, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { type Column, findColumn, type Table } from "../schema/schema.ts"
import type { Bounds, Key, Partition, Row, TableData } from "../storage/storage.ts"
import { int64, readInt32 } from "../storage/values.ts"
import * as Paging from "./paging.ts"
import type { Call, Plan } from "./plan.ts"
import { type Bound, compile, type Markers, Variables } from "./terms.ts"
import { compileWhere, type TokenBounds, type Where } from "./where.ts"

/** A page ends here too, whatever the page size (`query_page_size_in_bytes`). */
const PAGE_BYTES = 1024 * 1024

type Cells = ReadonlyArray<Uint8Array | null>

/** Reads the selected columns of a row. */
const projector = (columns: ReadonlyArray<Column>) => (partition: Partition, row: Row, now: number): Cells => {
  const out: Array<Uint8Array | null> = []
  for (let i = 0; i < columns.length; i++) {
    const { kind, position } = columns[i]!
    out.push(
      kind === "regular"
        ? row.value(position, now)
        : kind === "clustering"
        ? row.clustering[position]!
        : partition.components[position]!
    )
  }
  return out
}

/** Whether rows come backwards: ORDER BY must be the clustering order or its exact opposite. */
const isReversed = (statement: Ast.Select, table: Table, where: Where): boolean => {
  const { orderBy } = statement
  if (orderBy.length === 0) return false
  if (!where.hasKeys) {
    throw invalid("ORDER BY is only supported when the partition key is restricted by an EQ or an IN.")
  }
  let reversed: boolean | undefined
  for (let i = 0; i < orderBy.length; i++) {
    const column = findColumn(table, orderBy[i]!.column)
    if (column.kind !== "clustering") {
      throw invalid(
        `Order by is currently only supported on the clustered columns of the PRIMARY KEY, got ${column.name}`
      )
    }
    if (column.position !== i) {
      throw invalid(
        "Order by currently only support the ordering of columns following their declared order in the PRIMARY KEY"
      )
    }
    const turned = orderBy[i]!.descending !== column.descending
    if (reversed !== undefined && reversed !== turned) throw invalid("Unsupported order by relation")
    reversed = turned
  }
  if (!where.isSinglePartition) throw unsupported("ORDER BY with IN on the partition key")
  return reversed === true
}

/** Index of the first and behind the last row of a range. */
const span = (data: TableData, partition: Partition, bounds: Bounds): readonly [number, number] => {
  const { rows } = partition
  const from = bounds.lower === undefined ? bounds.prefix : [...bounds.prefix, bounds.lower.value]
  let start = partition.lowerBound(from)
  while (start < rows.length && !data.contains(bounds, rows[start]!.clustering)) {
    // Only rows equal to an exclusive bound can be in front of a range that is not empty.
    if (data.compare(rows[start]!.clustering, from) !== 0) return [start, start]
    start++
  }
  if (bounds.upper === undefined && bounds.prefix.length === 0) return [start, rows.length]
  let low = start
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (data.contains(bounds, rows[middle]!.clustering)) low = middle + 1
    else high = middle
  }
  return [start, low]
}

/** Goes through rows in order, from a position on, until `visit` answers false. */
const walk = (
  data: TableData,
  partitions: ReadonlyArray<Partition>,
  ranges: ReadonlyArray<Bounds>,
  reversed: boolean,
  now: number,
  after: Paging.Position | undefined,
  visit: (partition: Partition, row: Row) => boolean
): void => {
  for (const partition of partitions) {
    const resumed = after !== undefined && Buffer.compare(after.key, partition.key) === 0
    for (let r = 0; r < ranges.length; r++) {
      const bounds = ranges[reversed ? ranges.length - 1 - r : r]!
      let [start, end] = span(data, partition, bounds)
      if (resumed) {
        const at = partition.lowerBound(after.clustering)
        const row = partition.rows[at]
        const behind = row !== undefined && data.compare(row.clustering, after.clustering) === 0 ? at + 1 : at
        if (reversed) end = Math.min(end, at)
        else start = Math.max(start, behind)
      }
      for (let i = start; i < end; i++) {
        const row = partition.rows[reversed ? end - 1 - (i - start) : i]!
        if (row.isLive(now) && !visit(partition, row)) return
      }
    }
  }
}

const scratch = new TokenWords()

/** The partitions that a statement reads, in order, from a position on. */
const partitionsOf = (
  data: TableData,
  keys: ReadonlyArray<Key> | undefined,
  tokens: TokenBounds | undefined,
  after: Paging.Position | undefined
): ReadonlyArray<Partition> => {
  if (keys !== undefined) {
    const out: Array<Partition> = []
    let skip = after !== undefined
    for (const key of keys) {
      if (skip && Buffer.compare(key.bytes, after!.key) !== 0) continue
      skip = false
      const partition = data.get(key.bytes)
      if (partition !== undefined) out.push(partition)
    }
    return out
  }
  return data.scan().filter((partition) => {
    if (tokens !== undefined) {
      const token = toBigInt(partition.hi, partition.lo)
      const { lower, upper } = tokens
      if (lower !== undefined && (lower.inclusive ? token < lower.token : token <= lower.token)) return false
      // The minimum token as an upper bound means the end of the ring.
      if (upper !== undefined && upper.token !== -(2n ** 63n)) {
        if (upper.inclusive ? token > upper.token : token >= upper.token) return false
      }
    }
    if (after === undefined) return true
    if (partition.hi !== after.hi) return partition.hi > after.hi
    const low = partition.lo >>> 0
    const other = after.lo >>> 0
    return low !== other ? low > other : Buffer.compare(partition.key, after.key) >= 0
  })
}

const limitOf = (term: Ast.Term | undefined, variables: Variables): (values: Bound) => number => {
  if (term === undefined) return () => -1
  const compiled = compile(term, CqlType.scalar("int"), "[limit]", variables)
  return (values) => {
    const bytes = compiled(values)
    if (bytes === null) throw invalid("Invalid null value of limit")
    if (!(bytes instanceof Uint8Array)) return -1
    if (bytes.length !== 4) throw invalid("Invalid limit value")
    const limit = readInt32(bytes)
    if (limit <= 0) throw invalid("LIMIT must be strictly positive")
    return limit
  }
}

/** Tells the counters what was asked for, and refuses what too few replicas could answer. */
const route = (call: Call, table: Table, keys: ReadonlyArray<Key> | undefined): void => {
  const { consistency } = call.options
  checkLevel(consistency, "read")
  const serial = consistency === "SERIAL" || consistency === "LOCAL_SERIAL"
  if (serial && keys?.length !== 1) {
    throw invalid("SERIAL/LOCAL_SERIAL consistency may only be requested for one partition at a time")
  }
  call.table = table
  if (keys === undefined) {
    call.partitions = 2
    call.topology.ensureAllAlive(table, consistency, call.node)
    return
  }
  call.partitions = keys.length
  for (const key of keys) {
    Murmur3.hashInto(key.bytes, 0, key.bytes.length, scratch)
    call.hi = scratch.hi
    call.lo = scratch.lo
    const replicas = call.topology.replicas(table, scratch.hi, scratch.lo)
    call.topology.ensureAlive(table.keyspace, consistency, call.node, replicas)
    table.rateLimiter?.count("read", table, key.bytes, call)
  }
}

interface Selection {
  readonly columns: ReadonlyArray<Column>
  readonly wire: ReadonlyArray<WireColumn>
  readonly isCount: boolean
}

const selectionOf = (statement: Ast.Select, table: Table): Selection => {
  const { selectors } = statement
  if (selectors.length === 0) {
    return { columns: table.columns, wire: table.columns.map((column) => column.wire), isCount: false }
  }
  const counts = selectors.filter((selector) => selector._tag === "Count")
  if (counts.length > 0) {
    if (selectors.length > 1) throw unsupported("count(*) beside other columns")
    const wire: WireColumn = {
      keyspace: table.keyspace.name,
      table: table.name,
      name: counts[0]!.alias ?? "count",
      type: CqlType.scalar("bigint")
    }
    return { columns: [], wire: [wire], isCount: true }
  }
  const columns: Array<Column> = []
  const wire: Array<WireColumn> = []
  for (const selector of selectors) {
    if (selector._tag === "Other") throw unsupported(selector.what)
    if (selector._tag === "Count") continue
    const column = findColumn(table, selector.name)
    columns.push(column)
    wire.push(selector.alias === undefined ? column.wire : { ...column.wire, name: selector.alias })
  }
  return { columns, wire, isCount: false }
}

const checkDistinct = (statement: Ast.Select, { columns, isCount }: Selection, table: Table): void => {
  if (isCount) throw unsupported("count of DISTINCT")
  if (columns.some((column) => column.kind !== "partition_key")) {
    throw invalid("SELECT DISTINCT queries must only request partition key columns and/or static columns")
  }
  for (const column of table.partitionKey) {
    if (!columns.includes(column)) {
      throw invalid(
        `SELECT DISTINCT queries must request all the partition key columns (missing ${column.name})`
      )
    }
  }
  for (const relation of statement.where) {
    if ("column" in relation && findColumn(table, relation.column).kind === "clustering") {
      throw invalid(
        "SELECT DISTINCT with WHERE clause only supports restriction by partition key and/or static columns."
      )
    }
  }
}

export const compileSelect = (statement: Ast.Select, table: Table, markers: Markers): Plan => {
  const variables = new Variables(markers, table.keyspace.name, table.name)
  const selection = selectionOf(statement, table)
  const where = compileWhere(statement.where, table, variables, statement.allowFiltering)
  if (statement.perPartitionLimit !== undefined) throw unsupported("PER PARTITION LIMIT")
  if (statement.distinct) checkDistinct(statement, selection, table)
  const reversed = isReversed(statement, table, where)
  const limit = limitOf(statement.limit, variables)
  if (statement.using.timeout !== undefined) {
    compile(statement.using.timeout, CqlType.scalar("duration"), "[timeout]", variables)
  }
  const project = projector(selection.columns)
  const isUser = !table.keyspace.isSystem
  return {
    variables: variables.all,
    partitionKey: where.partitionKey,
    result: selection.wire,
    isConditional: false,
    tables: [table],
    mutation: undefined,
    execute: (call) => {
      const { options, values } = call
      const keys = where.hasKeys ? where.keys(values) : undefined
      if (isUser) route(call, table, keys)
      const data = table.rows === undefined ? table.data : table.rows(call.node)
      const state = options.pagingState ?? null
      const after = state === null || selection.isCount ? undefined : Paging.read(table, state)
      const partitions = partitionsOf(data, keys, where.tokens?.(values), after)
      const ranges = where.ranges(values)
      let remaining = after?.remaining ?? limit(values)
      if (selection.isCount) {
        // LIMIT bounds the rows of the answer, which is one.
        let count = 0n
        walk(data, partitions, ranges, false, call.now, undefined, () => {
          count++
          return true
        })
        return { _tag: "Rows", columns: selection.wire, rows: [[int64(count)]], globalSpec: false }
      }
      const rows: Array<Cells> = []
      const pageSize = options.pageSize !== undefined && options.pageSize > 0 ? options.pageSize : 0
      let bytes = 0
      let last: Partition | undefined
      let position: Paging.Position | undefined
      let lastRow: Row | undefined
      const distinct = statement.distinct
      walk(data, partitions, ranges, reversed, call.now, after, (partition, row) => {
        if (distinct && (last === partition || (rows.length === 0 && after !== undefined && same(after, partition)))) {
          return true
        }
        if (remaining === 0) return false
        if (pageSize > 0 && (rows.length === pageSize || bytes >= PAGE_BYTES)) {
          // There is one more row: the page ends behind the last one that fitted.
          position = { key: last!.key, hi: last!.hi, lo: last!.lo, clustering: lastRow!.clustering, remaining }
          return false
        }
        const cells = project(partition, row, call.now)
        rows.push(cells)
        if (pageSize > 0) { for (const cell of cells) bytes += cell === null ? 4 : 4 + cell.length }
        last = partition
        lastRow = row
        if (remaining > 0) remaining--
        return true
      })
      return {
        _tag: "Rows",
        columns: selection.wire,
        rows,
        pagingState: position === undefined ? null : Paging.write(table, position),
        skipMetadata: options.skipMetadata,
        globalSpec: false
      }
    }
  }
}

const same = (after: Paging.Position, partition: Partition): boolean => Buffer.compare(after.key, partition.key) === 0
