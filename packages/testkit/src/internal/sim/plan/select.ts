/** SELECT, over tables of users and of the system alike. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as Murmur3 from "@effect-scylla/sharding/Murmur3"
import { toBigInt, TokenWords } from "@effect-scylla/sharding/Token"
import { Buffer } from "node:buffer"
import { checkLevel } from "../cluster/topology.ts"
import { invalid } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { comparatorOf } from "../storage/compare.ts"
import type { Row } from "../storage/row.ts"
import type { Bounds, Key, Partition, TableData } from "../storage/storage.ts"
import { readInt32 } from "../storage/values.ts"
import { checkAnn, compileAnn } from "./ann.ts"
import { valueOf } from "./columns.ts"
import * as Paging from "./paging.ts"
import { type Call, checkPaxos, type Plan } from "./plan.ts"
import { wrongByItself } from "./relationRules.ts"
import { checkColumns, compileSelection, type Group, type Selection } from "./selection.ts"
import { aggregationWarning, checkDistinct, columnsOf, groupColumns, isOfStatics, isReversed } from "./selectRules.ts"
import { compile } from "./terms.ts"
import type { TokenBounds } from "./tokenRange.ts"
import { type Bound, type Compiled, type Markers, Variables, type View } from "./variables.ts"
import { viewRows } from "./viewRows.ts"
import { compileWhere } from "./where.ts"

/** A page ends here too, whatever the page size (`query_page_size_in_bytes`). */
const PAGE_BYTES = 1024 * 1024

/** What is read of a table, wherever it is. */
type Data = Pick<TableData, "compare" | "contains" | "get" | "scan">

type Cells = ReadonlyArray<Uint8Array | null>

/** Index of the first and behind the last row of a range. */
const span = (data: Data, partition: Partition, bounds: Bounds): readonly [number, number] => {
  const { rows } = partition
  const range: Bounds = bounds.test === undefined ? bounds : { ...bounds, test: undefined }
  const from = range.lower === undefined ? range.prefix : [...range.prefix, range.lower.value]
  let start = partition.lowerBound(from)
  while (start < rows.length && !data.contains(range, rows[start]!.clustering)) {
    // Only rows equal to an exclusive bound can be in front of a range that is not empty.
    if (data.compare(rows[start]!.clustering, from) !== 0) return [start, start]
    start++
  }
  if (range.upper === undefined && range.prefix.length === 0) return [start, rows.length]
  let low = start
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (data.contains(range, rows[middle]!.clustering)) low = middle + 1
    else high = middle
  }
  return [start, low]
}

interface Walk {
  readonly data: Data
  readonly partitions: ReadonlyArray<Partition>
  readonly ranges: ReadonlyArray<Bounds>
  readonly reversed: boolean
  readonly now: number
  readonly after: Paging.Position | undefined
  /** Whether a partition of static columns alone shows a row. */
  readonly showsStatics: boolean
}

const hasLiveRow = (partition: Partition, now: number): boolean => partition.rows.some((row) => row.isLive(now))

/** Goes through rows in order, from a position on, until `visit` answers false. */
const walk = (
  { after, data, now, partitions, ranges, reversed, showsStatics }: Walk,
  visit: (partition: Partition, row: Row | undefined) => boolean
): void => {
  for (const partition of partitions) {
    const resumed = after !== undefined && Buffer.compare(after.key, partition.key) === 0
    // Without a row the position is behind the whole partition.
    if (resumed && after.clustering.length === 0) continue
    if (showsStatics && !resumed && partition.statics.isLive(now) && !hasLiveRow(partition, now)) {
      if (!visit(partition, undefined)) return
      continue
    }
    const { rows } = partition
    for (let r = 0; r < ranges.length; r++) {
      const bounds = ranges[reversed ? ranges.length - 1 - r : r]!
      let [start, end] = span(data, partition, bounds)
      if (resumed) {
        const at = partition.lowerBound(after.clustering)
        const row = rows[at]
        const behind = row !== undefined && data.compare(row.clustering, after.clustering) === 0 ? at + 1 : at
        if (reversed) end = Math.min(end, at)
        else start = Math.max(start, behind)
      }
      for (let i = start; i < end; i++) {
        const row = rows[reversed ? end - 1 - (i - start) : i]!
        if (bounds.test !== undefined && !bounds.test(row.clustering)) continue
        if (row.isLive(now) && !visit(partition, row)) return
      }
    }
  }
}

const scratch = new TokenWords()

/** The partitions that a statement reads, in order, from a position on. */
const partitionsOf = (
  data: Data,
  keys: ReadonlyArray<Key> | undefined,
  tokens: TokenBounds | undefined,
  after: Paging.Position | undefined
): ReadonlyArray<Partition> => {
  const isIn = (partition: Partition): boolean => {
    if (tokens === undefined) return true
    const token = toBigInt(partition.hi, partition.lo)
    const { lower, upper } = tokens
    if (lower !== undefined && (lower.inclusive ? token < lower.token : token <= lower.token)) return false
    // The minimum token as an upper bound means the end of the ring.
    if (upper === undefined || upper.token === -(2n ** 63n)) return true
    return upper.inclusive ? token <= upper.token : token < upper.token
  }
  if (keys !== undefined) {
    const out: Array<Partition> = []
    let skip = after !== undefined
    for (const key of keys) {
      if (skip && Buffer.compare(key.bytes, after!.key) !== 0) continue
      skip = false
      const partition = data.get(key.bytes)
      if (partition !== undefined && isIn(partition)) out.push(partition)
    }
    return out
  }
  return data.scan().filter((partition) => {
    if (!isIn(partition)) return false
    if (after === undefined) return true
    if (partition.hi !== after.hi) return partition.hi > after.hi
    const low = partition.lo >>> 0
    const other = after.lo >>> 0
    return low !== other ? low > other : Buffer.compare(partition.key, after.key) >= 0
  })
}

const INT = CqlType.scalar("int")

/** A variable whose value ScyllaDB does not look at. */
const unchecked = (
  { index }: Extract<Ast.Term, { readonly _tag: "Marker" }>,
  name: string,
  variables: Variables
): Compiled => {
  variables.add(index, name, INT)
  return (values) => values[index]!
}

/** The value of LIMIT, -1 for none. ScyllaDB takes nothing and less for none. */
const limitOf = (term: Ast.Term | undefined, name: string, variables: Variables): (values: Bound) => number => {
  if (term === undefined) return () => -1
  const isScylla = variables.product === "scylla"
  const compiled = isScylla && term._tag === "Marker"
    ? unchecked(term, name, variables)
    : compile(term, INT, name, variables)
  return (values) => {
    const bytes = compiled(values)
    if (bytes === null) {
      if (isScylla) return -1
      throw invalid("Invalid null value of limit")
    }
    if (!(bytes instanceof Uint8Array)) return -1
    if (bytes.length !== 4) {
      if (isScylla) return -1
      throw invalid(`Expected 4 or 0 byte int (${bytes.length})`)
    }
    const limit = readInt32(bytes)
    if (limit > 0) return limit
    if (isScylla) return -1
    throw invalid("LIMIT must be strictly positive")
  }
}

/** What may be read at all at a level of consistency. */
const checkReadable = (call: Call, table: Table, keys: ReadonlyArray<Key> | undefined): void => {
  const { consistency } = call.options
  if (!(call.isCassandra && consistency === "EACH_QUORUM")) checkLevel(consistency, "read")
  const serial = consistency === "SERIAL" || consistency === "LOCAL_SERIAL"
  if (serial && keys?.length !== 1 && !call.isCassandra) {
    throw invalid("SERIAL/LOCAL_SERIAL consistency may only be requested for one partition at a time")
  }
  if (serial) checkPaxos(call, table)
}

/** Tells the counters what was asked for, and refuses what too few replicas could answer. */
const route = (call: Call, table: Table, keys: ReadonlyArray<Key> | undefined): void => {
  checkReadable(call, table, keys)
  const { consistency } = call.options
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

const sameGroup = (columns: ReadonlyArray<Column>, a: View, b: View): boolean =>
  columns.every((column) => {
    const x = valueOf(column, a)
    const y = valueOf(column, b)
    if (x === null || y === null) return x === y
    // Numbers may be the same in other digits.
    return column.kind === "clustering" ? comparatorOf(column.type.cql)!(x, y) === 0 : Buffer.compare(x, y) === 0
  })

/** Where the rows of a table are. */
const dataOf = (table: Table, call: Call): Data => {
  if (table.view !== undefined) return viewRows(table, call.isCassandra ? "cassandra" : "scylla", call.now)
  const { computed, data } = table
  if (computed !== undefined) return computed.read(call.node)
  const { replicas } = call
  if (replicas === undefined || table.keyspace.isSystem) return data
  const asking = { coordinator: call.node, level: call.options.consistency, isCassandra: call.isCassandra }
  const read = (key: Uint8Array): Partition | undefined => {
    Murmur3.hashInto(key, 0, key.length, scratch)
    return replicas.read(table, key, scratch, asking)
  }
  return {
    compare: (a, b) => data.compare(a, b),
    contains: (bounds, clustering) => data.contains(bounds, clustering),
    get: read,
    scan: () => data.scan().flatMap(({ key }) => read(key) ?? [])
  }
}

/** What is selected. Cassandra looks at names first, then at relations, and only then at what is made of columns. */
const selectionOf = (statement: Ast.Select, table: Table, variables: Variables): Selection => {
  try {
    return compileSelection(statement, table, variables)
  } catch (thrown) {
    if (variables.product === "scylla") throw thrown
    checkColumns(statement, table, variables)
    compileWhere(statement.where, table, variables, "SELECT", statement.allowFiltering)
    throw thrown
  }
}

/** What all rows of a partition have together is not asked of some of them. */
const checkOfStatics = (statement: Ast.Select, table: Table, variables: Variables): void => {
  const isRestricted = statement.where.some((relation) =>
    relation._tag !== "Token" && columnsOf(table)(relation).some(({ kind }) => kind === "clustering")
  )
  if (!isRestricted) return
  throw wrongByItself(statement.where, table, variables) ??
    invalid("Cannot restrict clustering columns when selecting only static columns")
}

export const compileSelect = (statement: Ast.Select, table: Table, markers: Markers): Plan => {
  const variables = new Variables(markers, table)
  const isScylla = variables.product === "scylla"
  const selection = selectionOf(statement, table, variables)
  if (!isScylla && statement.selectors.length > 0 && isOfStatics(statement, selection, isScylla)) {
    checkOfStatics(statement, table, variables)
  }
  if (statement.ann !== undefined) checkAnn(statement, table, selection.isAggregate)
  const where = compileWhere(statement.where, table, variables, "SELECT", statement.allowFiltering)
  if (statement.distinct) checkDistinct(statement, selection, table, where, variables)
  const groupBy = groupColumns(statement, table, where, variables)
  const isGrouped = selection.isAggregate || groupBy.length > 0
  const reversed = isReversed(statement, table, where, variables)
  if (where.late !== undefined) throw where.late
  const isSorted = statement.orderBy.length > 0 && !where.isSinglePartition
  if (selection.isAggregate && groupBy.length === 0 && statement.perPartitionLimit !== undefined && !isScylla) {
    throw invalid("PER PARTITION LIMIT is not allowed with aggregate queries.")
  }
  if (
    isScylla && where.restrictsClustering && statement.selectors.length > 0 &&
    isOfStatics(statement, selection, isScylla)
  ) {
    throw invalid("Cannot restrict clustering columns when selecting only static columns")
  }
  const limit = limitOf(statement.limit, "[limit]", variables)
  const perPartition = limitOf(
    statement.perPartitionLimit,
    variables.say("[limit]", "[per_partition_limit]"),
    variables
  )
  if (statement.using.timeout !== undefined) {
    compile(statement.using.timeout, CqlType.scalar("duration"), "[timeout]", variables)
  }
  const ann = statement.ann === undefined ? undefined : compileAnn(statement.ann, statement, table, variables)
  const { distinct } = statement
  const isUser = !table.keyspace.isSystem
  const { wire } = selection
  const warnings = [
    ...where.warnings,
    ...(isGrouped && (isUser || !isScylla) ? aggregationWarning(where, table, variables) : [])
  ]

  const execute = (call: Call): ReturnType<Plan["execute"]> => {
    const { options, values } = call
    where.check(values)
    selection.check(values)
    const ranges = where.ranges(values)
    // Cassandra looks at no key where no row is asked for.
    const isOfNone = !isScylla && ranges.length === 0
    const keys = !where.hasKeys ? undefined : isOfNone ? [] : where.keys(values)
    if (isUser) route(call, table, keys)
    else {
      checkReadable(call, table, keys)
      if (keys === undefined) call.topology.ensureAllAlive(table, options.consistency, call.node)
      for (const key of keys ?? []) {
        Murmur3.hashInto(key.bytes, 0, key.bytes.length, scratch)
        const replicas = call.topology.holders(table, scratch.hi, scratch.lo, call.node)
        call.topology.ensureAlive(table.keyspace, options.consistency, call.node, replicas)
      }
    }
    call.warnings.push(...warnings)
    const data = dataOf(table, call)
    const state = options.pagingState ?? null
    const pageSize = options.pageSize !== undefined && options.pageSize > 0 ? options.pageSize : 0
    if (isSorted && pageSize > 0 && keys?.length !== 0) {
      throw invalid(
        "Cannot page queries with both ORDER BY and a IN restriction on the partition key; you must either remove the " +
          "ORDER BY or the IN and sort client side, or disable paging for this query"
      )
    }
    const after = state === null ? undefined : Paging.read(table, state)
    const tokens = where.tokens?.(values)
    const isEmpty = where.tokens !== undefined && tokens === undefined
    const found: Walk = {
      data,
      partitions: isEmpty ? [] : partitionsOf(data, keys, tokens, after),
      ranges,
      reversed,
      now: call.now,
      after,
      showsStatics: table.hasStatics && !where.restrictsClustering
    }
    let remaining = after?.remaining ?? limit(values)
    const most = perPartition(values)
    const rows: Array<Cells> = []
    let position: Paging.Position | undefined
    const at = ({ partition, row }: View, inPartition: number): Paging.Position => ({
      key: partition.key,
      hi: partition.hi,
      lo: partition.lo,
      clustering: distinct || row === undefined ? [] : row.clustering,
      remaining,
      inPartition
    })
    /** Whether Cassandra knows that nothing follows: behind the last partition that was named, of one row or spent. */
    const isLast = (partition: Partition, isSpent: boolean): boolean =>
      keys !== undefined && (isSpent || table.clustering.length === 0) &&
      Buffer.compare(keys.at(-1)!.bytes, partition.key) === 0
    const passes = (view: View): boolean => where.filters.every((filter) => filter(values, view))
    const answer = (): ReturnType<Plan["execute"]> => ({
      _tag: "Rows",
      columns: wire,
      rows,
      pagingState: position === undefined ? null : Paging.write(table, position),
      skipMetadata: options.skipMetadata,
      globalSpec: false
    })

    if (isGrouped) {
      let group: Group | undefined
      let last: View | undefined
      let inPartition = 0
      let lastPartition: Partition | undefined
      // The end of a group; false where no more are wanted.
      const finish = (): boolean => {
        if (group === undefined) return true
        const isWanted = most < 0 || isScylla || inPartition < most
        inPartition++
        if (isWanted) {
          rows.push(group.result(values))
          if (remaining > 0) remaining--
        }
        group = undefined
        if (remaining === 0) return false
        if (pageSize > 0 && !isScylla && groupBy.length > 0 && rows.length === pageSize) {
          const isSpent = last!.row === undefined || (most >= 0 && inPartition >= most)
          if (!isLast(last!.partition, isSpent)) position = at(last!, inPartition)
          return false
        }
        return true
      }
      let isOver = false
      if (remaining !== 0) {
        walk(found, (partition, row) => {
          const view: View = { partition, row, now: call.now }
          if (distinct && lastPartition === partition) return true
          if (!passes(view)) return true
          const isNew = group !== undefined &&
            (groupBy.length > 0 ? partition !== last!.partition || !sameGroup(groupBy, last!, view) : false)
          if (isNew && !finish()) {
            isOver = true
            return false
          }
          if (lastPartition !== partition) {
            inPartition = lastPartition === undefined && after !== undefined && same(after, partition)
              ? after.inPartition
              : 0
          }
          lastPartition = partition
          group ??= selection.group()
          group.add(values, view)
          last = view
          return true
        })
      }
      if (group === undefined && groupBy.length === 0 && after === undefined) group = selection.group()
      if (!isOver) finish()
      return answer()
    }

    if (ann !== undefined) {
      const views: Array<View> = []
      walk(found, (partition, row) => {
        const view: View = { partition, row, now: call.now }
        if (row !== undefined && passes(view)) views.push(view)
        return true
      })
      for (const view of ann(values, views, remaining, call)) rows.push(selection.project(values, view))
      return answer()
    }

    if (isSorted) {
      const views: Array<View> = []
      walk(found, (partition, row) => {
        const view: View = { partition, row, now: call.now }
        if (passes(view)) views.push(view)
        return true
      })
      // Of equal rows ScyllaDB shows the last first when it turns the order around.
      if (isScylla && reversed) {
        const order = new Map<Partition, number>(found.partitions.map((partition, i) => [partition, -i]))
        views.sort((a, b) => order.get(a.partition)! - order.get(b.partition)!)
      }
      const sign = reversed ? -1 : 1
      views.sort((a, b) => sign * data.compare(a.row?.clustering ?? [], b.row?.clustering ?? []))
      const counts = new Map<Partition, number>()
      for (const view of views) {
        if (remaining === 0) break
        const count = counts.get(view.partition) ?? 0
        counts.set(view.partition, count + 1)
        if (most >= 0 && count >= most) continue
        rows.push(selection.project(values, view))
        if (remaining > 0) remaining--
      }
      return answer()
    }

    let bytes = 0
    let scanned = 0
    let last: Partition | undefined
    let inPartition = 0
    if (remaining !== 0) {
      walk(found, (partition, row) => {
        const view: View = { partition, row, now: call.now }
        if (last !== partition) {
          inPartition = after !== undefined && same(after, partition) ? after.inPartition : 0
        } else if (distinct) return true
        last = partition
        scanned++
        if (passes(view) && (most < 0 || inPartition < most)) {
          const cells = selection.project(values, view)
          rows.push(cells)
          inPartition++
          if (remaining > 0 && --remaining === 0) return false
          if (pageSize > 0) { for (const cell of cells) bytes += cell === null ? 4 : 4 + cell.length }
        }
        // ScyllaDB counts what it looked at, whether it shows it or not.
        const isFull = isScylla ? scanned >= pageSize || bytes >= PAGE_BYTES : rows.length >= pageSize
        if (pageSize > 0 && isFull) {
          const isSpent = row === undefined || distinct || (most >= 0 && inPartition >= most)
          if (isScylla || !isLast(partition, isSpent)) position = at(view, inPartition)
          return false
        }
        return true
      })
    }
    return answer()
  }
  return {
    variables: variables.all,
    partitionKey: where.partitionKey,
    result: wire,
    isConditional: false,
    tables: [table],
    mutation: undefined,
    execute
  }
}

const same = (after: Paging.Position, partition: Partition): boolean => Buffer.compare(after.key, partition.key) === 0
